//! The journal: no bytes make it panic, and what it takes for series can be saved and restored.

use sidewatch::registry::{rehearse_files, rehearse_record};

/// The first byte chooses: a record whose checksum is right, or two files, the snapshot as long as the second byte says.
pub(crate) fn journal(data: &[u8]) {
    match data {
        [0, record @ ..] => {
            if let Some((series, again)) = rehearse_record(record) {
                assert_eq!(series, again, "not every series came back");
            }
        }
        [_, length, files @ ..] => {
            let (snapshot, journal) = files.split_at(files.len().min(4 * usize::from(*length)));
            let _series = rehearse_files(snapshot, journal);
        }
        _ => {}
    }
}
