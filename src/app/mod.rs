//! Builds all rooms, wires them, reloads and stops them; systemd and signals.

mod about;
mod agent;
mod attendant;
mod reload;
mod signals;
mod state;
mod systemd;
mod watch;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};

use crate::config::{Config, Loaded, Places, Source};
use crate::ingest::{self, Passed};
use crate::telemetry::MetricDoc;
use agent::Agent;
use signals::Signals;

/// Runs the agent until a signal ends it.
///
/// # Errors
/// When it cannot start, or one of its tasks has failed for good.
pub fn run(source: Source, loaded: Loaded) -> anyhow::Result<()> {
    log_panics();
    // Before there are threads: the variables that systemd sets are taken out of the environment here.
    let passed = systemd::passed_sockets();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        // More than sampling, groups of rules, queries and scrapes may take together; idle ones end by themselves.
        .max_blocking_threads(64)
        .thread_name("sidewatch")
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let outcome = runtime.block_on(async {
        let signals = Signals::install().context("cannot listen for signals")?;
        let agent = Agent::start(source, loaded, passed).await?;
        agent.live(signals).await
    });
    // A thread that hangs in the kernel (a dead mount) is left behind.
    runtime.shutdown_timeout(Duration::from_millis(100));
    match outcome? {
        None => Ok(()),
        Some(failure) => bail!(failure),
    }
}

/// All metrics that the agent keeps of itself, by name: it is built as it always is, but listens nowhere and does nothing.
///
/// # Errors
/// When it cannot be built.
pub fn metrics() -> anyhow::Result<Vec<MetricDoc>> {
    let nowhere = || PathBuf::from("/nonexistent");
    let places = Places { config: nowhere(), rules: nowhere(), sockets: nowhere(), state: nowhere() };
    let mut config = Config::default().at(&places, "localhost");
    config.http.listen.clear();
    config.control.enabled = false;
    config.ingest.stream.enabled = false;
    config.ingest.datagram.enabled = false;
    config.registry.journal.enabled = false;
    config.history.persist = false;
    config.rules.persist = false;
    let source = Source { file: None, places, host_name: "localhost".to_owned() };
    // Tasks are made and never run.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let agent = runtime.block_on(Agent::start(source, Loaded { config, text: String::new() }, Passed::default()))?;
    let mut docs = agent.telemetry.docs();
    docs.extend(ingest::described());
    docs.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(docs)
}

/// A panic is a line in the log like everything else; the supervisor decides what becomes of the task.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, message = panic.payload_as_str().unwrap_or("no message"), "panic");
    }));
}
