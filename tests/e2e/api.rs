//! The query API byte for byte: numbers, times, layouts and mistakes, asked of the agent and of a real Prometheus. Nothing here
//! depends on what either has stored.

use crate::stage::{Prometheus, Setup, escape, get};

/// Numbers as Go writes them.
const NUMBERS: &[&str] = &[
    "0",
    "-0",
    "1",
    "0.1 + 0.2",
    "1 / 3",
    "-1 / 3",
    "1e6",
    "123456789012345",
    "1e20",
    "1e21",
    "-1e21",
    "1e-6",
    "1e-7",
    "9.99e-7",
    "0x1f",
    "1e308 * 10",
    "-1e308 * 10",
    "NaN",
    "Inf - Inf",
    "5e-324",
    "1.7976931348623157e308",
    "4.35",
    "0.1",
    "2^53",
    "2^53 + 1",
    "1e22",
    "100",
    "7.0",
    "time()",
    "-time()",
    "pi()",
    "exp(700)",
    "exp(-700)",
    "vector(0.30000000000000004)",
];

/// Times as parameters.
const TIMES: &[&str] = &[
    "0",
    "4",
    "1.5",
    "1.001",
    "1.0005",
    "-1",
    "-1.5",
    "-0.001",
    "1435781430.781",
    "1e3",
    "2015-07-01T20:10:51.781Z",
    "2015-07-01T20:10:51Z",
    "2015-07-01T20:10:51.781234567+02:00",
    "1969-12-31T23:59:59.999Z",
];

/// Questions with a mistake, or at an edge.
const QUESTIONS: &[&str] = &[
    "query",
    "query?query=",
    "query?query=&query=1&time=1",
    "query?query=time()&time=3&time=4",
    "query?query=1&time=1&timeout=&timeout=x",
    "query?query=1&time=now",
    "query?query=1&time=2015-07-01",
    "query?query=1&timeout=x",
    "query?query=1&timeout=-1s",
    "query?query=1&timeout=1e30",
    "query?query=foo%7B",
    "query?query=foo+bar",
    "query?query=sum(",
    "query?query=rate(foo)",
    "query?query=foo%5B5m",
    "query?query=%22text%22&time=7.25",
    "query?query=%22%5Cn%5Ct%5C%22%3C%3E%26%C3%A9%22&time=1",
    "query?query=vector(1)&time=1.25",
    "query?query=label_replace(vector(1),%22a%22,%22%3C%5C%5C%3E%26%C3%A9%22,%22%22,%22%22)&time=1",
    "query?query=absent(foo%7Ba=%22b%22%7D)&time=1",
    "query?query=sort_desc(vector(1)+or+label_replace(vector(2),%22a%22,%22b%22,%22%22,%22%22))&time=1",
    "query?query=vector(1)%5B3s:1s%5D&time=10.5",
    "query?query=foo&time=1",
    "query_range?query=1",
    "query_range?query=1&start=1&end=2",
    "query_range?query=1&start=1&end=2&step=0",
    "query_range?query=1&start=1&end=2&step=-1",
    "query_range?query=1&start=1&end=2&step=x",
    "query_range?query=1&start=1&end=2&step=1e30",
    "query_range?query=1&start=2&end=1&step=1",
    "query_range?query=1&start=0&end=11001&step=1",
    "query_range?query=time()&start=1.25&end=2.75&step=0.25",
    "query_range?query=time()&start=-1.5&end=1&step=500ms",
    "query_range?query=vector(1)&start=1&end=1&step=1h",
    "query_range?query=foo&start=1&end=2&step=1",
    "query_range?query=vector(1)+%3E+2&start=1&end=2&step=1",
    "series",
    "series?match[]=",
    "series?match[]=%7B%7D",
    "series?match[]=foo%7B",
    "series?match[]=1%2B1",
    "series?match[]=foo%5B5m%5D",
    "series?match[]=foo&start=x",
    "series?match[]=foo&end=x",
    "series?match[]=foo",
    "series?match[]=%7Ba=~%22.*%22%7D",
    "labels?match[]=%7B",
    "labels?start=x",
    "labels?match[]=foo",
    "label/foo/values",
    "label/foo/values?match[]=%7B%7D",
    "label/foo/values?match[]=foo%20bar",
    "label/foo/values?end=x",
    "query_exemplars?query=foo&start=2&end=1",
    "query_exemplars?query=foo&start=x",
    "query_exemplars?query=foo%7B",
    "query_exemplars?query=1",
    "query_exemplars?query=foo",
    "metadata?limit=x",
    "metadata?metric=absent_metric",
    "metadata?limit=0",
    "alerts",
    "rules?type=x",
    "alertmanagers",
    "format_query?query=foo/bar",
    "format_query?query=foo%7B",
    "format_query",
];

/// What 2.42, which Debian has, writes otherwise than Prometheus 3: an empty text has no places, and labels are not made safe for HTML.
fn as_of_version_3(body: &str) -> String {
    let body = body.replace(": 1:1: parse error: no expression", ": unknown position: parse error: no expression");
    let body = body.replace(": 1:1: parse error: unexpected end of input", ": unknown position: parse error: unexpected end of input");
    body.replace("\\u003c", "<").replace("\\u003e", ">").replace("\\u0026", "&")
}

/// Queries to be laid out.
const LAYOUTS: &[&str] = &[
    "a+b*c",
    "-a",
    "-1^2",
    "(a+b)*c",
    "sum(a)by(b)",
    "sum without(c,d)(rate(a{b='c',d=~\"e\\\\.f\"}[5m] offset -1h30m))",
    "topk(5,a)",
    "quantile by(x)(0.9,a)",
    "count_values('v',a)",
    "a and on(x,y)b or ignoring(z)c unless d",
    "a*on(x)group_left(y,z)b",
    "a==bool 1",
    "a@start()",
    "a[5m:1m]@ 1.5 offset 1d",
    "max_over_time(rate(a[5m])[1h:])",
    "{__name__=~'a|b',c!~'d'}",
    "label_replace(a,'b','$1-é','c','(.*)')",
    "time()",
    "0x1f+1e3+Inf+NaN+.5",
    "\"a\\nb\"",
    "a # remark",
    "histogram_quantile(0.99,sum by(le,service_name)(rate(http_server_request_duration_seconds_bucket{service_name=\"shop\"}[5m])))",
    "sum by(job,instance)(rate(node_cpu_seconds_total{mode!=\"idle\"}[5m]))/on(job,instance)group_left sum by(job,instance)(rate(node_cpu_seconds_total[5m]))>0.9",
    "(((a_long_name_of_a_metric_that_takes_room{label=\"value\"}+another_long_name_of_a_metric_that_takes_room)))*2",
    "clamp_max(a_long_name_of_a_metric_that_takes_room,clamp_min(another_long_name_of_a_metric_that_takes_room,vector(1)))",
    "-(a_long_name_of_a_metric_that_takes_room{label=\"value\"}+another_long_name_of_a_metric_that_takes_much_more_room)",
];

#[test]
fn numbers_times_and_mistakes_are_written_as_by_a_real_prometheus() {
    let agent = Setup::new().start();
    let prometheus = Prometheus::scraping(([127, 0, 0, 1], 9).into());
    let numbers = NUMBERS.iter().map(|number| format!("query?query={}&time=1435781430.781", escape(number)));
    let times = TIMES.iter().map(|time| format!("query?query=time()&time={}", escape(time)));
    let layouts = LAYOUTS.iter().map(|query| format!("format_query?query={}", escape(query)));
    let paths: Vec<String> = numbers.chain(times).chain(layouts).chain(QUESTIONS.iter().map(|question| (*question).to_owned())).collect();
    let differences: Vec<String> = paths
        .iter()
        .filter_map(|path| {
            let ask = |address| get(address, &format!("/api/v1/{path}"), "").unwrap_or_else(|error| panic!("{path}: {error}"));
            let (ours, theirs) = (ask(agent.setup.http), ask(prometheus.address));
            let differ = (ours.status, &ours.body) != (theirs.status, &as_of_version_3(&theirs.body));
            differ.then(|| format!("{path}\n  sidewatch:  {} {}\n  prometheus: {} {}", ours.status, ours.body, theirs.status, theirs.body))
        })
        .collect();
    assert!(differences.is_empty(), "{} of {} answers differ:\n{}", differences.len(), paths.len(), differences.join("\n"));
}
