//! Template text to pieces: literal text, and actions as tokens with their byte offsets.
//! Source: the lexical rules of Go's text/template documentation ("Text and spaces", "Actions").

use super::TemplateError;

/// A stretch of the template.
#[derive(Debug, PartialEq)]
pub(super) enum Piece<'t> {
    /// Printed as it stands, trimmed where a neighbour asks for it.
    Text(&'t str),
    /// What stands between `{{` and `}}`.
    Action {
        /// Its tokens.
        tokens: Vec<Token>,
        /// Where `{{` stands.
        at: usize,
    },
}

/// A token of an action.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token {
    /// What it is.
    pub(super) kind: Kind,
    /// Its first byte in the template.
    pub(super) at: usize,
    /// Whether a blank stands before it: `$a.b` is one operand, `$a .b` are two.
    pub(super) spaced: bool,
}

/// The kinds of token.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    /// `$` (empty) or `$name`.
    Variable(String),
    /// `.name`
    Field(String),
    /// `.`
    Dot,
    /// A keyword, a function, `true`, `false` or `nil`.
    Word(String),
    /// A text in double or back quotes.
    Text(String),
    /// An integer or a character.
    Int(i64),
    /// A number with a point or an exponent.
    Float(f64),
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
    /// `,`
    Comma,
}

const BLANK: [char; 4] = [' ', '\t', '\r', '\n'];

/// Cuts a template into text and actions.
pub(super) fn split(text: &str) -> Result<Vec<Piece<'_>>, TemplateError> {
    let mut pieces = Vec::new();
    let mut at = 0;
    let mut trim_next = false;
    loop {
        let rest = text.get(at..).unwrap_or("");
        let start = rest.find("{{");
        let mut literal = rest.get(..start.unwrap_or(rest.len())).unwrap_or("");
        if trim_next {
            literal = literal.trim_start_matches(BLANK);
        }
        let Some(start) = start else {
            push_text(&mut pieces, literal);
            return Ok(pieces);
        };
        let open = at + start;
        let mut inside = open + 2;
        if trims(text, inside) {
            literal = literal.trim_end_matches(BLANK);
            inside += 2;
        }
        push_text(&mut pieces, literal);
        // Go allows a comment only directly behind the delimiter or its trim marker.
        if text.get(inside..).is_some_and(|body| body.starts_with("/*")) {
            (at, trim_next) = comment(text, inside, open)?;
            continue;
        }
        let mut lexer = Lexer { text, at: inside, open, tokens: Vec::new() };
        trim_next = lexer.run()?;
        at = lexer.at;
        pieces.push(Piece::Action { tokens: lexer.tokens, at: open });
    }
}

fn push_text<'t>(pieces: &mut Vec<Piece<'t>>, text: &'t str) {
    if !text.is_empty() {
        pieces.push(Piece::Text(text));
    }
}

/// A trim marker is `-` next to the delimiter with a blank on its other side.
fn trims(text: &str, at: usize) -> bool {
    text.get(at..).is_some_and(|rest| rest.strip_prefix('-').is_some_and(|rest| rest.starts_with(BLANK)))
}

fn comment(text: &str, inside: usize, open: usize) -> Result<(usize, bool), TemplateError> {
    let unclosed = || TemplateError::new(open, "unclosed comment");
    let end = inside + text.get(inside..).and_then(|rest| rest.find("*/")).ok_or_else(unclosed)? + 2;
    let after = text.get(end..).unwrap_or("");
    if after.starts_with("}}") {
        Ok((end + 2, false))
    } else if after.strip_prefix(BLANK).is_some_and(|rest| rest.starts_with("-}}")) {
        Ok((end + 4, true))
    } else {
        Err(TemplateError::new(open, "comment ends before closing delimiter"))
    }
}

struct Lexer<'t> {
    text: &'t str,
    at: usize,
    open: usize,
    tokens: Vec<Token>,
}

impl Lexer<'_> {
    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or("")
    }

    /// Reads up to and over the closing delimiter; true when it trims the text behind it.
    fn run(&mut self) -> Result<bool, TemplateError> {
        loop {
            let blank = self.rest().len() - self.rest().trim_start_matches(BLANK).len();
            self.at += blank;
            let spaced = blank > 0;
            if self.rest().starts_with("}}") {
                self.at += 2;
                return Ok(false);
            }
            if spaced && self.rest().starts_with("-}}") {
                self.at += 3;
                return Ok(true);
            }
            let at = self.at;
            let kind = self.token()?;
            self.tokens.push(Token { kind, at, spaced });
        }
    }

    fn token(&mut self) -> Result<Kind, TemplateError> {
        let Some(first) = self.rest().chars().next() else {
            return Err(TemplateError::new(self.open, "unclosed action"));
        };
        let next = self.rest().chars().nth(1);
        match first {
            '$' => {
                self.at += 1;
                Ok(Kind::Variable(self.word()))
            }
            '.' if next.is_some_and(is_word) && !next.is_some_and(|c| c.is_ascii_digit()) => {
                self.at += 1;
                Ok(Kind::Field(self.word()))
            }
            '.' if !next.is_some_and(|c| c.is_ascii_digit()) => self.single(Kind::Dot),
            '"' => self.quoted().map(Kind::Text),
            '`' => self.raw().map(Kind::Text),
            '\'' => self.character(),
            '|' => self.single(Kind::Pipe),
            '(' => self.single(Kind::Open),
            ')' => self.single(Kind::Close),
            ',' => self.single(Kind::Comma),
            '=' => self.single(Kind::Assign),
            ':' if next == Some('=') => {
                self.at += 2;
                Ok(Kind::Declare)
            }
            '+' | '-' | '.' | '0'..='9' => self.number(),
            c if is_word(c) => Ok(Kind::Word(self.word())),
            c => Err(TemplateError::new(self.at, format!("unexpected {c:?} in an action"))),
        }
    }

    fn single(&mut self, kind: Kind) -> Result<Kind, TemplateError> {
        self.at += 1;
        Ok(kind)
    }

    fn word(&mut self) -> String {
        let end = self.rest().find(|c| !is_word(c)).unwrap_or(self.rest().len());
        let word = self.rest().get(..end).unwrap_or("").to_owned();
        self.at += end;
        word
    }

    fn number(&mut self) -> Result<Kind, TemplateError> {
        let at = self.at;
        let legal = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_');
        let mut end = 0;
        let mut before = ' ';
        for c in self.rest().chars() {
            let sign = matches!(c, '+' | '-') && (end == 0 || matches!(before, 'e' | 'E'));
            if !legal(c) && !sign {
                break;
            }
            before = c;
            end += c.len_utf8();
        }
        let text = self.rest().get(..end).unwrap_or("").to_owned();
        self.at += end;
        number(&text).ok_or_else(|| TemplateError::new(at, format!("bad number syntax: {text:?}")))
    }

    fn raw(&mut self) -> Result<String, TemplateError> {
        let unclosed = TemplateError::new(self.at, "unterminated raw quoted string");
        let body = self.text.get(self.at + 1..).unwrap_or("");
        let end = body.find('`').ok_or(unclosed)?;
        self.at += end + 2;
        Ok(body.get(..end).unwrap_or("").to_owned())
    }

    fn quoted(&mut self) -> Result<String, TemplateError> {
        let start = self.at;
        let unclosed = || TemplateError::new(start, "unterminated quoted string");
        self.at += 1;
        let mut text = String::new();
        loop {
            match self.rest().chars().next() {
                None | Some('\n') => return Err(unclosed()),
                Some('"') => {
                    self.at += 1;
                    return Ok(text);
                }
                Some('\\') => text.push(self.escape('"')?),
                Some(c) => {
                    text.push(c);
                    self.at += c.len_utf8();
                }
            }
        }
    }

    fn character(&mut self) -> Result<Kind, TemplateError> {
        let start = self.at;
        self.at += 1;
        let c = match self.rest().chars().next() {
            Some('\\') => self.escape('\'')?,
            Some(c) if c != '\'' => {
                self.at += c.len_utf8();
                c
            }
            _ => return Err(TemplateError::new(start, "malformed character constant")),
        };
        if !self.rest().starts_with('\'') {
            return Err(TemplateError::new(start, "unterminated character constant"));
        }
        self.at += 1;
        Ok(Kind::Int(i64::from(u32::from(c))))
    }

    /// One of Go's escapes; `quote` is the one quote that may be escaped.
    fn escape(&mut self, quote: char) -> Result<char, TemplateError> {
        let start = self.at;
        let invalid = || TemplateError::new(start, "invalid escape in a quoted string");
        let letter = self.rest().chars().nth(1).ok_or_else(invalid)?;
        self.at += 1 + letter.len_utf8();
        let (digits, radix) = match letter {
            'a' => return Ok('\x07'),
            'b' => return Ok('\x08'),
            'f' => return Ok('\x0c'),
            'n' => return Ok('\n'),
            'r' => return Ok('\r'),
            't' => return Ok('\t'),
            'v' => return Ok('\x0b'),
            '\\' => return Ok('\\'),
            c if c == quote => return Ok(c),
            'x' => (2, 16),
            'u' => (4, 16),
            'U' => (8, 16),
            '0'..='7' => {
                self.at -= 1;
                (3, 8)
            }
            _ => return Err(invalid()),
        };
        let code = self.rest().get(..digits).ok_or_else(invalid)?;
        let c = u32::from_str_radix(code, radix).ok().and_then(char::from_u32).ok_or_else(invalid)?;
        self.at += digits;
        Ok(c)
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Go's constants: decimal, hexadecimal, octal and binary integers, and floats.
fn number(text: &str) -> Option<Kind> {
    let clean: String = text.chars().filter(|c| *c != '_').collect();
    let (sign, magnitude) = match clean.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, clean.strip_prefix('+').unwrap_or(&clean)),
    };
    let lower = magnitude.to_ascii_lowercase();
    for (prefix, radix) in [("0x", 16), ("0b", 2), ("0o", 8)] {
        if let Some(digits) = lower.strip_prefix(prefix) {
            return i64::from_str_radix(digits, radix).ok().map(|number| Kind::Int(sign * number));
        }
    }
    if lower.contains(['.', 'e']) {
        return clean.parse::<f64>().ok().filter(|number| number.is_finite()).map(Kind::Float);
    }
    let octal = lower.len() > 1 && lower.starts_with('0');
    i64::from_str_radix(&lower, if octal { 8 } else { 10 }).ok().map(|number| Kind::Int(sign * number))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &str) -> Vec<Kind> {
        match split(text).expect("lexes").remove(0) {
            Piece::Action { tokens, .. } => tokens.into_iter().map(|token| token.kind).collect(),
            Piece::Text(text) => panic!("text {text}"),
        }
    }

    #[test]
    fn trim_markers_eat_the_blanks_beside_them() {
        let texts: Vec<_> = split("a \n{{- 1 -}}\n b {{2}} c {{- /* no */ -}} d")
            .expect("lexes")
            .into_iter()
            .filter_map(|piece| if let Piece::Text(text) = piece { Some(text) } else { None })
            .collect();
        assert_eq!(texts, ["a", "b ", " c", "d"]);
    }

    #[test]
    fn a_minus_without_a_blank_is_a_sign() {
        assert_eq!(kinds("{{-3}}"), [Kind::Int(-3)]);
    }

    #[test]
    fn literals_are_gos() {
        assert_eq!(
            kinds(r#"{{ 0x1F 1e3 -2.5 'a' '\n' "t\t\"\u00e9" `r\n` 010 }}"#),
            [
                Kind::Int(31),
                Kind::Float(1000.0),
                Kind::Float(-2.5),
                Kind::Int(97),
                Kind::Int(10),
                Kind::Text("t\t\"é".into()),
                Kind::Text("r\\n".into()),
                Kind::Int(8)
            ]
        );
    }

    #[test]
    fn a_blank_separates_a_field_from_its_operand() {
        let Piece::Action { tokens, .. } = split("{{ $a.b .c }}").expect("lexes").remove(0) else { panic!("no action") };
        assert_eq!(tokens.iter().map(|token| token.spaced).collect::<Vec<_>>(), [true, false, true]);
    }

    #[test]
    fn what_is_left_open_is_named_where_it_opened() {
        for (text, at, message) in [
            ("ab {{ $x ", 3, "unclosed action"),
            ("{{ \"a }}", 3, "unterminated quoted string"),
            ("{{/* a", 0, "unclosed comment"),
            ("{{ 1x }}", 3, "bad number syntax: \"1x\""),
            ("{{ ! }}", 3, "unexpected '!' in an action"),
        ] {
            assert_eq!(split(text), Err(TemplateError::new(at, message)), "{text}");
        }
    }
}
