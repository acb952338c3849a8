//! The HELP text of metrics that events make.

use std::sync::Arc;

use crate::model::MetricType;

/// What the metrics of typed events mean.
const KNOWN: [(&str, &str); 9] = [
    ("http_server_request_duration_seconds", "Time from receiving a request to having answered it."),
    ("http_server_active_requests", "Requests that have begun and not ended yet, summed over live senders."),
    ("http_server_request_body_size_bytes", "Size of request bodies as received."),
    ("http_server_response_body_size_bytes", "Size of response bodies as sent."),
    ("app_events_total", "Events that applications have reported in DogStatsD's form, by alert type and priority."),
    ("app_request_queue_seconds", "Time that a request waited before a worker took it."),
    ("app_response_compressed_bytes_total", "Bytes of encoded response bodies as sent."),
    ("app_response_uncompressed_bytes_total", "Bytes of encoded response bodies before their encoding."),
    ("sidewatch_service_check_status", "What a service check last reported: 0 ok, 1 warning, 2 critical, 3 unknown."),
];

/// The metrics of typed events, with what they mean: what the documentation's table is made of.
pub fn described() -> impl Iterator<Item = (&'static str, &'static str)> {
    KNOWN.into_iter()
}

/// One sentence about a metric.
pub(super) fn of(name: &str, kind: MetricType) -> Arc<str> {
    let known = KNOWN.iter().find(|(known, _)| *known == name).map(|(_, help)| Arc::from(*help));
    known.unwrap_or_else(|| {
        let kind = match kind {
            MetricType::Counter => "Counter",
            MetricType::Gauge => "Gauge",
            MetricType::Histogram => "Histogram",
            MetricType::Unknown => "Metric",
        };
        Arc::from(format!("{kind} {name} reported by applications."))
    })
}
