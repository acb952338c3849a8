//! From the records of all files back to series.

use std::collections::HashMap;
use std::sync::Arc;

use super::super::chunk::Decoder;
use super::super::column::{Grade, Sealed};
use super::super::head::Raw;
use super::super::store::Store;
use super::record::{End, HeadPart, Record, read};
use crate::model::Labels;

/// No clock shows a later time, in milliseconds: there is room behind it to count with.
const LATEST: i64 = 1 << 50;

/// What has been read, by series.
#[derive(Debug, Default)]
pub(super) struct Found {
    series: Vec<(Labels, [Pieces; 2])>,
    places: HashMap<Labels, usize>,
    decoder: Decoder,
}

/// What has been read of one column.
#[derive(Debug, Default)]
struct Pieces {
    chunks: Vec<Sealed>,
    head: Option<HeadPart>,
}

/// One file's records; series have their numbers for this file only.
#[derive(Debug)]
pub(super) struct Reading<'f> {
    found: &'f mut Found,
    numbers: HashMap<u64, usize>,
    /// The latest end of a chunk in it.
    pub(super) last: i64,
    /// How many of its chunks are none, and the series of the first of them.
    refused: Option<(u64, Labels)>,
}

impl Found {
    pub(super) fn file(&mut self) -> Reading<'_> {
        Reading { found: self, numbers: HashMap::new(), last: i64::MIN, refused: None }
    }

    /// Puts everything into an empty store, and answers how many samples that are.
    pub(super) fn restore(self, store: &mut Store) -> u64 {
        let mut samples = 0;
        for (labels, [minutes, full]) in self.series {
            // What has been thinned is not to come back, and it is older than all that has not.
            let minutes = minutes.ordered(i64::MIN);
            let full = full.ordered(minutes.newest());
            samples += store.restore(&labels, minutes, full);
        }
        samples
    }
}

/// Reads one file into an empty store, whatever is wrong with it.
pub(in super::super) fn rehearse(file: &[u8], store: &mut Store) -> u64 {
    let mut found = Found::default();
    let mut reading = found.file();
    let _end = read(file, |record| reading.take(record));
    found.restore(store)
}

/// A column's chunks and the samples of its head, each later than the one before.
#[derive(Debug, Default)]
pub(in super::super) struct Ordered {
    pub(in super::super) chunks: Vec<Sealed>,
    pub(in super::super) head: Vec<Raw>,
}

impl Ordered {
    fn newest(&self) -> i64 {
        let head = self.head.last().map(|raw| raw.millis);
        head.or_else(|| self.chunks.last().map(|chunk| chunk.last)).unwrap_or(i64::MIN)
    }
}

impl Pieces {
    fn ordered(mut self, after: i64) -> Ordered {
        let mut ordered = Ordered::default();
        let mut end = after;
        self.chunks.sort_unstable_by_key(|chunk| (chunk.first, std::cmp::Reverse(chunk.last)));
        for chunk in self.chunks {
            if chunk.first > end && chunk.last <= LATEST {
                end = chunk.last;
                ordered.chunks.push(chunk);
            }
        }
        if let Some(head) = self.head.filter(|head| head.first > after) {
            let (mut left, mut next) = (head.count, i64::MAX);
            head.closing.read(std::iter::once(head.bytes.as_slice()), |raw| {
                if raw.millis <= LATEST && raw.millis < next {
                    next = raw.millis;
                    ordered.head.push(raw);
                }
                left = left.saturating_sub(1);
                // Of a head that has been sealed since there is nothing left, unless the file with the chunk is lost.
                left > 0 && raw.millis > end
            });
            ordered.head.retain(|raw| raw.millis > end);
            ordered.head.reverse();
        }
        ordered
    }
}

impl Reading<'_> {
    pub(super) fn take(&mut self, record: Record) {
        match record {
            Record::Series(number, labels) => {
                let next = self.found.series.len();
                let place = *self.found.places.entry(labels.clone()).or_insert(next);
                if place == next {
                    self.found.series.push((labels, <[Pieces; 2]>::default()));
                }
                self.numbers.insert(number, place);
            }
            Record::Chunk(number, grade, first, last, bytes) => {
                self.last = self.last.max(last);
                let Some(place) = self.numbers.get(&number).copied() else { return };
                let Found { series, decoder, .. } = &mut *self.found;
                let Some((labels, pieces)) = series.get_mut(place) else { return };
                if !is_chunk(decoder, first, last, &bytes) {
                    self.refused.get_or_insert_with(|| (0, labels.clone())).0 += 1;
                } else if let Some(pieces) = pieces.get_mut(grade.index()) {
                    pieces.chunks.push(Sealed { first, last, bytes: Arc::from(bytes) });
                }
            }
            Record::Head(number, grade, part) => {
                let Some(pieces) = self.pieces(number, grade) else { return };
                match &mut pieces.head {
                    Some(head) if part.from > 0 && head.first == part.first && head.bytes.len() == part.from => {
                        head.bytes.extend(part.bytes);
                        (head.count, head.closing) = (part.count, part.closing);
                    }
                    head if part.from == 0 => *head = Some(part),
                    _ => {}
                }
            }
        }
    }

    /// How the file ends. What has the right checksum and is no chunk all the same is damage, too, but what follows it is used.
    pub(super) fn judge(&self, end: End) -> End {
        match (&self.refused, end) {
            (Some((chunks, series)), End::Whole) => End::Undecodable(format!("{chunks}, the first one of {series}")),
            (_, end) => end,
        }
    }

    fn pieces(&mut self, number: u64, grade: Grade) -> Option<&mut Pieces> {
        let place = *self.numbers.get(&number)?;
        self.found.series.get_mut(place)?.1.get_mut(grade.index())
    }
}

/// Whether bytes are a chunk with ascending times between these ends, to the last value: queries do not look for what is wrong with it.
fn is_chunk(decoder: &mut Decoder, first: i64, last: i64, bytes: &[u8]) -> bool {
    let Some((times, _)) = decoder.decode(bytes) else { return false };
    (times.first(), times.last()) == (Some(&first), Some(&last)) && times.is_sorted_by(|earlier, later| earlier < later)
}
