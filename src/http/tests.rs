//! The interface over real sockets, asked in raw bytes.

mod queries;
mod server;

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::watch;
use tokio::time::timeout;

use super::listen::Stream;
use super::params::Params;
use super::router::{Call, Found, find};
use super::{About, Address, Bound, Config, Server, State, run};
use crate::clock;
use crate::health::{HealthState, Report, ServiceReport, Taken};
use crate::history::{Append, History, Query, QueryError, Visit};
use crate::model::{Condition, Family, Labels, Matcher, MetricType, Origin, PromDuration, RulesSnapshot, Timestamp, Value};
use crate::promql::{Engine, EngineConfig};
use crate::recorder::Identity;
use crate::registry::Registry;
use crate::runtime::{Board, Policy, Stage, Supervisor};
use crate::telemetry::Telemetry;

/// Longer than anything here takes; a test that waits for it has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// A served agent with one metric, one series in history and nothing else.
struct Agent {
    server: Arc<Server>,
    telemetry: Arc<Telemetry>,
    board: Board,
    supervisor: Supervisor,
    addresses: Vec<Address>,
    _senders: (watch::Sender<Arc<RulesSnapshot>>, watch::Sender<Arc<Report>>),
}

fn config() -> Config {
    Config { listen: vec!["127.0.0.1:0".parse().expect("an address")], ..Config::default() }
}

fn report() -> Report {
    let taken = Taken { signal: "signal:errors".into(), service: Some("shop".into()), points: 25.0 };
    let shop = ServiceReport {
        service: "shop".into(),
        score: 75.0,
        state: HealthState::Degraded,
        since: clock::now(),
        recovering_since: None,
        deductions: vec![taken],
        http_status: 203,
    };
    Report { score: 40.0, state: HealthState::Critical, at: clock::now(), services: vec![shop], http_status: 418, ..Report::default() }
}

fn about() -> About {
    let identity = Identity { instance: "h1".into(), host_job: "node".into(), events_job: "app".into(), agent_job: "sidewatch".into() };
    About {
        started: Timestamp::from_millis(1_500),
        folder: "/".into(),
        host_name: "h1".into(),
        scrape_url: "http://h1:1/metrics".into(),
        identity,
        configuration: "instance: h1\n".into(),
        loaded: Timestamp::from_millis(2_000),
        load_succeeded: false,
        resolution: PromDuration::from_secs(5),
        alertmanagers: vec!["http://a:9093/api/v2/alerts".into()],
        retention: "6h or 64MiB".into(),
        flags: [("query.timeout", "30s".to_owned())].into(),
    }
}

fn millis(millis: u64) -> PromDuration {
    PromDuration::from_millis(millis)
}

impl Agent {
    async fn start(config: Config) -> Self {
        let telemetry = Telemetry::new();
        let history = History::new(&crate::history::Config::default(), &telemetry);
        let labels = Labels::from_pairs([("__name__", "up"), ("job", "node")]);
        history.append(clock::now().plus_millis(-1000), &[(labels, 1.0)]);
        Self::over(config, telemetry, Arc::new(history)).await
    }

    async fn over(config: Config, telemetry: Arc<Telemetry>, history: Arc<dyn Query>) -> Self {
        let registry = Registry::new(&crate::registry::Config::default(), &telemetry);
        let load = Family::new("node_load1", MetricType::Gauge, "Load.", Origin::Host).with(Labels::empty(), 0.25);
        let cpu = Labels::from_pairs([("cpu", "0")]);
        let cpu = Family::new("node_cpu_seconds_total", MetricType::Counter, "CPU.", Origin::Host).with(cpu, 12.0);
        registry.publish("test", vec![cpu, load]);
        let (rules_sender, rules) = watch::channel(Arc::default());
        let (health_sender, health) = watch::channel(Arc::new(report()));
        let board = Board::new();
        let engine = Arc::new(Engine::new(Arc::clone(&history), EngineConfig::default()));
        let (_, about) = watch::channel(Arc::new(about()));
        let state = State { registry, telemetry: Arc::clone(&telemetry), history, engine, rules, health, board: board.clone(), about };
        let supervisor = Supervisor::new(&telemetry);
        let bound = Arc::new(Bound::new(&config.listen).await.expect("bound"));
        let addresses = bound.addresses().cloned().collect();
        let server = Server::new(&config, state);
        let serving = Arc::clone(&server);
        supervisor.spawn("http", Policy::Critical, move |context| run(Arc::clone(&serving), Arc::clone(&bound), context));
        Self { server, telemetry, board, supervisor, addresses, _senders: (rules_sender, health_sender) }
    }

    async fn connect(&self) -> Box<dyn Stream> {
        match &self.addresses[0] {
            Address::Tcp { host, port } => Box::new(TcpStream::connect((host.as_str(), *port)).await.expect("connected")),
            Address::Unix(path) => Box::new(UnixStream::connect(path).await.expect("connected")),
        }
    }

    /// Sends a request and reads until the agent closes the connection.
    async fn ask(&self, request: &str) -> Answer {
        let mut stream = self.connect().await;
        stream.write_all(request.as_bytes()).await.expect("sent");
        Answer::read(&mut stream).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask(&format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")).await
    }

    async fn get_with(&self, path: &str, header: &str) -> Answer {
        self.ask(&format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{header}\r\n\r\n")).await
    }

    /// One of the agent's own numbers.
    fn number(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let labels = Labels::from_pairs(labels.iter().copied());
        let families = self.telemetry.families();
        let series = families.iter().filter(|family| &*family.name == name).flat_map(|family| &family.series);
        match series.filter(|series| series.labels == labels).map(|series| &series.value).next() {
            Some(Value::Number(number)) => *number,
            other => panic!("{name}{labels}: {other:?}"),
        }
    }

    fn refused(&self, reason: &str) -> f64 {
        self.number("sidewatch_http_refused_total", &[("reason", reason)])
    }

    /// Waits until a refusal was counted: that happens just after the connection is closed.
    async fn has_refused(&self, reason: &str) {
        until(|| self.refused(reason) > 0.0).await;
    }

    /// Waits until the agent is done with every connection.
    async fn has_no_connection(&self) {
        until(|| self.number("sidewatch_http_connections", &[]) == 0.0).await;
    }
}

async fn until(mut reached: impl FnMut() -> bool) {
    let reached = async {
        while !reached() {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, reached).await.expect("reached");
}

struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    async fn read(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> Self {
        let mut bytes = Vec::new();
        // A reset after the answer is as good an end as any.
        let _ended = timeout(PATIENCE, stream.read_to_end(&mut bytes)).await.expect("an answer");
        let end = memchr::memmem::find(&bytes, b"\r\n\r\n").expect("a head");
        let head = String::from_utf8(bytes[..end].to_vec()).expect("text");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        let head = head.to_ascii_lowercase();
        let body = &bytes[end + 4..];
        let body = if head.contains("\r\ntransfer-encoding: chunked") { unchunked(body) } else { body.to_vec() };
        Self { status, head, body }
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("UTF-8")
    }

    fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }

    fn has(&self, header: &str) -> bool {
        self.head.lines().any(|line| line == header)
    }
}

/// What is in the chunks of a body, all of which have to be there.
fn unchunked(mut rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let end = memchr::memmem::find(rest, b"\r\n").expect("a chunk");
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..end]).expect("text"), 16).expect("a size");
        body.extend_from_slice(&rest[end + 2..end + 2 + size]);
        rest = &rest[end + 2 + size + 2..];
        if size == 0 {
            return body;
        }
    }
}

#[tokio::test]
async fn metrics_come_in_the_format_that_is_asked_for() {
    let agent = Agent::start(config()).await;
    let text = agent.get("/metrics").await;
    assert!(text.has("content-type: text/plain; version=0.0.4; charset=utf-8"), "{}", text.head);
    assert!(text.text().contains("# TYPE node_cpu_seconds_total counter\nnode_cpu_seconds_total{cpu=\"0\"} 12\n"), "{}", text.text());
    assert!(text.text().contains("\nsidewatch_http_connections 1\n"));

    let open = agent.get_with("/metrics", "Accept: application/openmetrics-text;version=1.0.0;escaping=underscores;q=0.8,*/*;q=0.1").await;
    assert!(open.has("content-type: application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores"), "{}", open.head);
    assert!(open.text().contains("# TYPE node_cpu_seconds counter\n") && open.text().ends_with("# EOF\n"));

    let gzip = agent.get_with("/metrics", "Accept-Encoding: gzip").await;
    assert!(gzip.has("content-encoding: gzip"));
    let mut plain = String::new();
    std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(gzip.body.as_slice()), &mut plain).expect("gzip");
    assert!(plain.contains("\nnode_load1 0.25\n"));
    assert_eq!(agent.number("sidewatch_http_requests_total", &[("handler", "/metrics"), ("code", "200")]), 3.0);
}

#[tokio::test]
async fn every_endpoint_answers() {
    let agent = Agent::start(config()).await;
    for route in &super::router::ALL {
        let answer = agent.get(&route.path.replace("{name}", "job")).await;
        // Without parameters these say what is missing.
        let expected = match route.path {
            "/favicon.ico" => 204,
            "/health" => 418,
            "/api/v1/query"
            | "/api/v1/query_range"
            | "/api/v1/query_exemplars"
            | "/api/v1/series"
            | "/api/v1/format_query"
            | "/api/v1/parse_query" => 400,
            _ => 200,
        };
        assert_eq!(answer.status, expected, "{}: {}", route.path, answer.text());
        assert!(answer.has("x-content-type-options: nosniff"));
    }
    assert_eq!(
        (agent.get("/health").await.json()["score"].as_f64(), agent.get("/health").await.json()["state"].as_str()),
        (Some(40.0), Some("critical"))
    );
    let line = agent.get("/health?line").await;
    assert_eq!((line.status, line.text()), (418, "critical 40\n"));
    let line = agent.get("/health?line&service=shop").await;
    assert_eq!((line.status, line.text()), (203, "degraded 75: -25 signal:errors{shop}\n"));
    assert_eq!(agent.get("/health?service=shop").await.json()["score"].as_f64(), Some(75.0));
    let unknown = agent.get("/health?service=nope").await;
    assert_eq!(unknown.status, 404);
    assert!(unknown.text().ends_with("as __other__): shop\n"), "{}", unknown.text());
    assert_eq!(agent.get("/api/v1/alerts").await.text(), r#"{"status":"success","data":{"alerts":[]}}"#);
    assert_eq!(agent.get("/api/v1/status/buildinfo").await.json()["data"]["features"], serde_json::Value::Null);
    let load = serde_json::json!([{"type": "gauge", "help": "Load.", "unit": ""}]);
    assert_eq!(agent.get("/api/v1/metadata?metric=node_load1").await.json()["data"], serde_json::json!({ "node_load1": load }));
}

#[tokio::test]
async fn wrong_paths_and_methods_are_told_what_is_right() {
    let agent = Agent::start(config()).await;
    let missing = agent.get("/metric").await;
    assert_eq!(missing.status, 404);
    assert!(missing.text().contains("/metrics "));
    let wrong = agent.ask("DELETE /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await;
    assert_eq!(wrong.status, 405);
    assert!(wrong.has("allow: get, head"), "{}", wrong.head);
    let head = agent.ask("HEAD /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await;
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert!(head.has("content-length: 3"), "{}", head.head);
    assert_eq!(agent.number("sidewatch_http_requests_total", &[("handler", "none"), ("code", "404")]), 1.0);
}

#[tokio::test]
async fn a_unix_socket_serves_too_and_any_host_may_be_named_there() {
    let folder = tempfile::tempdir().expect("a folder");
    let path: PathBuf = folder.path().join("http.sock");
    let agent = Agent::start(Config { listen: vec![Address::Unix(path.clone())], ..Config::default() }).await;
    let answer = agent.ask("GET /livez HTTP/1.1\r\nHost: evil.example\r\nOrigin: http://evil.example\r\nConnection: close\r\n\r\n").await;
    assert_eq!((answer.status, answer.text()), (200, "ok\n"));
    agent.supervisor.enter(Stage::Stopping);
    assert!(agent.supervisor.finish(PATIENCE).await.is_empty());
    assert!(!path.exists());
}

#[tokio::test]
async fn several_listeners_share_one_agent_and_a_connection_several_requests() {
    let listen = vec!["127.0.0.1:0".parse().expect("an address"); 2];
    let mut agent = Agent::start(Config { listen, connections_max: 1, ..Config::default() }).await;
    for _ in 0..4 {
        // The second request closes the connection. Its answer stands in the body of what was read.
        assert_eq!(agent.ask("GET /livez HTTP/1.1\r\n\r\nGET /livez HTTP/1.0\r\n\r\n").await.text().matches("200 OK").count(), 1);
        agent.addresses.rotate_left(1);
    }
}

#[tokio::test]
async fn web_pages_from_elsewhere_are_refused() {
    let agent = Agent::start(config()).await;
    let rebound = agent.ask("GET /metrics HTTP/1.1\r\nHost: evil.example:10842\r\nConnection: close\r\n\r\n").await;
    assert_eq!(rebound.status, 403);
    assert!(rebound.text().contains("http.allowed_hosts"));
    assert_eq!(agent.get_with("/health", "Origin: http://evil.example").await.status, 403);
    assert_eq!(agent.get_with("/nothing", "Origin: null").await.status, 403);
    assert_eq!((agent.refused("host"), agent.refused("origin")), (1.0, 2.0));
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let agent = Agent::start(Config { header_bytes_max: 2000, ..config() }).await;
    assert_eq!(agent.get_with("/livez", &format!("X: {}", "x".repeat(1500))).await.status, 200);
    assert_eq!(agent.get_with("/livez", &format!("X: {}", "x".repeat(3000))).await.status, 431);
    agent.has_refused("header_too_large").await;
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused() {
    let agent = Agent::start(Config { body_bytes_max: 10, ..config() }).await;
    let head = "POST /api/v1/query HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/x-www-form-urlencoded\r\n";
    assert_eq!(agent.ask(&format!("{head}Content-Length: 10\r\n\r\nquery=1234")).await.status, 200);
    assert_eq!(agent.ask(&format!("{head}Content-Length: 11\r\n\r\nquery=12345")).await.status, 413);
    assert_eq!(agent.refused("body_too_large"), 1.0);
}

#[tokio::test]
async fn more_parameters_than_any_question_needs_are_refused() {
    let agent = Agent::start(config()).await;
    assert_eq!(agent.get(&format!("/api/v1/labels?{}", "a&".repeat(900))).await.status, 200);
    let many = "a&".repeat(2000);
    let head =
        "POST /api/v1/labels HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/x-www-form-urlencoded\r\n";
    assert_eq!(agent.ask(&format!("{head}Content-Length: {}\r\n\r\n{many}", many.len())).await.status, 400);
    assert_eq!(agent.refused("malformed"), 1.0);
}

#[tokio::test]
async fn a_slow_head_is_cut_off_and_an_idle_connection_closed_without_blame() {
    let agent = Agent::start(Config { header_timeout: millis(50), ..config() }).await;
    let mut idle = agent.connect().await;
    idle.write_all(b"GET /livez HTTP/1.1\r\n\r\n").await.expect("sent");
    assert_eq!(Answer::read(&mut idle).await.status, 200);
    agent.has_no_connection().await;
    assert_eq!(agent.refused("header_timeout"), 0.0);

    let mut slow = agent.connect().await;
    slow.write_all(b"GET /livez HT").await.expect("sent");
    let mut rest = Vec::new();
    timeout(PATIENCE, slow.read_to_end(&mut rest)).await.expect("closed").expect("without a reset");
    agent.has_refused("header_timeout").await;
}

#[tokio::test]
async fn a_body_that_never_comes_is_not_waited_for() {
    let agent = Agent::start(Config { request_timeout: millis(50), ..config() }).await;
    let answer = agent
        .ask("POST /api/v1/query HTTP/1.1\r\nConnection: close\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 9\r\n\r\nquery=")
        .await;
    assert_eq!((answer.status, answer.json()["errorType"].as_str()), (503, Some("timeout")));
}

#[tokio::test]
async fn garbage_is_counted_and_leaves_the_agent_serving() {
    let agent = Agent::start(config()).await;
    let mut state: u64 = 0x9e37_79b9_7f4a_7c15;
    for _ in 0..20 {
        let garbage: Vec<u8> = (0..10_000)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                state.to_be_bytes()[0]
            })
            .collect();
        let mut stream = agent.connect().await;
        // The agent may close while this is being sent.
        let _sent = stream.write_all(&garbage).await;
        let _closed = timeout(PATIENCE, stream.read_to_end(&mut Vec::new())).await.expect("closed");
    }
    assert_eq!(agent.get("/livez").await.status, 200);
    agent.has_refused("malformed").await;
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_for_room() {
    let agent = Agent::start(Config { connections_max: 1, ..config() }).await;
    let mut first = agent.connect().await;
    first.write_all(b"GET /livez HTTP/1.1\r\n\r\n").await.expect("sent");
    let mut some = [0; 12];
    first.read_exact(&mut some).await.expect("an answer");
    let second = agent.get("/livez");
    tokio::pin!(second);
    assert!(timeout(Duration::from_millis(50), second.as_mut()).await.is_err(), "served beyond the limit");
    drop(first);
    assert_eq!(second.await.status, 200);
}

/// A history that answers only once it is let go, and panics when asked for label names.
#[derive(Default)]
struct Stuck {
    open: Mutex<bool>,
    opened: Condvar,
    /// How often it was asked for series.
    asked: AtomicUsize,
}

impl Stuck {
    fn wait(&self) {
        let open = self.open.lock().expect("unpoisoned");
        drop(self.opened.wait_timeout_while(open, PATIENCE, |open| !*open).expect("unpoisoned"));
    }

    fn release(&self) {
        *self.open.lock().expect("unpoisoned") = true;
        self.opened.notify_all();
    }
}

impl Query for Stuck {
    fn visit(&self, _: &[Matcher], _: Timestamp, _: Timestamp, _: Visit<'_>) -> Result<(), QueryError> {
        Ok(())
    }
    fn series(&self, _: &[Matcher], _: Timestamp, _: Timestamp) -> Result<Vec<Labels>, QueryError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        self.wait();
        Ok(Vec::new())
    }
    fn label_names(&self, _: &[Matcher], _: Timestamp, _: Timestamp) -> Result<Vec<String>, QueryError> {
        panic!("on purpose")
    }
    fn label_values(&self, _: &str, _: &[Matcher], _: Timestamp, _: Timestamp) -> Result<Vec<String>, QueryError> {
        Err(QueryError::Unavailable { reason: "the disk is gone".into() })
    }
}

#[tokio::test]
async fn a_stuck_query_times_out_keeps_its_turn_and_holds_up_nobody_else() {
    let stuck = Arc::new(Stuck::default());
    let config = Config { request_timeout: millis(100), query_concurrency: 1, ..config() };
    let agent = Agent::over(config, Telemetry::new(), Arc::clone(&stuck) as Arc<dyn Query>).await;
    for _ in 0..2 {
        let late = agent.get("/api/v1/series?match[]=up").await;
        assert_eq!((late.status, late.json()["errorType"].as_str()), (503, Some("timeout")));
    }
    assert_eq!(agent.get("/api/v1/query?query=1").await.status, 503, "the only turn is taken");
    assert_eq!(agent.get("/livez").await.status, 200);
    assert_eq!(agent.get("/metrics").await.status, 200);
    assert_eq!(agent.refused("timeout"), 3.0);
    stuck.release();
    let freed = async { while agent.get("/api/v1/query?query=1").await.status != 200 {} };
    timeout(PATIENCE, freed).await.expect("the turn is given back");
}

#[tokio::test]
async fn an_asker_may_wait_less_and_what_nobody_waits_for_is_given_up() {
    let stuck = Arc::new(Stuck::default());
    let agent = Agent::over(Config { query_concurrency: 1, ..config() }, Telemetry::new(), Arc::clone(&stuck) as Arc<dyn Query>).await;
    let selectors = "match[]=a&".repeat(100);
    assert_eq!(agent.get(&format!("/api/v1/series?{selectors}timeout=50ms")).await.status, 503);
    stuck.release();
    // The only turn is given back when the work has ended.
    assert_eq!(agent.get("/api/v1/query?query=1").await.status, 200);
    assert_eq!(stuck.asked.load(Ordering::Relaxed), 1, "of a hundred selectors");

    let Found::Route(route, segment) = find(&hyper::Method::GET, "/api/v1/series") else { panic!("a route") };
    let params = Params::parse("match[]=up", b"");
    let (accept, at, queued, stage) = (None, clock::now(), Duration::ZERO, Stage::Running);
    let call = Call { params, segment, accept, at, queued, stage, given_up: Arc::default() };
    let given_up = Arc::clone(&call.given_up);
    *stuck.open.lock().expect("unpoisoned") = false;
    assert!(timeout(Duration::ZERO, agent.server.take_turn(route, call, None, &Arc::default())).await.is_err());
    assert!(given_up.load(Ordering::Relaxed));
    stuck.release();
}

#[tokio::test]
async fn what_a_client_has_asked_who_is_gone_is_given_up() {
    let stuck = Arc::new(Stuck::default());
    let agent = Agent::over(Config { query_concurrency: 1, ..config() }, Telemetry::new(), Arc::clone(&stuck) as Arc<dyn Query>).await;
    let mut client = agent.connect().await;
    let selectors = "match[]=a&".repeat(100);
    client.write_all(format!("GET /api/v1/series?{selectors} HTTP/1.1\r\n\r\n").as_bytes()).await.expect("sent");
    until(|| stuck.asked.load(Ordering::Relaxed) == 1).await;
    drop(client);
    agent.has_no_connection().await;
    stuck.release();
    assert_eq!(agent.get("/api/v1/query?query=1").await.status, 200);
    assert_eq!(stuck.asked.load(Ordering::Relaxed), 1, "of a hundred selectors");
}

#[tokio::test]
async fn a_panic_or_an_error_of_history_is_an_answer() {
    let agent = Agent::over(config(), Telemetry::new(), Arc::new(Stuck::default())).await;
    let panicked = agent.get("/api/v1/labels").await;
    assert_eq!((panicked.status, panicked.json()["errorType"].as_str()), (500, Some("internal")));
    let unavailable = agent.get("/api/v1/label/job/values").await;
    assert_eq!(unavailable.status, 503);
    assert!(unavailable.text().contains("the disk is gone"));
}

#[tokio::test]
async fn readiness_follows_the_board() {
    let agent = Agent::start(config()).await;
    agent.board.require("rules");
    let waiting = agent.get("/readyz").await;
    assert_eq!((waiting.status, waiting.text()), (503, "not ready\n[-] rules starting\n"));
    agent.board.report("rules", Condition::Ok, "8 groups", clock::now());
    let ready = agent.get("/readyz?verbose").await;
    assert_eq!(ready.status, 200);
    assert!(ready.text().contains(&format!("\n[+] http ok: {} ", agent.addresses[0])), "{}", ready.text());
    assert!(ready.text().contains("\n[+] rules ok: 8 groups\n"), "{}", ready.text());
}

#[tokio::test]
async fn it_says_stopping_while_others_drain_and_finishes_what_it_has_begun() {
    let agent = Agent::start(config()).await;
    agent.supervisor.enter(Stage::Draining);
    let answer = agent.get("/-/ready").await;
    assert_eq!((answer.status, answer.text()), (503, "stopping\n"));

    let mut begun = agent.connect().await;
    begun
        .write_all(b"POST /api/v1/query HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded\r\nExpect: 100-continue\r\nContent-Length: 7\r\n\r\n")
        .await
        .expect("sent");
    // The agent asks for the body once it is waiting for it: the request has begun.
    let mut interim = [0; 25];
    begun.read_exact(&mut interim).await.expect("100 Continue");
    agent.supervisor.enter(Stage::Stopping);
    let Address::Tcp { host, port } = &agent.addresses[0] else { panic!("TCP") };
    begun.write_all(b"query=1").await.expect("sent");
    let finished = Answer::read(&mut begun).await;
    assert_eq!(finished.status, 200);
    assert!(finished.has("connection: close"), "{}", finished.head);
    assert!(agent.supervisor.finish(PATIENCE).await.is_empty());
    assert!(TcpStream::connect((host.as_str(), *port)).await.is_err(), "still listening");
    assert_eq!(agent.number("sidewatch_http_connections", &[]), 0.0);
}
