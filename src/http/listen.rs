//! Listening sockets: binding them, with an answer to what is in the way, and accepting connections.

use std::io;
use std::path::Path;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::unix::UCred;
use tokio::net::{TcpListener, UnixListener};

use super::Address;
use crate::runtime::{Access, SocketError, SocketFile, SocketKind, bind_unix};

/// Why an address cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Another process has it.
    #[error("cannot listen on {0}: another process does; stop that one or set http.listen to another address")]
    Taken(Address),
    /// The Unix socket cannot be had.
    #[error("cannot listen on a Unix socket")]
    Unix(#[from] SocketError),
    /// Anything else.
    #[error("cannot listen on {address}; check http.listen")]
    Other {
        /// The address.
        address: Address,
        /// What the system says.
        #[source]
        source: io::Error,
    },
}

/// All listening sockets. They close, and Unix socket files go, when this is dropped.
#[derive(Debug, Default)]
pub struct Bound {
    pub(super) listeners: Vec<Listener>,
}

impl Bound {
    /// Binds all addresses, or none.
    ///
    /// # Errors
    /// When one cannot be bound. A socket file that nobody answers on is replaced.
    pub async fn new(addresses: &[Address]) -> Result<Self, BindError> {
        let mut bound = Self { listeners: Vec::new() };
        for address in addresses {
            bound.listeners.push(Listener::bind(address).await?);
        }
        Ok(bound)
    }

    /// Binds one Unix socket for a group, `None` for the agent's own. `setting` is what a user would change to have it elsewhere.
    ///
    /// # Errors
    /// When it cannot be bound. A socket file that nobody answers on is replaced.
    pub fn for_group(path: &Path, group: Option<&str>, setting: &'static str) -> Result<Self, BindError> {
        Ok(Self { listeners: vec![Listener::unix(path, group, setting)?] })
    }

    /// The addresses as bound: a port 0 has become a real one.
    pub fn addresses(&self) -> impl Iterator<Item = &Address> {
        self.listeners.iter().map(|listener| &listener.address)
    }
}

#[derive(Debug)]
pub(super) struct Listener {
    pub(super) address: Address,
    socket: Socket,
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpListener),
    /// The file goes first: while somebody still listens, nobody else has put a socket of their own in its place.
    Unix {
        _file: SocketFile,
        listener: UnixListener,
    },
}

/// Where a connection comes from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Origin {
    /// Whether it came over TCP, where a browser can be.
    pub(super) tcp: bool,
    /// Who was at the other end of a Unix socket when it connected, where the kernel tells.
    pub(super) peer: Option<UCred>,
}

/// A connection's two directions.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

impl Listener {
    async fn bind(address: &Address) -> Result<Self, BindError> {
        let explain = |source: io::Error| match source.kind() {
            io::ErrorKind::AddrInUse => BindError::Taken(address.clone()),
            _ => BindError::Other { address: address.clone(), source },
        };
        match address {
            Address::Tcp { host, port } => {
                let listener = TcpListener::bind((host.as_str(), *port)).await.map_err(explain)?;
                let port = listener.local_addr().map_err(explain)?.port();
                Ok(Self { address: Address::Tcp { host: host.clone(), port }, socket: Socket::Tcp(listener) })
            }
            Address::Unix(path) => Self::unix(path, None, "http.listen"),
        }
    }

    fn unix(path: &Path, group: Option<&str>, setting: &'static str) -> Result<Self, BindError> {
        let address = Address::Unix(path.to_owned());
        let (socket, file) = bind_unix(path, SocketKind::Stream, Access { mode: 0o660, owner: None, group }, setting)?;
        let listener = std::os::unix::net::UnixListener::from(socket);
        let listener = listener.set_nonblocking(true).and_then(|()| UnixListener::from_std(listener));
        match listener {
            Ok(listener) => Ok(Self { address, socket: Socket::Unix { listener, _file: file } }),
            Err(source) => Err(BindError::Other { address, source }),
        }
    }

    /// Waits for the next connection. Cancel safe.
    pub(super) async fn accept(&self) -> io::Result<(Box<dyn Stream>, Origin)> {
        match &self.socket {
            Socket::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                stream.set_nodelay(true)?;
                Ok((Box::new(stream), Origin { tcp: true, peer: None }))
            }
            Socket::Unix { listener, .. } => {
                let (stream, _) = listener.accept().await?;
                let origin = Origin { tcp: false, peer: stream.peer_cred().ok() };
                Ok((Box::new(stream), origin))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;

    use super::*;

    fn unix(path: &Path) -> Address {
        Address::Unix(path.to_owned())
    }

    #[tokio::test]
    async fn a_taken_port_is_named_with_what_to_do() {
        let any = "127.0.0.1:0".parse().expect("an address");
        let bound = Bound::new(&[any]).await.expect("bound");
        let taken = bound.addresses().next().expect("one").clone();
        assert!(matches!(&taken, Address::Tcp { port, .. } if *port != 0));
        let error = Bound::new(std::slice::from_ref(&taken)).await.expect_err("taken").to_string();
        assert!(error.contains(&taken.to_string()) && error.contains("http.listen"), "{error}");
    }

    #[tokio::test]
    async fn a_unix_socket_is_bound_once_and_removed_at_the_end() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("http.sock");
        let bound = Bound::new(&[unix(&path)]).await.expect("bound");
        assert_eq!(std::fs::metadata(&path).expect("a file").permissions().mode() & 0o777, 0o660);
        let error = Bound::new(&[unix(&path)]).await.expect_err("taken");
        assert!(crate::telemetry::chain(&error).contains("http.listen"), "{error:?}");
        drop(bound);
        assert!(!path.exists());
    }
}
