//! `sidewatch check`: the configuration and the rule files, all problems at once.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::builder::PossibleValuesParser;

use super::check_rules;
use super::output::{note, print};
use super::print_problems;
use crate::config;
use crate::config::{Config, Source, load};
use crate::rules;
use crate::rules::{PACKS, RuleSet};

#[derive(Debug, clap::Args)]
#[command(after_help = "Exit codes: 0 nothing wrong, 1 problems found.

Examples:
  sidewatch check                             the configuration, its rules folder, the built-in packs
  sidewatch check rules/*.yml                 only these rule files
  sidewatch check --print-pack host           a built-in pack, to start from
  sidewatch check --print-schema > sw.json    a JSON Schema of the configuration, for editors")]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Arguments {
    #[command(subcommand)]
    what: Option<What>,
    /// Check only these rule files
    #[arg(value_name = "RULE_FILE")]
    files: Vec<PathBuf>,
    /// Print a JSON Schema of the configuration file and exit
    #[arg(long)]
    print_schema: bool,
    /// Print a built-in pack of rules, to start from, and exit
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(PACKS.iter().map(|pack| pack.name)))]
    print_pack: Option<String>,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Check rule files as promtool does, and look for what is valid and probably a mistake
    Rules(check_rules::Arguments),
}

pub(super) fn run(source: &Source, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    if let Some(What::Rules(arguments)) = &arguments.what {
        return check_rules::run(source, arguments);
    }
    if arguments.print_schema {
        print(&format!("{:#}\n", config::json_schema()))?;
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(pack) = arguments.print_pack.as_deref().and_then(|name| PACKS.iter().find(|pack| pack.name == name)) {
        print(pack.text)?;
        return Ok(ExitCode::SUCCESS);
    }
    if !arguments.files.is_empty() {
        return verdict("", 0, &rules::load_only(&arguments.files));
    }
    let (config, problems) = match load(source) {
        Ok(loaded) => {
            for warning in config::warnings(&loaded.config, &source.path().display().to_string(), &loaded.text) {
                note(&format!("warning: {warning}"));
            }
            (loaded.config, Vec::new())
        }
        Err(problems) => (Config::default().at(&source.places, &source.host_name), problems),
    };
    print_problems(&problems);
    let path = source.path();
    let checked = if path.exists() { format!("{}, ", path.display()) } else { format!("defaults (no {}), ", path.display()) };
    verdict(&checked, problems.len(), &rules::load(&config.rules))
}

/// The last line: what is valid, or how many problems there are, `before` of them outside the rule files.
fn verdict(checked: &str, before: usize, set: &RuleSet) -> anyhow::Result<ExitCode> {
    for warning in &set.warnings {
        note(&format!("warning: {warning}"));
    }
    print_problems(&set.problems);
    match before + set.problems.len() {
        0 => {
            let packs: BTreeSet<&str> = set.groups.iter().map(|group| group.file()).filter(|file| file.starts_with("pack:")).collect();
            let counted = [(packs.len(), "pack"), (set.loaded.saturating_sub(packs.len()), "rule file")];
            let counted: Vec<_> = counted.into_iter().filter(|(number, _)| *number > 0).map(|(number, noun)| count(number, noun)).collect();
            let sources = if counted.is_empty() { "no rule files".to_owned() } else { counted.join(" and ") };
            print(&format!("valid: {checked}{sources} with {}\n", count(set.rule_count(), "rule")))?;
            Ok(ExitCode::SUCCESS)
        }
        problems => {
            note(&format!("{} found", count(problems, "problem")));
            Ok(ExitCode::FAILURE)
        }
    }
}

fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}
