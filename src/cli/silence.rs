//! `sidewatch silence`: alerts of which nobody is told for a time.

// An index into a JSON value gives null for what is absent.
#![allow(clippy::indexing_slicing)]

use std::process::ExitCode;

use anyhow::{Context, bail};
use hyper::{Method, StatusCode};
use nix::unistd::{Uid, User};
use serde_json::{Value, json};

use super::client::{Answer, percent_encode};
use super::control::ControlSocket;
use super::output::{note, print};
use super::query::time;
use super::table::harmless;
use crate::clock;
use crate::config::Source;
use crate::model::{DurationError, MatchOp, Matcher, PromDuration, Timestamp};
use crate::notify::{parse_matchers, print_matcher};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  sidewatch silence add HostFilesystemSpaceLow --duration 2h --comment 'a bigger disk comes'
  sidewatch silence add 'service_name=~shop|cart' 'severity!=critical' --duration 30m
  sidewatch silence list
  sidewatch silence expire 5b1f0e63-0b5a-4f0e-9d6b-0c6f4c1f9a52")]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Make one, and print its id
    Add(Add),
    /// List those that are in force or begin later
    List(List),
    /// End some before their time
    Expire(Expire),
}

#[derive(Debug, clap::Args)]
#[command(after_help = "A silence holds for the alerts whose labels satisfy all matchers, external labels included. Nobody is told that \
                  they begin; what was told of before goes on and ends as ever. What still fires when the silence ends is told of then.")]
struct Add {
    /// NAME=VALUE, NAME!=VALUE, NAME=~REGEX or NAME!~REGEX; the first one may be the name of an alert alone
    #[arg(value_name = "MATCHER", required = true)]
    matchers: Vec<String>,
    /// How long it holds
    #[arg(long, short, value_name = "DURATION", value_parser = lasting)]
    duration: PromDuration,
    /// When it begins: Unix seconds or RFC 3339 [default: now]
    #[arg(long, value_name = "TIME", value_parser = time)]
    start: Option<Timestamp>,
    /// Why
    #[arg(long, value_name = "TEXT", default_value = "")]
    comment: String,
    /// Who says so [default: you]
    #[arg(long, value_name = "NAME")]
    author: Option<String>,
    #[command(flatten)]
    socket: ControlSocket,
}

#[derive(Debug, clap::Args)]
struct List {
    /// Those that have such a matcher
    #[arg(value_name = "MATCHER")]
    matchers: Vec<String>,
    /// Also those that are over, for 5 days
    #[arg(long)]
    expired: bool,
    /// Print them as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    socket: ControlSocket,
}

#[derive(Debug, clap::Args)]
struct Expire {
    /// Their ids
    #[arg(value_name = "ID", required = true)]
    ids: Vec<String>,
    #[command(flatten)]
    socket: ControlSocket,
}

pub(super) fn run(source: &Source, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    match &arguments.action {
        Action::Add(add) => add.run(source),
        Action::List(list) => list.run(source),
        Action::Expire(expire) => expire.run(source),
    }
}

impl Add {
    fn run(&self, source: &Source) -> anyhow::Result<ExitCode> {
        let matchers: Vec<_> = matchers(&self.matchers)?.iter().map(written).collect();
        let starts_at = self.start.unwrap_or_else(clock::now);
        let user = || User::from_uid(Uid::current()).ok().flatten().map(|user| user.name);
        let body = json!({
            "matchers": matchers,
            "startsAt": starts_at,
            "endsAt": starts_at + self.duration.get(),
            "createdBy": self.author.clone().or_else(user).unwrap_or_else(|| Uid::current().to_string()),
            "comment": self.comment,
        });
        let answer = self.socket.ask(source, &Method::POST, "/api/v2/silences", body.to_string().into_bytes())?;
        let answer = read(&answer)?;
        print(&format!("{}\n", answer["silenceID"].as_str().context("the answer has no id")?))?;
        let remarks = answer["remarks"].as_array().into_iter().flatten().filter_map(Value::as_str);
        remarks.for_each(|remark| note(&format!("note: {}", harmless(remark))));
        Ok(ExitCode::SUCCESS)
    }
}

impl List {
    fn run(&self, source: &Source) -> anyhow::Result<ExitCode> {
        let wanted = matchers(&self.matchers)?;
        let wanted: Vec<_> = wanted.iter().map(|matcher| format!("filter={}", percent_encode(&print_matcher(matcher)))).collect();
        let answer = self.socket.ask(source, &Method::GET, &format!("/api/v2/silences?{}", wanted.join("&")), Vec::new())?;
        let mut all = read(&answer)?;
        let silences = all.as_array_mut().context("the answer is no list")?;
        silences.retain(|silence| self.expired || silence["status"]["state"] != "expired");
        let text = if self.json { format!("{all:#}\n") } else { silences.iter().map(line).collect() };
        print(&text)?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Expire {
    fn run(&self, source: &Source) -> anyhow::Result<ExitCode> {
        for id in &self.ids {
            let answer = self.socket.ask(source, &Method::DELETE, &format!("/api/v2/silence/{}", percent_encode(id)), Vec::new())?;
            if !answer.status.is_success() {
                bail!("{}", refusal(&answer));
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn lasting(text: &str) -> Result<PromDuration, String> {
    let duration: PromDuration = text.parse().map_err(|error: DurationError| error.to_string())?;
    if duration.get().is_zero() { Err("a silence has to last".to_owned()) } else { Ok(duration) }
}

/// Reads matchers; one that is none is shown with the place.
fn matchers(texts: &[String]) -> anyhow::Result<Vec<Matcher>> {
    parse_matchers(texts).or_else(|(number, error)| {
        let caret = texts.get(number).map(|text| error.caret(text)).unwrap_or_default();
        bail!("bad matcher: {error}\n{caret}")
    })
}

fn written(matcher: &Matcher) -> Value {
    json!({
        "name": matcher.name(),
        "value": matcher.value(),
        "isRegex": matches!(matcher.op(), MatchOp::Regex | MatchOp::NotRegex),
        "isEqual": matches!(matcher.op(), MatchOp::Equal | MatchOp::Regex),
    })
}

fn read(answer: &Answer) -> anyhow::Result<Value> {
    if answer.status != StatusCode::OK {
        bail!("{}", refusal(answer));
    }
    serde_json::from_slice(&answer.body).context("the answer is not JSON")
}

/// What the agent says: a text in JSON, or a plain one.
fn refusal(answer: &Answer) -> String {
    let text = String::from_utf8_lossy(&answer.body);
    let text = serde_json::from_str(&text).unwrap_or_else(|_| text.trim_end().to_owned());
    format!("the agent refuses it ({}): {text}", answer.status.as_u16())
}

/// Id, state, end, matchers, author and comment.
fn line(silence: &Value) -> String {
    let text = |value: &Value| harmless(value.as_str().unwrap_or_default());
    let matcher = |one: &Value| {
        let op = match (one["isRegex"] == true, one["isEqual"] != false) {
            (false, true) => MatchOp::Equal,
            (false, false) => MatchOp::NotEqual,
            (true, true) => MatchOp::Regex,
            (true, false) => MatchOp::NotRegex,
        };
        format!("{}{}{:?}", text(&one["name"]), op.as_str(), one["value"].as_str().unwrap_or_default())
    };
    let matchers: Vec<_> = silence["matchers"].as_array().into_iter().flatten().map(matcher).collect();
    let state = text(&silence["status"]["state"]);
    let when = if state == "pending" { format!("from {} ", text(&silence["startsAt"])) } else { String::new() };
    format!(
        "{}  {state:7}  {when}until {}  {}  {}: {}\n",
        text(&silence["id"]),
        text(&silence["endsAt"]),
        matchers.join(" "),
        text(&silence["createdBy"]),
        text(&silence["comment"])
    )
}
