//! What happens when a task ends that should not have: the decision, as data and without side effects.

use std::collections::VecDeque;
use std::time::Duration;

/// How a task's unexpected end is treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// The agent cannot work without it: the agent stops.
    Critical,
    /// It is started again, after a pause that doubles from 100 ms; more than `intensity` restarts within `period` and
    /// the agent stops, so that its own supervisor can start it afresh.
    Restart {
        /// The most restarts.
        intensity: usize,
        /// The time over which they are counted.
        period: Duration,
    },
}

impl Policy {
    /// For tasks that hold no state worth the whole agent: ten restarts within ten minutes.
    pub const RESTART: Self = Self::Restart { intensity: 10, period: Duration::from_mins(10) };
}

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// Start it again after this long.
    Restart(Duration),
    /// Stop the agent.
    Stop,
}

/// The restarts of one task, in time since the agent's start.
#[derive(Debug, Default)]
pub(super) struct Restarts(VecDeque<Duration>);

impl Restarts {
    /// Decides about an end at `now`, and remembers it.
    pub(super) fn decide(&mut self, policy: Policy, now: Duration) -> Decision {
        let Policy::Restart { intensity, period } = policy else { return Decision::Stop };
        while self.0.front().is_some_and(|at| now.saturating_sub(*at) >= period) {
            self.0.pop_front();
        }
        if self.0.len() >= intensity {
            return Decision::Stop;
        }
        let doublings = u32::try_from(self.0.len()).unwrap_or(u32::MAX).min(7);
        self.0.push_back(now);
        Decision::Restart(Duration::from_millis(100) * 2_u32.pow(doublings))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWICE_A_MINUTE: Policy = Policy::Restart { intensity: 2, period: Duration::from_mins(1) };

    #[test]
    fn a_critical_task_stops_the_agent() {
        assert_eq!(Restarts::default().decide(Policy::Critical, Duration::ZERO), Decision::Stop);
    }

    #[test]
    fn restarts_back_off_and_end_at_the_limit() {
        let mut restarts = Restarts::default();
        assert_eq!(restarts.decide(TWICE_A_MINUTE, Duration::from_secs(1)), Decision::Restart(Duration::from_millis(100)));
        assert_eq!(restarts.decide(TWICE_A_MINUTE, Duration::from_secs(2)), Decision::Restart(Duration::from_millis(200)));
        assert_eq!(restarts.decide(TWICE_A_MINUTE, Duration::from_secs(3)), Decision::Stop);
    }

    #[test]
    fn old_restarts_are_forgotten() {
        let mut restarts = Restarts::default();
        for second in [1, 2, 62, 63] {
            assert_ne!(restarts.decide(TWICE_A_MINUTE, Duration::from_secs(second)), Decision::Stop);
        }
    }
}
