//! The buckets of one side of zero: the span between the first and the last that hold something.

use super::counts::Counts;
use super::scale::coarser;

/// The buckets of one side, from the first that holds something to the last.
#[derive(Clone, Debug, Default)]
pub(super) struct Buckets {
    first: i32,
    pub(super) counts: Counts,
}

/// By what is in them: how wide the counts are kept is nobody's business.
impl PartialEq for Buckets {
    fn eq(&self, other: &Self) -> bool {
        self.filled().eq(other.filled())
    }
}

impl Buckets {
    pub(super) fn span(&self) -> usize {
        self.counts.len()
    }

    pub(super) fn span_with(&self, index: i32) -> usize {
        let Some(last) = self.last() else { return 1 };
        usize::try_from(self.first.max(index).max(last) - self.first.min(index)).map_or(usize::MAX, |span| span + 1)
    }

    fn last(&self) -> Option<i32> {
        i32::try_from(self.counts.len().checked_sub(1)?).ok().map(|behind| self.first + behind)
    }

    pub(super) fn add(&mut self, index: i32, count: u64) {
        if self.counts.len() == 0 {
            self.first = index;
        }
        if let Ok(missing @ 1..) = usize::try_from(self.first.saturating_sub(index)) {
            self.counts.grow_front(missing);
            self.first = index;
        }
        let Ok(place) = usize::try_from(index.saturating_sub(self.first)) else { return };
        self.counts.add(place, count);
    }

    /// Adds to a bucket within the span; false where it lies outside.
    pub(super) fn add_within(&mut self, index: i32, count: u64) -> bool {
        usize::try_from(index.saturating_sub(self.first)).is_ok_and(|place| self.counts.add_at(place, count))
    }

    pub(super) fn filled(&self) -> impl Iterator<Item = (i32, u64)> + '_ {
        (self.first..).zip(self.counts.iter()).filter(|(_, count)| *count > 0)
    }

    /// Gives up empty buckets at both ends; true when there were any.
    pub(super) fn trim(&mut self) -> bool {
        let before = self.counts.len();
        let front = self.counts.trim();
        self.first = self.first.saturating_add(i32::try_from(front).unwrap_or(0));
        self.counts.len() < before
    }

    pub(super) fn halve(&mut self) {
        let Some(last) = self.last() else { return };
        let first = coarser(self.first, 1);
        let mut from = 0;
        for to in first..=coarser(last, 1) {
            let mut sum = 0_u64;
            while from < self.counts.len() && i32::try_from(from).is_ok_and(|behind| coarser(self.first + behind, 1) == to) {
                sum = sum.saturating_add(self.counts.get(from));
                self.counts.set(from, 0);
                from += 1;
            }
            self.counts.set(usize::try_from(to - first).unwrap_or(0), sum);
        }
        self.counts.truncate(usize::try_from(coarser(last, 1) - first).unwrap_or(0) + 1);
        self.first = first;
    }
}
