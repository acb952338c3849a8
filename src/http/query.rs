//! `/api/v1/query` and `/api/v1/query_range`.

use std::sync::atomic::Ordering;

use super::State;
use super::api::{self, Error, Success, duration_millis, limit, required_duration_millis, required_time, time, truncate};
use super::json::write_value;
use super::reply::Reply;
use super::router::Call;
use crate::model::Timestamp;
use crate::promql::{Answer, EvalError, Value, When, parse};

/// Evaluates at one time, now by default.
pub(super) fn instant(call: &Call, state: &State) -> Reply {
    api::reply(answer_instant(call, state))
}

/// Evaluates over a range.
pub(super) fn range(call: &Call, state: &State) -> Reply {
    api::reply(answer_range(call, state))
}

fn answer_instant(call: &Call, state: &State) -> Result<Success, Error> {
    let at = time(&call.params, "time")?.unwrap_or(call.at);
    evaluate(call, state, When::At(at), at)
}

fn answer_range(call: &Call, state: &State) -> Result<Success, Error> {
    let (start, end) = (required_time(&call.params, "start")?, required_time(&call.params, "end")?);
    let step_millis = required_duration_millis(&call.params, "step")?;
    evaluate(call, state, When::Range { start, end, step_millis }, end)
}

fn evaluate(call: &Call, state: &State, when: When, at: Timestamp) -> Result<Success, Error> {
    let limit = limit(&call.params)?;
    // Its use is to bound the wait for this answer; here it only has to be one.
    duration_millis(&call.params, "timeout")?;
    let expr = parse(call.params.get("query").unwrap_or("")).map_err(|error| Error::parameter("query", error))?;
    let answer = state.engine.evaluate(&expr, when, &|| call.given_up.load(Ordering::Relaxed)).map_err(explain)?;
    let Answer { mut value, mut warnings, infos, .. } = answer;
    let truncated = match &mut value {
        Value::Vector(samples) => truncate(samples, limit),
        Value::Matrix(series) => truncate(series, limit),
        Value::Scalar(_) | Value::String(_) => None,
    };
    warnings.extend(truncated);
    let mut data = Vec::new();
    write_value(&value, at, &mut data);
    Ok(Success { data, warnings, infos })
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
