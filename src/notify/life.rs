//! One alert from the time it fires until it has resolved and everybody knows.

use crate::model::{Labels, Timestamp};

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
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
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
    /// The expression's value then.
    pub(super) value: f64,
    /// Since when it fires.
    pub(super) starts_at: Timestamp,
    /// Since when it fires by the word of rules that began later than the alert did; `starts_at` otherwise.
    pub(super) again_at: Timestamp,
    /// When it stopped.
    pub(super) ends_at: Option<Timestamp>,
    /// The last evaluation that found it firing; `None` while only the disk says that it does.
    pub(super) seen_at: Option<Timestamp>,
    /// How often it is evaluated, in milliseconds.
    pub(super) interval_millis: i64,
    /// The rule's expression.
    pub(super) query: String,
}
