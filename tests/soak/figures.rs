//! Start, memory, CPU at rest, and one total of many processes.

use std::os::unix::net::UnixDatagram;
use std::process::Stdio;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::stage::{Peer, Setup, python, until_within};

#[test]
fn a_cold_start_is_ready_in_under_100_milliseconds() {
    let mut millis: Vec<u128> = (0..20)
        .map(|_| {
            let mut setup = Setup::new();
            let path = setup.path("notify.sock");
            let systemd = UnixDatagram::bind(&path).unwrap();
            setup.environment.push(("NOTIFY_SOCKET".to_owned(), path.display().to_string()));
            let agent = setup.spawn();
            let mut buffer = [0; 4096];
            loop {
                let size = systemd.recv(&mut buffer).unwrap();
                if String::from_utf8_lossy(&buffer[..size]).lines().any(|line| line == "READY=1") {
                    return agent.begin.elapsed().as_millis();
                }
            }
        })
        .collect();
    millis.sort_unstable();
    // Of twenty, the slowest is the 99th percentile.
    println!("start to READY=1, 20 starts: fastest {} ms, median {} ms, slowest {} ms", millis[0], millis[10], millis[19]);
    assert!(millis[19] < 100, "{millis:?}");
}

#[test]
fn ten_minutes_with_the_defaults_stay_under_20_mebibytes_and_one_percent_of_a_core() {
    let agent = Setup::new().start();
    let begin = Instant::now();
    let before = agent.cpu_time();
    for minute in 1..=10_u32 {
        sleep(Duration::from_mins(u64::from(minute)).saturating_sub(begin.elapsed()));
        let share = (agent.cpu_time() - before).as_secs_f64() / begin.elapsed().as_secs_f64();
        let anonymous = agent.status_kib("RssAnon");
        println!(
            "minute {minute}: resident {} KiB ({anonymous} KiB anonymous), CPU {:.3} % of a core",
            agent.status_kib("VmRSS"),
            share * 100.0
        );
    }
    let share = (agent.cpu_time() - before).as_secs_f64() / begin.elapsed().as_secs_f64();
    assert!(agent.status_kib("VmRSS") < 20 << 10);
    assert!(share < 0.01);
}

#[test]
fn ten_processes_that_push_at_once_give_one_right_total() {
    const COUNT: u32 = 100_000;
    let agent = Setup::new().start();
    let begin = Instant::now();
    let pushers: Vec<Peer> = (0..10)
        .map(|_| {
            let mut command = python("pusher.py");
            command.arg(agent.path("events.sock")).arg(agent.path("events.dgram.sock")).arg(COUNT.to_string());
            Peer(command.stdin(Stdio::null()).spawn().unwrap())
        })
        .collect();
    for mut pusher in pushers {
        assert!(pusher.0.wait().unwrap().success());
    }
    let expected = f64::from(10 * COUNT);
    until_within(Duration::from_mins(1), "every event to be counted", || {
        let metrics = agent.metrics();
        let seen = [
            metrics.sum("pushed_total", &["over=\"stream\""]),
            metrics.sum("pushed_total", &["over=\"datagram\""]),
            metrics.sum("http_server_request_duration_seconds_count", &["http_route=\"/pushed\""]),
        ];
        assert!(seen.iter().all(|total| *total <= expected), "more than was sent: {seen:?}");
        (seen == [expected; 3]).then_some(())
    });
    let seconds = begin.elapsed().as_secs_f64();
    println!("{} events of ten Python processes, none lost: {seconds:.1} s, CPU of the agent {:?}", 30 * COUNT, agent.cpu_time());
}
