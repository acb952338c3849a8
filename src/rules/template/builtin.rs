//! Go's builtin functions: comparison, parts of collections, lengths.

use std::cmp::Ordering;
use std::sync::Arc;

use super::eval::Scene;
use super::printf::{self, shown as shown_value};
use super::value::Value;

/// Maps of arguments may hold others this deep: they are printed recursively.
const ARGS_DEPTH_MAX: usize = 32;

/// What Go's reflect says of `nil` where it has to have a type.
const NIL_TYPE: &str = "reflect: call of reflect.Value.Type on zero Value";

/// The kinds among which values can be compared.
#[derive(Clone, Copy, PartialEq)]
enum Basic {
    Bool,
    Integer,
    Float,
    Text,
    Other,
}

fn basic(value: &Value) -> Basic {
    match value {
        Value::Bool(_) => Basic::Bool,
        Value::Float(_) => Basic::Float,
        Value::Text(_) | Value::Html(_) => Basic::Text,
        other if other.integer().is_some() => Basic::Integer,
        _ => Basic::Other,
    }
}

/// Whether the first equals any of the others. Values of different kinds cannot be compared.
pub(super) fn equal(args: &[Value]) -> Result<bool, String> {
    let Some((first, others)) = args.split_first() else { return Ok(false) };
    if others.is_empty() {
        return Err("missing argument for comparison".to_owned());
    }
    for other in others {
        let nil = matches!(first, Value::Nil) || matches!(other, Value::Nil);
        let same = match (first, other) {
            (Value::Nil, Value::Nil) => true,
            _ if nil => false,
            _ if basic(first) != basic(other) => return Err("incompatible types for comparison".to_owned()),
            (Value::Bool(a), Value::Bool(b)) => a == b,
            (Value::Sample(Some(a)), Value::Sample(Some(b))) => {
                comparable(other)?;
                Arc::ptr_eq(a, b)
            }
            _ if basic(first) == Basic::Other => {
                comparable(other)?;
                false
            }
            _ => order(first, other) == Some(Ordering::Equal),
        };
        if same {
            return Ok(true);
        }
    }
    Ok(false)
}

fn comparable(value: &Value) -> Result<(), String> {
    match value {
        Value::Map(_) | Value::Args(..) | Value::List(_) | Value::Root(_) => {
            Err(format!("non-comparable type {}: {}", printf::sprintf("%s", std::slice::from_ref(value)), value.type_name()))
        }
        _ => Ok(()),
    }
}

fn order(a: &Value, b: &Value) -> Option<Ordering> {
    match (a, b) {
        (Value::Float(a), Value::Float(b)) => a.partial_cmp(b),
        (Value::Text(a) | Value::Html(a), Value::Text(b) | Value::Html(b)) => Some(a.cmp(b)),
        (a, b) => a.integer().zip(b.integer()).map(|(a, b)| a.cmp(&b)),
    }
}

/// Whether the first is less than the second. The other comparisons are made of this one and of equality, which shows
/// where a value is NaN.
pub(super) fn less(args: &[Value]) -> Result<bool, String> {
    let [a, b] = args else { return Ok(false) };
    match (basic(a), basic(b)) {
        (Basic::Other, _) | (_, Basic::Other) | (Basic::Bool, Basic::Bool) => Err("invalid type for comparison".to_owned()),
        (one, other) if one != other => Err("incompatible types for comparison".to_owned()),
        _ => Ok(order(a, b) == Some(Ordering::Less)),
    }
}

/// Whether the first is less than or equal to the second.
pub(super) fn less_or_equal(args: &[Value]) -> Result<bool, String> {
    Ok(less(args)? || equal(args)?)
}

/// `index`: an entry of a map, a list or a text, and so on within that.
pub(super) fn index(args: &[Value]) -> Result<Value, String> {
    let Some((first, indexes)) = args.split_first() else { return Ok(Value::Nil) };
    if matches!(first, Value::Nil) {
        return Err("index of untyped nil".to_owned());
    }
    let mut item = first.clone();
    for index in indexes {
        item = match &item {
            Value::Nil => return Err("index of nil pointer".to_owned()),
            Value::Map(map) => Value::text(map.get(key(index)?).unwrap_or("")),
            Value::Args(entries, _) => {
                let key = key(index)?;
                entries.iter().find(|(name, _)| name == key).map_or(Value::Nil, |(_, value)| value.clone())
            }
            Value::List(samples) => {
                let at = position(index, samples.as_slice().len())?;
                let sample = samples.as_slice().get(at).cloned();
                Value::Sample(Some(sample.ok_or("reflect: slice index out of range")?))
            }
            Value::Text(text) | Value::Html(text) => {
                let at = position(index, text.len())?;
                Value::Byte(text.as_bytes().get(at).copied().ok_or("reflect: string index out of range")?)
            }
            other => return Err(format!("can't index item of type {}", target_type(other))),
        };
    }
    Ok(item)
}

fn key(index: &Value) -> Result<&str, String> {
    match index {
        Value::Text(text) => Ok(text),
        Value::Nil => Err("value is nil; should be of type string".to_owned()),
        other => Err(format!("value has type {}; should be string", other.type_name())),
    }
}

/// An index, at most one behind the last.
fn position(index: &Value, length: usize) -> Result<usize, String> {
    let number = match index {
        Value::Nil => return Err("cannot index slice/array with nil".to_owned()),
        other => other.integer().ok_or_else(|| format!("cannot index slice/array with type {}", other.type_name()))?,
    };
    usize::try_from(number).ok().filter(|at| *at <= length).ok_or_else(|| format!("index out of range: {number}"))
}

/// `slice`: a stretch of a list or of a text.
pub(super) fn slice(args: &[Value]) -> Result<Value, String> {
    let Some((item, indexes)) = args.split_first() else { return Ok(Value::Nil) };
    if matches!(item, Value::Nil) {
        return Err("slice of untyped nil".to_owned());
    }
    if indexes.len() > 3 {
        return Err(format!("too many slice indexes: {}", indexes.len()));
    }
    let (length, most) = match item {
        Value::Text(_) | Value::Html(_) if indexes.len() == 3 => return Err("cannot 3-index slice a string".to_owned()),
        Value::Text(text) | Value::Html(text) => (text.len(), text.len()),
        Value::List(samples) => (samples.as_slice().len(), samples.capacity()),
        other => return Err(format!("can't slice item of type {}", other.type_name())),
    };
    let mut bounds = [0, length, most];
    for (bound, index) in bounds.iter_mut().zip(indexes) {
        *bound = position(index, most)?;
    }
    let [from, to, end] = bounds;
    for (low, high) in [(from, to), (to, end)] {
        if low > high {
            return Err(format!("invalid slice index: {low} > {high}"));
        }
    }
    Ok(match item {
        Value::List(samples) => Value::List(samples.slice(from, to)),
        Value::Html(text) => Value::Html(cut(text, from, to).into()),
        Value::Text(text) => Value::Text(cut(text, from, to).into()),
        _ => Value::Nil,
    })
}

/// Bytes of a text. A character that is cut through shows as one that cannot be read.
fn cut(text: &str, from: usize, to: usize) -> String {
    String::from_utf8_lossy(text.as_bytes().get(from..to).unwrap_or(&[])).into_owned()
}

/// `len`
pub(super) fn length(args: &[Value]) -> Result<Value, String> {
    let length = match args.first() {
        Some(Value::Text(text) | Value::Html(text)) => text.len(),
        Some(Value::Map(map)) => map.len(),
        Some(Value::Args(entries, _)) => entries.len(),
        Some(Value::List(samples)) => samples.as_slice().len(),
        Some(Value::Sample(None)) => return Err("len of nil pointer".to_owned()),
        Some(Value::Nil) | None => return Err(NIL_TYPE.to_owned()),
        Some(other) => return Err(format!("len of type {}", target_type(other))),
    };
    Ok(Value::Int(i64::try_from(length).unwrap_or(i64::MAX)))
}

/// The type of what a pointer points at, or of what is none.
fn target_type(value: &Value) -> &'static str {
    value.type_name().trim_start_matches('*')
}

/// `args`: a map of its arguments.
pub(super) fn args(scene: &Scene<'_>, args: &[Value]) -> Result<Value, String> {
    scene.charge(args.len())?;
    let inner = args.iter().map(|arg| if let Value::Args(_, depth) = arg { *depth } else { 0 }).max().unwrap_or(0);
    if inner >= ARGS_DEPTH_MAX {
        return Err(format!("nested deeper than {ARGS_DEPTH_MAX}"));
    }
    let mut entries: Vec<_> = args.iter().enumerate().map(|(index, arg)| (format!("arg{index}"), arg.clone())).collect();
    entries.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(Value::Args(entries.into(), inner + 1))
}

/// `call`: nothing that a template can have is a function.
pub(super) fn call(args: &[Value]) -> Result<Value, String> {
    match args.first() {
        Some(Value::Nil) | None => Err("call of nil".to_owned()),
        Some(other) => Err(format!("non-function of type {}", other.type_name())),
    }
}

/// What `html`, `js` and `urlquery` escape: their arguments as `print` prints them, pointers as what they point at.
pub(super) fn shown(args: &[Value]) -> String {
    match args {
        [one] => shown_value(one),
        many => {
            let mut out = String::new();
            for (index, arg) in many.iter().enumerate() {
                let text = |arg: Option<&Value>| matches!(arg, None | Some(Value::Nil | Value::Text(_) | Value::Html(_)));
                if index > 0 && !text(Some(arg)) && !text(many.get(index - 1)) {
                    out.push(' ');
                }
                out.push_str(&shown_value(arg));
            }
            out
        }
    }
}
