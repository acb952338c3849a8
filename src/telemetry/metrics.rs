//! The agent's own metrics, kept by the `prometheus` crate. Rooms make their instruments here when they are built, so
//! that the documentation's table of metrics is read from the same place that registers them.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use prometheus::core::{Collector, Desc};
use prometheus::{Gauge, GaugeVec, Histogram as PromHistogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry};

use super::shown::Shown;
use super::summary::Summary;
use crate::model::{Family, MetricType};

/// What the documentation says of one of the agent's own metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricDoc {
    /// Its name.
    pub name: String,
    /// Its type.
    pub kind: MetricType,
    /// What it means.
    pub help: String,
    /// Its labels.
    pub labels: Vec<String>,
}

/// The agent's own metrics. Asking for one that exists gives the same instrument, so that a part which is built anew
/// after a reload counts on where the old one stopped.
#[derive(Default)]
pub struct Telemetry {
    registry: Registry,
    made: Mutex<BTreeMap<String, Made>>,
}

/// An instrument that was handed out.
struct Made {
    doc: MetricDoc,
    instrument: Box<dyn Any + Send>,
    collector: Box<dyn Collector + Send>,
    shown: Shown,
}

impl Telemetry {
    /// An empty set.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// A counter; `name` ends in `_total`.
    pub fn counter(&self, name: &str, help: &str) -> IntCounter {
        self.register(MetricType::Counter, IntCounter::new(name, help))
            .unwrap_or_else(|| unregistered(IntCounter::new("unregistered_total", "-")))
    }

    /// Counters by label.
    pub fn counters(&self, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
        self.register(MetricType::Counter, IntCounterVec::new(Opts::new(name, help), labels))
            .unwrap_or_else(|| unregistered(IntCounterVec::new(Opts::new("unregistered_total", "-"), labels)))
    }

    /// A gauge with a whole number.
    pub fn int_gauge(&self, name: &str, help: &str) -> IntGauge {
        self.register(MetricType::Gauge, IntGauge::new(name, help)).unwrap_or_else(|| unregistered(IntGauge::new("unregistered", "-")))
    }

    /// A gauge.
    pub fn gauge(&self, name: &str, help: &str) -> Gauge {
        self.register(MetricType::Gauge, Gauge::new(name, help)).unwrap_or_else(|| unregistered(Gauge::new("unregistered", "-")))
    }

    /// Gauges by label.
    pub fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> GaugeVec {
        self.register(MetricType::Gauge, GaugeVec::new(Opts::new(name, help), labels))
            .unwrap_or_else(|| unregistered(GaugeVec::new(Opts::new("unregistered", "-"), labels)))
    }

    /// A histogram with these bucket bounds.
    pub fn histogram(&self, name: &str, help: &str, bounds: &[f64]) -> PromHistogram {
        let opts = |name: &str| HistogramOpts::new(name, help).buckets(bounds.to_vec());
        self.register(MetricType::Histogram, PromHistogram::with_opts(opts(name)))
            .unwrap_or_else(|| unregistered(PromHistogram::with_opts(opts("unregistered"))))
    }

    /// A summary with these quantiles over the last ten minutes of `now`.
    pub fn summary(&self, name: &str, help: &str, quantiles: &'static [f64], now: fn() -> Instant) -> Summary {
        self.register(MetricType::Summary, Summary::new(name, help, quantiles, now))
            .unwrap_or_else(|| unregistered(Summary::new("unregistered", "-", quantiles, now)))
    }

    /// Everything as metric families, for the exposition and for history.
    #[must_use]
    pub fn families(&self) -> Vec<Family> {
        self.made().values_mut().filter_map(|made| made.shown.family(&made.collector.collect())).collect()
    }

    /// The table of all metrics registered so far, by name.
    #[must_use]
    pub fn docs(&self) -> Vec<MetricDoc> {
        self.made().values().map(|made| made.doc.clone()).collect()
    }

    /// A name that is malformed or taken by another type is a mistake in this program, found by the test that builds
    /// every room; the agent goes on without that one metric.
    fn register<C: Collector + Clone + Send + 'static>(&self, kind: MetricType, made: prometheus::Result<C>) -> Option<C> {
        let result = made.and_then(|metric| {
            let doc = metric.desc().first().map(|desc| doc(kind, desc)).ok_or_else(|| prometheus::Error::Msg("no name".into()))?;
            let mut known = self.made();
            if let Some(same) = known.get(&doc.name).and_then(|made| made.instrument.downcast_ref::<C>()) {
                return Ok(same.clone());
            }
            self.registry.register(Box::new(metric.clone()))?;
            let (instrument, collector) = (Box::new(metric.clone()), Box::new(metric.clone()));
            known.insert(doc.name.clone(), Made { shown: Shown::new(&doc), doc, instrument, collector });
            Ok(metric)
        });
        result
            .inspect_err(|error| {
                debug_assert!(false, "cannot register a metric: {error}");
                tracing::error!(%error, "cannot register a metric of the agent's own");
            })
            .ok()
    }

    fn made(&self) -> MutexGuard<'_, BTreeMap<String, Made>> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.made().keys()).finish()
    }
}

/// The fallback's name and labels are constants, so making it cannot fail.
#[allow(clippy::expect_used)]
fn unregistered<C>(made: prometheus::Result<C>) -> C {
    made.expect("constant names are valid")
}

fn doc(kind: MetricType, desc: &Desc) -> MetricDoc {
    MetricDoc { name: desc.fq_name.clone(), kind, help: desc.help.clone(), labels: desc.variable_labels.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Histogram, Value};

    #[test]
    fn instruments_appear_as_families_and_in_the_docs() {
        let telemetry = Telemetry::new();
        telemetry.counters("sidewatch_x_total", "X.", &["reason"]).with_label_values(&["a"]).inc_by(3);
        let histogram = telemetry.histogram("sidewatch_y_seconds", "Y.", &[1.0, 2.0]);
        histogram.observe(0.5);
        histogram.observe(5.0);

        let families = telemetry.families();
        assert_eq!(families.len(), 2);
        assert_eq!(families[0].series[0].value, Value::Number(3.0));
        assert_eq!(families[0].series[0].labels.to_string(), r#"{reason="a"}"#);
        assert_eq!(families[1].series[0].value, Value::Histogram(Histogram::classic(Arc::from([1.0, 2.0]), vec![1, 0, 1], 5.5)));
        assert_eq!(
            telemetry.docs()[0],
            MetricDoc { name: "sidewatch_x_total".into(), kind: MetricType::Counter, help: "X.".into(), labels: vec!["reason".into()] }
        );
    }
}
