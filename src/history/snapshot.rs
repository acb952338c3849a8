//! What a query takes along from under the lock: sealed chunks by reference, heads as bytes. It is decoded afterwards, a series at a time.

use super::chunk::Decoder;
use super::contract::{QueryError, Window};
use super::head::Opening;
use super::series::Sealed;
use super::store::Store;
use crate::model::{Labels, Matcher, Sample, Timestamp};

/// One series' part.
#[derive(Debug)]
struct Part {
    labels: Labels,
    /// How many of the chunks are this series'; they follow each other.
    chunks: usize,
    /// The head, and where its bytes end.
    head: Option<(Opening, u16, usize)>,
}

#[derive(Debug)]
pub(super) struct Snapshot {
    after: i64,
    until: i64,
    parts: Vec<(Part, usize, usize)>,
    chunks: Vec<Sealed>,
    heads: Vec<u8>,
}

impl Snapshot {
    pub(super) fn take(store: &Store, matchers: &[Matcher], after: Timestamp, until: Timestamp) -> Self {
        let (after, series) = store.candidates(matchers, after);
        let (after, until) = (after.as_millis(), until.as_millis());
        let mut snapshot = Self { after, until, parts: Vec::new(), chunks: Vec::new(), heads: Vec::new() };
        for series in series {
            let (chunks_from, heads_from) = (snapshot.chunks.len(), snapshot.heads.len());
            snapshot.chunks.extend(series.chunks(after, until).cloned());
            let head = series.head().filter(|head| head.last() > after && head.first() <= until).map(|head| {
                store.blocks().copy(head.chain(), &mut snapshot.heads);
                (head.opening(), head.count(), snapshot.heads.len())
            });
            let chunks = snapshot.chunks.len() - chunks_from;
            if chunks > 0 || head.is_some() {
                snapshot.parts.push((Part { labels: series.labels().clone(), chunks, head }, chunks_from, heads_from));
            }
        }
        snapshot
    }

    /// The windows in order of their labels, as they are asked for.
    pub(super) fn windows(mut self) -> impl Iterator<Item = Result<Window, QueryError>> {
        let mut parts = std::mem::take(&mut self.parts);
        parts.sort_unstable_by(|(a, ..), (b, ..)| a.labels.cmp(&b.labels));
        let mut decoder = Decoder::default();
        parts.into_iter().filter_map(move |(part, chunks_from, heads_from)| {
            let chunks = self.chunks.get(chunks_from..chunks_from + part.chunks).unwrap_or(&[]);
            match self.samples(&part, chunks, heads_from, &mut decoder) {
                Some(samples) if samples.is_empty() => None,
                Some(samples) => Some(Ok(Window { labels: part.labels, samples })),
                None => Some(Err(QueryError::Unavailable { reason: "a chunk cannot be decoded".to_owned() })),
            }
        })
    }

    fn samples(&self, part: &Part, chunks: &[Sealed], heads_from: usize, decoder: &mut Decoder) -> Option<Vec<Sample>> {
        let (after, until) = (self.after, self.until);
        let mut samples = Vec::new();
        for chunk in chunks {
            let (times, bits) = decoder.decode(&chunk.bytes)?;
            let from = times.partition_point(|time| *time <= after);
            let to = times.partition_point(|time| *time <= until);
            let window = times.get(from..to)?.iter().zip(bits.get(from..to)?);
            samples.extend(window.map(|(millis, bits)| sample(*millis, *bits)));
        }
        if let Some((opening, count, heads_to)) = part.head {
            samples.reserve(usize::from(count));
            opening.read(self.heads.get(heads_from..heads_to)?, |raw| {
                if raw.millis > after && raw.millis <= until {
                    samples.push(sample(raw.millis, raw.bits));
                }
                raw.millis < until
            });
        }
        Some(samples)
    }
}

const fn sample(millis: i64, bits: u64) -> Sample {
    Sample { at: Timestamp::from_millis(millis), value: f64::from_bits(bits) }
}
