//! Keeps the journal: restores at the start, saves all series when it is time, gives up where the disk fails, and comes back.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::config::JournalConfig;
use super::folder::{Folder, boot};
use super::header::{FileKind, Header};
use super::metrics::Metrics;
use super::name::{Name, superseded};
use super::recovery::{Recovered, recover};
use super::snapshot::Copying;
use super::writer;
use crate::clock;
use crate::model::{Condition, Timestamp};
use crate::registry::{Registry, walk};
use crate::runtime::{Board, thread};
use crate::telemetry::{Telemetry, Throttle};

/// The journal's part on the board.
const PART: &str = "journal";
/// How long a snapshot waits for the journal to be written as far as it goes.
const PATIENCE: Duration = Duration::from_secs(10);
/// First and longest pause between attempts to save all series where the last one failed.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(60)];
/// A journal that is so many times too long because series cannot be saved is given up.
const OVERLONG: u64 = 4;

/// The registry's journal.
#[derive(Debug)]
pub struct Journal {
    pub(super) registry: Arc<Registry>,
    pub(super) closed: AtomicBool,
    config: JournalConfig,
    folder: Folder,
    boot: String,
    metrics: Metrics,
    board: Board,
    desk: Mutex<Desk>,
    log: Mutex<Throttle>,
}

/// What is being worked on.
#[derive(Debug)]
struct Desk {
    generation: u64,
    files: BTreeMap<u64, Arc<File>>,
    /// Bytes of the journal since the last snapshot, and of that.
    journal_bytes: u64,
    snapshot_bytes: u64,
    saved: Instant,
    /// Why nothing is written down at present, and how often that has begun.
    broken: Option<String>,
    breaks: u64,
    /// Why the last attempt to save all series failed.
    failed: Option<String>,
    /// When the next attempt is due, whatever has been written since.
    due: Option<Instant>,
    pause: Duration,
}

/// Why not all series could be saved.
#[derive(Debug, thiserror::Error)]
enum SaveError {
    #[error("cannot write a snapshot into {0}: {1}")]
    Io(PathBuf, #[source] io::Error),
    #[error("the disk does not keep up")]
    Behind,
    #[error("the journal was given up meanwhile")]
    Broken,
}

impl Journal {
    /// Restores what the folder holds and begins to write down what happens. `folder` is the agent's own, or why it has none.
    /// `None` where there is nothing to keep a journal in; the board says why.
    #[must_use]
    pub fn open(
        registry: &Arc<Registry>,
        folder: Result<PathBuf, String>,
        config: &JournalConfig,
        telemetry: &Telemetry,
        board: &Board,
        at: Timestamp,
    ) -> Option<Arc<Self>> {
        let metrics = Metrics::new(telemetry);
        if !config.enabled {
            return None;
        }
        let opened = folder.and_then(|path| {
            let path = path.join("registry");
            Folder::open(&path).map_err(|error| format!("cannot use {}: {error}", path.display()))
        });
        let folder = match opened {
            Ok(folder) => folder,
            Err(reason) => {
                tracing::error!(reason, "what events count will not survive this process");
                metrics.given_up.with_label_values(&["error"]).inc();
                board.report(PART, Condition::Degraded, &format!("in memory alone: {reason}"), at);
                return None;
            }
        };
        let desk = Desk {
            generation: 0,
            files: BTreeMap::new(),
            journal_bytes: 0,
            snapshot_bytes: 0,
            saved: clock::monotonic(),
            broken: None,
            breaks: 0,
            failed: None,
            due: None,
            pause: PAUSES[0],
        };
        let journal = Arc::new(Self {
            registry: Arc::clone(registry),
            closed: AtomicBool::new(false),
            config: config.clone(),
            folder,
            boot: boot(),
            metrics,
            board: board.clone(),
            desk: Mutex::new(desk),
            log: Mutex::new(Throttle::new(3, Duration::from_secs(60))),
        });
        let restored = journal.restore(at);
        if let Err(error) = journal.turn() {
            journal.break_off("error", &error.to_string());
        }
        journal.registry.state().events.note_absence();
        let writing = Arc::clone(&journal);
        if let Err(error) = thread("sidewatch-journal", move || writer::write(&writing)) {
            journal.break_off("error", &format!("there is no thread to write with: {error}"));
        }
        journal.report(&restored, at);
        Some(journal)
    }

    /// Reads the files, puts what they hold into the registry, and says what came of it.
    fn restore(&self, at: Timestamp) -> String {
        let started = clock::monotonic();
        let names = self.folder.names().unwrap_or_else(|error| {
            tracing::error!(%error, folder = %self.folder.path().display(), "the files of the journal cannot be listed");
            Vec::new()
        });
        let Recovered { mut replay, bytes, torn_bytes, aside, damages, refused } =
            recover(&names, &self.boot, |name| self.folder.load(name));
        let mut state = self.registry.state();
        replay.events.settle_in(&state.config, replay.newest, at);
        replay.events.pen.continue_from(replay.sequence);
        state.events = replay.events;
        let series = state.events.series() + state.events.retired();
        self.registry.metrics.sized(&mut state.events);
        drop(state);

        for damage in &damages {
            tracing::error!(damage, "a file of the journal is damaged");
        }
        self.metrics.damages.inc_by(damages.len() as u64);
        for (name, reason) in aside {
            self.metrics.aside.with_label_values(&[reason.as_str()]).inc();
            match self.folder.put_aside(name, reason) {
                Ok(to) => tracing::warn!(file = %name, to = %to.display(), "a file of the journal was put aside"),
                Err(error) => tracing::error!(file = %name, %error, "a file of the journal cannot be put aside"),
            }
        }
        if torn_bytes > 0 {
            tracing::info!(bytes = torn_bytes, "the journal ended in the middle of a record, which was never shown and is cut off");
        }
        let took = clock::monotonic().duration_since(started);
        let age = replay.newest.map(|newest| at.since(newest)).unwrap_or_default();
        self.metrics.restored_series.set(i64::try_from(series).unwrap_or(i64::MAX));
        self.metrics.restored_bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
        self.metrics.restore_seconds.set(took.as_secs_f64());
        self.metrics.restored_age.set(age.as_secs_f64());
        self.metrics.torn_bytes.set(i64::try_from(torn_bytes).unwrap_or(i64::MAX));
        let mut desk = self.desk();
        desk.generation = names.iter().map(|name| name.generation).max().unwrap_or(0);
        desk.journal_bytes = bytes;
        // Else the files would become more with every start that does not come to its end.
        desk.due = (bytes > 0).then_some(started);
        if let Some(reason) = refused {
            tracing::error!(reason, "what events have counted cannot be restored whole; all counters begin at zero");
            return format!("began at zero: {reason}");
        }
        tracing::info!(series, bytes, took_ms = took.as_millis(), age_s = age.as_secs(), "series restored");
        format!("{series} series restored")
    }

    /// Goes on in a new generation's journal; which one, and with which record.
    fn turn(&self) -> Result<(u64, u64), SaveError> {
        let mut desk = self.desk();
        desk.generation += 1;
        let generation = desk.generation;
        let file = self.folder.create_journal(generation).map_err(|error| self.failure(error))?;
        desk.files.insert(generation, Arc::new(file));
        drop(desk);
        let mut state = self.registry.state();
        let header = |first, out: &mut Vec<u8>| self.header(generation, first).encode(FileKind::Journal, out);
        if !state.events.pen.turn_to(generation, self.config.buffer_bytes_max, header) {
            drop(state);
            self.forget(generation);
            return Err(SaveError::Behind);
        }
        let first = state.events.pen.sequence() + 1;
        self.registry.wake(&mut state);
        Ok((generation, first))
    }

    fn header(&self, generation: u64, first: u64) -> Header {
        Header { generation, first, agent: env!("CARGO_PKG_VERSION").to_owned(), boot: self.boot.clone() }
    }

    fn failure(&self, error: io::Error) -> SaveError {
        SaveError::Io(self.folder.path().to_owned(), error)
    }

    /// True when all series should be saved now.
    pub(super) fn is_due(&self) -> bool {
        let overflowed = self.registry.state().events.pen.has_overflowed();
        if overflowed && self.desk().broken.is_none() {
            self.break_off("buffer", "the disk does not take what is written");
        }
        let (desk, now) = (self.desk(), clock::monotonic());
        if let Some(due) = desk.due {
            return now >= due;
        }
        // A snapshot is worth its bytes once reading it instead of the journal saves as many.
        let long = desk.journal_bytes >= self.config.bytes_max as u64;
        let old = now.duration_since(desk.saved) >= self.config.snapshot_interval.get();
        desk.journal_bytes > 0 && desk.journal_bytes >= desk.snapshot_bytes && (long || old)
    }

    /// Saves all series. `last` says that nothing will happen to them any more.
    pub(super) fn save(&self, last: bool) {
        let started = clock::monotonic();
        let desk = self.desk();
        let (breaks, was_broken) = (desk.breaks, desk.broken.is_some());
        drop(desk);
        let outcome = self.turn().and_then(|(generation, first)| {
            let journal_bytes = std::mem::take(&mut self.desk().journal_bytes);
            self.copy(generation, first, last, breaks).map(|bytes| (generation, bytes)).inspect_err(|_| {
                self.folder.drop_snapshot(generation);
                self.desk().journal_bytes += journal_bytes;
                if was_broken {
                    // Without what was before, it says nothing.
                    self.registry.state().events.pen.lay_down();
                    self.forget(generation);
                }
            })
        });
        match outcome {
            Ok((generation, bytes)) => self.has_saved(generation, bytes, clock::monotonic().duration_since(started)),
            Err(error) => {
                let mut desk = self.desk();
                desk.failed = Some(error.to_string());
                desk.due = Some(clock::monotonic() + desk.pause);
                desk.pause = (desk.pause * 2).min(PAUSES[1]);
                drop(desk);
                self.metrics.snapshots.with_label_values(&["failure"]).inc();
                self.complain("snapshot", &error.to_string());
            }
        }
    }

    fn has_saved(&self, generation: u64, bytes: u64, took: Duration) {
        let mut desk = self.desk();
        (desk.snapshot_bytes, desk.saved, desk.failed, desk.due, desk.pause) = (bytes, clock::monotonic(), None, None, PAUSES[0]);
        desk.files.retain(|other, _| *other >= generation);
        let was_broken = desk.broken.take().is_some();
        drop(desk);
        if was_broken {
            self.registry.progress.set_broken(false);
            tracing::info!("all series are saved, and changes are written down again");
        }
        self.metrics.snapshots.with_label_values(&["success"]).inc();
        self.metrics.written.with_label_values(&["snapshot"]).inc_by(bytes);
        self.metrics.snapshot_bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
        self.metrics.snapshot_seconds.set(took.as_secs_f64());
        self.metrics.snapshot_time.set(clock::now().as_seconds());
        self.clean(generation);
    }

    /// Writes all series into a snapshot; how many bytes. It is of no use where the journal has been given up since there had
    /// been so many `breaks`.
    fn copy(&self, generation: u64, first: u64, last: bool, breaks: u64) -> Result<u64, SaveError> {
        let failure = |error| self.failure(error);
        let mut file = self.folder.begin_snapshot(generation).map_err(failure)?;
        let (mut bytes, mut total, mut copying, mut more) = (Vec::new(), 0, Copying::default(), true);
        self.header(generation, first).encode(FileKind::Snapshot, &mut bytes);
        while more {
            more = copying.piece(&mut self.registry.state().events, walk::PIECE, &mut bytes);
            file.write_all(&bytes).map_err(failure)?;
            total += bytes.len() as u64;
            bytes.clear();
        }
        let sequence = {
            let mut state = self.registry.state();
            copying.end(&mut state.events, last, &mut bytes);
            self.registry.wake(&mut state);
            state.events.pen.sequence()
        };
        file.write_all(&bytes).map_err(failure)?;
        // Only together with the journal up to here is it whole.
        if !self.registry.progress.await_written(sequence, PATIENCE) {
            return Err(SaveError::Behind);
        }
        if self.desk().breaks != breaks {
            return Err(SaveError::Broken);
        }
        self.folder.finish_snapshot(generation, file).map_err(failure)?;
        Ok(total + bytes.len() as u64)
    }

    /// Deletes what a whole snapshot has made superfluous.
    fn clean(&self, generation: u64) {
        let removed =
            self.folder.names().and_then(|names| superseded(&names, generation).into_iter().try_for_each(|name| self.folder.remove(name)));
        if let Err(error) = removed {
            self.complain("clean", &format!("old files cannot be deleted from {}: {error}", self.folder.path().display()));
        }
    }

    /// A write has failed: the journal cannot be gone on with, unless it has been given up meanwhile.
    pub(super) fn cannot_write(&self, generation: u64, error: &io::Error) {
        if self.file(generation).is_none() {
            return;
        }
        self.break_off("error", &format!("cannot write to {}: {error}", self.folder.path().display()));
    }

    /// Stops writing down what happens, and says of the files that something is missing behind their end.
    fn break_off(&self, why: &str, reason: &str) {
        self.registry.state().events.pen.lay_down();
        self.registry.progress.set_broken(true);
        let mut desk = self.desk();
        desk.broken = Some(reason.to_owned());
        desk.breaks += 1;
        desk.due = Some(clock::monotonic() + desk.pause);
        let (generation, left) = (desk.generation, std::mem::take(&mut desk.files));
        drop(desk);
        self.metrics.given_up.with_label_values(&[why]).inc();
        self.complain("write", reason);
        for generation in left.into_keys().chain([generation]) {
            // It may be so already, and where nothing can be renamed nothing can be done.
            let _told = self.folder.give_up(generation);
        }
    }

    /// Takes back a journal in which nothing is of use.
    fn forget(&self, generation: u64) {
        self.desk().files.remove(&generation);
        let name = Name::new(FileKind::Journal, generation);
        // Where it cannot be deleted, its name says that it is of no use.
        if self.folder.remove(name).is_err() {
            let _told = self.folder.give_up(generation);
        }
    }

    fn complain(&self, operation: &str, reason: &str) {
        self.metrics.errors.with_label_values(&[operation]).inc();
        if let Some(suppressed) = self.log.lock().unwrap_or_else(PoisonError::into_inner).pass(clock::monotonic()) {
            tracing::error!(reason, suppressed, "the journal: cannot {operation}");
        }
    }

    /// Says on the board how it stands; `fine` is what to say when all is well.
    pub(super) fn report(&self, fine: &str, at: Timestamp) {
        let desk = self.desk();
        let stalled = self.registry.progress.is_stalled();
        let (condition, detail) = match (&desk.broken, &desk.failed) {
            (Some(reason), _) => (Condition::Degraded, format!("in memory alone: {reason}")),
            _ if stalled => (Condition::Degraded, "the disk hangs: what is shown is not on it yet".to_owned()),
            (None, Some(reason)) => (Condition::Degraded, format!("the journal grows: {reason}")),
            _ => (Condition::Ok, fine.to_owned()),
        };
        self.metrics.working.set(i64::from(desk.broken.is_none() && !stalled));
        self.metrics.bytes.set(i64::try_from(desk.journal_bytes).unwrap_or(i64::MAX));
        drop(desk);
        self.board.report(PART, condition, &detail, at);
    }

    /// The journal of a generation, while it is written to.
    pub(super) fn file(&self, generation: u64) -> Option<Arc<File>> {
        self.desk().files.get(&generation).cloned()
    }

    /// Counts what has been written.
    pub(super) fn has_written(&self, bytes: usize) {
        self.metrics.writes.inc();
        self.metrics.written.with_label_values(&["journal"]).inc_by(bytes as u64);
        let mut desk = self.desk();
        desk.journal_bytes += bytes as u64;
        let long = desk.journal_bytes > OVERLONG * desk.snapshot_bytes.max(self.config.bytes_max as u64);
        drop(desk);
        if long {
            self.break_off("error", "it has grown too long, and series cannot be saved");
        }
    }

    /// Lets the thread that writes come to its end.
    pub(super) fn close(&self) {
        // Between the thread's look at this and its sleep nobody else may have the lock.
        let state = self.registry.state();
        self.closed.store(true, Ordering::Release);
        drop(state);
        self.registry.work.notify_one();
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
