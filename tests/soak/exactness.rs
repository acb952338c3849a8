//! Eight senders that block, over streams and datagrams, in every language at once: each number on `/metrics` is the one
//! that was sent.

use std::fmt::Write as _;
use std::io::Write as _;
use std::thread;
use std::time::{Duration, Instant};

use crate::ONE_IN;
use crate::stage::{Agent, Exposition, Setup, until_within};

const SENDERS: usize = 8;
const EVENTS: u64 = 10_000_000 / ONE_IN;
const SHOPS: usize = 5;

/// What observations are made of, in the sender's unit: whole numbers, the bounds of buckets among them.
const WHOLE: [u32; 12] = [1, 2, 3, 5, 10, 25, 50, 64, 99, 100, 1000, 123_456];
/// Milliseconds, with bounds of the buckets (in seconds), fractions, and both ends of a wide range.
const MILLIS: [f64; 12] = [0.001, 0.37, 2.5, 5.0, 7.125, 10.0, 25.0, 99.9, 250.0, 1000.0, 2500.1, 60_000.0];

/// How often each of twelve values was observed.
type Observed = [u64; 12];

/// What one sender has sent.
#[derive(Clone, Default)]
struct Sent {
    events: u64,
    orders: [u64; SHOPS],
    sampled: u64,
    wait: Observed,
    size: [Observed; SHOPS],
    json: [u64; SHOPS],
    request: [Observed; SHOPS],
    answer: [Observed; SHOPS],
    level: u64,
    steps: u64,
    measured: Observed,
}

impl Sent {
    /// Adds the event with this number to what was sent, and writes its line.
    fn event(&mut self, sender: usize, number: u64, line: &mut String) {
        // The same mixture in every run, without a pattern that the lines' order could hide behind.
        let mixed = (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 17;
        let (shop, pick) = ((mixed % SHOPS as u64) as usize, (mixed / 7 % 12) as usize);
        let (whole, millis) = (WHOLE[pick], MILLIS[pick]);
        self.events += 1;
        match number % 10 {
            0 | 1 => {
                self.orders[shop] += u64::from(whole);
                write!(line, "exact.orders:{whole}|c|#sender:{sender},shop:{shop}")
            }
            2 => {
                self.sampled += 2 * u64::from(whole);
                write!(line, "exact.sampled:{whole}|c|@0.5|#sender:{sender}")
            }
            3 => {
                self.wait[pick] += 1;
                write!(line, "exact.wait:{millis}|ms|#sender:{sender}")
            }
            4 => {
                self.size[shop][pick] += 1;
                write!(line, "exact.size:{whole}|h|#shop:{shop}")
            }
            5 => {
                self.json[shop] += u64::from(whole);
                write!(line, r#"{{"kind":"count","name":"exact_json","value":{whole},"tags":{{"shop":"{shop}"}}}}"#)
            }
            6 | 7 => {
                self.request[shop][pick] += 1;
                self.answer[shop][pick] += 1;
                write!(
                    line,
                    r#"{{"kind":"request","method":"GET","route":"/exact/{shop}","status":200,"duration_ms":{millis},"bytes_out":{whole}}}"#
                )
            }
            8 => {
                self.level = number;
                write!(line, "exact.level:{number}|g|#sender:{sender}")
            }
            _ if number % 20 == 9 => {
                self.steps += 1;
                write!(line, r#"{{"kind":"gauge","name":"exact_steps","op":"add","value":1,"tags":{{"sender":"{sender}"}}}}"#)
            }
            _ => {
                self.measured[pick] += 1;
                write!(line, r#"{{"kind":"histogram","name":"exact_measured","unit":"ms","value":{millis}}}"#)
            }
        }
        .unwrap();
        line.push('\n');
    }
}

/// How a sender's lines travel.
enum Way {
    /// As many bytes a write as it happens.
    Stream,
    /// Datagrams of up to so many bytes; 0 for a line each.
    Datagrams(usize),
}

fn send(agent: &Agent, sender: usize, way: &Way) -> Sent {
    let (mut stream, datagram) = (agent.stream(), agent.datagram());
    let mut sent = Sent::default();
    let (mut lines, mut line) = (String::new(), String::new());
    let mut put = |lines: &mut String| {
        match way {
            Way::Stream => stream.write_all(lines.as_bytes()).unwrap(),
            Way::Datagrams(_) => assert_eq!(datagram.send(lines.as_bytes()).unwrap(), lines.len()),
        }
        lines.clear();
    };
    for number in 0..EVENTS / SENDERS as u64 {
        line.clear();
        sent.event(sender, number, &mut line);
        let room = match way {
            Way::Stream => 1000 + (number % 50_000) as usize,
            Way::Datagrams(bytes) => *bytes,
        };
        if !lines.is_empty() && lines.len() + line.len() > room {
            put(&mut lines);
        }
        lines.push_str(&line);
    }
    put(&mut lines);
    sent
}

/// Compares one histogram with what was observed: every bucket and the count exactly, the sum as closely as `within`.
fn compare(metrics: &Exposition, name: &str, labels: &[&str], observed: &Observed, values: &[f64; 12], within: f64) {
    let buckets = metrics.buckets(name, labels);
    assert!(buckets.len() > 2 && buckets.last().unwrap().0 == f64::INFINITY, "{name} {labels:?}: {buckets:?}");
    for (bound, count) in buckets {
        let below = observed.iter().zip(values).filter(|(_, value)| **value <= bound).map(|(count, _)| count);
        assert_eq!(count, below.sum::<u64>() as f64, "{name} {labels:?} up to {bound}");
    }
    assert_eq!(metrics.sum(&format!("{name}_count"), labels), observed.iter().sum::<u64>() as f64, "{name} {labels:?}");
    let expected: f64 = observed.iter().zip(values).map(|(count, value)| *count as f64 * value).sum();
    let sum = metrics.sum(&format!("{name}_sum"), labels);
    assert!((sum - expected).abs() <= within * expected, "{name} {labels:?}: sum {sum}, sent {expected}");
}

fn added(all: &[Sent], of: impl Fn(&Sent) -> &Observed) -> Observed {
    all.iter().fold([0; 12], |sum, sent| std::array::from_fn(|index| sum[index] + of(sent)[index]))
}

#[test]
fn all_that_eight_blocking_senders_send_is_counted_exactly() {
    let agent = Setup::new().start();
    let begin = Instant::now();
    let all: Vec<Sent> = thread::scope(|scope| {
        let senders: Vec<_> = (0..SENDERS)
            .map(|sender| {
                let way = match sender {
                    0 | 2 | 4 | 6 => Way::Stream,
                    1 => Way::Datagrams(0),
                    3 => Way::Datagrams(1400),
                    _ => Way::Datagrams(8000),
                };
                let agent = &agent;
                scope.spawn(move || send(agent, sender, &way))
            })
            .collect();
        senders.into_iter().map(|sender| sender.join().unwrap()).collect()
    });
    let events: u64 = all.iter().map(|sent| sent.events).sum();
    let metrics = until_within(Duration::from_mins(2), "every event to be counted", || {
        let metrics = agent.metrics();
        let counted = metrics.sum("sidewatch_ingest_events_total", &[]);
        assert!(counted <= events as f64, "more than was sent: {counted}");
        (counted == events as f64).then_some(metrics)
    });
    let seconds = begin.elapsed().as_secs_f64();

    assert_eq!(metrics.sum("sidewatch_ingest_refused_total", &[]), 0.0);
    let whole = WHOLE.map(f64::from);
    let seconds_of = MILLIS.map(|millis| millis / 1000.0);
    for (sender, sent) in all.iter().enumerate() {
        let own = format!("sender=\"{sender}\"");
        for (shop, orders) in sent.orders.iter().enumerate() {
            assert_eq!(metrics.sum("exact_orders_total", &[&own, &format!("shop=\"{shop}\"")]), *orders as f64);
        }
        assert_eq!(metrics.sum("exact_sampled_total", &[&own]), sent.sampled as f64);
        assert_eq!(metrics.sum("exact_level", &[&own]), sent.level as f64);
        assert_eq!(metrics.sum("exact_steps", &[&own]), sent.steps as f64);
        compare(&metrics, "exact_wait_seconds", &[&own], &sent.wait, &seconds_of, 1e-9);
    }
    for shop in 0..SHOPS {
        let label = format!("shop=\"{shop}\"");
        assert_eq!(metrics.sum("exact_json_total", &[&label]), all.iter().map(|sent| sent.json[shop]).sum::<u64>() as f64);
        compare(&metrics, "exact_size", &[&label], &added(&all, |sent| &sent.size[shop]), &whole, 0.0);
        let route = format!("http_route=\"/exact/{shop}\"");
        let (request, answer) = (added(&all, |sent| &sent.request[shop]), added(&all, |sent| &sent.answer[shop]));
        compare(&metrics, "http_server_request_duration_seconds", &[&route], &request, &seconds_of, 1e-9);
        compare(&metrics, "http_server_response_body_size_bytes", &[&route], &answer, &whole, 0.0);
    }
    compare(&metrics, "exact_measured_seconds", &[], &added(&all, |sent| &sent.measured), &seconds_of, 1e-9);
    println!("{events} events of {SENDERS} blocking senders, every number exact: {seconds:.1} s, CPU of the agent {:?}", agent.cpu_time());
}
