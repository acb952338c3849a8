//! Tags: DogStatsD's own, and the three ways of writing them into a name.

use super::super::Refusal;
use super::super::dialect::{BareTags, Language, TagStyle, TagStyles};
use crate::model::{Tags, Text};

/// What a line's tags say.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Tagging<'a> {
    /// Datadog's "unified service tagging" names the sender's service with the tag `service`.
    pub(super) service: Option<&'a str>,
    pub(super) tags: Tags<'a>,
    /// How many had a key that stood there before: the last one counts.
    pub(super) repeated: u32,
}

impl<'a> Tagging<'a> {
    /// Reads DogStatsD's field, behind the `#`.
    pub(super) fn of_field(field: &'a str, bare: BareTags) -> Self {
        // The agent takes these for itself: they say where an event comes from, and the host is known better here.
        let special = |tag: &str| tag.starts_with("host:") || tag.starts_with("dd.internal.");
        Self::of(field.split(',').filter(|tag| !special(tag)), ':', bare)
    }

    fn of(items: impl Iterator<Item = &'a str>, division: char, bare: BareTags) -> Self {
        let mut tagging = Self::default();
        for item in items {
            let (key, value) = match item.split_once(division) {
                Some(pair) => pair,
                None if bare == BareTags::Drop => continue,
                None => (item, "true"),
            };
            match key {
                "" => {}
                "service" => tagging.repeated += u32::from(tagging.service.replace(value).is_some()),
                _ => tagging.tags.push((Text::Borrowed(key), Text::Borrowed(value))),
            }
        }
        tagging.repeated += repeated(&tagging.tags);
        tagging
    }
}

fn repeated(tags: &Tags<'_>) -> u32 {
    if tags.len() < 2 {
        return 0;
    }
    let mut keys: Vec<&str> = tags.iter().map(|(key, _)| &**key).collect();
    keys.sort_unstable();
    keys.windows(2).map(|pair| u32::from(pair.first() == pair.last())).sum()
}

/// A name as sent, without the tags that are written into it.
#[derive(Debug, PartialEq)]
pub(super) struct Named<'a> {
    pub(super) name: Text<'a>,
    /// `None` where it has none of the styles that are switched on.
    pub(super) tagging: Option<Tagging<'a>>,
}

/// Divides a name from the tags in it. The first character that begins a style decides; that of another one behind it makes
/// the line a mixture.
///
/// # Errors
/// For a mixture, or when a bracket is not closed.
pub(super) fn divide(name: &str, language: Language) -> Result<Named<'_>, Refusal> {
    let Language { styles, bare_tags, .. } = language;
    let mut begins = name.char_indices().filter_map(|(index, character)| Some((index, styles.begun_by(character)?)));
    let Some((index, style)) = begins.next() else { return Ok(Named { name: Text::Borrowed(name), tagging: None }) };
    let (stem, rest) = name.split_at(index);
    let mut rest = rest.chars();
    rest.next();
    let (tags, behind) = match style {
        TagStyle::Signalfx => rest.as_str().split_once(']').ok_or(Refusal::Malformed)?,
        TagStyle::Influxdb | TagStyle::Librato => (rest.as_str(), ""),
    };
    // In all three a comma stands between tags, so only behind the bracket does it begin a style of its own.
    let between = TagStyles { influxdb: false, ..styles };
    let mixed = |text: &str, styles: TagStyles| text.chars().any(|character| styles.begun_by(character).is_some());
    if mixed(tags, between) || mixed(behind, styles) {
        return Err(Refusal::MixedTags);
    }
    let tagging = Tagging::of(tags.split(','), '=', bare_tags);
    let name = if behind.is_empty() { Text::Borrowed(stem) } else { Text::Owned(format!("{stem}{behind}")) };
    Ok(Named { name, tagging: Some(tagging) })
}
