//! The recent past in memory: who appends (the recorder, the rules) and who asks (the engine, the API) meet here.
//!
//! A series has a head, which takes samples in a compact form, and behind it sealed chunks, which are compressed and never
//! change. A query goes through its series in batches, and holds the lock while it reads the heads of one batch; chunks it decodes
//! afterwards. Sealing happens under a lock that readers share.

#![warn(clippy::indexing_slicing, clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_possible_wrap)]

mod ages;
mod archive;
mod blocks;
mod budget;
mod bytes;
mod chunk;
mod column;
mod contract;
mod decimal;
mod head;
mod index;
mod metrics;
mod numbers;
mod rehearsal;
mod series;
mod store;
mod timeline;
mod times;
mod walk;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

pub use archive::{Archive, Saved, SavedError};
pub use contract::{Append, Appended, Need, Query, QueryError, Refusal, Shortage, Visit, Window};

#[doc(hidden)]
pub use rehearsal::{rehearse_chunk, rehearse_file, rehearse_frame, rehearse_head, rehearse_samples};

use crate::clock::Moment;
use crate::model::{Labels, Matcher, PromDuration, Sample, Timestamp};
use crate::telemetry::Telemetry;
use index::SeriesId;
use metrics::Metrics;
use store::{Dropped, Store};
use timeline::Timeline;
use walk::{Walk, Wanted};

/// The `history` section of the configuration.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// How long every sample is kept, counted back from the newest one.
    pub retention: PromDuration,
    /// How long the last sample of each minute is kept, counted back from the newest one. Where that is not longer than `retention`,
    /// what is older goes altogether.
    pub thinned_retention: PromDuration,
    /// How often the registry is written into history.
    pub resolution: PromDuration,
    /// The most memory that history takes, in bytes (67108864 is 64 MiB). The oldest samples go first when it is used up. A series needs
    /// 768 bytes and twice the length of its labels; where there is no room for one more, it is refused as beyond `series_max`.
    pub bytes_max: usize,
    /// Whether history survives a restart: it is kept in the state folder then, written once a minute.
    pub persist: bool,
    /// The most series that history holds at a time. Samples of new series beyond it are refused and counted.
    pub series_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            retention: PromDuration::from_secs(6 * 3600),
            thinned_retention: PromDuration::from_secs(7 * 24 * 3600),
            resolution: PromDuration::from_secs(5),
            bytes_max: 64 << 20,
            persist: true,
            series_max: 50_000,
        }
    }
}

/// Recent samples in memory. A clone is a handle to the same history.
#[derive(Clone, Debug)]
pub struct History {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// Held by the one who appends, from the first sample to the last chunk, so that nobody else changes the store meanwhile. It
    /// guards a list that is kept for its room.
    full: Mutex<Vec<SeriesId>>,
    store: RwLock<Store>,
    timeline: Mutex<Timeline>,
    metrics: Metrics,
    /// Of which need the log has said that it is not met.
    told: Mutex<Option<Need>>,
}

impl History {
    /// An empty history.
    #[must_use]
    pub fn new(config: &Config, telemetry: &Telemetry) -> Self {
        let store = Store::new(config);
        Self {
            shared: Arc::new(Shared {
                full: Mutex::default(),
                store: RwLock::new(store),
                timeline: Mutex::default(),
                metrics: Metrics::new(telemetry),
                told: Mutex::default(),
            }),
        }
    }

    /// How many series there are.
    #[must_use]
    pub fn series_count(&self) -> usize {
        self.read().series_count()
    }

    /// How many bytes of the budget are used.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.read().bytes()
    }

    /// Between two batches of series whoever appends has a chance.
    fn walk(
        &self,
        matchers: &[Matcher],
        (after, until): (Timestamp, Timestamp),
        wanted: Wanted,
        visit: Visit<'_>,
    ) -> Result<(), QueryError> {
        let timeline = self.timeline();
        let mut walk = Walk::new(matchers, timeline.inward(after), timeline.inward(until), wanted);
        let mut moved: Vec<Sample> = Vec::new();
        let mut visit_moved = |labels: &Labels, samples: &[Sample]| {
            if timeline.is_even() {
                return visit(labels, samples);
            }
            moved.clear();
            moved.extend(samples.iter().map(|sample| Sample { at: timeline.outward(sample.at), ..*sample }));
            visit(labels, &moved)
        };
        while walk.take(&self.read()) {
            if walk.visit(&mut visit_moved)?.is_break() {
                break;
            }
        }
        Ok(())
    }

    /// The labels of the matching series with a sample in the time, which is the clock's.
    fn labels(&self, matchers: &[Matcher], after: Timestamp, until: Timestamp) -> Vec<Labels> {
        let timeline = self.timeline();
        self.read().labels(matchers, timeline.inward(after), timeline.inward(until))
    }

    fn timeline(&self) -> Timeline {
        *self.shared.timeline.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Goes on after what was read back, and answers how many milliseconds later than now that is.
    fn resume(&self, newest: Timestamp, now: Timestamp) -> i64 {
        self.shared.timeline.lock().unwrap_or_else(PoisonError::into_inner).resume(newest, now)
    }

    /// Brings the metrics up to date, and logs what is needed and not held, once for each need.
    fn measure(&self, store: &Store) {
        self.shared.metrics.measure(store);
        let mut told = self.shared.told.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(shortage) = news(&mut told, store.shortage()) {
            tracing::warn!("{shortage}");
        }
    }

    /// A panic while the lock was held cannot leave a sample half written, so a poisoned lock is used on.
    fn read(&self) -> RwLockReadGuard<'_, Store> {
        self.shared.store.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Store> {
        self.shared.store.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Append for History {
    fn append(&self, at: Timestamp, samples: &[(Labels, f64)]) -> Appended {
        let mut full = self.shared.full.lock().unwrap_or_else(PoisonError::into_inner);
        full.clear();
        let at = self.timeline().stamp(at);
        let mut store = self.write();
        let appended = store.append(at, samples, &mut full);
        if !full.is_empty() {
            drop(store);
            let sealed = self.read().seal(&full);
            self.shared.metrics.count_sealed(sealed.len());
            store = self.write();
            store.install(sealed);
        }
        let mut dropped = Dropped::default();
        if store.is_sweep_due() {
            drop(store);
            let thinned = self.read().thin();
            store = self.write();
            dropped = store.sweep(thinned);
        }
        dropped.budget = store.make_room();
        store.judge();
        self.measure(&store);
        drop(store);
        self.shared.metrics.count(&appended, dropped);
        appended
    }

    fn heed(&self, now: Moment) {
        let jump = self.shared.timeline.lock().unwrap_or_else(PoisonError::into_inner).heed(now);
        if jump < 0 {
            let seconds = jump.saturating_neg() / 1000;
            tracing::warn!(seconds, "the clock was set back: history goes on, and shows what was before so much earlier");
        }
    }

    fn need(&self, need: Need) {
        let mut store = self.write();
        store.set_need(need);
        self.measure(&store);
    }

    fn shortage(&self) -> Option<Shortage> {
        self.read().shortage().cloned()
    }
}

/// The shortage, where it is of another need than the one that has been told.
fn news<'s>(told: &mut Option<Need>, shortage: Option<&'s Shortage>) -> Option<&'s Shortage> {
    let need = shortage.map(|shortage| &shortage.need);
    if told.as_ref() == need {
        return None;
    }
    *told = need.cloned();
    shortage
}

impl Query for History {
    fn thinned_until(&self) -> Option<Timestamp> {
        let until = self.read().thinned_until()?;
        Some(self.timeline().outward(until))
    }

    fn visit(&self, matchers: &[Matcher], after: Timestamp, until: Timestamp, visit: Visit<'_>) -> Result<(), QueryError> {
        self.walk(matchers, (after, until), Wanted::All, visit)
    }

    fn visit_newest(&self, matchers: &[Matcher], after: Timestamp, until: Timestamp, visit: Visit<'_>) -> Result<(), QueryError> {
        self.walk(matchers, (after, until), Wanted::Newest, visit)
    }

    fn series(&self, matchers: &[Matcher], after: Timestamp, until: Timestamp) -> Result<Vec<Labels>, QueryError> {
        let mut series = self.labels(matchers, after, until);
        series.sort_unstable();
        Ok(series)
    }

    fn label_names(&self, matchers: &[Matcher], after: Timestamp, until: Timestamp) -> Result<Vec<String>, QueryError> {
        let series = self.labels(matchers, after, until);
        let names: BTreeSet<&str> = series.iter().flatten().map(|(name, _)| name).collect();
        Ok(names.into_iter().map(str::to_owned).collect())
    }

    fn label_values(&self, name: &str, matchers: &[Matcher], after: Timestamp, until: Timestamp) -> Result<Vec<String>, QueryError> {
        let series = self.labels(matchers, after, until);
        let values: BTreeSet<&str> = series.iter().filter_map(|labels| labels.get(name)).collect();
        Ok(values.into_iter().map(str::to_owned).collect())
    }
}
