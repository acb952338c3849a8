//! The quick way: one pass over a flat object.

use super::cursor::Cursor;
use super::guess::{Guesses, UNKNOWN};
use crate::ingest::kinds::{self, Field, Fields, KIND, Kind, Object, Takes, Value};

/// A line that is being read: its kind is known. `None` from any of this where anything is unusual, wrong things included.
#[derive(Debug)]
pub(in crate::ingest) struct Scan<'a> {
    cursor: Cursor<'a>,
    kind: &'static Kind,
    /// What the line begins with, if it is its kind.
    first: Option<&'a str>,
}

impl<'a> Scan<'a> {
    /// Finds an event's kind: mostly the first field, else it is looked for, because the others mean something only within it.
    #[inline]
    pub(in crate::ingest) fn new(line: &'a str, guesses: &mut Guesses) -> Option<Self> {
        let mut cursor = Cursor::new(line);
        if let Some(kind) = guesses.start(&mut cursor) {
            return Some(Self { cursor, kind, first: Some(kind.name) });
        }
        let start = cursor.clone();
        cursor.take(b'{')?;
        cursor.space();
        let mut ahead = cursor.clone();
        let mut is_first = true;
        loop {
            if ahead.key()? == kinds::COMMON.get(KIND)?.name {
                let name = ahead.string()?;
                let kind = kinds::find(name)?;
                if is_first {
                    guesses.learn_start(ahead.since(&start)?, kind);
                    return Some(Self { cursor: ahead, kind, first: Some(name) });
                }
                return Some(Self { cursor, kind, first: None });
            }
            is_first = false;
            if object(&mut ahead, Cursor::pass).is_none() {
                ahead.pass()?;
            }
            if !ahead.next_entry()? {
                return None;
            }
        }
    }

    /// The event's kind.
    pub(in crate::ingest) const fn kind(&self) -> &'static Kind {
        self.kind
    }

    /// Reads the fields, of which none is there yet.
    pub(in crate::ingest) fn read(self, fields: &mut Fields<'a>, guesses: &mut Guesses) -> Option<()> {
        let Self { mut cursor, kind, first } = self;
        let number = kind.number();
        let mut position = match first {
            Some(name) => {
                fields.set(KIND, Value::Text(name))?;
                KIND
            }
            None => {
                let position = known(kind, cursor.key()?);
                take(&mut cursor, kind, position, fields)?;
                position
            }
        };
        loop {
            let before = position;
            position = match guesses.next(number, before, &mut cursor) {
                Some(position) => position,
                None => {
                    let start = cursor.clone();
                    if !cursor.next_entry()? {
                        return cursor.is_at_end().then_some(());
                    }
                    let position = known(kind, cursor.key()?);
                    guesses.learn(number, before, cursor.since(&start)?, position);
                    position
                }
            };
            take(&mut cursor, kind, position, fields)?;
        }
    }
}

/// The position of a key.
fn known(kind: &Kind, key: &str) -> usize {
    kind.find(key).map_or(UNKNOWN, |(position, _)| position)
}

/// Reads the value of the field at this position.
#[inline]
fn take<'a>(cursor: &mut Cursor<'a>, kind: &'static Kind, position: usize, fields: &mut Fields<'a>) -> Option<()> {
    match kind.field(position) {
        Some(field) => fields.set(position, value(cursor, field)?),
        None => cursor.pass(),
    }
}

#[inline]
fn value<'a>(cursor: &mut Cursor<'a>, field: &Field) -> Option<Value<'a>> {
    if cursor.null().is_some() {
        return Some(Value::Null);
    }
    match field.takes {
        Takes::Text => cursor.string().map(Value::Text),
        Takes::Word(words) => cursor.string().filter(|text| words.contains(text)).map(Value::Text),
        Takes::Number => cursor.number().map(Value::Number),
        Takes::Whole => cursor.whole().map(Value::Whole),
        Takes::Texts => object(cursor, Cursor::string).map(Value::Object),
        Takes::Numbers => object(cursor, Cursor::number).map(Value::Object),
    }
}

/// An object whose values are all read by `read`.
fn object<'a, T>(cursor: &mut Cursor<'a>, read: fn(&mut Cursor<'a>) -> Option<T>) -> Option<Object<'a>> {
    let start = cursor.clone();
    cursor.take(b'{')?;
    cursor.space();
    if cursor.take(b'}').is_none() {
        loop {
            cursor.key()?;
            read(cursor)?;
            if !cursor.next_entry()? {
                break;
            }
        }
    }
    // White space behind it may be in it.
    cursor.since(&start).map(Object::Plain)
}

/// The entries of an object that was passed over before.
pub(in crate::ingest) fn pairs<'a, T>(object: &'a str, read: fn(&mut Cursor<'a>) -> Option<T>) -> impl Iterator<Item = (&'a str, T)> {
    let mut cursor = Cursor::new(object);
    std::iter::from_fn(move || {
        // Behind the brace in front, or behind an entry.
        if cursor.take(b'{').is_some() {
            cursor.space();
        } else if !cursor.next_entry()? {
            return None;
        }
        let key = cursor.key()?;
        Some((key, read(&mut cursor)?))
    })
}
