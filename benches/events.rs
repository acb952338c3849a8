//! What an event costs from the bytes of its line to the registry, without a socket: `cargo bench --bench events`.
#![allow(missing_docs, clippy::expect_used, clippy::indexing_slicing, reason = "a benchmark may fail")]

use std::fmt::Write;
use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sidewatch::ingest::{Config, Probe, Transport};
use sidewatch::model::Timestamp;
use sidewatch::registry;

const LINES: u32 = 10_000;

/// Lines of one kind over 200 label sets, the same in every run.
fn lines(kind: &str) -> String {
    let mut lines = String::new();
    for number in 0..LINES {
        let mixed = number.wrapping_mul(2_654_435_761) >> 8;
        let (route, method, status) = (mixed % 25, ["GET", "POST"][mixed as usize / 25 % 2], [200, 201, 404, 500][mixed as usize / 50 % 4]);
        let millis = f64::from(mixed / 200 % 20_000) / 1000.0;
        let tags = format!("#route:/api/v1/r{route:02},method:{method},status:{status}");
        match kind {
            "counter" => writeln!(lines, "http.requests:1|c|{tags}"),
            "gauge" => writeln!(lines, "queue.depth:{millis}|g|{tags}"),
            "timer" => writeln!(lines, "http.request.duration:{millis}|ms|{tags}"),
            "packed timers" => writeln!(lines, "http.request.duration:{millis}:1.5:2.25:17.125|ms|{tags}"),
            "sampled timer" => writeln!(lines, "http.request.duration:{millis}|ms|@0.5|{tags}"),
            "JSON count" => writeln!(
                lines,
                r#"{{"kind":"count","name":"http_requests","value":1,"tags":{{"route":"/api/v1/r{route:02}","method":"{method}","status":"{status}"}}}}"#
            ),
            _ => writeln!(
                lines,
                "{{\"kind\":\"request\",\"service\":\"shop\",\"method\":\"{method}\",\"route\":\"/api/v1/r{route:02}\",\"status\":{status},\
                 \"duration_ms\":{millis},\"bytes_out\":{mixed},\"trace_id\":\"4bf92f3577b34da6a3ce929d{mixed:08x}\"}}"
            ),
        }
        .expect("a string takes everything");
    }
    lines
}

fn events(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("a line");
    group.throughput(Throughput::Elements(u64::from(LINES)));
    let at = Timestamp::from_millis(1_000_000);
    for kind in ["counter", "gauge", "timer", "packed timers", "sampled timer", "JSON count", "JSON request"] {
        let lines = lines(kind);
        let probe = Probe::new(&Config::default(), &registry::Config::default());
        let mut sender = probe.sender(Transport::Stream);
        group.bench_function(kind, |bencher| {
            bencher.iter(|| {
                for chunk in lines.as_bytes().chunks(65_536) {
                    sender.send(black_box(chunk), at);
                }
                sender.flush(at);
            });
        });
    }
    group.finish();
}

criterion_group!(benches, events);
criterion_main!(benches);
