//! In the steady state a sample that history takes in costs no allocation: only a chunk that is sealed does, which is one in some
//! hundred samples. This program counts what all of it allocates, so it has one test only.
#![allow(clippy::expect_used, clippy::panic, reason = "a test may fail")]

use std::alloc::System;

use sidewatch::history::{Append, Config, History};
use sidewatch::model::{Labels, PromDuration, Timestamp, Value};
use sidewatch::telemetry::Telemetry;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const SERIES: usize = 200;
/// Ticks until chunks have been sealed and let go for as long as history is kept.
const BEFORE: i64 = 1500;
const MEASURED: i64 = 500;

fn sealed(telemetry: &Telemetry) -> f64 {
    let families = telemetry.families();
    let family = families.iter().find(|family| &*family.name == "sidewatch_history_chunks_sealed_total").expect("registered");
    match family.series.first().map(|series| &series.value) {
        Some(Value::Number(sealed)) => *sealed,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_sample_of_a_known_series_allocates_nothing() {
    let telemetry = Telemetry::new();
    // Nothing is thinned, which is work for whole chunks as well, once a minute.
    let (retention, thinned_retention) = (PromDuration::from_secs(3600), PromDuration::from_secs(0));
    let history = History::new(&Config { retention, thinned_retention, ..Config::default() }, &telemetry);
    let mut samples: Vec<(Labels, f64)> =
        (0..SERIES).map(|series| (Labels::from_pairs([("__name__", "m"), ("l", &series.to_string())]), 0.0)).collect();
    let (mut plain, mut all, mut seals, mut random) = (0, 0, 0.0, 0x9e37_79b9_u32);
    for tick in 0..BEFORE + MEASURED {
        for (_, value) in &mut samples {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *value += f64::from(random >> 24);
        }
        let before = sealed(&telemetry);
        let region = Region::new(ALLOCATOR);
        let appended = history.append(Timestamp::from_millis(5000 * tick), &samples);
        let change = region.change();
        assert_eq!(appended.stored, SERIES as u64);
        if tick >= BEFORE {
            let chunks = sealed(&telemetry) - before;
            let allocations = change.allocations + change.reallocations;
            all += allocations;
            seals += chunks;
            if chunks == 0.0 {
                plain += 1;
                assert_eq!(allocations, 0, "tick {tick}: {change:?}");
            }
        }
    }
    let stored = SERIES as f64 * MEASURED as f64;
    println!(
        "{stored} samples: 0 allocations in {plain} ticks without a seal; {all} for {seals} chunks, {:.4} a sample",
        all as f64 / stored
    );
    assert!(plain > MEASURED / 4, "{plain} ticks without a seal");
    assert!((all as f64) < 0.2 * stored, "{all} allocations for {seals} chunks");
}
