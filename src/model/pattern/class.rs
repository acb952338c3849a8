//! Classes in brackets: every character in them is one by itself but for `^` in front, `-` between two, `]` at the end,
//! a backslash, and `[:name:]`.

use super::error::{Code, PatternError};
use super::escape;
use super::node::{Node, write_char};
use super::syntax::before;

/// The digits, as ranges.
pub(super) const DIGIT: &str = "0-9";

/// What words consist of.
pub(super) const WORD: &str = "0-9A-Za-z_";

/// A class that no character is in.
pub(super) const NOTHING: &str = "[^\\x{0}-\\x{10FFFF}]";

/// The names that may stand between `[:` and `:]`.
const NAMED: [(&str, &str); 14] = [
    ("alnum", "0-9A-Za-z"),
    ("alpha", "A-Za-z"),
    ("ascii", "\\x00-\\x7F"),
    ("blank", "\\t "),
    ("cntrl", "\\x00-\\x1F\\x7F"),
    ("digit", DIGIT),
    ("graph", "\\x21-\\x7E"),
    ("lower", "a-z"),
    ("print", "\\x20-\\x7E"),
    ("punct", "\\x21-\\x2F\\x3A-\\x40\\x5B-\\x60\\x7B-\\x7E"),
    ("space", "\\t\\n\\x0B\\f\\r "),
    ("upper", "A-Z"),
    ("word", WORD),
    ("xdigit", "0-9A-Fa-f"),
];

/// Ranges as a class.
pub(super) fn enclosed(ranges: &str, negated: bool) -> String {
    format!("[{}{ranges}]", if negated { "^" } else { "" })
}

/// Reads a text that starts with a bracket; gives what follows too.
pub(super) fn parse(text: &str, fold: bool) -> Result<(Node, &str), PatternError> {
    let mut rest = text.get(1..).unwrap_or("");
    let negated = rest.starts_with('^');
    if negated {
        rest = rest.get(1..).unwrap_or("");
    }
    let mut ranges = String::new();
    let mut first = true;
    // A bracket that closes is one by itself where nothing stands before it.
    while first || !rest.starts_with(']') {
        first = false;
        rest = match part(text, rest)? {
            (Part::Class(class), rest) => {
                ranges.push_str(&class);
                rest
            }
            (Part::Range(low, high), rest) => {
                write_range(&mut ranges, low, high);
                rest
            }
        };
    }
    let text = match (ranges.is_empty(), negated) {
        (true, true) => "(?s:.)".to_owned(),
        (true, false) => NOTHING.to_owned(),
        (false, negated) => enclosed(&ranges, negated),
    };
    Ok((Node::Class { text, fold }, rest.get(1..).unwrap_or("")))
}

enum Part {
    /// As Rust writes it.
    Class(String),
    /// By code points, of which some may be no characters.
    Range(u32, u32),
}

fn part<'a>(class: &str, text: &'a str) -> Result<(Part, &'a str), PatternError> {
    if let Some((name, rest)) = text.strip_prefix("[:").and_then(|inside| inside.split_once(":]")) {
        let (negated, bare) = name.strip_prefix('^').map_or((false, name), |name| (true, name));
        let known = NAMED.iter().find(|(name, _)| *name == bare);
        let (_, ranges) = known.ok_or_else(|| PatternError::new(Code::CharRange, before(text, rest)))?;
        return Ok((Part::Class(enclosed(ranges, negated)), rest));
    }
    if text.len() >= 2
        && text.starts_with('\\')
        && let Some((class, rest)) = escape::class(text)?
    {
        return Ok((Part::Class(class), rest));
    }
    let (low, rest) = character(class, text)?;
    let Some(behind) = rest.strip_prefix('-').filter(|behind| !behind.is_empty() && !behind.starts_with(']')) else {
        return Ok((Part::Range(low, low), rest));
    };
    let (high, rest) = character(class, behind)?;
    if high < low {
        return Err(PatternError::new(Code::CharRange, before(text, rest)));
    }
    Ok((Part::Range(low, high), rest))
}

/// A code point: that of a surrogate stands for one, so that it can be the end of a range.
fn character<'a>(class: &str, text: &'a str) -> Result<(u32, &'a str), PatternError> {
    if text.starts_with('\\') {
        let (c, rest) = escape::character(text)?;
        return Ok((c.map_or(SURROGATES.0, u32::from), rest));
    }
    let c = text.chars().next().ok_or_else(|| PatternError::new(Code::MissingBracket, class))?;
    Ok((u32::from(c), text.get(c.len_utf8()..).unwrap_or("")))
}

/// The first and the last code point that are no characters.
const SURROGATES: (u32, u32) = (0xd800, 0xdfff);

fn write_range(out: &mut String, low: u32, high: u32) {
    for (low, high) in [(low, high.min(SURROGATES.0 - 1)), (low.max(SURROGATES.1 + 1), high)] {
        if let (true, Some(low), Some(high)) = (low <= high, char::from_u32(low), char::from_u32(high)) {
            write_char(out, low);
            out.push('-');
            write_char(out, high);
        }
    }
}
