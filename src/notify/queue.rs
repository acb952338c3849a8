//! What one target knows and is to be told.

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};

use super::life::Phase;
use super::record::Id;
use crate::model::Timestamp;

/// What a target knows and is to be told.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Queue {
    /// In the order in which it happened, each once.
    pending: VecDeque<(Id, Phase)>,
    /// The same, to be found without a walk: thousands of alerts may end while thousands wait.
    waiting: HashSet<(Id, Phase)>,
    /// What it was told last of an alert, and when.
    pub(super) told: BTreeMap<Id, (Phase, Timestamp)>,
    /// Since when it is there: what was over by then is not for it.
    pub(super) since: Timestamp,
}

impl Queue {
    /// One that knows something.
    pub(super) fn new(pending: Vec<(Id, Phase)>, told: BTreeMap<Id, (Phase, Timestamp)>, since: Timestamp) -> Self {
        let mut queue = Self { told, since, ..Self::default() };
        pending.into_iter().for_each(|(id, phase)| queue.push(id, phase));
        queue
    }

    /// It is to be told.
    pub(super) fn push(&mut self, id: Id, phase: Phase) {
        if self.waiting.insert((id, phase)) {
            self.pending.push_back((id, phase));
        }
    }

    /// It is not to be told any more.
    pub(super) fn remove(&mut self, what: &[(Id, Phase)]) {
        let gone: BTreeSet<&(Id, Phase)> = what.iter().collect();
        self.pending.retain(|one| !gone.contains(one));
        self.waiting.retain(|one| !gone.contains(one));
    }

    /// What it is to be told, in the order in which it happened.
    pub(super) fn pending(&self) -> impl Iterator<Item = &(Id, Phase)> {
        #[cfg(test)]
        tests::WALKS.with(|walks| walks.set(walks.get() + 1));
        self.pending.iter()
    }

    /// How much that is.
    pub(super) fn waiting(&self) -> usize {
        self.pending.len()
    }

    /// Whether it was told of an alert, or is to be.
    pub(super) fn knows(&self, id: Id) -> bool {
        self.told.contains_key(&id) || [Phase::Firing, Phase::Resolved].iter().any(|phase| self.waiting.contains(&(id, *phase)))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::cell::Cell;

    use super::*;

    thread_local! {
        /// How often a test has gone through all that waits.
        pub(in crate::notify) static WALKS: Cell<usize> = const { Cell::new(0) };
    }

    #[test]
    fn what_waits_is_known_until_it_is_told_or_given_up() {
        let mut queue = Queue::new(vec![(1, Phase::Firing), (2, Phase::Firing)], BTreeMap::new(), Timestamp::default());
        queue.push(1, Phase::Resolved);
        queue.push(1, Phase::Resolved);
        assert_eq!(queue.pending().copied().collect::<Vec<_>>(), [(1, Phase::Firing), (2, Phase::Firing), (1, Phase::Resolved)]);
        queue.remove(&[(1, Phase::Firing), (2, Phase::Firing)]);
        assert_eq!(([1, 2].map(|id| queue.knows(id)), queue.waiting()), ([true, false], 1));
        queue.remove(&[(1, Phase::Resolved)]);
        assert!(!queue.knows(1));
        queue.told.insert(1, (Phase::Resolved, Timestamp::default()));
        assert!(queue.knows(1));
    }
}
