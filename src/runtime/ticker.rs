//! A ticker aligned to the wall clock: its slots are the multiples of its period plus an offset, so that they are the
//! same after a restart, and what was slept through is counted, not made up for.

use std::time::Duration;

use crate::clock::{self, Moment};
use crate::model::Timestamp;

/// One tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// The slot's own time, which is at or just before now.
    pub at: Timestamp,
    /// How many slots were missed before this one; what a jump has left out is not.
    pub missed: u64,
    /// By how many milliseconds the clock has jumped since the one before, because it was set or the machine slept; mostly 0.
    pub jump_millis: i64,
}

/// Ticks for ever. Not `Instant`-based on purpose: samples and rules are stamped with the slot.
#[derive(Debug)]
pub struct Ticker {
    period: i64,
    offset: i64,
    last: Option<Timestamp>,
    /// When the last slot was returned.
    returned: Option<Moment>,
}

impl Ticker {
    /// Ticks at `k * period + offset` since the epoch. A period under a millisecond counts as one.
    #[must_use]
    pub fn new(period: Duration, offset: Duration) -> Self {
        let millis = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        let period = millis(period).max(1);
        Self { period, offset: millis(offset).rem_euclid(period), last: None, returned: None }
    }

    /// Waits for the next slot. Cancel safe: a slot that was not returned is not lost.
    pub async fn tick(&mut self) -> Slot {
        loop {
            let now = clock::now();
            let latest = self.latest(now);
            let last = resume(self.last, latest, self.period);
            self.last = Some(last);
            let slot = next(last, latest, self.period);
            let wait = slot.at.since(now);
            if wait.is_zero() {
                self.last = Some(slot.at);
                let moment = Moment::now();
                let before = self.returned.replace(moment).unwrap_or(moment);
                return jumped(slot, moment.jump_since(before), self.period);
            }
            // In short naps, so that a wall clock set forward does not leave a long period asleep.
            tokio::time::sleep(wait.min(Duration::from_secs(10))).await;
        }
    }

    /// The last slot at or before `now`.
    fn latest(&self, now: Timestamp) -> Timestamp {
        now.plus_millis(-(now.as_millis().saturating_sub(self.offset)).rem_euclid(self.period))
    }
}

/// Where to go on from: the slot that was running at the first call is over, and a wall clock that was set back does not
/// stop the ticks until it has caught up.
fn resume(last: Option<Timestamp>, latest: Timestamp, period: i64) -> Timestamp {
    last.filter(|last| *last <= latest.plus_millis(period)).unwrap_or(latest)
}

/// The slot after `last`, where `latest` is the last one that has begun.
fn next(last: Timestamp, latest: Timestamp, period: i64) -> Slot {
    if last >= latest {
        return Slot { at: last.plus_millis(period), missed: 0, jump_millis: 0 };
    }
    let passed = latest.since(last).as_millis() / u128::from(period.unsigned_abs());
    Slot { at: latest, missed: u64::try_from(passed).unwrap_or(u64::MAX).saturating_sub(1), jump_millis: 0 }
}

/// A slot after a jump: nobody was there to miss what lies between the times before and after.
fn jumped(slot: Slot, jump_millis: i64, period: i64) -> Slot {
    let left_out = u64::try_from(jump_millis).map_or(0, |jump| jump.div_ceil(period.unsigned_abs().max(1)));
    Slot { missed: slot.missed.saturating_sub(left_out), jump_millis, ..slot }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn slot(millis: i64, missed: u64) -> Slot {
        Slot { at: at(millis), missed, jump_millis: 0 }
    }

    #[test]
    fn slots_are_the_multiples_plus_the_offset() {
        let ticker = Ticker::new(Duration::from_millis(100), Duration::from_millis(30));
        for (now, latest) in [(1_000, 930), (1_030, 1_030), (1_129, 1_030), (-5, -70)] {
            assert_eq!(ticker.latest(at(now)), at(latest));
        }
    }

    #[test]
    fn slots_follow_each_other() {
        assert_eq!(next(at(1_030), at(1_030), 100), slot(1_130, 0));
        assert_eq!(next(at(1_030), at(1_130), 100), slot(1_130, 0));
    }

    #[test]
    fn what_was_slept_through_is_counted() {
        assert_eq!(next(at(1_030), at(1_330), 100), slot(1_330, 2));
    }

    #[test]
    fn what_a_jump_leaves_out_was_not_missed() {
        for (jump, missed) in [(0, 122), (600_000, 2), (601_000, 1), (-5_000, 122), (10_000_000, 0)] {
            assert_eq!(jumped(slot(1_030, 122), jump, 5_000), Slot { jump_millis: jump, ..slot(1_030, missed) }, "{jump}");
        }
    }

    #[test]
    fn a_clock_set_back_starts_afresh() {
        assert_eq!(resume(Some(at(10_030)), at(930), 100), at(930));
        assert_eq!(resume(Some(at(1_030)), at(930), 100), at(1_030));
        assert_eq!(resume(None, at(930), 100), at(930));
    }

    #[tokio::test]
    async fn ticks_come_in_order() {
        let mut ticker = Ticker::new(Duration::from_millis(2), Duration::ZERO);
        let (first, second) = (ticker.tick().await, ticker.tick().await);
        assert!(second.at > first.at && second.at <= clock::now());
    }
}
