//! Prometheus's query API, over real sockets.

use std::path::Path;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{Address, Agent, Config, config};
use crate::clock;
use crate::http::listen::Stream;
use crate::model::PromDuration;
use crate::promql::QUERY_REGEXES_MAX;

#[tokio::test]
async fn queries_are_answered_as_prometheus_does() {
    let agent = Agent::start(config()).await;
    assert_eq!(
        agent.get("/api/v1/query?query=1%2B1&time=4").await.text(),
        r#"{"status":"success","data":{"resultType":"scalar","result":[4,"2"]}}"#
    );
    let form = "query=up";
    let posted = agent
        .ask(&format!(
            "POST /api/v1/query HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/x-www-form-urlencoded\r\n\
             Content-Length: {}\r\n\r\n{form}",
            form.len()
        ))
        .await;
    assert_eq!(posted.json()["data"]["result"][0]["metric"], serde_json::json!({"__name__": "up", "job": "node"}));
    assert_eq!(posted.json()["data"]["result"][0]["value"][1], "1");
    let json = agent
        .ask("POST /api/v1/query HTTP/1.1\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: 7\r\n\r\nquery=1")
        .await;
    assert_eq!(json.status, 400, "only a form is read as one");
    let now = clock::now().as_seconds();
    let range = agent.get(&format!("/api/v1/query_range?query=up&start={}&end={now}&step=15", now - 60.0)).await;
    assert_eq!(range.json()["data"]["resultType"], "matrix", "{}", range.text());
    let up = agent.get(&format!("/api/v1/query?query=up[1m]&time={}", now + 1.0)).await;
    assert_eq!(up.json()["data"]["result"][0]["values"][0][1], "1", "{}", up.text());
    let cut = agent.get("/api/v1/query?query=vector(1)%20or%20up&limit=1").await;
    assert_eq!(cut.json()["warnings"], serde_json::json!(["results truncated due to limit"]), "{}", cut.text());

    for (path, data) in [
        ("/api/v1/labels", r#"["__name__","job"]"#),
        ("/api/v1/label/job/values", r#"["node"]"#),
        ("/api/v1/label/job/values?match[]=down", "[]"),
        ("/api/v1/label/U__job/values", r#"["node"]"#),
        ("/api/v1/format_query?query=foo/bar", "\"foo / bar\""),
        ("/api/v1/parse_query?query=1", r#"{"type":"numberLiteral","val":"1"}"#),
        ("/api/v1/series?match[]=up&match[]=up", r#"[{"__name__":"up","job":"node"}]"#),
        ("/api/v1/series?match[]=up&end=4", "[]"),
        ("/api/v1/labels?start=2&end=1", "[]"),
        ("/api/v1/metadata?limit=0", "{}"),
    ] {
        assert_eq!(agent.get(path).await.text(), format!(r#"{{"status":"success","data":{data}}}"#), "{path}");
    }
}

#[tokio::test]
async fn a_query_may_bring_its_own_lookback_and_ask_what_it_cost() {
    let agent = Agent::start(config()).await;
    let found = async |lookback: &str| {
        let late = clock::now().as_seconds() + 60.0;
        let answer = agent.get(&format!("/api/v1/query?query=up&time={late}&lookback_delta={lookback}")).await;
        answer.json()["data"]["result"].as_array().map(Vec::len)
    };
    for (lookback, series) in [("", 1), ("0", 1), ("-5", 1), ("30s", 0), ("30", 0), ("10m", 1)] {
        assert_eq!(found(lookback).await, Some(series), "{lookback}");
    }
    let plain = agent.get("/api/v1/query?query=up").await;
    assert_eq!(plain.json()["data"]["stats"], serde_json::Value::Null);
    for path in ["query?query=up&stats=all", "query_range?query=up&start=1&end=2&step=1&stats=true"] {
        let stats = agent.get(&format!("/api/v1/{path}")).await.json()["data"]["stats"].clone();
        let timings = &stats["timings"];
        let seconds = |name: &str| timings[name].as_f64().unwrap_or_else(|| panic!("{name}: {stats}"));
        assert!(seconds("evalTotalTime") > 0.0 && seconds("execTotalTime") >= seconds("evalTotalTime"), "{stats}");
        assert!(seconds("evalTotalTime") >= seconds("queryPreparationTime") && seconds("innerEvalTime") >= 0.0, "{stats}");
        assert_eq!(stats["samples"]["totalQueryableSamples"], u64::from(path.starts_with("query?")), "{stats}");
    }
}

#[tokio::test]
async fn a_query_that_may_take_no_time_has_timed_out() {
    let agent = Agent::start(config()).await;
    for limit in ["0", "-1", "0s"] {
        let answer = agent.get(&format!("/api/v1/query?query=1&timeout={limit}")).await;
        assert_eq!((answer.status, &answer.json()["error"]), (503, &"query timed out in query execution".into()), "{limit}");
    }
    assert_eq!(agent.refused("timeout"), 3.0);
}

#[tokio::test]
async fn a_large_answer_comes_in_pieces_plain_and_compressed() {
    let agent = Agent::start(config()).await;
    // As many points as a query may have, of three series.
    let query =
        "time()+or+label_replace(vector(time())%2C%22a%22%2C%22b%22%2C%22%22%2C%22%22)+or+up".replace("time()+or", "vector(time())+or");
    let path = format!("/api/v1/query_range?query={query}&start=0&end=11000&step=1&limit=2");
    let plain = agent.get(&path).await;
    assert!(plain.has("transfer-encoding: chunked") && plain.body.len() > 300_000, "{} {}", plain.head, plain.text());
    let result = &plain.json()["data"]["result"];
    assert_eq!(result[0]["values"].as_array().map(Vec::len), Some(11_001));
    assert_eq!(result[1]["values"][11_000], serde_json::json!([11_000, "11000"]));
    let gzip = agent.get_with(&path, "Accept-Encoding: gzip").await;
    assert!(gzip.has("content-encoding: gzip") && gzip.body.len() < plain.body.len() / 2, "{}", gzip.head);
    let mut text = String::new();
    std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(gzip.body.as_slice()), &mut text).expect("gzip");
    assert_eq!(text, plain.text());
}

/// An agent with one turn on a Unix socket, and a query with a larger answer than the kernel keeps for a client that does not read.
async fn large(folder: &Path, request_timeout: PromDuration) -> (Agent, String) {
    let listen = vec![Address::Unix(folder.join("http.sock"))];
    let agent = Agent::start(Config { listen, query_concurrency: 1, request_timeout, ..config() }).await;
    let series = (0..12).map(|number| format!("label_replace(vector(time()),%22a%22,%22{number}%22,%22%22,%22%22)"));
    let query = series.collect::<Vec<_>>().join("+or+");
    (agent, format!("/api/v1/query_range?start=0&end=11000&step=1&query={query}"))
}

/// A client that has read the first byte of its answer.
async fn slow_client(agent: &Agent, path: &str) -> Box<dyn Stream> {
    let mut slow = agent.connect().await;
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    slow.write_all(request.as_bytes()).await.expect("sent");
    slow.read_exact(&mut [0; 1]).await.expect("an answer");
    slow
}

#[tokio::test]
async fn a_large_answer_that_is_not_read_keeps_its_place_and_nobodys_turn() {
    let folder = tempfile::tempdir().expect("a folder");
    let (agent, path) = large(folder.path(), PromDuration::from_secs(60)).await;
    let mut slow = slow_client(&agent, &path).await;
    assert_eq!(agent.get("/api/v1/query?query=1").await.status, 200);
    assert_eq!(agent.get("/metrics").await.status, 200);
    assert_eq!(agent.get(&format!("{path}&timeout=5s")).await.status, 503, "the only place is taken");
    assert_eq!(agent.get("/api/v1/query?query=1").await.status, 200, "who waits in vain gives its turn back");
    let mut rest = Vec::new();
    slow.read_to_end(&mut rest).await.expect("the rest");
    assert!(rest.len() > 1_500_000 && rest.ends_with(b"\r\n0\r\n\r\n"), "{}", rest.len());
    assert_eq!(agent.get(&path).await.status, 200);
    assert_eq!(agent.refused("slow"), 0.0);
}

#[tokio::test]
async fn a_large_answer_that_is_read_slowly_makes_room_for_another() {
    let folder = tempfile::tempdir().expect("a folder");
    let (agent, path) = large(folder.path(), PromDuration::from_secs(10)).await;
    let mut slow = slow_client(&agent, &path).await;
    let other = agent.get(&path).await;
    assert!(other.status == 200 && other.body.ends_with(b"}"), "{}", other.head);
    assert_eq!((agent.refused("slow"), agent.refused("timeout")), (1.0, 0.0));
    let mut rest = Vec::new();
    slow.read_to_end(&mut rest).await.expect("closed");
    assert!(!rest.ends_with(b"\r\n0\r\n\r\n"), "what is broken off does not look whole");
}

#[tokio::test]
async fn a_wrong_question_is_told_what_is_wrong() {
    let agent = Agent::start(config()).await;
    for (path, status, kind, message) in [
        ("query", 400, "bad_data", "invalid parameter \"query\": "),
        ("format_query?query=up%7B", 400, "bad_data", "invalid parameter \"query\": 1:4: parse error: "),
        ("parse_query", 400, "bad_data", "invalid parameter \"query\": unknown position: parse error: no expression found in input"),
        ("query?query=up%7B", 400, "bad_data", "parse error: "),
        (
            "query?query=up&time=now",
            400,
            "bad_data",
            "invalid parameter \"time\": Invalid time value for 'time': cannot parse \"now\" to a valid timestamp",
        ),
        ("query?query=up&timeout=soon", 400, "bad_data", "invalid parameter \"timeout\": cannot parse \"soon\" to a valid duration"),
        (
            "query?query=up&lookback_delta=x",
            400,
            "bad_data",
            "error parsing lookback delta duration: cannot parse \"x\" to a valid duration",
        ),
        ("query?query=up%7B&limit=-1&time=x", 400, "bad_data", "invalid parameter \"limit\""),
        ("query_range?query=up%7B&start=2&end=1&step=x", 400, "bad_data", "invalid parameter \"end\": end timestamp must"),
        ("query?query=up&limit=-1", 400, "bad_data", "invalid parameter \"limit\": limit must be non-negative"),
        ("query?query=up&limit=x", 400, "bad_data", "invalid parameter \"limit\": strconv.Atoi: parsing \"x\": invalid syntax"),
        ("labels?limit=99999999999999999999", 400, "bad_data", "parsing \"99999999999999999999\": value out of range"),
        ("query?query=&query=1", 400, "bad_data", "no expression found in input"),
        ("query_range?query=up&end=1&step=1", 400, "bad_data", "invalid parameter \"start\": cannot parse \"\" to a valid timestamp"),
        ("query_range?query=up&start=1&step=1", 400, "bad_data", "invalid parameter \"end\": cannot parse \"\" to a valid timestamp"),
        ("query_range?query=up&start=1&end=2", 400, "bad_data", "invalid parameter \"step\": cannot parse \"\" to a valid duration"),
        ("query_range?query=up&start=2&end=1&step=1", 400, "bad_data", "end timestamp must not be before start time"),
        ("query_range?query=up&start=1&end=2&step=0", 400, "bad_data", "zero or negative"),
        ("query_range?query=up&start=1&end=20000&step=1", 400, "bad_data", "exceeded maximum resolution of 11,000 points"),
        ("query_range?query=up&start=-1e300&end=1e300&step=1", 400, "bad_data", "exceeded maximum resolution"),
        ("query_range?query=up[5m]&start=1&end=2&step=1", 400, "bad_data", "invalid expression type \"range vector\" for range query"),
        ("query?query=up%20%2B%20on(job)%20(up%20or%20vector(1))%20%2B%20foo%5B5m%5D", 400, "bad_data", "parse error"),
        ("query?query=vector(1)%20%2B%20on()%20(up%20or%20vector(2))", 422, "execution", "match"),
        ("series", 400, "bad_data", "no match[] parameter provided"),
        ("series?match[]=1%2B1", 400, "bad_data", "invalid parameter \"match[]\": "),
        ("series?match[]={}", 400, "bad_data", "invalid parameter \"match[]\": match[] must contain at least one non-empty matcher"),
        ("labels?match[]={}", 400, "bad_data", "match[] must contain at least one non-empty matcher"),
        ("label/job/values?match[]=a+b", 400, "bad_data", "1:3: parse error: unexpected identifier \"b\""),
        (
            "labels?end=x",
            400,
            "bad_data",
            "invalid parameter \"end\": Invalid time value for 'end': cannot parse \"x\" to a valid timestamp",
        ),
        ("metadata?limit=x", 400, "bad_data", "limit must be a number"),
    ] {
        let answer = agent.get(&format!("/api/v1/{path}")).await;
        let json = answer.json();
        assert_eq!((answer.status, json["errorType"].as_str()), (status, Some(kind)), "{path}: {}", answer.text());
        assert!(json["error"].as_str().is_some_and(|error| error.contains(message)), "{path}: {}", answer.text());
    }
    // As far as time goes, and beyond.
    for path in [
        "query?query=up&time=-1e300",
        "query?query=up+offset+1y&time=1e300",
        "query_range?query=rate(up[1y])&start=-1e300&end=1e300&step=1e300",
        "series?match[]=up&start=-1e300&end=1e300",
    ] {
        let answer = agent.get(&format!("/api/v1/{path}")).await;
        assert!(matches!(answer.status, 200 | 400 | 422), "{path}: {}", answer.text());
    }
}

#[tokio::test]
async fn regular_expressions_are_bounded_over_all_selectors() {
    let agent = Agent::start(config()).await;
    let selectors = |count| "match[]=a{b=~%22c%22}&".repeat(count);
    assert_eq!(agent.get(&format!("/api/v1/series?{}", selectors(QUERY_REGEXES_MAX))).await.status, 200);
    let refused = agent.get(&format!("/api/v1/series?{}", selectors(QUERY_REGEXES_MAX + 1))).await;
    assert_eq!((refused.status, refused.text().contains("regular expressions")), (400, true), "{}", refused.text());
}
