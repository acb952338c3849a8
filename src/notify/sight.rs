//! What is seen of the rules: the one place that knows how the rules publish their alerts.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ptr;
use std::sync::Arc;

use crate::model::{
    AlertSnapshot, AlertState, EndedAlert, GroupSnapshot, Labels, RuleHealth, RuleKind, RuleSnapshot, RulesSnapshot, Timestamp,
};

/// What there is to see at a time.
#[derive(Clone, Debug, Default)]
pub(super) struct Sight {
    /// The groups of which there is something new.
    groups: Vec<Arc<GroupSnapshot>>,
    /// All groups that there are, by file and name; `None` where they are those of the last look, or not all can be read.
    pub(super) all: Option<BTreeSet<String>>,
    /// The rules are not all there, because their files cannot be read.
    incomplete: bool,
}

/// An alert that fires.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen<'s> {
    /// Its rule.
    pub(super) rule: &'s RuleSnapshot,
    /// What the rule says of it.
    pub(super) alert: &'s AlertSnapshot,
    /// Since when it fires.
    pub(super) fired_at: Timestamp,
    /// The evaluation that says so.
    pub(super) evaluated_at: Timestamp,
}

/// One group.
#[derive(Debug)]
pub(super) struct View<'s> {
    /// By file and name.
    pub(super) group: String,
    /// How often it is evaluated, in milliseconds.
    pub(super) interval_millis: i64,
    /// What fires; what has fired longest is first.
    pub(super) firing: Vec<Seen<'s>>,
    /// What has stopped firing lately, with its rule. Of equal alerts the older one is first. Without what another rule of that name
    /// went on with.
    pub(super) ended: Vec<(&'s RuleSnapshot, &'s EndedAlert)>,
    pending: HashSet<(&'s str, &'s Labels)>,
    /// By rule: the evaluation that says that what is not above does not fire; `None` where the rule has not been evaluated, or
    /// could not be.
    judged: HashMap<&'s str, Option<Timestamp>>,
    settling: bool,
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
    /// Everything.
    pub(super) fn of(rules: &RulesSnapshot) -> Self {
        let incomplete = !rules.load_errors.is_empty();
        let all = (!incomplete).then(|| rules.groups.iter().map(|group| key(group)).collect());
        Self { groups: rules.groups.clone(), all, incomplete }
    }

    /// What is new since: a group that has not been evaluated shares its snapshot.
    pub(super) fn since(before: &RulesSnapshot, rules: &RulesSnapshot) -> Self {
        let is_same = |(old, new): (&Arc<GroupSnapshot>, &Arc<GroupSnapshot>)| {
            Arc::ptr_eq(old, new) || (old.file == new.file && old.name == new.name)
        };
        let pairs = || before.groups.iter().zip(&rules.groups);
        let reloaded = before.load_errors != rules.load_errors || before.groups.len() != rules.groups.len() || !pairs().all(is_same);
        if reloaded {
            return Self::of(rules);
        }
        let groups = pairs().filter(|(old, new)| !Arc::ptr_eq(old, new)).map(|(_, new)| Arc::clone(new)).collect();
        Self { groups, all: None, incomplete: !rules.load_errors.is_empty() }
    }

    /// Each group.
    pub(super) fn views(&self) -> impl Iterator<Item = View<'_>> {
        self.groups.iter().map(|group| View::new(group, self.incomplete))
    }
}

/// By which rule an alert fires, from when and until when.
type Spell<'s> = (&'s RuleSnapshot, Timestamp, Timestamp);

fn key(group: &GroupSnapshot) -> String {
    format!("{};{}", group.file, group.name)
}

impl<'s> View<'s> {
    fn new(group: &'s GroupSnapshot, incomplete: bool) -> Self {
        let mut view = Self {
            group: key(group),
            interval_millis: group.interval_millis,
            firing: Vec::new(),
            ended: Vec::new(),
            pending: HashSet::new(),
            judged: HashMap::new(),
            settling: group.settling,
            incomplete,
        };
        for rule in &group.rules {
            let RuleKind::Alerting { alerts, ended, .. } = &rule.kind else { continue };
            let judged = rule.last_evaluation.filter(|_| matches!(rule.health, RuleHealth::Ok | RuleHealth::Unwritten(_)));
            // Of several rules of one name, the one that knows least.
            let known = view.judged.entry(&rule.name).or_insert(judged);
            *known = (*known).min(judged);
            view.ended.extend(ended.iter().map(|ended| (rule, ended)));
            for alert in alerts {
                match (alert.state, alert.fired_at, rule.last_evaluation) {
                    (AlertState::Firing, Some(fired_at), Some(evaluated_at)) => {
                        view.firing.push(Seen { rule, alert, fired_at, evaluated_at });
                    }
                    _ => drop(view.pending.insert((&rule.name, &alert.labels))),
                }
            }
        }
        view.join();
        view.firing.sort_by_key(|seen| seen.fired_at);
        view
    }

    /// Two rules of one name may have the same alert: whoever is told cannot tell them apart, so where one goes on with what another
    /// had, it fires since the other did, and has not ended. Times of one rule may overlap where the clock was set back: these are others,
    /// but for one that fires again since the very same time.
    fn join(&mut self) {
        let mut spells: HashMap<(&str, &Labels), Vec<Spell<'_>>> = HashMap::new();
        for (rule, ended) in &self.ended {
            spells.entry((&rule.name, &ended.labels)).or_default().push((rule, ended.fired_at, ended.resolved_at));
        }
        if spells.is_empty() {
            return;
        }
        for seen in &mut self.firing {
            let Some(spells) = spells.get_mut(&(seen.rule.name.as_str(), &seen.alert.labels)) else { continue };
            spells.push((seen.rule, seen.fired_at, Timestamp::MAX));
            let mut by = seen.rule;
            let before = |by: &RuleSnapshot, since: Timestamp| {
                spells.iter().find(|(of, from, to)| !ptr::eq(*of, by) && *from < since && since <= *to).copied()
            };
            while let Some((of, from, _)) = before(by, seen.fired_at) {
                (by, seen.fired_at) = (of, from);
            }
        }
        self.ended.retain(|(rule, ended)| {
            let went_on = |(of, from, to): &Spell<'_>| {
                if ptr::eq(*of, *rule) {
                    *from == ended.fired_at && *to == Timestamp::MAX
                } else {
                    *from <= ended.resolved_at && ended.resolved_at < *to
                }
            };
            !spells.get(&(rule.name.as_str(), &ended.labels)).is_some_and(|spells| spells.iter().any(went_on))
        });
    }

    /// What its rule says of an alert that does not fire. Of one that this process has not seen firing, less is known.
    pub(super) fn absence(&self, rule: &str, labels: &Labels, unseen: bool) -> Absence {
        match self.judged.get(rule) {
            Some(Some(_)) if unseen && self.settling => Absence::Unknown,
            // After a restart it has to be pending before it fires: it has not stopped.
            Some(Some(_)) if unseen && self.pending.contains(&(rule, labels)) => Absence::Unknown,
            Some(Some(at)) => Absence::Since(*at),
            None if !self.incomplete => Absence::NoRule,
            _ => Absence::Unknown,
        }
    }
}

/// Who looks after a rule's alerts.
pub(super) fn owner(rule: &RuleSnapshot) -> Option<&str> {
    match &rule.kind {
        RuleKind::Alerting { owner, .. } => owner.as_deref(),
        RuleKind::Recording => None,
    }
}
