//! The thread that writes what waits, for all sessions at once. While it writes, more gathers.

use std::io::{self, Write};
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::keeper::Journal;
use super::pen::Parcel;
use crate::registry::Registry;

/// After a write, more is let gather for so long, unless somebody waits to see it: with a thousand sessions there would be
/// ten thousand writes a second.
const GATHER: Duration = Duration::from_millis(5);
/// How long a reader waits for the disk, at most.
const PATIENCE: Duration = Duration::from_secs(1);

impl Registry {
    /// Waits until everything that has happened so far is with the kernel, so that what was read before can be shown: it is
    /// not lost any more when the agent is killed. Returns at once where there is no journal, and after a second where the
    /// disk hangs; then nobody waits until it has recovered.
    pub fn settle(&self) {
        let mut state = self.state();
        if !state.events.pen.writes() {
            return;
        }
        let sequence = state.events.pen.sequence();
        self.wake(&mut state);
        drop(state);
        self.progress.reach(sequence, PATIENCE);
    }
}

/// Writes until the journal is closed.
pub(super) fn write(journal: &Journal) {
    let mut room = Vec::new();
    while let Some((left, now)) = await_bytes(journal, room) {
        room = Vec::new();
        for parcel in left.into_iter().chain(now) {
            match append(journal, &parcel) {
                Ok(()) => journal.registry.progress.written(parcel.sequence),
                Err(error) => journal.cannot_write(parcel.generation, &error),
            }
            room = parcel.bytes;
        }
        journal.registry.progress.gather(GATHER);
    }
}

/// Waits for something to write; `None` when the journal is closed and there is nothing left.
fn await_bytes(journal: &Journal, room: Vec<u8>) -> Option<(Option<Parcel>, Option<Parcel>)> {
    let mut state = journal.registry.state();
    while !state.events.pen.holds() {
        if journal.closed.load(Ordering::Acquire) {
            return None;
        }
        state.writer_waits = true;
        state = journal.registry.work.wait(state).unwrap_or_else(PoisonError::into_inner);
    }
    state.writer_waits = false;
    Some(state.events.pen.take(room))
}

fn append(journal: &Journal, parcel: &Parcel) -> io::Result<()> {
    // A journal that has been given up is not written to any more.
    let Some(file) = journal.file(parcel.generation) else { return Ok(()) };
    (&*file).write_all(&parcel.bytes)?;
    journal.has_written(parcel.bytes.len());
    Ok(())
}
