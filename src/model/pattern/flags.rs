//! What follows `(?`: flags, a group, or a group with a name.

use super::error::{Code, PatternError};
use super::syntax::before;

/// The flags in force.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Flags {
    /// `i`: in either case.
    pub(super) fold: bool,
    /// `m`: `^` and `$` are also the edges of lines.
    pub(super) lines: bool,
    /// `s`: `.` matches a line feed.
    pub(super) line_feeds: bool,
    /// `U`: repetitions take as little as they can, those with `?` as much.
    pub(super) swap_greed: bool,
}

impl Flags {
    /// Those of Go by itself.
    pub(super) const GO: Self = Self { fold: false, lines: false, line_feeds: false, swap_greed: false };

    /// Those that Prometheus's conditions on values start with.
    pub(super) const PROMETHEUS: Self = Self { fold: false, lines: false, line_feeds: true, swap_greed: false };
}

/// What a `(?` turns out to be.
pub(super) enum Opening<'a> {
    /// A group that captures.
    Named(&'a str),
    /// A group that does not, with its flags.
    Group(Flags),
    /// Flags until the end of the group around them.
    Flags(Flags),
}

/// Reads a text that starts with `(?`; gives what follows too.
pub(super) fn parse(text: &str, mut flags: Flags) -> Result<(Opening<'_>, &str), PatternError> {
    let inside = text.get(2..).unwrap_or("");
    if let Some(named) = inside.strip_prefix("P<").or(inside.strip_prefix('<')) {
        return name(text, named);
    }
    let (mut on, mut any) = (true, false);
    let mut rest = inside;
    while let Some(c) = rest.chars().next() {
        rest = rest.get(c.len_utf8()..).unwrap_or("");
        match c {
            'i' => flags.fold = on,
            'm' => flags.lines = on,
            's' => flags.line_feeds = on,
            'U' => flags.swap_greed = on,
            '-' if on => {
                (on, any) = (false, false);
                continue;
            }
            ':' if on || any => return Ok((Opening::Group(flags), rest)),
            ')' if on || any => return Ok((Opening::Flags(flags), rest)),
            _ => return Err(PatternError::new(Code::PerlOperator, before(text, rest))),
        }
        any = true;
    }
    Err(PatternError::new(Code::MissingParen, text))
}

fn name<'a>(text: &'a str, named: &'a str) -> Result<(Opening<'a>, &'a str), PatternError> {
    let Some((name, rest)) = named.split_once('>') else { return Err(PatternError::new(Code::NamedCapture, text)) };
    if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return Err(PatternError::new(Code::NamedCapture, before(text, rest)));
    }
    Ok((Opening::Named(name), rest))
}
