//! What is seen of the rules: the one place that knows how the rules publish their alerts.

use std::collections::BTreeMap;

use super::life::Key;
use crate::model::{AlertState, Labels, RuleHealth, RuleKind, RulesSnapshot, Timestamp};

/// An alert that fires.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Seen {
    /// Which one it is.
    pub(super) key: Key,
    /// Its annotations now.
    pub(super) annotations: Labels,
    /// The expression's value now.
    pub(super) value: f64,
    /// Since when its condition holds.
    pub(super) active_at: Timestamp,
    /// Since when it fires.
    pub(super) fired_at: Timestamp,
    /// The evaluation that says so.
    pub(super) evaluated_at: Timestamp,
    /// How often it is evaluated, in milliseconds.
    pub(super) interval_millis: i64,
    /// The rule's expression.
    pub(super) query: String,
}

/// Everything there is to see at a time.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Sight {
    /// What fires.
    pub(super) firing: Vec<Seen>,
    /// What is pending.
    pub(super) pending: Vec<Key>,
    /// By group and rule: the evaluation that says that what is not above does not fire; `None` where the rule has not been
    /// evaluated, or could not be.
    judged: BTreeMap<(String, String), Option<Timestamp>>,
    /// The rules are not all there, because their files cannot be read.
    incomplete: bool,
}

/// What is known of an alert that does not fire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Absence {
    /// Its rule said so, then.
    Since(Timestamp),
    /// Its rule is gone.
    NoRule,
    /// Its rule has not said anything.
    Unknown,
}

impl Sight {
    /// Looks at the rules.
    pub(super) fn of(snapshot: &RulesSnapshot) -> Self {
        let mut sight = Self { incomplete: !snapshot.load_errors.is_empty(), ..Self::default() };
        for group in &snapshot.groups {
            let group_key = format!("{};{}", group.file, group.name);
            for rule in &group.rules {
                let RuleKind::Alerting { alerts, .. } = &rule.kind else { continue };
                let judged = if rule.health == RuleHealth::Ok { rule.last_evaluation } else { None };
                // Of several rules of one name, the one that knows least.
                let known = sight.judged.entry((group_key.clone(), rule.name.clone())).or_insert(judged);
                *known = (*known).min(judged);
                for alert in alerts {
                    let key = Key { group: group_key.clone(), rule: rule.name.clone(), labels: alert.labels.clone() };
                    match (alert.state, alert.fired_at, rule.last_evaluation) {
                        (AlertState::Firing, Some(fired_at), Some(evaluated_at)) => sight.firing.push(Seen {
                            key,
                            annotations: alert.annotations.clone(),
                            value: alert.value,
                            active_at: alert.active_at,
                            fired_at,
                            evaluated_at,
                            interval_millis: group.interval_millis,
                            query: rule.query.clone(),
                        }),
                        _ => sight.pending.push(key),
                    }
                }
            }
        }
        sight
    }

    /// What its rule says of an alert that does not fire.
    pub(super) fn absence(&self, key: &Key) -> Absence {
        match self.judged.get(&(key.group.clone(), key.rule.clone())) {
            Some(Some(at)) => Absence::Since(*at),
            None if !self.incomplete => Absence::NoRule,
            _ => Absence::Unknown,
        }
    }
}
