//! Which rules the tests have seen, and in which states.

use std::collections::BTreeMap;
use std::fmt;

use crate::model::{AlertState, GroupSnapshot, METRIC_NAME, RuleKind};
use crate::promql::{Expr, ExprKind, VectorSelector};
use crate::rules::rule::GroupSpec;

/// All rules that tests were about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage(BTreeMap<Key, RuleCoverage>);

/// File, group and place in the group.
type Key = (String, String, usize);

/// What the tests have seen of a rule.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuleCoverage {
    /// The alert's name, or the recorded metric's.
    pub name: String,
    /// True for an alert.
    pub alerting: bool,
    has_pending: bool,
    silent: bool,
    pending: bool,
    firing: bool,
    resolved: bool,
    recorded: bool,
    checked_silent: bool,
    checked_firing: bool,
    checked: bool,
}

impl RuleCoverage {
    /// What no test has seen of it, or has not looked at. Nothing where it is covered.
    #[must_use]
    pub fn missing(&self) -> Vec<&'static str> {
        let wanted = if self.alerting {
            [
                (self.checked_firing || self.checked, "no test expects it to fire"),
                (self.checked_silent || self.checked, "no test expects it to be silent"),
                (self.silent, "never silent"),
                (self.pending || !self.has_pending, "never pending"),
                (self.firing, "never firing"),
                (self.resolved || !self.firing, "never resolved"),
            ]
        } else {
            let seen = (true, "");
            [(self.checked, "no test looks at it"), (self.recorded, "never written"), seen, seen, seen, seen]
        };
        wanted.into_iter().filter(|(met, _)| !met).map(|(_, what)| what).collect()
    }
}

impl Coverage {
    /// Rules that a test could see from now on.
    pub(super) fn enlist(&mut self, group: &GroupSpec) {
        for (place, rule) in group.rules.iter().enumerate() {
            let has_pending = rule.text.timing.is_some_and(|timing| timing.for_millis > 0);
            let key = (group.file.to_string(), group.name.clone(), place);
            self.0.entry(key).or_insert_with(|| RuleCoverage {
                name: rule.text.name.clone(),
                alerting: rule.text.timing.is_some(),
                has_pending,
                ..RuleCoverage::default()
            });
        }
    }

    /// The states after an evaluation; `was` before.
    pub(super) fn see(&mut self, was: Option<&GroupSnapshot>, now: &GroupSnapshot) {
        for (place, rule) in now.rules.iter().enumerate() {
            let RuleKind::Alerting { alerts, .. } = &rule.kind else { continue };
            let Some(seen) = self.0.get_mut(&(now.file.clone(), now.name.clone(), place)) else { continue };
            let fired = was.and_then(|was| was.rules.get(place)).is_some_and(|rule| match &rule.kind {
                RuleKind::Alerting { alerts, .. } => {
                    alerts.iter().any(|old| old.state == AlertState::Firing && !alerts_have(&now.rules, place, &old.labels))
                }
                RuleKind::Recording => false,
            });
            seen.silent |= alerts.is_empty();
            seen.pending |= alerts.iter().any(|alert| alert.state == AlertState::Pending);
            seen.firing |= alerts.iter().any(|alert| alert.state == AlertState::Firing);
            seen.resolved |= fired;
        }
    }

    /// Recorded metrics that have come about.
    pub(super) fn recorded(&mut self, written: &dyn Fn(&str) -> bool) {
        for rule in self.0.values_mut().filter(|rule| !rule.alerting && !rule.recorded) {
            rule.recorded = written(&rule.name);
        }
    }

    /// A test has looked at the alerts of a name.
    pub(super) fn check_alert(&mut self, name: &str, fires: bool) {
        for rule in self.0.values_mut().filter(|rule| rule.alerting && rule.name == name) {
            if fires {
                rule.checked_firing = true;
            } else {
                rule.checked_silent = true;
            }
        }
    }

    /// A test has looked at what an expression reads.
    pub(super) fn check_expression(&mut self, expr: &Expr) {
        expr.walk(&mut |expr| {
            let selector = match &expr.kind {
                ExprKind::VectorSelector(selector) => selector,
                ExprKind::MatrixSelector(matrix) => &matrix.selector,
                _ => return,
            };
            for rule in self.0.values_mut() {
                rule.checked |= if rule.alerting { is_of_alert(selector, &rule.name) } else { matches(selector, METRIC_NAME, &rule.name) };
            }
        });
    }

    /// Takes in what other tests have seen.
    pub fn add(&mut self, other: Self) {
        for (key, seen) in other.0 {
            let rule = self.0.entry(key).or_insert_with(|| RuleCoverage {
                name: seen.name.clone(),
                alerting: seen.alerting,
                has_pending: seen.has_pending,
                ..RuleCoverage::default()
            });
            rule.silent |= seen.silent;
            rule.pending |= seen.pending;
            rule.firing |= seen.firing;
            rule.resolved |= seen.resolved;
            rule.recorded |= seen.recorded;
            rule.checked_silent |= seen.checked_silent;
            rule.checked_firing |= seen.checked_firing;
            rule.checked |= seen.checked;
        }
    }
}

fn alerts_have(rules: &[crate::model::RuleSnapshot], place: usize, labels: &crate::model::Labels) -> bool {
    rules.get(place).is_some_and(|rule| match &rule.kind {
        RuleKind::Alerting { alerts, .. } => alerts.iter().any(|alert| alert.labels == *labels),
        RuleKind::Recording => false,
    })
}

fn matches(selector: &VectorSelector, label: &str, value: &str) -> bool {
    let mut matchers = selector.matchers.iter().filter(|matcher| matcher.name() == label).peekable();
    matchers.peek().is_some() && matchers.all(|matcher| matcher.matches(value))
}

/// `ALERTS` of this alert, or of all.
fn is_of_alert(selector: &VectorSelector, name: &str) -> bool {
    let of_alerts = matches(selector, METRIC_NAME, "ALERTS") || matches(selector, METRIC_NAME, "ALERTS_FOR_STATE");
    of_alerts && selector.matchers.iter().filter(|matcher| matcher.name() == "alertname").all(|matcher| matcher.matches(name))
}

/// How many rules are covered, and what is missing of the others.
impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let covered = self.0.values().filter(|rule| rule.missing().is_empty()).count();
        writeln!(f, "Coverage: {covered} of {} rules in all their states", self.0.len())?;
        for ((file, group, _), rule) in &self.0 {
            let missing = rule.missing();
            if !missing.is_empty() {
                let kind = if rule.alerting { "alert" } else { "record" };
                writeln!(f, "  {file}: group {group:?}, {kind} {:?}: {}", rule.name, missing.join(", "))?;
            }
        }
        Ok(())
    }
}
