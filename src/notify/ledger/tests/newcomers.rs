//! Targets that come and go: what they are told of what was before.

use super::*;

#[test]
fn a_target_that_is_new_is_told_of_what_fires_and_one_that_is_gone_waits_for_nothing() {
    let (mut ledger, _, to) = ledger(&["a"]);
    ledger.observe(&firing(5, &[("x", 5), ("y", 5)]), &to, at(5));
    ledger.observe(&firing(10, &[("y", 5)]), &to, at(10));
    let names: BTreeSet<String> = ["b", "need"].map(str::to_owned).into();
    ledger.target(&names, &["need".to_owned()].into(), at(15));
    assert_eq!(
        [phases(&ledger, "a", 20), phases(&ledger, "b", 20), phases(&ledger, "need", 20)],
        [vec![], vec![(1, Phase::Firing)], vec![]]
    );
    assert_eq!(ledger.waiting("a"), 0);
}

#[test]
fn a_target_that_comes_after_a_time_without_any_is_not_told_of_what_ended_meanwhile() {
    let (mut ledger, _, to) = ledger(&["a"]);
    ledger.observe(&firing(5, &[("over", 5), ("on", 5)]), &to, at(5));
    ledger.told("a", &phases(&ledger, "a", 5), at(5));
    let steps = ledger.target(&BTreeSet::new(), &BTreeSet::new(), at(10));
    assert_eq!((steps.len(), ledger.records()), (1, Vec::new()));
    ledger.target(&["b".to_owned()].into(), &BTreeSet::new(), at(60));
    ledger.observe(&firing(60, &[("on", 5)]), &["b".to_owned()], at(60));
    let told = phases(&ledger, "b", 60);
    let about = told.iter().map(|(id, phase)| (*phase, ledger.life(*id).map(|life| (life.key.labels.get("x"), life.starts_at))));
    assert_eq!(about.collect::<Vec<_>>(), [(Phase::Firing, Some((Some("on"), at(5))))]);
}

#[test]
fn a_target_that_is_new_at_a_start_is_told_of_what_still_fires_and_not_of_what_ended_meanwhile() {
    let (mut first, mut steps, to) = ledger(&["a"]);
    steps.extend(first.observe(&firing(5, &[("ended", 5), ("slow", 5), ("goes on", 5)]), &to, at(5)));
    steps.extend(first.told("a", &[(0, Phase::Firing), (1, Phase::Firing), (2, Phase::Firing)], at(5)));
    let mut ledger = Ledger::replay(steps);
    let to = ["a", "b"].map(str::to_owned);
    ledger.target(&to.clone().into(), &BTreeSet::new(), at(50));
    let settling = |evaluated: i64, names: &[&str]| {
        let alerts = names.iter().map(|name| alert(name, AlertState::Firing, 5)).collect();
        Sight::of(&snapshot(Some(evaluated), RuleHealth::Ok, alerts, vec![], true))
    };
    ledger.observe(&settling(55, &["goes on"]), &to, at(55));
    assert_eq!(phases(&ledger, "b", 55), [(2, Phase::Firing)]);
    // It still fires by the disk's word alone.
    assert_eq!(ledger.catch_up("b"), []);
    ledger.observe(&firing(60, &[("slow", 5), ("goes on", 5)]), &to, at(60));
    assert_eq!(phases(&ledger, "b", 60), [(2, Phase::Firing), (1, Phase::Firing)]);
    assert_eq!(phases(&ledger, "a", 60), [(0, Phase::Resolved)], "whoever knew of it hears of its end");
    ledger.told("b", &[(2, Phase::Firing), (1, Phase::Firing)], at(60));
    assert_eq!(ledger.observe(&firing(65, &[("slow", 5), ("goes on", 5)]), &to, at(65)), [], "once");
}
