//! Series that nothing changes.

use super::crowds::{numbers, pending_of, told};
use super::*;
use crate::model::{HEARTBEAT_INTERVAL, HEARTBEAT_TIMESTAMP};

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

/// Looks for idle series every minute, as long as the clock goes.
fn pass(registry: &Registry, from: i64, until: i64) {
    (from..=until).step_by(60_000).for_each(|millis| registry.expire(at(millis)));
}

fn apply(registry: &Registry, pending: &mut Pending, millis: i64) {
    assert_eq!(registry.merge(1, at(millis)).apply(pending), Ok(()));
}

fn set(name: &str, value: f64, op: GaugeOp, merge: GaugeMerge) -> Pending {
    pending_of(name, MetricType::Gauge, &[], Change::Gauge { value, op, merge })
}

/// How many series are shown, and how many have retired.
fn sizes(registry: &Registry) -> (usize, usize) {
    let state = registry.state();
    (state.events.series(), state.events.retired())
}

fn shown(registry: &Registry) -> Vec<String> {
    registry.families().iter().map(|family| family.name.to_string()).collect()
}

#[test]
fn an_idle_series_is_hidden_and_goes_on_where_it_stopped() {
    let registry = registry(&Config::default());
    let mut all = [
        count("c_total", "", 2.0),
        observe(&registry, "h", 3.0),
        set("g", 4.0, GaugeOp::Add, GaugeMerge::Last),
        set("s", 5.0, GaugeOp::Add, GaugeMerge::Sum),
    ];
    all.iter_mut().for_each(|pending| apply(&registry, pending, 0));
    pass(&registry, 0, HOUR - 60_000);
    assert_eq!(shown(&registry), ["c_total", "g", "h", "s"]);
    apply(&registry, &mut set("s", -5.0, GaugeOp::Add, GaugeMerge::Sum), HOUR - 60_000);
    pass(&registry, HOUR, 2 * HOUR);
    assert_eq!(shown(&registry), Vec::<String>::new());
    assert_eq!(registry.state().events.series(), 0, "it counts no more");
    // Whether the way to it is known or not.
    apply(&registry, &mut all[0], DAY);
    apply(&registry, &mut observe(&registry, "h", 3.0), DAY);
    apply(&registry, &mut set("g", 4.0, GaugeOp::Add, GaugeMerge::Last), DAY);
    let families = registry.families();
    assert_eq!(families[0].series[0].value, Value::Number(4.0));
    assert_eq!(families[1].series[0].value, Value::Number(8.0));
    let Value::Histogram(histogram) = &families[2].series[0].value else { panic!("a histogram") };
    assert_eq!((histogram.count(), histogram.sum), (2, 6.0));
    assert_eq!(registry.state().events.series(), 3);
    assert_eq!(registry.state().events.retired(), 1);
}

#[test]
fn a_series_that_stays_away_is_given_up() {
    let registry = registry(&Config::default());
    let mut gone = count("c_total", "a", 2.0);
    let mut stays = count("c_total", "b", 1.0);
    apply(&registry, &mut gone, 0);
    apply(&registry, &mut stays, 0);
    pass(&registry, 0, DAY);
    apply(&registry, &mut stays, DAY);
    pass(&registry, DAY, DAY + HOUR);
    assert_eq!(sizes(&registry), (0, 1));
    apply(&registry, &mut stays, DAY + HOUR);
    apply(&registry, &mut gone, DAY + HOUR);
    let values: Vec<_> = numbers(&registry, "c_total").into_values().collect();
    assert_eq!(values, [2.0, 3.0], "the first one began anew");
    pass(&registry, DAY + HOUR, 3 * DAY);
    assert_eq!(registry.state().events.len(), 0, "its name is free");
}

#[test]
fn never_and_nothing_can_be_said_as_well() {
    let config: Config = serde_yaml::from_str("{expiry: 0s, kept: 1d}").expect("valid");
    let registry = registry(&config);
    apply(&registry, &mut count("c_total", "", 1.0), 0);
    pass(&registry, 0, 2 * DAY);
    assert_eq!(shown(&registry), ["c_total"]);
    registry.reconfigure(&serde_yaml::from_str("{expiry: 1h, kept: 0s}").expect("valid"));
    pass(&registry, 2 * DAY, 2 * DAY + HOUR);
    assert_eq!(registry.state().events.len(), 0);
}

#[test]
fn a_clock_that_is_set_makes_nothing_idle() {
    let registry = registry(&Config::default());
    apply(&registry, &mut count("c_total", "", 1.0), 0);
    pass(&registry, 0, HOUR / 2);
    for jump in [100 * DAY, 0] {
        registry.expire(at(jump));
        assert_eq!(shown(&registry), ["c_total"]);
    }
    pass(&registry, 0, HOUR / 4);
    assert_eq!(shown(&registry), ["c_total"]);
    pass(&registry, HOUR / 4, 2 * HOUR);
    assert_eq!(shown(&registry), Vec::<String>::new());
}

#[test]
fn what_a_live_process_has_said_of_its_state_holds() {
    let registry = registry(&Config::default());
    apply(&registry, &mut set("held", 4.0, GaugeOp::Set, GaugeMerge::Max), 0);
    apply(&registry, &mut set("zero", 0.0, GaugeOp::Set, GaugeMerge::Sum), 0);
    apply(&registry, &mut set("last", 4.0, GaugeOp::Set, GaugeMerge::Last), 0);
    pass(&registry, 0, 2 * DAY);
    assert_eq!(shown(&registry), ["held"]);
    registry.forget(1);
    assert_eq!(shown(&registry), Vec::<String>::new());
}

#[test]
fn a_heartbeat_is_shown_for_as_long_as_it_can_be_missed() {
    const TWO: [&str; 2] = [HEARTBEAT_INTERVAL, HEARTBEAT_TIMESTAMP];
    for (interval, days) in [(60.0, 7), (86_400.0, 7), (7.0 * 86_400.0, 21), (1e300, 100)] {
        let registry = registry(&Config::default());
        for (name, value) in [(HEARTBEAT_TIMESTAMP, 0.0), (HEARTBEAT_INTERVAL, interval), ("other", 1.0)] {
            apply(&registry, &mut set(name, value, GaugeOp::Set, GaugeMerge::Last), 0);
        }
        pass(&registry, 0, days * DAY - 60_000);
        assert_eq!(shown(&registry), TWO, "{interval}");
        pass(&registry, days * DAY, days * DAY + 60_000);
        assert_eq!(sizes(&registry), (0, 2), "{interval}");
        pass(&registry, days * DAY, (days + 1) * DAY + 60_000);
        assert_eq!(registry.state().events.len(), 0, "{interval}");
    }
}

#[test]
fn a_heartbeat_that_promises_nothing_is_as_idle_as_others() {
    let registry = registry(&Config::default());
    for (name, value) in [(HEARTBEAT_TIMESTAMP, 0.0), (HEARTBEAT_INTERVAL, 0.0)] {
        apply(&registry, &mut set(name, value, GaugeOp::Set, GaugeMerge::Last), 0);
    }
    apply(
        &registry,
        &mut pending_of(
            HEARTBEAT_TIMESTAMP,
            MetricType::Gauge,
            &[("heartbeat", "free")],
            Change::Gauge { value: 1.0, op: GaugeOp::Set, merge: GaugeMerge::Last },
        ),
        0,
    );
    pass(&registry, 0, HOUR);
    assert_eq!(sizes(&registry), (0, 3));
}

#[test]
fn the_agents_own_series_are_always_there() {
    let registry = registry(&Config::default());
    let _own = registry.own_counter("sidewatch_x_total", "X.", Labels::empty(), at(0));
    pass(&registry, 0, 2 * DAY);
    assert_eq!(shown(&registry), ["sidewatch_x_total"]);
}

#[test]
fn one_that_comes_back_needs_room() {
    let registry = registry(&Config { series_per_metric_max: 10, ..Config::default() });
    for label in 0..10 {
        apply(&registry, &mut count("c_total", &label.to_string(), 1.0), 0);
    }
    pass(&registry, 0, HOUR);
    for label in 10..20 {
        apply(&registry, &mut count("c_total", &label.to_string(), 1.0), HOUR);
    }
    assert_eq!(told(&registry), [], "those that have retired take no room");
    apply(&registry, &mut count("c_total", "3", 1.0), HOUR);
    let all = numbers(&registry, "c_total");
    assert_eq!((all.len(), all[r#"{l="__other__"}"#]), (11, 1.0));
    pass(&registry, HOUR, 2 * HOUR);
    assert_eq!(told(&registry).len(), 2, "the label collapsed, and there is room again");
    apply(&registry, &mut count("c_total", "3", 1.0), 2 * HOUR);
    assert_eq!(numbers(&registry, "c_total"), [(r#"{l="3"}"#.to_owned(), 2.0)].into());
}

#[test]
fn a_collapse_ends_when_a_quarter_is_free() {
    let registry = registry(&Config { series_per_metric_max: 8, ..Config::default() });
    for label in 0..9 {
        if label == 2 {
            pass(&registry, 0, HOUR / 2);
        }
        apply(&registry, &mut count("c_total", &label.to_string(), 1.0), if label < 2 { 0 } else { HOUR / 2 });
    }
    assert_eq!(told(&registry).len(), 1);
    pass(&registry, HOUR / 2, HOUR - 60_000);
    apply(&registry, &mut count("c_total", "x", 1.0), HOUR - 60_000);
    assert!(!numbers(&registry, "c_total").contains_key(r#"{l="x"}"#));
    pass(&registry, HOUR, HOUR);
    assert_eq!(told(&registry).len(), 1);
    apply(&registry, &mut count("c_total", "x", 1.0), HOUR);
    assert_eq!(numbers(&registry, "c_total")[r#"{l="x"}"#], 1.0);
}

#[test]
fn names_of_series_that_have_retired_do_not_count() {
    let registry = registry(&Config { families_max: 1, ..Config::default() });
    apply(&registry, &mut count("a_total", "", 1.0), 0);
    pass(&registry, 0, HOUR);
    apply(&registry, &mut count("b_total", "", 1.0), HOUR);
    let refused = registry.merge(1, at(HOUR)).apply(&mut count("a_total", "", 1.0));
    assert_eq!(refused, Err(Refusal::SeriesLimit));
    assert_eq!(shown(&registry), ["b_total"]);
}

#[test]
fn many_are_looked_at_a_piece_at_a_time() {
    let registry = registry(&Config::default());
    for (rest, millis) in [(0, 0), (1, HOUR / 2), (2, HOUR / 2)] {
        for label in (rest..9000).step_by(3) {
            apply(&registry, &mut count("c_total", &label.to_string(), 1.0), millis);
        }
        pass(&registry, millis, HOUR / 2);
    }
    pass(&registry, HOUR / 2, HOUR);
    assert_eq!(sizes(&registry), (6000, 3000));
    pass(&registry, HOUR, DAY + HOUR);
    assert_eq!(sizes(&registry), (0, 6000));
    apply(&registry, &mut count("c_total", "1", 1.0), DAY + HOUR);
    pass(&registry, DAY + HOUR, 2 * DAY + HOUR / 2);
    apply(&registry, &mut count("c_total", "1", 1.0), 2 * DAY);
    assert_eq!(sizes(&registry), (1, 0));
    assert_eq!(numbers(&registry, "c_total"), [(r#"{l="1"}"#.to_owned(), 3.0)].into());
}
