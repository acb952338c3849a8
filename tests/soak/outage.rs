//! Notifications through outages: a real Alertmanager is killed, frozen and started again, the agent is killed, receivers
//! refuse and lose answers. Nothing that fired is lost, and all of it arrives with its true times.

use std::fmt::Write as _;
use std::thread::sleep;
use std::time::Duration;

use jiff::Timestamp;
use rustix::process::Signal;

use crate::ONE_IN;
use crate::stage::{Agent, Alertmanager, QUEUES, Receiver, Reply, Setup, await_told, fire, firing_since, resolve, until};

/// Two minutes, or a few seconds where the end-to-end tests run a part of everything.
const OUTAGE: Duration = Duration::from_secs(if ONE_IN == 1 { 120 } else { 8 });

/// An agent with one rule that tells these targets.
fn agent(notify: &str) -> Agent {
    let mut setup = Setup::new();
    setup.rules = "  overlay: {queues: {Deep: {owner: platform}}}\n".to_owned();
    writeln!(setup.more, "history: {{resolution: 1s}}\nnotify:\n  external_url: http://agent.example/\n{notify}").unwrap();
    std::fs::write(setup.path("rules/queues.yml"), QUEUES).unwrap();
    setup.start()
}

#[test]
fn alertmanagers_and_a_webhook_are_told_of_what_fires_and_what_resolves() {
    let (behind, direct) = (Receiver::start(), Receiver::start());
    let (one, other) = (Alertmanager::start(behind.address), Alertmanager::start(behind.address));
    let agent = agent(&format!(
        "  resend_delay: 2s\n  alertmanagers: [{{url: 'http://{}'}}, {{url: 'http://{}/'}}]\n  webhooks: [{{name: hook, url: 'http://{}/x?y'}}]",
        one.address, other.address, direct.address
    ));
    let since = fire(&agent, "a");
    for alertmanager in [&one, &other] {
        let alert = until("Alertmanager to know", || alertmanager.alert("a"));
        let labels = serde_json::json!({"alertname": "Deep", "severity": "page", "queue": "a", "instance": "e2e"});
        let labels_told = alert["labels"].as_object().unwrap();
        assert!(labels.as_object().unwrap().iter().all(|(name, value)| labels_told.get(name) == Some(value)), "{alert}");
        assert_eq!(alert["startsAt"].as_str().unwrap().parse::<Timestamp>().unwrap(), since);
        let annotations = serde_json::json!({"summary": "a is deep", "owner": "platform"});
        assert_eq!((&alert["annotations"], &alert["status"]["state"]), (&annotations, &"active".into()));
        assert_eq!(alert["generatorURL"], "http://agent.example/graph?g0.expr=depth+%3E+5&g0.tab=1");
        // Told again: it would be over by now.
        let ends = |alert: &serde_json::Value| alert["endsAt"].as_str().unwrap().parse::<Timestamp>().unwrap();
        until("Alertmanager to be told again", || (ends(&alertmanager.alert("a")?) > ends(&alert)).then_some(()));
    }
    let told = await_told(&direct, "a", true);
    assert_eq!((told.starts, &told.alert["labels"]), (since, &one.alert("a").unwrap()["labels"]));
    assert_eq!(told.alert["fingerprint"], one.alert("a").unwrap()["fingerprint"]);
    assert!(direct.heads()[0].starts_with("POST /x?y HTTP/1.1\r\n"), "{:?}", direct.heads());

    let low = Timestamp::now();
    resolve(&agent, "a");
    let (through, at_once) = (await_told(&behind, "a", false), await_told(&direct, "a", false));
    assert_eq!((through.starts, at_once.starts), (since, since));
    assert_eq!(through.ends, at_once.ends, "both have the same end");
    let annotations = serde_json::json!({"summary": "a is deep", "owner": "platform", "resolved_value": "1"});
    assert_eq!((&through.alert["annotations"], &at_once.alert["annotations"]), (&annotations, &annotations));
    assert!(through.ends >= low && through.ends <= at_once.came, "{low} {through:?}");
    assert_eq!(direct.told("a").len(), 2, "a webhook is told once: {:?}", direct.told("a"));
    let metrics = agent.metrics();
    let listed = agent.get("/api/v1/alertmanagers").json()["data"]["activeAlertmanagers"].clone();
    let url = |alertmanager: &Alertmanager| serde_json::json!({"url": format!("http://{}/api/v2/alerts", alertmanager.address)});
    assert_eq!(listed, serde_json::json!([url(&one), url(&other)]));
    let key = format!("{{alertmanager=\"http://{}\"}}", one.address);
    let metric = |name: &str| metrics.value(&format!("{name}{key}"));
    assert!(metric("prometheus_notifications_sent_total") >= Some(3.0));
    assert_eq!(metric("prometheus_notifications_errors_total"), Some(0.0));
    assert_eq!(
        (metric("prometheus_notifications_queue_length"), metric("prometheus_notifications_queue_capacity")),
        (Some(0.0), Some(10_000.0))
    );
    assert_eq!(metrics.value("prometheus_notifications_alertmanagers_discovered"), Some(2.0));
}

#[test]
fn what_fired_while_alertmanager_and_the_agent_were_down_arrives_afterwards() {
    let (behind, direct) = (Receiver::start(), Receiver::start());
    let mut alertmanager = Alertmanager::start(behind.address);
    let mut agent = agent(&format!(
        "  alertmanagers: [{{url: 'http://{}'}}]\n  webhooks: [{{name: hook, url: 'http://{}'}}]",
        alertmanager.address, direct.address
    ));
    fire(&agent, "before");
    await_told(&behind, "before", true);
    alertmanager.kill();
    let since_short = fire(&agent, "short");
    resolve(&agent, "short");
    let since_long = fire(&agent, "long");
    let since_flaps = fire(&agent, "flaps");
    resolve(&agent, "flaps");
    let since_again = fire(&agent, "flaps");
    resolve(&agent, "before");
    let part = format!("notify:http://{}", alertmanager.address);
    until("the board to say so", || {
        let answer = agent.get("/readyz?verbose").body;
        answer.lines().any(|line| line.contains(&part) && line.contains("cannot connect")).then_some(())
    });
    sleep(OUTAGE / 2);
    // The short one is over, and only the disk knows of it.
    agent.restart(Signal::KILL);
    until("the long one to fire again", || firing_since(&agent, "long"));
    sleep(OUTAGE / 2);
    let back = Timestamp::now();
    alertmanager.restart();
    let short = (await_told(&behind, "short", true), await_told(&behind, "short", false));
    assert_eq!((short.0.starts, short.1.starts), (since_short, since_short));
    assert!(short.1.ends > since_short && short.1.ends < back, "{short:?}");
    let long = await_told(&behind, "long", true);
    assert_eq!(long.starts, since_long, "the true beginning, although the agent was killed since");
    // Killed, it does not remember that it has notified of this one; but it is told of its end.
    until("Alertmanager to be told of all ends", || (alertmanager.received("resolved") >= 3.0).then_some(()));
    // What is told last of an alert counts for it: that one fires.
    let starts = |alert: &serde_json::Value| alert["startsAt"].as_str().unwrap().parse::<Timestamp>().unwrap();
    until("it to be told that one fires again", || alertmanager.alert("flaps").filter(|alert| starts(alert) == since_again));
    // The webhook was there all the time.
    for (queue, firing) in [("before", true), ("before", false), ("short", true), ("short", false), ("long", true)] {
        let told: Vec<_> = direct.told(queue).into_iter().filter(|told| told.firing == firing).collect();
        assert_eq!(told.len(), 1, "{queue} (firing: {firing}): {told:?}");
        assert!(told[0].came < back);
    }
    let flaps: Vec<_> = direct.told("flaps").into_iter().map(|told| (told.firing, told.starts)).collect();
    assert_eq!(flaps, [(true, since_flaps), (false, since_flaps), (true, since_again)]);
    println!("an outage of {OUTAGE:?}: all of it arrived within {:.1} s", (Timestamp::now().duration_since(back)).as_secs_f64());
}

#[test]
fn a_frozen_alertmanager_is_told_once_it_answers_again() {
    let behind = Receiver::start();
    let alertmanager = Alertmanager::start(behind.address);
    let agent = agent(&format!("  alertmanagers: [{{url: 'http://{}', timeout: 1s}}]", alertmanager.address));
    alertmanager.freeze(true);
    let since = fire(&agent, "a");
    sleep(OUTAGE / 2);
    resolve(&agent, "a");
    sleep(OUTAGE / 2);
    let log = agent.log();
    assert!(log.contains("no answer within 1 s"), "{log}");
    alertmanager.freeze(false);
    assert_eq!(await_told(&behind, "a", false).starts, since);
    assert_eq!(await_told(&behind, "a", true).starts, since);
}

#[test]
fn answers_that_say_no_and_answers_that_are_lost() {
    let (as_alertmanager, as_webhook) = (Receiver::start(), Receiver::start());
    let agent = agent(&format!(
        "  alertmanagers: [{{url: 'http://{}', basic_auth: {{username: u, password: hunter2}}}}]\n  \
         webhooks: [{{name: hook, url: 'http://{}', authorization: {{credentials_file: /nonexistent}}}}]",
        as_alertmanager.address, as_webhook.address
    ));
    // A token that cannot be read is put right by a reload, and nothing is lost until then.
    let replies = [Reply::Status(500), Reply::Later, Reply::Nothing, Reply::Status(503)];
    as_alertmanager.will(&replies);
    let since = fire(&agent, "a");
    await_told(&as_alertmanager, "a", true);
    let told = as_alertmanager.told("a");
    assert_eq!(
        told.iter().map(|told| told.taken).collect::<Vec<_>>(),
        [false, false, false, false, true],
        "tried again each time: {told:?}"
    );
    assert!(told.iter().all(|told| told.firing && told.starts == since));
    assert!(told[2].came.duration_since(told[1].came).as_secs_f64() >= 1.0, "left alone as long as it wished");
    assert!(
        as_alertmanager.heads()[0].to_lowercase().contains("authorization: basic dtpodw50zxiy\r\n"),
        "{:?}",
        as_alertmanager.heads()[0]
    );

    assert!(as_webhook.told("a").is_empty());
    std::fs::write(agent.path("token"), "s3cret\n").unwrap();
    let configuration = agent.setup.configuration().replace("/nonexistent", agent.path("token").to_str().unwrap());
    std::fs::write(agent.path("sidewatch.yml"), configuration).unwrap();
    agent.signal(Signal::HUP);
    assert_eq!(await_told(&as_webhook, "a", true).starts, since);
    assert!(as_webhook.heads()[0].contains("authorization: Bearer s3cret\r\n"), "{:?}", as_webhook.heads()[0]);

    // 400: what is good of it was taken; the same is not sent again.
    as_alertmanager.will(&[Reply::Status(400)]);
    as_webhook.will(&[Reply::Status(400)]);
    fire(&agent, "b");
    until("both to refuse", || (as_alertmanager.is_done() && as_webhook.is_done()).then_some(()));
    fire(&agent, "c");
    for receiver in [&as_alertmanager, &as_webhook] {
        await_told(receiver, "c", true);
        assert_eq!(receiver.told("b").len(), 1, "{:?}", receiver.told("b"));
    }
    let dropped = agent.metrics().sum("sidewatch_notify_dropped_total", &["reason=\"refused\""]);
    assert_eq!(dropped, 2.0);
    let board = agent.get("/readyz?verbose").body;
    assert!(
        board.lines().any(|line| line.contains("refused:hook") && line.contains("it answers 400; 1 notifications were refused")),
        "{board}"
    );

    // 413: of two together it takes each.
    as_webhook.will(&[Reply::Status(503), Reply::Status(503), Reply::Status(503), Reply::Status(413)]);
    for queue in ["d", "e"] {
        fire(&agent, queue);
    }
    for queue in ["d", "e"] {
        await_told(&as_webhook, queue, true);
    }
    assert!(as_webhook.is_done());
    // Secrets are used and not shown.
    let shown = agent.get("/api/v1/status/config").body + &agent.log();
    assert!(shown.contains("<secret>") && !shown.contains("hunter2") && !shown.contains("s3cret"), "{shown}");
}

#[test]
fn in_need_a_fallback_is_told_and_a_command_is_told_in_order() {
    let (fallback, behind) = (Receiver::start(), Receiver::start());
    let mut alertmanager = Alertmanager::start(behind.address);
    let mut setup = Setup::new();
    let out = setup.path("out");
    writeln!(
        setup.more,
        "history: {{resolution: 1s}}\nnotify:\n  fallback_after: 2s\n  alertmanagers: [{{url: 'http://{}'}}]\n  \
         webhooks: [{{name: need, url: 'http://{}', fallback: true}}]\n  \
         commands: [{{name: file, command: [/bin/sh, -c, 'cat >> \"$0\"; echo >> \"$0\"', {}]}}]",
        alertmanager.address,
        fallback.address,
        out.display()
    )
    .unwrap();
    std::fs::write(setup.path("rules/queues.yml"), QUEUES).unwrap();
    let agent = setup.start();
    fire(&agent, "known");
    await_told(&behind, "known", true);
    assert!(fallback.told("known").is_empty());
    alertmanager.kill();
    let since = fire(&agent, "a");
    assert_eq!(await_told(&fallback, "a", true).starts, since);
    assert!(fallback.told("known").is_empty(), "Alertmanager knows of that one");
    alertmanager.restart();
    await_told(&behind, "a", true);
    fire(&agent, "b");
    await_told(&behind, "b", true);
    resolve(&agent, "a");
    await_told(&fallback, "a", false);
    await_told(&behind, "a", false);
    assert!(fallback.told("b").is_empty(), "the need is over");
    let told = || -> Vec<(String, String)> {
        let text = std::fs::read_to_string(&out).unwrap_or_default();
        let messages = text.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        let word = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        let alerts = messages.flat_map(|message| message["alerts"].as_array().unwrap().clone());
        alerts
            .filter(|alert| alert["labels"]["alertname"] == "Deep")
            .map(|alert| (word(&alert["labels"]["queue"]), word(&alert["status"])))
            .collect()
    };
    let expected = [("known", "firing"), ("a", "firing"), ("b", "firing"), ("a", "resolved")];
    until("the command to have been told", || (told().len() >= expected.len()).then_some(()));
    assert_eq!(told(), expected.map(|(queue, status)| (queue.to_owned(), status.to_owned())));
}
