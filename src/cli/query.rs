//! `sidewatch query`: asks the running agent, or looks into what one has saved, and prints a table.

// An index into a JSON value gives null for what is absent.
#![allow(clippy::indexing_slicing)]

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{anyhow, bail};
use serde_json::Value;

use super::client::{Target, percent_encode};
use super::output::{is_styled, note, print};
use super::past::{self, Past};
use super::table::table;
use crate::clock;
use crate::config::Source;
use crate::model::{Labels, PromDuration, Timestamp};
use crate::promql;

/// The smallest step that is chosen for a range.
const STEP: Duration = Duration::from_secs(15);
/// The most points that are chosen for a range: four for each column of a sparkline.
const POINTS: u32 = 240;

#[derive(Debug, clap::Args)]
#[command(after_help = "Exit codes: 0 answered (also with no data), 1 refused, no answer from the agent, no saved history.

Examples:
  sidewatch query 'node_load1'
  sidewatch query 'sum by (job) (up)' --json
  sidewatch query 'rate(node_cpu_seconds_total[1m])' --range 10m --step 15s
  sidewatch query 'node_load1' --range 2h --history /var/lib/sidewatch")]
pub(super) struct Arguments {
    /// The PromQL expression
    #[arg(value_name = "EXPRESSION")]
    expression: String,
    #[command(flatten)]
    target: Target,
    /// Evaluate over the history that an agent has saved in this state folder, or in a copy of it. Nothing is changed there, and
    /// the agent may be stopped or running
    #[arg(long, value_name = "DIR", conflicts_with = "url")]
    history: Option<PathBuf>,
    /// Evaluate at this time: Unix seconds or RFC 3339 [default: now; with --history that of the newest sample]
    #[arg(long, value_name = "TIME", value_parser = time)]
    at: Option<Timestamp>,
    /// Evaluate over this long, up to --at
    #[arg(long, value_name = "DURATION")]
    range: Option<PromDuration>,
    /// How far the points of a range are apart [default: 15s, more for ranges over an hour]
    #[arg(long, value_name = "DURATION", requires = "range")]
    step: Option<PromDuration>,
    /// Print the answer as JSON
    #[arg(long)]
    json: bool,
}

/// When the expression is evaluated.
#[derive(Clone, Copy, Debug, PartialEq)]
enum When {
    /// Now is the agent's.
    At(Option<Timestamp>),
    Range {
        start: Timestamp,
        end: Timestamp,
        step: Duration,
    },
}

impl When {
    /// Without a time it is `latest`, where that is given.
    fn read(arguments: &Arguments, latest: Option<Timestamp>) -> Self {
        let at = arguments.at.or(latest);
        let Some(range) = arguments.range else { return Self::At(at) };
        let end = at.unwrap_or_else(clock::now);
        // In whole seconds, rounded up.
        let chosen = || Duration::from_secs((range.get() / POINTS + Duration::from_millis(999)).as_secs()).max(STEP);
        Self::Range { start: end - range.get(), end, step: arguments.step.map_or_else(chosen, PromDuration::get) }
    }

    /// What an engine is asked.
    fn precisely(self) -> promql::When {
        match self {
            Self::At(at) => promql::When::At(at.unwrap_or_else(clock::now)),
            Self::Range { start, end, step } => {
                let step_millis = i64::try_from(step.as_millis()).unwrap_or(i64::MAX);
                promql::When::Range { start, end, step_millis }
            }
        }
    }

    /// What the agent's query API is asked.
    fn path(self, expression: &str) -> String {
        let query = percent_encode(expression);
        match self {
            Self::At(None) => format!("/api/v1/query?query={query}"),
            Self::At(Some(at)) => format!("/api/v1/query?query={query}&time={}", at.as_seconds()),
            Self::Range { start, end, step } => {
                let step = step.as_secs_f64();
                format!("/api/v1/query_range?query={query}&start={}&end={}&step={step}", start.as_seconds(), end.as_seconds())
            }
        }
    }
}

pub(super) fn run(source: &Source, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    // The agent would say the same, but cannot draw it.
    if let Err(error) = promql::parse(&arguments.expression) {
        bail!("{error}\n{}", error.caret(&arguments.expression));
    }
    let past = arguments.history.as_deref().map(|folder| Past::open(source, folder, arguments.at)).transpose()?;
    let when = When::read(arguments, past.as_ref().and_then(Past::latest));
    let body = match past {
        Some(past) => serde_json::from_slice(&past.answer(&arguments.expression, when.precisely()))?,
        None => answer(source, arguments, when)?,
    };
    if arguments.json {
        print(&format!("{body:#}\n"))?;
    }
    for line in ["warnings", "infos"].iter().flat_map(|key| body[*key].as_array().cloned().unwrap_or_default()) {
        note(line.as_str().unwrap_or_default());
    }
    if body["status"] != "success" {
        bail!("{}", body["error"].as_str().unwrap_or("the agent refused the query"));
    }
    if !arguments.json {
        let range = match when {
            When::Range { start, end, .. } => Some((start.as_seconds(), end.as_seconds())),
            When::At(_) => None,
        };
        print(&table(&body["data"], range, is_styled()))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The running agent's answer.
fn answer(source: &Source, arguments: &Arguments, when: When) -> anyhow::Result<Value> {
    let answer = arguments.target.get(source, &when.path(&arguments.expression)).map_err(|error| {
        // Of an agent elsewhere nothing is saved here.
        match past::find(source).filter(|_| arguments.target.is_configured()) {
            Some(state) => anyhow!("{error:#}\n  what an agent has saved can be asked with --history {}", state.display()),
            None => error,
        }
    })?;
    serde_json::from_slice(&answer.body).map_err(|_| {
        let said = String::from_utf8_lossy(&answer.body);
        anyhow!("what answered is not the query API: {}: {}", answer.status, said.lines().next().unwrap_or_default())
    })
}

/// Unix seconds or RFC 3339.
pub(super) fn time(text: &str) -> Result<Timestamp, String> {
    if let Some(seconds) = text.parse::<f64>().ok().filter(|seconds| seconds.is_finite()) {
        return Ok(Timestamp::from_seconds(seconds));
    }
    match text.parse::<jiff::Timestamp>() {
        Ok(time) => Ok(Timestamp::from_millis(time.as_millisecond())),
        Err(_) => Err(format!("{text:?} is neither Unix seconds (1767225600) nor RFC 3339 (2026-01-01T00:00:00Z)")),
    }
}

/// A series of the query API as it is written in PromQL.
pub(super) fn labels(series: &Value) -> Labels {
    let pairs = series["metric"].as_object().into_iter().flatten();
    Labels::from_pairs(pairs.map(|(name, value)| (name, value.as_str().unwrap_or_default())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        arguments: Arguments,
    }

    fn when(line: &str) -> When {
        let words = ["query", "up"].into_iter().chain(line.split_whitespace());
        When::read(&Line::try_parse_from(words).unwrap_or_else(|error| panic!("{error}")).arguments, None)
    }

    #[test]
    fn times_are_seconds_or_rfc_3339() {
        assert_eq!(time("1.5").expect("valid"), Timestamp::from_millis(1_500));
        assert_eq!(time("1970-01-01T00:00:02Z").expect("valid"), Timestamp::from_millis(2_000));
        assert!(time("yesterday").is_err() && time("inf").is_err());
    }

    #[test]
    fn the_agent_is_asked_for_the_time_or_the_range_that_is_meant() {
        assert_eq!(when("").path("a+b"), "/api/v1/query?query=a%2Bb");
        assert_eq!(when("--at 4.5").path("1"), "/api/v1/query?query=1&time=4.5");
        let range = when("--at 7200 --range 1h --step 30s").path("1");
        assert_eq!(range, "/api/v1/query_range?query=1&start=3600&end=7200&step=30");
    }

    #[test]
    fn a_range_has_no_more_points_than_can_be_seen() {
        for (range, seconds) in [("5m", 15), ("1h", 15), ("61m", 16), ("1d", 360)] {
            match when(&format!("--range {range}")) {
                When::Range { step, .. } => assert_eq!(step.as_secs(), seconds, "{range}"),
                other => panic!("{other:?}"),
            }
        }
    }
}
