//! What rules see that are evaluated anew over a past: what was there, but for what they write themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::Arc;

use crate::history::{History, Query, QueryError, Visit};
use crate::model::{Labels, Matcher, Sample, Timestamp, stale_marker};
use crate::rules::set::RuleSet;

/// The past, from `from` on without the series that the rules write, which are in `own`.
pub(super) struct Past {
    pub(super) base: Arc<dyn Query>,
    pub(super) own: History,
    pub(super) from: Timestamp,
    written: Written,
}

/// The series that rules write, by the names of their metrics and alerts.
pub(super) struct Written {
    recorded: BTreeSet<String>,
    alerts: BTreeSet<String>,
}

impl Written {
    pub(super) fn by(rules: &RuleSet) -> Self {
        let names = |alerting: bool| {
            let rules = rules.groups.iter().flat_map(|group| &group.rules).filter(move |rule| rule.text.timing.is_some() == alerting);
            rules.map(|rule| rule.text.name.clone()).collect()
        };
        Self { recorded: names(false), alerts: names(true) }
    }

    fn has(&self, labels: &Labels) -> bool {
        match labels.metric_name() {
            "ALERTS" | "ALERTS_FOR_STATE" => labels.get("alertname").is_some_and(|name| self.alerts.contains(name)),
            name => self.recorded.contains(name),
        }
    }

    /// Whether a selector may see one of them.
    pub(super) fn may_match(&self, matchers: &[Matcher]) -> bool {
        let allow =
            |label: &str, value: &str| matchers.iter().filter(|matcher| matcher.name() == label).all(|matcher| matcher.matches(value));
        let alerts = ["ALERTS", "ALERTS_FOR_STATE"].into_iter().any(|name| allow("__name__", name));
        self.recorded.iter().any(|name| allow("__name__", name)) || alerts && self.alerts.iter().any(|name| allow("alertname", name))
    }
}

impl Past {
    pub(super) fn new(base: Arc<dyn Query>, own: History, from: Timestamp, rules: &RuleSet) -> Self {
        Self { base, own, from, written: Written::by(rules) }
    }

    /// Those of both that are to be seen, in order.
    fn merged(&self, base: Vec<Labels>, own: Vec<Labels>) -> Vec<Labels> {
        base.into_iter().chain(own).collect::<BTreeSet<_>>().into_iter().collect()
    }
}

impl Query for Past {
    fn thinned_until(&self) -> Option<Timestamp> {
        self.base.thinned_until()
    }

    fn visit(&self, matchers: &[Matcher], after: Timestamp, until: Timestamp, visit: Visit<'_>) -> Result<(), QueryError> {
        let mut own: BTreeMap<Labels, Vec<Sample>> = BTreeMap::new();
        self.own.visit(matchers, after, until, &mut |labels, samples| {
            own.insert(labels.clone(), samples.to_vec());
            ControlFlow::Continue(())
        })?;
        let mut flow = ControlFlow::Continue(());
        self.base.visit(matchers, after, until, &mut |labels, samples| {
            flow = if self.written.has(labels) {
                let before = samples.partition_point(|sample| sample.at < self.from);
                let mut samples = samples.get(..before).unwrap_or_default().to_vec();
                // What the rules of that time wrote ends with them.
                let end = self.from.plus_millis(-1);
                if samples.last().is_some_and(|last| last.at < end) && end <= until {
                    samples.push(Sample { at: end, value: stale_marker() });
                }
                samples.extend(own.remove(labels).unwrap_or_default());
                if samples.is_empty() { ControlFlow::Continue(()) } else { visit(labels, &samples) }
            } else {
                visit(labels, samples)
            };
            flow
        })?;
        for (labels, samples) in own {
            if flow.is_break() {
                break;
            }
            flow = visit(&labels, &samples);
        }
        Ok(())
    }

    fn series(&self, matchers: &[Matcher], after: Timestamp, until: Timestamp) -> Result<Vec<Labels>, QueryError> {
        Ok(self.merged(self.base.series(matchers, after, until)?, self.own.series(matchers, after, until)?))
    }

    fn label_names(&self, matchers: &[Matcher], after: Timestamp, until: Timestamp) -> Result<Vec<String>, QueryError> {
        let names = self.series(matchers, after, until)?.iter().flatten().map(|(name, _)| name.to_owned()).collect::<BTreeSet<_>>();
        Ok(names.into_iter().collect())
    }

    fn label_values(&self, name: &str, matchers: &[Matcher], after: Timestamp, until: Timestamp) -> Result<Vec<String>, QueryError> {
        let series = self.series(matchers, after, until)?;
        let values = series.iter().filter_map(|labels| labels.get(name)).map(str::to_owned).collect::<BTreeSet<_>>();
        Ok(values.into_iter().collect())
    }
}
