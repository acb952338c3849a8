//! `sidewatch query --history`: the same engine over what an agent has saved, without the agent.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::output::note;
use crate::clock;
use crate::config::{Places, Source, load};
use crate::history::Saved;
use crate::http;
use crate::model::Timestamp;
use crate::promql::{Engine, When};
use crate::telemetry::Telemetry;

/// A saved history with an engine over it.
pub(super) struct Past {
    engine: Engine,
    newest: Option<Timestamp>,
}

impl Past {
    /// Reads the history, and says what is missing of it and, where `at` does not say when to evaluate, how far it goes.
    pub(super) fn open(source: &Source, folder: &Path, at: Option<Timestamp>) -> anyhow::Result<Self> {
        let config = super::configuration(source);
        let Saved { history, folder, newest, left_out } = Saved::read(folder, &config.history, &Telemetry::new(), clock::now())?;
        for sentence in left_out {
            note(&sentence);
        }
        let folder = folder.display();
        match (at, newest) {
            (_, None) => note(&format!("{folder} has no samples")),
            (None, Some(newest)) => note(&format!("evaluated up to {newest}, the newest sample in {folder}")),
            (Some(at), Some(newest)) if at > newest => note(&format!("the newest sample in {folder} is of {newest}")),
            (Some(_), Some(_)) => {}
        }
        Ok(Self { engine: Engine::new(Arc::new(history), config.promql), newest })
    }

    /// The time of the newest sample.
    pub(super) const fn latest(&self) -> Option<Timestamp> {
        self.newest
    }

    /// The answer, as an agent would give it.
    pub(super) fn answer(&self, expression: &str, when: When) -> Vec<u8> {
        http::evaluate_text(&self.engine, expression, when)
    }
}

/// A state folder in which an agent has saved its history: that of the configuration or, where there is none, that of the service.
pub(super) fn find(source: &Source) -> Option<PathBuf> {
    let configured = load(source).ok().and_then(|loaded| loaded.config.state);
    let own = configured.unwrap_or_else(|| source.places.state.clone());
    [own, Places::of_service(None).state].into_iter().find(|state| Saved::is_in(state))
}
