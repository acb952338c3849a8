//! The score from 0 to 100 that explains itself: every point lost has a reason with a name, a value, a threshold, a
//! weight and a since-when.

mod report;
mod score;
mod task;

pub use report::{Deduction, HealthState, Report};
pub use score::{Config, HttpStatus, Thresholds, Weights, judge};
pub use task::Judge;
