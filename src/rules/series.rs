//! What rules write to history: recorded series, `ALERTS`, `ALERTS_FOR_STATE`, and the stale markers that end what is
//! not written any more.

use std::collections::HashSet;

use super::alert::Alerts;
use super::restore::FOR_STATE;
use crate::model::{Labels, METRIC_NAME, stale_marker};

/// A series' new value.
pub(super) type Output = (Labels, f64);

/// `ALERTS` and `ALERTS_FOR_STATE` of the alerts that are pending or firing. The latter's value is `active_at` in whole
/// seconds since the epoch.
pub(super) fn of_alerts(alerts: &mut Alerts) -> Vec<Output> {
    let mut outputs = Vec::new();
    for (labels, alert) in alerts.iter_mut().filter(|(_, alert)| alert.is_active()) {
        let state = alert.state;
        let (_, [for_state, with_state]) = match alert.series.take().filter(|(of, _)| *of == state) {
            Some(made) => alert.series.insert(made),
            None => {
                let with_state = labels.overlaid(&[(METRIC_NAME, "ALERTS"), ("alertstate", state.as_str())]);
                alert.series.insert((state, [labels.with(METRIC_NAME, FOR_STATE), with_state]))
            }
        };
        #[allow(clippy::cast_precision_loss)]
        let since = alert.active_at.as_millis().div_euclid(1000) as f64;
        outputs.push((for_state.clone(), since));
        outputs.push((with_state.clone(), 1.0));
    }
    outputs
}

/// The series that a rule wrote last time, in order.
#[derive(Clone, Debug, Default)]
pub(super) struct Written(Vec<Labels>);

impl Written {
    /// Takes series for written that were before this process.
    pub(super) fn written_before(&mut self, outputs: Vec<Output>) {
        self.0.extend(outputs.into_iter().map(|(labels, _)| labels));
    }

    /// Adds a stale marker for every series of last time that is not among `outputs`, and remembers those that are.
    pub(super) fn close(&mut self, outputs: &mut Vec<Output>) {
        // Mostly they are the same.
        if outputs.iter().map(|(labels, _)| labels).eq(&self.0) {
            return;
        }
        let now: Vec<Labels> = outputs.iter().map(|(labels, _)| labels.clone()).collect();
        let known: HashSet<&Labels> = now.iter().collect();
        outputs.extend(self.0.drain(..).filter(|labels| !known.contains(labels)).map(|labels| (labels, stale_marker())));
        self.0 = now;
    }

    /// Stale markers for all of them: the rule is gone.
    pub(super) fn end(&mut self) -> Vec<Output> {
        self.0.drain(..).map(|labels| (labels, stale_marker())).collect()
    }

    /// Takes in what another rule wrote.
    pub(super) fn adopt(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Without those that another rule writes now.
    pub(super) fn without(&mut self, other: &Self) {
        if !self.0.is_empty() {
            let others: HashSet<&Labels> = other.0.iter().collect();
            self.0.retain(|labels| !others.contains(labels));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::alert::{Absence, Observed, Timing};
    use super::*;
    use crate::model::{Timestamp, is_stale};

    fn shown(outputs: &[Output]) -> Vec<String> {
        let mut lines: Vec<String> = outputs
            .iter()
            .map(|(labels, value)| format!("{labels} {}", if is_stale(*value) { "stale".to_owned() } else { value.to_string() }))
            .collect();
        lines.sort();
        lines
    }

    #[test]
    fn an_alert_that_begins_to_fire_ends_its_pending_series() {
        let mut alerts = Alerts::default();
        let mut written = Written::default();
        let timing = Timing { for_millis: 1_000, keep_firing_for_millis: 0 };
        let mut step = |millis: i64, holds: bool| {
            let observed =
                Observed { labels: Labels::from_pairs([("alertname", "A"), ("x", "1")]), annotations: Labels::empty(), value: 5.0 };
            alerts
                .step(Timestamp::from_millis(millis), timing, 0, if holds { vec![observed] } else { Vec::new() }, |_, _| Absence::Over)
                .expect("one alert");
            let mut outputs = of_alerts(&mut alerts);
            written.close(&mut outputs);
            shown(&outputs)
        };
        let for_state = r#"ALERTS_FOR_STATE{alertname="A", x="1"}"#;
        let alerts = |state: &str| format!(r#"ALERTS{{alertname="A", alertstate="{state}", x="1"}}"#);
        assert_eq!(step(7_900, true), [format!("{for_state} 7"), format!("{} 1", alerts("pending"))]);
        assert_eq!(
            step(8_900, true),
            [format!("{for_state} 7"), format!("{} 1", alerts("firing")), format!("{} stale", alerts("pending"))]
        );
        assert_eq!(step(9_900, false), [format!("{for_state} stale"), format!("{} stale", alerts("firing"))]);
        assert!(step(10_900, false).is_empty());
    }

    #[test]
    fn a_series_that_another_rule_took_over_is_not_ended() {
        let output = |name: &str| (Labels::from_pairs([(METRIC_NAME, name)]), 1.0);
        let (mut old, mut new) = (Written::default(), Written::default());
        old.close(&mut vec![output("a"), output("b")]);
        new.close(&mut vec![output("b")]);
        old.without(&new);
        assert_eq!(shown(&old.end()), ["a stale"]);
        assert_eq!(old.end(), []);
    }
}
