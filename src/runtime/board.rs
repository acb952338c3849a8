//! The board where every part of the agent posts its condition; `/health` and `/readyz` read it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::model::{Condition, Part, Timestamp};

/// Shared by all parts; cloning it is cheap.
#[derive(Clone, Debug, Default)]
pub struct Board(Arc<Mutex<BTreeMap<String, Part>>>);

impl Board {
    /// An empty board.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Announces a part that the agent is not ready without.
    pub fn require(&self, name: &str) {
        self.parts_mut().entry(name.to_owned()).or_insert_with(|| starting(name)).required = true;
    }

    /// Posts a part's condition. `since` moves only when the condition changes.
    pub fn report(&self, name: &str, condition: Condition, detail: &str, at: Timestamp) {
        let mut parts = self.parts_mut();
        // Most posts repeat the last one, every second: no allocation for those.
        let part = match parts.get_mut(name) {
            Some(part) => part,
            None => parts.entry(name.to_owned()).or_insert_with(|| starting(name)),
        };
        if part.condition != condition || part.since == Timestamp::default() {
            part.condition = condition;
            part.since = at;
        }
        if part.detail != detail {
            detail.clone_into(&mut part.detail);
        }
    }

    /// Takes a part off that no longer exists.
    pub fn remove(&self, name: &str) {
        self.parts_mut().remove(name);
    }

    /// All parts by name.
    #[must_use]
    pub fn parts(&self) -> Vec<Part> {
        self.parts_mut().values().cloned().collect()
    }

    /// The required parts that are not working; none means ready.
    #[must_use]
    pub fn missing(&self) -> Vec<Part> {
        let waits = |part: &&Part| part.required && matches!(part.condition, Condition::Starting | Condition::Failed);
        self.parts_mut().values().filter(waits).cloned().collect()
    }

    fn parts_mut(&self) -> MutexGuard<'_, BTreeMap<String, Part>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn starting(name: &str) -> Part {
    Part { name: name.to_owned(), condition: Condition::Starting, detail: String::new(), since: Timestamp::default(), required: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn since_moves_with_the_condition_only() {
        let board = Board::new();
        board.report("a", Condition::Ok, "one", Timestamp::from_millis(1));
        board.report("a", Condition::Ok, "two", Timestamp::from_millis(2));
        assert_eq!((board.parts()[0].since, board.parts()[0].detail.as_str()), (Timestamp::from_millis(1), "two"));
        board.report("a", Condition::Failed, "no", Timestamp::from_millis(3));
        assert_eq!(board.parts()[0].since, Timestamp::from_millis(3));
    }

    #[test]
    fn what_is_required_and_not_working_is_missing() {
        let board = Board::new();
        board.require("a");
        board.report("b", Condition::Failed, "", Timestamp::default());
        assert_eq!(board.missing().len(), 1);
        board.report("a", Condition::Degraded, "", Timestamp::default());
        assert!(board.missing().is_empty());
    }
}
