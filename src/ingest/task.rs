//! The task that serves both sockets.

use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::intake::Shared;
use super::listener::Socket;
use super::log::Log;
use super::session::serve;
use super::{Config, Sockets, datagram};
use crate::clock;
use crate::model::Condition;
use crate::registry::Registry;
use crate::runtime::{Board, Stage, TaskContext, TaskResult, thread};
use crate::telemetry::Telemetry;

const STREAM: &str = "socket:stream";
pub(super) const DATAGRAM: &str = "socket:datagram";

/// How long to wait after a failure to accept or receive: most likely the process is out of file descriptors.
pub(super) const PAUSE: Duration = Duration::from_millis(100);

/// Everything that the task needs, made once and kept when the task is started anew.
#[derive(Debug)]
pub struct Ingest {
    pub(super) sockets: Sockets,
    pub(super) shared: Arc<Shared>,
    pub(super) log: Arc<Log>,
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

    pub(super) fn report(&self, name: &str, condition: Condition, detail: &str) {
        self.board.report(name, condition, detail, clock::now());
    }

    /// Counts and tells of a failure on a socket. The caller waits for [`PAUSE`] then.
    pub(super) fn failed(&self, name: &str, operation: &str, error: &std::io::Error) {
        self.shared.metrics.errors.with_label_values(&[operation]).inc();
        self.report(name, Condition::Degraded, &format!("cannot {operation}: {error}"));
        if let Some(suppressed) = self.log.pass() {
            tracing::error!(socket = name, %error, suppressed, "cannot {operation}");
        }
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
            Err(error) => {
                ingest.failed(STREAM, "accept", &error);
                tokio::time::sleep(PAUSE).await;
            }
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

/// Receives datagrams on a thread of its own: see [`datagram`].
async fn receive(ingest: &Arc<Ingest>, context: TaskContext) -> std::io::Result<()> {
    if ingest.sockets.datagram.is_none() {
        return Ok(());
    }
    let (end, ended) = tokio::sync::oneshot::channel();
    let ingest = Arc::clone(ingest);
    thread("sidewatch-dgram", move || {
        let received = datagram::receive(&ingest, &context);
        // The socket has to be free before anyone hears of the end.
        drop(ingest);
        // Whoever waited may be gone: then the agent is, too.
        drop(end.send(received));
    })?;
    ended.await.unwrap_or_else(|_| Err(std::io::Error::other("the thread that receives datagrams panicked")))
}

fn tokio_listener(socket: &Socket<UnixListener>) -> std::io::Result<tokio::net::UnixListener> {
    let listener = socket.socket.try_clone()?;
    listener.set_nonblocking(true)?;
    tokio::net::UnixListener::from_std(listener)
}

#[cfg(test)]
mod tests;
