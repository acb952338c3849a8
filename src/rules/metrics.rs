//! The rules' own metrics, under Prometheus's names where it has one, so that its dashboards and rules about rules work
//! here too.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use prometheus::{Gauge, GaugeVec, IntCounterVec, IntGauge};

use super::group::Round;
use super::rule::GroupSpec;
use crate::clock;
use crate::model::{AlertState, GroupSnapshot, RuleKind, RulesSnapshot, Timestamp};
use crate::telemetry::{Summary, Telemetry};

#[derive(Debug)]
pub(super) struct Metrics {
    evaluations: IntCounterVec,
    failures: IntCounterVec,
    iterations: IntCounterVec,
    missed: IntCounterVec,
    rule_durations: Summary,
    group_durations: Summary,
    duration: GaugeVec,
    rules_duration: GaugeVec,
    restore_duration: GaugeVec,
    last: GaugeVec,
    samples: GaugeVec,
    rules: GaugeVec,
    interval: GaugeVec,
    refused: IntCounterVec,
    alerts: GaugeVec,
    /// The alert names that `alerts` has series of.
    alert_names: Mutex<BTreeSet<String>>,
    reload_successful: IntGauge,
    reload_success_time: Gauge,
    problems: IntGauge,
}

impl Metrics {
    pub(super) fn new(telemetry: &Telemetry) -> Self {
        const GROUP: &[&str] = &["rule_group"];
        let refused = telemetry.counters("sidewatch_rules_samples_refused_total", "Samples of rules that history refused.", &["reason"]);
        for reason in ["out_of_order", "duplicate", "over_limit"] {
            refused.with_label_values(&[reason]);
        }
        Self {
            evaluations: telemetry.counters("prometheus_rule_evaluations_total", "Rule evaluations.", GROUP),
            failures: telemetry.counters("prometheus_rule_evaluation_failures_total", "Rule evaluations that failed.", GROUP),
            iterations: telemetry.counters(
                "prometheus_rule_group_iterations_total",
                "Scheduled evaluations of a group, missed ones included.",
                GROUP,
            ),
            missed: telemetry.counters(
                "prometheus_rule_group_iterations_missed_total",
                "Evaluations of a group that were missed because the one before took too long.",
                GROUP,
            ),
            rule_durations: telemetry.summary(
                "prometheus_rule_evaluation_duration_seconds",
                "How long evaluations of a rule took.",
                &[0.5, 0.9, 0.99],
                clock::monotonic,
            ),
            group_durations: telemetry.summary(
                "prometheus_rule_group_duration_seconds",
                "How long evaluations of a group took.",
                &[0.01, 0.05, 0.5, 0.9, 0.99],
                clock::monotonic,
            ),
            duration: telemetry.gauges("prometheus_rule_group_last_duration_seconds", "How long a group's last evaluation took.", GROUP),
            rules_duration: telemetry.gauges(
                "prometheus_rule_group_last_rule_duration_sum_seconds",
                "How long the rules of a group took at its last evaluation, without what is between them.",
                GROUP,
            ),
            restore_duration: telemetry.gauges(
                "prometheus_rule_group_last_restore_duration_seconds",
                "How long it took to restore since when a group's alerts are pending.",
                GROUP,
            ),
            last: telemetry.gauges("prometheus_rule_group_last_evaluation_timestamp_seconds", "When a group was last evaluated.", GROUP),
            samples: telemetry.gauges(
                "prometheus_rule_group_last_evaluation_samples",
                "Samples that the rules of a group gave at its last evaluation.",
                GROUP,
            ),
            rules: telemetry.gauges("prometheus_rule_group_rules", "Rules in a group.", GROUP),
            interval: telemetry.gauges("prometheus_rule_group_interval_seconds", "How often a group is evaluated.", GROUP),
            refused,
            alerts: telemetry.gauges("sidewatch_alerts", "Alerts that are pending or firing now.", &["alertname", "alertstate"]),
            alert_names: Mutex::default(),
            reload_successful: telemetry
                .int_gauge("sidewatch_rules_last_reload_successful", "Whether all rule files could be loaded the last time."),
            reload_success_time: telemetry
                .gauge("sidewatch_rules_last_reload_success_timestamp_seconds", "When all rule files could last be loaded."),
            problems: telemetry.int_gauge("sidewatch_rules_load_problems", "Problems found in the rule files the last time."),
        }
    }

    /// A group runs from now on; all of its series show.
    pub(super) fn started(&self, spec: &GroupSpec) {
        let key = [spec.key()];
        for counter in [&self.evaluations, &self.failures, &self.iterations, &self.missed] {
            counter.with_label_values(&key);
        }
        for gauge in [&self.duration, &self.last, &self.samples] {
            gauge.with_label_values(&key);
        }
        #[allow(clippy::cast_precision_loss)]
        self.rules.with_label_values(&key).set(spec.rules.len() as f64);
        #[allow(clippy::cast_precision_loss)]
        self.interval.with_label_values(&key).set(spec.interval_millis as f64 / 1e3);
    }

    /// A group runs no more.
    pub(super) fn ended(&self, key: &str) {
        for counter in [&self.evaluations, &self.failures, &self.iterations, &self.missed] {
            let _absent = counter.remove_label_values(&[key]);
        }
        for gauge in [&self.duration, &self.rules_duration, &self.restore_duration, &self.last, &self.samples, &self.rules, &self.interval]
        {
            let _absent = gauge.remove_label_values(&[key]);
        }
    }

    /// A group was evaluated, after `missed` slots.
    #[allow(clippy::cast_precision_loss)]
    pub(super) fn evaluated(&self, key: &str, missed: u64, round: &Round, snapshot: &GroupSnapshot) {
        let key = [key];
        self.iterations.with_label_values(&key).inc_by(missed.saturating_add(1));
        self.missed.with_label_values(&key).inc_by(missed);
        self.evaluations.with_label_values(&key).inc_by(round.evaluations);
        self.failures.with_label_values(&key).inc_by(round.failures);
        self.rule_durations.observe_all(snapshot.rules.iter().map(|rule| rule.evaluation_seconds));
        self.group_durations.observe(snapshot.evaluation_seconds);
        self.duration.with_label_values(&key).set(snapshot.evaluation_seconds);
        // Of nothing the sum is -0.
        let rules = snapshot.rules.iter().fold(0.0, |sum, rule| sum + rule.evaluation_seconds);
        self.rules_duration.with_label_values(&key).set(rules);
        self.restore_duration.with_label_values(&key).set(round.restore_seconds);
        self.last.with_label_values(&key).set(snapshot.last_evaluation.map_or(0.0, Timestamp::as_seconds));
        self.samples.with_label_values(&key).set(round.results as f64);
        let appended = &round.appended;
        for (reason, count) in
            [("out_of_order", appended.out_of_order), ("duplicate", appended.duplicate), ("over_limit", appended.over_limit)]
        {
            self.refused.with_label_values(&[reason]).inc_by(count);
        }
    }

    /// A group has missed so many more slots.
    pub(super) fn missed(&self, key: &str, slots: u64) {
        if slots > 0 {
            self.iterations.with_label_values(&[key]).inc_by(slots);
            self.missed.with_label_values(&[key]).inc_by(slots);
        }
    }

    /// The alerts as they stand. A rule's alerts show as 0 while there are none.
    #[allow(clippy::cast_precision_loss)]
    pub(super) fn alerts(&self, snapshot: &RulesSnapshot) {
        let mut counts: BTreeMap<&str, [usize; 2]> = BTreeMap::new();
        for (name, more) in snapshot.groups.iter().flat_map(|group| alert_counts(group)) {
            let [pending, firing] = counts.entry(name).or_default();
            *pending += more[0];
            *firing += more[1];
        }
        for (name, [pending, firing]) in &counts {
            self.alerts.with_label_values(&[name, "pending"]).set(*pending as f64);
            self.alerts.with_label_values(&[name, "firing"]).set(*firing as f64);
        }
        let mut known = self.alert_names.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|name| {
            let stays = counts.contains_key(name.as_str());
            if !stays {
                let _absent = self.alerts.remove_label_values(&[name, "pending"]);
                let _absent = self.alerts.remove_label_values(&[name, "firing"]);
            }
            stays
        });
        for name in counts.into_keys().filter(|name| !known.contains(*name)).collect::<Vec<_>>() {
            known.insert(name.to_owned());
        }
    }

    /// The rule files were read, with so many problems.
    pub(super) fn loaded(&self, problems: usize, at: Timestamp) {
        self.reload_successful.set(i64::from(problems == 0));
        self.problems.set(i64::try_from(problems).unwrap_or(i64::MAX));
        if problems == 0 {
            self.reload_success_time.set(at.as_seconds());
        }
    }
}

/// How many alerts of each rule of a group are pending, and how many are firing.
pub(super) fn alert_counts(group: &GroupSnapshot) -> impl Iterator<Item = (&str, [usize; 2])> {
    group.rules.iter().filter_map(|rule| {
        let RuleKind::Alerting { alerts, .. } = &rule.kind else { return None };
        let count = |state: AlertState| alerts.iter().filter(|alert| alert.state == state).count();
        Some((rule.name.as_str(), [AlertState::Pending, AlertState::Firing].map(count)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Value;
    use crate::rules::file;
    use crate::rules::group::Group;

    #[test]
    fn a_group_shows_before_its_first_evaluation_and_one_without_rules_takes_no_time() {
        let telemetry = Telemetry::new();
        let metrics = Metrics::new(&telemetry);
        let value = |name: &str| {
            let families = telemetry.families();
            let family = families.iter().find(|family| &*family.name == name)?;
            match family.series.first()?.value {
                Value::Number(number) => Some(number.to_string()),
                _ => None,
            }
        };
        let spec = std::sync::Arc::clone(&file::parse("f", "groups: [{name: g}]", 15_000).groups[0]);
        metrics.started(&spec);
        for name in ["last_duration_seconds", "last_evaluation_timestamp_seconds", "last_evaluation_samples", "rules"] {
            assert_eq!(value(&format!("prometheus_rule_group_{name}")).as_deref(), Some("0"), "{name}");
        }
        metrics.evaluated(&spec.key(), 0, &Round::default(), &Group::new(spec.clone()).snapshot());
        assert_eq!(value("prometheus_rule_group_last_rule_duration_sum_seconds").as_deref(), Some("0"));
    }
}
