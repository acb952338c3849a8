//! A query's way through the store: a batch of series at a time. Under the lock, which is held for a batch only, heads are read and
//! chunks are taken by reference; chunks are decoded afterwards, a series at a time.

use std::ops::{ControlFlow, Range};

use super::chunk::Decoder;
use super::column::{Column, Grade, Sealed};
use super::contract::QueryError;
use super::index::SeriesId;
use super::series::{Round, Series};
use super::store::Store;
use crate::model::{Labels, Matcher, Sample, Timestamp};

/// A batch is whole when so many series have been looked at, or so many samples of heads have been read, wanted or not.
const BATCH_SERIES: usize = 256;
const BATCH_SAMPLES: usize = 1 << 15;

/// Which samples of a series are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// All of them.
    All,
    /// The newest one.
    Newest,
}

/// One series' part: what its columns have of it, in order of time.
#[derive(Debug)]
struct Part {
    labels: Labels,
    until: i64,
    minutes: Piece,
    full: Piece,
}

/// One column's part: its chunks and its head's samples, by their places in the batch.
#[derive(Debug, Default)]
struct Piece {
    chunks: Range<usize>,
    head: Range<usize>,
}

impl Piece {
    fn is_empty(&self) -> bool {
        self.chunks.is_empty() && self.head.is_empty()
    }
}

#[derive(Debug)]
pub(super) struct Walk<'m> {
    matchers: &'m [Matcher],
    wanted: Wanted,
    after: i64,
    until: i64,
    /// The series that were found, and how many of them have been taken.
    found: Vec<SeriesId>,
    taken: usize,
    /// The last append when it began: what was appended since is not for it.
    began: Option<Round>,
    /// What the store said when the series were found; places of series that are gone since may be others'.
    removals: u64,
    /// How many samples have been read for the batch.
    read: usize,
    parts: Vec<Part>,
    chunks: Vec<Sealed>,
    samples: Vec<Sample>,
    joined: Vec<Sample>,
    decoder: Decoder,
}

impl<'m> Walk<'m> {
    pub(super) fn new(matchers: &'m [Matcher], after: Timestamp, until: Timestamp, wanted: Wanted) -> Self {
        Self {
            matchers,
            wanted,
            after: after.as_millis(),
            until: until.as_millis(),
            found: Vec::new(),
            taken: 0,
            began: None,
            removals: 0,
            read: 0,
            parts: Vec::new(),
            chunks: Vec::new(),
            samples: Vec::new(),
            joined: Vec::new(),
            decoder: Decoder::default(),
        }
    }

    /// Takes what the next series have; false where there are no more series.
    pub(super) fn take(&mut self, store: &Store) -> bool {
        self.parts.clear();
        self.chunks.clear();
        self.samples.clear();
        self.read = 0;
        let began = self.find(store);
        let end = self.found.len().min(self.taken + BATCH_SERIES);
        let goes_on = self.taken < end;
        while let Some(id) = self.found.get(self.taken).filter(|_| self.taken < end && self.read < BATCH_SAMPLES) {
            self.taken += 1;
            if let Some(series) = store.series(*id) {
                self.take_series(store, series, began);
            }
        }
        goes_on
    }

    fn take_series(&mut self, store: &Store, series: &Series, began: Round) {
        let Some(until) = series.newest_at(began).map(|newest| newest.min(self.until)) else { return };
        let full = series.column(Grade::Full).map_or_else(Piece::default, |column| self.take_column(store, column, until));
        let minutes = match series.column(Grade::Minutes) {
            Some(column) if self.wanted == Wanted::All || full.is_empty() => self.take_column(store, column, until),
            _ => Piece::default(),
        };
        if !(minutes.is_empty() && full.is_empty()) {
            self.parts.push(Part { labels: series.labels().clone(), until, minutes, full });
        }
    }

    /// Finds the series, again where some have gone meanwhile, and says which append was the last one when it began.
    fn find(&mut self, store: &Store) -> Round {
        let began = match self.began {
            Some(began) if self.removals == store.removals() => return began,
            Some(began) => began,
            None => {
                self.after = self.after.max(store.end().as_millis());
                self.until = self.until.min(store.newest().as_millis());
                store.appends()
            }
        };
        (self.began, self.removals) = (Some(began), store.removals());
        let before = self.taken.checked_sub(1).and_then(|last| self.found.get(last)).copied();
        self.found = store.select(self.matchers);
        self.taken = before.map_or(0, |before| self.found.partition_point(|id| *id <= before));
        began
    }

    fn take_column(&mut self, store: &Store, column: &Column, until: i64) -> Piece {
        let (after, wanted, from) = (self.after, self.wanted, self.samples.len());
        if let Some(head) = column.head_within(after, until) {
            let (samples, read) = (&mut self.samples, &mut self.read);
            head.read(store.blocks(), |raw| {
                *read += 1;
                if raw.millis <= after {
                    return false;
                }
                if raw.millis <= until {
                    samples.push(sample(raw.millis, raw.bits));
                    return wanted == Wanted::All;
                }
                true
            });
            samples.get_mut(from..).unwrap_or_default().reverse();
        }
        let head = from..self.samples.len();
        let from = self.chunks.len();
        match wanted {
            Wanted::Newest if !head.is_empty() => {}
            // Where the last one has none, the one before has none either: there is nothing between them.
            Wanted::Newest => self.chunks.extend(column.chunks(after, until).last().cloned()),
            Wanted::All => self.chunks.extend(column.chunks(after, until).cloned()),
        }
        Piece { chunks: from..self.chunks.len(), head }
    }

    /// Hands on what was taken.
    pub(super) fn visit(&mut self, visit: &mut dyn FnMut(&Labels, &[Sample]) -> ControlFlow<()>) -> Result<ControlFlow<()>, QueryError> {
        for part in std::mem::take(&mut self.parts) {
            let Part { labels, until, minutes, full } = part;
            // Most often there is nothing to be put together.
            let samples = if minutes.is_empty() && full.chunks.is_empty() {
                self.samples.get(full.head).unwrap_or_default()
            } else {
                self.joined.clear();
                for piece in [minutes, full] {
                    for chunk in self.chunks.get(piece.chunks).unwrap_or_default() {
                        let Some((times, bits)) = self.decoder.decode(&chunk.bytes) else {
                            return Err(QueryError::Unavailable { reason: format!("a chunk of {labels} cannot be decoded") });
                        };
                        let range = times.partition_point(|time| *time <= self.after)..times.partition_point(|time| *time <= until);
                        let window = times.get(range.clone()).unwrap_or_default().iter().zip(bits.get(range).unwrap_or_default());
                        self.joined.extend(window.map(|(millis, bits)| sample(*millis, *bits)));
                    }
                    self.joined.extend(self.samples.get(piece.head).unwrap_or_default());
                }
                &self.joined
            };
            let samples = match (self.wanted, samples) {
                (Wanted::Newest, [.., last]) => std::slice::from_ref(last),
                (_, samples) => samples,
            };
            if !samples.is_empty() && visit(&labels, samples).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }
}

const fn sample(millis: i64, bits: u64) -> Sample {
    Sample { at: Timestamp::from_millis(millis), value: f64::from_bits(bits) }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::Config;
    use super::super::archive::Ordered;
    use super::*;

    #[test]
    fn what_cannot_be_decoded_is_named() {
        let mut store = Store::new(&Config::default());
        let labels = Labels::from_pairs([("__name__", "m")]);
        let damaged = Sealed { first: 0, last: 10, bytes: Arc::from([1, 2]) };
        store.restore(&labels, Ordered::default(), Ordered { chunks: vec![damaged], ..Ordered::default() });
        let mut walk = Walk::new(&[], Timestamp::from_millis(-1), Timestamp::MAX, Wanted::All);
        assert!(walk.take(&store));
        let error = walk.visit(&mut |_, _| ControlFlow::Continue(())).expect_err("no chunk");
        assert_eq!(error.to_string(), "the history cannot be read: a chunk of m cannot be decoded");
    }
}
