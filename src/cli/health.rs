//! `sidewatch health`: the score and its reasons, for people and for scripts.

// An index into a JSON value gives null for what is absent.
#![allow(clippy::indexing_slicing)]

use std::process::ExitCode;

use anyhow::{anyhow, bail};
use serde_json::Value;

use super::client::{Answer, Target};
use super::output::{note, print};
use super::table::harmless;
use crate::config::Source;

/// Exit codes are those of Nagios plugins: 0 healthy, 1 degraded, 2 critical, 3 unknown or no answer.
#[derive(Debug, clap::Args)]
#[command(after_help = "Exit codes: 0 healthy, 1 degraded, 2 critical, 3 unknown or no answer from the agent.

Examples:
  sidewatch health
  sidewatch health --line
  sidewatch health --service shop
  sidewatch health --json | jq .deductions
  HEALTHCHECK CMD sidewatch health --fail-on critical")]
pub(super) struct Arguments {
    #[command(flatten)]
    target: Target,
    /// Print the report as JSON
    #[arg(long, conflicts_with = "line")]
    json: bool,
    /// Print one line
    #[arg(long)]
    line: bool,
    /// Judge one service (the label `service_name`) in place of the whole
    #[arg(long, value_name = "NAME", conflicts_with_all = ["json", "line"])]
    service: Option<String>,
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
    let answer = arguments.target.get(source, if arguments.line { "/health?line" } else { "/health" })?;
    if arguments.line {
        let line = String::from_utf8_lossy(&answer.body);
        let state = line.split(' ').next().filter(|word| ["healthy", "degraded", "critical", "unknown"].contains(word));
        let state = state.ok_or_else(|| no_report(&answer))?;
        print(&line)?;
        return Ok(verdict(Some(state)));
    }
    let report: Value = serde_json::from_slice(&answer.body).map_err(|_| no_report(&answer))?;
    if let Some(name) = &arguments.service {
        let services = report["services"].as_array().into_iter().flatten();
        let service = services.clone().find(|service| service["service"] == **name);
        let Some(service) = service else {
            let known: Vec<_> = services.filter_map(|service| service["service"].as_str()).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            bail!("the service {name:?} has no score of its own (what is about others than these is judged as __other__): {known}");
        };
        print(&describe_service(service))?;
        return Ok(verdict(service["state"].as_str()));
    }
    if arguments.json {
        print(&format!("{report:#}\n"))?;
    } else {
        print(&describe(&report))?;
    }
    Ok(verdict(report["state"].as_str()))
}

/// Whoever answers is not an agent.
fn no_report(answer: &Answer) -> anyhow::Error {
    anyhow!("the answer ({}) is no health report: is that the address of an agent?", answer.status)
}

fn verdict(state: Option<&str>) -> Verdict {
    match state {
        Some("healthy") => Verdict::Healthy,
        Some("degraded") => Verdict::Degraded,
        Some("critical") => Verdict::Critical,
        _ => Verdict::Unknown,
    }
}

/// The state, the score and, while it lasts, that it gets better.
fn headline(report: &Value) -> String {
    let recovering = report["recovering_since"].as_str().map(|since| format!(" (recovering since {since})")).unwrap_or_default();
    format!("{} {}{recovering}", report["state"].as_str().unwrap_or(""), report["score"])
}

fn about(reason: &Value) -> String {
    let service = reason["service"].as_str().map(|service| format!("{{{service}}}")).unwrap_or_default();
    format!("{}{service}", reason["signal"].as_str().unwrap_or(""))
}

fn describe_service(service: &Value) -> String {
    let mut lines = vec![headline(service)];
    let taken = service["deductions"].as_array().into_iter().flatten();
    lines.extend(taken.map(|taken| format!("  -{} {}", taken["points"], about(taken))));
    text(&lines)
}

fn describe(report: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or("").to_owned();
    let list = |key: &str| report[key].as_array().cloned().unwrap_or_default();
    let mut lines = vec![headline(report)];
    for reason in list("deductions") {
        let covered = reason["covered_by"].as_str();
        let points = if covered.is_some() { "0".to_owned() } else { format!("-{}", reason["points"]) };
        lines.push(format!("  {points} {}: {}", about(&reason), text(&reason["summary"])));
        let mut details = Vec::new();
        details.extend(covered.map(|other| format!("{} points, covered by {other}", reason["points"])));
        for key in ["value", "threshold", "good", "bad", "weight", "count"] {
            // The weight says nothing where it is what is lost.
            let number = reason[key].as_f64().filter(|number| key != "weight" || Some(*number) != reason["points"].as_f64());
            details.extend(number.map(|number| format!("{key} {number}")));
        }
        details.push(format!("since {}", text(&reason["since"])));
        lines.push(format!("      {}", details.join(", ")));
    }
    lines.extend(list("pending").iter().map(|reason| format!("  pending {}: {}", about(reason), text(&reason["summary"]))));
    lines.extend(list("services").iter().map(|service| format!("  service {}: {}", text(&service["service"]), headline(service))));
    lines.extend(list("blind").iter().map(|reason| format!("  cannot see: {}", text(reason))));
    let silences = list("parts").into_iter().filter(|part| part["name"] == "silences" && part["condition"] == "ok");
    lines.extend(silences.map(|part| format!("  silences: {}", text(&part["detail"]))));
    let unwell = list("parts").into_iter().filter(|part| part["condition"] != "ok");
    lines.extend(unwell.map(|part| format!("  {} is {}: {}", text(&part["name"]), text(&part["condition"]), text(&part["detail"]))));
    self::text(&lines)
}

/// Lines, none of which can make others: they hold the values of labels.
fn text(lines: &[String]) -> String {
    lines.iter().map(|line| harmless(line) + "\n").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_told_with_its_numbers() {
        let since = "2026-01-01T00:00:00.000Z";
        let report = serde_json::json!({
            "score": 60.0, "state": "degraded", "recovering_since": since, "blind": [], "pending": [],
            "parts": [{"name": "rules", "condition": "ok", "detail": ""}, {"name": "silences", "condition": "ok", "detail": "1 active"}],
            "services": [{"service": "shop", "score": 60.0, "state": "critical"}],
            "deductions": [
                {"signal": "alert:A", "weight": 40.0, "points": 40.0, "value": 0.95, "threshold": 0.9, "since": since, "summary": "It burns."},
                {"signal": "signal:b", "service": "shop", "weight": 30.0, "points": 15.0, "value": 3.0, "good": 1.0, "bad": 5.0, "count": 20.0,
                 "covered_by": "alert:A", "since": since, "summary": "Slow."},
            ],
        });
        let told = format!(
            "degraded 60.0 (recovering since {since})\n  -40.0 alert:A: It burns.\n      value 0.95, threshold 0.9, since {since}\n  \
             0 signal:b{{shop}}: Slow.\n      15.0 points, covered by alert:A, value 3, good 1, bad 5, weight 30, count 20, since {since}\n  \
             service shop: critical 60.0\n  silences: 1 active\n"
        );
        assert_eq!(describe(&report), told);
    }

    #[test]
    fn what_a_sender_writes_forges_no_line() {
        let name = "a\n  service shop: healthy 100\u{1b}[2J";
        let report =
            serde_json::json!({"score": 60.0, "state": "degraded", "services": [{"service": name, "score": 0.0, "state": "critical"}]});
        assert_eq!(describe(&report), "degraded 60.0\n  service a\\n  service shop: healthy 100\\u{1b}[2J: critical 0.0\n");
        let service =
            serde_json::json!({"score": 60.0, "state": "degraded", "deductions": [{"signal": "alert:A", "service": name, "points": 1}]});
        assert_eq!(describe_service(&service).lines().count(), 2);
    }

    #[test]
    fn fail_on_turns_states_into_yes_and_no() {
        assert_eq!(format!("{:?}", exit_code(Verdict::Degraded, Some(Verdict::Critical))), format!("{:?}", ExitCode::SUCCESS));
        assert_eq!(format!("{:?}", exit_code(Verdict::Unknown, Some(Verdict::Critical))), format!("{:?}", ExitCode::from(1)));
        assert_eq!(format!("{:?}", exit_code(Verdict::Critical, None)), format!("{:?}", ExitCode::from(2)));
    }
}
