//! The files of history on disk.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::super::column::Grade;
use super::record::MAGIC;

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

impl Folder {
    /// Makes the folder where it does not exist.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o750).create(path)?;
        Ok(Self(path.to_owned()))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    fn segment(&self, grade: Grade, number: Number) -> PathBuf {
        self.0.join(format!("{}-{number:08}", grade.as_str()))
    }

    /// The segments, in order.
    pub(super) fn segments(&self) -> io::Result<Vec<(Grade, Number)>> {
        let mut segments = Vec::new();
        for entry in fs::read_dir(&self.0)? {
            let name = entry?.file_name();
            let parsed = name.to_str().and_then(|name| name.split_once('-')).and_then(|(grade, number)| {
                let grade = Grade::ALL.into_iter().find(|known| known.as_str() == grade)?;
                Some((grade, number.parse().ok()?))
            });
            segments.extend(parsed);
        }
        segments.sort_unstable();
        Ok(segments)
    }

    pub(super) fn load_segment(&self, grade: Grade, number: Number) -> io::Result<Vec<u8>> {
        fs::read(self.segment(grade, number))
    }

    /// The log of the heads, where there is one.
    pub(super) fn load_heads(&self) -> io::Result<Option<Vec<u8>>> {
        match fs::read(self.0.join(HEADS)) {
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
        fs::rename(unfinished, self.0.join(HEADS))?;
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
        self.set_aside(&self.0.join(HEADS))
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
