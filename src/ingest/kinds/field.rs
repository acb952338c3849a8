//! What the fields of events are called and what they take, and where a key of an event leads to.

/// What a field takes. Every field takes `null` as well, which is as good as its absence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// A string; an empty one counts as absent.
    Text,
    /// One of these strings.
    Word(&'static [&'static str]),
    /// A number.
    Number,
    /// A whole number, not negative.
    Whole,
    /// An object of strings.
    Texts,
    /// An object of numbers.
    Numbers,
}

/// One field of an event.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Its key.
    pub name: &'static str,
    /// What it takes.
    pub takes: Takes,
    /// What it means, as a part of a sentence.
    pub help: &'static str,
}

const fn field(name: &'static str, takes: Takes, help: &'static str) -> Field {
    Field { name, takes, help }
}

/// The fields that every event may have.
pub(in crate::ingest) const COMMON: [Field; 9] = [
    field("kind", Takes::Text, "what is reported; required"),
    field("service", Takes::Text, "becomes the label `service_name`; default `ingest.service`"),
    field("time", Takes::Number, "when it was, in Unix seconds; context only: everything counts when it arrives"),
    field("request_id", Takes::Text, "the request that it belongs to"),
    field("task_id", Takes::Text, "the task that it belongs to"),
    field("trace_id", Takes::Text, "the trace that it belongs to, at most 39 bytes: becomes the exemplar of what is observed"),
    field("sender", Takes::Text, "the sender's name for itself: see [losses](#losses)"),
    field("seq", Takes::Whole, "the sender's running number: gaps count as loss, see there"),
    field("tags", Takes::Texts, "labels of a `count`, `gauge` or `histogram`; of other kinds only the keys in `ingest.event_tags`"),
];

/// The fields of events that take time: exactly one of them where a duration is needed.
pub(in crate::ingest) const DURATIONS: [Field; 4] = [
    field("duration_s", Takes::Number, "how long it took, in seconds"),
    field("duration_ms", Takes::Number, "the same in milliseconds"),
    field("duration_us", Takes::Number, "the same in microseconds"),
    field("duration_ns", Takes::Number, "the same in nanoseconds"),
];

pub(in crate::ingest) const KIND: usize = 0;
pub(in crate::ingest) const SERVICE: usize = 1;
pub(in crate::ingest) const REQUEST_ID: usize = 3;
pub(in crate::ingest) const TASK_ID: usize = 4;
pub(in crate::ingest) const TRACE_ID: usize = 5;
pub(in crate::ingest) const SENDER: usize = 6;
pub(in crate::ingest) const SEQ: usize = 7;
pub(in crate::ingest) const TAGS: usize = 8;
pub(in crate::ingest) const DURATION: usize = COMMON.len();
/// The first of a kind's own fields.
pub(in crate::ingest) const OWN: usize = COMMON.len() + DURATIONS.len();

/// No kind has more fields, the common ones included.
pub(in crate::ingest) const FIELDS_MAX: usize = 32;

/// Places for keys; a power of two, and so large that few fall on a place that is taken.
const PLACES: usize = 128;
const FREE: u8 = u8::MAX;
const NOTHING: Field = field("", Takes::Text, "");

/// All fields of a kind, and the way from a key to its field. Worked out by the compiler.
#[derive(Debug)]
pub(super) struct Layout {
    fields: [Field; FIELDS_MAX],
    places: [u8; PLACES],
}

impl Layout {
    /// The common fields, the durations of a kind that takes time, and the kind's own.
    pub(super) const fn new(timed: bool, own: &[Field]) -> Self {
        let mut layout = Self { fields: [NOTHING; FIELDS_MAX], places: [FREE; PLACES] };
        layout = layout.with(0, &COMMON);
        if timed {
            layout = layout.with(DURATION, &DURATIONS);
        }
        layout.with(OWN, own)
    }

    #[allow(clippy::indexing_slicing, clippy::cast_possible_truncation)] // not at run time
    const fn with(mut self, first: usize, mut fields: &[Field]) -> Self {
        let mut position = first;
        while let [field, rest @ ..] = fields {
            self.fields[position] = *field;
            let mut place = place(field.name);
            while self.places[place] != FREE {
                place = (place + 1) % PLACES;
            }
            self.places[place] = position as u8;
            position += 1;
            fields = rest;
        }
        self
    }

    /// The position of a key, and its field.
    pub(super) fn find(&self, key: &str) -> Option<(usize, &Field)> {
        let mut place = place(key);
        loop {
            let position = *self.places.get(place)?;
            let field = self.fields.get(usize::from(position))?;
            if field.name == key {
                return Some((usize::from(position), field));
            }
            place = (place + 1) % PLACES;
        }
    }

    /// The field at this position.
    #[inline]
    pub(super) fn field(&self, position: usize) -> Option<&Field> {
        self.fields.get(position)
    }

    /// All fields in order.
    pub(super) fn fields(&self) -> impl Iterator<Item = &Field> {
        self.fields.iter().filter(|field| !field.name.is_empty())
    }
}

/// Where to look first: by the length and the bytes that differ most among the keys of events.
const fn place(key: &str) -> usize {
    let (first, before, last) = match key.as_bytes() {
        [] => (0, 0, 0),
        [only] => (*only, 0, *only),
        [first, last] => (*first, *first, *last),
        [first, .., before, last] => (*first, *before, *last),
    };
    (first as usize + 3 * key.len() + 5 * last as usize + 11 * before as usize) % PLACES
}

/// A kind's own fields, and for each a constant with its position.
macro_rules! fields {
    ($($position:ident $name:literal $takes:expr, $help:literal;)*) => {
        // Some fields are only read to be checked.
        #[allow(dead_code, non_camel_case_types, clippy::upper_case_acronyms)]
        enum Position { $($position),* }
        $(#[allow(dead_code)] const $position: usize = $crate::ingest::kinds::field::OWN + Position::$position as usize;)*
        const FIELDS: &[$crate::ingest::kinds::field::Field] =
            &[$($crate::ingest::kinds::field::Field { name: $name, takes: $takes, help: $help }),*];
    };
}
pub(super) use fields;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_leads_to_its_field_and_no_other_does() {
        let own = [field("a", Takes::Whole, ""), field("ab", Takes::Text, ""), field("ba", Takes::Text, "")];
        let layout = Layout::new(true, &own);
        for (position, name) in [(KIND, "kind"), (TAGS, "tags"), (DURATION + 2, "duration_us"), (OWN, "a"), (OWN + 2, "ba")] {
            assert_eq!(layout.find(name).map(|(position, field)| (position, field.name)), Some((position, name)));
        }
        for key in ["", "b", "aa", "dnik", "duration_m", "duration_xs"] {
            assert!(layout.find(key).is_none(), "{key}");
        }
        assert!(Layout::new(false, &own).find("duration_s").is_none());
        assert_eq!(layout.fields().count(), COMMON.len() + DURATIONS.len() + own.len());
    }

    #[test]
    fn the_positions_are_those_of_the_fields() {
        let named = [(KIND, "kind"), (SERVICE, "service"), (REQUEST_ID, "request_id"), (TASK_ID, "task_id"), (TRACE_ID, "trace_id")];
        for (position, name) in named.into_iter().chain([(SENDER, "sender"), (SEQ, "seq"), (TAGS, "tags")]) {
            assert_eq!(COMMON[position].name, name);
        }
    }
}
