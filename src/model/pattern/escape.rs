//! What follows a backslash.

use regex::Regex;

use super::class;
use super::error::{Code, PatternError};
use super::node::Assertion;
use super::syntax::before;

/// What an escape stands for.
pub(super) enum Escape<'a> {
    Assertion(Assertion),
    /// A class, as Rust writes it.
    Class(String),
    /// A character; none for a number that is no character of a text.
    Char(Option<char>),
    /// `\Q…\E`: all of it by itself.
    Quoted(&'a str),
}

/// Reads a text that starts with a backslash, outside of a class; gives what follows too.
pub(super) fn parse(text: &str) -> Result<(Escape<'_>, &str), PatternError> {
    let (letter, rest) = letter(text)?;
    let assertion = match letter {
        'A' => Assertion::TextStart,
        'b' => Assertion::WordBoundary,
        'B' => Assertion::NoWordBoundary,
        'z' => Assertion::TextEnd,
        'Q' => {
            let (quoted, rest) = rest.split_once("\\E").unwrap_or((rest, ""));
            return Ok((Escape::Quoted(quoted), rest));
        }
        _ => {
            if let Some((class, rest)) = class(text)? {
                return Ok((Escape::Class(class), rest));
            }
            let (c, rest) = character(text)?;
            return Ok((Escape::Char(c), rest));
        }
    };
    Ok((Escape::Assertion(assertion), rest))
}

fn letter(text: &str) -> Result<(char, &str), PatternError> {
    let mut chars = text.chars();
    chars.next();
    let letter = chars.next().ok_or_else(|| PatternError::new(Code::TrailingBackslash, ""))?;
    Ok((letter, chars.as_str()))
}

/// A class such as `\d` or `\p{Greek}`, as Rust writes it, if one is next.
pub(super) fn class(text: &str) -> Result<Option<(String, &str)>, PatternError> {
    let (letter, rest) = letter(text)?;
    let negated = letter.is_ascii_uppercase();
    let ranges = match letter {
        'd' | 'D' => class::DIGIT,
        's' | 'S' => "\\t\\n\\f\\r ",
        'w' | 'W' => class::WORD,
        'p' | 'P' => return unicode(text, negated, rest).map(Some),
        _ => return Ok(None),
    };
    Ok(Some((class::enclosed(ranges, negated), rest)))
}

/// `\pN`, `\p{Greek}`, `\p{^Greek}`.
fn unicode<'a>(text: &'a str, mut negated: bool, rest: &'a str) -> Result<(String, &'a str), PatternError> {
    let refuse = |part| PatternError::new(Code::CharRange, part);
    let (name, rest) = match rest.strip_prefix('{') {
        Some(inside) => {
            let (name, rest) = inside.split_once('}').ok_or_else(|| refuse(text))?;
            let bare = name.strip_prefix('^');
            negated ^= bare.is_some();
            (bare.unwrap_or(name), rest)
        }
        None => rest.split_at_checked(rest.chars().next().map_or(0, char::len_utf8)).unwrap_or((rest, "")),
    };
    let sign = if negated { 'P' } else { 'p' };
    let known = name.len() <= 64 && !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | ' '));
    // Go knows categories and scripts; Rust knows other properties too, under the same form of names.
    let texts = ["gc", "sc"].map(|property| format!("\\{sign}{{{property}={name}}}"));
    let text_of = texts.into_iter().filter(|_| known).find(|text| Regex::new(text).is_ok());
    text_of.map(|text| (text, rest)).ok_or_else(|| refuse(before(text, rest)))
}

/// An escape that stands for one character, inside a class too.
pub(super) fn character(text: &str) -> Result<(Option<char>, &str), PatternError> {
    let (letter, rest) = letter(text)?;
    let c = match letter {
        '1'..='7' if !rest.starts_with(|c: char| c.is_digit(8)) => None,
        '0'..='7' => return Ok(octal(text)),
        'x' => return hexadecimal(text, rest),
        'a' => Some('\x07'),
        'f' => Some('\x0c'),
        'n' => Some('\n'),
        'r' => Some('\r'),
        't' => Some('\t'),
        'v' => Some('\x0b'),
        c if c.is_ascii() && !c.is_ascii_alphanumeric() => Some(c),
        _ => None,
    };
    c.map(|c| (Some(c), rest)).ok_or_else(|| PatternError::new(Code::Escape, before(text, rest)))
}

/// Up to three digits.
fn octal(text: &str) -> (Option<char>, &str) {
    let digits = text.get(1..).unwrap_or("");
    let count = digits.bytes().take(3).take_while(|byte| (b'0'..=b'7').contains(byte)).count();
    let (digits, rest) = digits.split_at_checked(count).unwrap_or((digits, ""));
    (u32::from_str_radix(digits, 8).ok().and_then(char::from_u32), rest)
}

/// `\x7F`, `\x{10FFFF}`.
fn hexadecimal<'a>(text: &'a str, rest: &'a str) -> Result<(Option<char>, &'a str), PatternError> {
    let (digits, rest) = match rest.strip_prefix('{') {
        Some(inside) => inside.split_once('}').ok_or_else(|| PatternError::new(Code::Escape, text))?,
        None => rest.split_at_checked(2).unwrap_or(("", rest)),
    };
    let digits_only = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    let significant = digits.trim_start_matches('0');
    let code = if significant.is_empty() { Some(0) } else { u32::from_str_radix(significant, 16).ok() };
    match code.filter(|code| digits_only && *code <= u32::from(char::MAX)) {
        Some(code) => Ok((char::from_u32(code), rest)),
        None => Err(PatternError::new(Code::Escape, before(text, rest))),
    }
}
