//! The store behind the lock: the table of series, the way to find them, and the rules by which they go.

use hashbrown::HashMap;

use super::Config;
use super::ages::{Ages, Next};
use super::archive::Ordered;
use super::blocks::Blocks;
use super::budget::Budget;
use super::chunk::Decoder;
use super::column::{Closed, Grade};
use super::contract::{Appended, Need, Refusal, Shortage};
use super::index::{Index, SeriesId};
use super::series::{Round, Series, Thinned};
use crate::model::{Labels, Matcher, Timestamp};

/// How far the newest sample moves on between two looks for samples beyond the retention.
const SWEEP_MILLIS: i64 = 60_000;

/// Samples that went because of their age, of others in the same minute, or of the budget.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Dropped {
    pub(super) retention: u64,
    pub(super) thinned: u64,
    pub(super) budget: u64,
}

#[derive(Debug)]
pub(super) struct Store {
    series: Vec<Option<Series>>,
    free: Vec<SeriesId>,
    ids: HashMap<Labels, SeriesId>,
    index: Index,
    blocks: Blocks,
    budget: Budget,
    /// Made when the budget is used up for the first time.
    ages: Option<Ages>,
    samples: u64,
    /// How often something was appended.
    appends: Round,
    removals: u64,
    series_max: usize,
    retention_millis: i64,
    thinned_millis: i64,
    newest: Timestamp,
    swept: Timestamp,
    /// Up to where everything had to go for the budget's sake.
    cut: Timestamp,
    /// How far back somebody looks.
    need: Need,
    /// What of that is not held, and the cut at which that was seen.
    shortage: Option<Shortage>,
    judged: Timestamp,
}

impl Store {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            series: Vec::new(),
            free: Vec::new(),
            ids: HashMap::new(),
            index: Index::default(),
            blocks: Blocks::default(),
            budget: Budget::new(config.bytes_max),
            ages: None,
            samples: 0,
            appends: Round::default(),
            removals: 0,
            series_max: config.series_max.min(SeriesId::MAX as usize),
            retention_millis: config.retention.as_millis(),
            thinned_millis: config.thinned_retention.as_millis(),
            newest: Timestamp::MIN,
            swept: Timestamp::MIN,
            cut: Timestamp::MIN,
            need: Need::default(),
            shortage: None,
            judged: Timestamp::MIN,
        }
    }

    pub(super) fn series_count(&self) -> usize {
        self.ids.len()
    }

    pub(super) const fn bytes(&self) -> usize {
        self.budget.used()
    }

    /// The time of the newest sample; the earliest of all times where there is none.
    /// Which append was the last one.
    pub(super) const fn appends(&self) -> Round {
        self.appends
    }

    pub(super) const fn newest(&self) -> Timestamp {
        self.newest
    }

    /// How many samples there are.
    pub(super) const fn samples(&self) -> u64 {
        self.samples
    }

    /// What is this old or older is not taken in any more, and of what is there only the last sample of each minute stays.
    const fn horizon(&self) -> Timestamp {
        self.newest.plus_millis(-self.retention_millis)
    }

    /// What is this old or older is not to be seen any more, whether or not its chunk has gone yet.
    pub(super) fn end(&self) -> Timestamp {
        self.newest.plus_millis(-self.retention_millis.max(self.thinned_millis))
    }

    pub(super) fn set_need(&mut self, need: Need) {
        if need != self.need {
            self.need = need;
            self.shortage = None;
        }
        self.judge();
    }

    /// How far back somebody looks, in milliseconds.
    pub(super) const fn needed_millis(&self) -> i64 {
        self.need.millis
    }

    /// What is needed and not held.
    pub(super) const fn shortage(&self) -> Option<&Shortage> {
        self.shortage.as_ref()
    }

    /// Sees whether what is needed is held. With each cut for the budget history gets shorter, and longer again until the next one: it
    /// stays short until it goes back an eighth further than need be, and is as long as it was after the last cut that left too little.
    pub(super) fn judge(&mut self) {
        let kept = self.retention_millis.max(self.thinned_millis);
        let cut = (self.cut > Timestamp::MIN).then(|| self.newest.as_millis().saturating_sub(self.cut.as_millis()));
        let over_budget = cut.is_some_and(|cut| cut < kept);
        let held_millis = cut.map_or(kept, |cut| cut.min(kept));
        let is_cut = std::mem::replace(&mut self.judged, self.cut) != self.cut;
        let need = self.need.millis;
        match &mut self.shortage {
            None if held_millis < need => self.shortage = Some(Shortage { need: self.need.clone(), held_millis, over_budget }),
            None => {}
            Some(shortage)
                if held_millis < need && (is_cut || held_millis < shortage.held_millis || over_budget != shortage.over_budget) =>
            {
                (shortage.held_millis, shortage.over_budget) = (held_millis, over_budget);
            }
            Some(_) if held_millis < need || over_budget && held_millis < need.saturating_add(need / 8) => {}
            Some(_) => self.shortage = None,
        }
    }

    /// Up to when samples may have been thinned; `None` where nothing is thinned.
    pub(super) fn thinned_until(&self) -> Option<Timestamp> {
        (self.thinned_millis > self.retention_millis && self.newest > Timestamp::MIN).then(|| self.horizon())
    }

    /// Takes samples in. The series whose heads are full afterwards are in `full`.
    pub(super) fn append(&mut self, at: Timestamp, samples: &[(Labels, f64)], full: &mut Vec<SeriesId>) -> Appended {
        let mut appended = Appended::default();
        self.newest = self.newest.max(at);
        self.appends = self.appends.next();
        if at <= self.horizon() {
            samples.iter().for_each(|(_, value)| appended.refuse(Refusal::OutOfOrder, *value));
            return appended;
        }
        let mut before = None;
        for (labels, value) in samples {
            let Some(id) = self.find_or_insert(before, labels) else {
                appended.refuse(Refusal::OverLimit, *value);
                continue;
            };
            before = Some(id);
            let Some(Some(series)) = self.series.get_mut(id as usize) else { continue };
            match series.push(&mut self.blocks, at, *value, self.appends) {
                Ok(None) => appended.known += 1,
                Ok(Some(grown)) => {
                    appended.stored += 1;
                    self.budget.add(grown);
                    if series.is_full(id) {
                        full.push(id);
                    }
                }
                Err(refusal) => appended.refuse(refusal, *value),
            }
        }
        self.samples += appended.stored;
        appended
    }

    /// Chunks of these series' heads. Nothing is changed, so that readers need not wait.
    pub(super) fn seal(&self, full: &[SeriesId]) -> Vec<(SeriesId, Closed)> {
        full.iter().filter_map(|id| Some((*id, self.series(*id)?.seal(&self.blocks)?))).collect()
    }

    /// Puts chunks in the place of the heads that they were made of; nothing may have been appended in between.
    pub(super) fn install(&mut self, sealed: Vec<(SeriesId, Closed)>) {
        for (id, closed) in sealed {
            let Some(Some(series)) = self.series.get_mut(id as usize) else { continue };
            let (taken, given) = series.replace_head(&mut self.blocks, closed);
            self.budget.add(taken);
            self.budget.release(given);
            // The newest samples stay in the head, so that the chunk ends before the head did.
            self.list(id);
        }
    }

    pub(super) fn series(&self, id: SeriesId) -> Option<&Series> {
        self.series.get(id as usize)?.as_ref()
    }

    /// Writers bring the same series in the same order each time. So the series that followed `before` the last time is most likely
    /// the one, and to see that it is takes a comparison of two pointers.
    fn find_or_insert(&mut self, before: Option<SeriesId>, labels: &Labels) -> Option<SeriesId> {
        let guess = before.and_then(|before| self.series(before)).map(|series| series.follower);
        if let Some(id) = guess.filter(|id| self.series(*id).is_some_and(|series| series.labels() == labels)) {
            return Some(id);
        }
        let id = self.find_or_insert_unguessed(labels)?;
        if let Some(Some(series)) = before.and_then(|before| self.series.get_mut(before as usize)) {
            series.follower = id;
        }
        Some(id)
    }

    fn find_or_insert_unguessed(&mut self, labels: &Labels) -> Option<SeriesId> {
        if let Some(id) = self.ids.get(labels) {
            return Some(*id);
        }
        if self.ids.len() >= self.series_max || !self.budget.enter(labels) {
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
        if self.ages.as_ref().is_some_and(|ages| ages.is_stale(self.ids.len())) {
            self.ages = None;
        }
        if let Some(ages) = &mut self.ages {
            ages.put(i64::MIN, id);
        }
        Some(id)
    }

    /// All series, with their places.
    pub(super) fn entries(&self) -> impl Iterator<Item = (SeriesId, &Series)> {
        self.series.iter().enumerate().filter_map(|(place, series)| Some((SeriesId::try_from(place).ok()?, series.as_ref()?)))
    }

    /// How many places there are.
    pub(super) const fn places(&self) -> usize {
        self.series.len()
    }

    /// Takes a series that was read back, which is not there yet, and says how many samples it has. Beyond the limit there are none.
    pub(super) fn restore(&mut self, labels: &Labels, minutes: Ordered, full: Ordered) -> u64 {
        let grades = [(Grade::Minutes, minutes), (Grade::Full, full)];
        if self.ids.contains_key(labels) || grades.iter().all(|(_, ordered)| ordered.chunks.is_empty() && ordered.head.is_empty()) {
            return 0;
        }
        let Some(id) = self.find_or_insert_unguessed(labels) else { return 0 };
        let Some(Some(series)) = self.series.get_mut(id as usize) else { return 0 };
        let mut taken = 0;
        for (grade, ordered) in grades {
            let (samples, bytes) = series.restore(&mut self.blocks, grade, ordered.chunks, ordered.head);
            taken += samples;
            self.budget.add(bytes);
        }
        if let Some(newest) = series.newest() {
            self.newest = self.newest.max(Timestamp::from_millis(newest));
        }
        self.samples += taken;
        taken
    }

    /// Up to which times nothing is kept any more: of minutes, and of all samples.
    pub(super) fn forgotten(&self) -> [i64; 2] {
        let back = |millis: i64| self.swept.plus_millis(-millis).max(self.cut).as_millis();
        [back(self.retention_millis.max(self.thinned_millis)), back(self.retention_millis)]
    }

    /// Whether it is time to look for samples that are too old.
    pub(super) const fn is_sweep_due(&self) -> bool {
        self.newest.as_millis().saturating_sub(self.swept.as_millis()) >= SWEEP_MILLIS
    }

    /// What is to be thinned. Nothing is changed, so that readers need not wait.
    pub(super) fn thin(&self) -> Vec<(SeriesId, Thinned)> {
        if self.thinned_millis <= self.retention_millis {
            return Vec::new();
        }
        let (until, mut decoder) = (self.horizon().as_millis(), Decoder::default());
        let thinned = self.series.iter().enumerate().filter_map(|(place, series)| {
            let thinned = series.as_ref()?.thin(&self.blocks, until, &mut decoder)?;
            Some((SeriesId::try_from(place).ok()?, thinned))
        });
        thinned.collect()
    }

    /// Does what [`Store::thin`] has found, lets go what is too old, and says how many samples went; nothing may have been appended in
    /// between.
    pub(super) fn sweep(&mut self, thinned: Vec<(SeriesId, Thinned)>) -> Dropped {
        let mut dropped = Dropped::default();
        let until = self.horizon().as_millis();
        for (id, thinned) in thinned {
            let Some(Some(series)) = self.series.get_mut(id as usize) else { continue };
            let moved = series.replace_thinned(&mut self.blocks, thinned, until);
            self.budget.add(moved.bytes_taken);
            self.budget.release(moved.bytes_given);
            self.list(id);
            dropped.thinned += moved.samples_gone;
        }
        self.samples = self.samples.saturating_sub(dropped.thinned);
        dropped.retention = self.drop_until(self.end());
        // Not before: files of what has been thinned go by it.
        self.swept = self.newest;
        dropped
    }

    /// Lists a series among the ages where its oldest end has become an earlier one.
    fn list(&mut self, id: SeriesId) {
        let (Some(ages), Some(Some(series))) = (&mut self.ages, self.series.get_mut(id as usize)) else { return };
        if let Some(oldest) = series.oldest().filter(|oldest| *oldest < series.listed) {
            series.listed = oldest;
            ages.put(oldest, id);
        }
    }

    /// Lets go what is too much, oldest first, and says how many samples went. What takes time is what goes, not what stays.
    pub(super) fn make_room(&mut self) -> u64 {
        let Some(excess) = self.budget.excess() else { return 0 };
        let mut ages = self.ages.take().unwrap_or_else(|| self.age());
        let target = self.budget.used().saturating_sub(excess);
        let (mut dropped, mut gone) = (0, Vec::new());
        let mut cut = Timestamp::MIN;
        // What ends together goes together: nothing of the time before the cut is left.
        while let Some((time, id)) = ages.oldest().filter(|(time, _)| self.budget.used() > target || *time <= cut.as_millis()) {
            let listed = self.series(id).filter(|series| series.listed == time);
            let Some(oldest) = listed.and_then(Series::oldest) else {
                ages.settle(Next::Gone);
                continue;
            };
            if oldest <= time {
                cut = cut.max(Timestamp::from_millis(time));
                dropped += self.drop_series_until(id, Timestamp::from_millis(time), &mut gone);
            }
            let next = self.series.get_mut(id as usize).and_then(Option::as_mut).and_then(|series| {
                series.listed = series.oldest()?;
                Some(Next::At(series.listed))
            });
            ages.settle(next.unwrap_or(Next::Gone));
        }
        self.ages = Some(ages);
        self.cut = self.cut.max(cut);
        self.forget(gone, dropped);
        dropped
    }

    /// The ages of all series.
    fn age(&mut self) -> Ages {
        let series = self.series.iter_mut().enumerate().filter_map(|(place, series)| {
            let series = series.as_mut()?;
            series.listed = series.oldest()?;
            Some((series.listed, SeriesId::try_from(place).ok()?))
        });
        Ages::new(series)
    }

    /// Drops every chunk that ends at or before `until`, and the series that have none left.
    fn drop_until(&mut self, until: Timestamp) -> u64 {
        let (mut dropped, mut gone) = (0, Vec::new());
        for id in (0..self.series.len()).filter_map(|place| SeriesId::try_from(place).ok()) {
            dropped += self.drop_series_until(id, until, &mut gone);
        }
        self.forget(gone, dropped);
        dropped
    }

    /// Drops every chunk of a series that ends at or before `until`, says how many samples that were, and puts the series to those that
    /// are gone where it has none left.
    fn drop_series_until(&mut self, id: SeriesId, until: Timestamp, gone: &mut Vec<(SeriesId, Labels)>) -> u64 {
        let Some(slot) = self.series.get_mut(id as usize) else { return 0 };
        let Some(series) = slot.as_mut() else { return 0 };
        let (samples, bytes) = series.drop_until(&mut self.blocks, until);
        self.budget.release(bytes);
        if series.is_empty() {
            let labels = series.labels().clone();
            self.budget.leave(&labels);
            self.ids.remove(&labels);
            self.free.push(id);
            gone.push((id, labels));
            *slot = None;
        }
        samples
    }

    /// Takes series that are gone out of the index, and samples off the account.
    fn forget(&mut self, mut gone: Vec<(SeriesId, Labels)>, dropped: u64) {
        if !gone.is_empty() {
            gone.sort_unstable_by_key(|(id, _)| *id);
            self.index.remove(&gone);
            self.removals += 1;
        }
        self.samples = self.samples.saturating_sub(dropped);
    }

    /// The places of the matching series, ascending.
    pub(super) fn select(&self, matchers: &[Matcher]) -> Vec<SeriesId> {
        self.index.select(matchers)
    }

    /// How often series have gone, so that whoever keeps their places sees that these may be others' now.
    pub(super) const fn removals(&self) -> u64 {
        self.removals
    }

    pub(super) const fn blocks(&self) -> &Blocks {
        &self.blocks
    }

    /// The labels of the matching series with a sample in the time.
    pub(super) fn labels(&self, matchers: &[Matcher], after: Timestamp, until: Timestamp) -> Vec<Labels> {
        let after = after.max(self.end());
        let mut decoder = Decoder::default();
        let series = self.select(matchers).into_iter().filter_map(|id| self.series(id));
        let present = series.filter(|series| series.overlaps(&self.blocks, after.as_millis(), until.as_millis(), &mut decoder));
        present.map(|series| series.labels().clone()).collect()
    }
}
