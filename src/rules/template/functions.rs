//! The functions a template may call: Go's builtins and Prometheus's. Adding one is one line in [`ALL`].
//! Sources: Go's text/template documentation ("Functions"), Prometheus documentation "Template reference".

use std::cmp::Ordering;

use super::eval::TEXT_BYTES_MAX;
use super::value::Value;
use super::{Data, humanize, printf};
use crate::model::parse_millis;

/// A function.
#[derive(Debug)]
pub(super) struct Function {
    /// Its name.
    pub(super) name: &'static str,
    /// The fewest arguments.
    pub(super) least: usize,
    /// The most arguments.
    pub(super) most: usize,
    /// What it does.
    pub(super) call: Call,
}

/// What a function gets and gives.
pub(super) type Call = fn(&Data<'_>, &[Value]) -> Result<Value, String>;

const ANY: usize = usize::MAX;

/// All functions, by name. `and` and `or` are evaluated by the evaluator itself, which skips what does not matter.
pub(super) const ALL: &[Function] = &[
    Function { name: "and", least: 1, most: ANY, call: |_, args| Ok(args.last().cloned().unwrap_or(Value::Nil)) },
    Function { name: "eq", least: 2, most: ANY, call: |_, args| equal(args).map(Value::Bool) },
    Function { name: "externalURL", least: 0, most: 0, call: |data, _| text(data.external_url) },
    Function { name: "ge", least: 2, most: 2, call: |_, args| compare(args, |order| order != Some(Ordering::Less) && order.is_some()) },
    Function { name: "graphLink", least: 1, most: 1, call: |_, args| text(&link(string(args, 0)?, 0)) },
    Function { name: "gt", least: 2, most: 2, call: |_, args| compare(args, |order| order == Some(Ordering::Greater)) },
    Function { name: "humanize", least: 1, most: 1, call: |_, args| text(&humanize::decimal(number(args)?)) },
    Function { name: "humanize1024", least: 1, most: 1, call: |_, args| text(&humanize::binary(number(args)?)) },
    Function { name: "humanizeDuration", least: 1, most: 1, call: |_, args| text(&humanize::duration(number(args)?)) },
    Function { name: "humanizePercentage", least: 1, most: 1, call: |_, args| text(&humanize::percentage(number(args)?)) },
    Function { name: "humanizeTimestamp", least: 1, most: 1, call: |_, args| text(&humanize::timestamp(number(args)?)?) },
    Function { name: "index", least: 1, most: ANY, call: |_, args| index(args) },
    Function { name: "le", least: 2, most: 2, call: |_, args| compare(args, |order| order.is_some_and(Ordering::is_le)) },
    Function { name: "len", least: 1, most: 1, call: |_, args| length(args) },
    Function { name: "lt", least: 2, most: 2, call: |_, args| compare(args, |order| order == Some(Ordering::Less)) },
    Function { name: "match", least: 2, most: 2, call: |_, args| Ok(Value::Bool(regex(string(args, 0)?)?.is_match(string(args, 1)?))) },
    Function { name: "ne", least: 2, most: 2, call: |_, args| equal(args).map(|equal| Value::Bool(!equal)) },
    Function { name: "not", least: 1, most: 1, call: |_, args| Ok(Value::Bool(!args.first().is_some_and(Value::truth))) },
    Function { name: "or", least: 1, most: ANY, call: |_, args| Ok(args.last().cloned().unwrap_or(Value::Nil)) },
    Function { name: "parseDuration", least: 1, most: 1, call: |_, args| seconds(string(args, 0)?) },
    Function { name: "pathPrefix", least: 0, most: 0, call: |data, _| text(path(data.external_url)) },
    Function { name: "print", least: 0, most: ANY, call: |_, args| text(&printf::sprint(args)) },
    Function {
        name: "printf",
        least: 1,
        most: ANY,
        call: |_, args| text(&printf::sprintf(string(args, 0)?, args.get(1..).unwrap_or(&[]))),
    },
    Function { name: "println", least: 0, most: ANY, call: |_, args| text(&printf::sprintln(args)) },
    Function { name: "reReplaceAll", least: 3, most: 3, call: |_, args| replace(string(args, 0)?, string(args, 1)?, string(args, 2)?) },
    Function { name: "safeHtml", least: 1, most: 1, call: |_, args| text(string(args, 0)?) },
    Function { name: "stripDomain", least: 1, most: 1, call: |_, args| text(&strip_domain(string(args, 0)?)) },
    Function {
        name: "stripPort",
        least: 1,
        most: 1,
        call: |_, args| text(split_port(string(args, 0)?).map_or_else(|| string(args, 0), |(host, _)| Ok(host))?),
    },
    Function { name: "tableLink", least: 1, most: 1, call: |_, args| text(&link(string(args, 0)?, 1)) },
    Function { name: "title", least: 1, most: 1, call: |_, args| text(&title(string(args, 0)?)) },
    Function { name: "toLower", least: 1, most: 1, call: |_, args| text(&string(args, 0)?.to_lowercase()) },
    Function { name: "toUpper", least: 1, most: 1, call: |_, args| text(&string(args, 0)?.to_uppercase()) },
    Function { name: "urlQueryEscape", least: 1, most: 1, call: |_, args| text(&query_escape(string(args, 0)?)) },
    Function { name: "urlquery", least: 0, most: ANY, call: |_, args| text(&query_escape(&printf::sprint(args))) },
];

/// What Prometheus knows and this does not yet: refused when a file is loaded, rather than wrong when it matters.
const NOT_YET: &[&str] = &[
    "args",
    "call",
    "first",
    "html",
    "js",
    "label",
    "now",
    "query",
    "slice",
    "sortByLabel",
    "strvalue",
    "tmpl",
    "toDuration",
    "toTime",
    "value",
];

/// The names of all functions: what the documentation's list is made of.
pub fn template_functions() -> impl Iterator<Item = &'static str> {
    ALL.iter().map(|function| function.name)
}

/// The function of a name, or why there is none.
pub(super) fn find(name: &str) -> Result<&'static Function, String> {
    if NOT_YET.contains(&name) {
        return Err(format!("function {name:?} is not supported yet"));
    }
    ALL.iter().find(|function| function.name == name).ok_or_else(|| format!("function {name:?} not defined"))
}

fn text(text: &str) -> Result<Value, String> {
    Ok(Value::Text(text.to_owned()))
}

fn string(args: &[Value], index: usize) -> Result<&str, String> {
    match args.get(index) {
        Some(Value::Text(text)) => Ok(text),
        other => Err(format!("wrong type for value; expected string; got {}", other.map_or("nothing", Value::type_name))),
    }
}

/// The humanize family takes numbers and texts that are numbers.
#[allow(clippy::cast_precision_loss)]
fn number(args: &[Value]) -> Result<f64, String> {
    match args.first() {
        Some(Value::Float(number)) => Ok(*number),
        Some(Value::Int(number)) => Ok(*number as f64),
        Some(Value::Text(text)) => text.parse().map_err(|_| format!("strconv.ParseFloat: parsing {text:?}: invalid syntax")),
        other => Err(format!("can't convert {} to float", other.map_or("nothing", Value::type_name))),
    }
}

/// Whether the first equals any of the others. Values of different kinds cannot be compared, as in Go.
fn equal(args: &[Value]) -> Result<bool, String> {
    let (first, others) = args.split_first().ok_or("missing argument for comparison")?;
    for other in others {
        let same = match (first, other) {
            (Value::Map(_) | Value::Root, _) | (_, Value::Map(_) | Value::Root) => {
                return Err("non-comparable type".to_owned());
            }
            (Value::Nil, other) | (other, Value::Nil) => *other == Value::Nil,
            (a, b) if a.type_name() == b.type_name() => a == b,
            _ => return Err("incompatible types for comparison".to_owned()),
        };
        if same {
            return Ok(true);
        }
    }
    Ok(false)
}

fn compare(args: &[Value], holds: fn(Option<Ordering>) -> bool) -> Result<Value, String> {
    let order = match (args.first(), args.get(1)) {
        (Some(Value::Int(a)), Some(Value::Int(b))) => Some(a.cmp(b)),
        (Some(Value::Float(a)), Some(Value::Float(b))) => a.partial_cmp(b),
        (Some(Value::Text(a)), Some(Value::Text(b))) => Some(a.cmp(b)),
        (Some(a), Some(b)) if a.type_name() == b.type_name() => return Err("invalid type for comparison".to_owned()),
        _ => return Err("incompatible types for comparison".to_owned()),
    };
    Ok(Value::Bool(holds(order)))
}

fn index(args: &[Value]) -> Result<Value, String> {
    match args {
        [Value::Map(map), Value::Text(key)] => text(map.get(key).unwrap_or("")),
        [Value::Map(_), other] => Err(format!("value has type {}; should be string", other.type_name())),
        [single] => Ok(single.clone()),
        [other, ..] => Err(format!("can't index item of type {}", other.type_name())),
        [] => Err("index of untyped nil".to_owned()),
    }
}

fn length(args: &[Value]) -> Result<Value, String> {
    let length = match args.first() {
        Some(Value::Text(text)) => text.len(),
        Some(Value::Map(map)) => map.len(),
        other => return Err(format!("len of type {}", other.map_or("nothing", Value::type_name))),
    };
    Ok(Value::Int(i64::try_from(length).unwrap_or(i64::MAX)))
}

fn regex(pattern: &str) -> Result<regex::Regex, String> {
    regex::RegexBuilder::new(pattern).size_limit(1 << 20).build().map_err(|error| format!("error parsing regexp {pattern:?}: {error}"))
}

fn replace(pattern: &str, replacement: &str, original: &str) -> Result<Value, String> {
    // There may be a match before every byte, and each may be replaced by all of the original.
    let longest = original.len().saturating_add(1).saturating_mul(replacement.len());
    if longest > 256 * TEXT_BYTES_MAX {
        return Err("the text or its replacement is too long".to_owned());
    }
    text(&regex(pattern)?.replace_all(original, replacement))
}

#[allow(clippy::cast_precision_loss)]
fn seconds(text: &str) -> Result<Value, String> {
    let (sign, magnitude) = text.strip_prefix('-').map_or((1.0, text), |rest| (-1.0, rest));
    let millis = parse_millis(magnitude).map_err(|error| error.to_string())?;
    Ok(Value::Float(sign * millis as f64 / 1e3))
}

/// The page that shows an expression: its graph (0) or its table (1).
pub(in super::super) fn link(expression: &str, tab: u8) -> String {
    format!("/graph?g0.expr={}&g0.tab={tab}", query_escape(expression))
}

fn query_escape(text: &str) -> String {
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

/// The path of a URL, without its last slash.
fn path(url: &str) -> &str {
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

/// The first label of a host name, its port kept; addresses stay as they are.
fn strip_domain(address: &str) -> String {
    let (host, port) = split_port(address).unwrap_or((address, ""));
    if host.parse::<core::net::IpAddr>().is_ok() {
        return address.to_owned();
    }
    let first = host.split('.').next().unwrap_or("");
    if port.is_empty() { first.to_owned() } else { format!("{first}:{port}") }
}

/// Go's `strings.Title`: the first letter of every word in upper case.
fn title(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut inside = false;
    for c in text.chars() {
        if inside {
            out.push(c)
        } else {
            out.extend(c.to_uppercase())
        }
        inside = c.is_alphanumeric() || c == '_' || !(c.is_ascii() || c.is_whitespace());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_sorted_and_disjoint() {
        assert!(ALL.is_sorted_by(|a, b| a.name < b.name));
        assert!(NOT_YET.iter().all(|name| ALL.iter().all(|function| function.name != *name)));
    }

    #[test]
    fn ports_and_domains_come_off() {
        for (address, host, short) in [
            ("a.example.com:80", "a.example.com", "a:80"),
            ("a.example.com", "a.example.com", "a"),
            ("[::1]:80", "::1", "[::1]:80"),
            ("10.0.0.1:80", "10.0.0.1", "10.0.0.1:80"),
            ("::1", "::1", "::1"),
        ] {
            assert_eq!(split_port(address).map_or(address, |(host, _)| host), host);
            assert_eq!(strip_domain(address), short);
        }
    }

    #[test]
    fn words_begin_in_upper_case() {
        assert_eq!(title("aa bB-cC 1x d_e"), "Aa BB-CC 1x D_e");
    }

    #[test]
    fn queries_are_escaped_and_paths_found() {
        assert_eq!(link("sum(a) + é", 1), "/graph?g0.expr=sum%28a%29+%2B+%C3%A9&g0.tab=1");
        assert_eq!(path("http://host:9090/prom/"), "/prom");
        assert_eq!(path("http://host"), "");
    }
}
