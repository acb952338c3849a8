//! The functions a template may call: Go's builtins and Prometheus's. Adding one is one entry in [`ALL`].
//! Sources: Go's text/template documentation ("Functions"), Prometheus documentation "Template reference".

use super::eval::Scene;
use super::value::{Samples, Value};
use super::{builtin, humanize, literal, method, printf, query, text};

/// A function.
#[derive(Debug)]
pub(super) struct Function {
    /// Its name.
    pub(super) name: &'static str,
    /// What it takes. Without any, whatever it is given is refused.
    pub(super) params: &'static [Param],
    /// The last parameter is for any number of arguments.
    pub(super) variadic: bool,
    /// Its arguments, for the documentation.
    usage: &'static str,
    /// What it gives, for the documentation.
    meaning: &'static str,
    /// What it does.
    pub(super) call: Call,
}

/// What a function gets and gives.
pub(super) type Call = fn(&Scene<'_>, &[Value]) -> Result<Value, String>;

/// The type that an argument must have.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Param {
    /// Whatever it is.
    Any,
    /// Go's `string`.
    Text,
    /// What `query` gives.
    List,
    /// One of it.
    Sample,
    /// Go's `time.Duration`.
    Duration,
    /// Go's `time.Time`.
    Time,
}

impl Param {
    /// As Go spells it.
    pub(super) const fn type_name(self) -> &'static str {
        match self {
            Self::Any => "interface {}",
            Self::Text => "string",
            Self::List => "template.queryResult",
            Self::Sample => "*template.sample",
            Self::Duration => "time.Duration",
            Self::Time => "time.Time",
        }
    }

    /// What `nil` is, where the type has one.
    pub(super) fn of_nil(self) -> Option<Value> {
        match self {
            Self::Any => Some(Value::Nil),
            Self::List => Some(Value::List(Samples::new([]))),
            Self::Sample => Some(Value::Sample(None)),
            Self::Text | Self::Duration | Self::Time => None,
        }
    }

    /// A value, if it has the type.
    pub(super) fn of(self, value: Value) -> Result<Value, String> {
        match (self, value) {
            (_, Value::Nil) => self.of_nil().ok_or_else(|| format!("invalid value; expected {}", self.type_name())),
            (Self::Duration, Value::DurationPointer(nanos)) => Ok(Value::Duration(nanos)),
            (Self::Any, value)
            | (Self::Text, value @ Value::Text(_))
            | (Self::List, value @ Value::List(_))
            | (Self::Sample, value @ Value::Sample(_))
            | (Self::Duration, value @ Value::Duration(_))
            | (Self::Time, value @ Value::Time(_)) => Ok(value),
            (_, value) => Err(format!("wrong type for value; expected {}; got {}", self.type_name(), value.type_name())),
        }
    }

    /// A literal as written, if it can have the type.
    pub(super) fn of_literal(self, value: Value, written: impl std::fmt::Display) -> Result<Value, String> {
        match (self, value) {
            (Self::Any, value) | (Self::Text, value @ Value::Text(_)) => Ok(value),
            (Self::Duration, Value::Int(nanos)) => Ok(Value::Duration(nanos)),
            (Self::Text, _) => Err(format!("expected string; found {written}")),
            (Self::Duration, _) => Err(format!("expected integer; found {written}")),
            _ => Err(format!("can't handle {written} for arg of type {}", self.type_name())),
        }
    }
}

const fn new(name: &'static str, params: &'static [Param], usage: &'static str, meaning: &'static str, call: Call) -> Function {
    Function { name, params, variadic: false, usage, meaning, call }
}

const fn many(name: &'static str, params: &'static [Param], usage: &'static str, meaning: &'static str, call: Call) -> Function {
    Function { name, params, variadic: true, usage, meaning, call }
}

/// A method, which is no function of its own.
pub(super) const fn of_value(name: &'static str, params: &'static [Param], call: Call) -> Function {
    new(name, params, "", "", call)
}

use Param::{Any, List, Sample, Text};

/// All functions, by name. The evaluator itself stops at the argument that decides `and` and `or`.
#[rustfmt::skip] // a table
pub(super) const ALL: &[Function] = &[
    many("and", &[Any, Any], "A B…", "the first argument that is empty, else the last", |_, args| Ok(last(args))),
    many("args", &[Any], "A…", "a map of its arguments as `arg0`, `arg1`, …, to hand several values to a template", builtin::args),
    many("call", &[Any, Any], "F A…", "the result of a function that is a value; there is none in rules", |_, args| builtin::call(args)),
    many("eq", &[Any, Any], "A B…", "whether A equals any of the others", |_, args| builtin::equal(args).map(Value::Bool)),
    new("externalURL", &[], "", "the agent's external URL", |scene, _| string(scene.data.external_url)),
    new("first", &[List], "RESULT", "the first sample of a query's result; an error where there is none", |_, args| query::first(args)),
    new("ge", &[Any, Any], "A B", "whether A ≥ B", |_, args| builtin::less(args).map(|less| Value::Bool(!less))),
    new("graphLink", &[Text], "EXPR", "the path of Prometheus's graph of an expression", |_, args| string(&text::link(text(args, 0), 0))),
    new("gt", &[Any, Any], "A B", "whether A > B", |_, args| builtin::less_or_equal(args).map(|le| Value::Bool(!le))),
    many("html", &[Any], "A…", "the arguments as `print` prints them, escaped for HTML", |_, args| string(&text::html(&builtin::shown(args)))),
    new("humanize", &[Any], "NUMBER", "four digits and a decimal prefix: `1.235M`", |_, args| string(&humanize::decimal(number(args)?))),
    new("humanize1024", &[Any], "NUMBER", "four digits and a binary prefix: `1.177Mi`", |_, args| string(&humanize::binary(number(args)?))),
    new("humanizeDuration", &[Any], "SECONDS", "days, hours, minutes and seconds: `1h 0m 5s`", |_, args| string(&humanize::duration(number(args)?))),
    new("humanizePercentage", &[Any], "RATIO", "a ratio as a percentage: `95%`", |_, args| string(&humanize::percentage(number(args)?))),
    new("humanizeTimestamp", &[Any], "SECONDS", "seconds since the epoch as a time in UTC", |_, args| string(&humanize::timestamp(number(args)?)?)),
    many("index", &[Any, Any], "MAP KEY…", "an entry of a map, a list or a text, and so on within that", |_, args| builtin::index(args)),
    many("js", &[Any], "A…", "the arguments as `print` prints them, escaped for JavaScript", |_, args| string(&text::js(&builtin::shown(args)))),
    new("label", &[Text, Sample], "NAME SAMPLE", "the value of a sample's label", |_, args| query::label(text(args, 0), args.get(1))),
    new("le", &[Any, Any], "A B", "whether A ≤ B", |_, args| builtin::less_or_equal(args).map(Value::Bool)),
    new("len", &[Any], "A", "the length of a text in bytes, of a map, or of a list", |_, args| builtin::length(args)),
    new("lt", &[Any, Any], "A B", "whether A < B", |_, args| builtin::less(args).map(Value::Bool)),
    new("match", &[Text, Text], "REGEX TEXT", "whether a part of the text matches", text::matches),
    new("ne", &[Any, Any], "A B", "whether A differs from B", |_, args| builtin::equal(args).map(|equal| Value::Bool(!equal))),
    new("not", &[Any], "A", "true for what is empty, false for the rest", |_, args| Ok(Value::Bool(!last(args).truth()))),
    new("now", &[], "", "the time of the evaluation in seconds since the epoch", query::now),
    many("or", &[Any, Any], "A B…", "the first argument that is not empty, else the last", |_, args| Ok(last(args))),
    new("parseDuration", &[Text], "DURATION", "the seconds of a duration like `1h30m`", |_, args| text::seconds(text(args, 0))),
    new("pathPrefix", &[], "", "the path of the agent's external URL", |scene, _| string(text::path(scene.data.external_url))),
    many("print", &[Any], "A…", "its arguments, with blanks between those that are no texts", |_, args| string(&printf::sprint(args))),
    many("printf", &[Text, Any], "FORMAT A…", "its arguments as the verbs of Go's `fmt` print them", |_, args| string(&printf::sprintf(text(args, 0), args.get(1..).unwrap_or(&[])))),
    many("println", &[Any], "A…", "its arguments, with blanks between them and a line's end", |_, args| string(&printf::sprintln(args))),
    new("query", &[Text], "EXPR", "what an expression finds now: samples with `.Labels` and `.Value`", query::query),
    new("reReplaceAll", &[Text, Text, Text], "REGEX NEW TEXT", "the text with every match replaced; `$1` is the first group", text::replace),
    new("safeHtml", &[Text], "TEXT", "the text, as one that needs no escaping", |_, args| Ok(Value::Html(text(args, 0).into()))),
    many("slice", &[Any, Any], "LIST FROM TO", "a stretch of a list or of a text", |_, args| builtin::slice(args)),
    new("sortByLabel", &[Text, List], "NAME RESULT", "a query's result in the order of a label", query::sort_by_label),
    new("stripDomain", &[Text], "ADDRESS", "an address with the first part of its host name only", |_, args| string(&text::strip_domain(text(args, 0)))),
    new("stripPort", &[Text], "ADDRESS", "an address without its port", |_, args| string(text::strip_port(text(args, 0)))),
    new("strvalue", &[Sample], "SAMPLE", "the value of a sample's label `__value__`", |_, args| query::label("__value__", args.first())),
    new("tableLink", &[Text], "EXPR", "the path of Prometheus's table of an expression", |_, args| string(&text::link(text(args, 0), 1))),
    new("title", &[Text], "TEXT", "every word with a capital at its start", |_, args| string(&text::title(text(args, 0)))),
    new("toDuration", &[Any], "SECONDS", "a Go duration, which prints as `1h0m5s`", |_, args| method::to_duration(number(args)?)),
    new("toLower", &[Text], "TEXT", "in lower case", |_, args| string(&text::lower(text(args, 0)))),
    new("toTime", &[Any], "SECONDS", "a Go time, with its methods", |_, args| humanize::time(number(args)?).map(Value::Time)),
    new("toUpper", &[Text], "TEXT", "in upper case", |_, args| string(&text::upper(text(args, 0)))),
    new("urlQueryEscape", &[Text], "TEXT", "escaped for the query of a URL", |_, args| string(&text::query_escape(text(args, 0)))),
    many("urlquery", &[Any], "A…", "the arguments as `print` prints them, escaped for the query of a URL", |_, args| string(&text::query_escape(&builtin::shown(args)))),
    new("value", &[Sample], "SAMPLE", "the value of a sample", |_, args| query::value(args)),
];

/// A function for the documentation.
#[derive(Clone, Copy, Debug)]
pub struct TemplateFunction {
    /// Its name.
    pub name: &'static str,
    /// Its arguments.
    pub usage: &'static str,
    /// What it gives.
    pub meaning: &'static str,
}

/// All functions: what the documentation's list is made of.
pub fn template_functions() -> impl Iterator<Item = TemplateFunction> {
    ALL.iter().map(|function| TemplateFunction { name: function.name, usage: function.usage, meaning: function.meaning })
}

/// The function of a name.
pub(super) fn find(name: &str) -> Option<&'static Function> {
    ALL.iter().find(|function| function.name == name)
}

fn string(text: &str) -> Result<Value, String> {
    Ok(Value::text(text))
}

fn last(args: &[Value]) -> Value {
    args.last().cloned().unwrap_or(Value::Nil)
}

/// An argument whose parameter is a text.
pub(super) fn text(args: &[Value], index: usize) -> &str {
    match args.get(index) {
        Some(Value::Text(text)) => text,
        _ => "",
    }
}

/// The humanize family takes numbers and texts that are numbers.
#[allow(clippy::cast_precision_loss)]
fn number(args: &[Value]) -> Result<f64, String> {
    match args.first() {
        Some(Value::Float(number)) => Ok(*number),
        Some(Value::Int(number)) => Ok(*number as f64),
        Some(Value::Text(text)) => {
            let failed = |why: &str| format!("strconv.ParseFloat: parsing {}: {why}", printf::quote(text));
            let number = literal::float(text).ok_or_else(|| failed("invalid syntax"))?;
            let named = text.trim_start_matches(['+', '-']).starts_with(['i', 'I']);
            if number.is_infinite() && !named { Err(failed("value out of range")) } else { Ok(number) }
        }
        other => Err(format!("can't convert {} to float", other.map_or("<nil>", Value::type_name))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_sorted() {
        assert!(ALL.is_sorted_by(|a, b| a.name < b.name));
    }
}
