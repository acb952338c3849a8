//! `/api/v1/query` and `/api/v1/query_range`.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::State;
use super::api::{self, Error, duration_millis, limit, lookback, required_duration_millis, required_time, time};
use super::envelope::{Success, truncate};
use super::json::ValueWriter;
use super::reply::Reply;
use super::router::Call;
use super::watched::Watched;
use crate::clock;
use crate::model::Timestamp;
use crate::promql::{Answer, Engine, EngineConfig, EvalError, Expr, Value, When, parse};

/// The most annotations of a kind that are told, as upstream.
const ANNOTATIONS_MAX: usize = 10;

/// Evaluates at one time, now by default.
pub(super) fn instant(call: &Call, state: &State) -> Reply {
    api::reply(answer_instant(call, state))
}

/// Evaluates over a range.
pub(super) fn range(call: &Call, state: &State) -> Reply {
    api::reply(answer_range(call, state))
}

/// Parameters are looked at in upstream's order, so that of several mistakes the same one is told.
fn answer_instant(call: &Call, state: &State) -> Result<Success, Error> {
    let limit = limit(&call.params)?;
    let at = time(&call.params, "time")?.unwrap_or(call.at);
    evaluate(call, state, When::At(at), at, limit)
}

fn answer_range(call: &Call, state: &State) -> Result<Success, Error> {
    let limit = limit(&call.params)?;
    let (start, end) = (required_time(&call.params, "start")?, required_time(&call.params, "end")?);
    if end < start {
        return Err(explain(EvalError::EndBeforeStart));
    }
    let step_millis = required_duration_millis(&call.params, "step")?;
    if step_millis <= 0 {
        return Err(explain(EvalError::NoStep));
    }
    evaluate(call, state, When::Range { start, end, step_millis }, end, limit)
}

fn evaluate(call: &Call, state: &State, when: When, at: Timestamp, limit: usize) -> Result<Success, Error> {
    // Its use is to bound the wait for this answer; here it only has to be one.
    duration_millis(&call.params, "timeout")?;
    let lookback = lookback(&call.params)?;
    let expr = read(call.params.get("query").unwrap_or(""))?;
    let watched = call.params.get("stats").map(|_| Arc::new(Watched::new(Arc::clone(&state.history))));
    let engine = match (&watched, lookback) {
        (None, None) => Engine::clone(&state.engine),
        (watched, lookback) => {
            let config = state.engine.config().clone();
            let config = EngineConfig { lookback: lookback.unwrap_or(config.lookback), ..config };
            let history = watched.as_ref().map_or_else(|| Arc::clone(&state.history), |watched| Arc::clone(watched) as _);
            Engine::new(history, config)
        }
    };
    let begun = clock::monotonic();
    let answer = engine.evaluate(&expr, when, &|| call.given_up.load(Ordering::Relaxed)).map_err(explain)?;
    let taken = clock::monotonic().duration_since(begun);
    let stats = watched.map(|watched| watched.stats(call.queued, taken));
    let more = |data: ValueWriter| match &stats {
        Some(stats) => data.with("stats", stats),
        None => data,
    };
    Ok(success(answer, at, limit, more))
}

/// The body with which `query`, or `query_range`, answers, for whoever has an engine and asks no agent.
#[must_use]
pub fn evaluate_text(engine: &Engine, query: &str, when: When) -> Vec<u8> {
    let at = match when {
        When::At(at) | When::Range { end: at, .. } => at,
    };
    let answer = read(query).and_then(|expr| engine.evaluate(&expr, when, &|| false).map_err(explain));
    answer.map_or_else(|error| error.reply().body, |answer| success(answer, at, 0, |data| data).text())
}

fn read(query: &str) -> Result<Expr, Error> {
    parse(query).map_err(|error| Error::parameter("query", error))
}

/// The answer as it is sent, with what `more` has to say beside the value.
fn success(answer: Answer, at: Timestamp, limit: usize, more: impl FnOnce(ValueWriter) -> ValueWriter) -> Success {
    let Answer { mut value, mut warnings, mut infos, .. } = answer;
    let truncated = match &mut value {
        Value::Vector(samples) => truncate(samples, limit),
        Value::Matrix(series) => truncate(series, limit),
        Value::Scalar(_) | Value::String(_) => None,
    };
    warnings.extend(truncated);
    cut("warning", &mut warnings);
    cut("info", &mut infos);
    Success::of(more(ValueWriter::new(value, at))).with(warnings, infos)
}

/// Of many annotations of a kind some are enough.
fn cut(kind: &str, annotations: &mut Vec<String>) {
    let more = annotations.len().saturating_sub(ANNOTATIONS_MAX);
    if more > 0 {
        annotations.truncate(ANNOTATIONS_MAX);
        annotations.push(format!("{more} more {kind} annotations omitted"));
    }
}

/// The kinds are Prometheus's: what is wrong with the question is bad data, what goes wrong with the answer is not.
fn explain(error: EvalError) -> Error {
    let message = crate::telemetry::chain(&error);
    match error {
        EvalError::EndBeforeStart => Error::parameter("end", message),
        EvalError::NoStep => Error::parameter("step", message),
        EvalError::WrongType { .. } => Error::parameter("query", message),
        EvalError::TooManySteps { .. } => Error::BadData(message),
        EvalError::Timeout | EvalError::Cancelled => Error::Timeout(message),
        EvalError::History(_) => Error::Unavailable(message),
        _ => Error::Execution(message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_annotations_are_told_and_how_many_more_there_are() {
        let mut annotations: Vec<String> = (0..10).map(|number: u8| number.to_string()).collect();
        cut("info", &mut annotations);
        assert_eq!(annotations.len(), 10);
        annotations.extend(["a".to_owned(), "b".to_owned()]);
        cut("info", &mut annotations);
        assert_eq!((annotations.len(), annotations.last().map(String::as_str)), (11, Some("2 more info annotations omitted")));
    }
}
