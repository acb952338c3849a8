//! What HAProxy's agent-check is told. Source: HAProxy's configuration manual, `agent-check`; what 2.6 makes of each answer was
//! tried out.

use super::HealthState;
use super::report::{Deduction, Report};
use crate::ingest::InternetAddress;
use crate::model::PromDuration;

/// A reason is cut there.
const REASON_CHARS_MAX: usize = 120;

/// HAProxy's agent-check. A change closes its addresses and opens them again.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AgentCheck {
    /// Where to answer, such as `[{address: "0.0.0.0:10843"}]`, each with `service` for the score of one service in place of the whole
    /// one; none for not at all. Whoever reaches the address is answered.
    pub listen: Vec<AgentCheckListen>,
    /// What is answered in each state: `weight`, `drain`, `down` or `keep`.
    pub answers: Answers,
    /// The least percentage that `weight` answers, so that a trickle of traffic shows when the service is well again; with 0 it gets none.
    pub weight_min: u8,
    /// The most connections that are served at a time.
    pub connections_max: usize,
    /// How long a connection may take.
    pub timeout: PromDuration,
}

/// An address of the agent-check.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AgentCheckListen {
    /// Where to answer.
    pub address: InternetAddress,
    /// Whose score it is; the whole one if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
}

/// What is answered in each state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Answers {
    /// In state `healthy`.
    pub healthy: Answer,
    /// In state `degraded`.
    pub degraded: Answer,
    /// In state `critical`. `drain` and `down` take all servers out at once where they have a cause in common.
    pub critical: Answer,
    /// In state `unknown`.
    pub unknown: Answer,
}

/// An answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Answer {
    /// `up ready 75%`: traffic by the score.
    Weight,
    /// `drain`: no new sessions, established ones go on.
    Drain,
    /// `down #reason`: no traffic.
    Down,
    /// An empty line: HAProxy goes on as before.
    Keep,
}

impl Default for AgentCheck {
    fn default() -> Self {
        Self { listen: Vec::new(), answers: Answers::default(), weight_min: 1, connections_max: 64, timeout: PromDuration::from_secs(2) }
    }
}

impl Default for Answers {
    fn default() -> Self {
        Self { healthy: Answer::Weight, degraded: Answer::Weight, critical: Answer::Weight, unknown: Answer::Keep }
    }
}

impl AgentCheck {
    pub(super) fn check(&self) -> Vec<(&'static str, String)> {
        let mut problems = Vec::new();
        let earlier = |index: usize| self.listen.iter().take(index).map(|listen| listen.address);
        if let Some((_, twice)) = self.listen.iter().enumerate().find(|(index, listen)| earlier(*index).any(|one| one == listen.address)) {
            problems.push(("listen", format!("{} stands there twice", twice.address)));
        }
        if self.weight_min > 100 {
            problems.push(("weight_min", format!("{} is too much; it is at most 100", self.weight_min)));
        }
        if self.connections_max == 0 {
            problems.push(("connections_max", "0 is too little; it is at least 1".to_owned()));
        }
        if self.timeout < PromDuration::from_millis(10) {
            problems.push(("timeout", format!("{} is too short; it is at least 10ms", self.timeout)));
        }
        problems
    }

    /// The line that is answered for a service, or for the whole.
    pub(super) fn answer(&self, report: &Report, service: Option<&str>) -> String {
        let of_service = service.and_then(|name| report.services.iter().find(|service| service.service == name));
        let (state, score, reasons) = match of_service {
            Some(service) => (service.state, service.score, service.deductions.iter().map(|reason| reason.signal.clone()).collect()),
            None => {
                let counted = report.deductions.iter().filter(|reason| reason.counts());
                (report.state, report.score, counted.map(Deduction::named).collect::<Vec<_>>())
            }
        };
        let answer = match state {
            HealthState::Healthy => self.answers.healthy,
            HealthState::Degraded => self.answers.degraded,
            HealthState::Critical => self.answers.critical,
            HealthState::Unknown => self.answers.unknown,
        };
        match answer {
            // `up` alone does not undo `drain`, and `ready` alone does not undo `down`.
            Answer::Weight => format!("up ready {}%\n", score.floor().max(f64::from(self.weight_min))),
            Answer::Drain => "drain\n".to_owned(),
            Answer::Down => format!("down #{}\n", reason(state, score, &reasons)),
            Answer::Keep => "\n".to_owned(),
        }
    }
}

/// One line of plain characters.
fn reason(state: HealthState, score: f64, reasons: &[String]) -> String {
    let text = format!("{} {score} {}", state.as_str(), reasons.join(" "));
    let plain = text.chars().map(|c| if c.is_ascii_graphic() && c != '#' { c } else { ' ' });
    plain.take(REASON_CHARS_MAX).collect::<String>().trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::report::{ServiceReport, Taken};
    use crate::model::Timestamp;

    fn report(state: HealthState, score: f64) -> Report {
        let taken = Taken { signal: "alert:A\n#1".into(), service: None, points: 65.0 };
        let shop = ServiceReport {
            service: "shop".into(),
            score: 35.0,
            state: HealthState::Critical,
            since: Timestamp::default(),
            recovering_since: None,
            deductions: vec![taken],
            http_status: 503,
        };
        Report { score, state, services: vec![shop], ..Report::default() }
    }

    fn answer(answers: Answers, state: HealthState, score: f64, service: Option<&str>) -> String {
        AgentCheck { answers, ..AgentCheck::default() }.answer(&report(state, score), service)
    }

    #[test]
    fn the_weight_is_the_score_and_never_nothing() {
        let weight = |state, score| answer(Answers::default(), state, score, None);
        assert_eq!(weight(HealthState::Healthy, 100.0), "up ready 100%\n");
        assert_eq!(weight(HealthState::Degraded, 75.9), "up ready 75%\n");
        assert_eq!(weight(HealthState::Critical, 0.0), "up ready 1%\n");
        assert_eq!(weight(HealthState::Unknown, 75.0), "\n");
    }

    #[test]
    fn a_service_is_answered_for_by_itself_where_it_is_known() {
        let answers = Answers { critical: Answer::Down, degraded: Answer::Drain, ..Answers::default() };
        let told = |service| answer(answers, HealthState::Degraded, 75.0, service);
        assert_eq!(told(Some("shop")), "down #critical 35 alert:A  1\n");
        assert_eq!((told(Some("other")).as_str(), told(None).as_str()), ("drain\n", "drain\n"));
        let reason = Deduction { service: Some("shop".into()), ..Deduction::default() };
        let whole = Report {
            state: HealthState::Critical,
            deductions: vec![Deduction { signal: "signal:q".into(), points: 65.0, ..reason }],
            ..Report::default()
        };
        assert_eq!(AgentCheck { answers, ..AgentCheck::default() }.answer(&whole, None), "down #critical 0 signal:q{shop}\n");
    }

    #[test]
    fn a_reason_is_one_short_line() {
        let long = "x".repeat(1000);
        assert_eq!(reason(HealthState::Critical, 1.0, &[long]).len(), REASON_CHARS_MAX);
    }
}
