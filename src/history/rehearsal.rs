//! What history makes of bytes, without a disk: for the fuzz targets, which are programs of their own.

use super::Config;
use super::archive::rehearse;
use super::blocks::Blocks;
use super::chunk::{Decoder, encode};
use super::head::{Head, Raw};
use super::store::Store;

/// Samples, as milliseconds and bits, as they are after they have been a chunk; `None` where they cannot be one.
#[must_use]
pub fn rehearse_samples(samples: &[(i64, u64)]) -> Option<Vec<(i64, u64)>> {
    let raw: Vec<Raw> = samples.iter().map(|(millis, bits)| Raw { millis: *millis, bits: *bits }).collect();
    let chunk = encode(&raw)?;
    let mut decoder = Decoder::default();
    let (times, bits) = decoder.decode(&chunk)?;
    Some(times.iter().copied().zip(bits.iter().copied()).collect())
}

/// Whether samples come back to the bit from a head.
#[must_use]
pub fn rehearse_head(samples: &[(i64, u64)]) -> bool {
    let raw: Vec<Raw> = samples.iter().map(|(millis, bits)| Raw { millis: *millis, bits: *bits }).collect();
    let Some((first, rest)) = raw.split_first() else { return true };
    let (mut blocks, mut head) = (Blocks::default(), Head::new(*first));
    for sample in rest {
        head.push(&mut blocks, *sample);
    }
    let mut expected = raw.iter().rev();
    let mut same = true;
    head.read(&blocks, |sample| {
        same &= expected.next() == Some(&sample);
        same
    });
    same && expected.next().is_none()
}

/// How many samples bytes are that may be a chunk.
#[must_use]
pub fn rehearse_chunk(chunk: &[u8]) -> usize {
    Decoder::default().decode(chunk).map_or(0, |(times, _)| times.len())
}

/// How many samples come back from a file, and how many of them the store holds then.
#[must_use]
pub fn rehearse_file(file: &[u8]) -> (u64, u64) {
    let mut store = Store::new(&Config::default());
    let restored = rehearse(file, &mut store);
    store.make_room();
    (restored, store.samples())
}

/// The same for the records of one frame, whose checksum is right.
#[must_use]
pub fn rehearse_frame(records: &[u8]) -> (u64, u64) {
    let length = u32::try_from(records.len()).unwrap_or(u32::MAX).to_le_bytes();
    let sum = crc32fast::hash(records).to_le_bytes();
    rehearse_file(&[super::archive::MAGIC.as_slice(), &length, &sum, records].concat())
}
