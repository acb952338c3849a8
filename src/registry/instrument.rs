//! What one series holds, and how a change moves it.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Reading, Refusal};
use crate::model::{Change, GaugeMerge, GaugeOp, Histogram, MetricType};

/// One series' live value.
#[derive(Clone, Debug)]
pub(super) enum Instrument {
    Counter(f64),
    Gauge(Gauge),
    Histogram(Box<Histogram>),
}

/// A gauge, kept as its merge needs it.
#[derive(Clone, Debug)]
pub(super) enum Gauge {
    /// Whoever wrote last.
    Last(f64),
    /// A value a live sender. A sender that is gone is taken out.
    Senders(Box<Senders>),
}

#[derive(Clone, Debug)]
pub(super) struct Senders {
    merge: GaugeMerge,
    values: HashMap<u64, f64>,
}

impl Instrument {
    /// A series before its first change.
    pub(super) fn new(kind: MetricType, bounds: &Arc<[f64]>) -> Self {
        match kind {
            MetricType::Counter => Self::Counter(0.0),
            MetricType::Gauge | MetricType::Unknown => Self::Gauge(Gauge::Last(0.0)),
            MetricType::Histogram => Self::Histogram(Box::new(Histogram::with_exponential(Arc::clone(bounds)))),
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
            (Self::Histogram(histogram), Change::Observe(more)) => {
                finite(histogram.sum + more.sum)?;
                histogram.absorb(more);
            }
            _ => return Err(Refusal::TypeConflict),
        }
        Ok(())
    }

    /// Takes a sender out. False when nothing is left to show: the last sender of a gauge that has no value without one.
    pub(super) fn forget(&mut self, sender: u64) -> bool {
        let Self::Gauge(Gauge::Senders(senders)) = self else { return true };
        senders.values.remove(&sender);
        senders.merge == GaugeMerge::Sum || !senders.values.is_empty()
    }

    /// The value to show.
    pub(super) fn reading(&self) -> Reading<'_> {
        match self {
            Self::Counter(total) => Reading::Number(*total),
            Self::Gauge(gauge) => Reading::Number(gauge.value()),
            Self::Histogram(histogram) => Reading::Histogram(histogram),
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
        if let Self::Last(_) = self {
            *self = Self::Senders(Box::new(Senders { merge, values: HashMap::new() }));
        }
        let Self::Senders(senders) = self else { return };
        senders.merge = merge;
        let own = senders.values.entry(sender).or_insert(0.0);
        *own = if op == GaugeOp::Add { *own + value } else { value };
    }

    fn value(&self) -> f64 {
        match self {
            Self::Last(value) => *value,
            Self::Senders(senders) => senders.value(),
        }
    }
}

impl Senders {
    fn value(&self) -> f64 {
        let values = self.values.values().copied();
        match self.merge {
            GaugeMerge::Max => values.fold(f64::NEG_INFINITY, f64::max),
            GaugeMerge::Min => values.fold(f64::INFINITY, f64::min),
            // The map's order is arbitrary; without the sort the last digit of a sum could change from scrape to scrape.
            GaugeMerge::Sum | GaugeMerge::Last => {
                let mut values: Vec<f64> = values.collect();
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

#[cfg(test)]
mod tests {
    use super::*;

    fn instrument(kind: MetricType) -> Instrument {
        Instrument::new(kind, &Arc::from([1.0]))
    }

    fn gauge(changes: &[(u64, f64, GaugeOp, GaugeMerge)]) -> Instrument {
        let mut gauge = instrument(MetricType::Gauge);
        for (sender, value, op, merge) in changes {
            gauge.apply(*sender, &Change::Gauge { value: *value, op: *op, merge: *merge }).expect("a gauge");
        }
        gauge
    }

    fn number(instrument: &Instrument) -> f64 {
        if let Reading::Number(value) = instrument.reading() { value } else { panic!("a number") }
    }

    #[test]
    fn senders_of_a_gauge_become_one_value() {
        use GaugeMerge::{Last, Max, Min, Sum};
        for (merge, value) in [(Last, 3.0), (Sum, 8.0), (Max, 5.0), (Min, 3.0)] {
            let gauge = gauge(&[(1, 4.0, GaugeOp::Set, merge), (1, 5.0, GaugeOp::Set, merge), (2, 3.0, GaugeOp::Set, merge)]);
            assert_eq!(number(&gauge), value, "{merge:?}");
        }
    }

    #[test]
    fn changes_add_to_the_senders_own_value() {
        use GaugeOp::{Add, Set};
        let sum = GaugeMerge::Sum;
        assert_eq!(number(&gauge(&[(1, 4.0, Set, sum), (2, 1.0, Add, sum), (1, -3.0, Add, sum)])), 2.0);
        let last = GaugeMerge::Last;
        assert_eq!(number(&gauge(&[(1, 4.0, Set, last), (2, 1.5, Add, last)])), 5.5);
    }

    #[test]
    fn a_sender_that_is_gone_leaves_no_value_behind() {
        let mut sum = gauge(&[(1, 4.0, GaugeOp::Set, GaugeMerge::Sum), (2, 3.0, GaugeOp::Set, GaugeMerge::Sum)]);
        assert!(sum.forget(1));
        assert_eq!(number(&sum), 3.0);
        assert!(sum.forget(2), "a sum over nobody is zero");
        assert_eq!(number(&sum), 0.0);
        assert!(!gauge(&[(1, 4.0, GaugeOp::Set, GaugeMerge::Max)]).forget(1), "a maximum over nobody is nothing");
        assert!(gauge(&[(1, 4.0, GaugeOp::Set, GaugeMerge::Last)]).forget(1));
    }

    #[test]
    fn what_would_make_a_total_infinite_is_refused() {
        let mut counter = instrument(MetricType::Counter);
        assert_eq!(counter.apply(1, &Change::Count(f64::MAX)), Ok(()));
        assert_eq!(counter.apply(1, &Change::Count(f64::MAX)), Err(Refusal::Overflow));
        assert_eq!(number(&counter), f64::MAX);

        let mut histogram = instrument(MetricType::Histogram);
        let one = |sum| Change::Observe(Histogram::classic(Arc::from([1.0]), vec![1, 0], sum));
        assert_eq!(histogram.apply(1, &one(1.0)), Ok(()));
        assert_eq!(histogram.apply(1, &one(f64::NEG_INFINITY)), Err(Refusal::Overflow));
        let Reading::Histogram(histogram) = histogram.reading() else { panic!("a histogram") };
        assert_eq!((histogram.counts.as_slice(), histogram.sum), (&[1, 0][..], 1.0));
    }
}
