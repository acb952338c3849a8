//! In the steady state an event costs no allocation: not its line, not its series, not the batch in which it reaches the
//! registry. This program counts what all of it allocates, so it has one test only.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::cast_possible_truncation, reason = "a test may fail")]

use std::alloc::System;
use std::fmt::Write;

use sidewatch::ingest::{Config, Probe, Sender, Transport};
use sidewatch::model::Timestamp;
use sidewatch::registry;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const LABEL_SETS: u64 = 50;
/// After so many observations a series has seen what it will see.
const OBSERVATIONS: u64 = 1000;

/// Numbers that are the same in every run (xorshift), and log-normal ones made of them (Box and Muller; σ = 1).
struct Random(u64);

impl Random {
    fn unit(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((self.0 >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }

    fn log_normal(&mut self) -> f64 {
        ((-2.0 * self.unit().ln()).sqrt() * (std::f64::consts::TAU * self.unit()).cos()).exp()
    }
}

/// Lines with `rounds` events of every kind for each label set, in this language.
fn lines(language: &str, rounds: u64, random: &mut Random) -> String {
    let mut lines = String::new();
    for round in 0..rounds {
        for set in 0..LABEL_SETS {
            let (route, method) = (set / 2, ["GET", "POST"][set as usize % 2]);
            let (wait, again) = (random.log_normal() * 20.0, random.log_normal() * 20.0);
            let tags = format!("#route:/api/v1/r{route:03},method:{method}");
            match language {
                "dogstatsd" => write!(
                    lines,
                    "page.views:1|c|{tags}\nsampled.views:3|c|@0.5|{tags}\nqueue.depth:{round}|g|{tags}\n\
                     api.wait:{wait:.3}|ms|{tags}\npayload.size:{wait:.3}|h|{tags}\nspread.size:{wait:.3}|d|{tags}\n\
                     packed.wait:{wait:.3}:{again:.3}|ms|{tags}\nvisitors:user{}|s|{tags}\n",
                    round % 50,
                ),
                _ => writeln!(
                    lines,
                    "{{\"kind\":\"request\",\"service\":\"shop\",\"method\":\"{method}\",\"route\":\"/api/v1/r{route:03}\",\"status\":200,\
                     \"duration_ms\":{wait:.3},\"bytes_out\":{},\"trace_id\":\"{:032x}\"}}",
                    (again * 100.0) as u64,
                    u128::from(random.0).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_ac2d),
                ),
            }
            .expect("a string takes everything");
        }
    }
    lines
}

/// Sends all of it as a connection is read, and hands over after every 20,000 bytes or so; the number of times.
fn pour(sender: &mut Sender, lines: &str, at: Timestamp) -> u64 {
    let mut flushes = 0;
    for chunk in lines.as_bytes().chunks(20_000) {
        sender.send(chunk, at);
        sender.flush(at);
        flushes += 1;
    }
    flushes
}

#[test]
fn an_event_of_a_known_series_allocates_nothing() {
    let at = Timestamp::from_millis(1_000_000);
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    for language in ["dogstatsd", "ndjson"] {
        let probe = Probe::new(&Config::default(), &registry::Config::default());
        let mut sender = probe.sender(Transport::Stream);
        // The text is made a piece at a time, since the whole of it would be some hundred megabytes.
        for _ in 0..OBSERVATIONS / 50 {
            let first = lines(language, 50, &mut random);
            pour(&mut sender, &first, at);
        }
        let more = lines(language, 50, &mut random);
        let events = |probe: &Probe| probe.counted("sidewatch_ingest_events_total").iter().map(|(_, events)| events).sum::<f64>();
        let before = events(&probe);
        let region = Region::new(ALLOCATOR);
        let flushes = pour(&mut sender, &more, at);
        let change = region.change();
        let sent = events(&probe) - before;
        assert!(sent >= (50 * LABEL_SETS) as f64, "{language}: {sent} events counted");
        println!("{language}: {sent} events in {flushes} batches: {change:?}");
        assert_eq!((change.allocations, change.reallocations), (0, 0), "{language}: {sent} events in {flushes} batches");
    }
}
