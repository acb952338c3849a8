//! Queues of a depth, each with an alert of its own that fires and resolves as a test wants, and what receivers are told of it.

use std::time::Duration;

use jiff::Timestamp;

use super::{Agent, Receiver, Told, until, until_within};

/// The longest pause between two attempts, and what a busy machine may add.
const COMES_BACK: Duration = Duration::from_mins(2);

/// A queue that is deeper than five is one alert.
pub(crate) const QUEUES: &str = r#"
groups:
  - name: queues
    interval: 1s
    rules:
      - alert: Deep
        expr: depth > 5
        labels: {severity: page}
        annotations: {summary: "{{ $labels.queue }} is deep"}
"#;

/// Tells the agent how deep a queue is.
fn set(agent: &Agent, queue: &str, depth: u32) {
    agent.send(&format!("{{\"kind\":\"gauge\",\"name\":\"depth\",\"value\":{depth},\"tags\":{{\"queue\":\"{queue}\"}}}}\n"));
}

/// Since when an alert fires by the agent's own word.
pub(crate) fn firing_since(agent: &Agent, queue: &str) -> Option<Timestamp> {
    let alerts = agent.get("/api/v1/alerts").json();
    let alerts = alerts["data"]["alerts"].as_array().unwrap().clone();
    let alert = alerts.into_iter().find(|alert| alert["labels"]["queue"] == queue && alert["state"] == "firing")?;
    Some(alert["activeAt"].as_str().unwrap().parse().unwrap())
}

/// Lets an alert fire, and answers since when.
pub(crate) fn fire(agent: &Agent, queue: &str) -> Timestamp {
    set(agent, queue, 9);
    until(&format!("{queue} to fire"), || firing_since(agent, queue))
}

/// Lets it resolve.
pub(crate) fn resolve(agent: &Agent, queue: &str) {
    set(agent, queue, 1);
    until(&format!("{queue} to resolve"), || firing_since(agent, queue).is_none().then_some(()));
}

/// Waits until a receiver has taken word of an alert's beginning, or its end.
pub(crate) fn await_told(receiver: &Receiver, queue: &str, firing: bool) -> Told {
    let taken = || receiver.told(queue).into_iter().find(|told| told.taken && told.firing == firing);
    until_within(COMES_BACK, &format!("word of {queue} (firing: {firing}): {:?}", receiver.told(queue)), taken)
}
