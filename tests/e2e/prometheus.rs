//! With Prometheus's own programs: the server that scrapes, and promtool that reads metrics and rules.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::process::Signal;

use crate::stage::{Agent, Asked, Prometheus, Setup, compare, get, node_exporter, promtool, recorded, rehearsed, until};

/// What promtool says about names that node_exporter has too, and that sidewatch keeps for that reason: the fields of
/// /proc/meminfo are spelled as the kernel spells them.
const OF_NODE_EXPORTER: &[(&str, &str)] = &[("node_memory_", "metric names should be written in 'snake_case' not 'camelCase'")];

#[test]
fn a_real_prometheus_scrapes_the_agent_and_answers_what_was_pushed_and_measured() {
    let agent = Setup::new().start();
    let prometheus = Prometheus::scraping(agent.setup.http);
    until("up to be 1", || (prometheus.value("up{job=\"sidewatch\"}") == Some(1.0)).then_some(()));

    agent.send("{\"kind\":\"count\",\"name\":\"orders\",\"value\":3,\"tags\":{\"shop\":\"a\"}}\n");
    agent.send(
        "{\"kind\":\"request\",\"service\":\"shop\",\"method\":\"GET\",\"route\":\"/items/{id}\",\"status\":200,\"duration_ms\":12.5}\n",
    );
    until("Prometheus to know the order", || (prometheus.value("orders_total{shop=\"a\",instance!=\"\"}") == Some(3.0)).then_some(()));
    until("Prometheus to know the request", || {
        let selector = "{http_route=\"/items/{id}\",http_response_status_code=\"200\",service_name=\"shop\"}";
        (prometheus.value(&format!("http_server_request_duration_seconds_sum{selector}")) == Some(0.0125)).then_some(())
    });

    let meminfo = fs::read_to_string("/proc/meminfo").unwrap();
    let total: f64 = meminfo.split_whitespace().nth(1).unwrap().parse().unwrap();
    assert_eq!(prometheus.value("node_memory_MemTotal_bytes"), Some(total * 1024.0));
    until("Prometheus to see the CPU at work", || prometheus.value("sum(rate(node_cpu_seconds_total[10s]))").filter(|cores| *cores > 0.5));
}

#[test]
fn a_real_prometheus_stores_the_trace_of_an_observation() {
    let agent = Setup::new().start();
    let prometheus = Prometheus::scraping(agent.setup.http);
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    agent.send(&format!("{{\"kind\":\"request\",\"service\":\"shop\",\"duration_ms\":250,\"trace_id\":\"{trace}\"}}\n"));
    let exemplars = until("Prometheus to know the trace", || {
        Some(prometheus.exemplars("http_server_request_duration_seconds_bucket")).filter(|exemplars| !exemplars.is_empty())
    });
    assert!(exemplars.iter().all(|(of, value)| of == trace && *value == 0.25), "{exemplars:?}");
}

#[test]
fn what_prometheuss_mixins_ask_about_rules_has_an_answer() {
    // Operators of Prometheus's mixin, of its dashboards and of the community's rules about Prometheus.
    const ASKED: [(&str, &str); 12] = [
        ("sum(increase(prometheus_rule_evaluation_failures_total{job=\"sidewatch\"}[10s])) by (job) > 0", "PrometheusRuleFailures"),
        (
            "sum(increase(prometheus_rule_group_iterations_missed_total{job=\"sidewatch\"}[10s])) by (job) >= 0",
            "PrometheusMissingRuleEvaluations",
        ),
        ("sum(rate(prometheus_rule_evaluations_total[10s])) > 0", "rules evaluated"),
        ("sum(increase(prometheus_rule_group_iterations_total[10s])) > 0", "iterations"),
        ("max(prometheus_rule_group_last_duration_seconds / prometheus_rule_group_interval_seconds) > 0", "a slow group"),
        ("min(time() - prometheus_rule_group_last_evaluation_timestamp_seconds) < 30", "a group that stands still"),
        ("max(prometheus_rule_group_duration_seconds{quantile=\"0.99\"}) > 0", "the dashboard's panel of groups"),
        ("count(prometheus_rule_group_duration_seconds{quantile!~\"0.01|0.05\"}) == 3", "the panel without the low quantiles"),
        ("prometheus_rule_evaluation_duration_seconds{quantile=\"0.5\"} > 0", "the median of a rule"),
        (
            "rate(prometheus_rule_evaluation_duration_seconds_sum[10s]) / rate(prometheus_rule_evaluation_duration_seconds_count[10s]) > 0",
            "the mean",
        ),
        ("prometheus_rule_group_rules{rule_group=~\".*;g\"} == 2", "rules"),
        ("sum(prometheus_rule_group_last_evaluation_samples) >= 1", "samples"),
    ];
    let agent = Setup::new().start();
    let prometheus = Prometheus::scraping(agent.setup.http);
    agent.write_rules(
        "r.yml",
        "groups: [{name: g, interval: 1s, rules: [{record: 'load:max', expr: max(node_load1)},\n\
         {record: broken, expr: node_cpu_seconds_total * on () node_cpu_seconds_total}]}]\n",
    );
    for (expression, what) in ASKED {
        until(what, || prometheus.value(expression));
    }
    let kinds = get(prometheus.address, "/api/v1/metadata", "").unwrap().json();
    for name in ["prometheus_rule_evaluation_duration_seconds", "prometheus_rule_group_duration_seconds"] {
        assert_eq!(kinds["data"][name][0]["type"], "summary", "{name}");
    }
    // The agent's own history knows them under the same names.
    until("history to know the median", || {
        let answer = agent.query("prometheus_rule_evaluation_duration_seconds{job=\"sidewatch\",quantile=\"0.5\"}");
        (answer.as_array().map(Vec::len) == Some(1)).then_some(())
    });
}

#[test]
fn the_past_of_a_guarded_prometheus_is_rehearsed_over() {
    let agent = Setup::new().start();
    let prometheus = Prometheus::guarded(agent.setup.http);
    let folder = agent.path("backtest");
    fs::create_dir(&folder).unwrap();
    let tls = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tls");
    fs::copy(tls.join("ca.pem"), folder.join("ca.pem")).unwrap();
    fs::write(folder.join("rules.yml"), "groups: [{name: g, interval: 1s, rules: [{alert: Scraped, expr: up == 1}]}]\n").unwrap();
    let backtest = |password: &str| {
        let http = format!("basic_auth: {{username: a, password: {password}}}\ntls_config: {{ca_file: ca.pem}}\n");
        fs::write(folder.join("http.yml"), http).unwrap();
        let url = format!("https://localhost:{}", prometheus.address.port());
        let mut command = Command::new(Agent::program());
        command.arg("backtest").arg("--rules").arg(folder.join("rules.yml")).args(["--since", "10s", "--json", "--url", &url]);
        let output = command.arg("--http.config.file").arg(folder.join("http.yml")).output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr))
    };
    let (_, told) = until("an alert over what Prometheus has scraped", || {
        Some(backtest("t0p")).filter(|(done, told)| *done && told.contains("Scraped"))
    });
    assert!(told.contains("\"firedAt\"") && !told.contains("\"firedAt\": null"), "{told}");
    let (done, told) = backtest("wrong");
    assert!(!done && told.contains("answers 401"), "{told}");
}

/// What a backtest has to get right: `for`, `keep_firing_for`, templates in labels, series that end, what other rules have recorded, a limit.
const REHEARSED: &str = r#"groups:
- name: fast
  interval: 1s
  rules:
  - {record: "q:depth:max", expr: "max by (q) (max_over_time(depth[4s]))"}
  - {record: "q:done:rate", expr: "sum by (q) (rate(done_total[6s]))"}
  - alert: High
    expr: "q:depth:max > 60"
    for: 2s
    keep_firing_for: 3s
    labels: {severity: '{{ if gt $value 92.0 }}critical{{ else }}warning{{ end }}', queue: "the {{ $labels.q }}"}
  - {alert: Now, expr: "max by (q) (depth) > 50"}
  - {alert: Gone, expr: "absent(beat)", for: 2s}
  - {alert: Beats, expr: "max(beat) > 0", for: 1s}
  - {alert: Busy, expr: "q:done:rate > 1"}
  - {alert: Fell, expr: "max by (q) (depth) < max by (q) (depth offset 4s) - 20"}
  - {alert: Spread, expr: "max_over_time((max by (q) (depth))[8s:1s]) - min_over_time((max by (q) (depth))[8s:1s]) > 40"}
- name: slow
  interval: 2s
  rules:
  - {record: "n:firing", expr: 'count(ALERTS{alertname=~"High|Now",alertstate="firing"})'}
  - {alert: Many, expr: "n:firing > 2", for: 2s, keep_firing_for: 4s}
  - {alert: Since, expr: 'time() - ALERTS_FOR_STATE{alertname="High"} > 4'}
  - alert: Top
    expr: "max(q:depth:max) > 70"
    labels: {top: '{{ with query "topk(1, q:depth:max)" }}{{ . | first | label "q" }}{{ end }}'}
- name: limited
  interval: 1s
  limit: 1
  rules:
  - {alert: One, expr: "max by (q) (depth) > 55"}
"#;

/// Edges are an interval off, of two groups where one reads what the other records, and more on a machine that is busy.
const EDGE: f64 = 4.0;

#[test]
fn a_backtest_over_a_real_prometheus_says_what_it_has_recorded_itself() {
    let mut setup = Setup::new();
    setup.more = "history: {resolution: 1s}\n".to_owned();
    let mut agent = setup.start();
    let depth = |q: &str, depth: u32| {
        agent.send(&format!("{{\"kind\":\"gauge\",\"name\":\"depth\",\"value\":{depth},\"tags\":{{\"q\":\"{q}\"}}}}\n"))
    };
    let done = |times| agent.send(&"{\"kind\":\"count\",\"name\":\"done\",\"tags\":{\"q\":\"a\"}}\n".repeat(times));
    // It is gone with its sender.
    let beat = || {
        let mut sender = agent.stream();
        sender.write_all(b"{\"kind\":\"gauge\",\"name\":\"beat\",\"value\":1,\"merge\":\"max\"}\n").unwrap();
        sender
    };
    depth("a", 10);
    depth("b", 10);
    done(1);
    let mut sender = Some(beat());
    agent.write_rules("r.yml", REHEARSED);
    let rules = agent.path("rules/r.yml");
    let prometheus = Prometheus::evaluating(agent.setup.http, &rules, "1s");
    let see = |what: &str, expression: &str| until(what, || prometheus.value(&format!("count({expression})")));
    let over = |name: &str| until(name, || prometheus.value(&format!("absent(ALERTS{{alertname=~\"{name}\"}})")));
    let fires = |alert: &str| see(alert, &format!("ALERTS{{alertstate=\"firing\",{alert}}}"));
    let now = || (SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64() * 1000.0).round() / 1000.0;
    fires("alertname=\"Beats\"");
    over("Gone|Spread");
    let start = now();

    depth("a", 90);
    fires("alertname=\"High\",q=\"a\"");
    depth("b", 95);
    fires("alertname=\"Many\"");
    fires("alertname=\"Top\",top=\"b\"");
    depth("b", 10);
    fires("alertname=\"Fell\",q=\"b\"");
    sender.take();
    fires("alertname=\"Gone\"");
    until("Busy", || {
        done(10);
        prometheus.value("count(ALERTS{alertstate=\"firing\",alertname=\"Busy\"})")
    });
    depth("a", 10);
    over("High");
    sender.replace(beat());
    over("Gone|Spread|Busy|Top|Many|Since");
    let asked = Asked { start, end: now() };

    let theirs = recorded(prometheus.address, &rules, asked);
    let address = format!("http://{}", prometheus.address);
    let (same, wrong) = compare(&theirs, &rehearsed(&rules, ["--url", &address], asked), EDGE, asked);
    assert!(wrong.is_empty() && same >= 14, "{same} alike, and: {wrong:#?}");

    // The same of what the agent has seen and saved itself.
    let ours = recorded(agent.setup.http, &rules, asked);
    let address = format!("http://{}", agent.setup.http);
    let (same, wrong) = compare(&ours, &rehearsed(&rules, ["--url", &address], asked), EDGE, asked);
    assert!(wrong.is_empty() && same >= 14, "{same} alike, and: {wrong:#?}");
    agent.signal(Signal::TERM);
    agent.await_exit(Duration::from_secs(20));
    let state = agent.path("state").display().to_string();
    let (same, wrong) = compare(&ours, &rehearsed(&rules, ["--history", &state], asked), EDGE, asked);
    assert!(wrong.is_empty() && same >= 14, "{same} alike, and: {wrong:#?}");
}

#[test]
fn promtool_complains_about_nothing_but_names_that_node_exporter_has() {
    let agent = Setup::new().start();
    agent.send(concat!(
        "{\"kind\":\"count\",\"name\":\"orders\",\"value\":3,\"tags\":{\"shop\":\"a\"}}\n",
        "{\"kind\":\"gauge\",\"name\":\"queue_depth\",\"value\":7}\n",
        "{\"kind\":\"histogram\",\"name\":\"payload\",\"value\":700,\"unit\":\"bytes\"}\n",
        "{\"kind\":\"request\",\"method\":\"GET\",\"route\":\"/\",\"status\":500,\"duration_ms\":1,\"bytes_out\":10,\"queue_ms\":2}\n",
    ));
    until("the events to be exposed", || (agent.metrics().sum("http_server_request_duration_seconds_count", &[]) > 0.0).then_some(()));

    agent.send("statsd.timer:12|ms|#shop:a\nstatsd.size:3|d|#shop:a\nstatsd.users:a|s\n");
    until("the timer to be exposed", || (agent.metrics().sum("statsd_timer_seconds_count", &[]) > 0.0).then_some(()));

    let ours = complaints(agent.metrics().text());
    let unlisted: Vec<_> = ours.iter().filter(|complaint| !listed(complaint)).collect();
    assert!(unlisted.is_empty(), "{unlisted:#?}");
    // The names are node_exporter's indeed.
    let theirs = complaints(&node_exporter(&["meminfo"]));
    let only_ours: Vec<_> = ours.difference(&theirs).collect();
    assert!(!ours.is_empty() && only_ours.is_empty(), "{only_ours:#?}");
}

/// Each complaint of `promtool check metrics`: a family's name and what is wrong with it.
fn complaints(exposition: &str) -> BTreeSet<String> {
    let (_, said) = promtool(&["check", "metrics"], exposition);
    said.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect()
}

fn listed(complaint: &str) -> bool {
    complaint
        .split_once(' ')
        .is_some_and(|(name, said)| OF_NODE_EXPORTER.iter().any(|(prefix, known)| name.starts_with(prefix) && said == *known))
}

#[test]
fn promtool_accepts_every_pack_and_passes_its_tests() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (folder, words) in [("rules", ["check", "rules"]), ("rules/tests", ["test", "rules"])] {
        let mut files = 0;
        for entry in fs::read_dir(root.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "yml") {
                files += 1;
                let (content, said) = promtool(&[words[0], words[1], path.to_str().unwrap()], "");
                assert!(content, "{}: {said}", path.display());
            }
        }
        assert!(files >= 2, "{folder}: {files} files");
    }
}
