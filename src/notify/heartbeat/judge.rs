//! Whether the agent does what it is there for: it samples, evaluates its rules, and can tell of what they find.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::model::{Condition, Part, RulesSnapshot, Timestamp};
use crate::notify::Config;

/// How many of its intervals a group may be late, and how much longer.
const INTERVALS_MAX: u32 = 3;
const GRACE: Duration = Duration::from_secs(30);

/// Why there is no heartbeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Held {
    /// A task of the agent does not answer.
    Tasks,
    /// The host is not sampled.
    Sampling,
    /// Rules are not evaluated.
    Evaluation,
    /// Nobody can be told.
    Delivery,
}

impl Held {
    /// All of them.
    pub(super) const ALL: [Self; 4] = [Self::Tasks, Self::Sampling, Self::Evaluation, Self::Delivery];

    /// Its label.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Tasks => "tasks",
            Self::Sampling => "sampling",
            Self::Evaluation => "evaluation",
            Self::Delivery => "delivery",
        }
    }
}

/// Remembers since when groups wait for their first evaluation, or for the first one by the clock as it is.
#[derive(Debug, Default)]
pub(super) struct Judge {
    new: BTreeMap<(String, String), Timestamp>,
}

impl Judge {
    /// Why there is to be no heartbeat now, with a word about it. `silent` are the tasks that do not answer.
    pub(super) fn judge(
        &mut self,
        silent: &[&str],
        parts: &[Part],
        rules: &RulesSnapshot,
        notify: &Config,
        at: Timestamp,
    ) -> Option<(Held, String)> {
        let late = self.late(rules, at);
        let broken = |name: &str| {
            let part = parts.iter().find(|part| part.name == name)?;
            match part.condition {
                Condition::Starting if part.detail.is_empty() => Some(format!("{name} is starting")),
                Condition::Failed if part.detail.is_empty() => Some(format!("{name} has failed")),
                Condition::Starting | Condition::Failed => Some(format!("{name}: {}", part.detail)),
                _ => None,
            }
        };
        if !silent.is_empty() {
            return Some((Held::Tasks, format!("tasks do not answer: {}", silent.join(", "))));
        }
        if let Some(why) = broken("collect") {
            return Some((Held::Sampling, why));
        }
        if let Some(why) = broken("rules").or(late) {
            return Some((Held::Evaluation, why));
        }
        undelivered(parts, notify, at).map(|why| (Held::Delivery, why))
    }

    /// A group that should have been evaluated long ago.
    fn late(&mut self, rules: &RulesSnapshot, at: Timestamp) -> Option<String> {
        let mut new = BTreeMap::new();
        let mut late = None;
        for group in &rules.groups {
            // Where the clock was set back since, it was first seen waiting just now.
            let since = group.last_evaluation.filter(|last| *last <= at).unwrap_or_else(|| {
                let key = (group.file.clone(), group.name.clone());
                let since = self.new.get(&key).copied().unwrap_or(at);
                new.insert(key, since);
                since
            });
            let limit = Duration::from_millis(group.interval_millis.unsigned_abs()) * INTERVALS_MAX + GRACE;
            if at.since(since) > limit {
                late.get_or_insert_with(|| format!("group {:?} was not evaluated for {} s", group.name, at.since(since).as_secs()));
            }
        }
        self.new = new;
        late
    }
}

/// Why what fires does not get to whom it should: no Alertmanager has been reached for `notify.fallback_after`, or another
/// target that is not for need alone has not.
fn undelivered(parts: &[Part], notify: &Config, at: Timestamp) -> Option<String> {
    let failing = |name: &str| {
        let part = parts.iter().find(|part| part.name.strip_prefix("notify:") == Some(name))?;
        let long = part.condition != Condition::Ok && at.since(part.since) >= notify.fallback_after.get();
        long.then(|| format!("{name}: {}", part.detail))
    };
    let alertmanagers: Vec<_> = notify.alertmanagers.iter().map(|one| failing(&one.url)).collect();
    let webhooks = notify.webhooks.iter().filter(|one| !one.fallback).map(|one| one.name.as_str());
    let commands = notify.commands.iter().filter(|one| !one.fallback).map(|one| one.name.as_str());
    let journal = (notify.journal.enabled && !notify.journal.fallback).then_some("journal");
    match alertmanagers.into_iter().collect::<Option<Vec<_>>>() {
        Some(all) if !all.is_empty() => all.into_iter().next(),
        _ => webhooks.chain(commands).chain(journal).find_map(failing),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::GroupSnapshot;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    fn part(name: &str, condition: Condition, since: i64) -> Part {
        Part { name: name.into(), condition, detail: "why".into(), since: at(since), required: false }
    }

    fn rules(last_evaluation: Option<i64>) -> RulesSnapshot {
        let group = GroupSnapshot {
            name: "g".into(),
            file: "f".into(),
            interval_millis: 10_000,
            limit: 0,
            last_evaluation: last_evaluation.map(at),
            evaluation_seconds: 0.0,
            settling: false,
            rules: Vec::new(),
        };
        RulesSnapshot { groups: vec![Arc::new(group)], load_errors: Vec::new() }
    }

    fn held(silent: &[&str], parts: &[Part], rules: &RulesSnapshot, notify: &str, seconds: i64) -> Option<&'static str> {
        let config: Config = serde_yaml::from_str(notify).expect("readable");
        Judge::default().judge(silent, parts, rules, &config, at(seconds)).map(|(held, _)| held.as_str())
    }

    #[test]
    fn a_part_that_says_nothing_is_told_by_its_condition() {
        let why = |condition, detail: &str| {
            let parts = [Part { detail: detail.into(), ..part("collect", condition, 0) }];
            Judge::default().judge(&[], &parts, &rules(Some(90)), &Config::default(), at(91)).map(|(_, why)| why)
        };
        assert_eq!(why(Condition::Starting, "").as_deref(), Some("collect is starting"));
        assert_eq!(why(Condition::Failed, "").as_deref(), Some("collect has failed"));
        assert_eq!(why(Condition::Failed, "no /proc").as_deref(), Some("collect: no /proc"));
    }

    #[test]
    fn each_of_what_it_is_there_for_has_to_work() {
        let well = [part("collect", Condition::Ok, 0), part("rules", Condition::Degraded, 0), part("history", Condition::Degraded, 0)];
        assert_eq!(held(&[], &well, &rules(Some(90)), "{}", 100), None);
        assert_eq!(held(&["recorder"], &well, &rules(Some(90)), "{}", 100), Some("tasks"));
        assert_eq!(held(&[], &[part("collect", Condition::Failed, 99)], &rules(Some(90)), "{}", 100), Some("sampling"));
        assert_eq!(held(&[], &[part("rules", Condition::Failed, 99)], &rules(Some(90)), "{}", 100), Some("evaluation"));
        assert_eq!(held(&[], &well, &rules(Some(40)), "{}", 100), None, "three intervals and half a minute");
        assert_eq!(held(&[], &well, &rules(Some(39)), "{}", 100), Some("evaluation"));
    }

    #[test]
    fn a_group_that_is_never_evaluated_is_late_from_when_it_was_first_seen() {
        let mut judge = Judge::default();
        let mut held = |seconds| judge.judge(&[], &[], &rules(None), &Config::default(), at(seconds)).is_some();
        assert_eq!([1000, 1060, 1061].map(&mut held), [false, false, true]);
    }

    #[test]
    fn a_group_that_is_not_evaluated_is_late_where_the_clock_was_set_back_too() {
        let mut judge = Judge::default();
        let mut held = |seconds| judge.judge(&[], &[], &rules(Some(5_000)), &Config::default(), at(seconds)).is_some();
        assert_eq!([5_000, 1_000, 1_060, 1_061].map(&mut held), [false, false, false, true]);
    }

    #[test]
    fn what_fires_has_to_get_to_whom_it_should() {
        let down = |name: &str, since| part(&format!("notify:{name}"), Condition::Degraded, since);
        let up = |name: &str| part(&format!("notify:{name}"), Condition::Ok, 0);
        let delivery = |parts: &[Part], notify: &str| held(&[], parts, &RulesSnapshot::default(), notify, 400);
        let two = "alertmanagers: [{url: 'http://a'}, {url: 'http://b'}]";
        assert_eq!(delivery(&[down("http://a", 0), up("http://b")], two), None, "one suffices");
        assert_eq!(delivery(&[down("http://a", 0), down("http://b", 101)], two), None, "not yet");
        assert_eq!(delivery(&[down("http://a", 0), down("http://b", 100)], two), Some("delivery"));
        let hooks =
            "{alertmanagers: [{url: 'http://a'}], webhooks: [{name: w, url: 'http://w'}, {name: f, url: 'http://f', fallback: true}]}";
        assert_eq!(delivery(&[up("http://a"), up("w"), down("f", 0)], hooks), None, "for need alone");
        assert_eq!(delivery(&[up("http://a"), down("w", 0), up("f")], hooks), Some("delivery"));
        assert_eq!(delivery(&[down("journal", 0)], "journal: {enabled: true}"), Some("delivery"));
        assert_eq!(delivery(&[down("journal", 0)], "{}"), None, "it is not a target any more");
    }
}
