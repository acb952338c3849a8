//! Where the state of alerts is kept: in memory, and as lines in a file of the state folder. Nobody who evaluates waits for a disk: a thread
//! writes the lines, and an evaluation waits until the kernel has its own, which a kill does not undo, but not for long.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus::{IntCounter, IntGauge};

use super::alert::{Alert, Alerts};
use super::ledger::{Ledger, RuleKey};
use super::pen::{Disk, Pen, Real};
use crate::clock;
use crate::model::{Condition, Labels, Timestamp};
use crate::runtime::{Board, thread};
use crate::telemetry::Telemetry;

/// The part on the board.
const PART: &str = "rules.state";

/// An evaluation does not wait longer for its lines to be written.
const PATIENCE: Duration = Duration::from_secs(1);

/// More lines than that do not wait to be written: then the file is written anew, as a whole.
const QUEUE_BYTES_MAX: usize = 4 << 20;

/// How often it is noted that the agent lives, and how often the disk has to have everything.
const LIFE: Duration = Duration::from_secs(10);
const SYNC: Duration = Duration::from_secs(60);

/// What alerts were before this process.
#[derive(Debug)]
pub(super) struct Past {
    /// The alerts of each of the group's rules.
    pub(super) alerts: Vec<BTreeMap<Labels, Alert>>,
    /// When they are last known to have been evaluated.
    pub(super) alive: Timestamp,
}

/// The state of alerts, on disk where it can be.
#[derive(Debug)]
pub(super) struct Store(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    desk: Mutex<Desk>,
    /// There is something to write, or there will be nothing any more.
    work: Condvar,
    /// Something has been written.
    written: Condvar,
    /// `None`: in memory alone.
    pen: Option<Pen>,
    board: Board,
    metrics: Metrics,
}

/// What keeping the state of alerts says about itself.
#[derive(Clone, Debug)]
pub(super) struct Metrics {
    errors: IntCounter,
    damages: IntCounter,
    bytes: IntGauge,
    restored: IntGauge,
}

impl Metrics {
    pub(super) fn new(telemetry: &Telemetry) -> Self {
        Self {
            errors: telemetry.counter(
                "sidewatch_rules_state_write_errors_total",
                "Times that the state of alerts could not be written into the state folder.",
            ),
            damages: telemetry.counter(
                "sidewatch_rules_state_damages_total",
                "Files with the state of alerts that were not as written, and were set aside.",
            ),
            bytes: telemetry.int_gauge("sidewatch_rules_state_bytes", "Bytes of the file with the state of alerts."),
            restored: telemetry.int_gauge(
                "sidewatch_rules_state_restored_alerts",
                "Alerts that were read back at the start, those that were over included.",
            ),
        }
    }
}

/// Held for moments: nothing is read or written meanwhile.
#[derive(Debug, Default)]
struct Desk {
    ledger: Ledger,
    /// The groups that have begun in this one.
    begun: BTreeSet<String>,
    /// Lines that are to be written.
    queue: String,
    /// There were too many.
    overflowed: bool,
    /// How often lines were noted, and up to which time they are written.
    noted: u64,
    written: u64,
    /// Nobody waits: the disk takes too long.
    late: bool,
    /// It could not be written the last time.
    failing: bool,
    /// There will be nothing to write any more.
    ended: bool,
    /// When it was last noted that the agent lives, and when the disk last had everything.
    lived_at: Option<Timestamp>,
    synced_at: Option<Timestamp>,
}

impl Store {
    /// Reads what was kept. `folder` is the agent's own, or why it has none.
    pub(super) fn open(folder: Result<PathBuf, String>, metrics: Metrics, board: &Board, at: Timestamp) -> Self {
        Self::open_on(Box::new(Real), folder, metrics, board, at)
    }

    fn open_on(disk: Box<dyn Disk>, folder: Result<PathBuf, String>, metrics: Metrics, board: &Board, at: Timestamp) -> Self {
        let mut desk = Desk { synced_at: Some(at), ..Desk::default() };
        let opened = folder.map(|folder| Pen::open(folder, disk, || metrics.damages.inc()));
        let (pen, bytes) = match opened {
            Ok((pen, ledger, bytes)) => {
                desk.ledger = ledger;
                (Some(pen), bytes)
            }
            Err(reason) => {
                tracing::error!(reason, "the state of alerts will not survive this process");
                board.report(PART, Condition::Degraded, &format!("in memory alone: {reason}"), at);
                (None, Ok(0))
            }
        };
        metrics.restored.set(i64::try_from(desk.ledger.alert_count()).unwrap_or(i64::MAX));
        let is_kept = pen.is_some();
        let (work, written, board) = (Condvar::new(), Condvar::new(), board.clone());
        let shared = Arc::new(Shared { desk: Mutex::new(desk), work, written, pen, board, metrics });
        if is_kept {
            let writer = Arc::clone(&shared);
            let started = thread("alerts", move || writer.write());
            if started.is_err() {
                // Nobody writes, and nobody is waited for.
                shared.desk().late = true;
            }
            shared.told(started.and(bytes).map(Some), at);
        }
        Self(shared)
    }

    /// What is known of a group's rules from before; `None` where the group is not known.
    pub(super) fn past(&self, key: &str, rules: &[RuleKey]) -> Option<Past> {
        let desk = self.0.desk();
        let alerts = desk.ledger.claim(key, rules)?;
        Some(Past { alerts, alive: desk.ledger.alive(key)? })
    }

    /// A group begins, or begins anew with other rules.
    pub(super) fn begin<'a>(&self, at: Timestamp, key: &str, rules: Vec<RuleKey>, alerts: impl Iterator<Item = &'a Alerts>) {
        let mut desk = self.0.desk();
        desk.begun.insert(key.to_owned());
        let alerts = alerts.enumerate().flat_map(|(rule, alerts)| alerts.iter().map(move |(labels, alert)| (rule, labels, alert)));
        let line = desk.ledger.begin(at, key, rules, alerts);
        self.0.note(&mut desk, &line);
    }

    /// How a rule's alerts are now.
    pub(super) fn update(&self, at: Timestamp, key: &str, rule: usize, alerts: &Alerts) {
        let mut desk = self.0.desk();
        let lines = desk.ledger.update(at, key, rule, alerts.iter());
        self.0.note(&mut desk, &lines);
    }

    /// Waits until the kernel has what was noted before: an evaluation that is over is not undone by a kill.
    pub(super) fn settle(&self) {
        let desk = self.0.desk();
        let noted = desk.noted;
        let open = |desk: &mut Desk| desk.written < noted && !desk.late;
        let (mut desk, _) = self.0.written.wait_timeout_while(desk, PATIENCE, open).unwrap_or_else(PoisonError::into_inner);
        if open(&mut desk) {
            desk.late = true;
            // While it is held, so that what the writer says when it has caught up comes later.
            self.0.board.report(PART, Condition::Degraded, "in memory alone: the disk takes too long", clock::now());
            drop(desk);
            tracing::warn!("the disk takes too long for the state of alerts; evaluations go on without it");
        }
    }

    /// These groups are all there are.
    pub(super) fn retain(&self, at: Timestamp, known: impl Fn(&str) -> bool) {
        let mut desk = self.0.desk();
        for key in desk.ledger.strangers(known) {
            let line = desk.ledger.end(at, &key);
            desk.begun.remove(&key);
            self.0.note(&mut desk, &line);
        }
    }

    /// To be called every second, from where it may take its time: notes that the agent lives, writes the file anew where that is due,
    /// and has the disk take what was written, so that a machine that goes down does not lose it.
    pub(super) fn tend(&self, at: Timestamp) {
        let Some(pen) = &self.0.pen else { return };
        let mut desk = self.0.desk();
        // A clock that was set back begins anew.
        let is_due = |last: Option<Timestamp>, every: Duration| last.is_none_or(|last| at < last || at.since(last) >= every);
        if is_due(desk.lived_at, LIFE) {
            self.0.live(&mut desk, at);
        }
        let syncs = is_due(desk.synced_at, SYNC);
        if syncs {
            desk.synced_at = Some(at);
        }
        drop(desk);
        self.0.told(pen.renew(at, || self.0.text()), at);
        if syncs {
            self.0.told(pen.sync().map(|()| None), at);
        }
    }

    /// The agent ends: notes that it lived, and returns when the disk has everything.
    pub(super) fn close(&self, at: Timestamp) {
        let Some(pen) = &self.0.pen else { return };
        self.0.live(&mut self.0.desk(), at);
        self.settle();
        pen.retry_now();
        self.0.told(pen.renew(at, || self.0.text()), at);
        self.0.told(pen.sync().map(|()| None), at);
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.0.desk().ended = true;
        self.0.work.notify_all();
    }
}

impl Shared {
    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A file that says everything. What it says is copied first, which takes a fraction of the time: evaluations wait for the desk.
    fn text(&self) -> String {
        let ledger = self.desk().ledger.clone();
        ledger.file()
    }

    fn live(&self, desk: &mut Desk, at: Timestamp) {
        desk.lived_at = Some(at);
        let Desk { ledger, begun, .. } = &mut *desk;
        let line = ledger.live(at, |key| begun.contains(key));
        self.note(desk, &line);
    }

    /// Has lines written.
    fn note(&self, desk: &mut Desk, lines: &str) {
        if self.pen.is_none() || lines.is_empty() {
            return;
        }
        // What comes at once is there already, however much it is.
        if !desk.queue.is_empty() && desk.queue.len() + lines.len() > QUEUE_BYTES_MAX {
            desk.queue.clear();
            desk.overflowed = true;
        } else {
            desk.queue += lines;
        }
        desk.noted += 1;
        self.work.notify_one();
    }

    /// Writes until there will be nothing any more.
    fn write(&self) {
        let Some(pen) = &self.pen else { return };
        loop {
            let idle = |desk: &mut Desk| desk.queue.is_empty() && !desk.overflowed && !desk.ended;
            let mut desk = self.work.wait_while(self.desk(), idle).unwrap_or_else(PoisonError::into_inner);
            if desk.queue.is_empty() && !desk.overflowed {
                return;
            }
            let (lines, noted) = (std::mem::take(&mut desk.queue), desk.noted);
            let overflowed = std::mem::take(&mut desk.overflowed);
            drop(desk);
            let outcome = if overflowed {
                pen.give_up();
                Err(io::Error::other("it cannot be written as fast as it changes"))
            } else {
                pen.append(lines.as_bytes())
            };
            let is_kept = matches!(outcome, Ok(Some(_)));
            self.told(outcome, clock::now());
            self.wrote(noted, is_kept);
        }
    }

    /// What was noted up to then is written.
    fn wrote(&self, noted: u64, is_kept: bool) {
        let mut desk = self.desk();
        desk.written = noted;
        if desk.late && desk.queue.is_empty() && !desk.overflowed {
            desk.late = false;
            // An evaluation may have given up since the writer said how it is.
            if is_kept {
                self.board.report(PART, Condition::Ok, "", clock::now());
            }
        }
        drop(desk);
        self.written.notify_all();
    }

    /// Says what came of writing: how long the file is, where it is there.
    fn told(&self, outcome: io::Result<Option<u64>>, at: Timestamp) {
        match outcome {
            Ok(None) => {}
            Ok(Some(bytes)) => {
                self.desk().failing = false;
                self.metrics.bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
                self.board.report(PART, Condition::Ok, "", at);
            }
            Err(error) => {
                if !std::mem::replace(&mut self.desk().failing, true) {
                    tracing::error!(%error, "the state of alerts is not saved");
                }
                self.metrics.errors.inc();
                let folder = self.pen.as_ref().map_or_else(String::new, |pen| pen.folder().display().to_string());
                let detail = format!("in memory alone: cannot write the state of alerts into {folder}: {error}");
                self.board.report(PART, Condition::Degraded, &detail, at);
            }
        }
    }
}

#[cfg(test)]
mod tests;
