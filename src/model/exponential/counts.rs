//! Counts, as narrow as they can be: most series never count to 2^32 in one bucket, and there are many series.

use super::EXPONENTIAL_BUCKETS_MAX;

/// Room is made for so many buckets at a time,
const GROWTH: usize = 16;
/// and beyond so many at once for all that there can be: they are not many more, and whoever has come so far would be back
/// for each extreme value.
const FEW: usize = 64;

/// Counts in 32 bits each for as long as they fit.
#[derive(Clone, Debug)]
pub(super) enum Counts {
    Narrow(Vec<u32>),
    Wide(Vec<u64>),
}

impl Default for Counts {
    fn default() -> Self {
        Self::Narrow(Vec::new())
    }
}

impl Counts {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Narrow(counts) => counts.len(),
            Self::Wide(counts) => counts.len(),
        }
    }

    pub(super) fn get(&self, place: usize) -> u64 {
        match self {
            Self::Narrow(counts) => counts.get(place).map_or(0, |count| u64::from(*count)),
            Self::Wide(counts) => counts.get(place).copied().unwrap_or(0),
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = u64> + '_ {
        (0..self.len()).map(|place| self.get(place))
    }

    /// Adds to a place; false where it does not exist or would outgrow its width.
    pub(super) fn add_at(&mut self, place: usize, more: u64) -> bool {
        if let Self::Narrow(counts) = self
            && let (Some(count), Ok(narrow)) = (counts.get_mut(place), u32::try_from(more))
            && let Some(sum) = count.checked_add(narrow)
        {
            *count = sum;
            return true;
        }
        false
    }

    /// Adds to a place, making it where it does not exist.
    pub(super) fn add(&mut self, place: usize, more: u64) {
        self.reach(place);
        if !self.add_at(place, more) {
            self.set(place, self.get(place).saturating_add(more));
        }
    }

    /// Replaces a count; a place that does not exist stays so.
    pub(super) fn set(&mut self, place: usize, count: u64) {
        match (&mut *self, u32::try_from(count)) {
            (Self::Narrow(counts), Ok(count)) => {
                if let Some(old) = counts.get_mut(place) {
                    *old = count;
                }
                return;
            }
            (Self::Narrow(counts), Err(_)) => *self = Self::Wide(counts.iter().copied().map(u64::from).collect()),
            (Self::Wide(_), _) => {}
        }
        if let Self::Wide(counts) = self
            && let Some(old) = counts.get_mut(place)
        {
            *old = count;
        }
    }

    fn reach(&mut self, place: usize) {
        match self {
            Self::Narrow(counts) => reach(counts, place),
            Self::Wide(counts) => reach(counts, place),
        }
    }

    pub(super) fn grow_front(&mut self, missing: usize) {
        match self {
            Self::Narrow(counts) => grow_front(counts, missing),
            Self::Wide(counts) => grow_front(counts, missing),
        }
    }

    pub(super) fn truncate(&mut self, length: usize) {
        match self {
            Self::Narrow(counts) => counts.truncate(length),
            Self::Wide(counts) => counts.truncate(length),
        }
    }

    /// Gives up the room that is not needed.
    pub(super) fn shrink(&mut self) {
        match self {
            Self::Narrow(counts) => counts.shrink_to_fit(),
            Self::Wide(counts) => counts.shrink_to_fit(),
        }
    }

    /// Sets every count to zero.
    pub(super) fn clear(&mut self) {
        match self {
            Self::Narrow(counts) => counts.fill(0),
            Self::Wide(counts) => counts.fill(0),
        }
    }

    /// Takes out the zeros at both ends, and tells how many were at the front.
    pub(super) fn trim(&mut self) -> usize {
        match self {
            Self::Narrow(counts) => trim(counts),
            Self::Wide(counts) => trim(counts),
        }
    }

    pub(super) fn heap_bytes(&self) -> usize {
        match self {
            Self::Narrow(counts) => counts.capacity() * size_of::<u32>(),
            Self::Wide(counts) => counts.capacity() * size_of::<u64>(),
        }
    }
}

fn reach<T: Clone + Default>(counts: &mut Vec<T>, place: usize) {
    if place >= counts.len() {
        make_room(counts, place + 1 - counts.len());
        counts.resize(place + 1, T::default());
    }
}

fn grow_front<T: Clone + Default>(counts: &mut Vec<T>, missing: usize) {
    make_room(counts, missing);
    counts.resize(counts.len() + missing, T::default());
    counts.rotate_right(missing);
}

/// A vector doubles by itself; series are too many for that.
fn make_room<T>(counts: &mut Vec<T>, more: usize) {
    let length = counts.len() + more;
    if counts.capacity() < length {
        let room = if length > FEW { length.max(EXPONENTIAL_BUCKETS_MAX) } else { length.next_multiple_of(GROWTH) };
        counts.reserve_exact(room - counts.len());
    }
}

fn trim<T: Default + PartialEq>(counts: &mut Vec<T>) -> usize {
    let zero = T::default();
    counts.truncate(counts.iter().rposition(|count| *count != zero).map_or(0, |last| last + 1));
    let front = counts.iter().position(|count| *count != zero).unwrap_or(0);
    counts.rotate_left(front);
    counts.truncate(counts.len() - front);
    front
}
