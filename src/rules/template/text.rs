//! Functions of texts: regular expressions, links, addresses, letters, escapes.

use super::eval::{Scene, TEXT_BYTES_MAX};
use super::functions::text;
use super::printf::quote;
use super::value::Value;
use crate::model::{DurationError, parse_millis};

/// `match`: whether a part of the text matches.
pub(super) fn matches(scene: &Scene<'_>, args: &[Value]) -> Result<Value, String> {
    let (pattern, text) = (text(args, 0), text(args, 1));
    Ok(Value::Bool(scene.search(pattern, text)?.is_match(text)))
}

/// `reReplaceAll`
pub(super) fn replace(scene: &Scene<'_>, args: &[Value]) -> Result<Value, String> {
    let (pattern, replacement, original) = (text(args, 0), text(args, 1), text(args, 2));
    let search = scene.search(pattern, original).map_err(|error| format!("regexp: Compile(`{pattern}`): {error}"))?;
    Ok(Value::text(&search.replace_all(original, replacement, TEXT_BYTES_MAX)))
}

/// `parseDuration`: a duration in seconds.
#[allow(clippy::cast_precision_loss)]
pub(super) fn seconds(text: &str) -> Result<Value, String> {
    let (sign, magnitude) = text.strip_prefix('-').map_or((1.0, text), |rest| (-1.0, rest));
    // Without the advice for who writes a configuration.
    let failed = |error| match error {
        DurationError::Invalid(text) => format!("not a valid duration string: {}", quote(&text)),
        other => other.to_string(),
    };
    let millis = parse_millis(magnitude).map_err(failed)?;
    Ok(Value::Float(sign * millis as f64 / 1e3))
}

/// The path of Prometheus's expression browser.
pub(super) fn link(expression: &str, tab: u8) -> String {
    format!("/graph?g0.expr={}&g0.tab={tab}", query_escape(expression))
}

/// Go's `url.QueryEscape`.
pub(super) fn query_escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b' ' => out.push('+'),
            b if b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'~') => out.push(char::from(b)),
            b => out.push_str(&format!("%{b:02X}")),
        }
    }
    out
}

/// Go's `template.HTMLEscapeString`.
pub(super) fn html(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\0' => out.push(char::REPLACEMENT_CHARACTER),
            c => out.push(c),
        }
    }
    out
}

/// Go's `template.JSEscapeString`.
pub(super) fn js(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' | '\'' | '"' => out.extend(['\\', c]),
            '<' | '>' | '&' | '=' => out.push_str(&format!("\\u{:04X}", u32::from(c))),
            c if c.is_control() || (!c.is_ascii() && c.is_whitespace()) => out.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => out.push(c),
        }
    }
    out
}

/// The path of a URL, without its last slash.
pub(super) fn path(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.find('/').and_then(|at| rest.get(at..)).map_or("", |path| path.trim_end_matches('/'))
}

/// Host and port of `host:port` or `[v6]:port`.
fn split_port(address: &str) -> Option<(&str, &str)> {
    let (host, port) = address.rsplit_once(':')?;
    match host.strip_prefix('[') {
        Some(inner) => inner.strip_suffix(']').map(|host| (host, port)),
        None if host.contains([':', '[', ']']) => None,
        None => Some((host, port)),
    }
}

/// An address without its port.
pub(super) fn strip_port(address: &str) -> &str {
    split_port(address).map_or(address, |(host, _)| host)
}

/// The first label of a host name, its port kept; addresses stay as they are.
pub(super) fn strip_domain(address: &str) -> String {
    let (host, port) = split_port(address).unwrap_or((address, ""));
    if host.parse::<core::net::IpAddr>().is_ok() {
        return address.to_owned();
    }
    let first = host.split('.').next().unwrap_or("");
    if port.is_empty() { first.to_owned() } else { format!("{first}:{port}") }
}

/// Go's `strings.ToUpper`: letter by letter.
pub(super) fn upper(text: &str) -> String {
    text.chars().map(|c| one(c.to_uppercase(), c)).collect()
}

/// Go's `strings.ToLower`: letter by letter.
pub(super) fn lower(text: &str) -> String {
    text.chars().map(|c| one(c.to_lowercase(), c)).collect()
}

/// A letter whose other case is several letters stays.
fn one(mut letters: impl Iterator<Item = char>, or: char) -> char {
    match (letters.next(), letters.next()) {
        (Some(letter), None) => letter,
        _ => or,
    }
}

/// Go's `strings.Title`: the first letter of every word in upper case.
pub(super) fn title(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut inside = false;
    for c in text.chars() {
        out.push(if inside { c } else { one(c.to_uppercase(), c) });
        inside = c.is_alphanumeric() || c == '_' || !(c.is_ascii() || c.is_whitespace());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_and_domains_come_off() {
        for (address, host, short) in [
            ("a.example.com:80", "a.example.com", "a:80"),
            ("a.example.com", "a.example.com", "a"),
            ("[::1]:80", "::1", "[::1]:80"),
            ("10.0.0.1:80", "10.0.0.1", "10.0.0.1:80"),
            ("::1", "::1", "::1"),
        ] {
            assert_eq!(strip_port(address), host);
            assert_eq!(strip_domain(address), short);
        }
    }

    #[test]
    fn letters_change_case_one_by_one() {
        assert_eq!(title("aa bB-cC 1x d_e"), "Aa BB-CC 1x D_e");
        assert_eq!((upper("straße é").as_str(), lower("ÀB").as_str()), ("STRAßE É", "àb"));
    }

    #[test]
    fn queries_are_escaped_and_paths_found() {
        assert_eq!(link("sum(a) + é", 1), "/graph?g0.expr=sum%28a%29+%2B+%C3%A9&g0.tab=1");
        assert_eq!(path("http://host:9090/prom/"), "/prom");
        assert_eq!(path("http://host"), "");
    }
}
