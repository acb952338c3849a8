//! Senders that do not wait, faster than anybody reads: what was sent is what was counted and what is reported as lost.

use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::thread;
use std::time::Duration;

use crate::ONE_IN;
use crate::stage::{Setup, free_port, until_within};

const SENDERS: u64 = 4;
const EVENTS: u64 = 4_000_000 / ONE_IN;

/// Sends this sender's numbered events without ever waiting but for the first and the last, so that all gaps lie between
/// two numbers. How many the kernel refused.
fn send(socket: &UnixDatagram, sender: u64) -> u64 {
    let events = EVENTS / SENDERS;
    let mut refused = 0;
    for seq in 1..=events {
        let event = format!(r#"{{"kind":"count","name":"overload","value":1,"sender":"worker-{sender}","seq":{seq}}}"#);
        socket.set_nonblocking(seq != 1 && seq != events).unwrap();
        match socket.send(event.as_bytes()) {
            Ok(size) => assert_eq!(size, event.len()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => refused += 1,
            Err(error) => panic!("{error}"),
        }
    }
    refused
}

#[test]
fn numbered_events_of_senders_that_do_not_wait_are_counted_or_reported_as_lost() {
    let agent = Setup::new().start();
    let refused: Vec<u64> = thread::scope(|scope| {
        let senders: Vec<_> = (0..SENDERS)
            .map(|sender| {
                let socket = agent.datagram();
                scope.spawn(move || send(&socket, sender))
            })
            .collect();
        senders.into_iter().map(|sender| sender.join().unwrap()).collect()
    });
    let all_refused: u64 = refused.iter().sum();
    assert!(all_refused > 0, "this was no overload");
    let metrics = until_within(Duration::from_secs(30), "every event to be counted or reported as lost", || {
        let metrics = agent.metrics();
        let counted = metrics.sum("overload_total", &[]);
        let lost = metrics.sum("sidewatch_ingest_lost_total", &["reason=\"gap\""]);
        assert!(counted + lost <= EVENTS as f64, "more than was sent: {counted} counted, {lost} lost");
        (counted + lost == EVENTS as f64).then_some(metrics)
    });
    for (sender, refused) in refused.iter().enumerate() {
        let lost = metrics.sum("sidewatch_ingest_lost_total", &["reason=\"gap\"", &format!("sender=\"worker-{sender}\"")]);
        assert_eq!(lost, *refused as f64, "worker-{sender}");
    }
    println!(
        "{EVENTS} numbered datagrams of {SENDERS} senders that do not wait: {} counted, {all_refused} reported as lost",
        EVENTS - all_refused
    );
}

#[test]
fn datagrams_over_udp_are_counted_or_dropped_by_the_kernels_own_count() {
    let mut setup = Setup::new();
    let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
    // Little room, so that a reader that is away for a moment is enough.
    setup.ingest = format!("  udp: {{listen: [\"{address}\"], dialect: dogstatsd, receive_buffer_bytes: 8192}}\n");
    let agent = setup.start();
    thread::scope(|scope| {
        for sender in 0..SENDERS {
            scope.spawn(move || {
                let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
                socket.connect(address).unwrap();
                let line = format!("overload.packets:1|c|#sender:{sender}");
                for _ in 0..EVENTS / SENDERS {
                    assert_eq!(socket.send(line.as_bytes()).unwrap(), line.len());
                }
            });
        }
    });
    let lost = until_within(Duration::from_secs(30), "every datagram to be counted or reported as dropped", || {
        let metrics = agent.metrics();
        let counted = metrics.sum("overload_packets_total", &[]);
        let lost = metrics.sum("sidewatch_ingest_refused_total", &["reason=\"kernel_drops\""]);
        assert!(counted + lost <= EVENTS as f64, "more than was sent: {counted} counted, {lost} lost");
        (counted + lost == EVENTS as f64).then_some(lost)
    });
    assert!(lost > 0.0, "this was no overload");
    println!("{EVENTS} datagrams over UDP: {} counted, {lost} dropped by the kernel and reported", EVENTS as f64 - lost);
}
