//! A test file's text to typed tests, with everything that is wrong in it, at its place.

use std::collections::BTreeMap;

use serde::de::Deserialize;

use crate::diagnostic::{Diagnostic, PathStep, Position, locate_yaml, read_yaml};
use crate::model::{Labels, Timestamp, format_millis, parse_millis};
use crate::promql::{Slot, read_series, read_values};
use crate::rules::file::{Exact, Scalar, unique};

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
    /// Labels, with the alert's name, and annotations.
    pub(super) expected: Vec<(Labels, Labels)>,
}

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
        let raw = match serde_yaml::from_str::<Option<RawFile>>(text) {
            Ok(raw) => raw.unwrap_or_default(),
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
        for (index, name) in raw.group_eval_order.unwrap_or_default().into_iter().enumerate() {
            if order.contains(&name.0) {
                let path = [key("group_eval_order"), PathStep::Index(index)];
                self.problem(&path, format!("group name repeated in evaluation order: {}", name.0));
            }
            order.push(name.0);
        }
        let interval = self.duration(&raw.evaluation_interval.0, &[key("evaluation_interval")]);
        let evaluation_interval_millis = if interval == 0 { EVALUATION_INTERVAL_MILLIS } else { interval };
        let tests = raw.tests.unwrap_or_default().into_iter().enumerate();
        let tests = tests.map(|(index, raw)| self.test(index, raw, evaluation_interval_millis)).collect();
        TestFile {
            rule_files: raw.rule_files.unwrap_or_default().into_iter().map(|name| name.0).collect(),
            evaluation_interval_millis,
            fuzzy: raw.fuzzy_compare.unwrap_or(false),
            order,
            tests,
        }
    }

    fn test(&mut self, index: usize, raw: RawTest, evaluation_interval_millis: i64) -> Test {
        let path = [key("tests"), PathStep::Index(index)];
        let below = |names: &[PathStep]| [&path[..], names].concat();
        let interval = self.duration(&raw.interval.0, &below(&[key("interval")]));
        let start = match start(&raw.start_timestamp.0) {
            Ok(start) => start,
            Err(message) => {
                self.problem(&below(&[key("start_timestamp")]), message);
                Timestamp::from_millis(0)
            }
        };
        let mut refused = None;
        let mut series = Vec::new();
        for (index, raw) in raw.input_series.unwrap_or_default().into_iter().enumerate() {
            match read(&raw.series.0, &raw.values.0) {
                Ok(one) => series.push(one),
                Err((field, error)) if refused.is_none() => {
                    let path = below(&[key("input_series"), PathStep::Index(index), key(field)]);
                    let position = locate_yaml(self.text, &path).unwrap_or(Position::START);
                    refused = Some(Diagnostic::new(self.file, self.text, position, error).to_string());
                }
                Err(_) => {}
            }
        }
        let mut alerts = Vec::new();
        for (index, raw) in raw.alert_rule_test.unwrap_or_default().into_iter().enumerate() {
            let at_millis = self.duration(&raw.eval_time.0, &below(&[key("alert_rule_test"), PathStep::Index(index), key("eval_time")]));
            if raw.alertname.0.is_empty() {
                let at = format_millis(at_millis);
                refused = refused.or(Some(format!("an item under alert_rule_test misses required attribute alertname at eval_time {at}")));
            }
            alerts.push(alert_case(raw, at_millis));
        }
        let mut expressions = Vec::new();
        for (index, raw) in raw.promql_expr_test.unwrap_or_default().into_iter().enumerate() {
            let at_millis = self.duration(&raw.eval_time.0, &below(&[key("promql_expr_test"), PathStep::Index(index), key("eval_time")]));
            let expected = |raw: RawSample| {
                let value = if raw.histogram.0.is_empty() { Expected::Float(raw.value.unwrap_or(0.0)) } else { Expected::Native };
                (raw.labels.0, value)
            };
            let expected = raw.exp_samples.unwrap_or_default().into_iter().map(expected).collect();
            expressions.push(ExpressionCase { at_millis, expression: raw.expr.0, expected });
        }
        Test {
            named: !raw.name.0.is_empty(),
            name: if raw.name.0.is_empty() { format!("unnamed#{index}") } else { raw.name.0 },
            refused,
            start,
            interval_millis: if interval == 0 { evaluation_interval_millis } else { interval },
            series,
            external_labels: labels(raw.external_labels),
            external_url: raw.external_url.0,
            alerts,
            expressions,
        }
    }

    /// Milliseconds; an absent duration is zero.
    fn duration(&mut self, text: &str, path: &[PathStep]) -> i64 {
        if text.is_empty() {
            return 0;
        }
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

/// A series with its values, or which of the two fields is wrong, and how.
fn read(series: &str, values: &str) -> Result<(Labels, Vec<Slot>), (&'static str, String)> {
    let (labels, rest) = read_series(series).map_err(|error| ("series", error))?;
    let wrong = |error: String| ("values", format!("{series}: {error}"));
    let slots = read_values(&format!("{rest} {values}")).map_err(wrong)?;
    if slots.contains(&Slot::Native) {
        return Err(wrong("native histograms are not supported yet".to_owned()));
    }
    Ok((labels, slots))
}

fn alert_case(raw: RawAlertCase, at_millis: i64) -> AlertCase {
    let name = raw.alertname.0;
    let expected = raw.exp_alerts.unwrap_or_default().into_iter();
    let expected = expected.map(|alert| (labels(alert.exp_labels).with("alertname", &name), labels(alert.exp_annotations))).collect();
    AlertCase { at_millis, name, expected }
}

fn labels(map: Option<BTreeMap<String, Exact>>) -> Labels {
    Labels::from_pairs(map.unwrap_or_default().into_iter().map(|(name, value)| (name, value.0)))
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

#[derive(Debug, Default, serde::Deserialize)]
#[serde(default, deny_unknown_fields, bound(deserialize = "T: Deserialize<'de> + Default"))]
struct RawFile<T = Exact> {
    rule_files: Option<Vec<T>>,
    evaluation_interval: T,
    fuzzy_compare: Option<bool>,
    group_eval_order: Option<Vec<T>>,
    tests: Option<Vec<RawTest<T>>>,
}

#[derive(Debug, Default, serde::Deserialize)]
#[serde(default, deny_unknown_fields, bound(deserialize = "T: Deserialize<'de> + Default"))]
struct RawTest<T = Exact> {
    name: T,
    interval: T,
    start_timestamp: T,
    input_series: Option<Vec<RawSeries<T>>>,
    alert_rule_test: Option<Vec<RawAlertCase<T>>>,
    promql_expr_test: Option<Vec<RawExpressionCase<T>>>,
    #[serde(deserialize_with = "unique")]
    external_labels: Option<BTreeMap<String, T>>,
    external_url: T,
}

#[derive(Debug, Default, serde::Deserialize)]
#[serde(default, deny_unknown_fields, bound(deserialize = "T: Deserialize<'de> + Default"))]
struct RawSeries<T = Exact> {
    series: T,
    values: T,
}

#[derive(Debug, Default, serde::Deserialize)]
#[serde(default, deny_unknown_fields, bound(deserialize = "T: Deserialize<'de> + Default"))]
struct RawAlertCase<T = Exact> {
    eval_time: T,
    alertname: T,
    exp_alerts: Option<Vec<RawAlert<T>>>,
}

#[derive(Debug, Default, serde::Deserialize)]
#[serde(default, deny_unknown_fields, bound(deserialize = "T: Deserialize<'de> + Default"))]
struct RawAlert<T = Exact> {
    #[serde(deserialize_with = "unique")]
    exp_labels: Option<BTreeMap<String, T>>,
    #[serde(deserialize_with = "unique")]
    exp_annotations: Option<BTreeMap<String, T>>,
}

#[derive(Debug, Default, serde::Deserialize)]
#[serde(default, deny_unknown_fields, bound(deserialize = "T: Deserialize<'de> + Default"))]
struct RawExpressionCase<T = Exact> {
    expr: T,
    eval_time: T,
    exp_samples: Option<Vec<RawSample<T>>>,
}

#[derive(Debug, Default, serde::Deserialize)]
#[serde(default, deny_unknown_fields, bound(deserialize = "T: Deserialize<'de> + Default"))]
struct RawSample<T = Exact> {
    labels: T,
    value: Option<f64>,
    histogram: T,
}
