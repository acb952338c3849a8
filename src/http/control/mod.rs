//! The control socket: the only way to change the agent. It is served as the other addresses are, but has endpoints of its own.

mod about;
mod config;
mod peer;
mod serve;
mod silences;
mod task;

pub use config::ControlConfig;
pub use serve::{Alerts, Control, ReloadRequest};
pub use task::run_control;
