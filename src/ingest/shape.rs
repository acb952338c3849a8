//! Metric lines whose shape has been seen before. A shape is a line without its value: name, type, sampling rate and
//! tags, byte for byte as the sender writes them. What a shape means is worked out once; from then on a line costs one
//! look-up of its bytes and the reading of its value.

use std::hash::{BuildHasher, Hasher};
use std::ops::Range;

use hashbrown::{DefaultHashBuilder, HashTable};

/// What the lines of one shape do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Meaning {
    /// Which of the table's slots they change.
    pub(super) slot: usize,
    /// Takes the sender's value to what is added, set or observed: the unit, and for a count the sampling as well.
    pub(super) factor: f64,
    /// What happens to the slot.
    pub(super) effect: Effect,
    /// How many of the tags have a key that stands in front of them as well.
    pub(super) repeated: u32,
}

impl Meaning {
    /// Whether this value changes the series; where not, the decoder says why.
    pub(super) fn takes(&self, value: f64) -> bool {
        let weight = if let Effect::Observe(weight) = self.effect { f64::from(weight) } else { 1.0 };
        (value * self.factor * weight).is_finite() && (self.effect != Effect::Rise || value >= 0.0)
    }
}

/// What a value does to its series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// It is added to a counter.
    Rise,
    /// It replaces a gauge.
    Set,
    /// It replaces a gauge, or is added to it where there is a sign in front of it.
    SetOrChange,
    /// It is observed, standing for so many observations.
    Observe(u32),
    /// It becomes a member of a set.
    Join,
}

/// The shapes that have been seen. Their text lies in one piece: what is looked up a hundred thousand times a second should
/// not be scattered over memory.
#[derive(Debug, Default)]
pub(super) struct Shapes {
    table: HashTable<Shape>,
    text: Vec<u8>,
    hasher: DefaultHashBuilder,
}

#[derive(Debug)]
struct Shape {
    /// The name, and behind it the fields: from the bar behind the value to the end of the line.
    name: Range<u32>,
    end: u32,
    meaning: Meaning,
}

impl Shape {
    fn parts<'t>(&self, text: &'t [u8]) -> (&'t [u8], &'t [u8]) {
        let part = |from: u32, to: u32| text.get(from as usize..to as usize).unwrap_or(&[]);
        (part(self.name.start, self.name.end), part(self.name.end, self.end))
    }
}

/// A line in its three parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Parts<'l> {
    name: &'l [u8],
    value: &'l [u8],
    fields: &'l [u8],
}

impl<'l> Parts<'l> {
    fn of(line: &'l [u8]) -> Option<Self> {
        let (name, rest) = line.split_at_checked(memchr::memchr(b':', line)?)?;
        Self::behind(name, rest.get(1..)?)
    }

    /// With what stands behind the name's colon.
    fn behind(name: &'l [u8], rest: &'l [u8]) -> Option<Self> {
        let (value, fields) = rest.split_at_checked(memchr::memchr(b'|', rest)?)?;
        Some(Self { name, value, fields })
    }
}

impl Shapes {
    /// What a line does, and its value as the sender wrote it; `None` for a shape that has not been seen.
    pub(super) fn find<'l>(&self, line: &'l [u8]) -> Option<(Meaning, &'l [u8])> {
        self.find_parts(Parts::of(line)?)
    }

    /// The same of one part of a plain StatsD line: it means what it would mean alone behind the name.
    pub(super) fn find_part<'l>(&self, name: &'l [u8], part: &'l [u8]) -> Option<(Meaning, &'l [u8])> {
        self.find_parts(Parts::behind(name, part)?)
    }

    fn find_parts<'l>(&self, parts: Parts<'l>) -> Option<(Meaning, &'l [u8])> {
        let shape = self.table.find(self.hash(parts), |shape| shape.parts(&self.text) == (parts.name, parts.fields))?;
        Some((shape.meaning, parts.value))
    }

    /// Remembers what the lines of this shape do: `rest` is what stands behind the name's colon.
    pub(super) fn learn(&mut self, name: &[u8], rest: &[u8], meaning: Meaning) {
        let Some(parts) = Parts::behind(name, rest) else { return };
        let start = self.text.len();
        let (behind_name, end) = (start + parts.name.len(), start + parts.name.len() + parts.fields.len());
        let (Ok(start), Ok(behind_name), Ok(end)) = (u32::try_from(start), u32::try_from(behind_name), u32::try_from(end)) else { return };
        self.text.extend_from_slice(parts.name);
        self.text.extend_from_slice(parts.fields);
        let (hash_of, text) = (&self.hasher, &self.text);
        let rehash = |shape: &Shape| {
            let (name, fields) = shape.parts(text);
            hash(hash_of, name, fields)
        };
        self.table.insert_unique(self.hash(parts), Shape { name: start..behind_name, end, meaning }, rehash);
    }

    /// How many shapes are remembered.
    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    /// How many bytes of text are remembered.
    pub(super) const fn bytes(&self) -> usize {
        self.text.len()
    }

    fn hash(&self, parts: Parts<'_>) -> u64 {
        hash(&self.hasher, parts.name, parts.fields)
    }
}

fn hash(hasher: &DefaultHashBuilder, name: &[u8], fields: &[u8]) -> u64 {
    let mut state = hasher.build_hasher();
    state.write(name);
    state.write(fields);
    state.finish()
}

/// The powers of ten that a float holds exactly.
const POWERS: [f64; 16] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];

/// Reads a value. Up to fifteen digits with at most one point are exact in a float, and so is the power of ten that they
/// are divided by: one division then rounds as the standard library does. Everything else is left to it.
pub(super) fn number(text: &[u8]) -> Option<f64> {
    let mut digits: u64 = 0;
    let mut count = 0_usize;
    let mut behind_point = None;
    for byte in text {
        match byte {
            b'0'..=b'9' => {
                digits = digits * 10 + u64::from(byte - b'0');
                count += 1;
                behind_point = behind_point.map(|places: usize| places + 1);
            }
            b'.' if behind_point.is_none() => behind_point = Some(0),
            _ => return std::str::from_utf8(text).ok()?.parse().ok(),
        }
        if count > 15 {
            return std::str::from_utf8(text).ok()?.parse().ok();
        }
    }
    let power = POWERS.get(behind_point.unwrap_or(0))?;
    (count > 0).then_some(digits as f64 / power)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const RISE: Meaning = Meaning { slot: 3, factor: 1.0, effect: Effect::Rise, repeated: 0 };

    #[test]
    fn a_line_is_found_by_all_of_it_but_its_value() {
        let mut shapes = Shapes::default();
        shapes.learn(b"a.b", b"1|c|#k:v", RISE);
        assert_eq!(shapes.find(b"a.b:27.5|c|#k:v"), Some((RISE, &b"27.5"[..])));
        for other in ["a.b:1|c|#k:w", "a.c:1|c|#k:v", "a.b:1|g|#k:v", "a.b:1|c|#k:v|", "a.b:1", "a.b|1:2", ""] {
            assert_eq!(shapes.find(other.as_bytes()), None, "{other}");
        }
        assert_eq!(shapes.bytes(), 10);
    }

    #[test]
    fn what_moves_from_the_name_to_the_fields_is_another_shape() {
        let mut shapes = Shapes::default();
        shapes.learn(b"a", b"1|c", RISE);
        assert_eq!(shapes.find(b":1|ca"), None);
        assert_eq!(shapes.find(b":a|c"), None);
    }

    proptest! {
        #[test]
        fn values_are_read_as_the_standard_library_reads_them(text in "[+-]?[0-9]{0,18}(\\.[0-9]{0,18})?(e[+-]?[0-9]{1,3})?|nan|inf|.{0,6}") {
            let expected: Option<u64> = text.parse::<f64>().ok().map(f64::to_bits);
            prop_assert_eq!(number(text.as_bytes()).map(f64::to_bits), expected, "{}", text);
        }

        #[test]
        fn no_bytes_make_it_panic(line in proptest::collection::vec(any::<u8>(), 0..40)) {
            let mut shapes = Shapes::default();
            shapes.learn(b"a", &line, RISE);
            shapes.find(&line);
        }
    }
}
