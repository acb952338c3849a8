//! What a series takes: memory that the process has resident, with 100,000 series of which each has labels of 60 bytes. This
//! program looks at itself, so it has one test only.
#![allow(clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test may fail")]

use std::alloc::System;
use std::fs;
use std::sync::Arc;

use sidewatch::model::{Change, Distinct, Exemplar, Histogram, Labels, MetricType, SeriesKey, Timestamp, TraceId, Value};
use sidewatch::registry::{Config, Pending, Registry};
use sidewatch::telemetry::Telemetry;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const SERIES: usize = 100_000;
/// Where series are large.
const FEW: usize = 2000;
const COUNTER_BYTES: f64 = 400.0;
const HISTOGRAM_BYTES: f64 = 4096.0;
/// What the allocator and the pages add by chance.
const MARGIN: f64 = 1.1;

/// How far what is counted against the budget may be from what is taken.
const COUNTED_OFF: f64 = 0.15;
/// What the allocator takes for a piece of memory beside what it was asked for: eight bytes of its own, and as many on average
/// to the next multiple of sixteen.
const PIECE_BYTES: f64 = 16.0;

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

/// What a series takes.
struct Taken {
    resident: f64,
    /// Of the allocator, with what it takes itself.
    asked: f64,
    /// Against the budget.
    counted: f64,
}

/// Fills a registry with so many series of this name, each by these changes one after the other, and answers it with the
/// bytes that each series then takes.
fn fill(name: &str, series_max: usize, changes: impl Fn(usize) -> Vec<Arc<Change>>) -> (Arc<Registry>, Taken) {
    let telemetry = Telemetry::new();
    let limits = Config { series_max, series_per_metric_max: series_max, bytes_max: usize::MAX, ..Config::default() };
    let registry = Registry::new(&limits, &telemetry);
    let name: Arc<str> = Arc::from(name);
    let (before, region) = (resident(), Region::new(ALLOCATOR));
    for series in 0..series_max {
        let mut merge = registry.merge(1, Timestamp::from_millis(1));
        let mut place = None;
        for change in changes(series) {
            let kind = match *change {
                Change::Observe(_) => MetricType::Histogram,
                Change::Members(_) => MetricType::Gauge,
                _ => MetricType::Counter,
            };
            let pending = place.get_or_insert_with(|| {
                Pending::new(SeriesKey { name: Arc::clone(&name), kind, labels: labels(series) }, (*change).clone())
            });
            pending.change = (*change).clone();
            pending.events = 1;
            merge.apply(pending).expect("there is room");
        }
    }
    let (after, change) = (resident(), region.change());
    let pieces = change.allocations as f64 - change.deallocations as f64;
    let asked = change.bytes_allocated as f64 - change.bytes_deallocated as f64 + pieces * PIECE_BYTES;
    let [resident, asked, counted] = [after - before, asked, counted(&telemetry)].map(|bytes| bytes / series_max as f64);
    println!("a series of {name}: {resident:.0} bytes resident, {asked:.0} taken by the allocator, {counted:.0} counted");
    assert!((counted / asked - 1.0).abs() < COUNTED_OFF, "the budget counts what is taken");
    (registry, Taken { resident, asked, counted })
}

/// What the registry says that it takes.
fn counted(telemetry: &Telemetry) -> f64 {
    let family = telemetry.families().into_iter().find(|family| &*family.name == "sidewatch_registry_bytes").expect("a metric");
    family.series.iter().map(|series| if let Value::Number(bytes) = series.value { bytes } else { f64::NAN }).sum()
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
    let near = |taken: &Taken| (taken.counted / taken.resident - 1.0).abs() < COUNTED_OFF;
    let (counters, taken) = fill("sized_total", SERIES, |_| vec![Arc::new(Change::Count(1.0)), Arc::new(Change::Count(2.0))]);
    assert!(taken.resident <= COUNTER_BYTES * MARGIN && near(&taken));

    let piece = |series: usize, step: usize| Arc::clone(&pieces[series * step % pieces.len()]);
    let (histograms, taken) = fill("sized_seconds", SERIES, |series| [1, 2].map(|step| piece(series + 1, step)).to_vec());
    assert!(taken.resident <= HISTOGRAM_BYTES * MARGIN && near(&taken));

    let mut exemplified = histogram(&bounds, &mut random, 10);
    let exemplar = Exemplar { trace_id: TraceId::new("t").expect("short"), value: 0.01, at: Timestamp::from_millis(1) };
    exemplified.exemplify(exemplar);
    let exemplified = Arc::new(Change::Observe(exemplified));
    let (_, taken) = fill("exemplified_seconds", FEW, |_| vec![Arc::clone(&exemplified)]);
    assert!(taken.asked > 500.0, "with room for exemplars");

    for (name, count, least) in [("few", 20, 200.0), ("many", 10_000, 4000.0)] {
        let mut members = Distinct::default();
        (0..count).for_each(|member: u64| members.insert(member.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
        let members = Arc::new(Change::Members(members));
        let (_, taken) = fill(name, FEW, |_| vec![Arc::clone(&members)]);
        assert!(taken.asked > least, "with its members");
    }

    // Both have lived until now, so that the second could not use what the first had left behind.
    for registry in [counters, histograms] {
        let families = registry.families();
        assert_eq!(families.iter().map(|family| family.series.len()).sum::<usize>(), SERIES);
    }
}
