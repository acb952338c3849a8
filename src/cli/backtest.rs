//! `sidewatch backtest`: what rules would have done over a past time, and what another version of them does otherwise.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::bail;
use serde_json::{Value, json};

use super::fetch::{Fetched, fetch};
use super::output::{is_styled, note, print};
use super::past;
use super::query::time;
use super::remote::Remote;
use super::table::harmless;
use crate::clock;
use crate::config::{Config, Source};
use crate::history::{Query, Saved};
use crate::model::{PromDuration, Timestamp, format_millis};
use crate::promql::EngineConfig;
use crate::rules;
use crate::rules::{Change, Difference, Episode, Externals, Replay, RuleSet, Span};
use crate::telemetry::Telemetry;

#[derive(Debug, clap::Args)]
#[command(after_help = "Exit codes: 0 done, 1 a rule file is broken, there is no history, or a rule could not be evaluated.

Examples:
  sidewatch backtest --rules new.yml --since 6h
  sidewatch backtest --rules new.yml --against old.yml --since 1d --history /var/lib/sidewatch
  sidewatch backtest --rules new.yml --since 6h --url http://prometheus:9090
  sidewatch backtest --rules new.yml --since 6h --url https://prometheus --http.config.file auth.yml")]
pub(super) struct Arguments {
    /// A rule file; may be given several times
    #[arg(long, value_name = "FILE", required = true)]
    rules: Vec<PathBuf>,
    /// A rule file of another version, to say what differs from it; may be given several times
    #[arg(long, value_name = "FILE")]
    against: Vec<PathBuf>,
    /// How far back to begin
    #[arg(long, value_name = "DURATION")]
    since: PromDuration,
    /// Where to end: Unix seconds or RFC 3339 [default: the newest sample; with --url now]
    #[arg(long, value_name = "TIME", value_parser = time)]
    until: Option<Timestamp>,
    /// Over the history that an agent has saved in this state folder, or in a copy of it [default: that of the configuration, or of
    /// the service]
    #[arg(long, value_name = "DIR", conflicts_with = "url")]
    history: Option<PathBuf>,
    /// Over what this agent or Prometheus server holds: http://HOST:PORT, https://HOST or either with a /PREFIX, or unix:/PATH
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// How the server is to be reached, as for promtool: basic_auth, authorization and tls_config, see docs/rules.md
    #[arg(long = "http.config.file", value_name = "FILE", requires = "url")]
    http_config_file: Option<PathBuf>,
    /// How often a group is evaluated that names no interval [default: rules.interval]
    #[arg(long, value_name = "DURATION")]
    interval: Option<PromDuration>,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(source: &Source, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let config = super::configuration(source);
    let interval = arguments.interval.unwrap_or(config.rules.interval);
    let new = load(&arguments.rules, interval);
    let old = load(&arguments.against, interval);
    super::print_problems(&new.problems);
    super::print_problems(&old.problems);
    if !new.problems.is_empty() || !old.problems.is_empty() {
        return Ok(ExitCode::FAILURE);
    }
    let (past, span): (Arc<dyn Query>, Span) = match &arguments.url {
        Some(url) => {
            let span = span(arguments.until.unwrap_or_else(clock::now), arguments.since, &[&new, &old], &config.promql);
            let server = Remote::new(url, arguments.http_config_file.as_deref())?;
            let Fetched { history, oldest } = fetch(&server, &[&new, &old], &config.promql, span)?;
            let Some(oldest) = oldest else { bail!("{server} has no samples between {} and {}", span.start, span.end) };
            (Arc::new(history), within(span, oldest, clock::now())?)
        }
        None => saved(source, &config, arguments, &[&new, &old])?,
    };
    let externals = Externals::default();
    let replay = |rules, other| rules::replay(rules, other, Arc::clone(&past), &config.promql, &externals, span);
    let after = replay(&new, Some(&old));
    let before = (!arguments.against.is_empty()).then(|| replay(&old, None));
    let difference = before.as_ref().map(|before| rules::difference(before, &after));
    if arguments.json {
        print(&format!("{:#}\n", as_json(&after, difference.as_ref())))?;
    } else {
        print(&text(&after, before.as_ref(), difference.as_ref()))?;
    }
    for failed in before.iter().chain([&after]).flat_map(|replay| &replay.failed) {
        note(&format!(
            "{} of {} could not be evaluated {} times, the last time: {}",
            failed.name, failed.group, failed.times, failed.error
        ));
    }
    Ok(if after.failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The time that is asked for. All versions of rules are evaluated from the same time on, so that what differs comes of the rules.
fn span(end: Timestamp, since: PromDuration, sets: &[&RuleSet], config: &EngineConfig) -> Span {
    let start = end.plus_millis(since.as_millis().saturating_neg());
    let warm_up = sets.iter().map(|set| rules::warm_up_millis(set, config)).max().unwrap_or(0);
    Span { from: start.plus_millis(warm_up.saturating_neg()), start, end }
}

/// What of the time lies between these: elsewhere, what is absent would fire, and a word too much be years of nothing.
fn within(mut span: Span, oldest: Timestamp, newest: Timestamp) -> anyhow::Result<Span> {
    if span.end < oldest || span.start > newest {
        bail!("history is from {oldest} to {newest}, which is not between {} and {}", span.start, span.end);
    }
    if span.end > newest {
        note(&format!("history ends at {newest}, and so does the backtest"));
        span.end = newest;
    }
    if span.start < oldest {
        note(&format!("history begins at {oldest}, and so does the backtest"));
    }
    span.from = span.from.max(oldest);
    span.start = span.start.max(oldest);
    Ok(span)
}

fn load(files: &[PathBuf], interval: PromDuration) -> RuleSet {
    rules::load_at(files, interval)
}

/// The saved history, and the time of it that is asked for.
fn saved(source: &Source, config: &Config, arguments: &Arguments, sets: &[&RuleSet]) -> anyhow::Result<(Arc<dyn Query>, Span)> {
    let Some(folder) = arguments.history.clone().or_else(|| past::find(source)) else {
        bail!("no agent has saved a history here: say where one is with --history, or ask a server with --url");
    };
    let Saved { history, newest, left_out, .. } = Saved::read(Path::new(&folder), &config.history, &Telemetry::new(), clock::now())?;
    for sentence in left_out {
        note(&sentence);
    }
    let Some(newest) = newest else { bail!("{} has no samples", folder.display()) };
    let span = within(span(arguments.until.unwrap_or(newest), arguments.since, sets, &config.promql), oldest(&history)?, newest)?;
    if history.thinned_until().is_some_and(|thinned| thinned >= span.start) {
        note("a part of the time is kept with one sample a minute: rules that look at less see less there");
    }
    Ok((Arc::new(history), span))
}

/// The time of the oldest sample; the latest of all times where there is none.
fn oldest(history: &dyn Query) -> anyhow::Result<Timestamp> {
    let mut oldest = Timestamp::MAX;
    history.visit(&[], Timestamp::MIN, Timestamp::MAX, &mut |_, samples| {
        oldest = samples.first().map_or(oldest, |first| first.at.min(oldest));
        ControlFlow::Continue(())
    })?;
    Ok(oldest)
}

/// The timeline, and the difference where there are two versions.
fn text(after: &Replay, before: Option<&Replay>, difference: Option<&Difference>) -> String {
    let mut text = String::new();
    match difference {
        None => {
            for episode in &after.episodes {
                text.push_str(&line(' ', episode, after.span));
            }
        }
        Some(difference) => {
            for change in &difference.changes {
                match change {
                    Change::Added(episode) => text.push_str(&line('+', episode, after.span)),
                    Change::Removed(episode) => text.push_str(&line('-', episode, after.span)),
                    Change::Moved { old, new } => {
                        text.push_str(&line('-', old, after.span));
                        text.push_str(&line('+', new, after.span));
                    }
                }
            }
            text.push_str(&format!("{} alerts fire in both alike\n", difference.same));
        }
    }
    let Span { start, end, .. } = after.span;
    text.push_str(&format!("from {start} to {end}: {}", summary(after)));
    if let Some(before) = before {
        text.push_str(&format!("; before: {}", summary(before)));
    }
    text.push('\n');
    text
}

fn summary(replay: &Replay) -> String {
    let fired = replay.episodes.iter().filter(|episode| episode.fired_at.is_some());
    let millis = replay.episodes.iter().map(|episode| episode.firing_millis(replay.span)).fold(0_i64, i64::saturating_add);
    let pending = replay.episodes.iter().filter(|episode| episode.fired_at.is_none()).count();
    format!("{} alerts fired, for {} together, and {pending} were pending only", fired.count(), seconds(millis))
}

/// A line of the timeline.
fn line(mark: char, episode: &Episode, span: Span) -> String {
    let colour = match mark {
        '+' if is_styled() => "\x1b[32m",
        '-' if is_styled() => "\x1b[31m",
        _ => "",
    };
    let reset = if colour.is_empty() { "" } else { "\x1b[0m" };
    let ended = episode.ended_at.unwrap_or(span.end);
    let between = |from: Timestamp, to: Timestamp| seconds(to.as_millis().saturating_sub(from.as_millis()));
    let (begun, state, before) = match episode.fired_at {
        Some(fired) => (fired, "fired", "already fired,"),
        None => (episode.active_at, "pending", "already pending,"),
    };
    // Of what has begun before the time, nobody asked when; it may be longer ago than the first evaluation.
    let at = begun.max(span.start);
    let (state, lasted) = (if begun < at { before } else { state }, between(at, ended));
    let open = if episode.ended_at.is_none() { " and goes on" } else { "" };
    let since = episode.fired_at.filter(|fired| *fired != episode.active_at && *fired >= span.start);
    let since = since.map_or_else(String::new, |fired| format!(", pending {} before", between(episode.active_at, fired)));
    let labels = harmless(&episode.labels.to_string());
    format!("{colour}{mark} {at} {state} for {lasted}{open}{since}: {labels} at {}{reset}\n", episode.value)
}

fn seconds(millis: i64) -> String {
    if millis < 1000 { format_millis(millis) } else { format_millis(millis / 1000 * 1000) }
}

fn as_json(after: &Replay, difference: Option<&Difference>) -> Value {
    let mut result = json!({
        "start": after.span.start,
        "end": after.span.end,
        "evaluations": after.evaluations,
        "alerts": after.episodes.iter().map(episode).collect::<Vec<_>>(),
    });
    if let (Some(difference), Some(object)) = (difference, result.as_object_mut()) {
        let change = |change: &Change| match change {
            Change::Added(new) => json!({"new": episode(new)}),
            Change::Removed(old) => json!({"old": episode(old)}),
            Change::Moved { old, new } => json!({"old": episode(old), "new": episode(new)}),
        };
        object.insert("same".to_owned(), difference.same.into());
        object.insert("changes".to_owned(), difference.changes.iter().map(change).collect());
    }
    result
}

fn episode(episode: &Episode) -> Value {
    let map = |labels: &crate::model::Labels| {
        labels.iter().map(|(name, value)| (name.to_owned(), value.into())).collect::<serde_json::Map<_, Value>>()
    };
    json!({
        "group": episode.group,
        "labels": map(&episode.labels),
        "annotations": map(&episode.annotations),
        "value": episode.value.to_string(),
        "activeAt": episode.active_at,
        "firedAt": episode.fired_at,
        "endedAt": episode.ended_at,
    })
}
