//! Since when alerts are pending, from the series `ALERTS_FOR_STATE` that history holds: the way of Prometheus, for alerts of which
//! the saved state knows nothing.
//! Source: prometheus/prometheus `rules/group.go` (RestoreForState).

use std::collections::HashMap;

use super::alert::Alerts;
use super::rule::ALERT_NAME;
use crate::history::{Query, QueryError};
use crate::model::{Labels, METRIC_NAME, MatchOp, Matcher, Timestamp, is_stale};

/// What `ALERTS_FOR_STATE` is called.
pub(super) const FOR_STATE: &str = "ALERTS_FOR_STATE";

/// The times that restoring goes by, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tolerance {
    /// After a longer stop a pending alert starts anew.
    pub(super) outage_millis: i64,
    /// An alert that was pending fires so long after a start at the earliest.
    pub(super) grace_millis: i64,
    /// So long after a start what was saved does not end only because it is not seen.
    pub(super) settle_millis: i64,
}

/// When an alert was last seen, and since when it was pending then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LastSeen {
    pub(super) down_at: Timestamp,
    pub(super) active_at: Timestamp,
}

impl LastSeen {
    /// Since when it counts as pending, where it is so again at `now` and has to be for `for_millis`.
    pub(super) fn active_at(self, now: Timestamp, for_millis: i64, grace_millis: i64) -> Timestamp {
        let between = |from: Timestamp, to: Timestamp| to.as_millis().saturating_sub(from.as_millis());
        let remaining = for_millis.saturating_sub(between(self.active_at, self.down_at));
        if remaining <= 0 {
            // It was firing, and fires at the next evaluation.
            self.active_at
        } else if remaining < grace_millis {
            now.plus_millis(grace_millis.saturating_sub(for_millis))
        } else {
            // The time of the stop does not count.
            self.active_at.plus_millis(between(self.down_at, now))
        }
    }
}

/// All alerts of a name that history knows to have been active in the time before `now`.
pub(super) fn last_seen(
    history: &dyn Query,
    name: &str,
    now: Timestamp,
    outage_millis: i64,
) -> Result<HashMap<Labels, LastSeen>, QueryError> {
    let matchers: Vec<Matcher> = [(METRIC_NAME, FOR_STATE), (ALERT_NAME, name)]
        .into_iter()
        .filter_map(|(label, value)| Matcher::new(label, MatchOp::Equal, value).ok())
        .collect();
    let windows = history.select(&matchers, now.plus_millis(-outage_millis - 1), now)?;
    let seen = windows.into_iter().filter_map(|window| {
        let last = window.samples.last().filter(|last| !is_stale(last.value))?;
        // In whole seconds, as the series' value is.
        let down_at = Timestamp::from_millis(last.at.as_millis().div_euclid(1000) * 1000);
        // It was not later; but the value is not shown earlier where the clock was set back since.
        let active_at = Timestamp::from_seconds(last.value.trunc()).min(down_at);
        Some((window.labels.without(METRIC_NAME), LastSeen { down_at, active_at }))
    });
    Ok(seen.collect())
}

/// Since when the active ones among the alerts count as such.
pub(super) fn apply(alerts: &mut Alerts, seen: &HashMap<Labels, LastSeen>, now: Timestamp, for_millis: i64, grace_millis: i64) {
    for (labels, alert) in alerts.iter_mut() {
        if let Some(seen) = seen.get(labels).filter(|_| alert.is_active()) {
            alert.active_at = seen.active_at(now, for_millis, grace_millis);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prometheus_has_three_cases() {
        let at = |minutes: i64| Timestamp::from_millis(minutes * 60_000);
        let restored = |active: i64, down: i64, now: i64, hold: i64| {
            let seen = LastSeen { down_at: at(down), active_at: at(active) };
            seen.active_at(at(now), hold * 60_000, 10 * 60_000).as_millis() / 60_000
        };
        // It had fired before the stop.
        assert_eq!(restored(100, 130, 150, 30), 100);
        // It had to hold for another 9 minutes: it fires 10 minutes after the start.
        assert_eq!(restored(100, 121, 150, 30) + 30, 160);
        // It had to hold for another 10 minutes: it fires after as many.
        assert_eq!(restored(100, 120, 150, 30), 130);
        assert_eq!(restored(100, 101, 150, 30), 149);
    }
}
