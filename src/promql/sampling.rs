//! `limit_ratio`: which series are among a share of all, decided by a hash of their labels, so that the same ones are chosen
//! at every step, and the shares `r` and `r - 1` complement each other.

use crate::model::Labels;

const PRIMES: [u64; 5] =
    [0x9e37_79b1_85eb_ca87, 0xc2b2_ae3d_27d4_eb4f, 0x1656_67b1_9e37_79f9, 0x85eb_ca77_c2b2_ae63, 0x27d4_eb2f_1656_67c5];

/// Whether a series is in the share: of the lowest hashes where it is positive, of the highest where it is negative.
pub(super) fn is_chosen(labels: &Labels, share: f64) -> bool {
    let place = hash(&encoded(labels)) as f64 / u64::MAX as f64;
    if share >= 0.0 { place < share } else { place >= 1.0 + share }
}

/// Names and values in order, each with its length in front: Prometheus's own form of labels, so that it chooses the same
/// series. Source: prometheus/prometheus `model/labels/labels_stringlabels.go`.
fn encoded(labels: &Labels) -> Vec<u8> {
    let mut bytes = Vec::new();
    for text in labels.iter().flat_map(|(name, value)| [name, value]) {
        match u8::try_from(text.len()) {
            Ok(short) if short < u8::MAX => bytes.push(short),
            _ => {
                bytes.push(u8::MAX);
                bytes.extend(text.len().to_le_bytes().into_iter().take(3));
            }
        }
        bytes.extend(text.as_bytes());
    }
    bytes
}

fn word(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte))
}

const fn round(lane: u64, input: u64) -> u64 {
    lane.wrapping_add(input.wrapping_mul(PRIMES[1])).rotate_left(31).wrapping_mul(PRIMES[0])
}

/// XXH64 with the seed 0. Source: Cyan4973/xxHash `doc/xxhash_spec.md`.
fn hash(bytes: &[u8]) -> u64 {
    let stripes = bytes.chunks_exact(32);
    let mut rest = stripes.remainder();
    let mut state = PRIMES[4];
    if bytes.len() >= 32 {
        let mut lanes = [PRIMES[0].wrapping_add(PRIMES[1]), PRIMES[1], 0, PRIMES[0].wrapping_neg()];
        for stripe in stripes {
            lanes.iter_mut().zip(stripe.chunks_exact(8)).for_each(|(lane, input)| *lane = round(*lane, word(input)));
        }
        let turned = lanes.iter().zip([1, 7, 12, 18]).map(|(lane, bits)| lane.rotate_left(bits));
        state = turned.fold(0, u64::wrapping_add);
        for lane in lanes {
            state = (state ^ round(0, lane)).wrapping_mul(PRIMES[0]).wrapping_add(PRIMES[3]);
        }
    }
    state = state.wrapping_add(bytes.len() as u64);
    while let Some((input, further)) = rest.split_at_checked(8) {
        state = (state ^ round(0, word(input))).rotate_left(27).wrapping_mul(PRIMES[0]).wrapping_add(PRIMES[3]);
        rest = further;
    }
    if let Some((input, further)) = rest.split_at_checked(4) {
        state = (state ^ word(input).wrapping_mul(PRIMES[0])).rotate_left(23).wrapping_mul(PRIMES[1]).wrapping_add(PRIMES[2]);
        rest = further;
    }
    for byte in rest {
        state = (state ^ u64::from(*byte).wrapping_mul(PRIMES[4])).rotate_left(11).wrapping_mul(PRIMES[0]);
    }
    state = (state ^ state >> 33).wrapping_mul(PRIMES[1]);
    state = (state ^ state >> 29).wrapping_mul(PRIMES[2]);
    state ^ state >> 32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_xxh64() {
        // The published values of the algorithm.
        assert_eq!(hash(b""), 0xef46_db37_51d8_e999);
        assert_eq!(hash(b"a"), 0xd24e_c4f1_a98c_6e5b);
        assert_eq!(hash(b"abc"), 0x44bc_2cf5_ad77_0999);
        assert_eq!(hash(b"xxhash"), 0x32dd_3895_2c4b_c720);
        assert_eq!(hash(b"Nobody inspects the spammish repetition"), 0xfbce_a83c_8a37_8bf1);
    }

    #[test]
    fn labels_are_hashed_with_their_lengths() {
        assert_eq!(encoded(&Labels::from_pairs([("b", "xy"), ("a", "")])), b"\x01b\x02xy");
        assert_eq!(encoded(&Labels::from_pairs([("a", "v".repeat(300))])).get(..6), Some(&b"\x01a\xff\x2c\x01\x00"[..]));
    }

    #[test]
    fn a_share_and_its_complement_are_all() {
        for number in 0..100 {
            let labels = Labels::from_pairs([("i", number.to_string())]);
            assert_ne!(is_chosen(&labels, 0.3), is_chosen(&labels, -0.7));
            assert!(is_chosen(&labels, 1.0) && is_chosen(&labels, -1.0) && !is_chosen(&labels, 0.0));
        }
    }
}
