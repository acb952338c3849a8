//! Classic histograms: what their cumulative buckets tell about the observations.
//! Source: prometheus/prometheus `promql/quantile.go`.

/// Observations up to a bound.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Bucket {
    pub(super) bound: f64,
    /// Cumulative.
    pub(super) count: f64,
}

/// Counts that fell from one bucket to the next, where they cannot.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Decrease {
    /// The bound of the first bucket that was raised.
    pub(super) lowest: f64,
    /// The bound of the last one.
    pub(super) highest: f64,
    /// By how much at most.
    pub(super) difference: f64,
}

/// Differences between buckets that are smaller than this share are noise of float arithmetic.
const NOISE: f64 = 1e-12;

/// The value below which a share of `quantile` of all observations lies, taken as evenly spread within each bucket. NaN
/// where it cannot be told: less than two buckets, none of them up to +Inf, or no observations.
pub(super) fn quantile(quantile: f64, buckets: Vec<Bucket>) -> (f64, Option<Decrease>) {
    if quantile.is_nan() {
        return (f64::NAN, None);
    }
    if quantile < 0.0 {
        return (f64::NEG_INFINITY, None);
    }
    if quantile > 1.0 {
        return (f64::INFINITY, None);
    }
    let Some(mut buckets) = ordered(buckets) else { return (f64::NAN, None) };
    let decrease = force_monotonic(&mut buckets);
    let [.., before_last, last] = buckets.as_slice() else { return (f64::NAN, None) };
    if last.count == 0.0 || last.count.is_nan() {
        return (f64::NAN, None);
    }
    let rank = quantile * last.count;
    let place = buckets.partition_point(|bucket| bucket.count < rank).min(buckets.len() - 1);
    let value = match (place.checked_sub(1).and_then(|below| buckets.get(below)), buckets.get(place)) {
        // Beyond the highest finite bound nothing is known.
        _ if place == buckets.len() - 1 => before_last.bound,
        // Nor is it below the lowest one, unless observations can be taken to be positive.
        (None, Some(first)) if first.bound <= 0.0 => first.bound,
        (None, Some(first)) => first.bound * (rank / first.count),
        (Some(below), Some(bucket)) => below.bound + (bucket.bound - below.bound) * ((rank - below.count) / (bucket.count - below.count)),
        (_, None) => f64::NAN,
    };
    (value, decrease)
}

/// The share of the observations between two values, taken as evenly spread within each bucket.
pub(super) fn fraction(lower: f64, upper: f64, buckets: Vec<Bucket>) -> f64 {
    let Some(buckets) = ordered(buckets) else { return f64::NAN };
    let count = buckets.last().map_or(0.0, |last| last.count);
    if count == 0.0 || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    (rank_of(upper, &buckets).min(count) - rank_of(lower, &buckets).min(count)) / count
}

/// How many observations lie below a value.
fn rank_of(value: f64, buckets: &[Bucket]) -> f64 {
    let mut rank = 0.0;
    let mut from = if buckets.first().is_some_and(|first| first.bound > 0.0) { 0.0 } else { f64::NEG_INFINITY };
    for bucket in buckets {
        if from >= value {
            return rank;
        }
        if bucket.bound > value {
            // Within an unbounded bucket nothing is known of where observations lie.
            return if from.is_infinite() { bucket.count } else { rank + (bucket.count - rank) * (value - from) / (bucket.bound - from) };
        }
        rank = bucket.count;
        from = bucket.bound;
    }
    rank
}

/// In order of bounds, equal bounds as one; `None` without a bucket for everything.
fn ordered(mut buckets: Vec<Bucket>) -> Option<Vec<Bucket>> {
    buckets.sort_by(|a, b| a.bound.total_cmp(&b.bound));
    if buckets.last()?.bound != f64::INFINITY {
        return None;
    }
    buckets.dedup_by(|next, kept| {
        let is_same = next.bound == kept.bound;
        if is_same {
            kept.count += next.count;
        }
        is_same
    });
    Some(buckets)
}

/// Raises counts that fell to what they fell from. Noise is removed first, silently, in both directions.
fn force_monotonic(buckets: &mut [Bucket]) -> Option<Decrease> {
    let mut before = buckets.first()?.count;
    for bucket in buckets.iter_mut().skip(1) {
        if bucket.count != before && (bucket.count - before).abs() / bucket.count <= NOISE {
            bucket.count = before;
        }
        before = bucket.count;
    }
    let mut decrease: Option<Decrease> = None;
    let mut greatest = buckets.first()?.count;
    for bucket in buckets.iter_mut().skip(1) {
        if bucket.count < greatest {
            let known = decrease.get_or_insert(Decrease { lowest: bucket.bound, highest: bucket.bound, difference: 0.0 });
            known.highest = bucket.bound;
            known.difference = known.difference.max(greatest - bucket.count);
            bucket.count = greatest;
        }
        greatest = greatest.max(bucket.count);
    }
    decrease
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buckets(pairs: &[(f64, f64)]) -> Vec<Bucket> {
        pairs.iter().map(|(bound, count)| Bucket { bound: *bound, count: *count }).collect()
    }

    #[test]
    fn a_quantile_is_interpolated_within_its_bucket() {
        let known = [(2.0, 10.0), (1.0, 5.0), (f64::INFINITY, 10.0)];
        assert_eq!(quantile(0.75, buckets(&known)), (1.5, None));
        assert_eq!(quantile(0.25, buckets(&known)), (0.5, None));
        assert_eq!(quantile(1.0, buckets(&known)), (2.0, None));
    }

    #[test]
    fn beyond_the_highest_bound_the_highest_bound_is_the_answer() {
        assert_eq!(quantile(0.99, buckets(&[(1.0, 5.0), (2.0, 6.0), (f64::INFINITY, 10.0)])).0, 2.0);
        assert_eq!(quantile(0.1, buckets(&[(-1.0, 5.0), (f64::INFINITY, 10.0)])).0, -1.0);
    }

    #[test]
    fn what_cannot_be_told_is_no_number() {
        for known in [vec![(f64::INFINITY, 5.0)], vec![(1.0, 5.0), (2.0, 5.0)], vec![(1.0, 0.0), (f64::INFINITY, 0.0)], vec![]] {
            assert!(quantile(0.5, buckets(&known)).0.is_nan(), "{known:?}");
        }
    }

    #[test]
    fn counts_that_fall_are_raised_and_reported() {
        let (value, decrease) = quantile(0.5, buckets(&[(1.0, 10.0), (2.0, 8.0), (f64::INFINITY, 20.0)]));
        assert_eq!(value, 1.0);
        assert_eq!(decrease, Some(Decrease { lowest: 2.0, highest: 2.0, difference: 2.0 }));
        assert_eq!(quantile(0.5, buckets(&[(1.0, 1.0), (2.0, 1.0 - 1e-14), (f64::INFINITY, 2.0)])).1, None);
    }

    #[test]
    fn a_fraction_counts_what_lies_between() {
        let known = buckets(&[(1.0, 5.0), (2.0, 10.0), (f64::INFINITY, 10.0)]);
        assert_eq!(fraction(0.5, 1.5, known.clone()), 0.5);
        assert_eq!(fraction(f64::NEG_INFINITY, f64::INFINITY, known.clone()), 1.0);
        assert_eq!(fraction(2.0, 1.0, known), 0.0);
    }
}
