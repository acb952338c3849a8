//! Which groups run, and what a reload makes of each: the same go on untouched, changed ones hand their state to their
//! successor after the evaluation they are in, others end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::rule::GroupSpec;
use crate::model::{GroupSnapshot, RulesSnapshot};

/// A group is overdue that was not evaluated for so many of its intervals, and for so long.
const OVERDUE_INTERVALS: u32 = 6;
const OVERDUE: Duration = Duration::from_secs(30);

/// What becomes of a running group when it next comes to rest.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Fate {
    /// It goes on.
    Stay,
    /// This one takes its place.
    Replace(Arc<GroupSpec>),
    /// It ends.
    Remove,
}

#[derive(Debug)]
struct Entry {
    spec: Arc<GroupSpec>,
    fate: Fate,
    snapshot: Arc<GroupSnapshot>,
    /// When it began or was last evaluated, by a clock that nobody sets.
    last: Duration,
}

/// The running groups by key.
#[derive(Debug, Default)]
pub(super) struct Roster(BTreeMap<String, Entry>);

/// What a reload asks of whoever runs the groups.
#[derive(Debug, Default)]
pub(super) struct Change {
    /// New groups.
    pub(super) start: Vec<Arc<GroupSpec>>,
    /// Keys of groups that have to come to rest.
    pub(super) stop: Vec<String>,
}

impl Roster {
    /// Decides every group's fate.
    pub(super) fn reconcile(&mut self, wanted: &[Arc<GroupSpec>]) -> Change {
        let mut wanted: BTreeMap<String, Arc<GroupSpec>> = wanted.iter().map(|spec| (spec.key(), Arc::clone(spec))).collect();
        let mut change = Change::default();
        for (key, entry) in &mut self.0 {
            entry.fate = match wanted.remove(key) {
                Some(spec) if entry.fate == Fate::Stay && spec == entry.spec => continue,
                Some(spec) => Fate::Replace(spec),
                None => Fate::Remove,
            };
            change.stop.push(key.clone());
        }
        change.start = wanted.into_values().collect();
        change
    }

    /// Notes that a group runs, with how it looks now.
    pub(super) fn put(&mut self, spec: &Arc<GroupSpec>, snapshot: Arc<GroupSnapshot>, now: Duration) {
        self.0.insert(spec.key(), Entry { spec: Arc::clone(spec), fate: Fate::Stay, snapshot, last: now });
    }

    /// A group that should have been evaluated long ago, and after how much time that counts as long.
    pub(super) fn overdue(&self, now: Duration) -> Option<(&str, Duration)> {
        self.0.iter().find_map(|(key, entry)| {
            let interval = Duration::from_millis(entry.spec.interval_millis.unsigned_abs());
            let limit = interval.saturating_mul(OVERDUE_INTERVALS).max(OVERDUE);
            (now.saturating_sub(entry.last) > limit).then_some((key.as_str(), limit))
        })
    }

    /// How a group looks after an evaluation. What it looked like before.
    pub(super) fn update(&mut self, key: &str, snapshot: Arc<GroupSnapshot>, now: Duration) -> Option<Arc<GroupSnapshot>> {
        self.0.get_mut(key).map(|entry| {
            entry.last = now;
            std::mem::replace(&mut entry.snapshot, snapshot)
        })
    }

    /// What is to become of a group.
    pub(super) fn fate(&self, key: &str) -> Fate {
        self.0.get(key).map_or(Fate::Remove, |entry| entry.fate.clone())
    }

    /// Notes that a group runs no more.
    pub(super) fn remove(&mut self, key: &str) {
        self.0.remove(key);
    }

    /// All groups for others to read.
    pub(super) fn snapshot(&self, load_errors: Vec<String>) -> RulesSnapshot {
        RulesSnapshot { groups: self.0.values().map(|entry| Arc::clone(&entry.snapshot)).collect(), load_errors }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::file;
    use crate::rules::group::Group;

    fn groups(text: &str) -> Vec<Arc<GroupSpec>> {
        file::parse("f", text, 15_000).groups
    }

    fn names(specs: &[Arc<GroupSpec>]) -> Vec<&str> {
        specs.iter().map(|spec| spec.name()).collect()
    }

    fn running(text: &str) -> Roster {
        let mut roster = Roster::default();
        for spec in groups(text) {
            roster.put(&spec, Group::new(Arc::clone(&spec)).snapshot(), Duration::ZERO);
        }
        roster
    }

    #[test]
    fn only_what_changed_is_touched() {
        let mut roster = running("groups: [{name: same}, {name: changed}, {name: gone}]");
        let change = roster.reconcile(&groups("groups: [{name: same}, {name: changed, limit: 1}, {name: new}]"));
        assert_eq!((names(&change.start), change.stop), (vec!["new"], vec!["f;changed".to_owned(), "f;gone".to_owned()]));
        assert_eq!((roster.fate("f;same"), roster.fate("f;gone")), (Fate::Stay, Fate::Remove));
        assert!(matches!(roster.fate("f;changed"), Fate::Replace(spec) if spec.limit == 1));
    }

    #[test]
    fn a_group_that_is_not_evaluated_for_long_is_overdue() {
        let mut roster = running("groups: [{name: slow, interval: 1m}, {name: swift, interval: 1s}]");
        let overdue = |roster: &Roster, seconds: u64| {
            let now = Duration::from_millis(seconds * 1_000 + 1);
            roster.overdue(now).map(|(key, _)| key.to_owned())
        };
        let told = [29, 30, 361].map(|seconds| overdue(&roster, seconds));
        assert_eq!(told, [None, Some("f;swift".to_owned()), Some("f;slow".to_owned())]);
        let spec = groups("groups: [{name: slow, interval: 1m}]").remove(0);
        roster.update("f;slow", Group::new(spec).snapshot(), Duration::from_secs(2));
        assert_eq!(overdue(&roster, 361), Some("f;swift".to_owned()));
    }

    #[test]
    fn a_group_that_was_to_end_can_come_back_before_it_has() {
        let mut roster = running("groups: [{name: a}]");
        roster.reconcile(&[]);
        roster.reconcile(&groups("groups: [{name: a}]"));
        assert!(matches!(roster.fate("f;a"), Fate::Replace(_)));
    }
}
