//! Each tick, copies the live values of registry and telemetry into history, with the labels that a scraping server
//! would add. This is where the registry's series become what a Prometheus server would have stored.

mod flatten;
mod identity;
mod jobs;
mod task;

pub use flatten::{Flattened, Flattener, Tick};
pub use identity::Identity;
pub use task::Recorder;
