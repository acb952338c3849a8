//! What history says about itself.

use prometheus::{Gauge, IntCounter, IntCounterVec, IntGauge};

use super::contract::Appended;
use super::store::{Dropped, Store};
use crate::telemetry::Telemetry;

#[derive(Debug)]
pub(super) struct Metrics {
    appended: IntCounter,
    refused: IntCounterVec,
    dropped: IntCounterVec,
    sealed: IntCounter,
    series: IntGauge,
    samples: IntGauge,
    bytes: IntGauge,
    bytes_per_sample: Gauge,
    needed: Gauge,
    short: Gauge,
}

impl Metrics {
    pub(super) fn new(telemetry: &Telemetry) -> Self {
        let metrics = Self {
            appended: telemetry.counter("sidewatch_history_samples_appended_total", "Samples that history has taken in."),
            refused: telemetry.counters(
                "sidewatch_history_samples_refused_total",
                "Samples that history has refused, by reason.",
                &["reason"],
            ),
            dropped: telemetry.counters(
                "sidewatch_history_samples_dropped_total",
                "Samples that history has let go, by reason: their age, a later one in the same minute (`thinned`), or the byte budget.",
                &["reason"],
            ),
            sealed: telemetry.counter("sidewatch_history_chunks_sealed_total", "Chunks that history has compressed."),
            samples: telemetry.int_gauge("sidewatch_history_samples", "Samples in history."),
            bytes_per_sample: telemetry.gauge(
                "sidewatch_history_bytes_per_sample",
                "Bytes of the budget that history uses for a sample on average, with times, labels and index.",
            ),
            needed: telemetry.gauge("sidewatch_history_needed_seconds", "How far back the rules look."),
            short: telemetry.gauge(
                "sidewatch_history_short_seconds",
                "How much of the time that the rules look back on is not kept, because of the byte budget or the retention.",
            ),
            series: telemetry.int_gauge("sidewatch_history_series", "Series in history."),
            bytes: telemetry.int_gauge("sidewatch_history_bytes", "Bytes of the budget that history uses."),
        };
        metrics.count(&Appended::default(), Dropped::default());
        metrics
    }

    /// Counts; a zero makes its reason appear.
    pub(super) fn count(&self, appended: &Appended, dropped: Dropped) {
        self.appended.inc_by(appended.stored);
        for (reason, count) in
            [("out_of_order", appended.out_of_order), ("duplicate", appended.duplicate), ("over_limit", appended.over_limit)]
        {
            self.refused.with_label_values(&[reason]).inc_by(count);
        }
        for (reason, count) in [("retention", dropped.retention), ("thinned", dropped.thinned), ("budget", dropped.budget)] {
            self.dropped.with_label_values(&[reason]).inc_by(count);
        }
    }

    pub(super) fn count_sealed(&self, chunks: usize) {
        self.sealed.inc_by(chunks as u64);
    }

    pub(super) fn measure(&self, store: &Store) {
        self.series.set(i64::try_from(store.series_count()).unwrap_or(i64::MAX));
        self.samples.set(i64::try_from(store.samples()).unwrap_or(i64::MAX));
        self.bytes.set(i64::try_from(store.bytes()).unwrap_or(i64::MAX));
        self.needed.set(store.needed_millis() as f64 / 1e3);
        let short = store.shortage().map_or(0, |shortage| shortage.need.millis - shortage.held_millis);
        self.short.set(short as f64 / 1e3);
        self.bytes_per_sample.set(store.bytes() as f64 / store.samples().max(1) as f64);
    }
}
