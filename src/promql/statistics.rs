//! Numbers out of many numbers, exact where floats allow it: shared by aggregations and functions over time.

use std::cmp::Ordering;

/// A sum that carries the rounding error along (Kahan's algorithm with Neumaier's improvement).
/// Source: A. Neumaier, "Rundungsfehleranalyse einiger Verfahren zur Summation endlicher Summen", 1974.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sum {
    sum: f64,
    error: f64,
}

impl Sum {
    pub(super) fn add(&mut self, value: f64) {
        let next = self.sum + value;
        if next.is_infinite() {
            // The error of an overflow is no number, and there is nothing left to be exact about.
            self.error = 0.0;
        } else if self.sum.abs() >= value.abs() {
            self.error += (self.sum - next) + value;
        } else {
            self.error += (value - next) + self.sum;
        }
        self.sum = next;
    }

    /// The sum with one more value.
    pub(super) fn with(mut self, value: f64) -> Self {
        self.add(value);
        self
    }

    pub(super) fn total(self) -> f64 {
        if self.sum.is_infinite() { self.sum } else { self.sum + self.error }
    }
}

impl FromIterator<f64> for Sum {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Self {
        let mut sum = Self::default();
        values.into_iter().for_each(|value| sum.add(value));
        sum
    }
}

/// The arithmetic mean: by the sum, and from where that would overflow on by updating the mean.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Mean {
    /// The sum, or the mean once `overflowed`.
    sum: Sum,
    count: f64,
    overflowed: bool,
}

impl Mean {
    /// The mean with one more value.
    pub(super) fn with(self, value: f64) -> Self {
        let count = self.count + 1.0;
        if self.overflowed {
            return Self { sum: updated(self.sum, value, count), count, overflowed: true };
        }
        let sum = self.sum.with(value);
        if sum.sum.is_infinite() && count > 1.0 {
            let mean = Sum { sum: self.sum.sum / self.count, error: self.sum.error / self.count };
            return Self { sum: updated(mean, value, count), count, overflowed: true };
        }
        Self { sum, count, overflowed: false }
    }

    pub(super) fn total(self) -> f64 {
        if self.overflowed { self.sum.sum + self.sum.error } else { self.sum.sum / self.count + self.sum.error / self.count }
    }
}

/// The mean of values.
pub(super) fn mean(values: &[f64]) -> f64 {
    values.iter().fold(Mean::default(), |mean, value| mean.with(*value)).total()
}

/// A mean of `count` values, `value` being the last.
fn updated(mean: Sum, value: f64, count: f64) -> Sum {
    let share = (count - 1.0) / count;
    let mut next = Sum { sum: mean.sum * share, error: mean.error * share };
    next.add(value / count);
    next
}

/// The least or the greatest value so far; NaN only where there is nothing else.
pub(super) fn more_extreme(best: Option<f64>, value: f64, wanted: Ordering) -> f64 {
    match best {
        Some(best) if !best.is_nan() && value.partial_cmp(&best) != Some(wanted) => best,
        _ => value,
    }
}

/// The least or the greatest value; NaN only where there is nothing else.
pub(super) fn extreme(values: &[f64], wanted: Ordering) -> f64 {
    values.iter().fold(None, |best, value| Some(more_extreme(best, *value, wanted))).unwrap_or(f64::NAN)
}

/// The population variance (Welford's algorithm).
/// Source: B. P. Welford, "Note on a method for calculating corrected sums of squares and products", 1962.
pub(super) fn variance(values: &[f64]) -> f64 {
    let (mut count, mut mean, mut squares) = (0.0, Sum::default(), Sum::default());
    for value in values {
        count += 1.0;
        let distance = value - (mean.sum + mean.error);
        mean.add(distance / count);
        squares.add(distance * (value - (mean.sum + mean.error)));
    }
    (squares.sum + squares.error) / count
}

/// The quantile of values, which are sorted by this; between two of them, both count by their nearness.
pub(super) fn quantile(quantile: f64, values: &mut [f64]) -> f64 {
    if values.is_empty() || quantile.is_nan() {
        return f64::NAN;
    }
    if quantile < 0.0 {
        return f64::NEG_INFINITY;
    }
    if quantile > 1.0 {
        return f64::INFINITY;
    }
    values.sort_by(|a, b| b.is_nan().cmp(&a.is_nan()).then(a.partial_cmp(b).unwrap_or(Ordering::Equal)));
    let last = values.len() - 1;
    let rank = quantile * last as f64;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // between 0 and the last place
    let below = (rank.floor() as usize).min(last);
    let weight = rank - rank.floor();
    let value = |place: usize| values.get(place).copied().unwrap_or(f64::NAN);
    value(below) * (1.0 - weight) + value((below + 1).min(last)) * weight
}

/// The order of values in one direction, NaN after everything in both.
pub(super) fn by_value(a: f64, b: f64, direction: Direction) -> Ordering {
    let ascending = a.partial_cmp(&b).unwrap_or(Ordering::Equal);
    let numbers = if direction == Direction::Descending { ascending.reverse() } else { ascending };
    a.is_nan().cmp(&b.is_nan()).then(numbers)
}

/// Which way to sort.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    Ascending,
    Descending,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_keeps_what_rounding_would_lose() {
        assert_eq!([1.0, 1e100, 1.0, -1e100].into_iter().collect::<Sum>().total(), 2.0);
        assert_eq!([f64::MAX, f64::MAX].into_iter().collect::<Sum>().total(), f64::INFINITY);
    }

    #[test]
    fn a_mean_survives_a_sum_that_overflows() {
        assert!((mean(&[1e308, 1e308, 1e308]) / 1e308 - 1.0).abs() < 1e-15);
        assert_eq!(mean(&[f64::INFINITY, 1.0]), f64::INFINITY);
        assert_eq!(mean(&[1.0, 2.0, 6.0]), 3.0);
    }

    #[test]
    fn extremes_skip_what_is_no_number() {
        assert_eq!(extreme(&[f64::NAN, 3.0, 1.0], Ordering::Less), 1.0);
        assert_eq!(extreme(&[3.0, f64::NAN, 1.0], Ordering::Greater), 3.0);
        assert!(extreme(&[f64::NAN], Ordering::Greater).is_nan());
    }

    #[test]
    fn a_quantile_lies_between_its_neighbours() {
        assert_eq!(quantile(0.5, &mut [4.0, 1.0, 2.0]), 2.0);
        assert_eq!(quantile(0.25, &mut [0.0, 1.0]), 0.25);
        assert_eq!(quantile(1.5, &mut [0.0]), f64::INFINITY);
        assert_eq!(quantile(-1.0, &mut [0.0]), f64::NEG_INFINITY);
    }
}
