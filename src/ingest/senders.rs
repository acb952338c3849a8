//! What each sender has lost, by its name, and how far its numbers have come. It lives in the registry, so that it is as
//! lasting as what the senders have counted; the names are bounded.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hashbrown::HashMap;

use super::notes::{Loss, Note, Notes};
use super::sequence::Sequence;
use crate::model::{Change, GaugeMerge, GaugeOp, Labels, LabelsBuilder, MetricType, Timestamp};
use crate::registry::{Head, Merge, Pending, Place, Reader, Reading, Registry};

/// The sender that stands for those beyond the limit.
const OTHER: &str = "__other__";
const LABEL: &str = "sender";
/// A number that has not come by then, while no other came either, does not come any more.
pub(super) const PATIENCE: Duration = Duration::from_secs(1);
/// The changes are nobody's: the agent itself makes them.
const NOBODY: u64 = u64::MAX;

/// A metric of senders: name, type, meaning.
type Described = (&'static str, MetricType, &'static str);

const LOST: Described = (
    "sidewatch_ingest_lost_total",
    MetricType::Counter,
    "Lines, frames and events that are not counted, by sender and reason; a gap is of numbered events that never came in.",
);
const HIGHEST: Described =
    ("sidewatch_ingest_sender_sequence", MetricType::Gauge, "The highest number that a sender has given an event in its present run.");
const MISSING: Described = (
    "sidewatch_ingest_sender_missing",
    MetricType::Gauge,
    "Numbers below the highest that have not come in and still may; after a second without any they are lost.",
);

/// The metrics that live in the registry, with their labels.
pub(super) const DESCRIBED: [(Described, &[&str]); 3] = [(LOST, &[LABEL, "reason"]), (HIGHEST, &[LABEL]), (MISSING, &[LABEL])];

/// All senders that are known by name.
#[derive(Debug)]
pub(super) struct Senders {
    registry: Arc<Registry>,
    ledger: Mutex<Ledger>,
}

/// The book of them. It is taken before the registry, never while that is held.
#[derive(Debug)]
pub(super) struct Ledger {
    names_max: usize,
    by_name: HashMap<Arc<str>, usize>,
    all: Vec<Sender>,
    /// Those with something to hand over.
    changed: Vec<usize>,
}

#[derive(Debug)]
struct Sender {
    name: Arc<str>,
    sequence: Sequence,
    /// When a number last came.
    came: Timestamp,
    lost: Vec<(Loss, Pending)>,
    highest: Option<Pending>,
    missing: Option<Pending>,
}

impl Senders {
    /// Those that the registry knows from before, and room for `names_max` in all.
    pub(super) fn new(registry: Arc<Registry>, names_max: usize, at: Timestamp) -> Self {
        let mut before = Before::default();
        registry.walk(&mut before);
        let mut ledger = Ledger { names_max, by_name: HashMap::new(), all: Vec::new(), changed: Vec::new() };
        for (name, (highest, missing)) in before.0 {
            let index = ledger.find(&name);
            if highest > 0.0
                && let Some(sender) = ledger.all.get_mut(index)
            {
                #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // it was a number; those beyond 2^53 are near it
                let (highest, missing) = (highest as u64, missing as u64);
                sender.sequence = Sequence::resumed(highest);
                // What was on its way then cannot be told from what has come since.
                ledger.lose(&registry, index, Loss::GAP, missing, at);
                ledger.show(&registry, index, at);
            }
        }
        let senders = Self { registry, ledger: Mutex::new(ledger) };
        senders.post(at, |_, _| {});
        senders
    }

    /// Takes a new limit. Names that are known stay.
    pub(super) fn limit(&self, names_max: usize) {
        self.open().names_max = names_max;
    }

    /// The book, to write in.
    pub(super) fn open(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Enters what a session has noted. What it has counted goes to the registry in the same batch as this, by
    /// [`Ledger::hand_over`], so that no number is ever ahead of its event.
    pub(super) fn write(&self, notes: &mut Notes, at: Timestamp) -> MutexGuard<'_, Ledger> {
        let mut ledger = self.open();
        for note in notes.iter() {
            ledger.enter(&self.registry, note, at);
        }
        notes.clear();
        ledger
    }

    /// Counts a loss of somebody who has no session.
    pub(super) fn lose(&self, name: &str, loss: Loss, events: u64, at: Timestamp) {
        self.post(at, |ledger, registry| {
            let index = ledger.find(name);
            ledger.lose(registry, index, loss, events, at);
        });
    }

    /// Gives up what is missing of senders that have sent no number for a while.
    pub(super) fn settle(&self, at: Timestamp) {
        self.post(at, |ledger, registry| {
            for index in 0..ledger.all.len() {
                let silent = |sender: &&mut Sender| at.since(sender.came) >= PATIENCE && sender.sequence.missing() > 0;
                let Some(lost) = ledger.all.get_mut(index).filter(silent).map(|sender| sender.sequence.settle()) else { continue };
                ledger.lose(registry, index, Loss::GAP, lost, at);
                ledger.show(registry, index, at);
            }
        });
    }

    fn post(&self, at: Timestamp, write: impl FnOnce(&mut Ledger, &Registry)) {
        let mut ledger = self.open();
        write(&mut ledger, &self.registry);
        if !ledger.changed.is_empty() {
            ledger.hand_over(&mut self.registry.merge(NOBODY, at));
        }
    }
}

impl Ledger {
    /// Hands over what has been written. (The agent's own series are not refused.)
    pub(super) fn hand_over(&mut self, merge: &mut Merge<'_>) {
        for index in self.changed.drain(..) {
            let Some(sender) = self.all.get_mut(index) else { continue };
            let lost = sender.lost.iter_mut().map(|(_, pending)| pending);
            for pending in lost.chain(&mut sender.highest).chain(&mut sender.missing).filter(|pending| pending.events > 0) {
                _ = merge.apply(pending);
                pending.clear();
            }
        }
    }

    fn enter(&mut self, registry: &Registry, note: &Note, at: Timestamp) {
        if note.runs.is_empty() && note.lost().next().is_none() {
            return;
        }
        let index = self.find(&note.name);
        for (loss, events) in note.lost() {
            self.lose(registry, index, loss, events, at);
        }
        // The numbers of several senders are no sequence.
        let numbered = self.all.get_mut(index).filter(|sender| !note.runs.is_empty() && &*sender.name != OTHER);
        if let Some(sender) = numbered {
            sender.came = at;
            let lost = note.runs.iter().map(|(first, last)| sender.sequence.observe(*first, *last)).sum();
            self.lose(registry, index, Loss::GAP, lost, at);
            self.show(registry, index, at);
        }
    }

    /// The index of a sender, of the one that stands for others where there are too many.
    fn find(&mut self, name: &str) -> usize {
        if let Some(index) = self.by_name.get(name) {
            return *index;
        }
        let others = self.by_name.contains_key(OTHER);
        if self.by_name.len() - usize::from(others) >= self.names_max && name != OTHER {
            if !others {
                tracing::warn!(
                    sender = name,
                    most = self.names_max,
                    "there are too many senders: the losses of more are counted as those of {OTHER}"
                );
            }
            return self.find(OTHER);
        }
        let (index, name) = (self.all.len(), Arc::from(name));
        self.by_name.insert(Arc::clone(&name), index);
        let (sequence, came) = (Sequence::default(), Timestamp::from_millis(0));
        self.all.push(Sender { name, sequence, came, lost: Vec::new(), highest: None, missing: None });
        index
    }

    fn lose(&mut self, registry: &Registry, index: usize, loss: Loss, events: u64, at: Timestamp) {
        let Some(sender) = self.all.get_mut(index).filter(|_| events > 0) else { return };
        let place = sender.lost.iter().position(|(known, _)| *known == loss).unwrap_or_else(|| {
            let mut labels = labels(&sender.name);
            labels.set("reason", loss.as_str());
            sender.lost.push((loss, registry.own_counter(LOST.0, LOST.2, labels.build(), at)));
            sender.lost.len() - 1
        });
        if let Some((_, pending)) = sender.lost.get_mut(place) {
            if let Change::Count(count) = &mut pending.change {
                *count += events as f64;
            }
            pending.events += 1;
            self.changed.push(index);
        }
    }

    /// Shows how far a sender's numbers have come.
    fn show(&mut self, registry: &Registry, index: usize, at: Timestamp) {
        let Some(sender) = self.all.get_mut(index) else { return };
        let gauge = |(name, _, help): Described| registry.own_gauge(name, help, labels(&sender.name).build(), at);
        if let Some(highest) = sender.sequence.highest() {
            set(sender.highest.get_or_insert_with(|| gauge(HIGHEST)), highest as f64);
        }
        set(sender.missing.get_or_insert_with(|| gauge(MISSING)), sender.sequence.missing() as f64);
        self.changed.push(index);
    }
}

fn set(gauge: &mut Pending, value: f64) {
    gauge.change = Change::Gauge { value, op: GaugeOp::Set, merge: GaugeMerge::Last };
    gauge.events += 1;
}

fn labels(sender: &str) -> LabelsBuilder {
    let mut labels = LabelsBuilder::default();
    labels.set(LABEL, sender);
    labels
}

/// What the registry knows of senders from before: the highest number, and how many are missing, by name.
#[derive(Default)]
struct Before(HashMap<String, (f64, f64)>, Option<usize>);

impl Reader for Before {
    fn family(&mut self, head: &Head<'_>) {
        self.1 = DESCRIBED.iter().position(|((name, ..), _)| **head.name == **name);
    }

    fn series(&mut self, _: Place, _: u64, labels: &Labels, reading: Reading<'_>) {
        let (Some(family), Some(name), Reading::Number(value)) = (self.1, labels.get(LABEL), reading) else { return };
        let (highest, missing) = self.0.entry(name.to_owned()).or_default();
        match family {
            1 => *highest = value,
            2 => *missing = value,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;
