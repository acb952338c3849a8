//! The lints over the groups of a file.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};

use regex::Regex;

use super::dry;
use super::flow::{Flow, flow};
use super::hold::{has_condition, longest, reads};
use super::names::Inventory;
use super::{
    FOR_UNREACHABLE, HISTORY_TOO_SHORT, MISPLACED_FIELD, NO_COMPARISON, NOT_A_VECTOR, RANGE_TOO_SHORT, TEMPLATE_FAILS, TEMPLATE_LABEL,
    UNKNOWN_LABEL, UNKNOWN_METRIC,
};
use crate::diagnostic::{Diagnostic, PathStep, Position, locate_yaml, locate_yaml_key, told_max};
use crate::model::{METRIC_NAME, format_millis, parse_millis};
use crate::promql::{Aggregate, DurationArg, EngineConfig, Expr, ExprKind, Span, ValueType, VectorSelector, reach_place};
use crate::rules::rule::{GroupSpec, Rule};
use crate::rules::scalar::position_in_scalar;

/// The functions of a range that have no result for a single sample.
const OF_TWO: [&str; 8] = ["delta", "deriv", "double_exponential_smoothing", "idelta", "increase", "irate", "predict_linear", "rate"];

/// The most findings of one file that are told.
const FINDINGS_MAX: usize = 100;

/// What the lints know of the agent.
#[derive(Debug)]
pub struct LintContext<'c> {
    /// The names of the lints to apply.
    pub lints: &'c BTreeSet<&'static str>,
    /// How far apart the samples of a series are, in milliseconds.
    pub resolution_millis: i64,
    /// How long samples are kept, in milliseconds.
    pub kept_millis: i64,
    /// What expressions are evaluated with.
    pub engine: &'c EngineConfig,
    /// Which metrics there are.
    pub inventory: &'c Inventory,
}

/// What a lint has found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Which lint.
    pub lint: &'static str,
    /// What, and where.
    pub diagnostic: Diagnostic,
}

/// A rule that stands more than once in a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Duplicate {
    /// The alert's name, or the recorded metric's.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
}

/// The rules that stand more than once, each once.
#[must_use]
pub fn duplicates(groups: &[Arc<GroupSpec>]) -> Vec<Duplicate> {
    let mut counts: BTreeMap<Duplicate, usize> = BTreeMap::new();
    for rule in groups.iter().flat_map(|group| &group.rules) {
        *counts.entry(Duplicate { name: rule.text.name.clone(), labels: rule.text.labels.clone() }).or_default() += 1;
    }
    counts.into_iter().filter(|(_, count)| *count > 1).map(|(duplicate, _)| duplicate).collect()
}

/// Looks at the rules of a valid file, all its groups in their order. Of a file with more than 100 findings the first ones are told.
#[must_use]
pub fn lint(file: &str, text: &str, groups: &[Arc<GroupSpec>], context: &LintContext<'_>) -> Vec<Finding> {
    let recorded = groups.iter().flat_map(|group| {
        let recording = group.rules.iter().filter(|rule| rule.text.timing.is_none());
        recording.map(|rule| (rule.text.name.as_str(), group.interval_millis))
    });
    let recorded: BTreeMap<&str, i64> = recorded.collect();
    let (mut findings, mut told) = (Vec::new(), BTreeSet::new());
    for (group_index, group) in groups.iter().enumerate() {
        for (index, rule) in group.rules.iter().enumerate() {
            let path = vec![key("groups"), PathStep::Index(group_index), key("rules"), PathStep::Index(index)];
            let mut look = Look { file, text, group, rule, path, recorded: &recorded, context, findings: &mut findings, told: &mut told };
            look.expression(&rule.expr);
            look.reach();
            look.kind();
            if rule.text.timing.is_some() {
                look.condition();
                look.templates();
                look.dry_run();
                look.fields();
            }
        }
    }
    findings.sort_by_key(|finding: &Finding| finding.diagnostic.position);
    findings
}

/// One rule being looked at.
struct Look<'l> {
    file: &'l str,
    text: &'l str,
    group: &'l GroupSpec,
    rule: &'l Rule,
    path: Vec<PathStep>,
    recorded: &'l BTreeMap<&'l str, i64>,
    context: &'l LintContext<'l>,
    findings: &'l mut Vec<Finding>,
    /// What holds for the whole file and is told where it comes first: the lint, and of what.
    told: &'l mut BTreeSet<(&'static str, String)>,
}

impl Look<'_> {
    fn expression(&mut self, expr: &Expr) {
        match &expr.kind {
            ExprKind::VectorSelector(selector) => self.names(selector, expr.span),
            ExprKind::MatrixSelector(matrix) => self.names(&matrix.selector, expr.span),
            ExprKind::Aggregate(aggregate) => self.grouping(aggregate, expr.span),
            ExprKind::Call(call) if OF_TWO.contains(&call.function.name) => {
                match call.args.first().map(|arg| (&arg.unwrap_parens().kind, arg.span)) {
                    Some((ExprKind::MatrixSelector(matrix), span)) => {
                        let recorded = metric(&matrix.selector).and_then(|name| self.recorded.get(name));
                        let apart = recorded.copied().unwrap_or(self.context.resolution_millis);
                        self.range(&matrix.range, apart, call.function.name, span);
                    }
                    Some((ExprKind::Subquery(subquery), span)) => {
                        if let Some(DurationArg::Millis(step)) = &subquery.step {
                            self.range(&subquery.range, *step, call.function.name, span);
                        }
                    }
                    _ => {}
                }
            }
            _ => {}
        }
        for child in expr.children() {
            self.expression(child);
        }
    }

    fn names(&mut self, selector: &VectorSelector, span: Span) {
        let Some(name) = metric(selector) else { return };
        if self.recorded.contains_key(name) {
            return;
        }
        if let Some(meant) = self.context.inventory.question(name) {
            if self.is_new(UNKNOWN_METRIC, name) {
                let hint = meant.map(|meant| format!("did you mean `{meant}`?"));
                self.find(UNKNOWN_METRIC, span, format!("the agent has no metric `{name}`"), hint);
            }
            return;
        }
        for matcher in &selector.matchers {
            // A matcher that a series without the label satisfies may well be meant for others; unless it is misspelt.
            self.label(name, matcher.name(), !matcher.matches(""), span);
        }
    }

    /// The labels that an aggregation keeps: one that no series has may be there for others; unless it is misspelt.
    fn grouping(&mut self, aggregate: &Aggregate, span: Span) {
        let mut metrics = Vec::new();
        aggregate.expr.walk(&mut |expr| match &expr.kind {
            ExprKind::VectorSelector(selector) => metrics.push(metric(selector)),
            ExprKind::MatrixSelector(matrix) => metrics.push(metric(&matrix.selector)),
            // It makes labels.
            ExprKind::Call(call) if call.function.name.starts_with("label_") || call.function.name == "info" => metrics.push(None),
            _ => {}
        });
        let Some(metrics) = metrics.into_iter().collect::<Option<Vec<_>>>() else { return };
        for label in &aggregate.grouping {
            if let Some(name) = metrics.first().filter(|_| metrics.iter().all(|name| self.context.inventory.missing(name, label).is_some()))
            {
                self.label(name, label, false, span);
            }
        }
    }

    fn label(&mut self, name: &str, label: &str, is_demanded: bool, span: Span) {
        let Some(known) = self.context.inventory.missing(name, label) else { return };
        if ((known.all && is_demanded) || known.is_misspelt(label)) && self.is_new(UNKNOWN_LABEL, &format!("{name} {label}")) {
            let of_all = ["job", "instance"];
            let own = known.labels.iter().map(String::as_str).filter(|label| *label != METRIC_NAME && !of_all.contains(label));
            let labels = own.chain(of_all).collect::<Vec<_>>().join(", ");
            let message = format!("`{name}` has no label `{label}`");
            self.find(UNKNOWN_LABEL, span, message, Some(format!("its labels are {labels}")));
        }
    }

    /// Whether it has not been told of this file yet.
    fn is_new(&mut self, lint: &'static str, what: &str) -> bool {
        self.tells(lint) && self.told.insert((lint, what.to_owned()))
    }

    fn range(&mut self, range: &DurationArg, apart: i64, function: &str, span: Span) {
        let DurationArg::Millis(range) = range else { return };
        if *range < apart.saturating_mul(2) {
            let (range, apart) = (format_millis(*range), format_millis(apart));
            let message = format!("{function} needs two samples, and {range} can hold one: they are {apart} apart");
            self.find(RANGE_TOO_SHORT, span, message, None);
        }
    }

    fn reach(&mut self) {
        let (reach, span) = reach_place(&self.rule.expr, self.context.engine);
        let reach = reach.saturating_add(self.group.query_offset_millis);
        if reach > self.context.kept_millis && self.is_new(HISTORY_TOO_SHORT, &reach.to_string()) {
            let message =
                format!("looks back {}, and history is kept for {}", format_millis(reach), format_millis(self.context.kept_millis));
            let start = at_range(&self.rule.text.query, span);
            self.find(HISTORY_TOO_SHORT, Span { start, ..span }, message, None);
        }
    }

    /// What a rule cannot use fails at every evaluation, and is no mistake in a file.
    fn kind(&mut self) {
        let expr = &self.rule.expr;
        let what = match expr.value_type() {
            ValueType::Matrix => "the expression gives ranges of samples",
            ValueType::String => "the expression is a text",
            ValueType::Vector | ValueType::Scalar => return,
        };
        let hint = "a rule needs series with one value each, or a number".to_owned();
        self.find(NOT_A_VECTOR, expr.span, format!("{what}, so that every evaluation fails"), Some(hint));
    }

    fn condition(&mut self) {
        let expr = &self.rule.expr;
        if expr.value_type() == ValueType::Vector && reads(expr) && !has_condition(expr) {
            let hint = "without a comparison it fires for every series, whatever its value".to_owned();
            self.find(NO_COMPARISON, expr.span, "the expression compares nothing".to_owned(), Some(hint));
        }
        let held = self.rule.text.timing.unwrap_or_default().for_millis;
        if let Some(longest) = longest(expr).filter(|longest| held >= *longest) {
            let (held, longest) = (format_millis(held), format_millis(longest));
            let message = format!("`for: {held}` cannot be reached: the condition ends after {longest}");
            self.find_at(FOR_UNREACHABLE, &[key("for")], message);
        }
    }

    fn templates(&mut self) {
        let flow: Flow = flow(&self.rule.expr, self.context.inventory);
        let (labels, annotations) = (self.rule.text.labels.clone(), self.rule.text.annotations.clone());
        for (section, texts) in [("labels", labels), ("annotations", annotations)] {
            for (name, text) in texts {
                for label in used(&text) {
                    if !flow.has(&label) {
                        let message = format!("no result of the expression has the label `{label}`, so that it prints nothing");
                        self.find_at(TEMPLATE_LABEL, &[key(section), key(&name)], message);
                    }
                }
            }
        }
    }

    fn dry_run(&mut self) {
        let rule = self.rule;
        for (section, templates) in [("labels", &rule.labels), ("annotations", &rule.annotations)] {
            let texts = if section == "labels" { &rule.text.labels } else { &rule.text.annotations };
            for (name, template) in templates.iter().filter(|(_, template)| template.plain().is_none()) {
                let labels = texts.get(name).map(|text| used(text)).unwrap_or_default();
                if let Some(error) = dry::failure(template, &labels) {
                    self.find_at(TEMPLATE_FAILS, &[key(section), key(name)], format!("it fails for every result: {error}"));
                }
            }
        }
    }

    /// Fields of the rule that stand one level too deep. What the rule has at its place, too, is a note about it.
    fn fields(&mut self) {
        let rule = self.rule;
        let timing = rule.text.timing.unwrap_or_default();
        for (field, own) in [("for", timing.for_millis), ("keep_firing_for", timing.keep_firing_for_millis)] {
            for (section, texts) in [("labels", &rule.text.labels), ("annotations", &rule.text.annotations)] {
                let Some(text) = texts.get(field).filter(|text| own == 0 && parse_millis(text).is_ok()) else { continue };
                let message = format!("`{field}: {text}` under `{section}` holds nothing back: the rule's `{field}` stands beside `expr`");
                let path = [&self.path[..], &[key(section), key(field)]].concat();
                let locate = |look: &Self| locate_yaml_key(look.text, &path).unwrap_or(Position::START);
                self.push(MISPLACED_FIELD, message, None, locate);
            }
        }
    }

    /// In the expression.
    fn find(&mut self, lint: &'static str, span: Span, message: String, hint: Option<String>) {
        self.push(lint, message, hint, |look| {
            let path = [look.path.clone(), vec![key("expr")]].concat();
            let start = locate_yaml(look.text, &path).unwrap_or(Position::START);
            let offset = usize::try_from(span.start).unwrap_or(0);
            position_in_scalar(look.text, start, &look.rule.text.query, offset)
        });
    }

    /// At a field.
    fn find_at(&mut self, lint: &'static str, below: &[PathStep], message: String) {
        self.push(lint, message, None, |look| locate_yaml(look.text, &[&look.path[..], below].concat()).unwrap_or(Position::START));
    }

    fn tells(&self, lint: &str) -> bool {
        self.context.lints.contains(lint) && self.findings.len() < told_max(self.text, FINDINGS_MAX)
    }

    /// Of what a rule says several times once is enough; only for what is told its place is looked for.
    fn push(&mut self, lint: &'static str, message: String, hint: Option<String>, locate: impl FnOnce(&Self) -> Position) {
        let message = format!("{}: {message} [{lint}]", self.rule.text.name);
        if !self.tells(lint) || self.findings.iter().any(|found| found.diagnostic.message == message) {
            return;
        }
        let mut diagnostic = Diagnostic::new(self.file, self.text, locate(self), message);
        diagnostic.hint = hint;
        self.findings.push(Finding { lint, diagnostic });
    }
}

/// The metric that a selector selects, where it is one.
pub(super) fn metric(selector: &VectorSelector) -> Option<&str> {
    let mut names = selector.matchers.iter().filter(|matcher| matcher.name() == METRIC_NAME);
    match (names.next(), names.next()) {
        (Some(matcher), None) if matcher.op() == crate::model::MatchOp::Equal => Some(matcher.value()),
        _ => None,
    }
}

/// Where the range or the offset of a selector begins.
fn at_range(query: &str, span: Span) -> u32 {
    let place = |byte: u32| usize::try_from(byte).unwrap_or(usize::MAX);
    let selector = query.get(place(span.start)..place(span.end)).unwrap_or_default();
    // Behind the braces, whose texts may hold anything.
    let braces = selector.rfind('}').unwrap_or(0);
    let behind = selector.get(braces..).unwrap_or_default();
    let range = behind.rfind('[').or_else(|| behind.find("offset")).map_or(0, |range| braces + range);
    span.start.saturating_add(u32::try_from(range).unwrap_or(0))
}

/// The labels of the result that a template names.
fn used(text: &str) -> Vec<String> {
    static ACTION: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"(?s)\{\{.*?\}\}").ok());
    static LABEL: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r#"\$labels\.([A-Za-z_]\w*)|\bindex\s+\$labels\s+"([A-Za-z_]\w*)"|(\.Labels\.[A-Za-z_]\w*)"#).ok());
    let (Some(action), Some(label)) = (&*ACTION, &*LABEL) else { return Vec::new() };
    // In there `.Labels` are those of another result.
    let moved = ["range", "with", "query", "first"].iter().any(|word| text.contains(word));
    let mut labels = Vec::new();
    for action in action.find_iter(text) {
        for found in label.captures_iter(action.as_str()) {
            let own = found.get(3).map(|own| own.as_str().trim_start_matches(".Labels."));
            let named = found.get(1).or_else(|| found.get(2)).map(|label| label.as_str());
            labels.extend(named.or_else(|| own.filter(|_| !moved)).map(str::to_owned));
        }
    }
    labels
}

fn key(name: &str) -> PathStep {
    PathStep::Key(name.to_owned())
}
