//! Events as JSON objects, one a line. Text stays borrowed from the line unless it holds escapes.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};

use super::{Refusal, sampling};
use crate::model::{CountEvent, Event, GaugeEvent, GaugeMerge, GaugeOp, HistogramEvent, RequestEvent, RequestPhase, Tags, Text};

/// Kinds that the protocol names and a later version counts.
const LATER: [&str; 8] = ["query", "cache", "pool", "task", "operation", "error", "release", "heartbeat"];

/// Reads one event.
///
/// # Errors
/// When the line is not a JSON object, or the object is not an event of a kind that is counted.
pub(super) fn decode(line: &str) -> Result<Event<'_>, Refusal> {
    // Read apart from the rest, because a field means something, and has a type, only within a kind.
    let kind = match leading_kind(line) {
        Some(kind) => Cow::Borrowed(kind),
        None => read::<Kind<'_>>(line)?.kind.ok_or(Refusal::MissingField)?.0,
    };
    match &*kind {
        "request" => read::<Request<'_>>(line)?.event(),
        "count" => read::<Sampled<'_>>(line)?.count(),
        "gauge" => read::<Gauge<'_>>(line)?.event(),
        "histogram" => read::<Sampled<'_>>(line)?.histogram(),
        later if LATER.contains(&later) => Err(Refusal::UnsupportedKind),
        _ => Err(Refusal::UnknownKind),
    }
}

/// The kind of an event that begins with it, as those of most senders do: no need to read the line twice. (The second
/// reading finds a kind that is given again.)
fn leading_kind(line: &str) -> Option<&str> {
    let value = line.strip_prefix("{\"kind\":")?.trim_start_matches(' ').strip_prefix('"')?;
    value.split('"').next().filter(|kind| !kind.contains('\\'))
}

fn read<'a, T: Deserialize<'a>>(line: &'a str) -> Result<T, Refusal> {
    serde_json::from_str(line).map_err(|error| if error.is_data() { Refusal::WrongType } else { Refusal::BadJson })
}

#[derive(Deserialize)]
struct Kind<'a> {
    #[serde(borrow)]
    kind: Option<Word<'a>>,
}

#[derive(Deserialize)]
struct Request<'a> {
    #[serde(rename = "kind")]
    _kind: IgnoredAny,
    #[serde(borrow)]
    service: Option<Word<'a>>,
    phase: Option<Phase>,
    request_id: Option<Word<'a>>,
    method: Option<Word<'a>>,
    route: Option<Word<'a>>,
    path: Option<Word<'a>>,
    status: Option<u16>,
    duration_s: Option<f64>,
    duration_ms: Option<f64>,
    duration_us: Option<f64>,
    duration_ns: Option<f64>,
    bytes_in: Option<f64>,
    bytes_out: Option<f64>,
    encoding: Option<Word<'a>>,
    bytes_uncompressed: Option<f64>,
    queue_s: Option<f64>,
    queue_ms: Option<f64>,
    queue_us: Option<f64>,
    queue_ns: Option<f64>,
    error: Option<Word<'a>>,
    tags: Option<TagObject<'a>>,
}

impl<'a> Request<'a> {
    fn event(self) -> Result<Event<'a>, Refusal> {
        let phase = self.phase.map_or(RequestPhase::End, |phase| match phase {
            Phase::Begin => RequestPhase::Begin,
            Phase::End => RequestPhase::End,
        });
        let duration_s = duration([self.duration_s, self.duration_ms, self.duration_us, self.duration_ns])?;
        let needed = match phase {
            RequestPhase::Begin => self.request_id.is_some(),
            RequestPhase::End => duration_s.is_some(),
        };
        if !needed {
            return Err(Refusal::MissingField);
        }
        if self.status.is_some_and(|status| !(100..=599).contains(&status)) {
            return Err(Refusal::BadValue);
        }
        Ok(Event::Request(RequestEvent {
            service: text(self.service),
            phase,
            request_id: text(self.request_id),
            method: text(self.method),
            route: text(self.route),
            path: text(self.path),
            status: self.status,
            duration_s,
            bytes_in: size(self.bytes_in)?,
            bytes_out: size(self.bytes_out)?,
            encoding: text(self.encoding),
            bytes_uncompressed: size(self.bytes_uncompressed)?,
            queue_s: duration([self.queue_s, self.queue_ms, self.queue_us, self.queue_ns])?,
            error: text(self.error),
            tags: tags(self.tags),
        }))
    }
}

/// A count or an observation: the same fields, and each may stand for several by its sampling rate.
#[derive(Deserialize)]
struct Sampled<'a> {
    #[serde(rename = "kind")]
    _kind: IgnoredAny,
    #[serde(borrow)]
    service: Option<Word<'a>>,
    name: Option<Word<'a>>,
    value: Option<f64>,
    rate: Option<f64>,
    unit: Option<Word<'a>>,
    tags: Option<TagObject<'a>>,
}

impl<'a> Sampled<'a> {
    fn count(self) -> Result<Event<'a>, Refusal> {
        Ok(Event::Count(CountEvent {
            service: text(self.service),
            name: text(self.name).ok_or(Refusal::MissingField)?,
            value: self.value.unwrap_or(1.0) * sampling::inverse(self.rate.unwrap_or(1.0))?,
            unit: text(self.unit),
            tags: tags(self.tags),
        }))
    }

    fn histogram(self) -> Result<Event<'a>, Refusal> {
        Ok(Event::Histogram(HistogramEvent {
            service: text(self.service),
            name: text(self.name).ok_or(Refusal::MissingField)?,
            value: self.value.ok_or(Refusal::MissingField)?,
            weight: sampling::weight(self.rate.unwrap_or(1.0))?,
            unit: text(self.unit),
            tags: tags(self.tags),
        }))
    }
}

#[derive(Deserialize)]
struct Gauge<'a> {
    #[serde(rename = "kind")]
    _kind: IgnoredAny,
    #[serde(borrow)]
    service: Option<Word<'a>>,
    name: Option<Word<'a>>,
    value: Option<f64>,
    op: Option<Op>,
    merge: Option<Merge>,
    unit: Option<Word<'a>>,
    tags: Option<TagObject<'a>>,
}

impl<'a> Gauge<'a> {
    fn event(self) -> Result<Event<'a>, Refusal> {
        Ok(Event::Gauge(GaugeEvent {
            service: text(self.service),
            name: text(self.name).ok_or(Refusal::MissingField)?,
            value: self.value.ok_or(Refusal::MissingField)?,
            op: match self.op {
                Some(Op::Add) => GaugeOp::Add,
                Some(Op::Set) | None => GaugeOp::Set,
            },
            merge: match self.merge {
                Some(Merge::Sum) => GaugeMerge::Sum,
                Some(Merge::Max) => GaugeMerge::Max,
                Some(Merge::Min) => GaugeMerge::Min,
                Some(Merge::Last) | None => GaugeMerge::Last,
            },
            unit: text(self.unit),
            tags: tags(self.tags),
        }))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Phase {
    Begin,
    End,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Op {
    Set,
    Add,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Merge {
    Last,
    Sum,
    Max,
    Min,
}

/// At most one of seconds, milliseconds, microseconds and nanoseconds, in seconds.
fn duration(given: [Option<f64>; 4]) -> Result<Option<f64>, Refusal> {
    // Dividing by a power of ten rounds once; multiplying by its inverse would round twice.
    let mut given = given.into_iter().zip([1.0, 1e3, 1e6, 1e9]).filter_map(|(value, parts)| Some(value? / parts));
    match (given.next(), given.next()) {
        (_, Some(_)) => Err(Refusal::BadDuration),
        (Some(seconds), None) if seconds < 0.0 => Err(Refusal::BadValue),
        (seconds, None) => Ok(seconds),
    }
}

fn size(bytes: Option<f64>) -> Result<Option<f64>, Refusal> {
    if bytes.is_some_and(|bytes| bytes < 0.0) { Err(Refusal::BadValue) } else { Ok(bytes) }
}

fn text(word: Option<Word<'_>>) -> Option<Text<'_>> {
    word.map(|word| word.0).filter(|text| !text.is_empty())
}

fn tags(tags: Option<TagObject<'_>>) -> Tags<'_> {
    tags.map(|tags| tags.0).unwrap_or_default()
}

/// A string that is borrowed where it can be. (`Option<Cow<str>>` by itself would always be copied by serde.)
struct Word<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Word<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Words;
        impl<'de> Visitor<'de> for Words {
            type Value = Word<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Word(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Word(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Words)
    }
}

/// An object of strings.
struct TagObject<'a>(Tags<'a>);

impl<'de: 'a, 'a> Deserialize<'de> for TagObject<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = TagObject<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of strings")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut pairs = Vec::with_capacity(4);
                while let Some((name, value)) = map.next_entry::<Word<'_>, Word<'_>>()? {
                    pairs.push((name.0, value.0));
                }
                Ok(TagObject(pairs))
            }
        }
        deserializer.deserialize_map(Pairs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_request_is_read_with_all_it_says() {
        let line = r#"{"kind":"request","service":"shop","method":"GET","route":"/items/{id}","status":200,"duration_ms":12.5,
            "bytes_out":512,"bytes_uncompressed":2048,"encoding":"gzip","queue_ms":3,"tags":{"region":"eu"},"trace_id":"x","later":[1]}"#;
        let expected = RequestEvent {
            service: Some("shop".into()),
            method: Some("GET".into()),
            route: Some("/items/{id}".into()),
            status: Some(200),
            duration_s: Some(0.0125),
            bytes_out: Some(512.0),
            bytes_uncompressed: Some(2048.0),
            encoding: Some("gzip".into()),
            queue_s: Some(0.003),
            tags: vec![("region".into(), "eu".into())],
            ..RequestEvent::default()
        };
        assert_eq!(decode(line), Ok(Event::Request(expected)));
    }

    #[test]
    fn text_is_borrowed_unless_it_holds_escapes() {
        let Ok(Event::Count(event)) = decode(r#"{"kind":"count","name":"a","unit":"\u0073","tags":{"k":"v"}}"#) else { panic!("a count") };
        assert!(matches!(event.name, Cow::Borrowed("a")));
        assert!(matches!(event.tags[0], (Cow::Borrowed("k"), Cow::Borrowed("v"))));
        assert!(matches!(event.unit, Some(Cow::Owned(unit)) if unit == "s"));
    }

    #[test]
    fn the_untyped_kinds_are_read() {
        let name = || Text::from("a");
        let count = CountEvent { service: None, name: name(), value: 20.0, unit: None, tags: vec![] };
        assert_eq!(decode(r#"{"kind":"count","name":"a","value":2,"rate":0.1}"#), Ok(Event::Count(count.clone())));
        assert_eq!(decode(r#"{"kind":"count","name":"a"}"#), Ok(Event::Count(CountEvent { value: 1.0, ..count })));
        let (op, merge) = (GaugeOp::Add, GaugeMerge::Sum);
        let gauge = GaugeEvent { service: None, name: name(), value: -2.0, op, merge, unit: None, tags: vec![] };
        assert_eq!(decode(r#"{"kind":"gauge","name":"a","value":-2,"op":"add","merge":"sum"}"#), Ok(Event::Gauge(gauge)));
        let unit = Some("ms".into());
        let histogram = HistogramEvent { service: None, name: name(), value: 5.0, weight: 2, unit, tags: vec![] };
        assert_eq!(decode(r#"{"kind":"histogram","name":"a","value":5,"rate":0.5,"unit":"ms"}"#), Ok(Event::Histogram(histogram)));
    }

    #[test]
    fn durations_come_in_one_unit() {
        for (field, seconds) in [("duration_s", 2.0), ("duration_ms", 2e-3), ("duration_us", 2e-6), ("duration_ns", 2e-9)] {
            let line = format!(r#"{{"kind":"request","{field}":2}}"#);
            let Ok(Event::Request(event)) = decode(&line) else { panic!("a request") };
            assert_eq!(event.duration_s, Some(seconds), "{field}");
        }
    }

    #[test]
    fn every_refusal_has_its_reason() {
        for (line, reason) in [
            ("{", Refusal::BadJson),
            (r#"{"kind":"count","name":"a"} x"#, Refusal::BadJson),
            (r#"{"kind":"count","name":"a","value":1e999}"#, Refusal::BadJson),
            (r#"{"name":"a"}"#, Refusal::MissingField),
            (r#"{"kind":5}"#, Refusal::WrongType),
            (r#"{"kind":"count","kind":"gauge","name":"a"}"#, Refusal::WrongType),
            (r#"{"kind":"count"#, Refusal::BadJson),
            (r#"{"kind":"count""#, Refusal::BadJson),
            (r#"{"kind":"wish"}"#, Refusal::UnknownKind),
            (r#"{"kind":"query","statement":"SELECT 1"}"#, Refusal::UnsupportedKind),
            (r#"{"kind":"count"}"#, Refusal::MissingField),
            (r#"{"kind":"count","name":""}"#, Refusal::MissingField),
            (r#"{"kind":"count","name":"a","value":"1"}"#, Refusal::WrongType),
            (r#"{"kind":"count","name":"a","rate":0}"#, Refusal::BadRate),
            (r#"{"kind":"count","name":"a","tags":{"k":1}}"#, Refusal::WrongType),
            (r#"{"kind":"gauge","name":"a"}"#, Refusal::MissingField),
            (r#"{"kind":"gauge","name":"a","value":1,"merge":"avg"}"#, Refusal::WrongType),
            (r#"{"kind":"histogram","name":"a"}"#, Refusal::MissingField),
            (r#"{"kind":"request"}"#, Refusal::MissingField),
            (r#"{"kind":"request","phase":"begin"}"#, Refusal::MissingField),
            (r#"{"kind":"request","duration_s":1,"duration_ms":1000}"#, Refusal::BadDuration),
            (r#"{"kind":"request","duration_s":-1}"#, Refusal::BadValue),
            (r#"{"kind":"request","duration_s":1,"bytes_in":-1}"#, Refusal::BadValue),
            (r#"{"kind":"request","duration_s":1,"status":"200"}"#, Refusal::WrongType),
            (r#"{"kind":"request","duration_s":1,"status":99}"#, Refusal::BadValue),
        ] {
            assert_eq!(decode(line), Err(reason), "{line}");
        }
    }

    #[test]
    fn the_kind_may_stand_anywhere_and_hold_escapes() {
        for line in [r#"{"name":"a","kind":"count"}"#, r#"{ "kind" : "count","name":"a"}"#, r#"{"kind": "c\u006funt","name":"a"}"#] {
            assert!(matches!(decode(line), Ok(Event::Count(_))), "{line}");
        }
    }

    #[test]
    fn a_field_of_another_kind_is_unknown_and_ignored() {
        assert!(decode(r#"{"kind":"count","name":"a","status":"ready","phase":7}"#).is_ok());
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(line in ".{0,80}", tail in r#"[\{\}\[\]",:a-z0-9.e-]{0,60}"#) {
            let _ = decode(&line);
            let _ = decode(&format!(r#"{{"kind":"request",{tail}"#));
        }
    }
}
