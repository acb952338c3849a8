//! What is on disk of which series, and so what is not yet.

use super::super::column::{Column, Grade, Sealed};
use super::super::index::SeriesId;
use super::super::store::Store;
use super::record::{HeadPart, Writer};
use crate::model::Labels;

/// A file while it is written to: others have other numbers for series. Never used twice.
pub(super) type FileId = u32;

/// One series' entry.
#[derive(Debug)]
struct Entry {
    labels: Labels,
    /// Its numbers in the files that are written to now, by grade, and in the log of heads.
    numbers: [Option<FileId>; 3],
    columns: [Known; 2],
}

/// What is on disk of a column.
#[derive(Clone, Copy, Debug)]
struct Known {
    /// The end of the newest chunk.
    sealed: i64,
    head: Option<KnownHead>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct KnownHead {
    file: FileId,
    first: i64,
    bytes: usize,
    count: u16,
}

#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// By the series' places in the store.
    entries: Vec<Option<Entry>>,
}

/// What is not on disk yet.
#[derive(Debug, Default)]
pub(super) struct Unsaved {
    chunks: [Vec<(SeriesId, Sealed)>; 2],
    heads: Vec<(SeriesId, Grade, HeadPart, KnownHead)>,
}

impl Unsaved {
    pub(super) fn has_chunks(&self, grade: Grade) -> bool {
        self.chunks.get(grade.index()).is_some_and(|chunks| !chunks.is_empty())
    }

    /// The latest end of the chunks of a grade.
    pub(super) fn last(&self, grade: Grade) -> Option<i64> {
        self.chunks.get(grade.index())?.iter().map(|(_, chunk)| chunk.last).max()
    }
}

/// Where in an entry the number of the log of heads is.
const HEADS: usize = 2;

impl Ledger {
    /// Takes everything that is sealed for saved.
    pub(super) fn adopt(&mut self, store: &Store) {
        for (id, series) in store.entries() {
            let Some(entry) = self.entry(id, series.labels()) else { continue };
            for grade in Grade::ALL {
                let newest = series.column(grade).and_then(Column::newest_chunk).map(|chunk| chunk.last);
                if let (Some(known), Some(last)) = (entry.columns.get_mut(grade.index()), newest) {
                    known.sealed = last;
                }
            }
        }
    }

    fn entry(&mut self, id: SeriesId, labels: &Labels) -> Option<&mut Entry> {
        let place = id as usize;
        if self.entries.len() <= place {
            self.entries.resize_with(place + 1, || None);
        }
        let slot = self.entries.get_mut(place)?;
        // Another series may have taken the place of one that is gone.
        if slot.as_ref().is_none_or(|entry| entry.labels != *labels) {
            *slot = None;
        }
        let new = || Entry { labels: labels.clone(), numbers: [None; 3], columns: [Known { sealed: i64::MIN, head: None }; 2] };
        Some(slot.get_or_insert_with(new))
    }

    /// What `heads`, the log of heads, and the segments do not hold.
    pub(super) fn unsaved(&mut self, store: &Store, heads: FileId) -> Unsaved {
        let mut unsaved = Unsaved::default();
        for (id, series) in store.entries() {
            let Some(entry) = self.entry(id, series.labels()) else { continue };
            for grade in Grade::ALL {
                let (Some(column), Some(known)) = (series.column(grade), entry.columns.get(grade.index())) else { continue };
                if let Some(chunks) = unsaved.chunks.get_mut(grade.index()) {
                    chunks.extend(column.chunks_since(known.sealed).map(|chunk| (id, chunk.clone())));
                }
                let Some(head) = column.head() else { continue };
                let before = known.head.filter(|known| known.file == heads && known.first == head.first());
                if before.is_some_and(|before| before.count == head.count()) {
                    continue;
                }
                let from = before.map_or(0, |before| before.bytes);
                let bytes = store.blocks().copy_from(head.chain(), from);
                let part = HeadPart { first: head.first(), count: head.count(), closing: head.closing(), from, bytes };
                let after = KnownHead { file: heads, first: head.first(), bytes: head.chain().len(), count: head.count() };
                unsaved.heads.push((id, grade, part, after));
            }
        }
        let places = store.places();
        self.entries.truncate(places);
        unsaved
    }

    /// The number of a series in a file, written down there before it is used the first time.
    fn number(&mut self, id: SeriesId, slot: usize, file: FileId, writer: &mut Writer) {
        let Some(Some(entry)) = self.entries.get_mut(id as usize) else { return };
        let Some(known) = entry.numbers.get_mut(slot) else { return };
        if *known != Some(file) {
            *known = Some(file);
            writer.series(id, &entry.labels);
        }
    }

    /// The chunks of a grade as frames for this file.
    pub(super) fn chunk_frames(&mut self, unsaved: &Unsaved, grade: Grade, file: FileId) -> Vec<u8> {
        let mut writer = Writer::default();
        for (id, chunk) in unsaved.chunks.get(grade.index()).into_iter().flatten() {
            self.number(*id, grade.index(), file, &mut writer);
            writer.chunk(*id, grade, chunk);
        }
        writer.finish()
    }

    /// The heads as frames for this file.
    pub(super) fn head_frames(&mut self, unsaved: &Unsaved, file: FileId) -> Vec<u8> {
        let mut writer = Writer::default();
        for (id, grade, part, _) in &unsaved.heads {
            self.number(*id, HEADS, file, &mut writer);
            writer.head(*id, *grade, part);
        }
        writer.finish()
    }

    /// The chunks of a grade are on disk.
    pub(super) fn saved_chunks(&mut self, unsaved: &Unsaved, grade: Grade) {
        for (id, chunk) in unsaved.chunks.get(grade.index()).into_iter().flatten() {
            if let Some(known) = self.known(*id, grade) {
                known.sealed = known.sealed.max(chunk.last);
            }
        }
    }

    /// The heads are on disk.
    pub(super) fn saved_heads(&mut self, unsaved: &Unsaved) {
        for (id, grade, _, after) in &unsaved.heads {
            if let Some(known) = self.known(*id, *grade) {
                known.head = Some(*after);
            }
        }
    }

    fn known(&mut self, id: SeriesId, grade: Grade) -> Option<&mut Known> {
        self.entries.get_mut(id as usize)?.as_mut()?.columns.get_mut(grade.index())
    }
}
