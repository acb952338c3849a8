//! What Grafana asks of a Prometheus, in its own words: `grafana/calls.ndjson` lists the calls behind "save and test", the metric
//! browser, Explore, panels and variables, as Grafana 12 makes them (grafana/grafana `pkg/promlib/client/client.go`). A real
//! Prometheus that scrapes the agent and the agent itself are asked the same, and their answers have the same shape.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;

use crate::stage::{Agent, Answer, Prometheus, Setup, escape, get, post_form, promtool, until};

const CALLS: &str = include_str!("grafana/calls.ndjson");

/// What Prometheus's answer has and the agent's has not, by where it is.
const LEFT_OUT: &[(&str, &str)] = &[
    ("/api/v1/query", "data.stats.timings.resultSortTime"),
    ("/api/v1/query", "data.stats.samples.peakSamples"),
    ("/api/v1/targets", "data.activeTargets[].lastScrapeDuration"),
];

#[derive(serde::Deserialize)]
struct Call {
    step: String,
    method: String,
    path: String,
    /// Whether the answers are the same to the last byte, and not of the same shape alone.
    same: bool,
    params: BTreeMap<String, String>,
}

impl Call {
    fn ask(&self, address: SocketAddr, start: f64, end: f64) -> Answer {
        let filled = |value: &String| value.replace("$start", &start.to_string()).replace("$end", &end.to_string());
        let pairs: Vec<String> = self.params.iter().map(|(name, value)| format!("{}={}", escape(name), escape(&filled(value)))).collect();
        let answer = match self.method.as_str() {
            "POST" => post_form(address, &self.path, &pairs.join("&")),
            _ => get(address, &format!("{}?{}", self.path, pairs.join("&")), ""),
        };
        answer.unwrap_or_else(|error| panic!("{}: {error}", self.step))
    }
}

/// Every place of an answer and what is there, places in lists as one and names that are data as one.
fn shape(value: &Value) -> BTreeMap<String, &'static str> {
    let mut places = BTreeMap::new();
    walk(value, String::new(), &mut places);
    places
}

fn walk(value: &Value, place: String, places: &mut BTreeMap<String, &'static str>) {
    match value {
        Value::Object(members) => {
            places.insert(place.clone(), "object");
            let of_labels =
                ["metric", "labels", "seriesLabels", "discoveredLabels", "annotations"].iter().any(|name| place.ends_with(name));
            // Of series in the answer to /series, and of metrics in that to /metadata.
            let named = of_labels
                || members.contains_key("__name__")
                || members.values().all(Value::is_array) && place == "data" && members.len() > 3;
            for (name, member) in members {
                let name = if named { "*" } else { name };
                walk(member, if place.is_empty() { name.to_owned() } else { format!("{place}.{name}") }, places);
            }
        }
        Value::Array(items) => {
            places.insert(place.clone(), "array");
            // A point is a time and a value.
            let point = matches!(items.as_slice(), [Value::Number(_), Value::String(_)]);
            for (index, item) in items.iter().enumerate() {
                walk(item, if point { format!("{place}[{index}]") } else { format!("{place}[]") }, places);
            }
        }
        Value::String(text) => {
            let number = text.parse::<f64>().is_ok() && place.ends_with("[1]");
            places.insert(place, if number { "number in a string" } else { "string" });
        }
        Value::Number(_) => drop(places.insert(place, "number")),
        Value::Bool(_) => drop(places.insert(place, "boolean")),
        Value::Null => drop(places.insert(place, "null")),
    }
}

fn content_type(answer: &Answer) -> &str {
    answer.head.lines().find_map(|line| line.strip_prefix("content-type: ")).unwrap_or_default()
}

#[test]
fn grafana_is_answered_as_by_a_real_prometheus() {
    let (agent, prometheus) = twins();
    let end = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as f64 / 1e3;
    let calls: Vec<Call> = CALLS.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let differences: Vec<String> = calls
        .iter()
        .filter_map(|call| {
            let ask = |address| call.ask(address, end - 3600.0, end);
            let (ours, theirs) = (ask(agent.setup.http), ask(prometheus.address));
            let difference = difference(call, &ours, &theirs)?;
            Some(format!(
                "{} {} {}\n{difference}\nsidewatch:  {}\nprometheus: {}",
                call.step, call.method, call.path, ours.body, theirs.body
            ))
        })
        .collect();
    assert!(calls.len() > 30 && differences.is_empty(), "{} of {} calls:\n\n{}", differences.len(), calls.len(), differences.join("\n\n"));
}

/// What a client would find different; every member that Prometheus's answer has counts.
fn difference(call: &Call, ours: &Answer, theirs: &Answer) -> Option<String> {
    if ours.status != theirs.status {
        return Some(format!("status {} and not {}", ours.status, theirs.status));
    }
    if !theirs.body.starts_with('{') {
        return None;
    }
    if content_type(ours) != content_type(theirs) {
        return Some(format!("{} and not {}", content_type(ours), content_type(theirs)));
    }
    if call.same && ours.body != theirs.body {
        return Some("not the same".to_owned());
    }
    let (ours, theirs) = (ours.json(), theirs.json());
    if error(&ours) != error(&theirs) {
        return Some(format!("{} and not {}", ours["error"], theirs["error"]));
    }
    if ours["data"]["resultType"] != theirs["data"]["resultType"] {
        return Some(format!("{} and not {}", ours["data"]["resultType"], theirs["data"]["resultType"]));
    }
    let ours = shape(&ours);
    shape(&theirs).into_iter().find_map(|(place, kind)| {
        let left_out = LEFT_OUT.contains(&(call.path.as_str(), &place));
        let expected = (!left_out).then_some(kind);
        (ours.get(&place).copied() != expected).then(|| format!("{place} is {:?} and not {expected:?}", ours.get(&place)))
    })
}

/// What is said of a mistake. Prometheus 3 names the parameter of a range query that does not parse; Debian's 2.42 does not yet.
fn error(answer: &Value) -> Option<&str> {
    let error = answer["error"].as_str()?;
    Some(error.strip_prefix("invalid parameter \"query\": ").unwrap_or(error))
}

/// An agent and a server that scrapes it, with the same series under the same names: the job is the scrape's, the instance is the
/// address. Both have the counter and the trace, and enough samples for a rate.
fn twins() -> (Agent, Prometheus) {
    let mut setup = Setup::new();
    setup.instance = setup.http.to_string();
    setup.more = "jobs: {host: sidewatch, events: sidewatch, agent: sidewatch}\nhistory: {resolution: 1s}\n".to_owned();
    let agent = setup.start();
    let prometheus = Prometheus::scraping(agent.setup.http);
    agent.send("{\"kind\":\"count\",\"name\":\"orders\",\"value\":3,\"tags\":{\"shop\":\"a\"}}\n");
    agent.send("{\"kind\":\"request\",\"duration_ms\":250,\"trace_id\":\"4bf92f3577b34da6a3ce929d0e0e4736\"}\n");
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    for address in [agent.setup.http, prometheus.address] {
        until("the counter and the rate of the CPU to be known", || {
            let query = escape("count(orders_total == 3) + count(sum(rate(node_cpu_seconds_total[1m])) > 0)");
            let answer = get(address, &format!("/api/v1/query?query={query}"), "").ok()?.json();
            (answer["data"]["result"][0]["value"][1] == "2").then_some(())
        });
        until("the trace to be known", || {
            let selector = "http_server_request_duration_seconds_bucket";
            let path = format!("/api/v1/query_exemplars?query={selector}&start={}&end={}", now() - 60, now() + 1);
            let answer = get(address, &path, "").ok()?.json();
            (!answer["data"].as_array()?.is_empty()).then_some(())
        });
    }
    (agent, prometheus)
}

#[test]
fn promtool_is_answered_as_by_a_real_prometheus() {
    let (agent, prometheus) = twins();
    // A whole second that is not before the newest samples.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() + 1;
    let (time, start, end) = (format!("--time={now}"), format!("--start={now}"), format!("--end={}", now + 60));
    // The server's address stands before what is asked.
    let cases: &[(&[&str], &[&str])] = &[
        (&["instant", &time], &["orders_total"]),
        (&["instant", &time, "--format=json"], &["orders_total"]),
        (&["instant", &time], &["1 / 3"]),
        (&["instant", &time], &["orders_total / 0 or absent_metric"]),
        (&["instant", &time], &["count(http_server_request_duration_seconds_bucket) by (job)"]),
        (&["instant", &time], &["absent_metric"]),
        (&["instant", &time], &["sum(orders_total"]),
        (&["instant", &time], &["label_replace(orders_total, \"a\", \"$1\", \"shop\", \"(\")"]),
        (&["range", &start, &end, "--step=15s"], &["orders_total"]),
        (&["range", &start, &end, "--step=500ms", "--format=json"], &["orders_total * 1e-7"]),
        (&["range", &start, &end, "--step=15s"], &["time() - time()"]),
        (&["range", &start, &end, "--step=15s"], &["\"text\""]),
        (&["range", "--start=0", &end, "--step=1s"], &["orders_total"]),
        (&["series", "--match=orders_total", "--match=http_server_request_duration_seconds_count"], &[]),
        (&["series", "--match={job=\"sidewatch\",shop!=\"\"}", &start, &end, "--format=json"], &[]),
        (&["series", "--match=absent_metric"], &[]),
        (&["series", "--match={}"], &[]),
        (&["labels"], &["job"]),
        (&["labels", "--match=orders_total", "--format=json"], &["shop"]),
        (&["labels"], &["absent"]),
    ];
    for (before, after) in cases {
        let ask = |address: SocketAddr| {
            let server = format!("http://{address}");
            let (content, said) = promtool(&[&["query"], *before, &[server.as_str()], *after].concat(), "");
            // See `error`.
            (content, said.replace("invalid parameter \"query\": ", ""))
        };
        let ours = ask(agent.setup.http);
        println!("promtool query {before:?} {after:?}\n{}", ours.1);
        assert_eq!(ours, ask(prometheus.address), "{before:?} {after:?}");
    }
}
