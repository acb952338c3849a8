//! As systemd starts it: sockets that are passed by name, and the notifications that systemd waits for.

use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;

use crate::stage::{Agent, Setup, until};

/// An agent that systemd's own tool starts as soon as something comes in at `socket`.
fn activated(socket: &str, datagram: bool) -> Agent {
    let mut setup = Setup::new();
    let path = setup.path(socket).display().to_string();
    let mut line = vec!["systemd-socket-activate".to_owned()];
    if datagram {
        line.push("--datagram".to_owned());
    }
    line.extend(["--fdname=events".to_owned(), format!("--listen={path}")]);
    // The tool hands nothing of the environment on but a few names.
    setup.wrapper = Some(line);
    let agent = setup.spawn();
    until("systemd-socket-activate to listen", || Path::new(&path).exists().then_some(()));
    agent
}

#[test]
fn a_stream_socket_that_systemd_passes_is_taken_by_name() {
    let mut agent = activated("events.sock", false);
    // The first bytes are waiting in the socket before the agent exists.
    agent.send("{\"kind\":\"count\",\"name\":\"passed\",\"value\":1}\n");
    agent.await_ready();
    until("the event that started it", || (agent.metrics().sum("passed_total", &[]) == 1.0).then_some(()));
    agent.datagram().send(b"own:1|c").unwrap();
    until("an event over the agent's own socket", || (agent.metrics().sum("own_total", &[]) == 1.0).then_some(()));

    agent.signal(Signal::TERM);
    assert_eq!(agent.await_exit(Duration::from_secs(10)).code(), Some(0), "{}", agent.log());
    assert!(agent.path("events.sock").exists(), "a passed socket is systemd's to remove");
    assert!(!agent.path("events.dgram.sock").exists());
}

#[test]
fn a_datagram_socket_that_systemd_passes_is_taken_by_name() {
    let mut agent = activated("events.dgram.sock", true);
    agent.datagram().send(b"passed:1|c").unwrap();
    agent.await_ready();
    until("the event that started it", || (agent.metrics().sum("passed_total", &[]) == 1.0).then_some(()));
    agent.send("{\"kind\":\"count\",\"name\":\"own\",\"value\":1}\n");
    until("an event over the agent's own socket", || (agent.metrics().sum("own_total", &[]) == 1.0).then_some(()));

    agent.signal(Signal::TERM);
    assert_eq!(agent.await_exit(Duration::from_secs(10)).code(), Some(0), "{}", agent.log());
    assert!(agent.path("events.dgram.sock").exists(), "a passed socket is systemd's to remove");
    assert!(!agent.path("events.sock").exists());
}

/// Reads notifications until one has a line that begins with `line`, and answers that notification.
fn await_notification(socket: &UnixDatagram, line: &str) -> String {
    until(&format!("the notification {line}"), || {
        let mut buffer = [0; 4096];
        let size = socket.recv(&mut buffer).ok()?;
        let said = String::from_utf8_lossy(&buffer[..size]).into_owned();
        eprintln!("{said:?}");
        said.lines().any(|said| said.starts_with(line)).then_some(said)
    })
}

#[test]
fn systemd_is_told_ready_reloading_watchdog_and_stopping() {
    let mut setup = Setup::new();
    let path = setup.path("notify.sock");
    let systemd = UnixDatagram::bind(&path).unwrap();
    systemd.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    setup.environment.push(("NOTIFY_SOCKET".to_owned(), path.display().to_string()));
    setup.environment.push(("WATCHDOG_USEC".to_owned(), "2000000".to_owned()));
    let mut agent = setup.spawn();

    await_notification(&systemd, "READY=1");
    // Ready is said when it is so: the sockets are bound and HTTP answers.
    UnixStream::connect(agent.path("events.sock")).unwrap();
    assert_eq!(agent.get("/readyz").status, 200);
    await_notification(&systemd, "WATCHDOG=1");
    await_notification(&systemd, "WATCHDOG=1");

    agent.signal(Signal::HUP);
    let reloading = await_notification(&systemd, "RELOADING=1");
    assert!(reloading.contains("MONOTONIC_USEC="), "{reloading}");
    await_notification(&systemd, "READY=1");

    agent.signal(Signal::TERM);
    await_notification(&systemd, "STOPPING=1");
    assert_eq!(agent.await_exit(Duration::from_secs(10)).code(), Some(0));
}
