//! What is wrong with a query and where, in Prometheus's words.

use std::fmt;

use super::span::Span;

/// The first mistake of a query. Displays as Prometheus does: `1:5: parse error: unexpected …`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// Which part of the query is wrong.
    pub position: Span,
    /// What is wrong with it, without the place.
    pub message: String,
    /// The line of its start, from 1; 0 for an empty query, in which there are no places.
    pub line: usize,
    /// The column of its start, from 1, in bytes.
    pub column: usize,
}

impl ParseError {
    pub(super) fn new(problem: Problem, query: &str) -> Self {
        let (line, column) = if query.is_empty() { (0, 0) } else { problem.span.line_column(query) };
        Self { position: problem.span, message: problem.message, line, column }
    }

    /// The line of the query where the mistake starts, and below it carets under the mistake.
    #[must_use]
    pub fn caret(&self, query: &str) -> String {
        let line = query.split('\n').nth(self.line.saturating_sub(1)).unwrap_or("").trim_end_matches('\r');
        let before = line.get(..self.column.saturating_sub(1)).unwrap_or(line);
        let wrong = (self.position.end.saturating_sub(self.position.start)) as usize;
        let after = line.get(before.len()..).unwrap_or("");
        // Tabs stay tabs, so that the caret stands right whatever their width.
        let indent: String = before.chars().map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        let mut end = wrong.min(after.len());
        while !after.is_char_boundary(end) {
            end += 1;
        }
        let carets = after.get(..end).unwrap_or("").chars().count().max(1);
        format!("{line}\n{indent}{}", "^".repeat(carets))
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "unknown position: parse error: {}", self.message),
            line => write!(f, "{line}:{}: parse error: {}", self.column, self.message),
        }
    }
}

impl std::error::Error for ParseError {}

/// A mistake as the lexer, the parser and the checker pass it up; the door adds line and column.
#[derive(Debug)]
pub(super) struct Problem {
    pub(super) span: Span,
    pub(super) message: String,
}

impl Problem {
    pub(super) fn new(span: Span, message: impl Into<String>) -> Self {
        Self { span, message: message.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(query: &str, start: u32, end: u32) -> ParseError {
        ParseError::new(Problem::new(Span::new(start, end), "wrong"), query)
    }

    #[test]
    fn the_place_comes_first() {
        assert_eq!(error("a +\n  * b", 6, 7).to_string(), "2:3: parse error: wrong");
        assert_eq!(error("", 0, 0).to_string(), "unknown position: parse error: wrong");
    }

    #[test]
    fn carets_stand_under_the_mistake() {
        assert_eq!(error("a +\n  ** b", 6, 8).caret("a +\n  ** b"), "  ** b\n  ^^");
        assert_eq!(error("\tx y", 3, 4).caret("\tx y"), "\tx y\n\t  ^");
        assert_eq!(error("é~\"ä\" x", 3, 7).caret("é~\"ä\" x"), "é~\"ä\" x\n  ^^^");
    }

    #[test]
    fn a_mistake_at_the_end_or_over_several_lines_has_a_caret_too() {
        assert_eq!(error("a +", 3, 3).caret("a +"), "a +\n   ^");
        assert_eq!(error("(a\nb)", 0, 5).caret("(a\nb)"), "(a\n^^");
        assert_eq!(error("", 0, 0).caret(""), "\n^");
    }
}
