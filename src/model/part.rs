//! The condition of one part of the agent, as `/health` and `/readyz` show it.

use super::Timestamp;

/// How a part of the agent is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Condition {
    /// Not there yet.
    Starting,
    /// Working.
    Ok,
    /// Working with loss or on old data.
    Degraded,
    /// Not working.
    Failed,
}

/// One part of the agent: a socket, a collector, the rules, history.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Part {
    /// `socket:stream`, `collector:cpu`, `rules`, …
    pub name: String,
    /// How it is doing.
    pub condition: Condition,
    /// Why, where it is not well; else a word about what it does, or nothing.
    pub detail: String,
    /// Since when it has been in this condition.
    pub since: Timestamp,
    /// Whether the agent is ready only once this part is working.
    pub required: bool,
}
