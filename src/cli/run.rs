//! `sidewatch run`: the agent itself.

use std::process::ExitCode;

use anyhow::{Context, anyhow};

use super::print_problems;
use crate::app;
use crate::config::{Source, load};
use crate::telemetry;

pub(super) fn run(source: Source) -> anyhow::Result<ExitCode> {
    let loaded = load(&source).map_err(|problems| {
        print_problems(&problems);
        anyhow!("{} does not hold a configuration that can be run", source.path().display())
    })?;
    let stderr = telemetry::stderr(std::env::var("JOURNAL_STREAM").ok().as_deref());
    telemetry::init(&loaded.config.log, stderr).context("cannot set up the log")?;
    app::run(source, loaded)?;
    Ok(ExitCode::SUCCESS)
}
