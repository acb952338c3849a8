//! Listening sockets: binding them, with an answer to what is in the way, and accepting connections.

use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener, UnixSocket, UnixStream};

use super::Address;

/// A listening Unix socket's backlog may be full; that is someone living, too.
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);

/// How many connections may wait to be accepted.
const BACKLOG: u32 = 1024;

/// Why an address cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Another process has it.
    #[error("cannot listen on {0}: another process does; stop that one or set http.listen to another address")]
    Taken(Address),
    /// The path is something else than a socket.
    #[error("cannot listen on {0}: the path exists and is not a socket; remove it or set http.listen to another path")]
    NotASocket(Address),
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
        _file: Unlink,
        listener: UnixListener,
    },
}

/// Removes the socket's file.
#[derive(Debug)]
struct Unlink(PathBuf);

impl Drop for Unlink {
    fn drop(&mut self) {
        // It may be gone already, and nobody is left to tell.
        let _gone = std::fs::remove_file(&self.0);
    }
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
                clear_stale(path, address).await?;
                let socket = UnixSocket::new_stream().map_err(explain)?;
                // The file takes its mode from the socket: until it is set below, nobody but the agent's user connects.
                rustix::fs::fchmod(&socket, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR).map_err(|errno| explain(errno.into()))?;
                socket.bind(path).map_err(explain)?;
                let file = Unlink(path.clone());
                let listener = socket.listen(BACKLOG).map_err(explain)?;
                std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660)).map_err(explain)?;
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

/// Removes a socket file that nobody answers on.
async fn clear_stale(path: &Path, address: &Address) -> Result<(), BindError> {
    let other = |source| BindError::Other { address: address.clone(), source };
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(other(error)),
        Ok(file) if !file.file_type().is_socket() => return Err(BindError::NotASocket(address.clone())),
        Ok(_) => {}
    }
    match tokio::time::timeout(PROBE_TIMEOUT, UnixStream::connect(path)).await {
        Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => std::fs::remove_file(path).map_err(other),
        Ok(Err(error)) => Err(other(error)),
        Ok(Ok(_)) | Err(_) => Err(BindError::Taken(address.clone())),
    }
}

#[cfg(test)]
mod tests {
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
    async fn a_stale_socket_is_replaced_a_live_one_and_a_file_are_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("http.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).expect("a socket that nobody listens on"));
        let bound = Bound::new(&[unix(&path)]).await.expect("replaced");
        assert_eq!(std::fs::metadata(&path).expect("a file").permissions().mode() & 0o777, 0o660);
        assert!(matches!(Bound::new(&[unix(&path)]).await, Err(BindError::Taken(_))));
        drop(bound);
        assert!(!path.exists());

        std::fs::write(&path, "precious").expect("written");
        assert!(matches!(Bound::new(&[unix(&path)]).await, Err(BindError::NotASocket(_))));
        assert_eq!(std::fs::read_to_string(&path).expect("still there"), "precious");
    }
}
