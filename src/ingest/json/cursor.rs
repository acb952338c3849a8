//! Reads JSON as most senders write it: text without escapes and numbers of usual length. Whatever is less usual it does
//! not read, so that what it reads means what it means to serde_json.

/// A place in a line.
#[derive(Clone, Debug)]
pub(in crate::ingest) struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

/// The powers of ten that a float holds exactly.
const POWERS: [f64; 23] =
    [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22];
/// So many digits always fit.
const DIGITS_MAX: usize = 19;

const EACH: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// What of eight bytes ends plain text: a quotation mark, a backslash or a control character. Of the bits that are set the
/// lowest is right; those above it need not be.
fn special(bytes: u64) -> u64 {
    let equal = |byte: u64| {
        let zero = bytes ^ (EACH * byte);
        zero.wrapping_sub(EACH) & !zero
    };
    let control = bytes.wrapping_sub(EACH * 0x20) & !bytes;
    (equal(u64::from(b'"')) | equal(u64::from(b'\\')) | control) & HIGH
}

impl<'a> Cursor<'a> {
    pub(in crate::ingest) const fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    #[inline]
    fn bytes(&self) -> &'a [u8] {
        self.text.as_bytes()
    }

    /// The byte at hand; 0, which JSON does not know, at the end.
    #[inline]
    fn peek(&self) -> u8 {
        self.bytes().get(self.at).copied().unwrap_or(0)
    }

    /// Passes over white space.
    #[inline]
    pub(super) fn space(&mut self) {
        while matches!(self.peek(), b' ' | b'\t' | b'\n' | b'\r') {
            self.at += 1;
        }
    }

    /// Passes over this byte; `None` where another stands.
    #[inline]
    pub(super) fn take(&mut self, byte: u8) -> Option<()> {
        if self.peek() != byte {
            return None;
        }
        self.at += 1;
        Some(())
    }

    /// Passes over a byte between two entries; false for the one behind the last.
    #[inline]
    pub(super) fn next_entry(&mut self) -> Option<bool> {
        self.space();
        let more = match self.peek() {
            b',' => true,
            b'}' => false,
            _ => return None,
        };
        self.at += 1;
        self.space();
        Some(more)
    }

    /// Passes over a key and the colon behind it.
    pub(super) fn key(&mut self) -> Option<&'a str> {
        let key = self.string()?;
        self.space();
        self.take(b':')?;
        self.space();
        Some(key)
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.at >= self.text.len()
    }

    /// What lies between an earlier place and this one.
    #[inline]
    pub(super) fn since(&self, start: &Self) -> Option<&'a str> {
        self.text.get(start.at..self.at)
    }

    /// A string without escapes.
    #[inline]
    pub(in crate::ingest) fn string(&mut self) -> Option<&'a str> {
        self.take(b'"')?;
        let (bytes, start) = (self.bytes(), self.at);
        let mut end = start;
        loop {
            let Some(chunk) = bytes.get(end..).and_then(<[u8]>::first_chunk) else {
                // The last few bytes of a line are looked at one by one.
                end += bytes.get(end..)?.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20))?;
                break;
            };
            let found = special(u64::from_le_bytes(*chunk));
            if found != 0 {
                end += found.trailing_zeros() as usize / 8;
                break;
            }
            end += 8;
        }
        if bytes.get(end) != Some(&b'"') {
            return None;
        }
        self.at = end + 1;
        self.text.get(start..end)
    }

    /// Digits, added to what was read of the number before; how many they are.
    #[inline]
    fn digits(&mut self, value: &mut u64) -> Option<usize> {
        let start = self.at;
        while let digit @ b'0'..=b'9' = self.peek() {
            *value = value.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'));
            self.at += 1;
        }
        Some(self.at - start).filter(|count| (1..=DIGITS_MAX).contains(count))
    }

    /// The digits before the point: no zero in front of others.
    #[inline]
    fn integer(&mut self, value: &mut u64) -> Option<usize> {
        let zero = self.peek() == b'0';
        self.digits(value).filter(|count| !zero || *count == 1)
    }

    /// A whole number that is not negative.
    #[inline]
    pub(super) fn whole(&mut self) -> Option<u64> {
        let mut value = 0;
        self.integer(&mut value)?;
        if matches!(self.peek(), b'.' | b'e' | b'E') { None } else { Some(value) }
    }

    /// A number of at most nineteen digits. They are divided or multiplied by a power of ten that is exact, as serde_json
    /// does it: up to 2^53 the result is the nearest there is.
    #[inline]
    pub(in crate::ingest) fn number(&mut self) -> Option<f64> {
        let negative = self.take(b'-').is_some();
        let mut digits = 0;
        let before = self.integer(&mut digits)?;
        let mut exponent = 0;
        if self.take(b'.').is_some() {
            let behind = self.digits(&mut digits).filter(|behind| before + behind <= DIGITS_MAX)?;
            exponent -= i32::try_from(behind).ok()?;
        }
        if matches!(self.peek(), b'e' | b'E') {
            self.at += 1;
            let below = self.take(b'-').is_some();
            if !below {
                self.take(b'+');
            }
            let mut power = 0;
            self.digits(&mut power)?;
            let power = i32::try_from(power).ok()?;
            exponent = if below { exponent.checked_sub(power)? } else { exponent.checked_add(power)? };
        }
        let power = *POWERS.get(usize::try_from(exponent.unsigned_abs()).ok()?)?;
        let value = if exponent < 0 { digits as f64 / power } else { digits as f64 * power };
        Some(if negative { -value } else { value })
    }

    /// Passes over `null`.
    #[inline]
    pub(super) fn null(&mut self) -> Option<()> {
        if self.peek() == b'n' { self.word("null") } else { None }
    }

    fn word(&mut self, word: &str) -> Option<()> {
        self.pass_text(word.as_bytes()).then_some(())
    }

    /// Passes over this text, which ends where a character does, if it is what stands here.
    #[inline]
    pub(super) fn pass_text(&mut self, text: &[u8]) -> bool {
        let here = self.bytes().get(self.at..).is_some_and(|rest| rest.starts_with(text));
        if here {
            self.at += text.len();
        }
        here
    }

    /// Passes over a value of a field that nobody knows, unless it has parts.
    pub(super) fn pass(&mut self) -> Option<()> {
        match self.peek() {
            b'"' => self.string().map(drop),
            b't' => self.word("true"),
            b'f' => self.word("false"),
            b'n' => self.null(),
            _ => self.number().map(drop),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What is read of a whole text.
    fn whole<'a, T>(text: &'a str, read: impl FnOnce(&mut Cursor<'a>) -> Option<T>) -> Option<T> {
        let mut cursor = Cursor::new(text);
        read(&mut cursor).filter(|_| cursor.is_at_end())
    }

    #[test]
    fn usual_values_are_read() {
        for (text, number) in [("0", 0.0), ("-1", -1.0), ("12.5", 12.5), ("1732165445.1234567", 1_732_165_445.123_456_7), ("5e-06", 5e-6)] {
            assert_eq!(whole(text, Cursor::number), Some(number), "{text}");
        }
        assert_eq!(whole("18446744073709551615", Cursor::whole), None, "twenty digits are left to others");
        assert_eq!(whole("200", Cursor::whole), Some(200));
        assert_eq!(whole("\"longer than eight bytes é\"", Cursor::string), Some("longer than eight bytes é"));
        for text in ["\"a\\n\"", "\"a", "\"a\u{1}b\"", "01", "1.", ".5", "-", "1e", "nul", "[1]", "200.0x"] {
            assert_eq!(whole(text, Cursor::pass), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_number_that_is_read_is_serdes(text in "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?|[-+0-9.eE]{0,8}") {
            if let Some(number) = whole(&text, Cursor::number) {
                let general: f64 = serde_json::from_str(&text).expect("a number");
                prop_assert_eq!(number.to_bits(), general.to_bits(), "{}", text);
            }
            if let Some(number) = whole(&text, Cursor::whole) {
                prop_assert_eq!(number, serde_json::from_str::<u64>(&text).expect("a whole number"));
            }
        }

        #[test]
        fn a_string_that_is_read_is_serdes(text in "[a-zé\"\\\\\u{1}\u{1f}\u{20}\u{7f}]{0,30}") {
            let text = format!("\"{text}\"");
            if let Some(string) = whole(&text, Cursor::string) {
                prop_assert_eq!(string, serde_json::from_str::<String>(&text).expect("a string"));
            } else {
                let plain = serde_json::from_str::<&str>(&text).is_ok();
                prop_assert!(!plain, "{text} is plain");
            }
        }
    }
}
