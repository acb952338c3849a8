//! The values that flow through a template, and Go's names and default form for them.

use crate::model::{FloatStyle, Labels, format_float};

/// One value. Numbers keep Go's difference between `int` and `float64`, which its `printf` and comparisons show.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    /// `nil`.
    Nil,
    /// `true` or `false`.
    Bool(bool),
    /// An integer literal, a rune literal, or a length.
    Int(i64),
    /// A sample's value, a literal with a point or an exponent.
    Float(f64),
    /// A text.
    Text(String),
    /// A `map[string]string`, sorted by key as Go prints and visits it.
    Map(Labels),
    /// The template's data: what `.` and `$` are at the top.
    Root,
}

impl Value {
    /// The type as Go spells it.
    pub(super) const fn type_name(&self) -> &'static str {
        match self {
            Self::Nil => "<nil>",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Float(_) => "float64",
            Self::Text(_) => "string",
            Self::Map(_) => "map[string]string",
            Self::Root => "struct",
        }
    }

    /// What an action prints: Go's `%v`, except that `nil` prints as text/template does.
    pub(super) fn print(&self) -> String {
        match self {
            Self::Nil => "<no value>".to_owned(),
            other => other.plain(),
        }
    }

    /// Go's `%v`.
    pub(super) fn plain(&self) -> String {
        match self {
            Self::Nil => "<nil>".to_owned(),
            Self::Bool(truth) => truth.to_string(),
            Self::Int(number) => number.to_string(),
            Self::Float(number) => format_float(*number, FloatStyle::General),
            Self::Text(text) => text.clone(),
            Self::Map(map) => {
                let pairs: Vec<String> = map.iter().map(|(name, value)| format!("{name}:{value}")).collect();
                format!("map[{}]", pairs.join(" "))
            }
            Self::Root => "{}".to_owned(),
        }
    }

    /// Whether `if`, `with`, `and`, `or` and `not` take it for true: everything but the empty value of its type.
    pub(super) fn truth(&self) -> bool {
        match self {
            Self::Nil => false,
            Self::Bool(truth) => *truth,
            Self::Int(number) => *number != 0,
            Self::Float(number) => *number != 0.0,
            Self::Text(text) => !text.is_empty(),
            Self::Map(map) => !map.is_empty(),
            Self::Root => true,
        }
    }
}
