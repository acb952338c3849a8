//! The HELP text of metrics that events make.

use std::collections::HashMap;
use std::sync::Arc;

use crate::model::MetricType;

/// What is known about metrics before there is one.
pub(super) type Helps = HashMap<&'static str, &'static str>;

/// What the metrics mean that DogStatsD's events and service checks make.
const KNOWN: [(&str, &str); 2] = [
    ("app_events_total", "Events that applications have reported in DogStatsD's form, by alert type and priority."),
    ("sidewatch_service_check_status", "What a service check last reported: 0 ok, 1 warning, 2 critical, 3 unknown."),
];

/// These metrics, with what they mean.
pub fn described() -> impl Iterator<Item = (&'static str, &'static str)> {
    KNOWN.into_iter()
}

/// One sentence about a metric.
pub(super) fn of(helps: &Helps, name: &str, kind: MetricType) -> Arc<str> {
    let known = || KNOWN.iter().find(|(known, _)| *known == name).map(|(_, help)| *help);
    if let Some(help) = helps.get(name).copied().or_else(known) {
        return Arc::from(help);
    }
    let kind = match kind {
        MetricType::Counter => "Counter",
        MetricType::Gauge => "Gauge",
        MetricType::Histogram => "Histogram",
        MetricType::Summary => "Summary",
        MetricType::Unknown => "Metric",
    };
    Arc::from(format!("{kind} {name} reported by applications."))
}
