//! What one series holds, and how a change moves it.

use std::collections::HashMap;
use std::sync::Arc;

use super::Refusal;
use crate::model::{Change, GaugeMerge, GaugeOp, Histogram, MetricType, Value};

/// One series' live value.
#[derive(Clone, Debug)]
pub(super) enum Instrument {
    Counter(f64),
    Gauge(Gauge),
    Histogram(Histogram),
}

/// A gauge, kept as its merge needs it.
#[derive(Clone, Debug)]
pub(super) enum Gauge {
    /// Whoever wrote last.
    Last(f64),
    /// A value a live sender. A sender that is gone is taken out.
    Senders { merge: GaugeMerge, values: HashMap<u64, f64> },
}

impl Instrument {
    /// A series before its first change.
    pub(super) fn new(kind: MetricType, bounds: impl FnOnce() -> Arc<[f64]>) -> Self {
        match kind {
            MetricType::Counter => Self::Counter(0.0),
            MetricType::Gauge | MetricType::Unknown => Self::Gauge(Gauge::Last(0.0)),
            MetricType::Histogram => Self::Histogram(Histogram::new(bounds())),
        }
    }

    /// Applies a change.
    ///
    /// # Errors
    /// When the change is for another type, or the value would not be finite after it.
    pub(super) fn apply(&mut self, sender: u64, change: &Change) -> Result<(), Refusal> {
        match (self, change) {
            (Self::Counter(total), Change::Count(rise)) => *total = finite(*total + rise)?,
            (Self::Gauge(gauge), Change::Gauge { value, op, merge }) => gauge.apply(sender, *value, *op, *merge),
            (Self::Histogram(histogram), Change::Observe(delta)) => absorb(histogram, delta)?,
            _ => return Err(Refusal::TypeConflict),
        }
        Ok(())
    }

    /// Takes a sender out. False when nothing is left to show: the last sender of a gauge that has no value without one.
    pub(super) fn forget(&mut self, sender: u64) -> bool {
        let Self::Gauge(Gauge::Senders { merge, values }) = self else { return true };
        values.remove(&sender);
        *merge == GaugeMerge::Sum || !values.is_empty()
    }

    /// The value to show.
    pub(super) fn value(&self) -> Value {
        match self {
            Self::Counter(total) => Value::Number(*total),
            Self::Gauge(gauge) => Value::Number(gauge.value()),
            Self::Histogram(histogram) => Value::Histogram(histogram.clone()),
        }
    }
}

impl Gauge {
    /// The merge that was declared last holds.
    fn apply(&mut self, sender: u64, value: f64, op: GaugeOp, merge: GaugeMerge) {
        if merge == GaugeMerge::Last {
            let before = self.value();
            *self = Self::Last(if op == GaugeOp::Add { before + value } else { value });
            return;
        }
        let mut values = match std::mem::replace(self, Self::Last(0.0)) {
            Self::Senders { values, .. } => values,
            Self::Last(_) => HashMap::new(),
        };
        let own = values.entry(sender).or_insert(0.0);
        *own = if op == GaugeOp::Add { *own + value } else { value };
        *self = Self::Senders { merge, values };
    }

    fn value(&self) -> f64 {
        match self {
            Self::Last(value) => *value,
            Self::Senders { merge: GaugeMerge::Max, values } => values.values().copied().fold(f64::NEG_INFINITY, f64::max),
            Self::Senders { merge: GaugeMerge::Min, values } => values.values().copied().fold(f64::INFINITY, f64::min),
            // The map's order is arbitrary; without the sort the last digit of a sum could change from scrape to scrape.
            Self::Senders { values, .. } => {
                let mut values: Vec<f64> = values.values().copied().collect();
                values.sort_unstable_by(f64::total_cmp);
                values.iter().fold(0.0, |sum, value| sum + value)
            }
        }
    }
}

/// A counter or a sum that is infinite would stay so for ever; what makes it so is refused. (A gauge recovers by itself.)
fn finite(value: f64) -> Result<f64, Refusal> {
    if value.is_finite() { Ok(value) } else { Err(Refusal::Overflow) }
}

/// Adds observations. Buckets that differ (a batch made just before the configuration changed) are counted at their
/// upper bound, the only thing that is certain about them.
fn absorb(histogram: &mut Histogram, delta: &Histogram) -> Result<(), Refusal> {
    let sum = finite(histogram.sum + delta.sum)?;
    if histogram.bounds == delta.bounds {
        for (count, more) in histogram.counts.iter_mut().zip(&delta.counts) {
            *count = count.saturating_add(*more);
        }
    } else {
        let bounds = delta.bounds.iter().copied().chain([f64::INFINITY]);
        for (bound, count) in bounds.zip(&delta.counts).filter(|(_, count)| **count > 0) {
            histogram.observe(bound, *count);
        }
    }
    histogram.sum = sum;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gauge(changes: &[(u64, f64, GaugeOp, GaugeMerge)]) -> Instrument {
        let mut gauge = Instrument::new(MetricType::Gauge, || unreachable!("no histogram"));
        for (sender, value, op, merge) in changes {
            gauge.apply(*sender, &Change::Gauge { value: *value, op: *op, merge: *merge }).expect("a gauge");
        }
        gauge
    }

    #[test]
    fn senders_of_a_gauge_become_one_value() {
        use GaugeMerge::{Last, Max, Min, Sum};
        for (merge, value) in [(Last, 3.0), (Sum, 8.0), (Max, 5.0), (Min, 3.0)] {
            let gauge = gauge(&[(1, 4.0, GaugeOp::Set, merge), (1, 5.0, GaugeOp::Set, merge), (2, 3.0, GaugeOp::Set, merge)]);
            assert_eq!(gauge.value(), Value::Number(value), "{merge:?}");
        }
    }

    #[test]
    fn changes_add_to_the_senders_own_value() {
        use GaugeOp::{Add, Set};
        let sum = GaugeMerge::Sum;
        assert_eq!(gauge(&[(1, 4.0, Set, sum), (2, 1.0, Add, sum), (1, -3.0, Add, sum)]).value(), Value::Number(2.0));
        let last = GaugeMerge::Last;
        assert_eq!(gauge(&[(1, 4.0, Set, last), (2, 1.5, Add, last)]).value(), Value::Number(5.5));
    }

    #[test]
    fn a_sender_that_is_gone_leaves_no_value_behind() {
        let mut sum = gauge(&[(1, 4.0, GaugeOp::Set, GaugeMerge::Sum), (2, 3.0, GaugeOp::Set, GaugeMerge::Sum)]);
        assert!(sum.forget(1));
        assert_eq!(sum.value(), Value::Number(3.0));
        assert!(sum.forget(2), "a sum over nobody is zero");
        assert_eq!(sum.value(), Value::Number(0.0));
        assert!(!gauge(&[(1, 4.0, GaugeOp::Set, GaugeMerge::Max)]).forget(1), "a maximum over nobody is nothing");
        assert!(gauge(&[(1, 4.0, GaugeOp::Set, GaugeMerge::Last)]).forget(1));
    }

    #[test]
    fn foreign_buckets_are_counted_at_their_upper_bound() {
        let mut histogram = Histogram::new(Arc::from([1.0, 2.0]));
        absorb(&mut histogram, &Histogram { bounds: Arc::from([1.5]), counts: vec![3, 1], sum: 9.0 }).expect("finite");
        assert_eq!(histogram, Histogram { bounds: Arc::from([1.0, 2.0]), counts: vec![0, 3, 1], sum: 9.0 });
    }

    #[test]
    fn what_would_make_a_total_infinite_is_refused() {
        let mut counter = Instrument::new(MetricType::Counter, || unreachable!("no histogram"));
        assert_eq!(counter.apply(1, &Change::Count(f64::MAX)), Ok(()));
        assert_eq!(counter.apply(1, &Change::Count(f64::MAX)), Err(Refusal::Overflow));
        assert_eq!(counter.value(), Value::Number(f64::MAX));

        let bounds: Arc<[f64]> = Arc::from([1.0]);
        let mut histogram = Instrument::new(MetricType::Histogram, || Arc::clone(&bounds));
        let one = |sum| Change::Observe(Histogram { bounds: Arc::clone(&bounds), counts: vec![1, 0], sum });
        assert_eq!(histogram.apply(1, &one(1.0)), Ok(()));
        assert_eq!(histogram.apply(1, &one(f64::NEG_INFINITY)), Err(Refusal::Overflow));
        assert_eq!(histogram.value(), Value::Histogram(Histogram { bounds, counts: vec![1, 0], sum: 1.0 }));
    }
}
