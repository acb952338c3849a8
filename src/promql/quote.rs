//! String literals, which follow Go: three kinds of quotes and Go's escapes.
//! Source: the Go specification "String literals"; Prometheus documentation "Querying basics".

use std::fmt::Write as _;

/// A text in double quotes, escaped as Go's `strconv.Quote` does it.
pub(super) fn quote(text: &str) -> String {
    quote_bytes(text.as_bytes())
}

/// As [`quote`], of bytes that need not be UTF-8: those that are not become `\x..`.
pub(super) fn quote_bytes(bytes: &[u8]) -> String {
    let mut quoted = String::with_capacity(bytes.len() + 2);
    quoted.push('"');
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            escape(c, '"', &mut quoted);
        }
        for byte in chunk.invalid() {
            let _ = write!(quoted, "\\x{byte:02x}");
        }
    }
    quoted.push('"');
    quoted
}

/// A character in single quotes, as Go's `%q` prints it.
pub(super) fn quote_char(c: char) -> String {
    let mut quoted = String::from('\'');
    escape(c, '\'', &mut quoted);
    quoted.push('\'');
    quoted
}

fn escape(c: char, quotes: char, out: &mut String) {
    match c {
        '\\' => out.push_str("\\\\"),
        '\x07' => out.push_str("\\a"),
        '\x08' => out.push_str("\\b"),
        '\x0c' => out.push_str("\\f"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\x0b' => out.push_str("\\v"),
        c if c == quotes => out.extend(['\\', c]),
        '\'' | '"' => out.push(c),
        c if is_printable(c) => out.push(c),
        // Writing to a String does not fail.
        c if (c as u32) < 0x80 => drop(write!(out, "\\x{:02x}", c as u32)),
        c if (c as u32) < 0x10000 => drop(write!(out, "\\u{:04x}", c as u32)),
        c => drop(write!(out, "\\U{:08x}", c as u32)),
    }
}

/// Near enough to Go's `unicode.IsPrint`; where they differ, the escape reads back as the same character.
pub(super) fn is_printable(c: char) -> bool {
    c == ' ' || c.is_ascii_graphic() || (!c.is_ascii() && !c.is_whitespace() && c.escape_debug().len() == 1)
}

/// The text of a literal with its quotes, whose escapes the lexer has checked.
///
/// # Errors
/// Gives back the bytes if they are no UTF-8, which `"\xff"` can write.
pub(super) fn unquote(literal: &str) -> Result<String, Vec<u8>> {
    let mut chars = literal.chars();
    let (open, _) = (chars.next(), chars.next_back());
    if open == Some('`') {
        return Ok(chars.as_str().to_owned());
    }
    let mut bytes = Vec::with_capacity(literal.len());
    while let Some(c) = chars.next() {
        let escaped = if c == '\\' { chars.next() } else { None };
        match escaped {
            None => push(&mut bytes, c),
            Some('a') => bytes.push(0x07),
            Some('b') => bytes.push(0x08),
            Some('f') => bytes.push(0x0c),
            Some('n') => bytes.push(b'\n'),
            Some('r') => bytes.push(b'\r'),
            Some('t') => bytes.push(b'\t'),
            Some('v') => bytes.push(0x0b),
            Some('x') => bytes.extend(u8::try_from(digits(&mut chars, 2, 16)).ok()),
            Some('u') => push(&mut bytes, char::from_u32(digits(&mut chars, 4, 16)).unwrap_or('\u{fffd}')),
            Some('U') => push(&mut bytes, char::from_u32(digits(&mut chars, 8, 16)).unwrap_or('\u{fffd}')),
            Some(c) => match c.to_digit(8) {
                Some(first) => bytes.extend(u8::try_from(first * 64 + digits(&mut chars, 2, 8)).ok()),
                None => push(&mut bytes, c),
            },
        }
    }
    String::from_utf8(bytes).map_err(std::string::FromUtf8Error::into_bytes)
}

fn push(bytes: &mut Vec<u8>, c: char) {
    bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
}

fn digits(chars: &mut std::str::Chars<'_>, count: usize, base: u32) -> u32 {
    chars.by_ref().take(count).filter_map(|c| c.to_digit(base)).fold(0_u32, |value, digit| value.wrapping_mul(base) + digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_escape_of_go_is_read() {
        let all = r#""\a\b\f\n\r\t\v\\\" - \x41\101\u1234\U00010111\U0001011111☺""#;
        assert_eq!(unquote(all).expect("UTF-8"), "\u{7}\u{8}\u{c}\n\r\t\u{b}\\\" - AA\u{1234}\u{10111}\u{10111}11☺");
        assert_eq!(unquote(r"'it\'s'").expect("UTF-8"), "it's");
        assert_eq!(unquote("`a\\n\"'`").expect("UTF-8"), "a\\n\"'");
        assert_eq!(unquote(r#""\xe2\x98\xba""#).expect("UTF-8"), "☺");
    }

    #[test]
    fn bytes_that_are_no_text_come_back_as_bytes() {
        assert_eq!(unquote(r#""a\xc5z""#), Err(b"a\xc5z".to_vec()));
        assert_eq!(quote_bytes(b"a\xc5z"), r#""a\xc5z""#);
    }

    #[test]
    fn quoting_is_gos() {
        assert_eq!(quote("a\"b\\c\n\t\u{7}\u{0}é☺'\u{200b}\u{e0001}"), r#""a\"b\\c\n\t\a\x00é☺'\u200b\U000e0001""#);
        assert_eq!(quote_char('\''), r"'\''");
        assert_eq!(quote_char('"'), "'\"'");
    }

    proptest::proptest! {
        #[test]
        fn a_quoted_text_reads_back(text in "\\PC*|[\\x00-\\x7f]*") {
            proptest::prop_assert_eq!(unquote(&quote(&text)), Ok(text));
        }
    }
}
