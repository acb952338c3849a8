//! The file with the state of alerts. Lines are added to it, and handed to the kernel by that, without waiting for the disk. When it has
//! grown to several times what it says it is written anew beside itself, while lines go on to be added.

use std::fmt::Debug;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::ledger::{Found, Ledger};
use crate::model::Timestamp;

/// The file, its name while it is not whole, and the names of what is of no use.
pub(super) const FILE: &str = "alerts";
pub(super) const UNFINISHED: &str = "alerts.new";
pub(super) const DAMAGED: &str = "alerts.damaged";
pub(super) const OTHER: &str = "alerts.other";

/// The file is written anew when it is so many times as long as it was then, and not shorter than this.
const GROWTH: u64 = 4;
pub(super) const BYTES_MIN: u64 = 64 << 10;

/// More than that is not held while the file is written anew.
const MEANWHILE_BYTES_MAX: usize = 16 << 20;

/// After a failure the file is tried again so much later, in milliseconds.
const RETRY_MILLIS: i64 = 10_000;

/// What may take its time.
pub(super) trait Disk: Debug + Send + Sync {
    /// Hands everything to the kernel.
    fn write(&self, mut file: &File, bytes: &[u8]) -> io::Result<()> {
        file.write_all(bytes)
    }

    /// Returns when the disk has it.
    fn sync(&self, file: &File) -> io::Result<()> {
        file.sync_all()
    }
}

/// The disk there is.
#[derive(Debug)]
pub(super) struct Real;

impl Disk for Real {}

/// Writes the file. No method but [`Pen::append`] is to be called where nobody may wait for a disk.
#[derive(Debug)]
pub(super) struct Pen {
    folder: PathBuf,
    disk: Box<dyn Disk>,
    hand: Mutex<Hand>,
    /// Held by whoever writes the file anew.
    renewing: Mutex<()>,
}

#[derive(Debug, Default)]
struct Hand {
    /// `None`: what it says is not known, or it does not exist, so that it has to be written anew.
    file: Option<File>,
    bytes: u64,
    /// How long it was when it said everything once.
    bytes_whole: u64,
    /// The one that is to take its place: it says the same, but perhaps not on the disk yet.
    next: Option<(File, u64)>,
    /// What was added since its text was taken, while it is being written.
    meanwhile: Option<Vec<u8>>,
    /// Not before then it is written anew.
    retry_at: Option<Timestamp>,
    /// The folder does not know the file on the disk.
    is_new: bool,
}

impl Pen {
    /// Reads what the file says and goes on with it. `damaged` is called where something of it is lost.
    pub(super) fn open(folder: PathBuf, disk: Box<dyn Disk>, damaged: impl Fn()) -> (Self, Ledger, io::Result<u64>) {
        let (ledger, length) = read(&folder, damaged);
        let mut hand = Hand { bytes_whole: ledger.file().len() as u64, ..Hand::default() };
        let opened = match length {
            Some(length) => reopen(&folder.join(FILE), length),
            None => create(&*disk, &folder, &ledger.file()).map(|file| {
                hand.is_new = true;
                (file, hand.bytes_whole)
            }),
        };
        let bytes = opened.map(|(file, bytes)| {
            hand.file = Some(file);
            hand.bytes = bytes;
            bytes
        });
        (Self { folder, disk, hand: Mutex::new(hand), renewing: Mutex::default() }, ledger, bytes)
    }

    /// Where it writes.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    fn hand(&self) -> MutexGuard<'_, Hand> {
        self.hand.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds lines. How long the file is now; `None` where there is none at the time.
    pub(super) fn append(&self, lines: &[u8]) -> io::Result<Option<u64>> {
        let mut hand = self.hand();
        if hand.meanwhile.as_ref().is_some_and(|meanwhile| meanwhile.len() + lines.len() > MEANWHILE_BYTES_MAX) {
            hand.meanwhile = None;
        }
        if let Some(meanwhile) = &mut hand.meanwhile {
            meanwhile.extend_from_slice(lines);
        }
        if let Some((next, bytes)) = &mut hand.next {
            *bytes += lines.len() as u64;
            if self.disk.write(next, lines).is_err() {
                hand.next = None;
            }
        }
        let Some(file) = &hand.file else { return Ok(None) };
        if let Err(error) = self.disk.write(file, lines) {
            // Something of the lines may be there, but not all of it.
            hand.file = None;
            return Err(error);
        }
        hand.bytes += lines.len() as u64;
        Ok(Some(hand.bytes))
    }

    /// Some lines will not be added: the file has to be written anew.
    pub(super) fn give_up(&self) {
        let mut hand = self.hand();
        (hand.file, hand.next, hand.meanwhile) = (None, None, None);
    }

    /// Where there is no file, the next time that it is asked whether one is due, it is.
    pub(super) fn retry_now(&self) {
        let mut hand = self.hand();
        if hand.file.is_none() {
            hand.retry_at = Some(Timestamp::default());
        }
    }

    /// Writes the file anew where that is due: `text` gives everything, of a time after it is called. How long it is then.
    pub(super) fn renew(&self, at: Timestamp, text: impl FnOnce() -> String) -> io::Result<Option<u64>> {
        let Ok(_alone) = self.renewing.try_lock() else { return Ok(None) };
        let mut hand = self.hand();
        if hand.file.is_none() && hand.retry_at.is_none() {
            // It failed just now.
            hand.retry_at = Some(at.plus_millis(RETRY_MILLIS));
        }
        let grown = hand.bytes > BYTES_MIN.max(hand.bytes_whole * GROWTH);
        // A clock that was set back does not put it off.
        let waits = |retry: Timestamp| at < retry && at.plus_millis(RETRY_MILLIS) >= retry;
        if hand.file.is_some() && !grown || hand.retry_at.is_some_and(waits) {
            return Ok(None);
        }
        hand.meanwhile = Some(Vec::new());
        drop(hand);
        let renewed = self.replace(&text());
        let mut hand = self.hand();
        (hand.meanwhile, hand.next) = (None, None);
        hand.retry_at = renewed.is_err().then(|| at.plus_millis(RETRY_MILLIS));
        if renewed.is_err() {
            // A disk that is full has need of its room.
            let _gone = fs::remove_file(self.folder.join(UNFINISHED));
        }
        renewed.map(Some)
    }

    fn replace(&self, text: &str) -> io::Result<u64> {
        let behind = || io::Error::other("it cannot be written as fast as it changes");
        let file = create_unfinished(&*self.disk, &self.folder, text)?;
        let new = file.try_clone()?;
        let mut hand = self.hand();
        let meanwhile = hand.meanwhile.take().ok_or_else(behind)?;
        self.disk.write(&file, &meanwhile)?;
        // From now on lines are added to both: whichever a kill leaves says everything.
        hand.next = Some((file, (text.len() + meanwhile.len()) as u64));
        drop(hand);
        self.disk.sync(&new)?;
        // Lines wait for the name: they are never added to a file that has lost it, or to one that has it and says less than the other.
        let mut hand = self.hand();
        let (file, bytes) = hand.next.take().ok_or_else(behind)?;
        fs::rename(self.folder.join(UNFINISHED), self.folder.join(FILE))?;
        (hand.file, hand.bytes, hand.bytes_whole, hand.is_new) = (Some(file), bytes, text.len() as u64, false);
        drop(hand);
        self.disk.sync(&File::open(&self.folder)?)?;
        Ok(bytes)
    }

    /// Returns when the disk has what was added before.
    pub(super) fn sync(&self) -> io::Result<()> {
        let mut hand = self.hand();
        let Some(file) = hand.file.as_ref().map(File::try_clone) else { return Ok(()) };
        let is_new = std::mem::take(&mut hand.is_new);
        drop(hand);
        let synced = file.and_then(|file| self.disk.sync(&file));
        let synced = synced.and_then(|()| if is_new { self.disk.sync(&File::open(&self.folder)?) } else { Ok(()) });
        synced.inspect_err(|_| self.give_up())
    }
}

/// What the file says, as far as it can be read, and how much of it one can go on with: all of it, but for a last line that was not written
/// to its end.
fn read(folder: &Path, damaged: impl Fn()) -> (Ledger, Option<u64>) {
    let path = folder.join(FILE);
    let file = match fs::read(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return (Ledger::default(), None),
        Err(error) => {
            tracing::error!(file = %path.display(), %error, "cannot read the state of alerts; the file is set aside");
            set_aside(&path, &folder.join(DAMAGED));
            damaged();
            return (Ledger::default(), None);
        }
    };
    let (ledger, found) = Ledger::read(&file);
    let length = match found {
        // Without its last line's end it is written anew: the next line would be added to that one.
        Found::Whole => file.ends_with(b"\n").then_some(file.len()),
        Found::Torn => {
            tracing::warn!("the last line of the state of alerts was not written to its end, and is left out");
            file.iter().rposition(|byte| *byte == b'\n').map(|end| end + 1)
        }
        Found::Damaged(lines) => {
            tracing::error!(lines, "the state of alerts is damaged; the file is set aside, and what of it is whole is used");
            set_aside(&path, &folder.join(DAMAGED));
            damaged();
            None
        }
        Found::Other => {
            tracing::warn!(
                to = OTHER,
                "the state of alerts is of another version; it is set aside, and history tells since when alerts are pending"
            );
            set_aside(&path, &folder.join(OTHER));
            None
        }
    };
    (ledger, length.map(|length| length as u64))
}

fn set_aside(path: &Path, to: &Path) {
    if let Err(error) = fs::rename(path, to) {
        tracing::error!(file = %path.display(), %error, "cannot set a file aside");
    }
}

fn reopen(path: &Path, length: u64) -> io::Result<(File, u64)> {
    let file = OpenOptions::new().append(true).open(path)?;
    file.set_len(length)?;
    Ok((file, length))
}

/// Puts a file where none of use is, without waiting for the disk.
fn create(disk: &dyn Disk, folder: &Path, text: &str) -> io::Result<File> {
    let file = create_unfinished(disk, folder, text)?;
    fs::rename(folder.join(UNFINISHED), folder.join(FILE))?;
    Ok(file)
}

fn create_unfinished(disk: &dyn Disk, folder: &Path, text: &str) -> io::Result<File> {
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o640).open(folder.join(UNFINISHED))?;
    disk.write(&file, text.as_bytes())?;
    Ok(file)
}
