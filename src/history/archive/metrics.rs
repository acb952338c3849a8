//! What keeping history says about itself.

use prometheus::{Gauge, IntCounter, IntCounterVec, IntGauge};

use crate::telemetry::Telemetry;

#[derive(Clone, Debug)]
pub(super) struct Metrics {
    pub(super) written: IntCounterVec,
    pub(super) errors: IntCounter,
    pub(super) damages: IntCounter,
    pub(super) disk_bytes: IntGauge,
    pub(super) restored: IntGauge,
    pub(super) restore_seconds: Gauge,
}

impl Metrics {
    pub(super) fn new(telemetry: &Telemetry) -> Self {
        let written = telemetry.counters(
            "sidewatch_history_written_bytes_total",
            "Bytes of history written into the state folder, by kind of file.",
            &["file"],
        );
        for file in ["segment", "heads"] {
            written.with_label_values(&[file]);
        }
        Self {
            written,
            errors: telemetry
                .counter("sidewatch_history_write_errors_total", "Times that history could not be written into the state folder."),
            damages: telemetry.counter("sidewatch_history_damages_total", "Files of history that were not as written, and were set aside."),
            disk_bytes: telemetry.int_gauge("sidewatch_history_disk_bytes", "Bytes of history in the state folder."),
            restored: telemetry.int_gauge("sidewatch_history_restored_samples", "Samples that were read back at the start."),
            restore_seconds: telemetry.gauge("sidewatch_history_restore_seconds", "How long reading history back took at the start."),
        }
    }
}
