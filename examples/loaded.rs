//! Holds an hour of many series without waiting for it, and serves the query API over it; `benches/query.sh` uses it. What
//! the series hold is written to a Prometheus first, where one is named:
//! `cargo run --release --example loaded -- --series 10000 --listen 127.0.0.1:9500 --prometheus 127.0.0.1:9090`.
//!
//! History, engine and HTTP are the agent's own; the recorder, collectors, sockets and rules of an agent are not there.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    reason = "a program of its own for measurements, with a clock of its own"
)]

#[allow(dead_code, reason = "it only writes")]
#[path = "../tests/e2e/stage/http.rs"]
mod http_client;
#[path = "../tests/remote_write/mod.rs"]
mod remote_write;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Parser;
use remote_write::Message;
use sidewatch::health::{HealthState, Report};
use sidewatch::history::{self, Append, History};
use sidewatch::model::{Labels, PromDuration, Timestamp};
use sidewatch::promql::{Engine, EngineConfig};
use sidewatch::recorder::Identity;
use sidewatch::registry::{self, Registry};
use sidewatch::runtime::{Board, Policy, Supervisor};
use sidewatch::telemetry::Telemetry;
use sidewatch::{clock, http};
use tokio::sync::watch;

const STEP_MS: i64 = 5_000;
const SLOTS: i64 = 720;
/// Series and slots of one message to Prometheus.
const SERIES_A_MESSAGE: usize = 2_000;
const SLOTS_A_MESSAGE: i64 = 120;

#[derive(Parser)]
struct Arguments {
    /// How many series; a multiple of 500.
    #[arg(long)]
    series: usize,
    /// Where to serve.
    #[arg(long)]
    listen: String,
    /// A Prometheus with a remote-write receiver that gets the same samples.
    #[arg(long)]
    prometheus: Option<SocketAddr>,
}

/// A series and how it moves.
struct Moving {
    labels: Labels,
    base: f64,
    a_second: f64,
    is_gauge: bool,
}

impl Moving {
    fn value(&self, seconds: f64) -> f64 {
        if self.is_gauge {
            // Four decimals, as an application would show them.
            ((self.base + self.a_second * (seconds / 60.0 + self.base * 7.0).sin()) * 1e4).round() / 1e4
        } else {
            (self.base + self.a_second * seconds).floor()
        }
    }
}

/// For every 500: 100 gauges, 150 counters of requests, 25 histograms of eight buckets, a sum and a count.
fn moving(series: usize) -> Vec<Moving> {
    let mut state = 42_u64;
    let mut chance = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as f64 / f64::from(1_u32 << 31)
    };
    let mut all = Vec::with_capacity(series);
    let mut add = |name: &str, pairs: &[(&str, &str)], base: f64, a_second: f64, is_gauge: bool| {
        let labels = Labels::from_pairs(pairs.iter().copied().chain([("__name__", name)]));
        all.push(Moving { labels, base, a_second, is_gauge });
    };
    for service in 0..series / 500 {
        let service = format!("svc{service:03}");
        for pool in 0..100 {
            add("app_pool_utilization", &[("service", &service), ("pool", &format!("p{pool:02}"))], chance(), 0.2, true);
        }
        for (route, method, code) in
            (0..150).map(|n| (n / 15, ["GET", "POST", "PUT"][n / 5 % 3], ["200", "201", "304", "404", "500"][n % 5]))
        {
            let route = format!("/api/v1/r{route:02}");
            let pairs = [("service", service.as_str()), ("route", &route), ("method", method), ("code", code)];
            add("http_requests_total", &pairs, 1e6 * chance(), 20.0 * chance(), false);
        }
        for route in 0..25 {
            let (route, base, rate) = (format!("/api/v1/r{route:02}"), 1e6 * chance(), 50.0 * chance());
            let of = [("service", service.as_str()), ("route", route.as_str())];
            for (le, share) in
                [("0.005", 0.1), ("0.01", 0.3), ("0.05", 0.6), ("0.1", 0.8), ("0.5", 0.95), ("1", 0.98), ("5", 0.995), ("+Inf", 1.0)]
            {
                let pairs = [of[0], of[1], ("le", le)];
                add("http_request_duration_seconds_bucket", &pairs, base * share, rate * share, false);
            }
            add("http_request_duration_seconds_sum", &of, base * 0.04, rate * 0.04, false);
            add("http_request_duration_seconds_count", &of, base, rate, false);
        }
    }
    all
}

fn write(prometheus: SocketAddr, all: &[Moving], begin_ms: i64) {
    for slot in (0..SLOTS).step_by(SLOTS_A_MESSAGE as usize) {
        for some in all.chunks(SERIES_A_MESSAGE) {
            let mut message = Message::default();
            for series in some {
                let samples =
                    (slot..slot + SLOTS_A_MESSAGE).map(|slot| (begin_ms + slot * STEP_MS, series.value((slot * STEP_MS / 1000) as f64)));
                message.add(series.labels.iter(), samples);
            }
            let answer = http_client::post(prometheus, "/api/v1/write", Message::HEADERS, &message.compressed()).unwrap();
            assert!((200..300).contains(&answer.status), "{}: {}", answer.status, answer.body);
        }
    }
}

fn load(history: &History, all: &[Moving], begin_ms: i64) {
    let mut samples: Vec<(Labels, f64)> = all.iter().map(|series| (series.labels.clone(), 0.0)).collect();
    for slot in 0..SLOTS {
        for ((_, value), series) in samples.iter_mut().zip(all) {
            *value = series.value((slot * STEP_MS / 1000) as f64);
        }
        let appended = history.append(Timestamp::from_millis(begin_ms + slot * STEP_MS), &samples);
        assert_eq!(appended.refused(), 0, "{appended:?}");
    }
}

#[tokio::main]
async fn main() {
    let arguments = Arguments::parse();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    let end_ms = i64::try_from(now).unwrap() / STEP_MS * STEP_MS;
    let begin_ms = end_ms - (SLOTS - 1) * STEP_MS;
    let all = moving(arguments.series);
    if let Some(prometheus) = arguments.prometheus {
        write(prometheus, &all, begin_ms);
    }

    let telemetry = Telemetry::new();
    // More than fits, so that nothing is dropped.
    let kept = history::Config { bytes_max: 16 << 30, series_max: all.len(), ..history::Config::default() };
    let history = History::new(&kept, &telemetry);
    load(&history, &all, begin_ms);
    drop(all);

    let (_rules, rules) = watch::channel(Arc::default());
    let report = Report { score: 100.0, state: HealthState::Healthy, at: clock::now(), http_status: 200, ..Report::default() };
    let (_health, health) = watch::channel(Arc::new(report));
    let board = Board::new();
    let limits = EngineConfig { samples_max: 200_000_000, timeout: PromDuration::from_secs(120), ..EngineConfig::default() };
    let source: Arc<dyn history::Query> = Arc::new(history.clone());
    let engine = Arc::new(Engine::new(Arc::clone(&source), limits));
    let registry = Registry::new(&registry::Config::default(), &telemetry);
    let at = clock::now();
    let about = http::About {
        started: at,
        folder: String::new(),
        host_name: String::new(),
        scrape_url: String::new(),
        alertmanagers: Vec::new(),
        identity: Identity { instance: String::new(), host_job: String::new(), events_job: String::new(), agent_job: String::new() },
        configuration: String::new(),
        loaded: at,
        load_succeeded: true,
        resolution: kept.resolution,
        retention: String::new(),
        flags: BTreeMap::new(),
    };
    let (_about, about) = watch::channel(Arc::new(about));
    let state = http::State { registry, telemetry: Arc::clone(&telemetry), history: source, engine, rules, health, board, about };
    let config = http::Config {
        listen: vec![arguments.listen.parse().unwrap()],
        request_timeout: PromDuration::from_secs(120),
        ..http::Config::default()
    };
    let bound = Arc::new(http::Bound::new(&config.listen).await.unwrap());
    let supervisor = Supervisor::new(&telemetry);
    let server = http::Server::new(&config, state);
    supervisor.spawn("http", Policy::Critical, move |context| http::run(Arc::clone(&server), Arc::clone(&bound), context));

    // The end of the hour, series, bytes that history accounts for.
    println!("{} {} {}", end_ms / 1000, history.series_count(), history.bytes());
    std::future::pending::<()>().await;
}
