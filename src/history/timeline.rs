//! The time that samples are kept by. It goes on evenly where the clock is set back: what was before is then as long ago as it was, and
//! no passage of a time is taken for another one.

use crate::clock::{JUMP_MILLIS, Moment};
use crate::model::Timestamp;

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Timeline {
    /// By how many milliseconds it is ahead of the clock.
    ahead: i64,
    /// What the clocks said the last time; `None`: nobody tells.
    told: Option<Moment>,
}

impl Timeline {
    /// Goes on after what was read back: it was written by a clock that has been set back since, where it is later than now.
    pub(super) fn resume(&mut self, newest: Timestamp, now: Timestamp) -> i64 {
        let later = newest.as_millis().saturating_sub(now.as_millis());
        self.ahead = if later < JUMP_MILLIS { 0 } else { later };
        self.ahead
    }

    /// Learns what the clocks say now, and answers by how many milliseconds they have jumped. A clock that is set forward again takes back
    /// what it was set back before; beyond that it leaves a gap.
    pub(super) fn heed(&mut self, now: Moment) -> i64 {
        // Whoever comes second may have looked first.
        if self.told.is_some_and(|told| now.steady < told.steady) {
            return 0;
        }
        let jump = self.told.replace(now).map_or(0, |before| now.jump_since(before));
        self.ahead = self.ahead.saturating_sub(jump).max(0);
        jump
    }

    /// The time under which a sample of this time is kept. None is later than now: that one was on its way when the clock was set back.
    pub(super) fn stamp(self, at: Timestamp) -> Timestamp {
        self.inward(self.told.map_or(at, |told| at.min(told.wall)))
    }

    /// A time of the clock as one of history.
    pub(super) const fn inward(self, at: Timestamp) -> Timestamp {
        at.plus_millis(self.ahead)
    }

    /// A time of history as one of the clock.
    pub(super) const fn outward(self, at: Timestamp) -> Timestamp {
        at.plus_millis(-self.ahead)
    }

    /// Whether both are the same.
    pub(super) const fn is_even(self) -> bool {
        self.ahead == 0
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    #[test]
    fn it_goes_on_evenly_where_the_clock_is_set_back_and_forward_again() {
        let (mut timeline, begun) = (Timeline::default(), clock::monotonic());
        // The clock, the time that has passed, and what is made of the clock.
        for (wall, passed, expected) in [
            (1_000, 0, 1_000),
            (1_010, 10, 1_010),
            (411, 11, 1_011),
            (421, 21, 1_021),
            (410, 20, 1_010),
            (0, 30, 1_030),
            (10, 40, 1_040),
            (1_050, 50, 1_050),
            // Beyond that there is a gap, as after a sleep.
            (2_060, 60, 2_060),
            (2_069, 70, 2_069),
        ] {
            timeline.heed(Moment { wall: at(wall), steady: begun + Duration::from_secs(passed) });
            let inward = timeline.inward(at(wall));
            assert_eq!((inward, timeline.outward(inward)), (at(expected), at(wall)), "{wall} {passed}");
        }
    }

    #[test]
    fn what_was_on_its_way_when_the_clock_was_set_back_is_of_now() {
        let (mut timeline, begun) = (Timeline::default(), clock::monotonic());
        assert_eq!(timeline.stamp(at(5_000)), at(5_000), "nobody has told the time");
        for (wall, passed) in [(1_000, 0), (401, 1)] {
            timeline.heed(Moment { wall: at(wall), steady: begun + Duration::from_secs(passed) });
        }
        assert_eq!([1_000, 400].map(|seconds| timeline.stamp(at(seconds))), [at(1_001), at(1_000)]);
    }

    #[test]
    fn a_clock_that_is_set_after_history_was_read_back_is_noticed() {
        let (mut timeline, begun) = (Timeline::default(), clock::monotonic());
        timeline.heed(Moment { wall: at(0), steady: begun });
        timeline.resume(at(5_000), at(0));
        timeline.heed(Moment { wall: at(6_001), steady: begun + Duration::from_secs(1) });
        assert_eq!(timeline.inward(at(6_001)), at(6_001), "a boot's clock was behind");
    }

    #[test]
    fn what_is_read_back_is_not_of_a_time_to_come() {
        let mut timeline = Timeline::default();
        for (newest, ahead) in [(at(900), 0), (at(1_001), 0), (at(1_060), 60_000), (Timestamp::MIN, 0)] {
            assert_eq!((timeline.resume(newest, at(1_000)), timeline.is_even()), (ahead, ahead == 0));
        }
    }
}
