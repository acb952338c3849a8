//! Prometheus's standard exponential buckets: the resolution follows the value, so that a quantile is right at any scale.
//!
//! In schema `s` the bucket with index `i` holds the values in `(2^((i-1)/2^s), 2^(i/2^s)]`; two neighbours of a schema make
//! one bucket of the next coarser one. Source: Prometheus documentation, "Native Histograms", "Standard exponential schemas".

mod buckets;
mod counts;
mod scale;

use self::buckets::Buckets;
use self::scale::{coarser, index_of, upper_bound};

/// The finest schema and the one that every histogram begins with: 32 buckets for each power of two.
pub const SCHEMA_MAX: i8 = 5;
/// The coarsest schema of Prometheus: one bucket for sixteen powers of two.
pub const SCHEMA_MIN: i8 = -4;
/// A histogram that would have more buckets, empty ones between others included, halves its resolution.
pub const EXPONENTIAL_BUCKETS_MAX: usize = 320;
/// Values that are not further from zero than this, 2^-128, count as zero.
pub const ZERO_THRESHOLD: f64 = 2.938_735_877_055_719e-39;

/// Which side of zero a bucket lies on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// Above.
    Positive,
    /// Below.
    Negative,
}

/// Observations in exponential buckets.
#[derive(Clone, Debug, PartialEq)]
pub struct Exponential {
    schema: i8,
    zero: u64,
    positive: Buckets,
    negative: Buckets,
}

impl Default for Exponential {
    fn default() -> Self {
        Self { schema: SCHEMA_MAX, zero: 0, positive: Buckets::default(), negative: Buckets::default() }
    }
}

impl Exponential {
    /// The resolution: `2^schema` buckets for each power of two.
    #[must_use]
    pub const fn schema(&self) -> i8 {
        self.schema
    }

    /// Observations within [`ZERO_THRESHOLD`] of zero.
    #[must_use]
    pub const fn zero_count(&self) -> u64 {
        self.zero
    }

    /// Adds `weight` observations. A value that is not finite has no place here.
    pub fn observe(&mut self, value: f64, weight: u64) {
        if !value.is_finite() {
            return;
        }
        if value.abs() <= ZERO_THRESHOLD {
            self.zero = self.zero.saturating_add(weight);
            return;
        }
        let (sign, index) = (if value < 0.0 { Sign::Negative } else { Sign::Positive }, index_of(value.abs()));
        // By far most often at full resolution and in the midst of the others.
        if sign == Sign::Negative || self.schema < SCHEMA_MAX || !self.positive.add_within(index, weight) {
            self.add(SCHEMA_MAX, sign, index, weight);
        }
    }

    /// Adds observations that are already in a bucket of `schema`; of a schema that is coarser than this histogram's, by
    /// making this histogram as coarse. A schema out of range is taken for the nearest one.
    pub fn add(&mut self, schema: i8, sign: Sign, index: i32, count: u64) {
        let schema = schema.clamp(SCHEMA_MIN, SCHEMA_MAX);
        while self.schema > schema {
            self.halve();
        }
        loop {
            let index = coarser(index, u32::from(schema.abs_diff(self.schema)));
            let (buckets, others) = match sign {
                Sign::Positive => (&mut self.positive, self.negative.span()),
                Sign::Negative => (&mut self.negative, self.positive.span()),
            };
            // The coarsest schema has room for every float.
            if buckets.span_with(index) + others <= EXPONENTIAL_BUCKETS_MAX || self.schema == SCHEMA_MIN {
                return buckets.add(index, count);
            }
            if !(self.positive.trim() | self.negative.trim()) {
                self.halve();
            }
        }
    }

    /// Adds observations to those around zero.
    pub fn add_zero(&mut self, count: u64) {
        self.zero = self.zero.saturating_add(count);
    }

    /// Adds another histogram's observations.
    pub fn absorb(&mut self, other: &Self) {
        self.add_zero(other.zero);
        for (sign, buckets) in [(Sign::Positive, &other.positive), (Sign::Negative, &other.negative)] {
            for (index, count) in buckets.filled() {
                self.add(other.schema, sign, index, count);
            }
        }
    }

    /// Takes all observations out and keeps the room: the next ones will most likely lie where these lay.
    pub fn clear(&mut self) {
        self.zero = 0;
        self.positive.counts.clear();
        self.negative.counts.clear();
        if self.schema < SCHEMA_MAX {
            self.schema = SCHEMA_MAX;
            self.positive.trim();
            self.negative.trim();
        }
    }

    /// The buckets of one side that hold something, by index; the index rises away from zero.
    pub fn filled(&self, sign: Sign) -> impl Iterator<Item = (i32, u64)> + '_ {
        match sign {
            Sign::Positive => self.positive.filled(),
            Sign::Negative => self.negative.filled(),
        }
    }

    /// All observations.
    #[must_use]
    pub fn count(&self) -> u64 {
        let sides = self.positive.filled().chain(self.negative.filled());
        sides.fold(self.zero, |sum, (_, count)| sum.saturating_add(count))
    }

    /// The value below which a part `q` of all observations lies, `q` from 0 to 1: within a bucket interpolated
    /// exponentially, as Prometheus does it. `None` where there is no observation.
    #[must_use]
    pub fn quantile(&self, q: f64) -> Option<f64> {
        let count = self.count();
        if count == 0 {
            return None;
        }
        let rank = q.clamp(0.0, 1.0) * count as f64;
        let negative: Vec<_> = self.negative.filled().collect();
        let below = negative.into_iter().rev().map(|(index, count)| (Some((Sign::Negative, index)), count));
        let above = self.positive.filled().map(|(index, count)| (Some((Sign::Positive, index)), count));
        let mut seen = 0.0;
        let mut last = 0.0;
        for (place, count) in below.chain([(None, self.zero)]).chain(above).filter(|(_, count)| *count > 0) {
            let part = ((rank - seen) / count as f64).clamp(0.0, 1.0);
            last = match place {
                None => 0.0,
                Some((sign, index)) => {
                    let (lower, upper) = (upper_bound(self.schema, index - 1), upper_bound(self.schema, index));
                    match sign {
                        Sign::Positive => lower * (upper / lower).powf(part),
                        Sign::Negative => -upper * (lower / upper).powf(part),
                    }
                }
            };
            seen += count as f64;
            if seen >= rank {
                break;
            }
        }
        Some(last)
    }

    /// Bytes that this histogram holds outside of itself.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        self.positive.counts.heap_bytes() + self.negative.counts.heap_bytes()
    }

    /// Halves the resolution until there are at most `most` buckets, empty ones between others included, and gives the room
    /// back that it takes. False where there are not more.
    pub fn coarsen(&mut self, most: usize) -> bool {
        let before = self.schema;
        while self.positive.span() + self.negative.span() > most && self.schema > SCHEMA_MIN {
            if !(self.positive.trim() | self.negative.trim()) {
                self.halve();
            }
        }
        if self.schema < before {
            self.positive.counts.shrink();
            self.negative.counts.shrink();
        }
        self.schema < before
    }

    fn halve(&mut self) {
        self.schema -= 1;
        self.positive.halve();
        self.negative.halve();
    }
}

#[cfg(test)]
mod tests {
    use super::scale::BOUNDS;
    use super::*;
    use proptest::prelude::*;

    fn of(values: &[f64]) -> Exponential {
        let mut histogram = Exponential::default();
        values.iter().for_each(|value| histogram.observe(*value, 1));
        histogram
    }

    fn filled(histogram: &Exponential) -> Vec<(i32, u64)> {
        histogram.filled(Sign::Positive).collect()
    }

    #[test]
    fn an_upper_bound_belongs_to_its_bucket() {
        for (value, index) in
            [(1.0, 0), (1.000_001, 1), (2.0, 32), (2.000_001, 33), (0.5, -32), (BOUNDS[1], 1), (BOUNDS[31], 31), (1.99, 32)]
        {
            assert_eq!(filled(&of(&[value])), [(index, 1)], "{value}");
        }
    }

    #[test]
    fn a_wide_range_halves_the_resolution_until_it_fits() {
        let histogram = of(&[1e-9, 1.0, 1e9]);
        assert_eq!(histogram.schema(), 2);
        assert_eq!(histogram.count(), 3);
        let all = of(&[f64::MIN_POSITIVE * 4.0, f64::MAX, -f64::MAX, -f64::MIN_POSITIVE * 4.0, 0.0]);
        assert_eq!((all.count(), all.zero_count()), (5, 3), "what is next to zero counts as zero");
        assert!(all.positive.span() + all.negative.span() <= EXPONENTIAL_BUCKETS_MAX);
    }

    #[test]
    fn resolution_is_given_up_for_room() {
        let values: Vec<f64> = (1..1000).map(|value| f64::from(value) / 10.0).collect();
        let mut histogram = of(&values);
        let (room, exact) = (histogram.heap_bytes(), histogram.quantile(0.5).expect("observations"));
        assert!(!histogram.coarsen(EXPONENTIAL_BUCKETS_MAX));
        assert!(histogram.coarsen(90));
        assert_eq!((histogram.schema(), histogram.count()), (3, 999));
        assert!(histogram.positive.span() <= 90 && histogram.heap_bytes() * 3 < room, "{room} {}", histogram.heap_bytes());
        assert!((histogram.quantile(0.5).expect("observations") / exact - 1.0).abs() < 0.09);
        histogram.absorb(&of(&values));
        assert_eq!((histogram.schema(), histogram.count()), (3, 1998), "and does not come back");
    }

    #[test]
    fn counts_outgrow_their_width() {
        let mut histogram = Exponential::default();
        histogram.observe(1.0, u64::from(u32::MAX));
        histogram.observe(1.0, 1);
        histogram.observe(9.0, 2);
        assert_eq!(filled(&histogram), [(0, 1 << 32), (102, 2)]);
        histogram.observe(1.0, u64::MAX);
        assert_eq!(filled(&histogram)[0].1, u64::MAX, "and then stay where they are");
    }

    #[test]
    fn a_quantile_is_right_on_both_sides_of_zero() {
        let histogram = of(&[-8.0, -1.0, 0.0, 1.0, 8.0]);
        for (q, expected) in [(0.0, -8.0), (0.5, 0.0), (1.0, 8.0)] {
            let quantile = histogram.quantile(q).expect("observations");
            assert!((quantile - expected).abs() <= 0.022 * f64::abs(expected), "{q}: {quantile}");
        }
        assert_eq!(Exponential::default().quantile(0.5), None);
    }

    #[test]
    fn a_cleared_histogram_keeps_its_room() {
        let mut histogram = of(&[1.0, 3.0, -2.0]);
        let room = histogram.heap_bytes();
        histogram.clear();
        assert_eq!((histogram.count(), histogram.heap_bytes()), (0, room));
        histogram.observe(500.0, 1);
        assert_eq!(filled(&histogram), [(287, 1)]);
    }

    fn value() -> impl Strategy<Value = f64> {
        prop_oneof![1e-3..1e3, -1e3..-1e-3, Just(0.0), proptest::num::f64::NORMAL]
    }

    proptest! {
        #[test]
        fn the_index_is_that_of_the_logarithm(value in 1e-30..1e30) {
            let index = index_of(value);
            prop_assert!(value <= upper_bound(SCHEMA_MAX, index) && value > upper_bound(SCHEMA_MAX, index - 1), "{value} {index}");
            prop_assert!((f64::from(index) - (value.log2() * 32.0).ceil()).abs() <= 1.0);
        }

        #[test]
        fn nothing_is_lost_however_it_is_divided(values in proptest::collection::vec((value(), 1_u64..5), 0..60), cut in 0_usize..60) {
            let all = |values: &[(f64, u64)]| {
                let mut histogram = Exponential::default();
                values.iter().for_each(|(value, weight)| histogram.observe(*value, *weight));
                histogram
            };
            let (front, back) = values.split_at(cut.min(values.len()));
            let whole = all(&values);
            let mut merged = all(front);
            merged.absorb(&all(back));
            prop_assert_eq!(&merged, &whole);
            prop_assert_eq!(whole.count(), values.iter().map(|(_, weight)| weight).sum::<u64>());
            prop_assert!(whole.positive.span() + whole.negative.span() <= EXPONENTIAL_BUCKETS_MAX);
        }

        #[test]
        fn a_cleared_histogram_is_as_good_as_a_new_one(before in proptest::collection::vec(value(), 0..40), after in proptest::collection::vec(value(), 0..40)) {
            let mut cleared = of(&before);
            cleared.clear();
            after.iter().for_each(|value| cleared.observe(*value, 1));
            prop_assert_eq!(cleared, of(&after));
        }

        #[test]
        fn at_full_resolution_a_quantile_is_within_one_part_in_ninety(mut values in proptest::collection::vec(0.5..500.0_f64, 1..200), q in 0.0..1.0_f64) {
            let histogram = of(&values);
            prop_assert_eq!(histogram.schema(), SCHEMA_MAX);
            values.sort_by(f64::total_cmp);
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            let rank = ((q * values.len() as f64).ceil() as usize).clamp(1, values.len());
            let (exact, quantile) = (values[rank - 1], histogram.quantile(q).expect("observations"));
            prop_assert!((quantile / exact).ln().abs() <= 2_f64.ln() / 32.0 + 1e-9, "{quantile} for {exact}");
        }
    }
}
