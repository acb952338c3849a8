//! Template text to tokens with their byte offsets. A mistake is a token too, the last one, so that what is wrong before
//! it is told first.
//! Source: the lexical rules of Go's text/template documentation ("Text and spaces", "Actions"); the messages are its.

use std::borrow::Cow;

/// A token.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token<'t> {
    /// What it is.
    pub(super) kind: Kind,
    /// Its first byte in the template.
    pub(super) at: usize,
    /// What stands there; for a mistake, what is wrong.
    pub(super) text: Cow<'t, str>,
}

/// The kinds of token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// What stands outside of actions, trimmed where a neighbour asks for it.
    Text,
    /// `{{`
    Left,
    /// `}}`
    Right,
    /// Blanks inside an action: `$a.b` is one operand, `$a .b` are two.
    Space,
    /// `$` or `$name`
    Variable,
    /// `.name`
    Field,
    /// `.`
    Dot,
    /// `nil`
    Nil,
    /// `true`, `false`
    Bool,
    /// `if`, `end` and the like.
    Keyword,
    /// A function's name.
    Word,
    /// A text in double quotes.
    Quoted,
    /// A text in back quotes.
    Raw,
    /// A character in single quotes.
    Character,
    /// A number.
    Number,
    /// `|`
    Pipe,
    /// `(`
    Open,
    /// `)`
    Close,
    /// `:=`
    Declare,
    /// `=`
    Assign,
    /// A character that means nothing, or `,`.
    Other,
    /// A mistake.
    Error,
    /// The end of the text.
    End,
}

const BLANK: [char; 4] = [' ', '\t', '\r', '\n'];

const KEYWORDS: [&str; 11] = ["block", "break", "continue", "define", "else", "end", "if", "nil", "range", "template", "with"];

/// Cuts a template into tokens; the last is the end or a mistake.
pub(super) fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut lexer = Lexer { text, at: 0, parens: 0, tokens: Vec::new() };
    if let Err((at, message)) = lexer.template() {
        lexer.tokens.push(Token { kind: Kind::Error, at, text: Cow::Owned(message) });
    }
    lexer.tokens
}

/// What is wrong and where.
type Mistake = (usize, String);

struct Lexer<'t> {
    text: &'t str,
    at: usize,
    parens: usize,
    tokens: Vec<Token<'t>>,
}

impl<'t> Lexer<'t> {
    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or("")
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn push(&mut self, kind: Kind, from: usize) {
        let text = self.text.get(from..self.at).unwrap_or("");
        self.tokens.push(Token { kind, at: from, text: Cow::Borrowed(text) });
    }

    fn template(&mut self) -> Result<(), Mistake> {
        let mut trimmed = false;
        loop {
            let start = self.at;
            let rest = self.rest();
            let length = rest.find("{{").unwrap_or(rest.len());
            let open = start + length;
            let mut literal = rest.get(..length).unwrap_or("");
            if trimmed {
                literal = literal.trim_start_matches(BLANK);
            }
            let from = open - literal.len();
            let trims = trims(self.text, open + 2);
            if trims {
                literal = literal.trim_end_matches(BLANK);
            }
            if !literal.is_empty() {
                self.tokens.push(Token { kind: Kind::Text, at: from, text: Cow::Borrowed(literal) });
            }
            self.at = open;
            if length == rest.len() {
                self.push(Kind::End, open);
                return Ok(());
            }
            self.at = open + if trims { 4 } else { 2 };
            // A comment only directly behind the delimiter or its trim marker.
            if self.rest().starts_with("/*") {
                trimmed = self.comment(open)?;
                continue;
            }
            self.tokens.push(Token { kind: Kind::Left, at: open, text: Cow::Borrowed("{{") });
            self.parens = 0;
            trimmed = self.action(open)?;
        }
    }

    /// True when it trims the text behind it.
    fn comment(&mut self, open: usize) -> Result<bool, Mistake> {
        self.at += self.rest().find("*/").ok_or_else(|| (open, "unclosed comment".to_owned()))? + 2;
        self.closes().ok_or_else(|| (open, "comment ends before closing delimiter".to_owned())).inspect(|_| {
            self.at += self.closing().unwrap_or(0);
        })
    }

    /// How long the closing delimiter here is, with its trim marker.
    fn closing(&self) -> Option<usize> {
        let rest = self.rest();
        if rest.starts_with("}}") {
            return Some(2);
        }
        rest.strip_prefix(BLANK).is_some_and(|rest| rest.starts_with("-}}")).then_some(4)
    }

    /// Whether an action ends here, and then whether it trims.
    fn closes(&self) -> Option<bool> {
        self.closing().map(|length| length == 4)
    }

    /// Reads up to and over the closing delimiter; true when it trims the text behind it.
    fn action(&mut self, open: usize) -> Result<bool, Mistake> {
        loop {
            let at = self.at;
            if let Some(length) = self.closing() {
                if self.parens > 0 {
                    return Err((at, "unclosed left paren".to_owned()));
                }
                self.at += length;
                self.push(Kind::Right, at);
                return Ok(length == 4);
            }
            let Some(first) = self.peek() else { return Err((open, "unclosed action".to_owned())) };
            if BLANK.contains(&first) {
                while self.closing().is_none() && self.peek().is_some_and(|c| BLANK.contains(&c)) {
                    self.at += 1;
                }
                self.push(Kind::Space, at);
                continue;
            }
            let kind = self.token(first)?;
            self.push(kind, at);
        }
    }

    fn token(&mut self, first: char) -> Result<Kind, Mistake> {
        let at = self.at;
        let next = self.rest().chars().nth(1);
        match first {
            '=' => Ok(self.single(Kind::Assign)),
            ':' if next == Some('=') => {
                self.at += 2;
                Ok(Kind::Declare)
            }
            ':' => Err((at, "expected :=".to_owned())),
            '|' => Ok(self.single(Kind::Pipe)),
            '"' => self.quoted('"', "unterminated quoted string").map(|()| Kind::Quoted),
            '\'' => self.quoted('\'', "unterminated character constant").map(|()| Kind::Character),
            '`' => self.raw(),
            '$' => self.name(Kind::Variable, Kind::Variable),
            '.' if !next.is_some_and(|c| c.is_ascii_digit()) => self.name(Kind::Field, Kind::Dot),
            '.' | '+' | '-' | '0'..='9' => self.number(),
            '(' => {
                self.parens += 1;
                Ok(self.single(Kind::Open))
            }
            ')' => {
                // One too many is a token that the parser does not expect.
                self.parens = self.parens.saturating_sub(1);
                Ok(self.single(Kind::Close))
            }
            c if is_word(c) => self.word(),
            c if c.is_ascii_graphic() => Ok(self.single(Kind::Other)),
            c => Err((at, format!("unrecognized character in action: {}", code_point(c)))),
        }
    }

    fn single(&mut self, kind: Kind) -> Kind {
        self.at += 1;
        kind
    }

    /// Over letters, digits and underscores, behind which something must stand that ends a word.
    fn letters(&mut self) -> Result<(), Mistake> {
        self.at += self.rest().find(|c| !is_word(c)).unwrap_or(self.rest().len());
        match self.peek() {
            Some(c) if !(BLANK.contains(&c) || ".,|:)(".contains(c) || self.rest().starts_with("}}")) => {
                Err((self.at, format!("bad character {}", code_point(c))))
            }
            _ => Ok(()),
        }
    }

    fn name(&mut self, named: Kind, bare: Kind) -> Result<Kind, Mistake> {
        self.at += 1;
        let start = self.at;
        self.letters()?;
        Ok(if self.at > start { named } else { bare })
    }

    fn word(&mut self) -> Result<Kind, Mistake> {
        let start = self.at;
        self.letters()?;
        Ok(match self.text.get(start..self.at).unwrap_or("") {
            "nil" => Kind::Nil,
            "true" | "false" => Kind::Bool,
            word if KEYWORDS.contains(&word) => Kind::Keyword,
            _ => Kind::Word,
        })
    }

    fn quoted(&mut self, quote: char, unclosed: &str) -> Result<(), Mistake> {
        let start = self.at;
        let mut escaped = false;
        for (offset, c) in self.rest().char_indices().skip(1) {
            match c {
                '\n' => break,
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                c if c == quote => {
                    self.at = start + offset + 1;
                    return Ok(());
                }
                _ => {}
            }
        }
        Err((start, unclosed.to_owned()))
    }

    fn raw(&mut self) -> Result<Kind, Mistake> {
        let body = self.text.get(self.at + 1..).unwrap_or("");
        let end = body.find('`').ok_or_else(|| (self.at, "unterminated raw quoted string".to_owned()))?;
        self.at += end + 2;
        Ok(Kind::Raw)
    }

    fn number(&mut self) -> Result<Kind, Mistake> {
        let start = self.at;
        let mut good = self.scan_number();
        // A sign behind it makes it a complex number, of which there are none here.
        if good && self.rest().starts_with(['+', '-']) {
            self.scan_number();
            good = false;
        }
        if good {
            return Ok(Kind::Number);
        }
        let text = self.text.get(start..self.at).unwrap_or("");
        Err((start, format!("bad number syntax: {}", super::printf::quote(text))))
    }

    /// Over a number; false where it does not end.
    fn scan_number(&mut self) -> bool {
        self.accept("+-", 1);
        let mut digits = "0123456789_";
        if self.accept("0", 1) > 0 {
            if self.accept("xX", 1) > 0 {
                digits = "0123456789abcdefABCDEF_";
            } else if self.accept("oO", 1) > 0 {
                digits = "01234567_";
            } else if self.accept("bB", 1) > 0 {
                digits = "01_";
            }
        }
        self.accept(digits, usize::MAX);
        if self.accept(".", 1) > 0 {
            self.accept(digits, usize::MAX);
        }
        let exponent = match digits.len() {
            11 => "eE",
            23 => "pP",
            _ => "",
        };
        if self.accept(exponent, 1) > 0 {
            self.accept("+-", 1);
            self.accept("0123456789_", usize::MAX);
        }
        match self.peek().filter(|c| is_word(*c)) {
            Some(c) => {
                self.at += c.len_utf8();
                false
            }
            None => true,
        }
    }

    /// Over at most so many of these characters, which are ASCII; how many there were.
    fn accept(&mut self, set: &str, most: usize) -> usize {
        let count = self.rest().chars().take_while(|c| set.contains(*c)).take(most).count();
        self.at += count;
        count
    }
}

/// A trim marker is `-` next to the delimiter with a blank on its other side.
fn trims(text: &str, at: usize) -> bool {
    text.get(at..).is_some_and(|rest| rest.strip_prefix('-').is_some_and(|rest| rest.starts_with(BLANK)))
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Go's `%#U`.
fn code_point(c: char) -> String {
    let shown = if c.is_control() { String::new() } else { format!(" '{c}'") };
    format!("U+{:04X}{shown}", u32::from(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &str) -> Vec<Kind> {
        tokens(text).into_iter().map(|token| token.kind).collect()
    }

    #[test]
    fn trim_markers_eat_the_blanks_beside_them() {
        let tokens = tokens("a \n{{- 1 -}}\n b {{2}} c {{- /* no */ -}} d");
        let texts: Vec<_> = tokens.iter().filter(|token| token.kind == Kind::Text).map(|token| (&*token.text, token.at)).collect();
        assert_eq!(texts, [("a", 0), ("b ", 14), (" c", 21), ("d", 41)]);
    }

    #[test]
    fn a_minus_without_a_blank_is_a_sign() {
        assert_eq!(kinds("{{-3}}"), [Kind::Left, Kind::Number, Kind::Right, Kind::End]);
    }

    #[test]
    fn blanks_are_tokens_and_words_have_kinds() {
        assert_eq!(
            kinds("{{ $a.b .c if nil x '\\'' }}")[1..],
            [
                Kind::Space,
                Kind::Variable,
                Kind::Field,
                Kind::Space,
                Kind::Field,
                Kind::Space,
                Kind::Keyword,
                Kind::Space,
                Kind::Nil,
                Kind::Space,
                Kind::Word,
                Kind::Space,
                Kind::Character,
                Kind::Space,
                Kind::Right,
                Kind::End
            ]
        );
    }

    #[test]
    fn what_is_wrong_is_the_last_token() {
        for (text, at, message) in [
            ("ab {{ $x ", 3, "unclosed action"),
            ("{{ \"a }}", 3, "unterminated quoted string"),
            ("{{/* a", 0, "unclosed comment"),
            ("{{/* a */ b}}", 0, "comment ends before closing delimiter"),
            ("{{ 1x }}", 3, "bad number syntax: \"1x\""),
            ("{{ $x=1 }}", 5, "bad character U+003D '='"),
            ("{{ é! }}", 5, "bad character U+0021 '!'"),
            ("{{ (1 }}", 6, "unclosed left paren"),
            ("{{ : }}", 3, "expected :="),
        ] {
            let last = tokens(text).pop().expect("a token");
            assert_eq!((last.kind, last.at, &*last.text), (Kind::Error, at, message), "{text}");
        }
    }
}
