//! What is told does not depend on whether the agent is killed: the rules' own evaluation and file, and the ledger's records.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::tests::at;
use super::*;
use crate::model::{AlertState, RuleKind, RulesSnapshot};
use crate::rules::Trial;

const RULES: &str = "groups: [{name: g, interval: 15s, rules: [
    {alert: Held, expr: up < 1, for: 30s, keep_firing_for: 45s},
    {alert: Plain, expr: up < 1}]}]";
/// Whoever is told cannot tell these alerts from those above.
const TWINS: &str = "groups: [{name: twins, interval: 15s, rules: [{alert: Plain, expr: up < 1}]}]";

/// What goes on in one interval.
#[derive(Clone, Copy, Debug)]
struct Round {
    /// What is measured; the last one by the twins.
    values: [bool; 3],
    /// So many intervals before it were missed: after a longer stop what is pending is pending for longer.
    missed: u8,
    /// The agent was killed before it; what the ledger had to say of the interval before has reached the disk, or not.
    killed: Option<bool>,
    /// Somebody looked at the rules between their start and their first evaluation.
    early: bool,
    /// The receiver is cut off, takes without an answer, takes one message, or takes all.
    receiver: u8,
}

fn rounds() -> impl Strategy<Value = Vec<Round>> {
    let killed = proptest::option::weighted(0.3, any::<bool>());
    let missed = prop_oneof![4 => Just(0_u8), 1 => 1_u8..3];
    let one = (any::<[bool; 3]>(), missed, killed, any::<bool>(), 0_u8..4);
    let one = one.prop_map(|(values, missed, killed, early, receiver)| Round { values, missed, killed, early, receiver });
    proptest::collection::vec(one, 1..40).prop_map(|mut rounds| {
        // The rules know of one end before what fires now, which is what gets lost with one interval. Whoever loses more of an alert that
        // comes and goes hears of it as of one alert.
        let mut lost = false;
        for round in &mut rounds {
            round.killed = round.killed.map(|kept| kept || lost);
            lost = round.killed == Some(false);
        }
        rounds
    })
}

/// What was told of an alert: since when it fires, and when it ended and with which value.
type Story = Vec<(Timestamp, Option<(Timestamp, Option<String>)>)>;

struct Agent {
    rules: [Trial; 2],
    ledger: Ledger,
    /// The records on disk, and those that have not come there yet.
    disk: Vec<Record>,
    tail: Vec<Record>,
    /// By group and labels.
    told: BTreeMap<String, Story>,
    /// The last word on an alert, by its labels.
    last: BTreeMap<String, Phase>,
}

impl Agent {
    fn start() -> Self {
        let mut ledger = Ledger::default();
        let disk = ledger.target(&["a".to_owned()].into(), &BTreeSet::new(), at(-1));
        let rules = [RULES, TWINS].map(|rules| Trial::start(rules, -1, 0));
        Self { rules, ledger, disk, tail: Vec::new(), told: BTreeMap::new(), last: BTreeMap::new() }
    }

    fn publish(&self) -> RulesSnapshot {
        RulesSnapshot { groups: self.rules.iter().flat_map(|rules| rules.publish().groups).collect(), load_errors: Vec::new() }
    }

    fn look(&mut self, now: i64) {
        self.tail.extend(self.ledger.observe(&Sight::of(&self.publish()), &["a".to_owned()], at(now)));
    }

    fn kill(&mut self, now: i64, kept: bool) {
        let tail = std::mem::take(&mut self.tail);
        self.disk.extend(tail.into_iter().filter(|_| kept));
        self.ledger = Ledger::replay(self.disk.clone());
        self.disk = self.ledger.records();
        self.rules.iter_mut().for_each(|rules| rules.kill(now));
    }

    /// As an Alertmanager is told, so that what goes on is told again. False where there is nothing to tell.
    fn deliver(&mut self, now: i64, answered: bool) -> bool {
        let batch = self.ledger.batch("a", at(now), Some(Duration::from_mins(1)), |_, _| false);
        for (id, phase) in &batch {
            let life = self.ledger.life(*id).expect("known");
            let end = life.ends_at.filter(|_| *phase == Phase::Resolved).map(|ends_at| (ends_at, life.resolved_value.map(number)));
            let labels = life.key.labels.to_string();
            self.told.entry(format!("{} {labels}", life.key.group)).or_default().push((life.starts_at, end));
            self.last.insert(labels, *phase);
        }
        if answered {
            self.tail.extend(self.ledger.told("a", &batch, at(now)));
        }
        !batch.is_empty()
    }

    fn go_on(&mut self, now: i64, round: Round) {
        self.disk.append(&mut self.tail);
        for ((place, x), low) in [(0, "1"), (0, "2"), (1, "1")].into_iter().zip(round.values) {
            self.rules[place].put(now, "up", x, Some(if low { 0.25 } else { 1.5 }));
        }
        self.rules.iter_mut().for_each(|rules| rules.evaluate(now));
        self.look(now);
        self.ledger.prune(at(now));
        match round.receiver {
            0 => {}
            1 | 2 => {
                self.deliver(now, round.receiver == 2);
            }
            // Some seconds: one thing of an alert at a time, and its end a second after its beginning.
            _ if (0..10).all(|second| self.deliver(now + second, true)) => {}
            _ => {
                let last = self.last.iter().filter(|(_, phase)| **phase == Phase::Firing).map(|(labels, _)| labels.clone());
                assert_eq!(last.collect::<BTreeSet<_>>(), self.firing(), "the last word on an alert is what is");
            }
        }
    }

    fn firing(&self) -> BTreeSet<String> {
        let groups = self.publish().groups;
        let rules = groups.iter().flat_map(|group| &group.rules);
        let alerts = rules.flat_map(|rule| if let RuleKind::Alerting { alerts, .. } = &rule.kind { alerts.as_slice() } else { &[] });
        alerts.filter(|alert| alert.state == AlertState::Firing).map(|alert| alert.labels.to_string()).collect()
    }

    /// All that was told once all is over, without what was told twice.
    fn story(mut self, mut now: i64) -> BTreeMap<String, Story> {
        for _ in 0..5 {
            now += 15;
            self.go_on(now, Round { values: [false; 3], missed: 0, killed: None, early: false, receiver: 3 });
        }
        assert_eq!(self.ledger.waiting("a"), 0);
        for story in self.told.values_mut() {
            let mut told = BTreeSet::new();
            story.retain(|one| told.insert(one.clone()));
        }
        self.told
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn people_are_told_the_same_with_kills_as_without(rounds in rounds()) {
        let (mut killed, mut whole) = (Agent::start(), Agent::start());
        let mut now = 0;
        for round in rounds {
            now += 15 * (1 + i64::from(round.missed));
            if let Some(kept) = round.killed {
                killed.kill(now - 2, kept);
                if round.early {
                    killed.look(now - 1);
                }
            }
            killed.go_on(now, round);
            whole.go_on(now, Round { receiver: 3, ..round });
            // State, since when, until when and with which value: all of it is what it is without a kill.
            let kinds = |agent: &Agent| agent.publish().groups.iter().flat_map(|group| group.rules.clone()).map(|rule| rule.kind).collect::<Vec<_>>();
            prop_assert_eq!(kinds(&killed), kinds(&whole));
        }
        prop_assert_eq!(killed.story(now), whole.story(now));
    }
}

#[test]
fn no_alert_begins_twice_or_ends_because_of_a_start_also_where_the_rules_have_forgotten_it() {
    let rules = "groups: [{name: g, interval: 15s, rules: [{alert: A, expr: 'max_over_time(up[30s]) < 1', for: 30s}]}]";
    for (forgets, restarts) in [(false, 1), (false, 3), (true, 1), (true, 3)] {
        let mut trial = Trial::start(rules, -1, 60);
        let to = ["a".to_owned()];
        let mut ledger = Ledger::default();
        let mut disk = ledger.target(&to.clone().into(), &BTreeSet::new(), at(-1));
        let mut told = Vec::new();
        let mut turn = |trial: &mut Trial, ledger: &mut Ledger, disk: &mut Vec<Record>, now: i64, value: Option<f64>| {
            trial.put(now, "up", "1", value);
            trial.evaluate(now);
            disk.extend(ledger.observe(&Sight::of(&trial.publish()), &to, at(now)));
            let batch = ledger.batch("a", at(now), None, |_, _| false);
            disk.extend(ledger.told("a", &batch, at(now)));
            told.extend(batch.iter().filter_map(|(id, phase)| Some((*phase, ledger.life(*id)?.starts_at, now))));
        };
        for now in (0..=60).step_by(15) {
            turn(&mut trial, &mut ledger, &mut disk, now, Some(0.0));
        }
        let mut now = 60;
        for _ in 0..restarts {
            // History has lost the last minutes, and there is nothing to see for a while.
            now += 300;
            if forgets {
                trial.kill_and_forget(now)
            } else {
                trial.kill(now)
            }
            ledger = Ledger::replay(disk.clone());
            for value in [None, None, Some(0.0), Some(0.0), Some(0.0), Some(0.0)] {
                now += 15;
                turn(&mut trial, &mut ledger, &mut disk, now, value);
            }
        }
        for _ in 0..3 {
            now += 15;
            turn(&mut trial, &mut ledger, &mut disk, now, Some(1.0));
        }
        let begun = (Phase::Firing, at(30), 30);
        assert_eq!(told, [begun, (Phase::Resolved, at(30), now - 30)], "forgets: {forgets}, {restarts} restarts");
    }
}
