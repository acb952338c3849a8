//! What an agent has saved, for whoever only looks: nothing of it is changed, and an agent may be writing to it meanwhile.

use std::io;
use std::path::{Path, PathBuf};

use super::super::{Config, History};
use super::folder::{Folder, Stamp};
use super::record::{End, read};
use super::restore::Found;
use crate::model::Timestamp;
use crate::telemetry::Telemetry;

/// How often all is read anew because something was written meanwhile. An agent writes once a minute.
const ATTEMPTS: usize = 8;

/// A saved history, read into memory.
#[derive(Debug)]
pub struct Saved {
    /// All of it that is to be seen.
    pub history: History,
    /// The folder that the files are in.
    pub folder: PathBuf,
    /// The time of the newest sample; `None` where there is no sample.
    pub newest: Option<Timestamp>,
    /// What is missing of it, where, and why, as sentences.
    pub left_out: Vec<String>,
}

/// Why there is nothing to be read.
#[derive(Debug, thiserror::Error)]
pub enum SavedError {
    /// The folder has none of the files.
    #[error("no history is saved in {}", .0.display())]
    Nothing(PathBuf),
    /// The folder cannot be looked into.
    #[error("cannot read {}", .0.display())]
    Unreadable(PathBuf, #[source] io::Error),
}

impl Saved {
    /// Reads what an agent with this state folder has saved; the folder with the files themselves will do as well. How far back samples
    /// are to be seen is the configuration's; its budget of memory and its limit of series are for an agent, and do not count here.
    /// `at` is now: where samples are later, the clock was set back since, and all of them are shown so much earlier, as by an agent.
    ///
    /// # Errors
    /// When no history is there. What is wrong with a single file is in [`Saved::left_out`].
    pub fn read(state: &Path, config: &Config, telemetry: &Telemetry, at: Timestamp) -> Result<Self, SavedError> {
        Self::read_while(state, config, telemetry, at, &mut || ())
    }

    /// Reads, and lets `meanwhile` run in front of each file.
    pub(super) fn read_while(
        state: &Path,
        config: &Config,
        telemetry: &Telemetry,
        at: Timestamp,
        meanwhile: &mut dyn FnMut(),
    ) -> Result<Self, SavedError> {
        let folder = Folder::find(state);
        let Look { found, mut left_out } = look(&folder, meanwhile)?;
        let history = History::new(&Config { bytes_max: usize::MAX, series_max: usize::MAX, ..config.clone() }, telemetry);
        let mut store = history.write();
        found.restore(&mut store);
        let later = history.resume(store.newest(), at) / 1000;
        if later > 0 {
            let why = format!("its newest sample is {later} s later than now, so that the clock was set back");
            left_out.push(format!("{}: {why}: all times are shown so much earlier", folder.path().display()));
        }
        let newest = (store.samples() > 0).then(|| history.timeline().outward(store.newest()));
        drop(store);
        Ok(Self { history, folder: folder.path().to_owned(), newest, left_out })
    }

    /// Whether there is something to be read.
    #[must_use]
    pub fn is_in(state: &Path) -> bool {
        Folder::find(state).stamp().is_ok_and(|files| !files.is_empty())
    }
}

/// What one pass over all files has found.
struct Look {
    found: Found,
    left_out: Vec<String>,
}

/// Looks until nothing has been written meanwhile: of what moves from one file to another a part would be missing. The state between two
/// of an agent's writes is one that it must be able to start with.
fn look(folder: &Folder, meanwhile: &mut dyn FnMut()) -> Result<Look, SavedError> {
    let failed = |error| SavedError::Unreadable(folder.path().to_owned(), error);
    let mut before = folder.stamp().map_err(failed)?;
    if before.is_empty() {
        return Err(SavedError::Nothing(folder.path().to_owned()));
    }
    for _ in 1..ATTEMPTS {
        let look = look_once(folder, meanwhile).map_err(failed)?;
        let after: Stamp = folder.stamp().map_err(failed)?;
        if after == before {
            return Ok(look);
        }
        before = after;
    }
    let mut look = look_once(folder, meanwhile).map_err(failed)?;
    look.left_out.push(format!("{}: written to all the while, so that something may be missing", folder.path().display()));
    Ok(look)
}

fn look_once(folder: &Folder, meanwhile: &mut dyn FnMut()) -> io::Result<Look> {
    let (mut found, mut left_out) = (Found::default(), Vec::new());
    let mut take = |path: PathBuf, file: io::Result<Option<Vec<u8>>>| {
        let wrong = match file {
            Ok(None) => None,
            Ok(Some(file)) => {
                let mut reading = found.file();
                let end = read(&file, |record| reading.take(record));
                match reading.judge(end) {
                    // What has been begun and has no content yet lacks nothing.
                    End::Whole | End::Torn(0) => None,
                    End::Torn(bytes) => Some(format!("its last {bytes} bytes were not written to their end, and are left out")),
                    End::Undecodable(chunks) => Some(format!("what cannot be decoded is left out, of chunks {chunks}")),
                    End::Damaged(byte) => Some(format!("damaged from byte {byte} on; only what stands before is used")),
                }
            }
            Err(error) => Some(format!("cannot be read, and is left out: {error}")),
        };
        left_out.extend(wrong.map(|wrong| format!("{}: {wrong}", path.display())));
    };
    for (grade, number) in folder.segments()? {
        meanwhile();
        take(folder.segment(grade, number), folder.load_segment(grade, number).map(Some));
    }
    meanwhile();
    take(folder.heads(), folder.load_heads());
    Ok(Look { found, left_out })
}
