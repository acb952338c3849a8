//! Functions between types, about absence, and about order.

use std::cmp::Ordering;

use super::super::ast::{Call, Expr, ExprKind};
use super::super::eval::Evaluator;
use super::super::eval_error::EvalError;
use super::super::select;
use super::super::statistics::{self, Direction};
use super::super::value::{ABSENT, Evaluated, Steps, Track};
use super::range::{for_each_window, matrix_argument_of};
use super::{Function, argument, text};
use crate::model::{Labels, METRIC_NAME, MatchOp, Matcher};

pub(super) const ALL: &[Function] = &[
    Function::whole("pi", |_, _, steps| Ok(Evaluated::Scalar(vec![std::f64::consts::PI; steps.count()]))),
    Function::whole("vector", |ev, call, steps| {
        let values = ev.scalar(argument(call, 0)?, steps)?;
        Ok(Evaluated::Vector(vec![Track::new(Labels::empty(), values)]))
    }),
    Function::whole("scalar", |ev, call, steps| {
        let tracks = ev.vector(argument(call, 0)?, steps)?;
        Ok(Evaluated::Scalar((0..steps.count()).map(|step| only(&tracks, step)).collect()))
    }),
    Function::whole("absent", |ev, call, steps| {
        let arg = argument(call, 0)?;
        let tracks = ev.vector(arg, steps)?;
        let present: Vec<bool> = (0..steps.count()).map(|step| tracks.iter().any(|track| track.at(step).is_some())).collect();
        Ok(absent(arg, &present))
    }),
    Function::whole("absent_over_time", |ev, call, steps| {
        let arg = matrix_argument_of(call)?;
        let mut present = vec![false; steps.count()];
        select::each_range(ev, arg, steps, &mut |_, ranges, series| {
            for_each_window(series.samples, None, ranges, steps, |step, window| {
                if let Some(present) = present.get_mut(step) {
                    *present |= !window.samples.is_empty();
                }
                Ok(())
            })
        })?;
        Ok(absent(arg, &present))
    }),
    Function::whole("sort", |ev, call, steps| sort(ev, call, steps, Direction::Ascending)),
    Function::whole("sort_desc", |ev, call, steps| sort(ev, call, steps, Direction::Descending)),
    Function::whole("sort_by_label", |ev, call, steps| sort_by_label(ev, call, steps, Direction::Ascending)),
    Function::whole("sort_by_label_desc", |ev, call, steps| sort_by_label(ev, call, steps, Direction::Descending)),
];

/// The value of the only series that is there; else NaN.
fn only(tracks: &[Track], step: usize) -> f64 {
    let mut values = tracks.iter().filter_map(|track| track.at(step));
    match (values.next(), values.next()) {
        (Some(value), None) => value,
        _ => f64::NAN,
    }
}

fn absent(arg: &Expr, present: &[bool]) -> Evaluated {
    let values: Vec<f64> = present.iter().map(|present| if *present { ABSENT } else { 1.0 }).collect();
    let track = Track::new(labels_of_the_absent(arg), values);
    Evaluated::Vector(Some(track).filter(Track::is_present).into_iter().collect())
}

/// The labels that whatever is absent would certainly have: those that a matcher asks for by value. As in Prometheus, a label is
/// dropped again by any further matcher on it, though not by one that came before.
fn labels_of_the_absent(arg: &Expr) -> Labels {
    let matchers: &[Matcher] = match &arg.unwrap_parens().kind {
        ExprKind::VectorSelector(selector) => &selector.matchers,
        ExprKind::MatrixSelector(matrix) => &matrix.selector.matchers,
        _ => &[],
    };
    let is_value = |matcher: &Matcher| matcher.op() == MatchOp::Equal;
    let certain = matchers.iter().enumerate().filter_map(|(place, wanted)| {
        let others = |one: &Matcher| one.name() == wanted.name();
        let before = matchers.iter().take(place).any(|one| others(one) && is_value(one));
        let after = matchers.iter().skip(place + 1).any(others);
        (is_value(wanted) && wanted.name() != METRIC_NAME && !before && !after).then_some(wanted)
    });
    Labels::from_pairs(certain.map(|matcher| (matcher.name(), matcher.value())))
}

/// Only an instant answer has an order.
fn sort(ev: &mut Evaluator<'_>, call: &Call, steps: Steps, direction: Direction) -> Result<Evaluated, EvalError> {
    let mut tracks = ev.vector(argument(call, 0)?, steps)?;
    if steps.count() == 1 {
        let value = |track: &Track| track.at(0).unwrap_or(f64::NAN);
        tracks.sort_by(|a, b| statistics::by_value(value(a), value(b), direction));
    }
    Ok(Evaluated::Vector(tracks))
}

fn sort_by_label(ev: &mut Evaluator<'_>, call: &Call, steps: Steps, direction: Direction) -> Result<Evaluated, EvalError> {
    let mut names = Vec::new();
    for place in 1..call.args.len() {
        names.push(text(call, place)?);
    }
    let mut tracks = ev.vector(argument(call, 0)?, steps)?;
    if steps.count() == 1 {
        tracks.sort_by(|a, b| {
            let value = |track: &Track, name: &str| track.labels.get(name).unwrap_or("").to_owned();
            let by_names = names.iter().map(|name| natural(&value(a, name), &value(b, name))).find(|order| order.is_ne());
            let order = by_names.unwrap_or_else(|| a.labels.cmp(&b.labels));
            if direction == Direction::Descending { order.reverse() } else { order }
        });
    }
    Ok(Evaluated::Vector(tracks))
}

/// The order people expect: runs of digits compare as numbers, what is between them as text.
fn natural(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a, b);
    while !a.is_empty() && !b.is_empty() {
        let ((left, a_rest), (right, b_rest)) = (run(a), run(b));
        let is_number = |text: &str| text.starts_with(|c: char| c.is_ascii_digit());
        let order = if is_number(left) && is_number(right) {
            let (l, r) = (left.trim_start_matches('0'), right.trim_start_matches('0'));
            l.len().cmp(&r.len()).then_with(|| l.cmp(r)).then_with(|| left.len().cmp(&right.len()))
        } else {
            left.cmp(right)
        };
        if order.is_ne() {
            return order;
        }
        (a, b) = (a_rest, b_rest);
    }
    a.len().cmp(&b.len())
}

/// The digits, or what is no digit, in front.
fn run(text: &str) -> (&str, &str) {
    let digits = text.starts_with(|c: char| c.is_ascii_digit());
    let end = text.find(|c: char| c.is_ascii_digit() != digits).unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_labels_sort_as_numbers() {
        assert_eq!(natural("cpu2", "cpu10"), Ordering::Less);
        assert_eq!(natural("4.10", "4.9"), Ordering::Greater);
        assert_eq!(natural("a", "a1"), Ordering::Less);
        assert_eq!(natural("a1", "a1"), Ordering::Equal);
    }
}
