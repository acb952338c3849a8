//! Final names and labels: what a sender calls a thing, and what it is called on `/metrics`.
//! Source: Prometheus documentation "Metric and label naming"; OpenMetrics 1.0 for `_total` and units.

use std::sync::Arc;

use super::statsd::{Check, Occurrence};
use super::{Config, Refusal};
use crate::model::{
    Labels, LabelsBuilder, MetricType, SeriesKey, Tags, Unit, reserved_label, reserved_name, sanitize_label, sanitize_metric,
};

/// The label that names the service of an event.
pub(super) const SERVICE: &str = "service_name";
/// The label that names the systemd unit of a sender.
const UNIT: &str = "unit";

/// What a service check has found, as a gauge. The name is the agent's own, so no sender can write it in any other way.
const CHECK_STATUS: &str = "sidewatch_service_check_status";
/// The label that names the check.
const CHECK: &str = "check";
/// How many events of DogStatsD's there were. Its labels are those that have few values by their nature: a title, a text, an
/// aggregation key, a host or a tag would make a series of nearly every event.
const OCCURRENCES: &str = "app_events_total";

/// The rules by which names are made, from the configuration.
#[derive(Clone, Debug)]
pub(super) struct Naming {
    service: String,
    unit: Option<Arc<str>>,
    event_tags: Vec<String>,
    labels_max: usize,
    label_value_bytes_max: usize,
    name_bytes_max: usize,
}

impl Naming {
    /// For the events of a sender in this systemd unit, if it is known.
    pub(super) fn new(config: &Config, unit: Option<&str>) -> Self {
        Self {
            service: config.service.clone(),
            unit: unit.filter(|_| config.unit_label).map(Arc::from),
            event_tags: config.event_tags.clone(),
            labels_max: config.labels_max,
            label_value_bytes_max: config.label_value_bytes_max,
            name_bytes_max: config.name_bytes_max,
        }
    }

    /// The series of an untyped event, and the factor that takes its value to the series' unit.
    ///
    /// # Errors
    /// When a name is reserved, or a limit is passed.
    pub(super) fn series(
        &self,
        kind: MetricType,
        name: &str,
        unit: Option<&str>,
        service: Option<&str>,
        tags: &Tags<'_>,
    ) -> Result<(SeriesKey, f64), Refusal> {
        let (name, factor) = self.name(kind, name, unit)?;
        let labels = self.labels(kind, service, tags.iter().map(|(name, value)| (&**name, &**value)), tags.len())?;
        Ok((SeriesKey { name: name.into(), kind, labels }, factor))
    }

    /// The gauge of a service check. The check's own name comes before a tag of that name.
    ///
    /// # Errors
    /// When a label is reserved, or a limit is passed.
    pub(super) fn check(&self, check: &Check<'_>) -> Result<SeriesKey, Refusal> {
        let tags = check.tags.iter().map(|(key, value)| (&**key, &**value)).chain([(CHECK, check.name)]);
        let labels = self.labels(MetricType::Gauge, check.service, tags, check.tags.len() + 1)?;
        Ok(SeriesKey { name: CHECK_STATUS.into(), kind: MetricType::Gauge, labels })
    }

    /// The counter of DogStatsD's events of a kind.
    ///
    /// # Errors
    /// When a limit is passed.
    pub(super) fn occurrence(&self, occurrence: &Occurrence<'_>) -> Result<SeriesKey, Refusal> {
        let own = [("alert_type", occurrence.alert), ("priority", occurrence.priority)];
        let labels = self.labels(MetricType::Counter, occurrence.service, own.into_iter(), own.len())?;
        Ok(SeriesKey { name: OCCURRENCES.into(), kind: MetricType::Counter, labels })
    }

    /// The keys of the tags that become labels on typed events.
    pub(super) fn event_tags(&self) -> &[String] {
        &self.event_tags
    }

    /// The most bytes of a label's value.
    pub(super) const fn label_value_bytes_max(&self) -> usize {
        self.label_value_bytes_max
    }

    /// `api.latency` counted in `ms` is `api_latency_seconds` and 0.001; a counter's name ends in `_total`.
    fn name(&self, kind: MetricType, raw: &str, unit: Option<&str>) -> Result<(String, f64), Refusal> {
        if raw.is_empty() {
            return Err(Refusal::EmptyName);
        }
        if raw.len() > self.name_bytes_max {
            return Err(Refusal::NameTooLong);
        }
        let clean = sanitize_metric(raw);
        let counter = kind == MetricType::Counter;
        let stem = clean.strip_suffix("_total").filter(|stem| counter && !stem.is_empty()).unwrap_or(&clean);
        let (mut name, factor) = match unit.and_then(Unit::parse) {
            Some((unit, factor)) => (with_unit(stem, unit, factor), factor),
            None => (stem.to_owned(), 1.0),
        };
        if counter {
            name.push_str("_total");
        }
        if reserved_name(&name) { Err(Refusal::Reserved) } else { Ok((name, factor)) }
    }

    /// Labels from tags in the order they came; of a repeated one the last counts. The event's own service comes before
    /// a tag of that name, the configured default after it.
    pub(super) fn labels<'t>(
        &self,
        kind: MetricType,
        service: Option<&str>,
        tags: impl Iterator<Item = (&'t str, &'t str)>,
        count: usize,
    ) -> Result<Labels, Refusal> {
        if count > self.labels_max {
            return Err(Refusal::TooManyLabels);
        }
        let mut builder = LabelsBuilder::default();
        for (key, value) in tags.filter(|(key, value)| !key.is_empty() && !value.is_empty()) {
            if value.len() > self.label_value_bytes_max || key.len() > self.name_bytes_max {
                return Err(Refusal::LabelTooLong);
            }
            let label = sanitize_label(key);
            if reserved_label(&label) || (label == "le" && kind == MetricType::Histogram) {
                return Err(Refusal::Reserved);
            }
            builder.set(&label, value);
        }
        let service = match service {
            Some(service) if !service.is_empty() => service,
            _ if builder.get(SERVICE).is_none() => &self.service,
            _ => "",
        };
        if service.len() > self.label_value_bytes_max {
            return Err(Refusal::LabelTooLong);
        }
        if !service.is_empty() {
            builder.set(SERVICE, service);
        }
        // The agent's word for it comes last: no sender can be another unit.
        if let Some(unit) = &self.unit {
            builder.set(UNIT, unit);
        }
        let labels = builder.build();
        if labels.len() > self.labels_max { Err(Refusal::TooManyLabels) } else { Ok(labels) }
    }
}

/// Adds one text to the bytes that identify something; no text has the byte behind it.
pub(super) fn put(identity: &mut Vec<u8>, text: &str) {
    identity.extend_from_slice(text.as_bytes());
    identity.push(0xff);
}

/// Puts the unit at the end. A name that ends in the sender's own word for it (`latency_ms`) gives that word up, since
/// the value is no longer counted in it.
fn with_unit(stem: &str, unit: Unit, factor: f64) -> String {
    if stem.strip_suffix(unit.as_str()).is_some_and(|front| front.is_empty() || front.ends_with('_')) {
        return stem.to_owned();
    }
    let named = |word: &str| word.starts_with(|c: char| c.is_ascii_alphabetic()) && Unit::parse(word) == Some((unit, factor));
    let front = stem.rsplit_once('_').filter(|(front, word)| !front.is_empty() && named(word)).map_or(stem, |(front, _)| front);
    format!("{front}_{}", unit.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn naming() -> Naming {
        let config = Config { service: "else".into(), labels_max: 3, label_value_bytes_max: 5, name_bytes_max: 30, ..Config::default() };
        Naming::new(&config, Some("shop.service"))
    }

    fn name(kind: MetricType, raw: &str, unit: Option<&str>) -> Result<(String, f64), Refusal> {
        naming().name(kind, raw, unit)
    }

    #[test]
    fn names_are_made_legal_and_carry_their_unit() {
        use MetricType::{Counter, Gauge, Histogram};
        for (kind, raw, unit, expected, factor) in [
            (Counter, "page.views", None, "page_views_total", 1.0),
            (Counter, "views_total", None, "views_total", 1.0),
            (Counter, "_total", None, "_total_total", 1.0),
            (Counter, "cpu_ms_total", Some("ms"), "cpu_seconds_total", 1e-3),
            (Gauge, "views_total", None, "views_total", 1.0),
            (Gauge, "2xx", None, "_2xx", 1.0),
            (Histogram, "api.latency", Some("ms"), "api_latency_seconds", 1e-3),
            (Histogram, "api.latency_ms", Some("ms"), "api_latency_seconds", 1e-3),
            (Histogram, "latency_seconds", Some("ms"), "latency_seconds", 1e-3),
            (Histogram, "latency_ns", Some("ms"), "latency_ns_seconds", 1e-3),
            (Histogram, "ms", Some("ms"), "ms_seconds", 1e-3),
            (Histogram, "seconds", Some("s"), "seconds", 1.0),
            (Gauge, "disk_1", Some("1"), "disk_1_ratio", 1.0),
            (Gauge, "cache", Some("KiB"), "cache_bytes", 1024.0),
            (Gauge, "depth", Some("furlong"), "depth", 1.0),
        ] {
            assert_eq!(name(kind, raw, unit), Ok((expected.to_owned(), factor)), "{raw}");
        }
    }

    #[test]
    fn names_that_are_not_the_senders_are_refused() {
        for raw in ["node_load1", "node.load1", "sidewatch_x", "process_x", "ALERTS", "up"] {
            assert_eq!(name(MetricType::Gauge, raw, None), Err(Refusal::Reserved), "{raw}");
        }
        assert_eq!(name(MetricType::Gauge, "", None), Err(Refusal::EmptyName));
        assert_eq!(name(MetricType::Gauge, &"a".repeat(31), None), Err(Refusal::NameTooLong));
    }

    fn labels(service: Option<&str>, tags: &[(&'static str, &'static str)]) -> Result<String, Refusal> {
        let labels = naming().labels(MetricType::Histogram, service, tags.iter().copied(), tags.len())?;
        Ok(labels.to_string())
    }

    #[test]
    fn the_service_is_the_events_then_the_tags_then_the_default() {
        assert_eq!(labels(Some("a"), &[("service_name", "b")]), Ok(r#"{service_name="a"}"#.into()));
        assert_eq!(labels(None, &[("service_name", "b")]), Ok(r#"{service_name="b"}"#.into()));
        assert_eq!(labels(None, &[("k.x", "1"), ("k_x", "2"), ("e", "")]), Ok(r#"{k_x="2", service_name="else"}"#.into()));
    }

    #[test]
    fn the_unit_is_a_label_by_option_and_no_tag_can_stand_for_it() {
        let labels = |unit_label, unit| {
            let naming = Naming::new(&Config { unit_label, ..Config::default() }, unit);
            naming.labels(MetricType::Counter, None, [("unit", "bank")].into_iter(), 1).expect("legal").to_string()
        };
        assert_eq!(labels(true, Some("shop.service")), r#"{unit="shop.service"}"#);
        assert_eq!(labels(true, None), r#"{unit="bank"}"#);
        assert_eq!(labels(false, Some("shop.service")), r#"{unit="bank"}"#);
    }

    #[test]
    fn labels_keep_their_limits() {
        for key in ["job", "instance", "__name__", "..x", "le"] {
            assert_eq!(labels(None, &[(key, "v")]), Err(Refusal::Reserved), "{key}");
        }
        assert_eq!(labels(None, &[("k", "123456")]), Err(Refusal::LabelTooLong));
        assert_eq!(labels(Some("123456"), &[]), Err(Refusal::LabelTooLong));
        assert_eq!(labels(Some("a"), &[("a", "1"), ("b", "1"), ("c", "1")]), Err(Refusal::TooManyLabels));
        assert_eq!(labels(Some("a"), &[("a", "1"), ("b", "1"), ("b", "1"), ("b", "1")]), Err(Refusal::TooManyLabels));
    }
}
