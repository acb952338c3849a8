//! History's chunks and heads: samples come back to the bit, and no bytes make the decoder panic.

use sidewatch::history::{rehearse_chunk, rehearse_head, rehearse_samples};

/// A chunk has no more samples.
const SAMPLES_MAX: usize = 480;

/// The first byte chooses: the bytes of a chunk; or samples, each of them eight bytes of its value and two of the time since the one
/// before; or samples in fewer bytes, with values that are decimals and equal steps, as most are.
pub(crate) fn chunk(data: &[u8]) {
    let mut at = 1_700_000_000_000_i64;
    let samples: Vec<(i64, u64)> = match data {
        [0, chunk @ ..] => {
            let _samples = rehearse_chunk(chunk);
            return;
        }
        [1, values @ ..] => {
            let sample = |bytes: &[u8; 10]| {
                let [a, b, c, d, e, f, g, h, low, high] = *bytes;
                at += 1 + i64::from(u16::from_le_bytes([low, high]));
                (at, u64::from_le_bytes([a, b, c, d, e, f, g, h]))
            };
            values.as_chunks().0.iter().map(sample).collect()
        }
        [_, places, values @ ..] => {
            let unit = 10_f64.powi(i32::from(*places % 8));
            let sample = |bytes: &[u8; 2]| {
                at += 5000;
                (at, (f64::from(i16::from_le_bytes(*bytes)) / unit).to_bits())
            };
            values.as_chunks().0.iter().map(sample).collect()
        }
        _ => return,
    };
    for samples in samples.chunks(SAMPLES_MAX) {
        assert_eq!(rehearse_samples(samples).as_deref(), Some(samples), "samples did not come back from a chunk");
        assert!(rehearse_head(samples), "samples did not come back from a head");
    }
}
