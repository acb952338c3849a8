//! The journal's files on disk.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::header::FileKind;
use super::name::{Name, is_unfinished};
use super::recovery::Aside;

/// So many files that were put aside are kept, the latest ones. What a later agent wrote is not counted and not deleted.
const ASIDE_MAX: usize = 8;
/// Where the kernel says which boot of the machine this is. Source: random(4).
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// The folder that the files are in.
#[derive(Debug)]
pub(super) struct Folder(PathBuf);

impl Folder {
    /// Makes the folder where it does not exist.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o750).create(path)?;
        Ok(Self(path.to_owned()))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// The files that are in use. Those that were never finished are deleted on the way.
    pub(super) fn names(&self) -> io::Result<Vec<Name>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.0)? {
            let file = entry?.file_name();
            let Some(name) = file.to_str() else { continue };
            if is_unfinished(name) {
                fs::remove_file(self.0.join(name))?;
            }
            names.extend(Name::parse(name));
        }
        Ok(names)
    }

    pub(super) fn load(&self, name: Name) -> io::Result<Vec<u8>> {
        fs::read(self.at(name))
    }

    /// Makes a journal, empty as yet.
    pub(super) fn create_journal(&self, generation: u64) -> io::Result<File> {
        let path = self.at(Name::new(FileKind::Journal, generation));
        OpenOptions::new().append(true).create_new(true).mode(0o640).open(path)
    }

    /// Begins a snapshot, under a name of which no one takes notice.
    pub(super) fn begin_snapshot(&self, generation: u64) -> io::Result<File> {
        let path = self.0.join(Name::new(FileKind::Snapshot, generation).unfinished());
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o640).open(path)
    }

    /// Gives a snapshot that is whole, on the disk as well, its name.
    pub(super) fn finish_snapshot(&self, generation: u64, mut file: File) -> io::Result<()> {
        let name = Name::new(FileKind::Snapshot, generation);
        file.flush()?;
        file.sync_all()?;
        fs::rename(self.0.join(name.unfinished()), self.at(name))?;
        File::open(&self.0)?.sync_all()
    }

    /// Deletes a snapshot that came to nothing. What cannot be deleted now is deleted at the next start.
    pub(super) fn drop_snapshot(&self, generation: u64) {
        let _left = fs::remove_file(self.0.join(Name::new(FileKind::Snapshot, generation).unfinished()));
    }

    pub(super) fn remove(&self, name: Name) -> io::Result<()> {
        fs::remove_file(self.at(name))
    }

    /// Says by its name that something is missing behind the end of a journal. A full disk allows that.
    pub(super) fn give_up(&self, generation: u64) -> io::Result<()> {
        let name = Name::new(FileKind::Journal, generation);
        fs::rename(self.at(name), self.at(name.given_up()))
    }

    /// Puts a file aside under a name that says why, and deletes what was put aside long ago.
    pub(super) fn put_aside(&self, name: Name, aside: Aside) -> io::Result<PathBuf> {
        let to = self.0.join(format!("{name}.{}", aside.as_str()));
        fs::rename(self.at(name), &to)?;
        let deletable =
            |name: &str| [Aside::Damaged, Aside::Incomplete].iter().any(|aside| name.ends_with(&format!(".{}", aside.as_str())));
        let mut others = Vec::new();
        for entry in fs::read_dir(&self.0)? {
            let entry = entry?;
            if entry.file_name().to_str().is_some_and(deletable) {
                others.push((entry.metadata()?.modified()?, entry.path()));
            }
        }
        others.sort_unstable();
        for (_, path) in others.iter().rev().skip(ASIDE_MAX).filter(|(_, path)| *path != to) {
            fs::remove_file(path)?;
        }
        Ok(to)
    }

    fn at(&self, name: Name) -> PathBuf {
        self.0.join(name.to_string())
    }
}

/// Which boot of the machine this is; empty where the kernel does not say.
pub(super) fn boot() -> String {
    fs::read_to_string(BOOT_ID).map(|id| id.trim().to_owned()).unwrap_or_default()
}
