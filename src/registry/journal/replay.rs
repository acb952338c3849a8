//! Lets happen again what was written down.

use std::collections::HashMap;
use std::sync::Arc;

use super::bytes::Bytes;
use super::frame::Frame;
use super::operation::{Observations, Operation, Totals, read};
use crate::model::{Change, GaugeMerge, GaugeOp, Histogram, Timestamp};
use crate::registry::Place;
use crate::registry::events::{Events, Former};

/// Numbers of series and records beyond this are damage: nobody counts so far.
pub(super) const NUMBER_MAX: u64 = 1 << 62;

/// A record makes no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Senseless;

/// Series on their way back.
#[derive(Debug, Default)]
pub(super) struct Replay {
    pub(super) events: Events,
    known: HashMap<u64, Known>,
    /// When the last change happened that is known of.
    pub(super) newest: Option<Timestamp>,
    /// The last sequence of all.
    pub(super) sequence: u64,
}

/// A series whose number is known.
#[derive(Clone, Copy, Debug)]
struct Known {
    place: Place,
    /// Changes in records up to this one are already in it.
    through: u64,
}

/// What a record is part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// Of a snapshot: the record's series hold everything up to its sequence.
    Snapshot,
    /// Of a journal.
    Journal,
}

impl Replay {
    /// Applies a record; for the last one of a snapshot, the totals.
    pub(super) fn apply(&mut self, part: Part, frame: Frame<'_>) -> Result<Option<Totals>, Senseless> {
        let Frame { sequence, payload } = frame;
        if sequence > NUMBER_MAX {
            return Err(Senseless);
        }
        let mut bytes = Bytes(payload);
        let (mut at, mut family, mut totals) = (Timestamp::default(), None, None);
        while !bytes.is_empty() {
            match read(&mut bytes).ok_or(Senseless)? {
                Operation::At(time) => {
                    at = time;
                    self.newest = self.newest.max(Some(time));
                }
                Operation::Family(new) => {
                    family = Some(Former { name: Arc::from(new.name), kind: new.kind, origin: new.origin, bounds: Arc::from(new.bounds) });
                }
                Operation::Define(number, labels) => {
                    let family = family.as_ref().ok_or(Senseless)?;
                    // They begin at 1: a reader of a family begins behind 0.
                    if number == 0 || number > NUMBER_MAX {
                        return Err(Senseless);
                    }
                    if part == Part::Journal && self.known.get(&number).is_some_and(|known| sequence <= known.through) {
                        continue;
                    }
                    let through = if part == Part::Snapshot { sequence } else { 0 };
                    if let Some(place) = self.events.define(family, &labels, number, at)
                        && self.known.entry(number).or_insert(Known { place, through }).place != place
                    {
                        // A number is given once: this one is another series'.
                        return Err(Senseless);
                    }
                }
                Operation::Count(number, rise) => self.change(part, sequence, number, at, |_| Some(Change::Count(rise)))?,
                Operation::Level(number, value) => {
                    let change = Change::Gauge { value, op: GaugeOp::Set, merge: GaugeMerge::Last };
                    self.change(part, sequence, number, at, |_| Some(change))?;
                }
                Operation::Stamped(number, value, seconds) => {
                    self.change(part, sequence, number, at, |_| Some(Change::Stamped { value, seconds, always: true }))?;
                }
                Operation::Observe(number, observations) => {
                    self.change(part, sequence, number, at, |bounds| observed(bounds, *observations).map(Change::Observe))?;
                }
                Operation::Gone(number) => {
                    if let Some(place) = self.place(part, sequence, number) {
                        self.events.leave_out(place);
                        self.known.remove(&number);
                    }
                }
                Operation::Looked { last, at } => {
                    // What has been saved since knows of it already.
                    let known = self.known.values().filter(|known| part == Part::Journal && sequence > known.through);
                    self.events.look_again(known.map(|known| known.place), last, at);
                    if part == Part::Snapshot || sequence > self.sequence {
                        self.events.has_looked(at);
                    }
                }
                Operation::End(end) => {
                    if end.number > NUMBER_MAX || end.sequence > NUMBER_MAX {
                        return Err(Senseless);
                    }
                    totals = Some(end);
                }
            }
        }
        self.sequence = self.sequence.max(sequence);
        if let Some(totals) = totals {
            self.events.pass(totals.number);
            self.sequence = self.sequence.max(totals.sequence);
        }
        Ok(totals)
    }

    fn change(
        &mut self,
        part: Part,
        sequence: u64,
        number: u64,
        at: Timestamp,
        change: impl FnOnce(Arc<[f64]>) -> Option<Change>,
    ) -> Result<(), Senseless> {
        // A series may have gone before it could be saved: then there is nothing for its changes to change.
        let Some(place) = self.place(part, sequence, number) else { return Ok(()) };
        let Some(bounds) = self.events.bounds_at(place) else { return Ok(()) };
        let change = change(bounds).ok_or(Senseless)?;
        if self.events.replay(place, &change, at) { Ok(()) } else { Err(Senseless) }
    }

    /// Where a series is that a record is to change; `None` where it is not known, or holds the record already.
    fn place(&self, part: Part, sequence: u64, number: u64) -> Option<Place> {
        let known = self.known.get(&number)?;
        (part == Part::Snapshot || sequence > known.through).then_some(known.place)
    }
}

fn observed(bounds: Arc<[f64]>, observations: Observations) -> Option<Histogram> {
    let Observations { sum, counts, exponential } = observations;
    let mut histogram = Histogram::new(bounds);
    for (place, count) in counts {
        *histogram.counts.get_mut(place)? = count;
    }
    Some(Histogram { sum, exponential, ..histogram })
}
