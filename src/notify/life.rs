//! One alert from the time it fires until it has resolved and everybody knows.

use super::sight::{Seen, View, owner};
use crate::model::{EndedAlert, Labels, RuleSnapshot, Timestamp};

/// Which alert it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key {
    /// Its group, by file and name.
    pub(super) group: String,
    /// Its rule's name.
    pub(super) rule: String,
    /// All its labels.
    pub(super) labels: Labels,
}

/// What is told of an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Phase {
    /// That it fires.
    Firing,
    /// That it does not fire any more.
    Resolved,
}

/// An alert that fires or has fired.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Life {
    /// Which one.
    pub(super) key: Key,
    /// Its annotations when they were last seen.
    pub(super) annotations: Labels,
    /// Who looks after it, where the configuration says so.
    pub(super) owner: Option<String>,
    /// The expression's value when it was last seen.
    pub(super) value: f64,
    /// Since when it fires.
    pub(super) starts_at: Timestamp,
    /// Since when it fires by the word of rules that began later than the alert did; `starts_at` otherwise.
    pub(super) again_at: Timestamp,
    /// When it stopped.
    pub(super) ends_at: Option<Timestamp>,
    /// What was measured then.
    pub(super) resolved_value: Option<f64>,
    /// The last evaluation that found it firing; `None` while only the disk says that it does.
    pub(super) seen_at: Option<Timestamp>,
    /// How often it is evaluated, in milliseconds.
    pub(super) interval_millis: i64,
    /// The rule's expression.
    pub(super) query: String,
    /// The rules still tell of its end, or have not been looked at.
    pub(super) shown: bool,
    /// The same alert has begun again since.
    pub(super) surpassed: bool,
}

impl Life {
    /// One that fires.
    pub(super) fn firing(view: &View<'_>, seen: &Seen<'_>) -> Self {
        let Seen { rule, alert, fired_at, .. } = *seen;
        Self::new(view, rule, &alert.labels, &alert.annotations, alert.value, fired_at)
    }

    /// One that has ended before anyone looked, without its end.
    pub(super) fn missed(view: &View<'_>, rule: &RuleSnapshot, ended: &EndedAlert) -> Self {
        Self::new(view, rule, &ended.labels, &ended.annotations, ended.value, ended.fired_at)
    }

    fn new(view: &View<'_>, rule: &RuleSnapshot, labels: &Labels, annotations: &Labels, value: f64, fired_at: Timestamp) -> Self {
        Self {
            key: Key { group: view.group.clone(), rule: rule.name.clone(), labels: labels.clone() },
            annotations: annotations.clone(),
            owner: owner(rule).map(str::to_owned),
            value,
            starts_at: fired_at,
            again_at: fired_at,
            ends_at: None,
            resolved_value: None,
            seen_at: None,
            interval_millis: view.interval_millis,
            query: rule.query.clone(),
            shown: true,
            surpassed: false,
        }
    }

    /// It still fires.
    pub(super) fn go_on(&mut self, view: &View<'_>, seen: &Seen<'_>) {
        self.again_at = seen.fired_at;
        self.annotations = seen.alert.annotations.clone();
        if self.owner.as_deref() != owner(seen.rule) {
            self.owner = owner(seen.rule).map(str::to_owned);
        }
        (self.value, self.seen_at, self.interval_millis) = (seen.alert.value, Some(seen.evaluated_at), view.interval_millis);
    }
}
