//! Which version is running.

use super::field::{Layout, Takes, fields};
use super::{Fields, Group, Instrument, Kind};
use crate::ingest::Refusal;
use crate::ingest::writer::Writer;

pub(super) static KIND: Kind = Kind {
    name: "release",
    help: "The version that a service runs now.",
    groups: &[Group {
        labels: &["version"],
        tagged: true,
        instruments: &[Instrument::gauge("app_release_info", "version", "1 for each version that a service has reported.")],
    }],
    layout: Layout::new(false, FIELDS),
    read,
};

const RELEASE: usize = 0;

fields! {
    VERSION "version" Takes::Text, "the version; required";
}

fn read(fields: &Fields<'_>, writer: &mut Writer<'_>) -> Result<(), Refusal> {
    let version = fields.required(VERSION)?;
    writer.add(RELEASE, &[Some(1.0)], |values| values.text(Some(version)))
}
