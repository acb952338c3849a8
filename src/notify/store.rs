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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notify::life::Phase;

    fn told(number: i64) -> Record {
        Record::Told { target: "a".into(), what: vec![(1, Phase::Firing)], at: number }
    }

    #[test]
    fn after_a_part_of_a_batch_was_written_all_is_written_anew_and_nothing_stands_there_twice() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(FOLDER).join(FILE);
        let mut store = Store::open(folder.path()).expect("a folder");
        store.replace(&[told(0)]).expect("room");
        // The disk takes one record of the batch and half of the next.
        let mut lines = Vec::new();
        [told(1), told(2)].iter().for_each(|record| record::write(record, &mut lines));
        let part = lines.len() - 9;
        store.file.as_mut().expect("open").write_all(&lines[..part]).expect("room");
        store.file = Some(File::open(&path).expect("there"));
        store.append(&[told(1), told(2)]).expect_err("it cannot be written to");
        assert_eq!(store.load().expect("readable"), (vec![told(0), told(1)], 1), "what is whole can be read");
        // Also where the next attempt fails as well.
        let unfinished = folder.path().join(FOLDER).join(UNFINISHED);
        fs::create_dir(&unfinished).expect("room");
        assert!(store.is_due());
        store.append(&[told(3)]).expect_err("nothing is added behind half a record");
        store.replace(&[told(0)]).expect_err("it cannot be written");
        assert_eq!(store.load().expect("readable").0, [told(0), told(1)]);
        fs::remove_dir(&unfinished).expect("there");
        let all = [told(0), told(1), told(2)];
        store.replace(&all).expect("room");
        store.append(&[told(3)]).expect("room");
        assert_eq!(store.load().expect("readable"), ([&all[..], &[told(3)]].concat(), 0));
    }
}
