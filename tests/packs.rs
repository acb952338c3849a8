//! The built-in rule packs: our own loader reads them, every alert says what it has to say, and promtool agrees.

#![allow(clippy::expect_used, clippy::panic)] // a test may fail

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

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

/// A test that names an alert without expected alerts shows its silence; one with them shows that it fires.
#[test]
fn every_alert_is_seen_silent_and_firing_in_a_test() {
    for (pack, tests) in packs().groups.iter().zip(tests()) {
        let text = std::fs::read_to_string(&tests).expect("readable");
        let cases: serde_yaml::Value = serde_yaml::from_str(&text).expect("YAML");
        let (mut silent, mut firing) = (BTreeSet::new(), BTreeSet::new());
        for test in cases["tests"].as_sequence().expect("tests") {
            for case in test["alert_rule_test"].as_sequence().into_iter().flatten() {
                let name = case["alertname"].as_str().expect("a name").to_owned();
                if case["exp_alerts"].is_null() {
                    silent.insert(name)
                } else {
                    firing.insert(name)
                };
            }
        }
        let alerts: BTreeSet<_> = pack.rules().filter(|rule| rule.alerting).map(|rule| rule.name.to_owned()).collect();
        assert_eq!(silent, alerts, "{} shows the silence of every alert", tests.display());
        assert_eq!(firing, alerts, "{} shows every alert firing", tests.display());
    }
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
