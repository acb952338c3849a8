//! The budget of memory.

use proptest::prelude::*;

use super::crowds::{metric, numbers, pending_of, told};
use super::*;
use crate::model::{Distinct, Exemplar, Exponential, TraceId};
use crate::registry::events::News;

const HOUR: i64 = 3_600_000;

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

/// A histogram with many buckets and an exemplar.
fn rich(registry: &Registry, label: &str) -> Pending {
    let mut histogram = Histogram::with_exponential(registry.bounds("h"));
    (1..250).for_each(|step| histogram.observe(1.02_f64.powi(step), 1));
    histogram.exemplify(Exemplar { trace_id: TraceId::new("t").expect("short"), value: 1.0, at: at(0) });
    pending_of("h", MetricType::Histogram, &[("l", label)], Change::Observe(histogram))
}

fn apply(registry: &Registry, pending: &mut Pending, millis: i64) {
    assert_eq!(registry.merge(1, at(millis)).apply(pending), Ok(()));
}

fn histograms(registry: &Registry) -> Vec<Histogram> {
    let families = registry.families();
    let series = families.into_iter().filter(|family| &*family.name == "h").flat_map(|family| family.series);
    series.filter_map(|series| if let Value::Histogram(histogram) = series.value { Some(histogram) } else { None }).collect()
}

fn total(registry: &Registry) -> usize {
    registry.state().events.bytes().total()
}

/// Whether it is said that memory is short.
fn is_short(registry: &Registry) -> bool {
    registry.crowded().is_some_and(|told| told.contains("memory"))
}

/// Gives the registry a budget that is by `excess` less than what it holds.
fn squeeze(registry: &Registry, excess: usize) {
    let enough = total(registry) - excess;
    registry.reconfigure(&Config { bytes_max: enough / 7 * 8 + 8, ..Config::default() });
    registry.relieve();
}

#[test]
fn what_is_given_up_first_is_what_nobody_sees() {
    let telemetry = Telemetry::new();
    let registry = Registry::new(&Config::default(), &telemetry);
    let shed = || metric(&telemetry, "sidewatch_registry_shed_total").into_iter().map(|(_, count)| count).collect::<Vec<_>>();
    for label in 0..10 {
        apply(&registry, &mut count("c_total", &label.to_string(), 1.0), 60_000 * label);
    }
    (10..=60).for_each(|minute| registry.expire(at(minute * 60_000)));
    (0..10).for_each(|label| apply(&registry, &mut rich(&registry, &label.to_string()), HOUR));
    (61..=70).for_each(|minute| registry.expire(at(minute * 60_000)));
    assert_eq!(registry.state().events.retired(), 10);

    assert!(!is_short(&registry));
    squeeze(&registry, 500);
    assert!(is_short(&registry));
    let [exemplars, resolution, oldest] = shed()[..] else { panic!("three") };
    assert_eq!((exemplars, resolution), (0.0, 0.0));
    assert!((2.0..6.0).contains(&oldest), "{oldest}");
    apply(&registry, &mut count("c_total", "0", 1.0), HOUR);
    apply(&registry, &mut count("c_total", "9", 1.0), HOUR);
    assert_eq!(numbers(&registry, "c_total").into_values().collect::<Vec<_>>(), [1.0, 2.0], "the oldest have gone");

    squeeze(&registry, 2500);
    let [exemplars, resolution, retired] = shed()[..] else { panic!("three") };
    assert_eq!((resolution, retired), (0.0, 9.0), "all that have retired have gone before the first exemplar");
    assert!((1.0..10.0).contains(&exemplars), "{exemplars}");

    let all = registry.state().events.bytes().held.exemplars;
    squeeze(&registry, all + 500);
    let [exemplars, resolution, _] = shed()[..] else { panic!("three") };
    assert_eq!(exemplars, 10.0, "all exemplars have gone before the first bucket");
    assert!((1.0..10.0).contains(&resolution), "{resolution}");
    assert!(histograms(&registry).iter().all(|histogram| histogram.count() == 249));
    assert_eq!(told(&registry), [], "and no label has collapsed");

    registry.reconfigure(&Config { bytes_max: 1, ..Config::default() });
    registry.relieve();
    for histogram in histograms(&registry) {
        let exponential = histogram.exponential.as_ref().expect("it is kept");
        assert_eq!((histogram.exemplars.heap_bytes(), exponential.count(), histogram.count()), (0, 249, 249));
        assert!(exponential.heap_bytes() <= 4 * 20, "{}", exponential.heap_bytes());
    }
    apply(&registry, &mut rich(&registry, "0"), HOUR);
    assert_eq!(histograms(&registry).iter().map(|histogram| histogram.exemplars.heap_bytes()).sum::<usize>(), 0, "no new ones are kept");
    apply(&registry, &mut count("c_total", "x", 1.0), HOUR);
    assert_eq!(numbers(&registry, "c_total")[r#"{l="__other__"}"#], 1.0);
    assert_eq!(told(&registry).len(), 1, "only now a label collapses");
    assert_eq!(registry.merge(1, at(HOUR)).apply(&mut count("d_total", "x", 1.0)), Err(Refusal::Memory), "and no new names are taken");

    registry.reconfigure(&Config::default());
    registry.relieve();
    apply(&registry, &mut rich(&registry, "0"), HOUR);
    assert!(histograms(&registry)[0].exemplars.heap_bytes() > 0, "there is room again");
    assert!(!is_short(&registry));
    apply(&registry, &mut count("d_total", "x", 1.0), HOUR);
}

#[test]
fn a_want_of_memory_is_told_once_from_beginning_to_end() {
    let registry = registry(&Config::default());
    (0..10).for_each(|label| apply(&registry, &mut rich(&registry, &label.to_string()), HOUR));
    squeeze(&registry, 500);
    squeeze(&registry, 500);
    let news = registry.take_news();
    assert!(matches!(news[..], [News::Short { bytes }] if bytes > 10_000), "{news:?}");
    registry.reconfigure(&Config::default());
    registry.relieve();
    registry.relieve();
    assert_eq!(registry.take_news(), [News::Relieved]);
}

#[test]
fn a_flood_stays_within_the_budget() {
    let bytes_max = 1 << 20;
    let telemetry = Telemetry::new();
    let registry = Registry::new(&Config { bytes_max, ..Config::default() }, &telemetry);
    for name in ["a", "b", "c"] {
        for label in 0..2000 {
            let mut one = Histogram::with_exponential(registry.bounds(name));
            [1e-3, 1.0, 30.0].into_iter().for_each(|value| one.observe(value, 1));
            apply(&registry, &mut pending_of(name, MetricType::Histogram, &[("l", &label.to_string())], Change::Observe(one)), HOUR);
        }
    }
    let families = registry.families();
    let count = |family: &Family| -> u64 {
        family.series.iter().filter_map(|series| if let Value::Histogram(one) = &series.value { Some(one.count()) } else { None }).sum()
    };
    assert_eq!(families.iter().map(count).collect::<Vec<_>>(), [6000, 6000, 6000]);
    assert!(total(&registry) <= bytes_max + bytes_max / 8, "{}", total(&registry));
    assert!(registry.state().events.series() > 500, "{}", registry.state().events.series());
}

#[derive(Clone, Debug)]
enum Step {
    Change(u8, u8, u64),
    Expire(i64),
    Turn,
    Forget(u64),
    Squeeze(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        20 => (0_u8..5, 0_u8..6, 0_u64..3).prop_map(|(kind, label, sender)| Step::Change(kind, label, sender)),
        2 => (0_i64..100).prop_map(Step::Expire),
        1 => Just(Step::Turn),
        1 => (0_u64..3).prop_map(Step::Forget),
        1 => (0_usize..20_000).prop_map(Step::Squeeze),
    ]
}

proptest! {
    #[test]
    fn what_is_counted_is_what_is_there(steps in proptest::collection::vec(step(), 0..120)) {
        let registry = registry(&Config { series_per_metric_max: 4, ..Config::default() });
        let mut now = 0;
        for step in steps {
            match step {
                Step::Change(kind, label, sender) => {
                    let label = label.to_string();
                    let labels = [("l", label.as_str())];
                    let mut pending = match kind {
                        0 => count("c_total", &label, 1.0),
                        1 => rich(&registry, &label),
                        2 => pending_of("g", MetricType::Gauge, &labels, Change::Gauge { value: 1.0, op: GaugeOp::Set, merge: GaugeMerge::Max }),
                        3 => pending_of("g2", MetricType::Gauge, &labels, Change::Stamped { value: 1.0, seconds: 5, always: true }),
                        _ => {
                            let mut members = Distinct::default();
                            (0..20).for_each(|member| members.insert(member * sender));
                            pending_of("s", MetricType::Gauge, &labels, Change::Members(members))
                        }
                    };
                    prop_assert_eq!(registry.merge(sender, at(now)).apply(&mut pending), Ok(()));
                }
                Step::Expire(minutes) => {
                    for _ in 0..minutes {
                        now += 60_000;
                        registry.expire(at(now));
                    }
                }
                Step::Turn => registry.turn_sets(),
                Step::Forget(sender) => registry.forget(sender),
                Step::Squeeze(excess) => {
                    squeeze(&registry, excess.min(total(&registry)));
                    registry.reconfigure(&Config { series_per_metric_max: 4, ..Config::default() });
                }
            }
            let mut state = registry.state();
            let counted = *state.events.bytes();
            state.events.weigh();
            prop_assert_eq!(counted, *state.events.bytes());
        }
        let counts: Vec<_> = histograms(&registry).iter().map(|one| (one.count(), one.exponential.as_ref().map(Exponential::count))).collect();
        prop_assert!(counts.iter().all(|(count, exponential)| Some(*count) == *exponential), "{:?}", counts);
    }
}
