//! DogStatsD's events: `_e{title bytes,text bytes}:title|text|field|…`. They are called occurrences here, since everything
//! that comes over a socket is an event.

use std::borrow::Cow;

use super::super::Refusal;
use super::super::dialect::Language;
use super::tags::Tagging;
use super::unescape;

/// Something that happened, as DogStatsD reports it.
#[derive(Debug, PartialEq)]
pub(in crate::ingest) struct Occurrence<'a> {
    pub(in crate::ingest) title: Cow<'a, str>,
    pub(in crate::ingest) text: Cow<'a, str>,
    /// When it happened, in Unix seconds, where it is not now.
    pub(in crate::ingest) seconds: Option<i64>,
    pub(in crate::ingest) host: Option<&'a str>,
    /// Events with the same key belong together.
    pub(in crate::ingest) aggregation_key: Option<&'a str>,
    /// What it comes from: `jenkins`, `nagios`, …
    pub(in crate::ingest) source: Option<&'a str>,
    pub(in crate::ingest) alert: &'static str,
    pub(in crate::ingest) priority: &'static str,
    pub(in crate::ingest) service: Option<&'a str>,
    /// How many optional fields could not be read.
    pub(in crate::ingest) ignored: u32,
    /// How many tags had a key that stood there before.
    pub(in crate::ingest) repeated: u32,
}

/// All alert types, and all priorities.
const ALERTS: [&str; 4] = ["error", "warning", "info", "success"];
const PRIORITIES: [&str; 2] = ["normal", "low"];

/// Reads what stands behind `_e{`.
///
/// # Errors
/// When the lengths are not those of what follows, or there is no title.
pub(super) fn decode(rest: &str, language: Language) -> Result<Occurrence<'_>, Refusal> {
    let (lengths, content) = rest.split_once("}:").ok_or(Refusal::Malformed)?;
    let (title_bytes, text_bytes) = lengths.split_once(',').ok_or(Refusal::Malformed)?;
    let (title_bytes, text_bytes) = (length(title_bytes)?, length(text_bytes)?);
    if title_bytes == 0 {
        return Err(Refusal::EmptyName);
    }
    let text_start = title_bytes.checked_add(1).ok_or(Refusal::BadLength)?;
    let text_end = text_start.checked_add(text_bytes).ok_or(Refusal::BadLength)?;
    let bytes = content.as_bytes();
    let (Some(title), Some(b'|'), Some(text)) = (bytes.get(..title_bytes), bytes.get(title_bytes), bytes.get(text_start..text_end)) else {
        return Err(Refusal::BadLength);
    };
    let mut occurrence = Occurrence {
        title: unescape(String::from_utf8_lossy(title)),
        text: unescape(String::from_utf8_lossy(text)),
        seconds: None,
        host: None,
        aggregation_key: None,
        source: None,
        alert: "info",
        priority: "normal",
        service: None,
        ignored: 0,
        repeated: 0,
    };
    // Where the text is longer than said, even by half a character, its rest is a field that nobody knows.
    let fields = content.get(text_end..).unwrap_or("");
    let mut fields = fields.split('|');
    occurrence.ignored += u32::from(fields.next().is_some_and(|between| !between.is_empty()));
    fields.for_each(|field| occurrence.read(field, language));
    Ok(occurrence)
}

/// Digits only: a sign is no part of a length.
fn length(text: &str) -> Result<usize, Refusal> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().map_err(|_| Refusal::BadLength) } else { Err(Refusal::BadLength) }
}

impl<'a> Occurrence<'a> {
    fn read(&mut self, field: &'a str, language: Language) {
        if let Some(tags) = field.strip_prefix('#') {
            let tagging = Tagging::of_field(tags, language.bare_tags);
            (self.service, self.repeated) = (tagging.service, tagging.repeated);
            return;
        }
        let one_of = |known: &[&'static str], text: &str| known.iter().find(|known| **known == text).copied();
        let Some((key, text)) = field.split_once(':') else { return };
        match key {
            "h" => self.host = Some(text),
            "k" => self.aggregation_key = Some(text),
            "s" => self.source = Some(text),
            "d" => match text.parse() {
                Ok(seconds) => self.seconds = Some(seconds),
                Err(_) => self.ignored += 1,
            },
            "t" => match one_of(&ALERTS, text) {
                Some(alert) => self.alert = alert,
                None => self.ignored += 1,
            },
            "p" => match one_of(&PRIORITIES, text) {
                Some(priority) => self.priority = priority,
                None => self.ignored += 1,
            },
            // `c:`, `e:`, `card:` and what is not known.
            _ => {}
        }
    }
}
