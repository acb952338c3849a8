//! What a file of the journal begins with: what it is, in which format, and by whom it was written.
//!
//! `magic 8 bytes, format version u32`, then, as one frame whose sequence is the first that the file is for: the agent's
//! version, the machine's boot, the generation. A later format may change everything behind the version.

use super::bytes::{Bytes, put_text, put_u64};
use super::frame::{self, End, Frames, HEAD_BYTES};

/// The format that is written. Whoever changes what files hold makes it one more. In 1 nothing said when idle series had been
/// looked for.
pub(super) const FORMAT_VERSION: u32 = 2;
const MAGIC_BYTES: usize = 8;

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum FileKind {
    /// All series as they were.
    Snapshot,
    /// What happened since.
    Journal,
}

impl FileKind {
    const fn magic(self) -> &'static [u8; MAGIC_BYTES] {
        // The line break at the end tells of a file that went through a conversion of text.
        match self {
            Self::Snapshot => b"sw-snap\n",
            Self::Journal => b"sw-jrnl\n",
        }
    }
}

/// A file's header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) generation: u64,
    /// The sequence of the first record that the file is for.
    pub(super) first: u64,
    /// The version of the agent that wrote it.
    pub(super) agent: String,
    /// The boot of the machine during which it was written; empty where that was not known.
    pub(super) boot: String,
}

/// Why a file has no header.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum HeaderError {
    /// It ends before the header does.
    #[error("it ends in its header")]
    Torn,
    /// Something else stands there.
    #[error("its header is damaged")]
    Damaged,
    /// A later agent wrote it.
    #[error("it has format {0}, and this agent knows {FORMAT_VERSION} at most")]
    Newer(u32),
}

impl Header {
    /// Appends the header.
    pub(super) fn encode(&self, kind: FileKind, out: &mut Vec<u8>) {
        out.extend_from_slice(kind.magic());
        out.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
        let begin = out.len();
        out.resize(begin + HEAD_BYTES, 0);
        put_u64(out, self.generation);
        put_text(out, &self.agent);
        put_text(out, &self.boot);
        if let Some(written) = out.get_mut(begin..) {
            frame::seal(written, self.first);
        }
    }

    /// Reads the header of a file, and answers the rest.
    pub(super) fn decode(kind: FileKind, file: &[u8]) -> Result<(Self, &[u8]), HeaderError> {
        let mut bytes = Bytes(file);
        let magic = bytes.take(MAGIC_BYTES).ok_or(HeaderError::Torn)?;
        if magic != kind.magic() {
            return Err(HeaderError::Damaged);
        }
        let version = bytes.fixed_u32().ok_or(HeaderError::Torn)?;
        if version > FORMAT_VERSION {
            return Err(HeaderError::Newer(version));
        }
        if version == 0 {
            return Err(HeaderError::Damaged);
        }
        let mut frames = Frames::new(bytes.0);
        let frame = frames.next().map_err(|end| match end {
            End::Whole | End::Torn(_) => HeaderError::Torn,
            End::Damaged(_) => HeaderError::Damaged,
        })?;
        let mut payload = Bytes(frame.payload);
        let mut read = || Some((payload.u64()?, payload.text()?.to_owned(), payload.text()?.to_owned()));
        let (generation, agent, boot) = read().ok_or(HeaderError::Damaged)?;
        let used = file.len() - bytes.0.len() + HEAD_BYTES + frame.payload.len();
        Ok((Self { generation, first: frame.sequence, agent, boot }, file.get(used..).unwrap_or(&[])))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> Header {
        Header { generation: 7, first: 300, agent: "1.2.3".into(), boot: "b".into() }
    }

    fn file(kind: FileKind) -> Vec<u8> {
        let mut file = Vec::new();
        header().encode(kind, &mut file);
        file.extend_from_slice(b"rest");
        file
    }

    #[test]
    fn a_header_comes_back_with_what_follows() {
        for kind in [FileKind::Snapshot, FileKind::Journal] {
            assert_eq!(Header::decode(kind, &file(kind)), Ok((header(), &b"rest"[..])));
        }
        assert_eq!(Header::decode(FileKind::Journal, &file(FileKind::Snapshot)), Err(HeaderError::Damaged));
    }

    #[test]
    fn a_later_format_is_known_as_such_whatever_follows() {
        let mut newer = file(FileKind::Journal);
        newer.truncate(12);
        newer[8] = 9;
        assert_eq!(Header::decode(FileKind::Journal, &newer), Err(HeaderError::Newer(9)));
    }

    #[test]
    fn every_cut_is_a_cut_and_every_change_is_found() {
        let whole = file(FileKind::Journal);
        let end = whole.len() - 4;
        for cut in 0..end {
            assert_eq!(Header::decode(FileKind::Journal, &whole[..cut]), Err(HeaderError::Torn), "{cut}");
        }
        for place in 0..end {
            let mut changed = whole.clone();
            changed[place] ^= 0x10;
            assert!(Header::decode(FileKind::Journal, &changed).is_err(), "{place}");
        }
    }
}
