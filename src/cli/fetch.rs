//! What rules need of a history, fetched over Prometheus's API: raw samples, as the instant value of range selectors, and where series end.

mod ends;

use std::collections::BTreeMap;

use anyhow::{Context, bail};
use serde_json::Value;

use self::ends::{Stretch, Times};
use super::client::percent_encode;
use super::remote::Remote;
use crate::history::{Append, History};
use crate::model::{Labels, Timestamp, stale_marker};
use crate::promql::{EngineConfig, Expr};
use crate::rules;
use crate::rules::{RuleNeed, RuleSet, Span};

/// So much is asked for at once: servers bound the samples of a query.
const PIECE_MILLIS: i64 = 3_600_000;

/// Into so many parts the time is divided to find out where the server's history begins.
const PARTS: i64 = 1_000;

/// What a server holds.
pub(super) struct Fetched {
    /// All samples that the rules can see in the time.
    pub(super) history: History,
    /// Where they begin, or what the server scrapes does; `None` where it holds nothing.
    pub(super) oldest: Option<Timestamp>,
}

/// Fetches all samples that the rules can see in the time.
pub(super) fn fetch(server: &Remote, sets: &[&RuleSet], config: &EngineConfig, span: Span) -> anyhow::Result<Fetched> {
    let mut samples: BTreeMap<i64, BTreeMap<Labels, f64>> = BTreeMap::new();
    let mut wanted: BTreeMap<String, (Expr, i64)> = BTreeMap::new();
    for need in sets.iter().flat_map(|set| rules::needs(set, config)) {
        let (_, before) = wanted.entry(need.selector.to_string()).or_insert_with(|| (need.selector.clone(), 0));
        *before = (*before).max(need.before_millis);
    }
    let end = span.end.as_millis();
    let mut oldest = begin(server, span)?;
    for (selector, before) in wanted.into_values() {
        let mut series = Times::new();
        let need = RuleNeed { selector, before_millis: before };
        let mut from = span.from.as_millis().saturating_sub(before);
        while from < end {
            let to = from.saturating_add(PIECE_MILLIS).min(end);
            let query = need.samples(to - from).to_string();
            ask(server, "query", &query, &[("time", to)], &mut |labels, at, value| {
                // Selectors overlap, and so do pieces where a server counts both ends of a range.
                samples.entry(at).or_default().insert(labels.clone(), value);
                series.entry(labels.clone()).or_default().push(at);
            })?;
            from = to;
        }
        let first = series.values().filter_map(|times| times.first()).min().map(|first| Timestamp::from_millis(*first));
        oldest = oldest.into_iter().chain(first).min();
        for (labels, at) in ended(server, &need.selector.to_string(), series, config, end)? {
            samples.entry(at).or_default().entry(labels).or_insert(stale_marker());
        }
    }
    let history = rules::scratch();
    for (at, samples) in samples {
        history.append(Timestamp::from_millis(at), &samples.into_iter().collect::<Vec<_>>());
    }
    Ok(Fetched { history, oldest })
}

/// Where what the server scrapes begins, within the time in which rules are evaluated.
fn begin(server: &Remote, span: Span) -> anyhow::Result<Option<Timestamp>> {
    let (start, end) = (span.from.as_millis(), span.end.as_millis());
    let step = (end.saturating_sub(start) / PARTS).max(1_000);
    let mut oldest: Option<i64> = None;
    ask(server, "query_range", "count(up)", &[("start", start), ("end", end), ("step", step)], &mut |_, at, _| {
        oldest = Some(oldest.map_or(at, |oldest| oldest.min(at)));
    })?;
    Ok(oldest.map(Timestamp::from_millis))
}

/// Where series of a selector end: raw samples do not tell, and without it they would be seen for as long as the lookback is.
fn ended(server: &Remote, selector: &str, series: Times, config: &EngineConfig, end: i64) -> anyhow::Result<Vec<(Labels, i64)>> {
    let lookback = config.lookback.as_millis();
    let gaps = ends::gaps(series, lookback, end);
    let query = format!("last_over_time({selector}[{lookback}ms]) unless {selector}");
    let mut gone = Times::new();
    let stretches = ends::stretches(&gaps, PIECE_MILLIS);
    let step = gaps.iter().map(|gap| gap.spacing).min().unwrap_or(0);
    for Stretch { start, end } in stretches {
        ask(server, "query_range", &query, &[("start", start), ("end", end), ("step", step)], &mut |labels, at, _| {
            gone.entry(labels.clone()).or_default().push(at);
        })?;
    }
    Ok(ends::ends(gaps, &gone, step))
}

/// Asks for an expression, with times in milliseconds, and hands the samples of the answer on.
fn ask(
    server: &Remote,
    endpoint: &str,
    query: &str,
    times: &[(&str, i64)],
    taken: &mut dyn FnMut(&Labels, i64, f64),
) -> anyhow::Result<()> {
    let mut path = format!("/api/v1/{endpoint}?query={}", percent_encode(query));
    for (name, millis) in times {
        path.push_str(&format!("&{name}={}", Timestamp::from_millis(*millis).as_seconds()));
    }
    let (status, body) = server.get(&path).with_context(|| format!("cannot ask {server} for {query}"))?;
    let Ok(body) = serde_json::from_slice::<Value>(&body) else { bail!("{server} answers {status}, and not as the query API does") };
    take(&body, taken).with_context(|| query.to_owned())
}

/// Hands the samples of an answer on.
fn take(body: &Value, take: &mut dyn FnMut(&Labels, i64, f64)) -> anyhow::Result<()> {
    if body.get("status").and_then(Value::as_str) != Some("success") {
        bail!("{}", body.get("error").and_then(Value::as_str).unwrap_or("the server refused the query"));
    }
    let result = body.pointer("/data/result").and_then(Value::as_array).context("the answer has no result")?;
    for series in result {
        let labels = super::query::labels(series);
        for sample in series.get("values").and_then(Value::as_array).into_iter().flatten() {
            let at = sample.get(0).and_then(Value::as_f64).context("a sample without a time")?;
            let value = sample.get(1).and_then(Value::as_str).and_then(number).context("a sample without a value")?;
            take(&labels, Timestamp::from_seconds(at).as_millis(), value);
        }
    }
    Ok(())
}

/// A number as the API writes it.
fn number(text: &str) -> Option<f64> {
    match text {
        "+Inf" => Some(f64::INFINITY),
        "-Inf" => Some(f64::NEG_INFINITY),
        text => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_taken_sample_by_sample() {
        let body = serde_json::json!({"status": "success", "data": {"resultType": "matrix", "result": [
            {"metric": {"__name__": "x", "a": "b"}, "values": [[1.5, "2"], [2, "+Inf"]]}]}});
        let mut taken = Vec::new();
        take(&body, &mut |labels, at, value| taken.push((labels.to_string(), at, value))).expect("valid");
        assert_eq!(taken, [("x{a=\"b\"}".to_owned(), 1_500, 2.0), ("x{a=\"b\"}".to_owned(), 2_000, f64::INFINITY)]);
        let refused = take(&serde_json::json!({"status": "error", "error": "too many"}), &mut |_, _, _| ());
        assert_eq!(refused.expect_err("refused").to_string(), "too many");
    }
}
