//! `sidewatch query`: asks the running agent and prints a table.

// An index into a JSON value gives null for what is absent.
#![allow(clippy::indexing_slicing)]

use std::process::ExitCode;

use anyhow::{Context, bail};
use serde_json::Value;

use super::client::{Target, percent_encode};
use crate::clock;
use crate::config::Source;
use crate::model::{Labels, PromDuration, Timestamp};
use crate::promql;

#[derive(Debug, clap::Args)]
#[command(after_help = "Exit codes: 0 answered (also with no data), 1 refused or no answer from the agent.

Examples:
  sidewatch query 'node_load1'
  sidewatch query 'sum by (job) (up)' --json
  sidewatch query 'rate(node_cpu_seconds_total[1m])' --range 10m --step 15s")]
pub(super) struct Arguments {
    /// The PromQL expression
    #[arg(value_name = "EXPRESSION")]
    expression: String,
    #[command(flatten)]
    target: Target,
    /// Evaluate at this time: Unix seconds or RFC 3339 [default: now]
    #[arg(long, value_name = "TIME", value_parser = time)]
    at: Option<Timestamp>,
    /// Evaluate over this long, up to --at
    #[arg(long, value_name = "DURATION")]
    range: Option<PromDuration>,
    /// How far the points of a range are apart
    #[arg(long, value_name = "DURATION", default_value = "15s", requires = "range")]
    step: PromDuration,
    /// Print the agent's answer as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(source: &Source, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    // The agent would say the same, but cannot draw it.
    if let Err(error) = promql::parse(&arguments.expression) {
        bail!("{error}\n{}", error.caret(&arguments.expression));
    }
    let answer = arguments.target.get(source, &path(arguments))?;
    let body: Value =
        serde_json::from_slice(&answer.body).with_context(|| format!("the answer ({}) is not the query API's", answer.status))?;
    if arguments.json {
        println!("{body:#}");
    }
    for note in ["warnings", "infos"].iter().flat_map(|key| body[*key].as_array().cloned().unwrap_or_default()) {
        eprintln!("{}", note.as_str().unwrap_or_default());
    }
    if body["status"] != "success" {
        bail!("{}", body["error"].as_str().unwrap_or("the agent refused the query"));
    }
    if !arguments.json {
        print!("{}", table(&body["data"]));
    }
    Ok(ExitCode::SUCCESS)
}

fn path(arguments: &Arguments) -> String {
    let query = percent_encode(&arguments.expression);
    let Some(range) = arguments.range else {
        return match arguments.at {
            None => format!("/api/v1/query?query={query}"),
            Some(at) => format!("/api/v1/query?query={query}&time={}", at.as_seconds()),
        };
    };
    let end = arguments.at.unwrap_or_else(clock::now);
    let start = end - range.get();
    let step = arguments.step.get().as_secs_f64();
    format!("/api/v1/query_range?query={query}&start={}&end={}&step={step}", start.as_seconds(), end.as_seconds())
}

fn time(text: &str) -> Result<Timestamp, String> {
    if let Ok(seconds) = text.parse::<f64>() {
        return Ok(Timestamp::from_seconds(seconds));
    }
    match text.parse::<jiff::Timestamp>() {
        Ok(time) => Ok(Timestamp::from_millis(time.as_millisecond())),
        Err(_) => Err(format!("{text:?} is neither Unix seconds (1767225600) nor RFC 3339 (2026-01-01T00:00:00Z)")),
    }
}

/// A line a series: its labels and its value, or its last value behind a sparkline.
fn table(data: &Value) -> String {
    let rows: Vec<(String, String)> = match (data["resultType"].as_str(), data["result"].as_array()) {
        (Some("vector"), Some(series)) => series.iter().map(|one| (labels(one), text(&one["value"][1]))).collect(),
        (Some("matrix"), Some(series)) => series.iter().map(|one| (labels(one), points(one))).collect(),
        (_, Some(point)) => return format!("{}\n", point.get(1).map(text).unwrap_or_default()),
        _ => Vec::new(),
    };
    if rows.is_empty() {
        return "no data\n".to_owned();
    }
    let width = rows.iter().map(|(labels, _)| labels.chars().count()).max().unwrap_or(0);
    rows.iter().map(|(labels, value)| format!("{labels:width$}  {value}\n")).collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn labels(series: &Value) -> String {
    let pairs = series["metric"].as_object().into_iter().flatten();
    Labels::from_pairs(pairs.map(|(name, value)| (name, value.as_str().unwrap_or_default()))).to_string()
}

fn points(series: &Value) -> String {
    let values: Vec<String> = series["values"].as_array().into_iter().flatten().map(|point| text(&point[1])).collect();
    let numbers: Vec<f64> = values.iter().map(|value| value.parse().unwrap_or(f64::NAN)).collect();
    format!("{}  {}", sparkline(&numbers), values.last().map_or("", String::as_str))
}

/// Eight heights between the smallest and the largest value, at most 60 wide (the last ones).
fn sparkline(values: &[f64]) -> String {
    const HEIGHTS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let shown = values.get(values.len().saturating_sub(60)..).unwrap_or(values);
    let finite = || shown.iter().copied().filter(|value| value.is_finite());
    let (low, high) = (finite().fold(f64::INFINITY, f64::min), finite().fold(f64::NEG_INFINITY, f64::max));
    let height = |value: f64| {
        let share = if high > low { (value - low) / (high - low) } else { 0.0 };
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // between 0 and 7
        HEIGHTS.get((share * 7.0).round() as usize).copied().unwrap_or(' ')
    };
    shown.iter().map(|value| if value.is_finite() { height(*value) } else { ' ' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_vector_is_a_line_a_series() {
        let data = json!({"resultType": "vector", "result": [
            {"metric": {"__name__": "up", "job": "node"}, "value": [1, "1"]},
            {"metric": {"__name__": "up", "job": "a"}, "value": [1, "0"]}]});
        assert_eq!(table(&data), "up{job=\"node\"}  1\nup{job=\"a\"}     0\n");
        assert_eq!(table(&json!({"resultType": "vector", "result": []})), "no data\n");
        assert_eq!(table(&json!({"resultType": "scalar", "result": [1, "2"]})), "2\n");
    }

    #[test]
    fn a_range_is_a_sparkline_and_its_last_value() {
        let data = json!({"resultType": "matrix", "result": [{"metric": {}, "values": [[1, "0"], [2, "7"], [3, "NaN"], [4, "3.5"]]}]});
        assert_eq!(table(&data), "{}  ▁█ ▅  3.5\n");
    }

    #[test]
    fn times_are_seconds_or_rfc_3339() {
        assert_eq!(time("1.5").expect("valid"), Timestamp::from_millis(1_500));
        assert_eq!(time("1970-01-01T00:00:02Z").expect("valid"), Timestamp::from_millis(2_000));
        assert!(time("yesterday").is_err());
    }
}
