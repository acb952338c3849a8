//! Families that someone else keeps and hands in whole: collectors, the score, the rules.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::claims;
use crate::model::Family;

/// The last word of every source.
#[derive(Debug, Default)]
pub(super) struct Published {
    sources: BTreeMap<&'static str, Arc<Vec<Family>>>,
}

impl Published {
    /// Replaces what a source said before; nothing at all removes it.
    pub(super) fn replace(&mut self, source: &'static str, families: Vec<Family>) {
        if families.is_empty() {
            self.sources.remove(source);
        } else {
            self.sources.insert(source, Arc::new(families));
        }
    }

    /// All families, by source.
    pub(super) fn families(&self) -> impl Iterator<Item = &Family> {
        self.sources.values().flat_map(|families| families.iter())
    }

    /// The same, to be kept.
    pub(super) fn share(&self) -> Vec<Arc<Vec<Family>>> {
        self.sources.values().cloned().collect()
    }

    /// True when a published family takes up this name.
    pub(super) fn claims(&self, name: &str) -> bool {
        self.families()
            .filter(|family| name.starts_with(&*family.name) || family.name.starts_with(name))
            .any(|family| claims::names(&family.name, family.kind).any(|claimed| claimed == name))
    }
}

/// Families by name and series by labels. Families of one name from two sources become one; where their types differ
/// the first one stands, since a name has one type on a scrape.
pub(super) fn in_order(mut families: Vec<Family>) -> Vec<Family> {
    families.sort_by(|a, b| a.name.cmp(&b.name));
    let mut ordered: Vec<Family> = Vec::with_capacity(families.len());
    for family in families {
        match ordered.last_mut() {
            Some(last) if last.name == family.name => {
                if last.kind == family.kind {
                    last.series.extend(family.series);
                }
            }
            _ => ordered.push(family),
        }
    }
    for family in &mut ordered {
        if !family.series.is_sorted_by(|a, b| a.labels <= b.labels) {
            family.series.sort_by(|a, b| a.labels.cmp(&b.labels));
        }
    }
    ordered
}
