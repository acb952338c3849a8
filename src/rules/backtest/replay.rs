//! Evaluates groups at the slots of a past time, and follows their alerts.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use super::past::{Past, Written};
use crate::history::Query;
use crate::model::{AlertSnapshot, AlertState, GroupSnapshot, Labels, PromDuration, RuleKind, Timestamp};
use crate::promql::{Engine, EngineConfig, Expr, ExprKind, reach_millis};
use crate::rules::group::{Group, World, slot_offset};
use crate::rules::rule::{Externals, GroupSpec};
use crate::rules::scratch::scratch;
use crate::rules::set::RuleSet;

/// A time that is past. Both ends are inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The first evaluation, at or before the first time that counts: what is on by then has to begin first.
    pub from: Timestamp,
    /// The first time that counts.
    pub start: Timestamp,
    /// The last one.
    pub end: Timestamp,
}

/// One alert from the time at which its condition began to hold until it was over.
#[derive(Clone, Debug, PartialEq)]
pub struct Episode {
    /// The file and the group.
    pub group: String,
    /// All labels, `alertname` among them.
    pub labels: Labels,
    /// Annotations at the last evaluation.
    pub annotations: Labels,
    /// The expression's value at the last evaluation.
    pub value: f64,
    /// Since when its condition held.
    pub active_at: Timestamp,
    /// When it began to fire; `None` where its condition ended before.
    pub fired_at: Option<Timestamp>,
    /// The first evaluation at which it was over; `None` where it went on to the end.
    pub ended_at: Option<Timestamp>,
}

impl Episode {
    /// For how many milliseconds it fired within the time.
    #[must_use]
    pub fn firing_millis(&self, span: Span) -> i64 {
        self.fired_at.map_or(0, |fired| {
            let until = self.ended_at.unwrap_or(span.end).as_millis();
            until.saturating_sub(fired.max(span.start).as_millis()).max(0)
        })
    }
}

/// A rule that could not be evaluated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedRule {
    /// The file and the group.
    pub group: String,
    /// The alert's or the recorded metric's name.
    pub name: String,
    /// How often.
    pub times: usize,
    /// Why, the last time.
    pub error: String,
}

/// What rules would have done.
#[derive(Clone, Debug, PartialEq)]
pub struct Replay {
    /// The time.
    pub span: Span,
    /// Alerts that were pending or firing in it, by time.
    pub episodes: Vec<Episode>,
    /// Rules that could not be evaluated.
    pub failed: Vec<FailedRule>,
    /// How many evaluations of groups there were.
    pub evaluations: usize,
}

/// How long before the first time that counts rules are to be evaluated, so that alerts that are on by then are: for as long as one may be pending and
/// kept firing and, where rules see what rules write, as long again and as far as they look back.
#[must_use]
pub fn warm_up_millis(rules: &RuleSet, config: &EngineConfig) -> i64 {
    let of_group = rules.groups.iter().map(|group| {
        let timings = group.rules.iter().filter_map(|rule| rule.text.timing);
        let longest = timings.map(|timing| timing.for_millis.saturating_add(timing.keep_firing_for_millis)).max().unwrap_or(0);
        longest.saturating_add(group.interval_millis.saturating_mul(2))
    });
    let longest = of_group.max().unwrap_or(0);
    let written = Written::by(rules);
    let ranges = EngineConfig { lookback: PromDuration::from_millis(0), ..config.clone() };
    let rules = rules.groups.iter().flat_map(|group| &group.rules);
    let back = rules.filter(|rule| sees(&rule.expr, &written)).map(|rule| reach_millis(&rule.expr, &ranges)).max();
    back.map_or(longest, |back| longest.saturating_mul(2).saturating_add(back.max(0)))
}

fn sees(expr: &Expr, written: &Written) -> bool {
    let mut sees = false;
    expr.walk(&mut |expr| {
        sees |= match &expr.kind {
            ExprKind::VectorSelector(selector) => written.may_match(&selector.matchers),
            ExprKind::MatrixSelector(matrix) => written.may_match(&matrix.selector.matchers),
            _ => false,
        };
    });
    sees
}

/// Evaluates all groups at all their slots from the first evaluation on, in order of time, over a past. A group that `other` has too is evaluated
/// when it is there: slots depend on the name of the file, and two versions of a rule would differ in nothing but when they look.
#[must_use]
pub fn replay(
    rules: &RuleSet,
    other: Option<&RuleSet>,
    past: Arc<dyn Query>,
    config: &EngineConfig,
    externals: &Externals,
    span: Span,
) -> Replay {
    let own = scratch();
    let source = Arc::new(Past::new(past, own.clone(), span.from, rules));
    let engine = Arc::new(Engine::new(source, config.clone()));
    let world = World::closed(engine, &own, externals.clone());
    let mut follower = Follower { span, open: BTreeMap::new(), episodes: Vec::new(), failed: BTreeMap::new() };
    let mut evaluations = 0;
    let mut groups: Vec<(i64, Group)> = rules
        .groups
        .iter()
        .map(|spec| {
            let same = |other: &&Arc<GroupSpec>| other.name == spec.name && other.interval_millis == spec.interval_millis;
            // Files may have a group of that name each.
            let name = |file: &str| file.rsplit('/').next().unwrap_or_default().to_owned();
            let apart = |other: &&Arc<GroupSpec>| (other.file != spec.file, name(&other.file) != name(&spec.file));
            let slots = other.and_then(|other| other.groups.iter().filter(same).min_by_key(apart)).unwrap_or(spec);
            (first_slot(slots, span.from), Group::new(Arc::clone(spec)))
        })
        .collect();
    // The group whose slot is next; of several the first one.
    while let Some((slot, group)) = groups.iter_mut().min_by_key(|(slot, _)| *slot).filter(|(slot, _)| *slot <= span.end.as_millis()) {
        let at = Timestamp::from_millis(*slot);
        group.evaluate(at, &world);
        evaluations += 1;
        follower.see(&group.snapshot(), at);
        *slot = slot.saturating_add(group.spec().interval_millis.max(1));
    }
    follower.finish(span, evaluations)
}

/// The first slot at or after a time.
fn first_slot(group: &GroupSpec, from: Timestamp) -> i64 {
    let interval = group.interval_millis.max(1);
    let offset = i64::try_from(slot_offset(group)).unwrap_or(0);
    let behind = from.as_millis().saturating_sub(offset).rem_euclid(interval);
    if behind == 0 { from.as_millis() } else { from.as_millis().saturating_add(interval - behind) }
}

/// Group, place of the rule, labels.
type Key = (String, usize, Labels);

struct Follower {
    span: Span,
    open: BTreeMap<Key, Episode>,
    episodes: Vec<Episode>,
    failed: BTreeMap<(String, String), FailedRule>,
}

impl Follower {
    fn see(&mut self, group: &GroupSnapshot, at: Timestamp) {
        let name = format!("{};{}", group.file, group.name);
        let mut seen = HashSet::new();
        for (place, rule) in group.rules.iter().enumerate() {
            if let Some(error) = rule.health.error() {
                let new = || FailedRule { group: name.clone(), name: rule.name.clone(), times: 0, error: String::new() };
                let failed = self.failed.entry((name.clone(), rule.name.clone())).or_insert_with(new);
                failed.times += 1;
                error.clone_into(&mut failed.error);
            }
            let RuleKind::Alerting { alerts, .. } = &rule.kind else { continue };
            for alert in alerts {
                let key = (name.clone(), place, alert.labels.clone());
                // An alert that came back in between is another one.
                if self.open.get(&key).is_some_and(|open| open.active_at != alert.active_at) {
                    self.close(&key, at);
                }
                let episode = self.open.entry(key.clone()).or_insert_with(|| episode(&name, alert));
                episode.value = alert.value;
                episode.annotations = alert.annotations.clone();
                if alert.state == AlertState::Firing {
                    episode.fired_at = alert.fired_at;
                }
                seen.insert(key);
            }
        }
        let over: Vec<Key> = self.open.keys().filter(|key| key.0 == name && !seen.contains(key)).cloned().collect();
        for key in over {
            self.close(&key, at);
        }
    }

    fn close(&mut self, key: &Key, at: Timestamp) {
        if let Some(mut episode) = self.open.remove(key) {
            episode.ended_at = Some(at);
            // What was over before the time has only warmed up.
            if at > self.span.start {
                self.episodes.push(episode);
            }
        }
    }

    fn finish(mut self, span: Span, evaluations: usize) -> Replay {
        self.episodes.extend(self.open.into_values());
        let key = |episode: &Episode| (episode.fired_at.unwrap_or(episode.active_at), episode.labels.clone());
        self.episodes.sort_by_key(key);
        Replay { span, episodes: self.episodes, failed: self.failed.into_values().collect(), evaluations }
    }
}

fn episode(group: &str, alert: &AlertSnapshot) -> Episode {
    Episode {
        group: group.to_owned(),
        labels: alert.labels.clone(),
        annotations: alert.annotations.clone(),
        value: alert.value,
        active_at: alert.active_at,
        fired_at: None,
        ended_at: None,
    }
}
