//! What is probably a mistake in rules that are valid: rules that stand twice, as promtool says it, and what can be told from an
//! expression, its times and its templates without evaluating it.
//!
//! `dry` runs templates over made-up results, `flow` says which labels an expression's results can have, `hold` when it has none and for how long it can have one, `names`
//! which metrics and labels there are.

mod check;
mod dry;
mod flow;
mod hold;
mod names;
#[cfg(test)]
mod tests;

pub use check::{Duplicate, Finding, LintContext, duplicates, lint};
pub use names::Inventory;

/// The lints: their names, and what each finds.
pub const LINTS: &[(&str, &str)] = &[
    (DUPLICATE_RULES, "two rules of a file with the same name and labels, as promtool finds them"),
    (FOR_UNREACHABLE, "a `for` that is longer than the condition can hold, as with `x unless x offset 5m` and `for: 10m`"),
    (HISTORY_TOO_SHORT, "an expression that looks back further than history is kept"),
    (MISPLACED_FIELD, "`for` or `keep_firing_for` under `labels` or `annotations`, where it holds nothing back"),
    (NO_COMPARISON, "an alert whose expression has a result whatever the values are"),
    (NOT_A_VECTOR, "an expression that is a range or a text, which no rule can use"),
    (RANGE_TOO_SHORT, "a range under two samples for a function that needs two, as `rate(x[5s])` at a resolution of 5 s"),
    (TEMPLATE_FAILS, "a template that fails whatever the result is, as `{{ value }}`"),
    (TEMPLATE_LABEL, "a label in a template that no result of the expression has"),
    (UNKNOWN_LABEL, "a label that a metric of the agent does not have, in a selector or, misspelt by a letter, behind `by`"),
    (UNKNOWN_METRIC, "a metric that looks like one of the agent's, or none that history holds where one is given"),
];

const DUPLICATE_RULES: &str = "duplicate-rules";
const FOR_UNREACHABLE: &str = "for-unreachable";
const HISTORY_TOO_SHORT: &str = "history-too-short";
const MISPLACED_FIELD: &str = "misplaced-field";
const NO_COMPARISON: &str = "no-comparison";
const NOT_A_VECTOR: &str = "not-a-vector";
const RANGE_TOO_SHORT: &str = "range-too-short";
const TEMPLATE_FAILS: &str = "template-fails";
const TEMPLATE_LABEL: &str = "template-label";
const UNKNOWN_LABEL: &str = "unknown-label";
const UNKNOWN_METRIC: &str = "unknown-metric";
