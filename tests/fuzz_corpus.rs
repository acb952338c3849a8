//! The inputs that the fuzz targets keep, through the same bodies: what was found once stays found.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // a test may fail

use std::fs;
use std::panic::catch_unwind;
use std::path::Path;

#[path = "../fuzz/bodies/mod.rs"]
mod bodies;

/// What a target does with an input.
type Body = fn(&[u8]);

/// Every target by the name of its folder.
const TARGETS: [(&str, Body); 10] = [
    ("chunk", bodies::chunk),
    ("frame", bodies::frame),
    ("history", bodies::history),
    ("journal", bodies::journal),
    ("json", bodies::json),
    ("pattern", bodies::pattern),
    ("promql", bodies::promql),
    ("rules", bodies::rules),
    ("statsd", bodies::statsd),
    ("template", bodies::template),
];

/// The corpus stays small enough for a repository.
const BYTES_MAX: u64 = 1 << 20;

#[test]
fn every_input_of_the_corpus_keeps_its_properties() {
    let mut bytes = 0;
    for (target, body) in TARGETS {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
        let inputs: Vec<_> = fs::read_dir(&folder).expect(target).map(|entry| entry.expect("an entry").path()).collect();
        assert!(!inputs.is_empty(), "no corpus for {target}");
        for input in inputs {
            let data = fs::read(&input).expect("readable");
            bytes += data.len() as u64;
            assert!(catch_unwind(|| body(&data)).is_ok(), "{}: {}", input.display(), data.escape_ascii());
        }
    }
    assert!(bytes <= BYTES_MAX, "{bytes} bytes of corpus");
}

/// An input with some of its bytes gone, twice, changed, or replaced by those of another one.
fn mutated(input: &[u8], other: &[u8], random: &mut u64) -> Vec<u8> {
    let mut below = |bound: usize| {
        // xorshift64*: the same inputs in each run.
        *random ^= *random >> 12;
        *random ^= *random << 25;
        *random ^= *random >> 27;
        usize::try_from(random.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33).expect("it fits") % bound.max(1)
    };
    let mut data = input.to_vec();
    for _ in 0..=below(4) {
        let start = below(data.len() + 1);
        let end = (start + below(9)).min(data.len());
        let piece = match below(4) {
            0 => Vec::new(),
            1 => data[start..end].repeat(2 + below(3)),
            2 => data[start..end].iter().map(|byte| byte ^ (1 << below(7))).collect(),
            _ => {
                let from = below(other.len() + 1);
                other[from..(from + below(40)).min(other.len())].to_vec()
            }
        };
        data.splice(start..end, piece);
    }
    data
}

/// As many changed ones of each input as `SIDEWATCH_MUTATIONS` says, for the targets that `SIDEWATCH_FUZZ` names; none by default. `make fuzz` finds more: it
/// knows what an input reaches.
#[test]
fn changed_inputs_keep_the_properties() {
    let mutations: usize = std::env::var("SIDEWATCH_MUTATIONS").map_or(0, |number| number.parse().expect("a number"));
    let named = std::env::var("SIDEWATCH_FUZZ").unwrap_or_default();
    let mut random = 0x9e37_79b9_7f4a_7c15;
    let mut count = 0;
    for (target, body) in TARGETS.iter().filter(|(target, _)| named.is_empty() || named.split(',').any(|name| name == *target)) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
        let mut paths: Vec<_> = fs::read_dir(&folder).expect(target).map(|entry| entry.expect("an entry").path()).collect();
        paths.sort();
        let inputs: Vec<Vec<u8>> = paths.iter().map(|path| fs::read(path).expect("readable")).collect();
        for (number, input) in inputs.iter().enumerate() {
            for round in 0..mutations {
                let other = &inputs[(number + round) % inputs.len()];
                let data = mutated(input, other, &mut random);
                count += 1;
                assert!(catch_unwind(|| body(&data)).is_ok(), "{target}: {}", data.escape_ascii());
            }
        }
    }
    println!("{count} inputs");
}

#[test]
fn every_target_has_its_corpus_replayed() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/fuzz_targets");
    let files = fs::read_dir(folder).expect("the targets");
    let mut targets: Vec<_> =
        files.map(|entry| entry.expect("an entry").path().file_stem().expect("a name").to_string_lossy().into_owned()).collect();
    targets.sort();
    assert_eq!(targets, TARGETS.map(|(name, _)| name));
}
