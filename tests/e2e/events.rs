//! Events from real processes, and from a process that sends nonsense.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::process::Stdio;
use std::time::Duration;

use crate::stage::{Agent, Peer, Setup, python, run, until};

#[test]
fn the_datadog_client_counts_exactly_over_the_datagram_socket() {
    let agent = Setup::new().start();
    let output = run(python("datadog_client.py").arg(agent.path("events.dgram.sock")).arg("5000"));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "dropped 0");

    let labels = ["shop=\"north\"", "kind=\"online\""];
    until("every order to be counted", || (agent.metrics().sum("client_orders_total", &labels) >= 5000.0).then_some(()));
    let metrics = agent.metrics();
    assert_eq!(metrics.sum("client_orders_total", &labels), 5000.0);
    assert_eq!(metrics.sum("client_packed_total", &["shop=\"north\""]), 3.0);
    assert_eq!(metrics.sum("client_depth", &["shop=\"north\""]), 4999.0);
    assert_eq!(metrics.sum("client_size_count", &["shop=\"north\""]), 5000.0);
    assert_eq!(metrics.sum("client_size_sum", &["shop=\"north\""]), 5000.0 * 4.5);
}

#[test]
fn four_processes_that_push_at_once_give_one_right_total() {
    const COUNT: u32 = 5_000;
    let agent = Setup::new().start();
    let mut pushers: Vec<Peer> = (0..4)
        .map(|_| {
            let mut command = python("pusher.py");
            command.arg(agent.path("events.sock")).arg(agent.path("events.dgram.sock"));
            Peer(command.arg(COUNT.to_string()).stdin(Stdio::null()).spawn().unwrap())
        })
        .collect();
    for pusher in &mut pushers {
        assert!(pusher.0.wait().unwrap().success());
    }

    let expected = f64::from(4 * COUNT);
    until("every event to be counted", || {
        let metrics = agent.metrics();
        let seen = [
            metrics.sum("pushed_total", &["over=\"stream\""]),
            metrics.sum("pushed_total", &["over=\"datagram\""]),
            metrics.sum("http_server_request_duration_seconds_count", &["http_route=\"/pushed\""]),
        ];
        assert!(seen.iter().all(|total| *total <= expected), "more than was sent: {seen:?}");
        (seen == [expected; 3]).then_some(())
    });
}

/// 10 MiB that look like nothing, the same in every run.
fn noise() -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(10 << 20);
    while bytes.len() < 10 << 20 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes
}

/// What the agent says it refused on its sockets.
fn refused(agent: &Agent) -> f64 {
    agent.metrics().sum("sidewatch_ingest_refused_total", &[])
}

/// Writes all of `bytes` over as many connections as the other side makes of it, and answers their number.
fn pour<Connection: Write>(bytes: &[u8], mut connect: impl FnMut() -> Connection) -> usize {
    let mut connections = 1;
    let mut connection = connect();
    for chunk in bytes.chunks(16 << 10) {
        match connection.write_all(chunk) {
            Ok(()) => {}
            Err(error) if matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) => {
                connection = connect();
                connections += 1;
            }
            Err(error) => panic!("{error}"),
        }
    }
    connections
}

#[test]
fn ten_mebibytes_of_noise_on_every_door_leave_the_agent_serving_with_the_refusals_counted() {
    let agent = Setup::new().start();
    let noise = noise();
    let before = refused(&agent);

    pour(&noise, || UnixStream::connect(agent.path("events.sock")).unwrap());
    until("the refusals of the stream to be counted", || (refused(&agent) > before).then_some(()));
    let after_stream = refused(&agent);

    let datagram = agent.datagram();
    for chunk in noise.chunks(8 << 10) {
        datagram.send(chunk).unwrap();
    }
    until("the refusals of the datagrams to be counted", || (refused(&agent) > after_stream).then_some(()));

    let refused_by_http = |agent: &Agent| agent.metrics().sum("sidewatch_http_refused_total", &["reason=\"malformed\""]);
    let connections = pour(&noise, || TcpStream::connect(agent.setup.http).unwrap());
    assert!(connections > 1, "HTTP took noise for a request");
    until("the refusals of HTTP to be counted", || (refused_by_http(&agent) >= 1.0).then_some(()));

    // It answers, it knows the reasons, and what is right is taken as ever.
    agent.send("{\"kind\":\"count\",\"name\":\"after_the_noise\",\"value\":1}\n");
    until("an event after the noise", || (agent.metrics().sum("after_the_noise_total", &[]) == 1.0).then_some(()));
    assert_eq!(agent.get("/livez").status, 200);
    for line in agent.metrics().text().lines() {
        let counted = line.starts_with("sidewatch_ingest_refused_total{") || line.starts_with("sidewatch_http_refused_total{");
        if counted && !line.ends_with(" 0") {
            println!("{line}");
        }
    }
}

#[test]
fn a_connection_lives_on_after_a_line_that_is_refused() {
    let agent = Setup::new().start();
    let before = refused(&agent);
    let mut stream = agent.stream();
    stream.write_all(b"{\"kind\":\"count\",\"name\":\"lines\",\"value\":1}\nthis is not an event\n{\"kind\":\"no such kind\"}\n").unwrap();
    stream.write_all(b"{\"kind\":\"count\",\"name\":\"lines\",\"value\":1}\n").unwrap();
    until("both good lines", || (agent.metrics().sum("lines_total", &[]) == 2.0).then_some(()));
    assert_eq!(refused(&agent) - before, 2.0);

    // The agent says nothing back and closes only when the sender has.
    stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    assert!(matches!(stream.read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut));
    stream.shutdown(Shutdown::Write).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    assert_eq!(stream.read(&mut [0]).unwrap(), 0);
}
