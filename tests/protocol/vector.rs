//! What stands in `vectors.ndjson`. Its first line is the header, every other line a vector.

use std::collections::BTreeMap;

use serde::Deserialize;
use sidewatch::ingest::{self, Transport};
use sidewatch::model::Labels;
use sidewatch::registry::{self, Buckets};

const FILE: &str = include_str!("vectors.ndjson");

/// The whole file.
pub(crate) struct Vectors {
    pub(crate) header: Header,
    pub(crate) vectors: Vec<Vector>,
}

impl Vectors {
    pub(crate) fn read() -> Self {
        let mut lines = FILE.lines();
        let header = serde_json::from_str(lines.next().expect("a header")).expect("the header");
        let vector = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        Self { header, vectors: lines.map(vector).collect() }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Header {
    /// The version of the specification.
    pub(crate) protocol: String,
    /// How to read the vectors, for people.
    #[serde(rename = "how_to_read")]
    _how_to_read: Vec<String>,
    /// The histogram buckets that vectors expect.
    pub(crate) buckets: Buckets,
    /// Rules about what cannot stand in a vector, and the file that proves each.
    pub(crate) proved_elsewhere: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Vector {
    pub(crate) name: String,
    /// The rule of the specification that it proves.
    pub(crate) rule: String,
    /// What the bytes come over.
    #[serde(default)]
    pub(crate) over: Over,
    /// Where the receiver is configured otherwise than by default.
    #[serde(default)]
    pub(crate) config: Sections,
    pub(crate) send: Vec<Step>,
    /// All series there are at the end.
    #[serde(default)]
    pub(crate) series: Vec<Expected>,
    /// Everything that is refused, by reason.
    #[serde(default)]
    pub(crate) refused: BTreeMap<String, f64>,
    /// How many numbered events are missing, by sender.
    #[serde(default)]
    pub(crate) gaps: BTreeMap<String, f64>,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Over {
    #[default]
    Datagram,
    Stream,
    Tcp,
    Udp,
}

impl From<Over> for Transport {
    fn from(over: Over) -> Self {
        match over {
            Over::Datagram => Self::Datagram,
            Over::Stream => Self::Stream,
            Over::Tcp => Self::Tcp,
            Over::Udp => Self::Udp,
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Sections {
    pub(crate) ingest: ingest::Config,
    pub(crate) registry: registry::Config,
}

/// What happens next.
#[derive(Deserialize)]
#[serde(try_from = "Given")]
pub(crate) enum Step {
    /// A datagram, or one write to a connection.
    Bytes { from: String, bytes: Vec<u8> },
    /// A sender's connection closes, or its process ends.
    Gone(String),
    /// Time passes.
    Pass { millis: i64 },
    /// The interval of all sets ends.
    Turn,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Given {
    Text(String),
    Object(Object),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Object {
    from: Option<String>,
    text: Option<String>,
    base64: Option<String>,
    /// The text so many times.
    #[serde(default = "once")]
    times: usize,
    gone: Option<String>,
    pass_ms: Option<i64>,
    turn: Option<Turn>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Turn {
    Sets,
}

const fn once() -> usize {
    1
}

impl TryFrom<Given> for Step {
    type Error = String;
    fn try_from(given: Given) -> Result<Self, String> {
        let anonymous = || "1".to_owned();
        let object = match given {
            Given::Text(text) => return Ok(Self::Bytes { from: anonymous(), bytes: text.into_bytes() }),
            Given::Object(object) => object,
        };
        let (from, times) = (object.from.unwrap_or_else(anonymous), object.times);
        match (object.text, object.base64, object.gone, object.pass_ms, object.turn) {
            (Some(text), None, None, None, None) => Ok(Self::Bytes { from, bytes: text.repeat(times).into_bytes() }),
            (None, Some(base64), None, None, None) => Ok(Self::Bytes { from, bytes: decode(&base64)? }),
            (None, None, Some(gone), None, None) => Ok(Self::Gone(gone)),
            (None, None, None, Some(millis), None) => Ok(Self::Pass { millis }),
            (None, None, None, None, Some(Turn::Sets)) => Ok(Self::Turn),
            _ => Err("a step is one of text, base64, gone, pass_ms and turn".to_owned()),
        }
    }
}

/// RFC 4648, with padding.
fn decode(text: &str) -> Result<Vec<u8>, String> {
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bytes, mut held, mut bits) = (Vec::new(), 0_usize, 0);
    for character in text.trim_end_matches('=').chars() {
        let digit = ALPHABET.find(character).ok_or_else(|| format!("{character:?} is no base64"))?;
        held = (held << 6 | digit) & 0xffff;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from(held >> bits & 0xff).map_err(|error| error.to_string())?);
        }
    }
    Ok(bytes)
}

/// A series with its value, or a histogram with its observations.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Expected {
    pub(crate) name: String,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    #[serde(default)]
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) value: Option<f64>,
    pub(crate) count: Option<u64>,
    pub(crate) sum: Option<f64>,
    /// Upper bounds and the observations in each bucket alone; empty buckets are left out.
    #[serde(default)]
    pub(crate) buckets: Vec<(String, u64)>,
    /// The exponential buckets, where the vector is about them.
    pub(crate) exponential: Option<Exponent>,
    /// Trace identifiers with their values, by bucket.
    #[serde(default)]
    pub(crate) exemplars: Vec<(String, f64)>,
}

impl Expected {
    pub(crate) fn is(&self, name: &str, labels: &Labels) -> bool {
        self.name == name && Labels::from_pairs(&self.labels) == *labels
    }
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Exponent {
    pub(crate) schema: i8,
    #[serde(default)]
    pub(crate) zero: u64,
    #[serde(default)]
    pub(crate) positive: Vec<(i32, u64)>,
    #[serde(default)]
    pub(crate) negative: Vec<(i32, u64)>,
}
