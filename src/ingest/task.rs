//! The task that serves all sockets.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::try_join_all;
use nix::sys::socket::{getsockopt, sockopt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::accept::{Acceptor, Connection};
use super::intake::Shared;
use super::listener::{Listener, Socket};
use super::log::Log;
use super::metrics::NOT_ALLOWED;
use super::peer::Peer;
use super::session::serve;
use super::{Config, Sockets, datagram};
use crate::clock;
use crate::model::Condition;
use crate::registry::Registry;
use crate::runtime::{Board, Stage, TaskContext, TaskResult, Ticker, thread};
use crate::telemetry::Telemetry;

/// How often is looked whether senders still live.
const BEAT: Duration = Duration::from_secs(1);
/// How many connections are taken of those that wait when the agent stops: on the network more may come for ever.
const LEFT_MAX: usize = 4096;
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
        sockets.parts().for_each(|part| board.require(part));
        Arc::new(Self { sockets, shared, log: Arc::new(Log::new()), board })
    }

    /// Takes a new configuration: open sessions use it from their next payload on. The sockets themselves, the number of
    /// connections and the frame limit of what is open stay as they were.
    pub fn reconfigure(&self, config: &Config) {
        self.shared.reconfigure(config);
    }

    /// The names of its sockets on the board.
    pub fn parts(&self) -> impl Iterator<Item = &str> {
        self.sockets.parts()
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
    let most = ingest.shared.config().connections_max.clamp(1, Semaphore::MAX_PERMITS);
    let permits = Permits { most, free: Arc::new(Semaphore::new(most)) };
    let streams = ingest.sockets.streams.iter().map(|socket| listen(&ingest, socket, permits.clone(), context.clone()));
    let datagrams = (0..ingest.sockets.datagrams.len()).map(|index| receive(&ingest, index, context.clone()));
    let (beat, turn) = (beat(&ingest, context.clone()), turn_sets(&ingest, context.clone()));
    tokio::try_join!(try_join_all(streams), try_join_all(datagrams), beat, turn)?;
    Ok(())
}

/// Says that it lives, and looks whether those that send do.
async fn beat(ingest: &Ingest, mut context: TaskContext) -> std::io::Result<()> {
    loop {
        context.pulse.beat();
        ingest.shared.look(clock::now());
        tokio::select! {
            () = tokio::time::sleep(BEAT) => {}
            () = context.shutdown.reached(Stage::Draining) => return Ok(()),
        }
    }
}

/// Ends the interval of all sets when it is time.
async fn turn_sets(ingest: &Ingest, mut context: TaskContext) -> std::io::Result<()> {
    loop {
        let interval = ingest.shared.config().set_interval;
        let mut ticker = Ticker::new(interval.get(), Duration::ZERO);
        while ingest.shared.config().set_interval == interval {
            tokio::select! {
                _ = ticker.tick() => ingest.shared.turn_sets(),
                () = context.shutdown.reached(Stage::Draining) => return Ok(()),
            }
        }
    }
}

/// As many as there may be connections, over all sockets.
#[derive(Clone, Debug)]
struct Permits {
    most: usize,
    free: Arc<Semaphore>,
}

impl Permits {
    async fn one(&self) -> std::io::Result<OwnedSemaphorePermit> {
        Arc::clone(&self.free).acquire_owned().await.map_err(std::io::Error::other)
    }
}

/// Accepts stream connections, one permit each.
async fn listen(ingest: &Ingest, socket: &Socket<Listener>, permits: Permits, mut context: TaskContext) -> std::io::Result<()> {
    let listener = Acceptor::new(&socket.socket)?;
    let detail = socket.detail();
    loop {
        if permits.free.available_permits() == 0 {
            ingest.report(&socket.part, Condition::Degraded, &format!("all {} connections are taken, others wait", permits.most));
        }
        // The permit comes first: what cannot be served waits in the kernel's queue.
        let accept = async {
            let permit = permits.one().await?;
            ingest.report(&socket.part, Condition::Ok, &detail);
            Ok((listener.accept().await?, permit))
        };
        let accepted = tokio::select! {
            accepted = accept => accepted,
            () = context.shutdown.reached(Stage::Draining) => break,
        };
        match accepted {
            Ok((stream, permit)) => connect(ingest, &context, stream, socket, permit),
            Err(error) => {
                ingest.failed(&socket.part, "accept", &error);
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
    if socket.retire() {
        // Asked directly: the runtime may not have heard of the last ones yet. Those that hold the permits are draining.
        for stream in (0..LEFT_MAX).map_while(|_| socket.socket.accept_waiting()) {
            let permit = permits.one().await?;
            connect(ingest, &context, stream?, socket, permit);
        }
    }
    drop(listener);
    context.scope.finished().await;
    Ok(())
}

/// Serves a connection beside the task.
fn connect(ingest: &Ingest, context: &TaskContext, stream: Connection, socket: &Socket<Listener>, permit: OwnedSemaphorePermit) {
    let (peer, language) = (peer_of(&stream, socket, &ingest.shared), socket.language);
    // Nobody can tell who is at the other end of a network's connection: whoever opened the port has allowed it.
    if matches!(stream, Connection::Unix(_)) && !ingest.shared.admits(&peer) {
        ingest.shared.turn_away(&peer, &ingest.log, clock::now());
        ingest.shared.metrics.closed.with_label_values(&[NOT_ALLOWED]).inc();
        return;
    }
    let (shared, log, shutdown) = (Arc::clone(&ingest.shared), Arc::clone(&ingest.log), context.shutdown.clone());
    shared.metrics.connections_total.inc();
    let open = Open::new(&shared);
    context.scope.spawn(async move {
        match stream {
            Connection::Unix(stream) => serve(stream, &peer, language, &open.0, &log, shutdown).await,
            Connection::Tcp(stream) => serve(stream, &peer, language, &open.0, &log, shutdown).await,
        }
        drop((open, permit));
    });
}

/// The process that made this connection.
fn peer_of(stream: &Connection, socket: &Socket<Listener>, shared: &Shared) -> Arc<Peer> {
    let Connection::Unix(stream) = stream else { return Peer::at(&socket.network_name()) };
    match getsockopt(stream, sockopt::PeerCredentials) {
        // Kernels before 6.5 have no such descriptor, and none is made of a process that has been waited for.
        Ok(credentials) => shared.peers.meet(credentials.into(), getsockopt(stream, sockopt::PeerPidfd).ok()),
        Err(_) => Peer::unknown(),
    }
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
async fn receive(ingest: &Arc<Ingest>, index: usize, context: TaskContext) -> std::io::Result<()> {
    let (end, ended) = tokio::sync::oneshot::channel();
    let ingest = Arc::clone(ingest);
    thread("sidewatch-dgram", move || {
        let received = ingest.sockets.datagrams.get(index).map_or(Ok(()), |socket| datagram::receive(&ingest, socket, &context));
        // The socket has to be free before anyone hears of the end.
        drop(ingest);
        // Whoever waited may be gone: then the agent is, too.
        drop(end.send(received));
    })?;
    ended.await.unwrap_or_else(|_| Err(std::io::Error::other("the thread that receives datagrams panicked")))
}

#[cfg(test)]
mod tests;
