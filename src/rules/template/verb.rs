//! What the verbs of Go's `printf` make of texts and numbers.

use crate::model::{FloatStyle, format_float};

/// The flags, width and precision of one verb.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Spec {
    /// `-`: blanks on the right.
    pub(super) minus: bool,
    /// `+`: always a sign.
    pub(super) plus: bool,
    /// `#`: the other form.
    pub(super) sharp: bool,
    /// `%#v`: as in Go's source.
    pub(super) sharp_v: bool,
    /// `%+v`: with the names of fields.
    pub(super) plus_v: bool,
    /// A blank where a sign would be.
    pub(super) space: bool,
    /// `0`: zeros on the left.
    pub(super) zero: bool,
    /// At least so many characters.
    pub(super) width: Option<usize>,
    /// Places, digits or characters.
    pub(super) precision: Option<usize>,
}

/// A text, where the verb is for texts.
pub(super) fn string(verb: char, text: &str, spec: Spec) -> Option<String> {
    let cut: String = match spec.precision {
        Some(precision) => text.chars().take(precision).collect(),
        None => text.to_owned(),
    };
    match verb {
        'v' if spec.sharp_v => Some(pad(&quote(&cut), spec)),
        'v' | 's' => Some(pad(&cut, spec)),
        'q' if spec.sharp && !cut.contains(['`', '\x7f']) && cut.chars().all(|c| c == '\t' || !c.is_control()) => {
            Some(pad(&format!("`{cut}`"), spec))
        }
        'q' if spec.plus => Some(pad(&quoted(&cut, '"', true), spec)),
        'q' => Some(pad(&quote(&cut), spec)),
        'x' | 'X' => {
            let bytes = text.as_bytes().get(..spec.precision.unwrap_or(usize::MAX).min(text.len())).unwrap_or(&[]);
            let one = |byte: &u8| if verb == 'x' { format!("{byte:02x}") } else { format!("{byte:02X}") };
            let prefix = if spec.sharp && !bytes.is_empty() { format!("0{verb}") } else { String::new() };
            let separator = match (spec.space, spec.sharp) {
                (true, true) => format!(" 0{verb}"),
                (true, false) => " ".to_owned(),
                _ => String::new(),
            };
            let hex = bytes.iter().map(one).collect::<Vec<_>>().join(&separator);
            Some(pad(&format!("{prefix}{hex}"), spec))
        }
        _ => None,
    }
}

/// `strconv.Quote`.
pub(super) fn quote(text: &str) -> String {
    quoted(text, '"', false)
}

fn quoted(text: &str, mark: char, ascii: bool) -> String {
    let mut out = String::from(mark);
    for c in text.chars() {
        match c {
            c if c == mark => out.extend(['\\', c]),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\x07' => out.push_str("\\a"),
            '\x08' => out.push_str("\\b"),
            '\x0b' => out.push_str("\\v"),
            '\x0c' => out.push_str("\\f"),
            c if c.is_ascii_control() => out.push_str(&format!("\\x{:02x}", u32::from(c))),
            c if !c.is_ascii() && (ascii || c.is_control() || c.is_whitespace()) => {
                let code = u32::from(c);
                out.push_str(&if code < 0x1_0000 { format!("\\u{code:04x}") } else { format!("\\U{code:08x}") });
            }
            c => out.push(c),
        }
    }
    out.push(mark);
    out
}

/// An integer, where the verb is for integers.
pub(super) fn int(verb: char, number: i64, spec: Spec) -> Option<String> {
    let magnitude = number.unsigned_abs();
    let character = || u32::try_from(number).ok().and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER);
    let mut digits = match verb {
        'v' | 'd' => magnitude.to_string(),
        'x' => format!("{magnitude:x}"),
        'X' => format!("{magnitude:X}"),
        'o' | 'O' => format!("{magnitude:o}"),
        'b' => format!("{magnitude:b}"),
        'c' => return Some(pad(&character().to_string(), Spec { zero: false, ..spec })),
        'q' => return Some(pad(&quoted(&character().to_string(), '\'', spec.plus), Spec { zero: false, ..spec })),
        'U' => {
            let shown = if spec.sharp { format!(" '{}'", character()) } else { String::new() };
            let places = spec.precision.unwrap_or(4).max(4);
            return Some(pad(&format!("U+{magnitude:0places$X}{shown}"), Spec { zero: false, ..spec }));
        }
        _ => return None,
    };
    if let Some(precision) = spec.precision {
        if precision == 0 && number == 0 {
            return Some(pad("", Spec { zero: false, ..spec }));
        }
        digits = format!("{}{digits}", "0".repeat(precision.saturating_sub(digits.len())));
    }
    let prefix = match verb {
        'O' => "0o",
        'x' if spec.sharp => "0x",
        'X' if spec.sharp => "0X",
        'o' if spec.sharp && !digits.starts_with('0') => "0",
        'b' if spec.sharp => "0b",
        _ => "",
    };
    // A precision says how many digits there are, so zeros do not fill the width.
    let zero = spec.zero && !spec.minus && spec.precision.is_none();
    if zero && let Some(width) = spec.width {
        let signs = usize::from(number < 0 || spec.plus || spec.space);
        digits = format!("{}{digits}", "0".repeat(width.saturating_sub(signs).saturating_sub(digits.len())));
    }
    Some(signed(&format!("{prefix}{digits}"), number < 0, Spec { zero: false, ..spec }))
}

/// `%v` and `%g` without a precision give the shortest digits that read back, the others six places.
pub(super) fn float(verb: char, value: f64, spec: Spec) -> Option<String> {
    if !matches!(verb, 'v' | 'g' | 'G' | 'f' | 'F' | 'e' | 'E' | 'x' | 'X' | 'b') {
        return None;
    }
    let magnitude = value.abs();
    let digits = if value.is_nan() {
        "NaN".to_owned()
    } else if value.is_infinite() {
        "Inf".to_owned()
    } else {
        match (verb, spec.precision) {
            ('v' | 'g' | 'G', None) => format_float(magnitude, FloatStyle::General),
            ('v' | 'g' | 'G', Some(precision)) => general(magnitude, precision),
            ('f' | 'F', precision) => format!("{magnitude:.*}", precision.unwrap_or(6)),
            ('e' | 'E', precision) => scientific(magnitude, precision.unwrap_or(6)),
            ('b', _) => binary(magnitude),
            (_, precision) => hexadecimal(magnitude, precision),
        }
    };
    let digits = if value.is_finite() && spec.sharp && verb != 'b' { pointed(&digits, verb, spec.precision) } else { digits };
    let digits = if value.is_finite() && matches!(verb, 'G' | 'E' | 'X') { digits.to_uppercase() } else { digits };
    let finite = value.is_finite();
    let plus = spec.plus || value == f64::INFINITY && !spec.space;
    let spec = Spec { plus, zero: spec.zero && finite, ..spec };
    Some(signed(&digits, value.is_sign_negative() && !value.is_nan(), spec))
}

/// What `#` makes of it: always a point, and for some verbs as many digits as there could be, six by default. The `x` of
/// a hexadecimal number counts as a digit, as in Go.
fn pointed(number: &str, verb: char, precision: Option<usize>) -> String {
    let exponent = number.find(if matches!(verb, 'x' | 'X') { 'p' } else { 'e' }).unwrap_or(number.len());
    let (digits, exponent) = number.split_at(exponent);
    let point = if digits.contains('.') { "" } else { "." };
    let wanted = if matches!(verb, 'v' | 'g' | 'G' | 'x') { precision.unwrap_or(6) } else { 0 };
    let significant = digits.chars().filter(|c| *c != '.').skip_while(|c| *c == '0').count() + usize::from(digits == "0");
    format!("{digits}{point}{}{exponent}", "0".repeat(wanted.saturating_sub(significant)))
}

/// Go's `e` form: at least two digits of exponent, with its sign.
fn scientific(magnitude: f64, precision: usize) -> String {
    let text = format!("{magnitude:.precision$e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.unsigned_abs())
}

/// Go's `g` form with a precision: that many digits, an exponent below -4 or from the precision on, no trailing zeros.
fn general(magnitude: f64, precision: usize) -> String {
    let precision = precision.max(1);
    let text = format!("{magnitude:.*e}", precision - 1);
    let exponent: i32 = text.split_once('e').and_then(|(_, exponent)| exponent.parse().ok()).unwrap_or(0);
    let places = i32::try_from(precision).unwrap_or(i32::MAX).saturating_sub(1).saturating_sub(exponent);
    let shown = if exponent < -4 || places < 0 {
        scientific(magnitude, precision - 1)
    } else {
        format!("{magnitude:.*}", usize::try_from(places).unwrap_or(0))
    };
    let (mantissa, exponent) = match shown.find('e') {
        Some(at) => shown.split_at(at),
        None => (shown.as_str(), ""),
    };
    let mantissa = if mantissa.contains('.') { mantissa.trim_end_matches('0').trim_end_matches('.') } else { mantissa };
    format!("{mantissa}{exponent}")
}

/// The mantissa as an integer and the power of two, both zero for zero.
fn parts(magnitude: f64) -> (u64, i32) {
    let bits = magnitude.to_bits();
    let (fraction, exponent) = (bits & ((1 << 52) - 1), i32::try_from(bits >> 52 & 0x7ff).unwrap_or(0));
    if exponent == 0 { (fraction, -1074) } else { (fraction | 1 << 52, exponent - 1075) }
}

/// `%b`: `4503599627370496p-52`.
fn binary(magnitude: f64) -> String {
    let (mantissa, exponent) = parts(magnitude);
    format!("{mantissa}p{exponent:+}")
}

/// `%x`: `0x1.8p+01`.
fn hexadecimal(magnitude: f64, precision: Option<usize>) -> String {
    let (mut mantissa, mut exponent) = parts(magnitude);
    if mantissa == 0 {
        exponent = 0;
    } else {
        let shift = mantissa.leading_zeros() - 11;
        mantissa <<= shift;
        exponent += 52 - i32::try_from(shift).unwrap_or(0);
    }
    if let Some(precision) = precision.filter(|precision| *precision < 13) {
        // Half goes to even.
        let drop = 4 * (13 - u32::try_from(precision).unwrap_or(0));
        let (kept, rest, half) = (mantissa >> drop, mantissa & ((1 << drop) - 1), 1_u64 << (drop - 1));
        mantissa = (kept + u64::from(rest > half || rest == half && kept & 1 == 1)) << drop;
        if mantissa >> 53 > 0 {
            mantissa >>= 1;
            exponent += 1;
        }
    }
    let fraction = format!("{:013x}", mantissa & ((1 << 52) - 1));
    let fraction = match precision {
        None => fraction.trim_end_matches('0').to_owned(),
        Some(precision) => format!("{fraction:0<precision$}").get(..precision).unwrap_or("").to_owned(),
    };
    let point = if fraction.is_empty() { "" } else { "." };
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("0x{}{point}{fraction}p{sign}{:02}", mantissa >> 52, exponent.unsigned_abs())
}

fn signed(digits: &str, negative: bool, spec: Spec) -> String {
    let sign = match (negative, spec.plus, spec.space) {
        (true, ..) => "-",
        (false, true, _) => "+",
        (false, false, true) => " ",
        _ => "",
    };
    if spec.zero && !spec.minus {
        let width = spec.width.unwrap_or(0).saturating_sub(sign.len());
        return format!("{sign}{digits:0>width$}");
    }
    pad(&format!("{sign}{digits}"), spec)
}

/// To its width.
pub(super) fn pad(text: &str, spec: Spec) -> String {
    let missing = spec.width.unwrap_or(0).saturating_sub(text.chars().count());
    if spec.minus {
        format!("{text}{}", " ".repeat(missing))
    } else {
        let fill = if spec.zero { "0" } else { " " };
        format!("{}{text}", fill.repeat(missing))
    }
}
