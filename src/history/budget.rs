//! The byte account of history, and the decision of what goes when it is overdrawn.

use crate::model::Labels;

/// What a series costs beside its samples and its label text: its own structure, its places in the table, the hash map
/// and the postings. An estimate on the high side.
const SERIES_BYTES: usize = 256;

/// The share of the budget that is freed beyond what is needed, so that not every append has to look for old samples.
const MARGIN_SHARE: usize = 64;

/// What is left free for the newest samples of each series: what a counter takes until they are compressed, half full. Were series to take
/// all of the budget, each would lose its newest sample at once, and rules would see nothing at all.
const NEWEST_BYTES: usize = 512;

/// Bytes in use against bytes allowed.
#[derive(Debug)]
pub(super) struct Budget {
    used: usize,
    /// What the series and their newest samples need.
    series: usize,
    max: usize,
}

impl Budget {
    pub(super) const fn new(max: usize) -> Self {
        Self { used: 0, series: 0, max }
    }

    pub(super) const fn used(&self) -> usize {
        self.used
    }

    pub(super) const fn add(&mut self, bytes: usize) {
        self.used = self.used.saturating_add(bytes);
    }

    pub(super) const fn release(&mut self, bytes: usize) {
        self.used = self.used.saturating_sub(bytes);
    }

    /// What a series without samples costs. The text counts twice: once in the series, once (shared) in the index.
    fn series_bytes(labels: &Labels) -> usize {
        SERIES_BYTES + 2 * labels.byte_len()
    }

    /// Takes a series in; false, and nothing done, where there are so many that too little would be left for samples.
    pub(super) fn enter(&mut self, labels: &Labels) -> bool {
        let bytes = Self::series_bytes(labels);
        let series = self.series.saturating_add(bytes + NEWEST_BYTES);
        let has_room = series <= self.max;
        if has_room {
            self.series = series;
            self.add(bytes);
        }
        has_room
    }

    /// A series is gone.
    pub(super) fn leave(&mut self, labels: &Labels) {
        let bytes = Self::series_bytes(labels);
        self.series = self.series.saturating_sub(bytes + NEWEST_BYTES);
        self.release(bytes);
    }

    /// How many bytes have to go to get back under the limit with a margin; `None` when there is room.
    pub(super) fn excess(&self) -> Option<usize> {
        let excess = self.used.checked_sub(self.max).filter(|excess| *excess > 0)?;
        Some(excess + self.max / MARGIN_SHARE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_goes_while_there_is_room_and_a_margin_where_there_is_none() {
        let mut budget = Budget::new(640);
        budget.add(640);
        assert_eq!(budget.excess(), None);
        budget.add(3);
        assert_eq!(budget.excess(), Some(13));
    }
}
