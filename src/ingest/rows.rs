//! Where the readings of typed events go. Series that have the same labels stand in one row: an event is looked up once for
//! all of them, by the values of their labels.

use std::hash::BuildHasher;
use std::ops::Range;

use hashbrown::{DefaultHashBuilder, HashTable};

use super::kinds::INSTRUMENTS_MAX;

/// For each instrument of a group the table's slot, once there is one.
pub(super) type Row = [Option<u32>; INSTRUMENTS_MAX];

/// All rows. Their identities lie in one piece, as the shapes of StatsD lines do and for the same reason.
#[derive(Debug, Default)]
pub(super) struct Rows {
    table: HashTable<Entry>,
    text: Vec<u8>,
    hasher: DefaultHashBuilder,
}

#[derive(Debug)]
struct Entry {
    identity: Range<u32>,
    row: Row,
}

impl Entry {
    fn identity<'t>(&self, text: &'t [u8]) -> &'t [u8] {
        text.get(self.identity.start as usize..self.identity.end as usize).unwrap_or(&[])
    }
}

impl Rows {
    /// The row with this identity, empty where it has not been seen.
    pub(super) fn find(&self, identity: &[u8]) -> Row {
        let found = self.table.find(self.hasher.hash_one(identity), |entry| entry.identity(&self.text) == identity);
        found.map_or(Row::default(), |entry| entry.row)
    }

    /// Remembers an instrument's slot.
    pub(super) fn learn(&mut self, identity: &[u8], instrument: usize, slot: usize) {
        let Ok(slot) = u32::try_from(slot) else { return };
        let hash = self.hasher.hash_one(identity);
        let text = &self.text;
        let place = match self.table.find_mut(hash, |entry| entry.identity(text) == identity) {
            Some(entry) => entry.row.get_mut(instrument),
            None => self.insert(hash, identity).and_then(|row| row.get_mut(instrument)),
        };
        if let Some(place) = place {
            *place = Some(slot);
        }
    }

    fn insert(&mut self, hash: u64, identity: &[u8]) -> Option<&mut Row> {
        let start = u32::try_from(self.text.len()).ok()?;
        let end = u32::try_from(self.text.len() + identity.len()).ok()?;
        self.text.extend_from_slice(identity);
        let (text, hasher) = (&self.text, &self.hasher);
        let entry = Entry { identity: start..end, row: Row::default() };
        let entry = self.table.insert_unique(hash, entry, |entry| hasher.hash_one(entry.identity(text)));
        Some(&mut entry.into_mut().row)
    }

    /// How many rows there are.
    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    /// How many bytes of identities are remembered.
    pub(super) const fn bytes(&self) -> usize {
        self.text.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instruments_of_one_identity_share_a_row() {
        let mut rows = Rows::default();
        rows.learn(b"a", 0, 7);
        rows.learn(b"a", 2, 9);
        rows.learn(b"b", 0, 1);
        assert_eq!(rows.find(b"a"), [Some(7), None, Some(9), None]);
        assert_eq!(rows.find(b"b"), [Some(1), None, None, None]);
        assert_eq!(rows.find(b""), Row::default());
        assert_eq!((rows.len(), rows.bytes()), (2, 2));
    }

    #[test]
    fn rows_stay_where_the_table_grows() {
        let mut rows = Rows::default();
        let identity = |number: usize| number.to_le_bytes();
        (0..1000).for_each(|number| rows.learn(&identity(number), 1, number));
        assert!((0..1000).all(|number| rows.find(&identity(number))[1].map(|slot| slot as usize) == Some(number)));
    }
}
