//! The form of the files. A file opens with [`MAGIC`]; then come frames: length and checksum (CRC-32) in four bytes each, least
//! significant first, and records, of which each opens with a byte that says what it is:
//!
//! | byte | record |
//! |---|---|
//! | 1 | a series: its number in this file, how many labels, and their names and values, each behind its length |
//! | 2 | a chunk: the series' number, the column, first and last time, length, bytes |
//! | 3 | a head: the series' number, the column, its first time, how it ends (below), how many of its bytes are known, length, the bytes that follow |
//!
//! How a head ends: its number of samples, the last time less the first one, the last value's bits with the bytes in reverse order, since those
//! of round numbers end in zeros, the last step, the repetitions, decimal places in a byte, which is 255 where values are written as bits.
//!
//! Numbers are written in seven bits a byte, times zigzag.

use super::super::bytes::{Reader, put_number, unzigzag, zigzag};
use super::super::column::{Grade, Sealed};
use super::super::head::{Closing, Raw, Unit};
use crate::model::Labels;

/// What a file opens with: the format and its version.
pub(in super::super) const MAGIC: &[u8; 8] = b"swhist02";

/// Bytes in front of a frame's records.
const FRAME_BYTES: usize = 8;

/// A frame is closed when it has so many bytes.
const FRAME_FULL: usize = 1 << 20;

const SERIES: u8 = 1;
const CHUNK: u8 = 2;
const HEAD: u8 = 3;

/// In the place of decimal places.
const NO_PLACES: u8 = 0xff;

/// A head's part that has not been written yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HeadPart {
    pub(super) first: i64,
    pub(super) count: u16,
    pub(super) closing: Closing,
    /// How many bytes come before these.
    pub(super) from: usize,
    pub(super) bytes: Vec<u8>,
}

/// Records as they come together to frames.
#[derive(Debug, Default)]
pub(super) struct Writer {
    bytes: Vec<u8>,
    /// Where the frame begins that is not closed.
    open: Option<usize>,
}

impl Writer {
    fn record(&mut self, kind: u8) -> &mut Vec<u8> {
        if self.open.is_some_and(|open| self.bytes.len() - open >= FRAME_FULL) {
            self.close();
        }
        if self.open.is_none() {
            self.open = Some(self.bytes.len());
            self.bytes.extend([0; FRAME_BYTES]);
        }
        self.bytes.push(kind);
        &mut self.bytes
    }

    fn close(&mut self) {
        let Some((head, records)) = self.open.take().and_then(|open| self.bytes.get_mut(open..)?.split_at_mut_checked(FRAME_BYTES)) else {
            return;
        };
        // A frame is closed at a mebibyte, so that its length fits.
        let length = u32::try_from(records.len()).unwrap_or(u32::MAX).to_le_bytes();
        let sum = crc32fast::hash(records).to_le_bytes();
        for (place, byte) in head.iter_mut().zip(length.into_iter().chain(sum)) {
            *place = byte;
        }
    }

    pub(super) fn series(&mut self, number: u32, labels: &Labels) {
        let out = self.record(SERIES);
        put_number(out, u64::from(number));
        put_number(out, labels.len() as u64);
        for text in labels.iter().flat_map(|(name, value)| [name, value]) {
            put_number(out, text.len() as u64);
            out.extend(text.as_bytes());
        }
    }

    pub(super) fn chunk(&mut self, number: u32, grade: Grade, chunk: &Sealed) {
        let out = self.record(CHUNK);
        put_number(out, u64::from(number));
        out.push(grade.code());
        put_number(out, zigzag(chunk.first));
        put_number(out, zigzag(chunk.last));
        put_number(out, chunk.bytes.len() as u64);
        out.extend(&*chunk.bytes);
    }

    pub(super) fn head(&mut self, number: u32, grade: Grade, head: &HeadPart) {
        let out = self.record(HEAD);
        put_number(out, u64::from(number));
        out.push(grade.code());
        put_number(out, zigzag(head.first));
        put_closing(out, head);
        put_number(out, head.from as u64);
        put_number(out, head.bytes.len() as u64);
        out.extend(&head.bytes);
    }

    /// All frames.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.close();
        self.bytes
    }
}

/// A record as it is read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Record {
    Series(u64, Labels),
    Chunk(u64, Grade, i64, i64, Box<[u8]>),
    Head(u64, Grade, HeadPart),
}

/// How a file ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    Whole,
    /// The last frame is not there as a whole; so many bytes are left over.
    Torn(usize),
    /// What begins at this byte is not as it was written.
    Damaged(usize),
    /// All frames are as they were written, but what some of them say are chunks is none: which.
    Undecodable(String),
}

/// Hands on a file's records up to its end or its first fault.
pub(super) fn read(file: &[u8], mut visit: impl FnMut(Record)) -> End {
    let Some(mut rest) = file.strip_prefix(MAGIC) else {
        return if MAGIC.starts_with(file) { End::Torn(file.len()) } else { End::Damaged(0) };
    };
    while !rest.is_empty() {
        let at = file.len() - rest.len();
        let mut reader = Reader(rest);
        let (Some(length), Some(sum)) = (reader.little_endian(4), reader.little_endian(4)) else { return End::Torn(rest.len()) };
        let Some(mut records) = usize::try_from(length).ok().and_then(|length| reader.take(length)).map(Reader) else {
            return End::Torn(rest.len());
        };
        if u64::from(crc32fast::hash(records.0)) != sum {
            return End::Damaged(at);
        }
        while !records.0.is_empty() {
            let Some(record) = record(&mut records) else { return End::Damaged(at) };
            visit(record);
        }
        rest = reader.0;
    }
    End::Whole
}

fn record(reader: &mut Reader<'_>) -> Option<Record> {
    let kind = reader.byte()?;
    let number = reader.number()?;
    Some(match kind {
        SERIES => {
            let count = reader.number()?;
            let mut pairs = Vec::new();
            for _ in 0..count {
                pairs.push((text(reader)?, text(reader)?));
            }
            Record::Series(number, Labels::from_pairs(pairs))
        }
        CHUNK => {
            let grade = Grade::from_code(reader.byte()?)?;
            let (first, last) = (unzigzag(reader.number()?), unzigzag(reader.number()?));
            Record::Chunk(number, grade, first, last, bytes(reader)?.into())
        }
        HEAD => {
            let grade = Grade::from_code(reader.byte()?)?;
            let first = unzigzag(reader.number()?);
            let (count, closing) = closing(reader, first)?;
            let from = usize::try_from(reader.number()?).ok()?;
            Record::Head(number, grade, HeadPart { first, count, closing, from, bytes: bytes(reader)?.to_vec() })
        }
        _ => return None,
    })
}

fn put_closing(out: &mut Vec<u8>, head: &HeadPart) {
    let Closing { last, step, repeats, unit } = head.closing;
    put_number(out, u64::from(head.count));
    put_number(out, zigzag(last.millis.wrapping_sub(head.first)));
    put_number(out, last.bits.swap_bytes());
    put_number(out, zigzag(step));
    put_number(out, u64::from(repeats));
    out.push(match unit {
        Unit::Decimal(places) => places,
        Unit::Bits => NO_PLACES,
    });
}

fn closing(reader: &mut Reader<'_>, first: i64) -> Option<(u16, Closing)> {
    let count = u16::try_from(reader.number()?).ok()?;
    let last = Raw { millis: first.wrapping_add(unzigzag(reader.number()?)), bits: reader.number()?.swap_bytes() };
    let (step, repeats) = (unzigzag(reader.number()?), u16::try_from(reader.number()?).ok()?);
    let unit = match reader.byte()? {
        NO_PLACES => Unit::Bits,
        places => Unit::Decimal(places),
    };
    Some((count, Closing { last, step, repeats, unit }))
}

fn bytes<'a>(reader: &mut Reader<'a>) -> Option<&'a [u8]> {
    let length = usize::try_from(reader.number()?).ok()?;
    reader.take(length)
}

fn text<'a>(reader: &mut Reader<'a>) -> Option<&'a str> {
    std::str::from_utf8(bytes(reader)?).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written() -> (Vec<u8>, Vec<Record>) {
        let labels = Labels::from_pairs([("__name__", "m"), ("l", "ü\"\n")]);
        let chunk = Sealed { first: -5, last: 1 << 40, bytes: vec![7; 300].into() };
        let closing = Closing { last: Raw { millis: 7_009, bits: u64::MAX }, step: -5, repeats: 400, unit: Unit::Bits };
        let head = HeadPart { first: 9, count: 700, closing, from: 60, bytes: vec![1, 2, 3] };
        let mut writer = Writer::default();
        writer.series(300, &labels);
        writer.chunk(300, Grade::Minutes, &chunk);
        let mut file = MAGIC.to_vec();
        file.extend(writer.finish());
        let mut writer = Writer::default();
        writer.head(300, Grade::Full, &head);
        file.extend(writer.finish());
        let records = vec![
            Record::Series(300, labels),
            Record::Chunk(300, Grade::Minutes, -5, 1 << 40, vec![7; 300].into()),
            Record::Head(300, Grade::Full, head),
        ];
        (file, records)
    }

    fn records(file: &[u8]) -> (Vec<Record>, End) {
        let mut records = Vec::new();
        let end = read(file, |record| records.push(record));
        (records, end)
    }

    #[test]
    fn what_is_written_is_read() {
        let (file, written) = written();
        assert_eq!(records(&file), (written, End::Whole));
    }

    #[test]
    fn a_file_that_ends_early_is_read_up_to_there() {
        let (file, written) = written();
        let whole: Vec<usize> = (0..file.len()).filter(|len| records(&file[..*len]).1 == End::Whole).collect();
        assert_eq!(whole.len(), 2, "no frame, and one: {whole:?}");
        for len in 0..file.len() {
            let (read, end) = records(&file[..len]);
            assert!(matches!(end, End::Whole | End::Torn(_)), "{len}: {end:?}");
            assert_eq!(read[..], written[..read.len()]);
        }
    }

    #[test]
    fn a_bit_that_is_not_as_written_is_noticed() {
        let (file, written) = written();
        let second = (MAGIC.len() + 1..file.len()).find(|len| records(&file[..*len]).1 == End::Whole).expect("two frames");
        for place in 0..file.len() * 8 {
            let mut file = file.clone();
            file[place / 8] ^= 1 << (place % 8);
            let (read, end) = records(&file);
            assert_ne!(end, End::Whole, "bit {place}");
            // A frame that is not as written is told by where it begins.
            let frames = [0, MAGIC.len(), second];
            let begin = frames.into_iter().rfind(|begin| *begin <= place / 8);
            assert!(matches!(end, End::Torn(_)) || Some(&end) == begin.map(End::Damaged).as_ref(), "bit {place}: {end:?}");
            assert_eq!(read[..], written[..read.len()]);
        }
    }

    #[test]
    fn many_records_make_many_frames() {
        let chunk = Sealed { first: 0, last: 1, bytes: vec![7; 100_000].into() };
        let mut writer = Writer::default();
        for number in 0..30 {
            writer.chunk(number, Grade::Full, &chunk);
        }
        let file = [MAGIC.to_vec(), writer.finish()].concat();
        assert_eq!(records(&file).0.len(), 30);
        assert_eq!(records(&file[..file.len() - 1]).0.len(), 22, "two frames of eleven");
    }

    proptest! {
        #[test]
        fn other_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            // As a file, and behind a right checksum.
            records(&bytes);
            let mut file = MAGIC.to_vec();
            file.extend(u32::try_from(bytes.len()).expect("small").to_le_bytes());
            file.extend(crc32fast::hash(&bytes).to_le_bytes());
            file.extend(&bytes);
            records(&file);
        }
    }
}
