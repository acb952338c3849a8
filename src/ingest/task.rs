//! The task that serves both sockets.

use std::os::unix::net::{UnixDatagram, UnixListener};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::sleep_until;

use super::intake::Shared;
use super::listener::Socket;
use super::log::Log;
use super::session::{Session, serve};
use super::{Config, Refusal, Sockets};
use crate::clock;
use crate::model::Condition;
use crate::registry::Registry;
use crate::runtime::{Board, Stage, TaskContext, TaskResult};
use crate::telemetry::Telemetry;

const STREAM: &str = "socket:stream";
const DATAGRAM: &str = "socket:datagram";

/// How long to wait after a failure to accept or receive: most likely the process is out of file descriptors.
const PAUSE: Duration = Duration::from_millis(100);
/// How many datagrams are taken before others get their turn.
const DATAGRAMS_MAX: usize = 256;
/// How many are taken of those that wait when the agent stops; the kernel's own limit is far below.
const DATAGRAMS_LEFT_MAX: usize = 100_000;

/// Everything that the task needs, made once and kept when the task is started anew.
#[derive(Debug)]
pub struct Ingest {
    sockets: Sockets,
    shared: Arc<Shared>,
    log: Arc<Log>,
    board: Board,
}

impl Ingest {
    /// For these sockets. They are required on the board: the agent is not ready before they are served.
    #[must_use]
    pub fn new(config: &Config, sockets: Sockets, registry: Arc<Registry>, telemetry: &Telemetry, board: Board) -> Arc<Self> {
        let shared = Shared::new(config, registry, telemetry);
        for (name, there) in [(STREAM, sockets.stream.is_some()), (DATAGRAM, sockets.datagram.is_some())] {
            if there {
                board.require(name);
            }
        }
        Arc::new(Self { sockets, shared, log: Arc::new(Log::new()), board })
    }

    /// Takes a new configuration: open sessions use it from their next payload on. The sockets themselves, the number of
    /// connections and the frame limit of what is open stay as they were.
    pub fn reconfigure(&self, config: &Config) {
        self.shared.reconfigure(config);
    }

    fn report(&self, name: &str, condition: Condition, detail: &str) {
        self.board.report(name, condition, detail, clock::now());
    }

    /// Counts and tells of a failure on a socket, and waits a little.
    async fn failed(&self, name: &str, operation: &str, error: &std::io::Error) {
        self.shared.metrics.errors.with_label_values(&[operation]).inc();
        self.report(name, Condition::Degraded, &format!("cannot {operation}: {error}"));
        if let Some(suppressed) = self.log.pass() {
            tracing::error!(socket = name, %error, suppressed, "cannot {operation}");
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Serves the sockets until the agent drains.
///
/// # Errors
/// When a socket cannot be handed to the runtime.
pub async fn run(ingest: Arc<Ingest>, context: TaskContext) -> TaskResult {
    tokio::try_join!(listen(&ingest, context.clone()), receive(&ingest, context.clone()), beat(context))?;
    Ok(())
}

async fn beat(mut context: TaskContext) -> std::io::Result<()> {
    loop {
        context.pulse.beat();
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(1)) => {}
            () = context.shutdown.reached(Stage::Draining) => return Ok(()),
        }
    }
}

/// Accepts stream connections, one permit each.
async fn listen(ingest: &Ingest, mut context: TaskContext) -> std::io::Result<()> {
    let Some(socket) = &ingest.sockets.stream else { return Ok(()) };
    let listener = tokio_listener(socket)?;
    let detail = socket.detail();
    let most = ingest.shared.config().connections_max.clamp(1, Semaphore::MAX_PERMITS);
    let permits = Arc::new(Semaphore::new(most));
    loop {
        if permits.available_permits() == 0 {
            ingest.report(STREAM, Condition::Degraded, &format!("all {most} connections are taken, others wait"));
        }
        // The permit comes first: what cannot be served waits in the kernel's queue.
        let accept = async {
            let permit = Arc::clone(&permits).acquire_owned().await.map_err(std::io::Error::other)?;
            ingest.report(STREAM, Condition::Ok, &detail);
            Ok((listener.accept().await?.0, permit))
        };
        let accepted = tokio::select! {
            accepted = accept => accepted,
            () = context.shutdown.reached(Stage::Draining) => break,
        };
        match accepted {
            Ok((stream, permit)) => connect(ingest, &context, stream, permit),
            Err(error) => ingest.failed(STREAM, "accept", &error).await,
        }
    }
    // What waits in a queue of our own would be lost; a passed socket lives on, and its queue is the successor's.
    if let Some(file) = &socket.file {
        file.remove();
        // Asked directly: the runtime may not have heard of the last ones yet. Those that hold the permits are draining.
        while let Ok((stream, _)) = socket.socket.accept() {
            stream.set_nonblocking(true)?;
            let permit = Arc::clone(&permits).acquire_owned().await.map_err(std::io::Error::other)?;
            connect(ingest, &context, tokio::net::UnixStream::from_std(stream)?, permit);
        }
    }
    drop(listener);
    context.scope.finished().await;
    Ok(())
}

/// Serves a connection beside the task.
fn connect(ingest: &Ingest, context: &TaskContext, stream: tokio::net::UnixStream, permit: OwnedSemaphorePermit) {
    let (shared, log, shutdown) = (Arc::clone(&ingest.shared), Arc::clone(&ingest.log), context.shutdown.clone());
    shared.metrics.connections_total.inc();
    let open = Open::new(&shared);
    context.scope.spawn(async move {
        serve(stream, &open.0, &log, shutdown).await;
        drop((open, permit));
    });
}

/// Counts an open connection, however it ends.
struct Open(Arc<Shared>);

impl Open {
    fn new(shared: &Arc<Shared>) -> Self {
        shared.metrics.connections.inc();
        Self(Arc::clone(shared))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.metrics.connections.dec();
    }
}

/// Receives datagrams, all as one sender. (A Unix datagram waits in its sender's own buffer and is never dropped by the
/// kernel: `SO_RCVBUF` has no say here.)
async fn receive(ingest: &Ingest, mut context: TaskContext) -> std::io::Result<()> {
    let Some(socket) = &ingest.sockets.datagram else { return Ok(()) };
    let receiver = tokio_datagram(socket)?;
    let detail = socket.detail();
    let mut datagrams = Datagrams::new(ingest);
    let mut reported = false;
    loop {
        if !std::mem::replace(&mut reported, true) {
            ingest.report(DATAGRAM, Condition::Ok, &detail);
        }
        let ready = tokio::select! {
            ready = receiver.readable() => ready,
            () = sleep_until(datagrams.session.due()) => {
                datagrams.session.flush();
                continue;
            }
            () = context.shutdown.reached(Stage::Draining) => break,
        };
        if let Err(error) = ready.and_then(|()| datagrams.take(DATAGRAMS_MAX, |buffer| receiver.try_recv(buffer))) {
            ingest.failed(DATAGRAM, "receive", &error).await;
            reported = false;
        }
        datagrams.session.settle();
        tokio::task::yield_now().await;
    }
    if let Some(file) = &socket.file {
        file.remove();
        if let Err(error) = datagrams.take(DATAGRAMS_LEFT_MAX, |buffer| socket.socket.recv(buffer)) {
            tracing::warn!(%error, "cannot receive the last datagrams");
        }
    }
    datagrams.session.flush();
    Ok(())
}

/// The session of all datagrams, and a buffer one byte larger than the limit, by which a cut datagram is known.
struct Datagrams {
    session: Session,
    buffer: Vec<u8>,
}

impl Datagrams {
    fn new(ingest: &Ingest) -> Self {
        let buffer = vec![0; ingest.shared.config().frame_bytes_max.get() + 1];
        Self { session: Session::new(&ingest.shared, &ingest.log), buffer }
    }

    /// Takes what is there.
    fn take(&mut self, most: usize, receive: impl Fn(&mut [u8]) -> std::io::Result<usize>) -> std::io::Result<()> {
        for _ in 0..most {
            let size = match receive(&mut self.buffer) {
                Ok(size) => size,
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            };
            self.session.received(size);
            match self.buffer.get(..size) {
                Some(payload) if size < self.buffer.len() => self.session.take(payload),
                _ => self.session.refuse(Refusal::Truncated, &self.buffer),
            }
        }
        Ok(())
    }
}

fn tokio_listener(socket: &Socket<UnixListener>) -> std::io::Result<tokio::net::UnixListener> {
    let listener = socket.socket.try_clone()?;
    listener.set_nonblocking(true)?;
    tokio::net::UnixListener::from_std(listener)
}

fn tokio_datagram(socket: &Socket<UnixDatagram>) -> std::io::Result<tokio::net::UnixDatagram> {
    let datagram = socket.socket.try_clone()?;
    datagram.set_nonblocking(true)?;
    tokio::net::UnixDatagram::from_std(datagram)
}

#[cfg(test)]
mod tests;
