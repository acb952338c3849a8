//! Where something stands in the text of a query: byte offsets, and the line and column people read.

/// The bytes `start..end` of a query. `u32`, because a query is limited to far less than 4 GiB.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// The first byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

impl Span {
    /// The bytes `start..end`.
    #[must_use]
    pub const fn new(start: u32, end: u32) -> Self {
        Self { start, end }
    }

    /// From the start of this to the end of `last`.
    #[must_use]
    pub const fn to(self, last: Self) -> Self {
        Self { start: self.start, end: last.end }
    }

    /// The text at this place; empty if the place is not in the text.
    #[must_use]
    pub fn text(self, query: &str) -> &str {
        query.get(self.start as usize..self.end as usize).unwrap_or("")
    }

    /// Line and column of the start, both counted from 1, columns in bytes, as Prometheus prints them.
    #[must_use]
    pub fn line_column(self, query: &str) -> (usize, usize) {
        let start = (self.start as usize).min(query.len());
        let before = query.as_bytes().get(..start).unwrap_or_default();
        let line_start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        (before.iter().filter(|byte| **byte == b'\n').count() + 1, start - line_start + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_columns_count_from_one() {
        assert_eq!(Span::new(0, 1).line_column("ab\ncd"), (1, 1));
        assert_eq!(Span::new(4, 5).line_column("ab\ncd"), (2, 2));
        assert_eq!(Span::new(99, 100).line_column("ab\ncd"), (2, 3));
    }
}
