//! `sidewatch check rules`: promtool's checks of rule files, and lints over what the agent knows of its own metrics.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;

use super::output::{note, print};
use crate::app;
use crate::clock;
use crate::collect;
use crate::config::Source;
use crate::history::{Config as HistoryConfig, Query, Saved};
use crate::ingest;
use crate::model::{PromDuration, Timestamp};
use crate::registry;
use crate::rules;
use crate::rules::{Inventory, LINTS, LintContext};
use crate::telemetry::Telemetry;

/// What a lint has found is fatal on demand; promtool's code for it.
const LINT: u8 = 3;

#[derive(Debug, clap::Args)]
#[command(after_help = "Exit codes: 0 all files are valid, 1 not all, 3 a lint has found something, with --lint-fatal.

Examples:
  sidewatch check rules rules/*.yml
  sidewatch check rules rules/*.yml --lint duplicate-rules --lint-fatal    as promtool checks
  sidewatch check rules rules/*.yml --history /var/lib/sidewatch           against the metrics that are there")]
pub(super) struct Arguments {
    /// Rule files
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// The lints to apply, divided by commas: all, none, or some of those in docs/rules.md
    #[arg(long, value_name = "LINTS", default_value = "all", value_parser = lints)]
    lint: Lints,
    /// Make what a lint finds an error
    #[arg(long)]
    lint_fatal: bool,
    /// Ignore keys that Prometheus does not have, as other programs put into rule files. An agent refuses them
    #[arg(long)]
    ignore_unknown_fields: bool,
    /// How far apart the samples of a series are [default: history.resolution]
    #[arg(long, value_name = "DURATION")]
    resolution: Option<PromDuration>,
    /// Compare metrics and labels with those in the history that an agent has saved in this state folder
    #[arg(long, value_name = "DIR")]
    history: Option<PathBuf>,
}

/// The names of the lints that are on.
#[derive(Clone, Debug)]
struct Lints(BTreeSet<&'static str>);

fn lints(text: &str) -> Result<Lints, String> {
    let mut chosen = BTreeSet::new();
    for word in text.split(',').map(str::trim) {
        match word {
            "all" => chosen.extend(LINTS.iter().map(|(name, _)| *name)),
            "none" => {}
            word => match LINTS.iter().find(|(name, _)| *name == word) {
                Some((name, _)) => drop(chosen.insert(*name)),
                None => {
                    let known = LINTS.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
                    return Err(format!("there is no lint {word:?}; there are all, none, {known}"));
                }
            },
        }
    }
    Ok(Lints(chosen))
}

pub(super) fn run(source: &Source, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let config = super::configuration(source);
    let mut inventory = match &arguments.history {
        Some(folder) => saved(folder, &config.history)?,
        None => built_in()?,
    };
    let load = if arguments.ignore_unknown_fields { rules::load_ignoring_unknown } else { rules::load_only };
    let all = load(&arguments.files);
    for rule in all.groups.iter().flat_map(|group| group.rules()).filter(|rule| !rule.alerting) {
        inventory.add(rule.name, [], false);
    }
    let context = LintContext {
        lints: &arguments.lint.0,
        resolution_millis: arguments.resolution.unwrap_or(config.history.resolution).as_millis(),
        kept_millis: config.history.retention.as_millis().max(config.history.thinned_retention.as_millis()),
        engine: &config.promql,
        inventory: &inventory,
    };
    let (mut broken, mut found) = (false, false);
    for file in &arguments.files {
        print(&format!("Checking {}\n", file.display()))?;
        let set = load(std::slice::from_ref(file));
        for warning in &set.warnings {
            note(&format!("  warning: {warning}"));
        }
        if set.problems.is_empty() {
            let text = rules::read_file(file).with_context(|| format!("cannot read {}", file.display()))?;
            found |= lint(file, &text, &set, &context)?;
        } else {
            note("  FAILED:");
            super::print_problems(&set.problems);
            broken = true;
        }
        print("\n")?;
    }
    Ok(match (broken, found && arguments.lint_fatal) {
        (true, _) => ExitCode::FAILURE,
        (false, true) => ExitCode::from(LINT),
        (false, false) => ExitCode::SUCCESS,
    })
}

/// Says what the lints find in a file, and whether it is something.
fn lint(file: &Path, text: &str, set: &rules::RuleSet, context: &LintContext<'_>) -> anyhow::Result<bool> {
    let findings = rules::lint(&file.display().to_string(), text, &set.groups, context);
    for finding in &findings {
        note(&format!("  warning: {}", finding.diagnostic));
    }
    let twice = if context.lints.contains("duplicate-rules") { rules::duplicates(&set.groups) } else { Vec::new() };
    if twice.is_empty() {
        print(&format!("  SUCCESS: {} rules found\n", set.rule_count()))?;
        return Ok(!findings.is_empty());
    }
    note(&format!("  FAILED:\nlint error {} duplicate rule(s) found.", twice.len()));
    for rule in twice {
        note(&format!("Metric: {}\nLabel(s):", rule.name));
        for (name, value) in rule.labels {
            note(&format!("\t{name}: {value}"));
        }
    }
    note("Might cause inconsistency while recording expressions");
    Ok(true)
}

/// What the agent makes itself, and what the kinds of events become. Those who send events can add to it.
fn built_in() -> anyhow::Result<Inventory> {
    let mut inventory = Inventory::default();
    for (_, family) in collect::described() {
        inventory.add_family(family.name, family.kind, family.labels.to_vec(), true);
    }
    for group in ingest::KINDS.iter().flat_map(|kind| kind.groups) {
        for instrument in group.instruments {
            // Tags become labels.
            inventory.add_family(instrument.name, instrument.kind, group.labels.to_vec(), !group.tagged);
        }
    }
    for (name, _) in registry::described() {
        inventory.add(name, [], false);
    }
    for metric in app::metrics()? {
        let labels: Vec<_> = metric.labels.iter().map(String::as_str).collect();
        inventory.add_family(&metric.name, metric.kind, labels, true);
    }
    Ok(inventory)
}

/// What an agent has saved.
fn saved(folder: &Path, config: &HistoryConfig) -> anyhow::Result<Inventory> {
    let saved = Saved::read(folder, config, &Telemetry::new(), clock::now())?;
    for sentence in saved.left_out {
        note(&sentence);
    }
    let (first, last) = (Timestamp::from_millis(i64::MIN), Timestamp::from_millis(i64::MAX));
    let series = saved.history.series(&[], first, last)?;
    let mut metrics: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for labels in &series {
        metrics.entry(labels.metric_name()).or_default().extend(labels.iter().map(|(name, _)| name));
    }
    let mut inventory = Inventory::default();
    for (name, labels) in metrics {
        inventory.add(name, labels, true);
    }
    inventory.complete();
    Ok(inventory)
}
