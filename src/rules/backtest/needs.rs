//! What of a history rules need, so that it can be fetched from elsewhere.

use std::collections::BTreeMap;

use crate::promql::{DurationArg, EngineConfig, Expr, ExprKind, MatrixSelector, VectorSelector, reach_millis};
use crate::rules::set::RuleSet;

/// Series, and how far before an evaluation they are needed.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleNeed {
    /// A selector without range, offset and `@`.
    pub selector: Expr,
    /// Milliseconds before the first evaluation.
    pub before_millis: i64,
}

impl RuleNeed {
    /// The expression whose instant value are the samples of so many milliseconds.
    #[must_use]
    pub fn samples(&self, millis: i64) -> Expr {
        let kind = match &self.selector.kind {
            ExprKind::VectorSelector(selector) => {
                ExprKind::MatrixSelector(MatrixSelector { selector: selector.clone(), range: DurationArg::Millis(millis) })
            }
            other => other.clone(),
        };
        Expr { kind, span: self.selector.span }
    }
}

/// All selectors of the rules, each once.
#[must_use]
pub fn needs(rules: &RuleSet, config: &EngineConfig) -> Vec<RuleNeed> {
    let mut needs: BTreeMap<String, RuleNeed> = BTreeMap::new();
    for group in &rules.groups {
        for rule in &group.rules {
            let before = reach_millis(&rule.expr, config).saturating_add(group.query_offset_millis);
            rule.expr.walk(&mut |expr| {
                let selector = match &expr.kind {
                    ExprKind::VectorSelector(selector) => selector,
                    ExprKind::MatrixSelector(matrix) => &matrix.selector,
                    _ => return,
                };
                let bare = VectorSelector { offset: DurationArg::Millis(0), at: None, extension: None, ..selector.clone() };
                let bare = Expr { kind: ExprKind::VectorSelector(bare), span: expr.span };
                let need = needs.entry(bare.to_string()).or_insert(RuleNeed { selector: bare, before_millis: before });
                need.before_millis = need.before_millis.max(before);
            });
        }
    }
    needs.into_values().collect()
}
