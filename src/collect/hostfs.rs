//! The only opener of kernel files. Its three roots can be moved, so that a recorded host stands in for this one, or so
//! that a container sees the host that it runs on.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::CollectError;

/// More than any file of the kernel that is read here has; a guard against a mistaken root, not a limit to tune.
const BYTES_MAX: usize = 16 << 20;

/// What `statfs` says of a filesystem.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capacity {
    /// Bytes in a block.
    pub block_size: u64,
    /// All blocks.
    pub blocks: u64,
    /// Free blocks.
    pub blocks_free: u64,
    /// Free blocks that an ordinary user may take.
    pub blocks_available: u64,
    /// All inodes.
    pub files: u64,
    /// Free inodes.
    pub files_free: u64,
}

/// Reads files below the roots.
#[derive(Debug)]
pub struct HostFs {
    proc: PathBuf,
    sys: PathBuf,
    /// Files of `/proc` stay open: reading one again from its start costs a third of opening it.
    open: HashMap<&'static str, File>,
    buffer: Vec<u8>,
}

impl HostFs {
    /// A reader below these roots; nothing is opened yet.
    #[must_use]
    pub fn new(proc: &Path, sys: &Path) -> Self {
        Self { proc: proc.to_owned(), sys: sys.to_owned(), open: HashMap::new(), buffer: vec![0; 16 << 10] }
    }

    /// Reads a file below `/proc` into `text`, replacing what is there. What is not UTF-8 in it is replaced.
    ///
    /// # Errors
    /// When the file cannot be opened or read; the next call opens it anew.
    pub fn proc(&mut self, path: &'static str, text: &mut String) -> Result<(), CollectError> {
        let full = self.proc.join(path);
        let file = match self.open.remove(path) {
            Some(file) => file,
            None => File::open(&full).map_err(|source| CollectError::Read { path: full.clone(), source })?,
        };
        read(&file, &mut self.buffer, text).map_err(|source| CollectError::Read { path: full, source })?;
        self.open.insert(path, file);
        Ok(())
    }

    /// Reads a file below `/sys` into `text`, replacing what is there.
    ///
    /// # Errors
    /// When the file cannot be opened or read.
    pub fn sys(&mut self, path: &str, text: &mut String) -> Result<(), CollectError> {
        let full = self.sys.join(path);
        File::open(&full).and_then(|file| read(&file, &mut self.buffer, text)).map_err(|source| CollectError::Read { path: full, source })
    }
}

/// Asks the kernel how full the filesystem at `path` is. May hang for as long as the filesystem's server or device does.
///
/// # Errors
/// What the system said.
pub(super) fn statfs(path: &Path) -> io::Result<Capacity> {
    let stat = rustix::fs::statvfs(path)?;
    Ok(Capacity {
        block_size: stat.f_bsize,
        blocks: stat.f_blocks,
        blocks_free: stat.f_bfree,
        blocks_available: stat.f_bavail,
        files: stat.f_files,
        files_free: stat.f_ffree,
    })
}

fn read(file: &File, buffer: &mut Vec<u8>, text: &mut String) -> io::Result<()> {
    let mut filled = 0;
    loop {
        if filled == buffer.len() {
            if filled >= BYTES_MAX {
                return Err(io::ErrorKind::FileTooLarge.into());
            }
            buffer.resize(filled * 2, 0);
        }
        let Some(space) = buffer.get_mut(filled..) else { break };
        match file.read_at(space, filled as u64) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    text.clear();
    text.push_str(&String::from_utf8_lossy(buffer.get(..filled).unwrap_or_default()));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host() -> (tempfile::TempDir, HostFs) {
        let root = tempfile::tempdir().unwrap();
        let host = HostFs::new(root.path(), root.path());
        (root, host)
    }

    #[test]
    fn an_open_file_is_read_again_from_its_start() {
        let (root, mut host) = host();
        std::fs::write(root.path().join("stat"), "one, and longer").unwrap();
        let mut text = String::new();
        host.proc("stat", &mut text).unwrap();
        std::fs::write(root.path().join("stat"), "two").unwrap();
        host.proc("stat", &mut text).unwrap();
        assert_eq!(text, "two");
        assert_eq!(host.open.len(), 1);
    }

    #[test]
    fn a_file_longer_than_the_buffer_is_read_whole() {
        let (root, mut host) = host();
        let long = "x".repeat(50_000);
        std::fs::write(root.path().join("stat"), &long).unwrap();
        let mut text = String::new();
        host.proc("stat", &mut text).unwrap();
        assert_eq!(text, long);
    }

    #[test]
    fn an_error_names_the_path() {
        let (root, mut host) = host();
        let error = host.sys("class/net/eth0/speed", &mut String::new()).unwrap_err();
        assert_eq!(error.to_string(), format!("cannot read {}/class/net/eth0/speed", root.path().display()));
        assert!(error.is_absent());
    }

    #[test]
    fn bytes_that_are_not_utf8_are_replaced() {
        let (root, mut host) = host();
        std::fs::write(root.path().join("mounts"), b"a\xffb").unwrap();
        let mut text = String::new();
        host.proc("mounts", &mut text).unwrap();
        assert_eq!(text, "a\u{fffd}b");
    }

    #[test]
    fn statfs_answers_for_the_root() {
        let capacity = statfs(Path::new("/")).unwrap();
        assert!(capacity.block_size > 0 && capacity.blocks >= capacity.blocks_free);
    }
}
