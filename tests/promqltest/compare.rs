//! Whether an answer is the expected one.

use std::collections::BTreeMap;

use sidewatch::model::{Labels, is_stale};
use sidewatch::promql::{Slot, Value};

use super::script::{Case, Expected};

/// The largest relative difference between floats that count as equal.
const TOLERANCE: f64 = 1e-6;

/// Equal but for rounding; every NaN equals every other one but for the stale marker.
pub(crate) fn almost_equal(a: f64, b: f64) -> bool {
    if is_stale(a) || is_stale(b) {
        return is_stale(a) && is_stale(b);
    }
    if (a.is_nan() && b.is_nan()) || a == b {
        return true;
    }
    let (sum, difference) = (a.abs() + b.abs(), (a - b).abs());
    if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        return difference < TOLERANCE * f64::MIN_POSITIVE;
    }
    difference / sum.min(f64::MAX) < TOLERANCE
}

/// Compares an answer.
pub(crate) fn value(case: &Case, value: &Value) -> Result<(), String> {
    match (&case.expected, value) {
        (Expected::Scalar(expected), Value::Scalar(value)) if almost_equal(*expected, *value) => Ok(()),
        (Expected::Scalar(expected), Value::Scalar(value)) => Err(format!("expected {expected}, got {value}")),
        (Expected::String(expected), Value::String(value)) if expected == value => Ok(()),
        (Expected::Series(_) | Expected::Nothing, Value::Vector(samples)) => {
            let got: Vec<(Labels, Vec<Slot>)> =
                samples.iter().map(|sample| (sample.labels.clone(), vec![Slot::Float(sample.value)])).collect();
            series(case, got)
        }
        (Expected::Series(_) | Expected::Nothing, Value::Matrix(matrix)) => {
            let Some((from, to, step)) = case.times else { return Err("expected a vector, got a matrix".to_owned()) };
            let steps = usize::try_from((to - from) / step + 1).map_err(|error| error.to_string())?;
            let mut got = Vec::new();
            for one in matrix {
                let mut slots = vec![Slot::Gap; steps];
                for sample in &one.samples {
                    let since = sample.at.as_millis() - from;
                    if since % step != 0 {
                        return Err(format!("a sample at {}, which is no step", sample.at.as_millis()));
                    }
                    let place = usize::try_from(since / step).ok();
                    *place.and_then(|place| slots.get_mut(place)).ok_or("a sample outside of the range")? = Slot::Float(sample.value);
                }
                got.push((one.labels.clone(), slots));
            }
            if got.windows(2).any(|pair| matches!(pair, [(one, _), (next, _)] if one >= next)) {
                return Err("the matrix is not in order".to_owned());
            }
            series(case, got)
        }
        (expected, value) => Err(format!("expected {expected:?}, got {value:?}")),
    }
}

fn series(case: &Case, got: Vec<(Labels, Vec<Slot>)>) -> Result<(), String> {
    let none = Vec::new();
    let expected = if let Expected::Series(series) = &case.expected { series } else { &none };
    if case.ordered {
        let order = |series: &[(Labels, Vec<Slot>)]| series.iter().map(|(labels, _)| labels.to_string()).collect::<Vec<_>>();
        if order(expected) != order(&got) {
            return Err(format!("expected in the order {:?}, got {:?}", order(expected), order(&got)));
        }
    }
    let mut left: BTreeMap<Labels, Vec<Slot>> = BTreeMap::new();
    for (labels, slots) in got {
        if left.insert(labels.clone(), slots).is_some() {
            return Err(format!("{labels} twice"));
        }
    }
    for (labels, slots) in expected {
        let got = left.remove(labels).ok_or_else(|| format!("{labels} is missing; there is {:?}", left.keys().collect::<Vec<_>>()))?;
        let length = slots.len().max(got.len());
        for step in 0..length {
            let (expected, got) = (slots.get(step).and_then(|slot| slot.float()), got.get(step).and_then(|slot| slot.float()));
            let same = match (expected, got) {
                (Some(expected), Some(got)) => almost_equal(expected, got),
                (None, None) => true,
                _ => false,
            };
            if !same {
                return Err(format!("{labels} at step {step}: expected {expected:?}, got {got:?}"));
            }
        }
    }
    if left.is_empty() { Ok(()) } else { Err(format!("not expected: {left:?}")) }
}
