//! A bounded rate for log lines that input can cause.

use std::time::{Duration, Instant};

/// Lets `burst` lines through a period and counts the rest.
#[derive(Debug)]
pub struct Throttle {
    burst: u32,
    period: Duration,
    started: Option<Instant>,
    passed: u32,
    suppressed: u64,
}

impl Throttle {
    /// At most `burst` lines in every `period`.
    #[must_use]
    pub const fn new(burst: u32, period: Duration) -> Self {
        Self { burst, period, started: None, passed: 0, suppressed: 0 }
    }

    /// `Some(n)` when a line may be written now, `n` being how many were suppressed since the last one that was.
    pub fn pass(&mut self, now: Instant) -> Option<u64> {
        if self.started.is_none_or(|started| now.duration_since(started) >= self.period) {
            self.started = Some(now);
            self.passed = 0;
        }
        if self.passed < self.burst {
            self.passed += 1;
            Some(std::mem::take(&mut self.suppressed))
        } else {
            self.suppressed += 1;
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_back_is_counted_in_the_next_line() {
        let start = crate::clock::monotonic();
        let mut throttle = Throttle::new(1, Duration::from_secs(1));
        assert_eq!(throttle.pass(start), Some(0));
        assert_eq!(throttle.pass(start), None);
        assert_eq!(throttle.pass(start), None);
        assert_eq!(throttle.pass(start + Duration::from_secs(1)), Some(2));
    }
}
