//! A group that runs: its rules in order at one time, each rule's output in history before the next one looks.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::alert::{Absence, Alert, Alerts, Observed};
use super::complaint::Complaint;
use super::instant::{Asker, samples};
use super::ledger::{RuleKey, hash};
use super::overlay::NoData;
use super::restore::{self, LastSeen, Tolerance};
use super::rule::{Externals, GroupSpec, Rule, RuleText};
use super::series::{Output, Written, of_alerts};
use super::store::{Past, Store};
use crate::clock;
use crate::history::{Append, Appended, History, Query, Refusal};
use crate::model::{AlertState, GroupSnapshot, Labels, RuleHealth, RuleKind, RuleSnapshot, Timestamp, is_stale};
use crate::promql::Engine;

/// A stop that is not longer counts as none, in milliseconds: it is but a few evaluations that were missed.
const BRIEF_MILLIS: i64 = 30_000;
/// And neither does one of so many intervals.
const BRIEF_INTERVALS: i64 = 4;

/// What evaluation needs: where to ask, where to write, what templates may see.
#[derive(Clone)]
pub(super) struct World {
    /// Evaluates expressions.
    pub(super) engine: Arc<Engine>,
    /// Takes the outputs.
    pub(super) history: Arc<dyn Append>,
    /// For templates.
    pub(super) externals: Externals,
    /// Where alerts are looked for that nothing else tells of.
    pub(super) past: Arc<dyn Query>,
    /// Keeps the state of alerts; `None`: nobody does.
    pub(super) store: Option<Arc<Store>>,
    /// What is left of alerts after a stop.
    pub(super) tolerance: Tolerance,
}

impl World {
    /// One in which nothing is kept, over a history of its own.
    pub(super) fn closed(engine: Arc<Engine>, history: &History, externals: Externals) -> Self {
        Self {
            engine,
            history: Arc::new(history.clone()),
            externals,
            past: Arc::new(history.clone()),
            store: None,
            tolerance: Tolerance { outage_millis: 0, grace_millis: 0, settle_millis: 0 },
        }
    }

    /// Writes outputs and adds up what came of it; says why a value was refused. Most rules have none: whoever reads or writes history
    /// then does not wait for them.
    fn append(&self, stamp: Timestamp, outputs: &[Output], sum: &mut Appended) -> Option<Refusal> {
        if outputs.is_empty() {
            return None;
        }
        let appended = self.history.append(stamp, outputs);
        sum.stored += appended.stored;
        sum.out_of_order += appended.out_of_order;
        sum.duplicate += appended.duplicate;
        sum.over_limit += appended.over_limit;
        appended.refusal
    }

    /// What a rule's expression gives, with its labels and texts, whose templates look at another time.
    fn observe(&self, rule: &Rule, samples: &[Output], at: Timestamp) -> Vec<Observed> {
        let asker = Asker::new(&self.engine, at);
        rule.observe(samples, &self.externals, at, &|query| asker.ask(query))
    }
}

/// What came of one evaluation of a group.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Round {
    /// Rules evaluated.
    pub(super) evaluations: u64,
    /// Rules that failed.
    pub(super) failures: u64,
    /// How long it took to restore the group's alerts.
    pub(super) restore_seconds: f64,
    /// What the rules gave, which stale markers are not part of.
    pub(super) results: usize,
    /// What history made of the outputs.
    pub(super) appended: Appended,
}

/// A stop of the agent: when the group was last evaluated before, and when it was there again.
#[derive(Clone, Copy, Debug)]
struct Stop {
    after: Timestamp,
    until: Timestamp,
}

/// A group with the state of its rules.
#[derive(Debug)]
pub(super) struct Group {
    spec: Arc<GroupSpec>,
    states: Vec<RuleState>,
    /// Series of rules that a reload took away, to be ended at the next evaluation.
    orphans: Written,
    last_evaluation: Option<Timestamp>,
    seconds: f64,
    /// How long it took to restore its alerts.
    restore_seconds: f64,
    /// The store knows of it as it is.
    noted: bool,
    /// The stop of the agent that it goes on after, until it is evaluated again.
    stop: Option<Stop>,
    /// Up to then what was active before does not end only because it is not seen.
    settles_at: Option<Timestamp>,
    /// How many evaluations are to come before history is asked since when alerts are pending.
    asks_history_in: Option<u8>,
}

#[derive(Debug)]
struct RuleState {
    alerts: Alerts,
    /// What history knows, while it has yet to be restored from: until then no series of alerts are written, and so none of before
    /// are written over.
    awaits: Option<HashMap<Labels, LastSeen>>,
    written: Written,
    health: RuleHealth,
    complaint: Complaint,
    last_evaluation: Option<Timestamp>,
    seconds: f64,
}

impl Default for RuleState {
    fn default() -> Self {
        Self {
            alerts: Alerts::default(),
            awaits: None,
            written: Written::default(),
            health: RuleHealth::Unknown,
            complaint: Complaint::default(),
            last_evaluation: None,
            seconds: 0.0,
        }
    }
}

impl Group {
    /// A group that has never run.
    pub(super) fn new(spec: Arc<GroupSpec>) -> Self {
        let states = spec.rules.iter().map(|_| RuleState::default()).collect();
        let orphans = Written::default();
        Self {
            spec,
            states,
            orphans,
            last_evaluation: None,
            seconds: 0.0,
            restore_seconds: 0.0,
            noted: false,
            stop: None,
            settles_at: None,
            asks_history_in: None,
        }
    }

    /// By what its rules are known again.
    pub(super) fn keys(&self) -> Vec<RuleKey> {
        self.spec.rules.iter().map(|rule| RuleKey::new(&rule.text)).collect()
    }

    /// Goes on with what was saved.
    pub(super) fn resume(&mut self, past: Past, now: Timestamp, tolerance: Tolerance) {
        let started = clock::monotonic();
        let stopped_for = now.as_millis().saturating_sub(past.alive.as_millis());
        for (state, alerts) in self.states.iter_mut().zip(past.alerts) {
            // What is not pending any more ends.
            state.written.written_before(of_alerts(&mut Alerts::restored(alerts.clone(), true)));
            state.alerts = Alerts::restored(alerts, stopped_for <= tolerance.outage_millis);
        }
        self.stop = Some(Stop { after: self.last_slot(past.alive), until: now });
        self.settles_at = Some(now.plus_millis(tolerance.settle_millis));
        self.restore_seconds = started.elapsed().as_secs_f64();
    }

    /// When it was evaluated last, where it was at all of its slots up to `at`.
    fn last_slot(&self, at: Timestamp) -> Timestamp {
        let offset = i64::try_from(slot_offset(&self.spec)).unwrap_or(0);
        at.plus_millis(-at.as_millis().saturating_sub(offset).rem_euclid(self.spec.interval_millis.max(1)))
    }

    /// Where the agent was away for long, the time between the evaluations before and after does not count for what is pending.
    /// Only now is the clock to be trusted: after the start of a machine it is often set before the first slot.
    fn skip_stop(&mut self, at: Timestamp, tolerance: Tolerance) {
        let Some(Stop { after, until }) = self.stop.take() else { return };
        let between = |from: Timestamp| at.as_millis().saturating_sub(from.as_millis());
        let away = between(after);
        if between(until).saturating_abs() > self.spec.interval_millis.saturating_add(BRIEF_MILLIS) {
            self.settles_at = Some(at.plus_millis(tolerance.settle_millis));
        }
        if away < 0 {
            self.states.iter_mut().for_each(|state| state.alerts.clock_jumped(away, false));
        } else if away > BRIEF_MILLIS.max(self.spec.interval_millis.saturating_mul(BRIEF_INTERVALS)) {
            let alerts = self.states.iter_mut().flat_map(|state| state.alerts.iter_mut());
            for (_, alert) in alerts.filter(|(_, alert)| alert.state == AlertState::Pending) {
                alert.active_at = alert.active_at.plus_millis(away).min(at);
            }
        }
    }

    /// The clock has jumped by so many milliseconds before the evaluation at `at`. After a long sleep, as after a stop, ranges have to fill
    /// before a condition that is not seen to hold is over. Where the clock was set back there is no gap: history goes on.
    pub(super) fn clock_jumped(&mut self, millis: i64, at: Timestamp, tolerance: Tolerance) {
        let is_long = millis > BRIEF_MILLIS;
        for state in &mut self.states {
            state.alerts.clock_jumped(millis, is_long);
        }
        if is_long {
            self.settles_at = Some(at.plus_millis(tolerance.settle_millis));
        } else {
            self.settles_at = self.settles_at.map(|until| until.plus_millis(millis));
        }
    }

    /// Finds out from history since when alerts are pending, as Prometheus does: after the second evaluation.
    pub(super) fn ask_history(&mut self, now: Timestamp, tolerance: Tolerance) {
        self.asks_history_in = Some(2);
        self.settles_at = Some(now.plus_millis(tolerance.settle_millis));
    }

    /// The group that takes this one's place: a rule of equal kind, name and labels keeps its state, the n-th of several
    /// such that of the n-th.
    pub(super) fn succeed(self, spec: Arc<GroupSpec>) -> Self {
        let identity = |text: &RuleText| (text.timing.is_some(), text.name.clone(), text.labels.clone());
        let mut orphans = self.orphans;
        let mut old: HashMap<_, Vec<RuleState>> = HashMap::new();
        // Backwards, so that the first of equal rules is the first to be taken from the end.
        for (rule, state) in self.spec.rules.iter().zip(self.states).rev() {
            old.entry(identity(&rule.text)).or_default().push(state);
        }
        let states = spec.rules.iter().map(|rule| old.get_mut(&identity(&rule.text)).and_then(Vec::pop).unwrap_or_default()).collect();
        for state in old.into_values().flatten() {
            orphans.adopt(state.written);
        }
        Self { spec, states, orphans, noted: false, ..self }
    }

    /// What it is.
    pub(super) fn spec(&self) -> &Arc<GroupSpec> {
        &self.spec
    }

    /// Evaluates all rules for the time `at`.
    pub(super) fn evaluate(&mut self, at: Timestamp, world: &World) -> Round {
        let started = clock::monotonic();
        let stamp = at.plus_millis(-self.spec.query_offset_millis);
        let mut round = Round::default();
        let key = self.spec.key();
        self.skip_stop(at, world.tolerance);
        if self.asks_history_in == Some(2) {
            self.look_back(at, world);
        }
        if let Some(store) = world.store.as_ref().filter(|_| !self.noted) {
            store.begin(at, &key, self.keys(), self.states.iter().map(|state| &state.alerts));
            self.noted = true;
        }
        let settles = self.settles(at);
        for (index, (rule, state)) in self.spec.rules.iter().zip(&mut self.states).enumerate() {
            let rule_started = clock::monotonic();
            // A mistake in the engine or in a template function is this rule's failure, not the end of its group.
            let result = catch_unwind(AssertUnwindSafe(|| state.evaluate(rule, &self.spec, at, stamp, settles, world)));
            let result = result.unwrap_or_else(|_| Err("its evaluation panicked".to_owned()));
            state.last_evaluation = Some(at);
            state.seconds = rule_started.elapsed().as_secs_f64();
            round.evaluations += 1;
            // Before anyone is told: who has been told of it has not been told of something that a kill undoes.
            if let Some(store) = world.store.as_ref().filter(|_| rule.text.timing.is_some()) {
                store.update(at, &key, index, &state.alerts);
            }
            let health = match result {
                Ok(outputs) => {
                    round.results += outputs.iter().filter(|(_, value)| !is_stale(*value)).count();
                    // Not counted as a failure, in Prometheus neither; what is refused is counted by its reason.
                    let refusal = world.append(stamp, &outputs, &mut round.appended);
                    refusal.map_or(RuleHealth::Ok, |refusal| RuleHealth::Unwritten(refusal.to_string()))
                }
                Err(message) => {
                    round.failures += 1;
                    RuleHealth::Err(message)
                }
            };
            if health == RuleHealth::Ok && state.complaint.works() {
                tracing::info!(group = key, rule = rule.text.name, "a rule works again");
            }
            if health != RuleHealth::Ok && state.complaint.fails(at) {
                tracing::warn!(group = key, rule = rule.text.name, health = ?health, "a rule has failed");
            }
            state.health = health;
        }
        if let Some(left) = &mut self.asks_history_in {
            *left = left.saturating_sub(1);
            if *left == 0 {
                self.asks_history_in = None;
                for (rule, state) in self.spec.rules.iter().zip(&mut self.states) {
                    state.restore(rule, at, world.tolerance);
                }
            }
        }
        for state in &self.states {
            self.orphans.without(&state.written);
        }
        world.append(stamp, &self.orphans.end(), &mut round.appended);
        if let Some(store) = &world.store {
            store.settle();
        }
        round.restore_seconds = self.restore_seconds;
        self.last_evaluation = Some(at);
        self.seconds = started.elapsed().as_secs_f64();
        round
    }

    fn settles(&self, at: Timestamp) -> bool {
        self.settles_at.is_some_and(|until| at < until)
    }

    /// Learns of which alerts history knows. Where it knows of none there is nothing to wait for.
    fn look_back(&mut self, at: Timestamp, world: &World) {
        let Tolerance { outage_millis, grace_millis, .. } = world.tolerance;
        let started = clock::monotonic();
        for (rule, state) in self.spec.rules.iter().zip(&mut self.states) {
            // One that is pending for a short time only starts anew.
            if rule.text.timing.is_some_and(|timing| timing.for_millis >= grace_millis) {
                match restore::last_seen(&*world.past, &rule.text.name, at, outage_millis) {
                    Ok(seen) => state.awaits = Some(seen).filter(|seen| !seen.is_empty()),
                    Err(error) => tracing::error!(%error, rule = rule.text.name, "cannot find out since when alerts are pending"),
                }
            }
        }
        if self.states.iter().all(|state| state.awaits.is_none()) {
            self.asks_history_in = None;
        }
        self.restore_seconds = started.elapsed().as_secs_f64();
    }

    /// The stale markers of everything it wrote: it is gone.
    pub(super) fn end(mut self) -> Vec<Output> {
        for state in self.states {
            self.orphans.adopt(state.written);
        }
        self.orphans.end()
    }

    /// The group for others to read.
    pub(super) fn snapshot(&self) -> Arc<GroupSnapshot> {
        Arc::new(GroupSnapshot {
            name: self.spec.name.clone(),
            file: self.spec.file.to_string(),
            interval_millis: self.spec.interval_millis,
            limit: self.spec.limit,
            last_evaluation: self.last_evaluation,
            evaluation_seconds: self.seconds,
            settling: self.last_evaluation.is_none_or(|at| self.settles(at)),
            rules: self.spec.rules.iter().zip(&self.states).map(|(rule, state)| state.snapshot(rule)).collect(),
        })
    }
}

impl RuleState {
    /// The rule's outputs, stale markers included; an error leaves history as it is.
    fn evaluate(
        &mut self,
        rule: &Rule,
        group: &GroupSpec,
        at: Timestamp,
        stamp: Timestamp,
        settles: bool,
        world: &World,
    ) -> Result<Vec<Output>, String> {
        let samples = samples(&world.engine, &rule.expr, stamp)?;
        let mut outputs = match rule.text.timing {
            Some(timing) => {
                // As in Prometheus, templates look at the time of the slot, without the offset.
                let mut observed = world.observe(rule, &samples, at);
                let data = self.data(rule, &mut observed, at, stamp, settles, world)?;
                let absence = |labels: &Labels, alert: &Alert| match &data {
                    Some(data) if !data.contains(&rule.lasting(labels)) => match rule.overlay.no_data {
                        // After a start a source that has not reported yet is none that is missing.
                        NoData::Fire if !(settles && alert.unseen) => Absence::Holds,
                        _ => Absence::Unknown,
                    },
                    // Of one that is kept firing it was seen before the stop that it does not hold.
                    _ if settles && alert.unseen && alert.keep_firing_since.is_none() => Absence::Unknown,
                    _ => Absence::Over,
                };
                self.alerts.step(at, timing, group.limit, observed, absence).map_err(|error| error.to_string())?;
                self.measure_ended(rule, at, stamp, world);
                if self.awaits.is_some() { Vec::new() } else { of_alerts(&mut self.alerts) }
            }
            None => rule.record(samples, group.limit).map_err(|error| error.to_string())?,
        };
        self.written.close(&mut outputs);
        Ok(outputs)
    }

    /// The alerts of which something is measured, by the labels that last, where that makes a difference. Where nothing is, and that alone
    /// is to fire, there is one result more: the bare alert. It is about all that could be measured, so whatever is measured is measured of
    /// it, and where another alert is active there is no need for it.
    fn data(
        &self,
        rule: &Rule,
        observed: &mut Vec<Observed>,
        at: Timestamp,
        stamp: Timestamp,
        settles: bool,
        world: &World,
    ) -> Result<Option<HashSet<Labels>>, String> {
        let policy = rule.overlay.no_data;
        let Some(measured) = rule.tells_of_data().filter(|_| policy != NoData::Resolve) else { return Ok(None) };
        let present: HashSet<&Labels> = observed.iter().map(|one| &one.labels).collect();
        let missing = self.alerts.active().any(|(labels, _)| !present.contains(labels));
        if !missing && (policy == NoData::Keep || !observed.is_empty()) {
            return Ok(None);
        }
        let samples = samples(&world.engine, measured, stamp)?;
        let asker = Asker::new(&world.engine, at);
        let ask = |query: &str| asker.ask(query);
        let lasting = |(labels, _): (Labels, f64)| rule.lasting(&labels);
        let mut data: HashSet<Labels> = rule.identify(&samples, &world.externals, at, &ask).map(lasting).collect();
        let nothing = [(Labels::empty(), f64::NAN)];
        let bare = rule.identify(&nothing, &world.externals, at, &ask).map(lasting).next().unwrap_or_else(Labels::empty);
        if !samples.is_empty() || !observed.is_empty() || self.alerts.active().any(|(labels, _)| rule.lasting(labels) != bare) {
            data.insert(bare);
        } else if policy == NoData::Fire && !settles {
            let bare = world.observe(rule, &nothing, at);
            // A rule whose results have no labels has an alert that is as good, whatever its value has made of the other labels.
            if self.alerts.active().all(|(labels, _)| bare.iter().any(|one| one.labels == *labels)) {
                *observed = bare;
            }
        }
        Ok(Some(data))
    }

    /// Takes the times from history for which it has waited.
    fn restore(&mut self, rule: &Rule, at: Timestamp, tolerance: Tolerance) {
        if let (Some(seen), Some(timing)) = (self.awaits.take(), rule.text.timing) {
            restore::apply(&mut self.alerts, &seen, at, timing.for_millis, tolerance.grace_millis);
        }
    }

    /// What is measured now of the alerts that have just ended: their own value is the last one for which the condition held.
    fn measure_ended(&mut self, rule: &Rule, at: Timestamp, stamp: Timestamp, world: &World) {
        let mut ended: BTreeMap<Labels, Vec<&mut Alert>> = BTreeMap::new();
        for (labels, alert) in self.alerts.iter_mut().filter(|(_, alert)| alert.resolved_at == Some(at)) {
            ended.entry(rule.lasting(labels)).or_default().push(alert);
        }
        let Some(measured) = rule.measured().filter(|_| !ended.is_empty()) else { return };
        // Nobody is told less because of an expression that cannot be evaluated.
        let samples = samples(&world.engine, measured, stamp).unwrap_or_default();
        let asker = Asker::new(&world.engine, at);
        let ask = |query: &str| asker.ask(query);
        let mut measured = rule.identify(&samples, &world.externals, at, &ask);
        while !ended.is_empty()
            && let Some((labels, value)) = measured.next()
        {
            for alert in ended.remove(&rule.lasting(&labels)).into_iter().flatten() {
                alert.resolved_value = Some(value);
            }
        }
    }

    fn snapshot(&self, rule: &Rule) -> RuleSnapshot {
        RuleSnapshot {
            name: rule.text.name.clone(),
            query: rule.printed.clone(),
            labels: rule.label_texts.clone(),
            annotations: rule.annotation_texts.clone(),
            health: self.health.clone(),
            last_evaluation: self.last_evaluation,
            evaluation_seconds: self.seconds,
            kind: match rule.text.timing {
                Some(timing) => RuleKind::Alerting {
                    for_millis: timing.for_millis,
                    keep_firing_for_millis: timing.keep_firing_for_millis,
                    threshold: rule.threshold(),
                    weight: rule.overlay.weight,
                    owner: rule.overlay.owner.clone(),
                    alerts: self.alerts.snapshot(),
                    ended: self.alerts.ended(),
                },
                None => RuleKind::Recording,
            },
        }
    }
}

/// Where in its interval a group's slots lie, in milliseconds: spread over the interval, and the same after a restart.
pub(super) fn slot_offset(spec: &GroupSpec) -> u64 {
    hash([spec.key().as_str()]) % spec.interval_millis.unsigned_abs().max(1)
}

#[cfg(test)]
mod kept;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod trial;
#[cfg(test)]
pub(crate) use trial::Trial;
