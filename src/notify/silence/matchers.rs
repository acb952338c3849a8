//! Conditions on labels as they are written on a command line. Source: prometheus/alertmanager `pkg/labels/parse.go` for the
//! syntax and its escapes, `cli/silence_add.go` for a bare word.

use std::fmt;

use crate::model::{MatchOp, Matcher, is_label_name};

const QUOTES: &str = "a value that begins with a quote ends with one, and a quote inside of a value is written as \\\"";

/// Why a text is no matcher, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MatcherError {
    message: String,
    /// In characters, from 0.
    column: usize,
}

impl MatcherError {
    /// The place is where `rest` begins, which `text` ends with.
    fn new(text: &str, rest: &str, message: impl Into<String>) -> Self {
        Self { message: message.into(), column: text.chars().count().saturating_sub(rest.chars().count()) }
    }

    /// The text with a mark under the place.
    #[must_use]
    pub fn caret(&self, text: &str) -> String {
        let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        format!("{line}\n{}^", " ".repeat(self.column))
    }
}

impl fmt::Display for MatcherError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "1:{}: {}", self.column + 1, self.message)
    }
}

impl std::error::Error for MatcherError {}

/// Reads `name=value`, `name!=value`, `name=~regex` or `name!~regex`. The value may be in double quotes; in it `\n`, `\"` and `\\` are
/// a line feed, a quote and a backslash.
///
/// # Errors
/// When it is none of these, or the regular expression is none.
pub fn parse_matcher(text: &str) -> Result<Matcher, MatcherError> {
    let text = text.trim_end();
    let start = text.trim_start();
    let name_end = start.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(start.len());
    let (name, rest) = start.split_at_checked(name_end).unwrap_or((start, ""));
    if !is_label_name(name) {
        return Err(MatcherError::new(text, start, "a label's name is expected: letters, digits and _"));
    }
    let rest = rest.trim_start();
    let ops = [("=~", MatchOp::Regex), ("!~", MatchOp::NotRegex), ("!=", MatchOp::NotEqual), ("=", MatchOp::Equal)];
    let Some((raw, op)) = ops.into_iter().find_map(|(written, op)| Some((rest.strip_prefix(written)?.trim_start(), op))) else {
        return Err(MatcherError::new(text, rest, "one of = != =~ !~ is expected after the label's name"));
    };
    let value = unquote(raw).map_err(|rest| MatcherError::new(text, rest, QUOTES))?;
    Matcher::new(name, op, value).map_err(|error| MatcherError::new(text, raw, format!("the pattern cannot be used: {error}")))
}

/// Reads the matchers of a command line. A first one without any of `=`, `!`, `~` is the name of an alert.
///
/// # Errors
/// At the first that is none: its number and why.
pub fn parse_matchers(texts: &[String]) -> Result<Vec<Matcher>, (usize, MatcherError)> {
    let word = |text: &str| !text.trim().is_empty() && !text.contains(['=', '!', '~']);
    let read = |(number, text): (usize, &String)| match parse_matcher(text) {
        Err(_) if number == 0 && word(text) => Matcher::new("alertname", MatchOp::Equal, text.trim())
            .map_err(|error| (number, MatcherError::new(text, text, error.to_string()))),
        other => other.map_err(|error| (number, error)),
    };
    texts.iter().enumerate().map(read).collect()
}

/// The matcher as [`parse_matcher`] reads it.
#[must_use]
pub fn print_matcher(matcher: &Matcher) -> String {
    let mut text = format!("{}{}\"", matcher.name(), matcher.op().as_str());
    for c in matcher.value().chars() {
        match c {
            '\\' => text.push_str("\\\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str("\\n"),
            c => text.push(c),
        }
    }
    text.push('"');
    text
}

/// The value meant, or the rest of the text from a quote on that should not stand there.
fn unquote(raw: &str) -> Result<String, &str> {
    let quoted = raw.strip_prefix('"');
    let mut characters = quoted.unwrap_or(raw).chars();
    let mut value = String::with_capacity(raw.len());
    let mut closed = false;
    loop {
        let rest = characters.as_str();
        match characters.next() {
            None => break,
            Some(_) if closed => return Err(rest),
            Some('\\') => match characters.next() {
                Some('n') => value.push('\n'),
                Some(escaped @ ('"' | '\\')) => value.push(escaped),
                // A backslash that escapes nothing is itself, as regular expressions want it.
                Some(other) => value.extend(['\\', other]),
                None => value.push('\\'),
            },
            Some('"') if quoted.is_some() => closed = true,
            Some('"') => return Err(rest),
            Some(c) => value.push(c),
        }
    }
    if quoted.is_some() && !closed { Err("") } else { Ok(value) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> String {
        match parse_matcher(text) {
            Ok(matcher) => print_matcher(&matcher),
            Err(error) => format!("{error}\n{}", error.caret(text)),
        }
    }

    #[test]
    fn matchers_are_read_as_amtool_reads_them() {
        for (text, printed) in [
            ("a=b", r#"a="b""#),
            (" a != b c ", r#"a!="b c""#),
            ("a=~b|c", r#"a=~"b|c""#),
            (r#"a!~"b.*""#, r#"a!~"b.*""#),
            ("a=", r#"a="""#),
            ("a==b", r#"a="=b""#),
            (r#"a="b=\"c\"""#, r#"a="b=\"c\"""#),
            (r"a=~b\.c", r#"a=~"b\\.c""#),
            (r"a=\", r#"a="\\""#),
            (r#"a="x\ny""#, r#"a="x\ny""#),
        ] {
            assert_eq!(read(text), printed, "{text}");
        }
    }

    #[test]
    fn what_is_none_is_shown_where() {
        for (text, shown) in [
            ("", "1:1: a label's name is expected: letters, digits and _\n\n^"),
            ("é=b", "1:1: a label's name is expected: letters, digits and _\né=b\n^"),
            ("a~b", "1:2: one of = != =~ !~ is expected after the label's name\na~b\n ^"),
            ("a.b=c", "1:2: one of = != =~ !~ is expected after the label's name\na.b=c\n ^"),
        ] {
            assert_eq!(read(text), shown);
        }
        let marked = |text: &str| read(text).lines().last().map(str::len);
        assert_eq!([r#"a=b"c"#, r#"a="bc"#, r#"a="b" c"#, "a=~b("].map(marked), [4, 6, 6, 4].map(Some));
        assert!(read("a=~b(").starts_with("1:4: the pattern cannot be used: "), "{}", read("a=~b("));
    }

    #[test]
    fn a_bare_word_in_front_is_an_alerts_name() {
        let read = |texts: &[&str]| {
            let texts: Vec<_> = texts.iter().map(|text| (*text).to_owned()).collect();
            parse_matchers(&texts).map(|all| all.iter().map(print_matcher).collect::<Vec<_>>().join(" ")).map_err(|(number, _)| number)
        };
        assert_eq!(read(&["Disk full", "a=b"]), Ok(r#"alertname="Disk full" a="b""#.to_owned()));
        assert_eq!(read(&["a=b", "Disk"]), Err(1));
        assert_eq!(read(&["a~b"]), Err(0));
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_as_it_was(name in "[a-zA-Z_][a-zA-Z0-9_]{0,8}", value in "(?s).{0,20}", op in 0_usize..2, slash in "[\\\\n\"]{0,6}") {
            let op = [MatchOp::Equal, MatchOp::NotEqual][op];
            let matcher = Matcher::new(name, op, format!("{value}{slash}")).expect("no pattern");
            prop_assert_eq!(parse_matcher(&print_matcher(&matcher)), Ok(matcher));
        }

        #[test]
        fn no_text_makes_it_panic(text in "(?s)[a-z=!~\"\\\\ é]{0,24}") {
            match parse_matcher(&text) {
                Ok(matcher) => prop_assert_eq!(parse_matcher(&print_matcher(&matcher)), Ok(matcher)),
                Err(error) => prop_assert!(error.caret(&text).ends_with('^')),
            }
        }
    }
}
