//! Why a text is no pattern, in Go's words.

use super::PATTERN_BYTES_MAX;

/// A pattern that is refused. Displays as in Go: what is wrong, and with which part.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("error parsing regexp: {}: `{part}`", code.describe())]
pub struct PatternError {
    code: Code,
    /// The part of the pattern that is wrong.
    part: String,
}

impl PatternError {
    pub(super) fn new(code: Code, part: &str) -> Self {
        // A pattern that is too long is not shown at its length.
        let end = part.char_indices().nth(1000).map_or(part.len(), |(end, _)| end);
        Self { code, part: part.get(..end).unwrap_or(part).to_owned() }
    }
}

/// What can be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Code {
    CharRange,
    Escape,
    NamedCapture,
    PerlOperator,
    NestedRepeat,
    RepeatCount,
    MissingBracket,
    MissingParen,
    MissingRepeatArgument,
    TrailingBackslash,
    UnexpectedParen,
    Nesting,
    Large,
    Long,
}

impl Code {
    fn describe(self) -> String {
        let text = match self {
            Self::CharRange => "invalid character class range",
            Self::Escape => "invalid escape sequence",
            Self::NamedCapture => "invalid named capture",
            Self::PerlOperator => "invalid or unsupported Perl syntax",
            Self::NestedRepeat => "invalid nested repetition operator",
            Self::RepeatCount => "invalid repeat count",
            Self::MissingBracket => "missing closing ]",
            Self::MissingParen => "missing closing )",
            Self::MissingRepeatArgument => "missing argument to repetition operator",
            Self::TrailingBackslash => "trailing backslash at end of expression",
            Self::UnexpectedParen => "unexpected )",
            Self::Nesting => "expression nests too deeply",
            Self::Large => "expression too large",
            Self::Long => return format!("expression longer than {PATTERN_BYTES_MAX} bytes"),
        };
        text.to_owned()
    }
}
