//! Which metrics and labels there are.

use std::collections::{BTreeMap, BTreeSet};

use crate::diagnostic::nearest;
use crate::model::MetricType;

/// Labels that any series can have.
const OF_ALL: [&str; 3] = ["__name__", "job", "instance"];

/// The metrics that expressions can find, with their labels.
#[derive(Clone, Debug, Default)]
pub struct Inventory {
    /// Without labels: it may have any.
    metrics: BTreeMap<String, Option<BTreeSet<String>>>,
    complete: bool,
}

impl Inventory {
    /// A metric with all its labels but `job` and `instance`; `None` where it can have any.
    pub fn add<'l>(&mut self, name: &str, labels: Option<impl IntoIterator<Item = &'l str>>) {
        let labels = labels.map(|labels| labels.into_iter().map(str::to_owned).collect());
        self.metrics.insert(name.to_owned(), labels);
    }

    /// A metric of this type, by the names of its series.
    pub fn add_family<'l>(&mut self, name: &str, kind: MetricType, labels: Option<impl IntoIterator<Item = &'l str> + Clone>) {
        let with = |label| labels.clone().map(|labels| labels.into_iter().chain([label]));
        match kind {
            MetricType::Histogram => {
                self.add(name, labels.clone());
                self.add(&format!("{name}_bucket"), with("le"));
            }
            MetricType::Summary => self.add(name, with("quantile")),
            MetricType::Counter | MetricType::Gauge | MetricType::Unknown => return self.add(name, labels),
        }
        self.add(&format!("{name}_count"), labels.clone());
        self.add(&format!("{name}_sum"), labels);
    }

    /// There are no metrics but these.
    pub fn complete(&mut self) {
        self.complete = true;
    }

    /// What is wrong with the name of a metric: nothing, or with the name that was probably meant.
    pub(super) fn question(&self, name: &str) -> Option<Option<&str>> {
        if self.metrics.contains_key(name) || matches!(name, "up" | "ALERTS" | "ALERTS_FOR_STATE") {
            return None;
        }
        let alike = |known: &&str| strsim::damerau_levenshtein(name, known) <= name.len() / 8;
        let meant = nearest(name, self.metrics.keys().map(String::as_str)).filter(alike);
        let of_agent = name.starts_with("node_") || name.starts_with("sidewatch_");
        // Whoever sends events names them as he likes, and other files have recording rules.
        let misspelt = meant.is_some() && !name.contains(':');
        (self.complete || of_agent || misspelt).then_some(meant)
    }

    /// The labels of a metric, where they are known and `label` is none of them.
    pub(super) fn missing(&self, name: &str, label: &str) -> Option<&BTreeSet<String>> {
        let labels = self.metrics.get(name)?.as_ref()?;
        (!OF_ALL.contains(&label) && !labels.contains(label)).then_some(labels)
    }
}
