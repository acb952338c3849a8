//! Values and changes of a gauge that the sender names.

use super::field::{Layout, Takes, fields};
use super::{Fields, Kind};
use crate::ingest::Refusal;
use crate::ingest::writer::{Part, Writer};
use crate::model::{GaugeMerge, GaugeOp, MetricType};

pub(super) static KIND: Kind =
    Kind { name: "gauge", help: "A gauge's new value, or its change.", groups: &[], layout: Layout::new(false, FIELDS), read };

fields! {
    NAME "name" Takes::Text, "the metric's name; required";
    VALUE "value" Takes::Number, "the value or the change; required";
    UNIT "unit" Takes::Text, "see [names and units](#names-and-units)";
    OP "op" Takes::Word(&["set", "add"]), "`set` (the default) or `add`";
    MERGE "merge" Takes::Word(&["last", "sum", "max", "min"]), "how the values of several senders become one: `last` (the default), or `sum`, `max`, `min` over the [senders](#senders) that live";
}

fn read(fields: &Fields<'_>, writer: &mut Writer<'_>) -> Result<(), Refusal> {
    let name = fields.required(NAME)?;
    let value = fields.number(VALUE).ok_or(Refusal::MissingField)?;
    let op = if fields.text(OP) == Some("add") { GaugeOp::Add } else { GaugeOp::Set };
    let merge = match fields.text(MERGE) {
        Some("sum") => GaugeMerge::Sum,
        Some("max") => GaugeMerge::Max,
        Some("min") => GaugeMerge::Min,
        _ => GaugeMerge::Last,
    };
    writer.add_named(MetricType::Gauge, name, fields.text(UNIT), Part::Level { value, op, merge })
}
