//! Starting, reloading, stopping.

use std::io::Write;
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::process::Signal;

use crate::stage::{Setup, get, until};

#[test]
fn a_cold_start_is_ready_soon() {
    let agent = Setup::new().spawn();
    let ready = until("the agent to be ready", || {
        let answer = get(agent.setup.http, "/readyz", "").ok()?;
        (answer.status == 200).then(|| agent.begin.elapsed())
    });
    // The figure is asserted where the machine has nothing else to do, in the soak test.
    eprintln!("from start to ready: {} ms (asked every 20 ms)", ready.as_millis());
}

#[test]
fn sigterm_ends_the_agent_cleanly_and_its_sockets_are_gone() {
    let mut agent = Setup::new().start();
    let _idle = agent.stream();
    agent.signal(Signal::TERM);
    assert_eq!(agent.await_exit(Duration::from_secs(10)).code(), Some(0), "{}", agent.log());
    for name in ["events.sock", "events.dgram.sock"] {
        assert!(!agent.path(name).exists(), "{name} is still there");
    }
}

#[test]
fn what_was_sent_before_sigterm_is_not_lost_in_the_drain() {
    let mut agent = Setup::new().start();
    agent.send("{\"kind\":\"count\",\"name\":\"last_words\",\"value\":1}\n");
    agent.signal(Signal::INT);
    assert_eq!(agent.await_exit(Duration::from_secs(10)).code(), Some(0), "{}", agent.log());
}

#[test]
fn a_second_sigterm_ends_the_agent_at_once() {
    let mut setup = Setup::new();
    setup.more = "shutdown:\n  deadline: 1m\n".to_owned();
    let mut agent = setup.start();
    // An answer that is owed keeps the agent from ending before its deadline.
    let mut half = TcpStream::connect(agent.setup.http).unwrap();
    half.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n").unwrap();
    agent.signal(Signal::TERM);
    until("the agent to begin its drain", || UnixStream::connect(agent.path("events.sock")).is_err().then_some(()));
    agent.signal(Signal::TERM);
    agent.await_exit(Duration::from_secs(5));
}

#[test]
fn sighup_takes_a_changed_configuration_into_force() {
    let mut agent = Setup::new().start();
    until("the host to be known in history", || agent.query("up{job=\"node\",instance=\"e2e\"}").get(0).cloned());

    agent.setup.instance = "renamed".to_owned();
    std::fs::write(agent.path("sidewatch.yml"), agent.setup.configuration()).unwrap();
    agent.signal(Signal::HUP);
    until("the new name in history", || agent.query("up{job=\"node\",instance=\"renamed\"}").get(0).cloned());
    assert_eq!(agent.metrics().value("sidewatch_config_last_reload_successful"), Some(1.0));
}

#[test]
fn a_second_agent_is_refused_a_socket_that_is_in_use_and_says_so() {
    let agent = Setup::new().start();
    let mut second = Setup::new();
    second.more.clear();
    let text =
        second.configuration().replace(&second.path("events.sock").display().to_string(), &agent.path("events.sock").display().to_string());
    std::fs::write(second.path("sidewatch.yml"), text).unwrap();
    let mut second = second.spawn();
    let status = second.await_exit(Duration::from_secs(10));
    assert!(!status.success());
    assert!(second.log().contains(&agent.path("events.sock").display().to_string()), "{}", second.log());
    agent.send("{\"kind\":\"count\",\"name\":\"still_here\",\"value\":1}\n");
    until("the first agent to be served on", || (agent.metrics().sum("still_here_total", &[]) == 1.0).then_some(()));
}

#[test]
fn a_stale_socket_file_is_replaced() {
    let setup = Setup::new();
    drop(std::os::unix::net::UnixListener::bind(setup.path("events.sock")).unwrap());
    drop(std::os::unix::net::UnixDatagram::bind(setup.path("events.dgram.sock")).unwrap());
    let agent = setup.start();
    agent.send("{\"kind\":\"count\",\"name\":\"arrived\",\"value\":1}\n");
    until("the event", || (agent.metrics().sum("arrived_total", &[]) == 1.0).then_some(()));
}
