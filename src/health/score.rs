//! The score, by subtraction: a reader with `/health` in hand can do the sum.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::cause::{Causes, of_signal};
use super::report::{Deduction, Report, Scale, ServiceReport, SignalReport, Taken, Verdict};
use super::signal::{Measured, Readings, SERVICE, Services, Signal};
use super::standing::Standing;
use super::{Config, HealthState};
use crate::model::{
    AlertSnapshot, AlertState, Condition, Labels, Part, RuleKind, RuleSnapshot, RulesSnapshot, Timestamp, format_millis, one_line,
};

/// Signals and rules that were last evaluated so many intervals ago say nothing any more, nor does a signal that has not answered since.
const INTERVALS_MAX: i64 = 6;
/// Rules of short intervals may be late by this much all the same, since a busy host delays them.
const LATE_MILLIS_MIN: i64 = 30_000;

/// What is remembered from one judgement to the next.
#[derive(Debug, Default)]
pub struct Memory {
    causes: Causes,
    whole: Standing,
    services: BTreeMap<String, Standing>,
    /// Since when a signal has been costing points, by signal and service.
    costly: BTreeMap<(String, Option<String>), Timestamp>,
    /// The signals and services that had enough events to be judged.
    busy: BTreeSet<(String, Option<String>)>,
    /// What each signal said last, and when.
    said: BTreeMap<String, (Timestamp, Vec<Measured>)>,
}

impl Memory {
    /// The clock has jumped by so many milliseconds.
    pub(super) fn clock_jumped(&mut self, millis: i64) {
        std::iter::once(&mut self.whole).chain(self.services.values_mut()).for_each(|standing| standing.clock_jumped(millis));
    }

    /// Takes what the signals say now. One that cannot be evaluated, and one that is required and has no value, goes on saying what it said
    /// for a while: that nobody knows is no reason for a better score, and no state is to come and go with it.
    fn listen(&mut self, config: &Config, readings: &Readings) {
        let now = readings.at.unwrap_or_default();
        let held = config.interval.as_millis().saturating_mul(INTERVALS_MAX);
        let is_fresh = |then: Timestamp| now.as_millis().saturating_sub(then.as_millis()).saturating_abs() <= held;
        self.said.retain(|name, (then, _)| readings.signals.contains_key(name) && is_fresh(*then));
        for (name, signal) in config.signals() {
            let Some(Ok(measured)) = readings.signals.get(name) else { continue };
            let said = (now, measured.clone());
            if signal.required && measured.iter().all(|one| one.value.is_none()) {
                self.said.entry(name.to_owned()).or_insert(said);
            } else {
                self.said.insert(name.to_owned(), said);
            }
        }
    }
}

/// Judges by what the signals say, what is firing, and how the agent's own parts are.
#[must_use]
pub fn judge(config: &Config, rules: &RulesSnapshot, readings: &Readings, parts: Vec<Part>, memory: &mut Memory, at: Timestamp) -> Report {
    memory.listen(config, readings);
    let mut known = Services::of_signals(memory.said.values().flat_map(|(_, measured)| measured));
    let causes = causes(config, memory, rules);
    let mut deductions = of_alerts(config, &causes, rules, AlertState::Firing, &mut known);
    let mut pending = of_alerts(config, &causes, rules, AlertState::Pending, &mut known);
    pending.iter_mut().for_each(|reason| reason.points = 0.0);
    let signals = of_signals(config, memory, at, &mut deductions);
    deductions.extend(parts.iter().filter_map(|part| of_part(config, part)));
    sort(&mut deductions);
    sort(&mut pending);
    cover(&mut deductions);

    let blind = blind(config, rules, readings, memory, &parts, at);
    let names = services(config, memory, &deductions, &signals);
    memory.services.retain(|name, _| names.contains(name));
    let services = names.into_iter().map(|name| of_service(config, memory, name, &deductions, blind.is_empty(), at)).collect();

    let score = score(deductions.iter().filter(|reason| reason.counts()).map(|reason| reason.points));
    let standing = &mut memory.whole;
    standing.step(config, blind.is_empty().then_some(score), at);
    let signal_errors = readings.signals.iter().filter_map(|(name, read)| Some((name.clone(), read.as_ref().err()?.clone()))).collect();
    Report {
        score,
        state: standing.state(),
        since: standing.since(),
        recovering_since: standing.recovering_since(),
        at,
        scale: Scale { thresholds: config.thresholds, recovery: config.recovery },
        deductions,
        pending,
        services,
        signals,
        signal_errors,
        blind,
        parts,
        http_status: config.status(standing.state()),
    }
}

/// Which services are told of: those of which a reason or a signal tells, those that are not well yet, and those that HAProxy asks
/// about once they have been seen.
fn services(config: &Config, memory: &Memory, deductions: &[Deduction], signals: &[SignalReport]) -> BTreeSet<String> {
    let mut names: BTreeSet<&str> = deductions.iter().filter_map(|reason| reason.service.as_deref()).collect();
    names.extend(signals.iter().filter_map(|signal| signal.service.as_deref()));
    // There are no more of them than have a name of their own, and `__other__`. Nobody is left out for one that is over.
    let room = config.services_max.saturating_sub(names.len());
    let ill = memory.services.iter().filter(|(_, standing)| standing.state() != HealthState::Healthy).map(|(name, _)| &**name);
    let ill: Vec<&str> = ill.filter(|name| !names.contains(name)).take(room).collect();
    names.extend(ill);
    names.extend(config.asked().filter(|name| memory.services.contains_key(*name)));
    names.into_iter().map(str::to_owned).collect()
}

/// All points are tenths, so that their sums are what a reader gets.
fn tenths(points: f64) -> f64 {
    (points * 10.0).round() / 10.0
}

fn score(points: impl Iterator<Item = f64>) -> f64 {
    // The sum of nothing is -0.
    tenths((100.0 - points.fold(0.0, |sum, points| sum + points)).max(0.0))
}

/// The most expensive first.
fn sort(reasons: &mut [Deduction]) {
    reasons.sort_by(|a, b| {
        let points = b.points.partial_cmp(&a.points).unwrap_or(Ordering::Equal);
        points.then_with(|| (&a.signal, &a.service).cmp(&(&b.signal, &b.service)))
    });
}

/// Of reasons with one cause the first alone costs points.
fn cover(reasons: &mut [Deduction]) {
    let mut first: BTreeMap<String, String> = BTreeMap::new();
    for reason in reasons {
        match first.get(&reason.cause) {
            Some(named) => reason.covered_by = Some(named.clone()),
            None => drop(first.insert(reason.cause.clone(), reason.named())),
        }
    }
}

/// A service loses what is lost by reasons about it and about all services, again once a cause.
fn of_service(config: &Config, memory: &mut Memory, name: String, reasons: &[Deduction], sees: bool, at: Timestamp) -> ServiceReport {
    let mut causes = BTreeSet::new();
    let about_it = reasons.iter().filter(|reason| reason.service.as_ref().is_none_or(|service| *service == name));
    let counted = about_it.filter(|reason| reason.points > 0.0 && causes.insert(&reason.cause));
    let taken = |reason: &Deduction| Taken { signal: reason.signal.clone(), service: reason.service.clone(), points: reason.points };
    let deductions: Vec<Taken> = counted.map(taken).collect();
    let score = score(deductions.iter().map(|taken| taken.points));
    let standing = memory.services.entry(name.clone()).or_default();
    standing.step(config, sees.then_some(score), at);
    let (state, since, recovering_since) = (standing.state(), standing.since(), standing.recovering_since());
    ServiceReport { service: name, score, state, since, recovering_since, deductions, http_status: config.status(state) }
}

/// Why the agent cannot judge, if it cannot.
fn blind(config: &Config, rules: &RulesSnapshot, readings: &Readings, memory: &Memory, parts: &[Part], at: Timestamp) -> Vec<String> {
    let missing = parts.iter().filter(|part| part.required && matches!(part.condition, Condition::Starting | Condition::Failed));
    let mut blind: Vec<String> =
        missing.map(|part| format!("{} is {}", part.name, if part.detail.is_empty() { "not there yet" } else { &part.detail })).collect();
    let has_value = |name: &str| memory.said.get(name).is_some_and(|(_, measured)| measured.iter().any(|one| one.value.is_some()));
    for (name, _) in config.signals().filter(|(name, signal)| signal.required && !has_value(name)) {
        match readings.signals.get(name) {
            Some(Err(error)) => blind.push(format!("signal {name} cannot be evaluated: {error}")),
            _ => blind.push(format!("signal {name} has no value")),
        }
    }
    let age = |then: Timestamp| at.as_millis().saturating_sub(then.as_millis());
    let ago = |millis: i64| format!("{} ago", format_millis(millis / 1000 * 1000));
    match readings.at.map(age) {
        None if config.signals().next().is_some() => blind.push("the signals have not been evaluated yet".to_owned()),
        Some(age) if age > config.interval.as_millis().saturating_mul(INTERVALS_MAX) => {
            blind.push(format!("the signals were last evaluated {}", ago(age)));
        }
        _ => {}
    }
    // Of several groups the one that is late for longest.
    let late = rules.groups.iter().filter_map(|group| {
        let late = group.interval_millis.saturating_mul(INTERVALS_MAX).max(LATE_MILLIS_MIN);
        Some((age(group.last_evaluation?), group)).filter(|(age, _)| *age > late)
    });
    if let Some((age, group)) = late.max_by_key(|(age, _)| *age) {
        blind.push(format!("the rules of the group {} were last evaluated {}", group.name, ago(age)));
    }
    blind
}

/// What the signals say, and the points that they cost among the deductions.
fn of_signals(config: &Config, memory: &mut Memory, at: Timestamp, deductions: &mut Vec<Deduction>) -> Vec<SignalReport> {
    let mut reports = Vec::new();
    let (mut costly, mut busy) = (BTreeMap::new(), BTreeSet::new());
    for (name, signal) in config.signals() {
        for measured in memory.said.get(name).into_iter().flat_map(|(_, measured)| measured) {
            let key = (name.to_owned(), measured.service.clone());
            let report = of_measured(name, signal, measured, memory.busy.contains(&key));
            if report.verdict != Verdict::Idle {
                busy.insert(key.clone());
            }
            if report.points > 0.0 {
                let since = memory.costly.get(&key).copied().unwrap_or(at);
                costly.insert(key, since);
                deductions.push(of_signal_report(&report, signal, measured, since));
            }
            reports.push(report);
        }
    }
    (memory.costly, memory.busy) = (costly, busy);
    reports
}

/// What has been judged is judged down to half of the events that it takes to begin: else a service that has about so many would be
/// well and ill by turns.
fn of_measured(name: &str, signal: &Signal, measured: &Measured, was_busy: bool) -> SignalReport {
    let count_min = signal.count_min.unwrap_or(0.0) / if was_busy { 2.0 } else { 1.0 };
    let idle = measured.count.is_some_and(|count| count < count_min);
    let (verdict, points) = match measured.value {
        _ if idle => (Verdict::Idle, 0.0),
        Some(value) => (Verdict::Judged, tenths(signal.weight * signal.fraction(value))),
        None => (Verdict::NoData, 0.0),
    };
    SignalReport {
        name: name.to_owned(),
        service: measured.service.clone(),
        verdict,
        value: measured.value,
        good: signal.good,
        bad: signal.bad,
        weight: signal.weight,
        points,
        count: measured.count,
        count_min: signal.count_min,
    }
}

fn of_signal_report(report: &SignalReport, signal: &Signal, measured: &Measured, since: Timestamp) -> Deduction {
    Deduction {
        signal: format!("signal:{}", report.name),
        service: report.service.clone(),
        weight: report.weight,
        points: report.points,
        covered_by: None,
        value: report.value,
        threshold: None,
        good: Some(report.good),
        bad: Some(report.bad),
        count: report.count,
        since,
        severity: String::new(),
        alerts: None,
        labels: measured.labels.clone(),
        summary: one_line(signal.summary.as_ref().unwrap_or(&signal.expr)).into_owned(),
        cause: of_signal(&report.name),
    }
}

/// The cause of each name's alerts, where there are any alerts.
fn causes<'r>(config: &Config, memory: &mut Memory, rules: &'r RulesSnapshot) -> HashMap<&'r str, String> {
    let rules = || rules.groups.iter().flat_map(|group| &group.rules).filter(|rule| matches!(rule.kind, RuleKind::Alerting { .. }));
    if rules().all(|rule| alerts(rule).is_empty()) { HashMap::new() } else { memory.causes.by_name(config, rules()) }
}

/// One reason a rule and service, however many of the alerts are in the state. Services that no signal tells of have a name as long as there
/// is room.
fn of_alerts(
    config: &Config,
    causes: &HashMap<&str, String>,
    rules: &RulesSnapshot,
    state: AlertState,
    known: &mut Services,
) -> Vec<Deduction> {
    let rules = || rules.groups.iter().flat_map(|group| &group.rules);
    let in_state = |rule| alerts(rule).iter().filter(move |alert| alert.state == state);
    known.admit(config, rules().flat_map(in_state).filter_map(|alert| alert.labels.get(SERVICE)));
    let mut reasons = Vec::new();
    for rule in rules() {
        let mut by_service: BTreeMap<Option<String>, Vec<&AlertSnapshot>> = BTreeMap::new();
        for alert in in_state(rule) {
            by_service.entry(known.of(&alert.labels)).or_default().push(alert);
        }
        let cause = causes.get(rule.name.as_str()).map_or("", |cause| cause);
        reasons.extend(by_service.into_iter().filter_map(|(service, alerts)| of_service_alerts(config, rule, service, &alerts, cause)));
    }
    reasons
}

fn alerts(rule: &RuleSnapshot) -> &[AlertSnapshot] {
    match &rule.kind {
        RuleKind::Alerting { alerts, .. } => alerts,
        RuleKind::Recording => &[],
    }
}

fn of_service_alerts(
    config: &Config,
    rule: &RuleSnapshot,
    service: Option<String>,
    alerts: &[&AlertSnapshot],
    cause: &str,
) -> Option<Deduction> {
    let RuleKind::Alerting { threshold, weight: own_weight, .. } = rule.kind else { return None };
    let since = |alert: &AlertSnapshot| alert.fired_at.unwrap_or(alert.active_at);
    let severity = |alert: &AlertSnapshot| alert.labels.get("severity").unwrap_or("").to_owned();
    let of_severity =
        |alert: &AlertSnapshot| config.weights.severity.get(&severity(alert)).copied().unwrap_or(config.weights.other_severity);
    let weight = |alert: &AlertSnapshot| own_weight.unwrap_or_else(|| of_severity(alert));
    // A label may give each alert a severity of its own: the worst counts, and of those the oldest is shown.
    let by_weight = |a: &AlertSnapshot, b: &AlertSnapshot| weight(b).partial_cmp(&weight(a)).unwrap_or(Ordering::Equal);
    let shown = alerts.iter().min_by(|a, b| by_weight(a, b).then_with(|| since(a).cmp(&since(b))))?;
    let text = |name: &str| shown.annotations.get(name).filter(|text| !text.is_empty());
    let summary = text("summary").or_else(|| text("description")).unwrap_or(&rule.query);
    Some(Deduction {
        signal: format!("alert:{}", rule.name),
        service,
        weight: weight(shown),
        points: tenths(weight(shown)),
        covered_by: None,
        value: Some(shown.value),
        threshold,
        good: None,
        bad: None,
        count: None,
        since: since(shown),
        severity: severity(shown),
        alerts: Some(alerts.len()),
        labels: shown.labels.clone(),
        summary: one_line(summary).into_owned(),
        cause: cause.to_owned(),
    })
}

fn of_part(config: &Config, part: &Part) -> Option<Deduction> {
    let (weight, severity) = match part.condition {
        Condition::Failed => (config.weights.part_failed, "failed"),
        Condition::Degraded => (config.weights.part_degraded, "degraded"),
        Condition::Starting | Condition::Ok => return None,
    };
    let signal = format!("part:{}", part.name);
    Some(Deduction {
        service: None,
        weight,
        points: tenths(weight),
        covered_by: None,
        value: None,
        threshold: None,
        good: None,
        bad: None,
        count: None,
        since: part.since,
        severity: severity.to_owned(),
        alerts: None,
        labels: Labels::empty(),
        summary: if part.detail.is_empty() { format!("{} is {severity}", part.name) } else { part.detail.clone() },
        cause: signal.clone(),
        signal,
    })
}

#[cfg(test)]
mod tests;
