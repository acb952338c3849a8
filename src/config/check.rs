//! What no single value shows: whether the values fit together, and whether each is within sense.

use super::Config;
use crate::diagnostic::{Diagnostic, PathStep, Position, locate_yaml};
use crate::model::PromDuration;

/// Finds everything that is wrong with a configuration that could be read.
pub(super) fn check(config: &Config, file: &str, text: &str) -> Result<(), Vec<Diagnostic>> {
    let mut problems: Vec<_> = faults(config).into_iter().map(|(path, message)| diagnostic(file, text, &path, message)).collect();
    problems.sort_by_key(|problem| problem.position);
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

fn diagnostic(file: &str, text: &str, path: &str, message: String) -> Diagnostic {
    let steps: Vec<_> = path.split('.').map(|key| PathStep::Key(key.to_owned())).collect();
    let place = locate_yaml(text, &steps).unwrap_or(Position::START);
    Diagnostic::new(file, text, place, format!("{path}: {message}"))
}

fn faults(config: &Config) -> Vec<(String, String)> {
    let mut faults = Vec::new();
    let mut at_least = |path: &str, value: PromDuration, least: PromDuration| {
        if value < least {
            faults.push((path.to_owned(), format!("{value} is too short; it is at least {least}")));
        }
    };
    at_least("collect.interval", config.collect.interval, PromDuration::from_millis(100));
    at_least("history.resolution", config.history.resolution, PromDuration::from_millis(100));
    at_least("history.retention", config.history.retention, config.history.resolution);
    at_least("rules.interval", config.rules.interval, PromDuration::from_millis(100));
    at_least("shutdown.deadline", config.shutdown.deadline, PromDuration::from_millis(100));
    at_least("http.request_timeout", config.http.request_timeout, PromDuration::from_millis(10));
    at_least("ingest.flush_interval", config.ingest.flush_interval, PromDuration::from_millis(10));
    if let Err(error) = config.log.filter() {
        faults.push(("log.level".to_owned(), crate::telemetry::chain(&error)));
    }
    faults.extend(config.health.check().into_iter().map(|(key, message)| (format!("health.{key}"), message)));
    faults
}
