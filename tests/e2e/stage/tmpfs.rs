//! A filesystem that is small enough to be filled.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use super::run;

/// A tmpfs of 16 MiB in a folder of its own, both gone when the test ends.
pub(crate) struct Tmpfs(TempDir);

impl Tmpfs {
    /// Mounts it; `None` where that is not permitted.
    pub(crate) fn mount() -> Option<Self> {
        let folder = tempfile::Builder::new().prefix("sidewatch-small-").tempdir().unwrap();
        let output = run(Command::new("mount").args(["-t", "tmpfs", "-o", "size=16m", "sidewatch-small"]).arg(folder.path()));
        output.status.success().then_some(Self(folder))
    }

    /// Where it is mounted.
    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        // Whoever looks at it at this moment keeps it only from being unmounted at once.
        let _ = Command::new("umount").arg("--lazy").arg(self.path()).status();
    }
}
