//! Further runs of an instant case that have to give the same answer: pinned to its time by `@` and asked at other times,
//! and as the middle step of a range. They find what depends on the evaluation time and should not.

use sidewatch::model::Timestamp;
use sidewatch::promql::{AtModifier, Expr, ExprKind, Value, VectorSample};

/// Functions whose value depends on the evaluation time even where what they read is pinned.
const TIMED: [&str; 14] = [
    "days_in_month",
    "day_of_month",
    "day_of_week",
    "day_of_year",
    "end",
    "hour",
    "minute",
    "month",
    "year",
    "predict_linear",
    "range",
    "start",
    "step",
    "time",
];

/// The query with everything that reads samples pinned to a time, and the times at which to ask for it.
pub(crate) fn pinned(expr: &Expr, at: i64) -> Option<(Expr, Vec<i64>)> {
    let mut timed = false;
    expr.walk(&mut |expr| {
        if let ExprKind::Call(call) = &expr.kind {
            timed |= TIMED.contains(&call.function.name) || call.function.name == "timestamp";
        }
    });
    if timed {
        return None;
    }
    let mut pinned = expr.clone();
    pin(&mut pinned, AtModifier::Timestamp(Timestamp::from_millis(at)));
    let times = if at == 0 { vec![-1000, 0, 1000] } else { vec![-10 * at, 0, at / 5, at, 10 * at] };
    Some((pinned, times))
}

fn pin(expr: &mut Expr, at: AtModifier) {
    match &mut expr.kind {
        ExprKind::VectorSelector(selector) => {
            selector.at.get_or_insert(at);
        }
        ExprKind::MatrixSelector(matrix) => {
            matrix.selector.at.get_or_insert(at);
        }
        // What stands inside is evaluated at the times of the subquery, which are pinned herewith.
        ExprKind::Subquery(subquery) => {
            subquery.at.get_or_insert(at);
        }
        _ => expr.children_mut().into_iter().for_each(|child| pin(child, at)),
    }
}

/// Whether a query gives the same as the middle step of a range around its time.
pub(crate) fn has_range(text: &str) -> bool {
    !["start()", "end()", "range()", "step()"].iter().any(|call| text.contains(call))
}

/// The step of a matrix at a time, as an instant query would answer; a scalar where `like` is one.
pub(crate) fn step(matrix: &Value, at: i64, like: &Value) -> Result<Value, String> {
    let Value::Matrix(series) = matrix else { return Err("a range query without a matrix".to_owned()) };
    if series.windows(2).any(|pair| matches!(pair, [one, next] if one.labels >= next.labels)) {
        return Err("the matrix is not in order".to_owned());
    }
    let at = Timestamp::from_millis(at);
    let samples = series.iter().filter_map(|series| {
        let sample = series.samples.iter().find(|sample| sample.at == at)?;
        Some(VectorSample { labels: series.labels.clone(), at, value: sample.value })
    });
    let samples: Vec<VectorSample> = samples.collect();
    match (like, samples.as_slice()) {
        (Value::Scalar(_), [sample]) => Ok(Value::Scalar(sample.value)),
        (Value::Scalar(_), _) => Err("a scalar without a value".to_owned()),
        _ => Ok(Value::Vector(samples)),
    }
}
