//! Go's `printf`, `print` and `println` for the values that templates have.
//! Source: the documentation of Go's package fmt; its error forms (`%!d(float64=1)`) are printed as Go prints them.

use super::eval::TEXT_BYTES_MAX;
use super::value::Value;
use crate::model::{FloatStyle, format_float};

/// Widths and precisions beyond this are refused, as Go refuses those beyond a million. Rust's own end at 65,535.
const WIDTH_MAX: usize = 10_000;

/// The flags, width and precision of one verb.
#[derive(Clone, Copy, Debug, Default)]
struct Spec {
    minus: bool,
    plus: bool,
    sharp: bool,
    space: bool,
    zero: bool,
    width: Option<usize>,
    precision: Option<usize>,
}

/// `fmt.Sprintf`.
pub(super) fn sprintf(format: &str, args: &[Value]) -> String {
    let mut out = String::new();
    let mut args = args.iter();
    let mut chars = format.chars().peekable();
    while let Some(c) = chars.next() {
        if out.len() > TEXT_BYTES_MAX {
            // Whoever asked refuses it, however long it would have become.
            break;
        }
        if c != '%' {
            out.push(c);
            continue;
        }
        let mut spec = Spec::default();
        while let Some(flag) = chars.next_if(|c| "+-# 0".contains(*c)) {
            match flag {
                '+' => spec.plus = true,
                '-' => spec.minus = true,
                '#' => spec.sharp = true,
                ' ' => spec.space = true,
                _ => spec.zero = true,
            }
        }
        spec.width = number(&mut chars);
        if chars.next_if_eq(&'.').is_some() {
            spec.precision = Some(number(&mut chars).unwrap_or(0));
        }
        let Some(verb) = chars.next() else {
            out.push_str("%!(NOVERB)");
            break;
        };
        if spec.width.is_some_and(|width| width > WIDTH_MAX) {
            out.push_str("%!(BADWIDTH)");
            spec.width = None;
        }
        if spec.precision.is_some_and(|precision| precision > WIDTH_MAX) {
            out.push_str("%!(BADPREC)");
            spec.precision = None;
        }
        if verb == '%' {
            out.push('%');
        } else if let Some(arg) = args.next() {
            out.push_str(&one(verb, arg, spec));
        } else {
            out.push_str(&format!("%!{verb}(MISSING)"));
        }
    }
    let extra: Vec<String> = args.map(|arg| format!("{}={}", arg.type_name(), arg.plain())).collect();
    if !extra.is_empty() {
        out.push_str(&format!("%!(EXTRA {})", extra.join(", ")));
    }
    out
}

/// `fmt.Sprint`: a blank between operands where neither is a text.
pub(super) fn sprint(args: &[Value]) -> String {
    let mut out = String::new();
    let mut text_before = true;
    for (index, arg) in args.iter().enumerate() {
        let text = matches!(arg, Value::Text(_));
        if index > 0 && !text && !text_before {
            out.push(' ');
        }
        out.push_str(&arg.plain());
        text_before = text;
    }
    out
}

/// `fmt.Sprintln`.
pub(super) fn sprintln(args: &[Value]) -> String {
    let words: Vec<String> = args.iter().map(Value::plain).collect();
    words.join(" ") + "\n"
}

/// `%.4g`, which the humanize functions print with.
pub(super) fn significant_4(value: f64) -> String {
    let spec = Spec { precision: Some(4), ..Spec::default() };
    float('g', value, spec).unwrap_or_default()
}

fn number(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<usize> {
    let mut number: Option<usize> = None;
    while let Some(digit) = chars.next_if(char::is_ascii_digit) {
        let digit = usize::try_from(digit.to_digit(10).unwrap_or(0)).unwrap_or(0);
        number = Some(number.unwrap_or(0).saturating_mul(10).saturating_add(digit));
    }
    number
}

fn one(verb: char, arg: &Value, spec: Spec) -> String {
    if verb == 'T' {
        return pad(arg.type_name(), spec);
    }
    let text = match arg {
        Value::Nil if verb == 'v' => Some(pad("<nil>", spec)),
        Value::Bool(truth) if matches!(verb, 'v' | 't') => Some(pad(&truth.to_string(), spec)),
        Value::Int(number) => int(verb, *number, spec),
        Value::Float(number) => float(verb, *number, spec),
        Value::Text(text) => string(verb, text, spec),
        Value::Map(map) => {
            let entry = |text: &str| string(verb, text, spec).unwrap_or_else(|| bad(verb, &Value::Text(text.to_owned()), spec));
            let pairs: Vec<String> = map.iter().map(|(name, value)| format!("{}:{}", entry(name), entry(value))).collect();
            return format!("map[{}]", pairs.join(" "));
        }
        Value::Root => Some("{}".to_owned()),
        Value::Nil | Value::Bool(_) => None,
    };
    text.unwrap_or_else(|| bad(verb, arg, spec))
}

/// A verb that does not fit: the value follows as `%v` with the same flags.
fn bad(verb: char, arg: &Value, spec: Spec) -> String {
    match arg {
        Value::Nil => format!("%!{verb}(<nil>)"),
        arg => format!("%!{verb}({}={})", arg.type_name(), one('v', arg, spec)),
    }
}

fn string(verb: char, text: &str, spec: Spec) -> Option<String> {
    let cut: String = match spec.precision {
        Some(precision) => text.chars().take(precision).collect(),
        None => text.to_owned(),
    };
    match verb {
        'v' | 's' => Some(pad(&cut, spec)),
        'q' => Some(pad(&quote(&cut), spec)),
        'x' | 'X' => {
            let bytes = text.as_bytes().get(..spec.precision.unwrap_or(usize::MAX).min(text.len())).unwrap_or(&[]);
            let hex: String = bytes.iter().map(|byte| if verb == 'x' { format!("{byte:02x}") } else { format!("{byte:02X}") }).collect();
            Some(pad(&hex, spec))
        }
        _ => None,
    }
}

fn quote(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\x07' => out.push_str("\\a"),
            '\x08' => out.push_str("\\b"),
            '\x0b' => out.push_str("\\v"),
            '\x0c' => out.push_str("\\f"),
            c if c.is_ascii_control() => out.push_str(&format!("\\x{:02x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

fn int(verb: char, number: i64, spec: Spec) -> Option<String> {
    let magnitude = number.unsigned_abs();
    let mut digits = match verb {
        'v' | 'd' => magnitude.to_string(),
        'x' => format!("{magnitude:x}"),
        'X' => format!("{magnitude:X}"),
        'o' => format!("{magnitude:o}"),
        'b' => format!("{magnitude:b}"),
        'c' => {
            let c = u32::try_from(number).ok().and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER);
            return Some(pad(&c.to_string(), Spec { zero: false, ..spec }));
        }
        _ => return None,
    };
    if let Some(precision) = spec.precision {
        digits = format!("{}{digits}", "0".repeat(precision.saturating_sub(digits.len())));
    }
    if spec.sharp {
        let prefix = match verb {
            'x' => "0x",
            'X' => "0X",
            'o' => "0",
            'b' => "0b",
            _ => "",
        };
        digits.insert_str(0, prefix);
    }
    // A precision says how many digits there are, so zeros do not fill the width.
    let spec = Spec { zero: spec.zero && spec.precision.is_none(), ..spec };
    Some(signed(&digits, number < 0, spec))
}

/// `%v` and `%g` without a precision give the shortest digits that read back, the others six places.
fn float(verb: char, value: f64, spec: Spec) -> Option<String> {
    let magnitude = value.abs();
    let digits = if value.is_nan() {
        "NaN".to_owned()
    } else if value.is_infinite() {
        "Inf".to_owned()
    } else {
        match (verb, spec.precision) {
            ('v' | 'g', None) => format_float(magnitude, FloatStyle::General),
            ('G', None) => format_float(magnitude, FloatStyle::General).to_uppercase(),
            ('v' | 'g', Some(precision)) => general(magnitude, precision, spec.sharp),
            ('G', Some(precision)) => general(magnitude, precision, spec.sharp).to_uppercase(),
            ('f' | 'F', precision) => format!("{magnitude:.*}", precision.unwrap_or(6)),
            ('e', precision) => scientific(magnitude, precision.unwrap_or(6)),
            ('E', precision) => scientific(magnitude, precision.unwrap_or(6)).to_uppercase(),
            _ => return None,
        }
    };
    if !matches!(verb, 'v' | 'g' | 'G' | 'f' | 'F' | 'e' | 'E') {
        return None;
    }
    let finite = value.is_finite();
    let spec = Spec { plus: spec.plus || value.is_infinite(), zero: spec.zero && finite, ..spec };
    Some(signed(&digits, value.is_sign_negative() && !value.is_nan(), spec))
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
fn general(magnitude: f64, precision: usize, keep_zeros: bool) -> String {
    let precision = precision.max(1);
    let text = format!("{magnitude:.*e}", precision - 1);
    let exponent: i32 = text.split_once('e').and_then(|(_, exponent)| exponent.parse().ok()).unwrap_or(0);
    let places = i32::try_from(precision).unwrap_or(i32::MAX).saturating_sub(1).saturating_sub(exponent);
    let shown = if exponent < -4 || places < 0 {
        scientific(magnitude, precision - 1)
    } else {
        format!("{magnitude:.*}", usize::try_from(places).unwrap_or(0))
    };
    if keep_zeros {
        return shown;
    }
    let (mantissa, exponent) = match shown.find('e') {
        Some(at) => shown.split_at(at),
        None => (shown.as_str(), ""),
    };
    let mantissa = if mantissa.contains('.') { mantissa.trim_end_matches('0').trim_end_matches('.') } else { mantissa };
    format!("{mantissa}{exponent}")
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

fn pad(text: &str, spec: Spec) -> String {
    let missing = spec.width.unwrap_or(0).saturating_sub(text.chars().count());
    if spec.minus {
        format!("{text}{}", " ".repeat(missing))
    } else {
        let fill = if spec.zero { "0" } else { " " };
        format!("{}{text}", fill.repeat(missing))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verbs_print_as_go_prints_them() {
        let text = || Value::Text("abc".into());
        for (format, arg, shown) in [
            ("%v", Value::Float(1_234_567.891), "1.234567891e+06"),
            ("%g", Value::Float(1e21), "1e+21"),
            ("%.2f", Value::Float(0.125), "0.12"),
            ("%0.0f", Value::Float(2.5), "2"),
            ("%f", Value::Float(1.0), "1.000000"),
            ("%e", Value::Float(1234.5), "1.234500e+03"),
            ("%.3g", Value::Float(0.000_012_34), "1.23e-05"),
            ("%#.4g", Value::Float(1.0), "1.000"),
            ("%+.1f", Value::Float(1.0), "+1.0"),
            ("%+v", Value::Float(f64::NEG_INFINITY), "-Inf"),
            ("%6.1f|", Value::Float(-1.25), "  -1.2|"),
            ("%-6.1f|", Value::Float(-1.25), "-1.2  |"),
            ("%06.1f", Value::Float(-1.25), "-001.2"),
            ("%d%%", Value::Int(5), "5%"),
            ("%05d", Value::Int(-5), "-0005"),
            ("%x", Value::Int(255), "ff"),
            ("%c", Value::Int(97), "a"),
            ("%d", Value::Float(1e6), "%!d(float64=1e+06)"),
            ("%s", Value::Float(0.5), "%!s(float64=0.5)"),
            ("%.2f", Value::Int(1), "%!f(int=01)"),
            ("%d", text(), "%!d(string=abc)"),
            ("%q", Value::Text("a\"b".into()), r#""a\"b""#),
            ("%.2s", text(), "ab"),
            ("%5s|", text(), "  abc|"),
            ("%x", text(), "616263"),
            ("%t", Value::Bool(true), "true"),
            ("%T", Value::Float(1.0), "float64"),
            ("%s %s", text(), "abc %!s(MISSING)"),
            ("x", Value::Float(1.0), "x%!(EXTRA float64=1)"),
            ("%", text(), "%!(NOVERB)%!(EXTRA string=abc)"),
            ("%v", Value::Nil, "<nil>"),
        ] {
            assert_eq!(sprintf(format, &[arg]), shown, "{format}");
        }
    }

    #[test]
    fn a_map_prints_sorted() {
        let map = Value::Map(crate::model::Labels::from_pairs([("b", "2"), ("a", "1")]));
        assert_eq!(sprintf("%v", std::slice::from_ref(&map)), "map[a:1 b:2]");
        assert_eq!(sprintf("%s", &[map]), "map[a:1 b:2]");
    }

    #[test]
    fn print_puts_blanks_only_between_what_is_no_text() {
        let (one, text) = (Value::Int(1), Value::Text("a".into()));
        assert_eq!(sprint(&[one.clone(), one.clone(), text.clone(), one.clone()]), "1 1a1");
        assert_eq!(sprintln(&[one, text]), "1 a\n");
    }

    #[test]
    fn a_huge_width_is_refused() {
        assert!(sprintf("%9999999999d", &[Value::Int(1)]).starts_with("%!(BADWIDTH)"));
        for verb in ["%100000d", "%0100000d", "%.100000d", "%.100000f", "%.100000g", "%.100000e", "%100000s", "%.100000v", "%0100000.2f"] {
            for value in [Value::Int(1), Value::Float(1.5), Value::Text("a".into())] {
                assert!(sprintf(verb, &[value]).starts_with("%!("), "{verb}");
            }
        }
        assert_eq!(sprintf("%10000d", &[Value::Int(1)]).len(), 10_000);
    }
}
