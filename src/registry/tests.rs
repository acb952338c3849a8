//! The registry through its door.

mod crowds;
mod idle;
mod memory;

use super::*;
use crate::model::{GaugeMerge, GaugeOp, Histogram, Origin, Series, Value};

fn registry(config: &Config) -> Arc<Registry> {
    Registry::new(config, &Telemetry::new())
}

fn pending(name: &str, kind: MetricType, label: &str, change: Change) -> Pending {
    Pending { events: 1, ..Pending::new(SeriesKey { name: Arc::from(name), kind, labels: Labels::from_pairs([("l", label)]) }, change) }
}

fn count(name: &str, label: &str, rise: f64) -> Pending {
    pending(name, MetricType::Counter, label, Change::Count(rise))
}

fn gauge(name: &str, value: f64) -> Pending {
    pending(name, MetricType::Gauge, "", Change::Gauge { value, op: GaugeOp::Set, merge: GaugeMerge::Sum })
}

fn observe(registry: &Registry, name: &str, value: f64) -> Pending {
    let mut histogram = Histogram::with_exponential(registry.bounds(name));
    histogram.observe(value, 1);
    pending(name, MetricType::Histogram, "", Change::Observe(histogram))
}

fn merge(registry: &Registry, sender: u64, mut all: Vec<Pending>) -> Vec<(usize, Refusal)> {
    let mut merge = registry.merge(sender, Timestamp::from_millis(0));
    all.iter_mut().enumerate().filter_map(|(index, pending)| merge.apply(pending).err().map(|reason| (index, reason))).collect()
}

#[test]
fn batches_add_up_and_come_out_in_order() {
    let registry = registry(&Config::default());
    assert_eq!(merge(&registry, 1, vec![count("b_total", "y", 1.0), count("b_total", "x", 2.0), count("a_total", "x", 1.0)]), []);
    assert_eq!(merge(&registry, 2, vec![count("b_total", "y", 4.0)]), []);
    let families = registry.families();
    assert_eq!(families.iter().map(|family| &*family.name).collect::<Vec<_>>(), ["a_total", "b_total"]);
    let series = |label, value| Series { labels: Labels::from_pairs([("l", label)]), value: Value::Number(value) };
    assert_eq!(families[1].series, [series("x", 2.0), series("y", 5.0)]);
    assert_eq!(&*families[1].help, "Counter b_total reported by applications.");
}

#[test]
fn the_first_type_of_a_name_wins() {
    let registry = registry(&Config::default());
    let first = vec![observe(&registry, "h", 1.0), count("c_total", "", 1.0), gauge("g_sum", 1.0)];
    assert_eq!(merge(&registry, 1, first), []);
    let conflicts = vec![
        gauge("h", 1.0),
        gauge("h_count", 1.0),
        count("h_bucket", "", 1.0),
        gauge("c", 1.0),
        observe(&registry, "g", 1.0),
        count("fine_total", "", 1.0),
    ];
    let refused = merge(&registry, 1, conflicts);
    assert_eq!(refused, (0..5).map(|index| (index, Refusal::TypeConflict)).collect::<Vec<_>>());
    assert_eq!(registry.families().len(), 4);
}

#[test]
fn a_published_name_is_taken() {
    let registry = registry(&Config::default());
    registry.publish("x", vec![Family::new("host_total", MetricType::Counter, "H.", Origin::Host).with(Labels::empty(), 1.0)]);
    assert_eq!(merge(&registry, 1, vec![gauge("host_total", 1.0), gauge("host", 1.0), gauge("ho", 1.0)]).len(), 2);
}

#[test]
fn a_source_is_replaced_as_a_whole() {
    let registry = registry(&Config::default());
    let family = |name: &str| Family::new(name, MetricType::Gauge, "H.", Origin::Host).with(Labels::empty(), 1.0);
    registry.publish("x", vec![family("a"), family("b")]);
    registry.publish("y", vec![family("c")]);
    registry.publish("x", vec![family("d")]);
    assert_eq!(registry.families().iter().map(|family| &*family.name).collect::<Vec<_>>(), ["c", "d"]);
    registry.publish("x", vec![]);
    assert_eq!(registry.families().len(), 1);
}

#[test]
fn sources_share_a_family_but_not_a_type() {
    let registry = registry(&Config::default());
    let family = |kind, label| Family::new("m", kind, "H.", Origin::Host).with(Labels::from_pairs([("l", label)]), 1.0);
    registry.publish("x", vec![family(MetricType::Gauge, "b")]);
    registry.publish("y", vec![family(MetricType::Gauge, "a")]);
    registry.publish("z", vec![family(MetricType::Counter, "c")]);
    let families = registry.families();
    assert_eq!(families.len(), 1);
    assert_eq!(families[0].series.iter().map(|series| series.labels.to_string()).collect::<Vec<_>>(), [r#"{l="a"}"#, r#"{l="b"}"#]);
}

#[test]
fn a_lost_sender_is_taken_out_of_sums_only() {
    let registry = registry(&Config::default());
    merge(&registry, 1, vec![gauge("g", 2.0), count("c_total", "", 5.0)]);
    merge(&registry, 2, vec![gauge("g", 3.0)]);
    registry.forget(1);
    let families = registry.families();
    assert_eq!(families[0].series[0].value, Value::Number(5.0));
    assert_eq!(families[1].series[0].value, Value::Number(3.0));
}

#[test]
fn a_histogram_keeps_the_buckets_it_began_with() {
    let registry = registry(&Config::default());
    let before = registry.bounds("h_seconds");
    merge(&registry, 1, vec![observe(&registry, "h_seconds", 0.3)]);
    let config: Config = serde_yaml::from_str("buckets: {seconds: [1, 2]}").expect("valid");
    registry.reconfigure(&config);
    assert_eq!(registry.bounds("h_seconds"), before);
    assert_eq!(*registry.bounds("other_seconds"), [1.0, 2.0]);
}

#[test]
fn a_name_without_senders_makes_room_for_another() {
    let registry = registry(&Config { families_max: 1, ..Config::default() });
    let max = |name| pending(name, MetricType::Gauge, "", Change::Gauge { value: 1.0, op: GaugeOp::Set, merge: GaugeMerge::Max });
    assert_eq!(merge(&registry, 1, vec![max("a")]), []);
    assert_eq!(merge(&registry, 2, vec![max("b")]), [(0, Refusal::SeriesLimit)]);
    registry.forget(1);
    assert!(registry.families().is_empty());
    assert_eq!(merge(&registry, 2, vec![max("b")]), []);
}

#[test]
fn names_without_series_are_given_up() {
    let registry = registry(&Config::default());
    let max = |name: &str| pending(name, MetricType::Gauge, "", Change::Gauge { value: 1.0, op: GaugeOp::Set, merge: GaugeMerge::Max });
    for sender in 0..3 {
        assert_eq!(merge(&registry, sender, vec![max(&format!("g{sender}"))]), []);
        registry.forget(sender);
    }
    assert_eq!(registry.state().events.len(), 0);
    assert_eq!(merge(&registry, 9, vec![observe(&registry, "g0", 1.0)]), [], "the name is free for another type");
}

/// Reads, and lets something happen between two pieces.
struct Slow<'r> {
    registry: &'r Registry,
    seen: Vec<String>,
}

impl Reader for Slow<'_> {
    fn family(&mut self, head: &Head<'_>) {
        self.seen.push(head.name.to_string());
    }

    fn series(&mut self, _: Place, _: u64, labels: &Labels, _: Reading<'_>) {
        self.seen.push(labels.to_string());
    }
}

#[test]
fn a_walk_sees_every_series_once_however_many_there_are() {
    let registry = registry(&Config::default());
    for label in 0..9000 {
        merge(&registry, 1, vec![count("b_total", &label.to_string(), 1.0)]);
    }
    merge(&registry, 1, vec![observe(&registry, "c", 1.0), count("a_total", "x", 1.0)]);
    let mut slow = Slow { registry: &registry, seen: Vec::new() };
    slow.registry.walk(&mut slow);
    assert_eq!(slow.seen.len(), 3 + 9000 + 2);
    assert_eq!(&slow.seen[..3], ["a_total", r#"{l="x"}"#, "b_total"]);
    assert_eq!(slow.seen.iter().collect::<std::collections::HashSet<_>>().len(), slow.seen.len(), "nothing comes twice");
}

#[test]
fn a_walk_goes_on_where_series_and_families_have_gone() {
    let registry = registry(&Config::default());
    let max = |name: &str| pending(name, MetricType::Gauge, "x", Change::Gauge { value: 1.0, op: GaugeOp::Set, merge: GaugeMerge::Max });
    for label in ["a", "b", "c"] {
        merge(&registry, 1, vec![count("m_total", label, 1.0)]);
    }
    merge(&registry, 7, vec![max("n")]);
    merge(&registry, 1, vec![count("o_total", "z", 1.0)]);
    let mut copies = Copies::default();
    let mut cursor = Cursor::default();
    let names = |copies: &Copies| copies.0.iter().map(|family| (family.name.to_string(), family.series.len())).collect::<Vec<_>>();
    for (room, expected) in [(2, vec![("m_total", 2)]), (2, vec![("m_total", 3), ("n", 1), ("o_total", 0)])] {
        cursor.begin_with(room);
        assert!(registry.state().events.read(&mut cursor, &mut copies));
        assert_eq!(names(&copies), expected.into_iter().map(|(name, series)| (name.to_owned(), series)).collect::<Vec<_>>());
    }
    registry.forget(7);
    merge(&registry, 1, vec![count("n_total", "late", 1.0)]);
    cursor.begin_with(10);
    assert!(!registry.state().events.read(&mut cursor, &mut copies));
    assert_eq!(
        names(&copies).into_iter().map(|(name, _)| name).collect::<Vec<_>>(),
        ["m_total", "n", "o_total"],
        "what is made behind the reader waits for the next one"
    );
}

#[test]
fn a_handle_leads_nowhere_once_its_series_is_gone() {
    let registry = registry(&Config::default());
    let mut gauge = pending("g", MetricType::Gauge, "x", Change::Gauge { value: 1.0, op: GaugeOp::Set, merge: GaugeMerge::Max });
    assert_eq!(registry.merge(1, Timestamp::from_millis(0)).apply(&mut gauge), Ok(()));
    registry.forget(1);
    merge(&registry, 1, vec![count("other_total", "", 1.0)]);
    assert_eq!(registry.merge(1, Timestamp::from_millis(0)).apply(&mut gauge), Ok(()), "it is made anew");
    assert_eq!(registry.families().len(), 2);
}

#[test]
fn the_agents_own_counters_are_there_from_the_start_and_outside_of_the_limits() {
    let registry = registry(&Config { series_max: 0, ..Config::default() });
    let labels = Labels::from_pairs([("reason", "a")]);
    let mut own = registry.own_counter("sidewatch_x_total", "X.", labels.clone(), Timestamp::from_millis(0));
    let families = registry.families();
    assert_eq!((families[0].origin, &*families[0].help), (Origin::Agent, "X."));
    assert_eq!(families[0].series[0], Series { labels, value: Value::Number(0.0) });
    own.change = Change::Count(2.0);
    assert_eq!(registry.merge(1, Timestamp::from_millis(0)).apply(&mut own), Ok(()));
    assert_eq!(registry.families()[0].series[0].value, Value::Number(2.0));
}
