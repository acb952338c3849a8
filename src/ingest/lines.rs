//! The lines of a payload. Whether they are UTF-8 is asked once for all of them, and only when the first one needs it: most
//! StatsD lines are compared byte by byte and never read as text.

use std::ops::Range;

use super::Refusal;

/// A payload that is taken line by line.
#[derive(Debug)]
pub(super) struct Lines<'p> {
    bytes: &'p [u8],
    at: usize,
    text: Text<'p>,
}

#[derive(Clone, Copy, Debug)]
enum Text<'p> {
    Unasked,
    Whole(&'p str),
    /// Some line is not UTF-8, so each has to be asked.
    InPart,
}

impl<'p> Lines<'p> {
    pub(super) const fn new(bytes: &'p [u8]) -> Self {
        Self { bytes, at: 0, text: Text::Unasked }
    }

    /// The next line that is not empty, without its end.
    pub(super) fn next(&mut self) -> Option<Range<usize>> {
        loop {
            let start = self.at;
            let rest = self.bytes.get(start..).filter(|rest| !rest.is_empty())?;
            let length = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
            self.at = start + length + 1;
            let end = start + length - usize::from(rest.get(..length).is_some_and(|line| line.ends_with(b"\r")));
            if end > start {
                return Some(start..end);
            }
        }
    }

    /// A line's bytes.
    pub(super) fn bytes(&self, line: Range<usize>) -> &'p [u8] {
        self.bytes.get(line).unwrap_or(&[])
    }

    /// A line as text.
    ///
    /// # Errors
    /// When it is not UTF-8.
    pub(super) fn text(&mut self, line: Range<usize>) -> Result<&'p str, Refusal> {
        if matches!(self.text, Text::Unasked) {
            self.text = std::str::from_utf8(self.bytes).map_or(Text::InPart, Text::Whole);
        }
        match self.text {
            Text::Whole(text) => text.get(line).ok_or(Refusal::NotUtf8),
            Text::Unasked | Text::InPart => std::str::from_utf8(self.bytes(line)).map_err(|_| Refusal::NotUtf8),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(payload: &[u8]) -> Vec<Result<&str, Refusal>> {
        let mut lines = Lines::new(payload);
        std::iter::from_fn(|| lines.next().map(|line| lines.text(line))).collect()
    }

    #[test]
    fn lines_come_without_their_ends_and_empty_ones_not_at_all() {
        assert_eq!(all(b"\na\r\n\r\n\nb\n\rc\n"), [Ok("a"), Ok("b"), Ok("\rc")]);
        assert_eq!(all(b"a"), [Ok("a")]);
        assert_eq!(all(b""), []);
    }

    #[test]
    fn one_bad_line_spoils_no_other() {
        assert_eq!(all("é\nx".as_bytes()), [Ok("é"), Ok("x")]);
        assert_eq!(all(b"a\n\xff\n\xc3\xa9\n\xc3"), [Ok("a"), Err(Refusal::NotUtf8), Ok("é"), Err(Refusal::NotUtf8)]);
    }
}
