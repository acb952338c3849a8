//! Families into samples: one for each line that a scrape would show, with `job` and `instance` attached; an `up` for
//! each job; a stale marker for each series that is gone.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::model::{Family, FloatStyle, Labels, METRIC_NAME, Origin, Series, Value, format_float, stale_marker};

/// What the series of this agent are called in history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The label `instance` of every series.
    pub instance: String,
    /// The job of series from the host.
    pub host_job: String,
    /// The job of series from events that name no service.
    pub events_job: String,
    /// The job of the agent's own series.
    pub agent_job: String,
}

/// Which series of a scrape one live series becomes: one for a number, several for a histogram.
type Key = (Arc<str>, Labels);

/// Remembers the finished label sets between ticks, so that a tick makes labels only for series that are new.
#[derive(Debug)]
pub struct Flattener {
    identity: Identity,
    known: HashMap<Key, Vec<Labels>>,
    jobs: BTreeSet<String>,
}

impl Flattener {
    /// One that has seen nothing yet.
    #[must_use]
    pub fn new(identity: Identity) -> Self {
        Self { identity, known: HashMap::new(), jobs: BTreeSet::new() }
    }

    /// The samples of one tick.
    pub fn flatten(&mut self, families: &[Family]) -> Vec<(Labels, f64)> {
        let mut samples = Vec::with_capacity(self.known.len() + self.known.len() / 8);
        let mut before = std::mem::take(&mut self.known);
        let mut jobs = BTreeSet::from([self.identity.host_job.clone(), self.identity.agent_job.clone()]);
        let mut host_seen = false;
        for family in families {
            host_seen |= family.origin == Origin::Host && !family.series.is_empty();
            for series in &family.series {
                let key = (Arc::clone(&family.name), series.labels.clone());
                let labels = before.remove(&key).unwrap_or_else(|| self.label_sets(family, series));
                let job = self.job(family.origin, &series.labels);
                if !jobs.contains(job) {
                    jobs.insert(job.to_owned());
                }
                samples.extend(labels.iter().cloned().zip(values(&series.value)));
                self.known.insert(key, labels);
            }
        }
        samples.extend(before.into_values().flatten().map(|labels| (labels, stale_marker())));
        for job in &jobs {
            let up = if *job == self.identity.host_job { f64::from(u8::from(host_seen)) } else { 1.0 };
            samples.push((self.up(job), up));
        }
        samples.extend(self.jobs.difference(&jobs).map(|gone| (self.up(gone), stale_marker())));
        self.jobs = jobs;
        samples
    }

    fn up(&self, job: &str) -> Labels {
        Labels::from_pairs([(METRIC_NAME, "up"), ("instance", &self.identity.instance), ("job", job)])
    }

    fn job<'a>(&'a self, origin: Origin, labels: &'a Labels) -> &'a str {
        match origin {
            Origin::Host => &self.identity.host_job,
            Origin::Agent => &self.identity.agent_job,
            Origin::Events => labels.get("service_name").unwrap_or(&self.identity.events_job),
        }
    }

    /// In the order of [`values`].
    fn label_sets(&self, family: &Family, series: &Series) -> Vec<Labels> {
        let mut target = series.labels.to_builder();
        target.set("instance", &self.identity.instance).set("job", self.job(family.origin, &series.labels));
        let named = |suffix: &str, le: Option<f64>| {
            let mut labels = target.clone();
            labels.set(METRIC_NAME, &format!("{}{suffix}", family.name));
            if let Some(le) = le {
                labels.set("le", &format_float(le, FloatStyle::Canonical));
            }
            labels.build()
        };
        match &series.value {
            Value::Number(_) => vec![named("", None)],
            Value::Histogram(histogram) => {
                let buckets = histogram.cumulative().map(|(bound, _)| named("_bucket", Some(bound)));
                buckets.chain([named("_sum", None), named("_count", None)]).collect()
            }
        }
    }
}

fn values(value: &Value) -> Vec<f64> {
    match value {
        Value::Number(number) => vec![*number],
        Value::Histogram(histogram) => {
            let buckets = histogram.cumulative().map(|(_, count)| count as f64);
            buckets.chain([histogram.sum, histogram.count() as f64]).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Histogram, MetricType, is_stale};

    fn flattener() -> Flattener {
        let identity = Identity { instance: "h1".into(), host_job: "node".into(), events_job: "app".into(), agent_job: "sidewatch".into() };
        Flattener::new(identity)
    }

    fn lines(samples: &[(Labels, f64)]) -> Vec<String> {
        let mut lines: Vec<_> = samples
            .iter()
            .map(|(labels, value)| format!("{labels} {}", if is_stale(*value) { "stale".into() } else { value.to_string() }))
            .collect();
        lines.sort();
        lines
    }

    fn load(value: f64) -> Family {
        Family::new("node_load1", MetricType::Gauge, "Load.", Origin::Host).with(Labels::empty(), value)
    }

    #[test]
    fn every_series_carries_job_and_instance_and_every_job_is_up() {
        let orders = Labels::from_pairs([("service_name", "shop")]);
        let events =
            Family::new("orders_total", MetricType::Counter, "Orders.", Origin::Events).with(orders, 3.0).with(Labels::empty(), 1.0);
        assert_eq!(
            lines(&flattener().flatten(&[load(0.5), events])),
            [
                r#"node_load1{instance="h1", job="node"} 0.5"#,
                r#"orders_total{instance="h1", job="app"} 1"#,
                r#"orders_total{instance="h1", job="shop", service_name="shop"} 3"#,
                r#"up{instance="h1", job="app"} 1"#,
                r#"up{instance="h1", job="node"} 1"#,
                r#"up{instance="h1", job="shop"} 1"#,
                r#"up{instance="h1", job="sidewatch"} 1"#,
            ]
        );
    }

    #[test]
    fn a_host_that_cannot_be_seen_is_down() {
        assert!(lines(&flattener().flatten(&[])).contains(&r#"up{instance="h1", job="node"} 0"#.to_owned()));
    }

    #[test]
    fn a_histogram_becomes_what_a_scrape_would_show() {
        let mut histogram = Histogram::new(Arc::from([0.5]));
        histogram.observe(0.1, 1);
        histogram.observe(2.0, 1);
        let mut family = Family::new("t_seconds", MetricType::Histogram, "T.", Origin::Agent);
        family.series.push(Series { labels: Labels::empty(), value: Value::Histogram(histogram) });
        let lines = lines(&flattener().flatten(&[family]));
        for line in [
            r#"t_seconds_bucket{instance="h1", job="sidewatch", le="+Inf"} 2"#,
            r#"t_seconds_bucket{instance="h1", job="sidewatch", le="0.5"} 1"#,
            r#"t_seconds_count{instance="h1", job="sidewatch"} 2"#,
            r#"t_seconds_sum{instance="h1", job="sidewatch"} 2.1"#,
        ] {
            assert!(lines.contains(&line.to_owned()), "{line} not in {lines:?}");
        }
    }

    #[test]
    fn a_series_that_is_gone_ends_with_one_marker() {
        let mut flattener = flattener();
        flattener.flatten(&[load(1.0)]);
        assert!(lines(&flattener.flatten(&[])).contains(&r#"node_load1{instance="h1", job="node"} stale"#.to_owned()));
        assert!(!lines(&flattener.flatten(&[])).iter().any(|line| line.starts_with("node_load1")));
    }
}
