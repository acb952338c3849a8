//! The quick way: one pass over a flat object.

use super::cursor::Cursor;
use crate::ingest::kinds::{self, Field, Fields, KIND, Kind, Object, Takes, Value};

/// Reads an event; `None` where anything about it is unusual, wrong things included.
pub(in crate::ingest) fn scan(line: &str) -> Option<Fields<'_>> {
    let mut cursor = Cursor::new(line);
    cursor.take(b'{')?;
    cursor.space();
    let mut fields = Fields::new(kind(cursor.clone())?);
    loop {
        let key = cursor.key()?;
        match fields.kind().find(key) {
            Some((position, field)) => {
                let value = value(&mut cursor, field)?;
                fields.set(position, value)?;
            }
            None => cursor.pass()?,
        }
        if !cursor.next_entry()? {
            break;
        }
    }
    cursor.is_at_end().then_some(fields)
}

/// The event's kind: mostly the first field, else it is looked for, because the others mean something only within it.
fn kind(mut cursor: Cursor<'_>) -> Option<&'static Kind> {
    loop {
        if cursor.key()? == kinds::COMMON.get(KIND)?.name {
            return kinds::find(cursor.string()?);
        }
        if object(&mut cursor, Cursor::pass).is_none() {
            cursor.pass()?;
        }
        if !cursor.next_entry()? {
            return None;
        }
    }
}

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
