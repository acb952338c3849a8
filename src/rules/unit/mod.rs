//! Unit tests of rules, in the format of promtool's: series that are made up, and which alerts fire and what expressions give
//! at which times. Source: prometheus/prometheus `docs/configuration/unit_testing_rules.md`, `cmd/promtool/unittest.go`.
//!
//! `file` reads a test file, `run` evaluates the rules over its series as the agent would, `failure` says what is not as
//! expected, `coverage` which rules and which of their states no test has seen.

mod coverage;
mod failure;
mod file;
mod raw;
mod run;

pub use coverage::{Coverage, RuleCoverage};
pub use failure::Failure;
pub use file::TestFile;
pub use run::TestResult;
