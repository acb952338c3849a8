//! systemd: sockets that it passes, and what it is told. Without systemd all of this does nothing.

use std::os::unix::net::{UnixDatagram, UnixListener};
use std::time::Duration;

use listenfd::ListenFd;
use sd_notify::NotifyState;

use crate::ingest::Passed;

/// The names under which sockets for events are passed: `FileDescriptorName=` in `sidewatch.socket`, and what systemd
/// calls them when that is left out. Stream and datagram are told apart by their type.
const EVENT_SOCKETS: [&str; 2] = ["events", "sidewatch.socket"];

/// Takes the sockets that systemd passes (sd_listen_fds(3)).
pub(super) fn passed_sockets() -> Passed {
    let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
    let mut sockets = ListenFd::from_env();
    let mut passed = Passed::default();
    let names = names.split(':').map(Some).chain(std::iter::repeat(None));
    for (index, name) in (0..sockets.len()).zip(names) {
        match name {
            // Whoever passes no names passes nothing else.
            Some(name) if !name.is_empty() && name != "unknown" && !EVENT_SOCKETS.contains(&name) => {
                tracing::warn!(name, "a passed socket has no use here; known names: {}", EVENT_SOCKETS.join(", "));
            }
            _ => take(&mut sockets, index, &mut passed),
        }
    }
    passed
}

fn take(sockets: &mut ListenFd, index: usize, passed: &mut Passed) {
    if let Ok(Some(stream)) = sockets.take_unix_listener(index) {
        passed.stream = Some(stream);
    } else if let Ok(Some(datagram)) = sockets.take_unix_datagram(index) {
        passed.datagram = Some(datagram);
    } else {
        tracing::warn!(index, "a passed socket is neither a listening Unix stream socket nor a Unix datagram socket");
    }
}

/// Handles to the same sockets, for a part that is built anew after a reload.
pub(super) fn duplicate(passed: &Passed) -> std::io::Result<Passed> {
    Ok(Passed {
        stream: passed.stream.as_ref().map(UnixListener::try_clone).transpose()?,
        datagram: passed.datagram.as_ref().map(UnixDatagram::try_clone).transpose()?,
    })
}

/// How often the watchdog wants to be fed: twice in its time.
pub(super) fn watchdog_period() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|limit| limit / 2)
}

/// Tells systemd. A message that does not arrive changes nothing here, so it is only a word in the log.
pub(super) fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "cannot notify systemd");
    }
}

/// Tells systemd that a reload begins; [`NotifyState::Ready`] ends it.
pub(super) fn tell_reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => tracing::warn!(%error, "cannot tell systemd of the reload: no monotonic clock"),
    }
}
