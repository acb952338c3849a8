//! Keeps history in its folder: reads it back at the start, and from then on writes what has been added.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::super::column::Grade;
use super::super::{Config, History};
use super::folder::{FOLDER, Folder, Number, append};
use super::ledger::{FileId, Ledger, Unsaved};
use super::metrics::Metrics;
use super::record::{End, MAGIC, read};
use super::restore::Found;
use crate::clock;
use crate::model::{Condition, Timestamp};
use crate::runtime::Board;
use crate::telemetry::{Telemetry, Throttle};

/// The part on the board.
const PART: &str = "history.files";

/// A log of heads begins anew when it is so many times as long as it was when it began, and not shorter than this.
const HEADS_GROWTH: u64 = 4;
const HEADS_BYTES_MIN: u64 = 256 << 10;

/// A segment ends when it has so many bytes, or a share of what is kept is in it.
const SEGMENT_BYTES: u64 = 32 << 20;
const SEGMENT_SHARE: i64 = 4;

/// History's files.
#[derive(Debug)]
pub struct Archive {
    history: History,
    folder: Folder,
    metrics: Metrics,
    board: Board,
    desk: Mutex<Desk>,
    log: Mutex<Throttle>,
    /// How long a segment of a grade is written to, in milliseconds.
    spans: [i64; 2],
}

#[derive(Debug, Default)]
struct Desk {
    ledger: Ledger,
    /// All segments that are there.
    segments: Vec<Segment>,
    /// Those that are written to, by grade.
    open: [Option<Open>; 2],
    heads: Option<Heads>,
    /// How long the old log of heads is.
    heads_bytes: u64,
    files: FileId,
    next: Number,
}

#[derive(Debug)]
struct Segment {
    grade: Grade,
    number: Number,
    bytes: u64,
    /// The latest end of a chunk in it.
    last: i64,
}

#[derive(Debug)]
struct Open {
    file: File,
    id: FileId,
    number: Number,
    began: i64,
}

#[derive(Debug)]
struct Heads {
    file: File,
    id: FileId,
    bytes_first: u64,
}

/// Why history could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write history into {0}: {1}")]
struct SaveError(PathBuf, #[source] io::Error);

impl Archive {
    /// Reads back what the folder holds, into a history that is empty. `folder` is the agent's own, or why it has none.
    /// `None` where history is in memory alone; the board says why.
    #[must_use]
    pub fn open(
        history: &History,
        folder: Result<PathBuf, String>,
        config: &Config,
        telemetry: &Telemetry,
        board: &Board,
        at: Timestamp,
    ) -> Option<Arc<Self>> {
        let metrics = Metrics::new(telemetry);
        if !config.persist {
            return None;
        }
        let opened = folder.and_then(|path| {
            let path = path.join(FOLDER);
            Folder::open(&path).map_err(|error| format!("cannot use {}: {error}", path.display()))
        });
        let folder = match opened {
            Ok(folder) => folder,
            Err(reason) => {
                tracing::error!(reason, "history will not survive this process");
                board.report(PART, Condition::Degraded, &format!("in memory alone: {reason}"), at);
                return None;
            }
        };
        let spans = [config.thinned_retention, config.retention].map(|kept| (kept.as_millis() / SEGMENT_SHARE).max(1));
        let log = Mutex::new(Throttle::new(3, Duration::from_secs(60)));
        let (history, board) = (history.clone(), board.clone());
        let archive = Self { history, folder, metrics, board, desk: Mutex::default(), log, spans };
        archive.restore(at);
        Some(Arc::new(archive))
    }

    /// Whatever is wrong with a file: the others are read, and so is what is before the fault.
    fn restore(&self, at: Timestamp) {
        let started = clock::monotonic();
        let mut desk = self.desk.lock().unwrap_or_else(PoisonError::into_inner);
        let mut found = Found::default();
        let (mut whole, mut unread) = (true, Vec::new());
        let segments = self.folder.segments().unwrap_or_else(|error| {
            tracing::error!(folder = %self.folder.path().display(), %error, "cannot list the files of history");
            Vec::new()
        });
        for (grade, number) in segments {
            desk.next = desk.next.max(number.saturating_add(1));
            let mut reading = found.file();
            let (end, bytes) = match self.folder.load_segment(grade, number) {
                Ok(file) => (read(&file, |record| reading.take(record)), file.len() as u64),
                // Nothing says that it is damaged: it stays for the next start, and what is missing of it here is not written again.
                Err(error) => {
                    let file = self.folder.segment(grade, number);
                    tracing::error!(file = %file.display(), %error, "cannot read a file of history: it is left as it is, and its samples are missing");
                    unread.push(file);
                    continue;
                }
            };
            let last = reading.last;
            if self.judge(reading.judge(end), || self.folder.set_segment_aside(grade, number)) {
                desk.segments.push(Segment { grade, number, bytes, last });
            } else {
                whole = false;
            }
        }
        match self.folder.load_heads() {
            Ok(None) => {}
            Ok(Some(file)) => {
                let mut reading = found.file();
                desk.heads_bytes = file.len() as u64;
                let end = read(&file, |record| reading.take(record));
                self.judge(reading.judge(end), || self.folder.set_heads_aside());
            }
            // The next log of heads would be written over it.
            Err(error) => {
                let file = self.folder.heads();
                tracing::error!(file = %file.display(), %error, "cannot read the newest samples of history; the file is set aside");
                self.judge(End::Damaged(0), || self.folder.set_heads_aside());
                unread.push(file);
            }
        }
        let mut store = self.history.write();
        let samples = found.restore(&mut store);
        let later = self.history.resume(store.newest(), at);
        if later > 0 {
            tracing::warn!(
                seconds = later / 1000,
                "the clock was set back since history was written: what is in it is shown so much earlier"
            );
        }
        store.make_room();
        // What was in a file that is not there any more is written again.
        if whole {
            desk.ledger.adopt(&store);
        }
        self.history.shared.metrics.measure(&store);
        let series = store.series_count();
        drop(store);
        let seconds = clock::monotonic().saturating_duration_since(started).as_secs_f64();
        self.metrics.restored.set(i64::try_from(samples).unwrap_or(i64::MAX));
        self.metrics.restore_seconds.set(seconds);
        self.metrics.disk_bytes.set(i64::try_from(desk.bytes()).unwrap_or(i64::MAX));
        tracing::info!(samples, series, seconds, "history read back");
        match unread.first() {
            None => self.board.report(PART, Condition::Ok, "", at),
            Some(file) => self.board.report(PART, Condition::Degraded, &format!("cannot read {}", file.display()), at),
        }
    }

    /// Whether a file can stay as it is.
    fn judge(&self, end: End, set_aside: impl FnOnce() -> io::Result<PathBuf>) -> bool {
        match end {
            End::Whole => true,
            End::Torn(bytes) => {
                tracing::warn!(bytes, "the end of a file of history was not written to its end, and is left out");
                true
            }
            End::Damaged(byte) => self.set_aside(&format!("byte {byte}"), set_aside),
            End::Undecodable(chunks) => self.set_aside(&format!("chunks that cannot be decoded: {chunks}"), set_aside),
        }
    }

    fn set_aside(&self, damage: &str, set_aside: impl FnOnce() -> io::Result<PathBuf>) -> bool {
        self.metrics.damages.inc();
        match set_aside() {
            Ok(to) => {
                tracing::error!(to = %to.display(), damage, "a file of history is damaged; it is set aside, and what of it is whole is used")
            }
            Err(error) => tracing::error!(%error, damage, "a file of history is damaged, and cannot be set aside"),
        }
        false
    }

    /// Writes what has been added since the last time.
    pub fn save(&self, at: Timestamp) {
        let mut desk = self.desk.lock().unwrap_or_else(PoisonError::into_inner);
        let saved = self.try_save(&mut desk);
        self.metrics.disk_bytes.set(i64::try_from(desk.bytes()).unwrap_or(i64::MAX));
        drop(desk);
        match saved {
            Ok(()) => self.board.report(PART, Condition::Ok, "", at),
            Err(error) => {
                self.metrics.errors.inc();
                self.board.report(PART, Condition::Degraded, &error.to_string(), at);
                if self.log.lock().unwrap_or_else(PoisonError::into_inner).pass(clock::monotonic()).is_some() {
                    tracing::error!(%error, "history is not saved");
                }
            }
        }
    }

    fn try_save(&self, desk: &mut Desk) -> Result<(), SaveError> {
        let failed = |error| SaveError(self.folder.path().to_owned(), error);
        let (heads, anew) = match &desk.heads {
            Some(heads) if desk.heads_bytes < HEADS_BYTES_MIN.max(heads.bytes_first * HEADS_GROWTH) => (heads.id, false),
            _ => (desk.new_file(), true),
        };
        let store = self.history.read();
        let unsaved = desk.ledger.unsaved(&store, heads);
        let forgotten = store.forgotten();
        drop(store);
        // Chunks first: until the heads are written, too, the old ones stand for what is in none of both.
        for grade in Grade::ALL {
            self.save_chunks(desk, &unsaved, grade).map_err(failed)?;
        }
        let frames = desk.ledger.head_frames(&unsaved, heads);
        if anew {
            let file = self.folder.replace_heads(&frames).map_err(failed)?;
            let bytes = (MAGIC.len() + frames.len()) as u64;
            desk.heads = Some(Heads { file, id: heads, bytes_first: bytes });
            desk.heads_bytes = 0;
        } else if let Some(open) = &mut desk.heads
            && !frames.is_empty()
            && let Err(error) = append(&mut open.file, &frames)
        {
            // Something may be there, but not all of it.
            desk.heads = None;
            return Err(failed(error));
        }
        desk.heads_bytes += frames.len() as u64;
        self.metrics.written.with_label_values(&["heads"]).inc_by(frames.len() as u64);
        desk.ledger.saved_heads(&unsaved);
        self.forget(desk, forgotten).map_err(failed)
    }

    fn save_chunks(&self, desk: &mut Desk, unsaved: &Unsaved, grade: Grade) -> io::Result<()> {
        let Some(last) = unsaved.last(grade).filter(|_| unsaved.has_chunks(grade)) else { return Ok(()) };
        let Some(span) = self.spans.get(grade.index()) else { return Ok(()) };
        let mut open = desk.open.get_mut(grade.index()).and_then(Option::take);
        let bytes = |desk: &Desk, number| {
            desk.segments.iter().find(|known| (known.grade, known.number) == (grade, number)).map_or(0, |known| known.bytes)
        };
        open = open.filter(|open| last.saturating_sub(open.began) < *span && bytes(desk, open.number) < SEGMENT_BYTES);
        let mut open = match open {
            Some(open) => open,
            None => {
                let number = desk.next;
                desk.next += 1;
                let file = self.folder.create_segment(grade, number)?;
                desk.segments.push(Segment { grade, number, bytes: MAGIC.len() as u64, last });
                Open { file, id: desk.new_file(), number, began: last }
            }
        };
        let frames = desk.ledger.chunk_frames(unsaved, grade, open.id);
        // Where that fails a part of it may be there: the next time another file is begun.
        append(&mut open.file, &frames)?;
        self.metrics.written.with_label_values(&["segment"]).inc_by(frames.len() as u64);
        let number = open.number;
        if let Some(segment) = desk.segments.iter_mut().find(|known| (known.grade, known.number) == (grade, number)) {
            segment.bytes += frames.len() as u64;
            segment.last = segment.last.max(last);
        }
        desk.ledger.saved_chunks(unsaved, grade);
        if let Some(place) = desk.open.get_mut(grade.index()) {
            *place = Some(open);
        }
        Ok(())
    }

    /// Deletes segments of which nothing is kept any more.
    fn forget(&self, desk: &mut Desk, until: [i64; 2]) -> io::Result<()> {
        let open = desk.open.each_ref().map(|open| open.as_ref().map(|open| open.number));
        let mut failed = None;
        desk.segments.retain(|segment| {
            let grade = segment.grade.index();
            let gone = until.get(grade).is_some_and(|until| segment.last <= *until) && open.get(grade) != Some(&Some(segment.number));
            if !gone {
                return true;
            }
            let removed = self.folder.remove_segment(segment.grade, segment.number);
            let stays = removed.as_ref().is_err_and(|error| error.kind() != io::ErrorKind::NotFound);
            failed = removed.err().filter(|_| stays);
            stays
        });
        failed.map_or(Ok(()), Err)
    }

    /// Where the files are.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }
}

impl Desk {
    const fn new_file(&mut self) -> FileId {
        self.files += 1;
        self.files
    }

    fn bytes(&self) -> u64 {
        self.heads_bytes + self.segments.iter().map(|segment| segment.bytes).sum::<u64>()
    }
}
