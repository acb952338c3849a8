//! What `/proc` tells of a process. It may tell nothing: the process has ended, or is hidden (`ProtectProc=`, `hidepid`).

use std::fs;
use std::path::Path;

use crate::ingest::cgroup;

/// What is known of a process beside its numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Process {
    /// Its systemd unit.
    pub(super) unit: Option<String>,
    /// The container that it is in.
    pub(super) container: Option<String>,
    /// The name of its program, at most 15 bytes: `comm`.
    pub(super) command: Option<String>,
}

impl Process {
    /// Looks it up under `proc`.
    pub(super) fn read(proc: &Path, pid: i32) -> Self {
        let read = |file: &str| fs::read(proc.join(pid.to_string()).join(file)).ok();
        let text = |file| read(file).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        let cgroup::Place { unit, container } = text("cgroup").map(|text| cgroup::parse(&text)).unwrap_or_default();
        let command = text("comm").map(|name| name.trim_end().to_owned()).filter(|name| !name.is_empty());
        Self { unit, container, command }
    }
}

/// When the process began, in ticks since the machine's start: with its number, it is that process and no other.
/// Source: proc_pid_stat(5), field 22. `None` when it does not exist (or is a zombie: it has ended, and waits to be heard).
pub(super) fn start_time(proc: &Path, pid: i32) -> Option<u64> {
    let stat = fs::read(proc.join(pid.to_string()).join("stat")).ok()?;
    let stat = String::from_utf8_lossy(&stat);
    // The name is in parentheses and may hold some itself.
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    let state = fields.next()?;
    fields.nth(18)?.parse().ok().filter(|_| !matches!(state, "Z" | "X"))
}
