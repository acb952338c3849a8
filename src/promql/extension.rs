//! Extended range selectors: `anchored` takes the last sample before a range as its start, `smoothed` interpolates between
//! the samples around its edges. Nothing is extrapolated.
//! Source: prometheus/prometheus `promql/functions.go` (extendedRate) and `promql/engine.go` (extendFloats, smoothSeries).

use crate::model::{Sample, Timestamp};

use super::ast::{Call, ExprKind, Extension, VectorSelector};
use super::eval::Evaluator;
use super::eval_error::EvalError;
use super::functions::Window;
use super::select::{Read, duration, each_window, without_stale};
use super::value::{ABSENT, Steps, Track};

/// The functions that know what to do with samples beyond the range.
const ANCHORED: [&str; 5] = ["changes", "delta", "increase", "rate", "resets"];
const SMOOTHED: [&str; 3] = ["delta", "increase", "rate"];

/// Refuses the modifiers where a function does not know them.
pub(super) fn check_function(call: &Call) -> Result<(), EvalError> {
    let name = call.function.name;
    for arg in &call.args {
        let ExprKind::MatrixSelector(matrix) = &arg.unwrap_parens().kind else { continue };
        let Some(extension) = matrix.selector.extension else { continue };
        let allowed: &[&str] = if extension == Extension::Anchored { &ANCHORED } else { &SMOOTHED };
        if !allowed.contains(&name) {
            let list = allowed.join(", ");
            let modifier = extension.as_str();
            return Err(EvalError::InvalidArgument(format!("{modifier} modifier can only be used with: {list} - not with {name}")));
        }
    }
    Ok(())
}

/// The samples of a range with what stands at its edges.
struct Edges<'a> {
    left: f64,
    right: f64,
    /// Those within the range, without any on its edges.
    inside: &'a [Sample],
}

/// Whose samples fell to a lower value is a counter that was reset, if it is one.
struct Interpolation {
    is_counter: bool,
    is_left: bool,
}

impl Interpolation {
    fn between(&self, one: &Sample, next: &Sample, at: i64) -> f64 {
        let (mut low, mut high) = (one.value, next.value);
        if self.is_counter && high < low {
            if self.is_left { low = 0.0 } else { high += low }
        }
        let (from, to) = (one.at.as_millis(), next.at.as_millis());
        low + (high - low) * (at - from) as f64 / (to - from) as f64
    }
}

/// `samples` reach beyond the range. Nothing where none of them is after its start.
fn edges<'a>(samples: &'a [Sample], after: i64, until: i64, extension: Extension, is_counter: bool) -> Option<Edges<'a>> {
    let smoothed = extension == Extension::Smoothed;
    let (newest, older) = samples.split_last()?;
    let time = |sample: &Sample| sample.at.as_millis();
    let mut first = older.partition_point(|sample| time(sample) <= after).saturating_sub(1);
    let end = if smoothed { older.partition_point(|sample| time(sample) < until) } else { older.len() };
    let last = samples.get(end).unwrap_or(newest);
    if time(last) <= after {
        return None;
    }
    let start = samples.get(first)?;
    let left = match samples.get(first + 1) {
        Some(next) if smoothed && time(start) < after => Interpolation { is_counter, is_left: true }.between(start, next, after),
        _ => start.value,
    };
    let right = match end.checked_sub(1).and_then(|before| samples.get(before)) {
        Some(before) if smoothed && time(last) > until => Interpolation { is_counter, is_left: false }.between(before, last, until),
        _ => last.value,
    };
    if time(start) <= after {
        first += 1;
    }
    let past = if time(last) >= until { end } else { end + 1 };
    Some(Edges { left, right, inside: samples.get(first..past).unwrap_or(&[]) })
}

/// The change over a range.
pub(super) fn change(window: &Window<'_>, extension: Extension, is_counter: bool) -> Option<f64> {
    let Edges { left, right, inside } = edges(window.samples, window.after, window.until, extension, is_counter)?;
    let mut change = right - left;
    if is_counter {
        let mut before = left;
        for value in inside.iter().map(|sample| sample.value).chain([right]) {
            if value < before {
                change += before;
            }
            before = value;
        }
    }
    Some(change)
}

/// The samples that `changes` and `resets` compare: from the one that stands at the start of the range.
pub(super) fn compared<'a>(window: &Window<'a>) -> Option<&'a [Sample]> {
    if window.extension.is_none() {
        return Some(window.samples);
    }
    let (newest, older) = window.samples.split_last()?;
    let first = older.partition_point(|sample| sample.at.as_millis() <= window.after).saturating_sub(1);
    window.samples.get(first..).filter(|_| newest.at.as_millis() > window.after)
}

/// A range by itself: its samples, and one at either edge.
pub(super) fn extended(samples: &[Sample], after: i64, until: i64, extension: Extension) -> Vec<Sample> {
    let Some(Edges { left, right, inside }) = edges(samples, after, until, extension, false) else { return Vec::new() };
    let at = |at, value| Sample { at: Timestamp::from_millis(at), value };
    [at(after, left)].into_iter().chain(inside.iter().copied()).chain([at(until, right)]).collect()
}

/// An instant selector with `smoothed`: at each step the value between the samples before and after it that are no further
/// away than the lookback; the one before it where there is none after it.
pub(super) fn smoothed(ev: &mut Evaluator<'_>, selector: &VectorSelector, steps: Steps) -> Result<Vec<Track>, EvalError> {
    let offset = duration(&selector.offset, ev.times)?;
    let fixed = ev.at(selector.at);
    let look = move |at: i64| fixed.unwrap_or(at).saturating_sub(offset);
    let lookback = ev.config.lookback.as_millis();
    let after = Timestamp::from_millis(look(steps.first()).saturating_sub(lookback));
    let until = Timestamp::from_millis(look(steps.last()).saturating_add(lookback));
    let (mut tracks, mut room) = (Vec::new(), Vec::new());
    each_window(ev, Read::All, &selector.matchers, after, until, &mut |ev, labels, samples| {
        let samples = without_stale(samples, &mut room);
        let values = steps.times().map(look).map(|at| value_at(samples, at, lookback)).collect();
        let track = Track::new(labels.clone(), values);
        if track.is_present() {
            ev.hold(steps.count())?;
            tracks.push(track);
        }
        Ok(())
    })?;
    Ok(tracks)
}

fn value_at(samples: &[Sample], at: i64, lookback: i64) -> f64 {
    let next = samples.partition_point(|sample| sample.at.as_millis() < at);
    let near = |sample: &&Sample| (at.saturating_sub(lookback) + 1..=at.saturating_add(lookback)).contains(&sample.at.as_millis());
    let before = next.checked_sub(1).and_then(|before| samples.get(before)).filter(near);
    match (before, samples.get(next).filter(near)) {
        (_, Some(exact)) if exact.at.as_millis() == at => exact.value,
        (Some(before), Some(after)) => Interpolation { is_counter: false, is_left: false }.between(before, after, at),
        (Some(before), None) => before.value,
        (None, _) => ABSENT,
    }
}
