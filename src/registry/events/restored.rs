//! Families and series as they come back from what was written down, and as they are saved.

use std::sync::Arc;

use super::collapse::OTHER;
use super::{EventFamily, Events, Owner, Which, budget};
use crate::model::{Change, Histogram, Labels, MetricType, Origin, SeriesKey, Timestamp};
use crate::registry::instrument::Instrument;
use crate::registry::series::{Live, Standing};
use crate::registry::walk::Cursor;
use crate::registry::{Config, Place};

/// What a family was when it was written down.
#[derive(Debug)]
pub(in crate::registry) struct Former {
    pub(in crate::registry) name: Arc<str>,
    pub(in crate::registry) kind: MetricType,
    pub(in crate::registry) origin: Origin,
    pub(in crate::registry) bounds: Arc<[f64]>,
}

impl Events {
    /// Makes a series again under the number that it had; `None` where it has been made anew since, or its name has another
    /// type. Other buckets than the family has replace them.
    pub(in crate::registry) fn define(&mut self, former: &Former, labels: &Labels, number: u64, at: Timestamp) -> Option<Place> {
        self.slab.pass(number);
        let key = SeriesKey { name: Arc::clone(&former.name), kind: former.kind, labels: Labels::empty() };
        let family = match self.by_name.get(&former.name) {
            Some(family) => *family,
            None => self.make_family(Owner::Journal(former.origin, &former.bounds), &key).ok()?,
        };
        let state = self.family(family)?;
        if state.kind != former.kind {
            return None;
        }
        if state.bounds != former.bounds {
            self.rebound(family, &former.bounds);
        }
        let Some(index) = self.find(family, labels) else {
            let made = self.make_numbered(family, labels, standing(former.origin, labels), number, at);
            return made.map(|found| self.slab.place(found.index));
        };
        match self.slab.get(index)?.number {
            there if there == number => Some(self.slab.place(index)),
            there if there > number => None,
            _ => {
                self.remove(index);
                self.define(former, labels, number, at)
            }
        }
    }

    /// Lets a change happen again. False where it cannot have happened so.
    pub(in crate::registry) fn replay(&mut self, place: Place, change: &Change, at: Timestamp) -> bool {
        self.slab.index(place).is_some_and(|index| self.change(index, 0, change, at).is_ok())
    }

    /// Takes a series out again.
    pub(in crate::registry) fn leave_out(&mut self, place: Place) {
        if let Some(index) = self.slab.index(place) {
            self.remove(index);
        }
    }

    /// The buckets of a series' family.
    pub(in crate::registry) fn bounds_at(&self, place: Place) -> Option<Arc<[f64]>> {
        let live = self.slab.get(self.slab.index(place)?)?;
        self.families.get(live.family as usize)?.as_ref().map(|family| Arc::clone(&family.bounds))
    }

    /// No number up to this one is given again.
    pub(in crate::registry) fn pass(&mut self, number: u64) {
        self.slab.pass(number);
    }

    /// The highest number that was given.
    pub(in crate::registry) const fn highest(&self) -> u64 {
        self.slab.highest()
    }

    /// Takes up what has been restored, of which the last change happened at `newest`: idle series stay as idle as they
    /// were, and histograms get the buckets that the configuration gives them now.
    pub(in crate::registry) fn settle_in(&mut self, config: &Config, newest: Option<Timestamp>, at: Timestamp) {
        for (_, live) in self.slab.iter_mut() {
            live.defined = true;
        }
        self.recorded = self.slab.highest();
        self.resume_sweeps(config, newest, at);
        let is_old = |family: &EventFamily| family.kind == MetricType::Histogram && family.origin == Origin::Events;
        let all: Vec<_> = (0..).zip(&self.families).filter_map(|(index, family)| Some((index, family.as_ref()?))).collect();
        let wanted = all.into_iter().filter(|(_, family)| is_old(family)).map(|(index, family)| (index, config.buckets.of(&family.name)));
        for (index, bounds) in wanted.collect::<Vec<_>>() {
            self.rebound(index, &bounds);
        }
    }

    /// Shows series that outlive their senders to `each`, with their families, from where `cursor` stands; false at the end.
    pub(in crate::registry) fn copy<'e>(&'e self, cursor: &mut Cursor, mut each: impl FnMut(&'e EventFamily, u64, &'e Live)) -> bool {
        self.visit(Which::All, cursor, &mut |family, series| {
            if let Some((_, live, _)) = series {
                each(family, family.number, live);
            }
        })
    }

    /// Gives a family of histograms other buckets. What was counted is counted at its old upper bound; where a bound stays,
    /// what lies below it stays the same. Whoever reads the journal has to hear of the new buckets with each series.
    fn rebound(&mut self, family: u32, bounds: &Arc<[f64]>) {
        let Some(Some(state)) = self.families.get_mut(family as usize) else { return };
        if state.bounds == *bounds {
            return;
        }
        self.bytes.families = self.bytes.families.saturating_sub(budget::family_bytes(state));
        state.bounds = Arc::clone(bounds);
        self.bytes.families += budget::family_bytes(state);
        for index in &state.members {
            let Some(live) = self.slab.get_mut(*index) else { continue };
            let before = live.instrument.sizes();
            live.defined = false;
            if let Instrument::Histogram(histogram) = &mut live.instrument {
                let mut other = Histogram::with_exponential(Arc::clone(bounds));
                other.absorb(histogram);
                **histogram = other;
            }
            self.bytes.replace(before, live.instrument.sizes());
        }
    }
}

/// What a series counted against, as far as its labels tell.
fn standing(origin: Origin, labels: &Labels) -> Standing {
    match origin {
        Origin::Agent => Standing::Own,
        _ if labels.iter().any(|(_, value)| value == OTHER) => Standing::Overflow,
        _ => Standing::Counted,
    }
}
