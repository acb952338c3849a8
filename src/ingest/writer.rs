//! How a typed event is written to its instruments: the values of its labels are its identity, so that nothing but them has
//! to be looked at for an event of known series, and labels cannot differ where identities are equal.

use super::Refusal;
use super::aggregate::{Place, Table};
use super::kinds::{Fields, Group, Instrument};
use super::naming::{Naming, put};
use crate::model::{GaugeOp, Labels, MetricType, SeriesKey, Tags, Timestamp, TraceId};

pub(super) use super::part::Part;

/// Writes one event into a table.
#[derive(Debug)]
pub(super) struct Writer<'w> {
    table: &'w mut Table,
    fields: &'w Fields<'w>,
    trace_id: Option<TraceId>,
    at: Timestamp,
}

/// Takes the values of a group's labels, in the order of the labels; an empty one is no label.
#[derive(Debug)]
pub(super) struct Values<'v> {
    out: &'v mut Vec<u8>,
    bytes_max: usize,
}

/// Stands behind each value; no text has it in it.
const END: u8 = 0xff;

impl Values<'_> {
    /// A text as it is.
    pub(super) fn text(&mut self, text: Option<&str>) {
        put(self.out, text.unwrap_or(""));
    }

    /// A number.
    pub(super) fn number(&mut self, number: Option<u64>) {
        if let Some(number) = number {
            self.out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
        }
        self.out.push(END);
    }

    /// A word in capitals.
    pub(super) fn uppercase(&mut self, word: Option<&str>) {
        self.out.extend(word.unwrap_or("").bytes().map(|byte| byte.to_ascii_uppercase()));
        self.out.push(END);
    }

    /// What `write` writes, or `instead` where that is longer than a label's value may be.
    pub(super) fn written(&mut self, instead: &str, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.out.len();
        write(self.out);
        if self.out.len() - start > self.bytes_max {
            self.out.truncate(start);
            self.out.extend_from_slice(instead.as_bytes());
        }
        self.out.push(END);
    }
}

impl<'w> Writer<'w> {
    pub(super) fn new(table: &'w mut Table, fields: &'w Fields<'w>, at: Timestamp) -> Self {
        Self { table, fields, trace_id: fields.trace_id(), at }
    }

    /// When the event arrived.
    pub(super) const fn at(&self) -> Timestamp {
        self.at
    }

    /// Writes the readings of a group's instruments, in the order of the instruments; without any the group is left alone.
    ///
    /// # Errors
    /// When a label is reserved or passes a limit, or a value would not be finite.
    pub(super) fn add(&mut self, group: usize, readings: &[Option<f64>], values: impl FnOnce(&mut Values<'_>)) -> Result<(), Refusal> {
        if readings.iter().all(Option::is_none) {
            return Ok(());
        }
        let Some(state) = self.fields.kind().groups.get(group) else { return Ok(()) };
        self.identify(group, state, values);
        let row = self.table.rows.find(&self.table.scratch);
        for (index, (reading, known)) in readings.iter().zip(row).enumerate() {
            let (Some(value), Some(instrument)) = (*reading, state.instruments.get(index)) else { continue };
            let slot = match known {
                Some(slot) => slot as usize,
                None => self.resolve(state, index, instrument)?,
            };
            match instrument.kind {
                MetricType::Histogram => self.observe(Place::of(slot), value, 1)?,
                MetricType::Counter => self.table.change(Place::of(slot), Part::Rise(value))?,
                MetricType::Gauge | MetricType::Summary | MetricType::Unknown => {
                    let part = Part::Level { value, op: GaugeOp::Set, merge: instrument.merge };
                    self.table.change(Place::of(slot), part)?;
                }
            }
        }
        Ok(())
    }

    /// The slot of one instrument, for what moves it later.
    ///
    /// # Errors
    /// When a label is reserved or passes a limit.
    pub(super) fn slot(&mut self, group: usize, instrument: usize, values: impl FnOnce(&mut Values<'_>)) -> Result<usize, Refusal> {
        let state = self.fields.kind().groups.get(group).ok_or(Refusal::UnknownKind)?;
        self.identify(group, state, values);
        match self.table.rows.find(&self.table.scratch).get(instrument) {
            Some(Some(slot)) => Ok(*slot as usize),
            _ => self.resolve(state, instrument, state.instruments.get(instrument).ok_or(Refusal::UnknownKind)?),
        }
    }

    /// Writes to a metric that the sender has named itself.
    ///
    /// # Errors
    /// When the name or a label is reserved or passes a limit, or the value would not be finite.
    pub(super) fn add_named(&mut self, kind: MetricType, name: &str, unit: Option<&str>, part: Part) -> Result<(), Refusal> {
        let (fields, service) = (self.fields, self.fields.service());
        let identify = |out: &mut Vec<u8>, _: &Naming| {
            [kind.as_str(), name, unit.unwrap_or(""), service.unwrap_or("")].into_iter().for_each(|text| put(out, text));
            fields.tags().for_each(|(key, value)| {
                put(out, key);
                put(out, value);
            });
        };
        let place = self.table.place(identify, |naming| {
            let tags: Tags<'_> = fields.tags().map(|(key, value)| (key.into(), value.into())).collect();
            naming.series(kind, name, unit, service, &tags)
        })?;
        match part {
            Part::Observation { value, weight } => self.observe(place, value, weight),
            part => self.table.change(place, part),
        }
    }

    /// Notes that a request begins, which counts in this slot until it ends.
    ///
    /// # Errors
    /// When too many are open, or its id is too long.
    pub(super) fn begin_request(&mut self, id: &str, slot: usize) -> Result<(), Refusal> {
        if self.table.requests.begin(id, self.at, slot)? {
            self.table.move_level(slot, 1.0);
        }
        Ok(())
    }

    /// Notes that a request has ended; it need not have begun here.
    pub(super) fn end_request(&mut self, id: &str) {
        if let Some(slot) = self.table.requests.end(id) {
            self.table.move_level(slot, -1.0);
        }
    }

    /// Brings a task into a state, which counts in this slot until the next one. A running task that is silent for too long
    /// counts in the slot `stalled` as well.
    ///
    /// # Errors
    /// When too many are open, or its id is too long.
    pub(super) fn move_task(&mut self, id: &str, slot: usize, stalled: Option<usize>) -> Result<(), Refusal> {
        self.table.move_task(id, self.at, slot, stalled)
    }

    /// Notes that a task has ended; it need not have begun here.
    pub(super) fn end_task(&mut self, id: &str) {
        self.table.end_task(id);
    }

    fn observe(&mut self, place: Place, value: f64, weight: u64) -> Result<(), Refusal> {
        self.table.change(place, Part::Observation { value, weight })?;
        if let Some(trace_id) = self.trace_id {
            self.table.exemplify(place, trace_id, value, self.at);
        }
        Ok(())
    }

    /// Writes the group's number, the service and all values into the table's scratch.
    fn identify(&mut self, group: usize, state: &Group, values: impl FnOnce(&mut Values<'_>)) {
        let Table { scratch, naming, .. } = &mut *self.table;
        scratch.clear();
        #[allow(clippy::cast_possible_truncation)] // both are small: they count what is written in this room
        scratch.extend_from_slice(&[self.fields.kind().number() as u8, group as u8]);
        put(scratch, self.fields.service().unwrap_or(""));
        values(&mut Values { out: scratch, bytes_max: naming.label_value_bytes_max() });
        if state.tagged {
            for key in naming.event_tags() {
                put(scratch, self.fields.tags().filter(|(other, _)| other == key).last().map_or("", |(_, value)| value));
            }
        }
    }

    /// Makes the labels of what stands in the scratch, and finds the slot of an instrument with them.
    fn resolve(&mut self, group: &Group, index: usize, instrument: &Instrument) -> Result<usize, Refusal> {
        let labels = self.labels(group, instrument.kind)?;
        let slot = self.table.slot(SeriesKey { name: instrument.name.into(), kind: instrument.kind, labels });
        let Table { rows, scratch, .. } = &mut *self.table;
        rows.learn(scratch, index, slot);
        self.table.weigh();
        Ok(slot)
    }

    fn labels(&self, group: &Group, kind: MetricType) -> Result<Labels, Refusal> {
        let Table { scratch, naming, .. } = &*self.table;
        let values = scratch.get(HEAD..).unwrap_or(&[]).split(|byte| *byte == END);
        let mut values = values.map(|value| std::str::from_utf8(value).unwrap_or(""));
        let service = values.next();
        let own: Vec<_> = group.labels.iter().copied().zip(&mut values).collect();
        let tags = naming.event_tags().iter().filter(|_| group.tagged).map(String::as_str).zip(&mut values);
        // The event's own labels come last, so that no tag can replace them.
        let all: Vec<_> = tags.chain(own).filter(|(_, value)| !value.is_empty()).collect();
        naming.labels(kind, service, all.iter().copied(), all.len())
    }
}

/// The bytes in front of an identity's texts: the kind's number and the group's.
const HEAD: usize = 2;
