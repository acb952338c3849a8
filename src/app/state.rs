//! The state folder, which is one agent's alone.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::bail;

/// A state folder that no other agent uses for as long as this lives: the lock is the kernel's, and goes with the process.
#[derive(Debug)]
pub(super) struct StateFolder {
    /// Where it is.
    pub(super) path: PathBuf,
    _lock: File,
}

/// Takes the folder, making it where it does not exist; or says why it cannot be used. An agent without one works, and
/// forgets everything when it ends.
///
/// # Errors
/// When another agent has it.
pub(super) fn take(path: &Path) -> anyhow::Result<Result<StateFolder, String>> {
    let lock = path.join("lock");
    let opened = DirBuilder::new().recursive(true).mode(0o750).create(path);
    let opened = opened.and_then(|()| OpenOptions::new().write(true).create(true).truncate(false).mode(0o640).open(&lock));
    let file = match opened {
        Ok(file) => file,
        Err(error) => return Ok(Err(format!("cannot use the state folder {}: {error}", path.display()))),
    };
    match file.try_lock() {
        Ok(()) => Ok(Ok(StateFolder { path: path.to_owned(), _lock: file })),
        Err(TryLockError::WouldBlock) => {
            bail!("another agent uses the state folder {}; stop it, or set `state` to another folder", path.display())
        }
        // Some network file systems know no locks.
        Err(TryLockError::Error(error)) => Ok(Err(format!("cannot lock {}: {error}", lock.display()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_one_agents_alone_until_that_is_gone() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a/b");
        let first = take(&path).expect("free").expect("usable");
        let refused = take(&path).expect_err("taken").to_string();
        assert!(refused.contains("another agent uses the state folder"), "{refused}");
        drop(first);
        assert!(take(&path).expect("free").is_ok());
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_told_of() {
        let reason = take(Path::new("/dev/null/state")).expect("no other agent").expect_err("no folder");
        assert!(reason.starts_with("cannot use the state folder /dev/null/state: "), "{reason}");
    }
}
