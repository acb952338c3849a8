//! Every alert that was told of or is still to be, and what each target knows of it. Pure: each change is a [`Record`],
//! and the same records in the same order give the same ledger, so that the disk brings it back.

use std::cell::LazyCell;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::Duration;

use super::index::Index;
use super::life::{Key, Life, Phase};
use super::queue::Queue;
use super::record::{Id, Record, number};
use super::sight::{Absence, Sight, View};
use crate::model::{EndedAlert, Labels, RuleSnapshot, Timestamp};

/// How long a resolved alert is kept, and an Alertmanager told again of it, as Prometheus does.
const RESOLVED_RETENTION: Duration = Duration::from_mins(15);
/// How long after an alert's beginning its end is told, where both come at once: whoever groups alerts has seen it then.
const SETTLE: Duration = Duration::from_secs(1);
/// The most alerts in one message, as in Prometheus.
pub(super) const BATCH_MAX: usize = 256;

/// All alerts and targets.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Ledger {
    lives: BTreeMap<Id, Life>,
    index: Index,
    queues: BTreeMap<String, Queue>,
    next: Id,
}

impl Ledger {
    /// As the records say.
    pub(super) fn replay(records: impl IntoIterator<Item = Record>) -> Self {
        let mut ledger = Self::default();
        records.into_iter().for_each(|record| ledger.apply(record));
        ledger
    }

    /// The fewest records that give this ledger.
    pub(super) fn records(&self) -> Vec<Record> {
        let mut records = Vec::new();
        for (id, life) in &self.lives {
            records.push(Record::Fired { id: *id, life: Box::new(life.into()), to: Vec::new() });
            let value = life.resolved_value.map(number);
            records.extend(life.ends_at.map(|at| Record::Resolved { id: *id, ends_at: at.as_millis(), value, to: Vec::new() }));
        }
        records.extend(self.queues.iter().map(|(target, queue)| Record::Target {
            target: target.clone(),
            pending: queue.pending().copied().collect(),
            told: queue.told.iter().map(|(id, (phase, at))| (*id, *phase, at.as_millis())).collect(),
            since: queue.since.as_millis(),
        }));
        records
    }

    /// One step.
    pub(super) fn apply(&mut self, record: Record) {
        match record {
            Record::Fired { id, life, to } => {
                let life = Life::from(*life);
                self.next = self.next.max(id.saturating_add(1));
                let before = self.index.add(&life.key, id);
                if let Some(before) = before.and_then(|before| self.lives.get_mut(&before)) {
                    before.surpassed = true;
                }
                self.lives.insert(id, life);
                self.push(id, Phase::Firing, to);
            }
            Record::Resolved { id, ends_at, value, to } => {
                let Some(life) = self.lives.get_mut(&id) else { return };
                life.ends_at = Some(Timestamp::from_millis(ends_at));
                life.resolved_value = value.and_then(|value| value.parse().ok());
                self.push(id, Phase::Resolved, to);
            }
            Record::Queued { id, phase, to } if self.lives.contains_key(&id) => self.push(id, phase, vec![to]),
            Record::Queued { .. } => {}
            Record::Told { target, what, at } => {
                let queue = self.queues.entry(target).or_default();
                let at = Timestamp::from_millis(at);
                for (id, phase) in &what {
                    queue.told.insert(*id, (*phase, at));
                }
                queue.remove(&what);
            }
            Record::Dropped { target, what } => self.queues.entry(target).or_default().remove(&what),
            Record::Gone { target } => {
                self.queues.remove(&target);
                if self.queues.is_empty() {
                    // Nobody looks any more: whoever comes later is told of what fires then.
                    (self.lives, self.index) = (BTreeMap::new(), Index::default());
                }
            }
            Record::Target { target, pending, told, since } => {
                let alive = |id: &Id| self.lives.contains_key(id);
                let pending = pending.into_iter().filter(|(id, _)| alive(id)).collect();
                let told = told.into_iter().filter(|(id, ..)| alive(id));
                let told = told.map(|(id, phase, at)| (id, (phase, Timestamp::from_millis(at)))).collect();
                self.queues.insert(target, Queue::new(pending, told, Timestamp::from_millis(since)));
            }
        }
    }

    fn push(&mut self, id: Id, phase: Phase, to: Vec<String>) {
        for target in to {
            self.queues.entry(target).or_default().push(id, phase);
        }
    }

    /// Applies a record and hands it on, to be kept.
    fn step(&mut self, record: Record, steps: &mut Vec<Record>) {
        steps.push(record.clone());
        self.apply(record);
    }

    /// The targets are these now. Who is new is told of everything that fires, unless it is told only in need.
    pub(super) fn target(&mut self, names: &BTreeSet<String>, in_need: &BTreeSet<String>, at: Timestamp) -> Vec<Record> {
        let mut steps = Vec::new();
        for target in names.iter().filter(|name| !self.queues.contains_key(*name)).cloned().collect::<Vec<_>>() {
            let new = Record::Target { target: target.clone(), pending: Vec::new(), told: Vec::new(), since: at.as_millis() };
            self.step(new, &mut steps);
            if !in_need.contains(&target) {
                steps.extend(self.catch_up(&target));
            }
        }
        // Last: with the last target what is known of alerts goes as well.
        let gone: Vec<String> = self.queues.keys().filter(|name| !names.contains(*name)).cloned().collect();
        gone.into_iter().for_each(|target| self.step(Record::Gone { target }, &mut steps));
        steps
    }

    /// A target is told of everything that fires and that it does not know of. What only the disk says may be over: it is told of
    /// that once a rule says the same.
    pub(super) fn catch_up(&mut self, target: &str) -> Vec<Record> {
        let mut steps = Vec::new();
        let Some(queue) = self.queues.get(target) else { return steps };
        let unknown: Vec<Id> = self.firing().filter(|(id, life)| life.seen_at.is_some() && !queue.knows(*id)).map(|(id, _)| id).collect();
        unknown.into_iter().for_each(|id| self.step(Record::Queued { id, phase: Phase::Firing, to: target.to_owned() }, &mut steps));
        steps
    }

    /// In need, a target is told of what `others` do not know of yet.
    pub(super) fn relieve(&mut self, target: &str, others: &[String]) -> Vec<Record> {
        let mut steps = Vec::new();
        let Some(queue) = self.queues.get(target) else { return steps };
        let waiting = others.iter().filter_map(|other| self.queues.get(other)).flat_map(Queue::pending);
        let waiting = waiting.filter(|(id, phase)| *phase == Phase::Firing && !queue.knows(*id)).map(|(id, _)| *id);
        for id in waiting.collect::<BTreeSet<_>>() {
            let over = self.lives.get(&id).is_some_and(|life| life.ends_at.is_some());
            for phase in [Phase::Firing, Phase::Resolved].into_iter().take(1 + usize::from(over)) {
                self.step(Record::Queued { id, phase, to: target.to_owned() }, &mut steps);
            }
        }
        steps
    }

    /// Looks at the rules: what fires anew is for `to`, what does not fire any more for everyone who knows of it.
    pub(super) fn observe(&mut self, sight: &Sight, to: &[String], at: Timestamp) -> Vec<Record> {
        let mut steps = Vec::new();
        for view in sight.views() {
            self.observe_group(&view, to, at, &mut steps);
        }
        if let Some(all) = &sight.all {
            let gone: Vec<Id> =
                self.index.groups().filter(|group| !all.contains(*group)).flat_map(|group| self.index.lasts(group)).collect();
            for id in gone {
                let Some(life) = self.lives.get_mut(&id) else { continue };
                life.shown = false;
                if life.ends_at.is_none() {
                    self.resolve(id, at, None, &mut steps);
                }
            }
        }
        steps
    }

    fn observe_group(&mut self, view: &View<'_>, to: &[String], at: Timestamp, steps: &mut Vec<Record>) {
        for (rule, ended) in &view.ended {
            self.observe_end(view, rule, ended, to, steps);
        }
        let mut present = HashSet::new();
        for seen in &view.firing {
            let known = self.index.last(&view.group, &seen.rule.name, &seen.alert.labels);
            if known.is_some_and(|id| present.contains(&id)) {
                // Another rule of that name has the same alert.
                continue;
            }
            if let Some((id, life)) = known.and_then(|id| Some((id, self.lives.get_mut(&id)?))).filter(|(_, life)| life.ends_at.is_none()) {
                // What only the disk knew of goes on, and what another rule of that name had as well when it was last seen; else another
                // beginning is another alert.
                if life.again_at == seen.fired_at || life.seen_at.is_none_or(|last| seen.fired_at <= last) {
                    let was_seen = life.seen_at.is_some();
                    life.go_on(view, seen);
                    present.insert(id);
                    if !was_seen {
                        self.inform(id, to, steps);
                    }
                    continue;
                }
                let ends_at = seen.alert.active_at.max(life.starts_at);
                self.resolve(id, ends_at, None, steps);
            }
            let id = self.begin(&Life::firing(view, seen), to, steps);
            if let Some(life) = self.lives.get_mut(&id) {
                life.seen_at = Some(seen.evaluated_at);
            }
            present.insert(id);
        }
        let mut absent: Vec<Id> = self.index.lasts(&view.group).filter(|id| !present.contains(id)).collect();
        absent.sort_unstable();
        let told: HashSet<_> = view.ended.iter().map(|(rule, ended)| (rule.name.as_str(), &ended.labels)).collect();
        for id in absent {
            let Some(life) = self.lives.get_mut(&id) else { continue };
            if life.ends_at.is_some() {
                life.shown = told.contains(&(life.key.rule.as_str(), &life.key.labels));
                continue;
            }
            let ends_at = match view.absence(&life.key.rule, &life.key.labels, life.seen_at.is_none()) {
                // Another evaluation than the one that saw it; an earlier time where the clock was set back.
                Absence::Since(evaluated_at) if life.seen_at != Some(evaluated_at) => evaluated_at,
                Absence::NoRule => at,
                Absence::Since(_) | Absence::Unknown => continue,
            };
            self.resolve(id, ends_at, None, steps);
        }
    }

    /// A rule says that an alert was over at a time.
    fn observe_end(&mut self, view: &View<'_>, rule: &RuleSnapshot, ended: &EndedAlert, to: &[String], steps: &mut Vec<Record>) {
        let known = self.index.last(&view.group, &rule.name, &ended.labels);
        let id = match known.and_then(|id| Some((id, self.lives.get(&id)?))) {
            Some((_, life)) if life.ends_at.is_some_and(|ends_at| ended.resolved_at <= ends_at) => return,
            Some((id, life)) if life.ends_at.is_none() => {
                let was_there = |last| ended.fired_at <= last && last < ended.resolved_at;
                let is_this = life.again_at == ended.fired_at || life.seen_at.map_or(life.starts_at < ended.resolved_at, was_there);
                if !is_this {
                    return;
                }
                id
            }
            // It has begun and ended since the last look.
            _ => {
                let there = |target: &&String| self.queues.get(*target).is_some_and(|queue| queue.since < ended.resolved_at);
                let to: Vec<String> = to.iter().filter(there).cloned().collect();
                if to.is_empty() {
                    return;
                }
                self.begin(&Life::missed(view, rule, ended), &to, steps)
            }
        };
        self.resolve(id, ended.resolved_at, ended.resolved_value, steps);
        if let Some(life) = self.lives.get_mut(&id) {
            life.annotations = ended.annotations.clone();
            life.shown = true;
        }
    }

    /// That an alert fires is for those of `to` that do not know of it: they were not there when it began.
    fn inform(&mut self, id: Id, to: &[String], steps: &mut Vec<Record>) {
        let unaware = |target: &&String| self.queues.get(*target).is_some_and(|queue| !queue.knows(id));
        for to in to.iter().filter(unaware).cloned().collect::<Vec<_>>() {
            self.step(Record::Queued { id, phase: Phase::Firing, to }, steps);
        }
    }

    fn begin(&mut self, life: &Life, to: &[String], steps: &mut Vec<Record>) -> Id {
        let id = self.next;
        self.step(Record::Fired { id, life: Box::new(life.into()), to: to.to_vec() }, steps);
        id
    }

    fn resolve(&mut self, id: Id, ends_at: Timestamp, value: Option<f64>, steps: &mut Vec<Record>) {
        let to = self.queues.iter().filter(|(_, queue)| queue.knows(id)).map(|(name, _)| name.clone()).collect();
        self.step(Record::Resolved { id, ends_at: ends_at.as_millis(), value: value.map(number), to }, steps);
        if let Some(life) = self.lives.get_mut(&id) {
            life.shown = false;
        }
    }

    /// What a target is to be told next, at most [`BATCH_MAX`] alerts, each once: its beginning before its end, and
    /// that before it begins anew. With `resend`, also what it was told so long ago and that goes on, or has ended lately. Of an
    /// alert that is `held` back nobody is told that it has begun.
    pub(super) fn batch(
        &self,
        target: &str,
        at: Timestamp,
        resend: Option<Duration>,
        mut held: impl FnMut(Id, &Life) -> bool,
    ) -> Vec<(Id, Phase)> {
        let Some(queue) = self.queues.get(target) else { return Vec::new() };
        let mut met = HashSet::new();
        let next = queue.pending().filter_map(|(id, phase)| Some((*id, *phase, self.lives.get(id)?)));
        let next: Vec<_> = next.filter(|(.., life)| met.insert(&life.key)).collect();
        let begin: HashSet<Id> =
            next.iter().filter(|(id, phase, life)| *phase == Phase::Firing && !held(*id, life)).map(|(id, ..)| *id).collect();
        // Whoever is told knows an alert by its labels: of two groups that have it, or of one under another name, the end of the one is
        // not told while it knows, or hears now, that the other fires. Not where it does not: then both could wait for each other.
        let firing = LazyCell::new(|| {
            let mut firing: HashMap<&Labels, Vec<&Key>> = HashMap::new();
            let known = self.firing().filter(|(id, _)| queue.told.contains_key(id) || begin.contains(id));
            known.for_each(|(_, life)| firing.entry(&life.key.labels).or_default().push(&life.key));
            firing
        });
        let goes_on = |life: &Life| firing.get(&life.key.labels).is_some_and(|keys| keys.iter().any(|key| **key != life.key));
        let settled = |id| queue.told.get(&id).is_none_or(|(_, told)| at.since(*told) >= SETTLE || at < *told);
        let due = |id, phase, life| if phase == Phase::Firing { begin.contains(&id) } else { settled(id) && !goes_on(life) };
        let due = next.iter().filter(|(id, phase, life)| due(*id, *phase, life)).map(|(id, phase, _)| (*id, *phase));
        let mut batch: Vec<(Id, Phase)> = due.take(BATCH_MAX).collect();
        let Some(resend) = resend else { return batch };
        let again = queue.told.iter().filter(|(_, (_, told))| at.since(*told) >= resend || at < *told);
        let again = again.filter_map(|(id, (phase, told))| {
            let life = self.lives.get(id)?;
            let due = match (life.ends_at, phase) {
                // Only what has been evaluated since.
                (None, _) => life.seen_at.is_some_and(|seen| seen > *told || at < *told),
                // An Alertmanager takes what it is told last: not the end of an alert that has begun again.
                (Some(ends_at), Phase::Resolved) => !life.surpassed && at.since(ends_at) <= RESOLVED_RETENTION && !goes_on(life),
                (Some(_), Phase::Firing) => false,
            };
            (due && !met.contains(&life.key)).then_some((*id, *phase))
        });
        batch.extend(again.take(BATCH_MAX - batch.len()));
        batch
    }

    /// A target was told, at a time.
    pub(super) fn told(&mut self, target: &str, what: &[(Id, Phase)], at: Timestamp) -> Vec<Record> {
        let mut steps = Vec::new();
        self.step(Record::Told { target: target.to_owned(), what: what.to_vec(), at: at.as_millis() }, &mut steps);
        steps
    }

    /// A target will never take this.
    pub(super) fn refused(&mut self, target: &str, what: &[(Id, Phase)]) -> Vec<Record> {
        let mut steps = Vec::new();
        self.step(Record::Dropped { target: target.to_owned(), what: what.to_vec() }, &mut steps);
        steps
    }

    /// A target will not be told of what has begun and ended while it was held back, unless that is `under_way` to it: then it
    /// may know in a moment that it has begun.
    pub(super) fn pass_over(&mut self, target: &str, under_way: &[Id], mut held: impl FnMut(Id, &Life) -> bool) -> Vec<Record> {
        let Some(queue) = self.queues.get(target) else { return Vec::new() };
        let untold = queue.pending().filter(|(_, phase)| *phase == Phase::Firing).map(|(id, _)| *id);
        let over = untold.filter(|id| self.lives.get(id).is_some_and(|life| life.ends_at.is_some() && held(*id, life)));
        let over: BTreeSet<Id> = over.filter(|id| !under_way.contains(id)).collect();
        if over.is_empty() {
            return Vec::new();
        }
        let what: Vec<_> = queue.pending().filter(|(id, _)| over.contains(id)).copied().collect();
        self.refused(target, &what)
    }

    /// What fires.
    pub(super) fn firing(&self) -> impl Iterator<Item = (Id, &Life)> {
        self.lives.iter().filter(|(_, life)| life.ends_at.is_none()).map(|(id, life)| (*id, life))
    }

    /// Makes room in a target's queue: the oldest alerts that are over and of which nothing was told go first, then the
    /// oldest of all; but nothing that is `under_way` to it.
    pub(super) fn bound(&mut self, target: &str, most: usize, under_way: &[Id]) -> Vec<Record> {
        let Some(queue) = self.queues.get(target) else { return Vec::new() };
        let mut excess = queue.waiting().saturating_sub(most);
        if excess == 0 {
            return Vec::new();
        }
        let under_way: HashSet<&Id> = under_way.iter().collect();
        let over: BTreeSet<Id> = queue.pending().filter(|(_, phase)| *phase == Phase::Resolved).map(|(id, _)| *id).collect();
        let mut gone = BTreeSet::new();
        let pending = || queue.pending().filter(|(id, _)| !under_way.contains(id));
        for (id, phase) in pending() {
            if excess > 0 && *phase == Phase::Firing && over.contains(id) {
                gone.insert(*id);
                excess = excess.saturating_sub(2);
            }
        }
        let mut what: Vec<(Id, Phase)> = queue.pending().filter(|(id, _)| gone.contains(id)).copied().collect();
        what.extend(pending().filter(|(id, _)| !gone.contains(id)).take(excess));
        self.refused(target, &what)
    }

    /// Forgets what is over and of which everyone has been told, and of which the rules do not tell any more. Of an alert that has
    /// begun again, what was before.
    pub(super) fn prune(&mut self, at: Timestamp) {
        let waiting: HashSet<Id> = self.queues.values().flat_map(|queue| queue.pending().map(|(id, _)| *id)).collect();
        let Self { lives, index, .. } = self;
        lives.retain(|id, life| {
            let recent = life.ends_at.is_none_or(|ends_at| at.since(ends_at) <= RESOLVED_RETENTION) || life.shown;
            let stays = waiting.contains(id) || (recent && !life.surpassed);
            if !stays {
                index.remove(&life.key, *id);
            }
            stays
        });
        for queue in self.queues.values_mut() {
            queue.told.retain(|id, _| self.lives.contains_key(id));
        }
    }

    /// An alert by its number.
    pub(super) fn life(&self, id: Id) -> Option<&Life> {
        self.lives.get(&id)
    }

    /// How many notifications wait for a target.
    pub(super) fn waiting(&self, target: &str) -> usize {
        self.queues.get(target).map_or(0, Queue::waiting)
    }
}

#[cfg(test)]
mod kills;
#[cfg(test)]
pub(super) mod tests;
#[cfg(test)]
mod twins;
