//! Literals: Go's numbers, characters and quoted texts to their values.

use super::syntax::Constant;

/// A number, or why it is none. Go reads an integer beyond its `int` too, and finds at expansion that it cannot use it: that
/// is `None`.
pub(super) fn number(text: &str) -> Result<Option<Constant>, String> {
    let clean = without_separators(text).ok_or_else(|| format!("illegal number syntax: {text:?}"))?;
    let (negative, magnitude) = unsigned(&clean);
    let lower = magnitude.to_ascii_lowercase();
    let octal = lower.len() > 1 && lower.starts_with('0') && lower.bytes().all(|byte| byte.is_ascii_digit());
    let (digits, radix) = [("0x", 16), ("0b", 2), ("0o", 8)]
        .into_iter()
        .find_map(|(prefix, radix)| lower.strip_prefix(prefix).map(|digits| (digits, radix)))
        .unwrap_or((&lower, if octal { 8 } else { 10 }));
    if let Ok(magnitude) = i128::from_str_radix(digits, radix)
        && !digits.starts_with(['+', '-'])
    {
        return match i64::try_from(if negative { -magnitude } else { magnitude }) {
            Ok(number) => Ok(Some(Constant::Int(number))),
            Err(_) if !negative && u64::try_from(magnitude).is_ok() => Ok(None),
            Err(_) => Err(format!("integer overflow: {text:?}")),
        };
    }
    let float = match radix {
        16 => hexadecimal(digits).map(|number| if negative { -number } else { number }),
        8 | 10 => clean.parse::<f64>().ok(),
        _ => None,
    };
    match float.filter(|number| number.is_finite()) {
        Some(_) if !lower.contains(['.', 'e', 'p']) => Err(format!("integer overflow: {text:?}")),
        Some(number) => Ok(Some(Constant::Float(number))),
        None => Err(format!("illegal number syntax: {text:?}")),
    }
}

/// A text that is a number, as Go's `strconv.ParseFloat` reads it. What is too large is infinite.
pub(super) fn float(text: &str) -> Option<f64> {
    let clean = without_separators(text)?;
    let (negative, magnitude) = unsigned(&clean);
    let number: f64 = match magnitude.to_ascii_lowercase().strip_prefix("0x") {
        Some(digits) => hexadecimal(digits)?,
        None => magnitude.parse().ok().filter(|_| !magnitude.starts_with(['+', '-']))?,
    };
    let signed = magnitude.len() < clean.len();
    if negative { Some(-number) } else { Some(number) }.filter(|number| !(signed && number.is_nan()))
}

fn unsigned(text: &str) -> (bool, &str) {
    match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    }
}

/// A number without the `_` between its digits; none where one stands elsewhere.
fn without_separators(text: &str) -> Option<String> {
    let (_, magnitude) = unsigned(text);
    let lower = magnitude.to_ascii_lowercase();
    let prefixed = ["0x", "0b", "0o"].iter().any(|prefix| lower.starts_with(prefix));
    let digits = if prefixed { magnitude.get(2..)? } else { magnitude };
    let is_digit = |c: char| if lower.starts_with("0x") { c.is_ascii_hexdigit() } else { c.is_ascii_digit() };
    // A prefix counts as a digit, for what stands behind it.
    let mut before = prefixed.then_some('0');
    for c in digits.chars().chain("\0".chars()) {
        if (c == '_' && !before.is_some_and(is_digit)) || (before == Some('_') && !is_digit(c)) {
            return None;
        }
        before = Some(c);
    }
    Some(text.chars().filter(|c| *c != '_').collect())
}

/// `1.8p3`, without its `0x`. What has more digits than a float holds is refused.
#[allow(clippy::cast_precision_loss)] // 52 bits
fn hexadecimal(digits: &str) -> Option<f64> {
    let (mantissa, exponent) = digits.split_once('p')?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let (digits, exponent) = (format!("{whole}{fraction}"), exponent.parse::<i32>().ok()?);
    let mantissa = u64::from_str_radix(&digits, 16).ok().filter(|_| !digits.starts_with('+')).filter(|mantissa| mantissa >> 52 == 0)?;
    let places = i32::try_from(fraction.len()).ok()?;
    Some(mantissa as f64 * 2_f64.powi(exponent.checked_sub(places.checked_mul(4)?)?))
}

/// What stands between quotes, its escapes replaced; none where one is wrong. Bytes that are no text together show as `�`.
pub(super) fn unquote(text: &str, quote: char) -> Option<String> {
    let mut bytes = Vec::new();
    for unit in units(text, quote)? {
        match unit {
            Unit::Byte(byte) => bytes.push(byte),
            Unit::Char(c) => bytes.extend(c.encode_utf8(&mut [0; 4]).bytes()),
        }
    }
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// A character constant's number, or why it is none.
pub(super) fn character(text: &str) -> Result<i64, String> {
    match units(text, '\'').ok_or("invalid syntax")?.as_slice() {
        [Unit::Char(c)] => Ok(i64::from(u32::from(*c))),
        [Unit::Byte(byte)] => Ok(i64::from(*byte)),
        [] => Err("invalid syntax".to_owned()),
        _ => Err(format!("malformed character constant: {text}")),
    }
}

/// What a character or an escape stands for.
#[derive(Clone, Copy)]
enum Unit {
    Byte(u8),
    Char(char),
}

fn units(text: &str, quote: char) -> Option<Vec<Unit>> {
    let mut rest = text.strip_prefix(quote)?.strip_suffix(quote)?;
    let mut units = Vec::new();
    while let Some(c) = rest.chars().next() {
        let (unit, length) = if c == '\\' { escape(rest, quote)? } else { (Unit::Char(c), c.len_utf8()) };
        units.push(unit);
        rest = rest.get(length..)?;
    }
    Some(units)
}

/// One of Go's escapes and its length; `quote` is the one quote that may be escaped.
fn escape(text: &str, quote: char) -> Option<(Unit, usize)> {
    let letter = text.chars().nth(1)?;
    let letter_for = |c| Some((Unit::Char(c), 2));
    let (from, digits, radix) = match letter {
        'a' => return letter_for('\x07'),
        'b' => return letter_for('\x08'),
        'f' => return letter_for('\x0c'),
        'n' => return letter_for('\n'),
        'r' => return letter_for('\r'),
        't' => return letter_for('\t'),
        'v' => return letter_for('\x0b'),
        '\\' => return letter_for('\\'),
        c if c == quote => return letter_for(c),
        'x' => (2, 2, 16),
        'u' => (2, 4, 16),
        'U' => (2, 8, 16),
        '0'..='7' => (1, 3, 8),
        _ => return None,
    };
    let code = text.get(from..from + digits)?;
    let number = u32::from_str_radix(code, radix).ok().filter(|_| !code.starts_with('+'))?;
    let unit = if matches!(letter, 'u' | 'U') { Unit::Char(char::from_u32(number)?) } else { Unit::Byte(u8::try_from(number).ok()?) };
    Some((unit, from + digits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_gos() {
        for (text, value) in [
            ("0x1F", Constant::Int(31)),
            ("-0b11", Constant::Int(-3)),
            ("010", Constant::Int(8)),
            ("1_000", Constant::Int(1000)),
            ("-9223372036854775808", Constant::Int(i64::MIN)),
            ("1e3", Constant::Float(1000.0)),
            ("-2.5", Constant::Float(-2.5)),
            (".5", Constant::Float(0.5)),
            ("0x1.8p4", Constant::Float(24.0)),
        ] {
            assert_eq!(number(text), Ok(Some(value)), "{text}");
        }
        assert_eq!(number("9223372036854775808"), Ok(None));
        for text in ["18446744073709551616", "-9223372036854775809", "08", "0x", "0x1p", "1e999", "+"] {
            assert!(number(text).is_err(), "{text}");
        }
    }

    #[test]
    fn escapes_are_gos() {
        assert_eq!(unquote(r#""t\t\"\u00e9\x41\101""#, '"').as_deref(), Some("t\t\"éAA"));
        assert_eq!(unquote(r#""\xc3\xa9\xff""#, '"').as_deref(), Some("é�"));
        assert_eq!(character(r"'\xff'"), Ok(255));
        for text in [r#""\400""#, r#""\'""#, r#""\q""#, r#""\x4""#, r#""\ud800""#] {
            assert_eq!(unquote(text, '"'), None, "{text}");
        }
        assert_eq!((character(r"'\n'"), character("'ab'").is_err(), character("''").is_err()), (Ok(10), true, true));
    }
}
