//! `/api/v1/status/…`: what there is to say about the agent as if it were a Prometheus server. What a server has and an agent does
//! not (a Go runtime, chunks, blocks) is left out.
//! Source: Prometheus documentation "HTTP API", prometheus/prometheus `web/api/v1/api.go`, `tsdb/index/postings.go`.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::ops::ControlFlow;

use serde::Serialize;
use serde_json::json;

use super::State;
use super::api::{self, Error};
use super::envelope::Success;
use super::params::Params;
use super::reply::Reply;
use super::router::Call;
use crate::model::{Labels, METRIC_NAME, MatchOp, Matcher, Sample, Timestamp, Value};

/// How many are listed of each kind.
const LISTED: usize = 10;

/// The version of Prometheus whose interface this resembles: clients look at it to learn which parameters they may use.
const PROMETHEUS_VERSION: &str = "3.5.0";

/// Which Prometheus this resembles. There is no `features` member: its presence means Mimir to Grafana.
pub(super) fn build(_: &Call, _: &State) -> Reply {
    let version = concat!("sidewatch ", env!("CARGO_PKG_VERSION"));
    let info = json!({
        "version": PROMETHEUS_VERSION, "revision": version, "branch": "", "buildUser": "", "buildDate": "", "goVersion": "",
    });
    api::reply(Ok(Success::new(&info)))
}

/// Since when the agent runs, and what became of its configuration.
pub(super) fn runtime(call: &Call, state: &State) -> Reply {
    let about = state.about.borrow().clone();
    api::reply(Ok(Success::new(&json!({
        "startTime": about.started, "CWD": about.folder, "hostname": about.host_name, "serverTime": call.at,
        "reloadConfigSuccess": about.load_succeeded, "lastConfigTime": about.loaded,
        "corruptionCount": own_number(state, "sidewatch_journal_damages_total"), "storageRetention": about.retention,
    }))))
}

/// One of the agent's own counters without labels.
fn own_number(state: &State, name: &str) -> u64 {
    let families = state.telemetry.families();
    let family = families.iter().find(|family| &*family.name == name);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // saturates
    match family.and_then(|family| family.series.first()).map(|series| &series.value) {
        Some(Value::Number(number)) => *number as u64,
        _ => 0,
    }
}

/// The configuration in force.
pub(super) fn configuration(_: &Call, state: &State) -> Reply {
    api::reply(Ok(Success::new(&json!({ "yaml": state.about.borrow().configuration }))))
}

/// Settings under the names of Prometheus's flags.
pub(super) fn flags(_: &Call, state: &State) -> Reply {
    api::reply(Ok(Success::new(&state.about.borrow().flags)))
}

/// How many series history holds, and what makes them many.
pub(super) fn tsdb(call: &Call, state: &State) -> Reply {
    api::reply(listed(&call.params).and_then(|limit| {
        let series = state.history.series(&[], Timestamp::MIN, Timestamp::MAX)?;
        let times = times(call, state)?;
        Ok(Success::new(&Cardinality::count(&series, times, limit)))
    }))
}

/// The times in milliseconds between which history has samples, if it has any. There is an `up` for each service: one at a time is read.
fn times(call: &Call, state: &State) -> Result<Option<(i64, i64)>, Error> {
    let mut times: Option<(i64, i64)> = None;
    let mut goes_on = Ok(());
    state.history.visit(&[up()?], Timestamp::MIN, Timestamp::MAX, &mut |_, samples| {
        for Sample { at, .. } in [samples.first(), samples.last()].into_iter().flatten() {
            let (first, last) = times.unwrap_or((i64::MAX, i64::MIN));
            times = Some((first.min(at.as_millis()), last.max(at.as_millis())));
        }
        goes_on = call.still_asked();
        if goes_on.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    goes_on.map(|()| times)
}

/// `up` is written whenever history is: its times are history's.
pub(super) fn up() -> Result<Matcher, Error> {
    Matcher::new(METRIC_NAME, MatchOp::Equal, "up").map_err(|error| Error::Internal(error.to_string()))
}

fn listed(params: &Params) -> Result<usize, Error> {
    let Some(text) = params.get("limit") else { return Ok(LISTED) };
    let number = text.parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| Error::BadData("limit must be a positive number".to_owned()))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Cardinality {
    head_stats: HeadStats,
    series_count_by_metric_name: Vec<Stat>,
    label_value_count_by_label_name: Vec<Stat>,
    memory_in_bytes_by_label_name: Vec<Stat>,
    series_count_by_label_value_pair: Vec<Stat>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct HeadStats {
    num_series: usize,
    num_label_pairs: usize,
    min_time: i64,
    max_time: i64,
}

#[derive(Serialize)]
struct Stat {
    name: String,
    value: usize,
}

impl Cardinality {
    /// Where there are no samples, the times are those of an empty server.
    fn count(series: &[Labels], times: Option<(i64, i64)>, limit: usize) -> Self {
        let (min_time, max_time) = times.unwrap_or((i64::MAX, i64::MIN));
        let mut pairs: BTreeMap<(&str, &str), usize> = BTreeMap::new();
        for pair in series.iter().flatten() {
            *pairs.entry(pair).or_default() += 1;
        }
        // How many values each label has, and how long they are together.
        let mut names: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
        for (name, value) in pairs.keys() {
            let (count, bytes) = names.entry(name).or_default();
            *count += 1;
            *bytes += value.len();
        }
        let stat = |name: &str, value: usize| Stat { name: name.to_owned(), value };
        let metrics = pairs.iter().filter(|((name, _), _)| *name == METRIC_NAME).map(|((_, value), count)| stat(value, *count));
        Self {
            head_stats: HeadStats { num_series: series.len(), num_label_pairs: pairs.len(), min_time, max_time },
            series_count_by_metric_name: largest(metrics.collect(), limit),
            label_value_count_by_label_name: largest(names.iter().map(|(name, (count, _))| stat(name, *count)).collect(), limit),
            memory_in_bytes_by_label_name: largest(names.iter().map(|(name, (_, bytes))| stat(name, *bytes)).collect(), limit),
            series_count_by_label_value_pair: largest(
                pairs.iter().map(|((name, value), count)| stat(&format!("{name}={value}"), *count)).collect(),
                limit,
            ),
        }
    }
}

fn largest(mut stats: Vec<Stat>, limit: usize) -> Vec<Stat> {
    stats.sort_by_key(|stat| Reverse(stat.value));
    stats.truncate(limit);
    stats
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_come_first() {
        let labels = |pairs: &[(&str, &str)]| Labels::from_pairs(pairs.iter().copied());
        let series = [
            labels(&[(METRIC_NAME, "a"), ("x", "12")]),
            labels(&[(METRIC_NAME, "b"), ("x", "12")]),
            labels(&[(METRIC_NAME, "b"), ("x", "345")]),
        ];
        let counted = serde_json::to_value(Cardinality::count(&series, Some((5, 9)), 1)).expect("JSON");
        assert_eq!(
            counted,
            json!({
                "headStats": {"numSeries": 3, "numLabelPairs": 4, "minTime": 5, "maxTime": 9},
                "seriesCountByMetricName": [{"name": "b", "value": 2}],
                "labelValueCountByLabelName": [{"name": "__name__", "value": 2}],
                "memoryInBytesByLabelName": [{"name": "x", "value": 5}],
                "seriesCountByLabelValuePair": [{"name": "__name__=b", "value": 2}],
            })
        );
        let empty = Cardinality::count(&[], None, 10);
        assert_eq!((empty.head_stats.min_time, empty.head_stats.max_time), (i64::MAX, i64::MIN));
    }
}
