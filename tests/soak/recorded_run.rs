//! The built-in packs under a real load: a busy CPU and a small filesystem that fills up. What the agent says meanwhile is
//! written to docs/recorded-run.md.

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::thread::{available_parallelism, sleep};
use std::time::{Duration, Instant};

use crate::stage::{Agent, Peer, Setup, Tmpfs, busy_loop};

const PREFACE: &str = "# A recorded run

The CPU is loaded and a small filesystem filled, then both are let go. This is what the agent said, with the built-in packs as
they are; a line stands where something changed. `make soak` writes this file.
";

/// The journal of one run.
struct Journal {
    begin: Instant,
    text: String,
    last: String,
}

impl Journal {
    fn note(&mut self, text: &str) {
        let second = self.begin.elapsed().as_secs();
        println!("{second:>4} s  {text}");
        writeln!(self.text, "{second:>4} s  {text}").unwrap();
    }

    /// Asks for alerts and score, notes what has changed, and answers the alerts with their states.
    fn look(&mut self, agent: &Agent) -> Vec<(String, String)> {
        let alerts = agent.get("/api/v1/alerts").json();
        let mut alerts: Vec<(String, String)> = alerts["data"]["alerts"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|alert| (alert["labels"]["alertname"].as_str().unwrap().to_owned(), alert["state"].as_str().unwrap().to_owned()))
            .collect();
        alerts.sort();
        let health = agent.get("/health");
        let report = health.json();
        let mut now = format!("health {} {}, HTTP {}", report["score"], report["state"].as_str().unwrap(), health.status);
        for (name, state) in &alerts {
            write!(now, "; {name} {state}").unwrap();
        }
        if now != self.last {
            self.note(&now);
            self.last = now;
        }
        alerts
    }

    /// Forgets what was noted so far.
    fn restart(&mut self) {
        *self = Self { begin: Instant::now(), text: String::new(), last: String::new() };
    }

    /// Looks every second until the alerts are as `state` wants them.
    fn watch(&mut self, agent: &Agent, what: &str, limit: Duration, mut state: impl FnMut(&[(String, String)]) -> bool) {
        let begin = Instant::now();
        while !state(&self.look(agent)) {
            assert!(begin.elapsed() < limit, "waited {limit:?} in vain: {what}\n{}", self.text);
            sleep(Duration::from_secs(1));
        }
    }
}

#[test]
fn a_load_of_cpu_and_filesystem_raises_the_packs_alerts_and_both_recover() {
    let small = Tmpfs::mount().expect("this needs root, to mount a small filesystem");
    let agent = Setup::new().start();
    let mut journal = Journal { begin: Instant::now(), text: String::new(), last: String::new() };
    // What else the machine does may hold the CPU's alerts for a while.
    let limit = Duration::from_mins(40);
    let ours = ["HostCpuCritical", "HostFilesystemSpaceCritical"];
    let has = |alerts: &[(String, String)], name: &str, state: &str| alerts.iter().any(|alert| alert.0 == name && alert.1 == state);

    let mut restless = Instant::now();
    journal.watch(&agent, "a minute of rest", limit, |alerts| {
        if !alerts.is_empty() {
            restless = Instant::now();
        }
        restless.elapsed() > Duration::from_mins(1)
    });
    // The time before that belongs to whatever else went on.
    journal.restart();
    let cores = available_parallelism().unwrap().get();
    journal.note(&format!("-- {cores} busy loops begin on {cores} cores, and 15.5 of 16 MiB are written"));
    let busy: Vec<Peer> = (0..cores).map(|_| busy_loop(&[])).collect();
    fs::write(small.path().join("fill"), vec![1; (31 << 20) / 2]).unwrap();
    journal.watch(&agent, "both pending", limit, |alerts| ours.iter().all(|name| alerts.iter().any(|alert| alert.0 == *name)));
    journal.watch(&agent, "both firing", limit, |alerts| ours.iter().all(|name| has(alerts, name, "firing")));
    let mut fallen = agent.get("/health").json();
    let named = fallen["deductions"].to_string();
    assert!(ours.iter().all(|name| named.contains(name)), "{named}");

    journal.note("-- the loops end, the file is removed");
    drop(busy);
    fs::remove_file(small.path().join("fill")).unwrap();
    journal.watch(&agent, "every alert gone", limit, <[_]>::is_empty);
    let recovered = agent.get("/health").json();
    assert!(recovered["score"].as_f64() > fallen["score"].as_f64(), "{recovered}");

    let parts = fallen.as_object_mut().unwrap().remove("parts").unwrap();
    assert!(parts.as_array().unwrap().iter().all(|part| part["condition"] == "ok"), "{parts}");
    let mut pretty = serde_json::to_string_pretty(&fallen).unwrap();
    pretty = pretty.replace(&small.path().display().to_string(), "/small");
    let text = format!(
        "{PREFACE}\n```text\n{}```\n\nThe answer of `/health` while both were firing, without the list of the agent's own parts, which were all well:\n\n```json\n{pretty}\n```\n",
        journal.text
    );
    fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/recorded-run.md"), text).unwrap();
}
