//! The registry's own metrics.

use prometheus::{Gauge, GaugeVec, IntCounter, IntCounterVec, IntGauge};

use super::Refusal;
use super::bytes::Bytes;
use super::events::Events;
use crate::model::Timestamp;
use crate::telemetry::Telemetry;

/// So many labels are shown that have too many values; how many more there are is shown in one series.
const COLLAPSED_SHOWN_MAX: usize = 100;

#[derive(Debug)]
pub(super) struct Metrics {
    families: IntGauge,
    series: IntGauge,
    overflow: IntGauge,
    retired: IntGauge,
    collapsed: GaugeVec,
    redirected: IntCounter,
    refused: IntCounterVec,
    bytes: [Gauge; 5],
    shed: [IntCounter; 3],
    last_merge: Gauge,
}

impl Metrics {
    pub(super) fn new(telemetry: &Telemetry) -> Self {
        let bytes =
            telemetry.gauges("sidewatch_registry_bytes", "Memory that series take, as far as it is counted, by what it is for.", &["what"]);
        let shed = telemetry.counters(
            "sidewatch_registry_shed_total",
            "Series that gave something up for want of memory, by what: retired_series whole, exemplars, resolution of exponential buckets.",
            &["what"],
        );
        let metrics = Self {
            families: telemetry.int_gauge("sidewatch_registry_families", "Metric names that events have made."),
            series: telemetry.int_gauge(
                "sidewatch_registry_series",
                "Series that events have made and that are shown; a histogram's label set counts once.",
            ),
            overflow: telemetry
                .int_gauge("sidewatch_registry_overflow_series", "Series with __other__ in place of those that there was no room for."),
            retired: telemetry.int_gauge(
                "sidewatch_registry_retired_series",
                "Series that have not changed for long: kept, but not shown and not counted.",
            ),
            collapsed: telemetry.gauges(
                "sidewatch_registry_collapsed_labels",
                "1 for each label whose value is replaced by __other__ in new series of the metric, because there are too many series.",
                &["metric", "label"],
            ),
            redirected: telemetry.counter(
                "sidewatch_registry_redirected_changes_total",
                "Changes that went to a series with __other__ in place of one that there is no room for.",
            ),
            refused: telemetry.counters("sidewatch_registry_refused_total", "Changes of series that were refused, by reason.", &["reason"]),
            bytes: Bytes::default().parts().map(|(what, _)| bytes.with_label_values(&[what])),
            shed: ["retired_series", "exemplars", "resolution"].map(|what| shed.with_label_values(&[what])),
            last_merge: telemetry
                .gauge("sidewatch_registry_last_merge_timestamp_seconds", "When events last changed a series, in Unix time; 0 before."),
        };
        for reason in Refusal::ALL {
            metrics.refused.with_label_values(&[reason.as_str()]);
        }
        metrics
    }

    pub(super) fn merged(&self, at: Timestamp, events: &mut Events) {
        self.sized(events);
        self.last_merge.set(at.as_seconds());
    }

    pub(super) fn refused(&self, reason: Refusal) {
        self.refused.with_label_values(&[reason.as_str()]).inc();
    }

    pub(super) fn redirected(&self, redirected: bool) {
        if redirected {
            self.redirected.inc();
        }
    }

    pub(super) fn sized(&self, events: &mut Events) {
        if events.take_collapses_changed() {
            self.collapsed.reset();
            for (number, (metric, label)) in events.collapsed().enumerate() {
                let labels = if number < COLLAPSED_SHOWN_MAX { [metric, label] } else { ["__other__"; 2] };
                self.collapsed.with_label_values(&labels).inc();
            }
        }
        self.families.set(i64::try_from(events.len()).unwrap_or(i64::MAX));
        self.series.set(i64::try_from(events.series()).unwrap_or(i64::MAX));
        for (gauge, (_, bytes)) in self.bytes.iter().zip(events.bytes().parts()) {
            gauge.set(bytes as f64);
        }
        let shed = events.take_shed();
        for (counter, count) in self.shed.iter().zip([shed.retired, shed.exemplars, shed.resolution]) {
            counter.inc_by(count);
        }
        self.overflow.set(i64::try_from(events.overflow()).unwrap_or(i64::MAX));
        self.retired.set(i64::try_from(events.retired()).unwrap_or(i64::MAX));
    }
}
