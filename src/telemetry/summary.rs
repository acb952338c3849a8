//! A summary, which the `prometheus` crate does not have: quantiles of what was observed in the last ten minutes, in fixed room.
//!
//! Observations are counted in buckets, sixteen to a doubling, so that a quantile is at most 2.2 % off. The ten minutes are five pieces, the
//! oldest of which is given up as a new one begins.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use prometheus::core::{Collector, Desc};
use prometheus::proto::{Metric, MetricFamily, MetricType, Quantile, Summary as Proto};

/// Pieces of time that count, and how long each is.
const PIECES: usize = 5;
const PIECE: Duration = Duration::from_secs(120);

const BUCKETS_A_DOUBLING: f64 = 16.0;
/// The first bucket has everything below `2^FIRST_DOUBLING` (some 60 ns), the last everything from `2^12` (more than an hour) up.
const FIRST_DOUBLING: f64 = -24.0;
const BUCKETS: usize = 36 * 16 + 2;

/// A summary of seconds, or of anything else that is not negative. Copies are the same one.
#[derive(Clone)]
pub struct Summary(Arc<Inner>);

struct Inner {
    desc: Desc,
    quantiles: &'static [f64],
    now: fn() -> Instant,
    seen: Mutex<Seen>,
}

impl Summary {
    pub(super) fn new(name: &str, help: &str, quantiles: &'static [f64], now: fn() -> Instant) -> prometheus::Result<Self> {
        let desc = Desc::new(name.to_owned(), help.to_owned(), Vec::new(), HashMap::new())?;
        Ok(Self(Arc::new(Inner { desc, quantiles, now, seen: Mutex::new(Seen::new(now())) })))
    }

    /// Takes one observation.
    pub fn observe(&self, value: f64) {
        self.observe_all([value]);
    }

    /// Takes several at once.
    pub fn observe_all(&self, values: impl IntoIterator<Item = f64>) {
        let mut seen = self.0.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.turn((self.0.now)());
        for value in values {
            seen.observe(value);
        }
    }
}

impl fmt::Debug for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Summary").field("desc", &self.0.desc).finish_non_exhaustive()
    }
}

impl Collector for Summary {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.0.desc]
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let mut seen = self.0.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.turn((self.0.now)());
        let (values, sum, count) = (seen.quantiles(self.0.quantiles), seen.sum, seen.count);
        drop(seen);
        let quantiles = self.0.quantiles.iter().zip(values).map(|(rank, value)| {
            let mut quantile = Quantile::default();
            quantile.set_quantile(*rank);
            quantile.set_value(value);
            quantile
        });
        let mut proto = Proto::default();
        proto.set_sample_sum(sum);
        proto.set_sample_count(count);
        proto.set_quantile(quantiles.collect());
        let mut metric = Metric::default();
        metric.set_summary(proto);
        let mut family = MetricFamily::default();
        family.set_name(self.0.desc.fq_name.clone());
        family.set_help(self.0.desc.help.clone());
        family.set_field_type(MetricType::SUMMARY);
        family.set_metric(vec![metric]);
        vec![family]
    }
}

/// What was observed.
struct Seen {
    /// The pieces' buckets; `current` is the one that counts now.
    pieces: [Box<[u32]>; PIECES],
    current: usize,
    /// When the current piece began.
    since: Instant,
    sum: f64,
    count: u64,
}

impl Seen {
    fn new(now: Instant) -> Self {
        let pieces = std::array::from_fn(|_| vec![0; BUCKETS].into_boxed_slice());
        Self { pieces, current: 0, since: now, sum: 0.0, count: 0 }
    }

    /// Gives up what is too old.
    fn turn(&mut self, now: Instant) {
        for _ in 0..PIECES {
            if now.saturating_duration_since(self.since) < PIECE {
                return;
            }
            self.since += PIECE;
            self.current = (self.current + 1) % PIECES;
            if let Some(piece) = self.pieces.get_mut(self.current) {
                piece.fill(0);
            }
        }
        // Nothing is left, however long ago it was.
        self.since = now;
    }

    fn observe(&mut self, value: f64) {
        self.sum += value;
        self.count += 1;
        if let Some(count) = self.pieces.get_mut(self.current).and_then(|piece| piece.get_mut(bucket(value))) {
            *count = count.saturating_add(1);
        }
    }

    fn quantiles(&self, ranks: &[f64]) -> Vec<f64> {
        let counts = |bucket: usize| self.pieces.iter().filter_map(move |piece| piece.get(bucket)).map(|count| u64::from(*count));
        let total: u64 = (0..BUCKETS).flat_map(counts).sum();
        let at_rank = |rank: &f64| {
            // The smallest value that so many are not above.
            let wanted = (rank * total as f64).ceil().max(1.0);
            let mut below = 0;
            let found = (0..BUCKETS).find(|bucket| {
                below += counts(*bucket).sum::<u64>();
                below as f64 >= wanted
            });
            found.map_or(f64::NAN, middle)
        };
        ranks.iter().map(at_rank).collect()
    }
}

/// The bucket of a value. What is no number counts as zero does.
fn bucket(value: f64) -> usize {
    let place = (value.log2() - FIRST_DOUBLING) * BUCKETS_A_DOUBLING;
    // A cast from floats ends at the ends of the target's range.
    if place >= 0.0 { (place as usize).saturating_add(1).min(BUCKETS - 1) } else { 0 }
}

/// A value that stands for all of a bucket.
fn middle(bucket: usize) -> f64 {
    match bucket {
        0 => 0.0,
        bucket => ((bucket as f64 - 0.5) / BUCKETS_A_DOUBLING + FIRST_DOUBLING).exp2(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RANKS: [f64; 4] = [0.01, 0.5, 0.9, 0.99];

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn quantiles_are_within_a_fortieth_of_the_true_ones() {
        for scale in [1e-6, 1e-3, 1.0] {
            let mut seen = Seen::new(crate::clock::monotonic());
            for number in 1..=1_000 {
                seen.observe(f64::from(number) * scale);
            }
            for (rank, value) in RANKS.iter().zip(seen.quantiles(&RANKS)) {
                let exact = rank * 1_000.0 * scale;
                assert!((value / exact - 1.0).abs() < 0.025, "{rank}: {value} for {exact}");
            }
            assert_eq!(seen.count, 1_000);
        }
    }

    #[test]
    fn nothing_observed_is_no_number_and_zero_is_zero() {
        let mut seen = Seen::new(crate::clock::monotonic());
        assert!(seen.quantiles(&RANKS).iter().all(|value| value.is_nan()));
        for value in [0.0, -1.0, f64::NAN] {
            seen.observe(value);
        }
        assert_eq!(seen.quantiles(&RANKS), [0.0; 4]);
        seen.observe(f64::INFINITY);
        assert!(seen.quantiles(&RANKS)[3] > 4_000.0);
    }

    #[test]
    fn what_is_older_than_ten_minutes_counts_in_the_sum_alone() {
        let start = crate::clock::monotonic();
        let mut seen = Seen::new(start);
        seen.observe(1.0);
        seen.turn(start + seconds(300));
        seen.observe(8.0);
        assert!((seen.quantiles(&[0.01])[0] - 1.0).abs() < 0.03);
        seen.turn(start + seconds(600));
        assert!((seen.quantiles(&[0.01])[0] - 8.0).abs() < 0.2, "the first is gone, the second is not");
        seen.turn(start + seconds(100_000));
        assert!(seen.quantiles(&[0.5])[0].is_nan());
        seen.observe(2.0);
        seen.turn(start + seconds(100_119));
        assert!((seen.quantiles(&[0.5])[0] - 2.0).abs() < 0.05, "a long pause does not shorten what comes after it");
        assert_eq!((seen.sum, seen.count), (11.0, 3));
    }
}
