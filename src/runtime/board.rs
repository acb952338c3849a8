//! The board where every part of the agent posts its condition; `/health` and `/readyz` read it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::model::{Condition, Part, Timestamp, one_line};

/// Shared by all parts; cloning it is cheap.
#[derive(Clone, Debug, Default)]
pub struct Board(Arc<Posts>);

#[derive(Debug, Default)]
struct Posts {
    parts: Mutex<BTreeMap<String, Part>>,
    /// Whether every required part works.
    ready: watch::Sender<bool>,
}

impl Board {
    /// An empty board.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Announces a part that the agent is not ready without.
    pub fn require(&self, name: &str) {
        let mut parts = self.parts_mut();
        parts.entry(name.to_owned()).or_insert_with(|| starting(name)).required = true;
        self.settle(&parts);
    }

    /// Posts a part's condition. `since` moves only when the condition changes. The detail may hold what others have written: it is
    /// kept as one line.
    pub fn report(&self, name: &str, condition: Condition, detail: &str, at: Timestamp) {
        let detail = one_line(detail);
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
            part.detail = detail.into_owned();
        }
        self.settle(&parts);
    }

    /// Takes a part off that no longer exists.
    pub fn remove(&self, name: &str) {
        let mut parts = self.parts_mut();
        parts.remove(name);
        self.settle(&parts);
    }

    /// All parts by name.
    #[must_use]
    pub fn parts(&self) -> Vec<Part> {
        self.parts_mut().values().cloned().collect()
    }

    /// The required parts that are not working; none means ready.
    #[must_use]
    pub fn missing(&self) -> Vec<Part> {
        self.parts_mut().values().filter(|part| is_missing(part)).cloned().collect()
    }

    /// Waits until every required part works. Announce them before.
    pub async fn ready(&self) {
        let mut ready = self.0.ready.subscribe();
        // Cannot fail: this board holds the sender.
        let _closed = ready.wait_for(|ready| *ready).await;
    }

    fn settle(&self, parts: &BTreeMap<String, Part>) {
        let ready = !parts.values().any(is_missing);
        self.0.ready.send_if_modified(|before| std::mem::replace(before, ready) != ready);
    }

    fn parts_mut(&self) -> MutexGuard<'_, BTreeMap<String, Part>> {
        self.0.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_missing(part: &Part) -> bool {
    part.required && matches!(part.condition, Condition::Starting | Condition::Failed)
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
    fn what_others_write_is_one_line() {
        let board = Board::new();
        board.report("a", Condition::Failed, "it said: no\n[+] b ok\u{1b}[2J\n", Timestamp::default());
        assert_eq!(board.parts()[0].detail, "it said: no [+] b ok\\u{1b}[2J");
        board.report("a", Condition::Failed, &"x\n".repeat(4_000), Timestamp::default());
        assert!(board.parts()[0].detail.ends_with('…'));
    }

    #[tokio::test]
    async fn whoever_waits_hears_when_the_last_part_works() {
        let board = Board::new();
        board.require("a");
        board.require("b");
        board.report("a", Condition::Ok, "", Timestamp::default());
        let ready = board.ready();
        assert!(futures_util::FutureExt::now_or_never(ready).is_none());
        board.report("b", Condition::Degraded, "", Timestamp::default());
        board.ready().await;
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
