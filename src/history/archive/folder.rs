//! The files of history on disk.

use std::ffi::{OsStr, OsString};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::super::column::Grade;
use super::record::MAGIC;

/// Where it is in the state folder.
pub(super) const FOLDER: &str = "history";
/// The log of the heads, and its name while it is not whole.
const HEADS: &str = "heads";
const HEADS_UNFINISHED: &str = "heads.new";
/// The ending of a file that is not as it was written.
const DAMAGED: &str = "damaged";
/// So many files that were set aside are kept, the latest ones.
const ASIDE_MAX: usize = 4;

#[derive(Debug)]
pub(super) struct Folder(PathBuf);

/// A segment's place among those of its grade.
pub(super) type Number = u64;

/// Files by name, with what changes when they are replaced or written to.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Stamp(Vec<(OsString, [u64; 2], [i64; 2])>);

impl Stamp {
    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Which segment has this name, if it is one's.
fn parse(name: &OsStr) -> Option<(Grade, Number)> {
    let (grade, number) = name.to_str()?.split_once('-')?;
    let grade = Grade::ALL.into_iter().find(|known| known.as_str() == grade)?;
    Some((grade, number.parse().ok()?))
}

impl Folder {
    /// Makes the folder where it does not exist.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o750).create(path)?;
        Ok(Self(path.to_owned()))
    }

    /// The folder of an agent whose state is here, or this one; nothing is made.
    pub(super) fn find(state: &Path) -> Self {
        let below = state.join(FOLDER);
        Self(if below.is_dir() { below } else { state.to_owned() })
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    pub(super) fn heads(&self) -> PathBuf {
        self.0.join(HEADS)
    }

    /// Which files there are, and how far they have been written to. Where it is the same before and after they have been read, what
    /// was read belongs together.
    pub(super) fn stamp(&self) -> io::Result<Stamp> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.0)? {
            let entry = entry?;
            let name = entry.file_name();
            if name != HEADS && parse(&name).is_none() {
                continue;
            }
            match entry.metadata() {
                Ok(file) => files.push((name, [file.ino(), file.len()], [file.mtime(), file.mtime_nsec()])),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        files.sort_unstable();
        Ok(Stamp(files))
    }

    pub(super) fn segment(&self, grade: Grade, number: Number) -> PathBuf {
        self.0.join(format!("{}-{number:08}", grade.as_str()))
    }

    /// The segments, in order.
    pub(super) fn segments(&self) -> io::Result<Vec<(Grade, Number)>> {
        let mut segments = Vec::new();
        for entry in fs::read_dir(&self.0)? {
            segments.extend(parse(&entry?.file_name()));
        }
        segments.sort_unstable();
        Ok(segments)
    }

    pub(super) fn load_segment(&self, grade: Grade, number: Number) -> io::Result<Vec<u8>> {
        fs::read(self.segment(grade, number))
    }

    /// The log of the heads, where there is one.
    pub(super) fn load_heads(&self) -> io::Result<Option<Vec<u8>>> {
        match fs::read(self.heads()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            read => read.map(Some),
        }
    }

    /// Makes a segment that holds nothing yet.
    pub(super) fn create_segment(&self, grade: Grade, number: Number) -> io::Result<File> {
        let mut file = OpenOptions::new().append(true).create_new(true).mode(0o640).open(self.segment(grade, number))?;
        file.write_all(MAGIC)?;
        Ok(file)
    }

    /// Puts a new log of the heads in the place of the old one, once it is on the disk as a whole.
    pub(super) fn replace_heads(&self, frames: &[u8]) -> io::Result<File> {
        let unfinished = self.0.join(HEADS_UNFINISHED);
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o640).open(&unfinished)?;
        file.write_all(MAGIC)?;
        file.write_all(frames)?;
        file.sync_all()?;
        fs::rename(unfinished, self.heads())?;
        File::open(&self.0)?.sync_all()?;
        Ok(file)
    }

    pub(super) fn remove_segment(&self, grade: Grade, number: Number) -> io::Result<()> {
        fs::remove_file(self.segment(grade, number))
    }

    pub(super) fn set_segment_aside(&self, grade: Grade, number: Number) -> io::Result<PathBuf> {
        self.set_aside(&self.segment(grade, number))
    }

    pub(super) fn set_heads_aside(&self) -> io::Result<PathBuf> {
        self.set_aside(&self.heads())
    }

    fn set_aside(&self, file: &Path) -> io::Result<PathBuf> {
        let to = file.with_extension(DAMAGED);
        fs::rename(file, &to)?;
        let mut others = Vec::new();
        for entry in fs::read_dir(&self.0)? {
            let entry = entry?;
            if entry.path().extension().is_some_and(|extension| extension == DAMAGED) {
                others.push((entry.metadata()?.modified()?, entry.path()));
            }
        }
        others.sort_unstable();
        for (_, path) in others.iter().rev().skip(ASIDE_MAX).filter(|(_, path)| *path != to) {
            fs::remove_file(path)?;
        }
        Ok(to)
    }
}

/// Writes behind a file's end, and on to the disk.
pub(super) fn append(file: &mut File, frames: &[u8]) -> io::Result<()> {
    file.write_all(frames)?;
    file.sync_data()
}
