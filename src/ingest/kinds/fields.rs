//! What the fields of one event say. Text is borrowed from the line, or from where its escapes were resolved.

use std::borrow::Cow;

use super::Kind;
use super::field::{DURATION, FIELDS_MAX, REQUEST_ID, SENDER, SEQ, SERVICE, TAGS, TASK_ID, TRACE_ID};
use crate::ingest::Refusal;
use crate::ingest::json;
use crate::ingest::origin::Origin;
use crate::model::TraceId;

/// What one field says. Its type is that which the field takes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(in crate::ingest) enum Value<'a> {
    /// The event does not have the field.
    #[default]
    Absent,
    /// The event has it, without a value.
    Null,
    Text(&'a str),
    Whole(u64),
    Number(f64),
    Object(Object<'a>),
}

/// An object of strings or of numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::ingest) enum Object<'a> {
    /// As it stands in the line: flat, without escapes, and known to be well formed.
    Plain(&'a str),
    Texts(&'a [(Cow<'a, str>, Cow<'a, str>)]),
    Numbers(&'a [(Cow<'a, str>, f64)]),
}

impl<'a> Object<'a> {
    fn texts(self) -> impl Iterator<Item = (&'a str, &'a str)> {
        let (plain, read): (_, &[_]) = match self {
            Self::Plain(text) => (text, &[]),
            Self::Texts(pairs) => ("", pairs),
            Self::Numbers(_) => ("", &[]),
        };
        json::pairs(plain, json::Cursor::string).chain(read.iter().map(|(name, value)| (&**name, &**value)))
    }

    fn numbers(self) -> impl Iterator<Item = (&'a str, f64)> {
        let (plain, read): (_, &[_]) = match self {
            Self::Plain(text) => (text, &[]),
            Self::Numbers(pairs) => ("", pairs),
            Self::Texts(_) => ("", &[]),
        };
        json::pairs(plain, json::Cursor::number).chain(read.iter().map(|(name, value)| (&**name, *value)))
    }
}

/// The fields of one event.
#[derive(Debug)]
pub(in crate::ingest) struct Fields<'a> {
    kind: &'static Kind,
    values: [Value<'a>; FIELDS_MAX],
}

impl<'a> Fields<'a> {
    /// None of them yet.
    pub(in crate::ingest) const fn new(kind: &'static Kind) -> Self {
        Self { kind, values: [Value::Absent; FIELDS_MAX] }
    }

    /// The event's kind.
    pub(in crate::ingest) const fn kind(&self) -> &'static Kind {
        self.kind
    }

    /// Notes what a field says; `None` where it has said something before.
    pub(in crate::ingest) fn set(&mut self, position: usize, value: Value<'a>) -> Option<()> {
        let place = self.values.get_mut(position).filter(|place| matches!(place, Value::Absent))?;
        *place = value;
        Some(())
    }

    fn value(&self, position: usize) -> Value<'a> {
        self.values.get(position).copied().unwrap_or_default()
    }

    /// A text that is not empty.
    pub(in crate::ingest) fn text(&self, position: usize) -> Option<&'a str> {
        if let Value::Text(text) = self.value(position) { Some(text).filter(|text| !text.is_empty()) } else { None }
    }

    /// The same where the event is nothing without it.
    ///
    /// # Errors
    /// When it is not there.
    pub(in crate::ingest) fn required(&self, position: usize) -> Result<&'a str, Refusal> {
        self.text(position).ok_or(Refusal::MissingField)
    }

    /// A whole number.
    pub(in crate::ingest) fn whole(&self, position: usize) -> Option<u64> {
        if let Value::Whole(number) = self.value(position) { Some(number) } else { None }
    }

    /// A number.
    pub(in crate::ingest) fn number(&self, position: usize) -> Option<f64> {
        if let Value::Number(number) = self.value(position) { Some(number) } else { None }
    }

    /// A size or an amount.
    ///
    /// # Errors
    /// When it is negative.
    pub(in crate::ingest) fn amount(&self, position: usize) -> Result<Option<f64>, Refusal> {
        let amount = self.number(position);
        if amount.is_some_and(|amount| amount < 0.0) { Err(Refusal::BadValue) } else { Ok(amount) }
    }

    /// Entries of an object of numbers, in the order they came.
    pub(in crate::ingest) fn numbers(&self, position: usize) -> impl Iterator<Item = (&'a str, f64)> {
        let object = if let Value::Object(object) = self.value(position) { object } else { Object::Plain("") };
        object.numbers()
    }

    /// How long it took, in seconds.
    ///
    /// # Errors
    /// When it is given twice or negative.
    pub(in crate::ingest) fn duration(&self) -> Result<Option<f64>, Refusal> {
        self.seconds(DURATION)
    }

    /// At most one of seconds, milliseconds, microseconds and nanoseconds, which stand in this order; in seconds.
    ///
    /// # Errors
    /// When it is given twice or negative.
    pub(in crate::ingest) fn seconds(&self, first: usize) -> Result<Option<f64>, Refusal> {
        let mut found = None;
        // Dividing by a power of ten rounds once; multiplying by its inverse would round twice.
        for (position, parts) in (first..).zip([1.0, 1e3, 1e6, 1e9]) {
            if let Value::Number(value) = self.value(position)
                && found.replace(value / parts).is_some()
            {
                return Err(Refusal::BadDuration);
            }
        }
        if found.is_some_and(|seconds| seconds < 0.0) { Err(Refusal::BadValue) } else { Ok(found) }
    }

    pub(in crate::ingest) fn service(&self) -> Option<&'a str> {
        self.text(SERVICE)
    }

    pub(in crate::ingest) fn request_id(&self) -> Option<&'a str> {
        self.text(REQUEST_ID)
    }

    pub(in crate::ingest) fn task_id(&self) -> Option<&'a str> {
        self.text(TASK_ID)
    }

    /// The trace that it belongs to, where its id can be kept.
    pub(in crate::ingest) fn trace_id(&self) -> Option<TraceId> {
        self.text(TRACE_ID).and_then(TraceId::new)
    }

    /// Keys and values of `tags`, in the order they came.
    pub(in crate::ingest) fn tags(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        let object = if let Value::Object(object) = self.value(TAGS) { object } else { Object::Plain("") };
        object.texts()
    }

    /// Who sends it, and its number; most events say neither.
    pub(in crate::ingest) fn origin(&self) -> Option<Origin<'a>> {
        let (sender, seq) = (self.text(SENDER), self.whole(SEQ));
        (sender.is_some() || seq.is_some()).then(|| Origin::new(sender, seq))
    }
}

/// Two are equal when they say the same, however it was written.
#[cfg(test)]
impl PartialEq for Fields<'_> {
    fn eq(&self, other: &Self) -> bool {
        use super::field::Takes;
        self.kind.name == other.kind.name
            && self.kind.positions().all(|(position, field)| match field.takes {
                Takes::Texts => self.tags().eq(other.tags()),
                Takes::Numbers => self.numbers(position).eq(other.numbers(position)),
                _ => match (self.value(position), other.value(position)) {
                    (Value::Number(one), Value::Number(other)) => one.to_bits() == other.to_bits(),
                    (one, other) => one == other,
                },
            })
    }
}
