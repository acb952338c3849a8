//! Saves all series: in pieces, while they go on changing. Each piece says up to which record its series hold everything, so
//! that the records of the journal that came later, and only those, happen to it again.

use super::frame::{self, HEAD_BYTES};
use super::operation::{Totals, put_at, put_count, put_define, put_end, put_family, put_level, put_looked, put_observe, put_stamped};
use crate::model::Timestamp;
use crate::registry::events::Events;
use crate::registry::instrument::Kept;
use crate::registry::walk::Cursor;

/// A copy that is being made.
#[derive(Debug, Default)]
pub(super) struct Copying {
    cursor: Cursor,
    series: u64,
}

impl Copying {
    /// Appends the next piece, of about `lines` lines of a scrape, as one record; false when there is none left. Called with
    /// the registry locked.
    pub(super) fn piece(&mut self, events: &mut Events, lines: usize, out: &mut Vec<u8>) -> bool {
        let sequence = events.pen.close();
        let (begin, mut family_before, mut at) = (out.len(), None, Timestamp::MIN);
        out.resize(begin + HEAD_BYTES, 0);
        self.cursor.begin_with(lines);
        let series = &mut self.series;
        let more = events.copy(&mut self.cursor, |family, family_number, live| {
            let Some(kept) = live.instrument.kept() else { return };
            let head = family.head();
            *series += 1;
            if at != live.changed {
                at = live.changed;
                put_at(out, at);
            }
            if family_before.replace(family_number) != Some(family_number) {
                put_family(out, head.name, head.kind, head.origin, head.bounds);
            }
            put_define(out, live.number, &live.labels);
            match kept {
                Kept::Total(total) => put_count(out, live.number, total),
                Kept::Level(value) => put_level(out, live.number, value),
                Kept::Stamped(value, seconds) => put_stamped(out, live.number, value, seconds),
                Kept::Histogram(histogram) => put_observe(out, live.number, histogram),
            }
        });
        if let Some(record) = out.get_mut(begin..) {
            frame::seal(record, sequence);
        }
        more
    }

    /// Appends the last record.
    pub(super) fn end(&self, events: &mut Events, last: bool, out: &mut Vec<u8>) {
        let sequence = events.pen.close();
        let begin = out.len();
        out.resize(begin + HEAD_BYTES, 0);
        if let Some(at) = events.looked() {
            put_looked(out, at, at);
        }
        put_end(out, Totals { series: self.series, number: events.highest(), sequence, last });
        if let Some(record) = out.get_mut(begin..) {
            frame::seal(record, sequence);
        }
    }
}
