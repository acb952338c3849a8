//! Whose samples are the oldest, so that what goes for the budget's sake is found without a look at all that stays.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;

use super::index::SeriesId;

/// So many entries more than series are borne with. They are those of series that have gone.
const SPARE: usize = 1024;

/// When the first chunk of each series ends, the oldest one first. A time may be too early, since what it stood for has gone
/// otherwise: that is seen, and put right, when its turn comes. So nothing has to be done here while samples come in, are sealed and go
/// by their age.
#[derive(Debug, Default)]
pub(super) struct Ages {
    heap: BinaryHeap<Reverse<(i64, SeriesId)>>,
}

/// What is to become of the entry that has the oldest time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// It stays for another time.
    At(i64),
    /// It goes.
    Gone,
}

impl Ages {
    pub(super) fn new(entries: impl Iterator<Item = (i64, SeriesId)>) -> Self {
        Self { heap: entries.map(Reverse).collect() }
    }

    pub(super) fn put(&mut self, time: i64, id: SeriesId) {
        self.heap.push(Reverse((time, id)));
    }

    /// Whether there are many entries of series that are not there any more.
    pub(super) fn is_stale(&self, series: usize) -> bool {
        self.heap.len() > 2 * series + SPARE
    }

    pub(super) fn oldest(&self) -> Option<(i64, SeriesId)> {
        self.heap.peek().map(|Reverse(entry)| *entry)
    }

    /// Does with the oldest entry what has been found out.
    pub(super) fn settle(&mut self, next: Next) {
        let Some(mut top) = self.heap.peek_mut() else { return };
        match next {
            Next::At(time) => top.0.0 = time,
            Next::Gone => {
                PeekMut::pop(top);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Config;
    use super::super::store::Store;
    use super::*;
    use crate::model::{Labels, PromDuration, Timestamp};

    const BUDGET: usize = 96 << 10;

    /// The ends of all chunks and heads.
    fn ends(store: &Store) -> Vec<(SeriesId, i64)> {
        let columns = store.entries().flat_map(|(id, series)| series.columns().map(move |column| (id, column)));
        let ends = columns.flat_map(|(id, column)| {
            let chunks = column.chunks(i64::MIN, i64::MAX).map(|chunk| chunk.last);
            chunks.chain(column.head().map(super::super::head::Head::last)).map(move |end| (id, end))
        });
        ends.collect()
    }

    /// As [`super::super::History`] appends, with a look at what goes for the budget's sake: all that ends before some time, nothing else,
    /// and about as much as has to.
    fn append(store: &mut Store, at: i64, samples: &[(Labels, f64)]) -> bool {
        let mut full = Vec::new();
        store.append(Timestamp::from_millis(at), samples, &mut full);
        let sealed = store.seal(&full);
        store.install(sealed);
        if store.is_sweep_due() {
            let thinned = store.thin();
            store.sweep(thinned);
        }
        let (before, used) = (ends(store), store.bytes());
        let dropped = store.make_room();
        assert_eq!(dropped > 0, used > BUDGET);
        let after = ends(store);
        let cut = before.iter().filter(|entry| !after.contains(entry)).map(|(_, end)| *end).max();
        let stays: Vec<_> = before.iter().copied().filter(|(_, end)| cut.is_none_or(|cut| *end > cut)).collect();
        assert_eq!(after, stays, "nothing that is newer goes before what is older");
        assert!(store.bytes() <= BUDGET);
        let last = before.iter().filter(|(_, end)| Some(*end) == cut).count();
        assert!(dropped == 0 || store.bytes() + last * (10 << 10) > BUDGET - BUDGET / 64, "no more goes than has to: {}", store.bytes());
        dropped > 0
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]
        #[test]
        fn the_oldest_go_first_whatever_else_comes_and_goes(
            lives in prop::collection::vec((0..3000i64, 1..3000i64, 1..40i64, any::<bool>()), 20..60),
            retention in 300..4000u64,
            thinned in prop::sample::select(vec![0, 30_000]),
        ) {
            let config = Config {
                retention: PromDuration::from_secs(retention),
                thinned_retention: PromDuration::from_secs(thinned),
                bytes_max: BUDGET,
                ..Config::default()
            };
            let mut store = Store::new(&config);
            let mut rounds = 0;
            for second in 0..4000_i64 {
                let alive = (0..).zip(&lives).filter(|(_, (from, length, every, _))| (*from..from + length).contains(&second) && second % every == 0);
                let samples = alive.map(|(number, (_, _, _, random)): (i64, _)| {
                    let mixed = (second + number).wrapping_mul(0x9e37_79b9_7f4a_7c15_u64.cast_signed());
                    let value = if *random { (mixed >> 11) as f64 } else { 1.0 };
                    (Labels::from_pairs([("__name__", "m"), ("l", number.to_string().as_str())]), value)
                });
                rounds += usize::from(append(&mut store, second * 1000, &samples.collect::<Vec<_>>()));
            }
            prop_assert!(rounds > 2 || store.bytes() < BUDGET, "{} rounds", rounds);
        }
    }

    #[test]
    fn entries_of_series_that_have_gone_do_not_pile_up() {
        let mut ages = Ages::new((0..10).map(|id| (i64::from(id), id)));
        assert_eq!(ages.oldest(), Some((0, 0)));
        ages.settle(Next::At(20));
        assert_eq!(ages.oldest(), Some((1, 1)));
        ages.settle(Next::Gone);
        assert_eq!(ages.oldest(), Some((2, 2)));
        assert!(!ages.is_stale(10));
        (0..2000).for_each(|id| ages.put(5, id));
        assert!(ages.is_stale(10) && !ages.is_stale(1000));
    }
}
