//! A datagram socket, on a thread of its own. A call takes all datagrams that wait, up to [`BATCH`], and waits itself
//! when there is none: where each line is a datagram, what a wake-up costs is most of what an event costs.
//! Which process each comes from is asked of the kernel, and settles whose session it is.
//! (A Unix datagram waits in its sender's own buffer and is never dropped by the kernel: `SO_RCVBUF` has no say here.)

use std::io::{self, ErrorKind, IoSliceMut};
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

use nix::cmsg_space;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, MultiHeaders, RecvMsg, UnixCredentials, recvmmsg};
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use tokio::time::Instant;

use super::Refusal;
use super::guests::Guests;
use super::kernel_drops::{self, KernelDrops};
use super::listener::{Place, Socket};
use super::peer::Credentials;
use super::task::{Ingest, PAUSE};
use crate::model::Condition;
use crate::runtime::{Stage, TaskContext};

/// How many datagrams one call takes.
const BATCH: usize = 32;
/// How long a call waits, so that what was collected is handed over, and a stop is noticed.
const WAIT: Duration = Duration::from_millis(100);
/// How often a UDP socket's datagrams are asked how many were dropped, and how often the table of sockets is.
const HEAR: Duration = Duration::from_millis(500);
const TABLE: Duration = Duration::from_secs(5);
/// How many are taken of those that wait when the agent stops; the kernel's own limit is far below.
const LEFT_MAX: usize = 100_000;

/// Receives until the agent drains.
///
/// # Errors
/// When the socket cannot be set up.
pub(super) fn receive(ingest: &Ingest, own: &Socket<OwnedFd>, context: &TaskContext) -> io::Result<()> {
    rustix::io::ioctl_fionbio(&own.socket, false)?;
    set_socket_timeout(&own.socket, Timeout::Recv, Some(WAIT))?;
    let mut datagrams = Datagrams::new(ingest, own);
    let detail = own.detail();
    let mut reported = false;
    while context.shutdown.stage() < Stage::Draining {
        context.pulse.beat();
        if !std::mem::replace(&mut reported, true) {
            ingest.report(&own.part, Condition::Ok, &detail);
        }
        if let Err(error) = datagrams.take(MsgFlags::MSG_WAITFORONE) {
            ingest.failed(&own.part, "receive", &error);
            reported = false;
            std::thread::sleep(PAUSE);
        }
        datagrams.count_drops(false);
        datagrams.guests.settle();
    }
    if own.retire() {
        let mut left = LEFT_MAX;
        while left > 0 {
            let taken = datagrams.take(MsgFlags::MSG_DONTWAIT).unwrap_or(0);
            left = if taken == 0 { 0 } else { left.saturating_sub(taken) };
        }
    }
    datagrams.count_drops(true);
    datagrams.guests.finish();
    Ok(())
}

/// The sessions of all senders, and the buffers they come into, each one byte larger than the limit: a datagram that
/// fills it was cut.
struct Datagrams<'s> {
    guests: Guests,
    socket: &'s OwnedFd,
    headers: MultiHeaders<()>,
    drops: Option<Drops>,
    buffers: [Vec<u8>; BATCH],
}

impl<'s> Datagrams<'s> {
    fn new(ingest: &Ingest, own: &'s Socket<OwnedFd>) -> Self {
        let size = ingest.shared.config().frame_bytes_max.get() + 1;
        Self {
            guests: Guests::new(&ingest.shared, own, &ingest.log),
            socket: &own.socket,
            // Room for credentials and nothing else: descriptors that somebody sends along are closed by the kernel.
            headers: MultiHeaders::preallocate(BATCH, own.credentials.then(|| cmsg_space!(UnixCredentials))),
            drops: Drops::of(own),
            // Zeroed by the system on first use: a page that no datagram reaches is never made.
            buffers: std::array::from_fn(|_| vec![0; size]),
        }
    }

    /// Takes what is there; how many datagrams that was.
    fn take(&mut self, flags: MsgFlags) -> io::Result<usize> {
        let mut arrived = [(0, None); BATCH];
        let mut slices = self.buffers.each_mut().map(|buffer| [IoSliceMut::new(buffer)]);
        let received = match recvmmsg(self.socket.as_raw_fd(), &mut self.headers, slices.iter_mut(), flags, None) {
            Ok(datagrams) => {
                let datagrams = datagrams.inspect(|one| {
                    if let Some(drops) = &mut self.drops {
                        drops.hear(one)
                    }
                });
                datagrams.zip(&mut arrived).map(|(one, place)| *place = (one.bytes, sender(&one))).count()
            }
            Err(error) => match io::Error::from(error) {
                error if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => return Ok(0),
                error => return Err(error),
            },
        };
        for (buffer, (size, sender)) in self.buffers.iter().zip(arrived).take(received) {
            let guest = self.guests.of(sender);
            let payload = buffer.get(..size).filter(|_| size < buffer.len());
            match (&mut guest.session, payload) {
                (None, _) => self.guests.turn_away(sender),
                (Some(session), Some(payload)) => {
                    if session.allows(size) {
                        session.received(size);
                        session.take(payload);
                    } else {
                        session.drop_payload(Refusal::Quota, payload);
                    }
                }
                (Some(session), None) => {
                    session.received(size);
                    session.refuse(Refusal::Truncated, buffer);
                }
            }
        }
        Ok(received)
    }

    /// Counts what the kernel has dropped since the last time.
    fn count_drops(&mut self, last: bool) {
        let Some(drops) = &mut self.drops else { return };
        if let Some(headers) = drops.look(last) {
            self.headers = headers;
        }
        let lost = std::mem::take(&mut drops.lost);
        if lost > 0
            && let Some(session) = &mut self.guests.of(None).session
        {
            session.lose(Refusal::KernelDrops, lost);
        }
    }
}

/// What the kernel drops of a UDP socket's datagrams. A datagram says how many were dropped before it came in; so whatever was
/// dropped last is seen in the table of all sockets only, which is dearer to read.
struct Drops {
    table: &'static str,
    inode: u64,
    count: KernelDrops,
    /// What is not counted yet.
    lost: u64,
    heard: Instant,
    read: Instant,
}

impl Drops {
    /// `None` for a socket of which the kernel drops nothing.
    fn of(socket: &Socket<OwnedFd>) -> Option<Self> {
        let Place::Address(address) = &socket.place else { return None };
        let table = if address.is_ipv4() { "/proc/self/net/udp" } else { "/proc/self/net/udp6" };
        let inode = rustix::fs::fstat(&socket.socket).ok()?.st_ino;
        let long_ago = Instant::now();
        Some(Self { table, inode, count: KernelDrops::default(), lost: 0, heard: long_ago, read: long_ago })
    }

    /// Hears what a datagram says.
    fn hear(&mut self, datagram: &RecvMsg<'_, '_, ()>) {
        let Ok(messages) = datagram.cmsgs() else { return };
        for message in messages {
            if let ControlMessageOwned::RxqOvfl(count) = message {
                self.lost += self.count.note(count);
            }
        }
    }

    /// Looks into the table when it is time, and gives room for the next datagrams to say what they have to: the kernel writes
    /// how much of it is used over how much there is, so that it serves for one call.
    fn look(&mut self, last: bool) -> Option<MultiHeaders<()>> {
        let now = Instant::now();
        if last || now.duration_since(self.read) >= TABLE {
            self.read = now;
            let table = std::fs::read_to_string(self.table).unwrap_or_default();
            self.lost += kernel_drops::in_table(&table, self.inode).map_or(0, |count| self.count.note(count));
        }
        (now.duration_since(self.heard) >= HEAR).then(|| {
            self.heard = now;
            MultiHeaders::preallocate(BATCH, Some(cmsg_space!(u32)))
        })
    }
}

/// Who has sent a datagram. Where descriptors came along there was no room for all, and nothing is known.
fn sender(datagram: &RecvMsg<'_, '_, ()>) -> Option<Credentials> {
    datagram.cmsgs().ok()?.find_map(|message| match message {
        ControlMessageOwned::ScmCredentials(credentials) => Some(credentials.into()),
        _ => None,
    })
}
