//! The general way, through serde_json: reads whatever JSON there is, and says what is wrong with the rest.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, Visitor};

use crate::ingest::Refusal;
use crate::ingest::kinds::{self, Field, Fields, Kind, Object, Takes, Value};

/// An event's fields with the text that had to be made for them.
#[derive(Debug)]
pub(in crate::ingest) struct Held<'a> {
    kind: &'static Kind,
    values: Vec<(usize, HeldValue<'a>)>,
}

#[derive(Debug)]
enum HeldValue<'a> {
    Null,
    Text(Cow<'a, str>),
    Whole(u64),
    Number(f64),
    Texts(Vec<(Cow<'a, str>, Cow<'a, str>)>),
    Numbers(Vec<(Cow<'a, str>, f64)>),
}

impl Held<'_> {
    /// The fields, as the quick way would have read them.
    pub(in crate::ingest) fn fields(&self) -> Fields<'_> {
        let mut fields = Fields::new(self.kind);
        for (position, value) in &self.values {
            let value = match value {
                HeldValue::Null => Value::Null,
                HeldValue::Text(text) => Value::Text(text),
                HeldValue::Whole(number) => Value::Whole(*number),
                HeldValue::Number(number) => Value::Number(*number),
                HeldValue::Texts(pairs) => Value::Object(Object::Texts(pairs)),
                HeldValue::Numbers(pairs) => Value::Object(Object::Numbers(pairs)),
            };
            // Each stands there once: see `Visitor::visit_map` below.
            fields.set(*position, value);
        }
        fields
    }
}

/// Reads an event.
///
/// # Errors
/// When the line is not one JSON object, or none of a known kind, or a field is of the wrong type.
pub(in crate::ingest) fn read(line: &str) -> Result<Held<'_>, Refusal> {
    #[derive(Deserialize)]
    struct Named<'a> {
        #[serde(borrow)]
        kind: Option<Text<'a>>,
    }
    let named: Named<'_> = serde_json::from_str(line).map_err(|error| reason(&error))?;
    let name = named.kind.ok_or(Refusal::MissingField)?.0;
    let kind = kinds::find(&name).ok_or(Refusal::UnknownKind)?;
    let mut deserializer = serde_json::Deserializer::from_str(line);
    let held = KindSeed(kind).deserialize(&mut deserializer).and_then(|held| deserializer.end().map(|()| held));
    held.map_err(|error| reason(&error))
}

fn reason(error: &serde_json::Error) -> Refusal {
    if error.is_data() { Refusal::WrongType } else { Refusal::BadJson }
}

/// Reads the fields of this kind.
struct KindSeed(&'static Kind);

impl<'de> DeserializeSeed<'de> for KindSeed {
    type Value = Held<'de>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for KindSeed {
    type Value = Held<'de>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an event")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut values: Vec<(usize, HeldValue<'_>)> = Vec::new();
        while let Some(key) = map.next_key::<Text<'_>>()? {
            let Some((position, field)) = self.0.find(&key.0) else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            if values.iter().any(|(other, _)| *other == position) {
                return Err(A::Error::custom("a field stands there twice"));
            }
            values.push((position, map.next_value_seed(FieldSeed(field))?));
        }
        Ok(Held { kind: self.0, values })
    }
}

/// Reads the value of this field.
struct FieldSeed<'f>(&'f Field);

impl<'de> DeserializeSeed<'de> for FieldSeed<'_> {
    type Value = HeldValue<'de>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        let value = match self.0.takes {
            Takes::Text => Option::<Text<'_>>::deserialize(deserializer)?.map(|text| HeldValue::Text(text.0)),
            Takes::Word(words) => match Option::<Text<'_>>::deserialize(deserializer)? {
                Some(text) if !words.contains(&&*text.0) => return Err(D::Error::custom("not one of the words")),
                text => text.map(|text| HeldValue::Text(text.0)),
            },
            Takes::Number => Option::deserialize(deserializer)?.map(HeldValue::Number),
            Takes::Whole => Option::deserialize(deserializer)?.map(HeldValue::Whole),
            Takes::Texts => Option::<Entries<'_, Text<'_>>>::deserialize(deserializer)?
                .map(|entries| HeldValue::Texts(entries.0.into_iter().map(|(name, text)| (name, text.0)).collect())),
            Takes::Numbers => Option::<Entries<'_, f64>>::deserialize(deserializer)?.map(|entries| HeldValue::Numbers(entries.0)),
        };
        Ok(value.unwrap_or(HeldValue::Null))
    }
}

/// A string that is borrowed where it can be. (`Option<Cow<str>>` by itself would always be copied by serde.)
struct Text<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Strings;
        impl<'de> Visitor<'de> for Strings {
            type Value = Text<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Strings)
    }
}

/// An object's entries in the order they came.
struct Entries<'a, T>(Vec<(Cow<'a, str>, T)>);

impl<'de: 'a, 'a, T: Deserialize<'de>> Deserialize<'de> for Entries<'a, T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Pairs<T> {
            type Value = Entries<'de, T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object whose values are of one type")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some((name, value)) = map.next_entry::<Text<'_>, T>()? {
                    entries.push((name.0, value));
                }
                Ok(Entries(entries))
            }
        }
        deserializer.deserialize_map(Pairs(PhantomData))
    }
}
