//! What the journal says about itself.

use prometheus::{Gauge, IntCounter, IntCounterVec, IntGauge};

use crate::telemetry::Telemetry;

#[derive(Clone, Debug)]
pub(super) struct Metrics {
    pub(super) working: IntGauge,
    pub(super) bytes: IntGauge,
    pub(super) written: IntCounterVec,
    pub(super) writes: IntCounter,
    pub(super) errors: IntCounterVec,
    pub(super) given_up: IntCounterVec,
    pub(super) snapshots: IntCounterVec,
    pub(super) snapshot_bytes: IntGauge,
    pub(super) snapshot_seconds: Gauge,
    pub(super) snapshot_time: Gauge,
    pub(super) restored_series: IntGauge,
    pub(super) restored_bytes: IntGauge,
    pub(super) restore_seconds: Gauge,
    pub(super) restored_age: Gauge,
    pub(super) torn_bytes: IntGauge,
    pub(super) damages: IntCounter,
    pub(super) aside: IntCounterVec,
}

impl Metrics {
    pub(super) fn new(telemetry: &Telemetry) -> Self {
        let counters = |name: &str, help: &str, label: &str, values: &[&str]| {
            let counters = telemetry.counters(name, help, &[label]);
            for value in values {
                counters.with_label_values(&[*value]);
            }
            counters
        };
        Self {
            working: telemetry.int_gauge(
                "sidewatch_journal_working",
                "1 while everything that is shown of events is on disk before it is shown; 0 when it is in memory alone.",
            ),
            bytes: telemetry.int_gauge("sidewatch_journal_bytes", "Bytes of the journal since all series were saved last."),
            written: counters(
                "sidewatch_journal_written_bytes_total",
                "Bytes written into the state folder, by kind of file.",
                "file",
                &["journal", "snapshot"],
            ),
            writes: telemetry.counter("sidewatch_journal_writes_total", "Writes to the journal, each for everything that waited."),
            errors: counters(
                "sidewatch_journal_errors_total",
                "Failed operations on files in the state folder, by operation.",
                "operation",
                &["write", "snapshot", "clean"],
            ),
            given_up: counters(
                "sidewatch_journal_given_up_total",
                "How often changes were no longer written down until all series could be saved again, by reason.",
                "reason",
                &["error", "buffer"],
            ),
            snapshots: counters(
                "sidewatch_journal_snapshots_total",
                "How often all series were to be saved, by outcome.",
                "outcome",
                &["success", "failure"],
            ),
            snapshot_bytes: telemetry.int_gauge("sidewatch_journal_snapshot_bytes", "Size of the last snapshot."),
            snapshot_seconds: telemetry.gauge("sidewatch_journal_snapshot_duration_seconds", "How long the last snapshot took."),
            snapshot_time: telemetry
                .gauge("sidewatch_journal_last_snapshot_timestamp_seconds", "When all series were saved last, in Unix time; 0 before."),
            restored_series: telemetry.int_gauge("sidewatch_journal_restored_series", "Series that were restored at the start."),
            restored_bytes: telemetry.int_gauge("sidewatch_journal_restored_bytes", "Bytes that were read for that."),
            restore_seconds: telemetry.gauge("sidewatch_journal_restore_duration_seconds", "How long that took."),
            restored_age: telemetry.gauge(
                "sidewatch_journal_restored_age_seconds",
                "How long before the start the last change had happened that was restored.",
            ),
            torn_bytes: telemetry.int_gauge(
                "sidewatch_journal_torn_bytes",
                "Bytes at the end of the journal that were no whole record at the start, and were never shown.",
            ),
            damages: telemetry.counter("sidewatch_journal_damages_total", "Files that were found damaged at the start."),
            aside: counters(
                "sidewatch_journal_set_aside_total",
                "Files that were renamed at the start because they are of no use, by reason.",
                "reason",
                &["damaged", "incomplete", "newer"],
            ),
        }
    }
}
