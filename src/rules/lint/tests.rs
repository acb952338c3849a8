//! What each lint finds, and what it leaves alone.

use std::collections::BTreeSet;

use super::*;
use crate::model::{METRIC_NAME, MetricType};
use crate::promql::EngineConfig;
use crate::rules::file;

fn inventory() -> Inventory {
    let mut inventory = Inventory::default();
    inventory.add("node_load1", [], true);
    inventory.add("node_cpu_seconds_total", ["cpu", "mode"], true);
    inventory.add_family("orders_seconds", MetricType::Histogram, ["shop"], true);
    inventory.add_family("took_seconds", MetricType::Summary, ["shop"], true);
    inventory.add("tagged_total", ["cache"], false);
    inventory
}

fn all() -> BTreeSet<&'static str> {
    LINTS.iter().map(|(name, _)| *name).collect()
}

/// The findings in a file, as `lint line:column`.
fn found(text: &str, inventory: &Inventory) -> Vec<String> {
    let parsed = file::parse("f.yml", text, 15_000);
    assert!(parsed.problems.is_empty(), "{:?}", parsed.problems);
    let engine = EngineConfig::default();
    let context = LintContext { lints: &all(), resolution_millis: 5_000, kept_millis: 7 * 86_400_000, engine: &engine, inventory };
    let shown = |finding: Finding| {
        let position = finding.diagnostic.position;
        format!("{} {}:{}", finding.lint, position.line, position.column)
    };
    lint("f.yml", text, &parsed.groups, &context).into_iter().map(shown).collect()
}

/// The lints that find something about an alert.
fn of_alert(expr: &str, more: &str) -> Vec<String> {
    let text = format!("groups:\n- name: g\n  rules:\n  - alert: A\n    expr: {expr}\n{more}");
    found(&text, &inventory()).into_iter().map(|finding| finding.split(' ').next().unwrap_or_default().to_owned()).collect()
}

fn nothing() -> Vec<String> {
    Vec::new()
}

#[test]
fn labels_that_history_has_are_told_once() {
    let mut inventory = inventory();
    inventory.add("up", [METRIC_NAME, "instance", "job", "zone"], true);
    let text = "groups: [{name: g, rules: [{alert: A, expr: 'up{zoen=\"a\"} == 0'}]}]";
    let parsed = file::parse("f.yml", text, 15_000);
    let engine = EngineConfig::default();
    let context = LintContext { lints: &all(), resolution_millis: 5_000, kept_millis: 86_400_000, engine: &engine, inventory: &inventory };
    let hints: Vec<_> = lint("f.yml", text, &parsed.groups, &context).into_iter().filter_map(|finding| finding.diagnostic.hint).collect();
    assert_eq!(hints, ["its labels are zone, job, instance"]);
}

#[test]
fn metrics_and_labels_that_do_not_exist_are_found_in_their_place() {
    let text = "groups:\n- name: g\n  rules:\n  - alert: A\n    expr: node_load1 > 1 and node_laod1{x=\"\"} > 2\n";
    assert_eq!(found(text, &inventory()), ["unknown-metric 5:30"]);
    let text = "groups:\n- name: g\n  rules:\n  - alert: A\n    expr: |\n      node_cpu_seconds_total{\n        mod=\"idle\"} > 1\n";
    assert_eq!(found(text, &inventory()), ["unknown-label 6:7"]);
    for known in ["orders_seconds_bucket{le=\"1\",shop=\"a\",job=\"x\"} > 1", "tagged_total{any=\"x\"} > 1", "up == 0", "my_own_events > 1"]
    {
        assert_eq!(of_alert(known, ""), nothing(), "{known}");
    }
    assert_eq!(of_alert("orders_seconds_sum{le=\"1\"} > 1", ""), [UNKNOWN_LABEL]);
    assert_eq!(of_alert("took_seconds_sum{quantile=\"1\"} > 1", ""), [UNKNOWN_LABEL]);
    assert_eq!(of_alert("took_seconds{quantile=\"0.5\"} > 1", ""), nothing());
    let mut complete = inventory();
    complete.complete();
    let text = "groups:\n- name: g\n  rules:\n  - record: r\n    expr: my_own_events\n  - alert: A\n    expr: r > 1\n";
    assert_eq!(found(text, &complete), ["unknown-metric 5:11"]);
}

#[test]
fn metrics_of_others_are_no_misspelt_ones() {
    let mut inventory = inventory();
    inventory.add_family("http_server_request_duration_seconds", MetricType::Histogram, ["route"], true);
    let lints = |expr: &str| {
        let text = format!("groups:\n- name: g\n  rules:\n  - record: r\n    expr: {expr}\n");
        found(&text, &inventory).into_iter().map(|finding| finding.split(' ').next().unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    for other in [
        "apiserver_request_duration_seconds_bucket",
        "http_client_request_duration_seconds_bucket",
        "grpc_server_request_duration_seconds_sum",
        "node_namespace_pod:kube_pod_info",
        "node:node_load1:sum",
        "orders_second:rate5m",
    ] {
        assert_eq!(lints(other), nothing(), "{other}");
    }
    for misspelt in ["http_sever_request_duration_seconds_bucket", "http_server_reqest_duration_seconds_count", "node_laod1"] {
        assert_eq!(lints(misspelt), [UNKNOWN_METRIC], "{misspelt}");
    }
}

#[test]
fn a_label_that_may_be_absent_need_not_exist() {
    for matcher in ["device=\"\"", "device!=\"x\"", "device!~\"x|y\"", "device=~\".*\"", "device=~\"x|\""] {
        assert_eq!(of_alert(&format!("node_cpu_seconds_total{{{matcher}}} > 1"), ""), nothing(), "{matcher}");
    }
    for matcher in ["device=\"x\"", "device!=\"\"", "device=~\".+\"", "mdoe!=\"idle\"", "modes!~\"idle\""] {
        assert_eq!(of_alert(&format!("node_cpu_seconds_total{{{matcher}}} > 1"), ""), [UNKNOWN_LABEL], "{matcher}");
    }
    for (expr, expected) in [
        ("tagged_total{cach=\"x\"} > 1", vec![UNKNOWN_LABEL]),
        ("tagged_total{other=\"x\"} > 1", vec![]),
        ("sum by (mod) (node_cpu_seconds_total) > 1", vec![UNKNOWN_LABEL]),
        ("sum without (mod) (rate(node_cpu_seconds_total[1m])) > 1", vec![UNKNOWN_LABEL]),
        ("sum by (cluster, mode) (node_cpu_seconds_total) > 1", vec![]),
        ("sum by (mod) (label_replace(node_cpu_seconds_total, \"mod\", \"$1\", \"mode\", \"(.*)\")) > 1", vec![]),
        ("sum by (mod) (node_cpu_seconds_total * on () group_left (mod) unknown_info) > 1", vec![]),
    ] {
        assert_eq!(of_alert(expr, ""), expected, "{expr}");
    }
}

#[test]
fn what_holds_for_the_file_is_told_where_it_comes_first_and_all_in_order() {
    let text = "groups:\n- name: g\n  rules:\n  - alert: A\n    annotations: {s: '{{ $labels.no }}'}\n    expr: sum(node_laod1) > 1\n  - alert: B\n    expr: node_laod1 offset 9d > node_load1{x='y'}\n  - alert: C\n    expr: avg_over_time(node_load1{x='y[z]'}[9d]) > node_load1{x='z'}\n  - alert: D\n    expr: node_laod1 > avg_over_time(node_load1[9d])\n";
    let expected =
        ["template-label 5:22", "unknown-metric 6:15", "history-too-short 8:22", "unknown-label 8:34", "history-too-short 10:45"];
    assert_eq!(found(text, &inventory()), expected);
}

#[test]
fn a_range_has_to_hold_two_samples() {
    assert_eq!(of_alert("rate(node_load1[9s]) > 0", ""), [RANGE_TOO_SHORT]);
    assert_eq!(of_alert("rate(node_load1[10s]) > 0", ""), nothing());
    assert_eq!(of_alert("max_over_time(node_load1[5s]) > 0", ""), nothing());
    assert_eq!(of_alert("rate(node_load1[5m:5m]) > 0", ""), [RANGE_TOO_SHORT]);
    assert_eq!(of_alert("rate(node_load1[10m:5m]) > 0", ""), nothing());
    let text =
        "groups:\n- name: g\n  interval: 1m\n  rules:\n  - record: r\n    expr: node_load1\n  - alert: A\n    expr: increase(r[1m]) > 1\n";
    assert_eq!(found(text, &inventory()), ["range-too-short 8:20"]);
}

#[test]
fn a_for_that_outlasts_its_condition_is_found() {
    for (expr, minutes) in [
        ("node_load1 unless node_load1 offset 5m", 5),
        ("(node_load1 offset 10m unless node_load1) > 3", 10),
        ("node_load1 > 1 and on () hour() == 3", 60),
        ("sum(node_load1 unless node_load1 offset 5m) > 1", 5),
    ] {
        assert_eq!(of_alert(expr, &format!("    for: {minutes}m\n")), [FOR_UNREACHABLE], "{expr}");
        assert_eq!(of_alert(expr, &format!("    for: {}m\n", minutes - 1)), nothing(), "{expr}");
    }
    for expr in ["node_load1 unless tagged_total offset 5m", "hour() == 3 or hour() == 4", "node_load1 > 1", "hour() > 3"] {
        assert_eq!(of_alert(expr, "    for: 2d\n"), nothing(), "{expr}");
    }
}

#[test]
fn an_alert_has_to_compare_something() {
    for expr in ["node_load1", "sum(rate(node_load1[1m]))", "node_load1 > bool 1", "node_load1 * 2 or tagged_total"] {
        assert_eq!(of_alert(expr, ""), [NO_COMPARISON], "{expr}");
    }
    for expr in ["node_load1[5m]", "'\"text\"'", "node_load1[5m:1m]"] {
        assert_eq!(of_alert(expr, ""), [NOT_A_VECTOR], "{expr}");
    }
    for expr in [
        "vector(1)",
        "absent(node_load1)",
        "count(node_load1 > 1)",
        "job:errors:ratio",
        "ALERTS{alertname=\"B\"}",
        "node_load1 and tagged_total",
    ] {
        assert_eq!(of_alert(expr, ""), nothing(), "{expr}");
    }
}

#[test]
fn a_label_in_a_template_has_to_be_in_the_result() {
    let noted = |expr: &str, label: &str| of_alert(expr, &format!("    annotations: {{s: '{{{{ $labels.{label} }}}}'}}\n"));
    for (expr, kept, dropped) in [
        ("sum by (job) (node_load1) > 1", "job", "instance"),
        ("sum without (cpu) (node_cpu_seconds_total) > 1", "mode", "cpu"),
        ("node_load1 > on (job) group_left (zone) tagged_total", "zone", "cpu"),
        ("node_load1 > on (job) tagged_total", "job", "instance"),
        ("node_load1 > ignoring (cpu) tagged_total", "job", "cpu"),
        ("absent(node_load1{job=\"a\"})", "job", "instance"),
        ("histogram_quantile(0.9, orders_seconds_bucket) > 1", "shop", "le"),
        ("label_replace(sum(node_load1), \"x\", \"$1\", \"job\", \"(.*)\") > 1", "x", "job"),
        ("count_values(\"v\", node_load1) > 1", "v", "job"),
        ("topk(3, sum by (job) (node_load1)) > 1", "job", "cpu"),
        ("sum(node_load1) > 1 or sum by (cpu) (node_cpu_seconds_total) > 1", "cpu", "job"),
        ("node_load1 > 1", "instance", "device"),
        ("node_cpu_seconds_total{device=\"\"} > 1", "cpu", "device"),
        ("tagged_total > 1", "zone", ""),
        ("max_over_time(sum by (job) (node_load1)[5m:]) > 1", "job", "cpu"),
        ("tagged_total{zone=\"\"} > 1", "any", "zone"),
        ("vector(1)", "", "job"),
    ] {
        if !kept.is_empty() {
            assert_eq!(noted(expr, kept), nothing(), "{expr}: {kept}");
        }
        if !dropped.is_empty() {
            assert_eq!(noted(expr, dropped), [TEMPLATE_LABEL], "{expr}: {dropped}");
        }
    }
    let text = "    labels: {a: '{{ index $labels \"x\" }}', b: '$labels.y {{ .Labels.z }}'}\n";
    assert_eq!(of_alert("sum(node_load1) > 1", text), [TEMPLATE_LABEL, TEMPLATE_LABEL]);
}

#[test]
fn a_template_that_always_fails_is_found() {
    let lints = |text: &str| of_alert("tagged_total > 1", &format!("    annotations: {{s: '{text}'}}\n"));
    for fails in ["{{ value }}", "{{ humanize \"x\" }}", "{{ .Nothing }}"] {
        assert_eq!(lints(fails), [TEMPLATE_FAILS], "{fails}");
    }
    for fine in [
        "{{ $value | humanize }} {{ $labels.x }}",
        "{{ $labels.x | humanize }}",
        "{{ parseDuration $labels.x }}",
        "{{ query \"x\" | first | value }}",
        "{{ with query \"x\" }}{{ . | first | label \"y\" }}{{ end }}",
        "{{ $labels.a | humanize }} {{ parseDuration $labels.b }}",
        "value",
    ] {
        assert_eq!(lints(fine), nothing(), "{fine}");
    }
}

#[test]
fn fields_of_a_rule_one_level_too_deep_are_found() {
    for more in
        ["    labels: {keep_firing_for: 24h}\n", "    annotations: {for: 10m}\n", "    for: 1m\n    labels: {keep_firing_for: 1h}\n"]
    {
        assert_eq!(of_alert("node_load1 > 1", more), [MISPLACED_FIELD], "{more}");
    }
    for more in ["    for: 5m\n    annotations: {for: 10m}\n", "    labels: {for: shop}\n", "    annotations: {expr: up}\n"] {
        assert_eq!(of_alert("node_load1 > 1", more), nothing(), "{more}");
    }
    let text = "groups:\n- name: g\n  rules:\n  - alert: A\n    expr: node_load1 > 1\n    annotations:\n      for: 10m\n";
    assert_eq!(found(text, &inventory()), ["misplaced-field 7:7"]);
}

#[test]
fn who_looks_further_back_than_history_goes_is_told() {
    assert_eq!(of_alert("node_load1 offset 8d > 1", ""), [HISTORY_TOO_SHORT]);
    assert_eq!(of_alert("node_load1 offset 6d > 1", ""), nothing());
}

#[test]
fn what_is_found_is_bounded_and_what_was_not_asked_for_does_not_count() {
    let rules = |count: usize| (0..count).map(|number| format!("  - {{alert: A{number}, expr: node_load1}}\n")).collect::<String>();
    let text = format!("groups:\n- name: g\n  rules:\n{}  - {{record: r, expr: 'node_load1 offset 8d'}}\n", rules(120));
    assert_eq!(found(&text, &inventory()).len(), 100);
    let (engine, inventory, parsed) = (EngineConfig::default(), inventory(), file::parse("f.yml", &text, 15_000));
    let lints = BTreeSet::from([HISTORY_TOO_SHORT]);
    let context =
        LintContext { lints: &lints, resolution_millis: 5_000, kept_millis: 7 * 86_400_000, engine: &engine, inventory: &inventory };
    let findings = lint("f.yml", &text, &parsed.groups, &context);
    assert_eq!(findings.iter().map(|finding| finding.lint).collect::<Vec<_>>(), [HISTORY_TOO_SHORT]);
}

#[test]
fn rules_of_the_same_name_and_labels_are_duplicates() {
    let text = "groups: [{name: a, rules: [{record: x, expr: a}, {alert: x, expr: b > 1}, {record: y, expr: a, labels: {l: '1'}}]},
                 {name: b, rules: [{record: x, expr: c}, {record: y, expr: a, labels: {l: '2'}}]}]";
    let parsed = file::parse("f.yml", text, 15_000);
    let names: Vec<_> = duplicates(&parsed.groups).into_iter().map(|duplicate| duplicate.name).collect();
    assert_eq!(names, ["x"]);
}
