//! Metric families: what a scrape shows, whoever measured it.

use std::sync::Arc;

use super::{Labels, Unit, unit_of_name};

/// A metric's type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MetricType {
    /// Only rises; reset by a restart.
    Counter,
    /// Rises and falls.
    Gauge,
    /// Observations counted in classic buckets.
    Histogram,
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

/// Observations in classic buckets.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    /// Upper bounds, ascending and finite; the bucket up to `+Inf` is implied.
    pub bounds: Arc<[f64]>,
    /// Observations a bucket, not cumulative; one more than there are bounds, the last one for `+Inf`.
    pub counts: Vec<u64>,
    /// The sum of all observed values.
    pub sum: f64,
}

impl Histogram {
    /// An empty histogram.
    #[must_use]
    pub fn new(bounds: Arc<[f64]>) -> Self {
        let counts = vec![0; bounds.len() + 1];
        Self { bounds, counts, sum: 0.0 }
    }

    /// Adds `weight` observations of `value`. NaN counts as above every bound, as it does in Prometheus's clients.
    pub fn observe(&mut self, value: f64, weight: u64) {
        let bucket = self.bounds.iter().position(|bound| value <= *bound).unwrap_or(self.bounds.len());
        if let Some(count) = self.counts.get_mut(bucket) {
            *count = count.saturating_add(weight);
        }
        self.sum += value * weight as f64;
    }

    /// All observations.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// Upper bounds (the last one infinite) with the observations up to and including each.
    pub fn cumulative(&self) -> impl Iterator<Item = (f64, u64)> + '_ {
        let bounds = self.bounds.iter().copied().chain([f64::INFINITY]);
        bounds.zip(&self.counts).scan(0_u64, |sum, (bound, count)| {
            *sum = sum.saturating_add(*count);
            Some((bound, *sum))
        })
    }
}

/// What one series holds now.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A counter's, a gauge's or an unknown's number.
    Number(f64),
    /// A histogram's buckets.
    Histogram(Histogram),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_belongs_to_its_bucket() {
        let mut histogram = Histogram::new(Arc::from([1.0, 2.0]));
        for value in [0.5, 1.0, 1.5, 9.0, f64::NAN] {
            histogram.observe(value, 1);
        }
        assert_eq!(histogram.counts, [2, 1, 2]);
        assert_eq!(histogram.cumulative().map(|(_, count)| count).collect::<Vec<_>>(), [2, 3, 5]);
        assert_eq!(histogram.count(), 5);
    }
}
