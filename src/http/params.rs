//! Query strings and forms: `application/x-www-form-urlencoded`.
//! Source: WHATWG URL standard, "application/x-www-form-urlencoded parsing".

/// Names and values in the order they came; those of the body before those of the URL, so that the body's win.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Params(Vec<(String, String)>);

impl Params {
    /// Reads a query string and a form. Never fails: a `%` without two hex digits stands for itself, and what is not
    /// UTF-8 is replaced.
    pub(super) fn parse(query: &str, form: &[u8]) -> Self {
        let pairs = form.split(|byte| *byte == b'&').chain(query.as_bytes().split(|byte| *byte == b'&'));
        let pairs = pairs.filter(|pair| !pair.is_empty()).map(|pair| match memchr::memchr(b'=', pair) {
            Some(at) => (decode(pair.get(..at).unwrap_or(&[]), true), decode(pair.get(at + 1..).unwrap_or(&[]), true)),
            None => (decode(pair, true), String::new()),
        });
        Self(pairs.collect())
    }

    /// How many pairs there would be, at most.
    pub(super) fn count(query: &str, form: &[u8]) -> usize {
        2 + memchr::memchr_iter(b'&', query.as_bytes()).count() + memchr::memchr_iter(b'&', form).count()
    }

    /// The first value, if it is not empty: as upstream, which does not tell an empty one from none.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next().filter(|value| !value.is_empty())
    }

    /// All values of a name.
    pub(super) fn all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// True where the name is there, with whatever value.
    pub(super) fn has(&self, name: &str) -> bool {
        self.all(name).next().is_some()
    }
}

/// Decodes `%XX`, and `+` as a space where it means one (it does not in paths).
pub(super) fn decode(text: &[u8], plus_is_space: bool) -> String {
    let hex = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16)).and_then(|digit| u8::try_from(digit).ok());
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((byte, tail)) = rest.split_first() {
        rest = tail;
        decoded.push(match byte {
            b'+' if plus_is_space => b' ',
            b'%' => match (hex(tail.first()), hex(tail.get(1))) {
                (Some(high), Some(low)) => {
                    rest = tail.get(2..).unwrap_or(&[]);
                    high << 4 | low
                }
                _ => b'%',
            },
            _ => *byte,
        });
    }
    String::from_utf8(decoded).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_and_forms_are_decoded() {
        let params = Params::parse("match[]=a&match%5B%5D=b%7Bx%3D%22+%2B%22%7D&empty=&flag", b"");
        assert_eq!(params.all("match[]").collect::<Vec<_>>(), ["a", "b{x=\" +\"}"]);
        assert_eq!(params.get("empty"), None);
        assert!(params.has("flag") && params.has("empty") && !params.has("other"));
    }

    #[test]
    fn the_body_comes_before_the_url() {
        assert_eq!(Params::parse("query=url", b"query=body").get("query"), Some("body"));
        assert_eq!(Params::parse("time=1&time=2", b"").get("time"), Some("1"));
        assert_eq!(Params::parse("time=1", b"time=").get("time"), None);
    }

    #[test]
    fn broken_escapes_stand_for_themselves() {
        assert_eq!(decode(b"100%", true), "100%");
        assert_eq!(decode(b"%4", true), "%4");
        assert_eq!(decode(b"%zz%C3%A9%ff", true), "%zz\u{e9}\u{fffd}");
        assert_eq!(decode(b"a+b", false), "a+b");
    }

    proptest::proptest! {
        #[test]
        fn whatever_is_escaped_comes_out_as_it_was(value in ".{0,20}") {
            let escaped: String = value.bytes().map(|byte| format!("%{byte:02x}")).collect();
            let params = Params::parse(&format!("v={escaped}"), b"");
            proptest::prop_assert_eq!(params.all("v").next(), Some(value.as_str()));
        }
    }
}
