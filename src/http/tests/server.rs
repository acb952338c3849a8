//! What clients ask a Prometheus server about itself, and the traces of its series.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Agent, config};
use crate::history::{Append, History};
use crate::model::{Change, Exemplar, Histogram, Labels, METRIC_NAME, MetricType, SeriesKey, Timestamp, TraceId, stale_marker};
use crate::registry::{Pending, Registry};
use crate::telemetry::Telemetry;

#[tokio::test]
async fn the_agent_tells_what_a_server_would() {
    let agent = Agent::start(config()).await;
    for (path, expected) in [
        ("status/config", json!({ "yaml": "instance: h1\n" })),
        ("status/flags", json!({ "query.timeout": "30s" })),
        ("alertmanagers", json!({ "activeAlertmanagers": [{ "url": "http://a:9093/api/v2/alerts" }], "droppedAlertmanagers": [] })),
        ("scrape_pools", json!({ "scrapePools": ["node"] })),
    ] {
        assert_eq!(agent.get(&format!("/api/v1/{path}")).await.json()["data"], expected, "{path}");
    }
    let runtime = agent.get("/api/v1/status/runtimeinfo").await.json()["data"].clone();
    assert_eq!(
        runtime,
        json!({
            "startTime": "1970-01-01T00:00:01.500Z", "CWD": "/", "hostname": "h1", "serverTime": runtime["serverTime"],
            "reloadConfigSuccess": false, "lastConfigTime": "1970-01-01T00:00:02.000Z", "corruptionCount": 0,
            "storageRetention": "6h or 64MiB",
        })
    );
    assert!(runtime["serverTime"].as_str().is_some_and(|time| time > "2026"), "{runtime}");
    let counted = agent.get("/api/v1/status/tsdb?limit=1").await.json()["data"].clone();
    assert_eq!(counted["headStats"]["numSeries"], 1, "{counted}");
    assert_eq!(counted["headStats"]["minTime"], counted["headStats"]["maxTime"]);
    assert_eq!(counted["seriesCountByMetricName"], json!([{"name": "up", "value": 1}]));
    let refused = agent.get("/api/v1/status/tsdb?limit=0").await;
    assert_eq!((refused.status, refused.json()["error"].as_str()), (400, Some("limit must be a positive number")));
}

#[tokio::test]
async fn every_job_is_a_target_as_long_as_it_has_an_up() {
    let telemetry = Telemetry::new();
    let history = History::new(&crate::history::Config::default(), &telemetry);
    let now = crate::clock::now();
    let up = |job: &str| Labels::from_pairs([(METRIC_NAME, "up"), ("job", job), ("instance", "h1")]);
    let recorded = Labels::from_pairs([(METRIC_NAME, "up"), ("team", "a")]);
    history.append(now.plus_millis(-400_000), &[(up("old"), 1.0)]);
    history.append(now.plus_millis(-2_000), &[(up("node"), 1.0), (up("gone"), 1.0), (up("app"), 1.0), (recorded, 1.0)]);
    history.append(now.plus_millis(-1_000), &[(up("node"), 0.0), (up("gone"), stale_marker()), (up("app"), 1.0)]);
    let agent = Agent::over(config(), telemetry, Arc::new(history)).await;
    let all = agent.get("/api/v1/targets").await.json()["data"].clone();
    assert_eq!((&all["droppedTargets"], &all["droppedTargetCounts"]), (&json!([]), &json!({})));
    let targets = all["activeTargets"].as_array().expect("targets");
    let told: Vec<_> = targets.iter().map(|target| (target["scrapePool"].as_str(), target["health"].as_str())).collect();
    assert_eq!(told, [(Some("app"), Some("up")), (Some("node"), Some("down"))]);
    assert_eq!(
        targets[0],
        json!({
            "discoveredLabels": {
                "__address__": "h1", "__metrics_path__": "/metrics", "__scheme__": "http", "__scrape_interval__": "5s",
                "__scrape_timeout__": "5s", "job": "app",
            },
            "labels": {"instance": "h1", "job": "app"}, "scrapePool": "app", "scrapeUrl": "http://h1:1/metrics",
            "globalUrl": "http://h1:1/metrics", "lastError": "", "lastScrape": now.plus_millis(-1_000).to_string(), "health": "up",
            "scrapeInterval": "5s", "scrapeTimeout": "5s",
        })
    );
    assert!(targets[1]["lastError"].as_str().is_some_and(|error| error.contains("/readyz")));
    let count = async |asked: &str| {
        let answer = agent.get(&format!("/api/v1/targets?{asked}")).await.json();
        answer["data"]["activeTargets"].as_array().map(Vec::len)
    };
    assert_eq!((count("state=active").await, count("state=dropped").await, count("scrapePool=node").await), (Some(2), Some(0), Some(1)));
}

/// Observes values with traces, each at its time in milliseconds.
fn observe(registry: &Registry, name: &str, service: &str, observed: &[(f64, &str, i64)]) {
    let mut histogram = Histogram::new(registry.bounds(name));
    for (value, trace, millis) in observed {
        let trace_id = TraceId::new(trace).expect("short");
        histogram.observe(*value, 1);
        histogram.exemplify(Exemplar { trace_id, value: *value, at: Timestamp::from_millis(*millis) });
    }
    let key = SeriesKey { name: Arc::from(name), kind: MetricType::Histogram, labels: Labels::from_pairs([("service_name", service)]) };
    let mut pending = Pending::new(key, Change::Observe(histogram));
    registry.merge(1, Timestamp::from_millis(0)).apply(&mut pending).expect("taken");
}

#[tokio::test]
async fn traces_are_found_by_whatever_query_selects_their_series() {
    let agent = Agent::start(config()).await;
    let registry = &agent.server.state.registry;
    observe(registry, "t_seconds", "b", &[(0.25, "abc", 1_500), (70.0, "def", 3_000)]);
    observe(registry, "t_seconds", "a", &[(0.75, "ghi", 2_000)]);
    observe(registry, "other_seconds", "a", &[(0.75, "jkl", 2_000)]);
    let found = async |asked: &str| {
        let answer = agent.get(&format!("/api/v1/query_exemplars?{asked}")).await;
        assert_eq!(answer.status, 200, "{asked}: {}", answer.text());
        answer
    };
    assert_eq!(
        found("query=t_seconds_bucket%7Bservice_name=%22b%22%7D").await.text(),
        concat!(
            r#"{"status":"success","data":[{"seriesLabels":{"__name__":"t_seconds_bucket","instance":"h1","job":"b","le":"+Inf","#,
            r#""service_name":"b"},"exemplars":[{"labels":{"trace_id":"def"},"value":"70","timestamp":3}]},"#,
            r#"{"seriesLabels":{"__name__":"t_seconds_bucket","instance":"h1","job":"b","le":"0.25","#,
            r#""service_name":"b"},"exemplars":[{"labels":{"trace_id":"abc"},"value":"0.25","timestamp":1.500}]}]}"#
        )
    );
    let traces = async |asked: &str| {
        let answer = found(asked).await.json();
        let series = answer["data"].as_array().expect("series").iter();
        let mut traces: Vec<String> = series
            .flat_map(|series| series["exemplars"].as_array().expect("exemplars"))
            .map(|exemplar| exemplar["labels"]["trace_id"].as_str().expect("a trace").to_owned())
            .collect();
        traces.sort();
        traces.join(" ")
    };
    // As a panel asks, with its whole expression.
    let panel = "histogram_quantile(0.9,+sum+by+(le)+(rate(t_seconds_bucket%5B5m%5D)))+or+other_seconds_bucket%7Bjob=%22a%22%7D";
    assert_eq!(traces(&format!("query={panel}")).await, "abc def ghi jkl");
    assert_eq!(traces(&format!("query={panel}&start=2&end=2.5")).await, "ghi jkl");
    assert_eq!(traces("query=%7Ble=%220.25%22%7D").await, "abc");
    assert_eq!(traces("query=t_seconds_bucket%7Binstance!=%22h1%22%7D").await, "");
    assert_eq!(traces("query=t_seconds_count").await, "");

    // More than are read at a time.
    for service in 0..300 {
        observe(registry, "many_seconds", &format!("s{service}"), &[(0.25, &service.to_string(), 1_500)]);
    }
    assert_eq!(traces("query=many_seconds_bucket").await.split(' ').count(), 300);

    assert_eq!(agent.get("/api/v1/query_exemplars?query=1%2B1").await.status, 204);
    for (asked, error) in [
        ("query=up&start=2&end=1", "end timestamp must not be before start timestamp"),
        ("query=up&end=x", "invalid parameter \"end\": Invalid time value for 'end': cannot parse \"x\" to a valid timestamp"),
        ("query=up%7B", "1:4: parse error: unexpected end of input inside braces"),
    ] {
        let answer = agent.get(&format!("/api/v1/query_exemplars?{asked}")).await;
        assert_eq!((answer.status, &answer.json()["error"]), (400, &Value::from(error)));
    }
}
