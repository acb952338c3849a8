//! Asks filesystems how full they are, without ever waiting for one that does not answer.
//!
//! `statfs` on a dead file server hangs for as long as the server is gone, in a thread that cannot be stopped. So it is
//! never called on the sampling thread. One common thread asks all ordinary filesystems in turn. Filesystems that are
//! served from elsewhere are suspect: each has a thread of its own. A filesystem on which the common thread hangs becomes
//! suspect and keeps that thread; a new one takes over the rest. No filesystem ever has more than one thread, and one that
//! has not answered is not asked again.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hashbrown::HashMap;

use crate::clock;
use crate::model::Timestamp;
use crate::runtime;

use super::{Capacity, hostfs};

/// How `statfs` is called; a test can put something in its place that hangs.
pub type Statfs = Arc<dyn Fn(&Path) -> io::Result<Capacity> + Send + Sync>;

/// How long a round waits for answers: they are then as fresh as everything else in it. Ordinary answers take
/// microseconds; who was late once is not waited for until an answer was quick again.
const PATIENCE: Duration = Duration::from_millis(20);

/// A bound on threads. Suspect filesystems beyond it are not asked.
const THREADS_MAX: usize = 256;

/// Answers that may wait to be taken. A thread with one more waits; it has nothing better to do.
const ANSWERS_MAX: usize = 1024;

/// A filesystem to ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// Where it is mounted, as seen from here.
    pub(super) path: PathBuf,
    /// Served from elsewhere: asked by a thread of its own from the start.
    pub(super) suspect: bool,
}

/// What is known of a filesystem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// Its last answer.
    Capacity(Capacity),
    /// It answered with an error.
    Failed(String),
    /// It has not answered for longer than the limit.
    Stuck,
    /// It has been asked lately and never answered yet.
    Pending,
}

/// Asks filesystems and remembers their answers.
pub struct Prober {
    statfs: Statfs,
    patience: Duration,
    answers: Receiver<Answer>,
    answer: SyncSender<Answer>,
    common: Option<Worker>,
    mounts: HashMap<PathBuf, Mount>,
}

struct Answer {
    path: PathBuf,
    result: io::Result<Capacity>,
    took: Duration,
}

#[derive(Default)]
struct Mount {
    /// The thread that asks only this one.
    own: Option<Worker>,
    /// Since when an answer is awaited.
    asked: Option<Timestamp>,
    last: Option<Result<Capacity, String>>,
    /// Its last answer was too late to wait for.
    late: bool,
    /// The last round that asked for it.
    wanted: Timestamp,
}

impl Default for Prober {
    fn default() -> Self {
        Self::new(Arc::new(hostfs::statfs))
    }
}

impl std::fmt::Debug for Prober {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Prober").field("mounts", &self.mounts.len()).finish_non_exhaustive()
    }
}

impl Prober {
    /// A prober that has not asked anything yet.
    #[must_use]
    pub fn new(statfs: Statfs) -> Self {
        let (answer, answers) = sync_channel(ANSWERS_MAX);
        Self { statfs, patience: PATIENCE, answers, answer, common: None, mounts: HashMap::new() }
    }

    /// Asks every target that does not owe an answer, and tells what is known of each, in their order. A filesystem
    /// is stuck when it has owed an answer for `limit`.
    pub(super) fn probe(&mut self, targets: &[Target], at: Timestamp, limit: Duration) -> Vec<Reading> {
        while let Ok(answer) = self.answers.try_recv() {
            self.take(answer);
        }
        self.desert_common();
        self.ask(targets, at);
        // What is no longer mounted is forgotten once its thread is back.
        self.mounts.retain(|_, mount| mount.asked.is_some() || mount.wanted == at);
        self.wait(at);
        if let Some(common) = &self.common {
            common.look();
        }
        targets.iter().map(|target| self.reading(&target.path, at, limit)).collect()
    }

    /// Leaves the common thread to the filesystem on which it has hung since the last round.
    fn desert_common(&mut self) {
        let Some((path, left)) = self.common.as_ref().and_then(Worker::desert) else { return };
        let own = self.common.take();
        if let Some(mount) = self.mounts.get_mut(&path) {
            tracing::warn!(mountpoint = %path.display(), "a filesystem does not answer; it gets a thread of its own");
            mount.own = own;
        }
        // Those behind it are not to blame.
        for path in left {
            if let Some(mount) = self.mounts.get_mut(&path) {
                mount.asked = None;
                mount.late = false;
            }
        }
    }

    fn ask(&mut self, targets: &[Target], at: Timestamp) {
        let mut ordinary = Vec::new();
        let mut threads = self.threads();
        for target in targets {
            let mount = self.mounts.entry_ref(target.path.as_path()).or_default();
            mount.wanted = at;
            if mount.asked.is_some() {
                continue;
            }
            if !target.suspect && mount.own.is_none() {
                mount.asked = Some(at);
                ordinary.push(target.path.clone());
                continue;
            }
            if mount.own.is_none() {
                match start(threads, &self.statfs, &self.answer) {
                    Ok(worker) => {
                        threads += 1;
                        mount.own = Some(worker);
                    }
                    Err(error) => mount.last = Some(Err(error.to_string())),
                }
            }
            if let Some(worker) = &mount.own {
                mount.asked = Some(at);
                worker.ask([target.path.clone()]);
            }
        }
        if ordinary.is_empty() {
            return;
        }
        if self.common.is_none() {
            match start(threads, &self.statfs, &self.answer) {
                Ok(worker) => self.common = Some(worker),
                Err(error) => {
                    for path in &ordinary {
                        if let Some(mount) = self.mounts.get_mut(path) {
                            mount.asked = None;
                            mount.last = Some(Err(error.to_string()));
                        }
                    }
                }
            }
        }
        if let Some(common) = &self.common {
            common.ask(ordinary);
        }
    }

    /// Waits for the answers of this round, but no longer than it has patience.
    fn wait(&mut self, at: Timestamp) {
        let awaited = |mount: &Mount| mount.asked == Some(at) && !mount.late;
        let mut left = self.mounts.values().filter(|mount| awaited(mount)).count();
        let deadline = clock::monotonic() + self.patience;
        while left > 0 {
            let Ok(answer) = self.answers.recv_timeout(deadline.saturating_duration_since(clock::monotonic())) else {
                self.mounts.values_mut().filter(|mount| mount.asked == Some(at)).for_each(|mount| mount.late = true);
                return;
            };
            left -= usize::from(self.mounts.get(&answer.path).is_some_and(awaited));
            self.take(answer);
        }
    }

    fn take(&mut self, answer: Answer) {
        if let Some(mount) = self.mounts.get_mut(&answer.path) {
            mount.asked = None;
            mount.late = answer.took >= self.patience;
            mount.last = Some(answer.result.map_err(|error| error.to_string()));
        }
    }

    fn reading(&self, path: &Path, at: Timestamp, limit: Duration) -> Reading {
        let Some(mount) = self.mounts.get(path) else { return Reading::Pending };
        if mount.asked.is_some_and(|asked| at.since(asked) >= limit) {
            return Reading::Stuck;
        }
        match &mount.last {
            Some(Ok(capacity)) => Reading::Capacity(*capacity),
            Some(Err(error)) => Reading::Failed(error.clone()),
            None => Reading::Pending,
        }
    }

    fn threads(&self) -> usize {
        usize::from(self.common.is_some()) + self.mounts.values().filter(|mount| mount.own.is_some()).count()
    }
}

/// A thread with its queue. The thread ends when this is dropped and it is not hanging.
struct Worker(Arc<Desk>);

#[derive(Default)]
struct Desk {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    queue: VecDeque<PathBuf>,
    current: Option<PathBuf>,
    /// The current one was current already at the end of the last round.
    seen: bool,
    closed: bool,
}

impl Desk {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for work; `None` ends the thread.
    fn next(&self) -> Option<PathBuf> {
        let mut state = self.state();
        loop {
            if state.closed {
                return None;
            }
            if let Some(path) = state.queue.pop_front() {
                state.current = Some(path.clone());
                state.seen = false;
                return Some(path);
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Worker {
    fn ask(&self, paths: impl IntoIterator<Item = PathBuf>) {
        self.0.state().queue.extend(paths);
        self.0.changed.notify_one();
    }

    /// Remembers what the thread is busy with.
    fn look(&self) {
        self.0.state().seen = true;
    }

    /// The filesystem that this thread was busy with when it was last looked at and still is, and what else waits in its
    /// queue, which is emptied; `None` while it gets on.
    fn desert(&self) -> Option<(PathBuf, VecDeque<PathBuf>)> {
        let mut state = self.0.state();
        let current = state.current.clone().filter(|_| state.seen)?;
        Some((current, std::mem::take(&mut state.queue)))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.0.state().closed = true;
        self.0.changed.notify_one();
    }
}

fn start(threads: usize, statfs: &Statfs, answer: &SyncSender<Answer>) -> io::Result<Worker> {
    if threads >= THREADS_MAX {
        return Err(io::Error::other("too many filesystems need a thread of their own"));
    }
    let desk = Arc::new(Desk::default());
    let worker = Worker(Arc::clone(&desk));
    let (statfs, answer) = (Arc::clone(statfs), answer.clone());
    runtime::thread("statfs", move || {
        while let Some(path) = desk.next() {
            let started = clock::monotonic();
            let result = statfs(&path);
            let took = clock::monotonic().saturating_duration_since(started);
            // Before the answer: whoever has it may look at once, and must not find this thread busy with it.
            desk.state().current = None;
            if answer.send(Answer { path, result, took }).is_err() {
                break;
            }
        }
    })?;
    Ok(worker)
}

#[cfg(test)]
#[path = "prober/tests.rs"]
mod tests;
