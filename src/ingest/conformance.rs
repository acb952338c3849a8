//! What each type of the StatsD language becomes, found out by asking the code: the documentation's table.

use std::sync::Arc;

use super::Config;
use super::Refusal;
use super::dialect::{Dialect, Language};
use super::intake::{Shared, Witness};
use super::peer::Peer;
use super::statsd::{Check, Occurrence};
use crate::model::{Family, Timestamp, Value};
use crate::registry::{self, Registry};
use crate::telemetry::Telemetry;

/// A type of the language, with a line of it and what came of that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conformance {
    /// The type as it stands in a line.
    pub kind: &'static str,
    /// The unit that the language gives its values.
    pub unit: &'static str,
    /// The dialect in which it is so; empty for both.
    pub dialect: &'static str,
    /// Prometheus's type.
    pub becomes: &'static str,
    /// What the name gets at its end.
    pub suffix: String,
    /// The unit that the name ends in.
    pub name_unit: &'static str,
    /// Lines that were sent.
    pub lines: &'static str,
    /// What `/metrics` shows then, in short.
    pub shows: String,
}

/// Type, unit, dialect, and lines; the names in them are such that no character of them changes.
const EXAMPLES: [(&str, &str, &str, &str); 11] = [
    ("c", "", "", "hits:3|c|@0.5"),
    ("c", "by name", "", "sent_bytes:512|c"),
    ("g", "", "dogstatsd", "depth:8|g ⏎ depth:-2|g"),
    ("g", "", "statsd", "depth:8|g ⏎ depth:-2|g"),
    ("g", "by name", "", "heap_bytes:512|g"),
    ("ms", "milliseconds", "", "latency:320|ms|@0.1"),
    ("h, d", "", "", "rows:7|h|@0.5 ⏎ rows:9|d"),
    ("h, d", "by name", "", "body_bytes:512|h"),
    ("s", "", "", "users:ann|s ⏎ users:bob|s ⏎ users:ann|s"),
    ("_e", "", "", "_e{6,4}:Deploy|done|t:success"),
    ("_sc", "", "", "_sc|db.up|2|#zone:a"),
];

/// One row for each type and unit, in the order of the language.
#[must_use]
pub fn conformance() -> Vec<Conformance> {
    EXAMPLES.into_iter().filter_map(|(kind, unit, dialect, lines)| row(kind, unit, dialect, lines)).collect()
}

fn row(kind: &'static str, unit: &'static str, dialect: &'static str, lines: &'static str) -> Option<Conformance> {
    let spoken = if dialect == "statsd" { Dialect::Statsd } else { Dialect::Dogstatsd };
    let family = received(lines, Language { dialect: spoken, ..Language::default() })?;
    let series = family.series.first()?;
    let sent = lines.split(':').next().unwrap_or("");
    Some(Conformance {
        kind,
        unit,
        dialect,
        becomes: family.kind.as_str(),
        suffix: family.name.strip_prefix(sent).unwrap_or("").to_owned(),
        name_unit: family.unit.map_or("", |unit| unit.as_str()),
        lines,
        shows: match &series.value {
            Value::Number(number) => format!("{}{} {number}", family.name, labels(&series.labels.to_string())),
            Value::Histogram(histogram) => {
                format!("{name}_count {} ⏎ {name}_sum {}", histogram.count(), histogram.sum, name = family.name)
            }
            Value::Summary(_) => String::new(),
        },
    })
}

/// As they stand on a scrape: none are not written.
fn labels(text: &str) -> &str {
    if text == "{}" { "" } else { text }
}

/// What one sender's lines have made, sets included.
fn received(lines: &str, language: Language) -> Option<Family> {
    let telemetry = Telemetry::new();
    let registry = Registry::new(&registry::Config::default(), &telemetry);
    let shared = Shared::new(&Config::default(), Arc::clone(&registry), &telemetry);
    let mut intake = shared.intake_of(&Peer::unknown(), language);
    let at = Timestamp::from_millis(0);
    intake.take(lines.replace(" ⏎ ", "\n").as_bytes(), at, &Nobody);
    intake.flush(at, &Nobody);
    registry.turn_sets();
    registry.families().into_iter().rfind(|family| !family.name.starts_with("sidewatch_ingest_"))
}

/// Hears nothing.
struct Nobody;

impl Witness for Nobody {
    fn refused(&self, _: Refusal, _: &[u8]) {}
    fn occurred(&self, _: &Occurrence<'_>) {}
    fn checked(&self, _: &Check<'_>) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_example_is_taken() {
        let rows = conformance();
        assert_eq!(rows.len(), EXAMPLES.len());
        let shown: Vec<_> = rows.iter().map(|row| row.shows.as_str()).collect();
        assert_eq!(
            shown,
            [
                "hits_total 6",
                "sent_bytes_total 512",
                "depth -2",
                "depth 6",
                "heap_bytes 512",
                "latency_seconds_count 10 ⏎ latency_seconds_sum 3.2",
                "rows_count 3 ⏎ rows_sum 23",
                "body_bytes_count 1 ⏎ body_bytes_sum 512",
                "users 2",
                r#"app_events_total{alert_type="success", priority="normal"} 1"#,
                r#"sidewatch_service_check_status{check="db.up", zone="a"} 2"#,
            ]
        );
    }
}
