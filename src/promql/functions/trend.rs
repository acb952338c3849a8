//! Where something is heading.

use super::super::ast::Call;
use super::super::eval::Evaluator;
use super::super::eval_error::EvalError;
use super::super::statistics::Sum;
use super::Function;
use super::range::Window;
use crate::model::Sample;

pub(super) const ALL: &[Function] = &[
    // Any time near the samples gives the same slope; one among them costs the fewest digits.
    Function::range("deriv", |window| {
        let [first, _, ..] = window.samples else { return None };
        Some(regression(window.samples, first.at.as_millis())?.0)
    }),
    Function::range("predict_linear", |window| {
        let [_, _, ..] = window.samples else { return None };
        let (slope, intercept) = regression(window.samples, window.at)?;
        Some(slope * window.params[0] + intercept)
    }),
    Function::range_checked("double_exponential_smoothing", smooth, check_factors),
];

/// Slope per second, and value at the time `at`, of the line with the least squares of distances to the samples.
fn regression(samples: &[Sample], at: i64) -> Option<(f64, f64)> {
    let first = samples.first()?.value;
    #[allow(clippy::float_cmp)] // a constant is constant to the bit
    if samples.iter().all(|sample| sample.value == first) {
        return Some(if first.is_infinite() { (f64::NAN, f64::NAN) } else { (0.0, first) });
    }
    let count = samples.len() as f64;
    let points = || samples.iter().map(|sample| (sample.at.as_millis().saturating_sub(at) as f64 / 1e3, sample.value));
    let x = points().map(|(x, _)| x).collect::<Sum>().total();
    let y = points().map(|(_, y)| y).collect::<Sum>().total();
    let xy = points().map(|(x, y)| x * y).collect::<Sum>().total();
    let xx = points().map(|(x, _)| x * x).collect::<Sum>().total();
    let slope = (xy - x * y / count) / (xx - x * x / count);
    Some((slope, y / count - slope * x / count))
}

/// Double exponential smoothing: newer samples weigh more, and so does the newer trend.
/// Source: C. C. Holt, "Forecasting seasonals and trends by exponentially weighted averages", 1957.
fn smooth(window: &Window<'_>) -> Option<f64> {
    let [smoothing, trending] = window.params;
    let [first, second, ..] = window.samples else { return None };
    let (mut before, mut level) = (0.0, first.value);
    let mut trend = second.value - first.value;
    for (place, sample) in window.samples.iter().skip(1).enumerate() {
        if place > 0 {
            trend = trending * (level - before) + (1.0 - trending) * trend;
        }
        let next = smoothing * sample.value + (1.0 - smoothing) * (level + trend);
        before = level;
        level = next;
    }
    Some(level)
}

fn check_factors(_: &mut Evaluator<'_>, _: &Call, params: &[Vec<f64>]) -> Result<(), EvalError> {
    for (values, (name, short)) in params.iter().zip([("smoothing", "sf"), ("trend", "tf")]) {
        if let Some(wrong) = values.iter().find(|value| **value <= 0.0 || **value >= 1.0) {
            return Err(EvalError::InvalidArgument(format!("invalid {name} factor. Expected: 0 < {short} < 1, got: {wrong:.6}")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Timestamp;

    #[test]
    fn a_line_is_found_again() {
        let samples: Vec<_> = (0..5).map(|i| Sample { at: Timestamp::from_millis(i * 1000), value: 7.0 + 2.0 * i as f64 }).collect();
        assert_eq!(regression(&samples, 10_000), Some((2.0, 27.0)));
    }
}
