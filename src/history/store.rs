//! The store behind the lock: the table of series, the way to find them, and the rules by which they go.

use hashbrown::HashMap;

use super::budget::Budget;
use super::contract::{Appended, Window};
use super::index::{Index, SeriesId};
use super::series::{Refusal, Series};
use crate::model::{Labels, Matcher, Timestamp};

/// How far the newest sample moves on between two looks for samples beyond the retention.
const SWEEP_MILLIS: i64 = 60_000;

/// Samples that went because of their age or the budget.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Dropped {
    pub(super) retention: u64,
    pub(super) budget: u64,
}

#[derive(Debug)]
pub(super) struct Store {
    series: Vec<Option<Series>>,
    free: Vec<SeriesId>,
    ids: HashMap<Labels, SeriesId>,
    index: Index,
    budget: Budget,
    series_max: usize,
    retention_millis: i64,
    newest: Timestamp,
    swept: Timestamp,
}

impl Store {
    pub(super) fn new(bytes_max: usize, series_max: usize, retention_millis: i64) -> Self {
        Self {
            series: Vec::new(),
            free: Vec::new(),
            ids: HashMap::new(),
            index: Index::default(),
            budget: Budget::new(bytes_max),
            series_max: series_max.min(SeriesId::MAX as usize),
            retention_millis,
            newest: Timestamp::MIN,
            swept: Timestamp::MIN,
        }
    }

    pub(super) fn series_count(&self) -> usize {
        self.ids.len()
    }

    pub(super) const fn bytes(&self) -> usize {
        self.budget.used()
    }

    /// What is this old or older is not to be seen any more, whether or not its chunk has gone yet.
    const fn horizon(&self) -> Timestamp {
        self.newest.plus_millis(-self.retention_millis)
    }

    pub(super) fn append(&mut self, at: Timestamp, samples: &[(Labels, f64)]) -> (Appended, Dropped) {
        let mut appended = Appended::default();
        self.newest = self.newest.max(at);
        if at <= self.horizon() {
            appended.out_of_order = samples.len() as u64;
            return (appended, Dropped::default());
        }
        for (labels, value) in samples {
            let Some(id) = self.find_or_insert(labels) else {
                appended.over_limit += 1;
                continue;
            };
            let Some(Some(series)) = self.series.get_mut(id as usize) else { continue };
            match series.push(at, *value) {
                Ok(grown) => {
                    appended.stored += 1;
                    self.budget.add(grown);
                }
                Err(Refusal::OutOfOrder) => appended.out_of_order += 1,
                Err(Refusal::Duplicate) => appended.duplicate += 1,
            }
        }
        (appended, self.make_room())
    }

    fn find_or_insert(&mut self, labels: &Labels) -> Option<SeriesId> {
        if let Some(id) = self.ids.get(labels) {
            return Some(*id);
        }
        if self.ids.len() >= self.series_max {
            return None;
        }
        let id = match self.free.pop() {
            Some(id) => id,
            None => {
                let id = SeriesId::try_from(self.series.len()).ok()?;
                self.series.push(None);
                id
            }
        };
        *self.series.get_mut(id as usize)? = Some(Series::new(labels.clone()));
        self.ids.insert(labels.clone(), id);
        self.index.insert(id, labels);
        self.budget.add(Budget::series_bytes(labels));
        Some(id)
    }

    fn make_room(&mut self) -> Dropped {
        let mut dropped = Dropped::default();
        if self.newest.as_millis().saturating_sub(self.swept.as_millis()) >= SWEEP_MILLIS {
            self.swept = self.newest;
            dropped.retention = self.drop_until(self.horizon());
        }
        if let Some(cut) = self.budget.cut(self.series.iter().flatten().flat_map(Series::chunks)) {
            dropped.budget = self.drop_until(cut);
        }
        dropped
    }

    /// Drops every chunk that ends at or before `until`, and the series that have none left.
    fn drop_until(&mut self, until: Timestamp) -> u64 {
        let mut dropped = 0;
        let mut gone = Vec::new();
        for (place, slot) in self.series.iter_mut().enumerate() {
            let (Some(series), Ok(id)) = (slot.as_mut(), SeriesId::try_from(place)) else { continue };
            let (samples, bytes) = series.drop_until(until);
            dropped += samples;
            self.budget.release(bytes);
            if series.is_empty() {
                let labels = series.labels().clone();
                self.budget.release(Budget::series_bytes(&labels));
                self.ids.remove(&labels);
                self.free.push(id);
                gone.push((id, labels));
                *slot = None;
            }
        }
        if !gone.is_empty() {
            self.index.remove(&gone);
        }
        dropped
    }

    /// The matching series with a sample in the time, and that time cut to what is still to be seen.
    fn matching(&self, matchers: &[Matcher], after: Timestamp, until: Timestamp) -> (Timestamp, impl Iterator<Item = &Series>) {
        let after = after.max(self.horizon());
        let ids = self.index.select(matchers);
        let series = ids.into_iter().filter_map(|id| self.series.get(id as usize)?.as_ref());
        (after, series.filter(move |series| series.overlaps(after, until)))
    }

    pub(super) fn select(&self, matchers: &[Matcher], after: Timestamp, until: Timestamp) -> Vec<Window> {
        let (after, series) = self.matching(matchers, after, until);
        series
            .map(|series| {
                let mut samples = Vec::new();
                series.copy_window(after, until, &mut samples);
                Window { labels: series.labels().clone(), samples }
            })
            .collect()
    }

    pub(super) fn labels(&self, matchers: &[Matcher], after: Timestamp, until: Timestamp) -> Vec<Labels> {
        self.matching(matchers, after, until).1.map(|series| series.labels().clone()).collect()
    }
}
