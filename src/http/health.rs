//! `/health`, `/livez`, `/readyz` and Prometheus's `/-/healthy` and `/-/ready`.

use hyper::StatusCode;

use super::State;
use super::reply::{JSON, Reply};
use super::router::Call;
use crate::model::{Condition, Part};
use crate::runtime::Stage;

/// The score and its reasons, of the whole or of one service. The report itself knows the status code that its state is configured to have.
pub(super) fn report(call: &Call, state: &State) -> Reply {
    let report = state.health.borrow().clone();
    let as_line = call.params.has("line");
    let Some(name) = call.params.get("service") else {
        return tell(report.http_status(), as_line.then(|| report.line()), &*report);
    };
    match report.services.iter().find(|service| service.service == name) {
        Some(service) => tell(service.http_status, as_line.then(|| service.line()), service),
        None => {
            let known: Vec<_> = report.services.iter().map(|service| service.service.as_str()).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            Reply::text(
                StatusCode::NOT_FOUND,
                &format!("the service {name:?} has no score of its own (what is about others than these is judged as __other__): {known}"),
            )
        }
    }
}

/// The line where there is one, else all of it.
fn tell(status: u16, line: Option<String>, whole: &impl serde::Serialize) -> Reply {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    if let Some(line) = line {
        return Reply::text(status, &line);
    }
    match serde_json::to_vec_pretty(whole) {
        Ok(mut body) => {
            body.push(b'\n');
            Reply::new(status, JSON, body)
        }
        Err(error) => Reply::text(StatusCode::INTERNAL_SERVER_ERROR, &format!("the report cannot be written: {error}")),
    }
}

/// Alive: whoever gets this answer knows.
pub(super) fn live(_: &Call, _: &State) -> Reply {
    Reply::text(StatusCode::OK, "ok")
}

/// Ready: every required part works, and the agent is not about to stop.
pub(super) fn ready(call: &Call, state: &State) -> Reply {
    readiness(call.stage, &state.board.parts(), call.params.has("verbose"))
}

fn readiness(stage: Stage, parts: &[Part], verbose: bool) -> Reply {
    let missing = |part: &&Part| part.required && !works(part);
    let (status, line) = if stage != Stage::Running {
        (StatusCode::SERVICE_UNAVAILABLE, "stopping")
    } else if parts.iter().any(|part| missing(&part)) {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready")
    } else {
        (StatusCode::OK, "ready")
    };
    let mut text = line.to_owned();
    for part in parts.iter().filter(|part| verbose || missing(part)) {
        let mark = if works(part) { '+' } else { '-' };
        let optional = if part.required { "" } else { " (not required)" };
        let colon = if part.detail.is_empty() { "" } else { ": " };
        text.push_str(&format!("\n[{mark}] {} {}{colon}{}{optional}", part.name, condition(part.condition), part.detail));
    }
    Reply::text(status, &text)
}

const fn works(part: &Part) -> bool {
    matches!(part.condition, Condition::Ok | Condition::Degraded)
}

const fn condition(condition: Condition) -> &'static str {
    match condition {
        Condition::Starting => "starting",
        Condition::Ok => "ok",
        Condition::Degraded => "degraded",
        Condition::Failed => "failed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Timestamp;

    fn part(name: &str, condition: Condition, required: bool) -> Part {
        Part { name: name.into(), condition, detail: String::new(), since: Timestamp::default(), required }
    }

    fn text(reply: &Reply) -> (u16, &str) {
        (reply.status.as_u16(), std::str::from_utf8(&reply.body).expect("UTF-8"))
    }

    #[test]
    fn what_is_required_decides_and_is_named() {
        let mut parts = vec![
            part("collector:cpu", Condition::Failed, false),
            Part { detail: "host.yml:3:1: no such key".into(), ..part("rules", Condition::Failed, true) },
            part("socket", Condition::Degraded, true),
        ];
        assert_eq!(text(&readiness(Stage::Running, &parts, false)), (503, "not ready\n[-] rules failed: host.yml:3:1: no such key\n"));
        parts[1].condition = Condition::Starting;
        assert_eq!(readiness(Stage::Running, &parts, false).status, 503);
        parts[1] = part("rules", Condition::Ok, true);
        assert_eq!(text(&readiness(Stage::Running, &parts, false)), (200, "ready\n"));
        assert_eq!(
            text(&readiness(Stage::Running, &parts, true)),
            (200, "ready\n[-] collector:cpu failed (not required)\n[+] rules ok\n[+] socket degraded\n")
        );
    }

    #[test]
    fn an_agent_that_drains_is_stopping_however_well_it_is() {
        let parts = [part("rules", Condition::Ok, true)];
        for stage in [Stage::Draining, Stage::Stopping] {
            assert_eq!(text(&readiness(stage, &parts, false)), (503, "stopping\n"));
        }
    }
}
