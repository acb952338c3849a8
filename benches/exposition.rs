//! How long it takes to write `/metrics`: `cargo bench --bench exposition`.
#![allow(missing_docs, clippy::unwrap_used)]

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use sidewatch::exposition::{Format, write};
use sidewatch::model::{Family, Histogram, Labels, MetricType, Origin, Series, Value};

/// Sample lines: nine in ten are counters with four labels, the rest histograms of eight lines each.
fn families(lines: usize) -> Vec<Family> {
    let mut counters = Family::new("app_requests_total", MetricType::Counter, "Requests.", Origin::Events);
    for n in 0..lines * 9 / 10 {
        let labels =
            Labels::from_pairs([("method", "GET"), ("route", &format!("/items/{n}")), ("service_name", "shop"), ("status", "200")]);
        counters.push(labels, n as f64 * 1.5);
    }
    let bounds: Arc<[f64]> = Arc::from([0.005, 0.05, 0.25, 1.0, 5.0]);
    let mut latency = Family::new("app_seconds", MetricType::Histogram, "Seconds.", Origin::Events);
    for n in 0..lines / 80 {
        let mut histogram = Histogram::new(Arc::clone(&bounds));
        histogram.observe(n as f64 / 1000.0, 3);
        let labels = Labels::from_pairs([("route", format!("/items/{n}"))]);
        latency.series.push(Series { labels, value: Value::Histogram(histogram) });
    }
    vec![counters, latency]
}

fn exposition(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("exposition");
    for lines in [10_000, 100_000] {
        let families = families(lines);
        group.throughput(Throughput::Elements(lines as u64));
        for format in [Format::Text004, Format::OpenMetrics100] {
            group.bench_function(BenchmarkId::new(format!("{format:?}"), lines), |bencher| {
                let mut out = Vec::new();
                bencher.iter(|| {
                    out.clear();
                    write(format, black_box(&families), &mut out);
                    black_box(out.len())
                });
            });
        }
    }
    group.finish();
}

criterion_group!(benches, exposition);
criterion_main!(benches);
