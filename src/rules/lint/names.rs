//! Which metrics and labels there are.

use std::collections::{BTreeMap, BTreeSet};

use crate::diagnostic::nearest;
use crate::model::MetricType;

/// Labels that any series can have.
const OF_ALL: [&str; 3] = ["__name__", "job", "instance"];

/// The metrics that expressions can find, with their labels.
#[derive(Clone, Debug, Default)]
pub struct Inventory {
    metrics: BTreeMap<String, Known>,
    complete: bool,
}

/// The labels of a metric.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    /// Those that it has, but for `job` and `instance`.
    pub(super) labels: BTreeSet<String>,
    /// There are no others.
    pub(super) all: bool,
}

impl Inventory {
    /// A metric with its labels but `job` and `instance`, which are `all`, or it may have others.
    pub fn add<'l>(&mut self, name: &str, labels: impl IntoIterator<Item = &'l str>, all: bool) {
        let labels = labels.into_iter().map(str::to_owned).collect();
        self.metrics.insert(name.to_owned(), Known { labels, all });
    }

    /// A metric of this type, by the names of its series.
    pub fn add_family<'l>(&mut self, name: &str, kind: MetricType, labels: impl IntoIterator<Item = &'l str> + Clone, all: bool) {
        let with = |label| labels.clone().into_iter().chain([label]);
        match kind {
            MetricType::Histogram => {
                self.add(name, labels.clone(), all);
                self.add(&format!("{name}_bucket"), with("le"), all);
            }
            MetricType::Summary => self.add(name, with("quantile"), all),
            MetricType::Counter | MetricType::Gauge | MetricType::Unknown => return self.add(name, labels, all),
        }
        self.add(&format!("{name}_count"), labels.clone(), all);
        self.add(&format!("{name}_sum"), labels, all);
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
        // What other files record has a colon, mostly.
        if !self.complete && name.contains(':') {
            return None;
        }
        let meant = nearest(name, self.metrics.keys().map(String::as_str).filter(|known| is_alike(name, known)));
        let of_agent = name.starts_with("node_") || name.starts_with("sidewatch_");
        // Whoever sends events names them as he likes.
        (self.complete || of_agent || meant.is_some()).then_some(meant)
    }

    /// The labels of a metric, where `label` is none of them.
    pub(super) fn missing(&self, name: &str, label: &str) -> Option<&Known> {
        self.metrics.get(name).filter(|known| !OF_ALL.contains(&label) && !known.labels.contains(label))
    }

    /// All labels that a metric can have, where they are known.
    pub(super) fn all_labels(&self, name: &str) -> Option<BTreeSet<String>> {
        let known = self.metrics.get(name).filter(|known| known.all)?;
        Some(known.labels.iter().cloned().chain(OF_ALL.map(str::to_owned)).collect())
    }
}

impl Known {
    /// Whether a label is one of them, misspelt by a letter.
    pub(super) fn is_misspelt(&self, label: &str) -> bool {
        self.labels.iter().any(|known| strsim::damerau_levenshtein(known, label) == 1)
    }
}

/// Whether a name is another one, misspelt: at most one letter in eight of what is not their common suffix (`_seconds_bucket` says
/// nothing), two in all, and none of the first word, which says whose metric it is.
fn is_alike(name: &str, known: &str) -> bool {
    let words = name.rsplit('_').zip(known.rsplit('_'));
    let suffix: usize = words.take_while(|(one, other)| one == other).map(|(word, _)| word.len() + 1).sum();
    let without = |name: &str| name.get(..name.len().saturating_sub(suffix)).unwrap_or_default().to_owned();
    let (own, other) = (without(name), without(known));
    name.split('_').next() == known.split('_').next() && strsim::damerau_levenshtein(&own, &other) <= (own.len() / 8).min(2)
}
