//! How long it takes to write `/metrics`: `cargo bench --bench exposition`. The figures are per line.
#![allow(missing_docs, clippy::unwrap_used)]

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use sidewatch::exposition::{Format, Names, Writer};
use sidewatch::model::{Exemplar, Family, Histogram, Labels, MetricType, Origin, Series, Timestamp, TraceId, Value};

/// So many series are handed on in one piece.
const PIECE: usize = 1024;

/// Four labels of about 60 bytes together.
fn labels(number: usize) -> Labels {
    let route = format!("/items/{number}");
    Labels::from_pairs([("method", "GET"), ("route", &route), ("service_name", "shop"), ("status", "200")])
}

/// Counters of whole numbers, as they are when events are counted, or of fractions, as they are when seconds add up.
fn counters(lines: usize, step: f64) -> Family {
    let mut family = Family::new("app_requests_total", MetricType::Counter, "Requests.", Origin::Events);
    for number in 0..lines {
        family.push(labels(number), 1000.0 + number as f64 * step);
    }
    family
}

/// Histograms with the default buckets, 17 lines each, one exemplar in four buckets.
fn histograms(lines: usize) -> Family {
    let bounds: Arc<[f64]> = Arc::from([0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0]);
    let mut family = Family::new("app_seconds", MetricType::Histogram, "Seconds.", Origin::Events);
    for number in 0..lines / (bounds.len() + 3) {
        let mut histogram = Histogram::new(Arc::clone(&bounds));
        for (bucket, bound) in bounds.iter().enumerate() {
            histogram.observe(*bound, number as u64 % 1000);
            if bucket % 4 == 0 {
                let trace_id = TraceId::new("4bf92f3577b34da6a3ce929d0e0e4736").unwrap();
                histogram.exemplify(Exemplar { trace_id, value: *bound, at: Timestamp::from_millis(1_520_879_607_789) });
            }
        }
        family.series.push(Series { labels: labels(number), value: Value::Histogram(histogram) });
    }
    family
}

/// Writes a family a piece at a time, as `/metrics` does.
fn write(format: Format, family: &Family, piece: &mut Vec<u8>) -> usize {
    let mut writer = Writer::new(format, Names::from_iter([(Arc::clone(&family.name), family.kind)]));
    let mut bytes = 0;
    let mut hand_on = |writer: &mut Writer| {
        writer.swap(piece);
        bytes += black_box(&*piece).len();
        piece.clear();
        writer.swap(piece);
    };
    hand_on(&mut writer);
    writer.family(&family.name, family.kind, &family.help);
    for some in family.series.chunks(PIECE) {
        for series in some {
            match &series.value {
                Value::Number(value) => writer.number(&series.labels, *value),
                Value::Histogram(histogram) => writer.histogram(&series.labels, histogram),
                Value::Summary(summary) => writer.summary(&series.labels, summary),
            }
        }
        hand_on(&mut writer);
    }
    writer.end();
    hand_on(&mut writer);
    bytes
}

fn exposition(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("exposition");
    for lines in [10_000, 100_000] {
        group.throughput(Throughput::Elements(lines as u64));
        for (name, family) in [("whole", counters(lines, 3.0)), ("fractions", counters(lines, 0.37)), ("histograms", histograms(lines))] {
            for format in [Format::Text004, Format::OpenMetrics100] {
                group.bench_function(BenchmarkId::new(format!("{name}/{format:?}"), lines), |bencher| {
                    let mut piece = Vec::new();
                    bencher.iter(|| write(format, black_box(&family), &mut piece));
                });
            }
        }
    }
    group.finish();
}

criterion_group!(benches, exposition);
criterion_main!(benches);
