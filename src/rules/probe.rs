//! One group without the loop around it, for measurements: the same evaluation, the same state on disk, the same snapshot.

use std::path::PathBuf;
use std::sync::Arc;

use super::file;
use super::group::{Group, World};
use super::rule::Externals;
use super::store::{self, Store};
use crate::diagnostic::Diagnostic;
use crate::history::History;
use crate::model::{GroupSnapshot, Timestamp};
use crate::promql::Engine;
use crate::runtime::Board;
use crate::telemetry::Telemetry;

/// A group of rules that is evaluated whenever somebody asks for it.
pub struct Probe {
    group: Group,
    world: World,
}

impl Probe {
    /// The only group of a rule file's text, over a history; the state of its alerts is kept in the folder.
    ///
    /// # Errors
    /// What is wrong with the text. Where there is nothing wrong, but not one group, there are no problems to tell of.
    pub fn new(text: &str, history: &History, engine: Arc<Engine>, folder: PathBuf) -> Result<Self, Vec<Diagnostic>> {
        let parsed = file::parse("probe.yml", text, 15_000);
        let [spec] = parsed.groups.as_slice() else { return Err(parsed.problems) };
        let telemetry = Telemetry::new();
        let store = Store::open(Ok(folder), store::Metrics::new(&telemetry), &Board::new(), Timestamp::default());
        let world = World { store: Some(Arc::new(store)), ..World::closed(engine, history, Externals::default()) };
        Ok(Self { group: Group::new(Arc::clone(spec)), world })
    }

    /// Evaluates all of its rules for the time `at`, and shows what others would see then.
    pub fn evaluate(&mut self, at: Timestamp) -> Arc<GroupSnapshot> {
        self.group.evaluate(at, &self.world);
        self.group.snapshot()
    }
}
