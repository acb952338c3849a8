//! Aggregations over time: many samples of one series become one number.

use std::cmp::Ordering;

use super::super::ast::Call;
use super::super::eval::Evaluator;
use super::super::eval_error::EvalError;
use super::super::statistics::{self, Sum};
use super::Function;
use super::range::Window;
use crate::model::Sample;

pub(super) const ALL: &[Function] = &[
    Function::range("avg_over_time", |window| Some(statistics::mean(&values(window)))),
    Function::range("count_over_time", |window| Some(window.samples.len() as f64)),
    Function::range("max_over_time", |window| Some(statistics::extreme(&values(window), Ordering::Greater))),
    Function::range("min_over_time", |window| Some(statistics::extreme(&values(window), Ordering::Less))),
    Function::range("sum_over_time", |window| Some(window.samples.iter().map(|sample| sample.value).collect::<Sum>().total())),
    Function::range("stdvar_over_time", |window| Some(statistics::variance(&values(window)))),
    Function::range("stddev_over_time", |window| Some(statistics::variance(&values(window)).sqrt())),
    Function::range("mad_over_time", |window| Some(median_deviation(values(window)))),
    Function::range("present_over_time", |_| Some(1.0)),
    Function::range_keeping_name("last_over_time", |window| window.samples.last().map(|sample| sample.value)),
    Function::range_keeping_name("first_over_time", |window| window.samples.first().map(|sample| sample.value)),
    Function::range_checked(
        "quantile_over_time",
        |window| Some(statistics::quantile(window.params[0], &mut values(window))),
        check_quantiles,
    ),
    Function::range("ts_of_first_over_time", |window| window.samples.first().map(time)),
    Function::range("ts_of_last_over_time", |window| window.samples.last().map(time)),
    Function::range("ts_of_max_over_time", |window| time_of(window, |value, best| value >= best)),
    Function::range("ts_of_min_over_time", |window| time_of(window, |value, best| value <= best)),
];

fn values(window: &Window<'_>) -> Vec<f64> {
    window.samples.iter().map(|sample| sample.value).collect()
}

fn time(sample: &Sample) -> f64 {
    sample.at.as_seconds()
}

/// The time of the last of the best values; of the last NaN where there is nothing else.
fn time_of(window: &Window<'_>, better: impl Fn(f64, f64) -> bool) -> Option<f64> {
    let best =
        window.samples.iter().reduce(|best, sample| if better(sample.value, best.value) || best.value.is_nan() { sample } else { best });
    best.map(time)
}

/// The median of the distances from the median; NaN where there is a NaN.
fn median_deviation(mut values: Vec<f64>) -> f64 {
    if values.iter().any(|value| value.is_nan()) {
        return f64::NAN;
    }
    let median = statistics::quantile(0.5, &mut values);
    values.iter_mut().for_each(|value| *value = (*value - median).abs());
    statistics::quantile(0.5, &mut values)
}

fn check_quantiles(ev: &mut Evaluator<'_>, call: &Call, params: &[Vec<f64>]) -> Result<(), EvalError> {
    let span = super::argument(call, 0)?.span;
    for quantile in params.iter().flatten().filter(|quantile| !(0.0..=1.0).contains(*quantile)) {
        ev.annotations.invalid_quantile(*quantile, span);
    }
    Ok(())
}
