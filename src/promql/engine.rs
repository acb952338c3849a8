//! The engine: takes a parsed query, a history and the limits, and answers.

use std::sync::Arc;

use crate::history::Query;
use crate::model::{PromDuration, Sample, Timestamp};

use super::annotation::{Annotation, Annotations, Severity};
use super::ast::{Expr, ExprKind, ValueType};
use super::eval::{Evaluator, QueryTimes, wrong_type};
use super::eval_error::EvalError;
use super::naming;
use super::value::{Answer, Evaluated, MatrixSeries, Steps, Track, Value, VectorSample, is_absent};

/// The `promql` section of the configuration.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EngineConfig {
    /// How old a sample may be to count as a series' present value.
    pub lookback: PromDuration,
    /// The step of a subquery that names none.
    pub subquery_step: PromDuration,
    /// The most samples and values that a query may hold in memory at a time.
    pub samples_max: usize,
    /// How long a query may take.
    pub timeout: PromDuration,
    /// The most steps of a range query.
    pub steps_max: usize,
    /// Drop metric names of calculated values at the end of a query and not at once (Prometheus's feature
    /// `promql-delayed-name-removal`).
    pub delayed_name_removal: bool,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            lookback: PromDuration::from_secs(300),
            subquery_step: PromDuration::from_secs(60),
            samples_max: 5_000_000,
            timeout: PromDuration::from_secs(30),
            steps_max: 11_000,
            delayed_name_removal: false,
        }
    }
}

/// When a query is evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// At one time.
    At(Timestamp),
    /// At `start` and every step after it, until `end`.
    Range {
        /// The first time.
        start: Timestamp,
        /// No time is after this one.
        end: Timestamp,
        /// Milliseconds between two times.
        step_millis: i64,
    },
}

/// Answers queries over a history. A clone is a handle to the same history.
#[derive(Clone)]
pub struct Engine {
    source: Arc<dyn Query>,
    config: EngineConfig,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Engine {
    /// An engine over a history.
    #[must_use]
    pub fn new(source: Arc<dyn Query>, config: EngineConfig) -> Self {
        Self { source, config }
    }

    /// The limits and options.
    #[must_use]
    pub const fn config(&self) -> &EngineConfig {
        &self.config
    }

    /// Evaluates a query at one time.
    ///
    /// # Errors
    /// When the query has no value, or a limit is reached.
    pub fn instant(&self, expr: &Expr, at: Timestamp) -> Result<Answer, EvalError> {
        self.evaluate(expr, When::At(at), &|| false)
    }

    /// Evaluates a query at many times.
    ///
    /// # Errors
    /// When the query has no value, its type has no range, or a limit is reached.
    pub fn range(&self, expr: &Expr, start: Timestamp, end: Timestamp, step_millis: i64) -> Result<Answer, EvalError> {
        self.evaluate(expr, When::Range { start, end, step_millis }, &|| false)
    }

    /// Evaluates a query, until `cancelled` says that nobody waits for it any more.
    ///
    /// # Errors
    /// When the query has no value, its type has no range, it was cancelled, or a limit is reached.
    pub fn evaluate(&self, expr: &Expr, when: When, cancelled: &dyn Fn() -> bool) -> Result<Answer, EvalError> {
        let deadline = crate::clock::monotonic() + self.config.timeout.get();
        let interrupt = || {
            if cancelled() {
                Err(EvalError::Cancelled)
            } else if crate::clock::monotonic() >= deadline {
                Err(EvalError::Timeout)
            } else {
                Ok(())
            }
        };
        let (times, steps) = self.times(when)?;
        let mut ev = Evaluator {
            source: &*self.source,
            config: &self.config,
            times,
            annotations: Annotations::default(),
            interrupt: &interrupt,
            held: 0,
        };
        let value = match when {
            When::At(at) => instant_value(&mut ev, expr, at, steps)?,
            When::Range { .. } => range_value(&mut ev, expr, steps)?,
        };
        Ok(answer(value, ev.annotations.finish()))
    }

    fn times(&self, when: When) -> Result<(QueryTimes, Steps), EvalError> {
        match when {
            When::At(at) => {
                let at = at.as_millis();
                Ok((QueryTimes { start: at, end: at, step: 0 }, Steps::instant(at)))
            }
            When::Range { step_millis, .. } if step_millis <= 0 => Err(EvalError::NoStep),
            When::Range { start, end, .. } if end < start => Err(EvalError::EndBeforeStart),
            When::Range { start, end, step_millis } => {
                let steps = Steps::between(start.as_millis(), end.as_millis(), step_millis);
                // As in Prometheus, the limit is on the distance between start and end.
                if steps.count() > self.config.steps_max.saturating_add(1) {
                    return Err(EvalError::TooManySteps { limit: thousands(self.config.steps_max) });
                }
                Ok((QueryTimes { start: start.as_millis(), end: end.as_millis(), step: step_millis }, steps))
            }
        }
    }
}

fn answer(value: Value, annotations: Vec<Annotation>) -> Answer {
    let texts = |severity: Severity| {
        annotations.iter().filter(|annotation| annotation.severity == severity).map(Annotation::render_one_line).collect()
    };
    Answer { value, warnings: texts(Severity::Warning), infos: texts(Severity::Info), annotations }
}

fn instant_value(ev: &mut Evaluator<'_>, expr: &Expr, at: Timestamp, steps: Steps) -> Result<Value, EvalError> {
    if expr.value_type() == ValueType::Matrix {
        return raw_ranges(ev, expr, steps);
    }
    Ok(match ev.eval(expr, steps)? {
        Evaluated::Scalar(values) => Value::Scalar(values.first().copied().unwrap_or(f64::NAN)),
        Evaluated::String(text) => Value::String(text),
        Evaluated::Vector(tracks) => {
            let samples = naming::drop_marked(tracks)?.into_iter().filter_map(|track| {
                let value = track.at(0)?;
                Some(VectorSample { labels: track.labels, at, value })
            });
            Value::Vector(samples.collect())
        }
    })
}

/// A range selector by itself shows the samples as they are.
fn raw_ranges(ev: &mut Evaluator<'_>, expr: &Expr, steps: Steps) -> Result<Value, EvalError> {
    let is_subquery = matches!(expr.unwrap_parens().kind, ExprKind::Subquery(_));
    let ranges = ev.ranges(expr, steps)?;
    let series = ranges.series.into_iter().filter(|series| !series.samples.is_empty()).map(|series| {
        let labels = if is_subquery && series.drop_name { naming::without_metadata(&series.labels) } else { series.labels };
        MatrixSeries { labels, samples: series.samples }
    });
    let mut series: Vec<MatrixSeries> = series.collect();
    sort(&mut series)?;
    Ok(Value::Matrix(series))
}

fn range_value(ev: &mut Evaluator<'_>, expr: &Expr, steps: Steps) -> Result<Value, EvalError> {
    if !matches!(expr.value_type(), ValueType::Scalar | ValueType::Vector) {
        return Err(wrong_type(expr, "range query", "Scalar or instant Vector"));
    }
    let tracks = match ev.eval(expr, steps)? {
        Evaluated::Scalar(values) => vec![Track::new(crate::model::Labels::empty(), values)],
        Evaluated::Vector(tracks) => naming::drop_marked(tracks)?,
        Evaluated::String(_) => return Err(wrong_type(expr, "range query", "Scalar or instant Vector")),
    };
    let series = tracks.into_iter().map(|track| {
        let present = track.values.iter().zip(steps.times()).filter(|(value, _)| !is_absent(**value));
        let samples = present.map(|(value, at)| Sample { at: Timestamp::from_millis(at), value: *value }).collect();
        MatrixSeries { labels: track.labels, samples }
    });
    let mut series: Vec<MatrixSeries> = series.filter(|series| !series.samples.is_empty()).collect();
    sort(&mut series)?;
    Ok(Value::Matrix(series))
}

fn sort(series: &mut [MatrixSeries]) -> Result<(), EvalError> {
    series.sort_by(|a, b| a.labels.cmp(&b.labels));
    let twice = series.iter().zip(series.iter().skip(1)).any(|(one, next)| one.labels == next.labels);
    if twice { Err(EvalError::DuplicateLabels) } else { Ok(()) }
}

fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
