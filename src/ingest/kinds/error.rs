//! Errors, wherever they occur.

use super::field::{Layout, Takes, fields};
use super::{Fields, Group, Instrument, Kind};
use crate::ingest::Refusal;
use crate::ingest::writer::Writer;

pub(super) static KIND: Kind = Kind {
    name: "error",
    help: "An error.",
    groups: &[Group {
        labels: &["component", "error_type"],
        tagged: true,
        instruments: &[Instrument::counter("app_errors_total", "kind", "Errors that applications have reported.")],
    }],
    layout: Layout::new(false, FIELDS),
    read,
};

const ERROR: usize = 0;

fields! {
    TYPE "type" Takes::Text, "its class; `_OTHER` by default";
    COMPONENT "component" Takes::Text, "the part of the application";
    MESSAGE "message" Takes::Text, "what it says; context only";
}

fn read(fields: &Fields<'_>, writer: &mut Writer<'_>) -> Result<(), Refusal> {
    writer.add(ERROR, &[Some(1.0)], |values| {
        values.text(fields.text(COMPONENT));
        // What the conventions put where no class is known.
        values.text(fields.text(TYPE).or(Some("_OTHER")));
    })
}
