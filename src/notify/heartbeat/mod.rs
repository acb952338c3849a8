//! The heartbeat: a URL that is asked for every so often, as long as the agent does what it is there for. Whoever misses it
//! tells people that nobody watches any more.
//!
//! `judge` decides whether all is well, `task` sends.

mod config;
mod judge;
mod task;

pub use config::{Heartbeat, HeartbeatMethod};
pub use task::{HeartbeatNeeds, Heartbeats, run_heartbeats};
