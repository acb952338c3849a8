//! Reading all series that events have made, while they go on changing: the lock is held for a bounded piece at a time.

use std::sync::Arc;

use super::Place;
use crate::model::{Family, Histogram, Labels, MetricType, Origin, Series, Summary, Value};

/// So many lines of a scrape are read at a time: some hundredths of a millisecond, and no more text than a processor's
/// cache holds.
pub(super) const PIECE: usize = 1024;
/// So many families without their series are read at a time.
pub(super) const HEADS: usize = 1024;

/// A family without its series.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    /// The name as scraped in Prometheus's text.
    pub name: &'a Arc<str>,
    /// Its type.
    pub kind: MetricType,
    /// What it means, one sentence.
    pub help: &'a Arc<str>,
    /// Who measured it.
    pub origin: Origin,
    /// A histogram's classic buckets, the same for all its series; else empty.
    pub bounds: &'a Arc<[f64]>,
}

/// What a series holds now.
#[derive(Clone, Copy, Debug)]
pub enum Reading<'a> {
    /// A counter's or a gauge's number.
    Number(f64),
    /// A histogram.
    Histogram(&'a Histogram),
    /// A summary: no event becomes one.
    Summary(&'a Summary),
}

/// Whoever reads the registry. Called with the lock held: it is to be quick, and must not come back to the registry.
pub trait Reader {
    /// The series that follow belong to this family. Families come in order of their names.
    fn family(&mut self, head: &Head<'_>);
    /// A series, in the order in which they were made. The later it was made, the higher is its number, which no other has; a series
    /// that was restored has the one that it had.
    fn series(&mut self, place: Place, number: u64, labels: &Labels, reading: Reading<'_>);
}

/// How far a reader has come; it begins at the beginning.
#[derive(Debug, Default)]
pub struct Cursor {
    last: Option<Arc<str>>,
    /// The number of the family that it is in.
    inside: Option<u64>,
    series: u64,
    room: usize,
}

impl Cursor {
    /// Begins the next piece.
    pub(super) const fn begin(&mut self) {
        self.begin_with(PIECE);
    }

    pub(super) const fn begin_with(&mut self, room: usize) {
        self.room = room;
    }

    pub(super) fn family(&self) -> Option<(&str, u64)> {
        self.last.as_deref().zip(self.inside)
    }

    /// The name of the family that was read last, or is being read.
    pub(super) fn last(&self) -> Option<&str> {
        self.last.as_deref()
    }

    /// The number of the series that was read last in this family.
    pub(super) const fn series(&self) -> u64 {
        self.series
    }

    pub(super) fn enter(&mut self, name: Arc<str>, number: u64) {
        (self.last, self.inside, self.series) = (Some(name), Some(number), 0);
    }

    pub(super) const fn leave(&mut self) {
        self.inside = None;
    }

    /// True when the series with this number, which is so many lines, still belongs to this piece; it is the last one then.
    pub(super) const fn passes(&mut self, number: u64, lines: usize) -> bool {
        if self.room == 0 {
            return false;
        }
        self.room = self.room.saturating_sub(lines);
        self.series = number;
        true
    }
}

/// Copies everything: for those who want little, and for tests.
#[derive(Debug, Default)]
pub(super) struct Copies(pub(super) Vec<Family>);

impl Reader for Copies {
    fn family(&mut self, head: &Head<'_>) {
        self.0.push(Family::new(Arc::clone(head.name), head.kind, Arc::clone(head.help), head.origin));
    }

    fn series(&mut self, _: Place, _: u64, labels: &Labels, reading: Reading<'_>) {
        let value = match reading {
            Reading::Number(number) => Value::Number(number),
            Reading::Histogram(histogram) => Value::Histogram(histogram.clone()),
            Reading::Summary(summary) => Value::Summary(summary.clone()),
        };
        if let Some(family) = self.0.last_mut() {
            family.series.push(Series { labels: labels.clone(), value });
        }
    }
}
