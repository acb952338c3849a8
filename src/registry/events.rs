//! The families that events make: one type a name, a limit on series.

mod budget;
mod collapse;
mod counts;
mod expiry;
mod promise;
mod restored;

pub(super) use collapse::News;
pub(super) use restored::Former;

use std::collections::{BTreeMap, HashSet};
use std::hash::BuildHasher;
use std::ops::{Bound, Range};
use std::sync::Arc;

use hashbrown::{DefaultHashBuilder, HashTable};

use self::budget::{Relief, Shed};
use self::collapse::Collapse;
use self::counts::Counts;
use super::bytes::{Bytes, Sizes};
use super::help::Helps;
use super::instrument::Instrument;
use super::journal::{Pen, Subject};
use super::publish::Published;
use super::series::{Live, Place, Slab, Standing};
use super::walk::{Cursor, HEADS, Head, Reader, Reading};
use super::{Config, Pending, Refusal, claims, help};
use crate::model::{Change, GaugeMerge, Labels, MetricType, Origin, SeriesKey, Timestamp};

/// All families made by events.
#[derive(Debug, Default)]
pub(super) struct Events {
    by_name: BTreeMap<Arc<str>, u32>,
    families: Vec<Option<EventFamily>>,
    free: Vec<u32>,
    claims: HashSet<String>,
    helps: Helps,
    slab: Slab,
    hasher: DefaultHashBuilder,
    /// What counts against the caps of all metrics together.
    counts: Counts,
    /// Families with a series that counts.
    named: usize,
    /// Series that are kept and not shown.
    retired: usize,
    /// When idle series were last looked for.
    swept: Option<Timestamp>,
    /// When the journal was told of that last.
    looks_noted: Option<Timestamp>,
    /// From when to when the agent was away, until the journal knows.
    absence: Option<(Timestamp, Timestamp)>,
    bytes: Bytes,
    relief: Relief,
    shed: Shed,
    news: Vec<News>,
    /// Whether other labels are collapsed than were shown last.
    collapses_changed: bool,
    /// Writes down what happens to a series, so that it can happen again.
    pub(super) pen: Pen,
    /// The highest number that had been given when recording began the last time.
    recorded: u64,
}

#[derive(Debug)]
pub(super) struct EventFamily {
    name: Arc<str>,
    kind: MetricType,
    help: Arc<str>,
    origin: Origin,
    /// A histogram's buckets, the same in all its series; else empty.
    bounds: Arc<[f64]>,
    /// Whether a gauge in it is, or was, merged over live senders: only such a family has to be searched for one.
    merged: bool,
    /// Whether there is, or was, a set in it: only such a family has intervals to end.
    sets: bool,
    /// Its number in order of creation, among the numbers of series.
    number: u64,
    by_labels: HashTable<u32>,
    /// Its series in order of creation.
    members: Vec<u32>,
    counts: Counts,
    /// Which labels are replaced in new series; nothing as long as there is room for them.
    collapse: Option<Box<Collapse>>,
}

/// Which series are visited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Which {
    /// Those that have not retired.
    Shown,
    /// Retired ones as well.
    All,
}

/// What came of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Applied {
    /// A series was made for it.
    pub(super) created: bool,
    /// It went to a series in place of its own.
    pub(super) redirected: bool,
}

/// A series that was looked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    pub(super) index: u32,
    applied: Applied,
}

impl Found {
    const fn known(index: u32) -> Self {
        Self { index, applied: Applied { created: false, redirected: false } }
    }
}

/// Who a family is for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Owner<'a> {
    /// Applications: names are checked against what is published, and there are limits.
    Events(&'a Config, &'a Published),
    /// Applications that may make no more series.
    Known(&'a Config),
    /// The agent itself.
    Agent(&'a str),
    /// Whoever it was for when it was written down, with these buckets.
    Journal(Origin, &'a Arc<[f64]>),
}

impl Events {
    /// How many series are shown.
    pub(super) const fn series(&self) -> usize {
        self.slab.len() - self.retired
    }

    /// Begins to record, and says which numbers have been given since that was done the last time.
    pub(super) const fn begin_recording(&mut self) -> Range<u64> {
        let now = self.slab.highest();
        std::mem::replace(&mut self.recorded, now) + 1..now + 1
    }

    /// How many of them stand in place of others.
    pub(super) const fn overflow(&self) -> usize {
        self.counts.overflow
    }

    /// How many series are kept that are not shown.
    pub(super) const fn retired(&self) -> usize {
        self.retired
    }

    /// Takes what is known about metrics. Those that are there already, because they have survived a restart, take it too.
    pub(super) fn describe(&mut self, helps: impl Iterator<Item = (&'static str, &'static str)>) {
        for (name, help) in helps {
            self.helps.insert(name, help);
            let index = self.by_name.get(name).map(|index| *index as usize);
            if let Some(Some(family)) = index.and_then(|index| self.families.get_mut(index)) {
                family.help = Arc::from(help);
            }
        }
    }

    /// How many families there are.
    pub(super) fn len(&self) -> usize {
        self.by_name.len()
    }

    /// Applies what is pending for one series, making the family and the series where they do not exist yet.
    ///
    /// # Errors
    /// When the name has another type, or a limit is reached.
    pub(super) fn apply(&mut self, owner: Owner<'_>, sender: u64, pending: &mut Pending, at: Timestamp) -> Result<Applied, Refusal> {
        let known = pending.place.and_then(|place| self.slab.index(place)).filter(|index| self.is_shown(*index)).map(Found::known);
        let Found { index, applied } = match known {
            Some(known) => known,
            None => self.find_or_make(owner, &pending.key, at)?,
        };
        if applied.created {
            self.resize(index, |live| live.instrument.begin(&pending.change));
        }
        if let Err(reason) = self.change(index, sender, &pending.change, at) {
            if applied.created {
                self.remove(index);
            }
            return Err(reason);
        }
        // What went elsewhere is to find its own series once there is room for it.
        pending.place = (!applied.redirected).then(|| self.slab.place(index));
        Ok(applied)
    }

    /// Makes a series where it does not exist yet; where there is no room for it, finds another in its place.
    ///
    /// # Errors
    /// When the name has another type, or a limit is reached.
    pub(super) fn find_or_make(&mut self, owner: Owner<'_>, key: &SeriesKey, at: Timestamp) -> Result<Found, Refusal> {
        let family = match self.by_name.get(&key.name) {
            Some(family) => *family,
            None => self.make_family(owner, key)?,
        };
        let Some(state) = self.family_mut(family) else { return Err(Refusal::SeriesLimit) };
        if let Owner::Agent(help) = owner
            && state.help.is_empty()
        {
            state.help = Arc::from(help);
        }
        if state.kind != key.kind {
            return Err(Refusal::TypeConflict);
        }
        let there = self.find(family, &key.labels);
        if let Some(index) = there.filter(|index| self.is_shown(*index)) {
            return Ok(Found::known(index));
        }
        let made = match owner {
            Owner::Agent(_) | Owner::Journal(..) => self.make_series(family, &key.labels, Standing::Own, at),
            // It has retired, and comes back.
            Owner::Events(config, _) | Owner::Known(config) if there.is_some() && self.has_room(family, config) => {
                self.make_series(family, &key.labels, Standing::Counted, at)
            }
            Owner::Known(config) => return self.find_in_place(family, config, &key.labels).ok_or(Refusal::SenderLimit),
            Owner::Events(config, _) if self.has_room(family, config) && !self.is_collapsed(family, &key.labels) => {
                self.make_series(family, &key.labels, Standing::Counted, at)
            }
            Owner::Events(config, _) if self.may_be_named(family, config) => self.make_in_place(family, config, &key.labels, at),
            Owner::Events(..) => None,
        };
        made.ok_or_else(|| {
            self.give_up_if_empty(family);
            Refusal::SeriesLimit
        })
    }

    fn family(&self, family: u32) -> Option<&EventFamily> {
        self.families.get(family as usize)?.as_ref()
    }

    fn family_mut(&mut self, family: u32) -> Option<&mut EventFamily> {
        self.families.get_mut(family as usize)?.as_mut()
    }

    /// Whether a series is there that has not retired.
    fn is_shown(&self, index: u32) -> bool {
        self.slab.get(index).is_some_and(|live| !live.retired)
    }

    /// The series of a family with these labels, retired or not.
    fn find(&self, family: u32, labels: &Labels) -> Option<u32> {
        let same = |index: &u32| self.slab.get(*index).is_some_and(|live| live.labels == *labels);
        self.family(family)?.by_labels.find(self.hasher.hash_one(labels), same).copied()
    }

    /// A handle to the series at an index.
    pub(super) fn place(&self, index: u32) -> Place {
        self.slab.place(index)
    }

    /// Takes a sender out of all gauges that are merged over live senders.
    pub(super) fn forget(&mut self, sender: u64) {
        let mut gone = Vec::new();
        let mut families = Vec::new();
        for (family, state) in (0..).zip(&mut self.families) {
            let Some(state) = state.as_mut().filter(|state| state.merged) else { continue };
            let (slab, bytes, before) = (&mut self.slab, &mut self.bytes, gone.len());
            state.members.retain(|index| {
                let stays = slab.get_mut(*index).is_some_and(|live| {
                    let before = live.instrument.sizes();
                    let stays = live.instrument.forget(sender);
                    bytes.replace(before, live.instrument.sizes());
                    stays
                });
                if !stays {
                    gone.push(*index);
                }
                stays
            });
            if gone.len() > before {
                families.push(family);
            }
        }
        gone.into_iter().for_each(|index| self.take_out(index));
        families.into_iter().for_each(|family| self.give_up_if_empty(family));
    }

    /// Ends the interval of all sets.
    pub(super) fn turn(&mut self) {
        for family in self.families.iter().flatten().filter(|family| family.sets) {
            for index in &family.members {
                if let Some(live) = self.slab.get_mut(*index) {
                    let before = live.instrument.sizes();
                    live.instrument.turn();
                    self.bytes.replace(before, live.instrument.sizes());
                }
            }
        }
    }

    /// The buckets of a histogram that exists.
    pub(super) fn bounds(&self, name: &str) -> Option<Arc<[f64]>> {
        let family = self.families.get(*self.by_name.get(name)? as usize)?.as_ref()?;
        (family.kind == MetricType::Histogram).then(|| Arc::clone(&family.bounds))
    }

    /// Reads on from where `cursor` stands, a bounded number of series; false at the end.
    pub(super) fn read(&self, cursor: &mut Cursor, reader: &mut impl Reader) -> bool {
        self.visit(Which::Shown, cursor, &mut |family, series| match series {
            None => reader.family(&family.head()),
            Some((index, live, reading)) => reader.series(self.slab.place(index), live.number, &live.labels, reading),
        })
    }

    /// Goes on from where `cursor` stands, a bounded number of series; false at the end. A family comes without a series
    /// first.
    fn visit<'e>(
        &'e self,
        of: Which,
        cursor: &mut Cursor,
        each: &mut impl FnMut(&'e EventFamily, Option<(u32, &'e Live, Reading<'e>)>),
    ) -> bool {
        while let Some((family, fresh)) = self.family_at(cursor) {
            if fresh && (of == Which::All || family.members.iter().any(|index| self.is_shown(*index))) {
                each(family, None);
            }
            // Members are in order of their numbers, so one that is gone does not move the others past the cursor.
            let number = |index: &u32| self.slab.get(*index).map_or(0, |live| live.number);
            let first = family.members.partition_point(|index| number(index) <= cursor.series());
            let lines = family.lines();
            for index in family.members.get(first..).unwrap_or(&[]) {
                let Some(live) = self.slab.get(*index).filter(|live| of == Which::All || !live.retired) else { continue };
                let Some(reading) = live.instrument.reading() else { continue };
                if !cursor.passes(live.number, lines) {
                    return true;
                }
                each(family, Some((*index, live, reading)));
            }
            cursor.leave();
        }
        false
    }

    /// Reads on behind the family named last, a bounded number of families without their series; false at the end.
    pub(super) fn heads(&self, last: &mut Option<Arc<str>>, see: &mut impl FnMut(&Head<'_>)) -> bool {
        let behind = last.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        let mut read = 0;
        let mut name = None;
        for (_, index) in self.by_name.range::<str, _>((behind, Bound::Unbounded)).take(HEADS) {
            read += 1;
            if let Some(Some(family)) = self.families.get(*index as usize) {
                if family.members.iter().any(|index| self.is_shown(*index)) {
                    see(&family.head());
                }
                name = Some(Arc::clone(&family.name));
            }
        }
        *last = name;
        read == HEADS && last.is_some()
    }

    /// The family that the cursor is in, or else the next one, and whether it is just entered.
    fn family_at(&self, cursor: &mut Cursor) -> Option<(&EventFamily, bool)> {
        let named = |index: &u32| self.families.get(*index as usize).and_then(Option::as_ref);
        if let Some((name, number)) = cursor.family() {
            if let Some(family) = self.by_name.get(name).and_then(named).filter(|family| family.number == number) {
                return Some((family, false));
            }
            cursor.leave();
        }
        let behind = cursor.last().map_or(Bound::Unbounded, Bound::Excluded);
        let (name, index) = self.by_name.range::<str, _>((behind, Bound::Unbounded)).next()?;
        let family = named(index)?;
        cursor.enter(Arc::clone(name), family.number);
        Some((family, true))
    }

    fn change(&mut self, index: u32, sender: u64, change: &Change, at: Timestamp) -> Result<(), Refusal> {
        let keeps_exemplars = self.relief.keeps_exemplars();
        let Some(live) = self.slab.get_mut(index) else { return Ok(()) };
        let before = live.instrument.sizes();
        live.instrument.apply(sender, change)?;
        live.changed = at;
        if !keeps_exemplars {
            live.instrument.drop_exemplars();
        }
        self.bytes.replace(before, live.instrument.sizes());
        if let Some(Some(family)) = self.families.get_mut(live.family as usize) {
            family.merged |= matches!(change, Change::Gauge { merge, .. } if *merge != GaugeMerge::Last);
            family.sets |= matches!(change, Change::Members(_));
            let Live { number, labels, defined, instrument, .. } = live;
            let (head, kept) = (family.head(), instrument.kept());
            self.pen.note(&mut Subject { family: family.number, head, number: *number, labels, kept, defined }, change, at);
        }
        Ok(())
    }

    /// Does something to a series that may change what it holds.
    fn resize<R>(&mut self, index: u32, act: impl FnOnce(&mut Live) -> R) -> Option<R> {
        let live = self.slab.get_mut(index)?;
        let before = live.instrument.sizes();
        let outcome = act(live);
        self.bytes.replace(before, live.instrument.sizes());
        Some(outcome)
    }

    fn make_family(&mut self, owner: Owner<'_>, key: &SeriesKey) -> Result<u32, Refusal> {
        let SeriesKey { name, kind, .. } = key;
        let (help, bounds, origin) = match owner {
            Owner::Agent(help) => (Arc::from(help), Arc::from([]), Origin::Agent),
            Owner::Known(_) => return Err(Refusal::SenderLimit),
            Owner::Journal(Origin::Events, bounds) => (help::of(&self.helps, name, *kind), Arc::clone(bounds), Origin::Events),
            // Its help comes with whoever counts in it.
            Owner::Journal(origin, bounds) => (Arc::from(""), Arc::clone(bounds), origin),
            Owner::Events(config, published) => {
                if self.named >= config.families_max {
                    return Err(Refusal::SeriesLimit);
                }
                if !self.has_bytes_in_place(config) {
                    return Err(Refusal::Memory);
                }
                if claims::names(name, *kind).any(|name| self.claims.contains(&name) || published.claims(&name)) {
                    return Err(Refusal::TypeConflict);
                }
                let bounds = if *kind == MetricType::Histogram { config.buckets.of(name) } else { Arc::from([]) };
                (help::of(&self.helps, name, *kind), bounds, Origin::Events)
            }
        };
        let family = EventFamily {
            name: Arc::clone(name),
            kind: *kind,
            help,
            origin,
            bounds,
            merged: false,
            sets: false,
            number: self.slab.number(),
            by_labels: HashTable::new(),
            members: Vec::new(),
            counts: Counts::default(),
            collapse: None,
        };
        let index = match self.free.pop() {
            Some(index) => index,
            None => {
                self.families.push(None);
                u32::try_from(self.families.len() - 1).map_err(|_| Refusal::SeriesLimit)?
            }
        };
        self.bytes.families += budget::family_bytes(&family);
        if let Some(place) = self.families.get_mut(index as usize) {
            *place = Some(family);
        }
        self.claims.extend(claims::names(name, *kind));
        self.by_name.insert(Arc::clone(name), index);
        Ok(index)
    }

    /// Makes a series, or brings it back where it has retired.
    fn make_series(&mut self, family: u32, labels: &Labels, standing: Standing, at: Timestamp) -> Option<Found> {
        if let Some(index) = self.find(family, labels) {
            self.revive(index, standing);
            return Some(Found::known(index));
        }
        let number = self.slab.number();
        self.make_numbered(family, labels, standing, number, at)
    }

    fn make_numbered(&mut self, family: u32, labels: &Labels, standing: Standing, number: u64, at: Timestamp) -> Option<Found> {
        let hash = self.hasher.hash_one(labels);
        let state = self.families.get_mut(family as usize)?.as_mut()?;
        let instrument = Instrument::new(state.kind, &state.bounds);
        let held = instrument.sizes();
        let live = Live { family, labels: labels.clone(), instrument, changed: at, number, standing, defined: false, retired: false };
        let index = self.slab.insert(live)?;
        self.bytes.series += budget::series_bytes(labels);
        self.bytes.replace(Sizes::default(), held);
        let (slab, hasher) = (&self.slab, &self.hasher);
        state.by_labels.insert_unique(hash, index, |index| slab.get(*index).map_or(0, |live| hasher.hash_one(&live.labels)));
        // The last one by far most often; what was written down may come back in another order.
        let behind = |other: &u32| slab.get(*other).is_some_and(|live| live.number < number);
        let place = if state.members.last().is_none_or(behind) { state.members.len() } else { state.members.partition_point(behind) };
        state.members.insert(place, index);
        self.enter(family, standing);
        Some(Found { index, applied: Applied { created: true, redirected: false } })
    }

    fn remove(&mut self, index: u32) {
        let Some(Live { family, number, .. }) = self.slab.get(index) else { return };
        let (family, number, slab) = (*family, *number, &self.slab);
        if let Some(Some(state)) = self.families.get_mut(family as usize) {
            let first = state.members.partition_point(|other| slab.get(*other).is_some_and(|live| live.number < number));
            if state.members.get(first) == Some(&index) {
                state.members.remove(first);
            }
        }
        self.take_out(index);
        self.give_up_if_empty(family);
    }

    /// Takes a series out that its family does not list any more.
    fn take_out(&mut self, index: u32) {
        let Some(mut live) = self.slab.remove(index) else { return };
        self.pen.gone(live.number, &mut live.defined);
        let hash = self.hasher.hash_one(&live.labels);
        self.bytes.series = self.bytes.series.saturating_sub(budget::series_bytes(&live.labels));
        self.bytes.replace(live.instrument.sizes(), Sizes::default());
        if live.retired {
            self.retired = self.retired.saturating_sub(1);
        } else {
            self.leave(live.family, live.standing);
        }
        if let Some(Some(state)) = self.families.get_mut(live.family as usize)
            && let Ok(entry) = state.by_labels.find_entry(hash, |other| *other == index)
        {
            entry.remove();
        }
    }

    /// A series of a family counts from now on.
    fn enter(&mut self, family: u32, standing: Standing) {
        self.counts.enter(standing);
        if let Some(Some(state)) = self.families.get_mut(family as usize) {
            let before = state.counts.is_empty();
            state.counts.enter(standing);
            self.named += usize::from(before && !state.counts.is_empty());
        }
    }

    /// A series of a family counts no longer.
    fn leave(&mut self, family: u32, standing: Standing) {
        self.counts.leave(standing);
        if let Some(Some(state)) = self.families.get_mut(family as usize) {
            let before = state.counts.is_empty();
            state.counts.leave(standing);
            self.named -= usize::from(!before && state.counts.is_empty());
        }
    }

    /// Without series a name belongs to nobody; kept, such names could pile up without a limit.
    fn give_up_if_empty(&mut self, family: u32) {
        let Some(place) = self.families.get_mut(family as usize) else { return };
        let Some(state) = place.take_if(|state| state.members.is_empty()) else { return };
        for claim in claims::names(&state.name, state.kind) {
            self.claims.remove(&claim);
        }
        self.bytes.families = self.bytes.families.saturating_sub(budget::family_bytes(&state));
        self.collapses_changed |= state.collapse.is_some();
        self.by_name.remove(&state.name);
        self.free.push(family);
    }
}

impl EventFamily {
    /// Lines of a scrape that a series of it is: a histogram has one more bucket than bounds, its sum and its count.
    fn lines(&self) -> usize {
        if self.kind == MetricType::Histogram { self.bounds.len() + 3 } else { 1 }
    }

    pub(super) fn head(&self) -> Head<'_> {
        Head { name: &self.name, kind: self.kind, help: &self.help, origin: self.origin, bounds: &self.bounds }
    }
}
