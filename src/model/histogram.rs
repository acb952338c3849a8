//! A histogram: what was observed, counted in buckets.

use std::cmp::Ordering;
use std::sync::Arc;

use super::exemplar::{Exemplar, Exemplars};
use super::exponential::Exponential;

/// Observations in classic buckets and, for those made from events, in exponential ones as well.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    /// Upper bounds, ascending and finite; the bucket up to `+Inf` is implied.
    pub bounds: Arc<[f64]>,
    /// Observations a bucket, not cumulative; one more than there are bounds, the last one for `+Inf`.
    pub counts: Vec<u64>,
    /// The sum of all observed values.
    pub sum: f64,
    /// The same observations in Prometheus's standard buckets; `None` where only the classic ones are known.
    pub exponential: Option<Exponential>,
    /// Single observations with their traces.
    pub exemplars: Exemplars,
}

impl Histogram {
    /// An empty histogram with classic buckets only.
    #[must_use]
    pub fn new(bounds: Arc<[f64]>) -> Self {
        let counts = vec![0; bounds.len() + 1];
        Self::classic(bounds, counts, 0.0)
    }

    /// A histogram whose classic buckets are known: one count for each bound, and one more for the bucket up to `+Inf`.
    #[must_use]
    pub fn classic(bounds: Arc<[f64]>, counts: Vec<u64>, sum: f64) -> Self {
        Self { bounds, counts, sum, exponential: None, exemplars: Exemplars::default() }
    }

    /// An empty histogram with both kinds of buckets.
    #[must_use]
    pub fn with_exponential(bounds: Arc<[f64]>) -> Self {
        Self { exponential: Some(Exponential::default()), ..Self::new(bounds) }
    }

    /// Adds `weight` observations of `value`. NaN counts as above every bound, as it does in Prometheus's clients.
    pub fn observe(&mut self, value: f64, weight: u64) {
        let bucket = self.bucket(value);
        if let Some(count) = self.counts.get_mut(bucket) {
            *count = count.saturating_add(weight);
        }
        self.sum += value * weight as f64;
        if let Some(exponential) = &mut self.exponential {
            exponential.observe(value, weight);
        }
    }

    /// Keeps an observation as its bucket's exemplar. It is not counted by this.
    pub fn exemplify(&mut self, exemplar: Exemplar) {
        self.exemplars.put(self.bucket(exemplar.value), self.counts.len(), exemplar);
    }

    /// Adds another histogram's observations, which are later ones. Where the classic buckets differ they are counted at
    /// their upper bound, the only thing that is certain about them. Exponential buckets are taken where both have them.
    pub fn absorb(&mut self, other: &Self) {
        if self.bounds == other.bounds {
            for (count, more) in self.counts.iter_mut().zip(&other.counts) {
                *count = count.saturating_add(*more);
            }
            self.exemplars.absorb(&other.exemplars, other.counts.len());
        } else {
            for (bound, more) in other.bounds.iter().copied().chain([f64::INFINITY]).zip(&other.counts) {
                let bucket = self.bucket(bound);
                if let Some(count) = self.counts.get_mut(bucket) {
                    *count = count.saturating_add(*more);
                }
            }
        }
        self.sum += other.sum;
        if let (Some(exponential), Some(other)) = (&mut self.exponential, &other.exponential) {
            exponential.absorb(other);
        }
    }

    /// Takes all observations out and keeps the room.
    pub fn clear(&mut self) {
        self.counts.fill(0);
        self.sum = 0.0;
        if let Some(exponential) = &mut self.exponential {
            exponential.clear();
        }
        self.exemplars.clear();
    }

    /// All observations.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// Upper bounds (the last one infinite) with the observations up to and including each.
    pub fn cumulative(&self) -> impl Iterator<Item = (f64, u64)> + '_ {
        let bounds = self.bounds.iter().copied().chain([f64::INFINITY]);
        bounds.zip(&self.counts).scan(0_u64, |sum, (bound, count)| {
            *sum = sum.saturating_add(*count);
            Some((bound, *sum))
        })
    }

    /// Bytes that this histogram holds outside of itself, the shared bounds apart.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        let exponential = self.exponential.as_ref().map_or(0, Exponential::heap_bytes);
        self.counts.capacity() * size_of::<u64>() + exponential + self.exemplars.heap_bytes()
    }

    /// The bucket of a value. Bounds rise, so as many as the value is not within are the number of its bucket; counting them
    /// all takes no branch that depends on the value, and is quicker than stopping at the right one.
    fn bucket(&self, value: f64) -> usize {
        self.bounds.iter().map(|bound| usize::from(value.partial_cmp(bound).is_none_or(Ordering::is_gt))).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Timestamp, TraceId};

    #[test]
    fn a_bound_belongs_to_its_bucket() {
        let mut histogram = Histogram::new(Arc::from([1.0, 2.0]));
        for value in [0.5, 1.0, 1.5, 9.0, f64::NAN] {
            histogram.observe(value, 1);
        }
        assert_eq!(histogram.counts, [2, 1, 2]);
        assert_eq!(histogram.cumulative().map(|(_, count)| count).collect::<Vec<_>>(), [2, 3, 5]);
        assert_eq!(histogram.count(), 5);
    }

    #[test]
    fn foreign_buckets_are_counted_at_their_upper_bound() {
        let mut histogram = Histogram::new(Arc::from([1.0, 2.0]));
        let mut foreign = Histogram::new(Arc::from([1.5]));
        [(1.2, 3), (6.0, 1)].into_iter().for_each(|(value, weight)| foreign.observe(value, weight));
        histogram.absorb(&foreign);
        assert_eq!((histogram.counts.as_slice(), histogram.sum), (&[0, 3, 1][..], foreign.sum));
    }

    #[test]
    fn both_kinds_of_buckets_hold_the_same_observations() {
        let mut histogram = Histogram::with_exponential(Arc::from([1.0]));
        let mut later = histogram.clone();
        histogram.observe(0.5, 2);
        later.observe(7.0, 3);
        let trace_id = TraceId::new("t").expect("short");
        later.exemplify(Exemplar { trace_id, value: 7.0, at: Timestamp::from_millis(5) });
        histogram.absorb(&later);
        assert_eq!(histogram.counts, [2, 3]);
        assert_eq!(histogram.exponential.as_ref().map(Exponential::count), Some(5));
        assert_eq!(histogram.exemplars.get(1).map(|exemplar| exemplar.value), Some(7.0));
        histogram.clear();
        assert_eq!(histogram, Histogram { exemplars: histogram.exemplars.clone(), ..Histogram::with_exponential(Arc::from([1.0])) });
    }
}
