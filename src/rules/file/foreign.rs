//! What is given as a rule file and is something else, told once as what it is and not as what it lacks.

use serde_yaml::Value;

use crate::diagnostic::{Diagnostic, PathStep, Position, locate_yaml_key};

/// What a rule file is.
const RULE_FILE: &str = "a rule file is a mapping with the key `groups`";

/// The one problem of a text that is no rule file at all; nothing of one that is, or that could be with a few corrections.
pub(super) fn foreign(file: &str, text: &str) -> Option<Diagnostic> {
    let told = |position, message: String, hint: &str| Some(Diagnostic::new(file, text, position, message).with_hint(hint));
    if let Some(line) = of_prometheus_1(text) {
        let message = "these are rules in the format of Prometheus 1, which is no YAML".to_owned();
        return told(Position { line, column: 1 }, message, "Prometheus 2.0's `promtool update rules` converts them");
    }
    let tree: Value = serde_yaml::from_str(text).ok()?;
    let first = text.lines().position(|line| !line.trim().is_empty() && !line.starts_with(['#', '%', '-'])).map_or(1, |line| line + 1);
    let start = Position { line: first, column: 1 };
    match tree {
        Value::Sequence(_) => {
            let first = text.lines().position(|line| line.trim_start().starts_with(['-', '[']) && line.trim() != "---");
            let start = Position { line: first.map_or(1, |line| line + 1), column: 1 };
            told(start, format!("{RULE_FILE}; this is a list"), "put `groups:` above it")
        }
        Value::String(_) => told(start, format!("{RULE_FILE}; this is a text"), "are these rules, and in YAML?"),
        Value::Number(_) | Value::Bool(_) => told(start, format!("{RULE_FILE}; this is a single value"), "are these rules?"),
        Value::Mapping(map) if ["apiVersion", "kind", "spec"].iter().all(|key| map.contains_key(*key)) => {
            let kind = map.get("kind").and_then(Value::as_str).unwrap_or_default();
            let kind: String = kind.chars().take(40).collect();
            let spec = locate_yaml_key(text, &[PathStep::Key("spec".to_owned())]).unwrap_or(start);
            told(spec, format!("this is a Kubernetes manifest ({kind}), no rule file"), "its rules are what stands under `spec`")
        }
        _ => None,
    }
}

/// The line of the first alert, where a text looks like `ALERT name IF expression …`, the format before Prometheus 2.
fn of_prometheus_1(text: &str) -> Option<usize> {
    let alert = text.lines().position(|line| line.starts_with("ALERT "))?;
    let conditions = |line: &str| line.trim_start().starts_with("IF ") || (line.starts_with("ALERT ") && line.contains(" IF "));
    text.lines().skip(alert).any(conditions).then_some(alert + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> Option<String> {
        foreign("f", text).map(|problem| problem.to_string())
    }

    #[test]
    fn what_is_no_rule_file_is_called_what_it_is() {
        for (text, expected) in [
            ("---\n- name: g\n", "f:2:1: a rule file is a mapping with the key `groups`; this is a list (put `groups:` above it)"),
            ("some\nwords\n", "f:1:1: a rule file is a mapping with the key `groups`; this is a text (are these rules, and in YAML?)"),
            (
                "# old\nALERT Down\n  IF up == 0\n  LABELS { a = \"b: c\" }\n",
                "f:2:1: these are rules in the format of Prometheus 1, which is no YAML (Prometheus 2.0's `promtool update rules` converts them)",
            ),
            (
                "apiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule\nmetadata: {}\nspec:\n  groups: []\n",
                "f:4:1: this is a Kubernetes manifest (PrometheusRule), no rule file (its rules are what stands under `spec`)",
            ),
        ] {
            assert_eq!(said(text).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_could_be_a_rule_file_is_left_to_others() {
        for text in ["", "groups: [", "groupz: []\n", "kind: x\ngroups: []\n", "groups:\n- name: |\n    ALERT x\n"] {
            assert_eq!(said(text), None, "{text}");
        }
    }
}
