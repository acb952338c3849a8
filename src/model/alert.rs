//! Rules and alerts as they stand now: what the rule engine publishes for everyone else to read.

use std::sync::Arc;

use super::{Labels, Timestamp};

/// Where an alert is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AlertState {
    /// The condition does not hold.
    Inactive,
    /// The condition holds, but not for long enough yet.
    Pending,
    /// The alert is on.
    Firing,
}

impl AlertState {
    /// The state's name in Prometheus's interfaces.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Inactive => "inactive",
            Self::Pending => "pending",
            Self::Firing => "firing",
        }
    }
}

/// One active alert.
#[derive(Clone, Debug, PartialEq)]
pub struct AlertSnapshot {
    /// Pending or firing.
    pub state: AlertState,
    /// All labels, `alertname` among them.
    pub labels: Labels,
    /// Annotations with their templates expanded.
    pub annotations: Labels,
    /// The expression's value at the last evaluation.
    pub value: f64,
    /// Since when the condition has held.
    pub active_at: Timestamp,
    /// Since when it has been firing.
    pub fired_at: Option<Timestamp>,
    /// Since when it fires only because of `keep_firing_for`.
    pub keep_firing_since: Option<Timestamp>,
}

/// An alert that has fired and is over, as long as it is remembered.
#[derive(Clone, Debug, PartialEq)]
pub struct EndedAlert {
    /// All labels, `alertname` among them.
    pub labels: Labels,
    /// Annotations with their templates expanded, as they were when the condition last held.
    pub annotations: Labels,
    /// The expression's value when the condition last held.
    pub value: f64,
    /// Since when the condition had held.
    pub active_at: Timestamp,
    /// Since when it had been firing.
    pub fired_at: Timestamp,
    /// When it stopped firing.
    pub resolved_at: Timestamp,
    /// What was measured at that time: the left side of the rule's comparison, which did not hold any more.
    pub resolved_value: Option<f64>,
}

/// Whether a rule could be evaluated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RuleHealth {
    /// Not evaluated yet.
    Unknown,
    /// The last evaluation succeeded.
    Ok,
    /// The last evaluation failed, and why.
    Err(String),
    /// The last evaluation succeeded, and why history refused something of what it gave.
    Unwritten(String),
}

impl RuleHealth {
    /// What went wrong.
    #[must_use]
    pub fn error(&self) -> Option<&str> {
        match self {
            Self::Unknown | Self::Ok => None,
            Self::Err(error) | Self::Unwritten(error) => Some(error),
        }
    }
}

/// What a rule makes.
#[derive(Clone, Debug, PartialEq)]
pub enum RuleKind {
    /// Alerts.
    Alerting {
        /// How long the condition has to hold, in milliseconds.
        for_millis: i64,
        /// How long a firing alert stays on after its condition ended, in milliseconds.
        keep_firing_for_millis: i64,
        /// The number that the expression compares with, where it is a comparison with one: `… > 0.9`.
        threshold: Option<f64>,
        /// Points that it costs in the score, where the configuration says so.
        weight: Option<f64>,
        /// Who looks after it, where the configuration says so.
        owner: Option<String>,
        /// The alerts that are pending or firing.
        alerts: Vec<AlertSnapshot>,
        /// Those that have stopped firing in the last 15 minutes; of equal labels at most two, the older one first.
        ended: Vec<EndedAlert>,
    },
    /// A series.
    Recording,
}

/// One rule.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleSnapshot {
    /// The alert's or the recorded metric's name.
    pub name: String,
    /// The expression, as written.
    pub query: String,
    /// Static labels (templates unexpanded), the group's included.
    pub labels: Labels,
    /// Annotations with their templates unexpanded.
    pub annotations: Labels,
    /// Whether it could be evaluated.
    pub health: RuleHealth,
    /// When it was last evaluated.
    pub last_evaluation: Option<Timestamp>,
    /// How long that took, in seconds.
    pub evaluation_seconds: f64,
    /// What it makes.
    pub kind: RuleKind,
}

/// One group of rules.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupSnapshot {
    /// The group's name, unique in its file.
    pub name: String,
    /// The file, or `pack:NAME` for a built-in one.
    pub file: String,
    /// How often it is evaluated, in milliseconds.
    pub interval_millis: i64,
    /// The most alerts or series a rule may make; 0 is no limit.
    pub limit: usize,
    /// When it was last evaluated.
    pub last_evaluation: Option<Timestamp>,
    /// How long that took, in seconds.
    pub evaluation_seconds: f64,
    /// The agent has only begun: what fired before and is not among the alerts may only not be seen to yet.
    pub settling: bool,
    /// Its rules, in order.
    pub rules: Vec<RuleSnapshot>,
}

/// All groups. A group shares its snapshot until it is evaluated again.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RulesSnapshot {
    /// The groups, by file and name.
    pub groups: Vec<Arc<GroupSnapshot>>,
    /// Why the rule files could not be loaded the last time, one line a problem; empty when they could.
    pub load_errors: Vec<String>,
}
