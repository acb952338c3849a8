//! A session's own table of changes. An event of a known series costs its parse and one look-up of the bytes that
//! identify it; names and labels are made only for what has not been seen. From time to time the registry takes the
//! changes out of the table, which keeps its room: in the steady state nothing is allocated.

use std::sync::Arc;

use hashbrown::HashMap;

use super::naming::Naming;
use super::open::OpenRequests;
use super::request::{self, Instrument};
use super::shape::{Effect, Meaning, Shapes, number};
use super::{Config, Refusal};
use crate::model::{Change, Event, GaugeMerge, GaugeOp, MetricType, RequestEvent, RequestPhase, SeriesKey, Timestamp};
use crate::registry::{Merge, Pending, Registry};

/// What an identity or a shape costs beside its text.
const ENTRY_BYTES: usize = 64;
/// What a series costs here beside its labels, and a histogram with its buckets.
const SLOT_BYTES: usize = 250;
const HISTOGRAM_BYTES: usize = 2000;
/// So many observations wait to be counted together.
const OBSERVED_MAX: usize = 32;

/// Changes since the last batch, by series.
#[derive(Debug)]
pub(super) struct Table {
    naming: Naming,
    registry: Arc<Registry>,
    series_max: usize,
    bytes_max: usize,
    known: HashMap<Box<[u8]>, Place>,
    known_bytes: usize,
    slots: Vec<Slot>,
    by_series: HashMap<SeriesKey, usize>,
    shapes: Shapes,
    changed: Vec<usize>,
    scratch: Vec<u8>,
    open: OpenRequests,
    merged_gauges: bool,
}

/// Where an identity's changes go.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    slot: usize,
    /// Takes the sender's value to the series' unit.
    factor: f64,
}

/// What came of looking for a series' place.
pub(super) type Found = Result<Place, Refusal>;

/// A series' changes, and the observations that are not yet counted in its buckets.
#[derive(Debug)]
struct Slot {
    pending: Pending,
    observed: Vec<f64>,
}

impl Slot {
    /// Counts what waits. Going through many observations of one series at a time, its buckets are fetched into the cache
    /// once for all of them.
    fn settle(&mut self) {
        if let Change::Observe(histogram) = &mut self.pending.change {
            self.observed.drain(..).for_each(|value| histogram.observe(value, 1));
        }
    }
}

/// Changes of a series that the registry did not take.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) reason: Refusal,
    pub(super) name: Arc<str>,
    pub(super) events: u64,
}

/// One event's part in a series.
#[derive(Clone, Copy, Debug)]
enum Part {
    Rise(f64),
    Level { value: f64, op: GaugeOp, merge: GaugeMerge },
    Observation { value: f64, weight: u64 },
}

impl Table {
    /// For a sender in this systemd unit, if it is known.
    pub(super) fn new(config: &Config, unit: Option<&str>, registry: Arc<Registry>) -> Self {
        Self {
            naming: Naming::new(config, unit),
            registry,
            series_max: config.flush_series.max(1),
            bytes_max: config.session_bytes_max,
            known: HashMap::new(),
            known_bytes: 0,
            slots: Vec::new(),
            by_series: HashMap::new(),
            shapes: Shapes::default(),
            changed: Vec::new(),
            scratch: Vec::new(),
            open: OpenRequests::new(config.open_requests_max, config.open_request_timeout.as_millis()),
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
        self.known_bytes + self.shapes.bytes() + (self.known.len() + self.shapes.len()) * ENTRY_BYTES >= self.bytes_max
    }

    /// True while a request is open, so that [`Table::expire`] has to be asked from time to time.
    pub(super) fn has_open_requests(&self) -> bool {
        !self.open.is_empty()
    }

    /// True when this sender has moved a gauge that is merged over live senders.
    pub(super) const fn has_merged_gauges(&self) -> bool {
        self.merged_gauges
    }

    /// Adds the values of a metric line whose shape is known, and tells the type and how many they are; `None` for any
    /// other line, which then has to be decoded.
    pub(super) fn add_known(&mut self, line: &[u8]) -> Option<(MetricType, u64)> {
        let (meaning, values) = self.shapes.find(line)?;
        if let Some(value) = number(values) {
            return self.change_known(meaning, value).map(|kind| (kind, 1));
        }
        // All of a pack counts or nothing does.
        let members = || values.split(|byte| *byte == b':').filter(|member| !member.is_empty());
        if members().any(|member| number(member).is_none_or(|value| !meaning.takes(value))) {
            return None;
        }
        let mut added = None;
        for value in members().filter_map(number) {
            let kind = self.change_known(meaning, value)?;
            added = Some((kind, added.map_or(1, |(_, count)| count + 1)));
        }
        added
    }

    fn change_known(&mut self, Meaning { slot, factor, effect }: Meaning, value: f64) -> Option<MetricType> {
        let (kind, part) = match effect {
            Effect::Rise if value < 0.0 => return None,
            Effect::Rise => (MetricType::Counter, Part::Rise(value)),
            Effect::Set => (MetricType::Gauge, Part::Level { value, op: GaugeOp::Set, merge: GaugeMerge::Last }),
            Effect::Observe(weight) => (MetricType::Histogram, Part::Observation { value, weight }),
        };
        self.change(Place { slot, factor }, part).ok().map(|()| kind)
    }

    /// Remembers a line's shape: its event went to `place`, and the sender's own value is multiplied by `times` first.
    pub(super) fn learn(&mut self, line: &[u8], place: Place, times: f64, effect: Effect) {
        if self.shapes.find(line).is_none() {
            self.shapes.learn(line, Meaning { slot: place.slot, factor: place.factor * times, effect });
        }
    }

    /// Adds one event. Where it goes, or why it cannot, is kept in `found`: the other values of a packed line go the
    /// same way, and looking it up for each would cost the square of the line's length. Requests leave it alone.
    ///
    /// # Errors
    /// When it is not counted, and why.
    pub(super) fn add(&mut self, event: &Event<'_>, at: Timestamp, found: &mut Option<Found>) -> Result<(), Refusal> {
        let (kind, name, unit, service, tags, part) = match event {
            Event::Request(event) => return self.add_request(event, at),
            Event::Count(event) if event.value < 0.0 => return Err(Refusal::NegativeCount),
            Event::Count(event) => (MetricType::Counter, &event.name, &event.unit, &event.service, &event.tags, Part::Rise(event.value)),
            Event::Gauge(event) => {
                let part = Part::Level { value: event.value, op: event.op, merge: event.merge };
                (MetricType::Gauge, &event.name, &event.unit, &event.service, &event.tags, part)
            }
            Event::Histogram(event) => {
                let part = Part::Observation { value: event.value, weight: event.weight };
                (MetricType::Histogram, &event.name, &event.unit, &event.service, &event.tags, part)
            }
        };
        let (unit, service) = (unit.as_deref(), service.as_deref());
        let identify = |out: &mut Vec<u8>, _: &Naming| {
            let mut put = |text: &str| {
                out.extend_from_slice(text.as_bytes());
                out.push(0xff);
            };
            [kind.as_str(), name, unit.unwrap_or(""), service.unwrap_or("")].into_iter().for_each(&mut put);
            tags.iter().flat_map(|(key, value)| [key, value]).for_each(|text| put(text));
        };
        let place = found.get_or_insert_with(|| self.place(identify, |naming| naming.series(kind, name, unit, service, tags)));
        self.change((*place)?, part)
    }

    /// Ends the requests that have been open for too long; how many.
    pub(super) fn expire(&mut self, at: Timestamp) -> u64 {
        let expired = self.open.expire(at);
        let count = expired.len() as u64;
        for series in expired {
            self.active(series, -1.0);
        }
        count
    }

    /// Forgets what stands for the sender's present state: it is gone. The table must have been emptied.
    pub(super) fn bereave(&mut self) {
        self.open.clear();
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
        self.open.limit(config.open_requests_max, config.open_request_timeout.as_millis());
        self.forget();
    }

    /// Forgets what names have been made. Only for an empty table.
    fn forget(&mut self) {
        self.known = HashMap::new();
        self.known_bytes = 0;
        self.slots = Vec::new();
        self.by_series = HashMap::new();
        self.shapes = Shapes::default();
    }

    fn add_request(&mut self, event: &RequestEvent<'_>, at: Timestamp) -> Result<(), Refusal> {
        if event.phase == RequestPhase::Begin {
            let id = event.request_id.as_deref().ok_or(Refusal::MissingField)?;
            let place = self.place_reading(Instrument::Active, event)?;
            let Some(slot) = self.slots.get(place.slot) else { return Ok(()) };
            let series = slot.pending.key.clone();
            if self.open.begin(id, &series, at)? {
                self.active(series, 1.0);
            }
            return Ok(());
        }
        if let Some(series) = event.request_id.as_deref().and_then(|id| self.open.end(id)) {
            self.active(series, -1.0);
        }
        for (instrument, value) in request::readings(event) {
            let place = self.place_reading(instrument, event)?;
            let part = match instrument.kind() {
                MetricType::Histogram => Part::Observation { value, weight: 1 },
                _ => Part::Rise(value),
            };
            self.change(place, part)?;
        }
        Ok(())
    }

    fn place_reading(&mut self, instrument: Instrument, event: &RequestEvent<'_>) -> Result<Place, Refusal> {
        let resolve = |naming: &Naming| Ok((instrument.series(event, naming)?, 1.0));
        self.place(|out, naming| instrument.identify(event, naming, out), resolve)
    }

    /// The place of an identity; `resolve` says what it is where it has not been seen.
    fn place(
        &mut self,
        identify: impl FnOnce(&mut Vec<u8>, &Naming),
        resolve: impl FnOnce(&Naming) -> Result<(SeriesKey, f64), Refusal>,
    ) -> Result<Place, Refusal> {
        self.scratch.clear();
        identify(&mut self.scratch, &self.naming);
        if let Some(place) = self.known.get(self.scratch.as_slice()) {
            return Ok(*place);
        }
        let (series, factor) = resolve(&self.naming)?;
        let place = Place { slot: self.slot(series), factor };
        self.known_bytes += self.scratch.len();
        self.known.insert(Box::from(self.scratch.as_slice()), place);
        Ok(place)
    }

    /// The slot of a series. Several identities may share it: tags in another order, another unit, another path.
    fn slot(&mut self, series: SeriesKey) -> usize {
        if let Some(slot) = self.by_series.get(&series) {
            return *slot;
        }
        let slot = self.slots.len();
        self.by_series.insert(series.clone(), slot);
        let change = Change::none(series.kind, || self.registry.bounds(&series.name));
        let (bytes, room) = if series.kind == MetricType::Histogram { (HISTOGRAM_BYTES, OBSERVED_MAX) } else { (SLOT_BYTES, 0) };
        self.known_bytes += series.labels.byte_len() + bytes;
        self.slots.push(Slot { pending: Pending::new(series, change), observed: Vec::with_capacity(room) });
        slot
    }

    /// Moves the number of active requests.
    fn active(&mut self, series: SeriesKey, change: f64) {
        let slot = self.slot(series);
        self.apply(slot, Part::Level { value: change, op: GaugeOp::Add, merge: GaugeMerge::Sum });
    }

    fn change(&mut self, place: Place, part: Part) -> Result<(), Refusal> {
        let part = match part {
            Part::Rise(rise) => Part::Rise(rise * place.factor),
            Part::Level { value, op, merge } => Part::Level { value: value * place.factor, op, merge },
            Part::Observation { value, weight } => Part::Observation { value: value * place.factor, weight },
        };
        let finite = match part {
            Part::Rise(value) | Part::Level { value, .. } => value.is_finite(),
            Part::Observation { value, weight } => (value * weight as f64).is_finite(),
        };
        if !finite {
            return Err(Refusal::NotFinite);
        }
        self.apply(place.slot, part);
        Ok(())
    }

    fn apply(&mut self, slot: usize, part: Part) {
        let Some(Slot { pending, observed }) = self.slots.get_mut(slot) else { return };
        if pending.events == 0 {
            self.changed.push(slot);
        }
        pending.events += 1;
        match (part, &mut pending.change) {
            (Part::Observation { value, weight: 1 }, Change::Observe(_)) => {
                observed.push(value);
                if observed.len() >= OBSERVED_MAX
                    && let Some(slot) = self.slots.get_mut(slot)
                {
                    slot.settle();
                }
            }
            (Part::Rise(rise), Change::Count(total)) => *total += rise,
            (Part::Level { value: more, op: GaugeOp::Add, merge: latest }, Change::Gauge { value, merge, .. }) => {
                *value += more;
                *merge = latest;
            }
            (Part::Level { value, op, merge }, change @ Change::Gauge { .. }) => *change = Change::Gauge { value, op, merge },
            (Part::Observation { value, weight }, Change::Observe(histogram)) => histogram.observe(value, weight),
            // A slot's change is made for the type that its key names, and so is the part.
            (Part::Rise(_) | Part::Level { .. } | Part::Observation { .. }, _) => {}
        }
        self.merged_gauges |= matches!(part, Part::Level { merge, .. } if merge != GaugeMerge::Last);
    }
}
