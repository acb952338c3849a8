//! A history that is made for an occasion and forgets nothing.

use crate::history::{self, History};
use crate::model::PromDuration;
use crate::telemetry::Telemetry;

/// Where unit tests and backtests write.
#[must_use]
pub fn scratch() -> History {
    let unlimited = history::Config {
        retention: PromDuration::from_millis(u64::MAX),
        bytes_max: usize::MAX / 2,
        series_max: usize::MAX,
        ..history::Config::default()
    };
    History::new(&unlimited, &Telemetry::new())
}
