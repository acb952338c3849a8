//! Samples of one series in one resolution: sealed chunks, oldest first, and the head that takes new ones.

use std::collections::VecDeque;
use std::sync::Arc;

use super::blocks::Blocks;
use super::chunk::{self, Decoder};
use super::head::{Head, Raw};

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
    /// Samples in order of time as a chunk; `None` where there is none.
    pub(super) fn new(samples: &[Raw]) -> Option<Self> {
        let (first, last) = (samples.first()?.millis, samples.last()?.millis);
        Some(Self { first, last, bytes: chunk::encode(samples)?.into() })
    }

    fn cost(&self) -> usize {
        CHUNK_BYTES + self.bytes.len()
    }
}

/// What a head becomes: a chunk, and the samples that stay.
#[derive(Debug)]
pub(super) struct Closed {
    pub(super) chunk: Sealed,
    pub(super) kept: Vec<Raw>,
}

/// What a column holds of a series; in order of time, since samples of minutes are older than the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Grade {
    /// The last sample of each minute.
    Minutes,
    /// Every sample.
    Full,
}

impl Grade {
    pub(super) const ALL: [Self; 2] = [Self::Minutes, Self::Full];

    /// Its place among all.
    pub(super) const fn index(self) -> usize {
        match self {
            Self::Minutes => 0,
            Self::Full => 1,
        }
    }

    /// The byte that stands for it in files.
    pub(super) const fn code(self) -> u8 {
        match self {
            Self::Minutes => 0,
            Self::Full => 1,
        }
    }

    pub(super) fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|grade| grade.code() == code)
    }

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Minutes => "minutes",
            Self::Full => "full",
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Column {
    chunks: VecDeque<Sealed>,
    head: Option<Head>,
}

impl Column {
    pub(super) fn is_empty(&self) -> bool {
        self.chunks.is_empty() && self.head.is_none()
    }

    /// Whether it has never been sealed, or not for as long as it goes back.
    pub(super) fn is_unsealed(&self) -> bool {
        self.chunks.is_empty()
    }

    pub(super) const fn head(&self) -> Option<&Head> {
        self.head.as_ref()
    }

    /// The chunks that may have samples in `(after, until]`.
    pub(super) fn chunks(&self, after: i64, until: i64) -> impl Iterator<Item = &Sealed> {
        self.chunks.iter().skip_while(move |chunk| chunk.last <= after).take_while(move |chunk| chunk.first <= until)
    }

    pub(super) fn newest_chunk(&self) -> Option<&Sealed> {
        self.chunks.back()
    }

    /// The chunks that end after this time, oldest first. Mostly there is none, or one.
    pub(super) fn chunks_since(&self, time: i64) -> impl Iterator<Item = &Sealed> {
        let count = self.chunks.iter().rev().take_while(|chunk| chunk.last > time).count();
        self.chunks.iter().skip(self.chunks.len() - count)
    }

    /// Takes chunks and a head's samples into an empty column, and says how many samples and bytes that are.
    pub(super) fn restore(&mut self, blocks: &mut Blocks, chunks: Vec<Sealed>, head: Vec<Raw>) -> (u64, usize) {
        let (mut samples, mut bytes) = (head.len() as u64, 0);
        for chunk in chunks {
            samples += chunk::count(&chunk.bytes);
            bytes += self.push_chunk(chunk);
        }
        for raw in head {
            bytes += self.push(blocks, raw);
        }
        (samples, bytes)
    }

    /// The head, where it may have samples in `(after, until]`.
    pub(super) fn head_within(&self, after: i64, until: i64) -> Option<&Head> {
        self.head.as_ref().filter(|head| head.last() > after && head.first() <= until)
    }

    pub(super) fn newest(&self) -> Option<i64> {
        self.head.as_ref().map(Head::last).or_else(|| self.chunks.back().map(|chunk| chunk.last))
    }

    /// Takes a sample that is newer than all others and says by how many bytes the column grew.
    pub(super) fn push(&mut self, blocks: &mut Blocks, raw: Raw) -> usize {
        let Some(head) = &mut self.head else {
            self.head = Some(Head::new(raw));
            return 0;
        };
        let before = head.chain().cost();
        head.push(blocks, raw);
        head.chain().cost() - before
    }

    /// The head as a chunk.
    pub(super) fn seal(&self, blocks: &Blocks) -> Option<Closed> {
        let samples = read(self.head.as_ref()?, blocks);
        Some(Closed { chunk: Sealed::new(&samples)?, kept: Vec::new() })
    }

    /// The head as a chunk, but for its newest samples.
    pub(super) fn seal_older(&self, blocks: &Blocks) -> Option<Closed> {
        let head = self.head.as_ref()?;
        let mut samples = read(head, blocks);
        let kept = samples.split_off(samples.len().saturating_sub(head.kept()));
        Some(Closed { chunk: Sealed::new(&samples)?, kept })
    }

    /// Puts a chunk in the place of what it was made of, and says how many bytes that takes and gives back.
    pub(super) fn replace_head(&mut self, blocks: &mut Blocks, closed: Closed) -> (usize, usize) {
        let Some(head) = self.head.take() else { return (0, 0) };
        blocks.release(head.chain());
        let mut taken = self.push_chunk(closed.chunk);
        for raw in closed.kept {
            taken += self.push(blocks, raw);
        }
        (taken, head.chain().cost())
    }

    /// Takes a chunk that is newer than all others, and says by how many bytes the column grew.
    pub(super) fn push_chunk(&mut self, chunk: Sealed) -> usize {
        let taken = chunk.cost();
        self.chunks.reserve_exact(1);
        self.chunks.push_back(chunk);
        taken
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
        let Some(head) = self.head_within(after, until) else { return false };
        if in_time(head.first()) || in_time(head.last()) {
            return true;
        }
        let mut found = false;
        head.read(blocks, |raw| {
            found = in_time(raw.millis);
            raw.millis > until
        });
        found
    }

    /// When the oldest chunk ends, or the head where there is none.
    pub(super) fn oldest(&self) -> Option<i64> {
        self.chunks.front().map(|chunk| chunk.last).or_else(|| self.head.as_ref().map(Head::last))
    }

    /// Hands on what ends at or before `until`, oldest first, each with the time of the sample that follows it. `None` in the place
    /// of its samples is a chunk that cannot be decoded.
    pub(super) fn read_until(&self, blocks: &Blocks, until: i64, decoder: &mut Decoder, mut visit: impl FnMut(Vec<Raw>, Option<i64>)) {
        let head = self.head.as_ref();
        let mut chunks = self.chunks.iter().peekable();
        while let Some(chunk) = chunks.next_if(|chunk| chunk.last <= until) {
            let follows = chunks.peek().map(|next| next.first).or_else(|| head.map(Head::first));
            let decoded = decoder.decode(&chunk.bytes);
            let samples =
                decoded.map(|(times, bits)| times.iter().zip(bits).map(|(millis, bits)| Raw { millis: *millis, bits: *bits }).collect());
            visit(samples.unwrap_or_default(), follows);
        }
        if let Some(head) = head.filter(|head| head.last() <= until) {
            visit(read(head, blocks), None);
        }
    }

    /// Drops what ends at or before `until`, and says how many samples and bytes went.
    pub(super) fn drop_until(&mut self, blocks: &mut Blocks, until: i64) -> (u64, usize) {
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

fn read(head: &Head, blocks: &Blocks) -> Vec<Raw> {
    let mut samples = Vec::with_capacity(usize::from(head.count()));
    head.read(blocks, |raw| {
        samples.push(raw);
        true
    });
    samples.reverse();
    samples
}
