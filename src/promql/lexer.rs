//! Splits a query into words. What a character means depends on where it stands: in braces every word is a name, in
//! brackets only durations and their arithmetic are allowed. Messages and places are those of Prometheus's `lex.go`.

use super::ast::BinaryOp;
use super::error::Problem;
use super::quote::{is_printable, quote, quote_char};
use super::span::Span;
use super::token::{Keyword, Token, TokenKind, keyword};

/// Reads words one by one; after an error or the end it is used up.
pub(super) struct Lexer<'a> {
    query: &'a str,
    /// The next byte to read.
    position: usize,
    /// Where the current word starts.
    start: usize,
    open_parens: usize,
    in_braces: bool,
    bracket: Bracket,
}

/// How far into `[range:step]` the lexer is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Bracket {
    /// Not inside.
    Closed,
    /// Before the first number.
    Opened,
    /// After the first number.
    Number,
    /// After the colon.
    Colon,
}

type Result<T> = std::result::Result<T, Problem>;

const fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r')
}

const fn is_alpha(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_'
}

const fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

impl<'a> Lexer<'a> {
    /// `query` must be shorter than 4 GiB.
    pub(super) const fn new(query: &'a str) -> Self {
        Self { query, position: 0, start: 0, open_parens: 0, in_braces: false, bracket: Bracket::Closed }
    }

    /// The next word.
    pub(super) fn next_token(&mut self) -> Result<Token> {
        self.skip_space_and_comments();
        self.start = self.position;
        let kind = if self.in_braces {
            self.in_braces()?
        } else if self.bracket == Bracket::Opened {
            self.in_brackets()?
        } else {
            self.in_expression()?
        };
        Ok(Token { kind, span: self.span(self.position) })
    }

    fn rest(&self) -> &'a str {
        self.query.get(self.position..).unwrap_or("")
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next_char(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.position += c.len_utf8();
        Some(c)
    }

    fn accept(&mut self, wanted: impl FnOnce(char) -> bool) -> bool {
        let Some(c) = self.peek().filter(|c| wanted(*c)) else { return false };
        self.position += c.len_utf8();
        true
    }

    fn accept_all(&mut self, wanted: impl Fn(char) -> bool) {
        while self.accept(&wanted) {}
    }

    fn word(&self) -> &'a str {
        self.query.get(self.start..self.position).unwrap_or("")
    }

    fn span(&self, end: usize) -> Span {
        Span::new(u32::try_from(self.start).unwrap_or(u32::MAX), u32::try_from(end).unwrap_or(u32::MAX))
    }

    /// A problem from the start of the current word to the end of the query: nothing after it can be read.
    fn problem(&self, message: impl Into<String>) -> Problem {
        Problem::new(self.span(self.query.len()), message)
    }

    /// A problem after the current word, which by itself was good.
    fn problem_after(&mut self, message: String) -> Problem {
        self.start = self.position;
        self.problem(message)
    }

    fn skip_space_and_comments(&mut self) {
        loop {
            self.accept_all(is_space);
            if self.peek() != Some('#') {
                return;
            }
            self.accept_all(|c| c != '\n' && c != '\r');
        }
    }

    fn in_expression(&mut self) -> Result<TokenKind> {
        let Some(c) = self.next_char() else {
            return match self.bracket {
                _ if self.open_parens > 0 => Err(self.problem("unclosed left parenthesis")),
                Bracket::Closed => Ok(TokenKind::End),
                _ => Err(self.problem("unclosed left bracket")),
            };
        };
        let in_brackets = self.bracket != Bracket::Closed;
        Ok(match c {
            '=' => match self.peek() {
                Some('=') => self.operator(1, BinaryOp::Eq),
                Some('~') => return Err(self.problem("unexpected character after '=': '~'")),
                _ => TokenKind::Assign,
            },
            '!' => match self.next_char() {
                Some('=') => self.operator(0, BinaryOp::Ne),
                other => return Err(self.unexpected_after("unexpected character after '!'", other)),
            },
            '<' => match self.peek() {
                Some('=') => self.operator(1, BinaryOp::Le),
                Some('/') => self.operator(1, BinaryOp::TrimUpper),
                _ => self.operator(0, BinaryOp::Lt),
            },
            '>' => match self.peek() {
                Some('=') => self.operator(1, BinaryOp::Ge),
                Some('/') => self.operator(1, BinaryOp::TrimLower),
                _ => self.operator(0, BinaryOp::Gt),
            },
            '@' => TokenKind::At,
            '"' | '\'' | '`' => self.string(c)?,
            '{' => {
                self.in_braces = true;
                TokenKind::LeftBrace
            }
            '[' if in_brackets => return Err(self.problem("unexpected left bracket '['")),
            '[' => {
                self.bracket = Bracket::Opened;
                TokenKind::LeftBracket
            }
            ']' if !in_brackets => return Err(self.problem("unexpected right bracket ']'")),
            ':' if self.bracket == Bracket::Colon => return Err(self.problem("unexpected colon ':'")),
            ':' if in_brackets => self.colon(),
            c if in_brackets && is_alpha(c) => match self.duration_word() {
                Some(kind) => kind,
                None => return Err(self.problem(format!("unexpected character: {}, expected ':'", quote_char(c)))),
            },
            c if is_alpha(c) || c == ':' => self.name(),
            c => match self.shared(c)? {
                Some(kind) => kind,
                None => return Err(self.problem(format!("unexpected character: {}", quote_char(c)))),
            },
        })
    }

    /// Between `[` and the first number, where Prometheus has its own messages.
    fn in_brackets(&mut self) -> Result<TokenKind> {
        let Some(c) = self.next_char() else {
            return Err(self.problem("unexpected end of input in duration expression"));
        };
        if c == ':' && self.query.get(..self.start).unwrap_or("").trim_end_matches(is_space).ends_with(')') {
            // What computes a duration is one, though it holds no number: `[step():1m]`.
            return Ok(self.colon());
        }
        if c == ':' {
            return Err(self.problem_after("unexpected colon before duration in duration expression".to_owned()));
        }
        let kind = if is_alpha(c) { self.duration_word() } else { self.shared(c)? };
        kind.ok_or_else(|| self.problem(format!("unexpected character in duration expression: {}", quote_char(c))))
    }

    fn in_braces(&mut self) -> Result<TokenKind> {
        let Some(c) = self.next_char() else {
            return Err(self.problem("unexpected end of input inside braces"));
        };
        Ok(match c {
            ',' => TokenKind::Comma,
            '"' | '\'' | '`' => self.string(c)?,
            '=' if self.accept(|c| c == '~') => TokenKind::MatchRegex,
            '=' => TokenKind::Assign,
            '!' => match self.next_char() {
                Some('~') => TokenKind::MatchNotRegex,
                Some('=') => TokenKind::Operator(BinaryOp::Ne),
                other => return Err(self.unexpected_after("unexpected character after '!' inside braces", other)),
            },
            '{' => return Err(self.problem("unexpected left brace '{'")),
            '}' => {
                self.in_braces = false;
                TokenKind::RightBrace
            }
            c if is_alpha(c) => {
                self.accept_all(is_word);
                TokenKind::Identifier
            }
            c => return Err(self.problem(format!("unexpected character inside braces: {}", quote_char(c)))),
        })
    }

    /// What means the same in expressions and in brackets.
    fn shared(&mut self, c: char) -> Result<Option<TokenKind>> {
        Ok(Some(match c {
            ',' => TokenKind::Comma,
            '+' => self.operator(0, BinaryOp::Add),
            '-' => self.operator(0, BinaryOp::Sub),
            '*' => self.operator(0, BinaryOp::Mul),
            '/' => self.operator(0, BinaryOp::Div),
            '%' => self.operator(0, BinaryOp::Mod),
            '^' => self.operator(0, BinaryOp::Pow),
            '(' => {
                self.open_parens += 1;
                TokenKind::LeftParen
            }
            ')' => {
                self.open_parens = match self.open_parens.checked_sub(1) {
                    Some(open) => open,
                    None => return Err(self.problem_after("unexpected right parenthesis ')'".to_owned())),
                };
                TokenKind::RightParen
            }
            ']' => {
                self.bracket = Bracket::Closed;
                TokenKind::RightBracket
            }
            c if c.is_ascii_digit() || (c == '.' && self.peek().is_some_and(|c| c.is_ascii_digit())) => {
                self.position = self.start;
                self.number_or_duration()?
            }
            _ => return Ok(None),
        }))
    }

    fn operator(&mut self, further: usize, op: BinaryOp) -> TokenKind {
        self.position += further;
        TokenKind::Operator(op)
    }

    fn colon(&mut self) -> TokenKind {
        self.bracket = Bracket::Colon;
        TokenKind::Colon
    }

    fn unexpected_after(&self, what: &str, c: Option<char>) -> Problem {
        // Go prints the end of the text as the replacement character.
        self.problem(format!("{what}: {}", quote_char(c.unwrap_or('\u{fffd}'))))
    }

    fn name(&mut self) -> TokenKind {
        self.accept_all(|c| is_word(c) || c == ':');
        let word = self.word();
        match keyword(word) {
            // Metrics of these names are older than the keywords, so they are keywords only where they can be.
            Some(kind) if kind.is_fill() && !self.before_paren() => TokenKind::Identifier,
            Some(kind) => kind,
            None if word.contains(':') => TokenKind::MetricIdentifier,
            None => TokenKind::Identifier,
        }
    }

    fn before_paren(&self) -> bool {
        self.rest().trim_start_matches(is_space).starts_with('(')
    }

    fn duration_word(&mut self) -> Option<TokenKind> {
        self.accept_all(is_alpha);
        keyword(self.word())
            .filter(|kind| matches!(kind, TokenKind::Keyword(Keyword::Step | Keyword::Range | Keyword::MinOf | Keyword::MaxOf)))
    }

    fn string(&mut self, quotes: char) -> Result<TokenKind> {
        loop {
            match self.next_char() {
                Some(c) if c == quotes => return Ok(TokenKind::String),
                None if quotes == '`' => return Err(self.problem("unterminated raw string")),
                Some('\n') if quotes == '`' => {}
                None | Some('\n') => return Err(self.problem("unterminated quoted string")),
                Some('\\') if quotes != '`' => self.escape(quotes)?,
                Some(_) => {}
            }
        }
    }

    fn escape(&mut self, quotes: char) -> Result<()> {
        let (count, base, max) = match self.next_char() {
            None => return Err(self.problem("escape sequence not terminated")),
            Some('a' | 'b' | 'f' | 'n' | 'r' | 't' | 'v' | '\\') => return Ok(()),
            Some(c) if c == quotes => return Ok(()),
            Some('0'..='7') => {
                self.position -= 1;
                (3, 8, 255)
            }
            Some('x') => (2, 16, 255),
            Some('u') => (4, 16, 0x10_ffff),
            Some('U') => (8, 16, 0x10_ffff),
            Some(c) => return Err(self.problem(format!("unknown escape sequence {}", code_point(c)))),
        };
        let mut value: u32 = 0;
        for _ in 0..count {
            let Some(c) = self.next_char() else { return Err(self.problem("escape sequence not terminated")) };
            let Some(digit) = c.to_digit(base) else {
                return Err(self.problem(format!("illegal character {} in escape sequence", code_point(c))));
            };
            value = value.wrapping_mul(base) + digit;
        }
        if value > max || (0xd800..0xe000).contains(&value) {
            return Err(self.problem("escape sequence is an invalid Unicode code point"));
        }
        Ok(())
    }

    fn number_or_duration(&mut self) -> Result<TokenKind> {
        if self.bracket == Bracket::Opened {
            self.bracket = Bracket::Number;
        }
        if self.number() {
            return Ok(TokenKind::Number);
        }
        if self.duration_units() {
            return Ok(TokenKind::Duration);
        }
        Err(self.problem(format!("bad number or duration syntax: {}", quote(self.word()))))
    }

    /// Reads as much as can be a number; false if that is none, or if a word follows directly.
    fn number(&mut self) -> bool {
        let hex = self.rest().get(..2).is_some_and(|prefix| prefix.eq_ignore_ascii_case("0x"));
        if hex {
            self.position += 2;
            self.accept(|c| c == '_');
        }
        let is_digit = |c: char| if hex { c.is_ascii_hexdigit() } else { c.is_ascii_digit() };
        let (mut dot, mut exponent) = (false, false);
        while let Some(c) = self.peek() {
            let refused: &[char] = match c {
                c if is_digit(c) => {
                    self.accept_all(is_digit);
                    continue;
                }
                // The repeated one is read too, so that the message shows it.
                '.' if dot || hex => return self.refuse(c),
                '.' => {
                    dot = true;
                    &['_', '.']
                }
                'e' | 'E' if exponent => return self.refuse(c),
                'e' | 'E' => {
                    exponent = true;
                    &['.', '_', 'e', 'E']
                }
                '_' => &['.', '_', 'e', 'E'],
                _ => break,
            };
            self.position += 1;
            if matches!(c, 'e' | 'E') {
                self.accept(|c| matches!(c, '+' | '-'));
            }
            if self.accept(|c| refused.contains(&c)) || (c != '.' && self.peek().is_none()) {
                return false;
            }
        }
        !self.peek().is_some_and(is_word)
    }

    const fn refuse(&mut self, c: char) -> bool {
        self.position += c.len_utf8();
        false
    }

    /// After digits: a unit, further digits and units; which units and in which order is checked when it is converted.
    fn duration_units(&mut self) -> bool {
        let mut first = true;
        loop {
            // Years can only come first.
            if !self.accept(|c| matches!(c, 's' | 'm' | 'h' | 'd' | 'w') || (c == 'y' && first)) {
                return false;
            }
            first = false;
            self.accept(|c| c == 's');
            if !self.accept(|c| c.is_ascii_digit()) {
                break;
            }
            self.accept_all(|c| c.is_ascii_digit());
        }
        // A letter after it is read too, so that the message shows it.
        !self.accept(is_word)
    }
}

/// A character as Go's `%#U` prints it.
fn code_point(c: char) -> String {
    let code = format!("U+{:04X}", c as u32);
    if is_printable(c) { format!("{code} '{c}'") } else { code }
}
