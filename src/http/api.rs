//! The errors of Prometheus's HTTP API, and how it writes times and durations in parameters.
//! Source: Prometheus documentation "HTTP API", prometheus/prometheus `web/api/v1/api.go`.

use std::num::IntErrorKind;
use std::time::Duration;

use hyper::StatusCode;

use super::envelope::Success;
use super::params::Params;
use super::reply::{JSON, Reply};
use crate::model::{PromDuration, Timestamp, parse_millis};

/// Why the API cannot answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Error {
    /// A parameter is missing or wrong.
    BadData(String),
    /// The query cannot be evaluated.
    Execution(String),
    /// It took too long.
    Timeout(String),
    /// What it needs is not there now.
    Unavailable(String),
    /// A mistake in the agent.
    Internal(String),
}

impl Error {
    /// A parameter that cannot be used.
    pub(super) fn parameter(name: &str, problem: impl std::fmt::Display) -> Self {
        Self::BadData(format!("invalid parameter {name:?}: {problem}"))
    }

    pub(super) fn reply(&self) -> Reply {
        let (status, kind, message) = match self {
            Self::BadData(message) => (StatusCode::BAD_REQUEST, "bad_data", message),
            Self::Execution(message) => (StatusCode::UNPROCESSABLE_ENTITY, "execution", message),
            Self::Timeout(message) => (StatusCode::SERVICE_UNAVAILABLE, "timeout", message),
            Self::Unavailable(message) => (StatusCode::SERVICE_UNAVAILABLE, "unavailable", message),
            Self::Internal(message) => (StatusCode::INTERNAL_SERVER_ERROR, "internal", message),
        };
        let body = serde_json::json!({"status": "error", "errorType": kind, "error": message});
        Reply::new(status, JSON, body.to_string())
    }
}

impl From<crate::history::QueryError> for Error {
    fn from(error: crate::history::QueryError) -> Self {
        Self::Unavailable(crate::telemetry::chain(&error))
    }
}

/// The answer that an outcome makes.
pub(super) fn reply(outcome: Result<Success, Error>) -> Reply {
    outcome.map_or_else(|error| error.reply(), Success::reply)
}

/// Go counts durations in nanoseconds of 64 bits.
const DURATION_SECONDS_MAX: f64 = 9_223_372_036.854_775;

/// The earliest and the latest time that Go's clients can name: they mean "without a bound".
const BOUNDS: [(&str, Timestamp); 2] =
    [("-292273086-05-16T16:47:06Z", Timestamp::MIN), ("292277025-08-18T07:12:54.999999999Z", Timestamp::MAX)];

/// A time parameter that may be absent: Unix seconds with decimals, or RFC 3339.
pub(super) fn time(params: &Params, name: &str) -> Result<Option<Timestamp>, Error> {
    let parsed = params.get(name).map(parse_time).transpose();
    parsed.map_err(|problem| Error::parameter(name, format!("Invalid time value for '{name}': {problem}")))
}

/// A time parameter that has to be there.
pub(super) fn required_time(params: &Params, name: &str) -> Result<Timestamp, Error> {
    parse_time(params.get(name).unwrap_or("")).map_err(|problem| Error::parameter(name, problem))
}

fn parse_time(text: &str) -> Result<Timestamp, String> {
    let seconds = text.parse::<f64>().ok().filter(|seconds| seconds.is_finite()).map(from_seconds);
    let bound = || BOUNDS.iter().find(|(bound, _)| *bound == text).map(|(_, time)| *time);
    let parsed = seconds.or_else(|| text.parse::<jiff::Timestamp>().ok().map(|time| Timestamp::from_millis(time.as_millisecond())));
    parsed.or_else(bound).ok_or_else(|| format!("cannot parse {text:?} to a valid timestamp"))
}

/// Seconds and their fraction are taken apart before that is rounded, as upstream does.
fn from_seconds(seconds: f64) -> Timestamp {
    let whole = seconds.trunc();
    Timestamp::from_seconds(whole + ((seconds - whole) * 1e3).round() / 1e3)
}

/// A duration parameter in milliseconds that may be absent: seconds with decimals, or Prometheus's form.
pub(super) fn duration_millis(params: &Params, name: &str) -> Result<Option<i64>, Error> {
    params.get(name).map(|text| parse_duration(name, text)).transpose()
}

/// A duration parameter in milliseconds that has to be there.
pub(super) fn required_duration_millis(params: &Params, name: &str) -> Result<i64, Error> {
    parse_duration(name, params.get(name).unwrap_or(""))
}

fn parse_duration(name: &str, text: &str) -> Result<i64, Error> {
    read_duration(text).map_err(|problem| Error::parameter(name, problem))
}

fn read_duration(text: &str) -> Result<i64, String> {
    let seconds = text.parse::<f64>().ok().filter(|seconds| !seconds.is_nan());
    if seconds.is_some_and(|seconds| seconds.abs() > DURATION_SECONDS_MAX) {
        return Err(format!("cannot parse {text:?} to a valid duration. It overflows int64"));
    }
    let parsed = seconds.map(|seconds| Timestamp::from_seconds(seconds).as_millis()).or_else(|| parse_millis(text).ok());
    parsed.ok_or_else(|| format!("cannot parse {text:?} to a valid duration"))
}

/// The parameter `lookback_delta`: how old a sample may be for this query. Where it is absent, zero or negative the engine's holds.
pub(super) fn lookback(params: &Params) -> Result<Option<PromDuration>, Error> {
    let Some(text) = params.get("lookback_delta") else { return Ok(None) };
    let millis = read_duration(text).map_err(|problem| Error::BadData(format!("error parsing lookback delta duration: {problem}")))?;
    Ok(u64::try_from(millis).ok().filter(|millis| *millis > 0).map(PromDuration::from_millis))
}

/// How long the asker wants to wait; a text that is no duration is left for the endpoint to complain about.
pub(super) fn timeout(params: &Params) -> Option<Duration> {
    let millis = duration_millis(params, "timeout").ok().flatten()?;
    Some(Duration::from_millis(u64::try_from(millis).unwrap_or(0)))
}

/// The `limit` parameter; 0 is no limit.
pub(super) fn limit(params: &Params) -> Result<usize, Error> {
    let Some(text) = params.get("limit") else { return Ok(0) };
    let number = text.parse::<i64>().map_err(|error| {
        let too_large = matches!(error.kind(), IntErrorKind::PosOverflow | IntErrorKind::NegOverflow);
        let problem = if too_large { "value out of range" } else { "invalid syntax" };
        Error::parameter("limit", format!("strconv.Atoi: parsing {text:?}: {problem}"))
    })?;
    usize::try_from(number).map_err(|_| Error::parameter("limit", "limit must be non-negative"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(reply: &Reply) -> &str {
        std::str::from_utf8(&reply.body).expect("UTF-8")
    }

    #[test]
    fn success_and_errors_have_their_envelopes() {
        assert_eq!(body(&reply(Ok(Success::new(&["x"])))), r#"{"status":"success","data":["x"]}"#);
        let error = reply(Err(Error::parameter("step", "no")));
        let error: serde_json::Value = serde_json::from_slice(&error.body).expect("JSON");
        assert_eq!(error, serde_json::json!({"status": "error", "errorType": "bad_data", "error": "invalid parameter \"step\": no"}));
        let statuses =
            [Error::Execution("".into()), Error::Timeout("".into()), Error::Internal("".into())].map(|e| e.reply().status.as_u16());
        assert_eq!(statuses, [422, 503, 500]);
    }

    #[test]
    fn times_are_unix_seconds_or_rfc_3339() {
        for (text, millis) in [
            ("4", 4_000),
            ("1.0005", 1_000),
            ("1.0006", 1_001),
            ("1435781430.781", 1_435_781_430_781),
            ("-1", -1_000),
            ("2015-07-01T20:10:51.781Z", 1_435_781_451_781),
        ] {
            assert_eq!(required_time(&Params::parse(&format!("time={text}"), b""), "time"), Ok(Timestamp::from_millis(millis)), "{text}");
            assert_eq!(
                time(&Params::parse("", format!("time={text}").as_bytes()), "time"),
                Ok(Some(Timestamp::from_millis(millis))),
                "{text}"
            );
        }
        assert_eq!(time(&Params::default(), "time"), Ok(None));
        assert_eq!(time(&Params::parse("end=292277025-08-18T07:12:54.999999999Z", b""), "end"), Ok(Some(Timestamp::MAX)));
        for text in ["now", "NaN", "inf", "2015-07-01"] {
            assert!(matches!(time(&Params::parse(&format!("time={text}"), b""), "time"), Err(Error::BadData(_))), "{text}");
        }
    }

    #[test]
    fn durations_are_seconds_or_prometheus_form() {
        for (text, millis) in [("15", 15_000), ("0.5", 500), ("1h30m", 5_400_000)] {
            assert_eq!(duration_millis(&Params::parse(&format!("step={text}"), b""), "step"), Ok(Some(millis)), "{text}");
        }
        assert!(duration_millis(&Params::parse("step=soon", b""), "step").is_err());
        let large = duration_millis(&Params::parse("step=1e30", b""), "step");
        assert!(matches!(large, Err(Error::BadData(message)) if message.ends_with("It overflows int64")));
    }
}
