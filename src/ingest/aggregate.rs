//! A session's own table of changes. An event of a known series costs its parse and one look-up of the bytes that
//! identify it; names and labels are made only for what has not been seen. From time to time the registry takes the
//! changes out of the table, which keeps its room: in the steady state nothing is allocated.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use hashbrown::HashMap;

use super::kinds::Task;
use super::metrics::Kind;
use super::naming::{Naming, put};
use super::open::Open;
use super::part::Part;
use super::room::{Claim, Room};
use super::rows::Rows;
use super::shape::{Effect, Meaning, Shapes, number};
use super::statsd::{self, Check, Line, Occurrence};
use super::{Config, Refusal};
use crate::model::{Change, Distinct, Exemplar, GaugeMerge, GaugeOp, Histogram, MetricType, SeriesKey, Tags, Timestamp, TraceId};
use crate::registry::{Merge, Pending, Registry};

/// What an identity or a shape costs beside its text.
const ENTRY_BYTES: usize = 64;
/// What a series costs here beside its labels, and a histogram with its buckets.
const SLOT_BYTES: usize = 250;
const HISTOGRAM_BYTES: usize = 2000;
/// What the members of a set may cost: as many as are counted exactly, and the sketch beside them.
const SET_BYTES: usize = 14_000;
/// So many observations wait to be counted together.
const OBSERVED_MAX: usize = 32;

/// Changes since the last batch, by series.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) naming: Naming,
    registry: Arc<Registry>,
    series_max: usize,
    bytes_max: usize,
    known: HashMap<Box<[u8]>, Place>,
    known_bytes: usize,
    /// What it takes of the room for all sessions.
    claim: Claim,
    slots: Vec<Slot>,
    by_series: HashMap<SeriesKey, usize>,
    /// Of sets, which are gauges by their type: where one meets a gauge of its name, the registry decides.
    sets: HashMap<SeriesKey, usize>,
    shapes: Shapes,
    pub(super) rows: Rows,
    changed: Vec<usize>,
    pub(super) scratch: Vec<u8>,
    /// The slots in which open requests count.
    pub(super) requests: Open<usize>,
    tasks: Open<Task>,
    stalled_millis: i64,
    merged_gauges: bool,
    members: RandomState,
}

/// Lines whose shape is known, as they are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) kind: Kind,
    pub(super) events: u64,
    pub(super) repeated_tags: u32,
}

/// Where an identity's changes go.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    slot: usize,
    /// Takes the sender's value to the series' unit.
    factor: f64,
}

impl Place {
    /// A slot whose values come in its own unit.
    pub(super) const fn of(slot: usize) -> Self {
        Self { slot, factor: 1.0 }
    }
}

/// What came of looking for a series' place.
pub(super) type Found = Result<Place, Refusal>;

/// A series' changes, and the observations that are not yet counted in its buckets.
#[derive(Debug)]
struct Slot {
    pending: Pending,
    observed: Vec<f64>,
    /// Of the observations since the last batch that belong to a trace, the largest: those are the ones that are asked for.
    exemplar: Option<Exemplar>,
}

impl Slot {
    /// Counts what waits. Going through many observations of one series at a time, its buckets are fetched into the cache
    /// once for all of them.
    fn settle(&mut self) {
        if let Change::Observe(histogram) = &mut self.pending.change {
            settle(&mut self.observed, histogram);
            if let Some(exemplar) = self.exemplar.take() {
                histogram.exemplify(exemplar);
            }
        }
    }
}

fn settle(observed: &mut Vec<f64>, histogram: &mut Histogram) {
    observed.drain(..).for_each(|value| histogram.observe(value, 1));
}

/// Changes of a series that the registry did not take.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) reason: Refusal,
    pub(super) name: Arc<str>,
    pub(super) events: u64,
}

impl Table {
    /// For a sender in this systemd unit, if it is known.
    pub(super) fn new(config: &Config, unit: Option<&str>, registry: Arc<Registry>, room: Arc<Room>) -> Self {
        Self {
            naming: Naming::new(config, unit),
            members: registry.member_hasher(),
            registry,
            series_max: config.flush_series.max(1),
            bytes_max: config.session_bytes_max,
            known: HashMap::new(),
            known_bytes: 0,
            claim: Claim::new(room),
            slots: Vec::new(),
            by_series: HashMap::new(),
            sets: HashMap::new(),
            shapes: Shapes::default(),
            rows: Rows::default(),
            changed: Vec::new(),
            scratch: Vec::new(),
            requests: Open::new(config.open_requests_max, Refusal::OpenRequests, config.open_request_timeout.as_millis()),
            tasks: Open::new(config.open_tasks_max, Refusal::OpenTasks, config.open_task_timeout.as_millis()),
            stalled_millis: config.task_stalled_after.as_millis(),
            merged_gauges: false,
        }
    }

    /// True when nothing has changed since the last batch.
    pub(super) fn is_empty(&self) -> bool {
        self.changed.is_empty()
    }

    /// True when the registry should have the changes before the table takes another event.
    pub(super) fn is_full(&self) -> bool {
        self.changed.len() >= self.series_max || self.is_large()
    }

    /// True when the table holds so much that it should begin anew.
    fn is_large(&self) -> bool {
        self.bytes() >= self.bytes_max || self.claim.is_too_large()
    }

    fn bytes(&self) -> usize {
        let entries = self.known.len() + self.shapes.len() + self.rows.len();
        self.known_bytes + self.shapes.bytes() + self.rows.bytes() + entries * ENTRY_BYTES
    }

    /// Takes as much of the room for all sessions as it holds.
    pub(super) fn weigh(&mut self) {
        self.claim.set(self.bytes());
    }

    /// True when it holds so much that it may have to begin anew for the sake of other sessions.
    pub(super) const fn has_much(&self) -> bool {
        self.claim.is_large()
    }

    /// Begins anew where others need the room. The table must have been emptied.
    pub(super) fn make_room(&mut self) {
        if self.claim.is_too_large() {
            self.claim.curtailed();
            self.forget();
        }
    }

    /// True while a request or a task is open, so that [`Table::expire`] has to be asked from time to time.
    pub(super) fn has_open(&self) -> bool {
        !self.requests.is_empty() || !self.tasks.is_empty()
    }

    /// True when this sender has moved a gauge that is merged over live senders.
    pub(super) const fn has_merged_gauges(&self) -> bool {
        self.merged_gauges
    }

    /// Adds the values of a metric line whose shape is known, and tells what they are; `None` for any other line, which
    /// then has to be decoded.
    pub(super) fn add_known(&mut self, line: &[u8]) -> Option<Known> {
        let (meaning, values) = self.shapes.find(line)?;
        self.add_values(meaning, values)
    }

    /// The same for one of the parts that stand behind a plain StatsD line's name.
    pub(super) fn add_known_part(&mut self, name: &[u8], part: &[u8]) -> Option<Known> {
        let (meaning, values) = self.shapes.find_part(name, part)?;
        self.add_values(meaning, values)
    }

    fn add_values(&mut self, meaning: Meaning, values: &[u8]) -> Option<Known> {
        let known = |kind, events| Known { kind, events, repeated_tags: meaning.repeated };
        if meaning.effect == Effect::Join {
            let member = std::str::from_utf8(values).ok().filter(|member| !member.is_empty())?;
            let part = Part::Member(self.members.hash_one(member));
            return self.apply(meaning.slot, part).ok().map(|()| known(Kind::Set, 1));
        }
        if let Some(value) = number(values) {
            return self.change_known(meaning, value, values).map(|kind| known(kind, 1));
        }
        // All of a pack counts or nothing does.
        let members = || values.split(|byte| *byte == b':').filter(|member| !member.is_empty());
        if members().any(|member| number(member).is_none_or(|value| !meaning.takes(value))) {
            return None;
        }
        let mut added = None;
        for (text, value) in members().filter_map(|text| Some((text, number(text)?))) {
            let kind = self.change_known(meaning, value, text)?;
            added = Some(known(kind, added.map_or(1, |known: Known| known.events + 1)));
        }
        added
    }

    fn change_known(&mut self, meaning: Meaning, value: f64, text: &[u8]) -> Option<Kind> {
        let Meaning { slot, factor, effect, .. } = meaning;
        let level = |op| (Kind::Gauge, Part::Level { value, op, merge: GaugeMerge::Last });
        let (kind, part) = match effect {
            Effect::Rise if value < 0.0 => return None,
            Effect::Rise => (Kind::Count, Part::Rise(value)),
            Effect::Set => level(GaugeOp::Set),
            Effect::SetOrChange if matches!(text, [b'+' | b'-', ..]) => level(GaugeOp::Add),
            Effect::SetOrChange => level(GaugeOp::Set),
            Effect::Observe(weight) => (Kind::Histogram, Part::Observation { value, weight: u64::from(weight) }),
            Effect::Join => return None,
        };
        self.change(Place { slot, factor }, part).ok().map(|()| kind)
    }

    /// Remembers a shape: a line of this name, with this behind its colon, changed `place`, and the sender's own value is
    /// multiplied by `times` first.
    pub(super) fn learn(&mut self, name: &[u8], rest: &[u8], place: Place, times: f64, effect: Effect, repeated: u32) {
        if self.shapes.find_part(name, rest).is_none() {
            self.shapes.learn(name, rest, Meaning { slot: place.slot, factor: place.factor * times, effect, repeated });
            self.weigh();
        }
    }

    /// Adds one value of a StatsD line. What [`Table::add`] says of `found` holds here as well.
    ///
    /// # Errors
    /// When it is not counted, and why.
    pub(super) fn add_reading(
        &mut self,
        line: &Line<'_>,
        reading: statsd::Reading<'_>,
        found: &mut Option<Found>,
    ) -> Result<Kind, Refusal> {
        let (kind, part) = match reading {
            statsd::Reading::Rise(rise) if rise < 0.0 => return Err(Refusal::NegativeCount),
            statsd::Reading::Rise(rise) => (Kind::Count, Part::Rise(rise)),
            statsd::Reading::Level(value, op) => (Kind::Gauge, Part::Level { value, op, merge: GaugeMerge::Last }),
            statsd::Reading::Stamped(value, seconds) => (Kind::Gauge, Part::Stamped { value, seconds }),
            statsd::Reading::Observation(value, weight) => (Kind::Histogram, Part::Observation { value, weight }),
            statsd::Reading::Member(member) => (Kind::Set, Part::Member(self.members.hash_one(member))),
        };
        let (metric, unit) = (line.kind.metric(), line.kind.unit());
        let place = found.get_or_insert_with(|| match kind {
            Kind::Set => self.place_set(line),
            _ => self.place_metric(metric, &line.name, unit, line.service, &line.tags),
        });
        self.change((*place)?, part).map(|()| kind)
    }

    /// Adds what a service check has found.
    ///
    /// # Errors
    /// When it is not counted, and why.
    pub(super) fn add_check(&mut self, check: &Check<'_>) -> Result<(), Refusal> {
        let identify = |out: &mut Vec<u8>, _: &Naming| {
            let own = ["check", check.name, check.service.unwrap_or("")];
            let tags = check.tags.iter().flat_map(|(key, value)| [&**key, &**value]);
            own.into_iter().chain(tags).for_each(|text| put(out, text));
        };
        let place = self.place(identify, |naming| Ok((naming.check(check)?, 1.0)))?;
        let (value, op, merge) = (f64::from(check.status), GaugeOp::Set, GaugeMerge::Last);
        self.change(place, Part::Level { value, op, merge })
    }

    /// Counts an event of DogStatsD's.
    ///
    /// # Errors
    /// When it is not counted, and why.
    pub(super) fn add_occurrence(&mut self, occurrence: &Occurrence<'_>) -> Result<(), Refusal> {
        let identify = |out: &mut Vec<u8>, _: &Naming| {
            let own = ["event", occurrence.alert, occurrence.priority, occurrence.service.unwrap_or("")];
            own.into_iter().for_each(|text| put(out, text));
        };
        let place = self.place(identify, |naming| Ok((naming.occurrence(occurrence)?, 1.0)))?;
        self.change(place, Part::Rise(1.0))
    }

    /// Brings a task into the state that counts in this slot. See [`super::writer::Writer::move_task`].
    ///
    /// # Errors
    /// When too many are open, or the identifier is too long.
    pub(super) fn move_task(&mut self, id: &str, at: Timestamp, slot: usize, stalled: Option<usize>) -> Result<(), Refusal> {
        let stalled = stalled.map(|slot| (slot, false));
        match self.tasks.touch(id, at) {
            Some(task) => {
                let before = std::mem::replace(task, Task { slot, stalled });
                self.leave(before);
            }
            None => {
                self.tasks.begin(id, at, Task { slot, stalled })?;
            }
        }
        self.move_level(slot, 1.0);
        if let Some((slot, _)) = stalled {
            // So that the series is there before the first task stalls.
            self.move_level(slot, 0.0);
        }
        Ok(())
    }

    /// Takes a task that has ended out of the state that it was in, if it had begun here.
    pub(super) fn end_task(&mut self, id: &str) {
        if let Some(task) = self.tasks.end(id) {
            self.leave(task);
        }
    }

    fn leave(&mut self, task: Task) {
        self.move_level(task.slot, -1.0);
        if let Some((slot, true)) = task.stalled {
            self.move_level(slot, -1.0);
        }
    }

    /// Ends the requests and the tasks that have been open for too long, and finds the tasks that have stalled; how many
    /// requests and tasks were ended.
    pub(super) fn expire(&mut self, at: Timestamp) -> (u64, u64) {
        let (mut requests, mut tasks) = (0, 0);
        while let Some(slot) = self.requests.expire(at) {
            self.move_level(slot, -1.0);
            requests += 1;
        }
        while let Some(task) = self.tasks.expire(at) {
            self.leave(task);
            tasks += 1;
        }
        while let Some(task) = self.tasks.silent(at, self.stalled_millis) {
            if let Some((slot, stalls)) = &mut task.stalled {
                *stalls = true;
                let slot = *slot;
                self.move_level(slot, 1.0);
            }
        }
        (requests, tasks)
    }

    /// Forgets what stands for the sender's present state: it is gone. The table must have been emptied.
    pub(super) fn bereave(&mut self) {
        self.requests.clear();
        self.tasks.clear();
        self.merged_gauges = false;
    }

    /// Hands all changes over, and tells which are refused.
    pub(super) fn hand_over(&mut self, merge: &mut Merge<'_>) -> Vec<Refused> {
        let mut all_refused = Vec::new();
        for index in self.changed.drain(..) {
            let Some(slot) = self.slots.get_mut(index) else { continue };
            slot.settle();
            let pending = &mut slot.pending;
            if let Err(reason) = merge.apply(pending) {
                all_refused.push(Refused { reason: reason.into(), name: Arc::clone(&pending.key.name), events: pending.events });
            }
            pending.clear();
        }
        self.make_room();
        if self.is_large() {
            self.forget();
        }
        all_refused
    }

    /// What would be handed over now.
    #[cfg(test)]
    pub(super) fn pending(&self) -> impl Iterator<Item = &Pending> {
        self.changed.iter().filter_map(|index| self.slots.get(*index)).map(|slot| &slot.pending)
    }

    /// Takes a new configuration. The table must have been emptied; requests that are open stay open.
    pub(super) fn reconfigure(&mut self, config: &Config, unit: Option<&str>) {
        self.naming = Naming::new(config, unit);
        self.series_max = config.flush_series.max(1);
        self.bytes_max = config.session_bytes_max;
        self.requests.limit(config.open_requests_max, config.open_request_timeout.as_millis());
        self.tasks.limit(config.open_tasks_max, config.open_task_timeout.as_millis());
        self.stalled_millis = config.task_stalled_after.as_millis();
        self.forget();
    }

    /// Forgets what names have been made, but for those that open requests and tasks count in. Only for an empty table.
    fn forget(&mut self) {
        self.known = HashMap::new();
        self.known_bytes = 0;
        let slots = std::mem::take(&mut self.slots);
        self.by_series = HashMap::new();
        self.sets = HashMap::new();
        self.shapes = Shapes::default();
        self.rows = Rows::default();
        // Put aside while slots are made for them.
        let empty = (Open::new(0, Refusal::OpenRequests, 0), Open::new(0, Refusal::OpenTasks, 0));
        let mut requests = std::mem::replace(&mut self.requests, empty.0);
        let mut tasks = std::mem::replace(&mut self.tasks, empty.1);
        let mut keep = |slot: &mut usize| {
            if let Some(old) = slots.get(*slot) {
                *slot = self.slot(old.pending.key.clone());
            }
        };
        requests.values_mut().for_each(&mut keep);
        for task in tasks.values_mut() {
            keep(&mut task.slot);
            task.stalled.iter_mut().for_each(|(slot, _)| keep(slot));
        }
        (self.requests, self.tasks) = (requests, tasks);
        self.weigh();
    }

    /// The place of a metric that its sender has named.
    fn place_metric(&mut self, kind: MetricType, name: &str, unit: Option<&str>, service: Option<&str>, tags: &Tags<'_>) -> Found {
        let identify = |out: &mut Vec<u8>, _: &Naming| {
            let own = [kind.as_str(), name, unit.unwrap_or(""), service.unwrap_or("")];
            own.into_iter().chain(tags.iter().flat_map(|(key, value)| [&**key, &**value])).for_each(|text| put(out, text));
        };
        self.place(identify, |naming| naming.series(kind, name, unit, service, tags))
    }

    /// The place of a set.
    fn place_set(&mut self, set: &Line<'_>) -> Found {
        let identify = |out: &mut Vec<u8>, _: &Naming| {
            let own = ["set", &set.name, set.service.unwrap_or("")];
            own.into_iter().chain(set.tags.iter().flat_map(|(key, value)| [&**key, &**value])).for_each(|text| put(out, text));
        };
        let resolve = |naming: &Naming| naming.series(set.kind.metric(), &set.name, None, set.service, &set.tags);
        self.place_in(identify, resolve, Self::slot_of_set)
    }

    /// The place of an identity; `resolve` says what it is where it has not been seen.
    pub(super) fn place(
        &mut self,
        identify: impl FnOnce(&mut Vec<u8>, &Naming),
        resolve: impl FnOnce(&Naming) -> Result<(SeriesKey, f64), Refusal>,
    ) -> Found {
        self.place_in(identify, resolve, Self::slot)
    }

    fn place_in(
        &mut self,
        identify: impl FnOnce(&mut Vec<u8>, &Naming),
        resolve: impl FnOnce(&Naming) -> Result<(SeriesKey, f64), Refusal>,
        slot: impl FnOnce(&mut Self, SeriesKey) -> usize,
    ) -> Found {
        self.scratch.clear();
        identify(&mut self.scratch, &self.naming);
        if let Some(place) = self.known.get(self.scratch.as_slice()) {
            return Ok(*place);
        }
        let (series, factor) = resolve(&self.naming)?;
        let place = Place { slot: slot(self, series), factor };
        self.known_bytes += self.scratch.len();
        self.known.insert(Box::from(self.scratch.as_slice()), place);
        self.weigh();
        Ok(place)
    }

    /// The slot of a series. Several identities may share it: tags in another order, another unit, another path.
    pub(super) fn slot(&mut self, series: SeriesKey) -> usize {
        if let Some(slot) = self.by_series.get(&series) {
            return *slot;
        }
        let slot = self.slots.len();
        self.by_series.insert(series.clone(), slot);
        let change = Change::none(series.kind, || self.registry.bounds(&series.name));
        let (bytes, room) = if series.kind == MetricType::Histogram { (HISTOGRAM_BYTES, OBSERVED_MAX) } else { (SLOT_BYTES, 0) };
        self.known_bytes += series.labels.byte_len() + bytes;
        self.slots.push(Slot { pending: Pending::new(series, change), observed: Vec::with_capacity(room), exemplar: None });
        slot
    }

    /// The slot of a set.
    fn slot_of_set(&mut self, series: SeriesKey) -> usize {
        if let Some(slot) = self.sets.get(&series) {
            return *slot;
        }
        let slot = self.slots.len();
        self.sets.insert(series.clone(), slot);
        self.known_bytes += series.labels.byte_len() + SET_BYTES;
        self.slots.push(Slot { pending: Pending::new(series, Change::Members(Distinct::default())), observed: Vec::new(), exemplar: None });
        slot
    }

    /// Moves a gauge that is summed over live senders.
    pub(super) fn move_level(&mut self, slot: usize, change: f64) {
        // The slot is that of a gauge, and what moves it is finite.
        let _always = self.apply(slot, Part::Level { value: change, op: GaugeOp::Add, merge: GaugeMerge::Sum });
    }

    /// Notes the trace of an observation, as the sender made it.
    pub(super) fn exemplify(&mut self, place: Place, trace_id: TraceId, value: f64, at: Timestamp) {
        let Some(slot) = self.slots.get_mut(place.slot) else { return };
        let value = value * place.factor;
        if slot.exemplar.is_none_or(|exemplar| value >= exemplar.value) {
            slot.exemplar = Some(Exemplar { trace_id, value, at });
        }
    }

    /// Changes a series. A value that is not finite is refused.
    ///
    /// # Errors
    /// When it is, or when the series takes no such change.
    pub(super) fn change(&mut self, place: Place, part: Part) -> Result<(), Refusal> {
        let part = part.scaled(place.factor);
        if part.is_finite() { self.apply(place.slot, part) } else { Err(Refusal::NotFinite) }
    }

    fn apply(&mut self, slot: usize, part: Part) -> Result<(), Refusal> {
        let Some(Slot { pending, observed, .. }) = self.slots.get_mut(slot) else { return Ok(()) };
        let fresh = pending.events == 0;
        match (part, &mut pending.change) {
            (Part::Observation { value, weight: 1 }, Change::Observe(histogram)) => {
                observed.push(value);
                if observed.len() >= OBSERVED_MAX {
                    settle(observed, histogram);
                }
            }
            (part, change) => part.apply(change, fresh)?,
        }
        if fresh {
            self.changed.push(slot);
        }
        pending.events += 1;
        self.merged_gauges |= part.is_merged();
        Ok(())
    }
}
