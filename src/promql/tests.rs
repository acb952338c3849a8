//! The engine as a whole, over generated queries: it always answers, and a range query is nothing but many instant ones.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::history::{self, Append, History};
use crate::model::{Labels, Timestamp, stale_marker};
use crate::telemetry::Telemetry;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(seconds * 1000)
}

/// A few counters, gauges and a histogram with gaps, a reset, odd values and a stale marker.
fn engine() -> Engine {
    let history = History::new(&history::Config::default(), &Telemetry::new());
    for step in 0..40 {
        let mut samples = Vec::new();
        let mut add = |name: &str, i: &str, le: &str, value: f64| {
            samples.push((Labels::from_pairs([("__name__", name), ("i", i), ("le", le)]), value));
        };
        add("a_total", "0", "", f64::from(step % 23));
        add("g", "0", "", f64::from(step * step % 17) - 5.0);
        if step % 7 != 3 {
            add("a_total", "1", "", f64::from(step) * 1.5);
            add("g", "1", "", if step % 5 == 0 { f64::NAN } else { f64::INFINITY });
        }
        if step < 30 {
            add("g", "2", "", if step == 29 { stale_marker() } else { 1.0 });
        }
        for (le, share) in [("1", 1), ("5", 2), ("+Inf", 3)] {
            add("h_bucket", "0", le, f64::from(step * share));
        }
        history.append(at(i64::from(step) * 15), &samples);
    }
    Engine::new(Arc::new(history), EngineConfig::default())
}

fn pick(texts: &'static [&'static str]) -> impl Strategy<Value = String> {
    prop::sample::select(texts).prop_map(str::to_owned)
}

fn selector() -> impl Strategy<Value = String> {
    let matchers = pick(&["a_total", "g", "h_bucket", "g{i=~'1|2'}", "{i!='0', __name__='g'}", "nothing", "a_total{i!~'.*1'}"]);
    (matchers, pick(&["", "", " offset 1m", " @ 200", " offset -30s", " @ end()"])).prop_map(|(matchers, modifier)| matchers + &modifier)
}

fn ranges(vector: BoxedStrategy<String>) -> impl Strategy<Value = String> {
    let plain = (pick(&["a_total", "g", "h_bucket"]), pick(&["1m", "100s", "5m", "1s"]), pick(&["", " offset 45s", " @ 300"]))
        .prop_map(|(selector, range, modifier)| format!("{selector}[{range}]{modifier}"));
    let subquery = (vector, pick(&["1m:20s", "100s:7s", "3m:"])).prop_map(|(vector, range)| format!("({vector})[{range}]"));
    prop_oneof![plain, subquery]
}

/// An expression of type vector, in which no series lose what tells them apart.
fn vector() -> impl Strategy<Value = String> {
    selector().prop_recursive(3, 12, 2, |inner| {
        let over_range = (
            pick(&[
                "rate",
                "increase",
                "delta",
                "irate",
                "idelta",
                "resets",
                "changes",
                "deriv",
                "avg_over_time",
                "min_over_time",
                "max_over_time",
                "sum_over_time",
                "count_over_time",
                "stddev_over_time",
                "last_over_time",
                "present_over_time",
                "absent_over_time",
            ]),
            ranges(inner.clone().boxed()),
        );
        let aggregation = (
            pick(&["sum", "avg", "min", "max", "count", "group", "stddev", "topk", "bottomk", "quantile"]),
            pick(&["", "by (i)", "without (le)", "by (le, i)"]),
            inner.clone(),
        );
        let operator = pick(&["+", "-", "*", "/", "%", "^", "==", "!=", "> bool", "<", "and", "or", "unless", "+ on(i)", "and on(i)"]);
        prop_oneof![
            over_range.prop_map(|(function, range)| format!("{function}({range})")),
            aggregation.prop_map(|(aggregation, grouping, inner)| {
                let param = if ["topk", "bottomk"].contains(&&*aggregation) { "2, " } else { "" };
                let param = if aggregation == "quantile" { "0.3, " } else { param };
                format!("{aggregation} {grouping} ({param}{inner})")
            }),
            (inner.clone(), operator, inner.clone()).prop_map(|(a, operator, b)| format!("({a} {operator} {b})")),
            (inner.clone(), pick(&["* 2", "> 3", "<= bool 3", "^ 0.5", "- time()"])).prop_map(|(a, scalar)| format!("({a} {scalar})")),
            (pick(&["abs", "-", "floor", "sgn", "absent", "timestamp", "hour", "sort"]), inner.clone())
                .prop_map(|(function, inner)| format!("{function}({inner})")),
            inner.clone().prop_map(|inner| format!("histogram_quantile(0.9, {inner})")),
            inner.clone().prop_map(|inner| format!("clamp({inner}, 1, scalar(g{{i='0'}}))")),
            inner.clone().prop_map(|inner| format!("label_replace({inner}, 'j', '$1', 'i', '(.)')")),
            ranges(inner.boxed()).prop_map(|range| format!("predict_linear({range}, 60)")),
        ]
    })
}

/// Labels and bits, in order. NaN is NaN.
fn content(value: Value, when: Timestamp) -> Vec<(Labels, u64)> {
    let bits = |value: f64| if value.is_nan() { f64::NAN.to_bits() } else { value.to_bits() };
    let mut content: Vec<(Labels, u64)> = match value {
        Value::Vector(samples) => samples.into_iter().map(|sample| (sample.labels, bits(sample.value))).collect(),
        Value::Matrix(series) => {
            let at = |series: MatrixSeries| Some((series.labels, bits(series.samples.iter().find(|sample| sample.at == when)?.value)));
            series.into_iter().filter_map(at).collect()
        }
        other => panic!("{other:?}"),
    };
    content.sort();
    content
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, max_shrink_iters: 200, ..ProptestConfig::default() })]
    #[test]
    fn a_range_query_is_many_instant_queries(query in vector(), start in 0..300i64, step in 1..50i64) {
        let engine = engine();
        // What refers to the query's own times cannot be the same.
        let expr = parse(&query.replace("@ end()", "@ 500")).expect("a query");
        let Ok(range) = engine.range(&expr, at(start), at(start + 5 * step), step * 1000) else { return Ok(()) };
        for n in 0..=5 {
            let when = at(start + n * step);
            let instant = engine.instant(&expr, when).expect("what answers over a range answers at each of its steps");
            prop_assert_eq!(content(instant.value, when), content(range.value.clone(), when), "{} at {}", query, when);
        }
    }

    #[test]
    fn there_is_always_an_answer_or_an_error(query in vector(), millis in prop_oneof![Just(i64::MIN), Just(i64::MAX), any::<i64>(), Just(0)]) {
        let engine = engine();
        let expr = parse(&query).expect("a query");
        let time = Timestamp::from_millis(millis);
        let _ = engine.instant(&expr, time);
        let _ = engine.range(&expr, time, time.plus_millis(5_000), 1_000);
    }
}

#[test]
fn the_deepest_query_is_evaluated() {
    let depth = QUERY_DEPTH_MAX as usize - 2;
    let engine = engine();
    for query in [
        format!("{}g{}", "(".repeat(depth), ")".repeat(depth)),
        format!("{}g{}", "sum(".repeat(depth), ")".repeat(depth)),
        format!("{}g", "- ".repeat(depth)),
        format!("g{}", " + 1".repeat(depth)),
    ] {
        let expr = parse(&query).expect("a query");
        assert!(engine.instant(&expr, at(60)).is_ok(), "{query}");
    }
}

#[test]
fn a_range_that_is_too_short_for_what_history_has_thinned_is_remarked_upon() {
    let config = history::Config { retention: crate::model::PromDuration::from_secs(3600), ..history::Config::default() };
    let history = History::new(&config, &Telemetry::new());
    for second in (0..4 * 3600).step_by(5) {
        let mut samples = vec![(Labels::from_pairs([("__name__", "a_total")]), f64::from(second))];
        if second == 4 * 3600 - 600 {
            samples.push((Labels::from_pairs([("__name__", "once_total")]), 1.0));
        }
        history.append(at(i64::from(second)), &samples);
    }
    let engine = Engine::new(Arc::new(history), EngineConfig::default());
    let infos = |query: &str, when: Timestamp| engine.instant(&parse(query).expect("valid"), when).expect("evaluated").infos;
    let remark = |range: &str| {
        vec![format!("PromQL info: a range of {range} holds fewer than two samples, since so far back history keeps one a minute (1:6)")]
    };
    let (thinned, full) = (at(3600), at(4 * 3600 - 10));
    assert_eq!(infos("rate(a_total[1m])", thinned), remark("1m"));
    assert_eq!(infos("rate(a_total[10s])", at(3630)), remark("10s"), "no sample at all");
    assert_eq!(infos("rate(a_total[10s] offset 3h)", full), remark("10s"));
    for (query, when) in [
        ("rate(a_total[5m])", thinned),
        ("rate(a_total[1m])", full),
        ("rate(a_total[1s])", full),
        ("rate(once_total[3h])", full),
        ("rate(nothing_total[5m])", thinned),
        ("max_over_time(a_total[1m:1m])", thinned),
    ] {
        assert_eq!(infos(query, when), Vec::<String>::new(), "{query}");
    }
    let answer = engine.range(&parse("rate(a_total[1m])").expect("valid"), thinned, full, 60_000).expect("evaluated");
    assert_eq!(answer.infos, remark("1m"), "once for all steps");
}
