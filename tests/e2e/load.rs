//! Load that comes and goes: alerts go pending, then firing, the score names them, and both recover.
//!
//! The rules are the scenario's own, with a short `for`; `make soak` does the same with the built-in packs.

use std::fs;
use std::time::Duration;

use crate::stage::{Agent, Setup, Tmpfs, busy_loop, until, until_within};

/// Waits until the alert is in this state.
fn await_state(agent: &Agent, alert: &str, state: &str) {
    until_within(Duration::from_secs(60), &format!("{alert} to be {state}"), || (agent.alert_state(alert)? == state).then_some(()));
}

/// The alert's way from pending to firing, and its name among the reasons of the score.
fn await_alarm(agent: &Agent, alert: &str) {
    await_state(agent, alert, "pending");
    await_state(agent, alert, "firing");
    until(&format!("the score to name {alert}"), || {
        let health = agent.get("/health").json();
        let named = health["deductions"].as_array()?.iter().any(|deduction| deduction.to_string().contains(alert));
        (named && health["score"].as_f64()? < 100.0).then_some(())
    });
}

/// The end of the alert, and of its mention.
fn await_recovery(agent: &Agent, alert: &str) {
    await_state(agent, alert, "inactive");
    until(&format!("the score to name {alert} no more"), || (!agent.get("/health").body.contains(alert)).then_some(()));
}

#[test]
fn a_cpu_load_raises_its_alert_lowers_the_score_and_both_recover() {
    let agent = Setup::new().start();
    // Only this test runs anything at a nice value, so that no other load raises or holds the alert.
    agent.write_rules(
        "cpu.yml",
        "groups:\n  - name: cpu\n    interval: 1s\n    rules:\n      - alert: NiceCpuBusy\n        \
         expr: sum(rate(node_cpu_seconds_total{mode=\"nice\"}[10s])) > 0.3\n        for: 3s\n",
    );
    await_state(&agent, "NiceCpuBusy", "inactive");
    let busy = busy_loop(&["nice", "-n", "5"]);
    await_alarm(&agent, "NiceCpuBusy");
    drop(busy);
    await_recovery(&agent, "NiceCpuBusy");
}

#[test]
fn a_filesystem_that_fills_up_raises_its_alert_lowers_the_score_and_both_recover() {
    let Some(tmpfs) = Tmpfs::mount() else {
        eprintln!("SKIPPED: mounting a tmpfs is not permitted here");
        return;
    };
    let agent = Setup::new().start();
    let mountpoint = tmpfs.path().display();
    agent.write_rules(
        "filesystem.yml",
        &format!(
            "groups:\n  - name: filesystem\n    interval: 1s\n    rules:\n      - alert: SmallFull\n        \
             expr: node_filesystem_avail_bytes{{mountpoint=\"{mountpoint}\"}} / node_filesystem_size_bytes < 0.1\n        for: 3s\n"
        ),
    );
    await_state(&agent, "SmallFull", "inactive");
    fs::write(tmpfs.path().join("fill"), vec![1; 15 << 20]).unwrap();
    await_alarm(&agent, "SmallFull");
    fs::remove_file(tmpfs.path().join("fill")).unwrap();
    await_recovery(&agent, "SmallFull");
}
