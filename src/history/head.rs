//! The newest samples of a series, in a form that is compact and takes one sample at a time for a few nanoseconds.
//!
//! The last sample is kept as it is. What came before is known by differences: a value that stayed and a time that went on
//! by the same step cost nothing but a count, a whole or decimal number costs the bytes of its difference, any other value the bytes
//! that are not zero in its exclusive or with the one before. A head is read backwards, so that the newest samples, for which nearly
//! everybody asks, are there at once, and those that are older than what is asked for are not read at all. A code of one byte therefore
//! stands behind what belongs to it:
//!
//! | code | meaning | behind |
//! |---|---|---|
//! | `00nnnnnn` | n + 1 samples with the value before | |
//! | `01nnnnnn`, n < 48 | a sample that differs from the one before by n units, zigzag | |
//! | `01nnnnnn`, n >= 48 | likewise | the difference in n - 47 bytes |
//! | `10tttnnn` | a sample with another bit pattern | n + 1 bytes, shifted by t bytes, that differ |
//! | `1100kkkk` | up to here a unit was one of the k-th decimal place | |
//! | `1101-nnn` | up to here the step from sample to sample was another one | what was added to it in n + 1 bytes, zigzag |

use super::blocks::{Blocks, Chain};
use super::bytes::{Backward, low_byte, unzigzag, zigzag};
use super::decimal::{PLACES_MAX, Places, from_whole, to_whole};

/// So many samples make a chunk: forty minutes at the default resolution of 5 s.
pub(super) const SAMPLES_MAX: u16 = 480;

/// So many samples stay in the head when those before them are sealed, or a quarter where there are fewer: what is asked for again and
/// again, by rules and dashboards, is the last minutes, and they never have to be looked for in a chunk.
const KEPT_MAX: u16 = 64;

/// A head is sealed when its samples take so many bytes, too, which happens to values without any pattern.
const BYTES_MAX: usize = 1280;

/// So many repetitions are written at once at most, so that they take 8 bytes.
const REPEATS_MAX: u16 = 512;

/// Differences below this are part of the code.
const SHORT: u64 = 48;

/// A sample as history keeps it. The value is kept as bits: no operation on floats can quiet a stale marker here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Raw {
    pub(super) millis: i64,
    pub(super) bits: u64,
}

/// How values are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// As numbers of this many places.
    Decimal(Places),
    /// As bits, because a value was no such number.
    Bits,
}

#[derive(Clone, Debug)]
pub(super) struct Head {
    first: i64,
    closing: Closing,
    chain: Chain,
    count: u16,
}

/// How a head ends: what is needed to read it, beside the chain's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Closing {
    pub(super) last: Raw,
    /// Milliseconds from the sample before to the last one.
    pub(super) step: i64,
    /// So many samples at the end repeat the one before and are not written yet.
    pub(super) repeats: u16,
    pub(super) unit: Unit,
}

/// The bytes of one sample, as they come together: at most 8 of repetitions, 9 of a step, 1 of places, 9 of a value.
#[derive(Default)]
struct Codes {
    bytes: [u8; 32],
    len: usize,
}

impl Codes {
    fn put(&mut self, byte: u8) {
        if let Some(place) = self.bytes.get_mut(self.len) {
            *place = byte;
            self.len += 1;
        }
    }

    /// The low bytes of a number, so many that nothing is lost, and behind them a code that says how many.
    fn put_number(&mut self, code: impl Fn(u8) -> u8, number: u64) {
        let count = (u64::BITS - number.leading_zeros()).div_ceil(8).max(1);
        for byte in number.to_le_bytes().into_iter().take(count as usize) {
            self.put(byte);
        }
        self.put(code(low_byte(u64::from(count - 1))));
    }

    fn put_repeats(&mut self, mut repeats: u16) {
        while repeats > 0 {
            let now = repeats.min(64);
            self.put(low_byte(u64::from(now - 1)));
            repeats -= now;
        }
    }

    fn as_slice(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or(&[])
    }
}

impl Head {
    pub(super) const fn new(first: Raw) -> Self {
        let closing = Closing { last: first, step: 0, repeats: 0, unit: Unit::Decimal(0) };
        Self { first: first.millis, closing, chain: Chain::EMPTY, count: 1 }
    }

    pub(super) const fn first(&self) -> i64 {
        self.first
    }

    pub(super) const fn last(&self) -> i64 {
        self.closing.last.millis
    }

    pub(super) const fn count(&self) -> u16 {
        self.count
    }

    pub(super) const fn chain(&self) -> Chain {
        self.chain
    }

    /// Whether it is time to seal; `early` many samples before the limit, so that not all series are sealed at once.
    pub(super) const fn is_full(&self, early: u16) -> bool {
        self.count >= SAMPLES_MAX + KEPT_MAX - early || self.chain.len() >= BYTES_MAX
    }

    /// How many of its samples stay when it is sealed.
    pub(super) fn kept(&self) -> usize {
        usize::from(KEPT_MAX.min(self.count / 4))
    }

    /// Takes a sample that is newer than the last one.
    pub(super) fn push(&mut self, blocks: &mut Blocks, raw: Raw) {
        let Closing { last, step, .. } = self.closing;
        let new_step = raw.millis.wrapping_sub(last.millis);
        if raw.bits == last.bits && new_step == step {
            self.closing.repeats += 1;
            // Thinning may add very many at once.
            if self.closing.repeats == REPEATS_MAX {
                let mut codes = Codes::default();
                codes.put_repeats(std::mem::take(&mut self.closing.repeats));
                blocks.write(&mut self.chain, codes.as_slice());
            }
        } else {
            let mut codes = Codes::default();
            codes.put_repeats(std::mem::take(&mut self.closing.repeats));
            if new_step != step {
                codes.put_number(|count| 0b1101_0000 | count, zigzag(new_step.wrapping_sub(step)));
                self.closing.step = new_step;
            }
            if raw.bits == last.bits {
                self.closing.repeats = 1;
            } else {
                self.put_value(&mut codes, raw.bits);
            }
            blocks.write(&mut self.chain, codes.as_slice());
        }
        self.closing.last = raw;
        self.count = self.count.saturating_add(1);
    }

    fn put_value(&mut self, codes: &mut Codes, bits: u64) {
        let unit = self.closing.unit;
        let difference = self.difference(f64::from_bits(bits));
        if let Unit::Decimal(places) = unit
            && self.closing.unit != unit
        {
            codes.put(0b1100_0000 | places);
        }
        match difference.map(zigzag) {
            Some(short) if short < SHORT => codes.put(0b0100_0000 | low_byte(short)),
            Some(long) => codes.put_number(|count| 0b0100_0000 | (low_byte(SHORT) + count), long),
            None => {
                let differing = bits ^ self.closing.last.bits;
                let shift = differing.trailing_zeros() / 8;
                codes.put_number(|count| 0b1000_0000 | low_byte(u64::from(shift)) << 3 | count, differing >> (shift * 8));
            }
        }
    }

    /// The difference to the last value in the unit, which becomes a smaller one if need be; `None` when there is none, and from then
    /// on it is not looked for any more, unless what is special about the value is that it is no number.
    fn difference(&mut self, value: f64) -> Option<i64> {
        let Unit::Decimal(least) = self.closing.unit else { return None };
        let last = f64::from_bits(self.closing.last.bits);
        if !value.is_finite() || !last.is_finite() {
            return None;
        }
        for places in least..=PLACES_MAX {
            if let (Some(new), Some(old)) = (to_whole(value, places), to_whole(last, places)) {
                self.closing.unit = Unit::Decimal(places);
                return Some(new - old);
            }
        }
        self.closing.unit = Unit::Bits;
        None
    }

    /// What is needed to read it beside the chain's bytes.
    pub(super) const fn closing(&self) -> Closing {
        self.closing
    }

    /// Hands on its samples, the newest first, until `visit` does not want more.
    pub(super) fn read(&self, blocks: &Blocks, visit: impl FnMut(Raw) -> bool) {
        self.closing.read(blocks.pieces(self.chain), visit);
    }
}

impl Closing {
    /// Hands on the samples that are written in `pieces`, of which the last one comes first: the newest first, until `visit` does not
    /// want more.
    pub(super) fn read<'p>(self, pieces: impl Iterator<Item = &'p [u8]>, mut visit: impl FnMut(Raw) -> bool) {
        let (mut millis, mut step) = (self.last.millis, self.step);
        let mut value = Value::new(self.last.bits, self.unit);
        let mut bytes = Backward::new(pieces);
        let mut repeats = self.repeats;
        loop {
            for _ in 0..repeats {
                if !visit(Raw { millis, bits: value.bits }) {
                    return;
                }
                millis = millis.wrapping_sub(step);
            }
            repeats = 0;
            let Some(code) = bytes.byte() else { break };
            let low = code & 0b0011_1111;
            let before = match code >> 6 {
                0 => {
                    repeats = u16::from(low) + 1;
                    continue;
                }
                1 => {
                    let difference = match u64::from(low) {
                        short if short < SHORT => short,
                        long => match bytes.little_endian(usize::from(low_byte(long - SHORT)) % 8 + 1) {
                            Some(difference) => difference,
                            None => break,
                        },
                    };
                    value.minus(unzigzag(difference))
                }
                2 => {
                    let Some(differing) = bytes.little_endian(usize::from(low & 7) + 1) else { break };
                    value.flipped(differing << (low >> 3 << 3))
                }
                _ if low & 0b0001_0000 == 0 => {
                    value = Value::new(value.bits, Unit::Decimal(low & 0b1111));
                    continue;
                }
                _ => {
                    let Some(difference) = bytes.little_endian(usize::from(low & 7) + 1) else { break };
                    step = step.wrapping_sub(unzigzag(difference));
                    continue;
                }
            };
            if !visit(Raw { millis, bits: value.bits }) {
                return;
            }
            millis = millis.wrapping_sub(step);
            value = before;
        }
        visit(Raw { millis, bits: value.bits });
    }
}

/// The value while a head is read, with the whole number of decimal units that it is, where that has been asked for already: a run of
/// differences needs no look at the floats in between.
#[derive(Clone, Copy)]
struct Value {
    bits: u64,
    whole: Option<i64>,
    places: Places,
}

impl Value {
    const fn new(bits: u64, unit: Unit) -> Self {
        let places = match unit {
            Unit::Decimal(places) => places,
            Unit::Bits => 0,
        };
        Self { bits, whole: None, places }
    }

    #[inline]
    fn minus(self, difference: i64) -> Self {
        let whole = self.whole.unwrap_or_else(|| to_whole(f64::from_bits(self.bits), self.places).unwrap_or_default());
        let whole = whole.wrapping_sub(difference);
        Self { bits: from_whole(whole, self.places).to_bits(), whole: Some(whole), ..self }
    }

    const fn flipped(self, differing: u64) -> Self {
        Self { bits: self.bits ^ differing, whole: None, ..self }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::stale_marker;

    fn fill(samples: &[Raw]) -> (Blocks, Head) {
        let mut blocks = Blocks::default();
        let (first, others) = samples.split_first().expect("one at least");
        let mut head = Head::new(*first);
        for raw in others {
            head.push(&mut blocks, *raw);
        }
        (blocks, head)
    }

    fn read(blocks: &Blocks, head: &Head) -> Vec<Raw> {
        let mut samples = Vec::new();
        head.read(blocks, |raw| {
            samples.push(raw);
            true
        });
        samples.reverse();
        samples
    }

    /// The bytes of 480 samples that come back.
    fn size(value: impl Fn(u32) -> f64) -> usize {
        let samples: Vec<Raw> = (0..480).map(|number| Raw { millis: i64::from(number) * 5000, bits: value(number).to_bits() }).collect();
        let (blocks, head) = fill(&samples);
        assert_eq!(read(&blocks, &head), samples);
        assert_eq!((head.first(), head.last(), head.count()), (0, 479 * 5000, 480));
        head.chain().len()
    }

    #[test]
    fn what_is_regular_costs_little() {
        assert!(size(|_| 0.1) <= 4, "a constant");
        assert!(size(|number| f64::from(number) * 7.0) <= 484, "a byte a step");
        assert!(size(|number| f64::from(number) / 100.0) <= 490, "hundredths");
        assert!(size(|number| f64::from(number) * 4096.0) <= 3 * 484, "larger steps");
        assert!(size(|number| f64::from(number).sqrt()) <= 480 * 9, "no pattern");
    }

    #[test]
    fn it_is_full_by_count_by_bytes_or_early() {
        let (mut blocks, mut head) = fill(&[Raw { millis: 0, bits: 0 }]);
        for number in 1..544 {
            assert!(!head.is_full(0));
            assert_eq!(head.is_full(300), number >= 244);
            head.push(&mut blocks, Raw { millis: number, bits: 0 });
        }
        assert!(head.is_full(0));
        let (mut blocks, mut head) = fill(&[Raw { millis: 0, bits: 0 }]);
        for number in 1..200_i64 {
            if head.is_full(0) {
                break;
            }
            head.push(&mut blocks, Raw { millis: number, bits: number.cast_unsigned().wrapping_mul(0x9e37_79b9_7f4a_7c15) });
        }
        assert!((130..160).contains(&head.count()), "{} values without a pattern", head.count());
        assert!((BYTES_MAX..BYTES_MAX + 32).contains(&head.chain().len()), "a head that is sealed in time is not longer");
        assert_eq!(head.kept(), usize::from(head.count() / 4));
    }

    #[test]
    fn more_repetitions_than_a_head_usually_has_come_back() {
        let raw = |number: i64, bits| Raw { millis: number * 60_000, bits };
        let mut samples: Vec<Raw> = (0..5_000).map(|number| raw(number, 7)).collect();
        samples.extend([raw(9_000, u64::MAX), raw(9_001, 7)]);
        let (blocks, head) = fill(&samples);
        assert_eq!(read(&blocks, &head), samples);
    }

    #[test]
    fn reading_stops_where_nobody_wants_more() {
        let samples: Vec<Raw> = (0..300).map(|number| Raw { millis: number, bits: 7 }).collect();
        let (blocks, head) = fill(&samples);
        let mut seen = Vec::new();
        head.read(&blocks, |raw| {
            seen.push(raw.millis);
            seen.len() < 100
        });
        assert_eq!(seen, (200..300).rev().collect::<Vec<_>>());
    }

    fn any_value() -> impl Strategy<Value = u64> {
        prop_oneof![
            4 => (-1000..100_000i64).prop_map(|whole| (whole as f64).to_bits()),
            2 => (-1000..100_000i64).prop_map(|whole| (whole as f64 / 100.0).to_bits()),
            2 => Just(0.5_f64.to_bits()),
            1 => any::<u64>(),
            1 => prop::sample::select(vec![stale_marker(), f64::NAN, -0.0, f64::INFINITY, f64::NEG_INFINITY, 9_007_199_254_740_993.0, -1e15])
                .prop_map(f64::to_bits),
        ]
    }

    proptest! {
        #[test]
        fn samples_come_back_bit_by_bit(
            start in any::<i64>(),
            samples in prop::collection::vec((prop_oneof![9 => Just(5000), 1 => 1..100_000i64, 1 => any::<i64>()], any_value()), 1..300),
        ) {
            let mut millis = start;
            let samples: Vec<Raw> = samples.into_iter().map(|(step, bits)| { millis = millis.wrapping_add(step); Raw { millis, bits } }).collect();
            let (blocks, head) = fill(&samples);
            prop_assert_eq!(&read(&blocks, &head), &samples);
        }

        #[test]
        fn other_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut seen = 0;
            let closing = Closing { last: Raw { millis: 0, bits: 0 }, step: 5000, repeats: 3, unit: Unit::Decimal(1) };
            closing.read(bytes.chunks(60).rev(), |_| { seen += 1; true });
            prop_assert!(seen >= 1 && seen <= 4 + 64 * bytes.len());
        }
    }
}
