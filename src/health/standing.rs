//! From a score to a state, with a memory: worse at once, better only when the score has been clearly better for a while.

use super::config::{Recovery, Thresholds};
use super::{Config, HealthState};
use crate::model::Timestamp;

/// Whether the score is below one threshold.
#[derive(Clone, Debug, Default, PartialEq)]
struct Trigger {
    below: bool,
    /// Since when the score has been high enough to leave.
    better_since: Option<Timestamp>,
}

impl Trigger {
    fn step(&mut self, score: f64, threshold: f64, recovery: Recovery, at: Timestamp) {
        if score < threshold {
            *self = Self { below: true, better_since: None };
        } else if self.below && score >= (threshold + recovery.margin).min(100.0) {
            // A clock that was set back begins anew.
            let since = self.better_since.filter(|since| *since <= at).unwrap_or(at);
            let recovered = at.since(since) >= recovery.after.get();
            *self = Self { below: !recovered, better_since: (!recovered).then_some(since) };
        } else {
            self.better_since = None;
        }
    }
}

/// The state of one score, and what it takes to decide the next one.
#[derive(Clone, Debug, Default)]
pub(super) struct Standing {
    not_healthy: Trigger,
    critical: Trigger,
    seen: bool,
    last: Option<(HealthState, Timestamp)>,
}

impl Standing {
    /// Takes the score of this moment, or that nothing can be seen.
    pub(super) fn step(&mut self, config: &Config, score: Option<f64>, at: Timestamp) {
        let Thresholds { healthy, degraded } = config.thresholds;
        // Who looks for the first time has nothing to recover from.
        let recovery = if self.seen { config.recovery } else { Recovery { margin: 0.0, after: crate::model::PromDuration::from_secs(0) } };
        match score {
            Some(score) => {
                self.not_healthy.step(score, healthy, recovery, at);
                self.critical.step(score, degraded, recovery, at);
                self.seen = true;
            }
            None => {
                self.not_healthy.better_since = None;
                self.critical.better_since = None;
            }
        }
        let state = match score {
            None => HealthState::Unknown,
            Some(_) if self.critical.below => HealthState::Critical,
            Some(_) if self.not_healthy.below => HealthState::Degraded,
            Some(_) => HealthState::Healthy,
        };
        if self.last.is_none_or(|(before, _)| before != state) {
            self.last = Some((state, at));
        }
    }

    /// The clock has jumped by so many milliseconds: what was counted of the recovery stays as it was.
    pub(super) fn clock_jumped(&mut self, millis: i64) {
        for trigger in [&mut self.not_healthy, &mut self.critical] {
            trigger.better_since = trigger.better_since.map(|since| since.plus_millis(millis));
        }
    }

    pub(super) fn state(&self) -> HealthState {
        self.last.map_or(HealthState::Unknown, |(state, _)| state)
    }

    pub(super) fn since(&self) -> Timestamp {
        self.last.map_or(Timestamp::default(), |(_, since)| since)
    }

    /// Since when the score is high enough for the next better state.
    pub(super) fn recovering_since(&self) -> Option<Timestamp> {
        match self.state() {
            HealthState::Critical => self.critical.better_since,
            HealthState::Degraded => self.not_healthy.better_since,
            HealthState::Healthy | HealthState::Unknown => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: i64 = 1_000;

    fn states(scores: impl IntoIterator<Item = f64>) -> Vec<HealthState> {
        let (config, mut standing) = (Config::default(), Standing::default());
        let step = |(second, score): (i64, f64)| {
            standing.step(&config, (score >= 0.0).then_some(score), Timestamp::from_millis(second * SECOND));
            standing.state()
        };
        (0..).zip(scores).map(step).collect()
    }

    fn changes(states: &[HealthState]) -> usize {
        states.iter().zip(states.iter().skip(1)).filter(|(one, next)| one != next).count()
    }

    #[test]
    fn worse_is_at_once_and_better_after_a_while() {
        let mut scores = vec![100.0, 40.0];
        scores.extend([100.0; 31]);
        let states = states(scores);
        assert_eq!(states[..2], [HealthState::Healthy, HealthState::Critical]);
        assert_eq!((states[31], states[32], changes(&states)), (HealthState::Critical, HealthState::Healthy, 2));
    }

    #[test]
    fn the_first_look_has_nothing_to_recover_from() {
        assert_eq!(states([82.0]), [HealthState::Healthy]);
        assert_eq!(states([52.0]), [HealthState::Degraded]);
        assert_eq!(states([-1.0, 82.0]), [HealthState::Unknown, HealthState::Healthy]);
    }

    #[test]
    fn who_cannot_see_does_not_recover() {
        let mut scores = vec![70.0];
        scores.extend([100.0; 20]);
        scores.push(-1.0);
        scores.extend([100.0; 31]);
        let states = states(scores);
        assert_eq!((states[20], states[21], states[22]), (HealthState::Degraded, HealthState::Unknown, HealthState::Degraded));
        assert_eq!((states[51], states[52]), (HealthState::Degraded, HealthState::Healthy));
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_hold_a_state_for_longer() {
        let (config, mut standing) = (Config::default(), Standing::default());
        let mut step = |second: i64, score: f64| {
            standing.step(&config, Some(score), Timestamp::from_millis(second * SECOND));
            standing.state()
        };
        step(10_000, 70.0);
        step(10_001, 100.0);
        assert_eq!((step(10, 100.0), step(40, 100.0)), (HealthState::Degraded, HealthState::Healthy));
    }

    #[test]
    fn a_clock_that_jumps_neither_ends_a_recovery_nor_begins_it_anew() {
        for jump in [-3_600, 3_600] {
            let (config, mut standing) = (Config::default(), Standing::default());
            let mut shown = Vec::new();
            for (second, score) in (10_000..10_040).zip([70.0].into_iter().chain(std::iter::repeat(100.0))) {
                let jumped = if second < 10_011 { 0 } else { jump };
                if second == 10_011 {
                    standing.clock_jumped(jump * SECOND);
                }
                standing.step(&config, Some(score), Timestamp::from_millis((second + jumped) * SECOND));
                shown.push(standing.state());
            }
            assert_eq!(shown.iter().filter(|state| **state == HealthState::Degraded).count(), 31, "{jump}");
        }
    }

    fn rank(state: HealthState) -> u8 {
        match state {
            HealthState::Healthy => 0,
            HealthState::Degraded => 1,
            HealthState::Critical => 2,
            HealthState::Unknown => 3,
        }
    }

    proptest! {
        /// However far it swings, if it swings faster than the time that recovery takes.
        #[test]
        fn a_score_that_swings_fast_changes_the_state_once(
            threshold in prop_oneof![Just(80.0), Just(50.0)],
            below in 0.1f64..30.0,
            above in 0.0f64..20.0,
            halves in proptest::collection::vec(1usize..30, 1..40),
        ) {
            let swing = |(index, seconds): (usize, &usize)| vec![threshold + if index % 2 == 0 { above } else { -below }; *seconds];
            let states = states(halves.iter().enumerate().flat_map(swing));
            prop_assert!(changes(&states) <= 1, "{:?}", states);
        }

        /// However slowly it swings, if it swings no further than the margin.
        #[test]
        fn a_score_that_swings_a_little_changes_the_state_once(
            threshold in prop_oneof![Just(80.0), Just(50.0)],
            swings in proptest::collection::vec(-4.99f64..4.99, 1..400),
            seconds in 1usize..60,
        ) {
            let states = states(swings.iter().flat_map(|swing| vec![threshold + swing; seconds]));
            prop_assert!(changes(&states) <= 1, "{:?}", states);
        }

        #[test]
        fn a_score_that_was_never_better_never_has_a_better_state(
            steps in proptest::collection::vec((0.0f64..=100.0, 0.0f64..=40.0, 1usize..50), 1..30),
        ) {
            let better = states(steps.iter().flat_map(|(score, _, seconds)| vec![*score; *seconds]));
            let worse = states(steps.iter().flat_map(|(score, less, seconds)| vec![(score - less).max(0.0); *seconds]));
            prop_assert!(better.iter().zip(&worse).all(|(better, worse)| rank(*better) <= rank(*worse)));
        }
    }
}
