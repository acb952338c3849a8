//! DogStatsD's service checks: `_sc|name|status|field|…`.

use std::borrow::Cow;

use super::super::Refusal;
use super::super::dialect::Language;
use super::tags::Tagging;
use super::unescape;
use crate::model::Tags;

/// What a service check has found.
#[derive(Debug, PartialEq)]
pub(in crate::ingest) struct Check<'a> {
    pub(in crate::ingest) name: &'a str,
    /// 0 ok, 1 warning, 2 critical, 3 unknown.
    pub(in crate::ingest) status: u8,
    pub(in crate::ingest) message: Option<Cow<'a, str>>,
    pub(in crate::ingest) service: Option<&'a str>,
    pub(in crate::ingest) tags: Tags<'a>,
    /// How many optional fields could not be read.
    pub(in crate::ingest) ignored: u32,
    /// How many tags had a key that stood there before.
    pub(in crate::ingest) repeated: u32,
}

/// Reads what stands behind `_sc|`.
///
/// # Errors
/// When it has no name or no status.
pub(super) fn decode(rest: &str, language: Language) -> Result<Check<'_>, Refusal> {
    let mut fields = rest.split('|');
    let name = fields.next().filter(|name| !name.is_empty()).ok_or(Refusal::EmptyName)?;
    let status = match fields.next().ok_or(Refusal::Malformed)? {
        "0" => 0,
        "1" => 1,
        "2" => 2,
        "3" => 3,
        _ => return Err(Refusal::BadValue),
    };
    let mut check = Check { name, status, message: None, service: None, tags: Tags::new(), ignored: 0, repeated: 0 };
    for field in fields {
        if let Some(tags) = field.strip_prefix('#') {
            let tagging = Tagging::of_field(tags, language.bare_tags);
            (check.service, check.tags, check.repeated) = (tagging.service, tagging.tags, tagging.repeated);
        } else if let Some(text) = field.strip_prefix("m:") {
            let text = unescape(Cow::Borrowed(text));
            check.message = Some(if text.contains("m\\:") { text.replace("m\\:", "m:").into() } else { text });
        } else if let Some(seconds) = field.strip_prefix("d:") {
            check.ignored += u32::from(seconds.parse::<i64>().is_err());
        }
        // The host is known better here; `c:`, `e:`, `card:` and what is not known are passed over.
    }
    Ok(check)
}
