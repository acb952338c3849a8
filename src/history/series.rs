//! One series: its samples as they came, and behind them, for longer, the last one of each minute.

use super::blocks::Blocks;
use super::chunk::Decoder;
use super::column::{Closed, Column, Grade, Sealed};
use super::contract::Refusal;
use super::head::{Raw, SAMPLES_MAX};
use super::index::SeriesId;
use crate::model::{Labels, Timestamp};

/// Behind the horizon of the full resolution so much time has one sample.
const THINNED_MILLIS: i64 = 60_000;

/// What a second column costs beside its samples.
const MINUTES_BYTES: usize = size_of::<Column>() + 8;

/// Counts appends, round and round.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Round(u32);

impl Round {
    pub(super) const fn next(self) -> Self {
        Self(self.0.wrapping_add(1))
    }

    const fn is_after(self, other: Self) -> bool {
        self.0.wrapping_sub(other.0).cast_signed() > 0
    }
}

/// A series and its samples.
#[derive(Debug)]
pub(super) struct Series {
    labels: Labels,
    full: Column,
    /// The last samples of minutes, all of them older than those in `full`.
    minutes: Option<Box<Column>>,
    /// The series whose sample came after this one's the last time: the first guess for the next time.
    pub(super) follower: SeriesId,
    /// The append that its newest sample came with.
    written: Round,
    /// The time that it has among the ages: of several entries this one counts.
    pub(super) listed: i64,
}

/// What thinning makes of a series: samples that go from one column into the other.
#[derive(Debug)]
pub(super) struct Thinned {
    /// The head of the minutes, where it was full.
    head: Option<Closed>,
    /// What is kept of very much, so far as it fills chunks of its own.
    chunks: Vec<Sealed>,
    kept: Vec<Raw>,
    /// How many samples stay.
    count: u64,
}

/// What a change did to the account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Moved {
    pub(super) samples_gone: u64,
    pub(super) bytes_taken: usize,
    pub(super) bytes_given: usize,
}

impl Series {
    pub(super) fn new(labels: Labels) -> Self {
        Self { labels, full: Column::default(), minutes: None, follower: 0, written: Round::default(), listed: i64::MIN }
    }

    pub(super) const fn labels(&self) -> &Labels {
        &self.labels
    }

    pub(super) fn is_empty(&self) -> bool {
        self.full.is_empty() && self.minutes.is_none()
    }

    /// Its columns in order of time.
    pub(super) fn columns(&self) -> impl Iterator<Item = &Column> {
        self.minutes.as_deref().into_iter().chain(std::iter::once(&self.full))
    }

    pub(super) fn column(&self, grade: Grade) -> Option<&Column> {
        match grade {
            Grade::Minutes => self.minutes.as_deref(),
            Grade::Full => Some(&self.full),
        }
    }

    /// Takes what was read back of a column, which is empty, and says how many samples and bytes that are.
    pub(super) fn restore(&mut self, blocks: &mut Blocks, grade: Grade, chunks: Vec<Sealed>, head: Vec<Raw>) -> (u64, usize) {
        match grade {
            Grade::Full => self.full.restore(blocks, chunks, head),
            Grade::Minutes if chunks.is_empty() && head.is_empty() => (0, 0),
            Grade::Minutes => {
                let (samples, bytes) = self.minutes.get_or_insert_default().restore(blocks, chunks, head);
                (samples, bytes + MINUTES_BYTES)
            }
        }
    }

    /// The time of the newest sample that it had when this append was the last one; of those that came since it knows the latest alone.
    pub(super) fn newest_at(&self, round: Round) -> Option<i64> {
        let newest = self.newest()?;
        Some(if self.written.is_after(round) { newest.saturating_sub(1) } else { newest })
    }

    pub(super) fn newest(&self) -> Option<i64> {
        self.full.newest().or_else(|| self.minutes.as_ref()?.newest())
    }

    /// Takes a sample and says by how many bytes the series grew; `None` where it is there already.
    pub(super) fn push(&mut self, blocks: &mut Blocks, at: Timestamp, value: f64, round: Round) -> Result<Option<usize>, Refusal> {
        let raw = Raw { millis: at.as_millis(), bits: value.to_bits() };
        match self.newest() {
            Some(newest) if newest > raw.millis => Err(Refusal::OutOfOrder),
            // Where two rules record the same, that is no mistake; in Prometheus neither.
            Some(newest) if newest == raw.millis => {
                if self.full.head().is_some_and(|head| head.closing().last == raw) {
                    Ok(None)
                } else {
                    Err(Refusal::Duplicate)
                }
            }
            _ => {
                self.written = round;
                Ok(Some(self.full.push(blocks, raw)))
            }
        }
    }

    /// Whether the head has to be sealed. The first time that is early, for each series another time, so that series which began together
    /// are not all sealed together.
    pub(super) fn is_full(&self, id: SeriesId) -> bool {
        /// Odd and far from small ratios, so that neighbours are far from each other.
        const SPREAD: SeriesId = 2_654_435_769;
        let early = if self.full.is_unsealed() { (id.wrapping_mul(SPREAD) >> 16) as u16 % (SAMPLES_MAX / 4 * 3) } else { 0 };
        self.full.head().is_some_and(|head| head.is_full(early))
    }

    /// The head as a chunk, but for its newest samples.
    pub(super) fn seal(&self, blocks: &Blocks) -> Option<Closed> {
        self.full.seal_older(blocks)
    }

    /// Puts a chunk in the place of what it was made of, and says how many bytes that takes and gives back.
    pub(super) fn replace_head(&mut self, blocks: &mut Blocks, closed: Closed) -> (usize, usize) {
        self.full.replace_head(blocks, closed)
    }

    /// What is to be done to keep of all chunks that end at or before `until` only the last sample of each minute; `None` where there is
    /// nothing to do.
    pub(super) fn thin(&self, blocks: &Blocks, until: i64, decoder: &mut Decoder) -> Option<Thinned> {
        let mut kept: Vec<Raw> = Vec::new();
        let mut found = false;
        self.full.read_until(blocks, until, decoder, |samples, follows| {
            found = true;
            let later = samples.iter().skip(1).map(|raw| Some(raw.millis)).chain(std::iter::once(follows));
            let minute = |millis: i64| millis.div_euclid(THINNED_MILLIS);
            let last_ones = samples.iter().zip(later).filter(|(raw, later)| later.is_none_or(|later| minute(later) != minute(raw.millis)));
            kept.extend(last_ones.map(|(raw, _)| *raw));
        });
        if !found {
            return None;
        }
        // A head has room for what comes in a while, and not for what a long pause leaves to be thinned at once.
        let count = kept.len() as u64;
        let is_much = kept.len() > usize::from(SAMPLES_MAX);
        let full = if is_much { kept.len() / usize::from(SAMPLES_MAX) * usize::from(SAMPLES_MAX) } else { 0 };
        let rest = kept.split_off(full);
        let chunks = kept.chunks(usize::from(SAMPLES_MAX)).filter_map(Sealed::new).collect();
        let minutes = self.minutes.as_ref().filter(|minutes| minutes.head().is_some_and(|head| is_much || head.is_full(0)));
        Some(Thinned { head: minutes.and_then(|minutes| minutes.seal(blocks)), chunks, kept: rest, count })
    }

    /// Does what [`Series::thin`] has found with the same `until`; nothing may have been appended in between.
    pub(super) fn replace_thinned(&mut self, blocks: &mut Blocks, thinned: Thinned, until: i64) -> Moved {
        let mut moved = Moved::default();
        let (gone, given) = self.full.drop_until(blocks, until);
        moved.samples_gone = gone.saturating_sub(thinned.count);
        moved.bytes_given = given;
        let minutes = self.minutes.get_or_insert_with(|| {
            moved.bytes_taken += MINUTES_BYTES;
            Box::default()
        });
        if let Some(sealed) = thinned.head {
            let (taken, given) = minutes.replace_head(blocks, sealed);
            moved.bytes_taken += taken;
            moved.bytes_given += given;
        }
        for chunk in thinned.chunks {
            moved.bytes_taken += minutes.push_chunk(chunk);
        }
        for raw in thinned.kept {
            moved.bytes_taken += minutes.push(blocks, raw);
        }
        moved
    }

    /// Whether there is a sample in `(after, until]`.
    pub(super) fn overlaps(&self, blocks: &Blocks, after: i64, until: i64, decoder: &mut Decoder) -> bool {
        self.columns().any(|column| column.overlaps(blocks, after, until, decoder))
    }

    /// When the oldest chunk ends, or the head where there is none.
    pub(super) fn oldest(&self) -> Option<i64> {
        self.columns().find_map(Column::oldest)
    }

    /// Drops what ends at or before `until`, and says how many samples and bytes went.
    pub(super) fn drop_until(&mut self, blocks: &mut Blocks, until: Timestamp) -> (u64, usize) {
        let until = until.as_millis();
        let (mut samples, mut bytes) = self.full.drop_until(blocks, until);
        if let Some(minutes) = &mut self.minutes {
            let (more_samples, more_bytes) = minutes.drop_until(blocks, until);
            samples += more_samples;
            bytes += more_bytes;
        }
        if self.minutes.take_if(|minutes| minutes.is_empty()).is_some() {
            bytes += MINUTES_BYTES;
        }
        (samples, bytes)
    }
}
