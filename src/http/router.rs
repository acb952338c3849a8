//! Which endpoint a path means. Adding one is a line in [`ALL`].

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hyper::{Method, StatusCode};

use super::api::Error;
use super::params::{Params, decode};
use super::reply::Reply;
use super::{State, exemplars, health, index, labels, metadata, metrics, query, rules, status, targets, tree};
use crate::model::Timestamp;
use crate::runtime::Stage;

/// An endpoint.
#[derive(Debug)]
pub(super) struct Route {
    /// Its path; a segment in braces stands for any.
    pub(super) path: &'static str,
    /// Whether it takes a form by POST beside GET and HEAD.
    pub(super) post: bool,
    /// Where the answer is made.
    pub(super) lane: Lane,
    /// One line for the index.
    pub(super) help: &'static str,
    /// Makes the answer.
    pub(super) answer: fn(&Call, &State) -> Reply,
}

/// Where an answer is made, and what it waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lane {
    /// At once: it is small, and a probe must never wait behind a query.
    Probe,
    /// At once, few at a time: only the head of it is made before it is sent, and another thread would cost as much as that.
    Metrics,
    /// On a blocking thread, few at a time.
    Query,
}

/// What an endpoint is asked.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) params: Params,
    /// What stood in the place of the segment in braces.
    pub(super) segment: String,
    /// The header of that name.
    pub(super) accept: Option<String>,
    /// Now.
    pub(super) at: Timestamp,
    /// How long it has waited for its turn.
    pub(super) queued: Duration,
    /// Where the agent is in its life.
    pub(super) stage: Stage,
    /// Becomes true when nobody waits for the answer any more.
    pub(super) given_up: Arc<AtomicBool>,
}

impl Call {
    /// Whether somebody waits for the answer. What takes long asks now and then.
    pub(super) fn still_asked(&self) -> Result<(), Error> {
        if self.given_up.load(Ordering::Relaxed) { Err(Error::Timeout("nobody waits for the answer any more".to_owned())) } else { Ok(()) }
    }
}

const fn get(path: &'static str, lane: Lane, help: &'static str, answer: fn(&Call, &State) -> Reply) -> Route {
    Route { path, post: false, lane, help, answer }
}

const fn form(path: &'static str, help: &'static str, answer: fn(&Call, &State) -> Reply) -> Route {
    Route { path, post: true, lane: Lane::Query, help, answer }
}

/// All endpoints.
pub(super) static ALL: [Route; 27] = [
    get("/", Lane::Probe, "This page.", index::page),
    get("/metrics", Lane::Metrics, "All metrics, as Prometheus's text or OpenMetrics.", metrics::answer),
    get(
        "/health",
        Lane::Probe,
        "The health score and what it is made of, as JSON; ?line tells it in one line, ?service that of one service.",
        health::report,
    ),
    get("/livez", Lane::Probe, "200 while the agent runs.", health::live),
    get("/readyz", Lane::Probe, "200 when the agent is ready; ?verbose tells of every part.", health::ready),
    form("/api/v1/query", "PromQL at one time: query, time, timeout, limit, lookback_delta, stats.", query::instant),
    form("/api/v1/query_range", "PromQL over a range: query, start, end, step, timeout, limit, lookback_delta, stats.", query::range),
    form("/api/v1/query_exemplars", "The traces of the series that a query selects: query, start, end.", exemplars::exemplars),
    form("/api/v1/format_query", "A query in lines of at most 100 characters: query.", tree::formatted),
    form("/api/v1/parse_query", "A query as a tree: query.", tree::parsed),
    form("/api/v1/series", "Series by match[]; start, end, limit.", labels::series),
    form("/api/v1/labels", "Label names; match[], start, end, limit.", labels::names),
    get("/api/v1/label/{name}/values", Lane::Query, "Values of a label; match[], start, end, limit.", labels::values),
    get("/api/v1/metadata", Lane::Query, "Type, help and unit of metrics: metric, limit, limit_per_metric.", metadata::metadata),
    get(
        "/api/v1/rules",
        Lane::Query,
        "Rule groups: type, rule_name[], rule_group[], file[], match[], exclude_alerts, group_limit, group_next_token.",
        rules::rules,
    ),
    get("/api/v1/alerts", Lane::Query, "Pending and firing alerts.", rules::alerts),
    get("/api/v1/targets", Lane::Query, "Every job and how it is: state, scrapePool.", targets::targets),
    get("/api/v1/scrape_pools", Lane::Query, "The jobs.", targets::pools),
    get("/api/v1/alertmanagers", Lane::Probe, "The Alertmanagers of `notify.alertmanagers`.", targets::alertmanagers),
    get("/api/v1/status/buildinfo", Lane::Probe, "Which Prometheus this interface resembles.", status::build),
    get("/api/v1/status/runtimeinfo", Lane::Query, "Since when the agent runs, and what became of its configuration.", status::runtime),
    get("/api/v1/status/config", Lane::Probe, "The configuration in force.", status::configuration),
    get("/api/v1/status/flags", Lane::Probe, "Settings under the names of Prometheus's flags.", status::flags),
    get("/api/v1/status/tsdb", Lane::Query, "How many series history holds, and what makes them many: limit.", status::tsdb),
    get("/-/healthy", Lane::Probe, "As /livez.", health::live),
    get("/-/ready", Lane::Probe, "As /readyz.", health::ready),
    get("/favicon.ico", Lane::Probe, "Nothing.", index::no_icon),
];

/// What the documentation says of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Its path; a segment in braces stands for any.
    pub path: &'static str,
    /// The methods it answers.
    pub methods: &'static str,
    /// One line about it.
    pub help: &'static str,
}

/// All endpoints that people want to know of.
pub fn endpoints() -> impl Iterator<Item = Endpoint> {
    listed().map(|route| Endpoint { path: route.path, methods: methods(route), help: route.help })
}

const fn methods(route: &Route) -> &'static str {
    if route.post { "GET, HEAD, POST" } else { "GET, HEAD" }
}

/// What a request means.
#[derive(Debug)]
pub(super) enum Found {
    /// An endpoint, and what stood in the place of its segment in braces.
    Route(&'static Route, String),
    /// An endpoint that does not take this method.
    Method(&'static Route),
    /// Nothing.
    Nothing,
}

impl Found {
    /// The endpoint as a label.
    pub(super) const fn handler(&self) -> &'static str {
        match self {
            Self::Route(route, _) | Self::Method(route) => route.path,
            Self::Nothing => "none",
        }
    }
}

/// Finds the endpoint.
pub(super) fn find(method: &Method, path: &str) -> Found {
    let Some((route, segment)) = ALL.iter().find_map(|route| Some((route, matches(route.path, path)?))) else {
        return Found::Nothing;
    };
    match *method {
        Method::GET | Method::HEAD => Found::Route(route, segment),
        Method::POST if route.post => Found::Route(route, segment),
        _ => Found::Method(route),
    }
}

/// The answer to a path that is none.
pub(super) fn not_found(path: &str) -> Reply {
    let mut text = format!("nothing is at {path:?}; there are:\n");
    for route in listed() {
        text.push_str(&format!("  {:30} {}\n", route.path, route.help));
    }
    Reply::new(StatusCode::NOT_FOUND, super::reply::TEXT, text)
}

/// The answer to a method that an endpoint does not take.
pub(super) fn not_allowed(route: &Route) -> Reply {
    let allow = methods(route);
    let mut reply = Reply::text(StatusCode::METHOD_NOT_ALLOWED, &format!("{} answers {allow}", route.path));
    reply.allow = Some(allow);
    reply
}

/// The endpoints that people want to know of.
pub(super) fn listed() -> impl Iterator<Item = &'static Route> {
    ALL.iter().filter(|route| route.path != "/favicon.ico")
}

fn matches(pattern: &str, path: &str) -> Option<String> {
    let (mut pattern, mut path) = (pattern.split('/'), path.split('/'));
    let mut segment = String::new();
    loop {
        match (pattern.next(), path.next()) {
            (None, None) => return Some(segment),
            (Some(expected), Some(actual)) if expected.starts_with('{') && !actual.is_empty() => segment = decode(actual.as_bytes(), false),
            (Some(expected), Some(actual)) if expected == actual => {}
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_endpoint_is_found_by_its_own_path() {
        for route in &ALL {
            assert!(matches!(find(&Method::GET, route.path), Found::Route(found, _) if found.path == route.path), "{}", route.path);
        }
    }

    #[test]
    fn a_segment_in_braces_takes_any_text() {
        match find(&Method::GET, "/api/v1/label/a%2Fb+c/values") {
            Found::Route(route, segment) => assert_eq!((route.path, segment.as_str()), ("/api/v1/label/{name}/values", "a/b+c")),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn other_paths_are_nothing() {
        for path in ["", "//", "/metrics/", "/metric", "/api/v1/label//values", "/api/v1/label/a/b/values", "/../metrics"] {
            assert!(matches!(find(&Method::GET, path), Found::Nothing), "{path}");
        }
        assert!(String::from_utf8_lossy(&not_found("/x").body).contains("/api/v1/query_range"));
    }

    #[test]
    fn only_forms_may_be_posted() {
        assert!(matches!(find(&Method::POST, "/api/v1/query"), Found::Route(..)));
        for (method, path) in [(Method::POST, "/metrics"), (Method::DELETE, "/api/v1/query"), (Method::OPTIONS, "/")] {
            assert!(matches!(find(&method, path), Found::Method(_)), "{method} {path}");
        }
    }
}
