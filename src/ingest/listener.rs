//! The sockets themselves: made at a path of the configuration, or passed by systemd.

use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::Path;

use nix::sys::socket::{setsockopt, sockopt};

use super::dialect::{BareTags, Language, TagStyles};
use super::{Config, SocketConfig};
use crate::runtime::{Access, SocketError, SocketFile, SocketKind, bind_unix};

/// The Unix sockets' names on the board.
pub(super) const STREAM: &str = "socket:stream";
pub(super) const DATAGRAM: &str = "socket:datagram";

/// Sockets that were bound before the agent started, by the one who started it.
#[derive(Debug, Default)]
pub struct Passed {
    /// A listening stream socket.
    pub stream: Option<UnixListener>,
    /// A bound datagram socket.
    pub datagram: Option<UnixDatagram>,
}

/// The sockets that events come over.
#[derive(Debug)]
pub struct Sockets {
    pub(super) streams: Vec<Socket<UnixListener>>,
    pub(super) datagrams: Vec<Socket<OwnedFd>>,
}

impl Sockets {
    /// Takes the sockets that are passed and binds the others, in `folder` where the configuration names no path.
    ///
    /// # Errors
    /// When a socket cannot be had; the message names the path and what to do.
    pub fn open(config: &Config, folder: &Path, passed: Passed) -> Result<Self, SocketError> {
        let stream = unix(STREAM, &config.stream, &folder.join("events.sock"), SocketKind::Stream, passed.stream.map(OwnedFd::from))?;
        let dgram = &folder.join("events.dgram.sock");
        let mut datagram = unix(DATAGRAM, &config.datagram.socket(), dgram, SocketKind::Datagram, passed.datagram.map(OwnedFd::from))?;
        if let Some(datagram) = &mut datagram {
            datagram.credentials = config.datagram.credentials;
            // At once: of what waits in the socket already nobody can say any more who has sent it.
            if let Err(error) = setsockopt(&datagram.socket, sockopt::PassCred, &datagram.credentials) {
                tracing::warn!(%error, "the kernel does not tell who sends datagrams");
            }
        }
        Ok(Self { streams: stream.into_iter().collect(), datagrams: datagram.into_iter().collect() })
    }

    /// Their names on the board.
    pub(super) fn parts(&self) -> impl Iterator<Item = &str> {
        self.streams.iter().map(|socket| &*socket.part).chain(self.datagrams.iter().map(|socket| &*socket.part))
    }
}

/// One socket, and the file that is ours with it.
#[derive(Debug)]
pub(super) struct Socket<S> {
    pub(super) socket: S,
    /// Its name on the board.
    pub(super) part: String,
    /// Whether the kernel tells of each datagram who has sent it.
    pub(super) credentials: bool,
    /// How what comes over it is read.
    pub(super) language: Language,
    /// `None` for a socket that was passed.
    pub(super) file: Option<SocketFile>,
}

impl<S> Socket<S> {
    /// What to tell people about it.
    pub(super) fn detail(&self) -> String {
        self.file.as_ref().map_or_else(|| "passed by systemd".to_owned(), |file| file.path().display().to_string())
    }
}

fn unix<S: From<OwnedFd>>(
    part: &str,
    config: &SocketConfig,
    default: &Path,
    kind: SocketKind,
    passed: Option<OwnedFd>,
) -> Result<Option<Socket<S>>, SocketError> {
    let part = part.to_owned();
    let language =
        Language { dialect: config.dialect, styles: TagStyles::of(&config.tag_styles), bare_tags: BareTags::default(), json: true };
    if let Some(socket) = passed {
        return Ok(Some(Socket { socket: socket.into(), part, credentials: false, language, file: None }));
    }
    if !config.enabled {
        return Ok(None);
    }
    let path = config.path.as_deref().unwrap_or(default);
    let access = Access { mode: config.mode.bits(), owner: config.owner.as_deref(), group: config.group.as_deref() };
    let setting = match kind {
        SocketKind::Stream => "ingest.stream.path",
        SocketKind::Datagram => "ingest.datagram.path",
    };
    let (socket, file) = bind_unix(path, kind, access, setting)?;
    Ok(Some(Socket { socket: socket.into(), part, credentials: false, language, file: Some(file) }))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn open(folder: &Path) -> Result<Sockets, SocketError> {
        Sockets::open(&Config::default(), folder, Passed::default())
    }

    fn files(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).expect("a folder");
        let names = entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned());
        let mut names: Vec<String> = names.filter(|name| !name.ends_with(".lock")).collect();
        names.sort();
        names
    }

    #[test]
    fn sockets_are_made_with_their_mode_and_removed_at_the_end() {
        let root = tempfile::tempdir().expect("a folder");
        let folder = root.path().join("run/sidewatch");
        let sockets = open(&folder).expect("bound");
        assert_eq!(files(&folder), ["events.dgram.sock", "events.sock"]);
        let mode = fs::metadata(folder.join("events.sock")).expect("there").permissions().mode();
        assert_eq!(mode & 0o7777, 0o660);
        drop(sockets);
        assert!(files(&folder).is_empty());
    }

    #[test]
    fn passed_sockets_are_taken_and_their_files_stay() {
        let root = tempfile::tempdir().expect("a folder");
        let path = root.path().join("passed.sock");
        let stream = Some(UnixListener::bind(&path).expect("bound"));
        let sockets = Sockets::open(&Config::default(), root.path(), Passed { stream, datagram: None }).expect("taken");
        assert_eq!(files(root.path()), ["events.dgram.sock", "passed.sock"]);
        drop(sockets);
        assert_eq!(files(root.path()), ["passed.sock"]);
    }
}
