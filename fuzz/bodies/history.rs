//! History's files: no bytes make the reader panic, and the account agrees with what it takes.

use sidewatch::history::{rehearse_file, rehearse_frame};

/// The first byte chooses: the records of a frame whose checksum is right, or a whole file.
pub(crate) fn history(data: &[u8]) {
    let (restored, held) = match data {
        [0, records @ ..] => rehearse_frame(records),
        [_, file @ ..] => rehearse_file(file),
        [] => return,
    };
    assert_eq!(restored, held, "the account of samples");
}
