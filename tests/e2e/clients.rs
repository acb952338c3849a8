//! Clients from their registries, over every transport that each supports: every call they have, with exact totals.

use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::stage::{Agent, Setup, free_port, node, python, run, until};

/// How often each call is made.
const COUNT: u32 = 200;
/// That as a total.
const ALL: f64 = COUNT as f64;
/// The sum of 0 to 9 again and again.
const DIGITS: f64 = ALL * 4.5;

/// A name, labels that its series hold, and what they come to.
type Total<'a> = (&'a str, &'a [&'a str], f64);

/// An agent whose sets turn every 5 s, as the clients expect; `more` are further lines of `ingest`.
fn agent(more: &str) -> Agent {
    let mut setup = Setup::new();
    setup.ingest = format!("  set_interval: 5s\n{more}");
    setup.start()
}

/// The same with a stream socket that is configured so.
fn speaking(stream: &str) -> Agent {
    let mut setup = Setup::new();
    setup.ingest = "  set_interval: 5s\n".to_owned();
    setup.stream = format!(", {stream}");
    setup.start()
}

/// Runs a client to its end and answers what it printed.
fn calls(command: &mut Command, transport: &str, address: &str, mode: &str) -> serde_json::Value {
    let output = run(command.args([transport, address, mode, &COUNT.to_string()]));
    let said = [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned());
    assert!(output.status.success(), "{transport} {mode}: {said:?}");
    serde_json::from_str(&said[0]).unwrap_or_else(|error| panic!("{transport} {mode}: {error}: {said:?}"))
}

/// Waits until the set has shown its three members, as it does for an interval, and until all totals are what they should be.
fn settle(agent: &Agent, set: &str, totals: &[Total<'_>], refused: &[Total<'_>]) {
    until(&format!("three members of {set}"), || (agent.metrics().sum(set, &[]) == 3.0).then_some(()));
    let everything: [Total<'_>; 1] = [("sidewatch_ingest_refused_total", &[], refused.iter().map(|(_, _, count)| count).sum())];
    let begin = Instant::now();
    let off = loop {
        let metrics = agent.metrics();
        let expected = totals.iter().chain(refused).chain(&everything);
        let off = expected.filter_map(|(name, labels, expected)| {
            let found = metrics.sum(name, labels);
            // Sums of fractions may be added in any order.
            ((found - expected).abs() > 1e-9 * expected.abs()).then(|| format!("{name}{labels:?} is {found}, not {expected}"))
        });
        let off: Vec<_> = off.collect();
        if off.is_empty() || begin.elapsed() > Duration::from_secs(30) {
            break off;
        }
        sleep(Duration::from_millis(20));
    };
    assert!(off.is_empty(), "{off:#?}\n{}", agent.metrics().text());
}

/// What `refused` says of counts that would fall: Prometheus's counters cannot.
const FALLS: Total<'_> = ("sidewatch_ingest_refused_total", &["reason=\"negative_count\""], ALL);

fn datadog(transport: &str, address: &str, mode: &str, agent: &Agent) {
    let known = calls(&mut python("clients/datadog_calls.py"), transport, address, mode);
    assert_eq!(known["dropped"], 0);
    let sampled = known["sampled"].as_f64().unwrap();
    let north: &[&str] = &["shop=\"north\""];
    let totals: &[Total<'_>] = &[
        ("dd_calls_total", &["shop=\"north\"", "kind=\"a\""], ALL / 2.0),
        ("dd_calls_total", &["shop=\"north\"", "kind=\"b\""], ALL / 2.0),
        ("dd_pairs_total", north, ALL * 2.0),
        ("dd_counted_total", north, ALL * 3.0),
        ("dd_depth", north, ALL - 1.0),
        ("dd_size_count", north, ALL),
        ("dd_size_sum", north, DIGITS),
        ("dd_spread_count", north, ALL),
        ("dd_spread_sum", north, DIGITS),
        ("dd_took_seconds_count", north, ALL),
        ("dd_took_seconds_sum", north, DIGITS / 1000.0),
        ("dd_took_seconds_bucket", &["le=\"0.005\""], ALL * 0.6),
        ("dd_sampled_total", &[], sampled * 2.0),
        ("dd_weighed_count", &[], sampled * 2.0),
        ("dd_weighed_sum", &[], sampled * 8.0),
        ("dd_stamped_calls_total", north, 5.0),
        ("dd_stamped_depth", north, 7.0),
        ("dd_timed_seconds_count", north, 1.0),
        ("dd_distributed_count", north, 1.0),
        ("app_events_total", &["alert_type=\"error\"", "priority=\"low\"", "service_name=\"till\""], 1.0),
        ("app_events_total", &["alert_type=\"success\"", "priority=\"normal\""], 1.0),
        ("sidewatch_service_check_status", &["check=\"dd.up\"", "zone=\"a\"", "shop=\"north\""], 2.0),
    ];
    // A client that sums up sends what fell as nothing or once, so it is not asked to.
    settle(agent, "dd_users", totals, if mode == "aggregated" { &[] } else { &[FALLS] });
}

fn statsd(transport: &str, address: &str, mode: &str, agent: &Agent) {
    let known = calls(&mut python("clients/statsd_calls.py"), transport, address, mode);
    let sampled = known["sampled"].as_f64().unwrap();
    let totals: &[Total<'_>] = &[
        ("st_calls_total", &[], ALL),
        ("st_pairs_total", &[], ALL * 2.0),
        ("st_depth", &[], ALL - 1.0),
        ("st_moves", &[], ALL * 2.0),
        ("st_below", &[], 1.0 - ALL),
        ("st_took_seconds_count", &[], ALL),
        ("st_took_seconds_sum", &[], DIGITS / 1000.0),
        ("st_sampled_total", &[], sampled * 2.0),
        ("st_weighed_seconds_count", &[], sampled * 2.0),
        ("st_weighed_seconds_sum", &[], sampled * 8.0 / 1000.0),
        ("st_delta_seconds_sum", &[], 0.25),
        ("st_timed_seconds_count", &[], 1.0),
        ("st_decorated_seconds_count", &[], 1.0),
    ];
    settle(agent, "st_users", totals, &[FALLS]);
}

/// `moves` is what its signed gauge comes to in the dialect of the listener.
fn hot_shots(transport: &str, address: &str, mode: &str, moves: f64, agent: &Agent) {
    let known = calls(&mut node("clients/hot_shots_calls.js"), transport, address, mode);
    assert_eq!(known["errors"], serde_json::json!([]));
    let sampled = known["sampled"].as_f64().unwrap();
    let north: &[&str] = &["shop=\"north\""];
    let mut totals: Vec<Total<'_>> = vec![
        ("hs_calls_total", &["shop=\"north\"", "kind=\"a\""], ALL / 2.0),
        ("hs_calls_total", &["shop=\"north\"", "kind=\"b\""], ALL / 2.0),
        ("hs_pairs_total", north, ALL * 2.0),
        ("hs_depth", north, ALL - 1.0),
        ("hs_size_count", north, ALL),
        ("hs_size_sum", north, DIGITS),
        ("hs_spread_count", north, ALL),
        ("hs_spread_sum", north, DIGITS),
        ("hs_took_seconds_count", north, ALL),
        ("hs_took_seconds_sum", north, DIGITS / 1000.0),
        ("hs_sampled_total", &[], sampled * 2.0),
        ("hs_weighed_count", &[], sampled * 2.0),
        ("hs_weighed_sum", &[], sampled * 8.0),
        ("hs_timed_seconds_count", north, 1.0),
        ("hs_async_timed_seconds_count", north, 1.0),
        ("hs_async_spread_count", north, 1.0),
    ];
    if mode != "aggregated" {
        totals.push(("hs_moves", north, moves));
    }
    if mode != "telegraf" {
        totals.push(("app_events_total", &["alert_type=\"success\"", "priority=\"low\"", "service_name=\"till\""], 1.0));
        totals.push(("sidewatch_service_check_status", &["check=\"hs.up\"", "zone=\"a\"", "shop=\"north\""], 1.0));
    }
    settle(agent, "hs_users", &totals, if mode == "aggregated" { &[] } else { &[FALLS] });
}

fn path(agent: &Agent, name: &str) -> String {
    agent.path(name).display().to_string()
}

/// An agent that listens on an address over `udp` or `tcp`, configured so beside it, and that address.
fn listening(protocol: &str, more: &str) -> (Agent, String) {
    let address = format!("127.0.0.1:{}", free_port());
    (agent(&format!("  {protocol}: {{listen: [\"{address}\"]{more}}}\n")), address)
}

/// Every other call raises the gauge by 3, the others lower it by 1.
const MOVES: f64 = ALL;

#[test]
fn datadog_over_unix_datagrams() {
    for mode in ["single", "packed", "aggregated"] {
        let agent = agent("");
        datadog("unixgram", &path(&agent, "events.dgram.sock"), mode, &agent);
    }
}

#[test]
fn datadog_over_a_unix_stream() {
    for mode in ["single", "packed", "aggregated"] {
        let agent = agent("");
        datadog("unixstream", &path(&agent, "events.sock"), mode, &agent);
    }
}

#[test]
fn statsd_over_a_unix_stream() {
    for mode in ["single", "packed"] {
        let agent = speaking("dialect: statsd");
        statsd("unixstream", &path(&agent, "events.sock"), mode, &agent);
    }
}

#[test]
fn hot_shots_over_unix_datagrams() {
    for mode in ["single", "packed", "aggregated"] {
        let agent = agent("");
        // DogStatsD knows no changes: the last value counts.
        hot_shots("unixgram", &path(&agent, "events.dgram.sock"), mode, -1.0, &agent);
    }
}

#[test]
fn hot_shots_over_a_unix_stream() {
    for (mode, stream) in
        [("single", "dialect: statsd"), ("packed", "dialect: statsd"), ("telegraf", "dialect: statsd, tag_styles: [influxdb]")]
    {
        let agent = speaking(stream);
        hot_shots("unixstream", &path(&agent, "events.sock"), mode, MOVES, &agent);
    }
}

#[test]
fn datadog_over_udp() {
    for mode in ["single", "packed", "aggregated"] {
        let (agent, address) = listening("udp", ", dialect: dogstatsd");
        datadog("udp", &address, mode, &agent);
    }
}

#[test]
fn statsd_over_udp_and_tcp() {
    for (transport, mode) in [("udp", "single"), ("udp", "packed"), ("tcp", "single"), ("tcp", "packed")] {
        let (agent, address) = listening(transport, "");
        statsd(transport, &address, mode, &agent);
    }
}

#[test]
fn hot_shots_over_udp_and_tcp() {
    for (transport, mode) in [("udp", "single"), ("udp", "packed"), ("tcp", "single"), ("tcp", "aggregated")] {
        let (agent, address) = listening(transport, "");
        hot_shots(transport, &address, mode, MOVES, &agent);
    }
    let (agent, address) = listening("udp", ", tag_styles: [influxdb]");
    hot_shots("udp", &address, "telegraf", MOVES, &agent);
}
