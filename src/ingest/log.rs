//! Tells the log what is refused, at a bounded rate: input must not be able to fill a disk.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::Refusal;
use super::intake::Witness;
use super::peer::Peer;
use super::statsd::{Check, Occurrence};
use crate::clock;
use crate::telemetry::Throttle;

/// How much of a refused line is shown.
const SHOWN_BYTES: usize = 100;
/// How much of a text that an application reports is shown.
const SHOWN_REPORT_BYTES: usize = 1000;

/// The log of refusals of all senders.
#[derive(Debug)]
pub(super) struct Log {
    refusals: Mutex<Throttle>,
    reports: Mutex<Throttle>,
}

impl Log {
    pub(super) const fn new() -> Self {
        let refusals = Mutex::new(Throttle::new(5, Duration::from_secs(10)));
        Self { refusals, reports: Mutex::new(Throttle::new(100, Duration::from_secs(10))) }
    }

    /// `Some(n)` when a line may be written, `n` lines having been held back.
    pub(super) fn pass(&self) -> Option<u64> {
        pass(&self.refusals)
    }

    /// Tells of a process that may not send, and sends.
    pub(super) fn turned_away(&self, peer: &Peer) {
        let Some(suppressed) = self.pass() else { return };
        tracing::warn!(reason = Refusal::NotAllowed.as_str(), sender = %peer, suppressed, "a sender is refused: see ingest.allow");
    }

    /// The same of what is shown at the level `debug` only.
    fn pass_report(&self) -> Option<u64> {
        if tracing::enabled!(tracing::Level::DEBUG) { pass(&self.reports) } else { None }
    }
}

fn pass(throttle: &Mutex<Throttle>) -> Option<u64> {
    throttle.lock().unwrap_or_else(PoisonError::into_inner).pass(clock::monotonic())
}

/// The front of a text, for it may be as long as a frame.
fn front(text: &str) -> &str {
    text.get(..text.floor_char_boundary(SHOWN_REPORT_BYTES)).unwrap_or(text)
}

impl Witness for Log {
    fn refused(&self, reason: Refusal, bytes: &[u8]) {
        let Some(suppressed) = self.pass() else { return };
        let input = bytes.get(..SHOWN_BYTES).unwrap_or(bytes).escape_ascii();
        tracing::warn!(reason = reason.as_str(), input = %input, bytes = bytes.len(), suppressed, "input is refused: {reason}");
    }

    fn occurred(&self, occurrence: &Occurrence<'_>) {
        let Some(suppressed) = self.pass_report() else { return };
        tracing::debug!(
            title = front(&occurrence.title),
            text = front(&occurrence.text),
            alert_type = occurrence.alert,
            priority = occurrence.priority,
            service = occurrence.service,
            source = occurrence.source.map(front),
            host = occurrence.host.map(front),
            aggregation_key = occurrence.aggregation_key.map(front),
            seconds = occurrence.seconds,
            suppressed,
            "an application reports an event"
        );
    }

    fn checked(&self, check: &Check<'_>) {
        let Some(suppressed) = self.pass_report() else { return };
        let message = check.message.as_deref().map(front);
        tracing::debug!(check = front(check.name), status = check.status, service = check.service, message, suppressed, "a service check");
    }
}
