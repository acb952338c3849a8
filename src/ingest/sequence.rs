//! A sender's running numbers, and which of them never came. Late numbers are waited for, numbers that come again are not
//! held against anyone, and a sender that begins anew is told from one that lost much.
//! Source for the last: RFC 3550, appendix A.1 (two numbers in a row, far from the others, are a new beginning).

use std::collections::VecDeque;

/// How far behind the highest number one may still come.
pub(super) const WINDOW: u64 = 64;
/// A larger gap is no gap: the sender began anew, somewhere else.
const GAP_MAX: u64 = 1 << 32;

/// How far one sender's numbers have come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Sequence {
    highest: Option<u64>,
    /// Numbers that have not come and still may, first and last of each gap, oldest first. All end within [`WINDOW`], so
    /// that there cannot be many.
    missing: VecDeque<(u64, u64)>,
    /// The last number that came from far behind by itself.
    stray: Option<u64>,
}

impl Sequence {
    /// One that has come to `highest` and misses nothing.
    pub(super) const fn resumed(highest: u64) -> Self {
        Self { highest: Some(highest), missing: VecDeque::new(), stray: None }
    }

    /// The highest number of the present run.
    pub(super) const fn highest(&self) -> Option<u64> {
        self.highest
    }

    /// How many numbers have not come and still may.
    pub(super) fn missing(&self) -> u64 {
        self.missing.iter().map(length).sum()
    }

    /// Takes the numbers from `first` to `last`, which came in a row; how many others are given up for lost now.
    pub(super) fn observe(&mut self, first: u64, last: u64) -> u64 {
        let Some(highest) = self.highest else {
            self.highest = Some(last);
            return 0;
        };
        if first > highest {
            let next = highest + 1;
            if first - next > GAP_MAX {
                return self.begin(last);
            }
            if first > next {
                self.missing.push_back((next, first - 1));
            }
            self.advance(last)
        } else if self.fill(first, last) || last.saturating_add(WINDOW) >= highest {
            if last > highest { self.advance(last) } else { 0 }
        } else if first <= WINDOW || first < last || self.stray.is_some_and(|stray| stray.checked_add(1) == Some(first)) {
            self.begin(last)
        } else {
            self.stray = Some(last);
            0
        }
    }

    /// Gives up what has not come by now; how many numbers that is.
    pub(super) fn settle(&mut self) -> u64 {
        let lost = self.missing();
        self.missing.clear();
        lost
    }

    /// The sender has begun to count anew. What is missing of the old run does not come any more.
    fn begin(&mut self, last: u64) -> u64 {
        let lost = self.settle();
        *self = Self::resumed(last);
        lost
    }

    fn advance(&mut self, highest: u64) -> u64 {
        (self.highest, self.stray) = (Some(highest), None);
        let mut lost = 0;
        while let Some(gap) = self.missing.pop_front_if(|(_, last)| last.saturating_add(WINDOW) < highest) {
            lost += length(&gap);
        }
        lost
    }

    /// Takes numbers out of those that are missing; true when there were some.
    fn fill(&mut self, first: u64, last: u64) -> bool {
        let mut found = false;
        let mut index = 0;
        while let Some((start, end)) = self.missing.get(index).copied() {
            if end < first || start > last {
                index += 1;
                continue;
            }
            found = true;
            self.missing.remove(index);
            let behind = (end > last).then_some((last.saturating_add(1), end));
            let before = (start < first).then_some((start, first.saturating_sub(1)));
            for rest in [behind, before].into_iter().flatten() {
                self.missing.insert(index, rest);
            }
            index += usize::from(before.is_some()) + usize::from(behind.is_some());
        }
        found
    }
}

const fn length((first, last): &(u64, u64)) -> u64 {
    *last - *first + 1
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What is lost when these come one by one, and then nothing more.
    fn lost(numbers: impl IntoIterator<Item = u64>) -> u64 {
        let mut sequence = Sequence::default();
        let lost: u64 = numbers.into_iter().map(|number| sequence.observe(number, number)).sum();
        lost + sequence.settle()
    }

    #[test]
    fn a_gap_is_lost_and_what_comes_late_or_twice_is_not() {
        assert_eq!(lost([5, 6, 7]), 0, "it may begin anywhere");
        assert_eq!(lost([1, 2, 5, 6]), 2);
        assert_eq!(lost([1, 4, 3, 2, 5]), 0);
        assert_eq!(lost([1, 2, 2, 1, 3, 3]), 0);
        assert_eq!(lost([1, 9, 5, 10]), 6);
    }

    #[test]
    fn a_gap_counts_when_it_is_too_late_for_it_to_be_filled() {
        let mut sequence = Sequence::default();
        assert_eq!(sequence.observe(1, 1), 0);
        assert_eq!(sequence.observe(4, 3 + WINDOW), 0);
        assert_eq!(sequence.missing(), 2);
        assert_eq!(sequence.observe(4 + WINDOW, 4 + WINDOW), 2);
        assert_eq!(sequence.settle(), 0);
    }

    #[test]
    fn a_restart_of_the_numbers_is_a_new_run() {
        assert_eq!(lost((1..=1000).chain(1..=3).chain(5..=9)), 1);
        assert_eq!(lost((1..=1000).chain([40, 41])), 0, "the first of the new run may be lost");
        assert_eq!(lost((5000..=9000).chain(2000..=2100)), 0, "wherever it begins");
        assert_eq!(lost((5000..=9000).chain([2000]).chain(9001..=9002)), 0, "a single old one is no new run");
        assert_eq!(lost([1, 2, u64::MAX, u64::MAX]), 0, "nor is a leap a gap");
        assert_eq!(lost((1..=10).chain([12]).chain((100..=200).rev()).chain([1])), 88);
    }

    #[test]
    fn a_run_that_overlaps_what_is_known_counts_for_the_rest() {
        let mut sequence = Sequence::resumed(100);
        assert_eq!(sequence.observe(50, 150), 0);
        assert_eq!(sequence.highest(), Some(150));
        assert_eq!(sequence.observe(160, 170), 0);
        assert_eq!(sequence.observe(140, 155), 0);
        assert_eq!(sequence.missing(), 4);
        assert_eq!(sequence.observe(157, 157), 0);
        assert_eq!((sequence.missing(), sequence.settle()), (3, 3));
    }

    proptest! {
        /// sent = counted + reported lost, whatever is lost, comes twice, or comes late within the window.
        #[test]
        fn what_does_not_come_is_reported(
            start in 0..u64::from(u32::MAX),
            fates in prop::collection::vec((0..4_u8, 0..WINDOW), 1..400),
            runs in any::<bool>(),
        ) {
            // A number arrives at its own place plus a delay; those of fate 0 never do, those of fate 1 twice.
            let mut arrivals: Vec<(u64, u64)> = vec![(0, start)];
            for (number, (fate, delay)) in (start + 1..).zip(&fates) {
                let copies = usize::from(*fate != 0) + usize::from(*fate == 1);
                arrivals.extend((0..copies as u64).map(|copy| (number - start + delay * (1 - copy) / 2, number)));
            }
            arrivals.sort_unstable();
            let mut sequence = Sequence::default();
            let mut lost = 0;
            let mut waiting: Option<(u64, u64)> = None;
            for (_, number) in &arrivals {
                waiting = match waiting {
                    Some((first, last)) if runs && last + 1 == *number => Some((first, *number)),
                    other => {
                        lost += other.map_or(0, |(first, last)| sequence.observe(first, last));
                        Some((*number, *number))
                    }
                };
            }
            lost += waiting.map_or(0, |(first, last)| sequence.observe(first, last));
            prop_assert!(sequence.missing.len() as u64 <= WINDOW / 2 + 1);
            lost += sequence.settle();
            let received: std::collections::BTreeSet<u64> = arrivals.iter().map(|(_, number)| *number).collect();
            let last = received.last().copied().unwrap_or(start);
            prop_assert_eq!(last - start + 1, received.len() as u64 + lost);
        }

        #[test]
        fn no_numbers_break_it(numbers in prop::collection::vec(prop_oneof![any::<u64>(), 0..200_u64, u64::MAX - 200..=u64::MAX], 0..200)) {
            let mut sequence = Sequence::default();
            for pair in numbers.chunks_exact(2) {
                let (first, last) = (pair[0].min(pair[1]), pair[0].max(pair[1]));
                sequence.observe(first, last);
                let ordered: Vec<u64> = sequence.missing.iter().flat_map(|(first, last)| [*first, *last]).collect();
                prop_assert!(ordered.is_sorted(), "{:?}", sequence);
                prop_assert!(ordered.last().is_none_or(|last| Some(*last) < sequence.highest), "{:?}", sequence);
            }
        }
    }
}
