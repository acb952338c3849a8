//! Series one by one, for whoever makes one value of many: they never are in memory all at once, and what is not asked for, as the
//! labels of each without its name, is not made.

use super::ast::{Expr, ExprKind, Extension};
use super::eval::{Evaluator, is_step_invariant};
use super::eval_error::EvalError;
use super::value::{Steps, Track};
use super::{functions, naming, select};
use crate::model::Labels;

/// What becomes of a series' name, type and unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Name {
    /// It is the series' own.
    Kept,
    /// It has gone, though the labels still have it.
    Gone,
    /// It goes when the query ends.
    Going,
}

/// A series that is handed on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Passing<'a> {
    pub(super) labels: &'a Labels,
    pub(super) name: Name,
    /// As many as there are steps; at least one is there.
    pub(super) values: &'a [f64],
}

impl<'a> Passing<'a> {
    /// A series that is there as a whole.
    pub(super) fn of(track: &'a Track) -> Self {
        let name = if track.drop_name { Name::Going } else { Name::Kept };
        Self { labels: &track.labels, name, values: &track.values }
    }

    /// The labels that count.
    pub(super) fn labels(self) -> impl Iterator<Item = (&'a str, &'a str)> + Clone {
        let gone = self.name == Name::Gone;
        self.labels.iter().filter(move |(name, _)| !(gone && naming::is_metadata(name)))
    }

    /// The series to be kept.
    pub(super) fn to_track(self) -> Track {
        let labels = if self.name == Name::Gone { naming::without_metadata(self.labels) } else { self.labels.clone() };
        Track { labels, drop_name: self.name == Name::Going, values: self.values.to_vec() }
    }
}

/// Sees a series.
pub(super) type See<'s> = &'s mut dyn FnMut(&mut Evaluator<'_>, Passing<'_>) -> Result<(), EvalError>;

/// Whether the series of an instant vector are handed on as they are read, without being in memory together.
pub(super) fn is_passing(expr: &Expr, steps: Steps) -> bool {
    let inner = expr.unwrap_parens();
    let is_once = steps.count() > 1 && is_step_invariant(inner);
    match &inner.kind {
        ExprKind::VectorSelector(selector) => !is_once && selector.extension != Some(Extension::Smoothed),
        ExprKind::Call(call) => !is_once && functions::over_ranges(call.function.name).is_some(),
        _ => false,
    }
}

/// Hands on the series of an instant vector.
pub(super) fn each_series(ev: &mut Evaluator<'_>, expr: &Expr, steps: Steps, see: See<'_>) -> Result<(), EvalError> {
    match &expr.unwrap_parens().kind {
        ExprKind::VectorSelector(selector) if is_passing(expr, steps) => {
            return select::each_instant(ev, selector, steps, |sample| sample.value, see);
        }
        ExprKind::Call(call) if is_passing(expr, steps) => {
            if let Some(function) = functions::over_ranges(call.function.name) {
                return functions::each_over_range(ev, call, steps, function, see);
            }
        }
        _ => {}
    }
    let tracks = ev.vector(expr, steps)?;
    for track in &tracks {
        see(ev, Passing::of(track))?;
    }
    ev.release(tracks.len().saturating_mul(steps.count()));
    Ok(())
}
