//! `tests/golden/templates.txt` through rule files, groups, and a real engine over a real history. That promtool answers as
//! the table says is an end-to-end test.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::history::{self, Append, History};
use crate::model::{Labels, Timestamp};
use crate::promql::{Engine, EngineConfig};
use crate::rules::file;
use crate::rules::group::{Group, World};
use crate::rules::rule::Externals;
use crate::telemetry::Telemetry;

const TABLE: &str = include_str!("../../../../tests/golden/templates.txt");

/// An alert's expression, a template, and what comes of it here.
struct Case {
    expr: String,
    template: String,
    shown: String,
}

fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    let mut expr = String::new();
    for line in TABLE.lines() {
        let (mark, rest) = line.split_at_checked(1).unwrap_or_default();
        let rest = rest.strip_prefix(' ').unwrap_or(rest).replace('⏎', "\n");
        match (mark, cases.last_mut()) {
            ("@", _) => expr = rest,
            ("<", _) => cases.push(Case { expr: expr.clone(), template: rest, shown: String::new() }),
            ("=" | "~", Some(case)) => case.shown = rest,
            _ => {}
        }
    }
    cases
}

fn world() -> World {
    let history = History::new(&history::Config::default(), &Telemetry::new());
    let series: [(&[(&str, &str)], f64); 5] = [
        (&[("__name__", "up"), ("instance", "a.example.com:80"), ("job", "node")], 2.5),
        (&[("__name__", "disk"), ("device", "sdb"), ("n", "2")], 20.0),
        (&[("__name__", "disk"), ("device", "sda"), ("n", "10")], 10.0),
        (&[("__name__", "disk"), ("device", "sdc"), ("n", "1")], 30.0),
        (&[("__name__", "odd"), ("text", "<a href='x'>&\"é\\"), ("__value__", "sv")], 1.0),
    ];
    for (labels, value) in series {
        assert_eq!(history.append(Timestamp::from_millis(0), &[(Labels::from_pairs(labels.iter().copied()), value)]).refused(), 0);
    }
    let engine = Arc::new(Engine::new(Arc::new(history.clone()), EngineConfig::default()));
    let externals = Externals { labels: Labels::from_pairs([("region", "eu")]), url: "http://sidewatch:10842/x".to_owned() };
    World::closed(engine, &history, externals)
}

/// A rule file with one alert for each expression, whose annotations are the templates.
fn rule_file(cases: &[(usize, &Case)]) -> String {
    let mut rules: BTreeMap<&str, serde_json::Map<String, serde_json::Value>> = BTreeMap::new();
    for (number, case) in cases {
        rules.entry(&case.expr).or_default().insert(format!("c{number}"), case.template.clone().into());
    }
    let rule = |(expr, annotations)| serde_json::json!({"alert": "T", "expr": expr, "annotations": annotations});
    let rules: Vec<_> = rules.into_iter().map(rule).collect();
    serde_json::json!({"groups": [{"name": "g", "rules": rules}]}).to_string()
}

#[test]
fn templates_print_what_promtool_prints() {
    let cases = cases();
    assert!(cases.len() > 300, "only {} cases", cases.len());
    let mut wrong = Vec::new();
    let mut valid = Vec::new();
    for (number, case) in cases.iter().enumerate() {
        let refused = super::Template::parse("T", &case.template).err().map(|error| format!("!{error}"));
        match refused {
            Some(refused) if refused != case.shown => wrong.push((case, refused)),
            None if case.shown.starts_with('!') => wrong.push((case, "nothing is wrong".to_owned())),
            Some(_) => {}
            None => valid.push((number, case)),
        }
    }
    let parsed = file::parse("t.yml", &rule_file(&valid), 60_000);
    assert!(parsed.problems.is_empty(), "{:?}", parsed.problems);
    let mut group = Group::new(Arc::clone(parsed.groups.first().expect("a group")));
    group.evaluate(Timestamp::from_millis(0), &world());
    let mut shown = BTreeMap::new();
    for rule in &group.snapshot().rules {
        let crate::model::RuleKind::Alerting { alerts, .. } = &rule.kind else { panic!("no alert: {rule:?}") };
        let annotations = alerts.iter().flat_map(|alert| alert.annotations.iter());
        shown.extend(annotations.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }
    for (number, case) in valid {
        let shown = shown.remove(&format!("c{number}")).unwrap_or_default();
        if shown != case.shown {
            wrong.push((case, shown));
        }
    }
    let told: Vec<_> =
        wrong.iter().map(|(case, shown)| format!("{}\n  {}\n= {}\n~ {shown}", case.expr, case.template, case.shown)).collect();
    assert!(told.is_empty(), "{} of {} cases:\n{}", told.len(), cases.len(), told.join("\n"));
}
