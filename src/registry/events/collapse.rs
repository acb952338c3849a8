//! Series beyond the caps. A label with too many values is replaced in the labels of new series, and then the next one,
//! until they are those of a series that exists or that still has room: so every change lands somewhere, and totals over
//! the metric stay right. What was decided stays with the family, so that a flood of new values costs two look-ups each.

use std::cmp::Reverse;
use std::sync::Arc;

use hashbrown::{HashMap, HashSet};

use super::{Applied, EventFamily, Events, Found};
use crate::model::Labels;
use crate::model::Timestamp;
use crate::registry::Config;
use crate::registry::series::Standing;

/// What stands for the values of a label that has too many.
pub(super) const OTHER: &str = "__other__";
/// The label that is replaced after all others: `job` in history comes from it.
const LAST: &str = "service_name";
/// So many labels of a metric are replaced. What does not fit then goes to one series.
const LABELS_MAX: usize = 8;
/// So many series, the newest ones, are looked at to find the label with most values.
const LOOKED_AT_MAX: usize = 10_000;
/// One part in so many of each cap is added to it for series in place of others.
const ROOM_PARTS: usize = 10;
/// So many news wait to be told.
const NEWS_MAX: usize = 100;

/// What is replaced in the new series of a metric.
#[derive(Debug, Default)]
pub(super) struct Collapse {
    /// Labels of which the value is replaced, in the order in which it was decided.
    labels: Vec<Arc<str>>,
    /// The labels of the series that takes everything else.
    rest: Option<Labels>,
}

/// What whoever runs the agent has to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::registry) enum News {
    /// The label of a metric has too many values.
    Collapsed {
        /// The metric's name.
        metric: Arc<str>,
        /// The label's name.
        label: Arc<str>,
        /// How many values there were among the series that were looked at.
        values: usize,
    },
    /// There is room again for new series of a metric.
    Lifted {
        /// The metric's name.
        metric: Arc<str>,
    },
    /// Series take so many bytes that some of what they hold is given up.
    Short {
        /// So many.
        bytes: usize,
    },
    /// They take much less again.
    Relieved,
}

impl Events {
    /// Whether there is room under the caps for another series.
    pub(super) fn has_room(&self, family: u32, config: &Config) -> bool {
        let Some(state) = self.family(family) else { return false };
        let below = self.counts.counted < config.series_max && state.counts.counted < config.series_per_metric_max;
        below && self.has_bytes(config) && self.may_be_named(family, config)
    }

    /// Whether there is room for another series in place of others.
    fn has_room_in_place(&self, family: u32, config: &Config) -> bool {
        let Some(state) = self.family(family) else { return false };
        let below = self.counts.overflow < config.series_max / ROOM_PARTS;
        below && state.counts.overflow < config.series_per_metric_max / ROOM_PARTS && self.has_bytes_in_place(config)
    }

    /// Whether the family counts among all names, or may.
    pub(super) fn may_be_named(&self, family: u32, config: &Config) -> bool {
        self.named < config.families_max || self.family(family).is_some_and(|state| !state.counts.is_empty())
    }

    /// Whether one of these labels is replaced in new series.
    pub(super) fn is_collapsed(&self, family: u32, labels: &Labels) -> bool {
        self.family(family).and_then(|state| state.collapse.as_deref()).is_some_and(|collapse| collapse.concerns(labels))
    }

    /// The series that there is already in place of the one with these labels.
    pub(super) fn find_in_place(&mut self, family: u32, config: &Config, labels: &Labels) -> Option<Found> {
        let replaced = self.family(family)?.collapse.as_deref()?.replace(labels)?;
        let index = self.find(family, &replaced)?;
        if !self.is_shown(index) {
            if !self.has_room_in_place(family, config) {
                return None;
            }
            self.revive(index, Standing::Overflow);
        }
        Some(elsewhere(index))
    }

    /// The series in place of the one with these labels, which has no room; `None` where no series can be made at all.
    pub(super) fn make_in_place(&mut self, family: u32, config: &Config, labels: &Labels, at: Timestamp) -> Option<Found> {
        // There is one such series, so it needs no other in its place.
        if labels.is_empty() {
            return self.make_series(family, labels, Standing::Overflow, at);
        }
        loop {
            if let Some(found) = self.find_in_place(family, config, labels) {
                return Some(found);
            }
            let state = self.family(family)?;
            if let Some(collapse) = state.collapse.as_deref()
                && self.has_room_in_place(family, config)
            {
                let replaced = collapse.replace(labels);
                let made = self.make_series(family, replaced.as_ref().unwrap_or(labels), Standing::Overflow, at);
                return made.map(|found| found.redirected_if(replaced.is_some()));
            }
            if !self.collapse_another(family, labels) {
                break;
            }
        }
        let rest = self.rest(family, labels)?;
        match self.find(family, &rest).filter(|index| self.is_shown(*index)) {
            Some(index) => Some(elsewhere(index)),
            None => self.make_series(family, &rest, Standing::Overflow, at).map(|found| found.redirected_if(rest != *labels)),
        }
    }

    /// Metrics and their labels that are replaced now.
    pub(in crate::registry) fn collapsed(&self) -> impl Iterator<Item = (&str, &str)> {
        let families = self.by_name.values().filter_map(|family| self.family(*family));
        families.flat_map(|state| {
            let labels = state.collapse.iter().flat_map(|collapse| &collapse.labels);
            labels.map(|label| (&*state.name, &**label))
        })
    }

    /// True once after labels were collapsed or were so no longer.
    pub(in crate::registry) const fn take_collapses_changed(&mut self) -> bool {
        std::mem::replace(&mut self.collapses_changed, false)
    }

    /// What has happened since this was asked last.
    pub(in crate::registry) fn take_news(&mut self) -> Vec<News> {
        std::mem::take(&mut self.news)
    }

    pub(super) fn tell(&mut self, news: News) {
        self.collapses_changed = true;
        if self.news.len() < NEWS_MAX {
            self.news.push(news);
        }
    }

    /// Decides which label is replaced next. False where that would change nothing for these labels.
    fn collapse_another(&mut self, family: u32, labels: &Labels) -> bool {
        let Some((label, values)) = self.family(family).and_then(|state| self.most_values(state, labels)) else { return false };
        let Some(state) = self.family_mut(family) else { return false };
        state.collapse.get_or_insert_default().labels.push(Arc::clone(&label));
        let metric = Arc::clone(&state.name);
        self.tell(News::Collapsed { metric, label, values });
        true
    }

    /// The label with most values among those that are not replaced yet, and how many these are.
    fn most_values(&self, state: &EventFamily, labels: &Labels) -> Option<(Arc<str>, usize)> {
        let done = state.collapse.as_deref().map_or(&[][..], |collapse| &collapse.labels);
        let is_done = |name: &str| done.iter().any(|other| **other == *name);
        if done.len() >= LABELS_MAX || labels.iter().all(|(name, _)| is_done(name)) {
            return None;
        }
        // First what all series say; then what those say that have filled the room in place of the others.
        let standing = if done.is_empty() { Standing::Counted } else { Standing::Overflow };
        let mut values: HashMap<&str, HashSet<&str>> = HashMap::new();
        for (name, value) in self.newest(state, standing).chain([labels]).flatten().filter(|(name, _)| !is_done(name)) {
            values.entry(name).or_default().insert(value);
        }
        let most = values.iter().max_by_key(|(name, values)| (**name != LAST, values.len(), Reverse(**name)));
        most.map(|(name, values)| (Arc::from(*name), values.len()))
    }

    /// The labels of the series that takes what fits nowhere else: those that most series have, all replaced.
    fn rest(&mut self, family: u32, labels: &Labels) -> Option<Labels> {
        let state = self.family(family)?;
        let collapse = state.collapse.as_deref()?;
        let rest = collapse.rest.clone().unwrap_or_else(|| {
            let usual = self.usual(state, labels);
            let usual = usual.iter().copied().chain(collapse.labels.first().map(|label| &**label));
            Labels::from_pairs(usual.map(|name| (name, OTHER)))
        });
        self.family_mut(family)?.collapse.as_deref_mut()?.rest = Some(rest.clone());
        Some(rest)
    }

    /// The labels that more than half of a metric's series have, the one with these labels included.
    fn usual<'e>(&'e self, state: &'e EventFamily, labels: &'e Labels) -> Vec<&'e str> {
        let mut having: HashMap<&str, usize> = HashMap::new();
        let mut all = 0;
        for labels in self.newest(state, Standing::Counted).chain(self.newest(state, Standing::Overflow)).chain([labels]) {
            all += 1;
            labels.iter().for_each(|(name, _)| *having.entry(name).or_default() += 1);
        }
        having.into_iter().filter(|(_, count)| count * 2 > all).map(|(name, _)| name).collect()
    }

    fn newest<'e>(&'e self, state: &'e EventFamily, standing: Standing) -> impl Iterator<Item = &'e Labels> {
        let live = state.members.iter().rev().take(LOOKED_AT_MAX).filter_map(|index| self.slab.get(*index));
        live.filter(move |live| live.standing == standing && !live.retired).map(|live| &live.labels)
    }
}

impl Collapse {
    /// Whether one of these labels is replaced.
    fn concerns(&self, labels: &Labels) -> bool {
        labels.iter().any(|(name, _)| self.replaces(name))
    }

    fn replaces(&self, name: &str) -> bool {
        self.labels.iter().any(|label| **label == *name)
    }

    /// The labels with values replaced; `None` where nothing is to be replaced.
    fn replace(&self, labels: &Labels) -> Option<Labels> {
        self.concerns(labels).then(|| labels.replaced(|name| self.replaces(name), OTHER))
    }
}

impl Found {
    const fn redirected_if(mut self, redirected: bool) -> Self {
        self.applied.redirected = redirected;
        self
    }
}

const fn elsewhere(index: u32) -> Found {
    Found { index, applied: Applied { created: false, redirected: true } }
}
