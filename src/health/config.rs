//! The `health` section of the configuration: what costs how many points, and which scores give which state.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::HealthState;
use super::agent_check::AgentCheck;
use super::signal::{Signal, built_in};
use crate::model::PromDuration;
use crate::promql;
use crate::promql::EngineConfig;

/// The `health` section of the configuration.
#[derive(Clone, Debug, PartialEq, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Which scores give which state.
    pub thresholds: Thresholds,
    /// What it takes to leave a bad state, so that a score around a threshold does not change it again and again.
    pub recovery: Recovery,
    /// Points that each reason costs.
    pub weights: Weights,
    /// How often the signals are evaluated.
    pub interval: PromDuration,
    /// Signals by name: PromQL expressions that cost points as their values go from good to bad. A name that is built in replaces
    /// that signal, and `null` switches it off.
    #[serde(deserialize_with = "over_built_in")]
    pub signals: BTreeMap<String, Option<Signal>>,
    /// The most services that have a score of their own: those of `agent_check.listen` in any case, then the first ones by name. More are
    /// judged together, as `__other__`.
    pub services_max: usize,
    /// The status that `/health` answers with in each state.
    pub http_status: HttpStatus,
    /// HAProxy's agent-check.
    pub agent_check: AgentCheck,
}

/// Which scores give which state.
#[derive(Clone, Copy, Debug, PartialEq, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Thresholds {
    /// The lowest score that is `healthy`; lower ones are `degraded`.
    pub healthy: f64,
    /// The lowest score that is `degraded`; lower ones are `critical`.
    pub degraded: f64,
}

/// What it takes to leave a bad state.
#[derive(Clone, Copy, Debug, PartialEq, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Recovery {
    /// So many points above its threshold the score has to be, at most at 100.
    pub margin: f64,
    /// So long without a break.
    pub after: PromDuration,
}

/// Points that each reason costs.
#[derive(Clone, Debug, PartialEq, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Weights {
    /// A firing alert by its label `severity`. Several alerts of one name cost once. What is set here is added to these, or takes
    /// their place.
    #[serde(deserialize_with = "over_default_severities")]
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

impl Default for Config {
    fn default() -> Self {
        Self {
            thresholds: Thresholds::default(),
            recovery: Recovery::default(),
            weights: Weights::default(),
            interval: PromDuration::from_secs(5),
            signals: built_in(),
            services_max: 100,
            http_status: HttpStatus::default(),
            agent_check: AgentCheck::default(),
        }
    }
}

impl Default for Thresholds {
    fn default() -> Self {
        Self { healthy: 80.0, degraded: 50.0 }
    }
}

impl Default for Recovery {
    fn default() -> Self {
        Self { margin: 5.0, after: PromDuration::from_secs(30) }
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

fn over_default_severities<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, f64>, D::Error> {
    let mut severity = Weights::default().severity;
    severity.extend(BTreeMap::deserialize(deserializer)?);
    Ok(severity)
}

fn over_built_in<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, Option<Signal>>, D::Error> {
    let mut signals = built_in();
    signals.extend(BTreeMap::<String, Option<Signal>>::deserialize(deserializer)?);
    Ok(signals)
}

impl Config {
    /// The signals that are on, by name.
    pub(super) fn signals(&self) -> impl Iterator<Item = (&str, &Signal)> {
        self.signals.iter().filter_map(|(name, signal)| Some((name.as_str(), signal.as_ref()?)))
    }

    /// The services that HAProxy asks about.
    pub(super) fn asked(&self) -> impl Iterator<Item = &str> {
        self.agent_check.listen.iter().filter_map(|listen| listen.service.as_deref())
    }

    /// How far back each expression of the signals looks, in milliseconds, behind its key.
    #[must_use]
    pub fn reaches(&self, engine: &EngineConfig) -> Vec<(String, i64)> {
        let of_signal = |(name, signal): (&str, &Signal)| {
            let texts = [("expr", Some(signal.expr.clone())), ("count", signal.count.clone())];
            let reach = |text: &str| promql::parse(text).ok().map(|expr| promql::reach_millis(&expr, engine));
            texts.map(|(key, text)| Some((format!("signals.{name}.{key}"), reach(&text?)?)))
        };
        self.signals().flat_map(of_signal).flatten().collect()
    }

    /// What is wrong with the values, each behind its key; nothing if they fit together.
    #[must_use]
    pub fn check(&self) -> Vec<(String, String)> {
        let mut problems = Vec::new();
        let mut problem = |key: &str, message: String| problems.push((key.to_owned(), message));
        let Thresholds { healthy, degraded } = self.thresholds;
        if !(0.0..=100.0).contains(&degraded) || !(degraded..=100.0).contains(&healthy) {
            problem("thresholds", format!("0 <= degraded <= healthy <= 100 does not hold for {degraded} and {healthy}"));
        }
        if !(0.0..=100.0).contains(&self.recovery.margin) {
            problem("recovery.margin", "it is not between 0 and 100".to_owned());
        }
        let Weights { severity, other_severity, part_failed, part_degraded } = &self.weights;
        if severity.values().chain([other_severity, part_failed, part_degraded]).any(|points| !(0.0..=100.0).contains(points)) {
            problem("weights", "a weight is not between 0 and 100".to_owned());
        }
        if self.interval < PromDuration::from_secs(1) {
            problem("interval", format!("{} is too short; it is at least 1s", self.interval));
        }
        if self.services_max == 0 {
            problem("services_max", "0 is too little; it is at least 1".to_owned());
        }
        for (name, signal) in self.signals() {
            for (key, message) in signal.check() {
                problem(&format!("signals.{name}.{key}"), message);
            }
        }
        let HttpStatus { healthy, degraded, critical, unknown } = self.http_status;
        if [healthy, degraded, critical, unknown].iter().any(|status| !(200..600).contains(status)) {
            problem("http_status", "a status is not between 200 and 599".to_owned());
        }
        for (key, message) in self.agent_check.check() {
            problem(&format!("agent_check.{key}"), message);
        }
        problems
    }

    pub(super) const fn status(&self, state: HealthState) -> u16 {
        match state {
            HealthState::Healthy => self.http_status.healthy,
            HealthState::Degraded => self.http_status.degraded,
            HealthState::Critical => self.http_status.critical,
            HealthState::Unknown => self.http_status.unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(text: &str) -> Vec<String> {
        let config: Config = serde_yaml::from_str(text).expect("readable");
        config.check().into_iter().map(|(key, _)| key).collect()
    }

    #[test]
    fn values_that_do_not_fit_together_are_named() {
        assert_eq!(keys("{}"), Vec::<String>::new());
        assert_eq!(
            keys("{thresholds: {degraded: 90}, weights: {part_failed: -1}, http_status: {unknown: 99}, recovery: {margin: .nan}}"),
            ["thresholds", "recovery.margin", "weights", "http_status"]
        );
        assert_eq!(keys("{interval: 10ms, services_max: 0}"), ["interval", "services_max"]);
        assert_eq!(keys("{agent_check: {listen: [{address: '[::1]:1'}, {address: '[::1]:1', service: a}]}}"), ["agent_check.listen"]);
    }

    #[test]
    fn what_is_wrong_with_a_signal_stands_behind_its_key() {
        let signal = |more: &str| keys(&format!("{{signals: {{a: {{expr: up, good: 1, bad: 0, weight: 5{more}}}}}}}"));
        assert_eq!(signal(""), Vec::<String>::new());
        assert_eq!(signal(", count: 'up['"), ["signals.a.count"]);
        assert_eq!(signal(", count_min: 1"), ["signals.a.count_min"]);
        assert_eq!(keys("{signals: {a: {expr: 'up[5m]', good: 1, bad: 1, weight: 500}}}").len(), 3);
    }

    #[test]
    fn what_a_file_says_is_added_to_what_is_built_in() {
        let config: Config =
            serde_yaml::from_str("{weights: {severity: {warning: 10, ticket: 1}}, signals: {request_latency: null}}").expect("readable");
        let severity = |name: &str| config.weights.severity.get(name).copied();
        assert_eq!((severity("warning"), severity("ticket"), severity("critical")), (Some(10.0), Some(1.0), Some(40.0)));
        assert_eq!(config.signals().map(|(name, _)| name).collect::<Vec<_>>(), ["request_errors"]);
        let again: Config = serde_yaml::from_str(&serde_yaml::to_string(&config).expect("YAML")).expect("readable");
        assert_eq!(again, config);
    }
}
