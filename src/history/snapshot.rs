//! What a query takes along from under the lock: sealed chunks by reference, heads as bytes. It is decoded afterwards, a series at a time.

use std::ops::Range;

use super::blocks::Blocks;
use super::chunk::Decoder;
use super::column::{Column, Sealed};
use super::contract::{QueryError, Window};
use super::head::Opening;
use super::store::Store;
use crate::model::{Labels, Matcher, Sample, Timestamp};

/// One series' part: what its columns have of it, in order of time.
#[derive(Debug)]
struct Part {
    labels: Labels,
    columns: [Piece; 2],
}

/// One column's part.
#[derive(Debug, Default)]
struct Piece {
    /// Its chunks, by their places.
    chunks: Range<usize>,
    /// The head, how many samples it has, and where its bytes are.
    head: Option<(Opening, u16, Range<usize>)>,
}

impl Piece {
    fn is_empty(&self) -> bool {
        self.chunks.is_empty() && self.head.is_none()
    }
}

#[derive(Debug)]
pub(super) struct Snapshot {
    after: i64,
    until: i64,
    parts: Vec<Part>,
    chunks: Vec<Sealed>,
    heads: Vec<u8>,
}

impl Snapshot {
    pub(super) fn take(store: &Store, matchers: &[Matcher], after: Timestamp, until: Timestamp) -> Self {
        let (after, series) = store.candidates(matchers, after);
        let (after, until) = (after.as_millis(), until.as_millis());
        let mut snapshot = Self { after, until, parts: Vec::new(), chunks: Vec::new(), heads: Vec::new() };
        for series in series {
            let mut columns = <[Piece; 2]>::default();
            for (piece, column) in columns.iter_mut().zip(series.columns()) {
                *piece = snapshot.take_column(store.blocks(), column);
            }
            if !columns.iter().all(Piece::is_empty) {
                snapshot.parts.push(Part { labels: series.labels().clone(), columns });
            }
        }
        snapshot
    }

    fn take_column(&mut self, blocks: &Blocks, column: &Column) -> Piece {
        let chunks_from = self.chunks.len();
        self.chunks.extend(column.chunks(self.after, self.until).cloned());
        let head = column.head_within(self.after, self.until).map(|head| {
            let from = self.heads.len();
            blocks.copy(head.chain(), &mut self.heads);
            (head.opening(), head.count(), from..self.heads.len())
        });
        Piece { chunks: chunks_from..self.chunks.len(), head }
    }

    /// The windows in order of their labels, as they are asked for.
    pub(super) fn windows(mut self) -> impl Iterator<Item = Result<Window, QueryError>> {
        let mut parts = std::mem::take(&mut self.parts);
        parts.sort_unstable_by(|a, b| a.labels.cmp(&b.labels));
        let mut decoder = Decoder::default();
        parts.into_iter().filter_map(move |part| {
            let mut samples = Vec::new();
            let read = part.columns.into_iter().try_for_each(|piece| self.samples(piece, &mut decoder, &mut samples));
            match read {
                Some(()) if samples.is_empty() => None,
                Some(()) => Some(Ok(Window { labels: part.labels, samples })),
                None => Some(Err(QueryError::Unavailable { reason: format!("a chunk of {} cannot be decoded", part.labels) })),
            }
        })
    }

    fn samples(&self, piece: Piece, decoder: &mut Decoder, samples: &mut Vec<Sample>) -> Option<()> {
        let (after, until) = (self.after, self.until);
        for chunk in self.chunks.get(piece.chunks)? {
            let (times, bits) = decoder.decode(&chunk.bytes)?;
            let from = times.partition_point(|time| *time <= after);
            let to = times.partition_point(|time| *time <= until);
            let window = times.get(from..to)?.iter().zip(bits.get(from..to)?);
            samples.extend(window.map(|(millis, bits)| sample(*millis, *bits)));
        }
        if let Some((opening, count, bytes)) = piece.head {
            samples.reserve(usize::from(count));
            opening.read_after(self.heads.get(bytes)?, after, |raw| {
                if raw.millis <= until {
                    samples.push(sample(raw.millis, raw.bits));
                }
                raw.millis < until
            });
        }
        Some(())
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
    use super::super::head::Raw;
    use super::*;

    #[test]
    fn what_cannot_be_decoded_is_named() {
        let mut store = Store::new(&Config::default());
        let labels = |name: &str| Labels::from_pairs([("__name__", name)]);
        let damaged = Sealed { first: 0, last: 10, bytes: Arc::from([1, 2]) };
        store.restore(&labels("m"), Ordered::default(), Ordered { chunks: vec![damaged], head: Vec::new() });
        let raw = Raw { millis: 5, bits: 0 };
        store.restore(&labels("n"), Ordered::default(), Ordered { chunks: Vec::new(), head: vec![raw] });
        let windows: Vec<_> = Snapshot::take(&store, &[], Timestamp::from_millis(-1), Timestamp::MAX).windows().collect();
        let [Err(error), Ok(window)] = windows.as_slice() else { panic!("{windows:?}") };
        assert_eq!(error.to_string(), "the history cannot be read: a chunk of m cannot be decoded");
        assert_eq!(window.labels, labels("n"));
    }
}
