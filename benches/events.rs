//! What an event costs from the bytes of its line to the registry, without a socket: `cargo bench --bench events`.
//! The time is that which the scheduler has given to the thread, so that a busy machine does not change it much.
#![allow(missing_docs, clippy::expect_used, clippy::indexing_slicing, reason = "a benchmark may fail")]

use std::fs;
use std::hint::black_box;
use std::time::Duration;

use criterion::measurement::{Measurement, ValueFormatter, WallTime};
use criterion::{Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use sidewatch::ingest::{Config, Probe, Transport};
use sidewatch::model::Timestamp;
use sidewatch::registry;

const AT: Timestamp = Timestamp::from_millis(1_800_000_000_000);
const EVENTS: usize = 10_000;

/// A line of each kind of sender, over 200 label sets; `set` is one of them, `event` the event's number.
type Line = fn(set: usize, event: usize) -> String;

const KINDS: [(&str, Line); 11] = [
    ("counter", |set, _| format!("http.requests:1|c|{}", tags(set))),
    ("gauge", |set, event| format!("queue.depth:{}|g|{}", millis(event), tags(set))),
    ("timer", |set, event| format!("http.request.duration:{}|ms|{}", millis(event), tags(set))),
    ("packed timers", |set, event| format!("http.request.duration:{}:1.5:2.25:17.125|ms|{}", millis(event), tags(set))),
    ("sampled timer", |set, event| format!("http.request.duration:{}|ms|@0.5|{}", millis(event), tags(set))),
    ("JSON request", |set, event| {
        let (method, status) = (["GET", "POST"][set % 2], [200, 201, 404, 500][set / 2 % 4]);
        format!(
            r#"{{"kind":"request","service":"shop","method":"{method}","route":"/api/v1/r{:02}","status":{status},"duration_ms":{}.{:03},"bytes_out":{},"trace_id":"{event:032x}"}}"#,
            set / 8,
            event % 11,
            event % 997,
            200 + event % 20_011,
        )
    }),
    ("JSON request as Python writes it", |set, event| {
        format!(
            r#"{{"kind": "request", "time": 1800000000.{event:06}, "service": "shop", "method": "GET", "route": "/api/v1/r{set:03}", "status": 200, "duration_s": 0.00{event:015}, "error": null}}"#
        )
    }),
    ("JSON request with an escape", |set, event| {
        format!(
            r#"{{"kind":"request","service":"shop","method":"GET","route":"\/api\/v1\/r{set:03}","status":200,"duration_ms":{}.5,"bytes_out":512}}"#,
            event % 11
        )
    }),
    ("JSON query", |set, event| {
        format!(
            r#"{{"kind":"query","service":"shop","system":"postgresql","statement":"SELECT * FROM orders WHERE id = $1","table":"t{set:03}","duration_us":{},"rows":{}}}"#,
            event % 5000,
            event % 20
        )
    }),
    ("JSON count with tags", |set, event| {
        format!(r#"{{"kind":"count","name":"orders","value":{},"tags":{{"shop":"s{set:03}","region":"eu"}}}}"#, event % 9)
    }),
    ("JSON request that begins and ends", |set, event| {
        let (id, method) = (event / 2, ["GET", "POST"][event / 2 % 2]);
        if event % 2 == 0 {
            format!(r#"{{"kind":"request","phase":"begin","request_id":"{id:032x}","service":"shop","method":"{method}"}}"#)
        } else {
            format!(
                r#"{{"kind":"request","request_id":"{id:032x}","service":"shop","method":"{method}","route":"/r{:03}","status":200,"duration_ms":3.25}}"#,
                set / 2
            )
        }
    }),
];

fn tags(set: usize) -> String {
    let (method, status) = (["GET", "POST"][set % 2], [200, 201, 404, 500][set / 2 % 4]);
    format!("#route:/api/v1/r{:02},method:{method},status:{status}", set / 8)
}

fn millis(event: usize) -> f64 {
    let mixed = u32::try_from(event).unwrap_or(0).wrapping_mul(2_654_435_761) >> 8;
    f64::from(mixed / 200 % 20_000) / 1000.0
}

/// Processor time of this thread. The kernel brings it up to date a few hundred times a second: samples have to be long.
struct Cpu(WallTime);

impl Measurement for Cpu {
    type Intermediate = Duration;
    type Value = Duration;

    fn start(&self) -> Duration {
        let schedstat = fs::read_to_string("/proc/thread-self/schedstat").expect("/proc/thread-self/schedstat");
        Duration::from_nanos(
            schedstat.split(' ').next().expect("/proc/thread-self/schedstat").parse().expect("/proc/thread-self/schedstat"),
        )
    }

    fn end(&self, start: Duration) -> Duration {
        self.start() - start
    }

    fn add(&self, one: &Duration, other: &Duration) -> Duration {
        *one + *other
    }

    fn zero(&self) -> Duration {
        Duration::ZERO
    }

    fn to_f64(&self, value: &Duration) -> f64 {
        value.as_nanos() as f64
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        self.0.formatter()
    }
}

fn events(criterion: &mut Criterion<Cpu>) {
    let mut group = criterion.benchmark_group("a line");
    group.sampling_mode(SamplingMode::Flat).sample_size(20).measurement_time(Duration::from_secs(6));
    group.throughput(Throughput::Elements(EVENTS as u64));
    for (name, line) in KINDS {
        let lines: String = (0..EVENTS).map(|event| line(event * 7919 % 200, event) + "\n").collect();
        let probe = Probe::new(&Config::default(), &registry::Config::default());
        let mut sender = probe.sender(Transport::Stream);
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                for chunk in lines.as_bytes().chunks(65_536) {
                    sender.send(black_box(chunk), AT);
                }
                sender.flush(AT);
            });
        });
        assert!(probe.counted("sidewatch_ingest_refused_total").is_empty(), "{name}");
    }
    group.finish();
}

criterion_group!(name = benches; config = Criterion::default().with_measurement(Cpu(WallTime)); targets = events);
criterion_main!(benches);
