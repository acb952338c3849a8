//! Alerts from when their condition began to hold until they were over: as a server recorded them, and as a backtest tells them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use jiff::Timestamp;
use serde_json::Value;

use super::{Agent, escape, get};

type Labels = BTreeMap<String, String>;

/// One alert; times are Unix seconds.
#[derive(Clone, Debug)]
pub(crate) struct Episode {
    labels: Labels,
    active: f64,
    fired: Option<f64>,
    /// `None` where it went on to the end.
    ended: Option<f64>,
}

/// The time for which both sides are asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    pub(crate) start: f64,
    pub(crate) end: f64,
}

/// What a server has recorded of the rules of a file in `ALERTS` and `ALERTS_FOR_STATE`.
pub(crate) fn recorded(server: SocketAddr, rules: &Path, asked: Asked) -> Vec<Episode> {
    let intervals = intervals(rules);
    let names = intervals.keys().cloned().collect::<Vec<_>>().join("|");
    let raw = |selector: &str| {
        let millis = ((asked.end - asked.start) * 1000.0).ceil() + 60_000.0;
        let query = format!("{selector}[{millis}ms]");
        let answer = get(server, &format!("/api/v1/query?query={}&time={}", escape(&query), asked.end), "").unwrap().json();
        let series = answer["data"]["result"].as_array().unwrap_or_else(|| panic!("{query}: {answer}")).clone();
        series.into_iter().map(|series| (labels(&series["metric"]), samples(&series["values"])))
    };
    let firing: BTreeMap<Labels, Vec<(f64, f64)>> = raw(&format!("ALERTS{{alertstate=\"firing\",alertname=~\"{names}\"}}")).collect();
    let mut episodes = Vec::new();
    for (labels, samples) in raw(&format!("ALERTS_FOR_STATE{{alertname=~\"{names}\"}}")) {
        let interval = intervals[&labels["alertname"]];
        // The value is since when it is active: another value is another alert.
        for samples in samples.chunk_by(|one, next| one.1 == next.1) {
            let (first, last) = (samples[0].0, samples[samples.len() - 1].0);
            let fired = firing.get(&labels).into_iter().flatten().map(|(at, _)| *at).find(|at| (first..=last).contains(at));
            let ended = Some(last + interval).filter(|ended| *ended <= asked.end);
            episodes.push(Episode { labels: labels.clone(), active: first, fired, ended });
        }
    }
    within(episodes, asked)
}

/// What `sidewatch backtest` says of the rules of a file, over what `place` names: `--url` or `--history`, and where.
pub(crate) fn rehearsed(rules: &Path, place: [&str; 2], asked: Asked) -> Vec<Episode> {
    let mut command = Command::new(Agent::program());
    command.arg("backtest").arg("--json").arg("--rules").arg(rules).args(place);
    command.args(["--since", &format!("{}ms", ((asked.end - asked.start) * 1000.0).round()), "--until", &asked.end.to_string()]);
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let result: Value =
        serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}{}", String::from_utf8_lossy(&output.stderr)));
    let time = |time: &Value| Some(time.as_str()?.parse::<Timestamp>().unwrap().as_millisecond() as f64 / 1000.0);
    let alerts = result["alerts"].as_array().unwrap().iter().map(|alert| Episode {
        labels: labels(&alert["labels"]),
        active: time(&alert["activeAt"]).unwrap(),
        fired: time(&alert["firedAt"]),
        ended: time(&alert["endedAt"]),
    });
    within(alerts.collect(), asked)
}

/// What the one has and the other has not, to within so many seconds; and how many they have both.
pub(crate) fn compare(recorded: &[Episode], rehearsed: &[Episode], slack: f64, asked: Asked) -> (usize, Vec<String>) {
    // Since when what is on at the start is on, nobody asked.
    let near = |one: Option<f64>, other: Option<f64>| match (one, other) {
        (Some(one), Some(other)) => (one.max(asked.start) - other.max(asked.start)).abs() <= slack,
        (None, None) => true,
        // What the other has not seen by then it may see next.
        (Some(at), None) | (None, Some(at)) => asked.end - at <= slack,
    };
    let mut left: Vec<&Episode> = rehearsed.iter().collect();
    let mut wrong = Vec::new();
    let mut same = 0;
    for one in recorded {
        let like = |other: &&Episode| {
            one.labels == other.labels
                && near(Some(one.active), Some(other.active))
                && near(one.fired, other.fired)
                && near(one.ended, other.ended)
        };
        match left.iter().position(like) {
            Some(place) => {
                left.remove(place);
                same += 1;
            }
            None => wrong.push(("recorded alone", one)),
        }
    }
    wrong.extend(left.into_iter().map(|other| ("rehearsed alone", other)));
    // Of what is on at an edge the other side may have seen nothing yet, or nothing any more.
    wrong.retain(|(_, episode)| asked.end - episode.active > slack && episode.ended.is_none_or(|ended| ended - asked.start > slack));
    let since = |at: Option<f64>| at.map_or_else(|| "-".to_owned(), |at| format!("{:.1}", at - asked.start));
    let told = wrong.into_iter().map(|(who, episode)| {
        let Episode { labels, active, fired, ended } = episode;
        format!("{who}: {labels:?} active {} fired {} ended {}", since(Some(*active)), since(*fired), since(*ended))
    });
    (same, told.collect())
}

/// Those that were on in the time.
fn within(mut episodes: Vec<Episode>, asked: Asked) -> Vec<Episode> {
    episodes.retain(|episode| episode.active <= asked.end && episode.ended.is_none_or(|ended| ended > asked.start));
    episodes
}

/// The interval of each alert's group, in seconds, from lines as `- name: g`, `  interval: 500ms` and `- alert: A` or `- {alert: A, …`.
fn intervals(rules: &Path) -> BTreeMap<String, f64> {
    let mut interval = 0.0;
    let mut intervals = BTreeMap::new();
    for line in std::fs::read_to_string(rules).unwrap().lines() {
        if let Some(text) = line.trim().strip_prefix("interval: ") {
            let (number, unit) = text.split_at(text.find(char::is_alphabetic).unwrap());
            interval = number.parse::<f64>().unwrap() / if unit == "ms" { 1000.0 } else { 1.0 };
        }
        if let Some((_, rest)) = line.split_once("alert: ") {
            intervals.insert(rest.split([',', '}']).next().unwrap().to_owned(), interval);
        }
    }
    intervals
}

fn labels(object: &Value) -> Labels {
    let pairs = object.as_object().unwrap().iter().filter(|(name, _)| !["__name__", "alertstate"].contains(&name.as_str()));
    pairs.map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect()
}

fn samples(values: &Value) -> Vec<(f64, f64)> {
    let sample = |pair: &Value| (pair[0].as_f64().unwrap(), pair[1].as_str().unwrap().parse().unwrap());
    values.as_array().unwrap().iter().map(sample).collect()
}
