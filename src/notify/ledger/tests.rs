//! What the ledger promises.

use proptest::prelude::*;

use super::*;
use crate::model::{AlertSnapshot, AlertState, EndedAlert, GroupSnapshot, Labels, RuleHealth, RuleKind, RuleSnapshot, RulesSnapshot};
use crate::notify::queue::tests::WALKS;
use crate::notify::store::Store;
use std::sync::Arc;

mod newcomers;

const RESEND: Option<Duration> = Some(Duration::from_mins(1));

pub(in crate::notify) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(seconds * 1000)
}

pub(in crate::notify) fn alert(name: &str, state: AlertState, since: i64) -> AlertSnapshot {
    AlertSnapshot {
        state,
        labels: Labels::from_pairs([("alertname", "A"), ("x", name)]),
        annotations: Labels::empty(),
        value: 1.0,
        active_at: at(since),
        fired_at: (state == AlertState::Firing).then(|| at(since)),
        keep_firing_since: None,
    }
}

/// One rule, evaluated at a time, with these alerts.
fn rules(evaluated: Option<i64>, health: RuleHealth, alerts: Vec<AlertSnapshot>) -> Sight {
    Sight::of(&snapshot(evaluated, health, alerts, Vec::new(), false))
}

/// The alert of a name fired from one time to another; its end was measured.
fn over(name: &str, fired: i64, resolved: i64) -> EndedAlert {
    EndedAlert {
        labels: Labels::from_pairs([("alertname", "A"), ("x", name)]),
        annotations: Labels::empty(),
        value: 1.0,
        active_at: at(fired),
        fired_at: at(fired),
        resolved_at: at(resolved),
        resolved_value: Some(0.5),
    }
}

/// The alerts of these names fire since a time, and those are over.
fn ended(evaluated: i64, alerts: &[(&str, i64)], ended: Vec<EndedAlert>) -> Sight {
    let alerts = alerts.iter().map(|(name, since)| alert(name, AlertState::Firing, *since)).collect();
    Sight::of(&snapshot(Some(evaluated), RuleHealth::Ok, alerts, ended, false))
}

pub(in crate::notify) fn snapshot(
    evaluated: Option<i64>,
    health: RuleHealth,
    alerts: Vec<AlertSnapshot>,
    ended: Vec<EndedAlert>,
    settling: bool,
) -> RulesSnapshot {
    let rule = RuleSnapshot {
        name: "A".into(),
        query: "up == 0".into(),
        labels: Labels::empty(),
        annotations: Labels::empty(),
        health,
        last_evaluation: evaluated.map(at),
        evaluation_seconds: 0.0,
        kind: RuleKind::Alerting {
            for_millis: 0,
            keep_firing_for_millis: 0,
            threshold: None,
            alerts,
            ended,
            owner: Some("ops".into()),
            weight: None,
        },
    };
    let group = GroupSnapshot {
        name: "g".into(),
        file: "f".into(),
        interval_millis: 5000,
        limit: 0,
        last_evaluation: evaluated.map(at),
        evaluation_seconds: 0.0,
        settling,
        rules: vec![rule],
    };
    RulesSnapshot { groups: vec![Arc::new(group)], load_errors: Vec::new() }
}

/// The alerts of these names fire since a time.
fn firing(evaluated: i64, alerts: &[(&str, i64)]) -> Sight {
    rules(Some(evaluated), RuleHealth::Ok, alerts.iter().map(|(name, since)| alert(name, AlertState::Firing, *since)).collect())
}

fn ledger(targets: &[&str]) -> (Ledger, Vec<Record>, Vec<String>) {
    let mut ledger = Ledger::default();
    let names: Vec<String> = targets.iter().map(|name| (*name).to_owned()).collect();
    let steps = ledger.target(&names.iter().cloned().collect(), &BTreeSet::new(), at(0));
    (ledger, steps, names)
}

fn phases(ledger: &Ledger, target: &str, now: i64) -> Vec<(Id, Phase)> {
    ledger.batch(target, at(now), None, |_, _| false)
}

#[test]
fn what_fires_and_what_resolves_is_told_once_to_everyone() {
    let (mut ledger, _, to) = ledger(&["a", "b"]);
    ledger.observe(&firing(5, &[("x", 5)]), &to, at(5));
    ledger.observe(&firing(10, &[("x", 5)]), &to, at(10));
    assert_eq!([phases(&ledger, "a", 10), phases(&ledger, "b", 10)], [[(0, Phase::Firing)], [(0, Phase::Firing)]]);
    ledger.told("a", &[(0, Phase::Firing)], at(10));
    ledger.observe(&firing(15, &[]), &to, at(15));
    assert_eq!(phases(&ledger, "a", 15), [(0, Phase::Resolved)]);
    assert_eq!(phases(&ledger, "b", 15), [(0, Phase::Firing)], "the beginning before the end");
    let life = ledger.life(0).expect("known");
    assert_eq!((life.starts_at, life.ends_at), (at(5), Some(at(15))));
    ledger.told("a", &[(0, Phase::Resolved)], at(15));
    ledger.told("b", &[(0, Phase::Firing)], at(20));
    assert_eq!(phases(&ledger, "b", 20), [], "not in the same breath");
    assert_eq!(phases(&ledger, "b", 21), [(0, Phase::Resolved)]);
    assert_eq!(phases(&ledger, "a", 21), []);
}

/// A group whose file was moved: its alerts are others to us, and the same to whoever is told.
#[test]
fn the_end_of_an_alert_that_fires_in_another_group_is_not_told() {
    let (mut ledger, _, to) = ledger(&["a"]);
    let moved = |evaluated: i64, alerts: &[&str]| {
        let alerts = alerts.iter().map(|name| alert(name, AlertState::Firing, 5)).collect();
        let mut snapshot = snapshot(Some(evaluated), RuleHealth::Ok, alerts, Vec::new(), false);
        Arc::make_mut(&mut snapshot.groups[0]).file = "moved".into();
        Sight::of(&snapshot)
    };
    ledger.observe(&firing(0, &[("x", 0), ("y", 0)]), &to, at(0));
    ledger.told("a", &[(0, Phase::Firing), (1, Phase::Firing)], at(0));
    ledger.observe(&moved(5, &["x"]), &to, at(5));
    assert_eq!(phases(&ledger, "a", 6), [(2, Phase::Firing), (1, Phase::Resolved)]);
    ledger.told("a", &[(1, Phase::Resolved), (2, Phase::Firing)], at(6));
    ledger.observe(&moved(90, &["x"]), &to, at(90));
    assert_eq!(ledger.batch("a", at(90), RESEND, |_, _| false), [(1, Phase::Resolved), (2, Phase::Firing)]);
    ledger.observe(&moved(100, &[]), &to, at(100));
    assert_eq!(phases(&ledger, "a", 100), [(0, Phase::Resolved), (2, Phase::Resolved)]);
}

#[test]
fn an_end_is_not_told_while_another_group_has_the_alert_also_where_it_has_begun_again() {
    let (mut ledger, _, to) = ledger(&["a"]);
    let both = |evaluated: i64, first: Option<i64>, second: Option<i64>| {
        let group = |file: &str, since: Option<i64>| {
            let alerts = since.map(|since| alert("x", AlertState::Firing, since)).into_iter().collect();
            let group = snapshot(Some(evaluated), RuleHealth::Ok, alerts, Vec::new(), false).groups.remove(0);
            Arc::new(GroupSnapshot { file: file.into(), ..(*group).clone() })
        };
        Sight::of(&RulesSnapshot { groups: vec![group("f", first), group("g", second)], load_errors: Vec::new() })
    };
    ledger.observe(&both(5, Some(5), Some(5)), &to, at(5));
    ledger.told("a", &[(0, Phase::Firing), (1, Phase::Firing)], at(5));
    ledger.observe(&both(10, Some(5), None), &to, at(10));
    ledger.observe(&both(15, Some(5), Some(15)), &to, at(15));
    assert_eq!(phases(&ledger, "a", 15), [], "one goes on");
    ledger.observe(&both(20, None, Some(15)), &to, at(20));
    assert_eq!(phases(&ledger, "a", 20), [(1, Phase::Resolved), (0, Phase::Resolved)], "it has not heard that one fires again");
    ledger.told("a", &[(0, Phase::Resolved), (1, Phase::Resolved)], at(20));
    assert_eq!(phases(&ledger, "a", 21), [(2, Phase::Firing)]);
    ledger.told("a", &[(2, Phase::Firing)], at(21));
    // Both begin again before anyone hears of an end: neither waits for the other.
    ledger.observe(&both(25, Some(25), Some(15)), &to, at(25));
    ledger.told("a", &[(3, Phase::Firing)], at(25));
    ledger.observe(&both(30, None, None), &to, at(30));
    ledger.observe(&both(35, Some(35), Some(35)), &to, at(35));
    assert_eq!(phases(&ledger, "a", 35), [(3, Phase::Resolved), (2, Phase::Resolved)]);
    ledger.told("a", &[(3, Phase::Resolved), (2, Phase::Resolved)], at(35));
    assert_eq!(phases(&ledger, "a", 36), [(4, Phase::Firing), (5, Phase::Firing)]);
}

#[test]
fn an_alertmanager_is_told_again_while_the_rule_says_so_and_for_a_while_after_the_end() {
    let (mut ledger, _, to) = ledger(&["a"]);
    ledger.observe(&firing(0, &[("x", 0)]), &to, at(0));
    ledger.told("a", &[(0, Phase::Firing)], at(0));
    assert_eq!(ledger.batch("a", at(60), RESEND, |_, _| false), [], "nobody has looked since");
    ledger.observe(&firing(55, &[("x", 0)]), &to, at(55));
    assert_eq!(ledger.batch("a", at(59), RESEND, |_, _| false), []);
    assert_eq!(ledger.batch("a", at(60), RESEND, |_, _| false), [(0, Phase::Firing)]);
    ledger.told("a", &[(0, Phase::Firing)], at(60));
    ledger.observe(&firing(100, &[]), &to, at(100));
    ledger.told("a", &ledger.batch("a", at(100), RESEND, |_, _| false), at(100));
    assert_eq!(ledger.batch("a", at(160), RESEND, |_, _| false), [(0, Phase::Resolved)]);
    ledger.prune(at(100 + 901));
    assert_eq!(ledger.batch("a", at(1001), RESEND, |_, _| false), []);
    assert!(ledger.life(0).is_none());
}

#[test]
fn what_waits_is_not_forgotten_however_long_it_takes() {
    let (mut ledger, _, to) = ledger(&["a"]);
    ledger.observe(&firing(5, &[("x", 5)]), &to, at(5));
    ledger.observe(&firing(10, &[]), &to, at(10));
    ledger.prune(at(1_000_000));
    assert_eq!(phases(&ledger, "a", 1_000_000), [(0, Phase::Firing)]);
}

#[test]
fn an_alert_ends_only_where_its_rule_has_said_so() {
    let (mut ledger, _, to) = ledger(&["a"]);
    ledger.observe(&firing(5, &[("x", 5)]), &to, at(5));
    let silent = [
        rules(Some(10), RuleHealth::Err("no".into()), vec![]),
        rules(None, RuleHealth::Unknown, vec![]),
        Sight::of(&RulesSnapshot { groups: vec![], load_errors: vec!["f: no".into()] }),
        firing(5, &[]),
    ];
    for sight in silent {
        assert_eq!(ledger.observe(&sight, &to, at(20)), [], "{sight:?}");
    }
    let steps = ledger.observe(&Sight::of(&RulesSnapshot::default()), &to, at(20));
    assert_eq!(steps, [Record::Resolved { id: 0, ends_at: 20_000, value: None, to: to.clone() }], "its rule was taken away");
    let (mut ledger, _, _) = self::ledger(&["a"]);
    ledger.observe(&firing(5, &[("x", 5)]), &to, at(5));
    let steps = ledger.observe(&rules(Some(10), RuleHealth::Unwritten("no".into()), vec![]), &to, at(20));
    assert_eq!(
        steps,
        [Record::Resolved { id: 0, ends_at: 10_000, value: None, to }],
        "it was evaluated, though history refuses its series"
    );
}

#[test]
fn after_a_restart_an_alert_that_is_pending_again_goes_on_with_its_true_beginning() {
    let (mut first, mut steps, to) = ledger(&["a"]);
    steps.extend(first.observe(&firing(5, &[("x", 5)]), &to, at(5)));
    steps.extend(first.told("a", &[(0, Phase::Firing)], at(6)));
    let mut ledger = Ledger::replay(steps);
    assert_eq!(ledger.observe(&rules(None, RuleHealth::Unknown, vec![]), &to, at(50)), []);
    let pending = rules(Some(55), RuleHealth::Ok, vec![alert("x", AlertState::Pending, 55)]);
    assert_eq!(ledger.observe(&pending, &to, at(55)), []);
    assert_eq!(ledger.observe(&firing(60, &[("x", 60)]), &to, at(60)), []);
    assert_eq!(ledger.life(0).map(|life| (life.starts_at, life.seen_at)), Some((at(5), Some(at(60)))));
    assert_eq!(ledger.observe(&firing(65, &[("x", 60)]), &to, at(65)), []);
    // From now on another beginning is another alert.
    ledger.observe(&firing(90, &[("x", 90)]), &to, at(90));
    assert_eq!(phases(&ledger, "a", 95), [(0, Phase::Resolved)]);
    ledger.told("a", &[(0, Phase::Resolved)], at(95));
    assert_eq!(phases(&ledger, "a", 95), [(1, Phase::Firing)]);
}

/// Which alerts end by these steps, when, and with which value.
fn ends(steps: &[Record]) -> Vec<(Id, i64, Option<&str>)> {
    let end = |step| match step {
        &Record::Resolved { id, ends_at, ref value, .. } => Some((id, ends_at / 1000, value.as_deref())),
        _ => None,
    };
    steps.iter().filter_map(end).collect()
}

#[test]
fn while_the_rules_settle_what_fired_before_is_not_taken_for_over() {
    let (mut first, mut steps, to) = ledger(&["a"]);
    steps.extend(first.observe(&firing(5, &[("x", 5), ("y", 5)]), &to, at(5)));
    let mut ledger = Ledger::replay(steps);
    let settling = |evaluated: i64, names: &[&str]| {
        let alerts = names.iter().map(|name| alert(name, AlertState::Firing, 5)).collect();
        Sight::of(&snapshot(Some(evaluated), RuleHealth::Ok, alerts, vec![], true))
    };
    assert_eq!(ledger.observe(&settling(55, &[]), &to, at(55)), []);
    assert_eq!(ledger.observe(&settling(60, &["x"]), &to, at(60)), []);
    assert_eq!(ends(&ledger.observe(&settling(65, &[]), &to, at(65))), [(0, 65, None)], "what was seen ends at once");
    assert_eq!(ends(&ledger.observe(&firing(70, &[]), &to, at(70))), [(1, 70, None)]);
}

#[test]
fn an_end_is_told_with_its_time_its_value_and_whose_it_is() {
    let (mut ledger, mut disk, to) = ledger(&["a"]);
    disk.extend(ledger.observe(&firing(5, &[("x", 5)]), &to, at(5)));
    disk.extend(ledger.told("a", &[(0, Phase::Firing)], at(5)));
    // Nobody has looked for a while.
    disk.extend(ledger.observe(&ended(20, &[], vec![over("x", 5, 10)]), &to, at(20)));
    let told = |ledger: &Ledger| ledger.life(0).map(|life| (life.ends_at, life.resolved_value, life.owner.clone()));
    assert_eq!(told(&ledger), Some((Some(at(10)), Some(0.5), Some("ops".into()))));
    assert_eq!(phases(&ledger, "a", 20), [(0, Phase::Resolved)]);
    assert_eq!(told(&Ledger::replay(disk)), told(&ledger));
    assert_eq!(told(&Ledger::replay(ledger.records())), told(&ledger));
}

#[test]
fn what_begins_and_ends_between_two_looks_is_told_once() {
    let (mut ledger, _, to) = ledger(&["a"]);
    // One that fires goes out and comes back, one is new and over.
    ledger.observe(&firing(5, &[("x", 5)]), &to, at(5));
    ledger.told("a", &[(0, Phase::Firing)], at(5));
    let sight = ended(20, &[("x", 15)], vec![over("x", 5, 10), over("y", 10, 15)]);
    ledger.observe(&sight, &to, at(20));
    assert_eq!(phases(&ledger, "a", 20), [(0, Phase::Resolved), (1, Phase::Firing)], "one thing of an alert at a time");
    ledger.told("a", &phases(&ledger, "a", 20), at(20));
    assert_eq!(phases(&ledger, "a", 21), [(1, Phase::Resolved), (2, Phase::Firing)]);
    let times = |id| ledger.life(id).map(|life| (life.starts_at, life.ends_at));
    assert_eq!([times(0), times(1), times(2)], [Some((at(5), Some(at(10)))), Some((at(10), Some(at(15)))), Some((at(15), None))]);
    // It is there to be seen for a while.
    assert_eq!(ledger.observe(&sight, &to, at(21)), []);
    ledger.told("a", &phases(&ledger, "a", 21), at(21));
    ledger.prune(at(15 + 901));
    assert_eq!(ledger.observe(&sight, &to, at(15 + 901)), [], "also where it is for longer than that");
    ledger.observe(&firing(920, &[("x", 15)]), &to, at(920));
    ledger.prune(at(920));
    assert!(ledger.life(1).is_none() && ledger.life(0).is_none());
}

#[test]
fn what_was_over_before_a_target_was_there_is_not_for_it() {
    let (mut ledger, _, _) = ledger(&[]);
    ledger.target(&["b".to_owned()].into(), &BTreeSet::new(), at(12));
    let b = ["b".to_owned()];
    ledger.observe(&ended(20, &[], vec![over("x", 5, 10), over("y", 5, 15)]), &b, at(20));
    ledger.target(&["b", "c"].map(str::to_owned).into(), &BTreeSet::new(), at(22));
    ledger.observe(&ended(25, &[], vec![over("x", 5, 10), over("y", 5, 15), over("z", 24, 25)]), &["b", "c"].map(str::to_owned), at(25));
    let names = |target| {
        phases(&ledger, target, 25).iter().filter_map(|(id, _)| ledger.life(*id)?.key.labels.get("x").map(str::to_owned)).collect()
    };
    let of: [Vec<String>; 2] = [names("b"), names("c")];
    assert_eq!(of, [vec!["y".to_owned(), "z".to_owned()], vec!["z".to_owned()]]);
}

#[test]
fn an_alertmanager_is_not_told_again_of_an_end_once_the_alert_has_begun_anew() {
    let (mut ledger, _, to) = ledger(&["a"]);
    let mut told = Vec::new();
    for (now, alerts, over_by_then) in [
        (0, vec![("x", 0)], vec![]),
        (10, vec![], vec![over("x", 0, 10)]),
        (20, vec![("x", 20)], vec![over("x", 0, 10)]),
        (75, vec![("x", 20)], vec![over("x", 0, 10)]),
        (85, vec![("x", 20)], vec![over("x", 0, 10)]),
    ] {
        ledger.observe(&ended(now, &alerts, over_by_then), &to, at(now));
        let batch = ledger.batch("a", at(now), RESEND, |_, _| false);
        ledger.told("a", &batch, at(now));
        told.push(batch);
    }
    use Phase::{Firing, Resolved};
    assert_eq!(told, [vec![(0, Firing)], vec![(0, Resolved)], vec![(1, Firing)], vec![], vec![(1, Firing)]]);
}

#[test]
fn a_look_shows_what_is_new_since_the_last_one() {
    let group = |name: &str, evaluated: i64| {
        let group = snapshot(Some(evaluated), RuleHealth::Ok, vec![], vec![], false).groups[0].clone();
        Arc::new(GroupSnapshot { name: name.into(), ..(*group).clone() })
    };
    let seen = |sight: &Sight| (sight.views().map(|view| view.group).collect::<Vec<_>>(), sight.all.as_ref().map(BTreeSet::len));
    let (a, b) = (group("a", 5), group("b", 5));
    let rules = |groups: &[&Arc<GroupSnapshot>], errors: &[&str]| RulesSnapshot {
        groups: groups.iter().map(|group| Arc::clone(group)).collect(),
        load_errors: errors.iter().map(|error| (*error).to_owned()).collect(),
    };
    let first = rules(&[&a, &b], &[]);
    assert_eq!(seen(&Sight::since(&RulesSnapshot::default(), &first)), (vec!["f;a".into(), "f;b".into()], Some(2)));
    assert_eq!(seen(&Sight::since(&first, &first)), (vec![], None));
    assert_eq!(seen(&Sight::since(&first, &rules(&[&a, &group("b", 10)], &[]))), (vec!["f;b".into()], None));
    assert_eq!(seen(&Sight::since(&first, &rules(&[&a], &[]))), (vec!["f;a".into()], Some(1)));
    assert_eq!(seen(&Sight::since(&first, &rules(&[&a], &["f: no"]))), (vec!["f;a".into()], None));
}

#[test]
fn no_end_goes_through_all_that_waits() {
    const ALERTS: usize = 10_000;
    let (mut ledger, _, to) = ledger(&["a", "b"]);
    let names: Vec<String> = (0..ALERTS).map(|number| number.to_string()).collect();
    let alerts: Vec<_> = names.iter().map(|name| (name.as_str(), 5)).collect();
    ledger.observe(&firing(5, &alerts), &to, at(5));
    let walks = || WALKS.with(std::cell::Cell::get);
    let before = walks();
    ledger.observe(&firing(10, &[]), &to, at(10));
    assert_eq!((ledger.waiting("a"), walks() - before), (2 * ALERTS, 0));
}

#[test]
fn an_alert_ends_also_where_the_clock_was_set_back() {
    let (mut ledger, _, to) = ledger(&["a"]);
    ledger.observe(&firing(5000, &[("x", 5000)]), &to, at(5000));
    ledger.told("a", &[(0, Phase::Firing)], at(5000));
    assert_eq!(ends(&ledger.observe(&firing(1000, &[]), &to, at(1000))), [(0, 1000, None)]);
    assert_eq!(phases(&ledger, "a", 1000), [(0, Phase::Resolved)]);
}

#[test]
fn in_need_a_fallback_is_told_of_what_nobody_knows_and_of_its_end() {
    let (mut ledger, _, _) = ledger(&["a", "need"]);
    let a = ["a".to_owned()];
    ledger.observe(&firing(5, &[("told", 5), ("short", 5), ("long", 5)]), &a, at(5));
    ledger.told("a", &[(0, Phase::Firing)], at(5));
    ledger.observe(&firing(10, &[("long", 5)]), &a, at(10));
    ledger.relieve("need", &a);
    assert_eq!(ledger.relieve("need", &a), [], "once");
    assert_eq!(phases(&ledger, "need", 10), [(1, Phase::Firing), (2, Phase::Firing)]);
    ledger.told("need", &[(1, Phase::Firing), (2, Phase::Firing)], at(10));
    ledger.observe(&firing(15, &[]), &a, at(15));
    assert_eq!(phases(&ledger, "need", 15), [(1, Phase::Resolved), (2, Phase::Resolved)]);
}

#[test]
fn a_full_queue_gives_up_what_is_over_first() {
    let (mut ledger, _, to) = ledger(&["a"]);
    ledger.observe(&firing(5, &[("0", 5)]), &to, at(5));
    ledger.observe(&firing(10, &[("0", 5), ("1", 10), ("2", 10)]), &to, at(10));
    ledger.observe(&firing(15, &[("0", 5), ("2", 10)]), &to, at(15));
    // 0 fires, 1 has fired and resolved, 2 fires.
    assert_eq!(ledger.bound("a", 4, &[]), []);
    ledger.bound("a", 3, &[]);
    assert_eq!(phases(&ledger, "a", 20), [(0, Phase::Firing), (2, Phase::Firing)]);
    ledger.bound("a", 1, &[]);
    assert_eq!(phases(&ledger, "a", 20), [(2, Phase::Firing)]);
    // Nobody hears of the end of what they have not heard of.
    ledger.observe(&firing(25, &[]), &to, at(25));
    assert_eq!(ledger.waiting("a"), 2);
}

#[test]
fn a_batch_has_at_most_so_many_alerts() {
    let (mut ledger, _, to) = ledger(&["a"]);
    let names: Vec<String> = (0..300).map(|number| number.to_string()).collect();
    let alerts: Vec<_> = names.iter().map(|name| (name.as_str(), 5)).collect();
    ledger.observe(&firing(5, &alerts), &to, at(5));
    ledger.told("a", &phases(&ledger, "a", 5), at(5));
    ledger.observe(&firing(65, &alerts), &to, at(65));
    assert_eq!(ledger.batch("a", at(65), RESEND, |_, _| false).len(), BATCH_MAX);
    ledger.told("a", &phases(&ledger, "a", 65), at(65));
    assert_eq!(phases(&ledger, "a", 65).len(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]
    /// With a target that takes, loses answers and is cut off at random, and an agent that is killed at random: every alert
    /// that fired is told, its beginning before its end, with its true times.
    #[test]
    fn nothing_that_fired_is_lost(
        rounds in proptest::collection::vec((any::<[bool; 3]>(), 0_u8..4, 0_u8..8), 1..60),
    ) {
        let (mut ledger, mut disk, to) = ledger(&["a"]);
        let mut since: [Option<i64>; 3] = [None; 3];
        let mut fired: Vec<(usize, i64, Option<i64>)> = Vec::new();
        let mut told: Vec<(Labels, Timestamp, Phase, Option<Timestamp>)> = Vec::new();
        let deliver = |ledger: &mut Ledger, told: &mut Vec<_>, now: i64, answered: bool| {
            let what = ledger.batch("a", at(now), None, |_, _| false);
            told.extend(what.iter().filter_map(|(id, phase)| {
                let life = ledger.life(*id)?;
                Some((life.key.labels.clone(), life.starts_at, *phase, life.ends_at))
            }));
            if answered { ledger.told("a", &what, at(now)) } else { Vec::new() }
        };
        let mut now = 0;
        for (holds, receiver, agent) in rounds {
            now += 5;
            for (place, hold) in holds.into_iter().enumerate() {
                match (hold, since[place]) {
                    (true, None) => { since[place] = Some(now); fired.push((place, now, None)); }
                    (false, Some(_)) => {
                        since[place] = None;
                        if let Some(one) = fired.iter_mut().rev().find(|(of, ..)| *of == place) { one.2 = Some(now); }
                    }
                    _ => {}
                }
            }
            let alerts: Vec<_> = since.iter().zip(["0", "1", "2"]).filter_map(|(since, name)| Some((name, (*since)?))).collect();
            disk.extend(ledger.observe(&firing(now, &alerts), &to, at(now)));
            match receiver {
                0 => {} // cut off
                1 => disk.extend(deliver(&mut ledger, &mut told, now, false)), // the answer is lost
                _ => disk.extend(deliver(&mut ledger, &mut told, now, true)),
            }
            if agent == 0 {
                ledger = Ledger::replay(std::mem::take(&mut disk));
                disk = ledger.records();
                // What the rules restore.
                ledger.observe(&firing(now, &alerts), &to, at(now));
            }
        }
        while ledger.waiting("a") > 0 {
            now += 5;
            deliver(&mut ledger, &mut told, now, true);
        }
        // Of one alert everything in the order in which it happened, and twice only where an answer was lost.
        for place in ["0", "1", "2"] {
            let mine = told.iter().filter(|(labels, ..)| labels.get("x") == Some(place));
            let mut order: Vec<_> = mine.map(|(_, from, what, _)| (*from, *what)).collect();
            order.dedup();
            prop_assert!(order.is_sorted(), "{order:?}");
        }
        for (place, starts, ends) in fired {
            let mine = |phase: Phase| told.iter().position(|(labels, from, what, _)| {
                labels.get("x") == Some(&place.to_string()) && *from == at(starts) && *what == phase
            });
            let begun = mine(Phase::Firing);
            prop_assert!(begun.is_some(), "{place} since {starts} was not told");
            if let Some(ends) = ends {
                let ended = mine(Phase::Resolved).expect("the end was not told");
                prop_assert!(begun < Some(ended));
                prop_assert_eq!(told[ended].3, Some(at(ends)));
            }
        }
    }
}

#[test]
fn of_what_is_held_back_nobody_is_told_that_it_begins() {
    let (mut ledger, _, to) = ledger(&["a"]);
    let all = |_: Id, _: &Life| true;
    ledger.observe(&firing(10, &[("told", 10)]), &to, at(10));
    ledger.told("a", &[(0, Phase::Firing)], at(10));
    ledger.observe(&firing(20, &[("told", 10), ("held", 20), ("short", 20)]), &to, at(20));
    assert_eq!(ledger.batch("a", at(20), RESEND, all), []);
    assert_eq!(ledger.batch("a", at(20), RESEND, |_, life| life.key.labels.get("x") == Some("held")), [(2, Phase::Firing)]);
    assert_eq!(ledger.batch("a", at(80), RESEND, all), [(0, Phase::Firing)], "what was told before goes on");
    assert_eq!(ledger.pass_over("a", &[], all), [], "all of it fires");

    ledger.observe(&firing(90, &[("held", 20)]), &to, at(90));
    assert_eq!(ledger.batch("a", at(91), RESEND, all), [(0, Phase::Resolved)], "what was told before ends");
    assert_eq!(ledger.pass_over("a", &[], |_, _| false), []);
    assert_eq!(ledger.pass_over("a", &[2], all), [], "it may know in a moment");
    let steps = ledger.pass_over("a", &[], all);
    assert_eq!(steps, [Record::Dropped { target: "a".into(), what: vec![(2, Phase::Firing), (2, Phase::Resolved)] }]);
    // Held back no longer: the one that still fires is told of, with its true beginning.
    assert_eq!(ledger.batch("a", at(91), RESEND, |_, _| false), [(1, Phase::Firing), (0, Phase::Resolved)]);
    assert_eq!(ledger.life(1).map(|life| life.starts_at), Some(at(20)));
}

#[test]
fn a_thousand_alerts_that_come_and_go_leave_a_ledger_and_a_file_of_their_size() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut store = Store::open(folder.path()).expect("a folder");
    let (mut ledger, _, to) = ledger(&["a", "cut off"]);
    let names: Vec<String> = (0..1000).map(|number| number.to_string()).collect();
    store.replace(&ledger.records()).expect("room");
    let (mut lives, mut bytes) = (0, 0);
    for round in 1..=40 {
        let now = round * 15;
        let fires = round % 2 == 1;
        let alerts: Vec<_> = names.iter().filter(|_| fires).map(|name| (name.as_str(), now)).collect();
        let gone = names.iter().filter(|_| !fires).map(|name| over(name, now - 15, now)).collect();
        let mut steps = ledger.observe(&ended(now, &alerts, gone), &to, at(now));
        while ledger.waiting("a") > 0 {
            let batch = phases(&ledger, "a", now + 1);
            steps.extend(ledger.told("a", &batch, at(now)));
        }
        steps.extend(ledger.bound("cut off", 1500, &[]));
        ledger.prune(at(now));
        if store.is_due() { store.replace(&ledger.records()) } else { store.append(&steps) }.expect("room");
        lives = lives.max(ledger.records().iter().filter(|record| matches!(record, Record::Fired { .. })).count());
        bytes = bytes.max(std::fs::metadata(folder.path().join("notify/ledger")).expect("a file").len());
    }
    assert_eq!(ledger.waiting("cut off"), 1500);
    assert!(lives <= 3_500, "what waits, and the last life of each: {lives}");
    assert!(bytes < 4 << 20, "{bytes}");
}
