//! Rules of one name in one group that have the same alert: whoever is told hears of it as of one.

use proptest::prelude::*;

use super::tests::at;
use super::*;
use crate::model::{AlertState, RuleKind, RulesSnapshot};
use crate::rules::Trial;

/// The order in the file is not the order in which they fire.
const RULES: &str = "groups: [{name: g, interval: 15s, rules: [
    {alert: Same, expr: up < 1, for: 15s},
    {alert: Same, expr: up < 2},
    {alert: Same, expr: up < 3, for: 15s, keep_firing_for: 30s}]}]";

fn fires(rules: &RulesSnapshot) -> bool {
    let kinds = rules.groups.iter().flat_map(|group| &group.rules).map(|rule| &rule.kind);
    kinds
        .filter_map(|kind| if let RuleKind::Alerting { alerts, .. } = kind { Some(alerts) } else { None })
        .flatten()
        .any(|alert| alert.state == AlertState::Firing)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn an_alert_of_several_rules_fires_while_one_of_them_says_so(values in proptest::collection::vec((0_u8..4, any::<bool>()), 1..40)) {
        let mut rules = Trial::start(RULES, -1, 0);
        let to = ["a".to_owned()];
        let mut ledger = Ledger::default();
        ledger.target(&to.clone().into(), &BTreeSet::new(), at(-1));
        let (mut now, mut fired, mut expected, mut looked) = (0, false, Vec::new(), true);
        for (value, is_looked_at) in values {
            now += 15;
            rules.put(now, "up", "x", Some(f64::from(value) + 0.5));
            rules.evaluate(now);
            let snapshot = rules.publish();
            if std::mem::replace(&mut fired, fires(&snapshot)) != fired {
                expected.push(if fired { Phase::Firing } else { Phase::Resolved });
            }
            // At most one evaluation is over before anyone looks: the rules tell of one end.
            looked = is_looked_at || !looked || !expected.is_empty();
            if !looked {
                continue;
            }
            ledger.observe(&Sight::of(&snapshot), &to, at(now));
            let mut told = Vec::new();
            for second in 0..4 {
                let batch = ledger.batch("a", at(now + second), None, |_, _| false);
                ledger.told("a", &batch, at(now + second));
                told.extend(batch.into_iter().map(|(_, phase)| phase));
            }
            prop_assert_eq!(told, std::mem::take(&mut expected), "at {}", now);
        }
    }
}
