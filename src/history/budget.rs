//! The byte account of history, and the decision of what goes when it is overdrawn.

use crate::model::{Labels, Timestamp};

/// What a series costs beside its samples and its label text: its own structure, its places in the table, the hash map
/// and the postings. An estimate on the high side.
const SERIES_BYTES: usize = 256;

/// The share of the budget that is freed beyond what is needed, so that not every append has to look for old samples.
const MARGIN_SHARE: usize = 64;

/// Bytes in use against bytes allowed.
#[derive(Debug)]
pub(super) struct Budget {
    used: usize,
    max: usize,
}

impl Budget {
    pub(super) const fn new(max: usize) -> Self {
        Self { used: 0, max }
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
    pub(super) fn series_bytes(labels: &Labels) -> usize {
        SERIES_BYTES + 2 * labels.byte_len()
    }

    /// Up to which time chunks have to go to get back under the limit with a margin; `None` when there is room.
    /// `chunks` are the end and the size of every chunk, in any order.
    pub(super) fn cut(&self, chunks: impl Iterator<Item = (Timestamp, usize)>) -> Option<Timestamp> {
        let wanted = self.used.checked_sub(self.max).filter(|excess| *excess > 0)? + self.max / MARGIN_SHARE;
        let mut chunks: Vec<_> = chunks.collect();
        chunks.sort_unstable();
        let mut freed = 0;
        for (end, bytes) in &chunks {
            freed += bytes;
            if freed >= wanted {
                return Some(*end);
            }
        }
        chunks.last().map(|(end, _)| *end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(used: usize, chunks: &[(i64, usize)]) -> Option<i64> {
        let mut budget = Budget::new(640);
        budget.add(used);
        budget.cut(chunks.iter().map(|(end, bytes)| (Timestamp::from_millis(*end), *bytes))).map(Timestamp::as_millis)
    }

    #[test]
    fn nothing_goes_while_there_is_room() {
        assert_eq!(cut(640, &[(1, 640)]), None);
    }

    #[test]
    fn the_oldest_go_first_and_a_margin_with_them() {
        assert_eq!(cut(641, &[(7, 300), (5, 5), (6, 5), (9, 331)]), Some(7));
        assert_eq!(cut(641, &[(7, 300), (5, 11), (9, 330)]), Some(5));
    }

    #[test]
    fn when_all_is_not_enough_all_goes() {
        assert_eq!(cut(10_000, &[(7, 300), (9, 300)]), Some(9));
    }
}
