//! What the journal makes of bytes, without a disk: for the fuzz targets, which are programs of their own.

use super::frame::{Frame, Frames};
use super::header::FileKind;
use super::name::Name;
use super::recovery::recover;
use super::replay::{Part, Replay};
use super::snapshot::Copying;

/// How many series a snapshot and the journal that goes with it hold.
#[must_use]
pub fn rehearse_files(snapshot: &[u8], journal: &[u8]) -> usize {
    let names = [Name::new(FileKind::Snapshot, 1), Name::new(FileKind::Journal, 1)];
    let load = |name: Name| Ok(if name.kind == FileKind::Snapshot { snapshot.to_vec() } else { journal.to_vec() });
    recover(&names, "", load).replay.events.series()
}

/// How many series a record makes whose checksum is right, and how many of them are there again after they have been saved
/// and restored; `None` where it makes no sense.
#[must_use]
pub fn rehearse_record(payload: &[u8]) -> Option<(usize, usize)> {
    let mut replay = Replay::default();
    replay.apply(Part::Journal, Frame { sequence: 1, payload }).ok()?;
    let (mut copying, mut saved) = (Copying::default(), Vec::new());
    while copying.piece(&mut replay.events, 10, &mut saved) {}
    let (mut frames, mut again) = (Frames::new(&saved), Replay::default());
    while let Ok(frame) = frames.next() {
        again.apply(Part::Snapshot, frame).ok()?;
    }
    Some((replay.events.series(), again.events.series()))
}
