//! What is to be known of an alert beyond what Prometheus's rule files can say, in sidewatch's own configuration: so the same
//! file serves both.

use std::collections::BTreeMap;

use crate::promql::{self, ValueType};

/// By group and alert.
pub type Overlays = BTreeMap<String, BTreeMap<String, Overlay>>;

/// What a rule file cannot say of an alert.
#[derive(Clone, Debug, Default, PartialEq, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Overlay {
    /// What becomes of the alert when what its rule measures is not there any more.
    pub no_data: NoData,
    /// Who looks after it.
    pub owner: Option<String>,
    /// Points that it costs while it fires, from 0 to 100, in place of those of its severity.
    pub weight: Option<f64>,
    /// What the rule measures, with the labels of its alerts. Default: the side of the rule's comparison that has series. It gives the
    /// value with which the alert ended, and tells `no_data` from a condition that does not hold.
    pub resolve: Option<String>,
}

/// What becomes of an alert when what its rule measures is not there any more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum NoData {
    /// It ends, as with Prometheus.
    #[default]
    Resolve,
    /// It stays as it is, pending or firing, until something is measured.
    Keep,
    /// Its condition is taken to hold. Where nothing at all is measured and none of the rule's alerts is active, there is one with the
    /// labels of the rule alone.
    Fire,
}

/// What is wrong with overlays, each behind its key below `rules.overlay`.
pub(super) fn check(overlays: &Overlays) -> Vec<(String, String)> {
    let mut faults = Vec::new();
    for (group, alerts) in overlays {
        for (alert, overlay) in alerts {
            let mut fault = |key: &str, message: String| faults.push((format!("{group}.{alert}.{key}"), message));
            if let Some(weight) = overlay.weight.filter(|weight| !(0.0..=100.0).contains(weight)) {
                fault("weight", format!("{weight} is not between 0 and 100"));
            }
            match overlay.resolve.as_deref().map(promql::parse) {
                Some(Err(error)) => fault("resolve", format!("could not parse expression: {error}")),
                Some(Ok(expr)) if expr.value_type() != ValueType::Vector => fault("resolve", "the expression gives no series".to_owned()),
                _ => {}
            }
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_makes_no_sense_is_told_with_its_key() {
        let overlays = |text: &str| check(&serde_yaml::from_str::<Overlays>(text).expect("readable"));
        assert_eq!(overlays("g: {A: {no_data: keep, owner: core, weight: 10, resolve: up}}"), []);
        let fault = |text: &str| overlays(text).into_iter().map(|(key, message)| format!("{key}: {message}")).collect::<Vec<_>>();
        assert_eq!(fault("g: {A: {weight: 101}}"), ["g.A.weight: 101 is not between 0 and 100"]);
        assert_eq!(fault("g: {A: {resolve: '1'}}"), ["g.A.resolve: the expression gives no series"]);
        assert!(fault("g: {A: {resolve: 'sum('}}")[0].starts_with("g.A.resolve: could not parse expression: "));
    }
}
