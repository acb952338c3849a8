//! Increments of a counter that the sender names.

use super::field::{Layout, Takes, fields};
use super::{Fields, Kind};
use crate::ingest::writer::{Part, Writer};
use crate::ingest::{Refusal, sampling};
use crate::model::MetricType;

pub(super) static KIND: Kind =
    Kind { name: "count", help: "An increment of a counter.", groups: &[], layout: Layout::new(false, FIELDS), read };

fields! {
    NAME "name" Takes::Text, "the metric's name; required";
    VALUE "value" Takes::Number, "the increment; 1 by default";
    UNIT "unit" Takes::Text, "see [names and units](#names-and-units)";
    RATE "rate" Takes::Number, "the share of events that is sent, above 0 up to 1";
}

fn read(fields: &Fields<'_>, writer: &mut Writer<'_>) -> Result<(), Refusal> {
    let name = fields.required(NAME)?;
    let value = fields.number(VALUE).unwrap_or(1.0) * sampling::inverse(fields.number(RATE).unwrap_or(1.0))?;
    if value < 0.0 {
        return Err(Refusal::NegativeCount);
    }
    writer.add_named(MetricType::Counter, name, fields.text(UNIT), Part::Rise(value))
}
