//! The score, by subtraction: a reader with `/health` in hand can do the sum.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::{Deduction, HealthState, Report};
use crate::model::{AlertSnapshot, AlertState, Condition, Labels, Part, RuleKind, RuleSnapshot, RulesSnapshot, Timestamp};

/// The `health` section of the configuration.
#[derive(Clone, Debug, Default, PartialEq, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Which scores give which state.
    pub thresholds: Thresholds,
    /// Points that each reason costs.
    pub weights: Weights,
    /// The status that `/health` answers with in each state.
    pub http_status: HttpStatus,
}

/// Which scores give which state.
#[derive(Clone, Debug, PartialEq, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Thresholds {
    /// The lowest score that is `healthy`; lower ones are `degraded`.
    pub healthy: f64,
    /// The lowest score that is `degraded`; lower ones are `critical`.
    pub degraded: f64,
}

/// Points that each reason costs.
#[derive(Clone, Debug, PartialEq, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Weights {
    /// A firing alert by its label `severity`. Several alerts of one name cost once.
    pub severity: BTreeMap<String, f64>,
    /// A firing alert without a severity, or with one that is not listed.
    pub other_severity: f64,
    /// A part of the agent that does not work.
    pub part_failed: f64,
    /// A part of the agent that works with loss.
    pub part_degraded: f64,
}

/// The status that `/health` answers with in each state.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HttpStatus {
    /// In state `healthy`.
    pub healthy: u16,
    /// In state `degraded`.
    pub degraded: u16,
    /// In state `critical`.
    pub critical: u16,
    /// In state `unknown`.
    pub unknown: u16,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self { healthy: 80.0, degraded: 50.0 }
    }
}

impl Default for Weights {
    fn default() -> Self {
        let severity = [("critical", 40.0), ("page", 40.0), ("error", 40.0), ("warning", 25.0), ("info", 0.0), ("none", 0.0)];
        let severity = severity.map(|(name, points)| (name.to_owned(), points)).into();
        Self { severity, other_severity: 25.0, part_failed: 20.0, part_degraded: 5.0 }
    }
}

impl Default for HttpStatus {
    fn default() -> Self {
        Self { healthy: 200, degraded: 200, critical: 503, unknown: 503 }
    }
}

impl Config {
    /// What is wrong with the values, each behind its key; nothing if they fit together.
    #[must_use]
    pub fn check(&self) -> Vec<(&'static str, String)> {
        let mut problems = Vec::new();
        let Thresholds { healthy, degraded } = self.thresholds;
        if !(0.0..=100.0).contains(&degraded) || !(degraded..=100.0).contains(&healthy) {
            problems.push(("thresholds", format!("0 <= degraded <= healthy <= 100 does not hold for {degraded} and {healthy}")));
        }
        let Weights { severity, other_severity, part_failed, part_degraded } = &self.weights;
        if severity.values().chain([other_severity, part_failed, part_degraded]).any(|points| !(0.0..=100.0).contains(points)) {
            problems.push(("weights", "a weight is not between 0 and 100".to_owned()));
        }
        let HttpStatus { healthy, degraded, critical, unknown } = self.http_status;
        if [healthy, degraded, critical, unknown].iter().any(|status| !(200..600).contains(status)) {
            problems.push(("http_status", "a status is not between 200 and 599".to_owned()));
        }
        problems
    }

    const fn status(&self, state: HealthState) -> u16 {
        match state {
            HealthState::Healthy => self.http_status.healthy,
            HealthState::Degraded => self.http_status.degraded,
            HealthState::Critical => self.http_status.critical,
            HealthState::Unknown => self.http_status.unknown,
        }
    }
}

/// Judges by what is firing and how the agent's own parts are.
#[must_use]
pub fn judge(config: &Config, rules: &RulesSnapshot, parts: Vec<Part>, at: Timestamp) -> Report {
    let mut deductions = Vec::new();
    let mut pending = Vec::new();
    for rule in rules.groups.iter().flat_map(|group| &group.rules) {
        deductions.extend(deduction(config, rule, AlertState::Firing));
        pending.extend(deduction(config, rule, AlertState::Pending).map(|reason| Deduction { weight: 0.0, ..reason }));
    }
    deductions.extend(parts.iter().filter_map(|part| part_deduction(&config.weights, part)));
    for reasons in [&mut deductions, &mut pending] {
        reasons.sort_by(|a, b| b.weight.partial_cmp(&a.weight).unwrap_or(Ordering::Equal).then_with(|| a.signal.cmp(&b.signal)));
    }
    let lost: f64 = deductions.iter().map(|reason| reason.weight).sum();
    let score = (100.0 - lost).max(0.0);
    let blind: Vec<String> = parts
        .iter()
        .filter(|part| part.required && matches!(part.condition, Condition::Starting | Condition::Failed))
        .map(|part| format!("{} is {}", part.name, if part.detail.is_empty() { "not there yet" } else { &part.detail }))
        .collect();
    let state = if !blind.is_empty() {
        HealthState::Unknown
    } else if score >= config.thresholds.healthy {
        HealthState::Healthy
    } else if score >= config.thresholds.degraded {
        HealthState::Degraded
    } else {
        HealthState::Critical
    };
    Report { score, state, at, deductions, pending, blind, parts, http_status: config.status(state) }
}

/// One reason a rule, however many of its alerts are in the state.
fn deduction(config: &Config, rule: &RuleSnapshot, state: AlertState) -> Option<Deduction> {
    let RuleKind::Alerting { threshold, weight, alerts, .. } = &rule.kind else { return None };
    let since = |alert: &AlertSnapshot| alert.fired_at.unwrap_or(alert.active_at);
    let in_state = || alerts.iter().filter(|alert| alert.state == state);
    let oldest = in_state().min_by_key(|alert| since(alert))?;
    let severity = oldest.labels.get("severity").unwrap_or("");
    let summary = oldest.annotations.get("summary").or_else(|| oldest.annotations.get("description")).unwrap_or(&rule.query);
    Some(Deduction {
        signal: format!("alert:{}", rule.name),
        weight: weight.unwrap_or_else(|| config.weights.severity.get(severity).copied().unwrap_or(config.weights.other_severity)),
        value: Some(oldest.value),
        threshold: *threshold,
        since: since(oldest),
        severity: severity.to_owned(),
        alerts: Some(in_state().count()),
        labels: oldest.labels.clone(),
        summary: summary.to_owned(),
    })
}

fn part_deduction(weights: &Weights, part: &Part) -> Option<Deduction> {
    let (weight, severity) = match part.condition {
        Condition::Failed => (weights.part_failed, "failed"),
        Condition::Degraded => (weights.part_degraded, "degraded"),
        Condition::Starting | Condition::Ok => return None,
    };
    Some(Deduction {
        signal: format!("part:{}", part.name),
        weight,
        value: None,
        threshold: None,
        since: part.since,
        severity: severity.to_owned(),
        alerts: None,
        labels: Labels::empty(),
        summary: if part.detail.is_empty() { format!("{} is {severity}", part.name) } else { part.detail.clone() },
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::{GroupSnapshot, RuleHealth};

    fn alert(state: AlertState, since: i64, severity: &str) -> AlertSnapshot {
        let at = Timestamp::from_millis(since);
        AlertSnapshot {
            state,
            labels: Labels::from_pairs([("alertname", "A"), ("severity", severity)]),
            annotations: Labels::from_pairs([("summary", "It burns.")]),
            value: 0.95,
            active_at: at,
            fired_at: (state == AlertState::Firing).then_some(at),
            keep_firing_since: None,
        }
    }

    fn rules(alerts: Vec<AlertSnapshot>) -> RulesSnapshot {
        let rule = RuleSnapshot {
            name: "A".into(),
            query: "a > 0.9".into(),
            labels: Labels::empty(),
            annotations: Labels::empty(),
            health: RuleHealth::Ok,
            last_evaluation: None,
            evaluation_seconds: 0.0,
            kind: RuleKind::Alerting { for_millis: 0, keep_firing_for_millis: 0, threshold: Some(0.9), weight: None, owner: None, alerts },
        };
        let group = GroupSnapshot {
            name: "g".into(),
            file: "f".into(),
            interval_millis: 5_000,
            limit: 0,
            last_evaluation: None,
            evaluation_seconds: 0.0,
            rules: vec![rule],
        };
        RulesSnapshot { groups: vec![Arc::new(group)], load_errors: Vec::new() }
    }

    fn part(condition: Condition, required: bool) -> Part {
        Part { name: "collect".into(), condition, detail: String::new(), since: Timestamp::from_millis(7), required }
    }

    fn judge_at_9(rules: &RulesSnapshot, parts: Vec<Part>) -> Report {
        judge(&Config::default(), rules, parts, Timestamp::from_millis(9))
    }

    #[test]
    fn nothing_wrong_is_a_hundred() {
        let report = judge_at_9(&RulesSnapshot::default(), vec![part(Condition::Ok, true)]);
        assert_eq!((report.score, report.state, report.http_status()), (100.0, HealthState::Healthy, 200));
    }

    #[test]
    fn a_firing_alert_costs_its_severity_once_and_says_why() {
        let rules = rules(vec![alert(AlertState::Firing, 5, "critical"), alert(AlertState::Firing, 3, "critical")]);
        let report = judge_at_9(&rules, Vec::new());
        let reason = &report.deductions[0];
        assert_eq!((report.score, report.state), (60.0, HealthState::Degraded));
        assert_eq!((reason.signal.as_str(), reason.weight, reason.value, reason.threshold), ("alert:A", 40.0, Some(0.95), Some(0.9)));
        assert_eq!((reason.since, reason.alerts, reason.summary.as_str()), (Timestamp::from_millis(3), Some(2), "It burns."));
    }

    #[test]
    fn a_weight_of_its_own_counts_in_place_of_its_severitys() {
        let mut rules = rules(vec![alert(AlertState::Firing, 5, "critical")]);
        let group = Arc::get_mut(&mut rules.groups[0]).expect("one");
        let RuleKind::Alerting { weight, .. } = &mut group.rules[0].kind else { panic!("an alert") };
        *weight = Some(7.0);
        assert_eq!(judge_at_9(&rules, Vec::new()).score, 93.0);
    }

    #[test]
    fn a_pending_alert_is_named_but_costs_nothing() {
        let report = judge_at_9(&rules(vec![alert(AlertState::Pending, 5, "critical")]), Vec::new());
        assert_eq!((report.score, report.deductions.len(), report.pending.len()), (100.0, 0, 1));
        assert_eq!(report.pending[0].weight, 0.0);
    }

    #[test]
    fn the_agents_own_failures_cost_too() {
        let report = judge_at_9(&RulesSnapshot::default(), vec![part(Condition::Failed, false)]);
        assert_eq!((report.score, report.state, report.deductions[0].signal.as_str()), (80.0, HealthState::Healthy, "part:collect"));
    }

    #[test]
    fn an_agent_that_cannot_see_does_not_judge() {
        let report = judge_at_9(&RulesSnapshot::default(), vec![part(Condition::Starting, true)]);
        assert_eq!((report.state, report.http_status(), report.blind.len()), (HealthState::Unknown, 503, 1));
    }

    #[test]
    fn the_score_is_a_hundred_minus_the_weights_and_never_negative() {
        let mut config = Config::default();
        config.weights.severity.insert("critical".into(), 99.0);
        let rules = rules(vec![alert(AlertState::Firing, 5, "critical")]);
        let report = judge(&config, &rules, vec![part(Condition::Failed, false)], Timestamp::default());
        assert_eq!((report.score, report.state), (0.0, HealthState::Critical));
    }

    #[test]
    fn values_that_do_not_fit_together_are_named() {
        let mut config = Config::default();
        config.thresholds.degraded = 90.0;
        config.weights.part_failed = -1.0;
        config.http_status.unknown = 99;
        assert_eq!(config.check().iter().map(|(key, _)| *key).collect::<Vec<_>>(), ["thresholds", "weights", "http_status"]);
        assert!(Config::default().check().is_empty());
    }

    proptest::proptest! {
        #[test]
        fn one_more_alert_never_raises_the_score(severities in proptest::collection::vec("critical|warning|info|other", 0..5)) {
            let alerts: Vec<_> = severities.iter().map(|severity| alert(AlertState::Firing, 1, severity)).collect();
            let all = rules(alerts.clone()).groups.into_iter().chain(rules(vec![alert(AlertState::Firing, 1, "critical")]).groups).collect();
            let more = RulesSnapshot { groups: all, load_errors: Vec::new() };
            proptest::prop_assert!(judge_at_9(&more, Vec::new()).score <= judge_at_9(&rules(alerts), Vec::new()).score);
        }
    }
}
