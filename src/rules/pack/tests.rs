//! The packs' unit tests in `rules/tests/`, which promtool runs too, run here through our own loader, engine and alert
//! machine: what fires there has to fire here, at the same time and with the same words.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use super::*;
use crate::history::{self, Append, History};
use crate::model::{AlertState, Labels, METRIC_NAME, MatchOp, PromDuration, RuleKind, Timestamp};
use crate::promql::{self, Engine, EngineConfig, Value, parse_selector};
use crate::rules::file;
use crate::rules::group::{Group, World};
use crate::rules::restore::Tolerance;
use crate::rules::rule::Externals;
use crate::telemetry::Telemetry;

/// The part of promtool's format that the packs' tests use.
#[derive(serde::Deserialize)]
struct TestFile {
    evaluation_interval: PromDuration,
    tests: Vec<Test>,
}

#[derive(serde::Deserialize)]
struct Test {
    name: String,
    input_series: Vec<Input>,
    #[serde(default)]
    alert_rule_test: Vec<Case>,
    #[serde(default)]
    promql_expr_test: Vec<Query>,
}

#[derive(serde::Deserialize)]
struct Input {
    series: String,
    values: String,
}

#[derive(serde::Deserialize)]
struct Case {
    alertname: String,
    eval_time: PromDuration,
    #[serde(default)]
    exp_alerts: Vec<Expected>,
}

#[derive(serde::Deserialize)]
struct Query {
    expr: String,
    eval_time: PromDuration,
    #[serde(default)]
    exp_samples: Vec<Sample>,
}

#[derive(serde::Deserialize)]
struct Sample {
    labels: String,
    value: f64,
}

#[derive(serde::Deserialize)]
struct Expected {
    exp_labels: BTreeMap<String, String>,
    exp_annotations: BTreeMap<String, String>,
}

fn series(text: &str) -> Labels {
    let matchers = parse_selector(text).expect("a series");
    assert!(matchers.iter().all(|matcher| matcher.op() == MatchOp::Equal), "{text}");
    Labels::from_pairs(matchers.iter().map(|matcher| (matcher.name(), matcher.value())))
}

/// `a+bxn`, `a-bxn`, `axn` and `a`.
fn values(text: &str) -> Vec<f64> {
    let number = |text: &str| text.parse::<f64>().expect("a number");
    let item = |item: &str| {
        let (start, times) = item.split_once('x').map_or((item, 0), |(start, times)| (start, times.parse().expect("a count")));
        let sign = start.char_indices().skip(1).find(|(_, c)| matches!(c, '+' | '-'));
        let (first, step) = sign.map_or((start, 0.0), |(at, _)| (&start[..at], number(&start[at..])));
        let first = number(first);
        (0..=times).map(move |index| first + f64::from(index) * step).collect::<Vec<_>>()
    };
    text.split_whitespace().flat_map(item).collect()
}

fn firing(group: &Group, name: &str) -> Vec<(Labels, Labels)> {
    let snapshot = group.snapshot();
    let alerts = snapshot.rules.iter().filter(|rule| rule.name == name).flat_map(|rule| match &rule.kind {
        RuleKind::Alerting { alerts, .. } => alerts.iter(),
        RuleKind::Recording => [].iter(),
    });
    alerts
        .filter(|alert| alert.state == AlertState::Firing)
        .map(|alert| (alert.labels.without("alertname"), alert.annotations.clone()))
        .collect()
}

fn answer(engine: &Engine, query: &str, at: i64) -> Vec<(Labels, f64)> {
    let expr = promql::parse(query).expect("a query");
    let Value::Vector(samples) = engine.instant(&expr, Timestamp::from_millis(at)).expect("an answer").value else { panic!("a vector") };
    let mut samples: Vec<_> = samples.into_iter().map(|sample| (sample.labels, sample.value)).collect();
    samples.sort_by(|a, b| a.0.cmp(&b.0));
    samples
}

fn run(group: &mut Group, interval: i64, test: &Test) {
    let history = History::new(&history::Config::default(), &Telemetry::new());
    let engine = Arc::new(Engine::new(Arc::new(history.clone()), EngineConfig::default()));
    let world = World {
        engine,
        history: Arc::new(history.clone()),
        externals: Externals::default(),
        outbox: None,
        resend_millis: 60_000,
        past: Arc::new(history.clone()),
        store: None,
        tolerance: Tolerance { outage_millis: 3_600_000, grace_millis: 600_000, settle_millis: 0 },
    };
    let inputs: Vec<_> = test.input_series.iter().map(|input| (series(&input.series), values(&input.values))).collect();
    let alerts = test.alert_rule_test.iter().map(|case| case.eval_time);
    let queries = test.promql_expr_test.iter().map(|query| query.eval_time);
    let last = alerts.chain(queries).max().expect("a case").as_millis();
    for (slot, at) in (0..=last).step_by(usize::try_from(interval).expect("positive")).enumerate() {
        let samples: Vec<_> = inputs.iter().filter_map(|(labels, values)| Some((labels.clone(), *values.get(slot)?))).collect();
        history.append(Timestamp::from_millis(at), &samples);
        let round = group.evaluate(Timestamp::from_millis(at), &world);
        assert_eq!(round.failures, 0, "{:?}", group.snapshot());
        for query in test.promql_expr_test.iter().filter(|query| query.eval_time.as_millis() == at) {
            let mut expected: Vec<_> = query.exp_samples.iter().map(|sample| (series(&sample.labels), sample.value)).collect();
            expected.sort_by(|a, b| a.0.cmp(&b.0));
            assert_eq!(answer(&world.engine, &query.expr, at), expected, "{}: {} at {}", test.name, query.expr, query.eval_time);
        }
        for case in test.alert_rule_test.iter().filter(|case| case.eval_time.as_millis() == at) {
            let mut expected: Vec<_> = case
                .exp_alerts
                .iter()
                .map(|alert| (Labels::from_pairs(&alert.exp_labels), Labels::from_pairs(&alert.exp_annotations)))
                .collect();
            expected.sort();
            assert_eq!(firing(group, &case.alertname), expected, "{}: {} at {}", test.name, case.alertname, case.eval_time);
        }
    }
    assert!(inputs.iter().all(|(labels, _)| labels.get(METRIC_NAME).is_some()));
}

fn run_all(pack: &Pack, name: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("rules/tests").join(name).with_extension("yml");
    let tests: TestFile = serde_yaml::from_str(&fs::read_to_string(path).expect("readable")).expect("a test file");
    for test in &tests.tests {
        let spec = Arc::clone(file::parse(pack.name, pack.text, 5_000).groups.first().expect("a group"));
        run(&mut Group::new(spec), tests.evaluation_interval.as_millis(), test);
    }
}

#[test]
fn every_pack_fires_as_its_tests_say() {
    PACKS.iter().for_each(|pack| run_all(pack, pack.name));
}

#[test]
fn every_pack_is_quiet_on_a_healthy_host_with_an_idle_service() {
    PACKS.iter().for_each(|pack| run_all(pack, "idle"));
}
