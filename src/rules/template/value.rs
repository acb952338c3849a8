//! The values that flow through a template, and Go's names for their types.

use std::sync::Arc;

use super::time;
use crate::model::Labels;

/// One value. Numbers keep Go's difference between `int` and `float64`, which its `printf` and comparisons show.
#[derive(Clone, Debug)]
pub(super) enum Value {
    /// `nil`, and what is not there.
    Nil,
    /// `true` or `false`.
    Bool(bool),
    /// An integer literal, a rune literal, or a length.
    Int(i64),
    /// A byte of a text.
    Byte(u8),
    /// A sample's value, a literal with a point or an exponent.
    Float(f64),
    /// A text.
    Text(Arc<str>),
    /// A text that `safeHtml` made.
    Html(Arc<str>),
    /// A `map[string]string`, sorted by key as Go prints and visits it.
    Map(Labels),
    /// What `args` made, and how deep it holds others of its kind.
    Args(Arc<[(String, Self)]>, usize),
    /// What `query` found.
    List(Samples),
    /// One of them; none where `nil` was given for one.
    Sample(Option<Arc<Sample>>),
    /// The template's data: what `.` and `$` are at the top.
    Root(Arc<Root>),
    /// A moment, in milliseconds since the epoch.
    Time(i64),
    /// A duration in nanoseconds.
    Duration(i64),
    /// A duration that is pointed at, as `toDuration` makes it.
    DurationPointer(i64),
    /// A month, from 1.
    Month(i64),
    /// A day of the week, from Sunday, which is 0.
    Weekday(i64),
}

/// A result of a query.
#[derive(Debug)]
pub(super) struct Sample {
    /// `.Labels`, the metric's name included.
    pub(super) labels: Labels,
    /// `.Value`
    pub(super) value: f64,
}

/// Results of a query, or a stretch of them.
#[derive(Clone, Debug)]
pub(super) struct Samples {
    all: Arc<[Arc<Sample>]>,
    from: usize,
    to: usize,
}

impl Samples {
    /// All of these.
    pub(super) fn new(all: impl IntoIterator<Item = Arc<Sample>>) -> Self {
        let all: Arc<[Arc<Sample>]> = all.into_iter().collect();
        Self { from: 0, to: all.len(), all }
    }

    /// In order.
    pub(super) fn as_slice(&self) -> &[Arc<Sample>] {
        self.all.get(self.from..self.to).unwrap_or(&[])
    }

    /// How many a slice from here may reach.
    pub(super) fn capacity(&self) -> usize {
        self.all.len() - self.from
    }

    /// From one to another, both counted from here.
    pub(super) fn slice(&self, from: usize, to: usize) -> Self {
        let end = self.all.len();
        Self { all: Arc::clone(&self.all), from: (self.from + from).min(end), to: (self.from + to).min(end) }
    }
}

/// The template's data.
#[derive(Debug)]
pub(super) struct Root {
    /// `.Labels`
    pub(super) labels: Labels,
    /// `.ExternalLabels`
    pub(super) external_labels: Labels,
    /// `.ExternalURL`
    pub(super) external_url: Arc<str>,
    /// `.Value`
    pub(super) value: f64,
}

/// The type of [`Root`].
const ROOT_TYPE: &str = "struct { Labels map[string]string; ExternalLabels map[string]string; ExternalURL string; Value float64 }";

impl Value {
    /// A text.
    pub(super) fn text(text: &str) -> Self {
        Self::Text(Arc::from(text))
    }

    /// The type as Go spells it.
    pub(super) const fn type_name(&self) -> &'static str {
        match self {
            Self::Nil => "<nil>",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Byte(_) => "uint8",
            Self::Float(_) => "float64",
            Self::Text(_) => "string",
            Self::Html(_) => "template.HTML",
            Self::Map(_) => "map[string]string",
            Self::Args(..) => "map[string]interface {}",
            Self::List(_) => "template.queryResult",
            Self::Sample(_) => "*template.sample",
            Self::Root(_) => ROOT_TYPE,
            Self::Time(_) => "*time.Time",
            Self::Duration(_) => "time.Duration",
            Self::DurationPointer(_) => "*time.Duration",
            Self::Month(_) => "time.Month",
            Self::Weekday(_) => "time.Weekday",
        }
    }

    /// The text that Go's `String` method gives.
    pub(super) fn named(&self) -> Option<String> {
        match self {
            Self::Time(millis) => Some(time::text(*millis)),
            Self::Duration(nanos) | Self::DurationPointer(nanos) => Some(time::duration(*nanos)),
            Self::Month(month) => Some(time::month(*month).to_owned()),
            Self::Weekday(day) => Some(time::weekday(*day).to_owned()),
            _ => None,
        }
    }

    /// What is an integer to Go.
    pub(super) fn integer(&self) -> Option<i64> {
        match self {
            Self::Int(number) | Self::Duration(number) | Self::Month(number) | Self::Weekday(number) => Some(*number),
            Self::Byte(byte) => Some(i64::from(*byte)),
            _ => None,
        }
    }

    /// Whether `if`, `with`, `and`, `or` and `not` take it for true: everything but the empty value of its type.
    pub(super) fn truth(&self) -> bool {
        match self {
            Self::Nil | Self::Sample(None) => false,
            Self::Bool(truth) => *truth,
            Self::Float(number) => *number != 0.0,
            Self::Text(text) | Self::Html(text) => !text.is_empty(),
            Self::Map(map) => !map.is_empty(),
            Self::Args(entries, _) => !entries.is_empty(),
            Self::List(samples) => !samples.as_slice().is_empty(),
            Self::Root(_) | Self::Time(_) | Self::DurationPointer(_) | Self::Sample(Some(_)) => true,
            Self::Int(_) | Self::Byte(_) | Self::Duration(_) | Self::Month(_) | Self::Weekday(_) => self.integer() != Some(0),
        }
    }
}
