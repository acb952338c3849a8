//! What is told does not depend on whether the agent is killed: the rules' own evaluation and file, and the ledger's records.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::tests::at;
use super::*;
use crate::rules::Trial;

const RULES: &str = "groups: [{name: g, interval: 15s, rules: [
    {alert: Held, expr: up < 1, for: 30s, keep_firing_for: 45s},
    {alert: Plain, expr: up < 1}]}]";

/// What goes on in one interval.
#[derive(Clone, Copy, Debug)]
struct Round {
    /// What is measured.
    values: [bool; 2],
    /// So many intervals before it were missed: after a longer stop what is pending is pending for longer.
    missed: u8,
    /// The agent was killed before it; what the ledger had to say of the interval before has reached the disk, or not.
    killed: Option<bool>,
    /// Somebody looked at the rules between their start and their first evaluation.
    early: bool,
    /// The receiver takes, takes without an answer, or is cut off.
    receiver: u8,
}

fn rounds() -> impl Strategy<Value = Vec<Round>> {
    let killed = proptest::option::weighted(0.3, any::<bool>());
    let missed = prop_oneof![4 => Just(0_u8), 1 => 1_u8..3];
    let one = (any::<[bool; 2]>(), missed, killed, any::<bool>(), 0_u8..4);
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
    rules: Trial,
    ledger: Ledger,
    /// The records on disk, and those that have not come there yet.
    disk: Vec<Record>,
    tail: Vec<Record>,
    told: BTreeMap<String, Story>,
}

impl Agent {
    fn start() -> Self {
        let mut ledger = Ledger::default();
        let disk = ledger.target(&["a".to_owned()].into(), &BTreeSet::new(), at(-1));
        Self { rules: Trial::start(RULES, -1, 0), ledger, disk, tail: Vec::new(), told: BTreeMap::new() }
    }

    fn look(&mut self, now: i64) {
        self.tail.extend(self.ledger.observe(&Sight::of(&self.rules.publish()), &["a".to_owned()], at(now)));
    }

    fn kill(&mut self, now: i64, kept: bool) {
        let tail = std::mem::take(&mut self.tail);
        self.disk.extend(tail.into_iter().filter(|_| kept));
        self.ledger = Ledger::replay(self.disk.clone());
        self.disk = self.ledger.records();
        self.rules.kill(now);
    }

    fn deliver(&mut self, now: i64, answered: bool) {
        let batch = self.ledger.batch("a", at(now), None, |_, _| false);
        for (id, phase) in &batch {
            let life = self.ledger.life(*id).expect("known");
            let end = life.ends_at.filter(|_| *phase == Phase::Resolved).map(|ends_at| (ends_at, life.resolved_value.map(number)));
            self.told.entry(life.key.labels.to_string()).or_default().push((life.starts_at, end));
        }
        if answered {
            self.tail.extend(self.ledger.told("a", &batch, at(now)));
        }
    }

    fn go_on(&mut self, now: i64, round: Round) {
        self.disk.append(&mut self.tail);
        for (x, low) in ["1", "2"].into_iter().zip(round.values) {
            self.rules.put(now, "up", x, Some(if low { 0.25 } else { 1.5 }));
        }
        self.rules.evaluate(now);
        self.look(now);
        self.ledger.prune(at(now));
        if round.receiver > 0 {
            self.deliver(now, round.receiver > 1);
        }
    }

    /// All that was told, without what was told twice.
    fn story(mut self, mut now: i64) -> BTreeMap<String, Story> {
        while self.ledger.waiting("a") > 0 {
            now += 5;
            self.deliver(now, true);
        }
        self.told.values_mut().for_each(Vec::dedup);
        self.told
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
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
            let (with, without) = (killed.rules.publish(), whole.rules.publish());
            prop_assert!(with.groups[0].rules.iter().zip(&without.groups[0].rules).all(|(with, without)| with.kind == without.kind));
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
