//! What sessions have collected comes in: the changes of a batch, one after the other, under one lock.

use std::sync::MutexGuard;

use super::events::Owner;
use super::{Place, Refusal, Registry, State};
use crate::model::{Change, SeriesKey, Timestamp};

/// What has happened to one series since it was last handed over. A session keeps one for each series that it changes, and
/// with it the way to the series.
#[derive(Debug)]
pub struct Pending {
    /// The series.
    pub key: SeriesKey,
    /// What happened.
    pub change: Change,
    /// In how many events; 0 for nothing.
    pub events: u64,
    pub(super) place: Option<Place>,
}

impl Pending {
    /// Nothing yet. `change` is empty, of the kind that the series' type takes.
    #[must_use]
    pub const fn new(key: SeriesKey, change: Change) -> Self {
        Self { key, change, events: 0, place: None }
    }

    /// Takes everything out and keeps the room.
    pub fn clear(&mut self) {
        self.change.clear();
        self.events = 0;
    }
}

/// Where memory is short, a batch pays for a look at so many series.
const RELIEF: usize = 256;

/// A batch on its way in. The registry is locked while this lives.
#[derive(Debug)]
pub struct Merge<'r> {
    registry: &'r Registry,
    state: MutexGuard<'r, State>,
    sender: u64,
    at: Timestamp,
    created: usize,
    room: usize,
}

impl<'r> Merge<'r> {
    pub(super) const fn new(registry: &'r Registry, state: MutexGuard<'r, State>, sender: u64, at: Timestamp) -> Self {
        Self { registry, state, sender, at, created: 0, room: usize::MAX }
    }

    /// Lets this batch make so many series.
    pub const fn limit(&mut self, series: usize) {
        self.room = series;
    }

    /// Applies what is pending for one series. What is refused leaves no trace.
    ///
    /// # Errors
    /// When the name has another type, a limit is reached, or the value would not be finite any more.
    pub fn apply(&mut self, pending: &mut Pending) -> Result<(), Refusal> {
        let State { config, events, published, .. } = &mut *self.state;
        let owner = if self.created < self.room { Owner::Events(config, published) } else { Owner::Known(config) };
        match events.apply(owner, self.sender, pending, self.at) {
            Ok(applied) => {
                self.created += usize::from(applied.created);
                self.registry.metrics.redirected(applied.redirected);
                Ok(())
            }
            Err(reason) => {
                self.registry.metrics.refused(reason);
                Err(reason)
            }
        }
    }

    /// How many series this batch has made so far.
    #[must_use]
    pub const fn created(&self) -> usize {
        self.created
    }
}

impl Drop for Merge<'_> {
    fn drop(&mut self) {
        let State { config, events, .. } = &mut *self.state;
        events.relieve(config, RELIEF);
        self.registry.metrics.merged(self.at, &mut self.state.events);
        self.registry.wake(&mut self.state);
    }
}
