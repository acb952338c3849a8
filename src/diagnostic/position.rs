//! Lines and columns of a text.

/// A place in a text, both counted from 1; columns count characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

impl Position {
    /// Where every text begins.
    pub const START: Self = Self { line: 1, column: 1 };
    /// In no text at all.
    pub const NOWHERE: Self = Self { line: 0, column: 0 };
}

/// The line and column of a byte; one past the end for a byte behind the text.
#[must_use]
pub fn position_of_byte(text: &str, byte: usize) -> Position {
    let before = text.get(..byte.min(text.len())).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |feed| feed + 1);
    let line = before.bytes().filter(|b| *b == b'\n').count() + 1;
    let column = before.get(line_start..).map_or(0, |line| line.chars().count()) + 1;
    Position { line, column }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters_from_one() {
        let text = "é\nab";
        assert_eq!(position_of_byte(text, 0), Position::START);
        assert_eq!(position_of_byte(text, 2), Position { line: 1, column: 2 });
        assert_eq!(position_of_byte(text, 4), Position { line: 2, column: 2 });
        assert_eq!(position_of_byte(text, 99), Position { line: 2, column: 3 });
    }
}
