//! What `/health` answers.

use crate::model::{Labels, Part, Timestamp};

/// The verdict in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum HealthState {
    /// All is well, or nearly.
    Healthy,
    /// Something is wrong.
    Degraded,
    /// A lot is wrong.
    Critical,
    /// The agent cannot see enough to judge.
    Unknown,
}

impl HealthState {
    /// Every state, for metrics that show one series a state.
    pub const ALL: [Self; 4] = [Self::Healthy, Self::Degraded, Self::Critical, Self::Unknown];

    /// The state's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Critical => "critical",
            Self::Unknown => "unknown",
        }
    }
}

/// Points lost, and why.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Deduction {
    /// What is wrong: `alert:NAME` or `part:NAME`.
    pub signal: String,
    /// Points taken from 100; 0 for what is shown as a warning only.
    pub weight: f64,
    /// The measured value; absent where there is no number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<f64>,
    /// What the value is compared with; absent where the rule compares with no number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f64>,
    /// Since when.
    pub since: Timestamp,
    /// `warning`, `critical`, … of an alert; the condition of a part.
    pub severity: String,
    /// How many alerts of this name are on; the one that has been on for longest is described.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alerts: Option<usize>,
    /// That alert's labels.
    #[serde(skip_serializing_if = "Labels::is_empty")]
    pub labels: Labels,
    /// One sentence for a person.
    pub summary: String,
}

/// The verdict with all its reasons.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Report {
    /// 100 minus the weights of all deductions, at least 0.
    pub score: f64,
    /// The verdict in one word.
    pub state: HealthState,
    /// When it was reached.
    pub at: Timestamp,
    /// Every point lost, the most expensive reason first.
    pub deductions: Vec<Deduction>,
    /// Alerts whose condition holds but not for long enough yet: no points lost.
    pub pending: Vec<Deduction>,
    /// Why the agent cannot see, where it cannot.
    pub blind: Vec<String>,
    /// Every part of the agent.
    pub parts: Vec<Part>,
    /// The status that `/health` answers with.
    #[serde(skip)]
    pub http_status: u16,
}

impl Report {
    /// The status that `/health` answers with.
    #[must_use]
    pub const fn http_status(&self) -> u16 {
        self.http_status
    }
}
