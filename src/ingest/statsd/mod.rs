//! The StatsD language in its two dialects: metrics, and DogStatsD's events and service checks. A line's prefix tells which.
//! Sources: StatsD `docs/metric_types.md` and `stats.js`; Datadog documentation "Datagram format and shell usage" (v1.0 to
//! v1.6) and the agent's `comp/dogstatsd/server/impl/parse*.go`.

mod check;
mod line;
mod name;
mod occurrence;
mod tags;

#[cfg(test)]
mod tests;

pub(super) use check::Check;
pub(super) use line::{Line, Reading, part};
pub(super) use occurrence::Occurrence;

use super::Refusal;
use super::dialect::{Dialect, Language};

/// What a line turns out to be.
#[derive(Debug, PartialEq)]
pub(super) enum Decoded<'a> {
    /// A metric with its values.
    Metric(Line<'a>),
    /// Plain StatsD: the name, and several parts with a type each, to be divided by [`part`].
    Parts(&'a str, &'a str),
    /// An event.
    Occurrence(Occurrence<'a>),
    /// The outcome of a service check.
    Check(Check<'a>),
}

/// Reads a line, all but a metric's values.
///
/// # Errors
/// When it is nothing of all this.
pub(super) fn decode(line: &str, language: Language) -> Result<Decoded<'_>, Refusal> {
    if let Some(rest) = line.strip_prefix("_e{") {
        return occurrence::decode(rest, language).map(Decoded::Occurrence);
    }
    if let Some(rest) = line.strip_prefix("_sc|") {
        return check::decode(rest, language).map(Decoded::Check);
    }
    let (name, rest) = line.split_once(':').ok_or(Refusal::Malformed)?;
    if language.dialect == Dialect::Statsd && part(rest).1.is_some() {
        return Ok(Decoded::Parts(name, rest));
    }
    line::decode(name, rest, language).map(Decoded::Metric)
}

/// Reads one of a plain StatsD line's parts.
///
/// # Errors
/// When it is no metric.
pub(super) fn decode_part<'a>(name: &'a str, part: &'a str, language: Language) -> Result<Line<'a>, Refusal> {
    line::decode(name, part, language)
}

/// `\n`, two characters, is how a line writes a line feed.
fn unescape(text: std::borrow::Cow<'_, str>) -> std::borrow::Cow<'_, str> {
    if text.contains("\\n") { text.replace("\\n", "\n").into() } else { text }
}
