//! What a series takes: memory that the process has resident, with 100,000 series of which each has labels of 60 bytes. This
//! program looks at itself, so it has one test only.
#![allow(clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test may fail")]

use std::alloc::System;
use std::fs;
use std::sync::Arc;

use sidewatch::model::{Change, Histogram, Labels, MetricType, SeriesKey, Timestamp};
use sidewatch::registry::{Config, Pending, Registry};
use sidewatch::telemetry::Telemetry;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const SERIES: usize = 100_000;
const COUNTER_BYTES: f64 = 400.0;
const HISTOGRAM_BYTES: f64 = 4096.0;
/// What the allocator and the pages add by chance.
const MARGIN: f64 = 1.1;

/// Bytes that this process has resident.
fn resident() -> f64 {
    let status = fs::read_to_string("/proc/self/status").expect("a process has a status");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("with its memory");
    1024.0 * line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).unwrap_or(f64::NAN)
}

/// Three labels of 60 bytes in all, names and values.
fn labels(series: usize) -> Labels {
    let route = format!("/api/v1/items/{series:012}");
    let labels = [("method", "GET"), ("route", route.as_str()), ("status_code", "200000000")];
    assert_eq!(labels.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>(), 60);
    Labels::from_pairs(labels)
}

/// Fills a registry with `SERIES` series of this name, each by these changes one after the other, and answers it with the
/// bytes that each series then takes: resident, and asked of the allocator.
fn fill(name: &str, changes: impl Fn(usize) -> Vec<Arc<Change>>) -> (Arc<Registry>, f64, f64) {
    let telemetry = Telemetry::new();
    let limits = Config { series_max: SERIES, series_per_metric_max: SERIES, ..Config::default() };
    let registry = Registry::new(&limits, &telemetry);
    let name: Arc<str> = Arc::from(name);
    let (before, region) = (resident(), Region::new(ALLOCATOR));
    for series in 0..SERIES {
        let mut merge = registry.merge(1, Timestamp::from_millis(1));
        let mut place = None;
        for change in changes(series) {
            let kind = if matches!(*change, Change::Observe(_)) { MetricType::Histogram } else { MetricType::Counter };
            let pending = place.get_or_insert_with(|| {
                Pending::new(SeriesKey { name: Arc::clone(&name), kind, labels: labels(series) }, (*change).clone())
            });
            pending.change = (*change).clone();
            pending.events = 1;
            merge.apply(pending).expect("there is room");
        }
    }
    let (after, change) = (resident(), region.change());
    let asked = change.bytes_allocated as f64 - change.bytes_deallocated as f64;
    (registry, (after - before) / SERIES as f64, asked / SERIES as f64)
}

/// Log-normal observations, σ = 1, the same in every run.
fn histogram(bounds: &Arc<[f64]>, random: &mut u64, observations: usize) -> Histogram {
    let mut unit = || {
        *random ^= *random << 13;
        *random ^= *random >> 7;
        *random ^= *random << 17;
        ((*random >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    };
    let mut histogram = Histogram::with_exponential(Arc::clone(bounds));
    for _ in 0..observations {
        let normal = (-2.0 * unit().ln()).sqrt() * (std::f64::consts::TAU * unit()).cos();
        histogram.observe(normal.exp(), 1);
    }
    histogram
}

#[test]
fn a_counter_takes_400_bytes_at_most_and_a_histogram_4_kibibytes() {
    // All of 100,000,000 observations would take long; pieces of 500 are put together in ever other ways.
    let bounds = Registry::new(&Config::default(), &Telemetry::new()).bounds("sized_seconds");
    let mut random = 0x2545_f491_4f6c_dd1d;
    let pieces: Vec<Arc<Change>> = (0..101).map(|_| Arc::new(Change::Observe(histogram(&bounds, &mut random, 500)))).collect();
    let (counters, resident, asked) = fill("sized_total", |_| vec![Arc::new(Change::Count(1.0)), Arc::new(Change::Count(2.0))]);
    println!("a counter series: {resident:.0} bytes resident, {asked:.0} asked of the allocator; at most {COUNTER_BYTES}");
    assert!(resident <= COUNTER_BYTES * MARGIN);

    let piece = |series: usize, step: usize| Arc::clone(&pieces[series * step % pieces.len()]);
    let (histograms, resident, asked) = fill("sized_seconds", |series| [1, 2].map(|step| piece(series + 1, step)).to_vec());
    println!("a histogram series: {resident:.0} bytes resident, {asked:.0} asked of the allocator; at most {HISTOGRAM_BYTES}");
    assert!(resident <= HISTOGRAM_BYTES * MARGIN);

    // Both have lived until now, so that the second could not use what the first had left behind.
    for registry in [counters, histograms] {
        let families = registry.families();
        assert_eq!(families.iter().map(|family| family.series.len()).sum::<usize>(), SERIES);
    }
}
