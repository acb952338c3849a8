//! Series and values as the test language writes them: `name{label="value"} 0+10x5 _ stale`.

use sidewatch::model::{Labels, METRIC_NAME, stale_marker};

/// One value of a list.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Slot {
    Gap,
    Float(f64),
    /// A native histogram, which is not read.
    Native,
}

impl Slot {
    pub(crate) fn float(self) -> Option<f64> {
        if let Self::Float(value) = self { Some(value) } else { None }
    }
}

/// Splits a line into its series and the text behind it.
pub(crate) fn series(line: &str) -> Result<(Labels, &str), String> {
    let name_end = line.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':')).unwrap_or(line.len());
    let (name, rest) = line.split_at(name_end);
    let mut pairs: Vec<(String, String)> = Vec::new();
    if !name.is_empty() {
        pairs.push((METRIC_NAME.to_owned(), name.to_owned()));
    }
    let Some(mut rest) = rest.strip_prefix('{') else {
        return if name.is_empty() { Err(format!("no series: {line}")) } else { Ok((Labels::from_pairs(pairs), rest.trim())) };
    };
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        if let Some(rest) = rest.strip_prefix('}') {
            return Ok((Labels::from_pairs(pairs), rest.trim()));
        }
        let (label, behind) = if rest.starts_with('"') { quoted(rest)? } else { bare(rest) };
        let behind = behind.trim_start();
        rest = if let Some(value) = behind.strip_prefix('=') {
            let (value, behind) = quoted(value.trim_start())?;
            pairs.push((label, value));
            behind
        } else if label.is_empty() {
            return Err(format!("no label: {line}"));
        } else {
            pairs.push((METRIC_NAME.to_owned(), label));
            behind
        };
    }
}

fn bare(text: &str) -> (String, &str) {
    let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    (name.to_owned(), rest)
}

/// A text in Go's quotes, and what follows.
pub(crate) fn quoted(text: &str) -> Result<(String, &str), String> {
    let quote = text.chars().next().filter(|c| matches!(c, '"' | '\'' | '`')).ok_or_else(|| format!("no quoted text: {text}"))?;
    let mut value = String::new();
    let mut chars = text.char_indices().skip(1);
    while let Some((place, c)) = chars.next() {
        match c {
            c if c == quote => return Ok((value, text.get(place + 1..).unwrap_or(""))),
            '\\' if quote != '`' => {
                let Some((_, escaped)) = chars.next() else { break };
                // A code follows these letters, and the digits of an octal one start at once.
                let (digits, base, mut code) = match escaped {
                    'x' => (2, 16, 0),
                    'u' => (4, 16, 0),
                    'U' => (8, 16, 0),
                    '0'..='7' => (2, 8, escaped.to_digit(8).unwrap_or(0)),
                    _ => (0, 16, u32::from(unescaped(escaped))),
                };
                for _ in 0..digits {
                    let digit = chars.next().and_then(|(_, c)| c.to_digit(base)).ok_or_else(|| format!("no code: {text}"))?;
                    code = code * base + digit;
                }
                value.push(char::from_u32(code).ok_or_else(|| format!("no character: {text}"))?);
            }
            c => value.push(c),
        }
    }
    Err(format!("no end of the quoted text: {text}"))
}

fn unescaped(letter: char) -> char {
    match letter {
        'a' => '\x07',
        'b' => '\x08',
        'f' => '\x0c',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\x0b',
        other => other,
    }
}

/// A list of values.
pub(crate) fn values(text: &str) -> Result<Vec<Slot>, String> {
    let mut slots = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        if rest.starts_with("{{") {
            rest = natives(rest, &mut slots)?.trim_start();
            continue;
        }
        let (item, behind) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        rest = behind.trim_start();
        let wrong = || format!("no value: {item}");
        if let Some(repeat) = item.strip_prefix('_') {
            slots.extend(std::iter::repeat_n(Slot::Gap, times(repeat)?.unwrap_or(1)));
        } else if let Some(repeat) = item.strip_prefix("stale") {
            slots.extend(std::iter::repeat_n(Slot::Float(stale_marker()), times(repeat)?.map_or(1, |times| times + 1)));
        } else {
            let (mut value, repeat) = number(item).ok_or_else(wrong)?;
            let (change, repeat) = match repeat {
                "" => (0.0, ""),
                repeat if repeat.starts_with('x') => (0.0, repeat),
                change => number(change).ok_or_else(wrong)?,
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
        Some(count) => count.parse().map(Some).map_err(|_| format!("no number of repetitions: {text}")),
        None if text.is_empty() => Ok(None),
        None => Err(format!("no repetition: {text}")),
    }
}

/// A number at the front of a text, and what follows.
pub(crate) fn number(text: &str) -> Option<(f64, &str)> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let sign = if text.starts_with('-') { -1.0 } else { 1.0 };
    let lower = unsigned.to_ascii_lowercase();
    for (word, value) in [("inf", f64::INFINITY), ("nan", f64::NAN)] {
        if lower.starts_with(word) {
            return Some((sign * value, unsigned.get(word.len()..)?));
        }
    }
    let bytes = unsigned.as_bytes();
    let digit = |place: usize| bytes.get(place).is_some_and(|byte| byte.is_ascii_digit() || *byte == b'.');
    let mut end = 0;
    while digit(end) {
        end += 1;
    }
    if end > 0 && matches!(bytes.get(end), Some(b'e' | b'E')) {
        let signed = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        let mut exponent_end = end + 1 + signed;
        while bytes.get(exponent_end).is_some_and(u8::is_ascii_digit) {
            exponent_end += 1;
        }
        if exponent_end > end + 1 + signed {
            end = exponent_end;
        }
    }
    let (digits, rest) = unsigned.split_at(end);
    Some((sign * digits.parse::<f64>().ok()?, rest))
}
