//! What both sides hold: forty minutes of counters with resets, gauges with NaN and infinities, gaps, series that end and
//! series that come late, and classic histograms.

use super::chance::Chance;

/// Series with their samples, in ms since the epoch, in order of time.
pub(super) struct Written {
    /// Labels in order of names, as the remote-write protocol wants them.
    pub(super) labels: Vec<(&'static str, String)>,
    pub(super) samples: Vec<(i64, f64)>,
}

/// The first moment; a multiple of every step that a query has.
pub(super) const BEGIN_MS: i64 = 1_700_006_400_000;
const SLOTS: usize = 240;
const SLOT_MS: i64 = 10_000;
/// How long there are samples.
pub(super) const LENGTH_S: i64 = SLOTS as i64 * SLOT_MS / 1000;
const STALE: f64 = f64::from_bits(0x7ff0_0000_0000_0002);
const BOUNDS: [(&str, f64); 6] = [("0.05", 0.05), ("0.1", 0.1), ("0.5", 0.5), ("1", 1.0), ("5", 5.0), ("+Inf", f64::INFINITY)];

/// When each slot's samples were taken. The milliseconds are always between 200 and 259, and those of queries and of the edges of
/// their ranges never are, so that it does not matter which side of a range is closed.
fn times(chance: &mut Chance) -> Vec<i64> {
    (0..SLOTS as i64).map(|slot| BEGIN_MS + slot * SLOT_MS + 200 + chance.below(60) as i64).collect()
}

/// All series, in order of their labels.
pub(super) fn all() -> Vec<Written> {
    let mut chance = Chance::new(11);
    let times = times(&mut chance);
    let mut maker = Maker { times, chance, written: Vec::new() };
    for instance in ["a", "b"] {
        for method in ["get", "post"] {
            for code in ["200", "404", "500"] {
                maker.counter(&[("__name__", "requests_total"), ("code", code), ("instance", instance), ("method", method)]);
            }
            maker.counter(&[("__name__", "errors_total"), ("instance", instance), ("method", method)]);
        }
        for (queue, job) in [("in", "x"), ("out", "x"), ("dead", "y")] {
            let labels = [("__name__", "queue_length"), ("instance", instance), ("job", job), ("queue", queue)];
            maker.gauge(&labels, |_, chance| chance.below(7) as f64);
        }
        maker.gauge(
            &[("__name__", "build_info"), ("instance", instance), ("version", if instance == "a" { "1.2" } else { "2.0" })],
            |_, _| 1.0,
        );
        for route in ["/", "/items"] {
            maker.histogram(instance, route);
        }
    }
    for (number, room) in ["cellar", "hall", "attic"].into_iter().enumerate() {
        let labels = [("__name__", "temperature"), ("instance", if number == 0 { "a" } else { "b" }), ("room", room)];
        maker.gauge(&labels, |slot, chance| 20.0 * (slot as f64 / 40.0).sin() + 3.0 * number as f64 + chance.unit());
    }
    // What is not a number, or not finite, comes and goes.
    maker.gauge(&[("__name__", "temperature"), ("instance", "a"), ("room", "oven")], |slot, chance| match slot % 50 {
        20..24 => f64::NAN,
        30..33 => f64::INFINITY,
        40..42 => f64::NEG_INFINITY,
        _ => 200.0 + chance.unit(),
    });
    maker.gauge(&[("__name__", "temperature"), ("instance", "b"), ("room", "shed")], |_, _| f64::NAN);
    maker.series_with_holes();
    let mut written = maker.written;
    written.sort_by(|a, b| a.labels.cmp(&b.labels));
    written
}

struct Maker {
    times: Vec<i64>,
    chance: Chance,
    written: Vec<Written>,
}

impl Maker {
    fn add(&mut self, labels: &[(&'static str, &str)], value: impl FnMut((usize, i64)) -> Option<f64>) {
        let mut value = value;
        let samples = self.times.iter().copied().enumerate().filter_map(|(slot, at)| Some((at, value((slot, at))?)));
        let samples = samples.collect();
        self.written.push(Written { labels: labels.iter().map(|(name, value)| (*name, (*value).to_owned())).collect(), samples });
    }

    fn gauge(&mut self, labels: &[(&'static str, &str)], mut value: impl FnMut(usize, &mut Chance) -> f64) {
        let mut chance = self.chance.fork();
        self.add(labels, |(slot, _)| Some(value(slot, &mut chance)));
    }

    /// A counter that starts high and falls back to something low now and then.
    fn counter(&mut self, labels: &[(&'static str, &str)]) {
        let mut chance = self.chance.fork();
        let mut total = 5_000.0 + chance.below(1_000) as f64;
        self.add(labels, |_| {
            if chance.below(60) == 0 {
                total = chance.below(20) as f64;
            }
            total += chance.below(30) as f64;
            Some(total)
        });
    }

    fn histogram(&mut self, instance: &str, route: &str) {
        let mut chance = self.chance.fork();
        let mut observed: Vec<Vec<f64>> = Vec::new();
        for _ in 0..SLOTS {
            observed.push((0..chance.below(12)).map(|_| 0.01 + 8.0 * chance.unit().powi(4)).collect());
        }
        let running = |counted: &dyn Fn(f64) -> f64| {
            // So high that no rate reaches back to zero.
            let mut total = 4_000.0 * counted(0.02);
            let mut totals = Vec::new();
            for slot in &observed {
                total += slot.iter().map(|value| counted(*value)).sum::<f64>();
                totals.push(total);
            }
            totals
        };
        for (le, bound) in BOUNDS {
            let totals = running(&|value| f64::from(u8::from(value <= bound)));
            let labels = [("__name__", "latency_seconds_bucket"), ("instance", instance), ("le", le), ("route", route)];
            self.add(&labels, |(slot, _)| Some(totals[slot]));
        }
        for (name, totals) in [("latency_seconds_count", running(&|_| 1.0)), ("latency_seconds_sum", running(&|value| value))] {
            self.add(&[("__name__", name), ("instance", instance), ("route", route)], |(slot, _)| Some(totals[slot]));
        }
    }

    /// Gaps below and above the lookback, rare samples, ends with and without a marker, late beginnings.
    fn series_with_holes(&mut self) {
        let mut chance = self.chance.fork();
        self.add(&[("__name__", "patchy"), ("instance", "a"), ("kind", "gaps")], |(slot, _)| {
            (chance.below(3) == 0).then_some(2_000.0 + slot as f64)
        });
        self.add(&[("__name__", "patchy"), ("instance", "b"), ("kind", "pause")], |(slot, _)| {
            (!(60..120).contains(&slot)).then_some(1_000.0 + slot as f64 * 2.0)
        });
        self.add(&[("__name__", "patchy"), ("instance", "a"), ("kind", "rare")], |(slot, _)| {
            (slot % 25 == 3).then_some(700.0 + slot as f64)
        });
        self.add(&[("__name__", "patchy"), ("instance", "a"), ("kind", "gone")], |(slot, _)| (slot < 100).then_some(slot as f64 % 9.0));
        self.add(&[("__name__", "patchy"), ("instance", "b"), ("kind", "ended")], |(slot, _)| match slot {
            0..130 => Some(slot as f64 % 13.0),
            130 => Some(STALE),
            _ => None,
        });
        // Ends again and again.
        self.add(&[("__name__", "patchy"), ("instance", "b"), ("kind", "blinks")], |(slot, _)| match slot % 20 {
            0..12 => Some(3_000.0 + slot as f64),
            12 => Some(STALE),
            _ => None,
        });
        self.add(&[("__name__", "patchy"), ("instance", "a"), ("kind", "late")], |(slot, _)| {
            (slot >= 140).then_some(9_000.0 + slot as f64)
        });
        for (instance, first) in [("a", 0.0), ("b", 5.0)] {
            self.add(&[("__name__", "born_total"), ("instance", instance)], |(slot, _)| (slot >= 33).then_some(first + slot as f64 - 33.0));
        }
        let late = [("__name__", "requests_total"), ("code", "503"), ("instance", "b"), ("method", "get")];
        self.add(&late, |(slot, _)| (slot >= 90).then_some(4_000.0 + slot as f64 * 3.0));
    }
}
