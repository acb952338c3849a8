//! What a rule file may say, and what is said about one that may not.

use super::*;

fn problems(text: &str) -> Vec<String> {
    parse("r.yml", text, 15_000).problems.iter().map(ToString::to_string).collect()
}

const GOOD: &str = "\
groups:
  - name: g
    interval: 10s
    query_offset: 2s
    limit: 7
    labels: {team: core, severity: page}
    rules:
      - record: job:up:sum
        expr: sum by (job) (up)
        labels: {team: infra}
      - alert: Down
        expr: up == 0
        for: 5m
        keep_firing_for: 1m
        labels: {severity: warning}
        annotations: {summary: '{{ $labels.job }} is down'}
  - name: h
";

#[test]
fn a_file_becomes_groups() {
    let parsed = parse("r.yml", GOOD, 15_000);
    assert!(parsed.problems.is_empty() && parsed.warnings.is_empty(), "{:?}", parsed.problems);
    let [g, h] = parsed.groups.as_slice() else { panic!("two groups") };
    assert_eq!((g.key().as_str(), g.interval_millis, g.query_offset_millis, g.limit), ("r.yml;g", 10_000, 2_000, 7));
    assert_eq!((h.interval_millis, h.rules.len()), (15_000, 0));
    let [record, alert] = g.rules.as_slice() else { panic!("two rules") };
    assert_eq!(record.text.timing, None);
    assert_eq!(alert.text.timing, Some(Timing { for_millis: 300_000, keep_firing_for_millis: 60_000 }));
    let labels = |rule: &Rule| rule.text.labels.iter().map(|(n, v)| format!("{n}={v}")).collect::<Vec<_>>();
    assert_eq!(labels(record), ["severity=page", "team=infra"]);
    assert_eq!(labels(alert), ["severity=warning", "team=core"]);
}

#[test]
fn all_problems_come_at_once_each_at_its_place() {
    let text = "\
groups:
  - name: g
    rules:
      - record: a:b
        alert: A
        expr: up
      - expr: up
      - alert: NoExpr
      - record: bad name
        expr: up
        for: 1m
        annotations: {a: b}
      - alert: B
        expr: up
        labels: {bad-name: x, __name__: y}
        annotations:
          summary: 'x {{ $nope }}'
      - alert: C
        expr: up
        for: 5 minutes
  - name: g
  - rules: []
";
    assert_eq!(
        problems(text),
        [
            r#"r.yml:5:16: group "g", rule 1, "A": only one of 'record' and 'alert' must be set"#,
            r#"r.yml:7:9: group "g", rule 2, "": one of 'record' or 'alert' must be set"#,
            r#"r.yml:8:9: group "g", rule 3, "NoExpr": field 'expr' must be set in rule"#,
            r#"r.yml:9:17: group "g", rule 4, "bad name": invalid recording rule name: bad name"#,
            r#"r.yml:11:14: group "g", rule 4, "bad name": invalid field 'for' in recording rule"#,
            r#"r.yml:12:22: group "g", rule 4, "bad name": invalid field 'annotations' in recording rule"#,
            r#"r.yml:15:18: group "g", rule 5, "B": invalid label name: bad-name"#,
            r#"r.yml:15:31: group "g", rule 5, "B": invalid label name: __name__"#,
            r#"r.yml:17:26: group "g", rule 5, "B": annotation "summary": template: __alert_B:1: undefined variable "$nope""#,
            r#"r.yml:20:14: group "g", rule 6, "C": not a valid duration string: "5 minutes" (write it like 30s, 5m or 1h30m)"#,
            r#"r.yml:21:11: groupname: "g" is repeated in the same file"#,
            "r.yml:22:5: Groupname must not be empty",
        ]
    );
}

#[test]
fn wrong_expressions_are_told_beside_wrong_types() {
    let text = "groups:
  - name: g
    limit: many
    rules:
      - alert: A
        expr: [up]
        for: 5 minutes
      - alert: {a: b}
        expr: sum(
      - record: r
        expr: up
        labels: [x]
        annotations: {a: b}
";
    assert_eq!(
        problems(text),
        [
            r#"r.yml:3:12: groups[0].limit: invalid type: string "many", expected a whole number"#,
            "r.yml:6:15: groups[0].rules[0].expr: invalid type: list, expected a text",
            r#"r.yml:7:14: group "g", rule 1, "A": not a valid duration string: "5 minutes" (write it like 30s, 5m or 1h30m)"#,
            "r.yml:8:16: groups[0].rules[1].alert: invalid type: mapping, expected a text",
            r#"r.yml:9:19: group "g", rule 2, "": could not parse expression: 1:5: parse error: unclosed left parenthesis"#,
            "r.yml:12:17: groups[0].rules[2].labels: invalid type: list, expected a mapping",
            r#"r.yml:13:22: group "g", rule 3, "r": invalid field 'annotations' in recording rule"#,
        ]
    );
}

#[test]
fn the_caret_of_an_expression_stands_in_the_file() {
    let text = "groups:\n- name: g\n  rules:\n  - alert: A\n    expr: |\n      sum(up)\n        + foo{)\n";
    let parsed = parse("r.yml", text, 15_000);
    let [problem] = parsed.problems.as_slice() else { panic!("one problem: {:?}", parsed.problems) };
    assert_eq!((problem.position.line, problem.position.column), (7, 15));
    assert!(
        problem.message.starts_with(r#"group "g", rule 1, "A": could not parse expression: 2:9: parse error: "#),
        "{}",
        problem.message
    );
    let picture = problem.render(false);
    assert!(picture.contains("  + foo{)") && picture.contains("--> r.yml:7:15"), "{picture}");
}

#[test]
fn the_caret_is_as_long_as_what_is_wrong() {
    for (expr, carets) in [("'histogram_share(0.2, up)'", 15), ("up + 日本", 2), ("'up{a=\"b\"} + no_function(up)'", 11)] {
        let parsed = parse("r.yml", &format!("groups: [{{name: g, rules: [{{alert: A, expr: {expr}}}]}}]\n"), 15_000);
        let [problem] = parsed.problems.as_slice() else { panic!("one problem: {:?}", parsed.problems) };
        assert_eq!(problem.render(false).matches('^').count(), carets, "{}", problem.render(false));
    }
}

#[test]
fn a_merge_is_no_problem_and_stays_one_beside_another() {
    let rules = "  - &x\n    alert: A\n    expr: up{ == 0\n  - <<: *x\n    alert: B\n    expr: up\n  - alert: C\n    exprr: up\n";
    let found = problems(&format!("groups:\n- name: a\n  rules:\n{rules}"));
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[1].contains("`groups[0].rules[2].exprr`"), "{found:?}");
    let found = problems("groups:\n- name: a\n  rules:\n  - <<: foo\n    alert: B\n    expr: up\n");
    assert_eq!(
        found,
        ["r.yml:4:9: groups[0].rules[0].<<: invalid type: string \"foo\", expected a mapping, or a list of mappings: a merge needs them"]
    );
}

#[test]
fn unknown_fields_are_refused_with_the_nearest_known() {
    let found = problems("groups:\n- name: g\n  rules:\n  - alert: A\n    expr: up\n    fro: 5m\n");
    assert_eq!(found, ["r.yml:6:5: unknown key `groups[0].rules[0].fro` (did you mean `for`?)"]);
}

#[test]
fn a_second_document_is_ignored_with_a_warning() {
    let parsed = parse("r.yml", "groups: [{name: g}]\n---\nnonsense: 1\n", 15_000);
    assert_eq!((parsed.groups.len(), parsed.problems.len()), (1, 0));
    assert!(parsed.warnings[0].to_string().starts_with("r.yml:2:1: only the first YAML document"));
}

#[test]
fn the_problems_of_a_file_are_limited_and_so_is_the_time_to_find_them() {
    let rules = "  - {alert: A, expr: 'sum(', for: x, labels: {'': y}}\n".repeat(100);
    let parsed = parse("f.yml", &format!("groups:\n- name: g\n  rules:\n{rules}"), 15_000);
    assert_eq!(parsed.problems.len(), 50);
}

#[test]
fn a_byte_order_mark_says_nothing() {
    let parsed = parse("f.yml", "\u{feff}groups: [{name: g}]", 15_000);
    assert!(parsed.problems.is_empty() && parsed.groups.len() == 1, "{:?}", parsed.problems);
}

#[test]
fn elements_that_are_nothing_do_not_count() {
    let text = "groups:\n- name: g\n  rules:\n  -\n  - {alert: A, expr: up}\n  - ~\n  - {alert: B, expr: 'up('}\n-\n";
    assert_eq!(
        problems(text),
        [r#"r.yml:7:26: group "g", rule 2, "B": could not parse expression: 1:4: parse error: unclosed left parenthesis"#]
    );
    let parsed = parse("r.yml", &text.replace("up(", "up"), 15_000);
    assert_eq!((parsed.groups.len(), parsed.groups[0].rules.len()), (1, 2));
}
