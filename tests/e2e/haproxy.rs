//! With HAProxy: two servers, an agent beside each, and traffic that goes where the score is better.

use std::net::SocketAddr;

use crate::stage::{Agent, Haproxy, Setup, free_port, get, until};

/// A server's agent, and where it answers HAProxy.
struct Site {
    agent: Agent,
    check: SocketAddr,
}

/// An agent whose score falls by how long its queue is, 80 points at 100, and by nothing that else goes on on this machine. The server that it
/// stands beside is its own HTTP interface.
fn site(name: &str, answers: &str) -> Site {
    let check = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let mut setup = Setup::new();
    setup.instance = name.to_owned();
    setup.more = format!(
        "history: {{resolution: 1s}}\nhealth:\n  interval: 1s\n  recovery: {{after: 2s}}\n  \
         weights: {{severity: {{warning: 0, critical: 0}}, part_degraded: 0}}\n  signals:\n    queue: {{expr: queue_length, good: 0, bad: 100, weight: 80}}\n  \
         agent_check: {{listen: [{{address: \"{check}\"}}], answers: {{{answers}}}}}\n"
    );
    Site { agent: setup.start(), check }
}

impl Site {
    fn queue(&self, length: u32) {
        self.agent.send(&format!("{{\"kind\":\"gauge\",\"name\":\"queue_length\",\"value\":{length}}}\n"));
    }

    fn score(&self) -> f64 {
        self.agent.get("/health").json()["score"].as_f64().unwrap()
    }
}

fn balance(front: SocketAddr, sites: &[(&str, &Site)]) -> Haproxy {
    let mut text = format!(
        "defaults\n  mode http\n  timeout connect 2s\n  timeout client 5s\n  timeout server 5s\n\
         frontend front\n  bind {front}\n  default_backend sites\nbackend sites\n  balance roundrobin\n"
    );
    for (name, site) in sites {
        let (server, check) = (site.agent.setup.http, site.check);
        text.push_str(&format!(
            "  server {name} {server} weight 100 check inter 500ms rise 1 agent-check agent-addr {} agent-port {} agent-inter 200ms\n",
            check.ip(),
            check.port()
        ));
    }
    Haproxy::start(&text)
}

/// How many of 100 requests each of both servers gets.
fn shares(front: SocketAddr, haproxy: &Haproxy) -> [u64; 2] {
    let sessions = || ["one", "two"].map(|name| haproxy.server(name, "stot").parse::<u64>().unwrap());
    let before = sessions();
    for _ in 0..100 {
        assert_eq!(get(front, "/livez", "").unwrap().status, 200);
    }
    let after = sessions();
    [after[0] - before[0], after[1] - before[1]]
}

fn await_weight(haproxy: &Haproxy, server: &str, weight: &str) {
    until(&format!("{server} to have the weight {weight}"), || {
        (haproxy.server(server, "status") == "UP" && haproxy.server(server, "weight") == weight).then_some(())
    });
}

#[test]
fn haproxy_moves_traffic_away_from_the_score_that_falls_and_back() {
    let (one, two) = (site("one", ""), site("two", ""));
    let front = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let haproxy = balance(front, &[("one", &one), ("two", &two)]);
    one.queue(0);
    two.queue(0);
    await_weight(&haproxy, "one", "100");
    await_weight(&haproxy, "two", "100");
    let even = shares(front, &haproxy);
    assert!(even.iter().all(|share| (35..=65).contains(share)), "{even:?}");

    one.queue(100);
    until("the score to fall", || (one.score() == 20.0).then_some(()));
    await_weight(&haproxy, "one", "20");
    let moved = shares(front, &haproxy);
    assert!((5..=30).contains(&moved[0]), "20 of 120: {moved:?}");

    one.queue(0);
    await_weight(&haproxy, "one", "100");
    let back = shares(front, &haproxy);
    assert!(back.iter().all(|share| (35..=65).contains(share)), "{back:?}");
}

#[test]
fn haproxy_understands_every_answer() {
    let site = site("one", "degraded: drain, critical: down");
    let front = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let haproxy = balance(front, &[("one", &site)]);
    site.queue(0);
    await_weight(&haproxy, "one", "100");
    site.queue(50);
    until("the server to drain", || (haproxy.server("one", "status") == "DRAIN (agent)").then_some(()));
    site.queue(100);
    until("the server to be down", || (haproxy.server("one", "status") == "DOWN (agent)").then_some(()));
    let told = haproxy.server("one", "last_agt");
    assert!(told.contains("down (critical 20 signal:queue)"), "{told}");
    site.queue(0);
    await_weight(&haproxy, "one", "100");
}
