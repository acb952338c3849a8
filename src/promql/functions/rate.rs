//! How fast something changes.

use super::super::extension::{change, compared};
use super::Function;
use super::range::Window;
use crate::model::Sample;

pub(super) const ALL: &[Function] = &[
    Function::range_of_counter("rate", |window| Some(extrapolated(window, true)? / seconds(window.until - window.after))),
    Function::range_of_counter("increase", |window| extrapolated(window, true)),
    Function::range("delta", |window| extrapolated(window, false)),
    Function::range("irate", |window| last_change(window, true)),
    Function::range("idelta", |window| last_change(window, false)),
    Function::range("resets", |window| Some(count_pairs(compared(window)?, |before, after| after < before))),
    Function::range("changes", |window| {
        Some(count_pairs(compared(window)?, |before, after| before != after && !(before.is_nan() && after.is_nan())))
    }),
];

fn seconds(millis: i64) -> f64 {
    millis as f64 / 1e3
}

/// The change over the whole range, guessed from the samples in it: series are taken to go on to the ends of the range
/// when their first and last samples are about as near to the ends as to each other, else half a sample's distance
/// further; a counter never to below zero.
/// Source: prometheus/prometheus `promql/functions.go` (extrapolatedRate).
fn extrapolated(window: &Window<'_>, is_counter: bool) -> Option<f64> {
    if let Some(extension) = window.extension {
        return change(window, extension, is_counter);
    }
    let [first, .., last] = window.samples else { return None };
    let mut change = last.value - first.value;
    if is_counter {
        // After a reset a counter starts from zero: what it had before is part of the increase.
        let sum = |sum: f64, lost: f64| sum + lost;
        change += match window.falls {
            Some(falls) => falls.iter().map(|fall| fall.from).fold(0.0, sum),
            None => pairs(window.samples).filter(|(before, after)| after < before).map(|(before, _)| before).fold(0.0, sum),
        };
    }
    let (first_at, last_at) = (first.at.as_millis(), last.at.as_millis());
    let sampled = seconds(last_at - first_at);
    let distance = sampled / (window.samples.len() - 1) as f64;
    let near = distance * 1.1;

    let mut to_start = seconds(first_at - window.after);
    if to_start >= near {
        to_start = distance / 2.0;
    }
    if is_counter && change > 0.0 && first.value >= 0.0 {
        to_start = to_start.min(sampled * (first.value / change));
    }
    let mut to_end = seconds(window.until - last_at);
    if to_end >= near {
        to_end = distance / 2.0;
    }
    Some(change * ((sampled + to_start + to_end) / sampled))
}

/// The change between the last two samples, per second for a counter.
fn last_change(window: &Window<'_>, is_rate: bool) -> Option<f64> {
    let [.., before, last] = window.samples else { return None };
    if !is_rate {
        return Some(last.value - before.value);
    }
    let change = if last.value < before.value { last.value } else { last.value - before.value };
    Some(change / seconds(last.at.as_millis() - before.at.as_millis()))
}

fn pairs(samples: &[Sample]) -> impl Iterator<Item = (f64, f64)> {
    samples.iter().zip(samples.iter().skip(1)).map(|(before, after)| (before.value, after.value))
}

fn count_pairs(samples: &[Sample], wanted: impl Fn(f64, f64) -> bool) -> f64 {
    pairs(samples).filter(|(before, after)| wanted(*before, *after)).count() as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Timestamp;

    fn increase(samples: &[(i64, f64)], after: i64, until: i64) -> Option<f64> {
        let samples: Vec<_> = samples.iter().map(|(at, value)| Sample { at: Timestamp::from_millis(at * 1000), value: *value }).collect();
        let window = Window {
            samples: &samples,
            after: after * 1000,
            until: until * 1000,
            at: until * 1000,
            extension: None,
            params: [0.0; 2],
            falls: None,
        };
        extrapolated(&window, true)
    }

    #[test]
    fn a_series_that_fills_the_range_is_extended_to_its_ends() {
        assert_eq!(increase(&[(10, 100.0), (20, 110.0), (30, 120.0)], 5, 35), Some(30.0));
    }

    #[test]
    fn a_series_that_starts_within_the_range_is_extended_by_half_a_distance() {
        assert_eq!(increase(&[(100, 100.0), (110, 110.0), (120, 120.0)], 0, 120), Some(25.0));
    }

    #[test]
    fn a_counter_is_not_extended_below_zero() {
        assert_eq!(increase(&[(100, 1.0), (110, 11.0), (120, 21.0)], 0, 120), Some(21.0));
    }

    #[test]
    fn a_reset_counts_what_came_before_it() {
        assert_eq!(increase(&[(0, 100.0), (10, 110.0), (20, 5.0)], 0, 20), Some(15.0));
    }

    #[test]
    fn one_sample_has_no_rate() {
        assert_eq!(increase(&[(10, 1.0)], 0, 20), None);
    }
}
