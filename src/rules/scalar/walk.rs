//! A scalar read once more, letter by letter, as YAML 1.2 (sections 7.3 and 8.1.3) folds lines and replaces escapes, along with what it
//! amounts to: the place of a letter is known when it is reached.

use std::iter::Peekable;
use std::str::{CharIndices, Chars};

use crate::diagnostic::Position;

/// The way through a value.
struct Walk<'v> {
    value: Peekable<CharIndices<'v>>,
    /// The byte that is looked for.
    offset: usize,
    /// Behind the last letter.
    end: Position,
}

/// How a step ended the way: with the place, or without it.
type Stop = Option<Position>;

impl Walk<'_> {
    /// A letter of the value, which the text has at a place; `width` is how many letters stand for it there.
    fn step(&mut self, letter: char, at: Position, width: usize) -> Result<(), Stop> {
        match self.value.next() {
            Some((byte, expected)) if expected == letter => {
                if byte + letter.len_utf8() > self.offset {
                    return Err(Some(at));
                }
                self.end = Position { column: at.column + width, ..at };
                Ok(())
            }
            Some(_) => Err(None),
            None => Err(Some(self.end)),
        }
    }

    /// So many line feeds, which the text has in front of a place.
    fn feeds(&mut self, count: usize, at: Position) -> Result<(), Stop> {
        (0..count).try_for_each(|_| self.step('\n', at, 0))
    }

    /// Where the way ends with the text: line feeds at the end of a value are not looked for.
    fn rest(mut self) -> Stop {
        self.value.all(|(_, letter)| letter == '\n').then_some(self.end)
    }
}

/// A plain scalar, or one in quotes.
pub(super) fn in_quotes(text: &str, start: Position, quote: Option<char>, value: &str, offset: usize) -> Stop {
    let mut walk = Walk { value: value.char_indices().peekable(), offset, end: start };
    match quoted(text, start, quote, &mut walk) {
        Ok(()) => walk.rest(),
        Err(stop) => stop,
    }
}

fn quoted(text: &str, start: Position, quote: Option<char>, walk: &mut Walk<'_>) -> Result<(), Stop> {
    let skipped = start.column.saturating_sub(1) + usize::from(quote.is_some());
    let (mut feeds, mut joined) = (0, false);
    for (down, line) in text.lines().skip(start.line.saturating_sub(1)).enumerate() {
        let first = down == 0;
        let blank = line.chars().take_while(|c| matches!(c, ' ' | '\t')).count();
        let before = if first { skipped } else { blank };
        let mut at = Position { line: start.line + down, column: before + 1 };
        let ends_escaped = quote == Some('"') && line.chars().rev().take_while(|c| *c == '\\').count() % 2 == 1;
        let line = if ends_escaped { line } else { line.trim_end_matches([' ', '\t']) };
        if !first {
            if line.chars().count() <= blank {
                feeds += 1;
                continue;
            }
            match (feeds, joined) {
                (0, true) => {}
                (0, false) => walk.step(' ', at, 0)?,
                (feeds, _) => walk.feeds(feeds, at)?,
            }
        }
        (feeds, joined) = (0, false);
        let mut letters = line.chars().skip(before).peekable();
        while let Some(letter) = letters.next() {
            let (letter, width) = match (quote, letter) {
                (Some('\''), '\'') if letters.next_if_eq(&'\'').is_some() => ('\'', 2),
                (Some('"'), '\\') => match escape(&mut letters) {
                    Some(escape) => escape,
                    None if letters.peek().is_none() => {
                        joined = true;
                        break;
                    }
                    None => return Err(None),
                },
                (Some(quote), letter) if letter == quote => return Ok(()),
                (_, letter) => (letter, 1),
            };
            walk.step(letter, at, width)?;
            at.column += width;
        }
    }
    Ok(())
}

/// What an escape stands for, and how many letters it has with its backslash.
fn escape(letters: &mut Peekable<std::iter::Skip<Chars<'_>>>) -> Option<(char, usize)> {
    let digits = |letters: &mut Peekable<std::iter::Skip<Chars<'_>>>, count: usize| {
        let hex: String = letters.by_ref().take(count).collect();
        Some((char::from_u32(u32::from_str_radix(&hex, 16).ok()?)?, count + 2))
    };
    let plain = match letters.next()? {
        '0' => '\0',
        'a' => '\u{7}',
        'b' => '\u{8}',
        't' | '\t' => '\t',
        'n' => '\n',
        'v' => '\u{b}',
        'f' => '\u{c}',
        'r' => '\r',
        'e' => '\u{1b}',
        'N' => '\u{85}',
        '_' => '\u{a0}',
        'L' => '\u{2028}',
        'P' => '\u{2029}',
        'x' => return digits(letters, 2),
        'u' => return digits(letters, 4),
        'U' => return digits(letters, 8),
        other @ (' ' | '"' | '/' | '\\') => other,
        _ => return None,
    };
    Some((plain, 2))
}

/// A folded block (`>`), whose header is at `start`.
pub(super) fn in_folded(text: &str, start: Position, value: &str, offset: usize) -> Stop {
    let mut walk = Walk { value: value.char_indices().peekable(), offset, end: start };
    match folded(text, start, &mut walk) {
        Ok(()) => walk.rest(),
        Err(stop) => stop,
    }
}

fn folded(text: &str, start: Position, walk: &mut Walk<'_>) -> Result<(), Stop> {
    let header = text.lines().nth(start.line.saturating_sub(1)).unwrap_or_default();
    if header.chars().skip(start.column).take_while(|c| !c.is_whitespace()).any(|c| c.is_ascii_digit()) {
        return Err(None);
    }
    let (mut indent, mut feeds, mut deeper) = (None, 0, false);
    for (down, line) in text.lines().skip(start.line).enumerate() {
        let blank = line.chars().take_while(|c| *c == ' ').count();
        if line.len() == blank {
            feeds += 1;
            continue;
        }
        let mut at = Position { line: start.line + down + 1, column: indent.unwrap_or(blank) + 1 };
        if indent.is_some_and(|indent| blank < indent) {
            break;
        }
        let is_deeper = line.chars().nth(at.column - 1).is_some_and(|c| matches!(c, ' ' | '\t'));
        match (indent, feeds) {
            (None, feeds) => walk.feeds(feeds, at)?,
            // Lines that are further in stay lines.
            (Some(_), feeds) if deeper || is_deeper => walk.feeds(feeds + 1, at)?,
            (Some(_), 0) => walk.step(' ', at, 0)?,
            (Some(_), feeds) => walk.feeds(feeds, at)?,
        }
        (indent, feeds, deeper) = (Some(at.column - 1), 0, is_deeper);
        for letter in line.chars().skip(at.column - 1) {
            walk.step(letter, at, 1)?;
            at.column += 1;
        }
    }
    Ok(())
}
