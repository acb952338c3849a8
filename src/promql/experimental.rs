//! What Prometheus has behind feature flags, and this engine behind one option.

use super::ast::{Expr, ExprKind, Extension, Fill};
use super::eval_error::EvalError;

/// Refuses an expression that has anything experimental in it.
pub(super) fn refuse(expr: &Expr) -> Result<(), EvalError> {
    let mut found: Option<String> = None;
    expr.walk(&mut |expr| found = found.take().or_else(|| experimental(expr)));
    found.map_or(Ok(()), |what| Err(EvalError::NotEnabled(what)))
}

fn experimental(expr: &Expr) -> Option<String> {
    let modifier = |extension: Option<Extension>| extension.map(|extension| format!("the modifier {}", extension.as_str()));
    match &expr.kind {
        ExprKind::VectorSelector(selector) => modifier(selector.extension),
        ExprKind::MatrixSelector(matrix) => modifier(matrix.selector.extension),
        ExprKind::Call(call) => call.function.experimental.then(|| format!("{}()", call.function.name)),
        ExprKind::Aggregate(aggregate) => aggregate.op.is_experimental().then(|| format!("{}()", aggregate.op.as_str())),
        ExprKind::Binary(binary) => {
            let fills = binary.matching.as_ref().is_some_and(|matching| matching.fill != Fill::default());
            fills.then(|| "the modifier fill".to_owned())
        }
        ExprKind::Number(_) | ExprKind::String(_) | ExprKind::Subquery(_) | ExprKind::Unary(_) | ExprKind::Paren(_) => None,
    }
}
