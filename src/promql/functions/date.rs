//! The calendar, in UTC, and the query's own times.

use jiff::civil::DateTime;
use jiff::tz::Offset;

use super::super::ast::{Call, Expr, ExprKind};
use super::super::eval::Evaluator;
use super::super::eval_error::EvalError;
use super::super::naming;
use super::super::select;
use super::super::value::{Evaluated, Steps, Track};
use super::{Function, argument};
use crate::model::{Labels, Sample};

pub(super) const ALL: &[Function] = &[
    Function::whole("days_in_month", |ev, call, steps| calendar(ev, call, steps, |date| date.days_in_month().into())),
    Function::whole("day_of_month", |ev, call, steps| calendar(ev, call, steps, |date| date.day().into())),
    Function::whole("day_of_week", |ev, call, steps| calendar(ev, call, steps, |date| date.weekday().to_sunday_zero_offset().into())),
    Function::whole("day_of_year", |ev, call, steps| calendar(ev, call, steps, |date| date.day_of_year().into())),
    Function::whole("hour", |ev, call, steps| calendar(ev, call, steps, |date| date.hour().into())),
    Function::whole("minute", |ev, call, steps| calendar(ev, call, steps, |date| date.minute().into())),
    Function::whole("month", |ev, call, steps| calendar(ev, call, steps, |date| date.month().into())),
    Function::whole("year", |ev, call, steps| calendar(ev, call, steps, |date| date.year().into())),
    Function::whole("time", |_, _, steps| Ok(Evaluated::Scalar(steps.times().map(seconds).collect()))),
    Function::whole("timestamp", timestamp),
    Function::whole("start", |ev, _, steps| Ok(Evaluated::Scalar(vec![seconds(ev.times.start); steps.count()]))),
    Function::whole("end", |ev, _, steps| Ok(Evaluated::Scalar(vec![seconds(ev.times.end); steps.count()]))),
    Function::whole("range", |ev, _, steps| {
        Ok(Evaluated::Scalar(vec![seconds(ev.times.end.saturating_sub(ev.times.start)); steps.count()]))
    }),
    Function::whole("step", |ev, _, steps| Ok(Evaluated::Scalar(vec![seconds(ev.times.step); steps.count()]))),
];

fn seconds(millis: i64) -> f64 {
    millis as f64 / 1e3
}

/// A part of the date that each value stands for in Unix seconds; of the evaluation time without an argument.
fn calendar(ev: &mut Evaluator<'_>, call: &Call, steps: Steps, part: fn(DateTime) -> f64) -> Result<Evaluated, EvalError> {
    let part_of = |seconds: f64| date(seconds).map_or(f64::NAN, part);
    if call.args.is_empty() {
        let values = steps.times().map(|at| part_of(seconds(at).trunc())).collect();
        return Ok(Evaluated::Vector(vec![Track::new(Labels::empty(), values)]));
    }
    let mut tracks = ev.vector(argument(call, 0)?, steps)?;
    tracks.iter_mut().for_each(|track| track.map(part_of));
    naming::drop_names(tracks, ev.config.delayed_name_removal).map(Evaluated::Vector)
}

/// `None` outside of the years -9999 to 9999.
fn date(seconds: f64) -> Option<DateTime> {
    if !seconds.is_finite() {
        return None;
    }
    #[allow(clippy::cast_possible_truncation)] // saturates, and what is out of range is refused
    let time = jiff::Timestamp::from_second(seconds as i64).ok()?;
    Some(Offset::UTC.to_datetime(time))
}

/// When each sample was taken; of a calculated value, the evaluation time.
fn timestamp(ev: &mut Evaluator<'_>, call: &Call, steps: Steps) -> Result<Evaluated, EvalError> {
    let arg: &Expr = argument(call, 0)?;
    let tracks = if let ExprKind::VectorSelector(selector) = &arg.unwrap_parens().kind {
        select::instant(ev, selector, steps, |sample: &Sample| sample.at.as_seconds())?
    } else {
        let mut tracks = ev.vector(arg, steps)?;
        for track in &mut tracks {
            let times = steps.times().map(seconds);
            let present = track.values.iter_mut().zip(times).filter(|(value, _)| !super::super::value::is_absent(**value));
            present.for_each(|(value, at)| *value = at);
        }
        tracks
    };
    naming::drop_names(tracks, ev.config.delayed_name_removal).map(Evaluated::Vector)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leap_day_is_found() {
        let leap = date(951_782_400.0).expect("in range");
        assert_eq!((leap.year(), leap.month(), leap.day(), leap.day_of_year()), (2000, 2, 29, 60));
        assert!(date(f64::NAN).is_none() && date(1e300).is_none());
    }
}
