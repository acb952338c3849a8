//! Waiting for a state, never for a time.

use std::net::TcpListener;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Asks `state` again and again until it is there, and answers it. Fails the test after 30 s, naming `what` was awaited.
pub(crate) fn until<T>(what: &str, state: impl FnMut() -> Option<T>) -> T {
    until_within(Duration::from_secs(30), what, state)
}

/// [`until`] with a limit of one's own.
pub(crate) fn until_within<T>(limit: Duration, what: &str, mut state: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(reached) = state() {
            return reached;
        }
        assert!(begin.elapsed() < limit, "waited {limit:?} in vain: {what}");
        sleep(Duration::from_millis(20));
    }
}

/// A loopback port that nobody listens on at this moment.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
