//! A Unix socket at a path: bound so that nobody connects before its owner and mode are set, in the place of a file that
//! a dead process left behind, never in the place of one that somebody listens on.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

/// Why a socket cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// The folder cannot be made.
    #[error("cannot make the folder {}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Something else stands in its place.
    #[error("{} is there and is not a socket; move it away, or set {setting}", path.display())]
    NotASocket {
        /// The socket's path.
        path: PathBuf,
        /// The setting that gives the path.
        setting: &'static str,
    },
    /// Another process listens there.
    #[error("another process listens on {}; stop it, or set {setting}", path.display())]
    Live {
        /// The socket's path.
        path: PathBuf,
        /// The setting that gives the path.
        setting: &'static str,
    },
    /// There is no such user or group.
    #[error("there is no {what} {name:?}, which {} is to belong to", path.display())]
    Unknown {
        /// `user` or `group`.
        what: &'static str,
        /// Its name.
        name: String,
        /// The socket's path.
        path: PathBuf,
    },
    /// Any other failure.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What failed.
        action: &'static str,
        /// The file in question.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// The two kinds of sockets that the agent listens on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SocketKind {
    /// Connections.
    Stream,
    /// Datagrams.
    Datagram,
}

/// Who may use a socket.
#[derive(Clone, Copy, Debug)]
pub struct Access<'a> {
    /// The file's mode, as `chmod` takes it.
    pub mode: u32,
    /// The user it belongs to, by name or number; `None` for the agent's own.
    pub owner: Option<&'a str>,
    /// The group it belongs to, by name or number; `None` for the agent's own.
    pub group: Option<&'a str>,
}

/// Binds a socket, and listens on it if it takes connections. `setting` is what a user would change to have it elsewhere.
///
/// # Errors
/// When it cannot be had; the message names the path and what to do.
pub fn bind_unix(path: &Path, kind: SocketKind, access: Access<'_>, setting: &'static str) -> Result<(OwnedFd, SocketFile), SocketError> {
    let fail = |action| move |source| SocketError::Io { action, path: path.to_owned(), source };
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        let made = DirBuilder::new().recursive(true).mode(0o755).create(folder);
        made.map_err(|source| SocketError::Folder { path: folder.to_owned(), source })?;
    }
    let lock = lock(path, setting)?;
    let kind = match kind {
        SocketKind::Stream => SocketType::STREAM,
        SocketKind::Datagram => SocketType::DGRAM,
    };
    clear(path, setting, kind)?;
    let socket = bind(path, kind).map_err(|errno| fail("bind")(errno.into()))?;
    let metadata = fs::symlink_metadata(path).map_err(fail("look at"))?;
    let file = SocketFile { path: path.to_owned(), identity: (metadata.dev(), metadata.ino()), _lock: lock };
    let owner = access.owner.map(|name| user(name, path)).transpose()?;
    let group = access.group.map(|name| self::group(name, path)).transpose()?;
    // The owner first: the mode must not open the socket to a group that it is not meant for.
    if owner.is_some() || group.is_some() {
        chown(path, owner, group).map_err(fail("set the owner of"))?;
    }
    fs::set_permissions(path, Permissions::from_mode(access.mode)).map_err(fail("set the mode of"))?;
    Ok((socket, file))
}

/// A socket at a path that nobody but the agent's user can connect to yet: the file takes its mode from the socket, so
/// that there is no moment in which the process's umask decides. Source: Linux `net/unix/af_unix.c` (`unix_bind_bsd`).
fn bind(path: &Path, kind: SocketType) -> Result<OwnedFd, Errno> {
    let socket = rustix::net::socket_with(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None)?;
    rustix::fs::fchmod(&socket, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR)?;
    rustix::net::bind(&socket, &SocketAddrUnix::new(path)?)?;
    if kind == SocketType::STREAM {
        // The kernel cuts this down to its own limit, net.core.somaxconn.
        rustix::net::listen(&socket, i32::MAX)?;
    }
    Ok(socket)
}

/// Of two agents that start at once, one gets the lock beside the socket. The lock file is left behind: whoever removed
/// it could remove one that somebody else has just locked.
fn lock(path: &Path, setting: &'static str) -> Result<File, SocketError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let lock_path = PathBuf::from(name);
    let opened = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&lock_path);
    let file = opened.map_err(|source| SocketError::Io { action: "open", path: lock_path.clone(), source })?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(SocketError::Live { path: path.to_owned(), setting }),
        Err(fs::TryLockError::Error(source)) => Err(SocketError::Io { action: "lock", path: lock_path, source }),
    }
}

/// Makes the path free, unless somebody listens there or it is no socket.
fn clear(path: &Path, setting: &'static str, kind: SocketType) -> Result<(), SocketError> {
    let path_buf = || path.to_owned();
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(SocketError::Io { action: "look at", path: path_buf(), source }),
        Ok(metadata) if !metadata.file_type().is_socket() => return Err(SocketError::NotASocket { path: path_buf(), setting }),
        Ok(_) => {}
    }
    match probe(path, kind) {
        Err(Errno::CONNREFUSED) => fs::remove_file(path).map_err(|source| SocketError::Io { action: "remove", path: path_buf(), source }),
        Err(Errno::NOENT) => Ok(()),
        // A full queue, or a listener of the other kind, is alive as well.
        Ok(()) | Err(Errno::AGAIN | Errno::INPROGRESS | Errno::PROTOTYPE) => Err(SocketError::Live { path: path_buf(), setting }),
        Err(error) => Err(SocketError::Io { action: "find out who listens on", path: path_buf(), source: error.into() }),
    }
}

/// Connects without waiting: a listener that accepts nothing must not hold up the start.
fn probe(path: &Path, kind: SocketType) -> Result<(), Errno> {
    let socket = rustix::net::socket_with(AddressFamily::UNIX, kind, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC, None)?;
    rustix::net::connect(&socket, &SocketAddrUnix::new(path)?)
}

fn user(name: &str, path: &Path) -> Result<u32, SocketError> {
    let number = name.parse().ok();
    let found = number.or_else(|| nix::unistd::User::from_name(name).ok().flatten().map(|user| user.uid.as_raw()));
    found.ok_or_else(|| SocketError::Unknown { what: "user", name: name.to_owned(), path: path.to_owned() })
}

fn group(name: &str, path: &Path) -> Result<u32, SocketError> {
    let number = name.parse().ok();
    let found = number.or_else(|| nix::unistd::Group::from_name(name).ok().flatten().map(|group| group.gid.as_raw()));
    found.ok_or_else(|| SocketError::Unknown { what: "group", name: name.to_owned(), path: path.to_owned() })
}

/// A socket's file that this process made and removes.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
    _lock: File,
}

impl SocketFile {
    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Removes the file, if it is still the one that was made here.
    pub fn remove(&self) {
        let ours = fs::symlink_metadata(&self.path).is_ok_and(|metadata| (metadata.dev(), metadata.ino()) == self.identity);
        if ours && let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "cannot remove a socket file");
        }
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        self.remove();
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};

    use super::*;

    const ACCESS: Access<'_> = Access { mode: 0o660, owner: None, group: None };

    fn open(path: &Path) -> Result<(OwnedFd, SocketFile), SocketError> {
        bind_unix(path, SocketKind::Stream, ACCESS, "a.path")
    }

    #[test]
    fn a_socket_is_made_with_its_folder_and_mode_and_removed_at_the_end() {
        let root = tempfile::tempdir().expect("a folder");
        let path = root.path().join("run/sidewatch/s");
        let socket = open(&path).expect("bound");
        assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o7777, 0o660);
        UnixStream::connect(&path).expect("somebody listens");
        drop(socket);
        assert!(!path.exists());
    }

    #[test]
    fn nobody_else_can_connect_before_owner_and_mode_are_set() {
        let root = tempfile::tempdir().expect("a folder");
        for (name, kind) in [("s", SocketType::STREAM), ("d", SocketType::DGRAM)] {
            let path = root.path().join(name);
            let _socket = bind(&path, kind).expect("bound");
            assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn a_stale_socket_is_replaced() {
        let root = tempfile::tempdir().expect("a folder");
        let (stream, datagram) = (root.path().join("s"), root.path().join("d"));
        drop((UnixListener::bind(&stream).expect("bound"), UnixDatagram::bind(&datagram).expect("bound")));
        assert!(stream.exists() && datagram.exists(), "the files stay behind");
        open(&stream).expect("replaced");
        bind_unix(&datagram, SocketKind::Datagram, ACCESS, "a.path").expect("replaced");
    }

    #[test]
    fn a_live_socket_is_refused_and_left_alone() {
        let root = tempfile::tempdir().expect("a folder");
        let path = root.path().join("s");
        let other = UnixListener::bind(&path).expect("bound");
        let error = open(&path).expect_err("refused");
        assert_eq!(error.to_string(), format!("another process listens on {}; stop it, or set a.path", path.display()));
        UnixStream::connect(&path).expect("still there");
        drop(other);

        let _datagram_in_the_wrong_place = (fs::remove_file(&path), UnixDatagram::bind(&path).expect("bound"));
        assert!(matches!(open(&path), Err(SocketError::Live { .. })));
    }

    #[test]
    fn a_second_agent_is_refused_by_the_lock() {
        let root = tempfile::tempdir().expect("a folder");
        let path = root.path().join("s");
        let first = open(&path).expect("bound");
        fs::remove_file(&path).expect("removed");
        assert!(matches!(open(&path), Err(SocketError::Live { .. })));
        drop(first);
        open(&path).expect("free again");
    }

    #[test]
    fn a_file_that_is_no_socket_is_never_removed() {
        let root = tempfile::tempdir().expect("a folder");
        let path = root.path().join("s");
        fs::write(&path, "precious").expect("written");
        assert!(matches!(open(&path), Err(SocketError::NotASocket { .. })));
        assert_eq!(fs::read_to_string(&path).expect("still there"), "precious");
    }

    #[test]
    fn a_socket_that_somebody_else_made_meanwhile_is_not_removed() {
        let root = tempfile::tempdir().expect("a folder");
        let path = root.path().join("s");
        let socket = open(&path).expect("bound");
        fs::rename(&path, root.path().join("away")).expect("moved");
        let _other = UnixListener::bind(&path).expect("bound");
        drop(socket);
        assert!(path.exists());
    }

    #[test]
    fn an_unknown_group_is_named_and_what_was_bound_is_removed() {
        let root = tempfile::tempdir().expect("a folder");
        let path = root.path().join("s");
        let access = Access { group: Some("no-such-group"), ..ACCESS };
        let error = bind_unix(&path, SocketKind::Stream, access, "a.path").expect_err("refused");
        assert!(error.to_string().contains("there is no group \"no-such-group\""), "{error}");
        assert!(!path.exists());
    }
}
