//! The metrics of this room.

use prometheus::{Histogram, IntCounterVec, IntGauge};

use crate::telemetry::Telemetry;

/// Why a connection or a request was refused.
pub(super) const REASONS: [&str; 12] = [
    "accept",
    "body_too_large",
    "disconnected",
    "header_timeout",
    "header_too_large",
    "host",
    "io",
    "malformed",
    "origin",
    "peer",
    "slow",
    "timeout",
];

/// The metrics of this room.
#[derive(Clone, Debug)]
pub(super) struct Metrics {
    requests: IntCounterVec,
    duration: Histogram,
    pub(super) connections: IntGauge,
    refused: IntCounterVec,
}

impl Metrics {
    pub(super) fn new(telemetry: &Telemetry) -> Self {
        let metrics = Self {
            requests: telemetry.counters(
                "sidewatch_http_requests_total",
                "Requests answered, by endpoint (none: no such endpoint) and status code.",
                &["handler", "code"],
            ),
            duration: telemetry.histogram(
                "sidewatch_http_request_duration_seconds",
                "How long answers took to make.",
                &[0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10.0],
            ),
            connections: telemetry.int_gauge("sidewatch_http_connections", "Open connections."),
            refused: telemetry.counters(
                "sidewatch_http_refused_total",
                "Connections and requests that were refused or broken off, by reason.",
                &["reason"],
            ),
        };
        for reason in REASONS {
            metrics.refused.with_label_values(&[reason]);
        }
        metrics
    }

    pub(super) fn answered(&self, handler: &str, code: &str, seconds: f64) {
        self.requests.with_label_values(&[handler, code]).inc();
        self.duration.observe(seconds);
    }

    pub(super) fn refuse(&self, reason: &'static str) {
        debug_assert!(REASONS.contains(&reason), "{reason} is not initialised");
        self.refused.with_label_values(&[reason]).inc();
    }
}
