//! A task's sign of life. The systemd watchdog is fed only while every task gives it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::clock;

/// One task's last sign of life.
#[derive(Clone, Debug)]
pub struct Pulse {
    origin: Instant,
    last_millis: Arc<AtomicU64>,
}

impl Pulse {
    /// A pulse that has just beaten.
    #[must_use]
    pub fn new() -> Self {
        Self { origin: clock::monotonic(), last_millis: Arc::default() }
    }

    /// The task lives. Every task's loop calls this at least every 5 s.
    pub fn beat(&self) {
        let elapsed = clock::monotonic().duration_since(self.origin).as_millis();
        self.last_millis.store(u64::try_from(elapsed).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// How long the task has been silent.
    #[must_use]
    pub fn silence(&self) -> Duration {
        let last = Duration::from_millis(self.last_millis.load(Ordering::Relaxed));
        clock::monotonic().duration_since(self.origin).saturating_sub(last)
    }
}

impl Default for Pulse {
    fn default() -> Self {
        Self::new()
    }
}
