//! Metric families: what a scrape shows, whoever measured it.

use std::sync::Arc;

use super::{Histogram, Labels, Summary, Unit, unit_of_name};

/// A metric's type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MetricType {
    /// Only rises; reset by a restart.
    Counter,
    /// Rises and falls.
    Gauge,
    /// Observations counted in classic buckets.
    Histogram,
    /// Quantiles of observations, made here: the agent's own alone, events never become one.
    Summary,
    /// Not known: `untyped` in Prometheus's text, `unknown` in OpenMetrics.
    Unknown,
}

impl MetricType {
    /// The type's name in Prometheus's interfaces.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::Summary => "summary",
            Self::Unknown => "unknown",
        }
    }
}

/// Who measured a family; decides the `job` that its series carry in history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// The host: job `node`.
    Host,
    /// Application processes: the job is the event's service.
    Events,
    /// The agent itself: job `sidewatch`.
    Agent,
}

/// What one series holds now.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A counter's, a gauge's or an unknown's number.
    Number(f64),
    /// A histogram's buckets.
    Histogram(Histogram),
    /// A summary's quantiles.
    Summary(Summary),
}

/// One label set of a family, without the family's name.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// Its labels.
    pub labels: Labels,
    /// Its value now.
    pub value: Value,
}

/// A named metric with all its series.
#[derive(Clone, Debug, PartialEq)]
pub struct Family {
    /// The name as scraped in Prometheus's text; a counter that sidewatch makes ends in `_total`.
    pub name: Arc<str>,
    /// Its type.
    pub kind: MetricType,
    /// What it means, one sentence.
    pub help: Arc<str>,
    /// Its unit, where the name ends in one.
    pub unit: Option<Unit>,
    /// Who measured it.
    pub origin: Origin,
    /// Its series.
    pub series: Vec<Series>,
}

impl Family {
    /// A family without series; the unit is the one that the name ends in.
    #[must_use]
    pub fn new(name: impl Into<Arc<str>>, kind: MetricType, help: impl Into<Arc<str>>, origin: Origin) -> Self {
        let name = name.into();
        Self { unit: unit_of_name(&name), name, kind, help: help.into(), origin, series: Vec::new() }
    }

    /// Adds a series with a number.
    pub fn push(&mut self, labels: Labels, value: f64) -> &mut Self {
        self.series.push(Series { labels, value: Value::Number(value) });
        self
    }

    /// The same family with one more number, for building in one expression.
    #[must_use]
    pub fn with(mut self, labels: Labels, value: f64) -> Self {
        self.push(labels, value);
        self
    }
}
