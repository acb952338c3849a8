//! `sidewatch health`: the score and its reasons, for people and for scripts.

// An index into a JSON value gives null for what is absent.
#![allow(clippy::indexing_slicing)]

use std::process::ExitCode;

use anyhow::Context;
use serde_json::Value;

use super::client::Target;
use super::output::{note, print};
use crate::config::Source;

/// Exit codes are those of Nagios plugins: 0 healthy, 1 degraded, 2 critical, 3 unknown or no answer.
#[derive(Debug, clap::Args)]
#[command(after_help = "Exit codes: 0 healthy, 1 degraded, 2 critical, 3 unknown or no answer from the agent.

Examples:
  sidewatch health
  sidewatch health --json | jq .deductions
  HEALTHCHECK CMD sidewatch health --fail-on critical")]
pub(super) struct Arguments {
    #[command(flatten)]
    target: Target,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
    /// Exit with 1 from this state on, and with 0 before it (for HEALTHCHECK, which knows no other codes)
    #[arg(long, value_name = "STATE")]
    fail_on: Option<Verdict>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
enum Verdict {
    #[value(skip)]
    Healthy,
    Degraded,
    Critical,
    Unknown,
}

pub(super) fn run(source: &Source, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let verdict = match report(source, arguments) {
        Ok(verdict) => verdict,
        Err(error) => {
            note(&format!("sidewatch: {error:#}"));
            Verdict::Unknown
        }
    };
    Ok(exit_code(verdict, arguments.fail_on))
}

fn exit_code(verdict: Verdict, fail_on: Option<Verdict>) -> ExitCode {
    match fail_on {
        Some(limit) => ExitCode::from(u8::from(verdict >= limit)),
        None => ExitCode::from(verdict as u8),
    }
}

fn report(source: &Source, arguments: &Arguments) -> anyhow::Result<Verdict> {
    let answer = arguments.target.get(source, "/health")?;
    let report: Value =
        serde_json::from_slice(&answer.body).with_context(|| format!("the answer ({}) is no health report", answer.status))?;
    if arguments.json {
        print(&format!("{report:#}\n"))?;
    } else {
        print(&describe(&report))?;
    }
    Ok(match report["state"].as_str() {
        Some("healthy") => Verdict::Healthy,
        Some("degraded") => Verdict::Degraded,
        Some("critical") => Verdict::Critical,
        _ => Verdict::Unknown,
    })
}

fn describe(report: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or("").to_owned();
    let list = |key: &str| report[key].as_array().cloned().unwrap_or_default();
    let mut lines = vec![format!("{} {}", text(&report["state"]), report["score"])];
    for reason in list("deductions") {
        lines.push(format!("  -{} {}: {}", reason["weight"], text(&reason["signal"]), text(&reason["summary"])));
        let mut details = Vec::new();
        if let Some(value) = reason["value"].as_f64() {
            details.push(format!("value {value}"));
        }
        if let Some(threshold) = reason["threshold"].as_f64() {
            details.push(format!("threshold {threshold}"));
        }
        details.push(format!("since {}", text(&reason["since"])));
        lines.push(format!("      {}", details.join(", ")));
    }
    lines.extend(list("pending").iter().map(|reason| format!("  pending {}: {}", text(&reason["signal"]), text(&reason["summary"]))));
    lines.extend(list("blind").iter().map(|reason| format!("  cannot see: {}", text(reason))));
    let unwell = list("parts").into_iter().filter(|part| part["condition"] != "ok");
    lines.extend(unwell.map(|part| format!("  {} is {}: {}", text(&part["name"]), text(&part["condition"]), text(&part["detail"]))));
    lines.push(String::new());
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_told_with_its_numbers() {
        let report = serde_json::json!({
            "score": 60.0, "state": "degraded", "blind": [], "pending": [], "parts": [{"name": "rules", "condition": "ok", "detail": ""}],
            "deductions": [{"signal": "alert:A", "weight": 40.0, "value": 0.95, "threshold": 0.9, "since": "2026-01-01T00:00:00.000Z", "summary": "It burns."}],
        });
        assert_eq!(
            describe(&report),
            "degraded 60.0\n  -40.0 alert:A: It burns.\n      value 0.95, threshold 0.9, since 2026-01-01T00:00:00.000Z\n"
        );
    }

    #[test]
    fn fail_on_turns_states_into_yes_and_no() {
        assert_eq!(format!("{:?}", exit_code(Verdict::Degraded, Some(Verdict::Critical))), format!("{:?}", ExitCode::SUCCESS));
        assert_eq!(format!("{:?}", exit_code(Verdict::Unknown, Some(Verdict::Critical))), format!("{:?}", ExitCode::from(1)));
        assert_eq!(format!("{:?}", exit_code(Verdict::Critical, None)), format!("{:?}", ExitCode::from(2)));
    }
}
