//! The addresses of the agent-check: whoever connects is told one line, and the connection ends.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::select_all;
use prometheus::IntCounterVec;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{interval, sleep, timeout};

use super::{AgentCheck, Report};
use crate::clock;
use crate::model::Condition;
use crate::runtime::{Board, Stage, TaskContext, TaskResult};
use crate::telemetry::{Telemetry, Throttle};

/// The part of the agent that this is on the board, where it is switched on.
const PART: &str = "agent-check";

/// Accepting fails when file descriptors run out; trying again at once would only burn time.
const PAUSE: Duration = Duration::from_millis(100);

/// What HAProxy may send (`agent-send`) is read so far and ignored: closed before, the answer could be lost.
const SENT_BYTES_MAX: u64 = 1024;

/// Why an address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot answer HAProxy on {address}; set health.agent_check.listen to another address")]
pub struct AgentCheckError {
    address: String,
    #[source]
    source: io::Error,
}

/// The addresses, bound. They close when this is dropped.
#[derive(Debug)]
pub struct AgentCheckServer {
    config: AgentCheck,
    listeners: Vec<(TcpListener, Option<String>)>,
    reports: watch::Receiver<Arc<Report>>,
    connections: IntCounterVec,
    board: Board,
}

impl AgentCheckServer {
    /// Binds all addresses, or none.
    ///
    /// # Errors
    /// When one cannot be bound.
    pub async fn bind(
        config: &AgentCheck,
        reports: watch::Receiver<Arc<Report>>,
        telemetry: &Telemetry,
        board: Board,
    ) -> Result<Self, AgentCheckError> {
        let mut listeners = Vec::new();
        for listen in &config.listen {
            let bound = TcpListener::bind(listen.address.get()).await;
            let bound = bound.map_err(|source| AgentCheckError { address: listen.address.to_string(), source })?;
            listeners.push((bound, listen.service.clone()));
        }
        let connections = telemetry.counters(
            "sidewatch_health_agent_check_connections_total",
            "Connections to the agent-check: answered, or failed (the other side went or was too slow, or accepting failed).",
            &["outcome"],
        );
        for outcome in ["answered", "failed"] {
            connections.with_label_values(&[outcome]);
        }
        Ok(Self { config: config.clone(), listeners, reports, connections, board })
    }

    /// The addresses as bound: a port 0 has become a real one.
    pub fn addresses(&self) -> Vec<String> {
        let address = |listener: &TcpListener| listener.local_addr().map(|address| address.to_string()).ok();
        self.listeners.iter().filter_map(|(listener, _)| address(listener)).collect()
    }

    /// Answers until the agent stops.
    ///
    /// # Errors
    /// Never: what goes wrong ends a connection at most.
    pub async fn run(self: Arc<Self>, context: TaskContext) -> TaskResult {
        if !self.listeners.is_empty() {
            self.board.report(PART, Condition::Ok, &self.addresses().join(", "), clock::now());
        }
        let permits = Arc::new(Semaphore::new(self.config.connections_max.clamp(1, Semaphore::MAX_PERMITS)));
        let mut warnings = Throttle::new(1, Duration::from_secs(60));
        let mut shutdown = context.shutdown.clone();
        let mut beat = interval(Duration::from_secs(1));
        loop {
            tokio::select! {
                biased;
                () = shutdown.reached(Stage::Stopping) => return Ok(()),
                _ = beat.tick() => context.pulse.beat(),
                next = self.next(&permits) => match next {
                    Ok((permit, stream, service)) => context.scope.spawn(Arc::clone(&self).answer(stream, service, permit)),
                    Err(error) => {
                        self.count("failed");
                        if let Some(suppressed) = warnings.pass(clock::monotonic()) {
                            tracing::warn!(%error, suppressed, "cannot accept a connection of HAProxy");
                        }
                        sleep(PAUSE).await;
                    }
                },
            }
        }
    }

    /// Waits for room first and for a connection second.
    async fn next(&self, permits: &Arc<Semaphore>) -> io::Result<(OwnedSemaphorePermit, TcpStream, Option<String>)> {
        if self.listeners.is_empty() {
            return std::future::pending().await;
        }
        let permit = Arc::clone(permits).acquire_owned().await.map_err(io::Error::other)?;
        let accepts = self.listeners.iter().map(|(listener, service)| Box::pin(async move { (listener.accept().await, service) }));
        let ((accepted, service), ..) = select_all(accepts).await;
        Ok((permit, accepted?.0, service.clone()))
    }

    async fn answer(self: Arc<Self>, stream: TcpStream, service: Option<String>, _permit: OwnedSemaphorePermit) {
        let line = self.config.answer(&self.reports.borrow(), service.as_deref());
        let told = timeout(self.config.timeout.get(), tell(stream, &line)).await;
        self.count(if matches!(told, Ok(Ok(()))) { "answered" } else { "failed" });
    }

    fn count(&self, outcome: &str) {
        self.connections.with_label_values(&[outcome]).inc();
    }
}

impl Drop for AgentCheckServer {
    fn drop(&mut self) {
        self.board.remove(PART);
    }
}

async fn tell(mut stream: TcpStream, line: &str) -> io::Result<()> {
    stream.write_all(line.as_bytes()).await?;
    stream.shutdown().await?;
    let mut sent = Vec::new();
    // HAProxy closes by a reset at times: it has what it wanted.
    let _read = stream.take(SENT_BYTES_MAX).read_to_end(&mut sent).await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;
    use crate::health::AgentCheckListen;
    use crate::health::HealthState;
    use crate::runtime::{Policy, Supervisor};

    async fn ask(address: &str, sent: &[u8]) -> String {
        let mut stream = TcpStream::connect(address).await.expect("a connection");
        stream.write_all(sent).await.expect("sent");
        let mut line = String::new();
        stream.read_to_string(&mut line).await.expect("an answer");
        line
    }

    #[tokio::test]
    async fn who_connects_is_told_the_score_of_now() {
        let any = || AgentCheckListen { address: SocketAddr::from(([127, 0, 0, 1], 0)).into(), service: None };
        let config = AgentCheck {
            listen: vec![any(), any()],
            connections_max: 1,
            timeout: crate::model::PromDuration::from_millis(200),
            ..AgentCheck::default()
        };
        let telemetry = Telemetry::new();
        let (reports, receiver) = watch::channel(Arc::new(Report { score: 75.0, state: HealthState::Degraded, ..Report::default() }));
        let board = Board::new();
        let server = Arc::new(AgentCheckServer::bind(&config, receiver, &telemetry, board.clone()).await.expect("bound"));
        let (addresses, counts) = (server.addresses(), server.connections.clone());
        let supervisor = Supervisor::new(&telemetry);
        let task = supervisor.spawn("agent-check", Policy::RESTART, move |context| Arc::clone(&server).run(context));

        // One that says and hears nothing takes the only place, but not for long.
        let silent = TcpStream::connect(&addresses[0]).await.expect("a connection");
        assert_eq!(ask(&addresses[0], b"").await, "up ready 75%\n");
        drop(silent);
        reports.send_replace(Arc::new(Report { score: 100.0, state: HealthState::Healthy, ..Report::default() }));
        assert_eq!(ask(&addresses[1], b"hello\n").await, "up ready 100%\n");
        assert_eq!(counts.with_label_values(&["failed"]).get(), 1);
        assert_eq!(board.parts()[0].detail, addresses.join(", "));

        let taken =
            AgentCheck { listen: vec![AgentCheckListen { address: addresses[0].parse().expect("an address"), service: None }], ..config };
        let error = AgentCheckServer::bind(&taken, reports.subscribe(), &telemetry, Board::new()).await.expect_err("taken");
        assert!(error.to_string().contains("health.agent_check.listen"));
        supervisor.enter(Stage::Stopping);
        assert!(supervisor.finish(Duration::from_secs(5)).await.is_empty());
        drop(task);
    }
}
