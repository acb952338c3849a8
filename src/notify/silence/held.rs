//! Which alerts are held back: asked many times a second of each that waits, worked out once for as long as the same
//! silences are in force.

use std::collections::HashMap;

use super::book::{Book, Silence, SilenceState};
use crate::model::Timestamp;
use crate::notify::life::Life;
use crate::notify::payload::Manner;
use crate::notify::record::Id;

/// The silences that are in force, and what is known of alerts.
#[derive(Debug, Default)]
pub(in crate::notify) struct Held {
    in_force: Vec<Silence>,
    known: HashMap<Id, bool>,
}

impl Held {
    /// These are the silences, at a time.
    pub(in crate::notify) fn renew(&mut self, book: &Book, at: Timestamp) {
        let now = || book.all().filter(|silence| silence.state(at) == SilenceState::Active);
        if !now().eq(&self.in_force) {
            self.in_force = now().cloned().collect();
            self.known.clear();
        }
    }

    /// What is known of alerts may be wrong: they have other labels now, or are others.
    pub(in crate::notify) fn forget(&mut self) {
        self.known.clear();
    }

    /// Forgets alerts that are gone.
    pub(in crate::notify) fn prune(&mut self, alive: impl Fn(Id) -> bool) {
        self.known.retain(|id, _| alive(*id));
    }

    /// Whether nobody is to be told that an alert has begun.
    pub(in crate::notify) fn holds(&mut self, id: Id, life: &Life, manner: &Manner) -> bool {
        if self.in_force.is_empty() {
            return false;
        }
        let in_force = &self.in_force;
        *self.known.entry(id).or_insert_with(|| in_force.iter().any(|silence| silence.matches(|name| manner.label(life, name))))
    }
}
