//! What rules need of a history, fetched over Prometheus's API: raw samples, as the instant value of range selectors.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, bail};
use serde_json::Value;

use super::client::percent_encode;
use super::remote::Remote;
use crate::history::{Append, History};
use crate::model::{Labels, Timestamp};
use crate::promql::{EngineConfig, Expr};
use crate::rules;
use crate::rules::{RuleSet, Span};

/// So much is asked for at once: servers bound the samples of a query.
const PIECE_MILLIS: i64 = 3_600_000;

/// Fetches all samples that the rules can see in the time.
pub(super) fn fetch(server: &Remote, sets: &[&RuleSet], config: &EngineConfig, span: Span) -> anyhow::Result<History> {
    let mut samples: BTreeMap<i64, Vec<(Labels, f64)>> = BTreeMap::new();
    let mut wanted: BTreeMap<String, (Expr, i64)> = BTreeMap::new();
    for need in sets.iter().flat_map(|set| rules::needs(set, config)) {
        let (_, before) = wanted.entry(need.selector.to_string()).or_insert_with(|| (need.selector.clone(), 0));
        *before = (*before).max(need.before_millis);
    }
    let mut seen: BTreeSet<(Labels, i64)> = BTreeSet::new();
    for (selector, before) in wanted.into_values() {
        let mut from = span.start.as_millis().saturating_sub(before);
        while from < span.end.as_millis() {
            let to = from.saturating_add(PIECE_MILLIS).min(span.end.as_millis());
            let query = rules::RuleNeed { selector: selector.clone(), before_millis: 0 }.samples(to - from).to_string();
            let at = Timestamp::from_millis(to).as_seconds();
            let path = format!("/api/v1/query?query={}&time={at}", percent_encode(&query));
            let (status, body) = server.get(&path).with_context(|| format!("cannot ask {server} for {query}"))?;
            let Ok(body) = serde_json::from_slice::<Value>(&body) else {
                bail!("{server} answers {status}, and not as the query API does")
            };
            take(&body, &mut |labels, at, value| {
                // Selectors overlap, and so do pieces where a server counts both ends of a range.
                if seen.insert((labels.clone(), at)) {
                    samples.entry(at).or_default().push((labels.clone(), value));
                }
            })
            .with_context(|| query.clone())?;
            from = to;
        }
    }
    let history = rules::scratch();
    for (at, samples) in samples {
        history.append(Timestamp::from_millis(at), &samples);
    }
    Ok(history)
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
