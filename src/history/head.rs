//! The newest samples of a series, in a form that is compact and takes one sample at a time for a few nanoseconds.
//!
//! The first sample is kept as it is. What follows is written as differences: a value that stays and a time that goes on
//! by the same step cost nothing but a count, a whole or decimal number costs the bytes of its difference, any other value the bytes
//! that are not zero in its exclusive or with the one before. A code of one byte says which:
//!
//! | code | meaning | followed by |
//! |---|---|---|
//! | `00nnnnnn` | n + 1 samples with the value before | |
//! | `01nnnnnn`, n < 48 | a sample that differs by n units, zigzag | |
//! | `01nnnnnn`, n >= 48 | likewise | the difference in n - 47 bytes |
//! | `10tttnnn` | a sample with another bit pattern | n + 1 bytes, shifted by t bytes, that differ |
//! | `1100kkkk` | from here on a unit is one of the k-th decimal place | |
//! | `1101-nnn` | the next sample's step, and that of those that follow, is another one | the difference in n + 1 bytes, zigzag |

use super::blocks::{Blocks, Chain};
use super::bytes::{Reader, low_byte, unzigzag, zigzag};
use super::decimal::{PLACES_MAX, Places, from_whole, to_whole};

/// A head is sealed when it holds so many samples: forty minutes at the default resolution of 5 s.
pub(super) const SAMPLES_MAX: u16 = 480;

/// Or when its samples take so many bytes, which happens to values without any pattern.
const BYTES_MAX: usize = 1024;

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
enum Unit {
    /// As numbers of this many places.
    Decimal(Places),
    /// As bits, because a value was no such number.
    Bits,
}

#[derive(Clone, Debug)]
pub(super) struct Head {
    first: Raw,
    last: Raw,
    step: i64,
    chain: Chain,
    count: u16,
    /// So many samples at the end repeat `last` and are not written yet.
    repeats: u16,
    unit: Unit,
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

    /// The low bytes of a number, so many that nothing is lost, behind a code that says how many.
    fn put_number(&mut self, code: impl Fn(u8) -> u8, number: u64) {
        let count = (u64::BITS - number.leading_zeros()).div_ceil(8).max(1);
        self.put(code(low_byte(u64::from(count - 1))));
        for byte in number.to_le_bytes().into_iter().take(count as usize) {
            self.put(byte);
        }
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
        Self { first, last: first, step: 0, chain: Chain::EMPTY, count: 1, repeats: 0, unit: Unit::Decimal(0) }
    }

    pub(super) const fn first(&self) -> i64 {
        self.first.millis
    }

    pub(super) const fn last(&self) -> i64 {
        self.last.millis
    }

    pub(super) const fn count(&self) -> u16 {
        self.count
    }

    pub(super) const fn chain(&self) -> Chain {
        self.chain
    }

    /// Whether it is time to seal; `early` many samples before the limit, so that not all series are sealed at once.
    pub(super) const fn is_full(&self, early: u16) -> bool {
        self.count >= SAMPLES_MAX - early || self.chain.len() >= BYTES_MAX
    }

    /// Takes a sample that is newer than the last one.
    pub(super) fn push(&mut self, blocks: &mut Blocks, raw: Raw) {
        let step = raw.millis.wrapping_sub(self.last.millis);
        if raw.bits == self.last.bits && step == self.step {
            self.repeats += 1;
            // Thinning may add very many at once.
            if self.repeats == REPEATS_MAX {
                let mut codes = Codes::default();
                codes.put_repeats(std::mem::take(&mut self.repeats));
                blocks.write(&mut self.chain, codes.as_slice());
            }
        } else {
            let mut codes = Codes::default();
            codes.put_repeats(self.repeats);
            self.repeats = 0;
            if step != self.step {
                codes.put_number(|count| 0b1101_0000 | count, zigzag(step.wrapping_sub(self.step)));
                self.step = step;
            }
            if raw.bits == self.last.bits {
                self.repeats = 1;
            } else {
                self.put_value(&mut codes, raw.bits);
            }
            blocks.write(&mut self.chain, codes.as_slice());
        }
        self.last = raw;
        self.count = self.count.saturating_add(1);
    }

    fn put_value(&mut self, codes: &mut Codes, bits: u64) {
        if let Some((places, difference)) = self.difference(f64::from_bits(bits)) {
            if self.unit != Unit::Decimal(places) {
                codes.put(0b1100_0000 | places);
                self.unit = Unit::Decimal(places);
            }
            match zigzag(difference) {
                short if short < SHORT => codes.put(0b0100_0000 | low_byte(short)),
                long => codes.put_number(|count| 0b0100_0000 | (low_byte(SHORT) + count), long),
            }
        } else {
            let differing = bits ^ self.last.bits;
            let shift = differing.trailing_zeros() / 8;
            codes.put_number(|count| 0b1000_0000 | low_byte(u64::from(shift)) << 3 | count, differing >> (shift * 8));
        }
    }

    /// The difference to the last value in units of a decimal place, and which; `None` when there is none, and from then on
    /// it is not looked for any more, unless what is special about the value is that it is no number.
    fn difference(&mut self, value: f64) -> Option<(Places, i64)> {
        let Unit::Decimal(least) = self.unit else { return None };
        let last = f64::from_bits(self.last.bits);
        if !value.is_finite() || !last.is_finite() {
            return None;
        }
        for places in least..=PLACES_MAX {
            if let (Some(new), Some(old)) = (to_whole(value, places), to_whole(last, places)) {
                return Some((places, new - old));
            }
        }
        self.unit = Unit::Bits;
        None
    }

    /// What is needed to read it beside the chain's bytes.
    pub(super) const fn opening(&self) -> Opening {
        Opening { first: self.first, repeats: self.repeats }
    }
}

/// A head's beginning and what is not written of its end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Opening {
    first: Raw,
    repeats: u16,
}

impl Opening {
    pub(super) const fn new(first: Raw, repeats: u16) -> Self {
        Self { first, repeats }
    }

    pub(super) const fn first(self) -> Raw {
        self.first
    }

    pub(super) const fn repeats(self) -> u16 {
        self.repeats
    }

    /// Hands on the samples that are written in `bytes`, until `visit` does not want more.
    pub(super) fn read(self, bytes: &[u8], visit: impl FnMut(Raw) -> bool) {
        self.read_range(bytes, None, visit);
    }

    /// As [`Opening::read`], of the samples after a time: of those before it no more is worked out than what follows needs.
    pub(super) fn read_after(self, bytes: &[u8], after: i64, visit: impl FnMut(Raw) -> bool) {
        self.read_range(bytes, Some(after), visit);
    }

    fn read_range(self, bytes: &[u8], after: Option<i64>, mut visit: impl FnMut(Raw) -> bool) {
        let (mut value, mut millis, mut step) = (Value::new(self.first.bits), self.first.millis, 0_i64);
        let mut pass =
            |millis: i64, value: &mut Value| after.is_some_and(|after| millis <= after) || visit(Raw { millis, bits: value.bits() });
        let mut reader = Reader(bytes);
        if !pass(millis, &mut value) {
            return;
        }
        while let Some(code) = reader.byte() {
            let low = code & 0b0011_1111;
            let repeats = match code >> 6 {
                0 => u16::from(low) + 1,
                1 => {
                    let difference = match u64::from(low) {
                        short if short < SHORT => short,
                        long => match reader.little_endian(usize::from(low_byte(long - SHORT)) % 8 + 1) {
                            Some(difference) => difference,
                            None => return,
                        },
                    };
                    value.add(unzigzag(difference));
                    1
                }
                2 => {
                    let Some(differing) = reader.little_endian(usize::from(low & 7) + 1) else { return };
                    value.flip(differing << (low >> 3 << 3));
                    1
                }
                _ if low & 0b0001_0000 == 0 => {
                    value.set_places(low & 0b1111);
                    continue;
                }
                _ => {
                    let Some(difference) = reader.little_endian(usize::from(low & 7) + 1) else { return };
                    step = step.wrapping_add(unzigzag(difference));
                    continue;
                }
            };
            for _ in 0..repeats {
                millis = millis.wrapping_add(step);
                if !pass(millis, &mut value) {
                    return;
                }
            }
        }
        for _ in 0..self.repeats {
            millis = millis.wrapping_add(step);
            if !pass(millis, &mut value) {
                return;
            }
        }
    }
}

/// The value while a head is read: bits, a whole number of decimal units, or both. What is not asked for is not worked out, since a
/// run of differences needs neither a division nor a look at the float in between.
struct Value {
    bits: Option<u64>,
    whole: Option<i64>,
    places: Places,
}

impl Value {
    const fn new(bits: u64) -> Self {
        Self { bits: Some(bits), whole: None, places: 0 }
    }

    fn bits(&mut self) -> u64 {
        let (whole, places) = (self.whole, self.places);
        *self.bits.get_or_insert_with(|| from_whole(whole.unwrap_or_default(), places).to_bits())
    }

    fn add(&mut self, difference: i64) {
        let whole = match self.whole {
            Some(whole) => whole,
            None => to_whole(f64::from_bits(self.bits()), self.places).unwrap_or_default(),
        };
        (self.whole, self.bits) = (Some(whole.wrapping_add(difference)), None);
    }

    fn flip(&mut self, differing: u64) {
        (self.bits, self.whole) = (Some(self.bits() ^ differing), None);
    }

    fn set_places(&mut self, places: Places) {
        self.bits();
        (self.whole, self.places) = (None, places);
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
        let (mut bytes, mut samples) = (Vec::new(), Vec::new());
        blocks.copy(head.chain(), &mut bytes);
        head.opening().read(&bytes, |raw| {
            samples.push(raw);
            true
        });
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
        for number in 1..480 {
            assert!(!head.is_full(0));
            assert_eq!(head.is_full(300), number >= 180);
            head.push(&mut blocks, Raw { millis: number, bits: 0 });
        }
        assert!(head.is_full(0));
        let (mut blocks, mut head) = fill(&[Raw { millis: 0, bits: 0 }]);
        for number in 1..=113 {
            head.push(&mut blocks, Raw { millis: number, bits: number.cast_unsigned().wrapping_mul(0x9e37_79b9_7f4a_7c15) });
        }
        assert_eq!(head.is_full(0), head.chain().len() >= BYTES_MAX);
        assert!(head.chain().len() < BYTES_MAX + 32, "a head that is sealed in time is not longer");
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
        let (mut bytes, mut seen) = (Vec::new(), 0);
        blocks.copy(head.chain(), &mut bytes);
        head.opening().read(&bytes, |_| {
            seen += 1;
            seen < 100
        });
        assert_eq!(seen, 100);
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
            let mut samples: Vec<Raw> = samples.into_iter().map(|(step, bits)| { millis = millis.wrapping_add(step); Raw { millis, bits } }).collect();
            let (blocks, head) = fill(&samples);
            prop_assert_eq!(&read(&blocks, &head), &samples);

            let after = samples[samples.len() / 2].millis;
            let (mut bytes, mut later) = (Vec::new(), Vec::new());
            blocks.copy(head.chain(), &mut bytes);
            head.opening().read_after(&bytes, after, |raw| { later.push(raw); true });
            samples.retain(|raw| raw.millis > after);
            prop_assert_eq!(later, samples);
        }

        #[test]
        fn other_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut seen = 0;
            Opening { first: Raw { millis: 0, bits: 0 }, repeats: 3 }.read(&bytes, |_| { seen += 1; true });
            prop_assert!(seen >= 1 && seen <= 4 + 64 * bytes.len());
        }
    }
}
