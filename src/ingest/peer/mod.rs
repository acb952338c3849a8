//! Who sends: the process at the other end, as the kernel and `/proc` tell of it, and whether it still lives.

mod allowed;
mod process;
mod watch;

pub(super) use allowed::Allowed;

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hashbrown::HashMap;
use tokio::sync::Notify;

use self::process::Process;
use self::watch::Watch;
use super::quota::Account;

/// What a sender is called of which nothing is known.
const UNKNOWN: &str = "unknown";

/// Who a process is, by the kernel's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Credentials {
    /// The process; 0 for one that lives where this one cannot see it (another PID namespace).
    pub(super) pid: i32,
    /// The user that it sends as.
    pub(super) uid: u32,
    /// The group that it sends as.
    pub(super) gid: u32,
}

impl From<nix::sys::socket::UnixCredentials> for Credentials {
    fn from(given: nix::sys::socket::UnixCredentials) -> Self {
        Self { pid: given.pid(), uid: given.uid(), gid: given.gid() }
    }
}

/// The process at the other end. All its sessions share one.
#[derive(Debug)]
pub(super) struct Peer {
    credentials: Option<Credentials>,
    several: bool,
    account: Mutex<Account>,
    process: Process,
    name: Arc<str>,
    watch: Option<Watch>,
    gone: AtomicBool,
    left: Notify,
}

impl Peer {
    /// Somebody of whom nothing is known.
    pub(super) fn unknown() -> Arc<Self> {
        Arc::new(Self::new(None, Process::default(), None))
    }

    /// Somebody of whom is known where they send to.
    pub(super) fn at(name: &str) -> Arc<Self> {
        Arc::new(Self { name: Arc::from(name), ..Self::new(None, Process::default(), None) })
    }

    /// Any number of them, all of whom send there.
    pub(super) fn several_at(name: &str) -> Arc<Self> {
        Arc::new(Self { name: Arc::from(name), several: true, ..Self::new(None, Process::default(), None) })
    }

    /// Any number of them, who cannot be told apart.
    pub(super) fn several() -> Arc<Self> {
        Arc::new(Self { several: true, ..Self::new(None, Process::default(), None) })
    }

    fn new(credentials: Option<Credentials>, process: Process, watch: Option<Watch>) -> Self {
        let name = process.unit.as_deref().or(process.command.as_deref()).unwrap_or(UNKNOWN);
        let name = Arc::from(name);
        Self {
            credentials,
            several: false,
            account: Mutex::default(),
            process,
            name,
            watch,
            gone: AtomicBool::new(false),
            left: Notify::new(),
        }
    }

    /// What the kernel says of it; `None` for somebody unknown.
    pub(super) const fn credentials(&self) -> Option<Credentials> {
        self.credentials
    }

    /// True when it may be more than one.
    pub(super) const fn is_several(&self) -> bool {
        self.several
    }

    /// What it has left of what it may do.
    pub(super) fn account(&self) -> MutexGuard<'_, Account> {
        self.account.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its systemd unit.
    pub(super) fn unit(&self) -> Option<&str> {
        self.process.unit.as_deref()
    }

    /// What it is called where its losses are counted: its unit, else its command.
    pub(super) const fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// True when the process has ended.
    pub(super) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Acquire)
    }

    /// Waits until the process has ended.
    pub(super) async fn departure(&self) {
        loop {
            let left = self.left.notified();
            if self.is_gone() {
                return;
            }
            left.await;
        }
    }

    /// Looks whether the process has ended.
    fn check(&self, proc: &Path) -> bool {
        self.is_gone() || watch::ended(proc, std::iter::once(self.watch.as_ref())).contains(&true)
    }

    /// True while somebody but the table of processes knows it.
    fn has_session(self: &Arc<Self>) -> bool {
        Arc::strong_count(self) > 1
    }

    fn depart(&self) {
        self.gone.store(true, Ordering::Release);
        self.left.notify_waiters();
    }
}

/// For people.
impl std::fmt::Display for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())?;
        if let Some(Credentials { pid, uid, gid }) = self.credentials {
            write!(f, " (pid {pid}, uid {uid}, gid {gid}")?;
            if let Some(container) = &self.process.container {
                write!(f, ", container {container}")?;
            }
            f.write_str(")")?;
        }
        Ok(())
    }
}

/// So many processes are remembered that have no session now: what they have left of their quotas stays with them.
const IDLE_MAX: usize = 1024;

/// The processes that have sessions now, and those that had some and still live.
#[derive(Debug)]
pub(super) struct Peers {
    proc: PathBuf,
    known: Mutex<HashMap<Credentials, Arc<Peer>>>,
    departures: AtomicU64,
}

impl Peers {
    /// With `proc` in the place of `/proc`.
    pub(super) fn new(proc: impl Into<PathBuf>) -> Self {
        Self { proc: proc.into(), known: Mutex::default(), departures: AtomicU64::new(0) }
    }

    /// The process with these credentials. `pidfd` is it, where the kernel has handed one over.
    pub(super) fn meet(&self, credentials: Credentials, pidfd: Option<OwnedFd>) -> Arc<Peer> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        // A number may have gone to another process since.
        if let Some(peer) = known.get(&credentials).filter(|peer| !peer.check(&self.proc)) {
            return Arc::clone(peer);
        }
        if known.values().filter(|peer| !peer.has_session()).count() >= IDLE_MAX {
            known.retain(|_, peer| peer.has_session());
        }
        // Watched first: what is read then is of the process that is watched, or of none.
        let watch = Watch::new(&self.proc, credentials.pid, pidfd);
        let ended = matches!(watch, Some(Watch::Ended));
        let process = if ended { Process::default() } else { Process::read(&self.proc, credentials.pid) };
        let peer = Arc::new(Peer::new(Some(credentials), process, watch));
        known.insert(credentials, Arc::clone(&peer));
        peer
    }

    /// Looks which of them have ended, and tells their sessions; how many.
    pub(super) fn look(&self) -> usize {
        let peers: Vec<Arc<Peer>> = {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            known.retain(|_, peer| !peer.is_gone() && (peer.watch.is_some() || peer.has_session()));
            known.values().map(Arc::clone).collect()
        };
        let gone = watch::ended(&self.proc, peers.iter().map(|peer| peer.watch.as_ref()));
        let gone: Vec<_> = peers.iter().zip(gone).filter(|(_, gone)| *gone).collect();
        for (peer, _) in &gone {
            peer.depart();
        }
        self.departures.fetch_add(gone.len() as u64, Ordering::Release);
        gone.len()
    }

    /// How many have ended so far.
    pub(super) fn departures(&self) -> u64 {
        self.departures.load(Ordering::Acquire)
    }

    /// How many are known to live.
    pub(super) fn len(&self) -> usize {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

#[cfg(test)]
mod tests;
