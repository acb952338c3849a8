//! What applications do with their caches, and how full these are.

use super::field::{Layout, Takes, fields};
use super::{Fields, Group, Instrument, Kind};
use crate::ingest::Refusal;
use crate::ingest::writer::Writer;

pub(super) static KIND: Kind = Kind {
    name: "cache",
    help: "An operation on a cache, or how full it is, or both.",
    groups: &[
        Group {
            labels: &["cache", "operation", "result"],
            tagged: true,
            instruments: &[
                Instrument::counter("app_cache_operations_total", "op", "Operations on caches."),
                Instrument::histogram("app_cache_operation_duration_seconds", "duration", "Time that an operation on a cache took."),
            ],
        },
        Group {
            labels: &["cache"],
            tagged: false,
            instruments: &[
                Instrument::gauge("app_cache_entries", "entries", "Entries that a cache holds, as it was last reported."),
                Instrument::gauge("app_cache_bytes", "bytes", "Bytes that a cache holds, as it was last reported."),
            ],
        },
    ],
    layout: Layout::new(true, FIELDS),
    read,
};

const OPERATION: usize = 0;
const CACHE: usize = 1;

fields! {
    NAME "name" Takes::Text, "the cache; required";
    OP "op" Takes::Word(&["get", "set", "delete", "evict", "expire"]), "`get`, `set`, `delete`, `evict` or `expire`; needed unless `entries` or `bytes` are there";
    RESULT "result" Takes::Word(&["hit", "miss", "ok", "error"]), "`hit`, `miss`, `ok` (the default) or `error`";
    ENTRIES "entries" Takes::Number, "how many entries it holds now";
    BYTES "bytes" Takes::Number, "how many bytes it holds now";
    TTL "ttl_s" Takes::Number, "how long the entry may stay, in seconds; context only";
}

fn read(fields: &Fields<'_>, writer: &mut Writer<'_>) -> Result<(), Refusal> {
    let name = fields.required(NAME)?;
    let (duration, op) = (fields.duration()?, fields.text(OP));
    let (entries, bytes) = (fields.amount(ENTRIES)?, fields.amount(BYTES)?);
    fields.amount(TTL)?;
    // A duration is one of an operation.
    if op.is_none() && (duration.is_some() || entries.or(bytes).is_none()) {
        return Err(Refusal::MissingField);
    }
    writer.add(OPERATION, &[op.map(|_| 1.0), duration], |values| {
        values.text(Some(name));
        values.text(op);
        values.text(fields.text(RESULT).or(Some("ok")));
    })?;
    writer.add(CACHE, &[entries, bytes], |values| values.text(Some(name)))
}
