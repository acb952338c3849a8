//! `sidewatch completions`: what a shell needs to complete the command line.

use std::process::ExitCode;

use anyhow::Context;
use clap_complete::{Shell, generate};

use super::output::print;

#[derive(Debug, clap::Args)]
#[command(after_help = "The Debian package brings those of bash, zsh and fish. Elsewhere:
  sidewatch completions bash > ~/.local/share/bash-completion/completions/sidewatch
  sidewatch completions zsh > ~/.zfunc/_sidewatch     where fpath has ~/.zfunc
  sidewatch completions fish > ~/.config/fish/completions/sidewatch.fish")]
pub(super) struct Arguments {
    /// The shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

pub(super) fn run(arguments: &Arguments, mut program: clap::Command) -> anyhow::Result<ExitCode> {
    let mut script = Vec::new();
    generate(arguments.shell, &mut program, "sidewatch", &mut script);
    print(&String::from_utf8(script).context("the script is no text")?)?;
    Ok(ExitCode::SUCCESS)
}
