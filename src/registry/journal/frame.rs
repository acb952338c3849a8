//! How records stand in a file: each behind its length and its checksums, so that a file that was cut short is told from one
//! that was damaged.
//!
//! `length u32, sequence u64, checksum of the payload u32, checksum of these 16 bytes u32, payload`; numbers are little-endian,
//! checksums CRC-32. The length has a checksum of its own: were it damaged, everything behind it would look like a cut.

use super::bytes::Bytes;

/// Bytes in front of a payload.
pub(super) const HEAD_BYTES: usize = 20;
/// No payload is longer; a length that says so is damage.
const PAYLOAD_BYTES_MAX: u32 = 64 << 20;

/// Writes the head of the frame that fills `frame`, of which the first [`HEAD_BYTES`] are its room.
pub(super) fn seal(frame: &mut [u8], sequence: u64) {
    let Some((head, payload)) = frame.split_first_chunk_mut::<HEAD_BYTES>() else { return };
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    let fields = [&length.to_le_bytes()[..], &sequence.to_le_bytes(), &crc32fast::hash(payload).to_le_bytes()].concat();
    let check = crc32fast::hash(&fields).to_le_bytes();
    for (to, from) in head.iter_mut().zip(fields.iter().chain(&check)) {
        *to = *from;
    }
}

/// One record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame<'a> {
    /// Its number in order.
    pub(super) sequence: u64,
    /// What it says.
    pub(super) payload: &'a [u8],
}

/// How the records of a file end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// With the last one.
    Whole,
    /// In the middle of one: so many bytes of it are there.
    Torn(u64),
    /// With one that is not as it was written, so many bytes into the file or what was given of it.
    Damaged(u64),
}

/// Reads frames one after the other.
#[derive(Clone, Debug)]
pub(super) struct Frames<'a> {
    all: usize,
    rest: Bytes<'a>,
    end: Option<End>,
}

impl<'a> Frames<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { all: bytes.len(), rest: Bytes(bytes), end: None }
    }

    /// The next frame, or how they end.
    pub(super) fn next(&mut self) -> Result<Frame<'a>, End> {
        if let Some(end) = self.end {
            return Err(end);
        }
        let here = self.rest;
        self.read().inspect_err(|end| {
            self.rest = here;
            self.end = Some(*end);
        })
    }

    /// Takes the last frame for damaged: its checksum is right, but it makes no sense.
    pub(super) fn refuse(&mut self) -> End {
        *self.end.insert(End::Damaged(self.at()))
    }

    fn at(&self) -> u64 {
        (self.all - self.rest.0.len()) as u64
    }

    fn read(&mut self) -> Result<Frame<'a>, End> {
        if self.rest.is_empty() {
            return Err(End::Whole);
        }
        let (torn, damaged) = (End::Torn(self.rest.0.len() as u64), End::Damaged(self.at()));
        let fields = self.rest.0.get(..HEAD_BYTES - 4).ok_or(torn)?;
        let mut read = || Some((self.rest.fixed_u32()?, self.rest.fixed_u64()?, self.rest.fixed_u32()?, self.rest.fixed_u32()?));
        let (length, sequence, check, own_check) = read().ok_or(torn)?;
        if crc32fast::hash(fields) != own_check || length > PAYLOAD_BYTES_MAX {
            return Err(damaged);
        }
        let payload = usize::try_from(length).ok().and_then(|length| self.rest.take(length)).ok_or(torn)?;
        if crc32fast::hash(payload) != check {
            return Err(damaged);
        }
        Ok(Frame { sequence, payload })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(payloads: &[Vec<u8>]) -> Vec<u8> {
        let mut file = Vec::new();
        for (sequence, payload) in (1..).zip(payloads) {
            let begin = file.len();
            file.resize(begin + HEAD_BYTES, 0);
            file.extend_from_slice(payload);
            seal(&mut file[begin..], sequence);
        }
        file
    }

    fn read(bytes: &[u8]) -> (Vec<(u64, Vec<u8>)>, End) {
        let mut frames = Frames::new(bytes);
        let mut all = Vec::new();
        loop {
            match frames.next() {
                Ok(frame) => all.push((frame.sequence, frame.payload.to_vec())),
                Err(end) => return (all, end),
            }
        }
    }

    fn payloads() -> impl Strategy<Value = Vec<Vec<u8>>> {
        proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 1..6)
    }

    #[test]
    fn a_damaged_length_is_no_cut() {
        let mut file = written(&[vec![1; 10], vec![2; 10]]);
        file[2] ^= 0xff;
        assert_eq!(read(&file), (vec![], End::Damaged(0)));
    }

    #[test]
    fn a_refused_frame_is_the_last() {
        let file = written(&[vec![1], vec![2]]);
        let mut frames = Frames::new(&file);
        assert!(frames.next().is_ok());
        let end = frames.refuse();
        assert_eq!((end, frames.next()), (End::Damaged(21), Err(End::Damaged(21))));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(payloads in payloads()) {
            let all: Vec<_> = (1..).zip(payloads.clone()).collect();
            prop_assert_eq!(read(&written(&payloads)), (all, End::Whole));
        }

        #[test]
        fn a_cut_leaves_the_whole_frames_before_it(payloads in payloads(), cut: prop::sample::Index) {
            let file = written(&payloads);
            let cut = cut.index(file.len());
            let (read, end) = read(&file[..cut]);
            let whole: Vec<_> = (1..).zip(payloads.clone()).take(read.len()).collect();
            let length: usize = whole.iter().map(|(_, payload)| payload.len() + HEAD_BYTES).sum();
            prop_assert_eq!(end, if length == cut { End::Whole } else { End::Torn((cut - length) as u64) });
            prop_assert_eq!(read, whole);
        }

        #[test]
        fn a_flipped_byte_is_found(payloads in payloads(), place: prop::sample::Index, flip in 1_u8..) {
            let mut file = written(&payloads);
            let place = place.index(file.len());
            file[place] ^= flip;
            let (read, end) = read(&file);
            prop_assert!(matches!(end, End::Damaged(at) if at <= place as u64), "{:?}", end);
            prop_assert_eq!(&read, &(1..).zip(payloads.clone()).take(read.len()).collect::<Vec<_>>());
        }
    }
}
