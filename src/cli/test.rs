//! `sidewatch test rules`: runs unit tests of rules, in the format of promtool's.

use std::path::{Component, Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use regex::Regex;

use super::junit;
use super::output::{note, print};
use crate::clock;
use crate::diagnostic::Diagnostic;
use crate::rules;
use crate::rules::{Coverage, Failure, TestFile, TestResult};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Run unit tests of rules, in the format of promtool's test files
    Rules(RulesArguments),
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Exit codes: 0 all tests passed, 1 not all.

Examples:
  sidewatch test rules tests/*.yml
  sidewatch test rules tests/*.yml --run 'latency|errors' --diff --coverage
  sidewatch test rules tests/*.yml --junit report.xml")]
struct RulesArguments {
    /// Test files
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Run only the tests whose name this regular expression matches; may be given several times
    #[arg(long, value_name = "REGEX")]
    run: Vec<Regex>,
    /// Of what was expected and what there is show where they differ
    #[arg(long)]
    diff: bool,
    /// Say which rules, and which of their states, no test has seen
    #[arg(long)]
    coverage: bool,
    /// Write the results to this file, as JUnit XML
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
}

/// What came of a test file.
pub(super) struct FileResult {
    pub(super) file: String,
    /// Why none of it could be run.
    pub(super) problems: Vec<Diagnostic>,
    pub(super) tests: Vec<TestResult>,
    pub(super) took: Duration,
}

impl FileResult {
    fn failures(&self) -> impl Iterator<Item = &Failure> {
        self.tests.iter().flat_map(|test| &test.failures)
    }

    fn passed(&self) -> bool {
        self.problems.is_empty() && self.failures().next().is_none()
    }
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let What::Rules(arguments) = &arguments.what;
    let mut results = Vec::new();
    for file in &arguments.files {
        print(&format!("Unit Testing:  {}\n", file.display()))?;
        let result = test(file, &arguments.run);
        if result.passed() {
            print("  SUCCESS\n\n")?;
        } else {
            note("  FAILED:");
            super::print_problems(&result.problems);
            for failure in result.failures() {
                note(&if arguments.diff { failure.diff() } else { failure.to_string() });
            }
            note("");
        }
        results.push(result);
    }
    let none = results.iter().all(|result| result.problems.is_empty() && result.tests.is_empty());
    if none && !arguments.run.is_empty() {
        note("there is no test of that name: --run matches the `name` of tests");
        return Ok(ExitCode::FAILURE);
    }
    if arguments.coverage {
        let mut coverage = Coverage::default();
        results.iter().flat_map(|result| &result.tests).for_each(|test| coverage.add(test.coverage.clone()));
        print(&coverage.to_string())?;
    }
    if let Some(file) = &arguments.junit {
        std::fs::write(file, junit::report(&results)).with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(if results.iter().all(FileResult::passed) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn test(path: &Path, run: &[Regex]) -> FileResult {
    let started = clock::monotonic();
    let file = path.display().to_string();
    let parsed = rules::read_file(path)
        .map_err(|error| vec![Diagnostic::of_file(&file, format!("cannot be read: {error}"))])
        .and_then(|text| TestFile::parse(&file, &text))
        .and_then(|tests| Ok((rule_files(path, &tests)?, tests)));
    let (tests, problems) = match parsed {
        Ok((files, tests)) => {
            let set = rules::load_only(&files);
            let chosen = |name: &str| run.is_empty() || run.iter().any(|run| run.is_match(name));
            (tests.run(&set, &chosen), Vec::new())
        }
        Err(problems) => (Vec::new(), problems),
    };
    FileResult { file, problems, tests, took: started.elapsed() }
}

/// The rule files that a test file means, each once.
fn rule_files(test: &Path, tests: &TestFile) -> Result<Vec<PathBuf>, Vec<Diagnostic>> {
    let folder = test.parent().unwrap_or(Path::new(""));
    let mut files: Vec<PathBuf> = Vec::new();
    for pattern in tests.rule_files() {
        // What is no name is not the folder, either.
        let full = if pattern.is_empty() { String::new() } else { folder.join(pattern).display().to_string() };
        let wrong = |error: String| vec![Diagnostic::of_file(&test.display().to_string(), format!("rule_files: {full}: {error}"))];
        let mut found = false;
        let options = glob::MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: false };
        for path in glob::glob_with(&go_pattern(&full), options).map_err(|error| wrong(error.to_string()))? {
            let path = path.map_err(|error| wrong(error.to_string()))?;
            // Without the `./` that says nothing.
            let path: PathBuf = path.components().filter(|part| *part != Component::CurDir).collect();
            found = true;
            if !files.contains(&path) {
                files.push(path);
            }
        }
        if !found {
            note(&format!("  WARNING: no file match pattern {full}"));
        }
    }
    Ok(files)
}

/// A pattern as Go reads it, for a library that reads others: `**` is no more than `*`, `[^…]` means what is not there, `[!…]` is a mark
/// among others, and a backslash takes the meaning of what follows.
fn go_pattern(pattern: &str) -> String {
    let mut out = String::new();
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        match (c, chars.peek()) {
            ('*', Some('*')) => {}
            ('[', Some('^')) => {
                chars.next();
                out.push_str("[!");
            }
            ('[', Some('!')) => {
                chars.next();
                let rest: String = chars.by_ref().take_while(|c| *c != ']').collect();
                out.push_str(&format!("[{rest}!]"));
            }
            ('\\', Some(&next)) => {
                chars.next();
                out.push_str(&glob::Pattern::escape(&next.to_string()));
            }
            (c, _) => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_gos() {
        for (pattern, read) in
            [("a*/**.yml", "a*/*.yml"), ("[^a].yml", "[!a].yml"), ("[!a].yml", "[a!].yml"), (r"\r\*.yml", "r[*].yml"), ("**/r", "*/r")]
        {
            assert_eq!(go_pattern(pattern), read);
        }
    }
}
