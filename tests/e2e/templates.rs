//! The table of templates, `tests/golden/templates.txt`, by promtool: what it prints for each, and what it says of texts that are
//! no templates. The crate's own tests hold sidewatch to the same table.

use std::collections::BTreeMap;
use std::fs;

use serde_json::{Value, json};

use crate::stage::promtool;

const TABLE: &str = include_str!("../golden/templates.txt");

/// For each expression, the templates with what promtool makes of them.
type Cases = BTreeMap<String, Vec<(String, String)>>;

fn cases() -> Cases {
    let mut cases = Cases::new();
    let (mut expr, mut template) = (String::new(), String::new());
    for line in TABLE.lines() {
        let (mark, rest) = line.split_at_checked(1).unwrap_or_default();
        let rest = rest.strip_prefix(' ').unwrap_or(rest).replace('⏎', "\n");
        match mark {
            "@" => expr = rest,
            "<" => template = rest,
            "=" => cases.entry(expr.clone()).or_default().push((template.clone(), rest)),
            _ => {}
        }
    }
    cases
}

/// The annotations with names, those that promtool refuses or the others.
fn annotations(cases: &[(String, String)], refused: bool) -> Vec<(String, &str, &str)> {
    let named = cases.iter().enumerate().map(|(number, (template, shown))| (format!("c{number}"), template.as_str(), shown.as_str()));
    named.filter(|(_, _, shown)| shown.starts_with('!') == refused).collect()
}

fn rule_file(cases: &Cases, refused: bool) -> String {
    let rule = |(number, (expr, cases)): (usize, (&String, &Vec<_>))| {
        let texts: Value = annotations(cases, refused)
            .into_iter()
            .map(|(name, template, _)| (name, template.into()))
            .collect::<serde_json::Map<_, _>>()
            .into();
        json!({"alert": "T", "expr": expr, "labels": {"number": number.to_string()}, "annotations": texts})
    };
    let rules: Vec<_> = cases.iter().enumerate().map(rule).collect();
    json!({"groups": [{"name": "g", "rules": rules}]}).to_string()
}

#[test]
fn promtool_prints_what_the_table_of_templates_says() {
    let cases = cases();
    assert!(cases.values().map(Vec::len).sum::<usize>() > 300);
    let expected = |(number, (expr, cases)): (usize, (&String, &Vec<_>))| {
        let mut labels = json!({"number": number.to_string()});
        if expr == "up" {
            labels["instance"] = "a.example.com:80".into();
            labels["job"] = "node".into();
        }
        let texts: Value =
            annotations(cases, false).into_iter().map(|(name, _, shown)| (name, shown.into())).collect::<serde_json::Map<_, _>>().into();
        json!({"exp_labels": labels, "exp_annotations": texts})
    };
    let tests = json!({
        "rule_files": ["rules.yml"],
        "evaluation_interval": "1m",
        "tests": [{
            "interval": "1m",
            "external_labels": {"region": "eu"},
            "external_url": "http://sidewatch:10842/x",
            // Promtool takes the series of one time in any order: each disk begins at a time of its own, so they keep theirs.
            "input_series": [
                {"series": "up{instance=\"a.example.com:80\",job=\"node\"}", "values": "2.5x2"},
                {"series": "disk{device=\"sdb\",n=\"2\"}", "values": "20x2"},
                {"series": "disk{device=\"sda\",n=\"10\"}", "values": "_ 10x1"},
                {"series": "disk{device=\"sdc\",n=\"1\"}", "values": "_ _ 30"},
                {"series": "odd{text=\"<a href='x'>&\\\"é\\\\\",__value__=\"sv\"}", "values": "1x2"},
            ],
            "alert_rule_test": [{
                "eval_time": "2m",
                "alertname": "T",
                "exp_alerts": cases.iter().enumerate().map(expected).collect::<Vec<_>>(),
            }],
        }],
    });
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("rules.yml"), rule_file(&cases, false)).unwrap();
    fs::write(folder.path().join("tests.yml"), tests.to_string()).unwrap();
    let (content, said) = promtool(&["test", "rules", folder.path().join("tests.yml").to_str().unwrap()], "");
    assert!(content, "{said}");
}

#[test]
fn promtool_refuses_the_templates_that_the_table_says_are_none() {
    let cases = cases();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rules.yml");
    fs::write(&file, rule_file(&cases, true)).unwrap();
    let (content, said) = promtool(&["check", "rules", file.to_str().unwrap()], "");
    assert!(!content);
    let mut count = 0;
    for (name, template, shown) in cases.values().flat_map(|cases| annotations(cases, true)) {
        let line = format!("annotation \"{name}\": {}", shown.trim_start_matches('!'));
        assert!(said.lines().any(|said| said.ends_with(&line)), "{template}\n{line}\nin\n{said}");
        count += 1;
    }
    assert!(count > 50, "{count}");
}
