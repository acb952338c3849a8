//! The score, of the whole and of each service, from real events.

use std::process::Command;

use serde_json::Value;

use crate::stage::{Agent, Setup, until};

fn setup() -> Setup {
    let mut setup = Setup::new();
    // What else goes on on this machine costs nothing here.
    setup.more = "history: {resolution: 1s}\nhealth:\n  interval: 1s\n  weights: {severity: {warning: 0, critical: 0}, part_degraded: 0}\n"
        .to_owned();
    setup
}

fn requests(agent: &Agent, service: &str, status: u16, count: usize) {
    let one = format!("{{\"kind\":\"request\",\"service\":\"{service}\",\"route\":\"/\",\"status\":{status},\"duration_ms\":10}}\n");
    agent.send(&one.repeat(count));
}

fn service(report: &Value, name: &str) -> Option<Value> {
    report["services"].as_array()?.iter().find(|service| service["service"] == name).cloned()
}

fn cli(agent: &Agent, arguments: &[&str]) -> (i32, String) {
    let url = format!("http://{}", agent.setup.http);
    let output = Command::new(Agent::program()).arg("health").args(["--url", &url]).args(arguments).output().unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
}

#[test]
fn each_service_has_its_own_score_which_a_reader_can_compute_and_history_keeps() {
    let agent = setup().start();
    requests(&agent, "shop", 200, 95);
    requests(&agent, "shop", 500, 5);
    requests(&agent, "blog", 200, 100);
    requests(&agent, "quiet", 500, 3);
    let report = until("the scores of the services", || {
        let report = agent.get("/health").json();
        let scores = ["shop", "blog", "quiet"].map(|name| service(&report, name).and_then(|service| service["score"].as_f64()));
        (scores.iter().all(Option::is_some) && scores[0]? < 100.0).then_some(report)
    });
    let score = |name: &str| service(&report, name).unwrap()["score"].as_f64().unwrap();
    assert_eq!((score("blog"), score("quiet"), score("shop")), (100.0, 100.0, report["score"].as_f64().unwrap()));
    let quiet =
        report["signals"].as_array().unwrap().iter().find(|signal| signal["service"] == "quiet" && signal["name"] == "request_errors");
    assert_eq!(quiet.unwrap()["verdict"], "idle", "{quiet:?}");

    // As docs/health.md says.
    let reasons = report["deductions"].as_array().unwrap();
    assert_eq!((reasons.len(), &reasons[0]["signal"]), (1, &Value::from("signal:request_errors")), "{reasons:?}");
    let [value, good, bad, weight] = ["value", "good", "bad", "weight"].map(|key| reasons[0][key].as_f64().unwrap());
    let lost = (weight * ((value - good) / (bad - good)).clamp(0.0, 1.0) * 10.0).round() / 10.0;
    assert!((0.04..0.06).contains(&value), "5 of 100 failed: {value}");
    assert_eq!(report["score"].as_f64(), Some(((100.0 - lost) * 10.0).round() / 10.0));

    let (code, line) = cli(&agent, &["--line"]);
    assert!(
        line.starts_with("healthy 8") && line.contains(": -1") && line.ends_with("signal:request_errors{shop}\n") && code == 0,
        "{code} {line}"
    );
    let (code, told) = cli(&agent, &["--service", "shop"]);
    assert!(told.starts_with("healthy 8") && told.contains("signal:request_errors{shop}") && code == 0, "{code} {told}");
    assert_eq!(cli(&agent, &["--service", "nobody"]).0, 3);
    until("history to have the score", || {
        let answer =
            agent.get("/api/v1/query?query=min_over_time(sidewatch_health_service_score%7Bservice%3D%22shop%22%7D%5B1m%5D)").json();
        (answer["data"]["result"][0]["value"][1].as_str()?.parse::<f64>().ok()? < 100.0).then_some(())
    });
}
