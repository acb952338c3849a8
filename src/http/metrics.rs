//! `/metrics`: everything that is measured, in the format that the scraper asks for.

use std::collections::BTreeMap;

use hyper::StatusCode;

use super::State;
use super::reply::Reply;
use super::router::Call;
use crate::exposition::{negotiate, write};
use crate::model::{Family, Labels, MetricType, Origin, RuleKind, RulesSnapshot};

pub(super) fn answer(call: &Call, state: &State) -> Reply {
    let negotiated = negotiate(call.accept.as_deref());
    let mut body = Vec::new();
    write(negotiated.format, &families(state), &mut body);
    Reply::new(StatusCode::OK, negotiated.content_type, body)
}

/// All families by name: the registry's, the agent's own, and the alerts.
pub(super) fn families(state: &State) -> Vec<Family> {
    let mut families = state.registry.families();
    families.extend(state.telemetry.families());
    families.push(alerts(&state.rules.borrow()));
    families.sort_by(|a, b| a.name.cmp(&b.name));
    // Names are unique within each source, and the sources' names are reserved; a scrape must not fail over a mistake here.
    families.dedup_by(|later, first| later.name == first.name);
    families
}

/// How many alerts are on, by name, state and severity. `ALERTS` itself is history's: a server that scrapes this agent
/// has its own.
fn alerts(rules: &RulesSnapshot) -> Family {
    let mut counts: BTreeMap<Labels, f64> = BTreeMap::new();
    for rule in rules.groups.iter().flat_map(|group| &group.rules) {
        let RuleKind::Alerting { alerts, .. } = &rule.kind else { continue };
        for alert in alerts {
            let severity = alert.labels.get("severity").unwrap_or("");
            let labels = [("alertname", rule.name.as_str()), ("alertstate", alert.state.as_str()), ("severity", severity)];
            *counts.entry(Labels::from_pairs(labels)).or_default() += 1.0;
        }
    }
    let mut family = Family::new("sidewatch_alerts", MetricType::Gauge, "Alerts that are pending or firing.", Origin::Agent);
    for (labels, count) in counts {
        family.push(labels, count);
    }
    family
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{AlertSnapshot, AlertState, GroupSnapshot, RuleHealth, RuleSnapshot, Timestamp};
    use std::sync::Arc;

    fn alert(state: AlertState, labels: &[(&str, &str)]) -> AlertSnapshot {
        let labels = Labels::from_pairs(labels.iter().copied());
        AlertSnapshot { state, labels, annotations: Labels::empty(), value: 1.0, active_at: Timestamp::default(), fired_at: None }
    }

    #[test]
    fn alerts_are_counted_by_name_state_and_severity() {
        let page = [("alertname", "Busy"), ("severity", "page"), ("cpu", "0")];
        let alerts = vec![alert(AlertState::Firing, &page), alert(AlertState::Firing, &page[..2]), alert(AlertState::Pending, &page[..1])];
        let rule = |kind| RuleSnapshot {
            name: "Busy".into(),
            query: String::new(),
            labels: Labels::empty(),
            annotations: Labels::empty(),
            health: RuleHealth::Ok,
            last_evaluation: None,
            evaluation_seconds: 0.0,
            kind,
        };
        let alerting = RuleKind::Alerting { for_millis: 0, keep_firing_for_millis: 0, threshold: None, alerts };
        let group = GroupSnapshot {
            name: "g".into(),
            file: "a.yml".into(),
            interval_millis: 1000,
            limit: 0,
            last_evaluation: None,
            evaluation_seconds: 0.0,
            rules: vec![rule(alerting), rule(RuleKind::Recording)],
        };
        let family = super::alerts(&RulesSnapshot { groups: vec![Arc::new(group)], load_errors: Vec::new() });
        let mut text = Vec::new();
        write(crate::exposition::Format::Text004, &[family], &mut text);
        assert_eq!(
            String::from_utf8_lossy(&text).lines().skip(2).collect::<Vec<_>>(),
            [
                r#"sidewatch_alerts{alertname="Busy",alertstate="firing",severity="page"} 2"#,
                r#"sidewatch_alerts{alertname="Busy",alertstate="pending"} 1"#,
            ]
        );
    }
}
