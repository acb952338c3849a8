//! Signals: SIGHUP reloads, SIGTERM and SIGINT drain, and a second one of those ends the agent at once.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use futures_util::StreamExt;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

/// The exit status after a second signal: what a shell shows for a process that SIGTERM has ended.
const SECOND_SIGNAL_STATUS: i32 = 128 + SIGTERM;

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Request {
    Reload,
    Stop,
}

/// The signals that have come in.
pub(super) struct Signals(signal_hook_tokio::Signals);

impl Signals {
    /// Listens from now on.
    pub(super) fn install() -> std::io::Result<Self> {
        let stopping = Arc::new(AtomicBool::new(false));
        for signal in [SIGTERM, SIGINT] {
            // In this order: the first signal passes the check and then arms it for the second.
            signal_hook::flag::register_conditional_shutdown(signal, SECOND_SIGNAL_STATUS, Arc::clone(&stopping))?;
            signal_hook::flag::register(signal, Arc::clone(&stopping))?;
        }
        Ok(Self(signal_hook_tokio::Signals::new([SIGHUP, SIGTERM, SIGINT])?))
    }

    /// Waits for the next one. Cancel safe.
    pub(super) async fn next(&mut self) -> Request {
        match self.0.next().await {
            Some(SIGHUP) => Request::Reload,
            _ => Request::Stop,
        }
    }
}
