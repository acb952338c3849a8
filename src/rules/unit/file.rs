//! A test file's text to typed tests, with everything that is wrong in it, at its place.

use std::collections::BTreeMap;

use super::raw::{Merged, RawAlert, RawFile, RawSample, RawTest, items, map, text};
use crate::diagnostic::{Diagnostic, PathStep, Position, locate_yaml, read_yaml};
use crate::model::{Labels, Timestamp, format_millis, parse_millis};
use crate::promql::{Slot, read_series, read_values};
use crate::rules::file::{Exact, Field, Scalar, first_document};

/// How often rules are evaluated where the file does not say.
const EVALUATION_INTERVAL_MILLIS: i64 = 60_000;

/// A file of tests.
#[derive(Debug)]
pub struct TestFile {
    pub(super) rule_files: Vec<String>,
    pub(super) evaluation_interval_millis: i64,
    pub(super) fuzzy: bool,
    pub(super) order: Vec<String>,
    pub(super) tests: Vec<Test>,
}

/// Series, and what is expected of the rules over them.
#[derive(Debug)]
pub(super) struct Test {
    /// As the file has it, or `unnamed#N`.
    pub(super) name: String,
    pub(super) named: bool,
    /// Why it cannot be run.
    pub(super) refused: Option<String>,
    pub(super) start: Timestamp,
    pub(super) interval_millis: i64,
    pub(super) series: Vec<(Labels, Vec<Slot>)>,
    pub(super) external_labels: Labels,
    pub(super) external_url: String,
    pub(super) alerts: Vec<AlertCase>,
    pub(super) expressions: Vec<ExpressionCase>,
}

/// The alerts of a name that should fire at a time.
#[derive(Debug)]
pub(super) struct AlertCase {
    pub(super) at_millis: i64,
    pub(super) name: String,
    pub(super) expected: Vec<AlertTexts>,
}

/// An alert's labels, its name among them, and its annotations. Annotations may be empty.
pub(super) type AlertTexts = (BTreeMap<String, String>, BTreeMap<String, String>);

/// What an expression should give at a time.
#[derive(Debug)]
pub(super) struct ExpressionCase {
    pub(super) at_millis: i64,
    pub(super) expression: String,
    pub(super) expected: Vec<(String, Expected)>,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Expected {
    Float(f64),
    Native,
}

impl TestFile {
    /// Reads a test file.
    ///
    /// # Errors
    /// With everything that is wrong with its form. What is wrong with a single test fails that test alone.
    pub fn parse(file: &str, text: &str) -> Result<Self, Vec<Diagnostic>> {
        let (text, _) = first_document(text);
        let raw = match serde_yaml::from_str::<Option<RawFile>>(text) {
            Ok(raw) => raw.unwrap_or_default().merged(),
            Err(error) => {
                let (_, mut problems) = read_yaml::<RawFile<Scalar>>(file, text);
                if problems.is_empty() {
                    let place = error.location().map_or(Position::START, |l| Position { line: l.line(), column: l.column() });
                    problems.push(Diagnostic::new(file, text, place, error.to_string()));
                }
                return Err(problems);
            }
        };
        let mut reader = Reader { file, text, problems: Vec::new() };
        let read = reader.file(raw);
        if reader.problems.is_empty() { Ok(read) } else { Err(reader.problems) }
    }

    /// The rule files to be tested: patterns, relative to the folder of the test file.
    #[must_use]
    pub fn rule_files(&self) -> &[String] {
        &self.rule_files
    }
}

struct Reader<'t> {
    file: &'t str,
    text: &'t str,
    problems: Vec<Diagnostic>,
}

impl Reader<'_> {
    fn file(&mut self, raw: RawFile) -> TestFile {
        let mut order: Vec<String> = Vec::new();
        for (index, name) in raw.group_eval_order.value().unwrap_or_default().into_iter().enumerate() {
            if order.contains(&name.0) {
                let path = [key("group_eval_order"), PathStep::Index(index)];
                self.problem(&path, format!("group name repeated in evaluation order: {}", name.0));
            }
            order.push(name.0);
        }
        let interval = self.duration(&raw.evaluation_interval, &[key("evaluation_interval")]);
        let evaluation_interval_millis = if interval == 0 { EVALUATION_INTERVAL_MILLIS } else { interval };
        let tests = items(raw.tests).enumerate();
        let tests = tests.map(|(index, raw)| self.test(index, raw, evaluation_interval_millis)).collect();
        TestFile {
            rule_files: raw.rule_files.value().unwrap_or_default().into_iter().map(|name| name.0).collect(),
            evaluation_interval_millis,
            fuzzy: raw.fuzzy_compare.value().unwrap_or(false),
            order,
            tests,
        }
    }

    fn test(&mut self, index: usize, raw: RawTest, evaluation_interval_millis: i64) -> Test {
        let path = [key("tests"), PathStep::Index(index)];
        let below = |names: &[PathStep]| [&path[..], names].concat();
        let interval = self.duration(&raw.interval, &below(&[key("interval")]));
        let start = match start(&text(raw.start_timestamp)) {
            Ok(start) => start,
            Err(message) => {
                self.problem(&below(&[key("start_timestamp")]), message);
                Timestamp::from_millis(0)
            }
        };
        let mut refused = None;
        let mut series = Vec::new();
        for line in lines(items(raw.input_series).map(|raw| (text(raw.series), text(raw.values)))) {
            match read(&line.text) {
                Ok(one) => series.push(one),
                Err((field, error)) if refused.is_none() => {
                    let path = below(&[key("input_series"), PathStep::Index(line.entry), key(field)]);
                    let position = locate_yaml(self.text, &path).unwrap_or(Position::START);
                    // Where in the text it is wrong is not known; the mark is where that begins.
                    refused = Some(pictured(&Diagnostic::new(self.file, self.text, position, error).with_length(1)));
                }
                Err(_) => {}
            }
        }
        let mut alerts = Vec::new();
        for (index, raw) in items(raw.alert_rule_test).enumerate() {
            let at_millis = self.duration(&raw.eval_time, &below(&[key("alert_rule_test"), PathStep::Index(index), key("eval_time")]));
            let name = text(raw.alertname);
            if name.is_empty() {
                let at = format_millis(at_millis);
                refused = refused.or(Some(format!("an item under alert_rule_test misses required attribute alertname at eval_time {at}")));
            }
            alerts.push(alert_case(name, raw.exp_alerts, at_millis));
        }
        let mut expressions = Vec::new();
        for (index, raw) in items(raw.promql_expr_test).enumerate() {
            let at_millis = self.duration(&raw.eval_time, &below(&[key("promql_expr_test"), PathStep::Index(index), key("eval_time")]));
            let expected = |raw: RawSample| {
                let value = if text(raw.histogram).is_empty() {
                    Expected::Float(raw.value.value().unwrap_or_default().0)
                } else {
                    Expected::Native
                };
                (text(raw.labels), value)
            };
            let expected = items(raw.exp_samples).map(expected).collect();
            expressions.push(ExpressionCase { at_millis, expression: text(raw.expr), expected });
        }
        let name = text(raw.name);
        Test {
            named: !name.is_empty(),
            name: if name.is_empty() { format!("unnamed#{index}") } else { name },
            refused,
            start,
            interval_millis: if interval == 0 { evaluation_interval_millis } else { interval },
            series,
            external_labels: Labels::from_pairs(map(raw.external_labels)),
            external_url: text(raw.external_url),
            alerts,
            expressions,
        }
    }

    /// Milliseconds; an absent duration is zero.
    fn duration(&mut self, field: &Field<Exact>, path: &[PathStep]) -> i64 {
        let Field::Is(Exact(text)) = field else { return 0 };
        parse_millis(text).unwrap_or_else(|error| {
            self.problem(path, error.to_string());
            0
        })
    }

    fn problem(&mut self, path: &[PathStep], message: impl Into<String>) {
        let position = locate_yaml(self.text, path).unwrap_or(Position::START);
        self.problems.push(Diagnostic::new(self.file, self.text, position, message));
    }
}

/// A line of the notation in which promtool puts series and values together.
struct Line {
    /// The entry of `input_series` that it comes from.
    entry: usize,
    text: String,
}

/// The lines of all series. One that is empty, or a comment, is the end of them, as in promtool.
fn lines(entries: impl Iterator<Item = (String, String)>) -> Vec<Line> {
    let mut lines = Vec::new();
    for (entry, (series, values)) in entries.enumerate() {
        for text in format!("{series} {values}").split('\n').map(str::trim) {
            if text.is_empty() || text.starts_with('#') {
                return lines;
            }
            lines.push(Line { entry, text: text.to_owned() });
        }
    }
    lines
}

/// The problem as a line, and the line of the file below it, with its caret; as far in as what else is said of a test.
fn pictured(problem: &Diagnostic) -> String {
    let picture = problem.render(false);
    // What and where is in the line already.
    picture.lines().skip(2).fold(problem.to_string(), |told, line| format!("{told}\n    {line}"))
}

/// A series with its values, or which of the two fields is wrong, and how.
fn read(line: &str) -> Result<(Labels, Vec<Slot>), (&'static str, String)> {
    let (labels, values) = read_series(line).map_err(|error| ("series", error))?;
    let wrong = |error: String| ("values", format!("{labels}: {error}"));
    let slots = read_values(values).map_err(wrong)?;
    if slots.contains(&Slot::Native) {
        return Err(wrong("native histograms are not supported yet".to_owned()));
    }
    Ok((labels, slots))
}

fn alert_case(name: String, expected: Field<Vec<Option<RawAlert>>>, at_millis: i64) -> AlertCase {
    let texts = |alert: RawAlert| {
        let mut labels = map(alert.exp_labels);
        labels.insert("alertname".to_owned(), name.clone());
        (labels, map(alert.exp_annotations))
    };
    let expected = items(expected).map(texts).collect();
    AlertCase { at_millis, name, expected }
}

/// Unix seconds or RFC 3339; nothing is the epoch.
fn start(text: &str) -> Result<Timestamp, String> {
    if text.is_empty() {
        return Ok(Timestamp::from_millis(0));
    }
    if let Some(seconds) = text.parse::<f64>().ok().filter(|seconds| seconds.is_finite()) {
        return Ok(Timestamp::from_seconds(seconds));
    }
    let time = text.parse::<jiff::Timestamp>().map_err(|_| format!("{text:?} is neither Unix seconds nor RFC 3339"))?;
    Ok(Timestamp::from_millis(time.as_millisecond()))
}

fn key(name: &str) -> PathStep {
    PathStep::Key(name.to_owned())
}
