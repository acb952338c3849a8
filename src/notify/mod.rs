//! Notifications: what fires is told to Alertmanagers, webhooks, commands and the systemd journal, from a queue on disk.
//!
//! `sight` is what is seen of the rules; `ledger`, with `index` to find its alerts, knows every alert that was told of or is still to be, and is rebuilt from
//! the records that `store` keeps; `queue` is what one target knows and is to be told; `payload` writes what receivers read; `target` is one receiver with its patience;
//! `post`, `process` and `journald` deliver, the first by what `connect` connects to; `silence` knows whose beginnings are held back;
//! `heartbeat` says that somebody watches; `task` runs all of it. `client` is for others who ask servers of the same kinds.

#![warn(clippy::indexing_slicing, clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_possible_wrap)]

mod backoff;
mod client;
mod config;
mod connect;
mod heartbeat;
mod index;
mod journald;
mod ledger;
mod life;
mod metrics;
mod payload;
mod post;
mod process;
mod queue;
mod record;
mod secret;
mod sight;
mod silence;
mod store;
mod target;
mod task;
mod tls;
mod url;

pub use client::{Client, Reply};
pub use config::{Alertmanager, Authorization, BasicAuth, Command, Config, Journal, Tls, Webhook};
pub use heartbeat::{Heartbeat, HeartbeatMethod, HeartbeatNeeds, Heartbeats, run_heartbeats};
pub use secret::Secret;
pub use silence::{Draft, DraftError, MatcherError, Refusal, Silence, SilenceState, Silences, Written};
pub use silence::{parse_matcher, parse_matchers, print_matcher, read_draft};
pub use store::{Store, StoreError};
pub use task::{Needs, Service, new, run};
pub use url::SecretUrl;
