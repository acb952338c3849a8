//! Texts of others, as they may be shown on one line: the values of labels, what a command has said.

use std::borrow::Cow;

/// So many characters of a text are shown at most.
const SHOWN_MAX: usize = 300;

/// A text on one line: what ends lines is a space, what would steer a terminal is shown and not sent, and what is too long ends with `…`.
#[must_use]
pub fn one_line(text: &str) -> Cow<'_, str> {
    // What others have written has no more bytes than it may have characters, nearly always.
    if text.len() <= SHOWN_MAX && !text.contains(char::is_control) {
        return Cow::Borrowed(text);
    }
    let mut line = String::with_capacity(text.len().min(SHOWN_MAX * 4));
    for c in text.trim().chars() {
        match c {
            c if c.is_control() && c.is_whitespace() => line.push(' '),
            c if c.is_control() => line.extend(c.escape_default()),
            c => line.push(c),
        }
    }
    if let Some((end, _)) = line.char_indices().nth(SHOWN_MAX) {
        let end = line.get(..end).and_then(|shown| shown.char_indices().next_back()).map_or(0, |(last, _)| last);
        line.truncate(end);
        line.push('…');
    }
    Cow::Owned(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_forge_lines_or_steer_a_terminal_is_shown() {
        assert_eq!(one_line("as it is"), "as it is");
        assert_eq!(one_line("exit 1:\nno\tway\r\n\u{1b}[2J\u{7}\n"), "exit 1: no way  \\u{1b}[2J\\u{7}");
    }

    #[test]
    fn a_flood_is_cut() {
        let cut = one_line(&"é\n".repeat(1_000)).into_owned();
        assert!(cut.chars().count() == SHOWN_MAX && cut.starts_with("é é ") && cut.ends_with('…'), "{cut}");
        let whole = "é".repeat(SHOWN_MAX);
        assert_eq!(one_line(&whole), whole);
    }
}
