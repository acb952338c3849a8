//! One series: its sealed chunks, oldest first, and the head that takes new samples.

use std::collections::VecDeque;
use std::sync::Arc;

use super::blocks::Blocks;
use super::chunk::{self, Decoder};
use super::head::{Head, Raw, SAMPLES_MAX};
use super::index::SeriesId;
use crate::model::{Labels, Timestamp};

/// What a chunk costs beside its bytes: its place in the series, the two counts of an `Arc`, the allocator's own.
const CHUNK_BYTES: usize = size_of::<Sealed>() + 24;

/// A chunk with the times of its ends. A clone shares the bytes.
#[derive(Clone, Debug)]
pub(super) struct Sealed {
    pub(super) first: i64,
    pub(super) last: i64,
    pub(super) bytes: Arc<[u8]>,
}

impl Sealed {
    fn cost(&self) -> usize {
        CHUNK_BYTES + self.bytes.len()
    }
}

/// Why a series does not take a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Its newest sample is newer.
    OutOfOrder,
    /// Its newest sample has this time.
    Duplicate,
}

/// A series and its samples.
#[derive(Debug)]
pub(super) struct Series {
    labels: Labels,
    chunks: VecDeque<Sealed>,
    head: Option<Head>,
    /// The series whose sample came after this one's the last time: the first guess for the next time.
    pub(super) follower: SeriesId,
}

impl Series {
    pub(super) const fn new(labels: Labels) -> Self {
        Self { labels, chunks: VecDeque::new(), head: None, follower: 0 }
    }

    pub(super) const fn labels(&self) -> &Labels {
        &self.labels
    }

    pub(super) fn is_empty(&self) -> bool {
        self.chunks.is_empty() && self.head.is_none()
    }

    pub(super) const fn head(&self) -> Option<&Head> {
        self.head.as_ref()
    }

    /// The chunks that may have samples in `(after, until]`.
    pub(super) fn chunks(&self, after: i64, until: i64) -> impl Iterator<Item = &Sealed> {
        self.chunks.iter().skip_while(move |chunk| chunk.last <= after).take_while(move |chunk| chunk.first <= until)
    }

    fn newest(&self) -> Option<i64> {
        self.head.as_ref().map(Head::last).or_else(|| self.chunks.back().map(|chunk| chunk.last))
    }

    /// Takes a sample and says by how many bytes the series grew.
    pub(super) fn push(&mut self, blocks: &mut Blocks, at: Timestamp, value: f64) -> Result<usize, Refusal> {
        let raw = Raw { millis: at.as_millis(), bits: value.to_bits() };
        match self.newest() {
            Some(newest) if newest > raw.millis => return Err(Refusal::OutOfOrder),
            Some(newest) if newest == raw.millis => return Err(Refusal::Duplicate),
            _ => {}
        }
        let Some(head) = &mut self.head else {
            self.head = Some(Head::new(raw));
            return Ok(0);
        };
        let before = head.chain().cost();
        head.push(blocks, raw);
        Ok(head.chain().cost() - before)
    }

    /// Whether the head has to be sealed. The first time that is early, for each series another time, so that series which began together
    /// are not all sealed together.
    pub(super) fn is_full(&self, id: SeriesId) -> bool {
        /// Odd and far from small ratios, so that neighbours are far from each other.
        const SPREAD: SeriesId = 2_654_435_769;
        let early = if self.chunks.is_empty() { (id.wrapping_mul(SPREAD) >> 16) as u16 % (SAMPLES_MAX / 4 * 3) } else { 0 };
        self.head.as_ref().is_some_and(|head| head.is_full(early))
    }

    /// The head as a chunk.
    pub(super) fn seal(&self, blocks: &Blocks) -> Option<Sealed> {
        let head = self.head.as_ref()?;
        let mut bytes = Vec::with_capacity(head.chain().len());
        blocks.copy(head.chain(), &mut bytes);
        let mut samples = Vec::with_capacity(usize::from(head.count()));
        head.opening().read(&bytes, |raw| {
            samples.push(raw);
            true
        });
        Some(Sealed { first: head.first(), last: head.last(), bytes: chunk::encode(&samples)?.into() })
    }

    /// Puts a chunk in the place of the head that it was made of, and says how many bytes that takes and gives back.
    pub(super) fn replace_head(&mut self, blocks: &mut Blocks, chunk: Sealed) -> (usize, usize) {
        let Some(head) = self.head.take() else { return (0, 0) };
        blocks.release(head.chain());
        let taken = chunk.cost();
        self.chunks.reserve_exact(1);
        self.chunks.push_back(chunk);
        (taken, head.chain().cost())
    }

    /// Whether there is a sample in `(after, until]`.
    pub(super) fn overlaps(&self, blocks: &Blocks, after: i64, until: i64, decoder: &mut Decoder) -> bool {
        let in_time = |time: i64| time > after && time <= until;
        let in_chunk = |chunk: &Sealed| {
            // Only where both ends are outside the times themselves have to be looked at.
            in_time(chunk.first)
                || in_time(chunk.last)
                || decoder.times(&chunk.bytes).is_some_and(|times| times.iter().copied().any(in_time))
        };
        if self.chunks(after, until).any(in_chunk) {
            return true;
        }
        let Some(head) = self.head.as_ref().filter(|head| head.last() > after && head.first() <= until) else { return false };
        if in_time(head.first()) || in_time(head.last()) {
            return true;
        }
        let (mut bytes, mut found) = (Vec::new(), false);
        blocks.copy(head.chain(), &mut bytes);
        head.opening().read(&bytes, |raw| {
            found = in_time(raw.millis);
            raw.millis <= after
        });
        found
    }

    /// The last time and the bytes of each chunk and of the head, oldest first.
    pub(super) fn costs(&self) -> impl Iterator<Item = (Timestamp, usize)> + '_ {
        let head = self.head.iter().map(|head| (head.last(), head.chain().cost()));
        self.chunks.iter().map(|chunk| (chunk.last, chunk.cost())).chain(head).map(|(last, cost)| (Timestamp::from_millis(last), cost))
    }

    /// Drops what ends at or before `until`, and says how many samples and bytes went.
    pub(super) fn drop_until(&mut self, blocks: &mut Blocks, until: Timestamp) -> (u64, usize) {
        let until = until.as_millis();
        let (mut samples, mut bytes) = (0, 0);
        while let Some(chunk) = self.chunks.pop_front_if(|chunk| chunk.last <= until) {
            samples += chunk::count(&chunk.bytes);
            bytes += chunk.cost();
        }
        if let Some(head) = self.head.take_if(|head| head.last() <= until) {
            samples += u64::from(head.count());
            bytes += head.chain().cost();
            blocks.release(head.chain());
        }
        (samples, bytes)
    }
}
