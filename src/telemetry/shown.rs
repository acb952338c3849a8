//! What an instrument shows, as a family. Its name, its text and the labels of its series hardly ever change: they are made
//! once and shared by all that read.

use std::sync::Arc;

use prometheus::proto::{self, LabelPair, MetricFamily};

use super::MetricDoc;
use crate::model::{Family, Histogram, Labels, MetricType, Origin, Series, Summary, Value};

/// What was shown last.
#[derive(Debug)]
pub(super) struct Shown {
    kind: MetricType,
    name: Arc<str>,
    help: Arc<str>,
    /// By the order in which the instrument gives its series, which changes only when there is a new one.
    labels: Vec<Labels>,
    bounds: Option<Arc<[f64]>>,
}

impl Shown {
    pub(super) fn new(doc: &MetricDoc) -> Self {
        let (name, help) = (Arc::from(doc.name.as_str()), Arc::from(doc.help.as_str()));
        Self { kind: doc.kind, name, help, labels: Vec::new(), bounds: None }
    }

    /// What the instrument has collected, its series in the order of their labels; `None` without any.
    pub(super) fn family(&mut self, collected: &[MetricFamily]) -> Option<Family> {
        let metrics = || collected.iter().flat_map(MetricFamily::get_metric);
        let mut series = Vec::with_capacity(metrics().count());
        for (index, metric) in metrics().enumerate() {
            let labels = self.labels(index, metric.get_label());
            let value = match self.kind {
                MetricType::Counter => Value::Number(metric.get_counter().get_value()),
                MetricType::Gauge => Value::Number(metric.get_gauge().get_value()),
                MetricType::Histogram => Value::Histogram(self.histogram(metric.get_histogram())),
                MetricType::Summary => Value::Summary(summary(metric.get_summary())),
                MetricType::Unknown => continue,
            };
            series.push(Series { labels, value });
        }
        series.sort_unstable_by(|a, b| a.labels.cmp(&b.labels));
        let family = Family::new(Arc::clone(&self.name), self.kind, Arc::clone(&self.help), Origin::Agent);
        (!series.is_empty()).then_some(Family { series, ..family })
    }

    fn labels(&mut self, index: usize, pairs: &[LabelPair]) -> Labels {
        if let Some(known) = self.labels.get(index)
            && known.iter().eq(texts(pairs))
        {
            return known.clone();
        }
        self.labels.truncate(index);
        let labels = Labels::from_pairs(texts(pairs));
        self.labels.push(labels.clone());
        labels
    }

    /// The crate's buckets are cumulative and may or may not name `+Inf`; ours are neither.
    fn histogram(&mut self, proto: &proto::Histogram) -> Histogram {
        let finite = || proto.get_bucket().iter().filter(|bucket| bucket.upper_bound().is_finite());
        let bounds = self.bounds.get_or_insert_with(|| finite().map(|bucket| bucket.upper_bound()).collect());
        let mut below = 0;
        let mut counts: Vec<u64> = finite()
            .map(|bucket| {
                let count = bucket.cumulative_count().saturating_sub(below);
                below = bucket.cumulative_count();
                count
            })
            .collect();
        counts.push(proto.get_sample_count().saturating_sub(below));
        Histogram::classic(Arc::clone(bounds), counts, proto.get_sample_sum())
    }
}

fn summary(proto: &proto::Summary) -> Summary {
    let quantiles = proto.get_quantile().iter().map(|one| (one.quantile(), one.value())).collect();
    Summary { quantiles, sum: proto.sample_sum(), count: proto.sample_count() }
}

fn texts(pairs: &[LabelPair]) -> impl Iterator<Item = (&str, &str)> {
    pairs.iter().map(|pair| (pair.name(), pair.value()))
}

#[cfg(test)]
mod tests {
    use prometheus::core::Collector;
    use prometheus::{IntCounterVec, Opts};

    use super::*;

    #[test]
    fn labels_follow_a_series_that_comes_later() {
        let counters = IntCounterVec::new(Opts::new("a_total", "A."), &["of"]).expect("counters");
        let doc = MetricDoc { name: "a_total".into(), kind: MetricType::Counter, help: "A.".into(), labels: vec!["of".into()] };
        let mut shown = Shown::new(&doc);
        assert!(shown.family(&counters.collect()).is_none());
        for number in (0..40_u32).rev() {
            counters.with_label_values(&[&format!("{number:02}")]).inc_by(u64::from(number));
            let family = shown.family(&counters.collect()).expect("a family");
            let values: Vec<_> = family.series.iter().map(|series| (series.labels.get("of"), series.value.clone())).collect();
            let expected: Vec<_> = (number..40).map(|number| (format!("{number:02}"), Value::Number(f64::from(number)))).collect();
            assert_eq!(values, expected.iter().map(|(of, value)| (Some(of.as_str()), value.clone())).collect::<Vec<_>>());
        }
    }
}
