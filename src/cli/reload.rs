//! `sidewatch reload`: the agent reads its configuration and its rules again.

use std::process::ExitCode;

use anyhow::bail;
use hyper::Method;

use super::control::{ControlSocket, RELOAD};
use super::output::print;
use crate::config::Source;

#[derive(Debug, clap::Args)]
#[command(after_help = "Exit codes: 0 the new configuration and the rules are in force, 1 they are not, or no agent answers.")]
pub(super) struct Arguments {
    #[command(flatten)]
    socket: ControlSocket,
}

pub(super) fn run(source: &Source, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let answer = arguments.socket.ask(source, &Method::POST, RELOAD, Vec::new())?;
    let text = String::from_utf8_lossy(&answer.body);
    if !answer.status.is_success() {
        bail!("not reloaded: {}", text.trim_end());
    }
    print(&format!("reloaded\n{text}"))?;
    Ok(ExitCode::SUCCESS)
}
