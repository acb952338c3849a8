//! Functions of one number, applied to each series.

use std::f64::consts::PI;

use super::super::ast::Call;
use super::super::eval::Evaluator;
use super::super::eval_error::EvalError;
use super::super::naming;
use super::super::value::{ABSENT, Evaluated, Steps, Track, is_absent};
use super::{Function, argument};

pub(super) const ALL: &[Function] = &[
    Function::element("abs", f64::abs),
    Function::element("acos", f64::acos),
    Function::element("acosh", f64::acosh),
    Function::element("asin", f64::asin),
    Function::element("asinh", f64::asinh),
    Function::element("atan", f64::atan),
    Function::element("atanh", f64::atanh),
    Function::element("ceil", f64::ceil),
    Function::element("cos", f64::cos),
    Function::element("cosh", f64::cosh),
    Function::element("deg", |value| value * 180.0 / PI),
    Function::element("exp", f64::exp),
    Function::element("floor", f64::floor),
    Function::element("ln", f64::ln),
    Function::element("log10", f64::log10),
    Function::element("log2", f64::log2),
    Function::element("rad", |value| value * PI / 180.0),
    Function::element("sgn", |value| {
        if value > 0.0 {
            1.0
        } else if value < 0.0 {
            -1.0
        } else {
            value
        }
    }),
    Function::element("sin", f64::sin),
    Function::element("sinh", f64::sinh),
    Function::element("sqrt", f64::sqrt),
    Function::element("tan", f64::tan),
    Function::element("tanh", f64::tanh),
    Function::whole("clamp", |ev, call, steps| {
        let tracks = ev.vector(argument(call, 0)?, steps)?;
        let least = ev.scalar(argument(call, 1)?, steps)?;
        let greatest = ev.scalar(argument(call, 2)?, steps)?;
        clamp(ev, tracks, &least, &greatest)
    }),
    Function::whole("clamp_max", |ev, call, steps| {
        let tracks = ev.vector(argument(call, 0)?, steps)?;
        let greatest = ev.scalar(argument(call, 1)?, steps)?;
        clamp(ev, tracks, &vec![f64::NEG_INFINITY; steps.count()], &greatest)
    }),
    Function::whole("clamp_min", |ev, call, steps| {
        let tracks = ev.vector(argument(call, 0)?, steps)?;
        let least = ev.scalar(argument(call, 1)?, steps)?;
        clamp(ev, tracks, &least, &vec![f64::INFINITY; steps.count()])
    }),
    Function::whole("max_of", |ev, call, steps| of_two(ev, call, steps, greater)),
    Function::whole("min_of", |ev, call, steps| of_two(ev, call, steps, lesser)),
    Function::whole("round", round),
];

/// Where the bounds are the wrong way round, there is no value.
fn clamp(ev: &Evaluator<'_>, mut tracks: Vec<Track>, least: &[f64], greatest: &[f64]) -> Result<Evaluated, EvalError> {
    for track in &mut tracks {
        for ((value, least), greatest) in track.values.iter_mut().zip(least).zip(greatest).filter(|((value, _), _)| !is_absent(**value)) {
            *value = if greatest < least { ABSENT } else { greater(*least, lesser(*greatest, *value)) };
        }
    }
    tracks.retain(Track::is_present);
    naming::drop_names(tracks, ev.config.delayed_name_removal).map(Evaluated::Vector)
}

/// One number out of two.
fn of_two(ev: &mut Evaluator<'_>, call: &Call, steps: Steps, choose: fn(f64, f64) -> f64) -> Result<Evaluated, EvalError> {
    let a = ev.scalar(argument(call, 0)?, steps)?;
    let b = ev.scalar(argument(call, 1)?, steps)?;
    Ok(Evaluated::Scalar(a.into_iter().zip(b).map(|(a, b)| choose(a, b)).collect()))
}

/// NaN where either is NaN, unlike Rust's `max`, but for the infinity that is greater than whatever the other one is, as in Go.
fn greater(a: f64, b: f64) -> f64 {
    if a == f64::INFINITY || b == f64::INFINITY {
        f64::INFINITY
    } else if a.is_nan() || b.is_nan() {
        f64::NAN
    } else {
        a.max(b)
    }
}

fn lesser(a: f64, b: f64) -> f64 {
    -greater(-a, -b)
}

/// To the nearest multiple, ties upwards. Multiplying by the inverse is what Prometheus does, to the last bit.
fn round(ev: &mut Evaluator<'_>, call: &Call, steps: Steps) -> Result<Evaluated, EvalError> {
    let mut tracks = ev.vector(argument(call, 0)?, steps)?;
    let nearest = match call.args.get(1) {
        Some(nearest) => ev.scalar(nearest, steps)?,
        None => vec![1.0; steps.count()],
    };
    for track in &mut tracks {
        for (value, nearest) in track.values.iter_mut().zip(&nearest).filter(|(value, _)| !is_absent(**value)) {
            let inverse = 1.0 / nearest;
            *value = (*value * inverse + 0.5).floor() / inverse;
        }
    }
    naming::drop_names(tracks, ev.config.delayed_name_removal).map(Evaluated::Vector)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clamping_keeps_what_is_no_number() {
        assert!(greater(0.0, f64::NAN).is_nan() && lesser(f64::NAN, 1.0).is_nan());
        assert_eq!((greater(0.0, 1.0), lesser(0.0, 1.0)), (1.0, 0.0));
        assert_eq!((greater(f64::NAN, f64::INFINITY), lesser(f64::NEG_INFINITY, f64::NAN)), (f64::INFINITY, f64::NEG_INFINITY));
    }
}
