//! Where Prometheus 3.x, and so the engine, answers otherwise than 2.42 does, and what neither promises.

use super::compare::Difference;

/// A cause, and whether a difference in an expression can be of it.
struct Known {
    cause: &'static str,
    fits: fn(&str, &Difference) -> bool,
}

const KNOWN: &[Known] = &[
    Known {
        cause: "2.42 keeps the metric's name under `atan2`; 3.x drops it as under every arithmetic operator",
        fits: |expression, _| expression.contains("atan2"),
    },
    Known {
        cause: "2.42 says 0 for `stddev` and `stdvar` of a single NaN or infinity; 3.x says NaN",
        fits: |expression, difference| {
            let aggregates = has(expression, &["stddev ", "stdvar "]);
            aggregates && difference.values.is_none_or(|(ours, theirs)| ours.is_nan() || theirs == 0.0 || expression.contains("count"))
        },
    },
    Known {
        cause: "2.42 extends a counter that begins in a range to zero, however far that is; 3.x by half an interval at most",
        fits: |expression, _| has(expression, &["rate(", "increase("]) && has(expression, &["born_total", ":]", "s:", "m:"]),
    },
    Known {
        cause: "2.42 moves the range of `predict_linear(x[5m] @ t, …)` with the steps of a range query (prometheus#11708)",
        fits: |expression, _| expression.contains("predict_linear(") && expression.contains('@'),
    },
    Known {
        cause: "Prometheus forgets the offset in `timestamp(x offset o @ t)`",
        fits: |expression, _| has(expression, &["timestamp("]) && has(expression, &["offset"]) && expression.contains('@'),
    },
    Known {
        cause: "`topk` and `bottomk` do not say which of several equal values they take",
        fits: |expression, difference| difference.values.is_none() && has(expression, &["topk", "bottomk"]),
    },
    Known {
        cause: "`count_values` makes labels of values, of which the last digit may differ",
        fits: |expression, difference| difference.values.is_none() && expression.contains("count_values"),
    },
    Known {
        cause: "2.42 adds groups up that differ in a label, rarely, in a range query of `count_values by (…)`",
        fits: |expression, difference| difference.values.is_some() && expression.contains("count_values by"),
    },
    Known {
        cause: "2.42 refuses many-to-one matches of a comparison only where it keeps them; 3.x always",
        fits: |expression, difference| difference.said.starts_with("error \"multiple matches") && has(expression, COMPARISONS),
    },
    Known {
        cause: LAST_DIGIT,
        fits: |expression, difference| {
            let flips = difference.values.is_none_or(|(ours, theirs)| ours + theirs == 1.0 && ours * theirs == 0.0);
            let compares = flips && has(expression, COMPARISONS);
            let magnifies =
                difference.values.is_some() && has(expression, &["sin(", "cos(", "tan(", "floor", "ceil", "round", "sgn", " % "]);
            let at_an_edge = difference.values.is_some() && expression.contains("histogram_quantile");
            let cancels = difference.values.is_some() && has(expression, &["stddev", "stdvar", " - "]);
            compares || magnifies || at_an_edge || cancels
        },
    },
];

const COMPARISONS: &[&str] = &[" == ", " != ", " < ", " > ", " <= ", " >= "];

/// Rare: one in so many queries at most may differ for this cause.
pub(super) const LAST_DIGIT: &str = "the last digit decides: a comparison of equal numbers, the edge of a bucket, rounding, the variance of what is all but equal, the sine of what is huge";
pub(super) const LAST_DIGIT_ONE_IN: u64 = 1_000;

fn has(expression: &str, parts: &[&str]) -> bool {
    parts.iter().any(|part| expression.contains(part))
}

/// The cause of a difference, where it is a known one.
pub(super) fn cause(expression: &str, difference: &Difference) -> Option<&'static str> {
    KNOWN.iter().find(|known| (known.fits)(expression, difference)).map(|known| known.cause)
}
