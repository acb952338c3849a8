//! What one series holds, and how a change moves it.

use std::collections::HashMap;
use std::sync::Arc;

use super::bytes::{Sizes, allocated, table};
use super::{Reading, Refusal};
use crate::model::{Change, Distinct, Exponential, GaugeMerge, GaugeOp, Histogram, MetricType};

/// One series' live value.
#[derive(Clone, Debug)]
pub(super) enum Instrument {
    Counter(f64),
    Gauge(Gauge),
    Histogram(Box<Histogram>),
    Set(Box<Set>),
}

/// How many distinct members there are an interval.
#[derive(Clone, Debug, Default)]
pub(super) struct Set {
    /// Of the interval that runs, over all senders.
    current: Distinct,
    /// How many the last interval had; nothing before one is over.
    complete: Option<f64>,
}

/// A gauge, kept as its merge needs it.
#[derive(Clone, Debug)]
pub(super) enum Gauge {
    /// Whoever wrote last.
    Last(f64),
    /// Whoever measured last, and when, in Unix seconds.
    Stamped(Box<(f64, i64)>),
    /// A value a live sender. A sender that is gone is taken out.
    Senders(Box<Senders>),
}

#[derive(Clone, Debug)]
pub(super) struct Senders {
    merge: GaugeMerge,
    values: HashMap<u64, f64>,
}

/// What a series holds that outlives its senders.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kept<'a> {
    /// A counter's total.
    Total(f64),
    /// What was written to a gauge last.
    Level(f64),
    /// The same, with its time in Unix seconds.
    Stamped(f64, i64),
    /// A histogram.
    Histogram(&'a Histogram),
}

impl Instrument {
    /// A series before its first change.
    pub(super) fn new(kind: MetricType, bounds: &Arc<[f64]>) -> Self {
        match kind {
            MetricType::Counter => Self::Counter(0.0),
            MetricType::Gauge | MetricType::Summary | MetricType::Unknown => Self::Gauge(Gauge::Last(0.0)),
            MetricType::Histogram => Self::Histogram(Box::new(Histogram::with_exponential(Arc::clone(bounds)))),
        }
    }

    /// A series before its first change, which says what kind of a gauge it is.
    pub(super) fn begin(&mut self, change: &Change) {
        if let (Self::Gauge(_), Change::Members(_)) = (&*self, change) {
            *self = Self::Set(Box::default());
        }
    }

    /// Applies a change.
    ///
    /// # Errors
    /// When the change is for another type or comes too late, or the value would not be finite after it.
    pub(super) fn apply(&mut self, sender: u64, change: &Change) -> Result<(), Refusal> {
        match (self, change) {
            (Self::Counter(total), Change::Count(rise)) => *total = finite(*total + rise)?,
            (Self::Gauge(gauge), Change::Gauge { value, op, merge }) => gauge.apply(sender, *value, *op, *merge),
            (Self::Gauge(gauge), Change::Stamped { value, seconds, always }) => gauge.stamp(*value, *seconds, *always)?,
            (Self::Set(set), Change::Members(members)) => set.current.absorb(members),
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

    /// True while a live sender holds it at a value: what a process has said of its state holds until it says otherwise.
    pub(super) fn is_held(&self) -> bool {
        matches!(self, Self::Gauge(Gauge::Senders(senders)) if senders.values.values().any(|value| *value != 0.0))
    }

    /// What it holds outside of itself.
    pub(super) fn sizes(&self) -> Sizes {
        match self {
            Self::Counter(_) | Self::Gauge(Gauge::Last(_)) => Sizes::default(),
            Self::Gauge(Gauge::Stamped(held)) => Sizes { values: allocated(size_of_val(&**held)), ..Sizes::default() },
            Self::Gauge(Gauge::Senders(senders)) => {
                let values = allocated(size_of::<Senders>()) + table(senders.values.capacity(), size_of::<(u64, f64)>());
                Sizes { values, ..Sizes::default() }
            }
            Self::Set(set) => Sizes { values: allocated(size_of::<Set>()) + set.current.heap_bytes(), ..Sizes::default() },
            Self::Histogram(histogram) => Sizes {
                values: allocated(size_of::<Histogram>()) + allocated(histogram.counts.capacity() * size_of::<u64>()),
                exponential: allocated(histogram.exponential.as_ref().map_or(0, Exponential::heap_bytes)),
                exemplars: allocated(histogram.exemplars.heap_bytes()),
            },
        }
    }

    /// Gives up the exemplars of a histogram; false where there are none.
    pub(super) fn drop_exemplars(&mut self) -> bool {
        let Self::Histogram(histogram) = self else { return false };
        let there = histogram.exemplars.heap_bytes() > 0;
        histogram.exemplars.drop_all();
        there
    }

    /// Gives up resolution of a histogram until it has at most so many exponential buckets; false where it has no more.
    pub(super) fn coarsen(&mut self, most: usize) -> bool {
        let Self::Histogram(histogram) = self else { return false };
        histogram.exponential.as_mut().is_some_and(|exponential| exponential.coarsen(most))
    }

    /// Ends a set's interval: what has come in is shown from now on, and the next one begins. Nothing to the others.
    pub(super) fn turn(&mut self) {
        if let Self::Set(set) = self {
            // Its room goes as well: most sets have far fewer members than their largest interval had.
            set.complete = Some(std::mem::take(&mut set.current).count());
        }
    }

    /// What is kept when all senders are gone and the agent as well.
    pub(super) fn kept(&self) -> Option<Kept<'_>> {
        match self {
            Self::Counter(total) => Some(Kept::Total(*total)),
            Self::Gauge(Gauge::Last(value)) => Some(Kept::Level(*value)),
            Self::Gauge(Gauge::Stamped(stamped)) => Some(Kept::Stamped(stamped.0, stamped.1)),
            Self::Histogram(histogram) => Some(Kept::Histogram(histogram)),
            Self::Gauge(Gauge::Senders(_)) | Self::Set(_) => None,
        }
    }

    /// The value to show; a set has none before its first interval is over.
    pub(super) fn reading(&self) -> Option<Reading<'_>> {
        Some(match self {
            Self::Counter(total) => Reading::Number(*total),
            Self::Gauge(gauge) => Reading::Number(gauge.value()),
            Self::Histogram(histogram) => Reading::Histogram(histogram),
            Self::Set(set) => Reading::Number(set.complete?),
        })
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
        if let Self::Last(_) | Self::Stamped(_) = self {
            *self = Self::Senders(Box::new(Senders { merge, values: HashMap::new() }));
        }
        let Self::Senders(senders) = self else { return };
        senders.merge = merge;
        let own = senders.values.entry(sender).or_insert(0.0);
        *own = if op == GaugeOp::Add { *own + value } else { value };
    }

    /// Takes a value that was measured at a time of its own, unless the value held is stamped as late.
    fn stamp(&mut self, value: f64, seconds: i64, always: bool) -> Result<(), Refusal> {
        match self {
            Self::Stamped(held) if !always && held.1 >= seconds => return Err(Refusal::StaleTimestamp),
            Self::Stamped(held) => **held = (value, seconds),
            Self::Last(_) | Self::Senders(_) => *self = Self::Stamped(Box::new((value, seconds))),
        }
        Ok(())
    }

    fn value(&self) -> f64 {
        match self {
            Self::Last(value) => *value,
            Self::Stamped(held) => held.0,
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
        if let Some(Reading::Number(value)) = instrument.reading() { value } else { panic!("a number") }
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
    fn a_stamped_value_gives_way_to_a_later_one_only() {
        let stamped = |value, seconds, always| Change::Stamped { value, seconds, always };
        let mut gauge = gauge(&[(1, 1.0, GaugeOp::Set, GaugeMerge::Last)]);
        for (change, outcome, holds) in [
            (stamped(2.0, 100, false), Ok(()), 2.0),
            (stamped(3.0, 100, false), Err(Refusal::StaleTimestamp), 2.0),
            (stamped(4.0, 99, false), Err(Refusal::StaleTimestamp), 2.0),
            (stamped(5.0, 101, false), Ok(()), 5.0),
            (stamped(6.0, 50, true), Ok(()), 6.0),
            (Change::Gauge { value: 7.0, op: GaugeOp::Set, merge: GaugeMerge::Last }, Ok(()), 7.0),
            (stamped(8.0, 1, false), Ok(()), 8.0),
        ] {
            assert_eq!((gauge.apply(1, &change), number(&gauge)), (outcome, holds), "{change:?}");
        }
    }

    fn members(hashes: &[u64]) -> Change {
        let mut members = Distinct::default();
        hashes.iter().for_each(|hash| members.insert(*hash));
        Change::Members(members)
    }

    #[test]
    fn a_set_shows_the_distinct_members_of_its_last_interval_over_all_senders() {
        let mut set = instrument(MetricType::Gauge);
        set.begin(&members(&[]));
        assert_eq!(set.apply(1, &members(&[1, 2])).and_then(|()| set.apply(2, &members(&[2, 3]))), Ok(()));
        assert!(set.reading().is_none(), "no interval is over");
        set.turn();
        assert_eq!(number(&set), 3.0);
        assert_eq!(set.apply(1, &members(&[2])), Ok(()));
        assert_eq!(number(&set), 3.0, "until the next turn");
        set.turn();
        assert_eq!(number(&set), 1.0);
        set.turn();
        assert_eq!(number(&set), 0.0);
        assert_eq!(set.apply(1, &Change::Count(1.0)), Err(Refusal::TypeConflict));
        assert_eq!(instrument(MetricType::Gauge).apply(1, &members(&[1])), Err(Refusal::TypeConflict), "a gauge that is no set");
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
        let Some(Reading::Histogram(histogram)) = histogram.reading() else { panic!("a histogram") };
        assert_eq!((histogram.counts.as_slice(), histogram.sum), (&[1, 0][..], 1.0));
    }
}
