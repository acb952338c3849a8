//! The only place that asks what time it is. Everyone else gets the time as an argument or asks here.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::model::Timestamp;

/// The wall clock: what samples, rules and alerts are stamped with.
#[must_use]
#[allow(clippy::disallowed_methods)]
pub fn now() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
}

/// The monotonic clock: for measuring how long something took, and for deadlines.
#[must_use]
#[allow(clippy::disallowed_methods)]
pub fn monotonic() -> Instant {
    Instant::now()
}

/// A wall clock that is corrected without being set does not gain or lose as much between two looks, in milliseconds.
pub const JUMP_MILLIS: i64 = 2_000;

/// What both clocks said at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// The wall clock.
    pub wall: Timestamp,
    /// The monotonic clock, which stands still while the machine sleeps.
    pub steady: Instant,
}

impl Moment {
    /// What they say now.
    #[must_use]
    pub fn now() -> Self {
        Self { wall: now(), steady: monotonic() }
    }

    /// By how many milliseconds the wall clock has jumped since `before`, because it was set or the machine slept: it has gone further than
    /// the steady one, or, below zero, less far. Two seconds at least, else 0.
    #[must_use]
    pub fn jump_since(self, before: Self) -> i64 {
        let wall = i128::from(self.wall.as_millis()) - i128::from(before.wall.as_millis());
        let steady = i128::try_from(self.steady.saturating_duration_since(before.steady).as_millis()).unwrap_or(i128::MAX);
        let ahead = wall.saturating_sub(steady);
        let limit = if ahead < 0 { i64::MIN } else { i64::MAX };
        if ahead.abs() < i128::from(JUMP_MILLIS) { 0 } else { i64::try_from(ahead).unwrap_or(limit) }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_clock_that_is_set_has_jumped_and_one_that_is_corrected_has_not() {
        let begin = Moment { wall: Timestamp::from_millis(1_000_000), steady: monotonic() };
        let later = |wall, steady| Moment { wall: begin.wall.plus_millis(wall), steady: begin.steady + Duration::from_millis(steady) };
        for (wall, steady, expected) in [
            (5_000, 5_000, 0),
            (6_999, 5_000, 0),
            (7_000, 5_000, 2_000),
            (3_600_000, 5_000, 3_595_000),
            (3_001, 5_000, 0),
            (3_000, 5_000, -2_000),
            (-3_600_000, 5_000, -3_605_000),
            (600_000, 600_000, 0),
        ] {
            assert_eq!(later(wall, steady).jump_since(begin), expected, "{wall} {steady}");
        }
    }
}
