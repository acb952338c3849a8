//! Live instruments: what every series holds now, whoever measured it. Events arrive as batches of changes
//! ([`Registry::merge`]); collectors and services hand in whole families ([`Registry::publish`]).

#![warn(clippy::indexing_slicing, clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_possible_wrap)]

mod bounds;
mod claims;
mod config;
mod events;
mod help;
mod instrument;
mod metrics;
mod publish;
mod refusal;

pub use bounds::{Bounds, BoundsError};
pub use config::{Buckets, Config};
pub use help::described;
pub use refusal::{Refusal, Refused};

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::model::{Batch, Family, Timestamp};
use crate::telemetry::Telemetry;

/// All live series of this agent. One lock, held for one batch or one reading at a time.
#[derive(Debug)]
pub struct Registry {
    state: Mutex<State>,
    metrics: metrics::Metrics,
}

#[derive(Debug, Default)]
struct State {
    config: Config,
    events: events::Events,
    published: publish::Published,
}

impl Registry {
    /// An empty registry.
    #[must_use]
    pub fn new(config: &Config, telemetry: &Telemetry) -> Arc<Self> {
        let state = State { config: config.clone(), ..State::default() };
        Arc::new(Self { state: Mutex::new(state), metrics: metrics::Metrics::new(telemetry) })
    }

    /// Takes new limits and buckets. Series that exist stay, and a histogram keeps the buckets it began with.
    pub fn reconfigure(&self, config: &Config) {
        self.state().config = config.clone();
    }

    /// Replaces what `source` (a collector, a service) said before by `families`.
    pub fn publish(&self, source: &'static str, families: Vec<Family>) {
        self.state().published.replace(source, families);
    }

    /// Applies a session's changes. Changes that are refused leave no trace here and are named by their place in the
    /// batch; all others are applied.
    pub fn merge(&self, batch: &Batch, at: Timestamp) -> Vec<Refused> {
        let mut state = self.state();
        let State { config, events, published } = &mut *state;
        let mut refused = Vec::new();
        for (index, delta) in batch.deltas.iter().enumerate() {
            if let Err(reason) = events.apply(config, published, batch.sender, delta) {
                refused.push(Refused { index, reason });
            }
        }
        self.metrics.merged(at, events, &refused);
        refused
    }

    /// Takes a sender that is gone out of the gauges that are merged over live senders. Its counts stay.
    pub fn forget(&self, sender: u64) {
        let mut state = self.state();
        state.events.forget(sender);
        self.metrics.sized(&state.events);
    }

    /// The classic buckets of the histogram with this name: those it has, else those the configuration gives it.
    #[must_use]
    pub fn bounds(&self, name: &str) -> Arc<[f64]> {
        let state = self.state();
        state.events.bounds(name).unwrap_or_else(|| state.config.buckets.of(name))
    }

    /// Everything that is known now: families by name, their series by labels.
    #[must_use]
    pub fn families(&self) -> Vec<Family> {
        let state = self.state();
        publish::in_order(state.published.families().cloned().chain(state.events.families()).collect())
    }

    /// A panic while the lock was held can at worst have lost a part of one batch; the rest is still true.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
