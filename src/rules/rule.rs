//! What rule files say, typed: groups and rules with their expressions and templates parsed; and what a rule makes of
//! a result.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use super::alert::{Observed, Timing};
use super::overlay::Overlay;
use super::series::Output;
use super::template::{Ask, Data, Template};
use crate::model::{Labels, METRIC_NAME, Timestamp};
use crate::promql::{Binary, BinaryOp, Expr, ExprKind, ValueType};

/// The label that carries an alert's name.
pub(super) const ALERT_NAME: &str = "alertname";

/// A group as its file defines it.
#[derive(Debug, PartialEq)]
pub struct GroupSpec {
    /// The file as the user knows it, or `pack:NAME`.
    pub(super) file: Arc<str>,
    /// Its name, unique in its file.
    pub(super) name: String,
    /// How often it is evaluated, in milliseconds; at least 1.
    pub(super) interval_millis: i64,
    /// How far before its slot it looks, in milliseconds.
    pub(super) query_offset_millis: i64,
    /// The most alerts or series that a rule may make; 0 is no limit.
    pub(super) limit: usize,
    /// Its rules, in order.
    pub(super) rules: Vec<Rule>,
}

impl GroupSpec {
    /// The file it is from, or `pack:NAME`.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its rules, in order.
    pub fn rules(&self) -> impl Iterator<Item = RuleView<'_>> {
        self.rules.iter().map(|rule| RuleView {
            name: &rule.text.name,
            alerting: rule.text.timing.is_some(),
            query: &rule.text.query,
            timing: rule.text.timing.unwrap_or_default(),
            threshold: rule.threshold(),
            labels: rule.label_texts.clone(),
            annotations: rule.annotation_texts.clone(),
        })
    }

    /// What makes it the same group over a reload, and its name in metrics, as in Prometheus: `file;name`.
    pub(super) fn key(&self) -> String {
        format!("{};{}", self.file, self.name)
    }
}

/// A rule as its file defines it, to look at.
#[derive(Clone, Debug)]
pub struct RuleView<'g> {
    /// The alert's name, or the recorded metric's.
    pub name: &'g str,
    /// True for an alert.
    pub alerting: bool,
    /// Its expression as written.
    pub query: &'g str,
    /// An alert's `for` and `keep_firing_for`; zero where it has none.
    pub timing: Timing,
    /// The number that its expression compares with, where it says so plainly.
    pub threshold: Option<f64>,
    /// Its labels, templates unexpanded, the group's included.
    pub labels: Labels,
    /// Its annotations, templates unexpanded.
    pub annotations: Labels,
}

/// What a rule says. Equal texts are equal rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RuleText {
    /// The alert's name, or the recorded metric's.
    pub(super) name: String,
    /// Set for an alerting rule.
    pub(super) timing: Option<Timing>,
    /// The expression as written.
    pub(super) query: String,
    /// Labels as written, the group's included.
    pub(super) labels: BTreeMap<String, String>,
    /// Annotations as written.
    pub(super) annotations: BTreeMap<String, String>,
}

/// A rule, ready to be evaluated.
#[derive(Debug)]
pub(super) struct Rule {
    /// What it says.
    pub(super) text: RuleText,
    /// Its expression.
    pub(super) expr: Expr,
    /// The same as a text, in the form in which Prometheus shows it.
    pub(super) printed: String,
    /// The templates of an alert's labels, by name.
    pub(super) labels: Vec<(String, Template)>,
    /// The templates of its annotations, by name.
    pub(super) annotations: Vec<(String, Template)>,
    /// Its labels as written, and its annotations, for others to read.
    pub(super) label_texts: Labels,
    pub(super) annotation_texts: Labels,
    /// What the configuration says of it.
    pub(super) overlay: Overlay,
    /// The expression of that.
    pub(super) resolve: Option<Expr>,
}

impl PartialEq for Rule {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text && self.overlay == other.overlay
    }
}

/// What templates can see beside a result.
#[derive(Clone, Debug, Default)]
pub struct Externals {
    /// `$externalLabels`
    pub labels: Labels,
    /// `$externalURL`
    pub url: String,
}

/// Two results of a recording rule are one series. The text is Prometheus's.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum RecordError {
    /// Two results are one series.
    #[error("vector contains metrics with the same labelset after applying rule labels: {0}")]
    Duplicate(Labels),
    /// More series than the group allows.
    #[error("exceeded limit of {limit} with {count} series")]
    Limit {
        /// The group's limit.
        limit: usize,
        /// How many series there would be.
        count: usize,
    },
}

impl Rule {
    /// A result as alerts: the result's labels without its name, over them the rule's, and the alert's name.
    /// Its templates may `ask`; `at` is what they see as the time.
    pub(super) fn observe(&self, samples: &[Output], externals: &Externals, at: Timestamp, ask: Ask<'_>) -> Vec<Observed> {
        // Many annotations are the same for all.
        let is_plain = self.annotations.iter().all(|(_, template)| template.plain().is_some());
        let observe = |((labels, value), (alert, _)): (&Output, (Labels, f64))| {
            let data = Data { labels, external_labels: &externals.labels, external_url: &externals.url, value: *value, at, ask };
            let annotations = if is_plain {
                self.annotation_texts.clone()
            } else {
                let texts = expand(&self.annotations, &data);
                Labels::from_sorted(texts.iter().map(|(name, text)| (*name, &**text)))
            };
            Observed { labels: alert, annotations, value: *value }
        };
        samples.iter().zip(self.identify(samples, externals, at, ask)).map(observe).collect()
    }

    /// The labels that a result's alerts have, each with its value. What is not asked for is not made.
    pub(super) fn identify<'s>(
        &'s self,
        samples: &'s [Output],
        externals: &'s Externals,
        at: Timestamp,
        ask: Ask<'s>,
    ) -> impl Iterator<Item = (Labels, f64)> + 's {
        // Most labels are the same for all.
        let plain: Option<Vec<_>> = self.labels.iter().map(|(name, template)| Some((name.as_str(), template.plain()?))).collect();
        let plain = plain.map(|plain| self.over(plain.into_iter()));
        samples.iter().map(move |(labels, value)| {
            let alert = if let Some(over) = &plain {
                labels.overlaid(over)
            } else {
                let data = Data { labels, external_labels: &externals.labels, external_url: &externals.url, value: *value, at, ask };
                let texts = expand(&self.labels, &data);
                labels.overlaid(&self.over(texts.iter().map(|(name, text)| (*name, &**text))))
            };
            (alert, *value)
        })
    }

    /// Those of an alert's labels that stay the same while what is measured of it changes: by them what is measured is known to be its.
    pub(super) fn lasting(&self, labels: &Labels) -> Labels {
        let varies = |name: &str| self.labels.iter().any(|(label, template)| label == name && template.varies());
        if self.labels.iter().any(|(_, template)| template.varies()) { labels.filtered(|name| !varies(name)) } else { labels.clone() }
    }

    /// What is laid over a result's labels, in order of names.
    fn over<'t>(&'t self, labels: impl Iterator<Item = (&'t str, &'t str)>) -> Vec<(&'t str, &'t str)> {
        let own = [(METRIC_NAME, ""), (ALERT_NAME, self.text.name.as_str())];
        let mut over: Vec<_> = own.into_iter().chain(labels.filter(|(name, _)| *name != ALERT_NAME)).collect();
        over.sort_unstable();
        over
    }

    /// A result as recorded series: the result's labels with the rule's name, over them the rule's.
    pub(super) fn record(&self, samples: Vec<Output>, limit: usize) -> Result<Vec<Output>, RecordError> {
        let mut over = vec![(METRIC_NAME, self.text.name.as_str())];
        over.extend(self.text.labels.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        over.sort_unstable();
        let record = |(labels, value): Output| (labels.overlaid(&over), value);
        let outputs: Vec<Output> = samples.into_iter().map(record).collect();
        let mut seen = HashSet::new();
        if let Some((twice, _)) = outputs.iter().find(|(labels, _)| !seen.insert(labels)) {
            return Err(RecordError::Duplicate(twice.clone()));
        }
        if limit > 0 && outputs.len() > limit {
            return Err(RecordError::Limit { limit, count: outputs.len() });
        }
        Ok(outputs)
    }

    /// The number that the expression compares with, where it says so plainly: `… > 0.9`, also with a guard behind `and`
    /// or `unless`.
    pub(super) fn threshold(&self) -> Option<f64> {
        let comparison = self.comparison()?;
        number(&comparison.rhs).or_else(|| number(&comparison.lhs))
    }

    /// What is measured: the side of the comparison that gives the alerts their labels and value, also while it does not hold.
    pub(super) fn measured(&self) -> Option<&Expr> {
        if self.resolve.is_some() {
            return self.resolve.as_ref();
        }
        let Binary { lhs, rhs, return_bool, .. } = self.comparison()?;
        let side = if lhs.value_type() == ValueType::Vector { lhs } else { rhs };
        (!return_bool && side.value_type() == ValueType::Vector).then_some(side)
    }

    /// What is measured, where it has the labels of the alerts for certain: that of two vectors need not.
    pub(super) fn tells_of_data(&self) -> Option<&Expr> {
        let scalar = |binary: &Binary| [&binary.lhs, &binary.rhs].iter().any(|side| side.value_type() == ValueType::Scalar);
        self.measured().filter(|_| self.resolve.is_some() || self.comparison().is_some_and(scalar))
    }

    fn comparison(&self) -> Option<&Binary> {
        let mut expr = self.expr.unwrap_parens();
        loop {
            let ExprKind::Binary(binary) = &expr.kind else { return None };
            match binary.op {
                BinaryOp::And | BinaryOp::Unless => expr = binary.lhs.unwrap_parens(),
                BinaryOp::Eq | BinaryOp::Ne | BinaryOp::Lt | BinaryOp::Le | BinaryOp::Gt | BinaryOp::Ge => return Some(binary),
                _ => return None,
            }
        }
    }
}

fn expand<'t>(templates: &'t [(String, Template)], data: &Data<'_>) -> Vec<(&'t str, Cow<'t, str>)> {
    let expand = |(name, template): &'t (String, Template)| {
        // An alert with a broken text is worth more than no alert.
        let text = template.expand(data).unwrap_or_else(|error| Cow::Owned(format!("<error expanding template: {error}>")));
        (name.as_str(), text)
    };
    templates.iter().map(expand).collect()
}

fn number(expr: &Expr) -> Option<f64> {
    match &expr.unwrap_parens().kind {
        ExprKind::Number(number) => Some(number.value),
        _ => None,
    }
}
