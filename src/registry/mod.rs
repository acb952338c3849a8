//! Live instruments: what every series holds now, whoever measured it. Events arrive as batches of changes
//! ([`Registry::merge`]); collectors and services hand in whole families ([`Registry::publish`]).

#![warn(clippy::indexing_slicing, clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_possible_wrap)]

mod bounds;
mod bytes;
mod claims;
mod config;
mod events;
mod help;
mod instrument;
mod journal;
mod merge;
mod metrics;
mod publish;
mod refusal;
mod series;
mod task;
mod walk;

pub use bounds::{Bounds, BoundsError};
pub use config::{Buckets, Config};
pub use help::described;
pub use journal::{Journal, JournalConfig};
#[doc(hidden)]
pub use journal::{rehearse_files, rehearse_record};
pub use merge::{Merge, Pending};
pub use refusal::Refusal;
pub use series::Place;
pub use task::{PART, run};
pub use walk::{Cursor, Head, Reader, Reading};

use std::hash::RandomState;
use std::ops::Range;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use self::events::Owner;
use self::walk::Copies;
use crate::model::{Change, Family, Labels, MetricType, SeriesKey, Timestamp};
use crate::telemetry::Telemetry;

/// So many series are looked at to relieve memory while the lock is held.
const RELIEF: usize = 1024;

/// All live series of this agent. One lock, held for one batch or one reading at a time.
#[derive(Debug)]
pub struct Registry {
    state: Mutex<State>,
    /// Wakes the journal's writer.
    work: Condvar,
    progress: journal::Progress,
    metrics: metrics::Metrics,
    members: RandomState,
}

#[derive(Debug, Default)]
struct State {
    config: Config,
    events: events::Events,
    published: publish::Published,
    /// The journal's writer sleeps until there is something to write.
    writer_waits: bool,
}

impl Registry {
    /// An empty registry.
    #[must_use]
    pub fn new(config: &Config, telemetry: &Telemetry) -> Arc<Self> {
        let state = State { config: config.clone(), ..State::default() };
        let (work, progress) = (Condvar::new(), journal::Progress::default());
        let (metrics, members) = (metrics::Metrics::new(telemetry), RandomState::new());
        Arc::new(Self { state: Mutex::new(state), work, progress, metrics, members })
    }

    /// Takes new limits and buckets. Series that exist stay, and a histogram keeps the buckets it began with.
    pub fn reconfigure(&self, config: &Config) {
        self.state().config = config.clone();
    }

    /// Replaces what `source` (a collector, a service) said before by `families`.
    pub fn publish(&self, source: &'static str, families: Vec<Family>) {
        self.state().published.replace(source, families);
    }

    /// Learns what metrics mean that events will make: their names, and a sentence about each.
    pub fn describe(&self, helps: impl Iterator<Item = (&'static str, &'static str)>) {
        self.state().events.describe(helps);
    }

    /// Begins to take in a sender's changes.
    pub fn merge(&self, sender: u64, at: Timestamp) -> Merge<'_> {
        Merge::new(self, self.state(), sender, at)
    }

    /// A counter of the agent's own that lives here, because what it counts has to be as lasting as the events: it is
    /// there from now on, takes no part in limits, and does not expire. `help` is that of its family.
    #[must_use]
    pub fn own_counter(&self, name: &str, help: &str, labels: Labels, at: Timestamp) -> Pending {
        self.own(name, MetricType::Counter, help, labels, at)
    }

    /// A gauge of the agent's own that lives here, for the same reason.
    #[must_use]
    pub fn own_gauge(&self, name: &str, help: &str, labels: Labels, at: Timestamp) -> Pending {
        self.own(name, MetricType::Gauge, help, labels, at)
    }

    fn own(&self, name: &str, kind: MetricType, help: &str, labels: Labels, at: Timestamp) -> Pending {
        let key = SeriesKey { name: Arc::from(name), kind, labels };
        let mut pending = Pending::new(key, Change::none(kind, || Arc::from([])));
        let events = &mut self.state().events;
        // The agent's names are reserved and of one type each; if one were not, the first merge would say so.
        pending.place = events.find_or_make(Owner::Agent(help), &pending.key, at).ok().map(|found| events.place(found.index));
        pending
    }

    /// Ends the interval of all sets: what they have counted is shown until the next one ends.
    pub fn turn_sets(&self) {
        self.state().events.turn();
    }

    /// What the members of sets are hashed with: the same for all senders, or they would not meet, and keyed anew in each
    /// process, so that nobody can choose members whose hashes fall together. (Not the map's own hash function, which is
    /// quicker and whose bits are too poor for a sketch.)
    #[must_use]
    pub fn member_hasher(&self) -> RandomState {
        self.members.clone()
    }

    /// Takes a sender that is gone out of the gauges that are merged over live senders. Its counts stay.
    pub fn forget(&self, sender: u64) {
        let mut state = self.state();
        state.events.forget(sender);
        self.metrics.sized(&mut state.events);
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
        let mut copies = Copies(self.published().iter().flat_map(|families| families.iter()).cloned().collect());
        self.walk(&mut copies);
        publish::in_order(copies.0)
    }

    /// What each source has published.
    #[must_use]
    pub fn published(&self) -> Vec<Arc<Vec<Family>>> {
        self.state().published.share()
    }

    /// Reads all families that events have made, by name and without their series, a piece at a time.
    pub fn heads(&self, mut see: impl FnMut(&Head<'_>)) {
        let mut last = None;
        while self.state().events.heads(&mut last, &mut see) {}
    }

    /// Reads all series that events have made, a piece at a time: a series that changes meanwhile shows its old value or
    /// its new one, one that is made meanwhile may be missing. At the end what was read can be shown: see
    /// [`Registry::settle`].
    pub fn walk(&self, reader: &mut impl Reader) {
        let mut cursor = Cursor::default();
        while self.read_on(&mut cursor, reader) {}
    }

    /// Begins a walk of whoever records, and answers numbers: series that have them have been made since the last such walk began, and
    /// are neither restored nor back from idle time. Each series is in the answer once.
    #[must_use]
    pub fn begin_recording(&self) -> Range<u64> {
        self.state().events.begin_recording()
    }

    /// Reads the next piece of a walk, for a reader that does something else in between; false at the end. What was read can
    /// be shown: see [`Registry::settle`].
    pub fn read_on(&self, cursor: &mut Cursor, reader: &mut impl Reader) -> bool {
        cursor.begin();
        let more = self.state().events.read(cursor, reader);
        self.settle();
        more
    }

    /// Wakes the journal's writer where it sleeps and there is something to write.
    fn wake(&self, state: &mut State) {
        if state.events.pen.holds() && std::mem::take(&mut state.writer_waits) {
            self.work.notify_one();
        }
    }

    /// Retires series that have been idle for long, and gives up those that have been so for longer still, a piece at a time.
    pub fn expire(&self, at: Timestamp) {
        let mut sweep = self.state().events.begin_sweep(at);
        loop {
            let mut state = self.state();
            let State { config, events, .. } = &mut *state;
            let more = events.sweep(&mut sweep, config);
            self.metrics.sized(events);
            self.wake(&mut state);
            if !more {
                return;
            }
        }
    }

    /// Gives up what there is no memory for, a piece at a time.
    fn relieve(&self) {
        loop {
            let mut state = self.state();
            let State { config, events, .. } = &mut *state;
            let more = events.relieve(config, RELIEF);
            self.metrics.sized(events);
            self.wake(&mut state);
            if !more {
                return;
            }
        }
    }

    /// What has happened that whoever runs the agent has to know, since this was asked last.
    fn take_news(&self) -> Vec<events::News> {
        self.state().events.take_news()
    }

    /// What has too many series, in a sentence.
    fn crowded(&self) -> Option<String> {
        let state = self.state();
        let mut collapsed = state.events.collapsed();
        let Some((metric, label)) = collapsed.next() else {
            let told = "memory is short (registry.bytes_max): retired series, exemplars and resolution of histograms are given up";
            return state.events.is_shedding().then(|| told.to_owned());
        };
        let more = match collapsed.count() {
            0 => String::new(),
            more => format!(", and {more} more"),
        };
        Some(format!("too many series: new values of {label} in {metric} become __other__{more}"))
    }

    /// A panic while the lock was held can at worst have lost a part of one batch; the rest is still true.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
