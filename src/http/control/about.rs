//! Which alerts a new silence is about: one that is misspelt holds nobody back, and whoever made it would only learn that at night.

use crate::diagnostic::nearest;
use crate::model::{AlertState, Labels, Matcher, RuleKind, RulesSnapshot, Timestamp};
use crate::notify::{Config, Silence, SilenceState};

/// The label with an alert's name.
const NAME: &str = "alertname";

/// What is to be known of a silence that was made.
pub(super) fn remarks(silence: &Silence, rules: &RulesSnapshot, notify: &Config, at: Timestamp) -> Vec<String> {
    let mut names = Vec::new();
    let mut firing = 0;
    for rule in rules.groups.iter().flat_map(|group| &group.rules) {
        let RuleKind::Alerting { alerts, .. } = &rule.kind else { continue };
        names.push(rule.name.as_str());
        let external = |name: &str| notify.external_labels.as_ref().and_then(|labels| labels.get(name)).map(String::as_str);
        let is_meant = |labels: &Labels| silence.matches(|name| labels.get(name).or_else(|| external(name)));
        firing += alerts.iter().filter(|alert| alert.state == AlertState::Firing && is_meant(&alert.labels)).count();
    }
    let mut remarks = Vec::new();
    let of_name = silence.matchers.iter().filter(|matcher| matcher.name() == NAME);
    // Without any rule they have not been read yet.
    for matcher in of_name.filter(|matcher| !names.is_empty() && !names.iter().any(|name| matcher.matches(name))) {
        remarks.push(no_rule(matcher, &names));
    }
    if firing == 0 && silence.state(at) == SilenceState::Active {
        remarks.push("no alert that fires now has these labels".to_owned());
    }
    remarks
}

fn no_rule(matcher: &Matcher, names: &[&str]) -> String {
    let meant = nearest(matcher.value(), names.iter().copied()).map(|name| format!("; did you mean {name}?")).unwrap_or_default();
    format!("there is no rule whose alert has a name for {NAME}{}{:?}{meant}", matcher.op().as_str(), matcher.value())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::{AlertSnapshot, GroupSnapshot, RuleHealth, RuleSnapshot};
    use crate::notify::parse_matcher;

    fn rules() -> RulesSnapshot {
        let at = Timestamp::default();
        let alert = AlertSnapshot {
            state: AlertState::Firing,
            labels: Labels::from_pairs([(NAME, "QueueTooLong"), ("queue", "a")]),
            annotations: Labels::empty(),
            value: 1.0,
            active_at: at,
            fired_at: Some(at),
            keep_firing_since: None,
        };
        let kind = RuleKind::Alerting {
            for_millis: 0,
            keep_firing_for_millis: 0,
            threshold: None,
            weight: None,
            owner: None,
            alerts: vec![alert],
            ended: Vec::new(),
        };
        let rule = RuleSnapshot {
            name: "QueueTooLong".into(),
            query: String::new(),
            labels: Labels::empty(),
            annotations: Labels::empty(),
            health: RuleHealth::Ok,
            last_evaluation: None,
            evaluation_seconds: 0.0,
            kind,
        };
        let group = GroupSnapshot {
            name: "g".into(),
            file: "a.yml".into(),
            interval_millis: 1,
            limit: 0,
            last_evaluation: None,
            evaluation_seconds: 0.0,
            settling: false,
            rules: vec![rule],
        };
        RulesSnapshot { groups: vec![Arc::new(group)], load_errors: Vec::new() }
    }

    fn told(matchers: &[&str], starts_at: i64) -> Vec<String> {
        let matchers = matchers.iter().map(|matcher| parse_matcher(matcher).expect("a matcher")).collect();
        let at = Timestamp::from_millis;
        let (created_by, comment) = (String::new(), String::new());
        let silence =
            Silence { id: "x".into(), matchers, starts_at: at(starts_at), ends_at: at(99), updated_at: at(0), created_by, comment };
        let notify = Config { external_labels: Some([("dc".to_owned(), "b".to_owned())].into()), ..Config::default() };
        assert!(
            remarks(&silence, &RulesSnapshot::default(), &notify, at(50)).iter().all(|remark| !remark.contains("rule")),
            "none is known"
        );
        remarks(&silence, &rules(), &notify, at(1))
    }

    #[test]
    fn a_silence_that_holds_nobody_back_says_so() {
        let nobody = "no alert that fires now has these labels";
        assert_eq!(told(&["alertname=QueueTooLong", "queue=~a|b", "dc=b"], 0), Vec::<String>::new());
        assert_eq!(told(&["alertname=QueueTooLong", "queue=c"], 0), [nobody]);
        assert_eq!(told(&["severity==critical"], 0), [nobody]);
        let misspelt = "there is no rule whose alert has a name for alertname=\"QueueToLong\"; did you mean QueueTooLong?";
        assert_eq!(told(&["alertname=QueueToLong"], 0), [misspelt, nobody]);
        assert_eq!(told(&["alertname=QueueToLong"], 50), [misspelt], "what fires when it begins nobody knows");
        assert_eq!(told(&["alertname=Queue*"], 0)[0], "there is no rule whose alert has a name for alertname=\"Queue*\"");
    }
}
