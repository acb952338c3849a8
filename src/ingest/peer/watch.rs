//! Whether a process still lives. A pidfd knows, whatever becomes of the number and whoever may look into `/proc`; where
//! there is none, the number together with the time of its start.
//! Source: pidfd_open(2); unix(7), `SO_PEERPIDFD`.

use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::process::start_time;

/// So many are asked in one call.
const CHUNK: usize = 256;

/// A process that is watched.
#[derive(Debug)]
pub(super) enum Watch {
    /// By its own descriptor.
    Pidfd(OwnedFd),
    /// By its number and the time of its start.
    Start { pid: i32, ticks: u64 },
    /// It had ended before it could be watched.
    Ended,
}

impl Watch {
    /// Watches a process; `None` where that cannot be done.
    pub(super) fn new(proc: &Path, pid: i32, pidfd: Option<OwnedFd>) -> Option<Self> {
        if let Some(pidfd) = pidfd {
            return Some(Self::Pidfd(pidfd));
        }
        let process = Pid::from_raw(pid.max(0))?;
        match pidfd_open(process, PidfdFlags::empty()) {
            Ok(pidfd) => Some(Self::Pidfd(pidfd)),
            Err(rustix::io::Errno::SRCH) => Some(Self::Ended),
            // No such call, none allowed, or no descriptor left.
            Err(_) => Self::by_start(proc, pid),
        }
    }

    /// Watches by the number. (Where `/proc` hides the process, it would seem to have ended.)
    pub(super) fn by_start(proc: &Path, pid: i32) -> Option<Self> {
        start_time(proc, pid).map(|ticks| Self::Start { pid, ticks })
    }
}

/// Which of these have ended, in the same order. Of those that cannot be watched nothing is known: they live.
pub(super) fn ended<'w>(proc: &Path, watches: impl Iterator<Item = Option<&'w Watch>>) -> Vec<bool> {
    let watches: Vec<_> = watches.collect();
    let mut all = Vec::with_capacity(watches.len());
    for chunk in watches.chunks(CHUNK) {
        let descriptor = |watch: &Option<&'w Watch>| if let Some(Watch::Pidfd(pidfd)) = watch { Some(pidfd) } else { None };
        let mut asked: Vec<_> = chunk.iter().filter_map(descriptor).map(|pidfd| PollFd::new(pidfd, PollFlags::IN)).collect();
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        let answered = poll(&mut asked, Some(&now)).is_ok();
        let mut readable = asked.iter().map(|one| answered && one.revents().contains(PollFlags::IN));
        all.extend(chunk.iter().map(|watch| match watch {
            Some(Watch::Pidfd(_)) => readable.next().unwrap_or(false),
            Some(Watch::Start { pid, ticks }) => start_time(proc, *pid) != Some(*ticks),
            Some(Watch::Ended) => true,
            None => false,
        }));
    }
    all
}
