//! The engine against files of Prometheus's test language: the project's own, all of which pass, and upstream's where
//! they are at hand (`SIDEWATCH_PROMQLTEST`, or `shared/promqltest` beside the project), of which never fewer may pass.

mod promqltest;

use std::io::Write;
use std::path::{Path, PathBuf};

use promqltest::{Outcome, Script, Tally, run};

/// How many cases of upstream's files pass; raise a figure when more do. All cases without native histograms.
const UPSTREAM: [(&str, usize); 8] = [
    ("aggregators", 126),
    ("at_modifier", 78),
    ("functions", 334),
    ("histograms", 93),
    ("literals", 25),
    ("operators", 142),
    ("selectors", 31),
    ("staleness", 17),
];

/// Runs a file; gives the tally and what did not pass.
#[allow(clippy::panic)] // only tests call it
fn tally(file: &Path) -> (Tally, Vec<String>) {
    let text = std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let script = Script::parse(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let mut complaints = Vec::new();
    let tally = run(&script, &mut |line, expr, outcome| match outcome {
        Outcome::Passed => {}
        Outcome::Failed(why) | Outcome::Unsupported(why) => complaints.push(format!("{}:{line}: {expr}\n    {why}", file.display())),
    });
    (tally, complaints)
}

#[test]
fn the_projects_own_files_pass() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/promql");
    let files: Vec<PathBuf> = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
    assert!(files.len() >= 6, "{files:?}");
    let mut all = Vec::new();
    for file in files {
        let (tally, complaints) = tally(&file);
        assert!(tally.passed + tally.failed > 0, "{} has no cases", file.display());
        all.extend(complaints);
    }
    assert!(all.is_empty(), "{}", all.join("\n"));
}

#[test]
fn as_many_of_upstreams_cases_pass_as_ever() {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/promqltest");
    let folder = std::env::var_os("SIDEWATCH_PROMQLTEST").map_or(beside, PathBuf::from);
    if !folder.is_dir() {
        // Past the test runner, which shows what is printed for tests that fail alone.
        let line = format!("SKIPPED: upstream's cases: {} is not there (SIDEWATCH_PROMQLTEST names another folder)\n", folder.display());
        std::io::stderr().write_all(line.as_bytes()).expect("written");
        return;
    }
    let mut total = Tally::default();
    for (name, floor) in UPSTREAM {
        let (tally, complaints) = tally(&folder.join(format!("{name}.test")));
        println!("{name}: {tally}");
        assert!(tally.failed == 0 && tally.passed >= floor, "{name}: {tally}, expected {floor}\n{}", complaints.join("\n"));
        total.add(tally);
    }
    println!("total: {total}");
}
