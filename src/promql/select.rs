//! Selectors: each reads history once, for all steps.

use std::ops::ControlFlow;

use crate::model::{Labels, Matcher, Sample, Timestamp, is_stale};

use super::ast::BinaryOp;
use super::ast::{DurationArg, DurationExpr, DurationKind, Expr, ExprKind, MatrixSelector, Subquery, VectorSelector};
use super::eval::{Evaluator, QueryTimes};
use super::eval_error::EvalError;
use super::stream::{Name, Passing, See};
use super::value::{ABSENT, Evaluated, RangeSeries, RangeView, Ranges, Steps, Track, is_absent};

/// The value of each series at each step: the newest sample that is younger than the lookback, unless it is a stale
/// marker. `pick` says what of that sample is wanted.
pub(super) fn instant(
    ev: &mut Evaluator<'_>,
    selector: &VectorSelector,
    steps: Steps,
    pick: impl Fn(&Sample) -> f64,
) -> Result<Vec<Track>, EvalError> {
    let mut tracks = Vec::new();
    each_instant(ev, selector, steps, pick, &mut |ev, series| {
        ev.hold(steps.count())?;
        tracks.push(series.to_track());
        Ok(())
    })?;
    Ok(tracks)
}

/// As [`instant`], a series at a time.
pub(super) fn each_instant(
    ev: &mut Evaluator<'_>,
    selector: &VectorSelector,
    steps: Steps,
    pick: impl Fn(&Sample) -> f64,
    see: See<'_>,
) -> Result<(), EvalError> {
    let offset = duration(&selector.offset, ev.times)?;
    let fixed = ev.at(selector.at);
    let look = move |at: i64| fixed.unwrap_or(at).saturating_sub(offset);
    let lookback = ev.config.lookback.as_millis();
    let (first, last) = (look(steps.first()), look(steps.last()));
    let read = if first == last { Read::Newest } else { Read::All };

    let (after, until) = (Timestamp::from_millis(first.saturating_sub(lookback)), Timestamp::from_millis(last));
    let mut values = Vec::with_capacity(steps.count());
    each_window(ev, read, &selector.matchers, after, until, &mut |ev, labels, samples| {
        values.clear();
        let mut rest = samples;
        let mut newest: Option<&Sample> = None;
        for until in steps.times().map(look) {
            while let Some((sample, further)) = rest.split_first().filter(|(sample, _)| sample.at.as_millis() <= until) {
                newest = Some(sample);
                rest = further;
            }
            let seen = newest.filter(|sample| sample.at.as_millis() > until.saturating_sub(lookback) && !is_stale(sample.value));
            values.push(seen.map_or(ABSENT, &pick));
        }
        if values.iter().all(|value| is_absent(*value)) {
            return Ok(());
        }
        see(ev, Passing { labels, name: Name::Kept, values: &values })
    })
}

/// Which samples are read of a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Read {
    All,
    Newest,
}

/// Looks at a series and its samples.
pub(super) type Look<'l> = &'l mut dyn FnMut(&mut Evaluator<'_>, &Labels, &[Sample]) -> Result<(), EvalError>;

/// Hands on what history has a series at a time, whose samples are held meanwhile and no longer.
pub(super) fn each_window(
    ev: &mut Evaluator<'_>,
    read: Read,
    matchers: &[Matcher],
    after: Timestamp,
    until: Timestamp,
    visit: Look<'_>,
) -> Result<(), EvalError> {
    let source = ev.source;
    let mut seen = Ok(());
    let mut see = |labels: &Labels, samples: &[Sample]| {
        seen = ev.hold(samples.len()).and_then(|()| visit(ev, labels, samples));
        ev.release(samples.len());
        if seen.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    };
    match read {
        Read::All => source.visit(matchers, after, until, &mut see)?,
        Read::Newest => source.visit_newest(matchers, after, until, &mut see)?,
    }
    seen
}

/// Samples without stale markers; where there are some, the others are put into `room`.
pub(super) fn without_stale<'s>(samples: &'s [Sample], room: &'s mut Vec<Sample>) -> &'s [Sample] {
    // Nearly always there are none, which is seen faster without stopping at the first one.
    if !samples.iter().fold(false, |any, sample| any | is_stale(sample.value)) {
        return samples;
    }
    room.clear();
    room.extend(samples.iter().filter(|sample| !is_stale(sample.value)));
    room
}

/// Which part of its samples each step of a range selector sees.
fn shape(ev: &Evaluator<'_>, matrix: &MatrixSelector) -> Result<Ranges, EvalError> {
    Ok(Ranges {
        series: Vec::new(),
        range: range(&matrix.range, ev.times)?,
        offset: duration(&matrix.selector.offset, ev.times)?,
        fixed: ev.at(matrix.selector.at),
        extension: matrix.selector.extension.map(|extension| (extension, ev.config.lookback.as_millis())),
    })
}

/// Hands on the samples of a range selector over all steps, without stale markers, a series at a time.
fn each_series(ev: &mut Evaluator<'_>, matrix: &MatrixSelector, ranges: &Ranges, steps: Steps, visit: Visit<'_>) -> Result<(), EvalError> {
    let (after, _) = ranges.reach(steps.first());
    let (_, until) = ranges.reach(steps.last());
    let (after, until) = (Timestamp::from_millis(after), Timestamp::from_millis(until));
    let mut room = Vec::new();
    each_window(ev, Read::All, &matrix.selector.matchers, after, until, &mut |ev, labels, samples| {
        let samples = without_stale(samples, &mut room);
        visit(ev, ranges, RangeView { labels, drop_name: false, samples })
    })
}

/// The samples of a range selector over all steps.
pub(super) fn ranges(ev: &mut Evaluator<'_>, matrix: &MatrixSelector, steps: Steps) -> Result<Ranges, EvalError> {
    let mut ranges = shape(ev, matrix)?;
    let mut all = Vec::new();
    each_series(ev, matrix, &ranges, steps, &mut |ev, _, series| {
        // These stay, and have been looked at against the limit.
        ev.held = ev.held.saturating_add(series.samples.len());
        all.push(RangeSeries { labels: series.labels.clone(), drop_name: false, samples: series.samples.to_vec() });
        Ok(())
    })?;
    ranges.series = all;
    Ok(ranges)
}

/// Sees one series of a range vector.
pub(super) type Visit<'v> = &'v mut dyn FnMut(&mut Evaluator<'_>, &Ranges, RangeView<'_>) -> Result<(), EvalError>;

/// Hands on the series of a range vector one by one: those of a selector never are in memory all at once. Answers what they had in
/// common.
pub(super) fn each_range(ev: &mut Evaluator<'_>, expr: &Expr, steps: Steps, visit: Visit<'_>) -> Result<Ranges, EvalError> {
    if let ExprKind::MatrixSelector(matrix) = &expr.unwrap_parens().kind {
        let ranges = shape(ev, matrix)?;
        each_series(ev, matrix, &ranges, steps, visit)?;
        return Ok(ranges);
    }
    let mut ranges = ev.ranges(expr, steps)?;
    for series in std::mem::take(&mut ranges.series) {
        let RangeSeries { labels, drop_name, samples } = &series;
        visit(ev, &ranges, RangeView { labels, drop_name: *drop_name, samples })?;
        ev.release(samples.len());
    }
    Ok(ranges)
}

/// An instant expression over a range: evaluated once at all the times that any step sees.
pub(super) fn subquery(ev: &mut Evaluator<'_>, subquery: &Subquery, steps: Steps) -> Result<Ranges, EvalError> {
    let mut ranges = Ranges {
        series: Vec::new(),
        range: range(&subquery.range, ev.times)?,
        offset: duration(&subquery.offset, ev.times)?,
        fixed: ev.at(subquery.at),
        extension: None,
    };
    let interval = match &subquery.step {
        Some(step) => range(step, ev.times)?,
        None => ev.config.subquery_step.as_millis().max(1),
    };
    let (after, _) = ranges.bounds(steps.first());
    let (_, until) = ranges.bounds(steps.last());
    // Steps are multiples of the interval, whatever the query's times are; the range is open on the left.
    let mut first = after / interval * interval;
    if first <= after {
        first = first.saturating_add(interval);
    }
    let inner = Steps::between(first, until, interval);
    if inner.count() == 0 {
        return Ok(ranges);
    }
    ev.hold(inner.count())?;
    let Evaluated::Vector(tracks) = eval_as_vector(ev, subquery, inner)? else { return Ok(ranges) };
    for track in tracks {
        let present = track.values.iter().zip(inner.times()).filter(|(value, _)| !is_absent(**value));
        let samples: Vec<Sample> = present.map(|(value, at)| Sample { at: Timestamp::from_millis(at), value: *value }).collect();
        if !samples.is_empty() {
            ranges.series.push(RangeSeries { labels: track.labels, drop_name: track.drop_name, samples });
        }
    }
    ev.release(inner.count());
    Ok(ranges)
}

/// A scalar counts as one series without labels.
fn eval_as_vector(ev: &mut Evaluator<'_>, subquery: &Subquery, steps: Steps) -> Result<Evaluated, EvalError> {
    match ev.eval(&subquery.expr, steps)? {
        Evaluated::Scalar(values) => Ok(Evaluated::Vector(vec![Track::new(Labels::empty(), values)])),
        other => Ok(other),
    }
}

/// A length of time, which has to be positive.
fn range(arg: &DurationArg, times: QueryTimes) -> Result<i64, EvalError> {
    match duration(arg, times)? {
        millis if millis > 0 => Ok(millis),
        _ => Err(EvalError::InvalidArgument("duration must be greater than 0".to_owned())),
    }
}

/// Milliseconds of a duration, worked out if need be.
pub(super) fn duration(arg: &DurationArg, times: QueryTimes) -> Result<i64, EvalError> {
    match arg {
        DurationArg::Millis(millis) => Ok(*millis),
        DurationArg::Expr(expr) => {
            let millis = seconds(expr, times)? * 1e3;
            // 2^63 ns is the longest duration of Prometheus.
            if millis.is_nan() || millis.abs() > 9_223_372_036_854.0 {
                return Err(EvalError::InvalidArgument("duration out of range".to_owned()));
            }
            #[allow(clippy::cast_possible_truncation)] // within bounds by the check above; parts of a millisecond are dropped
            Ok(millis as i64)
        }
    }
}

fn seconds(expr: &DurationExpr, times: QueryTimes) -> Result<f64, EvalError> {
    Ok(match &expr.kind {
        DurationKind::Number(number) => number.value,
        DurationKind::Step => times.step as f64 / 1e3,
        DurationKind::Range => times.end.saturating_sub(times.start) as f64 / 1e3,
        DurationKind::Min(a, b) => seconds(a, times)?.min(seconds(b, times)?),
        DurationKind::Max(a, b) => seconds(a, times)?.max(seconds(b, times)?),
        DurationKind::Negate(inner) => -seconds(inner, times)?,
        DurationKind::Paren(inner) => seconds(inner, times)?,
        DurationKind::Binary(op, a, b) => {
            let (a, b) = (seconds(a, times)?, seconds(b, times)?);
            match op {
                BinaryOp::Add => a + b,
                BinaryOp::Sub => a - b,
                BinaryOp::Mul => a * b,
                BinaryOp::Div if b == 0.0 => return Err(EvalError::InvalidArgument("division by zero".to_owned())),
                BinaryOp::Div => a / b,
                BinaryOp::Mod if b == 0.0 => return Err(EvalError::InvalidArgument("modulo by zero".to_owned())),
                BinaryOp::Mod => a % b,
                BinaryOp::Pow => a.powf(b),
                _ => return Err(EvalError::Unsupported(format!("the operator {} between durations", op.as_str()))),
            }
        }
    })
}
