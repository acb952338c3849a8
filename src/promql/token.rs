//! The words of the language, and how Prometheus names them in error messages.

use super::ast::{AggregateOp, BinaryOp};
use super::quote::quote;
use super::span::Span;

/// A word of a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) kind: TokenKind,
    pub(super) span: Span,
}

/// What a word is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TokenKind {
    /// The end of the query.
    End,
    /// A name without colons.
    Identifier,
    /// A name with colons, which can only be a metric's.
    MetricIdentifier,
    /// A literal, still in quotes.
    String,
    Number,
    Duration,
    LeftParen,
    RightParen,
    LeftBrace,
    RightBrace,
    LeftBracket,
    RightBracket,
    Comma,
    Colon,
    /// `=`
    Assign,
    /// `=~`
    MatchRegex,
    /// `!~`
    MatchNotRegex,
    /// `@`
    At,
    /// `!=` stands here too, though inside braces it matches labels.
    Operator(BinaryOp),
    Aggregator(AggregateOp),
    Keyword(Keyword),
}

/// Words with a meaning of their own that are neither operators nor aggregations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keyword {
    Anchored,
    Bool,
    By,
    End,
    Fill,
    FillLeft,
    FillRight,
    GroupLeft,
    GroupRight,
    Ignoring,
    MaxOf,
    MinOf,
    Offset,
    On,
    Range,
    Smoothed,
    Start,
    Step,
    Without,
}

/// What a word means outside of braces, in whatever case it is written.
pub(super) fn keyword(word: &str) -> Option<TokenKind> {
    use TokenKind::{Keyword as Word, Operator};
    let word = word.to_ascii_lowercase();
    let kind = match word.as_str() {
        "inf" | "nan" => TokenKind::Number,
        "and" => Operator(BinaryOp::And),
        "or" => Operator(BinaryOp::Or),
        "unless" => Operator(BinaryOp::Unless),
        "atan2" => Operator(BinaryOp::Atan2),
        "anchored" => Word(Keyword::Anchored),
        "bool" => Word(Keyword::Bool),
        "by" => Word(Keyword::By),
        "end" => Word(Keyword::End),
        "fill" => Word(Keyword::Fill),
        "fill_left" => Word(Keyword::FillLeft),
        "fill_right" => Word(Keyword::FillRight),
        "group_left" => Word(Keyword::GroupLeft),
        "group_right" => Word(Keyword::GroupRight),
        "ignoring" => Word(Keyword::Ignoring),
        "max_of" => Word(Keyword::MaxOf),
        "min_of" => Word(Keyword::MinOf),
        "offset" => Word(Keyword::Offset),
        "on" => Word(Keyword::On),
        "range" => Word(Keyword::Range),
        "smoothed" => Word(Keyword::Smoothed),
        "start" => Word(Keyword::Start),
        "step" => Word(Keyword::Step),
        "without" => Word(Keyword::Without),
        other => TokenKind::Aggregator(AggregateOp::ALL.into_iter().find(|op| op.as_str() == other)?),
    };
    Some(kind)
}

impl TokenKind {
    /// True for words that may stand as a metric's name.
    pub(super) const fn is_metric_name(self) -> bool {
        match self {
            Self::Identifier | Self::MetricIdentifier | Self::Aggregator(_) => true,
            Self::Operator(op) => op.is_set(),
            Self::Keyword(word) => {
                !self.is_fill()
                    && !matches!(word, Keyword::Bool | Keyword::GroupLeft | Keyword::GroupRight | Keyword::Ignoring | Keyword::On)
            }
            _ => false,
        }
    }

    /// True for words that may stand as a label in a grouping list.
    pub(super) const fn is_label_name(self) -> bool {
        match self {
            Self::Identifier | Self::MetricIdentifier | Self::Aggregator(_) => true,
            Self::Operator(op) => op.is_set() || matches!(op, BinaryOp::Atan2),
            Self::Keyword(word) => !self.is_fill() && !matches!(word, Keyword::Without),
            _ => false,
        }
    }

    /// True for the words that are keywords only before a parenthesis.
    pub(super) const fn is_fill(self) -> bool {
        matches!(self, Self::Keyword(Keyword::Fill | Keyword::FillLeft | Keyword::FillRight))
    }

    /// True for words that an expression can start with.
    pub(super) const fn starts_expression(self) -> bool {
        self.is_metric_name()
            || matches!(self, Self::Number | Self::Duration | Self::String | Self::LeftParen | Self::LeftBrace)
            || matches!(self, Self::Operator(BinaryOp::Add | BinaryOp::Sub))
    }
}

impl Token {
    /// The word in an error message: `identifier "b"`, `<op:*>`, `end of input`.
    pub(super) fn describe(self, query: &str) -> String {
        let text = self.span.text(query);
        let shortened = || match text.char_indices().nth(10) {
            Some((end, _)) => format!("{}...", quote(text.get(..end).unwrap_or(text))),
            None => quote(text),
        };
        match self.kind {
            TokenKind::End => "end of input".to_owned(),
            TokenKind::Identifier => format!("identifier {}", quote(text)),
            TokenKind::MetricIdentifier => format!("metric identifier {}", quote(text)),
            TokenKind::String => format!("string {}", shortened()),
            TokenKind::Number => format!("number {}", shortened()),
            TokenKind::Duration => format!("duration {}", shortened()),
            TokenKind::Operator(_) | TokenKind::At | TokenKind::MatchRegex | TokenKind::MatchNotRegex => format!("<op:{text}>"),
            TokenKind::Aggregator(_) => format!("<aggr:{text}>"),
            TokenKind::Keyword(Keyword::Start | Keyword::End | Keyword::Step | Keyword::Range | Keyword::MaxOf | Keyword::MinOf) => {
                quote(text)
            }
            TokenKind::Keyword(_) => format!("<{text}>"),
            _ => quote(text),
        }
    }
}
