//! The sockets themselves: made at a path or an address of the configuration, or passed by systemd.

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::Path;

use nix::sys::socket::{setsockopt, sockopt};
use rustix::net::sockopt::{set_socket_recv_buffer_size, set_socket_recv_buffer_size_force, socket_recv_buffer_size};

use super::dialect::{Dialect, Language, TagStyle, TagStyles};
use super::{Config, SocketConfig, TcpConfig, UdpConfig};
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

/// Why a socket cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// A Unix socket.
    #[error(transparent)]
    Unix(#[from] SocketError),
    /// Another process has the address.
    #[error("another process listens on {address} ({protocol}); stop it, or set {setting} to another address")]
    Taken {
        /// `UDP` or `TCP`.
        protocol: &'static str,
        /// The address.
        address: SocketAddr,
        /// The setting that gives it.
        setting: &'static str,
    },
    /// The address belongs to no interface.
    #[error("this machine has no address {}; set {setting} to one that it has, or to 127.0.0.1", address.ip())]
    NotHere {
        /// The address.
        address: SocketAddr,
        /// The setting that gives it.
        setting: &'static str,
    },
    /// Any other failure.
    #[error("cannot listen on {address} ({protocol}); check {setting}")]
    Other {
        /// `UDP` or `TCP`.
        protocol: &'static str,
        /// The address.
        address: SocketAddr,
        /// The setting that gives it.
        setting: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// The sockets that events come over.
#[derive(Debug)]
pub struct Sockets {
    pub(super) streams: Vec<Socket<Listener>>,
    pub(super) datagrams: Vec<Socket<OwnedFd>>,
}

/// A socket that connections are made to.
#[derive(Debug)]
pub(super) enum Listener {
    Unix(UnixListener),
    Tcp(TcpListener),
}

impl Sockets {
    /// Takes the sockets that are passed and binds the others, in `folder` where the configuration names no path.
    ///
    /// # Errors
    /// When a socket cannot be had; the message names the path or the address and what to do.
    pub fn open(config: &Config, folder: &Path, passed: Passed) -> Result<Self, ListenError> {
        let stream: Option<Socket<UnixListener>> =
            unix(STREAM, &config.stream, &folder.join("events.sock"), SocketKind::Stream, passed.stream.map(OwnedFd::from))?;
        let dgram = &folder.join("events.dgram.sock");
        let mut datagram: Option<Socket<OwnedFd>> =
            unix(DATAGRAM, &config.datagram.socket(), dgram, SocketKind::Datagram, passed.datagram.map(OwnedFd::from))?;
        if let Some(datagram) = &mut datagram {
            datagram.credentials = config.datagram.credentials;
            // At once: of what waits in the socket already nobody can say any more who has sent it.
            if let Err(error) = setsockopt(&datagram.socket, sockopt::PassCred, &datagram.credentials) {
                tracing::warn!(%error, "the kernel does not tell who sends datagrams");
            }
        }
        let stream = stream.map(|socket| socket.map(Listener::Unix));
        let streams = stream.into_iter().map(Ok).chain(config.tcp.listen.iter().map(|address| tcp(address.get(), &config.tcp)));
        let datagrams = datagram.into_iter().map(Ok).chain(config.udp.listen.iter().map(|address| udp(address.get(), &config.udp)));
        Ok(Self { streams: streams.collect::<Result<_, _>>()?, datagrams: datagrams.collect::<Result<_, _>>()? })
    }

    /// Their names on the board.
    pub(super) fn parts(&self) -> impl Iterator<Item = &str> {
        self.streams.iter().map(|socket| &*socket.part).chain(self.datagrams.iter().map(|socket| &*socket.part))
    }

    /// The addresses of those that have one, as bound: a port 0 has become a real one.
    #[cfg(test)]
    pub(super) fn addresses(&self) -> Vec<SocketAddr> {
        let places = self.streams.iter().map(|socket| &socket.place).chain(self.datagrams.iter().map(|socket| &socket.place));
        places.filter_map(|place| if let Place::Address(address) = place { Some(*address) } else { None }).collect()
    }
}

/// One socket, and what is to be known of it.
#[derive(Debug)]
pub(super) struct Socket<S> {
    pub(super) socket: S,
    /// Its name on the board.
    pub(super) part: String,
    /// Whether the kernel tells of each datagram who has sent it.
    pub(super) credentials: bool,
    /// How what comes over it is read.
    pub(super) language: Language,
    pub(super) place: Place,
}

/// Where a socket is.
#[derive(Debug)]
pub(super) enum Place {
    /// A file that is ours.
    File(SocketFile),
    /// It was passed, and lives on.
    Passed,
    /// On the network.
    Address(SocketAddr),
}

impl<S> Socket<S> {
    fn map<T>(self, change: impl FnOnce(S) -> T) -> Socket<T> {
        let Self { socket, part, credentials, language, place } = self;
        Socket { socket: change(socket), part, credentials, language, place }
    }

    /// What to tell people about it.
    pub(super) fn detail(&self) -> String {
        match &self.place {
            Place::File(file) => file.path().display().to_string(),
            Place::Passed => "passed by systemd".to_owned(),
            Place::Address(address) => address.to_string(),
        }
    }

    /// What senders over the network are called, since nothing is known of themselves.
    pub(super) fn network_name(&self) -> String {
        self.part.trim_start_matches("socket:").to_owned()
    }

    /// Takes its file away, so that nobody new comes. True when what waits in its queue would be lost with it; a passed
    /// socket lives on, and its queue is the successor's.
    pub(super) fn retire(&self) -> bool {
        if let Place::File(file) = &self.place {
            file.remove();
        }
        !matches!(self.place, Place::Passed)
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
    let language = Language { json: true, framed: true, ..language(config.dialect, &config.tag_styles) };
    if let Some(socket) = passed {
        return Ok(Some(Socket { socket: socket.into(), part, credentials: false, language, place: Place::Passed }));
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
    Ok(Some(Socket { socket: socket.into(), part, credentials: false, language, place: Place::File(file) }))
}

fn language(dialect: Dialect, styles: &[TagStyle]) -> Language {
    Language { dialect, styles: TagStyles::of(styles), ..Language::default() }
}

fn tcp(address: SocketAddr, config: &TcpConfig) -> Result<Socket<Listener>, ListenError> {
    let explain = |source| explain("TCP", address, "ingest.tcp.listen", source);
    let socket = TcpListener::bind(address).map_err(explain)?;
    let address = socket.local_addr().map_err(explain)?;
    let language = language(config.dialect, &config.tag_styles);
    let part = format!("socket:tcp:{address}");
    Ok(Socket { socket: Listener::Tcp(socket), part, credentials: false, language, place: Place::Address(address) })
}

fn udp(address: SocketAddr, config: &UdpConfig) -> Result<Socket<OwnedFd>, ListenError> {
    let explain = |source| explain("UDP", address, "ingest.udp.listen", source);
    let socket = UdpSocket::bind(address).map_err(explain)?;
    let address = socket.local_addr().map_err(explain)?;
    enlarge(&socket, config.receive_buffer_bytes, address).map_err(explain)?;
    // What is dropped before the first datagram that says so is in the table of sockets.
    if let Err(error) = setsockopt(&socket, sockopt::RxqOvfl, &1) {
        tracing::warn!(%error, %address, "the kernel does not tell at once of the datagrams that it drops");
    }
    let language = language(config.dialect, &config.tag_styles);
    let part = format!("socket:udp:{address}");
    Ok(Socket { socket: socket.into(), part, credentials: false, language, place: Place::Address(address) })
}

/// Makes room for datagrams that wait. The kernel gives and tells twice what it is asked for, since the half of it is for its
/// own management. Source: socket(7) "SO_RCVBUF".
fn enlarge(socket: &UdpSocket, bytes: usize, address: SocketAddr) -> io::Result<()> {
    if set_socket_recv_buffer_size_force(socket, bytes).is_err() {
        set_socket_recv_buffer_size(socket, bytes)?;
    }
    let given = socket_recv_buffer_size(socket)? / 2;
    if given < bytes {
        tracing::warn!(
            %address,
            asked = bytes,
            given,
            "the kernel gives a smaller receive buffer: raise net.core.rmem_max, or set ingest.udp.receive_buffer_bytes to what it gives"
        );
    }
    Ok(())
}

fn explain(protocol: &'static str, address: SocketAddr, setting: &'static str, source: io::Error) -> ListenError {
    match source.kind() {
        io::ErrorKind::AddrInUse => ListenError::Taken { protocol, address, setting },
        io::ErrorKind::AddrNotAvailable => ListenError::NotHere { address, setting },
        _ => ListenError::Other { protocol, address, setting, source },
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn open(folder: &Path) -> Result<Sockets, ListenError> {
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
    fn addresses_are_bound_with_their_language_and_what_is_in_the_way_is_named() {
        let root = tempfile::tempdir().expect("a folder");
        let config = |text: &str| serde_yaml::from_str::<Config>(text).expect("valid");
        let open = |text: &str| Sockets::open(&config(text), root.path(), Passed::default());
        let text = "{stream: {enabled: false}, datagram: {enabled: false}, udp: {listen: ['127.0.0.1:0']}, tcp: {listen: ['127.0.0.1:0'], dialect: dogstatsd, tag_styles: [librato]}}";
        let sockets = open(text).expect("bound");
        let [tcp, udp] = sockets.addresses()[..] else { panic!("two") };
        assert_eq!(sockets.parts().collect::<Vec<_>>(), [format!("socket:tcp:{tcp}"), format!("socket:udp:{udp}")]);
        let librato = Language { styles: TagStyles::of(&[TagStyle::Librato]), ..Language::DOGSTATSD };
        assert_eq!((sockets.streams[0].language, sockets.datagrams[0].language.dialect), (librato, Dialect::Statsd));
        for (text, told) in [
            (
                format!("udp: {{listen: ['{udp}']}}"),
                format!("another process listens on {udp} (UDP); stop it, or set ingest.udp.listen to another address"),
            ),
            (
                format!("tcp: {{listen: ['{tcp}']}}"),
                format!("another process listens on {tcp} (TCP); stop it, or set ingest.tcp.listen to another address"),
            ),
            (
                "udp: {listen: ['192.0.2.1:0']}".into(),
                "this machine has no address 192.0.2.1; set ingest.udp.listen to one that it has, or to 127.0.0.1".into(),
            ),
        ] {
            assert_eq!(open(&text).expect_err("refused").to_string(), told);
        }
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
