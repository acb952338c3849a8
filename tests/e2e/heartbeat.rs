//! The heartbeat: it comes, stays away while nobody can be told, and comes again.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::stage::{Agent, Alertmanager, Receiver, Setup, until};

/// A dead man's switch that remembers the heads of requests, and answers with a status.
struct Switch {
    address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
    status: Arc<AtomicU16>,
}

impl Switch {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let switch = Self { address: listener.local_addr().unwrap(), heads: Arc::default(), status: Arc::new(AtomicU16::new(200)) };
        let (heads, status) = (Arc::clone(&switch.heads), Arc::clone(&switch.status));
        thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let mut head = String::new();
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                while reader.read_line(&mut head).is_ok_and(|read| read > 2) {}
                heads.lock().unwrap().push(head);
                let status = status.load(Ordering::Relaxed);
                let _gone = write!(stream, "HTTP/1.1 {status} x\r\nContent-Length: 0\r\n\r\n");
            }
        });
        switch
    }

    fn count(&self) -> usize {
        self.heads.lock().unwrap().len()
    }

    fn await_more(&self, what: &str) {
        let before = self.count();
        until(what, || (self.count() > before + 1).then_some(()));
    }
}

fn part(agent: &Agent, name: &str) -> Option<(String, String)> {
    let health = agent.get("/health").json();
    let part = health["parts"].as_array()?.iter().find(|part| part["name"] == name)?.clone();
    Some((part["condition"].as_str()?.to_owned(), part["detail"].as_str()?.to_owned()))
}

fn held_back(agent: &Agent) -> f64 {
    agent.metrics().value("sidewatch_heartbeat_held_back_total{reason=\"delivery\"}").unwrap()
}

#[test]
fn a_heartbeat_comes_while_all_is_well_and_stays_away_while_nobody_can_be_told() {
    let (switch, behind) = (Switch::start(), Receiver::start());
    let mut alertmanager = Alertmanager::start(behind.address);
    let mut setup = Setup::new();
    let section =
        |every: &str, method: &str| format!("heartbeat: {{url: 'http://{}/ping?x', every: {every}, method: {method}}}\n", switch.address);
    let notify =
        format!("notify:\n  fallback_after: 1s\n  resend_delay: 1s\n  alertmanagers: [{{url: 'http://{}'}}]\n", alertmanager.address);
    setup.more = format!("history: {{resolution: 1s}}\n{notify}{}", section("1s", "GET"));
    // Always told of, so that it is noticed when nobody can be.
    let rules = "groups: [{name: w, interval: 1s, rules: [{alert: Watchdog, expr: vector(1), labels: {queue: w}}]}]\n";
    fs::write(setup.path("rules/watchdog.yml"), rules).unwrap();
    let agent = setup.start();
    switch.await_more("heartbeats");
    assert!(switch.heads.lock().unwrap()[0].starts_with("GET /ping?x HTTP/1.1\r\n"));
    until("Alertmanager to be told", || alertmanager.alert("w"));

    alertmanager.kill();
    until("heartbeats to be held back", || (held_back(&agent) > 0.0).then_some(()));
    // One may have been under way.
    let (count, held) = (switch.count(), held_back(&agent));
    until("more to be held back", || (held_back(&agent) >= held + 3.0).then_some(()));
    assert!(switch.count() <= count + 1, "{} after {count}", switch.count());
    let (condition, detail) = part(&agent, "heartbeat").unwrap();
    assert!(condition == "ok" && detail.starts_with(&format!("held back: http://{}: ", alertmanager.address)), "{condition}: {detail}");

    alertmanager.restart();
    switch.await_more("heartbeats again");

    // Another method, and a refusal.
    switch.status.store(500, Ordering::Relaxed);
    let text = fs::read_to_string(agent.path("sidewatch.yml")).unwrap();
    fs::write(agent.path("sidewatch.yml"), text.replace(&section("1s", "GET"), &section("2s", "POST"))).unwrap();
    until("a heartbeat by POST", || switch.heads.lock().unwrap().last().unwrap().starts_with("POST /ping?x ").then_some(()));
    until("the refusal to be told", || (part(&agent, "heartbeat")? == ("degraded".into(), "it answers 500".into())).then_some(()));
    switch.status.store(204, Ordering::Relaxed);
    until("it to be well again", || (part(&agent, "heartbeat")? == ("ok".into(), String::new())).then_some(()));
    let metrics = agent.metrics();
    assert!(metrics.value("sidewatch_heartbeat_sent_total{outcome=\"failed\"}") >= Some(1.0));
    assert!(metrics.value("sidewatch_heartbeat_last_success_timestamp_seconds") > Some(1.0));

    fs::write(agent.path("sidewatch.yml"), text.replace(&section("1s", "GET"), "")).unwrap();
    until("it to be switched off", || part(&agent, "heartbeat").is_none().then_some(()));
}
