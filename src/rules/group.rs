//! A group that runs: its rules in order at one time, each rule's output in history before the next one looks.

use std::collections::{HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::alert::{Absence, Alert, Alerts};
use super::outbox::Outbox;
use super::rule::{Externals, GroupSpec, Rule, RuleText};
use super::series::{Output, Written, of_alerts};
use super::template::link;
use crate::clock;
use crate::history::{Append, Appended};
use crate::model::{GroupSnapshot, Labels, Notice, RuleHealth, RuleKind, RuleSnapshot, Timestamp};
use crate::promql::{Engine, Expr, Value};
use crate::telemetry::chain;

/// What evaluation needs: where to ask, where to write, what templates may see, whom to tell.
#[derive(Clone)]
pub(super) struct World {
    /// Evaluates expressions.
    pub(super) engine: Arc<Engine>,
    /// Takes the outputs.
    pub(super) history: Arc<dyn Append>,
    /// For templates.
    pub(super) externals: Externals,
    /// Takes what people are to be told; nobody is told anything where there is none.
    pub(super) outbox: Option<Arc<dyn Outbox>>,
    /// After how long it is told again, in milliseconds.
    pub(super) resend_millis: i64,
}

impl World {
    /// The value of an expression as samples.
    fn samples(&self, expr: &Expr, at: Timestamp) -> Result<Vec<Output>, String> {
        Ok(match self.engine.instant(expr, at).map_err(|error| chain(&error))?.value {
            Value::Scalar(value) => vec![(Labels::empty(), value)],
            Value::Vector(samples) => samples.into_iter().map(|sample| (sample.labels, sample.value)).collect(),
            Value::String(_) | Value::Matrix(_) => return Err("rule result is not a vector or scalar".to_owned()),
        })
    }
}

/// What came of one evaluation of a group.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Round {
    /// Rules evaluated.
    pub(super) evaluations: u64,
    /// Rules that failed.
    pub(super) failures: u64,
    /// What history made of the outputs.
    pub(super) appended: Appended,
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
}

#[derive(Debug)]
struct RuleState {
    alerts: Alerts,
    written: Written,
    health: RuleHealth,
    last_evaluation: Option<Timestamp>,
    seconds: f64,
}

impl Default for RuleState {
    fn default() -> Self {
        let health = RuleHealth::Unknown;
        Self { alerts: Alerts::default(), written: Written::default(), health, last_evaluation: None, seconds: 0.0 }
    }
}

impl Group {
    /// A group that has never run.
    pub(super) fn new(spec: Arc<GroupSpec>) -> Self {
        let states = spec.rules.iter().map(|_| RuleState::default()).collect();
        Self { spec, states, orphans: Written::default(), last_evaluation: None, seconds: 0.0 }
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
        Self { spec, states, orphans, last_evaluation: self.last_evaluation, seconds: self.seconds }
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
        for (rule, state) in self.spec.rules.iter().zip(&mut self.states) {
            let rule_started = clock::monotonic();
            // A mistake in the engine or in a template function is this rule's failure, not the end of its group.
            let result = catch_unwind(AssertUnwindSafe(|| state.evaluate(rule, &self.spec, at, stamp, world)));
            let result = result.unwrap_or_else(|_| Err("its evaluation panicked".to_owned()));
            state.last_evaluation = Some(at);
            state.seconds = rule_started.elapsed().as_secs_f64();
            round.evaluations += 1;
            state.health = match result {
                Ok(outputs) => {
                    add(&mut round.appended, world.history.append(stamp, &outputs));
                    state.hand_on(rule, &self.spec, at, world);
                    RuleHealth::Ok
                }
                Err(message) => {
                    round.failures += 1;
                    let health = RuleHealth::Err(message);
                    // Once, not at every evaluation.
                    if state.health != health {
                        tracing::warn!(group = self.spec.key(), rule = rule.text.name, health = ?health, "a rule cannot be evaluated");
                    }
                    health
                }
            };
        }
        for state in &self.states {
            self.orphans.without(&state.written);
        }
        add(&mut round.appended, world.history.append(stamp, &self.orphans.end()));
        self.last_evaluation = Some(at);
        self.seconds = started.elapsed().as_secs_f64();
        round
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
            rules: self.spec.rules.iter().zip(&self.states).map(|(rule, state)| state.snapshot(rule)).collect(),
        })
    }
}

impl RuleState {
    /// The rule's outputs, stale markers included; an error leaves history as it is.
    fn evaluate(&mut self, rule: &Rule, group: &GroupSpec, at: Timestamp, stamp: Timestamp, world: &World) -> Result<Vec<Output>, String> {
        let samples = world.samples(&rule.expr, stamp)?;
        let mut outputs = match rule.text.timing {
            Some(timing) => {
                let observed = rule.observe(&samples, &world.externals);
                self.alerts.step(at, timing, group.limit, observed, |_, _| Absence::Over).map_err(|error| error.to_string())?;
                self.measure_ended(rule, at, stamp, world);
                of_alerts(&self.alerts)
            }
            None => rule.record(samples, group.limit).map_err(|error| error.to_string())?,
        };
        self.written.close(&mut outputs);
        Ok(outputs)
    }

    /// What is measured now of the alerts that have just ended: their own value is the last one for which the condition held.
    fn measure_ended(&mut self, rule: &Rule, at: Timestamp, stamp: Timestamp, world: &World) {
        let mut ended = self.alerts.iter_mut().filter(|(_, alert)| alert.resolved_at == Some(at)).peekable();
        let (Some(measured), Some(_)) = (rule.measured(), ended.peek()) else { return };
        // Nobody is told less because of an expression that cannot be evaluated.
        let samples = world.samples(measured, stamp).unwrap_or_default();
        let values: HashMap<_, _> = rule.observe(&samples, &world.externals).into_iter().map(|now| (now.labels, now.value)).collect();
        for (labels, alert) in ended {
            alert.resolved_value = values.get(labels).copied();
        }
    }

    /// Hands on the alerts that are due.
    fn hand_on(&mut self, rule: &Rule, group: &GroupSpec, at: Timestamp, world: &World) {
        let Some(outbox) = &world.outbox else { return };
        let due: HashSet<Labels> = self.alerts.due(at, world.resend_millis).map(|(labels, _)| labels.clone()).collect();
        if due.is_empty() {
            return;
        }
        let valid_until = at.plus_millis(world.resend_millis.max(group.interval_millis).saturating_mul(4));
        let notice = |(labels, alert): (&Labels, &Alert)| Notice {
            group: group.name.clone(),
            owner: None,
            labels: labels.clone(),
            annotations: alert.annotations.clone(),
            value: alert.value,
            state: alert.state,
            active_at: alert.active_at,
            fired_at: alert.fired_at.unwrap_or(alert.active_at),
            resolved_at: alert.resolved_at,
            resolved_value: alert.resolved_value,
            last_sent: alert.last_sent,
            valid_until,
            generator_url: format!("{}{}", world.externals.url, link(&rule.text.query, 1)),
        };
        let notices = self.alerts.due(at, world.resend_millis).map(notice).collect();
        if outbox.take(at, notices) {
            for (_, alert) in self.alerts.iter_mut().filter(|(labels, _)| due.contains(*labels)) {
                alert.last_sent = Some(at);
            }
        }
    }

    fn snapshot(&self, rule: &Rule) -> RuleSnapshot {
        RuleSnapshot {
            name: rule.text.name.clone(),
            query: rule.text.query.clone(),
            labels: Labels::from_pairs(&rule.text.labels),
            annotations: Labels::from_pairs(&rule.text.annotations),
            health: self.health.clone(),
            last_evaluation: self.last_evaluation,
            evaluation_seconds: self.seconds,
            kind: match rule.text.timing {
                Some(timing) => RuleKind::Alerting {
                    for_millis: timing.for_millis,
                    keep_firing_for_millis: timing.keep_firing_for_millis,
                    threshold: rule.threshold(),
                    alerts: self.alerts.snapshot(),
                },
                None => RuleKind::Recording,
            },
        }
    }
}

/// Where in its interval a group's slots lie, in milliseconds: spread over the interval, and the same after a restart.
pub(super) fn slot_offset(spec: &GroupSpec) -> u64 {
    // FNV-1a: the standard library's hash may change between versions, and with it every group's slots.
    let hash = spec.key().bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    hash % spec.interval_millis.unsigned_abs().max(1)
}

fn add(sum: &mut Appended, appended: Appended) {
    sum.stored += appended.stored;
    sum.out_of_order += appended.out_of_order;
    sum.duplicate += appended.duplicate;
    sum.over_limit += appended.over_limit;
}

#[cfg(test)]
mod notices;
#[cfg(test)]
mod tests;
