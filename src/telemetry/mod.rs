//! What the agent says about itself: its own metrics, its log, and how an error is written with its causes.

mod chain;
mod log;
mod metrics;
mod shown;
mod summary;
mod throttle;

pub use chain::chain;
pub use log::{Config, LogError, LogFormat, Stderr, init, stderr};
pub use metrics::{MetricDoc, Telemetry};
pub use summary::Summary;
pub use throttle::Throttle;
