//! Checks types and what else a grammar cannot say. The order of the checks is Prometheus's, because the first mistake
//! found is the one reported.

use crate::model::METRIC_NAME;

use super::ast::{AggregateOp, Binary, Call, Cardinality, Expr, ExprKind, Fill, ValueType, VectorSelector};
use super::error::Problem;
use super::quote::quote;
use super::signature::Variadic;
use super::span::Span;

type Result<T> = std::result::Result<T, Problem>;

fn fail<T>(span: Span, message: impl Into<String>) -> Result<T> {
    Err(Problem::new(span, message))
}

/// Checks an expression, and completes how its vectors match: set operators match many to many, and only two vectors
/// match at all.
pub(super) fn check(expr: &mut Expr, query: &str) -> Result<ValueType> {
    let span = expr.span;
    match &mut expr.kind {
        ExprKind::Number(_) | ExprKind::String(_) => {}
        ExprKind::VectorSelector(selector) => check_selector(selector, span, false)?,
        ExprKind::MatrixSelector(matrix) => check_selector(&matrix.selector, span, false)?,
        ExprKind::Paren(inner) => return check(inner, query),
        ExprKind::Subquery(subquery) => match check(&mut subquery.expr, query)? {
            ValueType::Vector => {}
            other => return fail(span, format!("subquery is only allowed on instant vector, got {} instead", internal_name(other))),
        },
        ExprKind::Unary(unary) => match check(&mut unary.expr, query)? {
            ValueType::Scalar | ValueType::Vector => {}
            other => {
                let got = quote(other.describe());
                return fail(span, format!("unary expression only allowed on expressions of type scalar or instant vector, got {got}"));
            }
        },
        ExprKind::Aggregate(aggregate) => {
            expect(&mut aggregate.expr, ValueType::Vector, "aggregation expression", query)?;
            let wanted = AggregateOp::param(aggregate.op);
            if let (Some(param), Some(wanted)) = (&mut aggregate.param, wanted) {
                expect(param, wanted, "aggregation parameter", query)?;
            }
        }
        ExprKind::Call(call) => check_call(call, span, query)?,
        ExprKind::Binary(binary) => check_binary(binary, span, query)?,
    }
    Ok(expr.value_type())
}

/// Prometheus's other name of a type, which it uses in one message.
const fn internal_name(value_type: ValueType) -> &'static str {
    match value_type {
        ValueType::Scalar => "scalar",
        ValueType::String => "string",
        ValueType::Vector => "vector",
        ValueType::Matrix => "matrix",
    }
}

fn expect(expr: &mut Expr, wanted: ValueType, context: &str, query: &str) -> Result<()> {
    let got = check(expr, query)?;
    if got == wanted {
        return Ok(());
    }
    fail(expr.span, format!("expected type {} in {context}, got {}", wanted.describe(), got.describe()))
}

fn check_selector(selector: &VectorSelector, span: Span, may_match_all: bool) -> Result<()> {
    if let Some(name) = &selector.name {
        // The last condition is the one that the name in front of the braces made.
        let others = selector.matchers.split_last().map_or(&[][..], |(_, others)| others);
        return match others.iter().find(|matcher| matcher.name() == METRIC_NAME) {
            Some(other) => fail(span, format!("metric name must not be set twice: {} or {}", quote(name), quote(other.value()))),
            None => Ok(()),
        };
    }
    if may_match_all || selector.matchers.iter().any(|matcher| !matcher.matches("")) {
        return Ok(());
    }
    fail(span, "vector selector must contain at least one non-empty matcher")
}

fn check_call(call: &mut Call, span: Span, query: &str) -> Result<()> {
    let (function, given) = (call.function, call.args.len());
    let (name, listed) = (quote(function.name), function.args.len());
    let least = listed.saturating_sub(1);
    match function.variadic {
        Variadic::No if given != listed => {
            return fail(span, format!("expected {listed} argument(s) in call to {name}, got {given}"));
        }
        Variadic::UpTo(_) | Variadic::Unlimited if given < least => {
            return fail(span, format!("expected at least {least} argument(s) in call to {name}, got {given}"));
        }
        Variadic::UpTo(more) if given > least + more => {
            return fail(span, format!("expected at most {} argument(s) in call to {name}, got {given}", least + more));
        }
        _ => {}
    }
    let context = format!("call to function {name}");
    // info() takes a selector not to select series by it, but to choose labels.
    let labels_at = if function.name == "info" { 1 } else { usize::MAX };
    if let Some(labels) = call.args.get(labels_at) {
        check_info_labels(labels, &context, span)?;
    }
    for (index, arg) in call.args.iter_mut().enumerate().filter(|(index, _)| *index != labels_at) {
        if let Some(wanted) = function.args.get(index).or(function.args.last()) {
            expect(arg, *wanted, &context, query)?;
        }
    }
    Ok(())
}

fn check_info_labels(arg: &Expr, context: &str, call: Span) -> Result<()> {
    let got = arg.value_type();
    match &arg.kind {
        _ if got != ValueType::Vector => {
            fail(call, format!("expected type {} in {context}, got {}", ValueType::Vector.describe(), got.describe()))
        }
        ExprKind::VectorSelector(selector) if selector.name.is_some() => {
            fail(arg.span, "expected label selectors only, got vector selector instead")
        }
        ExprKind::VectorSelector(selector) => check_selector(selector, arg.span, true),
        _ => fail(arg.span, "expected label selectors only"),
    }
}

fn check_binary(binary: &mut Binary, span: Span, query: &str) -> Result<()> {
    let left = check(&mut binary.lhs, query)?;
    let right = check(&mut binary.rhs, query)?;
    let op = binary.op;
    let operator = || operator_span(&binary.lhs, &binary.rhs, query);
    if binary.return_bool && !op.is_comparison() {
        return fail(operator(), "bool modifier can only be used on comparison operators");
    }
    if op.is_comparison() && !binary.return_bool && (left, right) == (ValueType::Scalar, ValueType::Scalar) {
        return fail(operator(), "comparisons between scalars must use BOOL modifier");
    }
    let mut matching = binary.matching.take().unwrap_or_default();
    if op.is_set() && matching.cardinality == Cardinality::OneToOne {
        matching.cardinality = Cardinality::ManyToMany;
    }
    if let Some(label) = matching.labels.iter().find(|label| matching.on && matching.include.contains(label)) {
        return fail(operator(), format!("label {} must not occur in ON and GROUP clause at once", quote(label)));
    }
    for (side, value_type) in [(&binary.lhs, left), (&binary.rhs, right)] {
        if !matches!(value_type, ValueType::Scalar | ValueType::Vector) {
            return fail(side.span, "binary expression must contain only scalar and instant vector types");
        }
    }
    let fills = matching.fill != Fill::default();
    if (left, right) != (ValueType::Vector, ValueType::Vector) {
        if !matching.labels.is_empty() {
            return fail(span, "vector matching only allowed between instant vectors");
        }
        if fills {
            return fail(span, "filling in missing series only allowed between instant vectors");
        }
        if op.is_set() {
            let op = quote(op.as_str());
            return fail(span, format!("set operator {op} not allowed in binary scalar expression"));
        }
        return Ok(());
    }
    if op.is_set() {
        if matching.cardinality != Cardinality::ManyToMany {
            return fail(span, format!("no grouping allowed for {} operation", quote(op.as_str())));
        }
        if fills {
            return fail(span, "filling in missing series not allowed for set operators");
        }
    }
    binary.matching = Some(matching);
    Ok(())
}

/// The operator with its modifiers: what stands between the operands.
fn operator_span(lhs: &Expr, rhs: &Expr, query: &str) -> Span {
    let between = Span::new(lhs.span.end, rhs.span.start);
    let text = between.text(query);
    let ends = |kept: &str| u32::try_from(text.len() - kept.len()).unwrap_or(0);
    Span::new(between.start + ends(text.trim_start()), between.end - ends(text.trim_end()))
}
