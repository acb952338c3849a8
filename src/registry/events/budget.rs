//! What all series take of memory, and what is given up when it is too much, in this order: series that have retired, the
//! oldest first; exemplars; the resolution of exponential buckets. What is left then is for the caps: new series go to
//! others in their place.

use std::collections::VecDeque;

use super::{EventFamily, Events, News};
use crate::model::Labels;
use crate::registry::Config;
#[cfg(test)]
use crate::registry::bytes::Sizes;
use crate::registry::bytes::{Bytes, allocated};
use crate::registry::series::SLOT_BYTES;

/// Exponential buckets are halved in resolution until a histogram has at most so many, then a half of that, and so on.
const BUCKETS_FIRST: usize = 160;
/// With fewer buckets than this there is not much to win.
const BUCKETS_LAST: usize = 20;
/// What a series takes beside its slot and labels: its places in the family's list and table, which have room to grow.
const INDEX_BYTES: usize = 20;
/// What a family takes in the list of all names, and the names that it claims.
const NAME_BYTES: usize = 200;
/// Its help: few sentences are longer, and it may change.
const HELP_BYTES: usize = 128;

/// How far giving up has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Stage {
    /// There is room.
    #[default]
    Calm,
    /// Exemplars go, and no new ones are kept.
    Exemplars,
    /// Histograms get at most so many exponential buckets.
    Buckets(usize),
    /// There is nothing left to give up.
    Spent,
}

/// What is given up.
#[derive(Debug, Default)]
pub(super) struct Relief {
    pub(super) stage: Stage,
    /// Memory is short, and has been told to be.
    short: bool,
    /// The next series to look at.
    next: u32,
    /// Series that have retired, with their numbers, in that order; some have come back since.
    retired: VecDeque<(u32, u64)>,
}

/// What has been given up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::registry) struct Shed {
    /// Series that had retired.
    pub(in crate::registry) retired: u64,
    /// Histograms that have lost their exemplars.
    pub(in crate::registry) exemplars: u64,
    /// Histograms that have lost resolution.
    pub(in crate::registry) resolution: u64,
}

impl Relief {
    pub(super) const fn keeps_exemplars(&self) -> bool {
        matches!(self.stage, Stage::Calm)
    }

    pub(super) fn retires(&mut self, index: u32, number: u64) {
        self.retired.push_back((index, number));
    }
}

impl Events {
    /// What all series take.
    pub(in crate::registry) const fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// What has been given up since this was asked last.
    pub(in crate::registry) const fn take_shed(&mut self) -> Shed {
        std::mem::replace(&mut self.shed, Shed { retired: 0, exemplars: 0, resolution: 0 })
    }

    /// True while something is given up to stay within the budget.
    pub(in crate::registry) const fn is_shedding(&self) -> bool {
        self.relief.short
    }

    /// Gives up what the budget has no room for, looking at no more than `work` series: so that what is asked for the
    /// changes that come in meanwhile does not wait for long. True when it is not done.
    pub(in crate::registry) fn relieve(&mut self, config: &Config, work: usize) -> bool {
        let least = config.bytes_max - config.bytes_max / 4;
        if self.bytes.total() <= least {
            self.relief.stage = Stage::Calm;
            if std::mem::take(&mut self.relief.short) {
                self.tell(News::Relieved);
            }
        }
        for _ in 0..work {
            if self.bytes.total() <= enough(config) {
                return false;
            }
            if !std::mem::replace(&mut self.relief.short, true) {
                let bytes = self.bytes.total();
                self.tell(News::Short { bytes });
            }
            if self.give_up_retired() {
                continue;
            }
            match self.relief.stage {
                Stage::Calm => self.turn_to(Stage::Exemplars),
                Stage::Exemplars => self.give_up_exemplars(),
                Stage::Buckets(most) => self.give_up_buckets(most),
                Stage::Spent => return false,
            }
        }
        true
    }

    /// Lets what is left be looked at again: it may have grown.
    pub(super) fn try_again(&mut self) {
        if self.relief.stage == Stage::Spent {
            self.turn_to(Stage::Buckets(BUCKETS_LAST));
        }
        // Those that have come back would pile up.
        if self.relief.retired.len() > 2 * self.retired + 64 {
            let slab = &self.slab;
            self.relief.retired.retain(|(index, number)| slab.get(*index).is_some_and(|live| live.retired && live.number == *number));
        }
    }

    /// Whether the budget has room for new series.
    pub(super) fn has_bytes(&self, config: &Config) -> bool {
        self.bytes.total() < config.bytes_max
    }

    /// Whether it has room for new series in place of others, for which a little more is kept.
    pub(super) fn has_bytes_in_place(&self, config: &Config) -> bool {
        self.bytes.total() < config.bytes_max.saturating_add(config.bytes_max / 16)
    }

    /// Counts everything anew.
    #[cfg(test)]
    pub(in crate::registry) fn weigh(&mut self) {
        let mut bytes = Bytes::default();
        for live in self.slab.iter() {
            bytes.series += series_bytes(&live.labels);
            bytes.replace(Sizes::default(), live.instrument.sizes());
        }
        bytes.families = self.families.iter().flatten().map(family_bytes).sum();
        self.bytes = bytes;
    }

    fn turn_to(&mut self, stage: Stage) {
        (self.relief.stage, self.relief.next) = (stage, 0);
    }

    /// Gives up the series that has retired first. False where there is none.
    fn give_up_retired(&mut self) -> bool {
        while let Some((index, number)) = self.relief.retired.pop_front() {
            if self.slab.get(index).is_some_and(|live| live.retired && live.number == number) {
                self.remove(index);
                self.shed.retired += 1;
                return true;
            }
        }
        false
    }

    fn give_up_exemplars(&mut self) {
        let Some(index) = self.next_to_relieve() else { return self.turn_to(Stage::Buckets(BUCKETS_FIRST)) };
        if self.resize(index, |live| live.instrument.drop_exemplars()).unwrap_or(false) {
            self.shed.exemplars += 1;
        }
    }

    fn give_up_buckets(&mut self, most: usize) {
        let Some(index) = self.next_to_relieve() else {
            return self.turn_to(if most > BUCKETS_LAST { Stage::Buckets(most / 2) } else { Stage::Spent });
        };
        if self.resize(index, |live| live.instrument.coarsen(most)).unwrap_or(false) {
            self.shed.resolution += 1;
        }
    }

    fn next_to_relieve(&mut self) -> Option<u32> {
        let index = self.relief.next;
        self.relief.next = index.saturating_add(1);
        self.slab.has_slot(index).then_some(index)
    }
}

/// What is enough to give up: a part of the budget is left for what comes in meanwhile.
pub(super) const fn enough(config: &Config) -> usize {
    config.bytes_max - config.bytes_max / 8
}

/// What a series takes, but for what it holds.
pub(super) fn series_bytes(labels: &Labels) -> usize {
    SLOT_BYTES + INDEX_BYTES + allocated(labels.byte_len() + 16)
}

/// What a family takes without its series.
pub(super) fn family_bytes(family: &EventFamily) -> usize {
    let names = 4 * allocated(family.name.len() + 16);
    let bounds = if family.bounds.is_empty() { 0 } else { allocated(size_of_val(&*family.bounds) + 16) };
    size_of::<EventFamily>() + NAME_BYTES + HELP_BYTES + names + bounds
}
