//! The HTTP interface: metrics, health, and Prometheus's query API. It only reads; what changes the agent is the control
//! socket, which has endpoints of its own (`control`).
//!
//! An endpoint is a line in `router::ALL` and a function from a call and the [`State`] to a reply, without I/O and
//! without waiting; what is expensive is made on a blocking thread, few at a time, so that probes never wait.
#![warn(clippy::indexing_slicing, clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_possible_wrap)]

mod about;
mod address;
mod api;
mod config;
mod control;
mod encoding;
mod envelope;
mod exemplars;
mod guard;
mod health;
mod index;
mod instruments;
mod json;
mod labels;
mod listen;
mod metadata;
mod metrics;
mod outbox;
mod params;
mod patient;
mod pieces;
mod query;
mod reply;
mod router;
mod rules;
mod scrape;
mod serve;
mod status;
mod targets;
mod task;
mod tree;
mod watched;

#[cfg(test)]
mod tests;

pub use about::About;
pub use address::{Address, AddressError};
pub use config::Config;
pub use control::{Alerts, Control, ControlConfig, ReloadRequest, run_control};
pub use listen::{BindError, Bound};
pub use query::evaluate_text;
pub use router::{Endpoint, endpoints};
pub use serve::{Server, State};
pub use task::run;
