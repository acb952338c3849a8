//! `/api/v1/rules` and `/api/v1/alerts` in Prometheus's shape.
//! Source: Prometheus documentation "HTTP API", prometheus/prometheus `web/api/v1/api.go`.

use serde::Serialize;

use super::State;
use super::api::{self, Error, Success};
use super::params::Params;
use super::reply::Reply;
use super::router::Call;
use crate::model::{AlertSnapshot, AlertState, GroupSnapshot, Labels, RuleHealth, RuleKind, RuleSnapshot, RulesSnapshot, Timestamp};

/// All groups with their rules, or those asked for.
pub(super) fn rules(call: &Call, state: &State) -> Reply {
    let snapshot = state.rules.borrow().clone();
    api::reply(Filter::read(&call.params).map(|filter| Success::new(&groups(&snapshot, &filter))))
}

/// Pending and firing alerts.
pub(super) fn alerts(_: &Call, state: &State) -> Reply {
    let snapshot = state.rules.borrow().clone();
    let alerts: Vec<AlertView<'_>> = snapshot.groups.iter().flat_map(|group| &group.rules).flat_map(active).map(AlertView::new).collect();
    api::reply(Ok(Success::new(&serde_json::json!({ "alerts": alerts }))))
}

fn active(rule: &RuleSnapshot) -> &[AlertSnapshot] {
    match &rule.kind {
        RuleKind::Alerting { alerts, .. } => alerts,
        RuleKind::Recording => &[],
    }
}

/// Which rules are asked for; an empty list asks for all.
#[derive(Debug, Default)]
struct Filter {
    alerting: bool,
    recording: bool,
    names: Vec<String>,
    groups: Vec<String>,
    files: Vec<String>,
    exclude_alerts: bool,
}

impl Filter {
    fn read(params: &Params) -> Result<Self, Error> {
        let (alerting, recording) = match params.get("type") {
            None => (true, true),
            Some("alert") => (true, false),
            Some("record") => (false, true),
            Some(other) => return Err(Error::parameter("type", format!("not supported value {other:?}"))),
        };
        let exclude_alerts = match params.get("exclude_alerts").unwrap_or("false").to_ascii_lowercase().as_str() {
            "true" | "t" | "1" => true,
            "false" | "f" | "0" => false,
            other => return Err(Error::parameter("exclude_alerts", format!("{other:?} is neither true nor false"))),
        };
        let list = |name: &str| params.all(name).map(str::to_owned).collect();
        Ok(Self { alerting, recording, names: list("rule_name[]"), groups: list("rule_group[]"), files: list("file[]"), exclude_alerts })
    }

    fn wants_group(&self, group: &GroupSnapshot) -> bool {
        listed(&self.groups, &group.name) && listed(&self.files, &group.file)
    }

    fn wants(&self, rule: &RuleSnapshot) -> bool {
        let kind = match rule.kind {
            RuleKind::Alerting { .. } => self.alerting,
            RuleKind::Recording => self.recording,
        };
        kind && listed(&self.names, &rule.name)
    }
}

fn listed(list: &[String], name: &str) -> bool {
    list.is_empty() || list.iter().any(|wanted| wanted == name)
}

fn groups<'a>(snapshot: &'a RulesSnapshot, filter: &Filter) -> GroupsView<'a> {
    let groups = snapshot.groups.iter().filter(|group| filter.wants_group(group)).map(|group| GroupView {
        name: &group.name,
        file: &group.file,
        rules: group.rules.iter().filter(|rule| filter.wants(rule)).map(|rule| RuleView::new(rule, filter.exclude_alerts)).collect(),
        interval: seconds(group.interval_millis),
        limit: group.limit,
        evaluation_time: group.evaluation_seconds,
        last_evaluation: time(group.last_evaluation),
    });
    // A group of which a filter left nothing would only be noise.
    let narrowed = !(filter.names.is_empty() && filter.alerting && filter.recording);
    GroupsView { groups: groups.filter(|group| !narrowed || !group.rules.is_empty()).collect() }
}

#[derive(Serialize)]
struct GroupsView<'a> {
    groups: Vec<GroupView<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct GroupView<'a> {
    name: &'a str,
    file: &'a str,
    rules: Vec<RuleView<'a>>,
    interval: f64,
    limit: usize,
    evaluation_time: f64,
    last_evaluation: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RuleView<'a> {
    #[serde(flatten)]
    alerting: Option<AlertingView<'a>>,
    name: &'a str,
    query: &'a str,
    labels: &'a Labels,
    health: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    last_error: &'a str,
    evaluation_time: f64,
    last_evaluation: String,
    #[serde(rename = "type")]
    kind: &'static str,
}

/// What only an alerting rule has.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AlertingView<'a> {
    state: AlertState,
    duration: f64,
    keep_firing_for: f64,
    annotations: &'a Labels,
    alerts: Vec<AlertView<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AlertView<'a> {
    labels: &'a Labels,
    annotations: &'a Labels,
    state: AlertState,
    active_at: Timestamp,
    value: String,
}

impl<'a> RuleView<'a> {
    fn new(rule: &'a RuleSnapshot, exclude_alerts: bool) -> Self {
        let alerting = match &rule.kind {
            RuleKind::Recording => None,
            RuleKind::Alerting { for_millis, keep_firing_for_millis, alerts, .. } => Some(AlertingView {
                state: alerts.iter().map(|alert| alert.state).max().unwrap_or(AlertState::Inactive),
                duration: seconds(*for_millis),
                keep_firing_for: seconds(*keep_firing_for_millis),
                annotations: &rule.annotations,
                alerts: if exclude_alerts { Vec::new() } else { alerts.iter().map(AlertView::new).collect() },
            }),
        };
        let (health, last_error) = match &rule.health {
            RuleHealth::Unknown => ("unknown", ""),
            RuleHealth::Ok => ("ok", ""),
            RuleHealth::Err(reason) => ("err", reason.as_str()),
        };
        Self {
            kind: if alerting.is_some() { "alerting" } else { "recording" },
            alerting,
            name: &rule.name,
            query: &rule.query,
            labels: &rule.labels,
            health,
            last_error,
            evaluation_time: rule.evaluation_seconds,
            last_evaluation: time(rule.last_evaluation),
        }
    }
}

impl<'a> AlertView<'a> {
    fn new(alert: &'a AlertSnapshot) -> Self {
        Self {
            labels: &alert.labels,
            annotations: &alert.annotations,
            state: alert.state,
            active_at: alert.active_at,
            value: exponent(alert.value),
        }
    }
}

fn seconds(millis: i64) -> f64 {
    millis as f64 / 1e3
}

/// Never is Go's zero time, which is what clients compare with.
fn time(at: Option<Timestamp>) -> String {
    at.map_or_else(|| "0001-01-01T00:00:00Z".to_owned(), |at| at.to_string())
}

/// As Go's `FormatFloat(v, 'e', -1)`: always an exponent, of two digits at least.
fn exponent(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let text = format!("{value:e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, digits) = exponent.strip_prefix('-').map_or(('+', exponent), |digits| ('-', digits));
    format!("{mantissa}e{sign}{digits:0>2}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn snapshot() -> RulesSnapshot {
        let alert = AlertSnapshot {
            state: AlertState::Firing,
            labels: Labels::from_pairs([("alertname", "Busy"), ("cpu", "0")]),
            annotations: Labels::from_pairs([("summary", "cpu 0 is busy")]),
            value: 0.95,
            active_at: Timestamp::from_millis(1_500),
            fired_at: Some(Timestamp::from_millis(2_000)),
        };
        let rule = RuleSnapshot {
            name: "Busy".into(),
            query: "cpu > 0.9".into(),
            labels: Labels::from_pairs([("severity", "page")]),
            annotations: Labels::from_pairs([("summary", "cpu {{ $labels.cpu }} is busy")]),
            health: RuleHealth::Ok,
            last_evaluation: Some(Timestamp::from_millis(2_000)),
            evaluation_seconds: 0.25,
            kind: RuleKind::Alerting { for_millis: 60_000, keep_firing_for_millis: 0, threshold: Some(0.9), alerts: vec![alert] },
        };
        let recording = RuleSnapshot {
            name: "cpu:avg".into(),
            query: "avg(cpu)".into(),
            annotations: Labels::empty(),
            health: RuleHealth::Err("no".into()),
            last_evaluation: None,
            kind: RuleKind::Recording,
            ..rule.clone()
        };
        let group = GroupSnapshot {
            name: "g".into(),
            file: "a.yml".into(),
            interval_millis: 15_000,
            limit: 0,
            last_evaluation: None,
            evaluation_seconds: 0.5,
            rules: vec![rule, recording],
        };
        RulesSnapshot { groups: vec![Arc::new(group)], load_errors: Vec::new() }
    }

    fn asked(query: &str) -> serde_json::Value {
        let filter = Filter::read(&Params::parse(query, b"")).expect("a filter");
        serde_json::to_value(groups(&snapshot(), &filter)).expect("JSON")
    }

    #[test]
    fn groups_look_as_prometheus_shows_them() {
        let expected = serde_json::json!({"groups": [{
            "name": "g", "file": "a.yml", "interval": 15.0, "limit": 0, "evaluationTime": 0.5, "lastEvaluation": "0001-01-01T00:00:00Z",
            "rules": [{
                "state": "firing", "name": "Busy", "query": "cpu > 0.9", "duration": 60.0, "keepFiringFor": 0.0,
                "labels": {"severity": "page"}, "annotations": {"summary": "cpu {{ $labels.cpu }} is busy"},
                "alerts": [{
                    "labels": {"alertname": "Busy", "cpu": "0"}, "annotations": {"summary": "cpu 0 is busy"},
                    "state": "firing", "activeAt": "1970-01-01T00:00:01.500Z", "value": "9.5e-01",
                }],
                "health": "ok", "evaluationTime": 0.25, "lastEvaluation": "1970-01-01T00:00:02.000Z", "type": "alerting",
            }, {
                "name": "cpu:avg", "query": "avg(cpu)", "labels": {"severity": "page"}, "health": "err", "lastError": "no",
                "evaluationTime": 0.25, "lastEvaluation": "0001-01-01T00:00:00Z", "type": "recording",
            }],
        }]});
        assert_eq!(asked(""), expected);
    }

    #[test]
    fn filters_narrow_the_answer() {
        let names = |query: &str| -> Vec<String> {
            let answer = asked(query);
            let groups = answer["groups"].as_array().expect("groups").iter();
            groups.flat_map(|g| g["rules"].as_array().expect("rules")).map(|r| r["name"].as_str().expect("a name").to_owned()).collect()
        };
        assert_eq!(names("type=alert"), ["Busy"]);
        assert_eq!(names("type=record"), ["cpu:avg"]);
        assert_eq!(names("rule_name[]=Busy&rule_name[]=x"), ["Busy"]);
        assert_eq!(asked("rule_name[]=x"), serde_json::json!({"groups": []}));
        assert_eq!(asked("rule_group[]=h"), serde_json::json!({"groups": []}));
        assert_eq!(asked("file[]=b.yml"), serde_json::json!({"groups": []}));
        assert_eq!(asked("exclude_alerts=true")["groups"][0]["rules"][0]["alerts"], serde_json::json!([]));
        assert!(Filter::read(&Params::parse("type=x", b"")).is_err() && Filter::read(&Params::parse("exclude_alerts=x", b"")).is_err());
    }

    #[test]
    fn values_have_an_exponent_as_in_go() {
        for (value, text) in [
            (1.0, "1e+00"),
            (0.0, "0e+00"),
            (-1234.5, "-1.2345e+03"),
            (1e-7, "1e-07"),
            (1e100, "1e+100"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "+Inf"),
        ] {
            assert_eq!(exponent(value), text);
        }
    }
}
