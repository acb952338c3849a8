//! Listening sockets: binding them, with an answer to what is in the way, and accepting connections.

use std::io;

use tokio::io::{AsyncRead, AsyncWrite};
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
            Address::Unix(path) => {
                let access = Access { mode: 0o660, owner: None, group: None };
                let (socket, file) = bind_unix(path, SocketKind::Stream, access, "http.listen")?;
                let listener = std::os::unix::net::UnixListener::from(socket);
                listener.set_nonblocking(true).map_err(explain)?;
                let listener = UnixListener::from_std(listener).map_err(explain)?;
                Ok(Self { address: address.clone(), socket: Socket::Unix { listener, _file: file } })
            }
        }
    }

    /// Waits for the next connection. Cancel safe.
    pub(super) async fn accept(&self) -> io::Result<Box<dyn Stream>> {
        match &self.socket {
            Socket::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                stream.set_nodelay(true)?;
                Ok(Box::new(stream))
            }
            Socket::Unix { listener, .. } => Ok(Box::new(listener.accept().await?.0)),
        }
    }

    /// Whether a browser can get here.
    pub(super) const fn is_tcp(&self) -> bool {
        matches!(self.socket, Socket::Tcp(_))
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
