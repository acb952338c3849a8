//! How many series there may be, and which buckets histograms get.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Bounds, JournalConfig};
use crate::model::PromDuration;

/// OpenTelemetry's advice for `http.server.request.duration`.
const SECONDS: [f64; 14] = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
/// Powers of four from 64 bytes to 64 MiB.
const BYTES: [f64; 11] = [64.0, 256.0, 1024.0, 4096.0, 16_384.0, 65_536.0, 262_144.0, 1_048_576.0, 4_194_304.0, 16_777_216.0, 67_108_864.0];
/// For numbers of unknown meaning: three steps a decade where counts of things usually lie, single decades around.
const GENERIC: [f64; 16] = [0.01, 0.1, 1.0, 2.5, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0, 2500.0, 5000.0, 10_000.0, 100_000.0];

/// The `registry` section of the configuration.
#[derive(Clone, Debug, PartialEq, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The most series that events may make in total; a histogram's label set counts once. Beyond, labels with many values become
    /// `__other__` in new series.
    pub series_max: usize,
    /// The most series that events may make of one metric; beyond, the same.
    pub series_per_metric_max: usize,
    /// The most metric names that events may make. More are refused and counted.
    pub families_max: usize,
    /// The most bytes that series may take, as far as they can be counted. What is given up near to it is in
    /// [limits](limits.md#memory).
    pub bytes_max: usize,
    /// A series that has not changed for so long is not shown any more, and counts against no limit; 0 is never.
    pub expiry: PromDuration,
    /// For so long it is kept after that: when it comes back, it goes on from where it stopped.
    pub kept: PromDuration,
    /// Upper bounds of histogram buckets.
    pub buckets: Buckets,
    /// Keeping what events have counted across restarts. A change takes effect at the next start.
    pub journal: JournalConfig,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            series_max: 100_000,
            series_per_metric_max: 10_000,
            families_max: 10_000,
            bytes_max: 128 << 20,
            expiry: PromDuration::from_secs(3600),
            kept: PromDuration::from_secs(86_400),
            buckets: Buckets::default(),
            journal: JournalConfig::default(),
        }
    }
}

/// Upper bounds of the classic buckets of histograms made from events, ascending; the bucket up to `+Inf` is always
/// there. A change reaches a histogram that exists at the next start.
#[derive(Clone, Debug, PartialEq, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Buckets {
    /// For histograms whose name ends in `_seconds`, in seconds.
    pub seconds: Bounds,
    /// For histograms whose name ends in `_bytes`, in bytes.
    pub bytes: Bounds,
    /// For all other histograms.
    pub generic: Bounds,
    /// For single histograms, by the name that `/metrics` shows: `http_server_request_duration_seconds: [0.1, 1]`.
    pub metrics: BTreeMap<String, Bounds>,
}

impl Default for Buckets {
    fn default() -> Self {
        Self { seconds: Bounds::of(&SECONDS), bytes: Bounds::of(&BYTES), generic: Bounds::of(&GENERIC), metrics: BTreeMap::new() }
    }
}

impl Buckets {
    /// The bounds of a histogram that does not exist yet.
    pub(super) fn of(&self, name: &str) -> Arc<[f64]> {
        let by_unit = || match crate::model::unit_of_name(name).map(crate::model::Unit::as_str) {
            Some("seconds") => &self.seconds,
            Some("bytes") => &self.bytes,
            _ => &self.generic,
        };
        self.metrics.get(name).unwrap_or_else(by_unit).share()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_keep_their_own_rules() {
        for bounds in [&SECONDS[..], &BYTES, &GENERIC] {
            assert!(Bounds::try_from(bounds.to_vec()).is_ok());
        }
    }

    #[test]
    fn a_name_of_its_own_comes_before_the_unit() {
        let config: Config = serde_yaml::from_str("buckets: {metrics: {a_seconds: [1, 2]}}").expect("valid");
        assert_eq!(*config.buckets.of("a_seconds"), [1.0, 2.0]);
        assert_eq!(*config.buckets.of("b_seconds"), SECONDS);
        assert_eq!(*config.buckets.of("b_bytes"), BYTES);
        assert_eq!(*config.buckets.of("b"), GENERIC);
    }

    #[test]
    fn falling_bounds_are_refused_where_they_stand() {
        let error = serde_yaml::from_str::<Config>("buckets:\n  seconds: [2, 1]").expect_err("refused");
        assert!(error.to_string().contains("does not rise above 2"), "{error}");
    }
}
