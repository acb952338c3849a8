//! What the ledger promises.

use proptest::prelude::*;

use super::*;
use crate::model::{AlertSnapshot, AlertState, GroupSnapshot, Labels, RuleHealth, RuleKind, RuleSnapshot, RulesSnapshot};
use std::sync::Arc;

const RESEND: Option<Duration> = Some(Duration::from_mins(1));

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(seconds * 1000)
}

fn alert(name: &str, state: AlertState, since: i64) -> AlertSnapshot {
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
    let rule = RuleSnapshot {
        name: "A".into(),
        query: "up == 0".into(),
        labels: Labels::empty(),
        annotations: Labels::empty(),
        health,
        last_evaluation: evaluated.map(at),
        evaluation_seconds: 0.0,
        kind: RuleKind::Alerting { for_millis: 0, keep_firing_for_millis: 0, threshold: None, alerts, owner: None, weight: None },
    };
    let group = GroupSnapshot {
        name: "g".into(),
        file: "f".into(),
        interval_millis: 5000,
        limit: 0,
        last_evaluation: evaluated.map(at),
        evaluation_seconds: 0.0,
        rules: vec![rule],
    };
    Sight::of(&RulesSnapshot { groups: vec![Arc::new(group)], load_errors: Vec::new() })
}

/// The alerts of these names fire since a time.
fn firing(evaluated: i64, alerts: &[(&str, i64)]) -> Sight {
    rules(Some(evaluated), RuleHealth::Ok, alerts.iter().map(|(name, since)| alert(name, AlertState::Firing, *since)).collect())
}

fn ledger(targets: &[&str]) -> (Ledger, Vec<Record>, Vec<String>) {
    let mut ledger = Ledger::default();
    let names: Vec<String> = targets.iter().map(|name| (*name).to_owned()).collect();
    let steps = ledger.target(&names.iter().cloned().collect(), &BTreeSet::new());
    (ledger, steps, names)
}

fn phases(ledger: &Ledger, target: &str, now: i64) -> Vec<(Id, Phase)> {
    ledger.batch(target, at(now), None)
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

#[test]
fn an_alertmanager_is_told_again_while_the_rule_says_so_and_for_a_while_after_the_end() {
    let (mut ledger, _, to) = ledger(&["a"]);
    ledger.observe(&firing(0, &[("x", 0)]), &to, at(0));
    ledger.told("a", &[(0, Phase::Firing)], at(0));
    assert_eq!(ledger.batch("a", at(60), RESEND), [], "nobody has looked since");
    ledger.observe(&firing(55, &[("x", 0)]), &to, at(55));
    assert_eq!(ledger.batch("a", at(59), RESEND), []);
    assert_eq!(ledger.batch("a", at(60), RESEND), [(0, Phase::Firing)]);
    ledger.told("a", &[(0, Phase::Firing)], at(60));
    ledger.observe(&firing(100, &[]), &to, at(100));
    ledger.told("a", &ledger.batch("a", at(100), RESEND), at(100));
    assert_eq!(ledger.batch("a", at(160), RESEND), [(0, Phase::Resolved)]);
    ledger.prune(at(100 + 901));
    assert_eq!(ledger.batch("a", at(1001), RESEND), []);
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
    assert_eq!(steps, [Record::Resolved { id: 0, ends_at: 20_000, to }], "its rule was taken away");
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
    assert_eq!(phases(&ledger, "a", 95), [(0, Phase::Resolved), (1, Phase::Firing)]);
}

#[test]
fn after_a_restart_the_first_evaluations_do_not_count_as_an_end() {
    let (mut first, mut steps, to) = ledger(&["a"]);
    steps.extend(first.observe(&firing(5, &[("x", 5), ("y", 5)]), &to, at(5)));
    let mut ledger = Ledger::replay(steps);
    ledger.begin(at(50));
    assert_eq!(ledger.observe(&firing(55, &[]), &to, at(55)), []);
    assert_eq!(ledger.observe(&firing(60, &[("x", 60)]), &to, at(60)), []);
    let ends = |steps: &[Record]| {
        steps
            .iter()
            .filter_map(|step| if let Record::Resolved { id, ends_at, .. } = step { Some((*id, *ends_at)) } else { None })
            .collect::<Vec<_>>()
    };
    assert_eq!(ends(&ledger.observe(&firing(65, &[]), &to, at(65))), [(0, 65_000)], "what was seen ends at once");
    assert_eq!(ends(&ledger.observe(&firing(80, &[]), &to, at(80))), [(1, 80_000)]);
}

#[test]
fn a_target_that_is_new_is_told_of_what_fires_and_one_that_is_gone_waits_for_nothing() {
    let (mut ledger, _, to) = ledger(&["a"]);
    ledger.observe(&firing(5, &[("x", 5), ("y", 5)]), &to, at(5));
    ledger.observe(&firing(10, &[("y", 5)]), &to, at(10));
    let names: BTreeSet<String> = ["b", "need"].map(str::to_owned).into();
    ledger.target(&names, &["need".to_owned()].into());
    assert_eq!(
        [phases(&ledger, "a", 20), phases(&ledger, "b", 20), phases(&ledger, "need", 20)],
        [vec![], vec![(1, Phase::Firing)], vec![]]
    );
    assert_eq!(ledger.waiting("a"), 0);
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
    assert_eq!(ledger.bound("a", 4), []);
    ledger.bound("a", 3);
    assert_eq!(phases(&ledger, "a", 20), [(0, Phase::Firing), (2, Phase::Firing)]);
    ledger.bound("a", 1);
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
    assert_eq!(ledger.batch("a", at(65), RESEND).len(), BATCH_MAX);
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
            let what = ledger.batch("a", at(now), None);
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
        for _ in 0..2 {
            now += 5;
            deliver(&mut ledger, &mut told, now, true);
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
