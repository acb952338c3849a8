//! More series than there is room for.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::registry::events::News;

pub(super) fn pending_of(name: &str, kind: MetricType, labels: &[(&str, &str)], change: Change) -> Pending {
    let key = SeriesKey { name: Arc::from(name), kind, labels: Labels::from_pairs(labels.iter().copied()) };
    Pending { events: 1, ..Pending::new(key, change) }
}

fn rise(registry: &Registry, name: &str, labels: &[(&str, &str)]) -> Result<(), Refusal> {
    registry.merge(1, Timestamp::from_millis(0)).apply(&mut pending_of(name, MetricType::Counter, labels, Change::Count(1.0)))
}

/// The series of a metric with their numbers.
pub(super) fn numbers(registry: &Registry, name: &str) -> BTreeMap<String, f64> {
    let families = registry.families();
    let series = families.iter().filter(|family| *family.name == *name).flat_map(|family| &family.series);
    let number = |series: &Series| if let Value::Number(number) = series.value { number } else { f64::NAN };
    series.map(|series| (series.labels.to_string(), number(series))).collect()
}

pub(super) fn told(registry: &Registry) -> Vec<(String, String, usize)> {
    let told = registry.take_news().into_iter().filter_map(|news| match news {
        News::Collapsed { metric, label, values } => Some((metric.to_string(), label.to_string(), values)),
        News::Lifted { metric } => Some((metric.to_string(), String::new(), 0)),
        News::Short { .. } | News::Relieved => None,
    });
    told.collect()
}

pub(super) fn metric(telemetry: &Telemetry, name: &str) -> Vec<(String, f64)> {
    let family = telemetry.families().into_iter().find(|family| *family.name == *name);
    let series = family.map(|family| family.series).unwrap_or_default().into_iter();
    series.map(|series| (series.labels.to_string(), if let Value::Number(number) = series.value { number } else { f64::NAN })).collect()
}

#[test]
fn the_label_with_most_values_is_replaced_and_the_others_stay() {
    let telemetry = Telemetry::new();
    let registry = Registry::new(&Config { series_per_metric_max: 20, ..Config::default() }, &telemetry);
    for user in 0..50 {
        let (user, code) = (user.to_string(), if user % 2 == 0 { "200" } else { "500" });
        assert_eq!(rise(&registry, "m_total", &[("user", &user), ("code", code), ("service_name", "shop")]), Ok(()));
    }
    let all = numbers(&registry, "m_total");
    assert_eq!(all.len(), 22);
    for code in ["200", "500"] {
        assert_eq!(all[&format!(r#"{{code="{code}", service_name="shop", user="__other__"}}"#)], 15.0);
    }
    assert_eq!(told(&registry), [("m_total".to_owned(), "user".to_owned(), 21)], "it is told once");
    assert_eq!(metric(&telemetry, "sidewatch_registry_collapsed_labels"), [(r#"{label="user", metric="m_total"}"#.to_owned(), 1.0)]);
    assert_eq!(metric(&telemetry, "sidewatch_registry_redirected_changes_total"), [("{}".to_owned(), 30.0)]);
    assert_eq!(rise(&registry, "m_total", &[("user", "3"), ("code", "500"), ("service_name", "shop")]), Ok(()));
    let known = &numbers(&registry, "m_total")[r#"{code="500", service_name="shop", user="3"}"#];
    assert_eq!(*known, 2.0, "what exists stays as it is");
}

#[test]
fn where_one_label_is_not_enough_the_next_one_follows_and_the_service_comes_last() {
    let registry = registry(&Config { series_per_metric_max: 20, ..Config::default() });
    for number in 0..100 {
        let [user, path, service] = [number, number / 2, number].map(|number| number.to_string());
        assert_eq!(rise(&registry, "m_total", &[("user", &user), ("path", &path), ("service_name", &service)]), Ok(()));
    }
    let labels: Vec<_> = told(&registry).into_iter().map(|(_, label, _)| label).collect();
    assert_eq!(labels, ["user", "path", "service_name"]);
    let all = numbers(&registry, "m_total");
    assert_eq!(all.len(), 20 + 2 + 1);
    assert_eq!(all[r#"{path="__other__", service_name="__other__", user="__other__"}"#], 78.0);
    assert_eq!(all.values().sum::<f64>(), 100.0);
}

#[test]
fn label_names_may_be_the_attack() {
    let registry = registry(&Config { series_per_metric_max: 20, ..Config::default() });
    for name in 0..1000 {
        assert_eq!(rise(&registry, "m_total", &[(&format!("k{name:04}"), "v"), ("zone", "a")]), Ok(()));
    }
    let all = numbers(&registry, "m_total");
    assert_eq!(all.values().sum::<f64>(), 1000.0);
    assert_eq!(all.len(), 20 + 2 + 1);
    assert!(told(&registry).len() <= 8);
}

#[test]
fn a_crowd_in_one_metric_leaves_the_others_alone() {
    let registry = registry(&Config { series_per_metric_max: 15, series_max: 30, ..Config::default() });
    let labels: Vec<String> = (0..30).map(|user| user.to_string()).collect();
    for user in &labels {
        assert_eq!(rise(&registry, "attacked_total", &[("user", user)]), Ok(()));
        assert_eq!(rise(&registry, "calm_total", &[("user", "only")]), Ok(()));
    }
    assert_eq!(numbers(&registry, "calm_total"), BTreeMap::from([(r#"{user="only"}"#.to_owned(), 30.0)]));
    // All series together have a cap as well: it is the metric whose series come then that has to give way.
    for user in &labels {
        assert_eq!(rise(&registry, "later_total", &[("user", user), ("zone", "a")]), Ok(()));
    }
    let later = numbers(&registry, "later_total");
    assert_eq!((later.len(), later.values().sum::<f64>()), (14 + 1, 30.0));
    assert_eq!(rise(&registry, "last_total", &[("zone", "a"), ("service_name", "s")]), Ok(()));
    assert_eq!(numbers(&registry, "last_total").into_keys().collect::<Vec<_>>(), [r#"{service_name="s", zone="__other__"}"#]);
}

#[test]
fn names_have_a_limit_of_their_own() {
    let registry = registry(&Config { families_max: 2, ..Config::default() });
    let _own = registry.own_counter("sidewatch_x_total", "X.", Labels::empty(), Timestamp::from_millis(0));
    for (name, outcome) in [("a_total", Ok(())), ("b_total", Ok(())), ("c_total", Err(Refusal::SeriesLimit)), ("a_total", Ok(()))] {
        assert_eq!(rise(&registry, name, &[]), outcome, "{name}");
    }
}

#[test]
fn a_sender_that_may_make_no_series_still_counts_in_those_in_their_place() {
    let registry = registry(&Config { series_per_metric_max: 10, ..Config::default() });
    for user in 0..11 {
        assert_eq!(rise(&registry, "m_total", &[("user", &user.to_string())]), Ok(()));
    }
    let mut merge = registry.merge(1, Timestamp::from_millis(0));
    merge.limit(0);
    let change = || Change::Count(1.0);
    assert_eq!(merge.apply(&mut pending_of("m_total", MetricType::Counter, &[("user", "x")], change())), Ok(()));
    let other = merge.apply(&mut pending_of("m_total", MetricType::Counter, &[("zone", "x")], change()));
    assert_eq!(other, Err(Refusal::SenderLimit));
}

#[test]
fn of_an_overflowing_gauge_the_last_writer_is_shown() {
    let registry = registry(&Config { series_per_metric_max: 1, ..Config::default() });
    for (user, value) in [("a", 1.0), ("b", 2.0), ("c", 3.0)] {
        let change = Change::Gauge { value, op: GaugeOp::Set, merge: GaugeMerge::Last };
        let mut pending = pending_of("g", MetricType::Gauge, &[("user", user)], change);
        assert_eq!(registry.merge(1, Timestamp::from_millis(0)).apply(&mut pending), Ok(()));
    }
    assert_eq!(numbers(&registry, "g"), BTreeMap::from([(r#"{user="__other__"}"#.to_owned(), 3.0), (r#"{user="a"}"#.to_owned(), 1.0)]));
}

#[derive(Clone, Debug)]
struct Sent {
    name: &'static str,
    labels: Vec<(&'static str, u8)>,
    value: u32,
}

fn sent() -> impl Strategy<Value = Sent> {
    let names = prop_oneof![Just("a_total"), Just("b_total"), Just("c"), Just("d")];
    let labels = proptest::sample::subsequence(vec!["k", "l", "m", "service_name"], 0..=4);
    (names, labels, proptest::collection::vec(0_u8..12, 4), 0_u32..100).prop_map(|(name, labels, values, value)| {
        let labels = labels.into_iter().zip(values).collect();
        Sent { name, labels, value }
    })
}

proptest! {
    #[test]
    fn whatever_the_caps_the_totals_of_each_metric_are_what_was_sent(
        all in proptest::collection::vec(sent(), 0..300),
        series_per_metric_max in 0_usize..40,
        series_max in 0_usize..60,
    ) {
        let registry = registry(&Config { series_per_metric_max, series_max, ..Config::default() });
        let mut expected: BTreeMap<&str, (f64, u64)> = BTreeMap::new();
        for Sent { name, labels, value } in &all {
            let labels: Vec<_> = labels.iter().map(|(name, value)| (*name, value.to_string())).collect();
            let labels: Vec<_> = labels.iter().map(|(name, value)| (*name, value.as_str())).collect();
            let value = f64::from(*value);
            let (kind, change) = if name.ends_with("_total") {
                (MetricType::Counter, Change::Count(value))
            } else {
                let mut histogram = Histogram::with_exponential(registry.bounds(name));
                histogram.observe(value, 2);
                (MetricType::Histogram, Change::Observe(histogram))
            };
            let mut pending = pending_of(name, kind, &labels, change);
            prop_assert_eq!(registry.merge(1, Timestamp::from_millis(0)).apply(&mut pending), Ok(()));
            let (sum, count) = expected.entry(*name).or_default();
            let weight = if kind == MetricType::Histogram { 2 } else { 0 };
            *sum += value * if weight > 0 { 2.0 } else { 1.0 };
            *count += weight;
        }
        let mut found: BTreeMap<String, (f64, u64)> = BTreeMap::new();
        let mut series = 0;
        for family in registry.families() {
            series += family.series.len();
            // The caps, a tenth of them, one for the rest and one without labels.
            prop_assert!(family.series.len() <= series_per_metric_max + series_per_metric_max / 10 + 2);
            let (sum, count) = found.entry(family.name.to_string()).or_default();
            for series in &family.series {
                match &series.value {
                    Value::Number(number) => *sum += number,
                    Value::Histogram(histogram) => {
                        *sum += histogram.sum;
                        *count += histogram.count();
                        prop_assert_eq!(histogram.exponential.as_ref().map(crate::model::Exponential::count), Some(histogram.count()));
                    }
                    Value::Summary(_) => prop_assert!(false, "no event becomes a summary"),
                }
            }
        }
        prop_assert!(series <= series_max + series_max / 10 + 2 * found.len());
        let expected: BTreeMap<String, (f64, u64)> = expected.into_iter().map(|(name, all)| (name.to_owned(), all)).collect();
        prop_assert_eq!(found, expected);
    }
}
