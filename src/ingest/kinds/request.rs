//! Requests that a service answers. Source: OpenTelemetry, "Semantic conventions for HTTP metrics".

use super::field::{Layout, Takes, fields};
use super::{Fields, Group, Instrument, Kind};
use crate::ingest::writer::{Values, Writer};
use crate::ingest::{Refusal, route};

pub(super) static KIND: Kind = Kind {
    name: "request",
    help: "A request that begins or has ended.",
    groups: &[
        Group {
            labels: &["http_request_method", "http_route", "http_response_status_code", "error_type"],
            tagged: true,
            instruments: &[
                Instrument::histogram(
                    "http_server_request_duration_seconds",
                    "duration",
                    "Time from receiving a request to having answered it.",
                ),
                Instrument::histogram("http_server_request_body_size_bytes", "bytes_in", "Size of request bodies as received."),
                Instrument::histogram("http_server_response_body_size_bytes", "bytes_out", "Size of response bodies as sent."),
            ],
        },
        Group {
            labels: &["encoding"],
            tagged: false,
            instruments: &[
                Instrument::counter("app_response_compressed_bytes_total", "bytes_out", "Bytes of encoded response bodies as sent."),
                Instrument::counter(
                    "app_response_uncompressed_bytes_total",
                    "bytes_uncompressed",
                    "Bytes of encoded response bodies before their encoding.",
                ),
            ],
        },
        Group {
            labels: &[],
            tagged: false,
            instruments: &[Instrument::histogram(
                "app_request_queue_seconds",
                "queue",
                "Time that a request waited before a worker took it.",
            )],
        },
        Group {
            // All that is sure to be known when a request begins.
            labels: &["http_request_method"],
            tagged: false,
            instruments: &[Instrument::sum(
                "http_server_active_requests",
                "phase",
                "Requests that have begun and not ended yet, summed over live senders.",
            )],
        },
    ],
    layout: Layout::new(true, FIELDS),
    read,
};

const ROUTE: usize = 0;
const ENCODING: usize = 1;
const SERVICE: usize = 2;
const METHOD_ONLY: usize = 3;

fields! {
    PHASE "phase" Takes::Word(&["begin", "end"]), "`begin`, or `end`, the default; `begin` needs a `request_id`";
    METHOD "method" Takes::Text, "a method that HTTP does not define becomes `_OTHER`";
    ROUTE_FIELD "route" Takes::Text, "the route's template, such as `/items/{id}`";
    PATH "path" Takes::Text, "the path as requested, where no `route` is known: numbers, UUIDs and long hexadecimal segments become `{id}`, a path answered with 404 becomes `__unmatched__`";
    STATUS "status" Takes::Whole, "the response's status code, 100 to 599";
    BYTES_IN "bytes_in" Takes::Number, "the request body's size";
    BYTES_OUT "bytes_out" Takes::Number, "the response body's size as sent";
    ENCODING_FIELD "encoding" Takes::Text, "the response's content encoding";
    BYTES_UNCOMPRESSED "bytes_uncompressed" Takes::Number, "the response body's size before its encoding; needs `bytes_out`";
    CACHE "cache" Takes::Word(&["hit", "miss"]), "whether it was answered from a cache; context only";
    QUEUE "queue_s" Takes::Number, "how long it waited for a worker, in seconds; at most one of four";
    QUEUE_MS "queue_ms" Takes::Number, "the same in milliseconds";
    QUEUE_US "queue_us" Takes::Number, "the same in microseconds";
    QUEUE_NS "queue_ns" Takes::Number, "the same in nanoseconds";
    ERROR "error" Takes::Text, "the class of the failure; a status of 500 and above without one is its own class";
}

/// The methods of RFC 9110 and RFC 5789; others become `_OTHER`, as the conventions ask.
const METHODS: [&str; 9] = ["GET", "POST", "PUT", "DELETE", "HEAD", "PATCH", "OPTIONS", "CONNECT", "TRACE"];
const ENCODINGS: [&str; 5] = ["gzip", "br", "zstd", "deflate", "identity"];

fn read(fields: &Fields<'_>, writer: &mut Writer<'_>) -> Result<(), Refusal> {
    let (duration, queue) = (fields.duration()?, fields.seconds(QUEUE)?);
    let (bytes_in, bytes_out, whole) = (fields.amount(BYTES_IN)?, fields.amount(BYTES_OUT)?, fields.amount(BYTES_UNCOMPRESSED)?);
    let status = fields.whole(STATUS);
    if status.is_some_and(|status| !(100..=599).contains(&status)) {
        return Err(Refusal::BadValue);
    }
    if fields.text(PHASE) == Some("begin") {
        let id = fields.request_id().ok_or(Refusal::MissingField)?;
        let slot = writer.slot(METHOD_ONLY, 0, |values| values.text(method(fields)))?;
        return writer.begin_request(id, slot);
    }
    if duration.is_none() {
        return Err(Refusal::MissingField);
    }
    if let Some(id) = fields.request_id() {
        writer.end_request(id);
    }
    let route = |values: &mut Values<'_>| {
        values.text(method(fields));
        write_route(fields, status, values);
        values.number(status);
        // A server error without a class is its own, as the conventions say.
        match fields.text(ERROR) {
            None => values.number(status.filter(|status| *status >= 500)),
            class => values.text(class),
        }
    };
    writer.add(ROUTE, &[duration, bytes_in, bytes_out], route)?;
    // A ratio of the two totals is only right when both know the same responses.
    if let Some((sent, whole)) = bytes_out.zip(whole) {
        writer.add(ENCODING, &[Some(sent), Some(whole)], |values| values.text(Some(encoding(fields))))?;
    }
    writer.add(SERVICE, &[queue], |_| ())
}

fn method(fields: &Fields<'_>) -> Option<&'static str> {
    let method = fields.text(METHOD)?;
    Some(METHODS.iter().find(|known| known.eq_ignore_ascii_case(method)).copied().unwrap_or("_OTHER"))
}

/// The route as given, else from the path. A path that no route answered says only what someone tried.
fn write_route(fields: &Fields<'_>, status: Option<u64>, values: &mut Values<'_>) {
    match (fields.text(ROUTE_FIELD), fields.text(PATH)) {
        (None, Some(_)) if status == Some(404) => values.text(Some(route::UNMATCHED)),
        (None, Some(path)) => values.written(route::UNMATCHED, |out| route::template(path, out)),
        (route, _) => values.text(route),
    }
}

fn encoding(fields: &Fields<'_>) -> &'static str {
    let given = fields.text(ENCODING_FIELD).unwrap_or("identity");
    ENCODINGS.iter().find(|known| known.eq_ignore_ascii_case(given)).copied().unwrap_or("other")
}
