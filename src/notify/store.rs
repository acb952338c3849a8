//! The ledger's records on disk: a file that is appended to, and replaced by a shorter one when it has grown.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::record::{self, Record};

/// Where it is in the state folder.
const FOLDER: &str = "notify";
const FILE: &str = "ledger";
const UNFINISHED: &str = "ledger.new";

/// Why nothing is kept.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The folder cannot be used.
    #[error("cannot use {path}")]
    Folder {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// The open file.
#[derive(Debug)]
pub struct Store {
    folder: PathBuf,
    file: Option<File>,
    /// How long the file is, and how long it was when it was written last as a whole.
    bytes: u64,
    whole_bytes: u64,
}

impl Store {
    /// Opens the folder below the state folder, making it where it does not exist.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn open(state: &Path) -> Result<Self, StoreError> {
        let folder = state.join(FOLDER);
        let fault = |source| StoreError::Folder { path: state.join(FOLDER), source };
        DirBuilder::new().recursive(true).mode(0o750).create(&folder).map_err(fault)?;
        Ok(Self { folder, file: None, bytes: 0, whole_bytes: 0 })
    }

    /// What it holds, and how many lines could not be read.
    pub(super) fn load(&self) -> io::Result<(Vec<Record>, usize)> {
        match fs::read(self.folder.join(FILE)) {
            Ok(bytes) => Ok(record::read(&bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok((Vec::new(), 0)),
            Err(error) => Err(error),
        }
    }

    /// Writes everything anew, and puts it in the place of what was there once it is on the disk as a whole.
    pub(super) fn replace(&mut self, records: &[Record]) -> io::Result<()> {
        self.file = None;
        let mut lines = Vec::new();
        records.iter().for_each(|record| record::write(record, &mut lines));
        let unfinished = self.folder.join(UNFINISHED);
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o640).open(&unfinished)?;
        file.write_all(&lines)?;
        file.sync_all()?;
        fs::rename(unfinished, self.folder.join(FILE))?;
        File::open(&self.folder)?.sync_all()?;
        self.bytes = lines.len() as u64;
        self.whole_bytes = self.bytes;
        self.file = Some(file);
        Ok(())
    }

    /// Appends, down to the disk.
    pub(super) fn append(&mut self, records: &[Record]) -> io::Result<()> {
        let file = self.file.as_mut().ok_or_else(|| io::Error::other("it was not written as a whole before"))?;
        let mut lines = Vec::new();
        records.iter().for_each(|record| record::write(record, &mut lines));
        let written = file.write_all(&lines).and_then(|()| file.sync_data());
        self.bytes = self.bytes.saturating_add(lines.len() as u64);
        if written.is_err() {
            // How much of it is there is not known: the next time all of it is written.
            self.file = None;
        }
        written
    }

    /// Whether it is to be written as a whole: nothing is open, or most of it is history.
    pub(super) fn is_due(&self) -> bool {
        self.file.is_none() || self.bytes > self.whole_bytes.saturating_mul(2).saturating_add(256 << 10)
    }
}
