//! What a series is called in history: as on a scrape, with the `job` and `instance` that a scraping server would add.

use std::sync::Arc;

use crate::model::{FloatStyle, Labels, LabelsBuilder, METRIC_NAME, Origin, format_float};

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

/// Which lines a scrape has of a series.
#[derive(Clone, Copy, Debug)]
pub(super) enum Lines<'a> {
    /// A number's.
    One,
    /// A histogram's, with these bounds of its buckets.
    Buckets(&'a Arc<[f64]>),
    /// A summary's, with these quantiles.
    Quantiles(&'a [(f64, f64)]),
}

/// Which series of a scrape one live series becomes: one for a number, several for a histogram and a summary.
#[derive(Debug)]
pub(super) enum Sets {
    One(Labels),
    /// One a bucket or a quantile, then the sum's and the count's.
    Many(Box<[Labels]>),
}

impl Sets {
    pub(super) const fn as_slice(&self) -> &[Labels] {
        match self {
            Self::One(labels) => std::slice::from_ref(labels),
            Self::Many(labels) => labels,
        }
    }
}

impl Identity {
    /// The job of a series.
    #[must_use]
    pub fn job<'a>(&'a self, origin: Origin, labels: &'a Labels) -> &'a str {
        match origin {
            Origin::Host => &self.host_job,
            Origin::Agent => &self.agent_job,
            Origin::Events => labels.get("service_name").unwrap_or(&self.events_job),
        }
    }

    /// The labels of `up` of a job.
    pub(super) fn up(&self, job: &str) -> Labels {
        Labels::from_pairs([(METRIC_NAME, "up"), ("instance", &self.instance), ("job", job)])
    }

    /// The finished labels of a series.
    pub(super) fn label_sets(&self, name: &str, origin: Origin, labels: &Labels, lines: Lines<'_>) -> Sets {
        let mut target = labels.to_builder();
        target.set("instance", &self.instance).set("job", self.job(origin, labels));
        let named = |suffix: &str| {
            let mut named: LabelsBuilder = target.clone();
            named.set(METRIC_NAME, &format!("{name}{suffix}"));
            named
        };
        let each = |one: &LabelsBuilder, label: &str, number: f64| {
            let mut labels = one.clone();
            labels.set(label, &format_float(number, FloatStyle::Canonical));
            labels.build()
        };
        let mut sets: Vec<Labels> = match lines {
            Lines::One => return Sets::One(named("").build()),
            Lines::Buckets(bounds) => {
                let bucket = named("_bucket");
                bounds.iter().chain(&[f64::INFINITY]).map(|bound| each(&bucket, "le", *bound)).collect()
            }
            Lines::Quantiles(quantiles) => {
                let quantile = named("");
                quantiles.iter().map(|(rank, _)| each(&quantile, "quantile", *rank)).collect()
            }
        };
        sets.extend([named("_sum").build(), named("_count").build()]);
        Sets::Many(sets.into_boxed_slice())
    }
}
