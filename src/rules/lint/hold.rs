//! Whether a condition can fail to hold, and for how long it can hold.

use crate::promql::{BinaryOp, DurationArg, Expr, ExprKind, ValueType, VectorSelector};

const HOUR_MILLIS: i64 = 3_600_000;

/// Whether the values decide if there is a result: something in it compares, or asks what is there.
pub(super) fn has_condition(expr: &Expr) -> bool {
    match &expr.kind {
        ExprKind::Binary(binary) => {
            (binary.op.is_comparison() && !binary.return_bool && expr.value_type() == ValueType::Vector)
                || matches!(binary.op, BinaryOp::And | BinaryOp::Unless)
                || has_condition(&binary.lhs)
                || has_condition(&binary.rhs)
        }
        ExprKind::Call(call) => matches!(call.function.name, "absent" | "absent_over_time") || call.args.iter().any(has_condition),
        // What a rule has recorded, an alert among it, may be a condition of its own.
        ExprKind::VectorSelector(selector) => {
            selector.name.as_deref().is_none_or(|name| name.contains(':') || name == "ALERTS" || name == "ALERTS_FOR_STATE")
        }
        ExprKind::MatrixSelector(matrix) => matrix.selector.name.as_deref().is_none_or(|name| name.contains(':')),
        _ => expr.children().into_iter().any(has_condition),
    }
}

/// Whether it reads anything at all: an alert that is always on has its uses.
pub(super) fn reads(expr: &Expr) -> bool {
    let mut reads = false;
    expr.walk(&mut |expr| reads |= matches!(expr.kind, ExprKind::VectorSelector(_) | ExprKind::MatrixSelector(_)));
    reads
}

/// The longest time in milliseconds for which a condition can hold without a break, where that can be told.
pub(super) fn longest(expr: &Expr) -> Option<i64> {
    match &expr.kind {
        ExprKind::Paren(inner) => longest(inner),
        ExprKind::Aggregate(aggregate) => longest(&aggregate.expr),
        ExprKind::Binary(binary) => match binary.op {
            BinaryOp::And => least(longest(&binary.lhs), longest(&binary.rhs)),
            BinaryOp::Unless => least(longest(&binary.lhs), passing(&binary.lhs, &binary.rhs)),
            BinaryOp::Or => None,
            BinaryOp::Eq if !binary.return_bool => {
                let clock = of_clock(&binary.lhs).filter(|_| is_number(&binary.rhs));
                least(
                    clock.or_else(|| of_clock(&binary.rhs).filter(|_| is_number(&binary.lhs))),
                    least(longest(&binary.lhs), longest(&binary.rhs)),
                )
            }
            // One without a partner has no result.
            _ => least(longest(&binary.lhs), longest(&binary.rhs)),
        },
        _ => None,
    }
}

fn least(a: Option<i64>, b: Option<i64>) -> Option<i64> {
    a.into_iter().chain(b).min()
}

fn is_number(expr: &Expr) -> bool {
    matches!(expr.unwrap_parens().kind, ExprKind::Number(_))
}

/// For how long a function of the clock has the same value.
fn of_clock(expr: &Expr) -> Option<i64> {
    let ExprKind::Call(call) = &expr.unwrap_parens().kind else { return None };
    match call.function.name {
        "minute" if call.args.is_empty() => Some(60_000),
        "hour" if call.args.is_empty() => Some(HOUR_MILLIS),
        "day_of_week" | "day_of_month" | "day_of_year" if call.args.is_empty() => Some(24 * HOUR_MILLIS),
        _ => None,
    }
}

/// `x unless x offset 5m` holds for the first five minutes of a series, `x offset 5m unless x` for the first after its end.
fn passing(lhs: &Expr, rhs: &Expr) -> Option<i64> {
    let (ExprKind::VectorSelector(now), ExprKind::VectorSelector(then)) = (&lhs.unwrap_parens().kind, &rhs.unwrap_parens().kind) else {
        return None;
    };
    let (from, to) = (offset(now)?, offset(then)?);
    let same = now.name == then.name && now.matchers.len() == then.matchers.len() && now.at.is_none() && then.at.is_none();
    let alike = same && then.matchers.iter().all(|matcher| now.matchers.contains(matcher));
    (alike && from != to).then(|| from.saturating_sub(to).saturating_abs())
}

fn offset(selector: &VectorSelector) -> Option<i64> {
    match &selector.offset {
        DurationArg::Millis(millis) => Some(*millis),
        DurationArg::Expr(_) => None,
    }
}
