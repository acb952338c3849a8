//! What the score is made of, and that a reader of `/health` can make it again.

use std::sync::Arc;

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::health::HealthState;
use crate::model::{GroupSnapshot, RuleHealth};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(seconds * 1000)
}

fn alert(name: &str, state: AlertState, since: i64, labels: &[(&str, &str)]) -> AlertSnapshot {
    let labels = labels.iter().copied().chain([("alertname", name)]);
    AlertSnapshot {
        state,
        labels: Labels::from_pairs(labels),
        annotations: Labels::from_sorted([("description", "It burns."), ("summary", "")].into_iter()),
        value: 0.95,
        active_at: at(since),
        fired_at: (state == AlertState::Firing).then_some(at(since)),
        keep_firing_since: None,
    }
}

fn firing(name: &str, severity: &str) -> AlertSnapshot {
    alert(name, AlertState::Firing, 5, &[("severity", severity)])
}

fn rule(name: &str, query: &str, alerts: Vec<AlertSnapshot>) -> RuleSnapshot {
    RuleSnapshot {
        name: name.into(),
        query: query.into(),
        labels: Labels::empty(),
        annotations: Labels::empty(),
        health: RuleHealth::Ok,
        last_evaluation: None,
        evaluation_seconds: 0.0,
        kind: RuleKind::Alerting {
            for_millis: 0,
            keep_firing_for_millis: 0,
            threshold: Some(0.9),
            weight: None,
            owner: None,
            alerts,
            ended: Vec::new(),
        },
    }
}

fn rules(rules: Vec<RuleSnapshot>) -> RulesSnapshot {
    let group = GroupSnapshot {
        name: "g".into(),
        file: "f".into(),
        interval_millis: 5_000,
        limit: 0,
        last_evaluation: None,
        evaluation_seconds: 0.0,
        settling: false,
        rules,
    };
    RulesSnapshot { groups: vec![Arc::new(group)], load_errors: Vec::new() }
}

fn part(condition: Condition, required: bool) -> Part {
    Part { name: "collect".into(), condition, detail: String::new(), since: at(7), required }
}

fn measured(service: Option<&str>, value: Option<f64>, count: Option<f64>) -> Measured {
    Measured { service: service.map(str::to_owned), value, labels: Labels::empty(), count }
}

fn readings(seconds: i64, signals: &[(&str, Vec<Measured>)]) -> Readings {
    let signals = signals.iter().map(|(name, measured)| ((*name).to_owned(), Ok(measured.clone()))).collect();
    Readings { at: Some(at(seconds)), signals }
}

/// `queue`: nothing at 0, 40 points at 100, from 10 events on; covers the alert `QueueLong`.
fn config() -> Config {
    let text = "{signals: {queue: {expr: queue, good: 0, bad: 100, weight: 40, count: events, count_min: 10, alerts: [QueueLong]}, \
                speed: {expr: speed, good: 10, bad: 1, weight: 30}}}";
    serde_yaml::from_str(text).expect("valid")
}

fn once(rules: &RulesSnapshot, readings: &Readings, parts: Vec<Part>) -> Report {
    judge(&config(), rules, readings, parts, &mut Memory::default(), at(9))
}

fn signals(report: &Report) -> Vec<(&str, f64, bool)> {
    report.deductions.iter().map(|reason| (reason.signal.as_str(), reason.points, reason.counts())).collect()
}

#[test]
fn nothing_wrong_is_a_hundred() {
    let report = once(&RulesSnapshot::default(), &readings(9, &[]), vec![part(Condition::Ok, true)]);
    assert_eq!((report.score, report.state, report.http_status()), (100.0, HealthState::Healthy, 200));
    assert_eq!(report.line(), "healthy 100");
}

#[test]
fn a_firing_alert_costs_its_severity_once_and_says_why() {
    let alerts = [5, 3].map(|since| alert("A", AlertState::Firing, since, &[("severity", "critical")]));
    let report = once(&rules(vec![rule("A", "a > 0.9", alerts.into())]), &readings(9, &[]), Vec::new());
    let reason = &report.deductions[0];
    assert_eq!((report.score, report.state), (60.0, HealthState::Degraded));
    assert_eq!((reason.signal.as_str(), reason.weight, reason.value, reason.threshold), ("alert:A", 40.0, Some(0.95), Some(0.9)));
    assert_eq!((reason.since, reason.alerts, reason.summary.as_str()), (at(3), Some(2), "It burns."));
    assert_eq!(report.line(), "degraded 60: -40 alert:A");
}

#[test]
fn a_weight_of_its_own_counts_in_place_of_its_severitys() {
    let mut rule = rule("A", "a > 0.9", vec![firing("A", "critical")]);
    let RuleKind::Alerting { weight, .. } = &mut rule.kind else { panic!("an alert") };
    *weight = Some(7.0);
    let report = once(&rules(vec![rule]), &readings(9, &[]), Vec::new());
    assert_eq!((report.score, report.deductions[0].weight), (93.0, 7.0));
}

#[test]
fn alerts_of_one_cause_cost_what_the_worst_one_does() {
    let high = rule("High", "a > 0.8", vec![firing("High", "warning")]);
    let critical = rule("Critical", "a > 0.9", vec![firing("Critical", "critical")]);
    let report = once(&rules(vec![high, critical]), &readings(9, &[]), Vec::new());
    assert_eq!(signals(&report), [("alert:Critical", 40.0, true), ("alert:High", 25.0, false)]);
    assert_eq!((report.score, report.deductions[1].covered_by.as_deref()), (60.0, Some("alert:Critical")));
}

#[test]
fn a_pending_alert_is_named_but_costs_nothing() {
    let pending = alert("A", AlertState::Pending, 5, &[("severity", "critical")]);
    let report = once(&rules(vec![rule("A", "a > 1", vec![pending])]), &readings(9, &[]), Vec::new());
    assert_eq!((report.score, report.deductions.len(), report.pending.len()), (100.0, 0, 1));
    assert_eq!((report.pending[0].points, report.pending[0].weight), (0.0, 40.0));
}

#[test]
fn the_agents_own_failures_cost_too() {
    let report = once(&RulesSnapshot::default(), &readings(9, &[]), vec![part(Condition::Failed, false)]);
    assert_eq!((report.score, report.state, report.deductions[0].signal.as_str()), (80.0, HealthState::Healthy, "part:collect"));
}

#[test]
fn an_agent_that_cannot_see_does_not_judge() {
    let report = once(&RulesSnapshot::default(), &readings(9, &[]), vec![part(Condition::Starting, true)]);
    assert_eq!((report.state, report.http_status(), report.blind.len()), (HealthState::Unknown, 503, 1));
    assert_eq!(report.line(), "unknown 100: cannot see: collect is not there yet");

    let mut config = config();
    config.signals.get_mut("speed").expect("there").as_mut().expect("on").required = true;
    let judge =
        |readings: &Readings, seconds| judge(&config, &RulesSnapshot::default(), readings, Vec::new(), &mut Memory::default(), at(seconds));
    let mut seen = readings(9, &[("speed", vec![measured(None, Some(10.0), None)])]);
    assert_eq!(judge(&seen, 9).state, HealthState::Healthy);
    assert_eq!(judge(&seen, 60).blind, ["the signals were last evaluated 51s ago"]);
    assert_eq!(judge(&Readings { at: None, ..seen.clone() }, 9).blind, ["the signals have not been evaluated yet"]);
    assert_eq!(judge(&readings(9, &[("speed", Vec::new())]), 9).blind, ["signal speed has no value"]);
    seen.signals.insert("speed".into(), Err("too many samples".into()));
    let report = judge(&seen, 9);
    assert_eq!(report.blind, ["signal speed cannot be evaluated: too many samples"]);
    assert_eq!(report.signal_errors.len(), 1);
}

#[test]
fn rules_that_are_not_evaluated_any_more_say_nothing() {
    let mut rules = rules(vec![rule("A", "a > 1", Vec::new())]);
    let mut blind = |interval_millis: i64, evaluated: Option<i64>| {
        let group = Arc::make_mut(&mut rules.groups[0]);
        (group.interval_millis, group.last_evaluation) = (interval_millis, evaluated.map(at));
        judge(&config(), &rules, &readings(100, &[]), Vec::new(), &mut Memory::default(), at(100)).blind
    };
    assert_eq!(blind(1_000, Some(70)), Vec::<String>::new(), "a busy host");
    assert_eq!(blind(1_000, Some(69)), ["the rules of the group g were last evaluated 31s ago"]);
    assert_eq!(blind(10_000, Some(40)), Vec::<String>::new());
    assert_eq!(blind(10_000, Some(39)), ["the rules of the group g were last evaluated 1m1s ago"]);
    assert_eq!(blind(1_000, None), Vec::<String>::new(), "its first evaluation is still to come");
}

#[test]
fn what_has_been_judged_is_judged_until_half_of_the_events_are_gone() {
    let mut memory = Memory::default();
    let mut verdict = |count: f64| {
        let readings = readings(9, &[("queue", vec![measured(None, Some(50.0), Some(count))])]);
        judge(&config(), &RulesSnapshot::default(), &readings, Vec::new(), &mut memory, at(9)).signals[0].verdict
    };
    let verdicts = [9.9, 10.0, 5.0, 9.0, 4.9, 9.0].map(&mut verdict);
    assert_eq!(verdicts, [Verdict::Idle, Verdict::Judged, Verdict::Judged, Verdict::Judged, Verdict::Idle, Verdict::Idle]);
}

#[test]
fn a_value_without_end_is_shown() {
    let readings = readings(9, &[("speed", vec![measured(None, Some(f64::NEG_INFINITY), None)])]);
    let json = serde_json::to_value(once(&RulesSnapshot::default(), &readings, Vec::new())).expect("JSON");
    assert_eq!((&json["deductions"][0]["value"], &json["signals"][0]["value"]), (&Value::from("-Inf"), &Value::from("-Inf")));
}

#[test]
fn a_service_is_told_of_until_it_is_well_again_or_as_long_as_it_is_asked_about() {
    let mut config = config();
    config.agent_check.listen =
        ["asked", "never"].map(|name| serde_yaml::from_str(&format!("{{address: '127.0.0.1:1', service: {name}}}")).expect("valid")).into();
    let mut memory = Memory::default();
    let mut services = |seconds: i64, firing: bool| {
        let of = |service| alert("A", AlertState::Firing, 5, &[("severity", "critical"), ("service_name", service)]);
        let alerts = if firing { vec![of("asked"), of("shop")] } else { Vec::new() };
        let report =
            judge(&config, &rules(vec![rule("A", "a > 1", alerts)]), &readings(seconds, &[]), Vec::new(), &mut memory, at(seconds));
        report.services.iter().map(|one| (one.service.clone(), one.state)).collect::<Vec<_>>()
    };
    let told = |services: &[(&str, HealthState)]| services.iter().map(|(name, state)| ((*name).to_owned(), *state)).collect::<Vec<_>>();
    use HealthState::{Degraded, Healthy};
    assert_eq!(services(0, false), []);
    assert_eq!(services(10, true), told(&[("asked", Degraded), ("shop", Degraded)]));
    assert_eq!(services(20, false), told(&[("asked", Degraded), ("shop", Degraded)]), "not well for long enough");
    assert_eq!(services(50, false), told(&[("asked", Healthy), ("shop", Healthy)]));
    assert_eq!(services(51, false), told(&[("asked", Healthy)]));
}

#[test]
fn a_signal_costs_the_part_of_its_weight_that_it_is_on_its_way_to_bad() {
    let queue = |value| readings(9, &[("queue", vec![measured(None, Some(value), Some(10.0))])]);
    let score = |value| once(&RulesSnapshot::default(), &queue(value), Vec::new()).score;
    assert_eq!([-5.0, 0.0, 25.0, 33.3, 100.0, f64::INFINITY].map(score), [100.0, 100.0, 90.0, 86.7, 60.0, 60.0]);
    let speed = readings(9, &[("speed", vec![measured(None, Some(4.0), None)])]);
    let report = once(&RulesSnapshot::default(), &speed, Vec::new());
    assert_eq!((report.score, report.deductions[0].good, report.deductions[0].since), (80.0, Some(10.0), at(9)));
}

#[test]
fn an_idle_service_is_not_judged() {
    let of = |value, count| {
        once(&RulesSnapshot::default(), &readings(9, &[("queue", vec![measured(Some("shop"), value, Some(count))])]), Vec::new())
    };
    let idle = of(Some(1000.0), 9.0);
    assert_eq!((idle.score, idle.signals[0].verdict, idle.services[0].score), (100.0, Verdict::Idle, 100.0));
    assert_eq!((of(Some(1000.0), 10.0).score, of(None, 50.0).signals[0].verdict), (60.0, Verdict::NoData));
}

#[test]
fn since_is_when_a_signal_began_to_cost() {
    let mut memory = Memory::default();
    let mut since = |value: f64, seconds: i64| {
        let readings = readings(seconds, &[("speed", vec![measured(None, Some(value), None)])]);
        let report = judge(&config(), &RulesSnapshot::default(), &readings, Vec::new(), &mut memory, at(seconds));
        report.deductions.first().map(|reason| reason.since)
    };
    assert_eq!([since(5.0, 1), since(2.0, 2), since(20.0, 3), since(5.0, 4)], [Some(at(1)), Some(at(1)), None, Some(at(4))]);
}

#[test]
fn a_signal_and_the_alerts_that_it_names_cost_once() {
    let long = rules(vec![rule("QueueLong", "queue > 50", vec![firing("QueueLong", "warning")])]);
    let queue = |value| readings(9, &[("queue", vec![measured(None, Some(value), Some(10.0))])]);
    assert_eq!(signals(&once(&long, &queue(50.0), Vec::new())), [("alert:QueueLong", 25.0, true), ("signal:queue", 20.0, false)]);
    assert_eq!(signals(&once(&long, &queue(90.0), Vec::new())), [("signal:queue", 36.0, true), ("alert:QueueLong", 25.0, false)]);
}

#[test]
fn a_service_loses_by_its_own_reasons_and_those_of_all() {
    let of = |service, severity| alert("A", AlertState::Firing, 5, &[("severity", severity), ("service_name", service)]);
    let rules = rules(vec![
        rule("A", "a > 1", vec![of("shop", "critical"), of("blog", "warning")]),
        rule("B", "b > 1", vec![firing("B", "warning")]),
    ]);
    let report = once(&rules, &readings(9, &[("speed", vec![measured(Some("idle"), Some(10.0), None)])]), Vec::new());
    let scores: Vec<_> =
        report.services.iter().map(|service| (service.service.as_str(), service.score, service.deductions.len())).collect();
    assert_eq!(scores, [("blog", 50.0, 2), ("idle", 75.0, 1), ("shop", 35.0, 2)]);
    assert_eq!((report.score, report.services[0].state), (35.0, HealthState::Degraded));
    let covered: Vec<_> = report.deductions.iter().filter_map(|reason| Some((reason.named(), reason.covered_by.clone()?))).collect();
    assert_eq!(covered, [("alert:A{blog}".to_owned(), "alert:A{shop}".to_owned())]);
}

#[test]
fn services_beyond_the_limit_are_judged_together() {
    let config = Config { services_max: 2, ..config() };
    let alerts = ["a", "b", "c", "d"].map(|name| alert("A", AlertState::Firing, 1, &[("service_name", name)]));
    let report =
        judge(&config, &rules(vec![rule("A", "a > 1", alerts.into())]), &readings(9, &[]), Vec::new(), &mut Memory::default(), at(9));
    let reasons: Vec<_> = report.deductions.iter().map(|reason| (reason.service.as_deref(), reason.alerts)).collect();
    assert_eq!(reasons, [(Some("__other__"), Some(2)), (Some("a"), Some(1)), (Some("b"), Some(1))]);
    assert_eq!((report.score, report.services.len()), (75.0, 3));
}

#[test]
fn a_service_beyond_the_limit_is_among_the_others_whoever_tells_of_it_unless_it_is_asked_about() {
    let mut config = Config { services_max: 2, ..config() };
    let queue = ["a", "b", "__other__"].map(|name| measured(Some(name), Some(0.0), Some(10.0)));
    let readings = readings(9, &[("queue", queue.into())]);
    let of = |name, service| alert(name, AlertState::Firing, 1, &[("severity", "critical"), ("service_name", service)]);
    let rules = rules(vec![rule("A", "a > 1", vec![of("A", "z")]), rule("B", "b > 1", vec![of("B", "a"), of("B", "y")])]);
    let scores = |config: &Config| {
        let report = judge(config, &rules, &readings, Vec::new(), &mut Memory::default(), at(9));
        report.services.iter().map(|one| (one.service.clone(), one.score)).collect::<Vec<_>>()
    };
    let told = |scores: &[(&str, f64)]| scores.iter().map(|(name, score)| ((*name).to_owned(), *score)).collect::<Vec<_>>();
    assert_eq!(scores(&config), told(&[("__other__", 20.0), ("a", 60.0), ("b", 100.0)]));
    config.agent_check.listen = vec![serde_yaml::from_str("{address: '127.0.0.1:1', service: z}").expect("valid")];
    assert_eq!(scores(&config), told(&[("__other__", 60.0), ("a", 60.0), ("b", 100.0), ("z", 60.0)]));
}

#[test]
fn an_alert_name_costs_once_however_many_rules_have_it() {
    let soon = rule("Full", "predict_linear(free[1h], 3600) < 0", vec![firing("Full", "critical")]);
    let later = rule("Full", "predict_linear(free[6h], 86400) < 0", vec![firing("Full", "warning")]);
    let report = once(&rules(vec![later, soon]), &readings(9, &[]), Vec::new());
    assert_eq!(signals(&report), [("alert:Full", 40.0, true), ("alert:Full", 25.0, false)]);
    assert_eq!(report.score, 60.0);
}

#[test]
fn a_signal_that_does_not_answer_costs_what_it_did_for_six_intervals() {
    let mut config = config();
    for required in [false, true] {
        config.signals.get_mut("speed").expect("there").as_mut().expect("on").required = required;
        let mut memory = Memory::default();
        let mut judge = |seconds: i64, answer: Result<Vec<Measured>, String>| {
            let readings = Readings { at: Some(at(seconds)), signals: [("speed".to_owned(), answer)].into() };
            let report = judge(&config, &RulesSnapshot::default(), &readings, Vec::new(), &mut memory, at(seconds));
            (report.score, report.blind.len(), report.signal_errors.len())
        };
        let (value, failed) = (|value| vec![measured(None, Some(value), None)], || Err("too many samples".to_owned()));
        assert_eq!(judge(100, Ok(value(1.0))), (70.0, 0, 0));
        assert_eq!(judge(130, failed()), (70.0, 0, 1));
        assert_eq!(judge(131, failed()), (100.0, usize::from(required), 1));
        assert_eq!(judge(140, Ok(value(4.0))), (80.0, 0, 0));
        assert_eq!(
            judge(145, Ok(Vec::new())),
            (if required { 80.0 } else { 100.0 }, 0, 0),
            "what is gone costs nothing, unless it is required"
        );
        assert_eq!(judge(171, Ok(Vec::new())), (100.0, usize::from(required), 0));
        assert_eq!(judge(180, Ok(value(10.0))), (100.0, 0, 0));
    }
}

/// As docs/health.md says how, from nothing but what `/health` shows.
fn by_hand(report: &Value) -> (f64, Vec<f64>) {
    let list = |value: &Value| value.as_array().expect("a list").clone();
    let number = |value: &Value| value.as_f64().expect("a number");
    let tenths = |points: f64| (points * 10.0).round() / 10.0;
    let mut taken = 0.0;
    for reason in list(&report["deductions"]) {
        let mut points = number(&reason["weight"]);
        if let (Some(good), Some(bad)) = (reason["good"].as_f64(), reason["bad"].as_f64()) {
            points *= ((number(&reason["value"]) - good) / (bad - good)).clamp(0.0, 1.0);
        }
        assert_eq!(tenths(points), number(&reason["points"]), "{reason}");
        if reason["covered_by"].is_null() {
            taken += number(&reason["points"]);
        }
    }
    let of_service = |service: &Value| list(&service["deductions"]).iter().map(|taken| number(&taken["points"])).sum::<f64>();
    let score = |taken: f64| tenths((100.0 - taken).max(0.0));
    (score(taken), list(&report["services"]).iter().map(|service| score(of_service(service))).collect())
}

#[derive(Clone, Debug)]
struct Scene {
    queue: Vec<(f64, f64)>,
    speed: f64,
    /// Severity and service of each firing alert. Pairs of rules have a cause in common, others a name.
    alerts: Vec<(usize, &'static str, Option<&'static str>)>,
    parts: usize,
}

/// As many as are judged by themselves, and the others.
const SERVICES: [&str; 3] = ["a", "b", "__other__"];

fn scene() -> impl Strategy<Value = Scene> {
    let severity = prop_oneof![Just("warning"), Just("critical"), Just("info"), Just("other")];
    let service = prop_oneof![Just(None), Just(Some("a")), Just(Some("b")), Just(Some("z"))];
    let alerts = proptest::collection::vec((0usize..6, severity, service), 0..6);
    let queue = proptest::collection::vec((-10f64..150.0, 0f64..30.0), 0..3);
    (queue, 0f64..20.0, alerts, 0usize..3).prop_map(|(queue, speed, alerts, parts)| Scene { queue, speed, alerts, parts })
}

impl Scene {
    fn judge(&self, memory: &mut Memory, seconds: i64) -> Report {
        let queue = SERVICES.iter().zip(&self.queue).map(|(service, (value, count))| measured(Some(service), Some(*value), Some(*count)));
        let readings = readings(seconds, &[("queue", queue.collect()), ("speed", vec![measured(None, Some(self.speed), None)])]);
        let of_rule = |index: usize| {
            let name = format!("Alert{}", index % 4);
            let alerts = self.alerts.iter().filter(|(rule, ..)| *rule == index).map(|(_, severity, service)| {
                let service = service.map(|service| ("service_name", service));
                let labels: Vec<_> = [("severity", *severity)].into_iter().chain(service).collect();
                alert(&name, AlertState::Firing, 1, &labels)
            });
            rule(&name, &format!("m{} > {index}", index / 2), alerts.collect())
        };
        let degraded = |index: usize| Part { name: format!("part{index}"), ..part(Condition::Degraded, false) };
        let parts = (0..self.parts).map(degraded).collect();
        let config = Config { services_max: 2, ..config() };
        judge(&config, &rules((0..6).map(of_rule).collect()), &readings, parts, memory, at(seconds))
    }

    /// The same with everything as bad or worse, and no other events.
    fn worse(&self, by: &Worse) -> Self {
        let queue = self.queue.iter().map(|(value, count)| (value + by.queue, *count)).collect();
        let severity = |severity: &'static str| if by.severity && severity != "critical" { "critical" } else { severity };
        let alerts = self.alerts.iter().map(|(rule, was, service)| (*rule, severity(was), *service)).chain(by.alert).collect();
        Self { queue, speed: self.speed - by.speed, alerts, parts: self.parts + by.parts }
    }
}

#[derive(Clone, Debug)]
struct Worse {
    queue: f64,
    speed: f64,
    severity: bool,
    alert: Option<(usize, &'static str, Option<&'static str>)>,
    parts: usize,
}

fn worse() -> impl Strategy<Value = Worse> {
    let service = prop_oneof![Just(None), Just(Some("a")), Just(Some("y"))];
    let alert = proptest::option::of((0usize..6, prop_oneof![Just("warning"), Just("critical")], service));
    (0f64..50.0, 0f64..5.0, any::<bool>(), alert, 0usize..2).prop_map(|(queue, speed, severity, alert, parts)| Worse {
        queue,
        speed,
        severity,
        alert,
        parts,
    })
}

fn rank(state: HealthState) -> u8 {
    HealthState::ALL.iter().zip(0..).find(|(one, _)| **one == state).map_or(0, |(_, rank)| rank)
}

proptest! {
    #[test]
    fn a_reader_of_the_report_gets_the_same_score(scene in scene()) {
        let report = scene.judge(&mut Memory::default(), 9);
        let json: Value = serde_json::from_slice(&serde_json::to_vec(&report).expect("JSON")).expect("JSON");
        let services: Vec<f64> = report.services.iter().map(|service| service.score).collect();
        prop_assert_eq!(by_hand(&json), (report.score, services));
    }

    #[test]
    fn every_reason_is_in_the_score_of_its_service_and_no_name_counts_twice(scene in scene()) {
        let report = scene.judge(&mut Memory::default(), 9);
        for reason in &report.deductions {
            let Some(name) = &reason.service else { continue };
            let there = report.services.iter().find(|found| found.service == *name);
            prop_assert!(there.is_some_and(|found| found.score <= 100.0 - reason.points), "{}", reason.named());
        }
        let fired: Vec<_> = scene.alerts.iter().filter_map(|(.., service)| *service).collect();
        prop_assert!(fired.iter().all(|name| report.services.iter().any(|found| [name, "__other__"].contains(&&*found.service))));
        prop_assert!(report.services.len() <= 3);
        let names: Vec<_> = report.deductions.iter().filter(|reason| reason.counts()).map(|reason| &reason.signal).collect();
        prop_assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "{}", report.line());
    }

    /// At equal history: whatever was before, it was no better in the one that is worse.
    #[test]
    fn a_worse_signal_never_raises_the_score_nor_betters_the_state(
        scenes in proptest::collection::vec((scene(), worse(), 1i64..20), 1..12),
    ) {
        let (mut better, mut worse, mut now) = (Memory::default(), Memory::default(), 0);
        for (scene, by, seconds) in scenes {
            now += seconds;
            let (one, other) = (scene.judge(&mut better, now), scene.worse(&by).judge(&mut worse, now));
            prop_assert!(other.score <= one.score, "{} {}", one.line(), other.line());
            prop_assert!(rank(other.state) >= rank(one.state), "{} {}", one.line(), other.line());
            let told = |name: &str| {
                let mut names = one.deductions.iter().map(|reason| &reason.service).chain(one.signals.iter().map(|signal| &signal.service));
                names.any(|service| service.as_deref() == Some(name))
            };
            for service in one.services.iter().filter(|service| told(&service.service)) {
                let find = |name: &str| other.services.iter().find(|found| found.service == name);
                let there = find(&service.service).or_else(|| find("__other__"));
                prop_assert!(there.is_some_and(|found| found.score <= service.score));
            }
            prop_assert!(one.services.iter().all(|service| service.score >= one.score));
        }
    }

    /// Around the number of events from which on it is judged.
    #[test]
    fn a_service_with_about_as_many_events_as_are_judged_changes_its_state_once(
        counts in proptest::collection::vec((5f64..15.0, 1i64..45), 1..12),
    ) {
        let (mut memory, mut states, mut now) = (Memory::default(), Vec::new(), 0);
        for (count, seconds) in counts {
            for _ in 0..seconds {
                now += 1;
                let readings = readings(now, &[("queue", vec![measured(None, Some(100.0), Some(count))])]);
                states.push(judge(&config(), &RulesSnapshot::default(), &readings, Vec::new(), &mut memory, at(now)).state);
            }
        }
        let changes = states.iter().zip(states.iter().skip(1)).filter(|(one, next)| one != next).count();
        prop_assert!(changes <= 1, "{:?}", states);
    }

    /// Around the value at which the score is at a threshold: `speed` costs 20 points at 4.
    #[test]
    fn a_signal_that_oscillates_around_its_threshold_changes_the_state_once(
        swings in proptest::collection::vec((0f64..6.0, 1i64..30), 1..20),
    ) {
        let (mut memory, mut states, mut now) = (Memory::default(), Vec::new(), 0);
        for (index, (swing, seconds)) in swings.into_iter().enumerate() {
            let speed = if index % 2 == 0 { 4.0 + swing } else { 4.0 - swing };
            for _ in 0..seconds {
                now += 1;
                let readings = readings(now, &[("speed", vec![measured(None, Some(speed), None)])]);
                states.push(judge(&config(), &RulesSnapshot::default(), &readings, Vec::new(), &mut memory, at(now)).state);
            }
        }
        let changes = states.iter().zip(states.iter().skip(1)).filter(|(one, next)| one != next).count();
        prop_assert!(changes <= 1, "{:?}", states);
    }
}
