//! The packs' unit tests in `rules/tests/`, which promtool runs too: what fires there has to fire here, at the same time and with
//! the same words.

use std::fs;
use std::path::Path;

use super::*;
use crate::rules::config::{Config, Packs};
use crate::rules::load::load_files;
use crate::rules::unit::TestFile;

fn folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/rules"))
}

fn run(packs: &[Pack], name: &str) {
    let path = folder().join("tests").join(name).with_extension("yml");
    let tests = TestFile::parse(name, &fs::read_to_string(path).expect("readable")).expect("a test file");
    let config = Config { packs: Packs::all(false), ..Config::default() };
    let files: Vec<_> = packs.iter().map(|pack| folder().join(pack.name).with_extension("yml")).collect();
    let rules = load_files(&config, &files);
    let results = tests.run(&rules, &|_| true);
    assert!(!results.is_empty(), "{name} has no test");
    for result in results {
        assert!(result.failures.is_empty(), "{name}: {}", result.failures.iter().map(ToString::to_string).collect::<String>());
    }
}

#[test]
fn every_pack_fires_as_its_tests_say() {
    PACKS.iter().for_each(|pack| run(std::slice::from_ref(pack), pack.name));
}

#[test]
fn every_pack_is_quiet_on_a_healthy_host_with_an_idle_service() {
    run(PACKS, "idle");
}
