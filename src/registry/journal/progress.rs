//! How far the journal has been written, and those who wait for it.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How far writing has come.
#[derive(Debug, Default)]
pub(in crate::registry) struct Progress {
    marks: Mutex<Marks>,
    moved: Condvar,
}

#[derive(Debug, Default)]
struct Marks {
    /// The last sequence that the kernel has.
    written: u64,
    /// The last sequence that somebody waits for.
    wanted: u64,
    /// Somebody waited in vain: nobody waits until the disk has caught up.
    stalled: bool,
    /// Nothing that is shown can be relied on to be on disk.
    broken: bool,
}

impl Progress {
    /// Waits until a sequence has been written, but not for longer than `patience`; then nobody waits any more before the disk
    /// has caught up. True when it is written.
    pub(in crate::registry) fn reach(&self, sequence: u64, patience: Duration) -> bool {
        let mut marks = self.marks();
        if marks.broken || marks.stalled || marks.written >= sequence {
            return marks.written >= sequence;
        }
        marks.wanted = marks.wanted.max(sequence);
        self.moved.notify_all();
        let waiting = |marks: &mut Marks| marks.written < sequence && !marks.broken && !marks.stalled;
        let (mut marks, waited) = self.moved.wait_timeout_while(marks, patience, waiting).unwrap_or_else(PoisonError::into_inner);
        if waited.timed_out() {
            marks.stalled = true;
            self.moved.notify_all();
        }
        marks.written >= sequence
    }

    /// Waits until a sequence has been written, whatever state writing is in. True when it is.
    pub(super) fn await_written(&self, sequence: u64, patience: Duration) -> bool {
        let mut marks = self.marks();
        marks.wanted = marks.wanted.max(sequence);
        self.moved.notify_all();
        let waited = self.moved.wait_timeout_while(marks, patience, |marks| marks.written < sequence);
        waited.unwrap_or_else(PoisonError::into_inner).0.written >= sequence
    }

    /// Everything up to this sequence has been written.
    pub(super) fn written(&self, sequence: u64) {
        let mut marks = self.marks();
        marks.written = sequence;
        marks.stalled &= marks.wanted > sequence;
        drop(marks);
        self.moved.notify_all();
    }

    /// Whether what is written is of use.
    pub(super) fn set_broken(&self, broken: bool) {
        self.marks().broken = broken;
        self.moved.notify_all();
    }

    /// Whether somebody waited in vain and the disk has not caught up since.
    pub(super) fn is_stalled(&self) -> bool {
        self.marks().stalled
    }

    /// Waits a little, so that more can be written at once; not while somebody waits for it.
    pub(super) fn gather(&self, pause: Duration) {
        let nobody = |marks: &mut Marks| marks.wanted <= marks.written;
        drop(self.moved.wait_timeout_while(self.marks(), pause, nobody).unwrap_or_else(PoisonError::into_inner));
    }

    fn marks(&self) -> MutexGuard<'_, Marks> {
        self.marks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOMENT: Duration = Duration::from_millis(1);
    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn whoever_waits_in_vain_is_the_last_to_do_so_until_the_disk_has_caught_up() {
        let progress = Progress::default();
        assert!(!progress.reach(5, MOMENT));
        assert!(progress.is_stalled());
        assert!(!progress.reach(4, LONG), "nobody waits now");
        progress.written(4);
        assert!(progress.is_stalled());
        progress.written(5);
        assert!(!progress.is_stalled());
        assert!(progress.reach(5, LONG));
    }

    #[test]
    fn nobody_waits_for_what_is_broken() {
        let progress = Progress::default();
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| progress.reach(1, LONG));
            progress.set_broken(true);
            assert!(!waits.join().expect("no panic"));
        });
        progress.set_broken(false);
        progress.written(1);
        assert!(progress.reach(1, LONG));
    }

    #[test]
    fn nobody_gathers_while_somebody_waits() {
        let progress = Progress::default();
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| progress.reach(1, LONG));
            progress.gather(LONG);
            progress.written(1);
            assert!(waits.join().expect("no panic"));
        });
    }
}
