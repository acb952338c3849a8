//! Series and values as Prometheus's languages for tests write them: `name{label="value"} 0+10x5 _ stale`.
//! Source: prometheus/prometheus `promql/promqltest/README.md`, `docs/configuration/unit_testing_rules.md`.

use super::token::keyword;
use crate::model::{Labels, METRIC_NAME, is_label_name, is_metric_name, stale_marker};

/// The most values that one list may stand for.
const VALUES_MAX: usize = 10_000_000;

/// One value of a list.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Slot {
    /// No sample.
    Gap,
    /// A sample, which may be the stale marker.
    Float(f64),
    /// A native histogram, which is not read.
    Native,
}

impl Slot {
    /// The sample.
    #[must_use]
    pub fn float(self) -> Option<f64> {
        if let Self::Float(value) = self { Some(value) } else { None }
    }
}

/// What Prometheus takes for a blank.
const BLANK: [char; 4] = [' ', '\t', '\n', '\r'];

/// Splits a line into its series and the text behind it.
///
/// # Errors
/// When the line does not begin with a series.
pub fn read_series(line: &str) -> Result<(Labels, &str), String> {
    let name_end = line.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':')).unwrap_or(line.len());
    let (name, rest) = line.split_at(name_end);
    let mut pairs: Vec<(String, String)> = Vec::new();
    if !name.is_empty() {
        if !is_metric_name(name) || keyword(name).is_some_and(|word| !word.is_metric_name() && !word.is_fill()) {
            return Err(format!("{name:?} is not a metric name: {line}"));
        }
        pairs.push((METRIC_NAME.to_owned(), name.to_owned()));
    }
    let Some(inner) = rest.strip_prefix('{') else {
        return if name.is_empty() { Err(format!("no series: {line}")) } else { Ok((Labels::from_pairs(pairs), rest.trim())) };
    };
    let mut rest = inner.trim_start_matches(BLANK);
    while !rest.starts_with('}') {
        let bare_label = !rest.starts_with('"');
        let (label, behind) = if bare_label { bare(rest) } else { read_quoted(rest)? };
        let behind = behind.trim_start_matches(BLANK);
        let pair;
        (pair, rest) = if let Some(value) = behind.strip_prefix('=') {
            if bare_label && !is_label_name(&label) {
                return Err(format!("{label:?} is not a label name: {line}"));
            }
            let (value, behind) = read_quoted(value.trim_start_matches(BLANK))?;
            ((label, value), behind)
        } else if label.is_empty() {
            return Err(unexpected(behind, line));
        } else {
            ((METRIC_NAME.to_owned(), label), behind)
        };
        // The name in front of the braces is the one that counts.
        if pair.0 != METRIC_NAME || name.is_empty() {
            if pairs.iter().any(|(label, _)| *label == pair.0) {
                return Err(format!("label name {:?} is not unique: {line}", pair.0));
            }
            pairs.push(pair);
        }
        rest = rest.trim_start_matches(BLANK);
        match rest.strip_prefix(',') {
            Some(behind) => rest = behind.trim_start_matches(BLANK),
            None if rest.starts_with('}') => {}
            None => return Err(unexpected(rest, line)),
        }
    }
    Ok((Labels::from_pairs(pairs), rest.strip_prefix('}').unwrap_or(rest).trim()))
}

fn unexpected(rest: &str, line: &str) -> String {
    let what = rest.chars().next().map_or_else(|| "the end".to_owned(), |c| format!("{c:?}"));
    format!("unexpected {what} inside braces: {line}")
}

fn bare(text: &str) -> (String, &str) {
    let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    (name.to_owned(), rest)
}

/// A text in Go's quotes, and what follows.
///
/// # Errors
/// When there is none.
pub fn read_quoted(text: &str) -> Result<(String, &str), String> {
    let quote = text.chars().next().filter(|c| matches!(c, '"' | '\'' | '`')).ok_or_else(|| format!("no quoted text: {text}"))?;
    // Bytes, because several codes together may be one character.
    let mut value: Vec<u8> = Vec::new();
    let mut chars = text.char_indices().skip(1);
    while let Some((place, c)) = chars.next() {
        match c {
            c if c == quote => {
                let value = String::from_utf8(value).map_err(|_| format!("no UTF-8: {text}"))?;
                return Ok((value, text.get(place + 1..).unwrap_or("")));
            }
            '\n' if quote != '`' => break,
            '\\' if quote != '`' => {
                let Some((_, escaped)) = chars.next() else { break };
                // A code follows these letters, and the digits of an octal one start at once.
                let (digits, base, mut code) = match escaped {
                    'x' => (2, 16, 0),
                    'u' => (4, 16, 0),
                    'U' => (8, 16, 0),
                    '0'..='7' => (2, 8, escaped.to_digit(8).unwrap_or(0)),
                    escaped => {
                        push(&mut value, unescaped(escaped, quote).ok_or_else(|| format!("no escape \\{escaped}: {text}"))?);
                        continue;
                    }
                };
                for _ in 0..digits {
                    let digit = chars.next().and_then(|(_, c)| c.to_digit(base)).ok_or_else(|| format!("no code: {text}"))?;
                    code = code * base + digit;
                }
                match u8::try_from(code) {
                    Ok(byte) if digits == 2 => value.push(byte),
                    Err(_) if digits == 2 => return Err(format!("no byte: {text}")),
                    _ => push(&mut value, char::from_u32(code).ok_or_else(|| format!("no character: {text}"))?),
                }
            }
            c => push(&mut value, c),
        }
    }
    Err(format!("no end of the quoted text: {text}"))
}

fn push(value: &mut Vec<u8>, c: char) {
    value.extend(c.encode_utf8(&mut [0; 4]).bytes());
}

fn unescaped(letter: char, quote: char) -> Option<char> {
    Some(match letter {
        'a' => '\x07',
        'b' => '\x08',
        'f' => '\x0c',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\x0b',
        '\\' => '\\',
        c if c == quote => c,
        _ => return None,
    })
}

/// A list of values.
///
/// # Errors
/// When it is none, or stands for too many.
pub fn read_values(text: &str) -> Result<Vec<Slot>, String> {
    let mut slots = Vec::new();
    let mut rest = text.trim_start_matches(BLANK);
    while !rest.is_empty() {
        if rest.starts_with("{{") {
            rest = natives(rest, &mut slots)?.trim_start_matches(BLANK);
            continue;
        }
        let (item, behind) = rest.split_once(BLANK).unwrap_or((rest, ""));
        rest = behind.trim_start_matches(BLANK);
        let wrong = || format!("{item:?} is no value; a value is a number, \"_\" or \"stale\", a number with \"xN\" behind it for more");
        if slots.len() > VALUES_MAX {
            return Err(format!("more than {VALUES_MAX} values"));
        }
        if let Some(repeat) = item.strip_prefix('_') {
            slots.extend(std::iter::repeat_n(Slot::Gap, times(repeat)?.unwrap_or(1)));
        } else if item == "stale" {
            slots.push(Slot::Float(stale_marker()));
        } else {
            let (mut value, repeat) = read_number(item).ok_or_else(wrong)?;
            let (change, repeat) = match repeat {
                "" => (0.0, ""),
                repeat if repeat.starts_with('x') => (0.0, repeat),
                change => {
                    read_number(change).filter(|(_, repeat)| change.starts_with(['+', '-']) && !repeat.is_empty()).ok_or_else(wrong)?
                }
            };
            slots.push(Slot::Float(value));
            for _ in 0..times(repeat)?.unwrap_or(0) {
                // Repeated addition, not multiplication: the rounding errors are part of the expectation.
                value += change;
                slots.push(Slot::Float(value));
            }
        }
    }
    Ok(slots)
}

/// `{{…}}`, `{{…}}x3`, `{{…}}+{{…}}x3`: only how many there are is of interest. Gives what follows.
fn natives<'a>(text: &'a str, slots: &mut Vec<Slot>) -> Result<&'a str, String> {
    let unclosed = || format!("no end of the histogram: {text}");
    let (_, mut rest) = text.split_once("}}").ok_or_else(unclosed)?;
    if rest.starts_with("+{{") || rest.starts_with("-{{") {
        (_, rest) = rest.split_once("}}").ok_or_else(unclosed)?;
    }
    let (repeat, rest) = rest.split_at(rest.find(char::is_whitespace).unwrap_or(rest.len()));
    slots.extend(std::iter::repeat_n(Slot::Native, times(repeat)?.map_or(1, |times| times + 1)));
    Ok(rest)
}

fn times(text: &str) -> Result<Option<usize>, String> {
    match text.strip_prefix('x') {
        Some(count) => {
            let digits = Some(count).filter(|count| count.bytes().all(|byte| byte.is_ascii_digit()));
            let count = digits.and_then(|count| count.parse().ok()).filter(|count| *count <= VALUES_MAX);
            count.map(Some).ok_or_else(|| format!("no number of repetitions up to {VALUES_MAX}: {text}"))
        }
        None if text.is_empty() => Ok(None),
        None => Err(format!("no repetition: {text}")),
    }
}

/// A number at the front of a text, and what follows: nothing, or what is no part of a word, or `x`.
#[must_use]
pub fn read_number(text: &str) -> Option<(f64, &str)> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let sign = if text.starts_with('-') { -1.0 } else { 1.0 };
    let in_word = |c: char| c.is_alphanumeric() || c == '_';
    if unsigned.starts_with(|c: char| c.is_ascii_alphabetic()) {
        let (word, rest) = unsigned.split_at(unsigned.find(|c| !in_word(c) && c != ':').unwrap_or(unsigned.len()));
        return match word.to_ascii_lowercase().as_str() {
            "inf" => Some((sign * f64::INFINITY, rest)),
            "nan" => Some((f64::NAN, rest)),
            _ => None,
        };
    }
    let digits = |text: &str| text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let mut end = digits(unsigned);
    if let Some(fraction) = unsigned.get(end..)?.strip_prefix('.') {
        end += 1 + digits(fraction);
    }
    if let Some(exponent) = unsigned.get(end..)?.strip_prefix(['e', 'E']) {
        let unsigned = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        end += 1 + exponent.len() - unsigned.len() + digits(unsigned);
    }
    let (number, rest) = unsigned.split_at(end);
    if rest.starts_with(|c| in_word(c) && c != 'x') {
        return None;
    }
    // As Go writes integers: with a zero in front they are octal, if they can be.
    let octal = Some(number).filter(|number| number.len() > 1 && number.starts_with('0'));
    #[allow(clippy::cast_precision_loss)]
    let value = match octal.and_then(|number| i64::from_str_radix(number, 8).ok()) {
        Some(value) => value as f64,
        None => number.parse::<f64>().ok().filter(|value| value.is_finite())?,
    };
    Some((sign * value, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_read_as_prometheus_prints_them() {
        let series = |line: &str| read_series(line).map(|(labels, rest)| (labels.to_string(), rest.to_owned()));
        assert_eq!(series("x{a=\"b\", c='\\x41',} 1 2"), Ok(("x{a=\"b\", c=\"A\"}".to_owned(), "1 2".to_owned())));
        assert_eq!(series("{\"x\", a=\"b\"}"), Ok(("x{a=\"b\"}".to_owned(), String::new())));
        assert_eq!(series(r#"x{__name__="y",a="\xc3\xa9"}"#), Ok(("x{a=\"é\"}".to_owned(), String::new())));
        for wrong in [
            "1x",
            "x{a=\"b\"",
            "x{1a=\"b\"}",
            "x{a=b}",
            "x{=\"b\"}",
            "",
            "x{a=\"b}",
            "x{,}",
            "x{a=\"b\",,c=\"d\"}",
            "x{a=\"b\" c=\"d\"}",
            "x{a=\"1\",a=\"1\"}",
            r#"x{a="\q"}"#,
            r#"x{a="\'"}"#,
            r#"x{a="\xff"}"#,
            r#"x{a="\400"}"#,
            "on",
            "nan",
        ] {
            assert!(series(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn values_are_expanded() {
        let values = |text: &str| read_values(text).map(|slots| slots.iter().map(|slot| slot.float()).collect::<Vec<_>>());
        assert_eq!(values("1+2x2 _x2 -1x1"), Ok(vec![Some(1.0), Some(3.0), Some(5.0), None, None, Some(-1.0), Some(-1.0)]));
        assert!(values("stale").is_ok_and(|slots| slots.len() == 1 && slots[0].is_some_and(crate::model::is_stale)));
        assert_eq!(read_values("{{schema:1}}x1"), Ok(vec![Slot::Native, Slot::Native]));
        assert_eq!(values("010 08 5. .5 +1 inf+1x1"), Ok([8.0, 8.0, 5.0, 0.5, 1.0, f64::INFINITY, f64::INFINITY].map(Some).to_vec()));
        let wrongs = [
            "z",
            "1x",
            "1+x2",
            "1x99999999999",
            "_x99999999",
            "{{",
            "stalex3",
            "NaNx2",
            "1+Infx2",
            "1+1",
            "1x+3",
            "1x1e2",
            "1_000",
            "1e400",
            "1\u{a0}2",
            "-stale",
            "1e",
        ];
        for wrong in wrongs {
            assert!(values(wrong).is_err(), "{wrong}");
        }
    }
}
