//! Where the state of alerts is kept: a file in the state folder to which every change is added when it happens, and which is
//! written anew when it has grown to several times what it says.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use prometheus::{IntCounter, IntGauge};

use super::alert::{Alert, Alerts};
use super::ledger::{Found, Ledger, RuleKey};
use crate::model::{Condition, Labels, Timestamp};
use crate::runtime::Board;
use crate::telemetry::Telemetry;

/// The part on the board.
const PART: &str = "rules.state";
/// The file, its name while it is not whole, and the names of what is of no use.
const FILE: &str = "alerts";
const UNFINISHED: &str = "alerts.new";
const DAMAGED: &str = "alerts.damaged";
const OTHER: &str = "alerts.other";

/// The file is written anew when it is so many times as long as it was then, and not shorter than this.
const GROWTH: u64 = 4;
const BYTES_MIN: u64 = 64 << 10;

/// After a failure the file is tried again so much later, in milliseconds.
const RETRY_MILLIS: i64 = 10_000;

/// What alerts were before this process.
#[derive(Debug)]
pub(super) struct Past {
    /// The alerts of each of the group's rules.
    pub(super) alerts: Vec<BTreeMap<Labels, Alert>>,
    /// Up to when the agent lived that wrote of them.
    pub(super) alive: Timestamp,
}

/// The state of alerts, on disk where it can be.
#[derive(Debug)]
pub(super) struct Store {
    /// `None`: in memory alone.
    folder: Option<PathBuf>,
    desk: Mutex<Desk>,
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

#[derive(Debug, Default)]
struct Desk {
    ledger: Ledger,
    /// Up to when the process before this one lived.
    alive_before: Option<Timestamp>,
    /// The groups that have begun in this one.
    begun: BTreeSet<String>,
    file: Option<File>,
    bytes: u64,
    bytes_first: u64,
    /// Not before then the file is tried again.
    retry_at: Option<Timestamp>,
}

impl Store {
    /// Reads what was kept. `folder` is the agent's own, or why it has none.
    pub(super) fn open(folder: Result<PathBuf, String>, metrics: Metrics, board: &Board, at: Timestamp) -> Self {
        let mut desk = Desk::default();
        let folder = match folder {
            Ok(folder) => Some(folder),
            Err(reason) => {
                board.report(PART, Condition::Degraded, &format!("in memory alone: {reason}"), at);
                None
            }
        };
        if let Some(folder) = &folder {
            desk.ledger = read(folder, &metrics.damages);
            desk.alive_before = desk.ledger.alive();
            metrics.restored.set(i64::try_from(desk.ledger.alert_count()).unwrap_or(i64::MAX));
        }
        let store = Self { folder, desk: Mutex::new(desk), board: board.clone(), metrics };
        store.write(&mut store.desk(), at, "");
        store
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known of a group's rules from before; `None` where the group is not known.
    pub(super) fn past(&self, key: &str, rules: &[RuleKey]) -> Option<Past> {
        let desk = self.desk();
        let alerts = desk.ledger.claim(key, rules)?;
        let before = desk.alive_before.filter(|_| !desk.begun.contains(key));
        Some(Past { alerts, alive: before.or(desk.ledger.alive())? })
    }

    /// A group begins, or begins anew with other rules.
    pub(super) fn begin<'a>(&self, at: Timestamp, key: &str, rules: Vec<RuleKey>, alerts: impl Iterator<Item = &'a Alerts>) {
        let mut desk = self.desk();
        desk.begun.insert(key.to_owned());
        let mut lines = desk.ledger.begin(at, key, rules);
        for (rule, alerts) in alerts.enumerate() {
            lines += &desk.ledger.update(at, key, rule, alerts.iter());
        }
        self.write(&mut desk, at, &lines);
    }

    /// How a rule's alerts are now.
    pub(super) fn update(&self, at: Timestamp, key: &str, rule: usize, alerts: &Alerts) {
        let mut desk = self.desk();
        let lines = desk.ledger.update(at, key, rule, alerts.iter());
        if !lines.is_empty() || desk.file.is_none() {
            self.write(&mut desk, at, &lines);
        }
    }

    /// These groups are all there are.
    pub(super) fn retain(&self, at: Timestamp, known: impl Fn(&str) -> bool) {
        let mut desk = self.desk();
        let mut lines = String::new();
        for key in desk.ledger.strangers(known) {
            lines += &desk.ledger.end(at, &key);
            desk.begun.remove(&key);
        }
        if !lines.is_empty() {
            self.write(&mut desk, at, &lines);
        }
    }

    /// Notes that the agent lives, and has what was written stored so that a machine that goes down does not lose it.
    pub(super) fn live(&self, at: Timestamp) {
        let mut desk = self.desk();
        let line = desk.ledger.live(at);
        self.write(&mut desk, at, &line);
        // A disk may take its time, and evaluations must not wait for it.
        let file = desk.file.as_ref().map(File::try_clone);
        drop(desk);
        if let Some(Err(error)) = file.map(|file| file.and_then(|file| file.sync_data())) {
            self.failed(&mut self.desk(), at, &error);
        }
    }

    /// Adds lines to the file, or writes it anew with everything in the ledger.
    fn write(&self, desk: &mut Desk, at: Timestamp, lines: &str) {
        let Some(folder) = &self.folder else { return };
        if desk.retry_at.is_some_and(|retry| at < retry) {
            return;
        }
        let small = desk.bytes + lines.len() as u64 <= BYTES_MIN.max(desk.bytes_first * GROWTH);
        let written = match &mut desk.file {
            Some(file) if small => file.write_all(lines.as_bytes()).map(|()| desk.bytes += lines.len() as u64),
            _ => {
                let text = desk.ledger.file();
                desk.file = None;
                replace(folder, &text).map(|file| {
                    desk.file = Some(file);
                    desk.bytes = text.len() as u64;
                    desk.bytes_first = desk.bytes;
                })
            }
        };
        match written {
            Ok(()) => {
                desk.retry_at = None;
                self.metrics.bytes.set(i64::try_from(desk.bytes).unwrap_or(i64::MAX));
                self.board.report(PART, Condition::Ok, "", at);
            }
            Err(error) => self.failed(desk, at, &error),
        }
    }

    /// Goes on in memory. Something of the last lines may be there, but not all of it, so the file is written anew.
    fn failed(&self, desk: &mut Desk, at: Timestamp, error: &io::Error) {
        desk.file = None;
        if desk.retry_at.is_none() {
            tracing::error!(%error, "the state of alerts is not saved");
        }
        desk.retry_at = Some(at.plus_millis(RETRY_MILLIS));
        self.metrics.errors.inc();
        let folder = self.folder.as_deref().unwrap_or(Path::new("")).display();
        self.board.report(
            PART,
            Condition::Degraded,
            &format!("in memory alone: cannot write the state of alerts into {folder}: {error}"),
            at,
        );
    }
}

/// What the file says, as far as it can be read.
fn read(folder: &Path, damages: &IntCounter) -> Ledger {
    let path = folder.join(FILE);
    let file = match fs::read(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ledger::default(),
        Err(error) => {
            tracing::error!(file = %path.display(), %error, "cannot read the state of alerts; the file is set aside");
            set_aside(&path, &folder.join(DAMAGED));
            damages.inc();
            return Ledger::default();
        }
    };
    let (ledger, found) = Ledger::read(&file);
    match found {
        Found::Whole => {}
        Found::Torn => tracing::warn!("the last line of the state of alerts was not written to its end, and is left out"),
        Found::Damaged(lines) => {
            tracing::error!(lines, "the state of alerts is damaged; the file is set aside, and what of it is whole is used");
            set_aside(&path, &folder.join(DAMAGED));
            damages.inc();
        }
        Found::Other => {
            tracing::warn!(
                to = OTHER,
                "the state of alerts is of another version; it is set aside, and history tells since when alerts are pending"
            );
            set_aside(&path, &folder.join(OTHER));
        }
    }
    ledger
}

fn set_aside(path: &Path, to: &Path) {
    if let Err(error) = fs::rename(path, to) {
        tracing::error!(file = %path.display(), %error, "cannot set a file aside");
    }
}

/// Puts a new file in the place of the old one, once it is on the disk as a whole.
fn replace(folder: &Path, text: &str) -> io::Result<File> {
    let unfinished = folder.join(UNFINISHED);
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o640).open(&unfinished)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(unfinished, folder.join(FILE))?;
    File::open(folder)?.sync_all()?;
    Ok(file)
}

#[cfg(test)]
mod tests;
