//! What is left of alerts after a stop, over a real history, a real engine and a real file.

use std::path::Path;
use std::time::Duration;

use proptest::prelude::*;

use super::tests::{Bench, at, spec};
use super::*;
use crate::clock::Moment;
use crate::model::AlertState;
use crate::rules::store::Metrics;
use crate::runtime::Board;
use crate::telemetry::Telemetry;

const RULE: &str = "groups: [{name: g, interval: 15s, rules: [{alert: A, expr: up < 1, for: 30s, keep_firing_for: 45s}]}]";

/// An agent that starts at a time: its rule goes on with what the file says, or with what history says.
pub(super) fn start(bench: &mut Bench, folder: &Path, rule: &str, seconds: i64) -> Group {
    let store = Arc::new(Store::open(Ok(folder.to_owned()), Metrics::new(&Telemetry::new()), &Board::new(), at(seconds)));
    let mut group = Group::new(spec(rule));
    match store.past(&group.spec().key(), &group.keys()) {
        Some(past) => group.resume(past, at(seconds), bench.world.tolerance),
        None => group.ask_history(at(seconds), bench.world.tolerance),
    }
    bench.world.store = Some(store);
    group
}

/// The state of the only alert, since when it is active and since when it fires.
fn seen(group: &Group) -> Option<(AlertState, i64, Option<i64>)> {
    let snapshot = group.snapshot();
    let RuleKind::Alerting { alerts, .. } = &snapshot.rules[0].kind else { panic!("an alert") };
    let seconds = |at: Timestamp| at.as_millis() / 1000;
    alerts.first().map(|alert| (alert.state, seconds(alert.active_at), alert.fired_at.map(seconds)))
}

#[test]
fn pending_firing_and_keep_firing_go_on_after_a_kill() {
    let folder = tempfile::tempdir().expect("a folder");
    let bench = Bench::new();
    let values = [0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0];
    let mut without = Group::new(spec(RULE));
    let mut expected = Vec::new();
    for (round, value) in (0..).zip(values) {
        bench.put(round * 15, "up", &[], value);
        without.evaluate(at(round * 15), &bench.world);
        expected.push(seen(&without));
    }
    let mut bench = Bench::new();
    let mut shown = Vec::new();
    for (round, value) in (0..).zip(values) {
        bench.put(round * 15, "up", &[], value);
        let mut group = start(&mut bench, folder.path(), RULE, round * 15 - 1);
        group.evaluate(at(round * 15), &bench.world);
        shown.push(seen(&group));
    }
    use AlertState::{Firing, Pending};
    let (pending, firing) = (Some((Pending, 0, None)), Some((Firing, 0, Some(30))));
    assert_eq!(expected, [pending, pending, firing, firing, firing, firing, firing, None]);
    assert_eq!(shown, expected);
    let ended = r#"ALERTS{alertname="A", alertstate="pending"} 1@0 1@15 stale@30"#;
    assert_eq!(bench.see("ALERTS")[1], ended, "what was written before the kill ends");
}

#[test]
fn what_is_over_is_told_the_same_after_a_kill_as_without() {
    // It fires, ends, is pending for a while, fires again and ends.
    let values = [0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0];
    let told = |kills: bool| {
        let folder = tempfile::tempdir().expect("a folder");
        let mut bench = Bench::new();
        let mut group = start(&mut bench, folder.path(), RULE, -15);
        let mut told = Vec::new();
        for (round, value) in (0..).zip(values) {
            bench.put(round * 15, "up", &[], value);
            if kills {
                group = start(&mut bench, folder.path(), RULE, round * 15 - 1);
                assert_eq!(told.last(), (round > 0).then(|| group.snapshot().rules[0].kind.clone()).as_ref(), "before it is evaluated");
            }
            group.evaluate(at(round * 15), &bench.world);
            told.push(group.snapshot().rules[0].kind.clone());
        }
        told
    };
    let without = told(false);
    let RuleKind::Alerting { ended, .. } = &without[15] else { panic!("an alert") };
    let times: Vec<_> = ended.iter().map(|ended| (ended.fired_at, ended.resolved_at, ended.resolved_value)).collect();
    assert_eq!(times, [(at(30), at(90), Some(1.0)), (at(165), at(225), Some(1.0))]);
    assert_eq!(told(true), without);
}

#[test]
fn after_a_long_stop_what_was_pending_starts_anew_and_what_fired_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut bench = Bench::new();
    let rule = RULE.replace("keep_firing_for: 45s", "labels: {x: 1}");
    for (fires, after) in [(false, 3_500), (false, 3_700), (true, 3_700)] {
        let begin = 10_000 * (i64::from(fires) * 2 + after / 3_600);
        let mut group = start(&mut bench, folder.path(), &rule, begin);
        for seconds in (begin..=begin + if fires { 30 } else { 15 }).step_by(15) {
            bench.put(seconds, "up", &[], 0.0);
            group.evaluate(at(seconds), &bench.world);
        }
        bench.world.store.as_ref().expect("kept").close(at(begin + 15));
        let restart = begin + 15 + after;
        bench.put(restart, "up", &[], 0.0);
        let mut group = start(&mut bench, folder.path(), &rule, restart);
        group.evaluate(at(restart), &bench.world);
        let away = restart * 1_000 - group.last_slot(at(begin + 15)).as_millis();
        let expected = match (fires, after) {
            (true, _) => (AlertState::Firing, begin, Some(begin + 30)),
            (false, 3_500) => (AlertState::Pending, (begin * 1_000 + away) / 1_000, None),
            _ => (AlertState::Pending, restart, None),
        };
        assert_eq!(seen(&group), Some(expected), "fires: {fires}, after {after} s");
        // Nothing is left of it for the next case.
        bench.put(restart + 15, "up", &[], 1.0);
        group.evaluate(at(restart + 15), &bench.world);
    }
}

#[test]
fn the_time_of_a_stop_does_not_count_unless_it_is_brief() {
    let rules = "rules: [{alert: A, expr: up < 1, for: 10m}, {alert: B, expr: up < 1}]";
    for (interval, slots, counts) in
        [(15, 1, true), (15, 4, true), (15, 5, false), (5, 6, true), (5, 7, false), (60, 4, true), (60, 5, false)]
    {
        let folder = tempfile::tempdir().expect("a folder");
        let mut bench = Bench::new();
        let rule = format!("groups: [{{name: g, interval: {interval}s, {rules}}}]");
        let mut group = start(&mut bench, folder.path(), &rule, 0);
        let offset = i64::try_from(slot_offset(group.spec())).expect("small");
        let slot = |number: i64| Timestamp::from_millis(number * interval * 1_000 + offset);
        let evaluate = |group: &mut Group, bench: &Bench, number: i64| {
            bench.put(slot(number).as_millis() / 1_000, "up", &[], 0.0);
            group.evaluate(slot(number), &bench.world);
        };
        evaluate(&mut group, &bench, 10);
        evaluate(&mut group, &bench, 11);
        bench.world.store.as_ref().expect("kept").tend(slot(11).plus_millis(2_000));
        bench.world.store.as_ref().expect("kept").settle();
        let restart = slot(11 + slots);
        let mut group = start(&mut bench, folder.path(), &rule, restart.as_millis() / 1_000 - 1);
        evaluate(&mut group, &bench, 11 + slots);
        let snapshot = group.snapshot();
        let since = |rule: usize| match &snapshot.rules[rule].kind {
            RuleKind::Alerting { alerts, .. } => alerts[0].active_at,
            RuleKind::Recording => panic!("an alert"),
        };
        let expected = if counts { slot(10) } else { slot(10 + slots) };
        assert_eq!((since(0), since(1)), (expected, slot(10)), "{slots} slots of {interval} s");
    }
}

#[test]
fn what_was_saved_does_not_end_while_ranges_fill() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut bench = Bench::new();
    bench.world.tolerance.settle_millis = 60_000;
    for (begin, returns) in [(0, true), (10_000, false)] {
        let mut group = start(&mut bench, folder.path(), RULE, begin);
        for seconds in [begin, begin + 15, begin + 30] {
            bench.put(seconds, "up", &[], 0.0);
            group.evaluate(at(seconds), &bench.world);
        }
        // The samples of ten minutes are missing.
        let restart = begin + 630;
        let mut group = start(&mut bench, folder.path(), RULE, restart);
        for seconds in [restart + 15, restart + 30, restart + 45] {
            group.evaluate(at(seconds), &bench.world);
            assert_eq!(seen(&group), Some((AlertState::Firing, begin, Some(begin + 30))), "{seconds}");
        }
        if returns {
            bench.put(restart + 60, "up", &[], 0.0);
            group.evaluate(at(restart + 60), &bench.world);
            assert_eq!(seen(&group), Some((AlertState::Firing, begin, Some(begin + 30))));
            bench.put(restart + 75, "up", &[], 1.0);
        }
        for seconds in (restart + 75..=restart + 120).step_by(15) {
            group.evaluate(at(seconds), &bench.world);
        }
        assert_eq!(seen(&group), None, "then it ends as any other");
    }
}

#[test]
fn what_was_kept_firing_before_a_kill_ends_in_its_time() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut bench = Bench::new();
    bench.world.tolerance.settle_millis = 60_000;
    let rule = "groups: [{name: g, interval: 15s, rules: [{alert: A, expr: up < 1, keep_firing_for: 40s}]}]";
    let mut group = start(&mut bench, folder.path(), rule, 999_999);
    for (seconds, value) in [(1_000_000, 0.0), (1_000_015, 1.0)] {
        bench.put(seconds, "up", &[], value);
        group.evaluate(at(seconds), &bench.world);
    }
    let mut group = start(&mut bench, folder.path(), rule, 1_000_020);
    let mut shown = Vec::new();
    for seconds in [1_000_030, 1_000_045, 1_000_060] {
        bench.put(seconds, "up", &[], 1.0);
        group.evaluate(at(seconds), &bench.world);
        shown.push(seen(&group).is_some());
    }
    assert_eq!(shown, [true, true, false]);
}

#[test]
fn a_clock_that_is_set_between_a_start_and_the_first_slot_counts_as_if_it_had_been_right() {
    for wrong in [-600, 0, 600, -7_200] {
        let folder = tempfile::tempdir().expect("a folder");
        let mut bench = Bench::new();
        bench.world.tolerance.settle_millis = 60_000;
        let rules = "groups: [{name: g, interval: 15s, rules: [{alert: A, expr: up < 1, for: 2m}, {alert: B, expr: up < 1}]}]";
        let mut group = start(&mut bench, folder.path(), rules, 999_999);
        for seconds in [1_000_000, 1_000_015] {
            bench.put(seconds, "up", &[], 0.0);
            group.evaluate(at(seconds), &bench.world);
        }
        bench.put(1_000_016, "up", &[], f64::from_bits(crate::model::STALE_BITS));
        let mut group = start(&mut bench, folder.path(), rules, 1_000_020 + wrong);
        let states = |group: &Group| {
            let rules = &group.snapshot().rules;
            let of = |rule: &RuleSnapshot| match &rule.kind {
                RuleKind::Alerting { alerts, .. } => alerts.first().map(|alert| (alert.state, alert.active_at)),
                RuleKind::Recording => None,
            };
            [of(&rules[0]), of(&rules[1])]
        };
        for seconds in [1_000_030, 1_000_045] {
            group.evaluate(at(seconds), &bench.world);
        }
        let since = Some(at(1_000_000));
        let [pending, firing] = states(&group);
        assert_eq!((pending.map(|(_, at)| at), firing.map(|(_, at)| at)), (since, since), "{wrong}");
        assert_eq!(
            (pending.map(|(state, _)| state), firing.map(|(state, _)| state)),
            (Some(AlertState::Pending), Some(AlertState::Firing))
        );
    }
}

#[test]
fn without_saved_state_history_tells_since_when_alerts_are_pending() {
    let rule = RULE.replace("for: 30s", "for: 30m");
    let mut bench = Bench::new();
    let mut first = Group::new(spec(&rule));
    for seconds in (0..=900).step_by(15) {
        bench.put(seconds, "up", &[("x", "1")], 0.0);
        bench.put(seconds, "up", &[("x", "2")], 1.0);
        first.evaluate(at(seconds), &bench.world);
    }
    let folder = tempfile::tempdir().expect("a folder");
    let mut group = start(&mut bench, folder.path(), &rule, 1_200);
    for seconds in [1_200, 1_215, 1_230] {
        bench.put(seconds, "up", &[("x", "1")], 0.0);
        bench.put(seconds, "up", &[("x", "2")], 0.0);
        group.evaluate(at(seconds), &bench.world);
    }
    let snapshot = group.snapshot();
    let RuleKind::Alerting { alerts, .. } = &snapshot.rules[0].kind else { panic!("an alert") };
    // Of the first one 15 of 30 minutes were over at 900 s; the stop up to the second evaluation does not count.
    assert_eq!(alerts.iter().map(|alert| alert.active_at).collect::<Vec<_>>(), [at(315), at(1_200)]);
    let written = bench.see("ALERTS_FOR_STATE");
    assert!(written[0].ends_with(" 0@900 315@1230"), "nothing is written before it is restored: {written:?}");
    assert!(written[1].ends_with(" 1200@1230"), "{written:?}");
    // A series that has ended says nothing, and one before the tolerance neither.
    bench.world.history.append(at(1_500), &first.end());
    let mut group = start(&mut bench, &folder.path().join("none"), &rule, 1_800);
    bench.put(1_800, "up", &[("x", "1")], 0.0);
    group.evaluate(at(1_800), &bench.world);
    assert_eq!(seen(&group), Some((AlertState::Pending, 1_800, None)));
}

#[test]
fn missing_data_is_what_the_configuration_says() {
    let states = |no_data: NoData, samples: &[Option<f64>]| -> Vec<Option<AlertState>> {
        let bench = Bench::new();
        let mut spec = spec(RULE);
        Arc::get_mut(&mut spec).expect("one").rules[0].overlay.no_data = no_data;
        let mut group = Group::new(spec);
        let mut states = Vec::new();
        for (round, value) in (0..).zip(samples) {
            let seconds = round * 15;
            bench.put(seconds, "up", &[("x", "1")], value.unwrap_or(f64::from_bits(crate::model::STALE_BITS)));
            group.evaluate(at(seconds), &bench.world);
            states.push(seen(&group).map(|(state, ..)| state));
        }
        states
    };
    use AlertState::{Firing, Pending};
    let (p, f) = (Some(Pending), Some(Firing));
    let pending = [Some(0.0), None, None, None, Some(0.0), Some(1.0)];
    assert_eq!(states(NoData::Resolve, &pending), [p, None, None, None, p, None]);
    assert_eq!(states(NoData::Keep, &pending), [p, p, p, p, f, f], "kept firing for 45 s");
    assert_eq!(states(NoData::Fire, &pending), [p, p, f, f, f, f]);
    let quiet = [Some(1.0), None, None, None, Some(1.0), Some(1.0), Some(1.0), Some(1.0)];
    assert_eq!(states(NoData::Keep, &quiet), [None; 8]);
    assert_eq!(states(NoData::Fire, &quiet), [None, p, p, f, f, f, f, None], "kept firing for 45 s");
}

/// The labels of what is active, in order.
fn active(group: &Group) -> Vec<String> {
    group.states[0].alerts.active().map(|(labels, _)| labels.filtered(|name| name != "alertname").to_string()).collect()
}

#[test]
fn after_a_start_nothing_is_missing_until_sources_have_had_time_to_report() {
    let rule = "groups: [{name: g, interval: 15s, rules: [{alert: A, expr: up < 1}]}]";
    let folder = tempfile::tempdir().expect("a folder");
    let mut bench = Bench::new();
    bench.world.tolerance.settle_millis = 60_000;
    let mut round = |begin: i64, rounds: i64, kill: bool| {
        let mut group = start(&mut bench, folder.path(), rule, begin);
        Arc::get_mut(&mut group.spec).expect("one").rules[0].overlay.no_data = NoData::Fire;
        let mut shown = Vec::new();
        for seconds in (1..=rounds).map(|round| begin + round * 15) {
            if !kill && seconds > begin + 75 {
                bench.put(seconds, "up", &[("x", "1")], 1.0);
            }
            group.evaluate(at(seconds), &bench.world);
            shown.push(seen(&group).map(|(state, since, _)| (state, since)));
        }
        shown
    };
    let fires = Some((AlertState::Firing, 60));
    assert_eq!(round(0, 5, true), [None, None, None, fires, fires]);
    assert_eq!(round(80, 7, false), [fires, fires, fires, fires, fires, None, None], "it goes on after a kill, and ends with data");
}

#[test]
fn what_is_measured_of_an_alert_is_known_whatever_its_value_makes_of_its_labels() {
    let severity = "{{ if gt $value 50.0 }}critical{{ else }}warning{{ end }}";
    for (no_data, host) in
        [NoData::Resolve, NoData::Keep, NoData::Fire].map(|no_data| (no_data, "{{ reReplaceAll \":.*\" \"\" $labels.x }}"))
    {
        let rule = format!("groups: [{{name: g, rules: [{{alert: A, expr: m > 10, labels: {{severity: '{severity}', x: '{host}'}}}}]}}]");
        let bench = Bench::new();
        let mut spec = spec(&rule);
        Arc::get_mut(&mut spec).expect("one").rules[0].overlay.no_data = no_data;
        let mut group = Group::new(spec);
        let mut round = |seconds: i64, value: Option<f64>| {
            bench.put(seconds, "m", &[("x", "a:1")], value.unwrap_or(f64::from_bits(crate::model::STALE_BITS)));
            bench.put(seconds, "m", &[("x", "b:1")], 1.0);
            group.evaluate(at(seconds), &bench.world);
            active(&group)
        };
        let (critical, warning) = ([r#"{severity="critical", x="a"}"#], [r#"{severity="warning", x="a"}"#]);
        assert_eq!(round(0, Some(90.0)), critical);
        assert_eq!(round(15, Some(20.0)), warning);
        let missing = round(30, None);
        assert_eq!(missing, if no_data == NoData::Resolve { &[][..] } else { &warning }, "what is measured of b is nothing of a");
        assert_eq!(round(45, Some(90.0)), critical);
        assert_eq!(round(60, Some(1.0)), [""; 0]);
        let RuleKind::Alerting { ended, .. } = group.snapshot().rules[0].kind.clone() else { panic!("an alert") };
        let of_critical: Vec<_> = ended.iter().filter(|ended| ended.labels.get("severity") == Some("critical")).collect();
        assert_eq!(of_critical.last().and_then(|ended| ended.resolved_value), Some(1.0), "{no_data:?}");
    }
}

/// The values of two series at one evaluation, and whether the agent was killed before it.
fn moments() -> impl Strategy<Value = Vec<([Option<f64>; 2], bool)>> {
    let value = || prop_oneof![Just(None), Just(Some(1.0)), Just(Some(20.0)), Just(Some(90.0))];
    proptest::collection::vec(([value(), value()], any::<bool>()), 1..12)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    /// Whatever was missing, and however often the agent was killed.
    #[test]
    fn once_everything_is_measured_only_that_is_active_whose_condition_holds(
        moments in moments(),
        no_data in prop_oneof![Just(NoData::Resolve), Just(NoData::Keep), Just(NoData::Fire)],
        whole in any::<bool>(),
        settle in prop_oneof![Just(0), Just(60)],
        hold in prop_oneof![Just(0), Just(15)],
    ) {
        let expr = if whole { "sum(m) > 10" } else { "m > 10" };
        let severity = "{{ if gt $value 50.0 }}critical{{ else }}warning{{ end }}";
        let rule = format!(
            "groups: [{{name: g, interval: 15s, rules: [{{alert: A, expr: {expr}, for: {hold}s, labels: {{severity: '{severity}'}}}}]}}]"
        );
        let folder = tempfile::tempdir().expect("a folder");
        let mut bench = Bench::new();
        bench.world.tolerance.settle_millis = settle * 1000;
        let begin = |bench: &mut Bench, seconds: i64| {
            let mut group = start(bench, folder.path(), &rule, seconds);
            Arc::get_mut(&mut group.spec).expect("one").rules[0].overlay.no_data = no_data;
            group
        };
        let (mut group, mut started) = (begin(&mut bench, -1), -1);
        let well = std::iter::repeat_n(([Some(1.0); 2], false), 6);
        let severity = |value: f64| if value > 50.0 { "critical" } else { "warning" };
        for (round, (values, kill)) in (0..).zip(moments.into_iter().chain(well)) {
            let seconds = round * 15;
            if kill {
                (group, started) = (begin(&mut bench, seconds - 1), seconds - 1);
            }
            for (x, value) in ["1", "2"].iter().zip(values) {
                bench.put(seconds, "m", &[("x", x)], value.unwrap_or(f64::from_bits(crate::model::STALE_BITS)));
            }
            group.evaluate(at(seconds), &bench.world);
            let [Some(one), Some(two)] = values else { continue };
            let mut expected = if whole {
                Some(one + two).filter(|sum| *sum > 10.0).map(|sum| format!("{{severity=\"{}\"}}", severity(sum))).into_iter().collect()
            } else {
                let high = [("1", one), ("2", two)].into_iter().filter(|(_, value)| *value > 10.0);
                high.map(|(x, value)| format!("{{severity=\"{}\", x=\"{x}\"}}", severity(value))).collect::<Vec<_>>()
            };
            expected.sort();
            if seconds >= started + settle {
                prop_assert_eq!(active(&group), expected, "at {} s", seconds);
            }
        }
    }
}

#[test]
fn a_machine_that_sleeps_and_a_clock_that_is_set_back_end_nothing_and_let_nothing_fire() {
    use AlertState::{Firing, Pending};
    let mut bench = Bench::new();
    bench.world.tolerance.settle_millis = 60_000;
    let mut group = Group::new(spec(RULE));
    let mut shown = Vec::new();
    for seconds in [0, 15] {
        bench.put(seconds, "up", &[], 0.0);
        group.evaluate(at(seconds), &bench.world);
    }
    group.clock_jumped(86_400_000, at(86_430), bench.world.tolerance);
    for seconds in [86_430, 86_445] {
        group.evaluate(at(seconds), &bench.world);
        shown.push(seen(&group));
        bench.put(seconds, "up", &[], 0.0);
    }
    group.evaluate(at(86_460), &bench.world);
    shown.push(seen(&group));
    let pending = Some((Pending, 86_400, None));
    assert_eq!(shown, [pending, Some((Firing, 86_400, Some(86_445))), Some((Firing, 86_400, Some(86_445)))]);

    let begun = clock::monotonic();
    let heed = |seconds: i64, passed| {
        let steady = begun + Duration::from_secs(passed);
        bench.history.heed(Moment { wall: at(seconds), steady });
    };
    heed(86_460, 0);
    heed(82_875, 15);
    group.clock_jumped(-3_600_000, at(82_875), bench.world.tolerance);
    group.evaluate(at(82_875), &bench.world);
    assert_eq!(seen(&group), Some((Firing, 82_800, Some(86_445))), "what was known last is seen");
    heed(82_890, 30);
    bench.put(82_890, "up", &[], 1.0);
    group.evaluate(at(82_890), &bench.world);
    heed(82_950, 90);
    group.evaluate(at(82_950), &bench.world);
    assert_eq!(seen(&group), None, "it is seen at once that it is over");
}

#[test]
fn a_clock_that_is_set_back_lets_nothing_settle_for_longer() {
    let mut group = Group::new(spec(RULE));
    let tolerance = Tolerance { settle_millis: 60_000, ..Bench::new().world.tolerance };
    group.ask_history(at(100_000), tolerance);
    group.clock_jumped(-3_600_000, at(96_430), tolerance);
    assert_eq!([96_459, 96_460].map(|seconds| group.settles(at(seconds))), [true, false]);
}

#[test]
fn what_is_over_does_not_begin_again_when_the_clock_is_set_back() {
    let bench = Bench::new();
    let rules = ["q > 10", "max_over_time(q[30s]) > 10", "increase(c[30s]) > 10"];
    let rules: Vec<String> = (0..).zip(rules).map(|(number, expr): (i32, _)| format!("{{alert: A{number}, expr: '{expr}'}}")).collect();
    let mut group = Group::new(spec(&format!("groups: [{{name: g, interval: 5s, rules: [{}]}}]", rules.join(", "))));
    let begun = clock::monotonic();
    let mut active = Vec::new();
    let mut step = |group: &mut Group, seconds: i64, passed: i64, values: Option<(f64, f64)>| {
        let steady = begun + Duration::from_secs(passed.unsigned_abs());
        bench.history.heed(Moment { wall: at(seconds), steady });
        for (name, value) in values.into_iter().flat_map(|(q, c)| [("q", q), ("c", c)]) {
            bench.put(seconds, name, &[], value);
        }
        group.evaluate(at(seconds), &bench.world);
        let is_active = |rule: &RuleSnapshot| matches!(&rule.kind, RuleKind::Alerting { alerts, .. } if !alerts.is_empty());
        active.push(group.snapshot().rules.iter().map(is_active).collect::<Vec<_>>());
    };
    for tick in 0..20 {
        // The trouble is over after 45 s.
        let (q, c) = if tick < 10 { (100.0, 20 * tick) } else { (1.0, 180 + tick) };
        step(&mut group, 1_000 + 5 * tick, 5 * tick, Some((q, f64::from(i32::try_from(c).expect("small")))));
    }
    // At 1_100 it is 1_020 again, when there was trouble. The recorder comes after the group.
    group.clock_jumped(-80_000, at(1_020), bench.world.tolerance);
    step(&mut group, 1_020, 100, None);
    step(&mut group, 1_025, 105, Some((1.0, 201.0)));
    step(&mut group, 1_030, 110, Some((100.0, 261.0)));
    assert_eq!(active[9], [true, true, true]);
    assert_eq!(active[19..22], [[false, false, false], [false, false, false], [false, false, false]]);
    assert_eq!(active[22], [true, true, true], "what is new is seen at once");
}

#[test]
fn a_clock_that_was_set_back_during_a_stop_ends_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut bench = Bench::new();
    let mut group = start(&mut bench, folder.path(), RULE, 999_999);
    for seconds in [1_000_000, 1_000_015, 1_000_030] {
        bench.put(seconds, "up", &[], 0.0);
        group.evaluate(at(seconds), &bench.world);
    }
    assert_eq!(seen(&group), Some((AlertState::Firing, 1_000_000, Some(1_000_030))));
    let mut bench = Bench::new();
    let mut group = start(&mut bench, folder.path(), RULE, 500_030);
    bench.put(500_040, "up", &[], 0.0);
    group.evaluate(at(500_040), &bench.world);
    let (state, active_at, fired_at) = seen(&group).expect("it goes on");
    assert_eq!((state, fired_at), (AlertState::Firing, Some(1_000_030)));
    // Counted from slot to slot.
    assert!((500_000..500_025).contains(&active_at), "{active_at}");
}
