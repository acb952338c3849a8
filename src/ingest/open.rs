//! What has begun and not ended, by its identifier: the requests of one sender, or its tasks. Room is kept, so that beginning
//! and ending costs no memory in the steady state.

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};

use super::Refusal;
use crate::model::Timestamp;

/// Longer identifiers than this are no identifiers.
const ID_BYTES_MAX: usize = 256;
/// So many bytes of an identifier need no memory of their own; a UUID with its hyphens fits.
const ID_BYTES_INLINE: usize = 38;

/// What is open, by identifier and in order of its last event.
#[derive(Debug)]
pub(super) struct Open<T> {
    entries: Vec<Entry<T>>,
    by_id: HashTable<u32>,
    hasher: DefaultHashBuilder,
    /// Entries that are not in use, linked by `behind`.
    free: Option<u32>,
    first: Option<u32>,
    last: Option<u32>,
    /// The first entry that has not been found silent yet; all behind it have not either.
    heard: Option<u32>,
    max: usize,
    full: Refusal,
    timeout_millis: i64,
}

#[derive(Debug)]
struct Entry<T> {
    id: Id,
    at: Timestamp,
    before: Option<u32>,
    behind: Option<u32>,
    value: T,
}

#[derive(Debug)]
enum Id {
    Short { length: u8, bytes: [u8; ID_BYTES_INLINE] },
    Long(Box<[u8]>),
}

impl Id {
    fn new(id: &str) -> Self {
        let mut bytes = [0; ID_BYTES_INLINE];
        match (bytes.get_mut(..id.len()), u8::try_from(id.len())) {
            (Some(place), Ok(length)) => {
                place.copy_from_slice(id.as_bytes());
                Self::Short { length, bytes }
            }
            _ => Self::Long(id.as_bytes().into()),
        }
    }

    fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Short { length, bytes } => bytes.get(..usize::from(*length)).unwrap_or(&[]),
            Self::Long(bytes) => bytes,
        }
    }
}

impl<T: Copy> Open<T> {
    /// At most `max`, each for at most `timeout_millis` after its last event; `full` is the reason when there are too many.
    pub(super) fn new(max: usize, full: Refusal, timeout_millis: i64) -> Self {
        Self {
            entries: Vec::new(),
            by_id: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
            free: None,
            first: None,
            last: None,
            heard: None,
            max,
            full,
            timeout_millis,
        }
    }

    /// Takes new limits; what is open stays open.
    pub(super) const fn limit(&mut self, max: usize, timeout_millis: i64) {
        self.max = max;
        self.timeout_millis = timeout_millis;
    }

    /// True when nothing is open.
    pub(super) fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        *self = Self::new(self.max, self.full, self.timeout_millis);
    }

    /// Notes that something begins. False when it has begun already: it is still one.
    ///
    /// # Errors
    /// When too many are open, or the identifier is too long.
    pub(super) fn begin(&mut self, id: &str, at: Timestamp, value: T) -> Result<bool, Refusal> {
        if id.len() > ID_BYTES_MAX {
            return Err(Refusal::LabelTooLong);
        }
        if self.find(id).is_some() {
            return Ok(false);
        }
        if self.by_id.len() >= self.max {
            return Err(self.full);
        }
        let entry = Entry { id: Id::new(id), at, before: None, behind: None, value };
        let index = match self.free {
            Some(index) => {
                let place = self.entries.get_mut(index as usize).ok_or(self.full)?;
                self.free = place.behind;
                *place = entry;
                index
            }
            None => {
                let index = u32::try_from(self.entries.len()).map_err(|_| self.full)?;
                self.entries.push(entry);
                index
            }
        };
        let (entries, hasher) = (&self.entries, &self.hasher);
        let hash_of = |index: &u32| entries.get(*index as usize).map_or(0, |entry| hasher.hash_one(entry.id.as_bytes()));
        self.by_id.insert_unique(self.hasher.hash_one(id.as_bytes()), index, hash_of);
        self.append(index);
        Ok(true)
    }

    /// What is open under an identifier, after another event of it.
    pub(super) fn touch(&mut self, id: &str, at: Timestamp) -> Option<&mut T> {
        let index = self.find(id)?;
        self.unlink(index);
        self.append(index);
        let entry = self.entries.get_mut(index as usize)?;
        entry.at = at;
        Some(&mut entry.value)
    }

    /// Notes that something has ended; what it was, if it had begun here.
    pub(super) fn end(&mut self, id: &str) -> Option<T> {
        let index = self.find(id)?;
        self.remove(index)
    }

    /// Gives up the one that has been open for longest after its last event, if that is too long.
    pub(super) fn expire(&mut self, at: Timestamp) -> Option<T> {
        let first = self.first?;
        let latest = at.plus_millis(-self.timeout_millis);
        if self.entries.get(first as usize)?.at <= latest { self.remove(first) } else { None }
    }

    /// The next one that has been silent for so long; each comes once, until there is another event of it.
    pub(super) fn silent(&mut self, at: Timestamp, millis: i64) -> Option<&mut T> {
        let index = self.heard?;
        let entry = self.entries.get_mut(index as usize).filter(|entry| entry.at <= at.plus_millis(-millis))?;
        self.heard = entry.behind;
        Some(&mut entry.value)
    }

    /// All that is open.
    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        let Self { entries, by_id, .. } = self;
        let mut used = vec![false; entries.len()];
        for index in by_id.iter() {
            if let Some(used) = used.get_mut(*index as usize) {
                *used = true;
            }
        }
        entries.iter_mut().zip(used).filter(|(_, used)| *used).map(|(entry, _)| &mut entry.value)
    }

    fn find(&self, id: &str) -> Option<u32> {
        let same = |index: &u32| self.entries.get(*index as usize).is_some_and(|entry| entry.id.as_bytes() == id.as_bytes());
        self.by_id.find(self.hasher.hash_one(id.as_bytes()), same).copied()
    }

    fn remove(&mut self, index: u32) -> Option<T> {
        self.unlink(index);
        let entry = self.entries.get_mut(index as usize)?;
        if let Ok(found) = self.by_id.find_entry(self.hasher.hash_one(entry.id.as_bytes()), |other| *other == index) {
            found.remove();
        }
        entry.behind = self.free;
        // A long identifier gives its memory back.
        entry.id = Id::new("");
        self.free = Some(index);
        Some(entry.value)
    }

    /// Puts an entry behind all others.
    fn append(&mut self, index: u32) {
        let last = self.last.replace(index);
        match last.and_then(|last| self.entries.get_mut(last as usize)) {
            Some(entry) => entry.behind = Some(index),
            None => self.first = Some(index),
        }
        if let Some(entry) = self.entries.get_mut(index as usize) {
            (entry.before, entry.behind) = (last, None);
        }
        self.heard.get_or_insert(index);
    }

    /// Takes an entry out of the order.
    fn unlink(&mut self, index: u32) {
        let Some((before, behind)) = self.entries.get(index as usize).map(|entry| (entry.before, entry.behind)) else { return };
        match before.and_then(|before| self.entries.get_mut(before as usize)) {
            Some(entry) => entry.behind = behind,
            None => self.first = behind,
        }
        match behind.and_then(|behind| self.entries.get_mut(behind as usize)) {
            Some(entry) => entry.before = before,
            None => self.last = before,
        }
        if self.heard == Some(index) {
            self.heard = behind;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn open(max: usize) -> Open<usize> {
        Open::new(max, Refusal::OpenRequests, 1000)
    }

    #[test]
    fn something_is_open_from_its_begin_to_its_end() {
        let mut open = open(10);
        assert_eq!(open.begin("a", at(0), 7), Ok(true));
        assert_eq!(open.begin("a", at(1), 8), Ok(false));
        assert_eq!(open.end("a"), Some(7));
        assert_eq!(open.end("a"), None);
        assert!(open.is_empty());
    }

    #[test]
    fn only_so_many_may_be_open() {
        let mut open = open(1);
        assert_eq!(open.begin("a", at(0), 0), Ok(true));
        assert_eq!(open.begin("b", at(0), 0), Err(Refusal::OpenRequests));
        assert_eq!(open.begin(&"x".repeat(257), at(0), 0), Err(Refusal::LabelTooLong));
        let long = "x".repeat(256);
        open.end("a");
        assert_eq!(open.begin(&long, at(0), 3), Ok(true));
        assert_eq!(open.end(&long), Some(3));
    }

    #[test]
    fn what_does_not_end_is_given_up_in_time() {
        let mut open = open(10);
        for (id, millis) in [("a", 0), ("b", 500), ("c", 600)] {
            open.begin(id, at(millis), 0).expect("room");
        }
        open.touch("a", at(700));
        assert_eq!(open.expire(at(1499)), None);
        assert!(open.expire(at(1500)).is_some() && open.expire(at(1500)).is_none());
        assert_eq!((open.end("b"), open.end("a")), (None, Some(0)));
    }

    #[test]
    fn silence_is_told_once_until_there_is_another_event() {
        let mut open = open(10);
        for (id, value) in [("a", 1), ("b", 2), ("c", 3)] {
            open.begin(id, at(0), value).expect("room");
        }
        open.end("a");
        assert_eq!(open.silent(at(9), 10), None);
        assert_eq!(open.silent(at(10), 10).copied(), Some(2));
        open.touch("b", at(11));
        assert_eq!(open.silent(at(20), 10).copied(), Some(3));
        assert_eq!(open.silent(at(20), 10), None);
        open.end("b");
        open.begin("d", at(20), 4).expect("room");
        assert_eq!(open.silent(at(40), 10).copied(), Some(4));
    }

    proptest! {
        #[test]
        fn it_does_what_a_list_would_do(steps in proptest::collection::vec((0_u8..5, 0_u8..6, 0_i64..400), 0..120)) {
            let mut open: Open<u8> = Open::new(4, Refusal::OpenRequests, 1000);
            // Identifier, last event, whether it was found silent; in order of the last event.
            let mut list: Vec<(u8, i64, bool)> = Vec::new();
            let mut now = 0;
            for (step, id, pause) in steps {
                now += pause;
                let name = "i".repeat(30 + usize::from(id) * 4);
                let known = list.iter().position(|(other, ..)| *other == id);
                match step {
                    0 => {
                        let expected = match known {
                            Some(_) => Ok(false),
                            None if list.len() >= 4 => Err(Refusal::OpenRequests),
                            None => Ok(true),
                        };
                        prop_assert_eq!(open.begin(&name, at(now), id), expected);
                        if expected == Ok(true) {
                            list.push((id, now, false));
                        }
                    }
                    1 => {
                        prop_assert_eq!(open.touch(&name, at(now)).copied(), known.map(|_| id));
                        if let Some(known) = known {
                            list.remove(known);
                            list.push((id, now, false));
                        }
                    }
                    2 => {
                        prop_assert_eq!(open.end(&name), known.map(|_| id));
                        list.retain(|(other, ..)| *other != id);
                    }
                    3 => {
                        let oldest = list.first().filter(|(_, at, _)| *at <= now - 1000).map(|(id, ..)| *id);
                        prop_assert_eq!(open.expire(at(now)), oldest);
                        list.retain(|(other, ..)| Some(*other) != oldest);
                    }
                    _ => {
                        let silent = list.iter_mut().find(|(.., told)| !told).filter(|(_, at, _)| *at <= now - 300);
                        prop_assert_eq!(open.silent(at(now), 300).copied(), silent.as_ref().map(|(id, ..)| *id));
                        if let Some(silent) = silent {
                            silent.2 = true;
                        }
                    }
                }
                let mut values: Vec<u8> = open.values_mut().map(|value| *value).collect();
                values.sort_unstable();
                let mut expected: Vec<u8> = list.iter().map(|(id, ..)| *id).collect();
                expected.sort_unstable();
                prop_assert_eq!(values, expected);
            }
        }
    }
}
