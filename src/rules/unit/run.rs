//! Evaluates rules over the series of a test, as the agent would, and looks at what has become of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::coverage::Coverage;
use super::failure::{Failure, shown_alerts, shown_samples};
use super::file::{AlertTexts, Expected, ExpressionCase, Test, TestFile};
use crate::history::{Append, History, Query};
use crate::model::{AlertState, GroupSnapshot, Labels, METRIC_NAME, MatchOp, Matcher, PromDuration, RuleKind, Timestamp, format_millis};
use crate::promql::{self, Engine, EngineConfig, Value, read_series};
use crate::rules::group::{Group, World};
use crate::rules::rule::{Externals, GroupSpec};
use crate::rules::scratch::scratch;
use crate::rules::set::RuleSet;
use crate::telemetry::chain;

/// What came of a test.
#[derive(Debug)]
pub struct TestResult {
    /// Its name, or `unnamed#N`.
    pub name: String,
    /// What is not as expected; nothing where it passed.
    pub failures: Vec<Failure>,
    /// What it saw of the rules.
    pub coverage: Coverage,
}

impl TestFile {
    /// Runs the tests whose name `chosen` accepts.
    #[must_use]
    pub fn run(&self, rules: &RuleSet, chosen: &dyn Fn(&str) -> bool) -> Vec<TestResult> {
        self.tests.iter().filter(|test| chosen(if test.named { &test.name } else { "" })).map(|test| self.run_one(test, rules)).collect()
    }

    fn run_one(&self, test: &Test, rules: &RuleSet) -> TestResult {
        let named = test.named.then_some(test.name.as_str());
        let mut coverage = Coverage::default();
        let result = |failures, coverage| TestResult { name: test.name.clone(), failures, coverage };
        if let Some(refused) = &test.refused {
            return result(vec![Failure::new(named, refused.as_str())], coverage);
        }
        if !rules.problems.is_empty() {
            let failures = rules.problems.iter().map(|problem| Failure::new(named, problem.to_string())).collect();
            return result(failures, coverage);
        }
        let mut groups = self.in_order(&rules.groups);
        groups.iter().for_each(|group| coverage.enlist(group.spec()));
        let bench = Bench::new(self, test);
        let mut failures = bench.evaluate(self, test, &mut groups, &mut coverage);
        for case in &test.alerts {
            coverage.check_alert(&case.name, !case.expected.is_empty());
        }
        if failures.iter().all(|failure| failure.sides.is_some()) {
            for case in &test.expressions {
                failures.extend(bench.look(case, test, self.fuzzy, &mut coverage));
            }
        }
        coverage.recorded(&|name| bench.has(name));
        result(failures, coverage)
    }

    /// Groups as the file orders them; those that it does not name stay before all but the first of them.
    fn in_order(&self, specs: &[Arc<GroupSpec>]) -> Vec<Group> {
        let mut specs = specs.to_vec();
        specs.sort_by_key(|spec| self.order.iter().position(|name| *name == spec.name).unwrap_or(0));
        specs.into_iter().map(Group::new).collect()
    }
}

/// A history of its own, with an engine and what is to come.
struct Bench {
    history: History,
    world: World,
    samples: BTreeMap<i64, Vec<(Labels, f64)>>,
    start: i64,
}

impl Bench {
    fn new(file: &TestFile, test: &Test) -> Self {
        let history = scratch();
        let step = PromDuration::from_millis(file.evaluation_interval_millis.unsigned_abs());
        let engine = Engine::new(Arc::new(history.clone()), EngineConfig { subquery_step: step, ..EngineConfig::default() });
        let externals = Externals { labels: test.external_labels.clone(), url: test.external_url.clone() };
        let world = World::closed(Arc::new(engine), &history, externals);
        let start = test.start.as_millis();
        Self { history, world, samples: samples(test, start), start }
    }

    /// Evaluates the groups up to the time of the last case, and compares the alerts that fire at the times of those about alerts.
    /// A rule that fails ends the test.
    fn evaluate(&self, file: &TestFile, test: &Test, groups: &mut [Group], coverage: &mut Coverage) -> Vec<Failure> {
        let named = test.named.then_some(test.name.as_str());
        let times = test.alerts.iter().map(|case| case.at_millis).chain(test.expressions.iter().map(|case| case.at_millis));
        let last = times.max().unwrap_or(0);
        let mut failures = Vec::new();
        let mut before: Vec<Option<Arc<GroupSnapshot>>> = groups.iter().map(|_| None).collect();
        let mut loaded = i64::MIN;
        let mut since = 0_i64;
        while since <= last {
            let at = self.start.saturating_add(since);
            for (time, samples) in self.samples.range(loaded..=at) {
                self.history.append(Timestamp::from_millis(*time), samples);
            }
            loaded = at.saturating_add(1);
            let mut errors = Vec::new();
            let mut firing = Vec::new();
            for (group, before) in groups.iter_mut().zip(&mut before) {
                group.evaluate(Timestamp::from_millis(at), &self.world);
                let now = group.snapshot();
                let failed = |name: &str, error: &str| format!("rule: {name}, time: {}, err: {error}", format_millis(since));
                errors.extend(now.rules.iter().filter_map(|rule| Some(failed(&rule.name, rule.health.error()?))));
                coverage.see(before.as_deref(), &now);
                firing.extend(firing_alerts(group.spec(), &now));
                *before = Some(now);
            }
            if !errors.is_empty() {
                failures.extend(errors.into_iter().map(|error| Failure::new(named, error)));
                return failures;
            }
            let next = since.saturating_add(file.evaluation_interval_millis);
            let mut due: Vec<_> = test.alerts.iter().filter(|case| (since..next).contains(&case.at_millis)).collect();
            due.sort_by_key(|case| case.at_millis);
            for case in due {
                let mut got: Vec<_> = firing.iter().filter(|(name, _)| *name == case.name).map(|(_, texts)| texts.clone()).collect();
                let mut expected = case.expected.clone();
                got.sort();
                expected.sort();
                if got != expected {
                    let what = format!("alertname: {}, time: {}", case.name, format_millis(case.at_millis));
                    let hint = if got.is_empty() { self.edge(at) } else { None };
                    failures.push(Failure::new(named, what).with_sides(shown_alerts(&expected), shown_alerts(&got)).with_hint(hint));
                }
            }
            since = next;
        }
        failures
    }

    /// Compares what an expression gives.
    fn look(&self, case: &ExpressionCase, test: &Test, fuzzy: bool, coverage: &mut Coverage) -> Option<Failure> {
        let named = test.named.then_some(test.name.as_str());
        let what = format!("expr: {:?}, time: {}", case.expression, format_millis(case.at_millis));
        let failed = |error: String| Some(Failure::new(named, format!("{what}, err: {error}")));
        let expr = match promql::parse(&case.expression) {
            Ok(expr) => expr,
            Err(error) => return failed(error.to_string()),
        };
        coverage.check_expression(&expr);
        let answer = match self.world.engine.instant(&expr, Timestamp::from_millis(self.start.saturating_add(case.at_millis))) {
            Ok(answer) => answer.value,
            Err(error) => return failed(chain(&error)),
        };
        let mut got: Vec<(Labels, f64)> = match answer {
            Value::Scalar(value) => vec![(Labels::empty(), value)],
            Value::Vector(samples) => samples.into_iter().map(|sample| (sample.labels, sample.value)).collect(),
            Value::String(_) | Value::Matrix(_) => return failed("rule result is not a vector or scalar".to_owned()),
        };
        let mut expected = Vec::new();
        for (labels, value) in &case.expected {
            let Expected::Float(value) = *value else { return failed("native histograms are not supported yet".to_owned()) };
            match metric(labels) {
                Ok(labels) => expected.push((labels, value)),
                Err(error) => return failed(format!("labels {labels:?}: {error}")),
            }
        }
        let by_labels = |a: &(Labels, f64), b: &(Labels, f64)| a.0.cmp(&b.0);
        got.sort_by(by_labels);
        expected.sort_by(by_labels);
        let same = got.len() == expected.len()
            && got.iter().zip(&expected).all(|(got, expected)| got.0 == expected.0 && is_same(got.1, expected.1, fuzzy));
        let hint = || if got.is_empty() { self.edge(self.start.saturating_add(case.at_millis)) } else { None };
        (!same).then(|| Failure::new(named, what).with_sides(shown_samples(&expected), shown_samples(&got)).with_hint(hint()))
    }

    /// What to do where nothing is found at a time because a series has its last sample exactly at the edge of the lookback: many tests were
    /// written when that still counted.
    fn edge(&self, at: i64) -> Option<String> {
        let lookback = EngineConfig::default().lookback.as_millis();
        let edge = at.saturating_sub(lookback);
        let later = |labels: &Labels| {
            let mut samples = self.samples.range(edge.saturating_add(1)..=at).flat_map(|(_, samples)| samples);
            samples.any(|(other, _)| other == labels)
        };
        let at_edge = self.samples.get(&edge)?.iter().any(|(labels, _)| !later(labels));
        let age = format_millis(lookback);
        at_edge.then(|| format!("a sample exactly {age} old no longer counts since Prometheus 3.0; add one more value"))
    }

    /// Whether there is a series of this name.
    fn has(&self, name: &str) -> bool {
        let (first, last) = (Timestamp::from_millis(i64::MIN), Timestamp::from_millis(i64::MAX));
        let Ok(matcher) = Matcher::new(METRIC_NAME, MatchOp::Equal, name) else { return false };
        self.history.series(&[matcher], first, last).is_ok_and(|series| !series.is_empty())
    }
}

/// What the series amount to, by time. Of a series that is written twice the last line counts.
fn samples(test: &Test, start: i64) -> BTreeMap<i64, Vec<(Labels, f64)>> {
    let series: BTreeMap<_, _> = test.series.iter().map(|(labels, slots)| (labels, slots)).collect();
    let mut samples: BTreeMap<i64, Vec<(Labels, f64)>> = BTreeMap::new();
    for (labels, slots) in series {
        for (place, slot) in (0_i64..).zip(slots) {
            if let Some(value) = slot.float() {
                let at = start.saturating_add(place.saturating_mul(test.interval_millis));
                samples.entry(at).or_default().push((labels.clone(), value));
            }
        }
    }
    samples
}

/// The alerts that fire, each with its rule's name. Annotations that come out empty are there, too.
fn firing_alerts(spec: &GroupSpec, group: &GroupSnapshot) -> Vec<(String, AlertTexts)> {
    let mut firing = Vec::new();
    for (rule, snapshot) in spec.rules.iter().zip(&group.rules) {
        let RuleKind::Alerting { alerts, .. } = &snapshot.kind else { continue };
        for alert in alerts.iter().filter(|alert| alert.state == AlertState::Firing) {
            let labels = alert.labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
            let text = |name: &String| (name.clone(), alert.annotations.get(name).unwrap_or_default().to_owned());
            firing.push((rule.text.name.clone(), (labels, rule.text.annotations.keys().map(text).collect())));
        }
    }
    firing
}

fn metric(text: &str) -> Result<Labels, String> {
    if text.trim().is_empty() {
        return Ok(Labels::empty());
    }
    match read_series(text.trim())? {
        (labels, "") => Ok(labels),
        (_, rest) => Err(format!("unexpected {rest:?} behind the series")),
    }
}

/// NaN equals nothing, as in promtool; where differences in the last bit do not count, a neighbour is the same.
fn is_same(got: f64, expected: f64, fuzzy: bool) -> bool {
    got == expected || (fuzzy && (got.next_up() == expected || got.next_down() == expected))
}
