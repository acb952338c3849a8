//! The registry's own metrics.

use prometheus::{Gauge, IntCounterVec, IntGauge};

use super::Refusal;
use super::events::Events;
use crate::model::Timestamp;
use crate::telemetry::Telemetry;

#[derive(Debug)]
pub(super) struct Metrics {
    families: IntGauge,
    series: IntGauge,
    refused: IntCounterVec,
    last_merge: Gauge,
}

impl Metrics {
    pub(super) fn new(telemetry: &Telemetry) -> Self {
        let metrics = Self {
            families: telemetry.int_gauge("sidewatch_registry_families", "Metric names that events have made."),
            series: telemetry.int_gauge("sidewatch_registry_series", "Series that events have made; a histogram's label set counts once."),
            refused: telemetry.counters("sidewatch_registry_refused_total", "Changes of series that were refused, by reason.", &["reason"]),
            last_merge: telemetry
                .gauge("sidewatch_registry_last_merge_timestamp_seconds", "When events last changed a series, in Unix time; 0 before."),
        };
        for reason in Refusal::ALL {
            metrics.refused.with_label_values(&[reason.as_str()]);
        }
        metrics
    }

    pub(super) fn merged(&self, at: Timestamp, events: &Events) {
        self.sized(events);
        self.last_merge.set(at.as_seconds());
    }

    pub(super) fn refused(&self, reason: Refusal) {
        self.refused.with_label_values(&[reason.as_str()]).inc();
    }

    pub(super) fn sized(&self, events: &Events) {
        self.families.set(i64::try_from(events.len()).unwrap_or(i64::MAX));
        self.series.set(i64::try_from(events.series()).unwrap_or(i64::MAX));
    }
}
