//! Queries that want more than there is, one by one and a hundred at once, while somebody scrapes.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::scope;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::ONE_IN;
use crate::stage::{Agent, Setup, post, until, until_within};

/// Series that the agent holds, and samples of each in history before anybody asks.
const SERIES: u64 = if ONE_IN == 1 { 9_000 } else { 1_000 };
const SLOTS: f64 = if ONE_IN == 1 { 30.0 } else { 3.0 };
/// What a query and an answer may take; the defaults are 30 s.
const QUERY_S: u64 = if ONE_IN == 1 { 10 } else { 2 };
const ANSWER_S: u64 = QUERY_S + 2;
const AT_ONCE: usize = 100;

/// Instant queries; all ask for every series there is, or for more work than an agent should do.
fn hostile() -> Vec<(&'static str, String)> {
    let all = r#"{__name__=~".+"}"#;
    vec![
        ("nested subqueries", format!("max_over_time(avg_over_time(rate({all}[1h])[1h:1s])[6h:1s])")),
        ("subqueries of sums", format!("sum(sum_over_time(sum by (i) (increase({all}[5m]))[6h:1s])) + sum(max_over_time({all}[6h:1s]))")),
        ("a subquery of a millisecond", "max_over_time(vector(time())[1y:1ms])".to_owned()),
        ("nested sorts", format!("{}{all}{}", "sort(quantile without (i) (0.5, ".repeat(30), "))".repeat(30))),
        ("a regular expression of nested repeats", r#"{__name__=~"((((a{0,100}){0,100}){0,100}){0,100}){0,100}"}"#.to_owned()),
        ("a regular expression of Unicode classes", format!(r#"{{__name__=~"({})+"}}"#, r"\\pL{1,900}".repeat(200))),
        ("a regular expression that others go back in", r#"{i=~"(x+x+)+y|(.*)*(.*)*(.*)*(.*)*z"}"#.to_owned()),
        ("150 regular expressions", format!("{{{}}}", (0..150).map(|n| format!(r#"i=~".*{n}.*|.+""#)).collect::<Vec<_>>().join(","))),
        ("labels that double", format!("{}{all}{}", "label_replace(".repeat(30), r#", "i", "$1$1$1$1", "i", "(.*)")"#.repeat(30))),
        ("everything by everything", format!("count({all} * ignoring(i, job, instance, __name__) group_left() {all})")),
    ]
}

/// Status and time of a query.
fn ask(agent: &Agent, path: &str, query: &str, more: &str) -> (u16, Duration) {
    let form = format!("query={}{more}", crate::stage::escape(query));
    let begin = Instant::now();
    let headers = "Content-Type: application/x-www-form-urlencoded\r\n";
    let answer = post(agent.setup.http, path, headers, form.as_bytes()).unwrap();
    (answer.status, begin.elapsed())
}

/// How long a scrape takes.
fn scrape(agent: &Agent) -> Duration {
    let begin = Instant::now();
    assert_eq!(agent.get("/metrics").status, 200);
    begin.elapsed()
}

/// Median and longest, in ms.
fn figures(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    let millis = |time: &Duration| time.as_secs_f64() * 1e3;
    format!("median {:.1} ms, longest {:.1} ms of {}", millis(&times[times.len() / 2]), millis(times.last().unwrap()), times.len())
}

#[test]
fn hostile_queries_end_at_their_limits_and_scrapes_go_on() {
    let mut setup = Setup::new();
    setup.more = format!("  request_timeout: {ANSWER_S}s\npromql: {{timeout: {QUERY_S}s}}\nhistory: {{resolution: 1s}}\n");
    let agent = setup.start();
    let mut lines = String::new();
    for number in 0..SERIES {
        writeln!(lines, "hostile.requests:1|c|#route:/items/{},i:{number}", number % 20).unwrap();
    }
    agent.send(&lines);
    until_within(Duration::from_mins(2), "history to hold them", || {
        let counted = agent.query("min(count_over_time(hostile_requests_total[1h])) and count(hostile_requests_total)");
        let slots: f64 = counted[0]["value"][1].as_str()?.parse().ok()?;
        (slots >= SLOTS).then_some(())
    });
    let before: Vec<Duration> = (0..20).map(|_| scrape(&agent)).collect();
    let resident = agent.status_kib("VmRSS");

    let within = |said: &str, (status, took): (u16, Duration)| {
        assert!([200, 400, 422, 503].contains(&status), "{said}: {status}");
        assert!(took < Duration::from_secs(ANSWER_S + 10), "{said}: {took:?}");
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let range = format!("&start={}&end={now}&step=1", now - 10_999);
    for (said, query) in hostile() {
        let instant = ask(&agent, "/api/v1/query", &query, "");
        let range = ask(&agent, "/api/v1/query_range", &query, &range);
        println!("{said}: {} after {:.1?}; as a range of 11,000 steps {} after {:.1?}", instant.0, instant.1, range.0, range.1);
        within(said, instant);
        within(said, range);
    }

    let done = AtomicBool::new(false);
    let begin = Instant::now();
    let (answers, during) = scope(|scope| {
        let all = hostile();
        let askers: Vec<_> = (0..AT_ONCE)
            .map(|number| {
                let (said, query) = all[number % all.len()].clone();
                let agent = &agent;
                scope.spawn(move || (said, ask(agent, "/api/v1/query", &query, "")))
            })
            .collect();
        let scraper = scope.spawn(|| {
            let mut times = Vec::new();
            while !done.load(Ordering::Relaxed) {
                times.push(scrape(&agent));
            }
            times
        });
        let answers: Vec<_> = askers.into_iter().map(|asker| asker.join().unwrap()).collect();
        done.store(true, Ordering::Relaxed);
        (answers, scraper.join().unwrap())
    });
    let took = begin.elapsed();
    let mut statuses: BTreeMap<u16, usize> = BTreeMap::new();
    for (said, answer) in answers {
        within(said, answer);
        *statuses.entry(answer.0).or_default() += 1;
    }
    println!("{AT_ONCE} at once over {took:.1?}, answers by status: {statuses:?}");
    println!("a scrape of {SERIES} series: {} at rest; {} meanwhile", figures(before), figures(during.clone()));
    println!("resident {} MiB before, {} MiB at most", resident >> 10, agent.status_kib("VmHWM") >> 10);
    let longest = during.iter().max().unwrap();
    assert!(*longest < Duration::from_secs(5), "a scrape waited {longest:?}");

    // Nothing of it is left running.
    until("a modest query to be answered", || {
        let (status, took) = ask(&agent, "/api/v1/query", "count(hostile_requests_total)", "");
        (status == 200 && took < Duration::from_secs(1)).then_some(())
    });
}
