//! `sidewatch check`: the configuration and the rule files, all problems at once.

use std::path::PathBuf;
use std::process::ExitCode;

use super::print_problems;
use crate::config;
use crate::config::{Config, Source, load};
use crate::rules;
use crate::rules::{Packs, RuleSet};

#[derive(Debug, clap::Args)]
#[command(after_help = "Exit codes: 0 nothing wrong, 1 problems found.

Examples:
  sidewatch check                             the configuration, its rules folder, the built-in packs
  sidewatch check rules/*.yml                 only these rule files
  sidewatch check --print-schema > sw.json    a JSON Schema of the configuration, for editors")]
pub(super) struct Arguments {
    /// Check only these rule files
    #[arg(value_name = "RULE_FILE")]
    files: Vec<PathBuf>,
    /// Print a JSON Schema of the configuration file and exit
    #[arg(long)]
    print_schema: bool,
}

pub(super) fn run(source: &Source, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    if arguments.print_schema {
        println!("{:#}", config::json_schema());
        return Ok(ExitCode::SUCCESS);
    }
    if !arguments.files.is_empty() {
        let config = rules::Config { packs: Packs { host: false, requests: false }, ..rules::Config::default() };
        return Ok(verdict("", &rules::load_files(&config, &arguments.files)));
    }
    let (config, sound) = match load(source) {
        Ok(loaded) => (loaded.config, true),
        Err(problems) => {
            print_problems(&problems);
            eprintln!("{} problem(s) in {}", problems.len(), source.path().display());
            (Config::default().at(&source.places, &source.host_name), false)
        }
    };
    let file = format!("{}, ", source.path().display());
    let code = verdict(if sound { &file } else { "" }, &rules::load(&config.rules));
    Ok(if sound { code } else { ExitCode::FAILURE })
}

fn verdict(checked: &str, set: &RuleSet) -> ExitCode {
    for warning in &set.warnings {
        eprintln!("warning: {warning}");
    }
    print_problems(&set.problems);
    if set.problems.is_empty() {
        println!("valid: {checked}{} rule file(s) with {} rule(s)", set.loaded, set.rule_count());
        return ExitCode::SUCCESS;
    }
    eprintln!("{} problem(s) in {} rule file(s)", set.problems.len(), set.broken);
    ExitCode::FAILURE
}
