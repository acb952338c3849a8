//! What two versions of rules would have done differently.

use std::collections::BTreeMap;

use super::replay::{Episode, Replay};
use crate::model::Labels;

/// What a version does that the other one does not, or does otherwise.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// The alert fires in the new version alone.
    Added(Episode),
    /// The alert fires in the old version alone.
    Removed(Episode),
    /// It fires in both, at other times.
    Moved {
        /// In the old version.
        old: Episode,
        /// In the new one.
        new: Episode,
    },
}

impl Change {
    /// The alert as the new version has it, or else the old one.
    #[must_use]
    pub const fn episode(&self) -> &Episode {
        match self {
            Self::Added(episode) | Self::Removed(episode) | Self::Moved { new: episode, .. } => episode,
        }
    }
}

/// What two versions do differently.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Difference {
    /// By time.
    pub changes: Vec<Change>,
    /// How many times an alert fires in both alike.
    pub same: usize,
}

/// Compares the alerts that fire, by their labels. Of an alert that fires several times those times belong together that overlap.
#[must_use]
pub fn difference(old: &Replay, new: &Replay) -> Difference {
    let mut before: BTreeMap<&Labels, Vec<&Episode>> = BTreeMap::new();
    for episode in old.episodes.iter().filter(|episode| episode.fired_at.is_some()) {
        before.entry(&episode.labels).or_default().push(episode);
    }
    let mut difference = Difference::default();
    for now in new.episodes.iter().filter(|episode| episode.fired_at.is_some()) {
        let candidates = before.entry(&now.labels).or_default();
        match candidates.iter().position(|was| overlap(was, now)) {
            Some(place) => {
                let was = candidates.remove(place);
                // What was before the first time that counts makes no difference.
                let began = |replay: &Replay, episode: &Episode| episode.fired_at.max(Some(replay.span.start));
                if (began(old, was), was.ended_at) == (began(new, now), now.ended_at) {
                    difference.same += 1;
                } else {
                    difference.changes.push(Change::Moved { old: was.clone(), new: now.clone() });
                }
            }
            None => difference.changes.push(Change::Added(now.clone())),
        }
    }
    difference.changes.extend(before.into_values().flatten().map(|was| Change::Removed(was.clone())));
    difference.changes.sort_by_key(|change| (change.episode().fired_at, change.episode().labels.clone()));
    difference
}

fn overlap(one: &Episode, other: &Episode) -> bool {
    let before = |one: &Episode, other: &Episode| other.ended_at.is_none_or(|ended| one.fired_at.is_some_and(|fired| fired < ended));
    before(one, other) && before(other, one)
}
