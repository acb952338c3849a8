//! How the rules are doing, for the board.

use std::time::Duration;

use crate::model::{Condition, RulesSnapshot};

/// How the rules are doing while their files are not read in time.
pub(super) fn reading(none_loaded: bool, limit: Duration) -> (Condition, String) {
    let condition = if none_loaded { Condition::Failed } else { Condition::Degraded };
    (condition, format!("the rule files have not been read within {} s: does their file system hang?", limit.as_secs()))
}

/// How the rules are doing. `overdue` is a group that was not evaluated for so long.
pub(super) fn condition(snapshot: &RulesSnapshot, none_loaded: bool, overdue: Option<(&str, Duration)>) -> (Condition, String) {
    if let Some(error) = snapshot.load_errors.first() {
        let more = match snapshot.load_errors.len() {
            1 => String::new(),
            count => format!(" (and {} more)", count - 1),
        };
        return if none_loaded {
            (Condition::Failed, format!("no rule file could be loaded: {error}{more}"))
        } else {
            (Condition::Degraded, format!("not all rule files are in force: {error}{more}"))
        };
    }
    if let Some((group, limit)) = overdue {
        return (Condition::Degraded, format!("group {group:?} has not been evaluated for more than {} s", limit.as_secs()));
    }
    let rules = || snapshot.groups.iter().flat_map(|group| &group.rules);
    let failing = rules().find_map(|rule| Some((rule, rule.health.error()?)));
    match failing {
        Some((rule, error)) => (Condition::Degraded, format!("rule {:?} has failed: {error}", rule.name)),
        None => (Condition::Ok, format!("{} rules in {} groups", rules().count(), snapshot.groups.len())),
    }
}
