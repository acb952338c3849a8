//! Groups over a real history and a real engine.

use super::*;
use crate::history::{self, History};
use crate::model::{AlertState, EndedAlert, MatchOp, Matcher, Sample, is_stale};
use crate::promql::EngineConfig;
use crate::rules::file;
use crate::telemetry::Telemetry;

pub(super) struct Bench {
    pub(super) history: History,
    pub(super) world: World,
}

pub(super) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(seconds * 1000)
}

impl Bench {
    pub(super) fn new() -> Self {
        let history = History::new(&history::Config::default(), &Telemetry::new());
        let engine = Arc::new(Engine::new(Arc::new(history.clone()), EngineConfig::default()));
        Self {
            world: World {
                tolerance: Tolerance { outage_millis: 3_600_000, grace_millis: 600_000, settle_millis: 0 },
                ..World::closed(engine, &history, Externals::default())
            },
            history,
        }
    }

    pub(super) fn put(&self, seconds: i64, name: &str, labels: &[(&str, &str)], value: f64) {
        let labels = Labels::from_pairs(labels.iter().copied().chain([("__name__", name)]));
        assert_eq!(self.history.append(at(seconds), &[(labels, value)]).refused(), 0);
    }

    /// Every series of a name with its samples, `stale` for the marker.
    pub(super) fn see(&self, name: &str) -> Vec<String> {
        let matcher = Matcher::new("__name__", MatchOp::Equal, name).expect("a matcher");
        let sample = |sample: &Sample| {
            let value = if is_stale(sample.value) { "stale".to_owned() } else { sample.value.to_string() };
            format!("{value}@{}", sample.at.as_seconds())
        };
        let windows = self.history.select(&[matcher], at(-1_000), at(1_000_000)).expect("readable");
        windows.iter().map(|w| format!("{} {}", w.labels, w.samples.iter().map(sample).collect::<Vec<_>>().join(" "))).collect()
    }
}

pub(super) fn spec(text: &str) -> Arc<GroupSpec> {
    let parsed = file::parse("f.yml", text, 15_000);
    assert!(parsed.problems.is_empty(), "{:?}", parsed.problems);
    Arc::clone(parsed.groups.first().expect("a group"))
}

fn health(group: &Group) -> Vec<RuleHealth> {
    group.snapshot().rules.iter().map(|rule| rule.health.clone()).collect()
}

/// Takes the file with the state of alerts away.
pub(super) fn lose(folder: &std::path::Path) {
    std::fs::remove_file(folder.join("alerts")).expect("it was there");
}

#[test]
fn an_expression_is_shown_as_prometheus_prints_it() {
    let group = Group::new(spec("groups: [{name: g, rules: [{record: a, expr: \"# all\\nsum by(job)   (up{ a='b' })\"}]}]"));
    assert_eq!(group.snapshot().rules[0].query, r#"sum by (job) (up{a="b"})"#);
}

#[test]
fn a_rule_sees_what_the_one_before_it_recorded() {
    let bench = Bench::new();
    let mut group = Group::new(spec(
        "groups: [{name: g, labels: {team: core}, rules: [
           {record: 'job:up:sum', expr: sum by (job) (up), labels: {job: ''}},
           {alert: Half, expr: 'job:up:sum < 2', annotations: {summary: '{{ $value }} of {{ $labels.team }}'}}]}]",
    ));
    bench.put(10, "up", &[("job", "a"), ("instance", "1")], 1.0);
    let round = group.evaluate(at(10), &bench.world);
    assert_eq!((round.evaluations, round.failures, round.appended.stored), (2, 0, 3));
    assert_eq!(bench.see("job:up:sum"), [r#"job:up:sum{team="core"} 1@10"#]);
    assert_eq!(bench.see("ALERTS"), [r#"ALERTS{alertname="Half", alertstate="firing", team="core"} 1@10"#]);
    let snapshot = group.snapshot();
    let RuleKind::Alerting { alerts, threshold, .. } = &snapshot.rules[1].kind else { panic!("an alert") };
    assert_eq!((alerts[0].state, alerts[0].annotations.get("summary"), *threshold), (AlertState::Firing, Some("1 of core"), Some(2.0)));
    assert_eq!(health(&group), [RuleHealth::Ok, RuleHealth::Ok]);
}

#[test]
fn what_a_rule_does_not_write_any_more_goes_stale() {
    let bench = Bench::new();
    let mut group = Group::new(spec("groups: [{name: g, rules: [{record: r, expr: up == 1}, {alert: A, expr: up == 1, for: 5s}]}]"));
    bench.put(10, "up", &[], 1.0);
    group.evaluate(at(10), &bench.world);
    group.evaluate(at(15), &bench.world);
    bench.put(20, "up", &[], 0.0);
    group.evaluate(at(20), &bench.world);
    assert_eq!(bench.see("r"), ["r 1@10 1@15 stale@20"]);
    assert_eq!(
        bench.see("ALERTS"),
        [r#"ALERTS{alertname="A", alertstate="firing"} 1@15 stale@20"#, r#"ALERTS{alertname="A", alertstate="pending"} 1@10 stale@15"#]
    );
    assert_eq!(bench.see("ALERTS_FOR_STATE"), [r#"ALERTS_FOR_STATE{alertname="A"} 10@10 10@15 stale@20"#]);
}

#[test]
fn a_failing_rule_changes_nothing_and_does_not_stop_the_next() {
    let bench = Bench::new();
    let mut group = Group::new(spec(
        "groups: [{name: g, limit: 1, rules: [
           {alert: A, expr: 'a * b'}, {record: two, expr: up}, {record: one, expr: 'up{x=\"1\"}'}]}]",
    ));
    bench.put(10, "a", &[], 1.0);
    bench.put(10, "b", &[], 1.0);
    for x in ["1", "2"] {
        bench.put(10, "up", &[("x", x)], 1.0);
    }
    group.evaluate(at(10), &bench.world);
    bench.put(15, "b", &[("y", "1")], 1.0);
    bench.put(15, "a", &[("y", "1")], 1.0);
    let round = group.evaluate(at(15), &bench.world);
    // `a * b` has two results now, one more than the limit.
    assert_eq!((round.evaluations, round.failures), (3, 2));
    assert_eq!(bench.see("ALERTS"), [r#"ALERTS{alertname="A", alertstate="firing"} 1@10"#]);
    assert_eq!(bench.see("one"), [r#"one{x="1"} 1@10 1@15"#]);
    let health = health(&group);
    assert_eq!(health[0], RuleHealth::Err("exceeded limit of 1 with 2 alerts".into()));
    assert_eq!(health[1], RuleHealth::Err("exceeded limit of 1 with 2 series".into()));
    assert_eq!(health[2], RuleHealth::Ok);
}

#[test]
fn texts_that_are_empty_are_shown_and_labels_that_are_empty_are_none() {
    let bench = Bench::new();
    let mut group = Group::new(spec(
        "groups: [{name: g, rules: [{alert: A, expr: up, labels: {gone: '', bare: '{{ $labels.x }}'}, annotations: {a: '', b: '{{ $labels.x }}', c: d}},
           {alert: B, expr: up, annotations: {a: ''}}, {record: r, expr: up, labels: {gone: ''}}]}]",
    ));
    bench.put(10, "up", &[], 1.0);
    group.evaluate(at(10), &bench.world);
    let snapshot = group.snapshot();
    let json = |labels: &Labels| serde_json::to_string(labels).expect("JSON");
    let [a, b, r] = snapshot.rules.as_slice() else { panic!("three rules") };
    let active = |rule: &crate::model::RuleSnapshot| match &rule.kind {
        RuleKind::Alerting { alerts, .. } => alerts[0].clone(),
        RuleKind::Recording => panic!("an alert"),
    };
    assert_eq!(json(&a.labels), r#"{"bare":"{{ $labels.x }}","gone":""}"#);
    assert_eq!(json(&active(a).labels), r#"{"alertname":"A"}"#);
    assert_eq!(json(&active(a).annotations), r#"{"a":"","b":"","c":"d"}"#);
    assert_eq!((json(&b.annotations).as_str(), json(&active(b).annotations).as_str()), (r#"{"a":""}"#, r#"{"a":""}"#));
    assert_eq!(json(&r.labels), r#"{"gone":""}"#);
    assert_eq!(bench.see("r"), ["r 1@10"]);
}

#[test]
fn a_rule_whose_values_history_refuses_has_failed_though_it_was_evaluated() {
    let bench = Bench::new();
    let mut group = Group::new(spec(
        "groups: [{name: g, rules: [{record: r, expr: up}, {record: r, expr: up}, {record: r, expr: up + 1},
           {alert: A, expr: up}, {alert: A, expr: up}, {record: once, expr: up == 1}, {record: once, expr: up == 1}]}]",
    ));
    bench.put(10, "up", &[], 1.0);
    let round = group.evaluate(at(10), &bench.world);
    assert_eq!((round.evaluations, round.failures, round.appended.duplicate, round.results), (7, 0, 1, 9));
    let mut expected = vec![RuleHealth::Ok; 7];
    expected[2] = RuleHealth::Unwritten("duplicate sample for timestamp".into());
    assert_eq!(health(&group), expected, "the same value once more is no mistake");
    // Of two rules that end a series one is refused, which is none either.
    bench.put(15, "up", &[], 2.0);
    group.evaluate(at(15), &bench.world);
    assert_eq!(health(&group), expected);
    group.evaluate(at(12), &bench.world);
    assert_eq!(health(&group)[0], RuleHealth::Unwritten("out of order sample".into()));
    assert_eq!(bench.see("r"), ["r 1@10 2@15"]);
    assert_eq!(bench.see("once"), ["once 1@10 stale@15"]);
}

#[test]
fn a_query_offset_looks_back_and_stamps_back() {
    let bench = Bench::new();
    let mut group = Group::new(spec("groups: [{name: g, query_offset: 5s, rules: [{record: r, expr: up}, {alert: A, expr: '1'}]}]"));
    bench.put(10, "up", &[], 1.0);
    bench.put(20, "up", &[], 2.0);
    group.evaluate(at(20), &bench.world);
    assert_eq!(bench.see("r"), ["r 1@15"]);
    assert_eq!(bench.see("ALERTS_FOR_STATE"), [r#"ALERTS_FOR_STATE{alertname="A"} 20@15"#]);
}

#[test]
fn a_changed_group_keeps_the_state_of_equal_rules_and_ends_the_others() {
    let bench = Bench::new();
    let old = "groups: [{name: g, rules: [{alert: A, expr: '1', for: 1m}, {alert: A, expr: '2', for: 1m, labels: {x: b}}, {record: r, expr: '1'}]}]";
    let new = "groups: [{name: g, rules: [{alert: A, expr: '3', for: 15s}, {record: s, expr: '1'}]}]";
    let mut group = Group::new(spec(old));
    group.evaluate(at(0), &bench.world);
    let mut group = group.succeed(spec(new));
    group.evaluate(at(15), &bench.world);
    let snapshot = group.snapshot();
    let RuleKind::Alerting { alerts, .. } = &snapshot.rules[0].kind else { panic!("an alert") };
    assert_eq!((alerts[0].active_at, alerts[0].state), (at(0), AlertState::Firing));
    assert_eq!(bench.see("r"), ["r 1@0 stale@15"]);
    assert_eq!(bench.see("s"), ["s 1@15"]);
    assert_eq!(
        bench.see("ALERTS")[1..],
        [
            r#"ALERTS{alertname="A", alertstate="pending"} 1@0 stale@15"#,
            r#"ALERTS{alertname="A", alertstate="pending", x="b"} 1@0 stale@15"#
        ]
    );
    let ended = group.end();
    assert_eq!(ended.len(), 3, "ALERTS, ALERTS_FOR_STATE and s");
    assert!(ended.iter().all(|(_, value)| is_stale(*value)));
}

#[test]
fn the_nth_of_equal_rules_takes_the_state_of_the_nth() {
    let bench = Bench::new();
    let text = |hold: &str| {
        format!(
            "groups: [{{name: g, rules: [
               {{alert: A, expr: 'up{{x=\"1\"}}', for: {hold}}}, {{alert: A, expr: 'up{{x=\"2\"}}', for: {hold}}}]}}]"
        )
    };
    let mut group = Group::new(spec(&text("1m")));
    bench.put(0, "up", &[("x", "1")], 1.0);
    group.evaluate(at(0), &bench.world);
    bench.put(15, "up", &[("x", "2")], 1.0);
    group.evaluate(at(15), &bench.world);
    let snapshot = group.succeed(spec(&text("2m"))).snapshot();
    let since = |rule: usize| match &snapshot.rules[rule].kind {
        RuleKind::Alerting { alerts, .. } => alerts[0].active_at,
        RuleKind::Recording => panic!("an alert"),
    };
    assert_eq!((since(0), since(1)), (at(0), at(15)));
}

#[test]
fn slots_are_spread_and_stable() {
    let offset = |name: &str| slot_offset(&spec(&format!("groups: [{{name: {name}, interval: 10s}}]")));
    // Values that must not change with a new version: every rule would be evaluated at other times.
    assert_eq!([offset("a"), offset("b")], [5041, 408]);
}

#[test]
fn thresholds_are_read_where_they_are_plain() {
    let threshold = |expr: &str| spec(&format!("groups: [{{name: g, rules: [{{alert: A, expr: '{expr}'}}]}}]")).rules[0].threshold();
    assert_eq!(threshold("up > 0.9"), Some(0.9));
    assert_eq!(threshold("(1 - up) >= 2 and on (x) down == 0"), Some(2.0));
    assert_eq!(threshold("0.5 < up unless down"), Some(0.5));
    assert_eq!(threshold("up < -1"), Some(-1.0));
    assert_eq!(threshold("up > down"), None);
    assert_eq!(threshold("up + 1"), None);
}

/// A history with a defect.
struct Broken;

impl Query for Broken {
    fn visit(&self, _: &[Matcher], _: Timestamp, _: Timestamp, _: history::Visit<'_>) -> Result<(), history::QueryError> {
        panic!("on purpose")
    }

    fn series(&self, _: &[Matcher], _: Timestamp, _: Timestamp) -> Result<Vec<Labels>, history::QueryError> {
        panic!("on purpose")
    }

    fn label_names(&self, _: &[Matcher], _: Timestamp, _: Timestamp) -> Result<Vec<String>, history::QueryError> {
        panic!("on purpose")
    }

    fn label_values(&self, _: &str, _: &[Matcher], _: Timestamp, _: Timestamp) -> Result<Vec<String>, history::QueryError> {
        panic!("on purpose")
    }
}

#[test]
fn a_panic_is_the_failure_of_one_rule() {
    let mut bench = Bench::new();
    bench.world.engine = Arc::new(Engine::new(Arc::new(Broken), EngineConfig::default()));
    let mut group = Group::new(spec("groups: [{name: g, rules: [{record: a, expr: up}, {record: b, expr: vector(1)}]}]"));
    group.evaluate(at(10), &bench.world);
    assert_eq!(health(&group), [RuleHealth::Err("its evaluation panicked".to_owned()), RuleHealth::Ok]);
    assert_eq!(bench.see("b"), ["b 1@10"]);
}

#[test]
fn templates_query_at_the_slot_and_alike_queries_are_asked_once() {
    let bench = Bench::new();
    let mut group = Group::new(spec(
        "groups: [{name: g, query_offset: 1m, rules: [
           {alert: A, expr: up, annotations: {seen: '{{ with query \"count(up)\" }}{{ . | first | value }}{{ end }} {{ now }}'}}]}]",
    ));
    bench.put(0, "up", &[("job", "a")], 1.0);
    bench.put(60, "up", &[("job", "a")], 1.0);
    bench.put(60, "up", &[("job", "b")], 1.0);
    group.evaluate(at(60), &bench.world);
    // The expression looks a minute back, where there is one; the template looks at now, where there are two.
    let seen: Vec<_> = group.states[0].alerts.active().map(|(_, alert)| alert.annotations.get("seen").map(str::to_owned)).collect();
    assert_eq!(seen, [Some("2 60".to_owned())]);

    let asker = Asker::new(&bench.world.engine, at(60));
    assert_eq!(asker.ask("count(up)").map(|found| found[0].1), Ok(2.0));
    bench.put(61, "up", &[("job", "c")], 1.0);
    assert_eq!(asker.ask("count(up)").map(|found| found[0].1), Ok(2.0));
    assert!(asker.ask("up{").is_err_and(|error| error.contains("parse error")));
    for x in 0..2_000 {
        bench.put(60, "many", &[("x", &x.to_string())], 1.0);
    }
    let asked = std::iter::from_fn(|| Some(asker.ask("many"))).take_while(Result::is_ok).count();
    assert_eq!(asked, 500, "a million samples in all");
    assert!(asker.ask("count(many)").is_err_and(|error| error.contains("more than 1000000 samples")));
}

#[test]
fn an_alert_that_is_over_is_told_with_what_is_measured_then_and_also_while_it_is_active_again() {
    let bench = Bench::new();
    let rule = "groups: [{name: g, rules: [{alert: A, expr: 'up < 1', for: 15s, annotations: {summary: '{{ $value }}'}}]}]";
    let mut group = Group::new(spec(rule));
    let mut round = |seconds: i64, value: f64| {
        bench.put(seconds, "up", &[("x", "1")], value);
        group.evaluate(at(seconds), &bench.world);
        let snapshot = group.snapshot();
        let RuleKind::Alerting { alerts, ended, .. } = snapshot.rules[0].kind.clone() else { panic!("an alert") };
        (alerts.len(), ended)
    };
    assert_eq!(round(0, 0.5), (1, vec![]), "pending");
    assert_eq!(round(15, 0.25), (1, vec![]), "firing");
    let over = EndedAlert {
        labels: Labels::from_pairs([("alertname", "A"), ("x", "1")]),
        annotations: Labels::from_pairs([("summary", "0.25")]),
        value: 0.25,
        active_at: at(0),
        fired_at: at(15),
        resolved_at: at(30),
        resolved_value: Some(3.0),
    };
    assert_eq!(round(30, 3.0), (0, vec![over.clone()]));
    assert_eq!(round(45, 0.0), (1, vec![over.clone()]), "pending again");
    assert_eq!(round(60, 2.0), (0, vec![over.clone()]), "that came to nothing");
    for seconds in [75, 90] {
        assert_eq!(round(seconds, 0.0), (1, vec![over.clone()]), "{seconds}");
    }
    let again = EndedAlert {
        annotations: Labels::from_pairs([("summary", "0")]),
        value: 0.0,
        active_at: at(75),
        fired_at: at(90),
        resolved_at: at(105),
        resolved_value: Some(4.0),
        ..over.clone()
    };
    assert_eq!(round(105, 4.0), (0, vec![over, again.clone()]), "both are over");
    for seconds in [120, 135] {
        assert_eq!(round(seconds, 0.0), (1, vec![again.clone()]), "{seconds}");
    }
    assert_eq!(round(150, 4.0).1.len(), 2);
    assert_eq!(round(150 + 900, 4.0).1.len(), 1, "for 15 minutes");
    assert_eq!(round(150 + 901, 4.0), (0, vec![]));
}

#[test]
fn what_is_measured_is_the_side_of_the_comparison_that_has_series() {
    let measured = |expr: &str| {
        let spec = spec(&format!("groups: [{{name: g, rules: [{{alert: A, expr: '{expr}'}}]}}]"));
        spec.rules[0].measured().map(ToString::to_string)
    };
    assert_eq!(measured("up < 1").as_deref(), Some("up"));
    assert_eq!(measured("1 > (up * 2) unless on () down").as_deref(), Some("(up * 2)"));
    assert_eq!(measured("(up > on (x) down) and y").as_deref(), Some("up"));
    assert_eq!(measured("up + 1"), None);
    assert_eq!(measured("up > bool 1"), None);
    assert_eq!(measured("absent(up)"), None);
}

#[test]
fn to_find_an_alert_no_text_of_another_is_expanded() {
    let spec = spec(
        r#"groups: [{name: g, rules: [{alert: A, expr: up, annotations: {n: '{{ query "up" }}'}, labels: {l: '{{ query "up" | len }}'}}]}]"#,
    );
    let samples: Vec<Output> = (0..3).map(|x| (Labels::from_pairs([("x", x.to_string())]), 1.0)).collect();
    let asked = std::cell::Cell::new(0);
    let externals = Externals::default();
    let ask = |_: &str| {
        asked.set(asked.get() + 1);
        Ok(Vec::new())
    };
    let mut found = spec.rules[0].identify(&samples, &externals, at(0), &ask);
    let first = found.next().map(|(labels, _)| labels.to_string());
    assert_eq!((first.as_deref(), asked.get()), (Some(r#"{alertname="A", l="0", x="0"}"#), 1));
}
