//! Which devices and mounts are shown, decided once a device and not every second.

use hashbrown::HashMap;
use regex::Regex;

use super::CollectError;

/// Includes and excludes by regular expression, searched for anywhere in the text as node_exporter does (its patterns
/// carry their own `^` and `$`). An empty pattern is none. What is both included and excluded is excluded.
#[derive(Debug)]
pub(super) struct Filter {
    include: Option<Regex>,
    exclude: Option<Regex>,
}

impl Filter {
    pub(super) fn new(include: &str, exclude: &str) -> Result<Self, CollectError> {
        Ok(Self { include: compile(include)?, exclude: compile(exclude)? })
    }

    pub(super) fn passes(&self, text: &str) -> bool {
        self.include.as_ref().is_none_or(|include| include.is_match(text))
            && !self.exclude.as_ref().is_some_and(|exclude| exclude.is_match(text))
    }
}

/// The pattern, compiled; `None` for an empty one. The error is the reason in one line.
pub(super) fn compile(pattern: &str) -> Result<Option<Regex>, CollectError> {
    if pattern.is_empty() {
        return Ok(None);
    }
    Regex::new(pattern).map(Some).map_err(|error| {
        // The crate draws its syntax errors over several lines; the last one says what is wrong.
        let text = error.to_string();
        let reason = text.lines().last().unwrap_or_default().trim_start_matches("error: ");
        CollectError::Config(format!("{pattern:?} is not a regular expression: {reason}"))
    })
}

/// What is remembered about each device for as long as it exists.
#[derive(Debug)]
pub(super) struct Known<T> {
    entries: HashMap<String, (T, u64)>,
    round: u64,
}

impl<T> Known<T> {
    pub(super) fn new() -> Self {
        Self { entries: HashMap::new(), round: 0 }
    }

    /// What is known of this device, made if it is new.
    pub(super) fn get(&mut self, name: &str, make: impl FnOnce() -> T) -> &mut T {
        // By reference: a device that is known costs no allocation.
        let (known, seen) = self.entries.entry_ref(name).or_insert_with(|| (make(), 0));
        *seen = self.round;
        known
    }

    /// Ends a round: devices that it did not ask for are forgotten.
    pub(super) fn end_round(&mut self) {
        let round = self.round;
        self.entries.retain(|_, (_, seen)| *seen == round);
        self.round += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_excluded_is_not_included() {
        let filter = Filter::new("^eth", "1$").unwrap();
        assert!(filter.passes("eth0"));
        assert!(!filter.passes("eth1") && !filter.passes("lo"));
        assert!(Filter::new("", "").unwrap().passes("anything"));
    }

    #[test]
    fn a_broken_pattern_is_told_in_one_line() {
        let error = compile("a(b").unwrap_err().to_string();
        assert_eq!(error, "\"a(b\" is not a regular expression: unclosed group");
    }

    #[test]
    fn a_device_that_is_gone_is_forgotten() {
        let mut known = Known::new();
        *known.get("a", || 1) += 1;
        known.get("b", || 1);
        known.end_round();
        assert_eq!(*known.get("a", || 1), 2);
        known.end_round();
        assert_eq!(known.entries.len(), 1);
        assert_eq!(*known.get("b", || 7), 7);
    }
}
