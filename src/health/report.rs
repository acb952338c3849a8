//! What `/health` answers.

use std::collections::BTreeMap;

use super::config::{Recovery, Thresholds};
use crate::model::{FloatStyle, Labels, Part, Timestamp, format_float};

/// JSON has no number for what is endless: it is `"+Inf"` there, as in Prometheus.
fn measure<S: serde::Serializer>(value: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) if !value.is_finite() => serializer.serialize_str(&format_float(*value, FloatStyle::General)),
        value => serde::Serialize::serialize(value, serializer),
    }
}

/// The verdict in one word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum HealthState {
    /// All is well, or nearly.
    Healthy,
    /// Something is wrong.
    Degraded,
    /// A lot is wrong.
    Critical,
    /// The agent cannot see enough to judge.
    #[default]
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
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize)]
pub struct Deduction {
    /// What is wrong: `alert:NAME`, `signal:NAME` or `part:NAME`.
    pub signal: String,
    /// The service that it is about; absent where it is about all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// The most points that it can cost.
    pub weight: f64,
    /// The points that it costs, in tenths: the weight, or the part of it that a signal's value is on the way from good to bad; 0 for
    /// what is shown as a warning only.
    pub points: f64,
    /// Another reason of the same cause, which costs as much or more, as `alert:NAME` or `alert:NAME{SERVICE}`: then these points are
    /// not taken from the score.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub covered_by: Option<String>,
    /// The measured value; absent where there is no number.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "measure")]
    pub value: Option<f64>,
    /// What the value is compared with; absent where the rule compares with no number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f64>,
    /// The value of a signal that costs nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub good: Option<f64>,
    /// The value of a signal that costs the whole weight.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bad: Option<f64>,
    /// How many events the value rests on, where they are counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<f64>,
    /// Since when.
    pub since: Timestamp,
    /// `warning`, `critical`, … of an alert; the condition of a part.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub severity: String,
    /// How many alerts of this name are on; the one that has been on for longest is described.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alerts: Option<usize>,
    /// That alert's labels, or those of a signal's worst series.
    #[serde(skip_serializing_if = "Labels::is_empty")]
    pub labels: Labels,
    /// One sentence for a person.
    pub summary: String,
    /// Reasons with the same one are about one thing.
    #[serde(skip)]
    pub(super) cause: String,
}

impl Deduction {
    /// What is wrong and with which service: `alert:NAME{SERVICE}`.
    pub(super) fn named(&self) -> String {
        named(&self.signal, self.service.as_deref())
    }

    /// Whether its points are taken from the whole score.
    #[must_use]
    pub fn counts(&self) -> bool {
        self.covered_by.is_none() && self.points > 0.0
    }
}

/// Points that are taken from the score of a service.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Taken {
    /// The reason, which stands among the deductions of the whole.
    pub signal: String,
    /// The service that the reason is about; absent where it is about all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// How many.
    pub points: f64,
}

/// The verdict about one service.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct ServiceReport {
    /// Its name: the label `service_name`.
    pub service: String,
    /// 100 minus the points below, at least 0.
    pub score: f64,
    /// The verdict in one word.
    pub state: HealthState,
    /// Since when it is in this state.
    pub since: Timestamp,
    /// Since when the score is high enough for the next better state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recovering_since: Option<Timestamp>,
    /// What is taken from it: of the reasons about this service or all of them the most expensive one of each cause.
    pub deductions: Vec<Taken>,
    /// The status that `/health?service=NAME` answers with.
    #[serde(skip)]
    pub http_status: u16,
}

impl ServiceReport {
    /// The whole in one line: `degraded 75: -25 signal:errors{shop}`.
    #[must_use]
    pub fn line(&self) -> String {
        let reasons = self.deductions.iter().map(|taken| format!("-{} {}", taken.points, named(&taken.signal, taken.service.as_deref())));
        line(self.state, self.score, reasons)
    }
}

/// What is wrong and with which service: `alert:NAME{SERVICE}`.
fn named(signal: &str, service: Option<&str>) -> String {
    format!("{signal}{}", service.map(|service| format!("{{{service}}}")).unwrap_or_default())
}

fn line(state: HealthState, score: f64, why: impl Iterator<Item = String>) -> String {
    let why: Vec<_> = why.collect();
    let colon = if why.is_empty() { "" } else { ": " };
    format!("{} {score}{colon}{}", state.as_str(), why.join(", ")).replace(char::is_control, " ")
}

/// What became of a signal for one service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The value has been judged.
    Judged,
    /// Too few events to judge.
    Idle,
    /// There is no value.
    NoData,
}

/// A signal's value for one service, costing points or not.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct SignalReport {
    /// Its name.
    pub name: String,
    /// The service; absent where it is about all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// What became of it.
    pub verdict: Verdict,
    /// The value.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "measure")]
    pub value: Option<f64>,
    /// The value that costs nothing.
    pub good: f64,
    /// The value that costs the whole weight.
    pub bad: f64,
    /// The most points that it can cost.
    pub weight: f64,
    /// The points that it costs.
    pub points: f64,
    /// How many events the value rests on, where they are counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<f64>,
    /// The fewest events that are judged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count_min: Option<f64>,
}

/// By which numbers a score becomes a state.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize)]
pub struct Scale {
    /// Which scores give which state.
    pub thresholds: Thresholds,
    /// What it takes to leave a bad one.
    pub recovery: Recovery,
}

/// The verdict with all its reasons.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize)]
pub struct Report {
    /// 100 minus the points of all deductions that no other one covers, at least 0.
    pub score: f64,
    /// The verdict in one word.
    pub state: HealthState,
    /// Since when it is in this state.
    pub since: Timestamp,
    /// Since when the score is high enough for the next better state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recovering_since: Option<Timestamp>,
    /// When it was reached.
    pub at: Timestamp,
    /// By which numbers.
    pub scale: Scale,
    /// Every point lost, the most expensive reason first.
    pub deductions: Vec<Deduction>,
    /// Alerts whose condition holds but not for long enough yet: no points lost.
    pub pending: Vec<Deduction>,
    /// The same for each service.
    pub services: Vec<ServiceReport>,
    /// What the signals said, whether it costs points or not.
    pub signals: Vec<SignalReport>,
    /// Signals that could not be evaluated, and why.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub signal_errors: BTreeMap<String, String>,
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

    /// The whole in one line: `degraded 75: -25 alert:HostCpuHigh`.
    #[must_use]
    pub fn line(&self) -> String {
        let reasons = self.deductions.iter().filter(|reason| reason.counts());
        let reasons = reasons.map(|reason| format!("-{} {}", reason.points, reason.named()));
        let blind = self.blind.iter().map(|what| format!("cannot see: {what}"));
        line(self.state, self.score, reasons.chain(blind))
    }
}
