//! The kinds of events: what each takes, and what becomes of it. One file a kind, listed in [`ALL`], from which the decoder,
//! the tally and the documentation's tables are made. Names and labels are OpenTelemetry's semantic conventions as Prometheus
//! spells them, where a convention exists; else they begin with `app_`.

mod cache;
mod count;
mod error;
mod field;
mod fields;
mod gauge;
mod heartbeat;
mod histogram;
mod operation;
mod pool;
mod query;
mod release;
mod request;
mod task;

pub(super) use field::{COMMON, FIELDS_MAX, KIND};
pub use field::{Field, Takes};
pub(super) use fields::{Fields, Object, Value};
pub(super) use task::Task;

use self::field::Layout;
use super::Refusal;
use super::writer::Writer;
use crate::model::{GaugeMerge, MetricType};

/// All kinds.
pub static ALL: [&Kind; 12] = [
    &request::KIND,
    &query::KIND,
    &cache::KIND,
    &pool::KIND,
    &task::KIND,
    &operation::KIND,
    &error::KIND,
    &release::KIND,
    &heartbeat::KIND,
    &count::KIND,
    &gauge::KIND,
    &histogram::KIND,
];

/// No group has more instruments.
pub(super) const INSTRUMENTS_MAX: usize = 4;

/// One kind of event.
#[derive(Debug)]
pub struct Kind {
    /// Its name, as it stands in the field `kind`.
    pub name: &'static str,
    /// What it reports, one sentence.
    pub help: &'static str,
    /// The instruments that it moves, by what their labels are made of. None where the event itself names its metric.
    pub groups: &'static [Group],
    layout: Layout,
    read: fn(&Fields<'_>, &mut Writer<'_>) -> Result<(), Refusal>,
}

/// Instruments whose series have the same labels, so that they are found together.
#[derive(Debug)]
pub struct Group {
    /// The labels, besides the service.
    pub labels: &'static [&'static str],
    /// Whether the tags that the configuration names become labels as well.
    pub tagged: bool,
    /// What is measured.
    pub instruments: &'static [Instrument],
}

/// What becomes a metric.
#[derive(Debug)]
pub struct Instrument {
    /// The metric's name.
    pub name: &'static str,
    /// Its type.
    pub kind: MetricType,
    /// What it means, one sentence.
    pub help: &'static str,
    /// The field that it comes from.
    pub from: &'static str,
    /// How a gauge's values of several senders become one.
    pub merge: GaugeMerge,
}

impl Instrument {
    const fn new(kind: MetricType, name: &'static str, from: &'static str, help: &'static str) -> Self {
        Self { name, kind, help, from, merge: GaugeMerge::Last }
    }

    const fn counter(name: &'static str, from: &'static str, help: &'static str) -> Self {
        Self::new(MetricType::Counter, name, from, help)
    }

    const fn gauge(name: &'static str, from: &'static str, help: &'static str) -> Self {
        Self::new(MetricType::Gauge, name, from, help)
    }

    /// A gauge that is summed over live senders.
    const fn sum(name: &'static str, from: &'static str, help: &'static str) -> Self {
        Self { merge: GaugeMerge::Sum, ..Self::gauge(name, from, help) }
    }

    const fn histogram(name: &'static str, from: &'static str, help: &'static str) -> Self {
        Self::new(MetricType::Histogram, name, from, help)
    }
}

impl Kind {
    /// The fields of this kind, those that all kinds have included.
    pub fn fields(&self) -> impl Iterator<Item = &Field> {
        self.layout.fields()
    }

    /// The field at this position; there is none behind the last.
    #[inline]
    pub(super) fn field(&self, position: usize) -> Option<&Field> {
        self.layout.field(position)
    }

    /// The position of a key and its field; `None` for a key that means nothing within this kind.
    pub(super) fn find(&self, key: &str) -> Option<(usize, &Field)> {
        self.layout.find(key)
    }

    #[cfg(test)]
    pub(super) fn positions(&self) -> impl Iterator<Item = (usize, &Field)> {
        self.layout.fields().filter_map(|field| self.layout.find(field.name))
    }

    /// Where it stands in [`ALL`].
    pub(super) fn number(&self) -> usize {
        ALL.iter().position(|kind| std::ptr::eq(*kind, self)).unwrap_or(ALL.len())
    }

    /// Writes what an event of this kind says to its instruments.
    ///
    /// # Errors
    /// When it is not counted, and why.
    pub(super) fn read(&self, fields: &Fields<'_>, writer: &mut Writer<'_>) -> Result<(), Refusal> {
        (self.read)(fields, writer)
    }
}

/// The metrics that events make, with what they mean.
pub(super) fn described() -> impl Iterator<Item = (&'static str, &'static str)> {
    let instruments = ALL.iter().flat_map(|kind| kind.groups).flat_map(|group| group.instruments);
    instruments.map(|instrument| (instrument.name, instrument.help))
}

/// The kind with this name.
pub(super) fn find(name: &str) -> Option<&'static Kind> {
    ALL.iter().find(|kind| kind.name == name).copied()
}

#[cfg(test)]
mod tests;
