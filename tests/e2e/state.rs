//! The state folder: what is in it after a stop, when it is full, and when another agent wants it.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::symlink;
use std::time::Duration;

use rustix::process::Signal;

use crate::stage::{Agent, Receiver, Setup, Tmpfs, until, until_within};

fn order(agent: &Agent) {
    agent.send("{\"kind\":\"count\",\"name\":\"orders\",\"value\":1}\nwait:30|ms\ndepth:7|g\nnonsense\n");
}

fn await_orders(agent: &Agent, orders: f64) {
    until(&format!("{orders} orders"), || (agent.metrics().sum("orders_total", &[]) == orders).then_some(()));
}

#[test]
fn what_was_counted_survives_a_stop_and_a_kill() {
    let mut agent = Setup::new().start();
    for (round, signal) in [(1.0, Signal::TERM), (2.0, Signal::KILL), (3.0, Signal::INT), (4.0, Signal::KILL)] {
        order(&agent);
        await_orders(&agent, round);
        agent.restart(signal);
        let metrics = agent.metrics();
        let shown = ["orders_total", "wait_seconds_count", "depth", "sidewatch_ingest_refused_total"].map(|name| metrics.sum(name, &[]));
        assert_eq!(shown, [round, round, 7.0, round], "after {signal:?}: {}", agent.log());
        assert_eq!(metrics.value("sidewatch_journal_working"), Some(1.0));
    }
    // A stop leaves a snapshot and nothing to replay behind it; nothing is ever left half done.
    let files = fs::read_dir(agent.path("state/registry")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert!(files.into_iter().all(|name| !name.contains('.')), "put aside or unfinished");
}

#[test]
fn a_second_agent_is_refused_a_state_folder_that_is_in_use_and_says_so() {
    let agent = Setup::new().start();
    let second = Setup::new();
    symlink(agent.path("state"), second.path("state")).unwrap();
    let mut second = second.spawn();
    assert_eq!(second.await_exit(Duration::from_secs(10)).code(), Some(1));
    assert!(second.log().contains("another agent uses the state folder"), "{}", second.log());
}

#[test]
fn a_full_disk_degrades_to_memory_and_is_made_good_when_there_is_room_again() {
    let Some(tmpfs) = Tmpfs::mount() else {
        eprintln!("SKIPPED: mounting a tmpfs is not permitted here");
        return;
    };
    let setup = Setup::new();
    symlink(tmpfs.path(), setup.path("state")).unwrap();
    let mut agent = setup.start();
    order(&agent);
    await_orders(&agent, 1.0);
    let mut fill = File::create(tmpfs.path().join("fill")).unwrap();
    let full = loop {
        if let Err(error) = fill.write_all(&[1; 4096]).and_then(|()| fill.flush()) {
            break error;
        }
    };
    assert_eq!(full.kind(), ErrorKind::StorageFull);

    // The page that the journal ends in may take some more.
    let mut orders = 1.0;
    until("the agent to notice", || {
        order(&agent);
        orders += 1.0;
        await_orders(&agent, orders);
        (agent.metrics().value("sidewatch_journal_working") == Some(0.0)).then_some(())
    });
    let parts = agent.get("/readyz?verbose").body;
    assert!(parts.contains("in memory alone: cannot write to"), "{parts}");
    order(&agent);
    orders += 1.0;
    await_orders(&agent, orders);

    // What is still open takes room.
    drop(fill);
    fs::remove_file(tmpfs.path().join("fill")).unwrap();
    until_within(Duration::from_secs(120), "the journal to work again", || {
        (agent.metrics().value("sidewatch_journal_working") == Some(1.0)).then_some(())
    });
    agent.restart(Signal::KILL);
    assert_eq!(agent.metrics().sum("orders_total", &[]), orders, "{}", agent.log());
}

/// The alerts of the test's own rules that are active, as the agent shows them, without their values.
fn alerts(agent: &Agent) -> Vec<serde_json::Value> {
    let answer: serde_json::Value = serde_json::from_str(&agent.get("/api/v1/alerts").body).unwrap();
    let mut alerts = answer["data"]["alerts"].as_array().unwrap().clone();
    alerts.retain(|alert| ["Fires", "Kept", "Pends"].iter().any(|name| alert["labels"]["alertname"] == *name));
    alerts.sort_by_key(|alert| alert["labels"]["alertname"].to_string());
    alerts.iter_mut().for_each(|alert| drop(alert.as_object_mut().unwrap().remove("value")));
    alerts
}

#[test]
fn alerts_that_are_pending_firing_and_kept_firing_survive_a_kill_and_go_on() {
    let receiver = Receiver::start();
    let mut setup = Setup::new();
    setup.more = format!("history: {{resolution: 1s}}\nnotify: {{webhooks: [{{name: hook, url: 'http://{}'}}]}}\n", receiver.address);
    let rules = "groups:
- name: g
  interval: 1s
  rules:
  - {alert: Fires, expr: depth > 5, labels: {queue: fires}}
  - {alert: Kept, expr: 'depth > 5 and on () wide > 0', keep_firing_for: 1h, labels: {queue: kept}}
  - {alert: Pends, expr: depth > 5, for: 1h, labels: {queue: pends}}
";
    fs::write(setup.path("rules/g.yml"), rules).unwrap();
    let mut agent = setup.start();
    agent.send("depth:7|g\nwide:1|g\n");
    until("all to be active", || (alerts(&agent).len() == 3).then_some(()));
    agent.send("wide:0|g\n");
    until("one to be kept", || alerts(&agent)[1]["keepFiringSince"].is_string().then_some(()));
    let before = alerts(&agent);
    let states: Vec<_> = before.iter().map(|alert| alert["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["firing", "firing", "pending"]);
    let told = || ["fires", "kept", "pends"].map(|queue| receiver.told(queue).iter().map(|told| told.firing).collect::<Vec<_>>());
    let begun = [vec![true], vec![true], vec![]];
    until("what fires to be told", || (told() == begun).then_some(()));

    for signal in [Signal::KILL, Signal::TERM, Signal::KILL] {
        agent.restart(signal);
        until("the rules to be evaluated", || {
            let groups: serde_json::Value = serde_json::from_str(&agent.get("/api/v1/rules").body).unwrap();
            let evaluated = groups["data"]["groups"].as_array()?.iter().find(|group| group["name"] == "g")?["lastEvaluation"].as_str()?;
            (!evaluated.starts_with("0001")).then_some(())
        });
        assert_eq!(alerts(&agent), before, "after {signal:?}: {}", agent.log());
        assert_eq!(told(), begun, "nothing begins or ends because of {signal:?}");
    }
    // They end as any other: what was saved of them does not hold them.
    agent.send("depth:1|g\n");
    until_within(Duration::from_secs(90), "what is not kept to end", || {
        let names: Vec<_> = alerts(&agent).iter().map(|alert| alert["labels"]["alertname"].as_str().unwrap().to_owned()).collect();
        (names == ["Kept"]).then_some(())
    });
    until("the end to be told", || (told() == [vec![true, false], vec![true], vec![]]).then_some(()));
    let [begin, end] = <[_; 2]>::try_from(receiver.told("fires")).unwrap();
    assert_eq!((end.starts, &end.alert["annotations"]["resolved_value"]), (begin.starts, &"1".into()));
}
