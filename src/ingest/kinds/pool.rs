//! How many connections of a pool are in use. Every process has a pool of its own, so its state is summed over live senders.
//! Source: OpenTelemetry, "Semantic conventions for database client metrics", connection pools.

use super::field::{Layout, Takes, fields};
use super::{Fields, Group, Instrument, Kind};
use crate::ingest::Refusal;
use crate::ingest::writer::Writer;

pub(super) static KIND: Kind = Kind {
    name: "pool",
    help: "The state of a connection pool now.",
    groups: &[
        Group {
            labels: &["db_client_connection_pool_name", "db_client_connection_state"],
            tagged: false,
            instruments: &[Instrument::sum(
                "db_client_connection_count",
                "in_use, idle",
                "Connections in the state `used` or `idle`, summed over live senders.",
            )],
        },
        Group {
            labels: &["db_client_connection_pool_name"],
            tagged: false,
            instruments: &[
                Instrument::sum("db_client_connection_max", "max", "Connections that there may be, summed over live senders."),
                Instrument::sum(
                    "db_client_connection_pending_requests",
                    "waiting",
                    "Requests that wait for a connection, summed over live senders.",
                ),
            ],
        },
    ],
    layout: Layout::new(false, FIELDS),
    read,
};

const STATE: usize = 0;
const POOL: usize = 1;

fields! {
    NAME "name" Takes::Text, "the pool; required";
    IN_USE "in_use" Takes::Number, "connections that are in use";
    IDLE "idle" Takes::Number, "connections that are not";
    MAX "max" Takes::Number, "connections that there may be";
    WAITING "waiting" Takes::Number, "requests that wait for a connection";
}

fn read(fields: &Fields<'_>, writer: &mut Writer<'_>) -> Result<(), Refusal> {
    let name = fields.required(NAME)?;
    let (used, idle) = (fields.amount(IN_USE)?, fields.amount(IDLE)?);
    let (max, waiting) = (fields.amount(MAX)?, fields.amount(WAITING)?);
    if [used, idle, max, waiting].iter().all(Option::is_none) {
        return Err(Refusal::MissingField);
    }
    for (state, count) in [("used", used), ("idle", idle)] {
        writer.add(STATE, &[count], |values| {
            values.text(Some(name));
            values.text(Some(state));
        })?;
    }
    writer.add(POOL, &[max, waiting], |values| values.text(Some(name)))
}
