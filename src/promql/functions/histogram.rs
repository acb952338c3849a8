//! Functions of histograms. Native histograms do not exist here, so the functions that look at nothing else find nothing.

use super::super::ast::{Call, Expr};
use super::super::eval::Evaluator;
use super::super::eval_error::EvalError;
use super::super::histogram::{self, Bucket};
use super::super::naming;
use super::super::span::Span;
use super::super::value::{ABSENT, Evaluated, Steps, Track};
use super::{Function, argument, text};
use crate::model::{FloatStyle, Labels, format_float};

pub(super) const ALL: &[Function] = &[
    Function::whole("histogram_quantile", |ev, call, steps| {
        let quantiles = ev.scalar(argument(call, 0)?, steps)?;
        check_quantiles(ev, &quantiles, argument(call, 0)?.span);
        let histograms = histograms(ev, argument(call, 1)?, steps)?;
        let span = argument(call, 1)?.span;
        let tracks = quantile_tracks(ev, &histograms, &quantiles, steps, span);
        naming::drop_names(tracks, ev.config.delayed_name_removal).map(Evaluated::Vector)
    }),
    Function::whole("histogram_quantiles", histogram_quantiles),
    Function::whole("histogram_fraction", |ev, call, steps| {
        let lower = ev.scalar(argument(call, 0)?, steps)?;
        let upper = ev.scalar(argument(call, 1)?, steps)?;
        let histograms = histograms(ev, argument(call, 2)?, steps)?;
        let bound = |bounds: &[f64], step: usize| bounds.get(step).copied().unwrap_or(f64::NAN);
        let tracks = tracks(&histograms, steps, |step, buckets| histogram::fraction(bound(&lower, step), bound(&upper, step), buckets));
        naming::drop_names(tracks, ev.config.delayed_name_removal).map(Evaluated::Vector)
    }),
    Function::whole("histogram_avg", nothing_native),
    Function::whole("histogram_count", nothing_native),
    Function::whole("histogram_stddev", nothing_native),
    Function::whole("histogram_stdvar", nothing_native),
    Function::whole("histogram_sum", nothing_native),
];

fn nothing_native(ev: &mut Evaluator<'_>, call: &Call, steps: Steps) -> Result<Evaluated, EvalError> {
    ev.vector(argument(call, 0)?, steps)?;
    Ok(Evaluated::Vector(Vec::new()))
}

/// The series of one histogram, each with its bound.
struct Histogram {
    labels: Labels,
    drop_name: bool,
    series: Vec<(f64, Track)>,
}

/// Puts the series of a vector together that differ in `le` only.
fn histograms(ev: &mut Evaluator<'_>, arg: &Expr, steps: Steps) -> Result<Vec<Histogram>, EvalError> {
    let mut histograms: Vec<Histogram> = Vec::new();
    let mut places = hashbrown::HashMap::new();
    for track in ev.vector(arg, steps)? {
        let le = track.labels.get("le").unwrap_or("");
        let Ok(bound) = le.parse::<f64>() else {
            ev.annotations.bad_bucket_label(track.labels.metric_name(), le, arg.span);
            continue;
        };
        let labels = track.labels.filtered(|name| name != "le");
        let place = *places.entry(labels.clone()).or_insert(histograms.len());
        match histograms.get_mut(place) {
            Some(histogram) => histogram.series.push((bound, track)),
            None => histograms.push(Histogram { labels, drop_name: track.drop_name, series: vec![(bound, track)] }),
        }
    }
    Ok(histograms)
}

/// A value of each histogram at each step where it has any bucket.
fn tracks(histograms: &[Histogram], steps: Steps, mut value: impl FnMut(usize, Vec<Bucket>) -> f64) -> Vec<Track> {
    let mut tracks = Vec::with_capacity(histograms.len());
    for histogram in histograms {
        let value_at = |step: usize| {
            let present = histogram.series.iter().filter_map(|(bound, track)| Some(Bucket { bound: *bound, count: track.at(step)? }));
            let buckets: Vec<Bucket> = present.collect();
            if buckets.is_empty() { ABSENT } else { value(step, buckets) }
        };
        let values = (0..steps.count()).map(value_at).collect();
        tracks.push(Track { labels: histogram.labels.clone(), drop_name: histogram.drop_name, values });
    }
    tracks
}

fn quantile_tracks(ev: &mut Evaluator<'_>, histograms: &[Histogram], quantiles: &[f64], steps: Steps, span: Span) -> Vec<Track> {
    let delayed = ev.config.delayed_name_removal;
    let mut forced = Vec::new();
    let mut result = Vec::with_capacity(histograms.len());
    for one in histograms {
        // Prometheus names the metric only where it is still known.
        let name = if delayed { one.labels.metric_name() } else { "" };
        result.extend(tracks(std::slice::from_ref(one), steps, |step, buckets| {
            let (value, decrease) = histogram::quantile(quantiles.get(step).copied().unwrap_or(f64::NAN), buckets);
            forced.extend(decrease.map(|decrease| (step, decrease)));
            value
        }));
        for (step, decrease) in forced.drain(..) {
            let at = steps.times().nth(step).unwrap_or(steps.first());
            ev.annotations.forced_monotonicity(name, span, at, decrease);
        }
    }
    result
}

fn check_quantiles(ev: &mut Evaluator<'_>, quantiles: &[f64], span: Span) {
    for quantile in quantiles.iter().filter(|quantile| !(0.0..=1.0).contains(*quantile)) {
        ev.annotations.invalid_quantile(*quantile, span);
    }
}

/// Several quantiles at once, told apart by a label.
fn histogram_quantiles(ev: &mut Evaluator<'_>, call: &Call, steps: Steps) -> Result<Evaluated, EvalError> {
    let label = text(call, 1)?;
    let arg = argument(call, 0)?;
    let mut all = Vec::new();
    for place in 2..call.args.len() {
        let quantiles = ev.scalar(argument(call, place)?, steps)?;
        check_quantiles(ev, &quantiles, argument(call, place)?.span);
        all.push(quantiles);
    }
    let histograms = histograms(ev, arg, steps)?;
    let mut result = Vec::new();
    for quantiles in &all {
        // The quantile may differ from step to step, and with it the series.
        let mut distinct: Vec<f64> = quantiles.clone();
        distinct.sort_by(f64::total_cmp);
        distinct.dedup_by_key(|quantile| quantile.to_bits());
        for track in quantile_tracks(ev, &histograms, quantiles, steps, arg.span) {
            for quantile in distinct.iter().copied() {
                ev.hold(steps.count())?;
                let of_this = |(value, q): (&f64, &f64)| if q.to_bits() == quantile.to_bits() { *value } else { ABSENT };
                let values = track.values.iter().zip(quantiles).map(of_this).collect();
                let labels = track.labels.with(label, &format_float(quantile, FloatStyle::Canonical));
                result.push(Track { labels, drop_name: track.drop_name, values });
            }
        }
    }
    result.retain(Track::is_present);
    let dropped = naming::drop_names(result, ev.config.delayed_name_removal)?;
    naming::merge(dropped).map(Evaluated::Vector)
}
