//! The life of alerts: inactive, pending, firing, kept firing, resolved. A pure machine: one call an evaluation, the
//! time as an argument, all transitions in [`Alerts::step`].
//!
//! It behaves as prometheus/prometheus `rules/alerting.go` (Eval) does, to the millisecond, so that a rule fires here
//! when it would fire there.

use std::collections::BTreeMap;

use crate::model::{AlertSnapshot, AlertState, EndedAlert, Labels, Timestamp};

/// How long a resolved alert is remembered, so that whoever tells others of it learns of its end, however short it was.
const RESOLVED_RETENTION_MILLIS: i64 = 15 * 60 * 1000;

/// Why an evaluation's result cannot become alerts. The texts are Prometheus's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum AlertError {
    /// Two results would be the same alert.
    #[error("vector contains metrics with the same labelset after applying alert labels: {0}")]
    Duplicate(Labels),
    /// More alerts than the group allows.
    #[error("exceeded limit of {limit} with {count} alerts")]
    Limit {
        /// The group's limit.
        limit: usize,
        /// How many alerts there would be.
        count: usize,
    },
}

/// The times of an alerting rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timing {
    /// How long a condition has to hold before the alert fires, in milliseconds.
    pub for_millis: i64,
    /// How long a firing alert stays on after its condition ended, in milliseconds.
    pub keep_firing_for_millis: i64,
}

/// A label set for which the condition holds now.
#[derive(Clone, Debug)]
pub(super) struct Observed {
    /// The alert's labels, `alertname` among them.
    pub(super) labels: Labels,
    /// Its annotations now.
    pub(super) annotations: Labels,
    /// The expression's value.
    pub(super) value: f64,
}

/// One alert, also while it is remembered as resolved.
#[derive(Clone, Debug)]
pub(super) struct Alert {
    /// Where it is in its life.
    pub(super) state: AlertState,
    /// Its annotations at the last evaluation in which its condition held.
    pub(super) annotations: Labels,
    /// The expression's value then.
    pub(super) value: f64,
    /// Since when the condition holds.
    pub(super) active_at: Timestamp,
    /// Since when it fires.
    pub(super) fired_at: Option<Timestamp>,
    /// When it stopped firing.
    pub(super) resolved_at: Option<Timestamp>,
    /// Since when it fires only because of `keep_firing_for`.
    pub(super) keep_firing_since: Option<Timestamp>,
    /// What was measured when it stopped firing.
    pub(super) resolved_value: Option<f64>,
    /// It was saved, and its condition has not been seen to hold since.
    pub(super) unseen: bool,
    /// The one with these labels that was over when this one began.
    pub(super) before: Option<Box<Alert>>,
    /// What it is in history, in a state: made once, and not at every evaluation.
    pub(super) series: Option<(AlertState, [Labels; 2])>,
}

/// What it means that a condition is not seen to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Absence {
    /// It does not hold.
    Over,
    /// Nobody knows: the alert stays as it is.
    Unknown,
    /// It is to be taken for holding.
    Holds,
}

impl Alert {
    fn new(observed: Observed, at: Timestamp) -> Self {
        Self {
            state: AlertState::Pending,
            annotations: observed.annotations,
            value: observed.value,
            active_at: at,
            fired_at: None,
            resolved_at: None,
            keep_firing_since: None,
            resolved_value: None,
            unseen: false,
            before: None,
            series: None,
        }
    }

    /// One evaluation in which the condition does not hold. False when the alert is to be forgotten.
    fn absent(&mut self, at: Timestamp, timing: Timing) -> bool {
        if self.state == AlertState::Firing && timing.keep_firing_for_millis > 0 {
            let since = *self.keep_firing_since.get_or_insert(at);
            if elapsed(since, at) < timing.keep_firing_for_millis {
                return true;
            }
        }
        match self.state {
            // What was over before it is so still.
            AlertState::Pending => self.before.take().is_some_and(|before| {
                *self = *before;
                true
            }),
            AlertState::Firing => {
                self.state = AlertState::Inactive;
                self.resolved_at = Some(at);
                true
            }
            AlertState::Inactive => self.is_remembered(at),
        }
    }

    /// Whether the condition has held for long enough.
    fn weigh(&mut self, at: Timestamp, timing: Timing) {
        let held = elapsed(self.active_at, at) >= timing.for_millis;
        match self.state {
            AlertState::Pending if held => {
                self.state = AlertState::Firing;
                self.fired_at = Some(at);
            }
            // `for` was made longer by a reload. A clock that was set back by little ends nothing.
            AlertState::Firing if !held && self.fired_at.is_none_or(|fired| at >= fired) => {
                self.state = AlertState::Pending;
                self.fired_at = None;
                self.keep_firing_since = None;
            }
            _ => {}
        }
    }

    /// Pending or firing.
    pub(super) fn is_active(&self) -> bool {
        self.state != AlertState::Inactive
    }

    /// Whether it ended a short time ago.
    fn is_remembered(&self, at: Timestamp) -> bool {
        // Where the clock was set back, not for all the time until it has caught up.
        self.resolved_at.is_some_and(|resolved| elapsed(resolved, at).saturating_abs() <= RESOLVED_RETENTION_MILLIS)
    }
}

/// All alerts of one rule.
#[derive(Clone, Debug, Default)]
pub(super) struct Alerts(BTreeMap<Labels, Alert>);

impl Alerts {
    /// Those that were saved. Without `pending`, what was pending starts anew.
    pub(super) fn restored(saved: BTreeMap<Labels, Alert>, pending: bool) -> Self {
        let stays = saved.into_iter().filter(|(_, alert)| pending || alert.state != AlertState::Pending);
        Self(stays.map(|(labels, alert)| (labels, Alert { unseen: alert.is_active(), ..alert })).collect())
    }

    /// One evaluation: everything for which the condition holds at `at`; `absence` is asked about active alerts that are
    /// not among it. A limit of 0 is none.
    ///
    /// # Errors
    /// When two results have the same labels, and then nothing has changed; when there are more alerts than `limit`,
    /// and then all are forgotten.
    pub(super) fn step(
        &mut self,
        at: Timestamp,
        timing: Timing,
        limit: usize,
        mut observed: Vec<Observed>,
        absence: impl Fn(&Labels, &Alert) -> Absence,
    ) -> Result<(), AlertError> {
        observed.sort_unstable_by(|a, b| a.labels.cmp(&b.labels));
        if let Some([twice, _]) = observed.array_windows().find(|[one, next]| one.labels == next.labels) {
            return Err(AlertError::Duplicate(twice.labels.clone()));
        }
        let present: Vec<Labels> = observed.iter().map(|one| one.labels.clone()).collect();
        for one in observed {
            match self.0.get_mut(&one.labels) {
                Some(alert) if alert.is_active() => {
                    alert.value = one.value;
                    alert.annotations = one.annotations;
                    alert.unseen = false;
                }
                Some(over) => {
                    let before = std::mem::replace(over, Alert::new(one, at));
                    over.before = Some(Box::new(Alert { before: None, ..before }));
                }
                None => drop(self.0.insert(one.labels.clone(), Alert::new(one, at))),
            }
        }
        // Both ascend, and all that hold are among the alerts.
        let mut present = present.iter().peekable();
        self.0.retain(|labels, alert| {
            alert.before.take_if(|before| !before.is_remembered(at));
            let absence = match alert.state {
                _ if present.next_if_eq(&labels).is_some() => Absence::Holds,
                AlertState::Inactive => Absence::Over,
                _ => absence(labels, alert),
            };
            match absence {
                Absence::Over if !alert.absent(at, timing) => return false,
                Absence::Unknown => return true,
                Absence::Holds => alert.keep_firing_since = None,
                Absence::Over => {}
            }
            alert.weigh(at, timing);
            true
        });
        let count = self.active().count();
        if limit > 0 && count > limit {
            self.0.clear();
            return Err(AlertError::Limit { limit, count });
        }
        Ok(())
    }

    /// The clock has jumped by so much: what was counted of `for` and `keep_firing_for` stays as it was. With `unseen` nobody knows whether
    /// conditions still hold.
    pub(super) fn clock_jumped(&mut self, millis: i64, unseen: bool) {
        for alert in self.0.values_mut().filter(|alert| alert.is_active()) {
            // One that fires does not have to go on counting, and goes by the time at which it began.
            if millis < 0 || alert.state == AlertState::Pending {
                alert.active_at = alert.active_at.plus_millis(millis);
            }
            alert.keep_firing_since = alert.keep_firing_since.map(|since| since.plus_millis(millis));
            alert.unseen |= unseen;
        }
    }

    /// The alerts that are pending or firing, by labels.
    pub(super) fn active(&self) -> impl Iterator<Item = (&Labels, &Alert)> {
        self.0.iter().filter(|(_, alert)| alert.is_active())
    }

    /// All alerts, those that are over too.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Labels, &Alert)> {
        self.0.iter()
    }

    /// All alerts, those that are over too, to be changed.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (&Labels, &mut Alert)> {
        self.0.iter_mut()
    }

    /// The active alerts for others to read.
    pub(super) fn snapshot(&self) -> Vec<AlertSnapshot> {
        let snapshot = |(labels, alert): (&Labels, &Alert)| AlertSnapshot {
            state: alert.state,
            labels: labels.clone(),
            annotations: alert.annotations.clone(),
            value: alert.value,
            active_at: alert.active_at,
            fired_at: alert.fired_at,
            keep_firing_since: alert.keep_firing_since,
        };
        self.active().map(snapshot).collect()
    }

    /// Those that are over for others to read.
    pub(super) fn ended(&self) -> Vec<EndedAlert> {
        let each =
            self.0.iter().flat_map(|(labels, alert)| alert.before.as_deref().into_iter().chain([alert]).map(move |alert| (labels, alert)));
        let ended = each.filter_map(|(labels, alert)| {
            Some(EndedAlert {
                labels: labels.clone(),
                annotations: alert.annotations.clone(),
                value: alert.value,
                active_at: alert.active_at,
                fired_at: alert.fired_at?,
                resolved_at: alert.resolved_at?,
                resolved_value: alert.resolved_value,
            })
        });
        ended.collect()
    }
}

fn elapsed(since: Timestamp, at: Timestamp) -> i64 {
    at.as_millis().saturating_sub(since.as_millis())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MINUTE: i64 = 60_000;

    fn over(_: &Labels, _: &Alert) -> Absence {
        Absence::Over
    }

    fn observed(name: &str, value: f64) -> Observed {
        Observed { labels: Labels::from_pairs([("alertname", "A"), ("x", name)]), annotations: Labels::empty(), value }
    }

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_millis(minutes * MINUTE)
    }

    fn timing(for_minutes: i64, keep_minutes: i64) -> Timing {
        Timing { for_millis: for_minutes * MINUTE, keep_firing_for_millis: keep_minutes * MINUTE }
    }

    /// Evaluates once a minute; the states of one alert after each evaluation, `-` where there is none.
    fn states(timing: Timing, holds: &str) -> String {
        let mut alerts = Alerts::default();
        let mut shown = String::new();
        for (minute, hold) in (0..).zip(holds.chars()) {
            let results = if hold == '1' { vec![observed("a", 1.0)] } else { Vec::new() };
            alerts.step(at(minute), timing, 0, results, over).expect("one alert");
            shown.push(match alerts.0.values().next().map(|alert| alert.state) {
                None => '-',
                Some(AlertState::Inactive) => 'i',
                Some(AlertState::Pending) => 'p',
                Some(AlertState::Firing) => 'f',
            });
        }
        shown
    }

    #[test]
    fn an_alert_is_pending_until_its_condition_held_for_long_enough() {
        assert_eq!(states(timing(2, 0), "011110"), "-ppffi");
        assert_eq!(states(timing(0, 0), "0110"), "-ffi");
    }

    #[test]
    fn a_condition_that_ends_early_leaves_nothing() {
        assert_eq!(states(timing(3, 0), "1101110"), "pp-ppp-");
        assert_eq!(states(timing(3, 5), "110"), "pp-");
    }

    #[test]
    fn keep_firing_for_bridges_a_gap_and_starts_anew_after_it() {
        assert_eq!(states(timing(1, 3), "11000100000"), "pffffffffii");
        assert_eq!(states(timing(1, 3), "110000"), "pffffi");
    }

    #[test]
    fn a_resolved_alert_is_remembered_for_fifteen_minutes_and_then_forgotten() {
        let shown = states(timing(0, 0), &("1".to_owned() + &"0".repeat(18)));
        assert_eq!(shown, "f".to_owned() + &"i".repeat(16) + "--");
    }

    #[test]
    fn a_resolved_alert_that_returns_begins_a_new_life() {
        let mut alerts = Alerts::default();
        for (minute, hold) in [(0, true), (1, false), (2, true)] {
            let results = if hold { vec![observed("a", 1.0)] } else { Vec::new() };
            alerts.step(at(minute), timing(0, 0), 0, results, over).expect("one alert");
        }
        let (_, alert) = alerts.active().next().expect("an alert");
        assert_eq!((alert.active_at, alert.fired_at, alert.resolved_at), (at(2), Some(at(2)), None));
    }

    #[test]
    fn a_longer_for_takes_a_firing_alert_back_to_pending() {
        let mut alerts = Alerts::default();
        alerts.step(at(0), timing(0, 0), 0, vec![observed("a", 1.0)], over).expect("one alert");
        alerts.step(at(1), timing(5, 0), 0, vec![observed("a", 1.0)], over).expect("one alert");
        let (_, alert) = alerts.active().next().expect("an alert");
        assert_eq!((alert.state, alert.active_at, alert.fired_at), (AlertState::Pending, at(0), None));
        alerts.step(at(5), timing(5, 0), 0, vec![observed("a", 1.0)], over).expect("one alert");
        assert_eq!(alerts.snapshot()[0].state, AlertState::Firing);
    }

    #[test]
    fn a_clock_that_jumps_changes_nothing_of_for_and_keep_firing_for() {
        for jump in [-60, -1, 1, 1_440] {
            let mut alerts = Alerts::default();
            let mut states = String::new();
            for (minute, hold) in (0_i64..).zip("1111100000".chars()) {
                if minute == 2 || minute == 6 {
                    alerts.clock_jumped(jump * MINUTE, false);
                }
                let now = 10_000 + minute + jump * (i64::from(minute >= 2) + i64::from(minute >= 6));
                let results = if hold == '1' { vec![observed("a", 1.0)] } else { Vec::new() };
                alerts.step(at(now), timing(4, 3), 0, results, over).expect("one alert");
                states.push(match alerts.0.values().next().map(|alert| alert.state) {
                    None => '-',
                    Some(AlertState::Inactive) => 'i',
                    Some(AlertState::Pending) => 'p',
                    Some(AlertState::Firing) => 'f',
                });
            }
            assert_eq!(states, "ppppffffii", "{jump}");
        }
    }

    #[test]
    fn a_clock_that_is_set_back_by_a_slot_ends_nothing_and_by_much_keeps_nothing_for_long() {
        let mut alerts = Alerts::default();
        alerts.step(at(100), timing(0, 0), 0, vec![observed("a", 1.0)], over).expect("one alert");
        alerts.step(at(99), timing(0, 0), 0, vec![observed("a", 1.0)], over).expect("one alert");
        assert_eq!(alerts.snapshot()[0].state, AlertState::Firing);
        let mut held = Alerts::default();
        for minute in [100, 101, 100] {
            held.step(at(minute), timing(1, 0), 0, vec![observed("a", 1.0)], over).expect("one alert");
        }
        assert_eq!(held.snapshot()[0].state, AlertState::Firing);
        alerts.step(at(100), timing(0, 0), 0, Vec::new(), over).expect("none");
        alerts.step(at(90), timing(0, 0), 0, Vec::new(), over).expect("none");
        assert_eq!(alerts.ended().len(), 1);
        alerts.step(at(40), timing(0, 0), 0, Vec::new(), over).expect("none");
        assert_eq!(alerts.ended().len(), 0);
    }

    #[test]
    fn value_and_annotations_follow_while_active_at_stays() {
        let mut alerts = Alerts::default();
        alerts.step(at(0), timing(5, 0), 0, vec![observed("a", 1.0)], over).expect("one alert");
        let next = Observed { annotations: Labels::from_pairs([("summary", "2")]), ..observed("a", 2.0) };
        alerts.step(at(1), timing(5, 0), 0, vec![next], over).expect("one alert");
        let alert = &alerts.snapshot()[0];
        assert_eq!((alert.value, alert.annotations.get("summary"), alert.active_at), (2.0, Some("2"), at(0)));
    }

    #[test]
    fn the_same_alert_twice_fails_and_changes_nothing() {
        let mut alerts = Alerts::default();
        alerts.step(at(0), timing(0, 0), 0, vec![observed("a", 1.0)], over).expect("one alert");
        let error = alerts.step(at(1), timing(0, 0), 0, vec![observed("b", 1.0), observed("b", 2.0)], over).expect_err("a duplicate");
        assert!(error.to_string().starts_with("vector contains metrics with the same labelset after applying alert labels"));
        assert_eq!(alerts.snapshot().len(), 1);
    }

    #[test]
    fn beyond_the_limit_all_alerts_are_dropped() {
        let mut alerts = Alerts::default();
        let two = || vec![observed("a", 1.0), observed("b", 1.0)];
        alerts.step(at(0), timing(0, 0), 2, two(), over).expect("as many as allowed");
        let error = alerts.step(at(1), timing(0, 0), 1, two(), over).expect_err("too many");
        assert_eq!(error.to_string(), "exceeded limit of 1 with 2 alerts");
        assert!(alerts.snapshot().is_empty());
    }

    #[test]
    fn an_alert_that_nobody_can_judge_stays_as_it_is_and_one_that_is_taken_to_hold_goes_on() {
        let mut pending = Alerts::default();
        pending.step(at(0), timing(2, 0), 0, vec![observed("a", 1.0)], over).expect("one alert");
        let mut taken = pending.clone();
        for minute in 1..4 {
            pending.step(at(minute), timing(2, 0), 0, Vec::new(), |_, _| Absence::Unknown).expect("one alert");
            taken.step(at(minute), timing(2, 0), 0, Vec::new(), |_, _| Absence::Holds).expect("one alert");
        }
        let seen = |alerts: &Alerts| alerts.0.values().map(|alert| (alert.state, alert.active_at, alert.fired_at)).collect::<Vec<_>>();
        assert_eq!(seen(&pending), [(AlertState::Pending, at(0), None)]);
        assert_eq!(seen(&taken), [(AlertState::Firing, at(0), Some(at(2)))]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]
        /// Against the definition: an alert fires when its condition has held at every evaluation since `active_at` up to
        /// its last one, that was for at least `for`, and no gap since then was longer than `keep_firing_for`.
        #[test]
        fn no_sequence_breaks_the_promises(
            holds in proptest::collection::vec((any::<bool>(), 1_i64..4), 1..60),
            for_minutes in 0_i64..6,
            keep_minutes in 0_i64..6,
        ) {
            let timing = timing(for_minutes, keep_minutes);
            let mut alerts = Alerts::default();
            let mut minute = 0;
            let mut held_since: Option<i64> = None;
            let mut absent_since: Option<i64> = None;
            let mut was = AlertState::Inactive;
            for (hold, pause) in holds {
                minute += pause;
                let results = if hold { vec![observed("a", 1.0)] } else { Vec::new() };
                alerts.step(at(minute), timing, 0, results, over).expect("one alert");
                let alert = alerts.active().next().map(|(_, alert)| alert.clone());
                let now = alert.as_ref().map_or(AlertState::Inactive, |alert| alert.state);
                if hold {
                    absent_since = None;
                    let since = *held_since.get_or_insert(minute);
                    let alert = alert.expect("a condition that holds is an active alert");
                    prop_assert_eq!(alert.active_at, at(since));
                    prop_assert_eq!(now == AlertState::Firing, minute - since >= for_minutes, "fires exactly when `for` is over");
                } else {
                    let gone = *absent_since.get_or_insert(minute);
                    let kept = was == AlertState::Firing && minute - gone < keep_minutes;
                    prop_assert_eq!(now, if kept { AlertState::Firing } else { AlertState::Inactive });
                    if now == AlertState::Inactive {
                        held_since = None;
                    }
                }
                was = now;
            }
        }
    }
}
