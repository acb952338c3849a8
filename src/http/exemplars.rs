//! `/api/v1/query_exemplars`: the traces that histograms keep, by the series that a query selects.
//! Source: Prometheus documentation "HTTP API", prometheus/prometheus `web/api/v1/api.go`, `web/api/v1/json_codec.go`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::vec::IntoIter;

use hyper::StatusCode;

use super::State;
use super::api::{self, Error, time};
use super::envelope::{Part, Success, TRUNCATED};
use super::json::{write_labels, write_seconds};
use super::reply::{JSON, Reply};
use super::router::Call;
use crate::model::{Exemplar, FloatStyle, Labels, METRIC_NAME, Matcher, MetricType, Origin, Timestamp, format_float, write_float};
use crate::promql::{ExprKind, parse};
use crate::recorder::Identity;
use crate::registry::{Cursor, Head, Place, Reader, Reading};

/// The most exemplars that are answered: as many as Prometheus keeps, unless it is told otherwise.
const EXEMPLARS_MAX: usize = 100_000;

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
    api::reply(find(call, state, asked))
}

/// The registry's lock is held only while exemplars are copied: what is asked may take long to look at.
fn find(call: &Call, state: &State, asked: Asked) -> Result<Success, Error> {
    let identity = state.about.borrow().identity.clone();
    let mut found = Found { asked, identity, series: BTreeMap::new(), room: EXEMPLARS_MAX, family: None };
    let (mut copied, mut cursor, mut more) = (Copied::default(), Cursor::default(), true);
    while more && found.room > 0 {
        more = state.registry.read_on(&mut cursor, &mut copied);
        for series in copied.series.drain(..) {
            call.still_asked()?;
            found.look_at(series);
        }
    }
    let warnings = if found.room > 0 { Vec::new() } else { vec![TRUNCATED.to_owned()] };
    let series: Vec<_> = found.series.into_iter().collect();
    Ok(Success::of(Series { rest: series.into_iter(), begun: false }).with(warnings, Vec::new()))
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
        query.walk(&mut |expr| match &expr.kind {
            ExprKind::VectorSelector(selector) => selectors.push(selector.matchers.clone()),
            ExprKind::MatrixSelector(matrix) => selectors.push(matrix.selector.matchers.clone()),
            _ => {}
        });
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

/// The series that are asked for.
struct Found {
    asked: Asked,
    identity: Identity,
    series: BTreeMap<Labels, Vec<Exemplar>>,
    /// How many more exemplars there may be.
    room: usize,
    /// The family that was looked at last, and the name of its buckets if any of them might be wanted.
    family: Option<(Arc<str>, Option<String>)>,
}

impl Found {
    fn look_at(&mut self, CopiedSeries { family, labels, exemplars }: CopiedSeries) {
        let known = self.family.take().filter(|(name, _)| Arc::ptr_eq(name, &family.name));
        let (_, buckets) = self.family.insert(known.unwrap_or_else(|| {
            let buckets = format!("{}_bucket", family.name);
            (Arc::clone(&family.name), self.asked.might_want(&buckets).then_some(buckets))
        }));
        let Some(buckets) = buckets else { return };
        for (bucket, exemplar) in exemplars {
            if self.room == 0 || exemplar.at < self.asked.start || exemplar.at > self.asked.end {
                continue;
            }
            let bound = family.bounds.get(bucket).copied().unwrap_or(f64::INFINITY);
            let mut named = labels.to_builder();
            named.set(METRIC_NAME, buckets).set("le", &format_float(bound, FloatStyle::Canonical));
            named.set("instance", &self.identity.instance).set("job", self.identity.job(family.origin, &labels));
            let labels = named.build();
            if self.asked.wants(&labels) {
                self.series.entry(labels).or_default().push(exemplar);
                self.room -= 1;
            }
        }
    }
}

/// What is copied of histograms that have exemplars.
#[derive(Default)]
struct Copied {
    /// The histogram that is being read.
    family: Option<CopiedFamily>,
    series: Vec<CopiedSeries>,
}

#[derive(Clone)]
struct CopiedFamily {
    name: Arc<str>,
    origin: Origin,
    bounds: Arc<[f64]>,
}

struct CopiedSeries {
    family: CopiedFamily,
    labels: Labels,
    /// By the numbers of their buckets.
    exemplars: Vec<(usize, Exemplar)>,
}

impl Reader for Copied {
    fn family(&mut self, head: &Head<'_>) {
        let copy = || CopiedFamily { name: Arc::clone(head.name), origin: head.origin, bounds: Arc::clone(head.bounds) };
        self.family = (head.kind == MetricType::Histogram).then(copy);
    }

    fn series(&mut self, _: Place, _: u64, labels: &Labels, reading: Reading<'_>) {
        let (Some(family), Reading::Histogram(histogram)) = (&self.family, reading) else { return };
        let buckets = 0..=family.bounds.len();
        let exemplars: Vec<_> = buckets.filter_map(|bucket| Some((bucket, *histogram.exemplars.get(bucket)?))).collect();
        if !exemplars.is_empty() {
            self.series.push(CopiedSeries { family: family.clone(), labels: labels.clone(), exemplars });
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::TraceId;

    #[test]
    fn no_more_are_found_than_there_is_room_for() {
        let identity = Identity { instance: "h".into(), host_job: "n".into(), events_job: "a".into(), agent_job: "s".into() };
        let asked = Asked { selectors: vec![Vec::new()], start: Timestamp::MIN, end: Timestamp::MAX };
        let mut found = Found { asked, identity, series: BTreeMap::new(), room: 3, family: None };
        for service in ["a", "b"] {
            let family = CopiedFamily { name: "t_seconds".into(), origin: Origin::Events, bounds: [1.0].into() };
            let exemplar = Exemplar { trace_id: TraceId::new("x").expect("short"), value: 0.5, at: Timestamp::from_millis(1) };
            let labels = Labels::from_pairs([("service_name", service)]);
            found.look_at(CopiedSeries { family, labels, exemplars: vec![(0, exemplar), (1, exemplar)] });
        }
        let told: Vec<_> = found.series.keys().map(|labels| (labels.get("service_name"), labels.get("le"))).collect();
        assert_eq!(told, [(Some("a"), Some("+Inf")), (Some("a"), Some("1.0")), (Some("b"), Some("1.0"))]);
        assert_eq!(found.room, 0);
    }
}
