//! The score from 0 to 100 that explains itself: every point lost has a reason with a name, a value, a threshold, a
//! weight and a since-when. It is shown as JSON, as one line, as metrics, and to HAProxy's agent-check.

mod agent_check;
mod cause;
mod config;
mod listener;
mod report;
mod score;
mod signal;
mod standing;
mod task;

pub use agent_check::{AgentCheck, AgentCheckListen, Answer, Answers};
pub use config::{Config, HttpStatus, Recovery, Thresholds, Weights};
pub use listener::{AgentCheckError, AgentCheckServer};
pub use report::{Deduction, HealthState, Report, Scale, ServiceReport, SignalReport, Taken, Verdict};
pub use score::{Memory, judge};
pub use signal::{Measured, Readings, Signal};
pub use task::Judge;
