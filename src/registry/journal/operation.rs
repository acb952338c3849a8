//! What a record says: operations on series, which are numbered. A snapshot says it in the same words: it defines each series
//! and then changes it from nothing to what it holds.
//!
//! An operation is a byte (which one, and how its number is written) and its fields. Whole values are written as whole
//! numbers, since most are; others as the eight bytes of the float.

use super::bytes::{Bytes, put_f64, put_i64, put_text, put_u64};
use crate::model::{Exponential, Histogram, Labels, MetricType, Origin, SCHEMA_MAX, SCHEMA_MIN, Sign, Timestamp};

const AT: u8 = 0;
const FAMILY: u8 = 1;
const DEFINE: u8 = 2;
const COUNT: u8 = 3;
const LEVEL: u8 = 4;
const STAMPED: u8 = 5;
const OBSERVE: u8 = 6;
const GONE: u8 = 7;
const END: u8 = 8;
const LOOKED: u8 = 9;
/// Set where the operation's float is written as a whole number.
const WHOLE: u8 = 0x80;

const LABELS_MAX: u64 = 1024;
const BOUNDS_MAX: u64 = 200;
/// Up to here every whole number is a float of its own.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
/// Between the smallest and the largest float there are so many powers of two, and a few more.
const POWERS_MAX: u64 = 1100;

/// One operation, as read.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Operation<'a> {
    /// When what follows in this record happened.
    At(Timestamp),
    /// The family of the series that are defined next.
    Family(Family<'a>),
    /// A series of that family gets a number.
    Define(u64, Labels),
    /// A counter rose.
    Count(u64, f64),
    /// A gauge that shows what was written last has a value.
    Level(u64, f64),
    /// The same, with the time of its measurement, in Unix seconds.
    Stamped(u64, f64, i64),
    /// A histogram got observations.
    Observe(u64, Box<Observations>),
    /// A series is no more.
    Gone(u64),
    /// The end of a snapshot.
    End(Totals),
    /// Idle series were looked for, before that at `last`. What passed between the two beyond a pause was no idle time.
    Looked { last: Timestamp, at: Timestamp },
}

/// A family without its series.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Family<'a> {
    pub(super) name: &'a str,
    pub(super) kind: MetricType,
    pub(super) origin: Origin,
    pub(super) bounds: Vec<f64>,
}

/// What a histogram got; the classic buckets are known only together with its family.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Observations {
    pub(super) sum: f64,
    /// Classic buckets by their place, with what they got.
    pub(super) counts: Vec<(usize, u64)>,
    pub(super) exponential: Option<Exponential>,
}

/// What a whole snapshot ends with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Totals {
    /// How many series it holds.
    pub(super) series: u64,
    /// The highest number that a series had.
    pub(super) number: u64,
    /// The last sequence when it was finished.
    pub(super) sequence: u64,
    /// True when the agent stopped after it: nothing happened since.
    pub(super) last: bool,
}

pub(super) fn put_at(out: &mut Vec<u8>, at: Timestamp) {
    out.push(AT);
    put_i64(out, at.as_millis());
}

pub(super) fn put_family(out: &mut Vec<u8>, name: &str, kind: MetricType, origin: Origin, bounds: &[f64]) {
    out.push(FAMILY);
    put_text(out, name);
    out.push(match kind {
        MetricType::Counter => 0,
        MetricType::Gauge => 1,
        MetricType::Histogram => 2,
        MetricType::Unknown => 3,
        MetricType::Summary => 4,
    });
    out.push(match origin {
        Origin::Host => 0,
        Origin::Events => 1,
        Origin::Agent => 2,
    });
    put_u64(out, bounds.len() as u64);
    bounds.iter().for_each(|bound| put_f64(out, *bound));
}

pub(super) fn put_define(out: &mut Vec<u8>, number: u64, labels: &Labels) {
    out.push(DEFINE);
    put_u64(out, number);
    put_u64(out, labels.len() as u64);
    for (name, value) in labels {
        put_text(out, name);
        put_text(out, value);
    }
}

pub(super) fn put_count(out: &mut Vec<u8>, number: u64, rise: f64) {
    put_number(out, COUNT, number, rise);
}

pub(super) fn put_level(out: &mut Vec<u8>, number: u64, value: f64) {
    put_number(out, LEVEL, number, value);
}

pub(super) fn put_stamped(out: &mut Vec<u8>, number: u64, value: f64, seconds: i64) {
    put_number(out, STAMPED, number, value);
    put_i64(out, seconds);
}

/// The classic buckets of `histogram` have to be those of its family.
pub(super) fn put_observe(out: &mut Vec<u8>, number: u64, histogram: &Histogram) {
    put_number(out, OBSERVE, number, histogram.sum);
    let filled = || histogram.counts.iter().enumerate().filter(|(_, count)| **count > 0);
    put_u64(out, filled().count() as u64);
    for (place, count) in filled() {
        put_u64(out, place as u64);
        put_u64(out, *count);
    }
    let Some(exponential) = &histogram.exponential else { return out.push(0) };
    out.push(1);
    put_i64(out, i64::from(exponential.schema()));
    put_u64(out, exponential.zero_count());
    for sign in [Sign::Positive, Sign::Negative] {
        put_u64(out, exponential.filled(sign).count() as u64);
        // From one bucket to the next it is one step most often.
        let mut before = 0;
        for (index, count) in exponential.filled(sign) {
            put_i64(out, i64::from(index) - before);
            put_u64(out, count);
            before = i64::from(index);
        }
    }
}

pub(super) fn put_gone(out: &mut Vec<u8>, number: u64) {
    out.push(GONE);
    put_u64(out, number);
}

pub(super) fn put_looked(out: &mut Vec<u8>, last: Timestamp, at: Timestamp) {
    out.push(LOOKED);
    put_i64(out, last.as_millis());
    put_i64(out, at.as_millis());
}

pub(super) fn put_end(out: &mut Vec<u8>, totals: Totals) {
    out.push(END);
    [totals.series, totals.number, totals.sequence, u64::from(totals.last)].into_iter().for_each(|field| put_u64(out, field));
}

fn put_number(out: &mut Vec<u8>, code: u8, number: u64, value: f64) {
    // Minus zero is no whole number: it would come back without its sign.
    let whole = (0.0..=EXACT_MAX).contains(&value) && value.fract() == 0.0 && value.is_sign_positive();
    out.push(if whole { code | WHOLE } else { code });
    put_u64(out, number);
    if whole {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // just looked at
        put_u64(out, value as u64);
    } else {
        put_f64(out, value);
    }
}

/// Reads one operation; `None` where the bytes make no sense.
pub(super) fn read<'a>(bytes: &mut Bytes<'a>) -> Option<Operation<'a>> {
    let code = bytes.u8()?;
    Some(match code & !WHOLE {
        AT => Operation::At(Timestamp::from_millis(bytes.i64()?)),
        FAMILY => Operation::Family(read_family(bytes)?),
        DEFINE => {
            let number = bytes.u64()?;
            let count = bytes.u64().filter(|count| *count <= LABELS_MAX)?;
            let pairs = (0..count).map(|_| Some((bytes.text()?, bytes.text()?))).collect::<Option<Vec<_>>>()?;
            Operation::Define(number, Labels::from_pairs(pairs))
        }
        COUNT => Operation::Count(bytes.u64()?, read_number(bytes, code)?),
        LEVEL => Operation::Level(bytes.u64()?, read_number(bytes, code)?),
        STAMPED => Operation::Stamped(bytes.u64()?, read_number(bytes, code)?, bytes.i64()?),
        OBSERVE => Operation::Observe(bytes.u64()?, Box::new(read_observations(bytes, code)?)),
        GONE => Operation::Gone(bytes.u64()?),
        END => Operation::End(Totals { series: bytes.u64()?, number: bytes.u64()?, sequence: bytes.u64()?, last: bytes.u64()? != 0 }),
        LOOKED => Operation::Looked { last: Timestamp::from_millis(bytes.i64()?), at: Timestamp::from_millis(bytes.i64()?) },
        _ => return None,
    })
}

fn read_number(bytes: &mut Bytes<'_>, code: u8) -> Option<f64> {
    if code & WHOLE == 0 { bytes.f64() } else { bytes.u64().map(|whole| whole as f64) }
}

fn read_family<'a>(bytes: &mut Bytes<'a>) -> Option<Family<'a>> {
    let name = bytes.text()?;
    let kind = match bytes.u8()? {
        0 => MetricType::Counter,
        1 => MetricType::Gauge,
        2 => MetricType::Histogram,
        3 => MetricType::Unknown,
        4 => MetricType::Summary,
        _ => return None,
    };
    let origin = match bytes.u8()? {
        0 => Origin::Host,
        1 => Origin::Events,
        2 => Origin::Agent,
        _ => return None,
    };
    let count = bytes.u64().filter(|count| *count <= BOUNDS_MAX)?;
    let bounds = (0..count).map(|_| bytes.f64()).collect::<Option<Vec<_>>>()?;
    let rising = bounds.iter().all(|bound| bound.is_finite()) && bounds.is_sorted_by(|a, b| a < b);
    rising.then_some(Family { name, kind, origin, bounds })
}

fn read_observations(bytes: &mut Bytes<'_>, code: u8) -> Option<Observations> {
    let sum = read_number(bytes, code)?;
    let count = bytes.u64().filter(|count| *count <= BOUNDS_MAX + 1)?;
    let place = |bytes: &mut Bytes<'_>| bytes.u64().and_then(|place| usize::try_from(place).ok());
    let counts = (0..count).map(|_| Some((place(bytes)?, bytes.u64()?))).collect::<Option<Vec<_>>>()?;
    if bytes.u8()? == 0 {
        return Some(Observations { sum, counts, exponential: None });
    }
    let schema = i8::try_from(bytes.i64()?).ok().filter(|schema| (SCHEMA_MIN..=SCHEMA_MAX).contains(schema))?;
    let shift = schema.unsigned_abs();
    let furthest = if schema < 0 { POWERS_MAX >> shift } else { POWERS_MAX << shift } + 1;
    let mut exponential = Exponential::default();
    exponential.add_zero(bytes.u64()?);
    let mut empty = true;
    for sign in [Sign::Positive, Sign::Negative] {
        let mut index = 0_i64;
        for _ in 0..bytes.u64()? {
            index = index.checked_add(bytes.i64()?).filter(|index| index.unsigned_abs() <= furthest)?;
            exponential.add(schema, sign, i32::try_from(index).ok()?, bytes.u64()?);
            empty = false;
        }
    }
    // Without a bucket there is nothing that would have made it as coarse as it was.
    if empty && schema < SCHEMA_MAX {
        exponential.add(schema, Sign::Positive, 0, 0);
    }
    Some(Observations { sum, counts, exponential: Some(exponential) })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use proptest::prelude::*;

    fn all(bytes: &[u8]) -> Option<Vec<Operation<'_>>> {
        let mut bytes = Bytes(bytes);
        let mut all = Vec::new();
        while !bytes.is_empty() {
            all.push(read(&mut bytes)?);
        }
        Some(all)
    }

    fn histogram(values: &[(f64, u64)]) -> Histogram {
        let mut histogram = Histogram::with_exponential(Arc::from([0.1, 1.0, 10.0]));
        values.iter().for_each(|(value, weight)| histogram.observe(*value, *weight));
        histogram
    }

    fn observed(bytes: &[u8]) -> Histogram {
        let Some(Operation::Observe(5, read)) = read(&mut Bytes(bytes)) else { panic!("an observation") };
        let mut histogram = Histogram::new(Arc::from([0.1, 1.0, 10.0]));
        read.counts.iter().for_each(|(place, count)| histogram.counts[*place] = *count);
        Histogram { sum: read.sum, exponential: read.exponential, ..histogram }
    }

    #[test]
    fn every_operation_comes_back() {
        let mut out = Vec::new();
        let labels = Labels::from_pairs([("a", "1"), ("b", "é")]);
        put_at(&mut out, Timestamp::from_millis(-5));
        put_family(&mut out, "h_seconds", MetricType::Histogram, Origin::Agent, &[0.1, 2.0]);
        put_define(&mut out, 300, &labels);
        put_count(&mut out, 1, 3.0);
        put_count(&mut out, 1, 0.5);
        put_level(&mut out, 2, -7.0);
        put_level(&mut out, 2, 1e300);
        put_stamped(&mut out, 2, 0.5, -1);
        put_gone(&mut out, 3);
        put_looked(&mut out, Timestamp::from_millis(7), Timestamp::from_millis(-8));
        let totals = Totals { series: 1, number: 2, sequence: 3, last: true };
        put_end(&mut out, totals);
        let family = Family { name: "h_seconds", kind: MetricType::Histogram, origin: Origin::Agent, bounds: vec![0.1, 2.0] };
        let expected = vec![
            Operation::At(Timestamp::from_millis(-5)),
            Operation::Family(family),
            Operation::Define(300, labels),
            Operation::Count(1, 3.0),
            Operation::Count(1, 0.5),
            Operation::Level(2, -7.0),
            Operation::Level(2, 1e300),
            Operation::Stamped(2, 0.5, -1),
            Operation::Gone(3),
            Operation::Looked { last: Timestamp::from_millis(7), at: Timestamp::from_millis(-8) },
            Operation::End(totals),
        ];
        assert_eq!(all(&out), Some(expected));
    }

    #[test]
    fn a_small_rise_of_a_counter_takes_three_bytes() {
        let mut out = Vec::new();
        put_count(&mut out, 100, 12.0);
        assert_eq!(out.len(), 3);
    }

    #[test]
    fn a_coarse_histogram_without_buckets_stays_as_coarse() {
        let mut coarse = histogram(&[]);
        coarse.exponential.as_mut().expect("there").add(2, Sign::Positive, 0, 0);
        let mut out = Vec::new();
        put_observe(&mut out, 5, &coarse);
        assert_eq!(observed(&out).exponential.map(|exponential| exponential.schema()), Some(2));
    }

    #[test]
    fn a_bucket_beyond_every_float_makes_no_sense() {
        let mut out = vec![OBSERVE | WHOLE, 5, 0, 0, 1];
        put_i64(&mut out, 5);
        out.extend([0, 1]);
        let with = |index| {
            let mut out = out.clone();
            put_i64(&mut out, index);
            out.extend([1, 0]);
            out
        };
        assert!(read(&mut Bytes(&with(34_000))).is_some());
        for index in [40_000, i64::from(i32::MAX), i64::MIN, i64::MAX] {
            assert_eq!(read(&mut Bytes(&with(index))), None, "{index}");
        }
    }

    fn value() -> impl Strategy<Value = f64> {
        prop_oneof![1e-3..1e3, -1e3..-1e-3, Just(0.0), Just(-0.0), proptest::num::f64::NORMAL]
    }

    proptest! {
        #[test]
        fn a_histogram_comes_back_whatever_it_has_seen(values in proptest::collection::vec((value(), 1_u64..1000), 0..50)) {
            let histogram = histogram(&values);
            let mut out = Vec::new();
            put_observe(&mut out, 5, &histogram);
            let back = observed(&out);
            prop_assert_eq!(back.sum.to_bits(), histogram.sum.to_bits());
            prop_assert_eq!(back, histogram);
        }

        #[test]
        fn a_number_comes_back_bit_by_bit(value in prop_oneof![value(), (0_u64..1 << 60).prop_map(|whole| whole as f64)]) {
            let mut out = Vec::new();
            put_count(&mut out, 5, value);
            let Some(Operation::Count(5, back)) = read(&mut Bytes(&out)) else { panic!("a count") };
            prop_assert_eq!(back.to_bits(), value.to_bits());
        }

        #[test]
        fn no_bytes_are_too_strange(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _made = all(&bytes);
        }
    }
}
