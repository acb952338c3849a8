//! The built-in rule packs: our own loader reads them, every alert says what it has to say, and promtool agrees.

#![allow(clippy::expect_used, clippy::panic)] // a test may fail

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use sidewatch::health::{Config as HealthConfig, Memory, Readings, Report, judge};
use sidewatch::model::{AlertSnapshot, AlertState, GroupSnapshot, Labels, PromDuration, RuleHealth, RuleKind, RuleSnapshot};
use sidewatch::model::{RulesSnapshot, Timestamp};
use sidewatch::promql::{Expr, ExprKind, MatrixSelector, parse};
use sidewatch::rules::{Config, PACKS, RuleSet, load};

fn packs() -> RuleSet {
    load(&Config::default())
}

/// `rules/*.yml` or `rules/tests/*.yml`, in order.
fn files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let paths = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let mut files: Vec<_> = paths.filter(|path| path.extension().is_some_and(|extension| extension == "yml")).collect();
    files.sort();
    files
}

fn name(file: &Path) -> String {
    file.file_stem().expect("a name").to_string_lossy().into_owned()
}

/// The tests of single packs: one file is about all of them together.
fn tests() -> Vec<PathBuf> {
    let mut files = files("rules/tests");
    files.retain(|file| name(file) != "idle");
    files
}

#[test]
fn every_pack_loads_without_a_word() {
    let set = packs();
    assert!(set.problems.is_empty() && set.warnings.is_empty(), "{:?} {:?}", set.problems, set.warnings);
    assert_eq!(set.loaded, PACKS.len());
}

#[test]
fn every_file_is_a_pack_and_has_its_tests() {
    let known: Vec<_> = PACKS.iter().map(|pack| pack.name.to_owned()).collect();
    assert_eq!(files("rules").iter().map(|file| name(file)).collect::<Vec<_>>(), known);
    assert_eq!(tests().iter().map(|file| name(file)).collect::<Vec<_>>(), known);
}

#[test]
fn every_alert_has_a_severity_a_summary_and_a_description() {
    for group in packs().groups {
        for rule in group.rules().filter(|rule| rule.alerting) {
            let severity = rule.labels.get("severity").unwrap_or_default();
            assert!(matches!(severity, "warning" | "critical"), "{}: severity {severity:?}", rule.name);
            for annotation in ["summary", "description"] {
                assert!(rule.annotations.get(annotation).is_some_and(|text| text.len() > 20), "{}: {annotation}", rule.name);
            }
        }
    }
}

/// A case without expected alerts shows silence, one with them that the alert fires. Silence alone shows little, least of all before there
/// is data: within one test an alert has to be silent, then to fire, and then to be silent again.
#[test]
fn every_alert_is_seen_silent_then_firing_then_silent_in_one_test() {
    for (pack, tests) in packs().groups.iter().zip(tests()) {
        let text = std::fs::read_to_string(&tests).expect("readable");
        let cases: serde_yaml::Value = serde_yaml::from_str(&text).expect("YAML");
        let (mut begins, mut ends) = (BTreeSet::new(), BTreeSet::new());
        for test in cases["tests"].as_sequence().expect("tests") {
            let mut fired = BTreeMap::<String, BTreeSet<Duration>>::new();
            let mut silent = Vec::new();
            for case in test["alert_rule_test"].as_sequence().into_iter().flatten() {
                let name = case["alertname"].as_str().expect("a name").to_owned();
                let time: PromDuration = case["eval_time"].as_str().expect("a time").parse().expect("a duration");
                if case["exp_alerts"].is_null() {
                    silent.push((name, time.get()));
                } else {
                    fired.entry(name).or_default().insert(time.get());
                }
            }
            for (name, at) in silent {
                let times = fired.get(&name);
                if times.and_then(BTreeSet::first).is_some_and(|first| at < *first) {
                    begins.insert(name);
                } else if times.and_then(BTreeSet::last).is_some_and(|last| *last < at) {
                    ends.insert(name);
                }
            }
        }
        let alerts: BTreeSet<_> = pack.rules().filter(|rule| rule.alerting).map(|rule| rule.name.to_owned()).collect();
        assert_eq!(begins, alerts, "{} shows how every alert begins", tests.display());
        assert_eq!(ends, alerts, "{} shows how every alert ends", tests.display());
    }
}

/// What a load or a defect raises together: of each of these only the most expensive one is to cost points.
const ONE_CAUSE: &[&[&str]] = &[
    &["HostCpuHigh", "HostCpuCritical", "HostCpuPressure"],
    &["HostMemoryHigh", "HostMemoryCritical", "HostMemoryPressure", "HostMemoryStalled"],
    &["HostIoPressure", "HostDiskBusy", "HostDiskReadSlow", "HostDiskWriteSlow"],
    &["HostFilesystemSpaceLow", "HostFilesystemSpaceCritical", "HostFilesystemFillingUp"],
    &["RequestLatencyHigh", "RequestLatencyCritical"],
    &["RequestErrorsHigh", "ServiceErrorsHigh"],
    &["QueryLatencyHigh", "QueryLatencyCritical"],
    &["PoolUseHigh", "PoolRequestsWaiting"],
    &["CacheHitRateLow", "CacheHitRateCritical"],
    &["TaskFailuresHigh", "TaskFailuresCritical"],
    &["OperationFailuresHigh", "OperationFailuresCritical"],
    &["ServiceCheckWarning", "ServiceCheckCritical"],
    &["SidewatchEventsLost", "SidewatchEventsLostCritical", "SidewatchMetricsRefused"],
    &["SidewatchTargetUnreachable", "SidewatchNotificationsDropped"],
];

#[test]
fn alerts_of_one_cause_cost_once() {
    for names in ONE_CAUSE {
        let report = judged(names);
        let (counting, covered): (Vec<_>, Vec<_>) = report.deductions.iter().partition(|reason| reason.counts());
        assert_eq!((counting.len(), covered.len()), (1, names.len() - 1), "{names:?}: {}", report.line());
        assert!(covered.iter().all(|reason| reason.points <= counting[0].points), "{names:?}");
    }
    let line = judged(ONE_CAUSE[0]).line();
    assert_eq!(line, "degraded 60: -40 alert:HostCpuCritical", "a full CPU alone");
}

#[test]
fn no_two_other_alerts_are_of_one_cause() {
    let set = packs();
    let all: Vec<&str> = set.groups.iter().flat_map(|group| group.rules()).map(|rule| rule.name).collect();
    let report = judged(&all);
    let counting = report.deductions.iter().filter(|reason| reason.counts()).count();
    let shared: usize = ONE_CAUSE.iter().map(|names| names.len() - 1).sum();
    assert_eq!(counting, all.len() - shared);
}

/// The verdict while alerts of these names fire, one of each, and nothing else is wrong.
fn judged(names: &[&str]) -> Report {
    let set = packs();
    let now = Timestamp::from_millis(60_000);
    let rules = set.groups.iter().flat_map(|group| group.rules()).filter(|rule| names.contains(&rule.name)).map(|rule| {
        let labels = rule.labels.iter().chain([("alertname", rule.name)]);
        let alert = AlertSnapshot {
            state: AlertState::Firing,
            labels: Labels::from_pairs(labels),
            annotations: rule.annotations.clone(),
            value: 1.0,
            active_at: now,
            fired_at: Some(now),
            keep_firing_since: None,
        };
        let (for_millis, keep_firing_for_millis) = (0, 0);
        RuleSnapshot {
            name: rule.name.into(),
            query: rule.query.into(),
            labels: rule.labels.clone(),
            annotations: rule.annotations.clone(),
            health: RuleHealth::Ok,
            last_evaluation: None,
            evaluation_seconds: 0.0,
            kind: RuleKind::Alerting {
                for_millis,
                keep_firing_for_millis,
                threshold: rule.threshold,
                weight: None,
                owner: None,
                alerts: vec![alert],
                ended: Vec::new(),
            },
        }
    });
    let rules: Vec<_> = rules.collect();
    assert_eq!(rules.len(), names.len(), "{names:?}");
    let group = GroupSnapshot {
        name: "all".into(),
        file: "packs".into(),
        interval_millis: 5_000,
        limit: 0,
        last_evaluation: None,
        evaluation_seconds: 0.0,
        settling: false,
        rules,
    };
    let rules = RulesSnapshot { groups: vec![Arc::new(group)], load_errors: Vec::new() };
    let readings = Readings { at: Some(now), ..Readings::default() };
    judge(&HealthConfig::default(), &rules, &readings, Vec::new(), &mut Memory::default(), now)
}

/// The page lies where the package installs it, and in `docs/` before that.
const RUNBOOKS: &str = "file:///usr/share/doc/sidewatch/";

#[test]
fn every_alert_leads_to_a_section_of_a_runbook_and_every_section_to_an_alert() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let sections = |page: &Path| -> BTreeSet<String> {
        let text = std::fs::read_to_string(page).unwrap_or_else(|error| panic!("{}: {error}", page.display()));
        text.lines().filter_map(|line| line.strip_prefix("## ")).map(str::to_owned).collect()
    };
    for group in packs().groups {
        let page = format!("runbooks/{}.md", group.name());
        let alerts: BTreeSet<String> = group.rules().filter(|rule| rule.alerting).map(|rule| rule.name.to_owned()).collect();
        assert_eq!(sections(&docs.join(&page)), alerts, "{page}");
        for rule in group.rules().filter(|rule| rule.alerting) {
            let expected = format!("{RUNBOOKS}{page}#{}", rule.name.to_lowercase());
            assert_eq!(rule.annotations.get("runbook_url"), Some(expected.as_str()), "{}", rule.name);
        }
    }
}

#[test]
fn every_metric_of_a_pack_is_documented() {
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/metrics.md")).expect("readable");
    let named = page.split('`').filter(|word| word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'));
    // What rules write themselves is in history alone, and on another page.
    let known: BTreeSet<&str> = named.chain(["ALERTS"]).collect();
    for pack in PACKS {
        let text: serde_yaml::Value = serde_yaml::from_str(pack.text).expect("YAML");
        for rule in text["groups"][0]["rules"].as_sequence().expect("rules") {
            let expression = rule["expr"].as_str().expect("an expression");
            let used = metrics(&parse(expression).expect("PromQL"));
            assert!(!used.is_empty(), "{}: {expression}", pack.name);
            for name in used {
                let base = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| name.strip_suffix(suffix)).unwrap_or(&name);
                assert!(known.contains(base) || known.contains(name.as_str()), "{}: {name}", pack.name);
            }
        }
    }
}

/// The names of all metrics in an expression.
fn metrics(expr: &Expr) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    expr.walk(&mut |part| match &part.kind {
        ExprKind::VectorSelector(selector) | ExprKind::MatrixSelector(MatrixSelector { selector, .. }) => {
            names.insert(selector.name.clone().expect("a metric's name"));
        }
        _ => {}
    });
    names
}

#[test]
fn promtool_finds_nothing_to_say_about_the_packs() {
    promtool("check", &files("rules"));
}

#[test]
fn the_unit_tests_of_the_packs_pass_in_promtool() {
    promtool("test", &files("rules/tests"));
}

/// `make test` names a promtool; where none is named or installed there is nothing to compare with.
fn promtool(verb: &str, files: &[PathBuf]) {
    let named = std::env::var_os("SIDEWATCH_PROMTOOL");
    match Command::new(named.as_deref().unwrap_or(OsStr::new("promtool"))).args([verb, "rules"]).args(files).output() {
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success() && !said.contains("FAILED"), "{said}");
        }
        Err(error) if named.is_none() && error.kind() == std::io::ErrorKind::NotFound => eprintln!("skipped: promtool is not installed"),
        Err(error) => panic!("promtool: {error}"),
    }
}
