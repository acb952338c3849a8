//! `/api/v1/rules` and `/api/v1/alerts` in Prometheus's shape.
//! Source: Prometheus documentation "HTTP API", prometheus/prometheus `web/api/v1/api.go`.

use serde::Serialize;

use super::State;
use super::api::{self, Error};
use super::envelope::Success;
use super::labels::selectors;
use super::params::Params;
use super::reply::Reply;
use super::router::Call;
use crate::model::{
    AlertSnapshot, AlertState, GroupSnapshot, Labels, Matcher, RuleHealth, RuleKind, RuleSnapshot, RulesSnapshot, Timestamp,
};

/// All groups with their rules, or those asked for.
pub(super) fn rules(call: &Call, state: &State) -> Reply {
    let snapshot = state.rules.borrow().clone();
    api::reply(Filter::read(&call.params).and_then(|filter| Ok(Success::new(&groups(&snapshot, &filter)?))))
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
    /// Sets of conditions on a rule's labels, of which one has to hold.
    selectors: Vec<Vec<Matcher>>,
    exclude_alerts: bool,
    page: Option<Page>,
}

/// A part of the groups.
#[derive(Debug)]
struct Page {
    /// The most groups on it.
    size: usize,
    /// The token of its first group, or of the first group there is.
    begin: Option<String>,
}

impl Filter {
    fn read(params: &Params) -> Result<Self, Error> {
        let (alerting, recording) = match params.get("type").unwrap_or("").to_ascii_lowercase().as_str() {
            "" => (true, true),
            "alert" => (true, false),
            "record" => (false, true),
            other => return Err(Error::parameter("type", format!("not supported value {other:?}"))),
        };
        let exclude_alerts = match params.get("exclude_alerts").unwrap_or("false").to_ascii_lowercase().as_str() {
            "true" | "t" | "1" => true,
            "false" | "f" | "0" => false,
            other => {
                let problem = format!("error converting exclude_alerts: strconv.ParseBool: parsing {other:?}: invalid syntax");
                return Err(Error::parameter("exclude_alerts", problem));
            }
        };
        let list = |name: &str| params.all(name).map(str::to_owned).collect();
        let (names, groups, files) = (list("rule_name[]"), list("rule_group[]"), list("file[]"));
        Ok(Self { alerting, recording, names, groups, files, selectors: selectors(params)?, exclude_alerts, page: Page::read(params)? })
    }

    fn wants_group(&self, group: &GroupSnapshot) -> bool {
        listed(&self.groups, &group.name) && listed(&self.files, &group.file)
    }

    fn wants(&self, rule: &RuleSnapshot) -> bool {
        let kind = match rule.kind {
            RuleKind::Alerting { .. } => self.alerting,
            RuleKind::Recording => self.recording,
        };
        let holds = |matchers: &Vec<Matcher>| matchers.iter().all(|matcher| matcher.matches(rule.labels.get(matcher.name()).unwrap_or("")));
        kind && listed(&self.names, &rule.name) && (self.selectors.is_empty() || self.selectors.iter().any(holds))
    }
}

impl Page {
    fn read(params: &Params) -> Result<Option<Self>, Error> {
        let begin = params.get("group_next_token").map(str::to_owned);
        let Some(text) = params.get("group_limit") else {
            if begin.is_some() {
                let problem = "group_limit needs to be present in order to paginate over the groups";
                return Err(Error::parameter("group_next_token", problem));
            }
            return Ok(None);
        };
        let size = text.parse::<i32>().map_err(|_| {
            let problem = format!("group_limit needs to be a valid number: strconv.ParseInt: parsing {text:?}: invalid syntax");
            Error::parameter("group_limit", problem)
        })?;
        match usize::try_from(size) {
            Ok(size) if size > 0 => Ok(Some(Self { size, begin })),
            _ => Err(Error::parameter("group_limit", "group_limit needs to be greater than 0")),
        }
    }
}

/// What names a group from one page to the next: nothing that anyone but this file has to understand.
fn token(group: &GroupSnapshot) -> String {
    format!("{};{}", group.file, group.name).bytes().map(|byte| format!("{byte:02x}")).collect()
}

fn listed(list: &[String], name: &str) -> bool {
    list.is_empty() || list.iter().any(|wanted| wanted == name)
}

fn groups<'a>(snapshot: &'a RulesSnapshot, filter: &Filter) -> Result<GroupsView<'a>, Error> {
    let mut all = snapshot.groups.as_slice();
    if let Some(begin) = filter.page.as_ref().and_then(|page| page.begin.as_ref()) {
        let first = all.iter().position(|group| token(group) == *begin);
        all = first.and_then(|first| all.get(first..)).ok_or_else(|| {
            Error::parameter("group_next_token", format!("invalid group_next_token '{begin}'. were rule groups changed?"))
        })?;
    }
    // A group of which nothing is left is left out.
    let viewed = all.iter().filter(|group| filter.wants_group(group)).map(|group| (group, GroupView::new(group, filter)));
    let mut viewed = viewed.filter(|(_, view)| !view.rules.is_empty());
    let groups = viewed.by_ref().take(filter.page.as_ref().map_or(usize::MAX, |page| page.size)).map(|(_, view)| view).collect();
    Ok(GroupsView { groups, group_next_token: viewed.next().map(|(group, _)| token(group)) })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct GroupsView<'a> {
    groups: Vec<GroupView<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group_next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct GroupView<'a> {
    name: &'a str,
    file: &'a str,
    rules: Vec<RuleView<'a>>,
    interval: Number,
    limit: usize,
    evaluation_time: f64,
    last_evaluation: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RuleView<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<&'static str>,
    name: &'a str,
    query: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    keep_firing_for: Option<Number>,
    labels: &'a Labels,
    #[serde(skip_serializing_if = "Option::is_none")]
    annotations: Option<&'a Labels>,
    /// Of an alerting rule `None` inside where they are not asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    alerts: Option<Option<Vec<AlertView<'a>>>>,
    health: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    last_error: &'a str,
    evaluation_time: f64,
    last_evaluation: String,
    #[serde(rename = "type")]
    kind: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AlertView<'a> {
    labels: &'a Labels,
    annotations: &'a Labels,
    state: AlertState,
    active_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    keep_firing_since: Option<Timestamp>,
    value: String,
}

impl<'a> GroupView<'a> {
    fn new(group: &'a GroupSnapshot, filter: &Filter) -> Self {
        Self {
            name: &group.name,
            file: &group.file,
            rules: group.rules.iter().filter(|rule| filter.wants(rule)).map(|rule| RuleView::new(rule, filter.exclude_alerts)).collect(),
            interval: Number::seconds(group.interval_millis),
            limit: group.limit,
            evaluation_time: group.evaluation_seconds,
            last_evaluation: time(group.last_evaluation),
        }
    }
}

impl<'a> RuleView<'a> {
    fn new(rule: &'a RuleSnapshot, exclude_alerts: bool) -> Self {
        let alerting = match &rule.kind {
            RuleKind::Recording => None,
            RuleKind::Alerting { for_millis, keep_firing_for_millis, alerts, .. } => Some((*for_millis, *keep_firing_for_millis, alerts)),
        };
        let state = |alerts: &[AlertSnapshot]| match rule.last_evaluation {
            None => "unknown",
            Some(_) => alerts.iter().map(|alert| alert.state).max().unwrap_or(AlertState::Inactive).as_str(),
        };
        let health = match &rule.health {
            RuleHealth::Unknown => "unknown",
            RuleHealth::Ok => "ok",
            RuleHealth::Err(_) | RuleHealth::Unwritten(_) => "err",
        };
        Self {
            kind: if alerting.is_some() { "alerting" } else { "recording" },
            state: alerting.map(|(.., alerts)| state(alerts)),
            name: &rule.name,
            query: &rule.query,
            duration: alerting.map(|(for_millis, ..)| Number::seconds(for_millis)),
            keep_firing_for: alerting.map(|(_, keep_millis, _)| Number::seconds(keep_millis)),
            labels: &rule.labels,
            annotations: alerting.map(|_| &rule.annotations),
            alerts: alerting.map(|(.., alerts)| (!exclude_alerts).then(|| alerts.iter().map(AlertView::new).collect())),
            health,
            last_error: rule.health.error().unwrap_or(""),
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
            keep_firing_since: alert.keep_firing_since,
            value: exponent(alert.value),
        }
    }
}

/// Seconds, as Go writes them: a whole number without a fraction.
#[derive(Clone, Copy, Serialize)]
#[serde(untagged)]
enum Number {
    Whole(i64),
    Decimal(f64),
}

impl Number {
    fn seconds(millis: i64) -> Self {
        if millis % 1000 == 0 { Self::Whole(millis / 1000) } else { Self::Decimal(millis as f64 / 1e3) }
    }
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
            keep_firing_since: Some(Timestamp::from_millis(2_500)),
        };
        let rule = RuleSnapshot {
            name: "Busy".into(),
            query: "cpu > 0.9".into(),
            labels: Labels::from_pairs([("severity", "page")]),
            annotations: Labels::from_pairs([("summary", "cpu {{ $labels.cpu }} is busy")]),
            health: RuleHealth::Ok,
            last_evaluation: Some(Timestamp::from_millis(2_000)),
            evaluation_seconds: 0.25,
            kind: RuleKind::Alerting {
                for_millis: 60_000,
                keep_firing_for_millis: 1_500,
                threshold: Some(0.9),
                weight: None,
                owner: None,
                alerts: vec![alert],
                ended: Vec::new(),
            },
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
            settling: false,
            rules: vec![rule, recording],
        };
        RulesSnapshot { groups: vec![Arc::new(group)], load_errors: Vec::new() }
    }

    #[test]
    fn before_its_first_evaluation_a_rules_state_is_unknown() {
        let mut rule = snapshot().groups[0].rules[0].clone();
        rule.last_evaluation = None;
        assert_eq!(RuleView::new(&rule, false).state, Some("unknown"));
    }

    fn asked(query: &str) -> serde_json::Value {
        let filter = Filter::read(&Params::parse(query, b"")).expect("a filter");
        serde_json::to_value(groups(&snapshot(), &filter).unwrap_or_else(|error| panic!("{error:?}"))).expect("JSON")
    }

    fn refused(query: &str) -> String {
        let answer = Filter::read(&Params::parse(query, b"")).and_then(|filter| groups(&snapshot(), &filter).map(|_| ()));
        match answer {
            Err(Error::BadData(message)) => message,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn groups_look_as_prometheus_shows_them() {
        let expected = serde_json::json!({"groups": [{
            "name": "g", "file": "a.yml", "interval": 15, "limit": 0, "evaluationTime": 0.5, "lastEvaluation": "0001-01-01T00:00:00Z",
            "rules": [{
                "state": "firing", "name": "Busy", "query": "cpu > 0.9", "duration": 60, "keepFiringFor": 1.5,
                "labels": {"severity": "page"}, "annotations": {"summary": "cpu {{ $labels.cpu }} is busy"},
                "alerts": [{
                    "labels": {"alertname": "Busy", "cpu": "0"}, "annotations": {"summary": "cpu 0 is busy"},
                    "state": "firing", "activeAt": "1970-01-01T00:00:01.500Z", "keepFiringSince": "1970-01-01T00:00:02.500Z",
                    "value": "9.5e-01",
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
    fn keys_have_prometheuss_order_and_whole_seconds_no_fraction() {
        let text = serde_json::to_string(&groups(&snapshot(), &Filter::read(&Params::parse("", b"")).expect("a filter")).expect("groups"));
        let text = text.expect("JSON");
        let at = |key: &str| text.find(&format!("\"{key}\":")).unwrap_or_else(|| panic!("{key} in {text}"));
        let keys = ["state", "query", "duration", "keepFiringFor", "annotations", "alerts", "activeAt", "value", "health", "type"];
        assert!(keys.map(at).is_sorted(), "{text}");
        assert!(text.contains(r#""query":"cpu > 0.9","duration":60,"keepFiringFor":1.5,"labels":{"#), "{text}");
        assert!(text.contains(r#""interval":15,"#), "{text}");
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
        assert_eq!(names("match[]={severity=\"page\"}"), ["Busy", "cpu:avg"]);
        assert_eq!(names("match[]={severity=\"none\"}&match[]={severity=~\"p.*\"}&type=Record"), ["cpu:avg"]);
        assert_eq!(asked("match[]={severity=\"none\"}"), serde_json::json!({"groups": []}));
        assert_eq!(asked("exclude_alerts=true")["groups"][0]["rules"][0]["alerts"], serde_json::Value::Null);
        assert_eq!(refused("type=x"), "invalid parameter \"type\": not supported value \"x\"");
        assert_eq!(
            refused("exclude_alerts=x"),
            "invalid parameter \"exclude_alerts\": error converting exclude_alerts: strconv.ParseBool: parsing \"x\": invalid syntax"
        );
        assert_eq!(refused("match[]={}"), "match[] must contain at least one non-empty matcher");
    }

    #[test]
    fn groups_come_in_pages() {
        let group = snapshot().groups.remove(0);
        let named = |name: &str| Arc::new(GroupSnapshot { name: name.into(), ..(*group).clone() });
        let empty = Arc::new(GroupSnapshot { rules: Vec::new(), ..(*named("c")).clone() });
        let snapshot = RulesSnapshot { groups: vec![named("a"), named("b"), empty, named("d")], load_errors: Vec::new() };
        let page = |query: &str| {
            let filter = Filter::read(&Params::parse(query, b"")).expect("a filter");
            let view = groups(&snapshot, &filter).unwrap_or_else(|error| panic!("{error:?}"));
            (view.groups.iter().map(|group| group.name.to_owned()).collect::<Vec<_>>(), view.group_next_token)
        };
        let (names, next) = page("group_limit=2");
        assert_eq!(names, ["a", "b"]);
        let next = next.expect("one more");
        assert_eq!(page(&format!("group_limit=1&group_next_token={next}")), (vec!["d".to_owned()], None));
        assert_eq!(page("group_limit=3"), (vec!["a".into(), "b".into(), "d".into()], None));
        for (query, problem) in [
            ("group_next_token=x", "\"group_next_token\": group_limit needs to be present in order to paginate over the groups"),
            ("group_limit=0", "\"group_limit\": group_limit needs to be greater than 0"),
            ("group_limit=x", "\"group_limit\": group_limit needs to be a valid number: strconv.ParseInt: parsing \"x\": invalid syntax"),
            ("group_limit=1&group_next_token=x", "\"group_next_token\": invalid group_next_token 'x'. were rule groups changed?"),
        ] {
            assert_eq!(refused(query), format!("invalid parameter {problem}"));
        }
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
