//! Which lives an alert has had: by group, rule and labels, found without a copy of any of them.

use std::collections::{BTreeMap, HashMap};

use super::life::Key;
use super::record::Id;
use crate::model::Labels;

/// The lives of each alert, in the order in which they began.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Index(BTreeMap<String, BTreeMap<String, HashMap<Labels, Vec<Id>>>>);

impl Index {
    /// An alert begins. Answers its life before, where there is one.
    pub(super) fn add(&mut self, key: &Key, id: Id) -> Option<Id> {
        let lives =
            self.0.entry(key.group.clone()).or_default().entry(key.rule.clone()).or_default().entry(key.labels.clone()).or_default();
        let before = lives.last().copied();
        lives.push(id);
        before
    }

    /// The life that began last.
    pub(super) fn last(&self, group: &str, rule: &str, labels: &Labels) -> Option<Id> {
        self.0.get(group)?.get(rule)?.get(labels)?.last().copied()
    }

    /// The lives of a group that began last.
    pub(super) fn lasts(&self, group: &str) -> impl Iterator<Item = Id> {
        self.0.get(group).into_iter().flatten().flat_map(|(_, lives)| lives.values()).filter_map(|lives| lives.last().copied())
    }

    /// The groups of all of them.
    pub(super) fn groups(&self) -> impl Iterator<Item = &String> {
        self.0.keys()
    }

    /// Forgets a life.
    pub(super) fn remove(&mut self, key: &Key, id: Id) {
        let Some(rules) = self.0.get_mut(&key.group) else { return };
        let Some(alerts) = rules.get_mut(&key.rule) else { return };
        if let Some(lives) = alerts.get_mut(&key.labels) {
            lives.retain(|known| *known != id);
            if lives.is_empty() {
                alerts.remove(&key.labels);
            }
        }
        if alerts.is_empty() {
            rules.remove(&key.rule);
        }
        if rules.is_empty() {
            self.0.remove(&key.group);
        }
    }
}
