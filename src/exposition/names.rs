//! Which families a document has, for the one question that a family cannot answer alone: what OpenMetrics calls it.
//! Source: the OpenMetrics 1.0 specification, "Metric types" and "Suffixes".
//!
//! A counter's family has no `_total` in its name, only its samples have. Where that shorter name would meet another
//! family, or a sample name that another family may use, the document would be invalid; the counter is then exposed as
//! `unknown` under its full name. So is a counter that does not end in `_total`. The sample's name never changes: what
//! is stored behind a scrape stays the same, only the type hint is lost.

use std::sync::Arc;

use crate::model::MetricType;

/// The names and types of all families of a document.
#[derive(Clone, Debug, Default)]
pub struct Names(Vec<(Arc<str>, MetricType)>);

impl FromIterator<(Arc<str>, MetricType)> for Names {
    fn from_iter<I: IntoIterator<Item = (Arc<str>, MetricType)>>(families: I) -> Self {
        let mut names = Self(families.into_iter().collect());
        names.0.sort_by(|a, b| a.0.cmp(&b.0));
        names
    }
}

impl Names {
    /// The name and type that a family has in OpenMetrics.
    pub(super) fn describe<'a>(&self, name: &'a str, kind: MetricType) -> (&'a str, MetricType) {
        match (kind, name.strip_suffix("_total")) {
            (MetricType::Counter, Some(short)) if !short.is_empty() && !self.are_taken_up(short) => (short, MetricType::Counter),
            (MetricType::Counter, _) => (name, MetricType::Unknown),
            _ => (name, kind),
        }
    }

    pub(super) fn have(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    fn find(&self, name: &str) -> Option<MetricType> {
        self.0.binary_search_by(|(other, _)| (**other).cmp(name)).ok().and_then(|at| self.0.get(at)).map(|(_, kind)| *kind)
    }

    /// Whether a counter may not be called `short`: the name belongs to another family; or it is the name of a sample that
    /// another family has or may have (`_created` may stand beside every counter and histogram); or its own `_created`
    /// would be another family.
    fn are_taken_up(&self, short: &str) -> bool {
        let has_samples = |kind| matches!(kind, MetricType::Histogram | MetricType::Summary);
        let sample_of_another = ["_bucket", "_sum", "_count", "_created"]
            .iter()
            .any(|suffix| short.strip_suffix(suffix).and_then(|owner| self.find(owner)).is_some_and(has_samples));
        let created_of_counter =
            short.strip_suffix("_created").is_some_and(|owner| self.find(&format!("{owner}_total")) == Some(MetricType::Counter));
        self.find(short).is_some() || sample_of_another || created_of_counter || self.find(&format!("{short}_created")).is_some()
    }
}
