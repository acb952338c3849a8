//! What a request event says, as readings of instruments. Names and labels are OpenTelemetry's semantic conventions as
//! Prometheus spells them, where a convention exists.
//! Source: OpenTelemetry "Semantic conventions for HTTP metrics".

use super::naming::Naming;
use super::{Refusal, route};
use crate::model::{Labels, MetricType, RequestEvent, SeriesKey};

/// An instrument that requests move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Instrument {
    Duration,
    RequestSize,
    ResponseSize,
    Queue,
    Compressed,
    Uncompressed,
    Active,
}

/// Which labels an instrument's series carry, besides the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Detail {
    /// Method, route, status, error and the tags that the configuration names.
    Route,
    /// The content encoding.
    Encoding,
    /// The method: all that is sure to be known when a request begins.
    Method,
    /// Nothing.
    Service,
}

/// The methods of RFC 9110 and RFC 5789; others become `_OTHER`, as the conventions ask.
const METHODS: [&str; 9] = ["GET", "POST", "PUT", "DELETE", "HEAD", "PATCH", "OPTIONS", "CONNECT", "TRACE"];
const ENCODINGS: [&str; 5] = ["gzip", "br", "zstd", "deflate", "identity"];

/// The readings of a request that has ended.
pub(super) fn readings(event: &RequestEvent<'_>) -> impl Iterator<Item = (Instrument, f64)> {
    // A ratio of the two totals is only right when both know the same responses.
    let encoded = event.bytes_out.zip(event.bytes_uncompressed);
    [
        (Instrument::Duration, event.duration_s),
        (Instrument::RequestSize, event.bytes_in),
        (Instrument::ResponseSize, event.bytes_out),
        (Instrument::Queue, event.queue_s),
        (Instrument::Compressed, encoded.map(|(sent, _)| sent)),
        (Instrument::Uncompressed, encoded.map(|(_, whole)| whole)),
    ]
    .into_iter()
    .filter_map(|(instrument, value)| Some((instrument, value?)))
}

impl Instrument {
    const fn name(self) -> &'static str {
        match self {
            Self::Duration => "http_server_request_duration_seconds",
            Self::RequestSize => "http_server_request_body_size_bytes",
            Self::ResponseSize => "http_server_response_body_size_bytes",
            Self::Queue => "app_request_queue_seconds",
            Self::Compressed => "app_response_compressed_bytes_total",
            Self::Uncompressed => "app_response_uncompressed_bytes_total",
            Self::Active => "http_server_active_requests",
        }
    }

    pub(super) const fn kind(self) -> MetricType {
        match self {
            Self::Duration | Self::RequestSize | Self::ResponseSize | Self::Queue => MetricType::Histogram,
            Self::Compressed | Self::Uncompressed => MetricType::Counter,
            Self::Active => MetricType::Gauge,
        }
    }

    const fn detail(self) -> Detail {
        match self {
            Self::Duration | Self::RequestSize | Self::ResponseSize => Detail::Route,
            Self::Compressed | Self::Uncompressed => Detail::Encoding,
            Self::Active => Detail::Method,
            Self::Queue => Detail::Service,
        }
    }

    /// Writes everything of the event that [`Instrument::series`] looks at, unambiguously (0xff is in no text).
    pub(super) fn identify(self, event: &RequestEvent<'_>, naming: &Naming, out: &mut Vec<u8>) {
        let mut put = |text: &str| {
            out.extend_from_slice(text.as_bytes());
            out.push(0xff);
        };
        put(self.name());
        put(event.service.as_deref().unwrap_or(""));
        match self.detail() {
            Detail::Route => {
                put(event.method.as_deref().unwrap_or(""));
                match (event.route.as_deref(), event.path.as_deref()) {
                    (Some(route), _) => put(route),
                    (None, path) => {
                        put("");
                        put(path.unwrap_or(""));
                    }
                }
                put(event.error.as_deref().unwrap_or(""));
                for (key, value) in event.tags.iter().filter(|(key, _)| naming.request_tag(key)) {
                    put(key);
                    put(value);
                }
                out.extend_from_slice(&event.status.unwrap_or(0).to_le_bytes());
            }
            Detail::Encoding => put(event.encoding.as_deref().unwrap_or("")),
            Detail::Method => put(event.method.as_deref().unwrap_or("")),
            Detail::Service => {}
        }
    }

    /// The series that an event moves.
    ///
    /// # Errors
    /// When a label is reserved or passes a limit.
    pub(super) fn series(self, event: &RequestEvent<'_>, naming: &Naming) -> Result<SeriesKey, Refusal> {
        Ok(SeriesKey { name: self.name().into(), kind: self.kind(), labels: self.labels(event, naming)? })
    }

    fn labels(self, event: &RequestEvent<'_>, naming: &Naming) -> Result<Labels, Refusal> {
        let mut own: Vec<(&str, String)> = Vec::with_capacity(4);
        match self.detail() {
            Detail::Route => {
                own.extend(method(event).map(|method| ("http_request_method", method.to_owned())));
                own.extend(route_of(event, naming).map(|route| ("http_route", route)));
                own.extend(event.status.map(|status| ("http_response_status_code", status.to_string())));
                own.extend(error(event).map(|error| ("error_type", error)));
            }
            Detail::Encoding => own.push(("encoding", encoding(event))),
            Detail::Method => own.extend(method(event).map(|method| ("http_request_method", method.to_owned()))),
            Detail::Service => {}
        }
        let route = self.detail() == Detail::Route;
        let tags = event.tags.iter().filter(|(key, _)| route && naming.request_tag(key)).map(|(key, value)| (&**key, &**value));
        let count = own.len();
        // The event's own labels come last, so that no tag can replace them.
        let labels = tags.chain(own.iter().map(|(name, value)| (*name, value.as_str())));
        naming.labels(self.kind(), event.service.as_deref(), labels, count)
    }
}

fn method(event: &RequestEvent<'_>) -> Option<&'static str> {
    let method = event.method.as_deref()?;
    Some(METHODS.iter().find(|known| known.eq_ignore_ascii_case(method)).copied().unwrap_or("_OTHER"))
}

/// The route as given, else from the path. A path that no route answered says only what someone tried.
fn route_of(event: &RequestEvent<'_>, naming: &Naming) -> Option<String> {
    if let Some(route) = event.route.as_deref() {
        return Some(route.to_owned());
    }
    let path = event.path.as_deref()?;
    let template = (event.status != Some(404)).then(|| route::template(path));
    Some(template.filter(|route| route.len() <= naming.label_value_bytes_max()).unwrap_or_else(|| route::UNMATCHED.to_owned()))
}

/// The class of the failure; a server error without one is its own class, as the conventions say.
fn error(event: &RequestEvent<'_>) -> Option<String> {
    let given = event.error.as_deref().map(str::to_owned);
    given.or_else(|| event.status.filter(|status| *status >= 500).map(|status| status.to_string()))
}

fn encoding(event: &RequestEvent<'_>) -> String {
    let given = event.encoding.as_deref().unwrap_or("identity");
    ENCODINGS.iter().find(|known| known.eq_ignore_ascii_case(given)).copied().unwrap_or("other").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::Config;

    fn labels(instrument: Instrument, event: &RequestEvent<'_>) -> String {
        let naming = Naming::new(&Config { request_tags: vec!["region".into()], ..Config::default() }, None);
        instrument.series(event, &naming).expect("a series").labels.to_string()
    }

    fn event() -> RequestEvent<'static> {
        RequestEvent {
            service: Some("shop".into()),
            method: Some("get".into()),
            route: Some("/items/{id}".into()),
            path: Some("/items/7".into()),
            status: Some(200),
            duration_s: Some(0.1),
            tags: vec![("region".into(), "eu".into()), ("user".into(), "7".into()), ("http_route".into(), "x".into())],
            ..RequestEvent::default()
        }
    }

    #[test]
    fn a_request_is_labelled_by_the_conventions() {
        let expected =
            r#"{http_request_method="GET", http_response_status_code="200", http_route="/items/{id}", region="eu", service_name="shop"}"#;
        assert_eq!(labels(Instrument::Duration, &event()), expected);
        assert_eq!(labels(Instrument::Active, &event()), r#"{http_request_method="GET", service_name="shop"}"#);
        assert_eq!(labels(Instrument::Queue, &event()), r#"{service_name="shop"}"#);
        assert_eq!(labels(Instrument::Compressed, &event()), r#"{encoding="identity", service_name="shop"}"#);
    }

    #[test]
    fn what_a_client_can_make_up_does_not_become_a_label() {
        let event = RequestEvent { method: Some("BREW".into()), encoding: Some("x".into()), route: None, status: Some(404), ..event() };
        let text = labels(Instrument::Duration, &event);
        assert!(text.contains(r#"http_request_method="_OTHER""#) && text.contains(r#"http_route="__unmatched__""#), "{text}");
        assert_eq!(labels(Instrument::Compressed, &event), r#"{encoding="other", service_name="shop"}"#);
    }

    #[test]
    fn a_path_stands_in_for_the_route() {
        let event = RequestEvent { route: None, ..event() };
        assert!(labels(Instrument::Duration, &event).contains(r#"http_route="/items/{id}""#));
        let long = RequestEvent { path: Some("/x".repeat(2000).into()), ..event };
        assert!(labels(Instrument::Duration, &long).contains("__unmatched__"));
    }

    #[test]
    fn a_server_error_has_a_class_of_its_own() {
        let failed = RequestEvent { status: Some(503), ..event() };
        assert!(labels(Instrument::Duration, &failed).contains(r#"error_type="503""#));
        let named = RequestEvent { error: Some("timeout".into()), ..failed };
        assert!(labels(Instrument::Duration, &named).contains(r#"error_type="timeout""#));
    }

    #[test]
    fn readings_are_what_the_event_says() {
        let event = RequestEvent { bytes_out: Some(5.0), queue_s: Some(1.0), ..event() };
        let found: Vec<_> = readings(&event).collect();
        assert_eq!(found, [(Instrument::Duration, 0.1), (Instrument::ResponseSize, 5.0), (Instrument::Queue, 1.0)]);
        let event = RequestEvent { bytes_uncompressed: Some(9.0), ..event };
        assert!(readings(&event).any(|reading| reading == (Instrument::Uncompressed, 9.0)));
        assert!(readings(&event).any(|reading| reading == (Instrument::Compressed, 5.0)));
    }

    #[test]
    fn events_that_differ_in_a_label_differ_in_their_identity() {
        let naming = Naming::new(&Config::default(), None);
        let identity = |event: &RequestEvent<'_>| {
            let mut out = Vec::new();
            Instrument::Duration.identify(event, &naming, &mut out);
            out
        };
        let base = event();
        for other in [
            RequestEvent { service: None, ..event() },
            RequestEvent { method: None, ..event() },
            RequestEvent { route: None, ..event() },
            RequestEvent { status: Some(201), ..event() },
            RequestEvent { error: Some("x".into()), ..event() },
            RequestEvent { route: Some("".into()), error: Some("/items/7".into()), ..event() },
        ] {
            assert_ne!(identity(&base), identity(&other), "{other:?}");
        }
    }
}
