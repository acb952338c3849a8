//! Every alert that was told of or is still to be, and what each target knows of it. Pure: each change is a [`Record`],
//! and the same records in the same order give the same ledger, so that the disk brings it back.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::time::Duration;

use super::life::{Key, Life, Phase};
use super::record::{Id, Record};
use super::sight::{Absence, Sight};
use crate::model::Timestamp;

/// How long a resolved alert is kept, and an Alertmanager told again of it, as Prometheus does.
const RESOLVED_RETENTION: Duration = Duration::from_mins(15);
/// How long after an alert's beginning its end is told, where both come at once: whoever groups alerts has seen it then.
const SETTLE: Duration = Duration::from_secs(1);
/// How long after its beginning an agent does not take an alert for over that it has not seen firing itself.
const YOUTH: Duration = Duration::from_secs(30);
/// The most alerts in one message, as in Prometheus.
pub(super) const BATCH_MAX: usize = 256;

/// What a target knows and is to be told.
#[derive(Clone, Debug, Default, PartialEq)]
struct Queue {
    /// In the order in which it happened.
    pending: VecDeque<(Id, Phase)>,
    /// What it was told last of an alert, and when.
    told: BTreeMap<Id, (Phase, Timestamp)>,
}

impl Queue {
    fn knows(&self, id: Id) -> bool {
        self.told.contains_key(&id) || self.pending.iter().any(|(pending, _)| *pending == id)
    }
}

/// All alerts and targets.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Ledger {
    lives: BTreeMap<Id, Life>,
    /// Those that fire.
    firing: HashMap<Key, Id>,
    queues: BTreeMap<String, Queue>,
    next: Id,
    /// Until then the rules may not have seen all that they need, since the agent has only begun.
    young_until: Timestamp,
}

impl Ledger {
    /// As the records say.
    pub(super) fn replay(records: impl IntoIterator<Item = Record>) -> Self {
        let mut ledger = Self::default();
        records.into_iter().for_each(|record| ledger.apply(record));
        ledger
    }

    /// The agent begins at a time. What was firing before goes on, until the rules have had the time to say otherwise: their
    /// first evaluations find no samples yet.
    pub(super) fn begin(&mut self, at: Timestamp) {
        self.young_until = at + YOUTH;
    }

    /// The fewest records that give this ledger.
    pub(super) fn records(&self) -> Vec<Record> {
        let mut records = Vec::new();
        for (id, life) in &self.lives {
            records.push(Record::Fired { id: *id, life: Box::new(life.into()), to: Vec::new() });
            records.extend(life.ends_at.map(|at| Record::Resolved { id: *id, ends_at: at.as_millis(), to: Vec::new() }));
        }
        records.extend(self.queues.iter().map(|(target, queue)| Record::Target {
            target: target.clone(),
            pending: queue.pending.iter().copied().collect(),
            told: queue.told.iter().map(|(id, (phase, at))| (*id, *phase, at.as_millis())).collect(),
        }));
        records
    }

    /// One step.
    pub(super) fn apply(&mut self, record: Record) {
        match record {
            Record::Fired { id, life, to } => {
                let life = Life::from(*life);
                self.next = self.next.max(id.saturating_add(1));
                self.firing.insert(life.key.clone(), id);
                self.lives.insert(id, life);
                self.push(id, Phase::Firing, to);
            }
            Record::Resolved { id, ends_at, to } => {
                let Some(life) = self.lives.get_mut(&id) else { return };
                life.ends_at = Some(Timestamp::from_millis(ends_at));
                if self.firing.get(&life.key) == Some(&id) {
                    self.firing.remove(&life.key);
                }
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
                remove(&mut queue.pending, &what);
            }
            Record::Dropped { target, what } => remove(&mut self.queues.entry(target).or_default().pending, &what),
            Record::Gone { target } => drop(self.queues.remove(&target)),
            Record::Target { target, pending, told } => {
                let alive = |id: &Id| self.lives.contains_key(id);
                let pending = pending.into_iter().filter(|(id, _)| alive(id)).collect();
                let told = told.into_iter().filter(|(id, ..)| alive(id));
                let told = told.map(|(id, phase, at)| (id, (phase, Timestamp::from_millis(at)))).collect();
                self.queues.insert(target, Queue { pending, told });
            }
        }
    }

    fn push(&mut self, id: Id, phase: Phase, to: Vec<String>) {
        for target in to {
            self.queues.entry(target).or_default().pending.push_back((id, phase));
        }
    }

    /// Applies a record and hands it on, to be kept.
    fn step(&mut self, record: Record, steps: &mut Vec<Record>) {
        steps.push(record.clone());
        self.apply(record);
    }

    /// The targets are these now. Who is new is told of everything that fires, unless it is told only in need.
    pub(super) fn target(&mut self, names: &BTreeSet<String>, in_need: &BTreeSet<String>) -> Vec<Record> {
        let mut steps = Vec::new();
        let gone: Vec<String> = self.queues.keys().filter(|name| !names.contains(*name)).cloned().collect();
        gone.into_iter().for_each(|target| self.step(Record::Gone { target }, &mut steps));
        for target in names.iter().filter(|name| !self.queues.contains_key(*name)).cloned().collect::<Vec<_>>() {
            self.step(Record::Target { target: target.clone(), pending: Vec::new(), told: Vec::new() }, &mut steps);
            if !in_need.contains(&target) {
                steps.extend(self.catch_up(&target));
            }
        }
        steps
    }

    /// A target is told of everything that fires and that it does not know of.
    pub(super) fn catch_up(&mut self, target: &str) -> Vec<Record> {
        let mut steps = Vec::new();
        let Some(queue) = self.queues.get(target) else { return steps };
        let unknown: Vec<Id> =
            self.lives.iter().filter(|(id, life)| life.ends_at.is_none() && !queue.knows(**id)).map(|(id, _)| *id).collect();
        unknown.into_iter().for_each(|id| self.step(Record::Queued { id, phase: Phase::Firing, to: target.to_owned() }, &mut steps));
        steps
    }

    /// In need, a target is told of what `others` do not know of yet.
    pub(super) fn relieve(&mut self, target: &str, others: &[String]) -> Vec<Record> {
        let mut steps = Vec::new();
        let Some(queue) = self.queues.get(target) else { return steps };
        let waiting = others.iter().filter_map(|other| self.queues.get(other)).flat_map(|queue| &queue.pending);
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
        let mut present = BTreeSet::new();
        for seen in &sight.firing {
            if let Some(id) = self.firing.get(&seen.key).copied() {
                let Some(life) = self.lives.get_mut(&id) else { continue };
                // What only the disk knew of goes on; else another beginning is another alert.
                if life.seen_at.is_none() || life.again_at == seen.fired_at {
                    life.again_at = seen.fired_at;
                    life.annotations = seen.annotations.clone();
                    (life.value, life.seen_at, life.interval_millis) = (seen.value, Some(seen.evaluated_at), seen.interval_millis);
                    present.insert(id);
                    continue;
                }
                let ends_at = seen.active_at.max(life.starts_at);
                self.resolve(id, ends_at, &mut steps);
            }
            let life = Life {
                key: seen.key.clone(),
                annotations: seen.annotations.clone(),
                value: seen.value,
                starts_at: seen.fired_at,
                again_at: seen.fired_at,
                ends_at: None,
                seen_at: None,
                interval_millis: seen.interval_millis,
                query: seen.query.clone(),
            };
            let id = self.next;
            self.step(Record::Fired { id, life: Box::new((&life).into()), to: to.to_vec() }, &mut steps);
            if let Some(life) = self.lives.get_mut(&id) {
                life.seen_at = Some(seen.evaluated_at);
            }
            present.insert(id);
        }
        let pending: BTreeSet<&Key> = sight.pending.iter().collect();
        let absent: Vec<Id> = self.firing.values().filter(|id| !present.contains(*id)).copied().collect();
        for id in absent {
            let Some(life) = self.lives.get(&id) else { continue };
            let ends_at = match sight.absence(&life.key) {
                Absence::Unknown => continue,
                Absence::Since(evaluated_at) if life.seen_at.is_none() && evaluated_at < self.young_until => continue,
                // After a restart it has to be pending before it fires: it has not stopped.
                Absence::Since(_) if life.seen_at.is_none() && pending.contains(&life.key) => continue,
                Absence::Since(evaluated_at) if life.seen_at.is_none_or(|seen| evaluated_at > seen) => evaluated_at,
                Absence::Since(_) => continue,
                Absence::NoRule => at,
            };
            self.resolve(id, ends_at, &mut steps);
        }
        steps
    }

    fn resolve(&mut self, id: Id, ends_at: Timestamp, steps: &mut Vec<Record>) {
        let to = self.queues.iter().filter(|(_, queue)| queue.knows(id)).map(|(name, _)| name.clone()).collect();
        self.step(Record::Resolved { id, ends_at: ends_at.as_millis(), to }, steps);
    }

    /// What a target is to be told next, at most [`BATCH_MAX`] alerts, each once: its beginning before its end. With
    /// `resend`, also what it was told so long ago and that goes on, or has ended lately.
    pub(super) fn batch(&self, target: &str, at: Timestamp, resend: Option<Duration>) -> Vec<(Id, Phase)> {
        let Some(queue) = self.queues.get(target) else { return Vec::new() };
        let mut batch: Vec<(Id, Phase)> = Vec::new();
        let mut met = BTreeSet::new();
        for (id, phase) in &queue.pending {
            if batch.len() >= BATCH_MAX {
                return batch;
            }
            let settled = || queue.told.get(id).is_none_or(|(_, told)| at.since(*told) >= SETTLE || at < *told);
            if met.insert(*id) && (*phase == Phase::Firing || settled()) {
                batch.push((*id, *phase));
            }
        }
        let Some(resend) = resend else { return batch };
        let again = queue.told.iter().filter(|(id, (_, told))| !met.contains(*id) && (at.since(*told) >= resend || at < *told));
        let again = again.filter_map(|(id, (phase, told))| {
            let life = self.lives.get(id)?;
            let due = match (life.ends_at, phase) {
                // Only what has been evaluated since.
                (None, _) => life.seen_at.is_some_and(|seen| seen > *told),
                (Some(_), Phase::Resolved) => true,
                (Some(_), Phase::Firing) => false,
            };
            due.then_some((*id, *phase))
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

    /// Makes room in a target's queue: the oldest alerts that are over and of which nothing was told go first, then the
    /// oldest of all.
    pub(super) fn bound(&mut self, target: &str, most: usize) -> Vec<Record> {
        let Some(queue) = self.queues.get(target) else { return Vec::new() };
        let mut excess = queue.pending.len().saturating_sub(most);
        if excess == 0 {
            return Vec::new();
        }
        let over: BTreeSet<Id> = queue.pending.iter().filter(|(_, phase)| *phase == Phase::Resolved).map(|(id, _)| *id).collect();
        let mut gone = BTreeSet::new();
        for (id, phase) in &queue.pending {
            if excess > 0 && *phase == Phase::Firing && over.contains(id) {
                gone.insert(*id);
                excess = excess.saturating_sub(2);
            }
        }
        let mut what: Vec<(Id, Phase)> = queue.pending.iter().filter(|(id, _)| gone.contains(id)).copied().collect();
        what.extend(queue.pending.iter().filter(|(id, _)| !gone.contains(id)).take(excess));
        self.refused(target, &what)
    }

    /// Forgets what is over and of which everyone has been told.
    pub(super) fn prune(&mut self, at: Timestamp) {
        let waiting: BTreeSet<Id> = self.queues.values().flat_map(|queue| queue.pending.iter().map(|(id, _)| *id)).collect();
        self.lives.retain(|id, life| life.ends_at.is_none_or(|ends| at.since(ends) <= RESOLVED_RETENTION || waiting.contains(id)));
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
        self.queues.get(target).map_or(0, |queue| queue.pending.len())
    }
}

fn remove(pending: &mut VecDeque<(Id, Phase)>, what: &[(Id, Phase)]) {
    let gone: BTreeSet<&(Id, Phase)> = what.iter().collect();
    pending.retain(|one| !gone.contains(one));
}

#[cfg(test)]
mod tests;
