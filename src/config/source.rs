//! Reads the configuration file.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use super::check::check;
use super::hide::hide_secrets;
use super::{Config, Places};
use crate::diagnostic::{Diagnostic, read_yaml};

/// No configuration is larger.
const BYTES_MAX: u64 = 1 << 20;

/// Which file is meant, and what depends on where the agent runs.
#[derive(Clone, Debug)]
pub struct Source {
    /// The file that was asked for; `None` for the usual one, which need not exist.
    pub file: Option<PathBuf>,
    /// Where things are.
    pub places: Places,
    /// The host's name.
    pub host_name: String,
}

/// A configuration that has passed all checks.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    /// With everything filled in.
    pub config: Config,
    /// The text it was read from; empty where there is no file.
    pub text: String,
}

impl Source {
    /// The file that is read.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.file.as_deref().unwrap_or(&self.places.config)
    }
}

/// Reads and checks the file. The usual file may be absent: then everything has its default.
///
/// # Errors
/// Everything that is wrong with it.
pub fn load(source: &Source) -> Result<Loaded, Vec<Diagnostic>> {
    let path = source.path();
    let name = path.display().to_string();
    let text = match read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound && source.file.is_none() => String::new(),
        Err(error) => return Err(vec![Diagnostic::of_file(&name, format!("cannot be read: {error}"))]),
    };
    let config = parse(&name, &text)?;
    Ok(Loaded { config: config.at(&source.places, &source.host_name), text })
}

fn parse(name: &str, text: &str) -> Result<Config, Vec<Diagnostic>> {
    let (config, mut problems) = read_yaml::<Config>(name, text);
    let faults = config.iter().flat_map(|config| check(config, name, text));
    // What could not be read there has its default, of which nothing is to be said.
    let faults: Vec<_> = faults.filter(|fault| problems.iter().all(|problem| problem.position != fault.position)).collect();
    problems.extend(faults);
    problems.sort_by_key(|problem| problem.position);
    problems.iter_mut().for_each(|problem| hide_secrets(problem, text));
    config.filter(|_| problems.is_empty()).ok_or(problems)
}

fn read(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(BYTES_MAX + 1).read_to_string(&mut text)?;
    if text.len() as u64 > BYTES_MAX {
        return Err(std::io::Error::new(ErrorKind::FileTooLarge, "it is larger than 1 MiB"));
    }
    Ok(text)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// What is wrong with a text, in a file that is called `a.yml`.
    pub(in crate::config) fn problems_of(text: &str) -> Vec<Diagnostic> {
        parse("a.yml", text).err().unwrap_or_default()
    }

    fn source(file: Option<PathBuf>) -> Source {
        Source { file, places: Places::of_service(None), host_name: "h1".into() }
    }

    #[test]
    fn no_file_is_all_defaults() {
        let mut source = source(None);
        source.places.config = PathBuf::from("/nonexistent/sidewatch.yml");
        let config = load(&source).expect("defaults").config;
        assert_eq!(config.instance.as_deref(), Some("h1"));
        assert_eq!(config.ingest.stream.path, Some(PathBuf::from("/run/sidewatch/events.sock")));
    }

    #[test]
    fn a_file_that_was_asked_for_must_be_there() {
        let problems = load(&source(Some("/nonexistent/a.yml".into()))).expect_err("refused");
        assert!(problems[0].to_string().starts_with("/nonexistent/a.yml:1:1: cannot be read"));
    }

    #[test]
    fn all_that_is_wrong_comes_at_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("a.yml");
        std::fs::write(&file, "instanec: x\nhistory: {resolution: 0s}\nhealth: {thresholds: {healthy: 10}}\n").expect("written");
        let problems = load(&source(Some(file.clone()))).expect_err("refused");
        assert!(problems[0].to_string().contains("did you mean `instance`?"), "{problems:?}");
        assert_eq!(problems.len(), 3, "{problems:?}");
        std::fs::write(&file, "history: {resolution: 0s}\nhealth:\n  thresholds: {healthy: 10}\n").expect("written");
        let problems = load(&source(Some(file))).expect_err("refused");
        let places: Vec<_> = problems.iter().map(|problem| (problem.position.line, problem.position.column)).collect();
        assert_eq!(places, [(1, 23), (3, 15)], "{problems:?}");
    }

    #[test]
    fn wrong_values_are_told_beside_wrong_types() {
        let text = "history: {resolution: 5 s, series_max: 0}\nhealth: 3\nhttp: {query_concurrency: many, metrics_concurrency: 99}\ninstance: ''\n";
        let told: Vec<_> = problems_of(text).iter().map(ToString::to_string).collect();
        let places: Vec<_> = told.iter().map(|line| line.split(": ").take(2).collect::<Vec<_>>().join(" ")).collect();
        let expected = [
            "a.yml:1:23 history.resolution",
            "a.yml:1:40 history.series_max",
            "a.yml:2:9 health",
            "a.yml:3:27 http.query_concurrency",
            "a.yml:3:54 http.metrics_concurrency",
            "a.yml:4:11 instance",
        ];
        assert_eq!(places, expected, "{told:?}");
    }
}
