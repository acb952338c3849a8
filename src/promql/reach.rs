//! How far back a query looks from the time at which it is evaluated.

use super::ast::{AtModifier, DurationArg, Expr, ExprKind};
use super::engine::EngineConfig;
use super::eval::QueryTimes;
use super::select::duration;
use super::span::Span;

/// Milliseconds before its time of the oldest sample that an instant query may see. What it sees by `@` at a time of its own does not
/// count: that moves further away whatever is kept.
#[must_use]
pub fn reach_millis(expr: &Expr, config: &EngineConfig) -> i64 {
    reach_place(expr, config).0
}

/// The same, and the selector that looks back so far.
#[must_use]
pub fn reach_place(expr: &Expr, config: &EngineConfig) -> (i64, Span) {
    reach(expr, config, 0)
}

/// The same, for an expression that is evaluated `back` before the query's time.
fn reach(expr: &Expr, config: &EngineConfig, back: i64) -> (i64, Span) {
    let lookback = config.lookback.as_millis();
    let (selector, range) = match &expr.kind {
        ExprKind::VectorSelector(selector) => (selector, lookback),
        ExprKind::MatrixSelector(matrix) => {
            let beyond = if matrix.selector.extension.is_some() { lookback } else { 0 };
            (&matrix.selector, millis(&matrix.range).saturating_add(beyond))
        }
        ExprKind::Subquery(subquery) => {
            let Some(from) = from(subquery.at, back) else { return (0, expr.span) };
            let oldest = from.saturating_add(millis(&subquery.offset)).saturating_add(millis(&subquery.range));
            let (inner, within) = reach(&subquery.expr, config, oldest);
            // What looks further back than what is in it, by itself.
            let span = if oldest.saturating_sub(from) > inner.saturating_sub(oldest) { expr.span } else { within };
            return (inner, span);
        }
        _ => {
            let below = expr.children().into_iter().map(|child| reach(child, config, back));
            return below.reduce(|one, other| if other.0 > one.0 { other } else { one }).unwrap_or((0, expr.span));
        }
    };
    (from(selector.at, back).map_or(0, |from| from.saturating_add(millis(&selector.offset)).saturating_add(range)), expr.span)
}

/// How long before the query's time a selector's own is; `None` where it is fixed.
const fn from(at: Option<AtModifier>, back: i64) -> Option<i64> {
    match at {
        None => Some(back),
        Some(AtModifier::Start | AtModifier::End) => Some(0),
        Some(AtModifier::Timestamp(_)) => None,
    }
}

/// A duration of an instant query; nothing where it has none, since that fails when it is evaluated.
fn millis(arg: &DurationArg) -> i64 {
    duration(arg, QueryTimes { start: 0, end: 0, step: 0 }).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;

    #[test]
    fn ranges_offsets_and_subqueries_add_up_and_the_longest_counts() {
        for (query, minutes) in [
            ("1", 0),
            ("up", 5),
            ("up offset 1h", 65),
            ("up offset -2m", 3),
            ("rate(a_total[10m])", 10),
            ("rate(a_total[10m] offset 1h)", 70),
            ("max_over_time(rate(a_total[10m])[1h:1m])", 70),
            ("max_over_time((up offset 1d)[1h:1m] offset 1h)", 1440 + 125),
            ("sum(rate(a_total[1h])) > on() group_left up offset 1d", 1445),
            ("topk(scalar(sum(rate(a_total[3h]))), up)", 180),
            ("up @ 17", 0),
            ("max_over_time((rate(a_total[10m] @ end()))[1h:1m])", 10),
            ("rate(a_total[1h + 30m])", 90),
        ] {
            assert_eq!(reach_millis(&parse(query).expect(query), &EngineConfig::default()), minutes * 60_000, "{query}");
        }
    }

    #[test]
    fn the_place_is_of_the_selector_that_looks_furthest() {
        for (query, place) in [
            ("up > avg_over_time(up[1h]) + (up offset 1d)", "up offset 1d"),
            ("max_over_time(rate(a_total[10m])[1h:1m])", "rate(a_total[10m])[1h:1m]"),
            ("max_over_time(rate(a_total[3h])[1h:1m])", "a_total[3h]"),
        ] {
            let span = reach_place(&parse(query).expect(query), &EngineConfig::default()).1;
            let bytes = usize::try_from(span.start).expect("it fits")..usize::try_from(span.end).expect("it fits");
            assert_eq!(&query[bytes], place);
        }
    }
}
