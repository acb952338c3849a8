//! The engine: takes a parsed query, a history and the limits, and answers.

use std::sync::Arc;

use crate::history::Query;
use crate::model::{PromDuration, Sample, Timestamp};

use super::annotation::{Annotation, Annotations, Severity};
use super::ast::{Expr, ExprKind, ValueType};
use super::eval::{Evaluator, QueryTimes, wrong_type};
use super::eval_error::EvalError;
use super::experimental;
use super::extension;
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
    /// Evaluate what Prometheus has behind feature flags: experimental functions and aggregations, the modifiers `anchored`,
    /// `smoothed` and `fill`.
    pub experimental: bool,
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
            experimental: false,
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
        if !self.config.experimental {
            experimental::refuse(expr)?;
        }
        let (times, steps) = self.times(when)?;
        let mut ev = Evaluator {
            source: &*self.source,
            config: &self.config,
            times,
            annotations: Annotations::default(),
            interrupt: &interrupt,
            held: 0,
            asked: 0,
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
    let (after, until) = ranges.bounds(steps.first());
    let series = ranges.series.into_iter().filter(|series| !series.samples.is_empty()).map(|series| {
        let labels = if is_subquery && series.drop_name { naming::without_metadata(&series.labels) } else { series.labels };
        let samples = match ranges.extension {
            Some((extension, _)) => extension::extended(&series.samples, after, until, extension),
            None => series.samples,
        };
        MatrixSeries { labels, samples }
    });
    let mut series: Vec<MatrixSeries> = series.filter(|series| !series.samples.is_empty()).collect();
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

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::history::{self, Append, History};
    use crate::model::Labels;
    use crate::promql::parse;
    use crate::telemetry::Telemetry;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    /// `a_total{i="0"}`, `a_total{i="1"}` and `b_total{i="0"}`, a sample every 10 s for 10 minutes.
    fn engine(config: EngineConfig) -> Engine {
        let history = History::new(&history::Config::default(), &Telemetry::new());
        for step in 0..60 {
            let series = [("a_total", "0"), ("a_total", "1"), ("b_total", "0")];
            let sample = |(name, i)| (Labels::from_pairs([("__name__", name), ("i", i)]), step as f64);
            history.append(at(step * 10), &series.map(sample));
        }
        Engine::new(Arc::new(history), config)
    }

    fn ask(config: EngineConfig, query: &str) -> Result<Answer, EvalError> {
        engine(config).instant(&parse(query).expect("a query"), at(590))
    }

    fn vector(answer: Result<Answer, EvalError>) -> Vec<String> {
        match answer.expect("an answer").value {
            Value::Vector(samples) => samples.into_iter().map(|sample| format!("{} {}", sample.labels, sample.value)).collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn names_of_calculated_values_are_dropped_at_once_by_default() {
        assert_eq!(vector(ask(EngineConfig::default(), "a_total{i='0'} * 2")), [r#"{i="0"} 118"#]);
        assert_eq!(vector(ask(EngineConfig::default(), "count by (__name__) (abs(a_total))")), ["{} 2"]);
        let twice = ask(EngineConfig::default(), "rate({__name__=~'.*_total', i='0'}[1m])");
        assert_eq!(twice, Err(EvalError::DuplicateLabels));
    }

    #[test]
    fn names_last_until_the_end_where_that_is_asked_for() {
        let config = || EngineConfig { delayed_name_removal: true, ..EngineConfig::default() };
        assert_eq!(vector(ask(config(), "count by (__name__) (abs(a_total))")), ["{} 2"]);
        assert_eq!(vector(ask(config(), "a_total{i='0'} * 2")), [r#"{i="0"} 118"#]);
        assert_eq!(vector(ask(config(), "sum by (i) (rate({__name__=~'.*_total'}[1m])) > bool 0")).len(), 2);
    }

    #[test]
    fn a_query_that_holds_too_many_samples_ends() {
        let config = EngineConfig { samples_max: 100, ..EngineConfig::default() };
        assert!(matches!(ask(config.clone(), "a_total[10m]"), Err(EvalError::TooManySamples { limit: 100 })), "both stand in the answer");
        assert!(ask(config.clone(), "rate(a_total[10m])").is_ok(), "one series stands in memory at a time");
        let less = EngineConfig { samples_max: 50, ..EngineConfig::default() };
        assert!(matches!(ask(less, "rate(a_total[10m])"), Err(EvalError::TooManySamples { limit: 50 })));
        assert!(matches!(ask(config.clone(), "max_over_time(vector(1)[1y:1ms])"), Err(EvalError::TooManySamples { .. })));
        assert!(ask(config, "rate(a_total{i='0'}[10m])").is_ok());
    }

    #[test]
    fn scalars_count_as_well_however_deep_they_are_kept() {
        let config = EngineConfig { samples_max: 10_000, ..EngineConfig::default() };
        for nested in ["time() + (".repeat(30) + "time()" + &")".repeat(30), "quantile(time(), ".repeat(30) + "vector(1)" + &")".repeat(30)]
        {
            let nested = if nested.starts_with('t') { format!("vector({nested})") } else { nested };
            let query = |range: i64| format!("max_over_time({nested}[{range}s:1s])");
            assert!(matches!(ask(config.clone(), &query(1_000)), Err(EvalError::TooManySamples { .. })), "{nested}");
            assert!(ask(config.clone(), &query(100)).is_ok(), "{nested}");
        }
        let flat = format!("max_over_time(vector(time(){})[2000s:1s])", " + time()".repeat(60));
        assert!(ask(config, &flat).is_ok(), "what is added up is gone");
    }

    #[test]
    fn labels_cannot_grow_without_end() {
        let double =
            |count: usize| format!("{}a_total{}", "label_replace(".repeat(count), r#", "i", "$1$1$1$1", "i", "(.*)")"#.repeat(count));
        assert!(ask(EngineConfig::default(), &double(7)).is_ok());
        let error = ask(EngineConfig::default(), &double(30)).expect_err("too long");
        assert_eq!(error.to_string(), "a label's value would be longer than 65536 bytes");
        let join = format!("{}a_total{}", "label_join(".repeat(30), r#", "i", ",", "i", "i", "i", "i")"#.repeat(30));
        assert_eq!(ask(EngineConfig::default(), &join).expect_err("too long"), error);
        let config = EngineConfig { samples_max: 1_000, ..EngineConfig::default() };
        assert!(matches!(ask(config, &double(8)), Err(EvalError::TooManySamples { .. })), "long labels take room");
    }

    #[test]
    fn a_query_ends_when_its_time_has_passed_or_nobody_waits_for_it() {
        let config = EngineConfig { timeout: PromDuration::from_millis(0), ..EngineConfig::default() };
        assert_eq!(ask(config, "sum(a_total)"), Err(EvalError::Timeout));

        let asked = Cell::new(0);
        let cancelled = || asked.replace(asked.get() + 1) > 0;
        let expr = parse("sum(rate(a_total[1m])) + ".repeat(20).trim_end_matches(" + ")).expect("a query");
        let answer = engine(EngineConfig::default()).evaluate(&expr, When::At(at(590)), &cancelled);
        assert_eq!(answer, Err(EvalError::Cancelled));
    }

    #[test]
    fn a_series_of_many_steps_is_left_before_its_end() {
        let asked = Cell::new(0);
        let count = || {
            asked.set(asked.get() + 1);
            false
        };
        let expr = parse("quantile_over_time(0.5, vector(time())[200s:1s])").expect("a query");
        let when = When::Range { start: at(0), end: at(10_240), step_millis: 1000 };
        assert!(engine(EngineConfig::default()).evaluate(&expr, when, &count).is_ok());
        assert!(asked.get() >= 10_240 / 64, "{} times", asked.get());
    }

    #[test]
    fn a_range_has_a_limited_number_of_steps() {
        let engine = engine(EngineConfig::default());
        let expr = parse("1").expect("a query");
        assert!(engine.range(&expr, at(0), at(11_000), 1000).is_ok());
        let error = engine.range(&expr, at(0), at(11_001), 1000).expect_err("too many");
        assert_eq!(
            error.to_string(),
            "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)"
        );
        assert_eq!(engine.range(&expr, at(0), at(1), 0), Err(EvalError::NoStep));
        assert_eq!(engine.range(&expr, at(1), at(0), 1), Err(EvalError::EndBeforeStart));
        let text = engine.range(&parse("'x'").expect("a query"), at(0), at(1), 1).expect_err("no range");
        assert_eq!(text.to_string(), r#"invalid expression type "string" for range query, must be Scalar or instant Vector"#);
    }

    #[test]
    fn a_range_selector_shows_the_samples_as_they_are() {
        let Value::Matrix(series) = ask(EngineConfig::default(), "a_total[20s]").expect("an answer").value else { panic!("no matrix") };
        assert_eq!(series.len(), 2);
        assert_eq!(series[0].samples, [Sample { at: at(580), value: 58.0 }, Sample { at: at(590), value: 59.0 }]);
    }

    #[test]
    fn remarks_point_at_their_place_in_any_line() {
        let query = "1 +\n rate(vector(1)[5m:10s]) + quantile(2, a_total)";
        let answer = ask(EngineConfig::default(), query).expect("an answer");
        assert_eq!(answer.annotations[0].render(query), "PromQL warning: quantile value should be between 0 and 1, got 2 (2:37)");
        assert_eq!(answer.warnings.len(), 1);
    }

    #[test]
    fn what_is_experimental_has_to_be_switched_on() {
        for (query, what) in [
            ("info(a_total)", "info()"),
            ("1 + sum(rate(a_total[1m] anchored))", "the modifier anchored"),
            ("a_total smoothed", "the modifier smoothed"),
            ("limit_ratio(0.5, a_total)", "limit_ratio()"),
            ("limitk(1, a_total)", "limitk()"),
            ("a_total + fill(0) b_total", "the modifier fill"),
            ("max_over_time(mad_over_time(a_total[1m])[1m:])", "mad_over_time()"),
        ] {
            let error = ask(EngineConfig::default(), query).expect_err("not enabled");
            assert_eq!(error.to_string(), format!("{what} is experimental and must be enabled with the option promql.experimental"));
            let config = EngineConfig { experimental: true, ..EngineConfig::default() };
            assert!(ask(config, query).is_ok(), "{query}");
        }
    }
}
