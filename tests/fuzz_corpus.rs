//! The inputs that the fuzz targets keep, through the same bodies: what was found once stays found.

#![allow(clippy::expect_used, clippy::panic)] // a test may fail

use std::fs;
use std::panic::catch_unwind;
use std::path::Path;

#[path = "../fuzz/bodies/mod.rs"]
mod bodies;

/// What a target does with an input.
type Body = fn(&[u8]);

/// Every target by the name of its folder.
const TARGETS: [(&str, Body); 8] = [
    ("chunk", bodies::chunk),
    ("frame", bodies::frame),
    ("history", bodies::history),
    ("journal", bodies::journal),
    ("json", bodies::json),
    ("pattern", bodies::pattern),
    ("promql", bodies::promql),
    ("statsd", bodies::statsd),
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

#[test]
fn every_target_has_its_corpus_replayed() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/fuzz_targets");
    let files = fs::read_dir(folder).expect("the targets");
    let mut targets: Vec<_> =
        files.map(|entry| entry.expect("an entry").path().file_stem().expect("a name").to_string_lossy().into_owned()).collect();
    targets.sort();
    assert_eq!(targets, TARGETS.map(|(name, _)| name));
}
