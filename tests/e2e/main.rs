//! End to end: the installed agent with the real things that it meets. `make e2e` builds, installs and packages it,
//! gets the peers, and runs this; `cargo test --test e2e` runs it against the debug build with the peers that are there.
//!
//! Each scenario has an agent of its own, on loopback, in a folder of its own. What this machine does not permit (mounting,
//! installing a package, namespaces) is skipped with a printed line that begins with "SKIPPED".
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "this is a test"
)]

mod activation;
mod api;
#[path = "../soak/attack.rs"]
mod attack;
mod clients;
#[path = "../soak/differential/mod.rs"]
mod differential;
mod events;
#[path = "../soak/exactness.rs"]
mod exactness;
mod grafana;
mod haproxy;
mod health;
mod heartbeat;
#[path = "../soak/hostile.rs"]
mod hostile;
#[path = "../soak/kill.rs"]
mod kill;
mod life;
mod load;
#[path = "../soak/outage.rs"]
mod outage;
#[path = "../soak/overload.rs"]
mod overload;
mod package;
mod prometheus;
mod reload;
#[path = "../remote_write/mod.rs"]
mod remote_write;
mod secrets;
mod silence;
mod stage;
mod state;
mod templates;
mod tour;
mod unit;

/// What the soak tests do with many events is done here with one in so many.
const ONE_IN: u64 = 25;
