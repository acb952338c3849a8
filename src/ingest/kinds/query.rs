//! Queries to databases. Source: OpenTelemetry, "Semantic conventions for database client metrics".

use super::field::{Layout, Takes, fields};
use super::{Fields, Group, Instrument, Kind};
use crate::ingest::Refusal;
use crate::ingest::writer::Writer;

pub(super) static KIND: Kind = Kind {
    name: "query",
    help: "A query that a database has answered.",
    groups: &[Group {
        labels: &["db_system_name", "db_operation_name", "db_collection_name", "error_type"],
        tagged: true,
        instruments: &[
            Instrument::histogram(
                "db_client_operation_duration_seconds",
                "duration",
                "Time that a database took to answer, as its client saw it.",
            ),
            Instrument::histogram("db_client_response_returned_rows", "rows", "Rows that a database returned."),
        ],
    }],
    layout: Layout::new(true, FIELDS),
    read,
};

const QUERY: usize = 0;

fields! {
    SYSTEM "system" Takes::Text, "the database: `postgresql`, `sqlite`, `redis`, …; required";
    STATEMENT "statement" Takes::Text, "the query's text; its first word stands in for `operation`, the rest is context";
    SUMMARY "summary" Takes::Text, "a short form of it, `SELECT orders`; preferred over `statement`";
    ROWS "rows" Takes::Number, "how many rows it returned";
    ROWS_SCANNED "rows_scanned" Takes::Number, "how many rows were looked at; context only";
    TABLE "table" Takes::Text, "the table or collection";
    OPERATION "operation" Takes::Text, "`SELECT`, `findAndModify`, `HGET`, …";
    ERROR "error" Takes::Text, "the class of the failure";
}

/// No operation has a longer name.
const OPERATION_BYTES_MAX: usize = 32;

fn read(fields: &Fields<'_>, writer: &mut Writer<'_>) -> Result<(), Refusal> {
    let system = fields.required(SYSTEM)?;
    let duration = fields.duration()?.ok_or(Refusal::MissingField)?;
    let rows = fields.amount(ROWS)?;
    fields.amount(ROWS_SCANNED)?;
    writer.add(QUERY, &[Some(duration), rows], |values| {
        values.text(Some(system));
        match fields.text(OPERATION) {
            None => values.uppercase(operation(fields)),
            given => values.text(given),
        }
        values.text(fields.text(TABLE));
        values.text(fields.text(ERROR));
    })
}

/// The word that a query begins with, if it begins with one.
fn operation<'a>(fields: &Fields<'a>) -> Option<&'a str> {
    let text = fields.text(SUMMARY).or_else(|| fields.text(STATEMENT))?.trim_start();
    let end = text.bytes().take(OPERATION_BYTES_MAX + 1).position(|byte| !byte.is_ascii_alphabetic() && byte != b'_');
    let word = text.get(..end.unwrap_or(text.len()))?;
    Some(word).filter(|word| (1..=OPERATION_BYTES_MAX).contains(&word.len()))
}
