//! One rule over a real history, a real engine and a real file, killed and started again: for the tests of whoever looks at what the
//! rules publish.

use tempfile::TempDir;

use super::kept::start;
use super::tests::{Bench, at, lose};
use super::*;
use crate::model::{RulesSnapshot, STALE_BITS};

/// An agent's rules.
pub(crate) struct Trial {
    bench: Bench,
    folder: TempDir,
    rules: String,
    group: Group,
}

impl Trial {
    /// The first start, at a time in seconds; `settle` is in seconds as well.
    pub(crate) fn start(rules: &str, seconds: i64, settle: i64) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut bench = Bench::new();
        bench.world.tolerance.settle_millis = settle * 1000;
        let group = start(&mut bench, folder.path(), rules, seconds);
        Self { bench, folder, rules: rules.to_owned(), group }
    }

    /// `kill -9`, and the next start.
    pub(crate) fn kill(&mut self, seconds: i64) {
        self.group = start(&mut self.bench, self.folder.path(), &self.rules, seconds);
    }

    /// The same, and the file is lost.
    pub(crate) fn kill_and_forget(&mut self, seconds: i64) {
        lose(self.folder.path());
        self.kill(seconds);
    }

    /// A sample, or that there is none.
    pub(crate) fn put(&self, seconds: i64, name: &str, x: &str, value: Option<f64>) {
        self.bench.put(seconds, name, &[("x", x)], value.unwrap_or(f64::from_bits(STALE_BITS)));
    }

    /// One evaluation, and what goes on beside it: the file is told that the agent lives.
    pub(crate) fn evaluate(&mut self, seconds: i64) {
        self.group.evaluate(at(seconds), &self.bench.world);
        if let Some(store) = &self.bench.world.store {
            store.tend(at(seconds));
            store.settle();
        }
    }

    /// What everyone else sees.
    pub(crate) fn publish(&self) -> RulesSnapshot {
        RulesSnapshot { groups: vec![self.group.snapshot()], load_errors: Vec::new() }
    }
}
