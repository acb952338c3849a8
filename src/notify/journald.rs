//! Entries in the systemd journal, in its native protocol: one datagram an entry, one field a line, and a field whose value
//! has several lines by its length. Source: systemd's documentation "Native Journal Protocol".

use std::os::unix::net::UnixDatagram;
use std::path::Path;

use super::backoff::Verdict;

/// Where the journal listens.
pub(super) const SOCKET: &str = "/run/systemd/journal/socket";
/// No field is longer here; a datagram takes about 200 KiB.
const VALUE_BYTES_MAX: usize = 16 << 10;

/// One entry as a datagram.
pub(super) fn entry(fields: &[(String, String)]) -> Vec<u8> {
    let mut datagram = Vec::new();
    for (name, value) in fields {
        let value = value.get(..value.floor_char_boundary(VALUE_BYTES_MAX)).unwrap_or_default();
        datagram.extend_from_slice(name.as_bytes());
        if value.contains('\n') {
            datagram.push(b'\n');
            datagram.extend_from_slice(&(value.len() as u64).to_le_bytes());
        } else {
            datagram.push(b'=');
        }
        datagram.extend_from_slice(value.as_bytes());
        datagram.push(b'\n');
    }
    datagram
}

/// Writes the entries.
pub(super) fn write(socket: &Path, entries: &[Vec<u8>]) -> Verdict {
    let write = || {
        let journal = UnixDatagram::unbound()?;
        // The journal reads at once, or is not there: nobody waits for it for long.
        journal.set_write_timeout(Some(std::time::Duration::from_secs(2)))?;
        journal.connect(socket)?;
        entries.iter().try_for_each(|entry| journal.send(entry).map(drop))
    };
    write().map_or_else(|error: std::io::Error| Verdict::failed(format!("{}: {error}", socket.display())), |()| Verdict::Delivered)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_written_as_the_journal_reads_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("socket");
        assert!(matches!(write(&path, &[]), Verdict::Failed { .. }));
        let journal = UnixDatagram::bind(&path).expect("bound");
        let fields = [("MESSAGE", "one\ntwo"), ("PRIORITY", "4")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(write(&path, &[entry(&fields)]), Verdict::Delivered);
        let mut buffer = [0; 100];
        let length = journal.recv(&mut buffer).expect("an entry");
        assert_eq!(&buffer[..length], b"MESSAGE\n\x07\0\0\0\0\0\0\0one\ntwo\nPRIORITY=4\n");
    }
}
