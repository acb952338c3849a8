//! What a query answers, and what its parts are while it is being evaluated: columns, one value a step, so that a range
//! query is worked out series by series.

use crate::model::{Labels, Sample, Timestamp, is_stale, stale_marker};

use super::annotation::Annotation;
use super::ast::Extension;

/// One series' value at one time.
#[derive(Clone, Debug, PartialEq)]
pub struct VectorSample {
    /// The series.
    pub labels: Labels,
    /// The evaluation time.
    pub at: Timestamp,
    /// The value.
    pub value: f64,
}

/// One series over time.
#[derive(Clone, Debug, PartialEq)]
pub struct MatrixSeries {
    /// The series.
    pub labels: Labels,
    /// Its samples in order of time.
    pub samples: Vec<Sample>,
}

/// The value of a query.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A number, of an instant query.
    Scalar(f64),
    /// A text, of an instant query.
    String(String),
    /// Series at one time, of an instant query; in no order but for `sort…`, `topk` and `bottomk`.
    Vector(Vec<VectorSample>),
    /// Series over time, of a range query or a range selector; in order of labels.
    Matrix(Vec<MatrixSeries>),
}

/// A value and what is to be said about how it came about.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The value.
    pub value: Value,
    /// What is probably a mistake, positions as in a query of one line.
    pub warnings: Vec<String>,
    /// What is worth knowing, positions as in a query of one line.
    pub infos: Vec<String>,
    /// Both with their places, for whoever holds a text of several lines (see [`Annotation::render`]).
    pub annotations: Vec<Annotation>,
}

/// The times at which an expression is evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Steps {
    first: i64,
    interval: i64,
    count: usize,
}

impl Steps {
    pub(super) const fn instant(at: i64) -> Self {
        Self { first: at, interval: 1, count: 1 }
    }

    /// From `first` to `last` at most, every `interval` milliseconds (at least 1); none when `last` is before `first`.
    pub(super) fn between(first: i64, last: i64, interval: i64) -> Self {
        let interval = interval.max(1);
        let count = if last < first { 0 } else { last.abs_diff(first) / interval.unsigned_abs() + 1 };
        Self { first, interval, count: usize::try_from(count).unwrap_or(usize::MAX) }
    }

    pub(super) const fn count(self) -> usize {
        self.count
    }

    pub(super) const fn first(self) -> i64 {
        self.first
    }

    pub(super) fn last(self) -> i64 {
        let further = i64::try_from(self.count.saturating_sub(1)).unwrap_or(i64::MAX);
        self.first.saturating_add(further.saturating_mul(self.interval))
    }

    pub(super) fn times(self) -> impl Iterator<Item = i64> + Clone {
        let mut next = self.first;
        (0..self.count).map(move |_| {
            let at = next;
            next = next.saturating_add(self.interval);
            at
        })
    }
}

/// What stands in a column where a series has no value. No calculation makes a stale marker, and selectors let none in.
pub(super) const ABSENT: f64 = stale_marker();

pub(super) const fn is_absent(value: f64) -> bool {
    is_stale(value)
}

/// A series with a value (or none) at each step.
#[derive(Clone, Debug)]
pub(super) struct Track {
    pub(super) labels: Labels,
    /// The name is to be dropped when the query ends (only with delayed name removal).
    pub(super) drop_name: bool,
    /// As many as there are steps.
    pub(super) values: Vec<f64>,
}

impl Track {
    pub(super) const fn new(labels: Labels, values: Vec<f64>) -> Self {
        Self { labels, drop_name: false, values }
    }

    pub(super) fn is_present(&self) -> bool {
        self.values.iter().any(|value| !is_absent(*value))
    }

    /// The value at a step.
    pub(super) fn at(&self, step: usize) -> Option<f64> {
        self.values.get(step).copied().filter(|value| !is_absent(*value))
    }

    /// Changes the values that are there.
    pub(super) fn map(&mut self, mut change: impl FnMut(f64) -> f64) {
        for value in self.values.iter_mut().filter(|value| !is_absent(**value)) {
            *value = change(*value);
        }
    }
}

/// The value of an expression at every step.
#[derive(Debug)]
pub(super) enum Evaluated {
    Scalar(Vec<f64>),
    String(String),
    Vector(Vec<Track>),
}

impl Evaluated {
    /// The value of one step at `count` steps.
    pub(super) fn repeated(self, count: usize) -> Self {
        let repeat = |values: Vec<f64>| vec![values.first().copied().unwrap_or(ABSENT); count];
        match self {
            Self::Scalar(values) => Self::Scalar(repeat(values)),
            Self::String(text) => Self::String(text),
            Self::Vector(tracks) => Self::Vector(tracks.into_iter().map(|track| Track { values: repeat(track.values), ..track }).collect()),
        }
    }
}

/// One series of a range selector.
#[derive(Debug)]
pub(super) struct RangeSeries {
    pub(super) labels: Labels,
    pub(super) drop_name: bool,
    /// In order of time, without stale markers.
    pub(super) samples: Vec<Sample>,
}

/// One series of a range selector that is handed on.
#[derive(Clone, Copy, Debug)]
pub(super) struct RangeView<'a> {
    pub(super) labels: &'a Labels,
    pub(super) drop_name: bool,
    /// In order of time, without stale markers.
    pub(super) samples: &'a [Sample],
}

/// A range selector's series, and which part of them each step sees.
#[derive(Debug)]
pub(super) struct Ranges {
    pub(super) series: Vec<RangeSeries>,
    pub(super) range: i64,
    pub(super) offset: i64,
    /// The time of `@`.
    pub(super) fixed: Option<i64>,
    /// How far samples beyond the range matter, and by which modifier.
    pub(super) extension: Option<(Extension, i64)>,
}

impl Ranges {
    /// The range that is seen at `at`: after the first time, until the second one.
    pub(super) fn bounds(&self, at: i64) -> (i64, i64) {
        let until = self.fixed.unwrap_or(at).saturating_sub(self.offset);
        (until.saturating_sub(self.range), until)
    }

    /// As [`Ranges::bounds`], with what is beyond the range and matters.
    pub(super) fn reach(&self, at: i64) -> (i64, i64) {
        let (after, until) = self.bounds(at);
        match self.extension {
            None => (after, until),
            Some((Extension::Anchored, lookback)) => (after.saturating_sub(lookback), until),
            Some((Extension::Smoothed, lookback)) => (after.saturating_sub(lookback), until.saturating_add(lookback)),
        }
    }
}
