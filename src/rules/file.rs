//! A rule file's text to typed groups, with everything that is wrong in it, at its place.
//!
//! The format is Prometheus's (prometheus/prometheus `model/rulefmt/rulefmt.go`), strictly: what it refuses is refused
//! here, with its words, so that one file serves both.

mod document;
mod foreign;
mod raw;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use raw::{Element, RawFile, RawGroup, RawRule};

pub(super) use document::first_document;
pub(super) use raw::{Bases, Exact, Field, Scalar, Texts, UnknownKeys};

use super::alert::Timing;
use super::overlay::Overlay;
use super::rule::{GroupSpec, Rule, RuleText};
use super::scalar::position_in_scalar;
use super::template::Template;
use crate::diagnostic::{Diagnostic, PathStep, Position, locate_yaml, locate_yaml_key, told_max};
use crate::model::{Labels, METRIC_NAME, is_label_name, is_metric_name, parse_millis};
use crate::promql::{self, Expr};

/// Stands in every message about something that is missing.
const MUST: &str = " must ";

/// What a rule file's text amounts to.
#[derive(Debug, Default)]
pub(super) struct Parsed {
    /// Its groups; complete only where there are no problems.
    pub(super) groups: Vec<Arc<GroupSpec>>,
    /// What makes it invalid.
    pub(super) problems: Vec<Diagnostic>,
    /// What its author should know.
    pub(super) warnings: Vec<Diagnostic>,
}

/// Reads a rule file. `default_interval_millis` is for groups that name none.
pub(super) fn parse(file: &str, text: &str, default_interval_millis: i64) -> Parsed {
    parse_with(file, text, default_interval_millis, UnknownKeys::Refused)
}

/// As [`parse`], with what is to become of keys that nobody knows.
pub(super) fn parse_with(file: &str, text: &str, default_interval_millis: i64, unknown: UnknownKeys) -> Parsed {
    let (first, second) = first_document(text);
    let mut reader = Reader { file, text: first, problems: Vec::new() };
    let mut groups = Vec::new();
    let (raw, problems) = raw::read(file, first, unknown);
    if let Some(raw) = raw {
        reader.groups(raw, default_interval_millis, &mut groups);
    }
    // What is missing is most likely what is misspelt.
    reader.problems.retain(|problem| problems.is_empty() || !problem.message.contains(MUST));
    reader.problems.extend(problems);
    let warnings = second.map(|line| {
        let position = Position { line, column: 1 };
        Diagnostic::new(file, text, position, "only the first YAML document of a rule file is used; this one is ignored")
    });
    reader.problems.sort_by_key(|problem| problem.position);
    Parsed { groups, problems: reader.problems, warnings: warnings.into_iter().collect() }
}

/// The most problems of one file that are told.
const PROBLEMS_MAX: usize = 50;

/// Where a value stands: the path to it.
type Path = Vec<PathStep>;

struct Reader<'t> {
    file: &'t str,
    text: &'t str,
    problems: Vec<Diagnostic>,
}

impl Reader<'_> {
    fn groups(&mut self, raw: RawFile, default_interval_millis: i64, groups: &mut Vec<Arc<GroupSpec>>) {
        let mut names = BTreeSet::new();
        for Element { place, is: raw } in raw.groups {
            let path = vec![key("groups"), PathStep::Index(place)];
            if raw.name.is_empty() {
                self.problem(&path, "Groupname must not be empty");
            } else if !names.insert(raw.name.clone()) {
                self.problem(&below(&path, "name"), format!("groupname: {:?} is repeated in the same file", raw.name));
            }
            groups.push(Arc::new(self.group(raw, &path, default_interval_millis)));
        }
    }

    fn group(&mut self, raw: RawGroup, path: &Path, default_interval_millis: i64) -> GroupSpec {
        let prefix = format!("group {:?}: ", raw.name);
        let interval = self.duration(raw.interval.as_deref(), &below(path, "interval"), &prefix);
        let group_labels = raw.labels;
        self.labels(&group_labels, &below(path, "labels"), &prefix);
        let mut rules = Vec::new();
        for (index, Element { place, is: rule }) in raw.rules.into_iter().enumerate() {
            let place = Place {
                path: [below(path, "rules"), vec![PathStep::Index(place)]].concat(),
                // As Prometheus names a rule, counting from 1.
                prefix: format!("group {:?}, rule {}, {:?}: ", raw.name, index + 1, rule.name()),
            };
            rules.extend(self.rule(rule, &group_labels, &place));
        }
        GroupSpec {
            file: Arc::from(self.file),
            interval_millis: if interval == 0 { default_interval_millis } else { interval }.max(1),
            query_offset_millis: self.duration(raw.query_offset.as_deref(), &below(path, "query_offset"), &prefix),
            limit: usize::try_from(raw.limit.unwrap_or(0)).unwrap_or(0),
            name: raw.name,
            rules,
        }
    }

    fn rule(&mut self, raw: RawRule, group_labels: &BTreeMap<String, String>, place: &Place) -> Option<Rule> {
        let RawRule { alert, record, expr: query, labels: own_labels, annotations, .. } = raw;
        if !alert.is_empty() && !record.is_empty() {
            self.rule_problem(place, "alert", "only one of 'record' and 'alert' must be set");
        } else if alert.is_empty() && record.is_empty() {
            self.rule_problem(place, "", "one of 'record' or 'alert' must be set");
        }
        let expr = self.expression(&query, place);
        let for_millis = self.duration(raw.hold.as_deref(), &below(&place.path, "for"), &place.prefix);
        let keep_firing_for_millis = self.duration(raw.keep_firing_for.as_deref(), &below(&place.path, "keep_firing_for"), &place.prefix);
        self.labels(&own_labels, &below(&place.path, "labels"), &place.prefix);
        let mut labels = group_labels.clone();
        labels.extend(own_labels);
        let mut templates = (Vec::new(), Vec::new());
        if record.is_empty() {
            for name in annotations.keys().filter(|name| !is_label_name(name)) {
                self.key_problem(
                    &below(&below(&place.path, "annotations"), name),
                    format!("{}invalid annotation name: {name}", place.prefix),
                );
            }
            templates = (self.templates("label", &alert, &labels, place), self.templates("annotation", &alert, &annotations, place));
        } else {
            let fields =
                [("annotations", annotations.is_empty()), ("for", for_millis == 0), ("keep_firing_for", keep_firing_for_millis == 0)];
            for (field, _) in fields.into_iter().filter(|(_, absent)| !absent) {
                self.rule_problem(place, field, format!("invalid field '{field}' in recording rule"));
            }
            if !is_metric_name(&record) {
                self.rule_problem(place, "record", format!("invalid recording rule name: {record}"));
            }
        }
        let timing = record.is_empty().then_some(Timing { for_millis, keep_firing_for_millis });
        let name = if record.is_empty() { alert } else { record };
        let text = RuleText { name, timing, query, labels, annotations };
        let expr = expr?;
        Some(Rule {
            label_texts: texts(&text.labels),
            annotation_texts: texts(&text.annotations),
            text,
            printed: expr.to_string(),
            expr,
            labels: templates.0,
            annotations: templates.1,
            overlay: Overlay::default(),
            resolve: None,
        })
    }

    fn expression(&mut self, query: &str, place: &Place) -> Option<Expr> {
        if query.trim().is_empty() {
            self.rule_problem(place, "", "field 'expr' must be set in rule");
            return None;
        }
        match promql::parse(query) {
            Ok(expr) => Some(expr),
            Err(error) => {
                let offset = usize::try_from(error.position.start).unwrap_or(0);
                let length = if error.message.starts_with("unknown function") {
                    Some(query.get(offset..).map_or(1, name_length))
                } else {
                    error.message.starts_with("unexpected character").then_some(1)
                };
                let message = format!("{}could not parse expression: {error}", place.prefix);
                self.scalar_problem(&below(&place.path, "expr"), query, offset, length, message);
                None
            }
        }
    }

    fn templates(&mut self, what: &str, alert: &str, texts: &BTreeMap<String, String>, place: &Place) -> Vec<(String, Template)> {
        let mut templates = Vec::new();
        for (name, text) in texts {
            match Template::parse(alert, text) {
                Ok(template) => templates.push((name.clone(), template)),
                Err(error) => {
                    let path = below(&below(&place.path, &format!("{what}s")), name);
                    let message = format!("{}{what} {name:?}: {error}", place.prefix);
                    self.scalar_problem(&path, text, error.at, None, message);
                }
            }
        }
        templates
    }

    fn labels(&mut self, labels: &BTreeMap<String, String>, path: &Path, prefix: &str) {
        for name in labels.keys().filter(|name| !is_label_name(name) || *name == METRIC_NAME) {
            self.key_problem(&below(path, name), format!("{prefix}invalid label name: {name}"));
        }
    }

    /// Milliseconds; an absent duration is zero.
    fn duration(&mut self, text: Option<&str>, path: &Path, prefix: &str) -> i64 {
        let Some(text) = text else { return 0 };
        parse_millis(text).unwrap_or_else(|error| {
            self.problem(path, format!("{prefix}{error}"));
            0
        })
    }

    fn rule_problem(&mut self, place: &Place, field: &str, message: impl std::fmt::Display) {
        let path = if field.is_empty() { place.path.clone() } else { below(&place.path, field) };
        self.problem(&path, format!("{}{message}", place.prefix));
    }

    /// At a value, or at the nearest thing above it that is there.
    fn problem(&mut self, path: &Path, message: impl Into<String>) {
        if self.problems.len() >= told_max(self.text, PROBLEMS_MAX) {
            return;
        }
        let position = locate_yaml(self.text, path).unwrap_or(Position::START);
        self.problems.push(Diagnostic::new(self.file, self.text, position, message));
    }

    /// At a key.
    fn key_problem(&mut self, path: &Path, message: String) {
        if self.problems.len() >= told_max(self.text, PROBLEMS_MAX) {
            return;
        }
        let position = locate_yaml_key(self.text, path).unwrap_or(Position::START);
        self.problems.push(Diagnostic::new(self.file, self.text, position, message));
    }

    /// At a place in a value, of so many characters where that is known.
    fn scalar_problem(&mut self, path: &Path, value: &str, offset: usize, length: Option<usize>, message: String) {
        if self.problems.len() >= told_max(self.text, PROBLEMS_MAX) {
            return;
        }
        let start = locate_yaml(self.text, path).unwrap_or(Position::START);
        let position = position_in_scalar(self.text, start, value, offset);
        let problem = Diagnostic::new(self.file, self.text, position, message);
        // At the scalar's start there is something else.
        let length = length.filter(|_| offset == 0 || position != start);
        self.problems.push(match length {
            Some(length) => problem.with_length(length),
            None => problem,
        });
    }
}

/// A rule's place in its file and its name in messages.
struct Place {
    path: Path,
    prefix: String,
}

/// How many characters the name has that an expression begins with.
fn name_length(expression: &str) -> usize {
    expression.chars().take_while(|c| c.is_alphanumeric() || matches!(c, '_' | ':')).count()
}

fn texts(texts: &BTreeMap<String, String>) -> Labels {
    Labels::from_sorted(texts.iter().map(|(name, text)| (name.as_str(), text.as_str())))
}

fn key(name: &str) -> PathStep {
    PathStep::Key(name.to_owned())
}

fn below(path: &Path, name: &str) -> Path {
    [path.clone(), vec![key(name)]].concat()
}

#[cfg(test)]
mod tests;
