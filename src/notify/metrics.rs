//! The metrics of notifications: of Alertmanagers under Prometheus's names, so that its rules about itself work here too,
//! and of all targets under names of the agent's own.

use prometheus::{GaugeVec, Histogram, IntCounter, IntCounterVec, IntGauge};

use super::silence::SilenceState;
use super::target::Target;
use crate::telemetry::Telemetry;

/// Why something is never told.
const REASONS: [&str; 2] = ["refused", "queue_full"];

#[derive(Debug)]
pub(super) struct Metrics {
    sent: IntCounterVec,
    errors: IntCounterVec,
    dropped: IntCounterVec,
    queue: GaugeVec,
    seconds: Histogram,
    prometheus_sent: IntCounterVec,
    prometheus_errors: IntCounterVec,
    prometheus_dropped: IntCounterVec,
    prometheus_queue: GaugeVec,
    prometheus_capacity: GaugeVec,
    alertmanagers: IntGauge,
    silences: GaugeVec,
    silenced: IntGauge,
    pub(super) store_failures: IntCounter,
    pub(super) damaged: IntCounter,
}

impl Metrics {
    pub(super) fn new(telemetry: &Telemetry) -> Self {
        const TARGET: &[&str] = &["target"];
        const ALERTMANAGER: &[&str] = &["alertmanager"];
        Self {
            sent: telemetry.counters("sidewatch_notify_sent_total", "Alerts that a target has taken, each time that it was told.", TARGET),
            errors: telemetry.counters("sidewatch_notify_errors_total", "Messages to a target that failed or were refused.", TARGET),
            dropped: telemetry.counters(
                "sidewatch_notify_dropped_total",
                "Notifications that a target will never get, because it refused them or its queue was full.",
                &["target", "reason"],
            ),
            queue: telemetry.gauges("sidewatch_notify_queue_length", "Notifications that wait for a target.", TARGET),
            seconds: telemetry.histogram(
                "sidewatch_notify_duration_seconds",
                "How long targets took to be told.",
                &[0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0],
            ),
            prometheus_sent: telemetry.counters(
                "prometheus_notifications_sent_total",
                "Alerts sent to an Alertmanager, whatever became of them.",
                ALERTMANAGER,
            ),
            prometheus_errors: telemetry.counters(
                "prometheus_notifications_errors_total",
                "Alerts sent to an Alertmanager that did not get through or were refused.",
                ALERTMANAGER,
            ),
            prometheus_dropped: telemetry.counters(
                "prometheus_notifications_dropped_total",
                "Alerts that an Alertmanager will never get, because it refused them or its queue was full.",
                ALERTMANAGER,
            ),
            prometheus_queue: telemetry.gauges(
                "prometheus_notifications_queue_length",
                "Alerts that wait for an Alertmanager.",
                ALERTMANAGER,
            ),
            prometheus_capacity: telemetry.gauges(
                "prometheus_notifications_queue_capacity",
                "The most alerts that may wait for an Alertmanager.",
                ALERTMANAGER,
            ),
            alertmanagers: telemetry.int_gauge("prometheus_notifications_alertmanagers_discovered", "Alertmanagers in the configuration."),
            silences: telemetry.gauges("sidewatch_notify_silences", "Silences, by state: active, pending, expired.", &["state"]),
            silenced: telemetry.int_gauge("sidewatch_notify_silenced_alerts", "Alerts that fire and are silenced now."),
            store_failures: telemetry
                .counter("sidewatch_notify_store_failures_total", "Attempts to write the notifications' state to disk that failed."),
            damaged: telemetry
                .counter("sidewatch_notify_store_damaged_total", "Records of the notifications' state on disk that could not be read."),
        }
    }

    /// A target is there; all of its series show.
    #[allow(clippy::cast_precision_loss)]
    pub(super) fn started(&self, target: &Target, queue_max: usize) {
        let key = [target.spec.name.as_str()];
        self.sent.with_label_values(&key);
        self.errors.with_label_values(&key);
        for reason in REASONS {
            self.dropped.with_label_values(&[key[0], reason]);
        }
        if target.is_alertmanager() {
            self.prometheus_sent.with_label_values(&key);
            self.prometheus_errors.with_label_values(&key);
            self.prometheus_dropped.with_label_values(&key);
            self.prometheus_capacity.with_label_values(&key).set(queue_max as f64);
        }
    }

    /// A target is gone.
    pub(super) fn ended(&self, name: &str) {
        for counter in [&self.sent, &self.errors, &self.prometheus_sent, &self.prometheus_errors, &self.prometheus_dropped] {
            let _absent = counter.remove_label_values(&[name]);
        }
        for reason in REASONS {
            let _absent = self.dropped.remove_label_values(&[name, reason]);
        }
        for gauge in [&self.queue, &self.prometheus_queue, &self.prometheus_capacity] {
            let _absent = gauge.remove_label_values(&[name]);
        }
    }

    pub(super) fn discovered(&self, alertmanagers: usize) {
        self.alertmanagers.set(i64::try_from(alertmanagers).unwrap_or(i64::MAX));
    }

    /// So many silences are in each state, and so many alerts are silenced.
    #[allow(clippy::cast_precision_loss)]
    pub(super) fn silences(&self, silences: [(SilenceState, usize); 3], alerts: usize) {
        for (state, count) in silences {
            self.silences.with_label_values(&[state.as_str()]).set(count as f64);
        }
        self.silenced.set(i64::try_from(alerts).unwrap_or(i64::MAX));
    }

    /// A message with so many alerts was answered, or not.
    pub(super) fn tried(&self, target: &Target, alerts: usize, seconds: f64, taken: bool) {
        let key = [target.spec.name.as_str()];
        self.seconds.observe(seconds);
        if taken {
            self.sent.with_label_values(&key).inc_by(alerts as u64);
        } else {
            self.errors.with_label_values(&key).inc();
        }
        if target.is_alertmanager() {
            self.prometheus_sent.with_label_values(&key).inc_by(alerts as u64);
            self.prometheus_errors.with_label_values(&key).inc_by(if taken { 0 } else { alerts as u64 });
        }
    }

    /// So many notifications will never be told.
    pub(super) fn dropped(&self, target: &Target, reason: &str, notifications: usize) {
        let name = target.spec.name.as_str();
        self.dropped.with_label_values(&[name, reason]).inc_by(notifications as u64);
        if target.is_alertmanager() {
            self.prometheus_dropped.with_label_values(&[name]).inc_by(notifications as u64);
        }
    }

    /// So many wait.
    #[allow(clippy::cast_precision_loss)]
    pub(super) fn waiting(&self, target: &Target, notifications: usize) {
        let key = [target.spec.name.as_str()];
        self.queue.with_label_values(&key).set(notifications as f64);
        if target.is_alertmanager() {
            self.prometheus_queue.with_label_values(&key).set(notifications as f64);
        }
    }
}
