//! The command line: one file a subcommand.

#![warn(clippy::print_stdout, clippy::print_stderr)] // they panic when nobody reads any more

mod backtest;
mod check;
mod check_rules;
mod client;
mod completions;
mod control;
mod fetch;
mod health;
mod junit;
mod output;
mod past;
mod query;
mod reload;
mod remote;
mod run;
mod send;
mod silence;
mod table;
mod test;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use crate::config::{Config, Loaded, Places, Source, load};
use crate::diagnostic::Diagnostic;

/// The command line was wrong; `EX_USAGE` of sysexits(3). Not 2, which `health` uses for "critical".
const USAGE: u8 = 64;

/// A sidecar observability agent: host and request metrics, Prometheus rules evaluated on the spot, a health score that
/// explains itself.
#[derive(Debug, Parser)]
#[command(name = "sidewatch", version, after_help = EXAMPLES, max_term_width = 100)]
struct Arguments {
    /// The configuration file [default: /etc/sidewatch/sidewatch.yml as a service, else
    /// $XDG_CONFIG_HOME/sidewatch/sidewatch.yml]
    #[arg(long, short, global = true, value_name = "FILE")]
    config: Option<PathBuf>,

    #[command(subcommand)]
    command: Option<Command>,
}

const EXAMPLES: &str = "Examples:
  sidewatch                                        run with built-in defaults
  sidewatch send count orders 3 --tag shop=a       report an event from the shell
  sidewatch query 'rate(orders_total[1m])'         ask the running agent
  sidewatch health                                 print the score and its reasons
  sidewatch silence add HostCpuHigh --duration 2h  tell nobody of it for a while
  sidewatch check /etc/sidewatch/rules/*.yml       check the configuration and rule files
  sidewatch test rules tests/*.yml                 run unit tests of rules
  sidewatch backtest --rules new.yml --since 6h    what they would have done";

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the agent (the default)
    Run,
    /// Check the configuration and rule files, and print all problems at once
    Check(check::Arguments),
    /// Run unit tests
    Test(test::Arguments),
    /// Say what rules would have done over a past time, and what another version of them does otherwise
    Backtest(backtest::Arguments),
    /// Evaluate a PromQL expression in the running agent, or over what one has saved
    Query(query::Arguments),
    /// Send an event to the running agent
    Send(send::Arguments),
    /// Print the running agent's health score and its reasons
    Health(health::Arguments),
    /// Hold the telling of alerts back for a time
    Silence(silence::Arguments),
    /// Have the running agent read its configuration and rules again, and say what became of it
    Reload(reload::Arguments),
    /// Print what a shell needs to complete this command line
    Completions(completions::Arguments),
}

/// Does what the process's arguments say.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version are no errors. A closed standard output is not worth a word.
            let _closed = error.print();
            return if error.use_stderr() { ExitCode::from(USAGE) } else { ExitCode::SUCCESS };
        }
    };
    let source = source(arguments.config);
    let result = match arguments.command.unwrap_or(Command::Run) {
        Command::Run => run::run(source),
        Command::Check(arguments) => check::run(&source, &arguments),
        Command::Test(arguments) => test::run(&arguments),
        Command::Backtest(arguments) => backtest::run(&source, &arguments),
        Command::Query(arguments) => query::run(&source, &arguments),
        Command::Send(arguments) => send::run(&source, &arguments),
        Command::Health(arguments) => health::run(&source, &arguments),
        Command::Silence(arguments) => silence::run(&source, &arguments),
        Command::Reload(arguments) => reload::run(&source, &arguments),
        Command::Completions(arguments) => completions::run(&arguments, Arguments::command()),
    };
    result.unwrap_or_else(|error| {
        output::note(&format!("sidewatch: {error:#}"));
        ExitCode::FAILURE
    })
}

fn source(file: Option<PathBuf>) -> Source {
    let root = rustix::process::geteuid().is_root();
    let places = Places::find(root, |name| std::env::var(name).ok());
    let host_name = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
    Source { file, places, host_name: host_name.unwrap_or_else(|| "localhost".to_owned()) }
}

/// The configuration for a subcommand that talks to the agent: a broken file is a reason to warn, not to refuse.
fn configuration(source: &Source) -> Config {
    match load(source) {
        Ok(Loaded { config, .. }) => config,
        Err(problems) => {
            print_problems(&problems);
            Config::default().at(&source.places, &source.host_name)
        }
    }
}

/// The configured socket; where there is none, that of the service, if there is one.
fn or_the_services(own: PathBuf, name: &str) -> PathBuf {
    let services = Places::of_service(None).sockets.join(name);
    if !own.exists() && services.exists() { services } else { own }
}

fn print_problems(problems: &[Diagnostic]) {
    let styled = std::io::IsTerminal::is_terminal(&std::io::stderr());
    for problem in problems {
        output::note(&format!("{}\n", problem.render(styled)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        Arguments::command().debug_assert();
        let _: Arguments = Arguments::try_parse_from(["sidewatch", "check", "--config", "x"]).expect("valid");
    }
}
