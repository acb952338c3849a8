//! The log: text for people on a terminal, JSON for programs, and under systemd plain text with the priority that
//! journald reads from the front of a line (`<3>` … `<7>`, sd-daemon(3)).

use std::fmt;
use std::io::IsTerminal;

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;
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
    /// The least severe level that is written: `error`, `warn`, `info`, `debug`, `trace`, or `off`, for all of the agent or by
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
    /// A word of it is no level, where one has to be.
    #[error("there is no level {word:?}{}; levels are error, warn, info, debug, trace and off, for one room as in sidewatch::ingest=debug", did_you_mean(*.meant))]
    Word {
        /// As configured.
        word: String,
        /// What it was probably meant to be.
        meant: Option<&'static str>,
    },
    /// It is about a part of the agent that is not there.
    #[error("there is no room {room:?}{}; rooms are {}", did_you_mean(*.meant), ROOMS.join(", "))]
    Room {
        /// As configured.
        room: String,
        /// What it was probably meant to be.
        meant: Option<&'static str>,
    },
    /// Someone else has set up a log in this process.
    #[error("the log is set up already")]
    Taken(#[from] tracing_subscriber::util::TryInitError),
}

/// What a level may be about: the modules of this crate, by `sidewatch::NAME`.
const ROOMS: [&str; 19] = [
    "model",
    "clock",
    "diagnostic",
    "telemetry",
    "runtime",
    "exposition",
    "history",
    "registry",
    "collect",
    "ingest",
    "promql",
    "recorder",
    "health",
    "rules",
    "notify",
    "http",
    "config",
    "app",
    "cli",
];

fn did_you_mean(meant: Option<&str>) -> String {
    meant.map(|meant| format!(" (did you mean `{meant}`?)")).unwrap_or_default()
}

/// The name among `known` that was probably meant: one that goes on, or that this one goes on, or that differs by two letters at most.
fn meant(word: &str, known: &[&'static str]) -> Option<&'static str> {
    let word = word.to_lowercase();
    let begins = |name: &&&str| word.len() > 1 && (name.starts_with(&word) || word.starts_with(**name));
    let near = |name: &&&str| strsim::damerau_levenshtein(name, &word) <= 2;
    known.iter().find(begins).or_else(|| known.iter().filter(|name| name.len() > 3).find(near)).copied()
}

impl Config {
    /// Reads the level.
    ///
    /// # Errors
    /// When it is not a filter, or would turn the log off by a misspelt word: the library takes each for the name of a module.
    pub fn filter(&self) -> Result<EnvFilter, LogError> {
        for part in self.level.split(',').filter(|part| !part.is_empty() && !part.contains(['[', ']', '{', '}'])) {
            let (target, level) = part.split_once('=').map_or((None, part), |(target, level)| (Some(target), level));
            if level.parse::<LevelFilter>().is_err() {
                let meant = meant(level, &["error", "warn", "info", "debug", "trace", "off"]);
                return Err(LogError::Word { word: level.to_owned(), meant });
            }
            let room = target.and_then(|target| target.strip_prefix("sidewatch::")).and_then(|path| path.split("::").next());
            if let Some(room) = room.filter(|room| !ROOMS.contains(room)) {
                return Err(LogError::Room { room: room.to_owned(), meant: meant(room, &ROOMS) });
            }
        }
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
        assert!(config.filter().expect_err("refused").to_string().contains("b=c"));
    }

    #[test]
    fn a_word_that_would_turn_the_log_off_is_refused() {
        let read = |level: &str| Config { level: level.into(), ..Config::default() }.filter().map(drop).map_err(|error| error.to_string());
        for (level, said) in [
            ("warning", "there is no level \"warning\" (did you mean `warn`?)"),
            ("verbose", "there is no level \"verbose\"; levels are error, warn"),
            ("info,err", "there is no level \"err\" (did you mean `error`?)"),
            ("info,sidewatch::ingest=debgu", "there is no level \"debgu\" (did you mean `debug`?)"),
            ("sidewatch::ingest", "there is no level \"sidewatch::ingest\""),
            ("info,sidewatch::ingets=debug", "there is no room \"ingets\" (did you mean `ingest`?)"),
        ] {
            assert!(read(level).is_err_and(|error| error.starts_with(said)), "{level}: {:?}", read(level));
        }
        for level in ["warn", "WARN", "off", "info,sidewatch::ingest=debug", "error,sidewatch::ingest::session=trace,hyper=debug"] {
            assert_eq!(read(level), Ok(()), "{level}");
        }
    }

    #[test]
    fn every_room_may_have_a_level_of_its_own() {
        let rooms: Vec<_> = include_str!("../lib.rs").lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')).collect();
        assert_eq!(rooms, ROOMS);
    }

    #[test]
    fn levels_map_to_syslog_priorities() {
        assert_eq!([Level::ERROR, Level::WARN, Level::INFO, Level::DEBUG].map(priority), ["<3>", "<4>", "<6>", "<7>"]);
    }
}
