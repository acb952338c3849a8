//! What takes long or needs a machine to itself: the figures that the project promises, and the recorded run of alerts
//! that come and go under the built-in packs. `make soak` runs these one after the other and prints every figure.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "this is a test"
)]

mod attack;
mod differential;
mod exactness;
mod figures;
mod hostile;
mod kill;
mod outage;
mod overload;
mod recorded_run;
mod rehearsal;
#[path = "../remote_write/mod.rs"]
mod remote_write;
#[allow(dead_code, unused_imports, reason = "shared with the end-to-end tests")]
#[path = "../e2e/stage/mod.rs"]
mod stage;

/// These run at full size; the end-to-end tests run one event in so many.
const ONE_IN: u64 = 1;
