//! The loop that accepts connections, and the life of one connection.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::select_all;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::{interval, sleep, timeout};

use super::Config;
use super::instruments::Metrics;
use super::listen::{Bound, Origin, Stream};
use super::patient::{Idle, Patient};
use super::reply::Content;
use super::serve::{Client, Server, turns};
use crate::clock;
use crate::model::Condition;
use crate::runtime::{Shutdown, Stage, TaskContext, TaskResult};

/// How long answers in progress may still take once the agent stops.
const DRAIN: Duration = Duration::from_secs(2);
/// Accepting fails when file descriptors run out; trying again at once would only burn time.
const PAUSE: Duration = Duration::from_millis(100);
const BEAT: Duration = Duration::from_secs(1);
const PART: &str = "http";

/// What answers the requests of all connections.
pub(super) trait Answering: Send + Sync + 'static {
    /// The limits.
    fn config(&self) -> &Config;
    /// Where everything is counted.
    fn metrics(&self) -> &Metrics;
    /// Counts and tells of a connection that cannot be accepted.
    fn cannot_accept(&self, error: &std::io::Error);
    /// Answers one request.
    fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
        client: Client,
        shutdown: Shutdown,
    ) -> impl Future<Output = Response<Content>> + Send;
}

/// Serves until the agent stops. It stays up while others drain, to say so.
///
/// # Errors
/// None: what goes wrong ends a connection at most.
pub async fn run(server: Arc<Server>, bound: Arc<Bound>, context: TaskContext) -> TaskResult {
    let addresses: Vec<String> = bound.addresses().map(ToString::to_string).collect();
    let addresses = if addresses.is_empty() { "switched off".to_owned() } else { addresses.join(", ") };
    tracing::info!(addresses, "serving HTTP");
    server.state.board.report(PART, Condition::Ok, &addresses, clock::now());
    serve(server, bound, context).await
}

/// Accepts connections and serves them until the agent stops.
pub(super) async fn serve<A: Answering>(server: Arc<A>, bound: Arc<Bound>, context: TaskContext) -> TaskResult {
    let permits = turns(server.config().connections_max);
    let mut shutdown = context.shutdown.clone();
    let mut beat = interval(BEAT);
    let mut turn = 0;
    loop {
        turn += 1;
        tokio::select! {
            biased;
            () = shutdown.reached(Stage::Stopping) => break,
            _ = beat.tick() => context.pulse.beat(),
            next = next_connection(&bound, &permits, turn) => match next {
                Ok((permit, stream, origin)) => {
                    context.scope.spawn(serve_connection(Arc::clone(&server), stream, origin, context.shutdown.clone(), permit));
                }
                Err(error) => {
                    server.cannot_accept(&error);
                    sleep(PAUSE).await;
                }
            },
        }
    }
    context.scope.finished().await;
    Ok(())
}

/// Waits for room first and for a connection second, so that nobody is let in who would not be served. `turn` changes
/// which listener is looked at first, so that a busy one cannot shut the others out.
async fn next_connection(
    bound: &Bound,
    permits: &Arc<Semaphore>,
    turn: usize,
) -> std::io::Result<(OwnedSemaphorePermit, Box<dyn Stream>, Origin)> {
    let listeners = &bound.listeners;
    if listeners.is_empty() {
        return std::future::pending().await;
    }
    let permit = Arc::clone(permits).acquire_owned().await.map_err(std::io::Error::other)?;
    let in_turn = listeners.iter().cycle().skip(turn % listeners.len()).take(listeners.len());
    let (accepted, ..) = select_all(in_turn.map(|listener| Box::pin(listener.accept()))).await;
    let (stream, origin) = accepted?;
    Ok((permit, stream, origin))
}

/// Serves one connection until it closes, breaks a limit, or the agent stops.
async fn serve_connection<A: Answering>(
    server: Arc<A>,
    stream: Box<dyn Stream>,
    origin: Origin,
    mut shutdown: Shutdown,
    _permit: OwnedSemaphorePermit,
) {
    let _open = Open::new(server.metrics());
    let config = server.config();
    let idle = Idle::new();
    let broken_off = Arc::new(Notify::new());
    let client = Client { origin, broken_off: Arc::clone(&broken_off) };
    let service = service_fn({
        let (server, shutdown, idle) = (Arc::clone(&server), shutdown.clone(), idle.clone());
        move |request: Request<Incoming>| {
            let answer = Arc::clone(&server).answer(request, client.clone(), shutdown.clone());
            let idle = idle.clone();
            async move {
                let response = answer.await;
                idle.set(true);
                Ok::<_, Infallible>(response)
            }
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(config.header_timeout.get())
        .max_header_size(config.header_bytes_max)
        .serve_connection(TokioIo::new(Patient::new(stream, config.request_timeout.get(), idle.clone())), service);
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = broken_off.notified() => {
            server.metrics().refuse("slow");
            tracing::debug!("a large answer was broken off: its client reads slowly, and another one needs its place");
            return;
        }
        () = shutdown.reached(Stage::Stopping) => {
            connection.as_mut().graceful_shutdown();
            // What has not come to an end by then is cut off.
            timeout(DRAIN, connection).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = ended
        && !idle.get()
    {
        server.metrics().refuse(reason(&error));
        tracing::debug!(error = crate::telemetry::chain(&error), "a connection was broken off");
    }
}

fn reason(error: &hyper::Error) -> &'static str {
    if error.is_parse_too_large() {
        "header_too_large"
    } else if error.is_parse() {
        "malformed"
    } else if error.is_timeout() {
        "header_timeout"
    } else if error.is_incomplete_message() || error.is_shutdown() {
        "disconnected"
    } else {
        "io"
    }
}

/// Counts a connection as open for as long as it lives, a panic included.
struct Open(Metrics);

impl Open {
    fn new(metrics: &Metrics) -> Self {
        metrics.connections.inc();
        Self(metrics.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.connections.dec();
    }
}
