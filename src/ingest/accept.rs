//! Accepting connections, whichever kind of socket they are made to.

use std::io;

use tokio::net;

use super::listener::Listener;

/// A listening socket in the runtime's hands.
#[derive(Debug)]
pub(super) enum Acceptor {
    Unix(net::UnixListener),
    Tcp(net::TcpListener),
}

/// A connection that was made.
#[derive(Debug)]
pub(super) enum Connection {
    Unix(net::UnixStream),
    Tcp(net::TcpStream),
}

impl Acceptor {
    /// For a second handle to the socket.
    ///
    /// # Errors
    /// When the process has no handle to give.
    pub(super) fn new(listener: &Listener) -> io::Result<Self> {
        match listener {
            Listener::Unix(listener) => {
                listener.set_nonblocking(true)?;
                Ok(Self::Unix(net::UnixListener::from_std(listener.try_clone()?)?))
            }
            Listener::Tcp(listener) => {
                listener.set_nonblocking(true)?;
                Ok(Self::Tcp(net::TcpListener::from_std(listener.try_clone()?)?))
            }
        }
    }

    /// Waits for the next connection. Cancel safe.
    ///
    /// # Errors
    /// When there is one that cannot be had.
    pub(super) async fn accept(&self) -> io::Result<Connection> {
        match self {
            Self::Unix(listener) => Ok(Connection::Unix(listener.accept().await?.0)),
            Self::Tcp(listener) => Ok(Connection::Tcp(listener.accept().await?.0)),
        }
    }
}

impl Listener {
    /// The next connection that waits already, without waiting for one; `None` when there is none.
    pub(super) fn accept_waiting(&self) -> Option<io::Result<Connection>> {
        match self {
            Self::Unix(listener) => {
                let (stream, _) = listener.accept().ok()?;
                Some(stream.set_nonblocking(true).and_then(|()| net::UnixStream::from_std(stream)).map(Connection::Unix))
            }
            Self::Tcp(listener) => {
                let (stream, _) = listener.accept().ok()?;
                Some(stream.set_nonblocking(true).and_then(|()| net::TcpStream::from_std(stream)).map(Connection::Tcp))
            }
        }
    }
}
