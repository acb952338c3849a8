//! Observations of a distribution that the sender names.

use super::field::{Layout, Takes, fields};
use super::{Fields, Kind};
use crate::ingest::writer::{Part, Writer};
use crate::ingest::{Refusal, sampling};
use crate::model::MetricType;

pub(super) static KIND: Kind =
    Kind { name: "histogram", help: "One observation of a distribution.", groups: &[], layout: Layout::new(false, FIELDS), read };

fields! {
    NAME "name" Takes::Text, "the metric's name; required";
    VALUE "value" Takes::Number, "the observed value; required";
    UNIT "unit" Takes::Text, "see [names and units](#names-and-units)";
    RATE "rate" Takes::Number, "the share of observations that is sent, above 0 up to 1";
}

fn read(fields: &Fields<'_>, writer: &mut Writer<'_>) -> Result<(), Refusal> {
    let name = fields.required(NAME)?;
    let value = fields.number(VALUE).ok_or(Refusal::MissingField)?;
    let weight = sampling::weight(fields.number(RATE).unwrap_or(1.0))?;
    writer.add_named(MetricType::Histogram, name, fields.text(UNIT), Part::Observation { value, weight })
}
