//! One series' samples: raw, 16 bytes each, in chunks of fixed size, so that the oldest can go without moving the rest and
//! the slack of a growing vector is bounded by one chunk.

use std::collections::VecDeque;

use crate::model::{Labels, Sample, Timestamp};

/// Samples in a full chunk: ten minutes at the default resolution of 5 s.
const CHUNK_SAMPLES: usize = 120;

/// A fresh chunk's capacity; it doubles up to [`CHUNK_SAMPLES`], so that a series that lives shortly stays small.
const FIRST_CAPACITY: usize = 8;

/// A sample as it is kept. The value is kept as bits: no operation on floats can quiet a stale marker here.
#[derive(Clone, Copy, Debug)]
struct Raw {
    millis: i64,
    bits: u64,
}

/// A run of samples, never empty once it is in a series.
#[derive(Debug, Default)]
struct Chunk(Vec<Raw>);

impl Chunk {
    fn last(&self) -> Timestamp {
        self.0.last().map_or(Timestamp::MIN, |raw| Timestamp::from_millis(raw.millis))
    }

    fn bytes(&self) -> usize {
        self.0.capacity() * size_of::<Raw>()
    }

    fn push(&mut self, raw: Raw) {
        if self.0.len() == self.0.capacity() {
            let wanted = (self.0.capacity() * 2).clamp(FIRST_CAPACITY, CHUNK_SAMPLES);
            self.0.reserve_exact(wanted - self.0.len());
        }
        self.0.push(raw);
    }

    fn is_full(&self) -> bool {
        self.0.len() >= CHUNK_SAMPLES
    }

    /// The samples in `(after, until]`.
    fn window(&self, after: Timestamp, until: Timestamp) -> &[Raw] {
        let from = self.0.partition_point(|raw| raw.millis <= after.as_millis());
        let to = self.0.partition_point(|raw| raw.millis <= until.as_millis());
        self.0.get(from..to).unwrap_or(&[])
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
    chunks: VecDeque<Chunk>,
}

impl Series {
    pub(super) const fn new(labels: Labels) -> Self {
        Self { labels, chunks: VecDeque::new() }
    }

    pub(super) const fn labels(&self) -> &Labels {
        &self.labels
    }

    pub(super) fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// Takes a sample and says by how many bytes the series grew.
    pub(super) fn push(&mut self, at: Timestamp, value: f64) -> Result<usize, Refusal> {
        let raw = Raw { millis: at.as_millis(), bits: value.to_bits() };
        if let Some(head) = self.chunks.back_mut() {
            match at.cmp(&head.last()) {
                std::cmp::Ordering::Less => return Err(Refusal::OutOfOrder),
                std::cmp::Ordering::Equal => return Err(Refusal::Duplicate),
                std::cmp::Ordering::Greater if !head.is_full() => {
                    let before = head.bytes();
                    head.push(raw);
                    return Ok(head.bytes() - before);
                }
                std::cmp::Ordering::Greater => {}
            }
        }
        let mut head = Chunk::default();
        head.push(raw);
        let grown = head.bytes();
        self.chunks.push_back(head);
        Ok(grown)
    }

    /// Appends the samples in `(after, until]` to `out`.
    pub(super) fn copy_window(&self, after: Timestamp, until: Timestamp, out: &mut Vec<Sample>) {
        for chunk in self.chunks.iter().skip_while(|chunk| chunk.last() <= after) {
            let window = chunk.window(after, until);
            if window.is_empty() {
                break;
            }
            out.extend(window.iter().map(|raw| Sample { at: Timestamp::from_millis(raw.millis), value: f64::from_bits(raw.bits) }));
        }
    }

    /// Whether there is a sample in `(after, until]`.
    pub(super) fn overlaps(&self, after: Timestamp, until: Timestamp) -> bool {
        let first = self.chunks.iter().find(|chunk| chunk.last() > after);
        first.is_some_and(|chunk| !chunk.window(after, until).is_empty())
    }

    /// The last time and the bytes of each chunk, oldest first.
    pub(super) fn chunks(&self) -> impl Iterator<Item = (Timestamp, usize)> + '_ {
        self.chunks.iter().map(|chunk| (chunk.last(), chunk.bytes()))
    }

    /// Drops the chunks that end at or before `until`, and says how many samples and bytes went.
    pub(super) fn drop_until(&mut self, until: Timestamp) -> (u64, usize) {
        let (mut samples, mut bytes) = (0, 0);
        while self.chunks.front().is_some_and(|chunk| chunk.last() <= until) {
            if let Some(chunk) = self.chunks.pop_front() {
                samples += chunk.0.len() as u64;
                bytes += chunk.bytes();
            }
        }
        (samples, bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{STALE_BITS, stale_marker};

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    fn filled(samples: i64) -> Series {
        let mut series = Series::new(Labels::empty());
        for second in 1..=samples {
            series.push(at(second), second as f64).expect("in order");
        }
        series
    }

    fn seconds(series: &Series, after: i64, until: i64) -> Vec<i64> {
        let mut out = Vec::new();
        series.copy_window(at(after), at(until), &mut out);
        out.iter().map(|sample| sample.at.as_millis() / 1000).collect()
    }

    #[test]
    fn a_window_is_open_on_the_left_and_closed_on_the_right() {
        let series = filled(300);
        assert_eq!(seconds(&series, 118, 123), [119, 120, 121, 122, 123]);
        assert_eq!(seconds(&series, 300, 400), Vec::<i64>::new());
        assert!(series.overlaps(at(299), at(300)) && !series.overlaps(at(300), at(400)) && !series.overlaps(at(-9), at(0)));
    }

    #[test]
    fn samples_out_of_order_are_refused_by_reason() {
        let mut series = filled(5);
        assert_eq!(series.push(at(5), 0.0), Err(Refusal::Duplicate));
        assert_eq!(series.push(at(4), 0.0), Err(Refusal::OutOfOrder));
    }

    #[test]
    fn a_stale_marker_keeps_its_bits() {
        let mut series = filled(1);
        series.push(at(2), stale_marker()).expect("in order");
        series.push(at(3), 7.0).expect("a series continues after it");
        let mut out = Vec::new();
        series.copy_window(at(0), at(9), &mut out);
        assert_eq!(out.iter().map(|sample| sample.value.to_bits()).collect::<Vec<_>>(), [1f64.to_bits(), STALE_BITS, 7f64.to_bits()]);
    }

    #[test]
    fn only_whole_chunks_go_and_what_goes_is_counted() {
        let mut series = filled(250);
        assert_eq!(series.drop_until(at(239)), (120, 120 * 16));
        assert_eq!(seconds(&series, 0, 122), [121, 122]);
        assert_eq!(series.drop_until(at(250)), (130, (120 + 16) * 16));
        assert!(series.is_empty());
    }
}
