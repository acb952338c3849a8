//! Three minutes of values that come and go around thresholds, as waves, and twenty rules over them in a real Prometheus and in the agent: what each has
//! recorded in `ALERTS` a backtest says afterwards, over either and over what is saved.

use std::f64::consts::TAU;
use std::fmt::Write as _;
use std::io::Write as _;
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustix::process::Signal;

use crate::stage::{Asked, Prometheus, Setup, compare, recorded, rehearsed, until};

const LENGTH: Duration = Duration::from_secs(200);
const EVERY: Duration = Duration::from_millis(500);

/// Where the slots of a group lie in an interval differs from server to server, and a rule may read what a group of another interval writes.
const EDGE: f64 = 3.0;
/// Of a hundred alerts so many may differ in Prometheus: a condition that holds for about as long as `for`, or a scrape that is late.
const PERCENT: usize = 5;
/// The same in the agent, whose slots are those of the backtest.
const PERCENT_OWN: usize = 1;

const RULES: &str = r#"groups:
- name: fast
  interval: 1s
  rules:
  - {record: "q:load:avg5", expr: "avg by (q) (avg_over_time(load[5s]))"}
  - {record: "q:jobs:rate10", expr: "sum by (q) (rate(jobs_total[10s]))"}
  - alert: High
    expr: "q:load:avg5 > 60"
    for: 3s
    keep_firing_for: 4s
    labels: {severity: '{{ if gt $value 80.0 }}critical{{ else }}warning{{ end }}', team: "team-{{ $labels.q }}"}
    annotations: {summary: '{{ $labels.q }} at {{ $value | printf "%.1f" }}'}
  - {alert: Now, expr: "max by (q) (load) > 50"}
  - {alert: Long, expr: "max by (q) (load) > 30", for: 15s, keep_firing_for: 3s}
  - {alert: Gone, expr: "absent(heart)", for: 3s}
  - {alert: Beats, expr: "max(heart) > 0", for: 2s}
  - {alert: Rate, expr: "q:jobs:rate10 > 5", for: 2s}
  - {alert: Fall, expr: "max by (q) (load) < max by (q) (load offset 5s) - 20"}
  - {alert: Spread, expr: "max_over_time((max by (q) (load))[20s:2s]) - min_over_time((max by (q) (load))[20s:2s]) > 70"}
  - {alert: Never, expr: "load > 1000"}
- name: slow
  interval: 2s
  rules:
  - {record: "n:firing", expr: 'count(ALERTS{alertname=~"High|Now",alertstate="firing"})'}
  - {alert: Many, expr: "n:firing > 2", for: 4s, keep_firing_for: 6s}
  - {alert: Since, expr: 'time() - ALERTS_FOR_STATE{alertname="High"} > 5'}
  - {alert: Changes, expr: "changes(heart[10s]) > 0", for: 2s}
  - {alert: Ahead, expr: "predict_linear(load{q='a'}[10s], 10) > 100", labels: {q: other}}
- name: choosy
  interval: 1s
  rules:
  - {alert: Slow, expr: 'q:load:avg5 > 20 unless on (q) ALERTS{alertname="High"}', keep_firing_for: 6s}
  - alert: Top
    expr: "max(q:load:avg5) > 70"
    labels: {top: '{{ with query "topk(1, q:load:avg5)" }}{{ . | first | label "q" }}{{ end }}'}
- name: limited
  interval: 1s
  limit: 2
  rules:
  - {alert: Few, expr: "max by (q) (load) > 55"}
  - {alert: FewLong, expr: "max by (q) (load) > 55", for: 6s}
"#;

#[test]
fn what_a_prometheus_and_the_agent_record_for_minutes_a_backtest_says_afterwards() {
    let mut setup = Setup::new();
    setup.more = "history: {resolution: 1s}\n".to_owned();
    let mut agent = setup.start();
    agent.write_rules("r.yml", RULES);
    let rules = agent.path("rules/r.yml");
    let prometheus = Prometheus::evaluating(agent.setup.http, &rules, "1s");
    let (mut events, mut heart) = (agent.stream(), None);
    let mut wave = |tick: u32| {
        let second = f64::from(tick) / 2.0;
        let mut lines = String::new();
        for (q, period, phase) in [("a", 40.0, 0.0), ("b", 23.0, 1.0), ("c", 61.0, 2.0)] {
            let load = 50.0 + 50.0 * (TAU * second / period + phase).sin();
            let jobs = 1 + (4.0 * (1.0 + (TAU * second / period / 0.8).sin())) as u32;
            writeln!(lines, "{{\"kind\":\"gauge\",\"name\":\"load\",\"value\":{load},\"tags\":{{\"q\":\"{q}\"}}}}").unwrap();
            writeln!(lines, "{{\"kind\":\"count\",\"name\":\"jobs\",\"value\":{jobs},\"tags\":{{\"q\":\"{q}\"}}}}").unwrap();
        }
        let load = if tick % 100 < 44 { 95 } else { 5 };
        writeln!(lines, "{{\"kind\":\"gauge\",\"name\":\"load\",\"value\":{load},\"tags\":{{\"q\":\"d\"}}}}").unwrap();
        events.write_all(lines.as_bytes()).unwrap();
        // It is gone with its sender.
        if tick % 70 < 40 {
            let line = format!("{{\"kind\":\"gauge\",\"name\":\"heart\",\"value\":{},\"merge\":\"max\"}}\n", tick / 2 + 1);
            heart.get_or_insert_with(|| agent.stream()).write_all(line.as_bytes()).unwrap();
        } else {
            heart = None;
        }
    };
    let begin = Instant::now();
    let mut tick = 0;
    let mut start = None;
    while begin.elapsed() < LENGTH {
        wave(tick);
        tick += 1;
        // When ranges are full.
        if begin.elapsed() > Duration::from_secs(30) {
            start.get_or_insert_with(now);
        }
        sleep((EVERY * tick).saturating_sub(begin.elapsed()));
    }
    let asked = Asked { start: start.unwrap(), end: now() - 5.0 };
    until("the last evaluations", || (now() > asked.end + 8.0).then_some(()));

    let judge = |what: &str, percent: usize, recorded: &Vec<_>, rehearsed: Vec<_>| {
        let (same, wrong) = compare(recorded, &rehearsed, EDGE, asked);
        println!("over {what}: {} recorded, {} rehearsed, {same} alike to {EDGE} s: {wrong:#?}", recorded.len(), rehearsed.len());
        assert!(same >= 150 && wrong.len() * 100 <= same * percent, "{same} alike, {} not", wrong.len());
    };
    let url = |address| format!("http://{address}");
    let theirs = recorded(prometheus.address, &rules, asked);
    judge("Prometheus", PERCENT, &theirs, rehearsed(&rules, ["--url", &url(prometheus.address)], asked));
    let ours = recorded(agent.setup.http, &rules, asked);
    judge("the agent", PERCENT_OWN, &ours, rehearsed(&rules, ["--url", &url(agent.setup.http)], asked));
    agent.signal(Signal::TERM);
    agent.await_exit(Duration::from_secs(20));
    let state = agent.path("state").display().to_string();
    judge("what is saved", PERCENT_OWN, &ours, rehearsed(&rules, ["--history", &state], asked));
}

fn now() -> f64 {
    (SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64() * 1000.0).round() / 1000.0
}
