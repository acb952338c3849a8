//! Signs of life of whatever should come again and again: a cron job, a consumer, a backup.

use super::field::{Layout, Takes, fields};
use super::{Fields, Group, Instrument, Kind};
use crate::ingest::Refusal;
use crate::ingest::writer::Writer;
use crate::model::{HEARTBEAT_INTERVAL, HEARTBEAT_TIMESTAMP};

pub(super) static KIND: Kind = Kind {
    name: "heartbeat",
    help: "A sign of life of something that should come again and again.",
    groups: &[Group {
        labels: &["heartbeat"],
        tagged: true,
        instruments: &[
            Instrument::gauge(HEARTBEAT_TIMESTAMP, "kind", "When the last heartbeat arrived, in Unix seconds."),
            Instrument::gauge(
                HEARTBEAT_INTERVAL,
                "every_s",
                "The time within which the next heartbeat is to come; 0 when none is to come any more.",
            ),
        ],
    }],
    layout: Layout::new(false, FIELDS),
    read,
};

const HEARTBEAT: usize = 0;

fields! {
    NAME "name" Takes::Text, "what it is that lives; required";
    EVERY "every_s" Takes::Number, "the time within which the next one is to come, in seconds; 0 says that none is to come any more";
}

fn read(fields: &Fields<'_>, writer: &mut Writer<'_>) -> Result<(), Refusal> {
    let name = fields.required(NAME)?;
    let every = fields.amount(EVERY)?;
    let now = writer.at().as_seconds();
    writer.add(HEARTBEAT, &[Some(now), every], |values| values.text(Some(name)))
}
