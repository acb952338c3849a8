//! The log: text for people on a terminal, JSON for programs, and under systemd plain text with the priority that
//! journald reads from the front of a line (`<3>` … `<7>`, sd-daemon(3)).

use std::fmt;
use std::io::IsTerminal;

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::{Format, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// How the log is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Text on a terminal, journald's form under systemd, text elsewhere.
    #[default]
    Auto,
    /// Text with times.
    Text,
    /// One JSON object a line.
    Json,
    /// Text behind a priority that journald understands, without times (journald has its own).
    Journal,
}

/// The `log` section of the configuration. A change takes effect at the next start.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The least severe level that is written: `error`, `warn`, `info`, `debug` or `trace`, for all of the agent or by
    /// room (`info,sidewatch::ingest=debug`).
    pub level: String,
    /// How lines are written: `auto`, `text`, `json` or `journal`.
    pub format: LogFormat,
}

impl Default for Config {
    fn default() -> Self {
        Self { level: "info".to_owned(), format: LogFormat::Auto }
    }
}

/// Why the log cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The level is no filter.
    #[error("log.level {level:?} is not a level or a list of room=level")]
    Level {
        /// As configured.
        level: String,
        /// What is wrong with it.
        #[source]
        source: tracing_subscriber::filter::ParseError,
    },
    /// Someone else has set up a log in this process.
    #[error("the log is set up already")]
    Taken(#[from] tracing_subscriber::util::TryInitError),
}

impl Config {
    /// Reads the level.
    ///
    /// # Errors
    /// When it is not a filter.
    pub fn filter(&self) -> Result<EnvFilter, LogError> {
        EnvFilter::try_new(&self.level).map_err(|source| LogError::Level { level: self.level.clone(), source })
    }
}

/// Where standard error goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stderr {
    /// A terminal.
    Terminal,
    /// journald.
    Journal,
    /// A file, a pipe, or nothing.
    Other,
}

/// Finds out where standard error goes. `journal_stream` is the variable `JOURNAL_STREAM` that systemd sets.
#[must_use]
pub fn stderr(journal_stream: Option<&str>) -> Stderr {
    if std::io::stderr().is_terminal() {
        Stderr::Terminal
    } else if journal_stream.is_some() {
        Stderr::Journal
    } else {
        Stderr::Other
    }
}

/// Sets up the log for the whole process.
///
/// # Errors
/// When the level cannot be read, or a log has been set up before.
pub fn init(config: &Config, stderr: Stderr) -> Result<(), LogError> {
    use tracing_subscriber::util::SubscriberInitExt;
    let builder = tracing_subscriber::fmt().with_env_filter(config.filter()?).with_writer(std::io::stderr);
    // A log that nobody reads any more must not end the agent: without this the failure is printed, which panics.
    let builder = builder.log_internal_errors(false);
    match (config.format, stderr) {
        (LogFormat::Json, _) => builder.json().flatten_event(true).finish().try_init()?,
        (LogFormat::Journal, _) | (LogFormat::Auto, Stderr::Journal) => {
            let line = Journal(Format::default().without_time().with_level(false).with_ansi(false));
            builder.with_ansi(false).event_format(line).finish().try_init()?;
        }
        _ => builder.with_ansi(stderr == Stderr::Terminal).finish().try_init()?,
    }
    Ok(())
}

/// A line behind its priority.
struct Journal<F>(F);

impl<S, N, F> FormatEvent<S, N> for Journal<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        writer.write_str(priority(*event.metadata().level()))?;
        self.0.format_event(context, writer, event)
    }
}

const fn priority(level: Level) -> &'static str {
    match level {
        Level::ERROR => "<3>",
        Level::WARN => "<4>",
        Level::INFO => "<6>",
        Level::DEBUG | Level::TRACE => "<7>",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_level_is_named() {
        let config = Config { level: "a=b=c".into(), ..Config::default() };
        assert!(config.filter().expect_err("refused").to_string().contains("a=b=c"));
    }

    #[test]
    fn levels_map_to_syslog_priorities() {
        assert_eq!([Level::ERROR, Level::WARN, Level::INFO, Level::DEBUG].map(priority), ["<3>", "<4>", "<6>", "<7>"]);
    }
}
