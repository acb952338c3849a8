//! How many events came in, and how many were refused. These live in the registry, so that they are as lasting as what the
//! events have changed, and are written down together with it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Refusal;
use super::metrics::{Tally, kind_names};
use crate::model::{Change, Labels, MetricType, Timestamp};
use crate::registry::{Merge, Pending, Registry};

/// The changes are nobody's: the agent itself makes them.
const NOBODY: u64 = u64::MAX;

/// A metric: name, label, meaning.
type Described = (&'static str, &'static str, &'static str);

const EVENTS: Described = ("sidewatch_ingest_events_total", "kind", "Events that were received and understood, by kind.");
const REFUSED: Described = (
    "sidewatch_ingest_refused_total",
    "reason",
    "Lines, frames and events that were received and are not counted, by reason; an event of several series may count more than once.",
);

/// The metrics that live in the registry: name, type, meaning, label.
pub(super) const DESCRIBED: [(&str, MetricType, &str, &str); 2] =
    [(EVENTS.0, MetricType::Counter, EVENTS.2, EVENTS.1), (REFUSED.0, MetricType::Counter, REFUSED.2, REFUSED.1)];

/// The totals of all senders.
#[derive(Debug)]
pub(super) struct Totals {
    registry: Arc<Registry>,
    rows: Mutex<Rows>,
}

/// The counters. They are taken before the registry, never while that is held.
#[derive(Debug)]
pub(super) struct Rows {
    events: Vec<Pending>,
    refused: Vec<Pending>,
}

impl Totals {
    /// Goes on from what the registry knows.
    pub(super) fn new(registry: Arc<Registry>, at: Timestamp) -> Self {
        let row = |(name, label, help): Described, value: &str| registry.own_counter(name, help, Labels::from_pairs([(label, value)]), at);
        let events = kind_names().map(|kind| row(EVENTS, kind)).into();
        let refused = Refusal::ALL.map(|reason| row(REFUSED, reason.as_str())).into();
        Self { registry, rows: Mutex::new(Rows { events, refused }) }
    }

    /// The counters, to hand something over.
    pub(super) fn rows(&self) -> MutexGuard<'_, Rows> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds one refusal.
    pub(super) fn refuse(&self, reason: Refusal, at: Timestamp) {
        let mut tally = Tally::default();
        tally.refuse(reason, 1);
        self.rows().hand_over(&mut self.registry.merge(NOBODY, at), &mut tally);
    }
}

impl Rows {
    /// Takes events and refusals out of a tally and adds them.
    pub(super) fn hand_over(&mut self, merge: &mut Merge<'_>, tally: &mut Tally) {
        let (events, refused) = tally.take_counts();
        let counts = self.events.iter_mut().zip(events).chain(self.refused.iter_mut().zip(refused));
        for (row, count) in counts.filter(|(_, count)| *count > 0) {
            row.change = Change::Count(count as f64);
            // The counter is the agent's own and there: nothing stands in its way.
            let _refused = merge.apply(row);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::metrics::Kind;
    use crate::model::Value;
    use crate::telemetry::Telemetry;

    #[test]
    fn every_reason_and_every_kind_has_a_place_of_its_own() {
        let registry = Registry::new(&crate::registry::Config::default(), &Telemetry::new());
        let at = Timestamp::from_millis(0);
        let totals = Totals::new(Arc::clone(&registry), at);
        let mut tally = Tally::default();
        (1..).zip(Refusal::ALL).for_each(|(count, reason)| tally.refuse(reason, count));
        (1..).zip(Kind::ALL).for_each(|(count, kind)| tally.count(kind, count));
        totals.rows().hand_over(&mut registry.merge(NOBODY, at), &mut tally);
        assert_eq!(tally, Tally::default(), "it is taken out");
        let families = registry.families();
        let value = |name: &str, label: &str| {
            let family = families.iter().find(|family| &*family.name == name).expect("a family");
            let series = family.series.iter().find(|series| series.labels.iter().any(|(_, value)| value == label)).expect("a series");
            series.value.clone()
        };
        for (count, reason) in (1_u32..).zip(Refusal::ALL) {
            assert_eq!(value(REFUSED.0, reason.as_str()), Value::Number(f64::from(count)), "{reason:?}");
        }
        for (count, kind) in (1_u32..).zip(Kind::ALL) {
            assert_eq!(value(EVENTS.0, kind.as_str()), Value::Number(f64::from(count)), "{kind:?}");
        }
    }
}
