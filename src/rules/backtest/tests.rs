//! Backtests over a history made up.

use std::ops::ControlFlow;
use std::sync::Arc;

use super::past::Past;
use super::*;
use crate::history::{Append, History, Query};
use crate::model::{Labels, MatchOp, Matcher, Timestamp, stale_marker};
use crate::promql::EngineConfig;
use crate::rules::file;
use crate::rules::rule::Externals;
use crate::rules::scratch::scratch;
use crate::rules::set::RuleSet;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(seconds * 1000)
}

fn rules(text: &str) -> RuleSet {
    let parsed = file::parse("f.yml", text, 10_000);
    assert!(parsed.problems.is_empty(), "{:?}", parsed.problems);
    RuleSet { groups: parsed.groups, ..RuleSet::default() }
}

/// `load` every ten seconds for an hour: 1, and 5 between 20 m and 30 m, and once at 40 m; and what other rules have written.
fn past() -> History {
    let history = scratch();
    for second in (0..3600).step_by(10) {
        let load = if (1200..1800).contains(&second) || second == 2400 { 5.0 } else { 1.0 };
        let series = |name: &str, labels: &[(&str, &str)]| Labels::from_pairs(labels.iter().copied().chain([("__name__", name)]));
        let samples = [
            (series("load", &[("instance", "a")]), load),
            (series("recorded", &[("instance", "a")]), 100.0),
            (series("ALERTS", &[("alertname", "High"), ("alertstate", "firing")]), 1.0),
            (series("ALERTS", &[("alertname", "Other"), ("alertstate", "firing")]), 1.0),
        ];
        history.append(at(second), &samples);
    }
    history
}

fn run(rules: &RuleSet, start: i64, end: i64) -> Replay {
    let start = at(start);
    let span = Span { from: start.plus_millis(-warm_up_millis(rules, &EngineConfig::default())), start, end: at(end) };
    replay(rules, None, Arc::new(past()), &EngineConfig::default(), &Externals::default(), span)
}

/// Name, pending, firing and end of each episode, in seconds since the beginning of the ten minutes.
fn shown(replay: &Replay) -> Vec<(String, i64, Option<i64>, Option<i64>)> {
    // Slots depend on the name of the group: a slot is up to ten seconds late.
    let round = |time: Timestamp| time.as_millis().div_euclid(10_000) * 10;
    let show = |episode: &Episode| {
        let name = episode.labels.get("alertname").unwrap_or_default().to_owned();
        (name, round(episode.active_at), episode.fired_at.map(round), episode.ended_at.map(round))
    };
    replay.episodes.iter().map(show).collect()
}

const HIGH: &str =
    "groups: [{name: g, rules: [{alert: High, expr: load > 3, for: 2m, keep_firing_for: 1m, annotations: {s: '{{ $value }}'}}]}]";

#[test]
fn an_alert_has_its_times_with_for_and_keep_firing_for() {
    let replay = run(&rules(HIGH), 600, 3000);
    assert_eq!(shown(&replay), [("High".to_owned(), 1200, Some(1320), Some(1860)), ("High".to_owned(), 2400, None, Some(2410)),]);
    assert_eq!(replay.episodes[0].annotations.get("s"), Some("5"));
    assert_eq!(replay.episodes[0].firing_millis(replay.span), 540_000);
    assert!(replay.failed.is_empty() && replay.evaluations > 240);
}

#[test]
fn what_is_on_at_the_start_has_begun_before_and_what_is_on_at_the_end_goes_on() {
    assert_eq!(shown(&run(&rules(HIGH), 1330, 1500)), [("High".to_owned(), 1200, Some(1320), None)]);
    assert_eq!(shown(&run(&rules(HIGH), 1870, 2000)), []);
}

#[test]
fn rules_see_what_they_record_themselves_and_not_what_others_recorded_by_that_name() {
    let text = "groups: [{name: g, rules: [{record: recorded, expr: load * 2}, {alert: Twice, expr: recorded > 9}, {alert: Old, expr: recorded > 99},
                 {alert: After, expr: 'ALERTS{alertname=\"High\"}'}, {alert: High, expr: load > 4},
                 {alert: Others, expr: 'ALERTS{alertname=\"Other\"} == 1'}]}]";
    let replay = run(&rules(text), 1100, 1500);
    let names: Vec<_> = shown(&replay).into_iter().map(|(name, ..)| name).collect();
    assert!(
        names.contains(&"Twice".to_owned()) && names.contains(&"Others".to_owned()) && names.contains(&"After".to_owned()),
        "{names:?}"
    );
    let after = replay.episodes.iter().find(|episode| episode.labels.get("alertname") == Some("After")).expect("it fires");
    assert!(after.active_at > at(1200), "not for what stood there");
    // The past before the first evaluation is there: the old values are 100.
    let old = shown(&replay).into_iter().find(|(name, ..)| name == "Old");
    assert_eq!(old, None);
}

#[test]
fn what_rules_record_themselves_is_there_for_as_long_as_they_look_back() {
    let text = "groups: [{name: g, rules: [{record: fresh, expr: load}, {alert: Low, expr: 'min_over_time(fresh[8m]) < 2'}]}]";
    assert_eq!(shown(&run(&rules(text), 1300, 1700)), [("Low".to_owned(), 780, Some(780), Some(1670))]);
}

#[test]
fn the_series_of_the_past_go_on_in_those_that_are_written_anew() {
    let set = rules("groups: [{name: g, rules: [{record: recorded, expr: load}]}]");
    let own = scratch();
    own.append(at(1010), &[(Labels::from_pairs([("__name__", "recorded"), ("instance", "a")]), 7.0)]);
    own.append(at(1020), &[(Labels::from_pairs([("__name__", "recorded"), ("instance", "a")]), stale_marker())]);
    own.append(at(1020), &[(Labels::from_pairs([("__name__", "recorded"), ("instance", "b")]), 8.0)]);
    let past = Past::new(Arc::new(past()), own, at(1000), &set);
    let matcher = Matcher::new("__name__", MatchOp::Equal, "recorded").expect("a matcher");
    let windows = past.select(std::slice::from_ref(&matcher), at(970), at(1100)).expect("readable");
    let times: Vec<Vec<i64>> =
        windows.iter().map(|window| window.samples.iter().map(|sample| sample.at.as_millis() / 1000).collect()).collect();
    assert_eq!(times, [vec![980, 990, 999, 1010, 1020], vec![1020]]);
    let mut visited = 0;
    past.visit(&[matcher], at(970), at(1100), &mut |_, _| {
        visited += 1;
        ControlFlow::Break(())
    })
    .expect("readable");
    assert_eq!(visited, 1);
}

#[test]
fn two_versions_differ_in_what_they_add_remove_and_move() {
    let old = run(&rules(HIGH), 600, 3000);
    let new = rules(&HIGH.replace("for: 2m", "for: 5m").replace("]}]", ", {alert: New, expr: load > 4}]}]"));
    let changes = difference(&old, &run(&new, 600, 3000));
    let kinds: Vec<_> = changes
        .changes
        .iter()
        .map(|change| match change {
            Change::Added(new) => ("+", new.labels.get("alertname").unwrap_or_default().to_owned()),
            Change::Removed(old) => ("-", old.labels.get("alertname").unwrap_or_default().to_owned()),
            Change::Moved { new, .. } => ("~", new.labels.get("alertname").unwrap_or_default().to_owned()),
        })
        .collect();
    let pair = |kind, name: &str| (kind, name.to_owned());
    assert_eq!(kinds, [pair("+", "New"), pair("~", "High"), pair("+", "New")]);
    let same = difference(&old, &old);
    assert_eq!((same.changes.len(), same.same), (0, 1));
    let none = difference(&old, &run(&rules("groups: []"), 600, 3000));
    assert!(matches!(none.changes.as_slice(), [Change::Removed(_)]));
}

#[test]
fn what_versions_do_before_the_time_asked_for_is_no_difference() {
    let span = Span { from: at(600), start: at(1400), end: at(1900) };
    let run = |rules: &RuleSet| replay(rules, None, Arc::new(past()), &EngineConfig::default(), &Externals::default(), span);
    let (old, new) = (run(&rules(HIGH)), run(&rules(&HIGH.replace("for: 2m", "for: 1m"))));
    assert_ne!(old.episodes[0].fired_at, new.episodes[0].fired_at);
    let difference = difference(&old, &new);
    assert_eq!((difference.changes.len(), difference.same), (0, 1), "{difference:?}");
}

#[test]
fn a_group_of_two_files_is_evaluated_at_the_same_times() {
    let of = |file: &str| RuleSet { groups: file::parse(file, HIGH, 10_000).groups, ..RuleSet::default() };
    let (old, new) = (of("old.yml"), of("new.yml"));
    let span = Span { from: at(0), start: at(600), end: at(3000) };
    let run = |rules: &RuleSet, other| replay(rules, other, Arc::new(past()), &EngineConfig::default(), &Externals::default(), span);
    let before = run(&old, None);
    assert_eq!(difference(&before, &run(&new, None)).same, 0, "by themselves they are not");
    let difference = difference(&before, &run(&new, Some(&old)));
    assert_eq!((difference.changes.len(), difference.same), (0, 1), "{difference:?}");
}

#[test]
fn a_rule_that_cannot_be_evaluated_is_named_and_counted() {
    let replay = run(&rules("groups: [{name: g, rules: [{record: r, expr: 'load + on () ALERTS'}]}]"), 600, 700);
    assert_eq!(replay.failed.len(), 1);
    assert!(replay.failed[0].times >= 10 && replay.failed[0].error.contains("many"), "{:?}", replay.failed);
}

#[test]
fn needs_are_selectors_with_their_reach() {
    let set = rules(
        "groups: [{name: g, interval: 1m, rules: [{alert: A, expr: 'rate(x_total{a=\"b\"}[10m] offset 5m) > 1 and x_total{a=\"b\"} > 0', for: 3m}]}]",
    );
    let needs = needs(&set, &EngineConfig::default());
    assert_eq!(needs.len(), 1);
    assert_eq!(needs[0].selector.to_string(), "x_total{a=\"b\"}");
    assert_eq!(needs[0].samples(3_600_000).to_string(), "x_total{a=\"b\"}[1h]");
    assert_eq!(needs[0].before_millis, 15 * 60_000);
    // 3 m for `for`, two intervals.
    assert_eq!(warm_up_millis(&set, &EngineConfig::default()), 5 * 60_000);
}
