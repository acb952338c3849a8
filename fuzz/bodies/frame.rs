//! Framing: what comes out of a connection is what the protocol says of its bytes, however they are divided into reads.

use sidewatch::ingest::{Config, FrameBytes, Refusal, Transport, payloads};

use super::Outcome;
use super::outcome::all;

/// The first byte chooses the limit, the second how the rest is divided into reads.
pub(crate) fn frame(data: &[u8]) {
    let Some((&[limit, seed], bytes)) = data.split_first_chunk::<2>() else { return };
    let limit = 1 + usize::from(limit % 64);
    let reads = divided(bytes, seed);
    let expected = expected(limit, bytes);
    assert_eq!(found(limit, &[bytes]), expected, "in one read");
    assert_eq!(found(limit, &reads), expected, "in reads of {:?}", reads.iter().map(|read| read.len()).collect::<Vec<_>>());

    // What costs more is done now and then.
    if seed % 8 != 0 {
        return;
    }
    let config = Config { frame_bytes_max: FrameBytes::try_from(512).expect("the least that there may be"), ..Config::default() };
    let whole = Outcome::of(&config, |probe| all(&mut probe.sender(Transport::Stream), &[bytes]));
    let pieces = Outcome::of(&config, |probe| all(&mut probe.sender(Transport::Stream), &reads));
    assert_eq!(whole, pieces);
}

type Payloads = Vec<Result<Vec<u8>, Refusal>>;

/// The protocol's words as code, for a connection that is known whole.
fn expected(limit: usize, bytes: &[u8]) -> Payloads {
    if !is_prefixed(bytes) {
        let whole = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        let line = |line: &[u8]| if line.len() > limit { Err(Refusal::FrameTooLarge) } else { Ok(line.to_vec()) };
        return if bytes.is_empty() { Vec::new() } else { whole.split(|byte| *byte == b'\n').map(line).collect() };
    }
    let mut payloads = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let Some((prefix, behind)) = rest.split_first_chunk::<4>() else {
            payloads.push(Err(Refusal::Truncated));
            break;
        };
        let length = u32::from_le_bytes(*prefix) as usize;
        rest = behind.get(length..).unwrap_or(&[]);
        payloads.push(match behind.get(..length) {
            _ if length > limit => Err(Refusal::FrameTooLarge),
            Some(payload) => Ok(payload.to_vec()),
            None => Err(Refusal::Truncated),
        });
    }
    payloads
}

fn is_prefixed(bytes: &[u8]) -> bool {
    matches!(bytes, [_, _, third, fourth, ..] if *third == 0 || *fourth == 0)
}

/// What came out, lines one by one.
fn found(limit: usize, reads: &[&[u8]]) -> Payloads {
    let lines = !is_prefixed(&reads.concat());
    let mut found = Vec::new();
    for payload in payloads(limit, reads) {
        match payload {
            Ok(payload) if lines => found.extend(payload.split(|byte| *byte == b'\n').map(|line| Ok(line.to_vec()))),
            other => found.push(other),
        }
    }
    found
}

/// The bytes in reads of 1 to 16 bytes, the same for the same seed.
fn divided(mut bytes: &[u8], seed: u8) -> Vec<&[u8]> {
    let mut state = u32::from(seed) | 0x100;
    let mut reads = Vec::new();
    while !bytes.is_empty() {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let (read, rest) = bytes.split_at(bytes.len().min(1 + (state >> 28) as usize));
        reads.push(read);
        bytes = rest;
    }
    reads
}
