//! A sealed chunk: up to some hundred samples of one series as bytes that nobody changes any more.
//!
//! It opens with the number of samples and their times (`times.rs`). Then comes a byte that says what the values are, and they:
//!
//! | byte | values |
//! |---|---|
//! | 0 | one value for all, 8 bytes |
//! | 1 | whole multiples of a unit: decimal places, the least one, the unit, how many are no numbers and where with their bits, the width of the multiples in bytes, the multiples compressed |
//! | 2 | floats, compressed |
//! | 3 | bits, 8 bytes each |

use pco::{DecompressorScratch, DeltaSpec, ModeSpec};

use super::bytes::{Reader, put_number, unzigzag, zigzag};
use super::decimal::{PLACES_MAX, Places, from_whole, to_whole};
use super::head::Raw;
use super::numbers::{delta, order, pack, unpack};
use super::times;

const CONSTANT: u8 = 0;
const DECIMAL: u8 = 1;
const FLOATS: u8 = 2;
const BITS: u8 = 3;

/// The most samples that a chunk may say it has.
const COUNT_MAX: u64 = 1 << 16;

/// A share of the values may be no numbers without the others being treated differently: 1 in so many.
const SPECIAL_SHARE: usize = 16;

/// One or more samples in order of time as a chunk. `None` where there is none.
pub(super) fn encode(samples: &[Raw]) -> Option<Vec<u8>> {
    let first = samples.first()?;
    let times: Vec<i64> = samples.iter().map(|raw| raw.millis).collect();
    let mut out = Vec::new();
    put_number(&mut out, samples.len() as u64);
    times::put(&mut out, &times);
    if samples.iter().all(|raw| raw.bits == first.bits) {
        out.push(CONSTANT);
        out.extend(first.bits.to_le_bytes());
    } else if put_decimals(&mut out, samples).is_none() {
        let values: Vec<f64> = samples.iter().map(|raw| f64::from_bits(raw.bits)).collect();
        match pack(&values, ModeSpec::Auto, DeltaSpec::Auto) {
            Some(packed) if packed.len() < samples.len() * 8 => {
                out.push(FLOATS);
                out.extend(packed);
            }
            _ => {
                out.push(BITS);
                out.extend(samples.iter().flat_map(|raw| raw.bits.to_le_bytes()));
            }
        }
    }
    Some(out)
}

/// The fewest places of which all values that are numbers are decimals.
fn places(samples: &[Raw]) -> Option<Places> {
    let mut places = 0;
    for value in samples.iter().map(|raw| f64::from_bits(raw.bits)).filter(|value| value.is_finite()) {
        while to_whole(value, places).is_none() {
            places += 1;
            if places > PLACES_MAX {
                return None;
            }
        }
    }
    Some(places)
}

/// Writes the values as whole multiples of the greatest unit that all differences have in common.
fn put_decimals(out: &mut Vec<u8>, samples: &[Raw]) -> Option<()> {
    let places = places(samples)?;
    let mut special: Vec<(usize, u64)> = Vec::new();
    let mut wholes: Vec<i64> = Vec::with_capacity(samples.len());
    for (place, raw) in samples.iter().enumerate() {
        let value = f64::from_bits(raw.bits);
        if value.is_finite() {
            wholes.push(to_whole(value, places)?);
        } else {
            special.push((place, raw.bits));
            wholes.push(wholes.last().copied().unwrap_or_default());
        }
    }
    if special.len() > samples.len() / SPECIAL_SHARE + 1 {
        return None;
    }
    let least = wholes.iter().copied().min()?;
    let unit = wholes.iter().fold(0, |unit, whole| greatest_common(whole.abs_diff(least), unit)).max(1);
    let multiples: Vec<u64> = wholes.iter().map(|whole| whole.abs_diff(least) / unit).collect();
    let delta = delta(order(&multiples));
    let greatest = multiples.iter().copied().max()?;
    let (width, packed) = if let Ok(greatest) = u16::try_from(greatest) {
        let narrow: Vec<u16> = multiples.iter().map(|multiple| u16::try_from(*multiple).unwrap_or(greatest)).collect();
        (2, pack(&narrow, ModeSpec::Classic, delta)?)
    } else if let Ok(greatest) = u32::try_from(greatest) {
        let narrow: Vec<u32> = multiples.iter().map(|multiple| u32::try_from(*multiple).unwrap_or(greatest)).collect();
        (4, pack(&narrow, ModeSpec::Classic, delta)?)
    } else {
        (8, pack(&multiples, ModeSpec::Classic, delta)?)
    };
    out.extend([DECIMAL, places]);
    put_number(out, zigzag(least));
    put_number(out, unit);
    put_number(out, special.len() as u64);
    for (place, bits) in special {
        put_number(out, place as u64);
        out.extend(bits.to_le_bytes());
    }
    out.push(width);
    out.extend(packed);
    Some(())
}

const fn greatest_common(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// How many samples a chunk has.
pub(super) fn count(bytes: &[u8]) -> u64 {
    Reader(bytes).number().unwrap_or_default()
}

/// Reads chunks, and keeps its room from one to the next.
#[derive(Default)]
pub(super) struct Decoder {
    scratch: DecompressorScratch,
    times: Vec<i64>,
    bits: Vec<u64>,
    wide: Vec<u64>,
    half: Vec<u32>,
    quarter: Vec<u16>,
    floats: Vec<f64>,
}

impl Decoder {
    /// The times and the bits of a chunk's samples, equally many; `None` where the bytes are no chunk.
    pub(super) fn decode(&mut self, bytes: &[u8]) -> Option<(&[i64], &[u64])> {
        let mut reader = Reader(bytes);
        let count = self.take_times(&mut reader)?;
        self.bits.clear();
        match reader.byte()? {
            CONSTANT => self.bits.resize(count, reader.little_endian(8)?),
            DECIMAL => self.take_decimals(&mut reader, count)?,
            FLOATS => {
                unpack(reader.0, count, &mut self.scratch, &mut self.floats)?;
                self.bits.extend(self.floats.iter().map(|value| value.to_bits()));
            }
            BITS => {
                for _ in 0..count {
                    self.bits.push(reader.little_endian(8)?);
                }
            }
            _ => return None,
        }
        (self.bits.len() == self.times.len()).then_some((&self.times, &self.bits))
    }

    /// The times alone.
    pub(super) fn times(&mut self, bytes: &[u8]) -> Option<&[i64]> {
        self.take_times(&mut Reader(bytes))?;
        Some(&self.times)
    }

    fn take_times(&mut self, reader: &mut Reader<'_>) -> Option<usize> {
        let count = reader.number().filter(|count| (1..=COUNT_MAX).contains(count))?;
        let count = usize::try_from(count).ok()?;
        times::take(reader, count, &mut self.scratch, &mut self.wide, &mut self.times)?;
        Some(count)
    }

    fn take_decimals(&mut self, reader: &mut Reader<'_>, count: usize) -> Option<()> {
        let places = reader.byte()?;
        let least = unzigzag(reader.number()?);
        let unit = reader.number()?;
        let mut special = *reader;
        let specials = reader.number()?;
        for _ in 0..specials {
            reader.number()?;
            reader.take(8)?;
        }
        let value = |multiple: u64| from_whole(least.wrapping_add_unsigned(multiple.wrapping_mul(unit)), places).to_bits();
        match reader.byte()? {
            2 => {
                unpack(reader.0, count, &mut self.scratch, &mut self.quarter)?;
                self.bits.extend(self.quarter.iter().map(|multiple| value(u64::from(*multiple))));
            }
            4 => {
                unpack(reader.0, count, &mut self.scratch, &mut self.half)?;
                self.bits.extend(self.half.iter().map(|multiple| value(u64::from(*multiple))));
            }
            8 => {
                unpack(reader.0, count, &mut self.scratch, &mut self.wide)?;
                self.bits.extend(self.wide.iter().map(|multiple| value(*multiple)));
            }
            _ => return None,
        }
        for _ in 0..special.number()? {
            let place = usize::try_from(special.number()?).ok()?;
            *self.bits.get_mut(place)? = special.little_endian(8)?;
        }
        Some(())
    }
}

/// Its room is nothing to look at.
impl std::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decoder").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::stale_marker;

    fn decoded(bytes: &[u8]) -> Option<Vec<Raw>> {
        let mut decoder = Decoder::default();
        let (times, bits) = decoder.decode(bytes)?;
        Some(times.iter().zip(bits).map(|(millis, bits)| Raw { millis: *millis, bits: *bits }).collect())
    }

    fn samples(values: impl IntoIterator<Item = f64>) -> Vec<Raw> {
        (0..).map(|number| number * 5000).zip(values).map(|(millis, value)| Raw { millis, bits: value.to_bits() }).collect()
    }

    /// The size of 480 samples that come back.
    fn size(value: impl Fn(u64) -> f64) -> usize {
        let samples = samples((0..480).map(value));
        let bytes = encode(&samples).expect("encodes");
        assert_eq!(decoded(&bytes).as_ref(), Some(&samples));
        assert_eq!(count(&bytes), 480);
        bytes.len()
    }

    #[test]
    fn what_is_regular_costs_little() {
        assert!(size(|_| 0.1) <= 20, "a constant");
        assert!(size(|number| number as f64 * 4096.0) <= 40, "a straight line");
        assert!(size(|number| number as f64 / 100.0 + 1e6) <= 40, "hundredths");
        let bit = |number: u64| (number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 60) as f64;
        assert!(size(|number| bit(number) * 4096.0) <= 300, "16 different values");
        assert!(size(|number| if number == 300 { stale_marker() } else { number as f64 }) <= 60, "a straight line that was interrupted");
        assert!(size(|number| (number as f64).sin()) <= 480 * 8 + 20, "no pattern");
    }

    #[test]
    fn times_without_a_pattern_come_back() {
        let samples: Vec<Raw> = (0..300_i64).map(|number| Raw { millis: number * 5000 + number * number % 7, bits: 0 }).collect();
        let bytes = encode(&samples).expect("encodes");
        assert_eq!(decoded(&bytes), Some(samples));
    }

    #[test]
    fn what_is_cut_off_is_no_chunk() {
        for values in [vec![1.0; 100], (0..100).map(f64::from).collect(), (0..100).map(|number| f64::from(number).sqrt()).collect()] {
            let bytes = encode(&samples(values)).expect("encodes");
            for len in 0..bytes.len() - 1 {
                assert!(decoded(&bytes[..len]).is_none_or(|samples| samples.len() == 100), "{len}");
            }
        }
    }

    fn any_value() -> impl Strategy<Value = u64> {
        prop_oneof![
            4 => (-1000..100_000i64).prop_map(|whole| (whole as f64).to_bits()),
            2 => (-1000..100_000i64).prop_map(|whole| (whole as f64 / 100.0).to_bits()),
            1 => any::<u64>(),
            1 => prop::sample::select(vec![stale_marker(), f64::NAN, -0.0, f64::INFINITY, 9_007_199_254_740_993.0]).prop_map(f64::to_bits),
        ]
    }

    proptest! {
        #[test]
        fn samples_come_back_bit_by_bit(
            start in any::<i64>(),
            samples in prop::collection::vec((prop_oneof![9 => Just(5000), 1 => 1..100_000i64], any_value()), 1..300),
        ) {
            let mut millis = start;
            let samples: Vec<Raw> = samples.into_iter().map(|(step, bits)| { millis = millis.wrapping_add(step); Raw { millis, bits } }).collect();
            prop_assert_eq!(decoded(&encode(&samples).expect("encodes")), Some(samples));
        }

        #[test]
        fn other_bytes_are_refused_or_read_but_never_more(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Some(samples) = decoded(&bytes) {
                prop_assert_eq!(samples.len() as u64, count(&bytes));
            }
        }
    }
}
