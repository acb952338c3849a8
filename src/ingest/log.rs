//! Tells the log what is refused, at a bounded rate: input must not be able to fill a disk.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::Refusal;
use super::intake::Witness;
use super::peer::Peer;
use crate::clock;
use crate::telemetry::Throttle;

/// How much of a refused line is shown.
const SHOWN_BYTES: usize = 100;

/// The log of refusals of all senders.
#[derive(Debug)]
pub(super) struct Log(Mutex<Throttle>);

impl Log {
    pub(super) const fn new() -> Self {
        Self(Mutex::new(Throttle::new(5, Duration::from_secs(10))))
    }

    /// `Some(n)` when a line may be written, `n` lines having been held back.
    pub(super) fn pass(&self) -> Option<u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pass(clock::monotonic())
    }

    /// Tells of a process that may not send, and sends.
    pub(super) fn turned_away(&self, peer: &Peer) {
        let Some(suppressed) = self.pass() else { return };
        tracing::warn!(reason = Refusal::NotAllowed.as_str(), sender = %peer, suppressed, "a sender is refused: see ingest.allow");
    }
}

impl Witness for Log {
    fn refused(&self, reason: Refusal, bytes: &[u8]) {
        let Some(suppressed) = self.pass() else { return };
        let input = bytes.get(..SHOWN_BYTES).unwrap_or(bytes).escape_ascii();
        tracing::warn!(reason = reason.as_str(), input = %input, bytes = bytes.len(), suppressed, "input is refused: {reason}");
    }
}
