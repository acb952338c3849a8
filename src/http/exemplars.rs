//! `/api/v1/query_exemplars`: the traces that histograms keep, by the series that a query selects.
//! Source: Prometheus documentation "HTTP API", prometheus/prometheus `web/api/v1/api.go`, `web/api/v1/json_codec.go`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::vec::IntoIter;

use hyper::StatusCode;

use super::State;
use super::api::{self, Error, time};
use super::envelope::{Part, Success};
use super::json::{write_labels, write_seconds};
use super::reply::{JSON, Reply};
use super::router::Call;
use crate::model::{Exemplar, FloatStyle, Labels, METRIC_NAME, Matcher, Origin, Timestamp, format_float, write_float};
use crate::promql::{Expr, ExprKind, parse};
use crate::recorder::Identity;
use crate::registry::{Head, Place, Reader, Reading};

/// The exemplars of every series that a selector of the query selects.
pub(super) fn exemplars(call: &Call, state: &State) -> Reply {
    let asked = match Asked::read(call) {
        Ok(asked) => asked,
        Err(error) => return api::reply(Err(error)),
    };
    if asked.selectors.is_empty() {
        // As upstream: there is nothing that could have any.
        return Reply::new(StatusCode::NO_CONTENT, JSON, Vec::new());
    }
    let identity = state.about.borrow().identity.clone();
    let mut found = Found { asked, identity, series: BTreeMap::new(), family: None };
    state.registry.walk(&mut found);
    let series: Vec<_> = found.series.into_iter().collect();
    api::reply(Ok(Success::of(Series { rest: series.into_iter(), begun: false })))
}

/// What is asked for.
struct Asked {
    /// The conditions of each selector.
    selectors: Vec<Vec<Matcher>>,
    start: Timestamp,
    end: Timestamp,
}

impl Asked {
    fn read(call: &Call) -> Result<Self, Error> {
        let start = time(&call.params, "start")?.unwrap_or(Timestamp::MIN);
        let end = time(&call.params, "end")?.unwrap_or(Timestamp::MAX);
        if end < start {
            return Err(Error::BadData("end timestamp must not be before start timestamp".to_owned()));
        }
        let query = parse(call.params.get("query").unwrap_or("")).map_err(|error| Error::BadData(error.to_string()))?;
        let mut selectors = Vec::new();
        gather(&query, &mut selectors);
        Ok(Self { selectors, start, end })
    }

    /// Whether a series of this name might be selected.
    fn might_want(&self, name: &str) -> bool {
        let holds = |matcher: &Matcher| matcher.name() != METRIC_NAME || matcher.matches(name);
        self.selectors.iter().any(|matchers| matchers.iter().all(holds))
    }

    fn wants(&self, labels: &Labels) -> bool {
        let holds = |matcher: &Matcher| matcher.matches(labels.get(matcher.name()).unwrap_or(""));
        self.selectors.iter().any(|matchers| matchers.iter().all(holds))
    }
}

/// As deep as the query, which the parser limits.
fn gather(expr: &Expr, found: &mut Vec<Vec<Matcher>>) {
    match &expr.kind {
        ExprKind::Number(_) | ExprKind::String(_) => {}
        ExprKind::VectorSelector(selector) => found.push(selector.matchers.clone()),
        ExprKind::MatrixSelector(matrix) => found.push(matrix.selector.matchers.clone()),
        ExprKind::Subquery(subquery) => gather(&subquery.expr, found),
        ExprKind::Aggregate(aggregate) => {
            aggregate.param.iter().for_each(|param| gather(param, found));
            gather(&aggregate.expr, found);
        }
        ExprKind::Call(call) => call.args.iter().for_each(|arg| gather(arg, found)),
        ExprKind::Binary(binary) => [&binary.lhs, &binary.rhs].into_iter().for_each(|side| gather(side, found)),
        ExprKind::Unary(unary) => gather(&unary.expr, found),
        ExprKind::Paren(inner) => gather(inner, found),
    }
}

/// What a reading of the registry finds.
struct Found {
    asked: Asked,
    identity: Identity,
    series: BTreeMap<Labels, Vec<Exemplar>>,
    /// The histogram that is being read: the name of its buckets, who measured it, and its bounds.
    family: Option<(String, Origin, Arc<[f64]>)>,
}

impl Reader for Found {
    fn family(&mut self, head: &Head<'_>) {
        let name = format!("{}_bucket", head.name);
        self.family = self.asked.might_want(&name).then(|| (name, head.origin, Arc::clone(head.bounds)));
    }

    fn series(&mut self, _: Place, _: u64, labels: &Labels, reading: Reading<'_>) {
        let (Some((name, origin, bounds)), Reading::Histogram(histogram)) = (&self.family, reading) else { return };
        for (bucket, bound) in bounds.iter().copied().chain([f64::INFINITY]).enumerate() {
            let Some(exemplar) = histogram.exemplars.get(bucket) else { continue };
            if exemplar.at < self.asked.start || exemplar.at > self.asked.end {
                continue;
            }
            let mut named = labels.to_builder();
            named.set(METRIC_NAME, name).set("le", &format_float(bound, FloatStyle::Canonical));
            named.set("instance", &self.identity.instance).set("job", self.identity.job(*origin, labels));
            let labels = named.build();
            if self.asked.wants(&labels) {
                self.series.entry(labels).or_default().push(*exemplar);
            }
        }
    }
}

/// The series that have exemplars, in order, one after the other.
struct Series {
    rest: IntoIter<(Labels, Vec<Exemplar>)>,
    begun: bool,
}

impl Part for Series {
    fn write_on(&mut self, out: &mut Vec<u8>) -> bool {
        if !self.begun {
            out.push(b'[');
        }
        let Some((labels, exemplars)) = self.rest.next() else {
            out.push(b']');
            return false;
        };
        out.extend_from_slice(if self.begun { b",{\"seriesLabels\":" } else { b"{\"seriesLabels\":" });
        self.begun = true;
        write_labels(&labels, out);
        out.extend_from_slice(b",\"exemplars\":[");
        for (index, Exemplar { trace_id, value, at }) in exemplars.into_iter().enumerate() {
            out.extend_from_slice(if index > 0 { b",{\"labels\":" } else { b"{\"labels\":" });
            write_labels(&Labels::from_pairs([("trace_id", trace_id.as_str())]), out);
            out.extend_from_slice(b",\"value\":\"");
            write_float(value, FloatStyle::Api, out);
            out.extend_from_slice(b"\",\"timestamp\":");
            write_seconds(at, out);
            out.push(b'}');
        }
        out.extend_from_slice(b"]}");
        true
    }
}
