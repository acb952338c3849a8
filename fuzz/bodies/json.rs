//! Events in JSON: an event is counted or refused, serde's own parser is of the same mind about what is JSON, and spaces and escapes
//! change nothing.

use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;

use sidewatch::ingest::Config;

use super::Outcome;

/// One line, taken for an object.
pub(crate) fn json(data: &[u8]) {
    let line = data.split(|byte| *byte == b'\n').next().unwrap_or(&[]);
    let line = [b"{", line].concat();
    let config = Config { event_tags: vec!["tag".to_owned()], ..Config::default() };
    let outcome = Outcome::of_datagram(&config, &line);
    assert_eq!(outcome.lines, 1.0);
    assert!(outcome.events_total() + outcome.refused_total() >= 1.0, "neither counted nor refused: {outcome:?}");
    let stripped = line.strip_suffix(b"\r").unwrap_or(&line);
    let Ok(text) = std::str::from_utf8(stripped) else {
        return assert_eq!((outcome.refused_for(&["not_utf8"]), outcome.refused_total()), (1.0, 1.0));
    };
    if serde_json::from_str::<IgnoredAny>(text).is_err() {
        return assert!(outcome.events_total() == 0.0 && outcome.families.is_empty(), "this is not JSON: {outcome:?}");
    }
    if serde_json::from_str::<Value>(text).is_err() {
        return; // a number that no float holds, or too deep for this reader
    }
    assert_eq!(outcome.refused_for(&["bad_json"]), 0.0, "this is JSON");
    // An object with two kinds is refused, and which of two reasons comes first is not said anywhere.
    let twice = serde_json::from_str::<Keys>(text).is_ok_and(|Keys(keys)| keys.iter().filter(|key| *key == "kind").count() > 1);
    for other in [spaced(text), escaped(text)] {
        let found = Outcome::of_datagram(&config, other.as_bytes());
        if twice {
            assert_eq!((found.refused_total(), outcome.refused_total()), (1.0, 1.0), "{other}");
        } else {
            assert_eq!(found, outcome, "{other}");
        }
    }
}

/// The keys of an object, as often as they stand there.
struct Keys(Vec<String>);

impl<'de> Deserialize<'de> for Keys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = Keys;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Keys, A::Error> {
                let mut keys = Vec::new();
                while let Some((key, _)) = map.next_entry::<String, IgnoredAny>()? {
                    keys.push(key);
                }
                Ok(Keys(keys))
            }
        }
        deserializer.deserialize_map(Pairs)
    }
}

/// With blanks wherever there may be some: not in front, since a line's first byte tells its language.
fn spaced(text: &str) -> String {
    let blank = |character: char| if "{}[]:,".contains(character) { format!(" {character}\t ") } else { character.to_string() };
    rewritten(text, blank, str::to_owned).trim_start().to_owned()
}

/// With every character of every text as an escape.
fn escaped(text: &str) -> String {
    let escape = |text: &str| text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
    rewritten(text, |character| character.to_string(), escape)
}

/// JSON written another way; escapes that are there stay as they are.
fn rewritten(text: &str, outside: impl Fn(char) -> String, inside: impl Fn(&str) -> String) -> String {
    let mut out = String::new();
    let mut quoted = false;
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => {
                quoted = !quoted;
                out.push('"');
            }
            '\\' if quoted => {
                let escape = characters.next();
                let digits = if escape == Some('u') { 4 } else { 0 };
                out.extend(['\\'].into_iter().chain(escape).chain(characters.by_ref().take(digits)));
            }
            other if quoted => out.push_str(&inside(&other.to_string())),
            other => out.push_str(&outside(other)),
        }
    }
    out
}
