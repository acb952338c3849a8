//! `sidewatch test rules` beside promtool's (2.42, Debian's), case by case: the project's own test files, and those in
//! `tests/rule_tests/`: `agree/`, broken and passing ones, where both mean the same, and `differ/`, where they do not; the
//! first line of those says why.

#![allow(clippy::expect_used, clippy::panic)] // a test may fail

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use regex::Regex;

const CAUSE: &str = "# cause: ";

fn files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut files: Vec<_> = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "yml"));
    files.sort();
    assert!(!files.is_empty());
    files
}

/// The exit code, and the cases that fail.
type Verdict = (Option<i32>, BTreeSet<String>);

fn verdict(program: &OsStr, file: &Path) -> std::io::Result<Verdict> {
    let output = Command::new(program).args(["test", "rules"]).arg(file).output()?;
    let cases = Regex::new(r#"(?:alertname: [^,]*|expr: ".*"), time: \w+"#).expect("valid");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    Ok((output.status.code(), cases.find_iter(&said).map(|case| case.as_str().to_owned()).collect()))
}

fn ours(file: &Path) -> Verdict {
    verdict(OsStr::new(env!("CARGO_BIN_EXE_sidewatch")), file).expect("it is there")
}

/// `make test` names a promtool; where none is named or installed there is nothing to compare with.
fn promtool(file: &Path) -> Option<Verdict> {
    let named = std::env::var_os("SIDEWATCH_PROMTOOL");
    match verdict(named.as_deref().unwrap_or(OsStr::new("promtool")), file) {
        Ok(verdict) => Some(verdict),
        Err(error) if named.is_none() && error.kind() == std::io::ErrorKind::NotFound => {
            eprintln!("skipped: promtool is not installed");
            None
        }
        Err(error) => panic!("promtool: {error}"),
    }
}

#[test]
fn both_agree_case_by_case() {
    for file in files("tests/rule_tests/agree").into_iter().chain(files("rules/tests")) {
        let ours = ours(&file);
        assert!(matches!(ours.0, Some(0 | 1)), "{}: {ours:?}", file.display());
        if let Some(theirs) = promtool(&file) {
            assert_eq!(ours, theirs, "{}", file.display());
        }
    }
}

#[test]
fn where_both_differ_the_cause_is_known() {
    for file in files("tests/rule_tests/differ") {
        let text = std::fs::read_to_string(&file).expect("readable");
        assert!(text.lines().next().is_some_and(|line| line.starts_with(CAUSE)), "{}", file.display());
        let ours = ours(&file);
        assert_eq!(ours, (Some(0), BTreeSet::new()), "{}: the file is right by Prometheus 3", file.display());
        if let Some(theirs) = promtool(&file) {
            assert_ne!(ours, theirs, "{}: they agree", file.display());
        }
    }
}

#[test]
fn the_tests_of_the_packs_pass_and_cover_every_state() {
    let output = Command::new(env!("CARGO_BIN_EXE_sidewatch"))
        .args(["test", "rules", "--coverage"])
        .args(files("rules/tests"))
        .output()
        .expect("it is there");
    let said = String::from_utf8_lossy(&output.stdout);
    let line = said.lines().find(|line| line.starts_with("Coverage: ")).expect("a line");
    let counts: Vec<&str> = line.split(' ').filter(|word| word.parse::<usize>().is_ok()).collect();
    assert!(output.status.success() && counts.len() == 2 && counts[0] == counts[1], "{said}");
}

#[test]
fn a_choice_of_tests_a_diff_a_report_and_coverage() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rule_tests");
    let report = tempfile::NamedTempFile::new().expect("a file");
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sidewatch"));
        let output = command.current_dir(&folder).args(["test", "rules"]).args(arguments).output().expect("it is there");
        (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    };
    let (code, said) = run(&["agree/chain.yml", "--run", "^nothing$"]);
    assert!(code == Some(1) && said.contains("there is no test of that name"), "{said}");
    let path = report.path().display().to_string();
    let (code, said) = run(&["agree/wrong.yml", "--run", "after one", "--diff", "--junit", &path]);
    let diff = "    name: a test after one that fails,\n    expr: \"load\", time: 0s\n        - load 2\n        + load 1\n";
    assert!(code == Some(1) && said.contains(diff), "{said}");
    let report = std::fs::read_to_string(report.path()).expect("written");
    let suite = "<testsuite name=\"agree/wrong.yml\" tests=\"1\" failures=\"1\" errors=\"0\" time=";
    assert!(report.contains(suite) && report.contains("<testcase name=\"a test after one that fails\">\n      <failure>"), "{report}");
    let (code, said) = run(&["agree/chain.yml", "--coverage"]);
    let coverage =
        "Coverage: 1 of 3 rules in all their states\n  agree/../chain.yml: group \"first\", record \"load:sum\": no test looks at it\n";
    assert!(code == Some(0) && said.contains(coverage), "{said}");
    assert!(said.contains("group \"second\", alert \"Double\": never resolved\n"), "{said}");
}

#[test]
fn what_is_probably_the_cause_of_a_failure_is_said() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("t.yml");
    let said = |series: &str, eval_time: &str| {
        let case = format!("{{expr: x, eval_time: {eval_time}, exp_samples: [{{labels: x, value: 1}}]}}");
        let text = format!("tests:\n  - interval: 1m\n    input_series:\n      - {{{series}}}\n    promql_expr_test:\n      - {case}\n");
        std::fs::write(&file, text).expect("written");
        let output = Command::new(env!("CARGO_BIN_EXE_sidewatch")).args(["test", "rules"]).arg(&file).output().expect("it is there");
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let help = "        help: a sample exactly 5m old no longer counts since Prometheus 3.0; add one more value\n";
    assert!(said("series: x, values: '1'", "5m").contains(help), "{}", said("series: x, values: '1'", "5m"));
    assert!(!said("series: x, values: '1'", "6m").contains("help"));
    assert!(!said("series: x, values: '1 2'", "5m").contains("help"), "there is a sample, of another value");
    let broken = said("series: 'x{a!=\"b\"}', values: '1'", "5m");
    assert!(broken.contains("t.yml:4:18: unexpected '!' inside braces"), "{broken}");
    let broken = said("series: x, values: '1 b'", "5m");
    assert!(broken.contains("t.yml:4:29: x: \"b\" is no value"), "{broken}");
    let picture = format!("\n    4 |       - {{series: x, values: '1 b'}}\n      | {}^\n", " ".repeat(28));
    assert!(broken.contains(&picture), "{broken}");
}
