//! Writes down, in memory, what happens to series while it happens: the registry's lock is held. The bytes wait here for
//! the writer, who takes them all at once, whoever they are from.

use super::frame::{self, HEAD_BYTES};
use super::operation::{put_at, put_count, put_define, put_family, put_gone, put_level, put_looked, put_observe, put_stamped};
use crate::model::{Change, Histogram, Labels, Timestamp};
use crate::registry::Head;
use crate::registry::instrument::Kept;

/// A record is closed when it has grown beyond this.
const RECORD_BYTES: usize = 1 << 20;
/// Room that is kept for the next bytes.
const KEPT_BYTES: usize = 1 << 20;

/// The journal's end in memory.
#[derive(Debug, Default)]
pub(in crate::registry) struct Pen {
    /// Which file the bytes are for; `None` while nothing is written down.
    generation: Option<u64>,
    /// Whole records, and an open one behind them.
    bytes: Vec<u8>,
    open: Option<Open>,
    /// The last record's, the open one's if there is one.
    sequence: u64,
    /// What an earlier generation has not been relieved of.
    left: Option<Parcel>,
    bytes_max: usize,
    /// True since bytes had to be thrown away for want of room.
    overflowed: bool,
}

/// A record that is not closed yet, and what has been said in it.
#[derive(Debug)]
struct Open {
    begin: usize,
    at: Timestamp,
    family: Option<u64>,
}

/// Bytes for one file.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::registry) struct Parcel {
    pub(in crate::registry) generation: u64,
    pub(in crate::registry) bytes: Vec<u8>,
    /// The last sequence in them.
    pub(in crate::registry) sequence: u64,
}

/// The series that something happens to.
#[derive(Debug)]
pub(in crate::registry) struct Subject<'a> {
    pub(in crate::registry) family: u64,
    pub(in crate::registry) head: Head<'a>,
    pub(in crate::registry) number: u64,
    pub(in crate::registry) labels: &'a Labels,
    /// What it holds now, unless that lives with its senders and does not survive them.
    pub(in crate::registry) kept: Option<Kept<'a>>,
    /// Whether the journal knows the number.
    pub(in crate::registry) defined: &'a mut bool,
}

impl Pen {
    /// Begins to write for the file of a generation, which begins with the header that `header` makes of the first sequence.
    /// False when there is no room for the bytes of a third generation: the disk is far behind.
    pub(super) fn turn_to(&mut self, generation: u64, bytes_max: usize, header: impl FnOnce(u64, &mut Vec<u8>)) -> bool {
        self.close();
        if let Some(before) = self.generation
            && !self.bytes.is_empty()
        {
            if self.left.is_some() {
                return false;
            }
            self.left = Some(Parcel { generation: before, bytes: std::mem::take(&mut self.bytes), sequence: self.sequence });
        }
        self.generation = Some(generation);
        self.bytes_max = bytes_max;
        self.overflowed = false;
        header(self.sequence + 1, &mut self.bytes);
        true
    }

    /// Stops writing and forgets what has not been taken. A sequence is left out, so that whoever reads the files sees that
    /// something is missing.
    pub(super) fn lay_down(&mut self) {
        if self.generation.take().is_some() {
            self.sequence += 1;
        }
        (self.bytes, self.open, self.left) = (Vec::new(), None, None);
    }

    /// The sequence to go on from.
    pub(super) const fn continue_from(&mut self, sequence: u64) {
        self.sequence = sequence;
    }

    /// True while what happens is written down.
    pub(super) const fn writes(&self) -> bool {
        self.generation.is_some()
    }

    /// True when writing ended because nobody took what was written.
    pub(super) const fn has_overflowed(&self) -> bool {
        self.overflowed
    }

    /// True when there is something to take.
    pub(in crate::registry) const fn holds(&self) -> bool {
        !self.bytes.is_empty() || self.left.is_some()
    }

    /// The last sequence, everything that has happened so far included.
    pub(in crate::registry) const fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Ends the open record, so that what comes next has a sequence of its own; the last sequence.
    pub(super) fn close(&mut self) -> u64 {
        if let Some(open) = self.open.take()
            && let Some(record) = self.bytes.get_mut(open.begin..)
        {
            frame::seal(record, self.sequence);
        }
        self.sequence
    }

    /// Takes everything; `room` is what the next bytes are written into.
    pub(super) fn take(&mut self, mut room: Vec<u8>) -> (Option<Parcel>, Option<Parcel>) {
        self.close();
        room.clear();
        room.shrink_to(KEPT_BYTES);
        let now = self.generation.filter(|_| !self.bytes.is_empty()).map(|generation| Parcel {
            generation,
            bytes: std::mem::replace(&mut self.bytes, room),
            sequence: self.sequence,
        });
        (self.left.take(), now)
    }

    /// A change that has been applied.
    pub(in crate::registry) fn note(&mut self, subject: &mut Subject<'_>, change: &Change, at: Timestamp) {
        if self.generation.is_none() {
            return;
        }
        match change {
            Change::Count(rise) => {
                self.define(subject, at);
                if *rise != 0.0 {
                    put_count(&mut self.bytes, subject.number, *rise);
                }
            }
            Change::Observe(more) => {
                self.define(subject, at);
                if more.bounds == *subject.head.bounds {
                    put_observe(&mut self.bytes, subject.number, more);
                } else {
                    // The session had other buckets; the series counted them in its own.
                    let mut same = Histogram::with_exponential(subject.head.bounds.clone());
                    same.absorb(more);
                    put_observe(&mut self.bytes, subject.number, &same);
                }
            }
            // A gauge is written down as it is now, which is as short as what happened to it.
            _ => match subject.kept {
                Some(Kept::Level(value)) => {
                    self.define(subject, at);
                    put_level(&mut self.bytes, subject.number, value);
                }
                Some(Kept::Stamped(value, seconds)) => {
                    self.define(subject, at);
                    put_stamped(&mut self.bytes, subject.number, value, seconds);
                }
                _ => self.gone(subject.number, subject.defined),
            },
        }
        self.check();
    }

    /// A series that has been taken out.
    pub(in crate::registry) fn gone(&mut self, number: u64, defined: &mut bool) {
        if std::mem::take(defined) && self.generation.is_some() {
            self.begin(None);
            put_gone(&mut self.bytes, number);
            self.check();
        }
    }

    /// Idle series have been looked for, before that at `last`.
    pub(in crate::registry) fn looked(&mut self, last: Timestamp, at: Timestamp) {
        if self.generation.is_some() {
            self.begin(None);
            put_looked(&mut self.bytes, last, at);
            self.check();
        }
    }

    fn define(&mut self, subject: &mut Subject<'_>, at: Timestamp) {
        self.begin(Some(at));
        if std::mem::replace(subject.defined, true) {
            return;
        }
        let Head { name, kind, origin, bounds, .. } = subject.head;
        if let Some(open) = &mut self.open
            && open.family.replace(subject.family) != Some(subject.family)
        {
            put_family(&mut self.bytes, name, kind, origin, bounds);
        }
        put_define(&mut self.bytes, subject.number, subject.labels);
    }

    fn begin(&mut self, at: Option<Timestamp>) {
        if self.open.is_none() {
            self.sequence += 1;
            let begin = self.bytes.len();
            self.bytes.resize(begin + HEAD_BYTES, 0);
            self.open = Some(Open { begin, at: Timestamp::MIN, family: None });
        }
        if let (Some(open), Some(at)) = (&mut self.open, at)
            && open.at != at
        {
            open.at = at;
            put_at(&mut self.bytes, at);
        }
    }

    fn check(&mut self) {
        if self.open.as_ref().is_some_and(|open| self.bytes.len() - open.begin > RECORD_BYTES) {
            self.close();
        }
        if self.bytes.len() + self.left.as_ref().map_or(0, |left| left.bytes.len()) > self.bytes_max {
            self.lay_down();
            self.overflowed = true;
        }
    }
}
