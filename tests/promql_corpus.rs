//! Reads every query of Prometheus's own evaluation tests (`promql/promqltest/testdata/*.test`), which are not part of
//! this project: `SIDEWATCH_PROMQLTEST` names the folder, by default `../shared/promqltest` beside the repository.

#![allow(clippy::expect_used)] // a test that cannot read its input has failed

use std::io::Write;
use std::path::{Path, PathBuf};

use regex::Regex;
use sidewatch::promql::parse;

/// A query and where it stands.
struct Case {
    place: String,
    query: String,
    /// Whether evaluating it, or reading it, is expected to fail.
    fails: bool,
}

fn cases(file: &Path) -> Vec<Case> {
    let instant = Regex::new(r"^eval(?:_(fail|warn|ordered|info))?\s+instant\s+(?:at\s+(\S+)\s+)?(.+)$").expect("a pattern");
    let range =
        Regex::new(r"^eval(?:_(fail|warn|info))?\s+range\s+from\s+(?:\S+)\s+to\s+(?:\S+)\s+step\s+(\S+)\s+(.+)$").expect("a pattern");
    let text = std::fs::read_to_string(file).expect("a readable file");
    let mut cases: Vec<Case> = Vec::new();
    for (number, line) in text.lines().map(str::trim).enumerate() {
        if let Some(parts) = instant.captures(line).or_else(|| range.captures(line)) {
            cases.push(Case {
                place: format!("{}:{}", file.display(), number + 1),
                query: parts[3].to_owned(),
                fails: parts.get(1).is_some_and(|kind| kind.as_str() == "fail"),
            });
        } else if line.starts_with("expect fail") {
            cases.last_mut().expect("an expectation follows its query").fails = true;
        } else {
            assert!(!line.starts_with("eval"), "{}:{}: not understood: {line}", file.display(), number + 1);
        }
    }
    cases
}

#[test]
fn every_query_of_prometheus_is_read_and_reads_back_as_printed() {
    let folder = std::env::var_os("SIDEWATCH_PROMQLTEST")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/promqltest"), PathBuf::from);
    let Ok(entries) = std::fs::read_dir(&folder) else {
        // Past the test runner, which shows what is printed for tests that fail alone.
        let line = format!("SKIPPED: upstream's queries: {} is not there (SIDEWATCH_PROMQLTEST names another folder)\n", folder.display());
        std::io::stderr().write_all(line.as_bytes()).expect("written");
        return;
    };
    let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "test"));
    files.sort();
    assert!(!files.is_empty(), "{} has no .test files", folder.display());
    let cases: Vec<Case> = files.iter().flat_map(|file| cases(file)).collect();
    let mut wrong = Vec::new();
    for Case { place, query, fails } in &cases {
        match parse(query) {
            Ok(expr) => match parse(&expr.to_string()) {
                Ok(again) if again == expr && again.to_string() == expr.to_string() => {}
                Ok(again) => wrong.push(format!("{place}: {query}\n  prints as {expr}\n  and then as {again}")),
                Err(error) => wrong.push(format!("{place}: {query}\n  prints as {expr}\n  which is wrong: {error}")),
            },
            Err(error) if *fails => eprintln!("{place}: fails as expected: {error}"),
            Err(error) => wrong.push(format!("{place}: {error}\n{}", error.caret(query))),
        }
    }
    assert!(wrong.is_empty(), "{} of {} queries:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
    eprintln!("{} queries of {} files", cases.len(), files.len());
}
