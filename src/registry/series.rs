//! Where series live: a slab, so that whoever has found a series once reaches it again without looking for it.

use super::instrument::Instrument;
use crate::model::{Labels, Timestamp};

/// A handle to a series. It outlives the series harmlessly: then it leads nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    index: u32,
    generation: u32,
}

impl Place {
    /// The number of its slot, for whoever keeps something beside a series: small, and given anew when the series is gone.
    #[must_use]
    pub const fn slot(self) -> usize {
        self.index as usize
    }
}

/// Which limit a series counts against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// The caps.
    Counted,
    /// The room beyond the caps that is kept for series in place of others.
    Overflow,
    /// None: it is the agent's own.
    Own,
}

/// A series that exists.
#[derive(Debug)]
pub(super) struct Live {
    /// The index of its family.
    pub(super) family: u32,
    pub(super) labels: Labels,
    pub(super) instrument: Instrument,
    /// When it last changed.
    pub(super) changed: Timestamp,
    /// Its number in order of creation, never given twice.
    pub(super) number: u64,
    pub(super) standing: Standing,
    /// Whether the journal knows the number.
    pub(super) defined: bool,
    /// Nothing has changed it for long: it is kept, but not shown.
    pub(super) retired: bool,
}

/// What a series takes in the slab, with its share of the room that the slab has to grow.
pub(super) const SLOT_BYTES: usize = size_of::<Slot>() + size_of::<Slot>() / 8;

/// All series.
#[derive(Debug, Default)]
pub(super) struct Slab {
    slots: Vec<Slot>,
    free: Vec<u32>,
    numbers: u64,
}

#[derive(Debug)]
struct Slot {
    generation: u32,
    live: Option<Live>,
}

impl Slab {
    /// How many series there are.
    pub(super) const fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// The series' index, if the handle still leads to one.
    pub(super) fn index(&self, place: Place) -> Option<u32> {
        self.slots.get(place.index as usize).filter(|slot| slot.generation == place.generation && slot.live.is_some()).map(|_| place.index)
    }

    /// A handle to the series at an index.
    pub(super) fn place(&self, index: u32) -> Place {
        Place { index, generation: self.slots.get(index as usize).map_or(0, |slot| slot.generation) }
    }

    pub(super) fn get(&self, index: u32) -> Option<&Live> {
        self.slots.get(index as usize)?.live.as_ref()
    }

    pub(super) fn get_mut(&mut self, index: u32) -> Option<&mut Live> {
        self.slots.get_mut(index as usize)?.live.as_mut()
    }

    /// Makes sure that no number up to this one is given again.
    pub(super) fn pass(&mut self, number: u64) {
        self.numbers = self.numbers.max(number);
    }

    /// The highest number that was given.
    pub(super) const fn highest(&self) -> u64 {
        self.numbers
    }

    /// Whether there is, or was, a series at an index.
    pub(super) const fn has_slot(&self, index: u32) -> bool {
        (index as usize) < self.slots.len()
    }

    /// All series with their indices.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (u32, &mut Live)> {
        (0..).zip(&mut self.slots).filter_map(|(index, slot)| Some((index, slot.live.as_mut()?)))
    }

    /// All series.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Live> {
        self.slots.iter().filter_map(|slot| slot.live.as_ref())
    }

    /// The next series' number.
    pub(super) fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    /// Keeps a series; `None` when the slab is full.
    pub(super) fn insert(&mut self, live: Live) -> Option<u32> {
        if let Some(index) = self.free.pop() {
            self.slots.get_mut(index as usize)?.live = Some(live);
            return Some(index);
        }
        let index = u32::try_from(self.slots.len()).ok()?;
        // A vector would double: half of its room would be empty at worst, and a series has to be small.
        if self.slots.len() == self.slots.capacity() {
            self.slots.reserve_exact((self.slots.len() / 8).max(64));
        }
        self.slots.push(Slot { generation: 0, live: Some(live) });
        Some(index)
    }

    /// Takes a series out. Handles to it lead nowhere from now on.
    pub(super) fn remove(&mut self, index: u32) -> Option<Live> {
        let slot = self.slots.get_mut(index as usize)?;
        let live = slot.live.take()?;
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(index);
        Some(live)
    }
}
