//! What a collector makes, described once: the descriptions build the families of every round and the documentation.

use crate::model::{Family, Labels, MetricType, Origin};

/// One family that a collector makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Described {
    /// Its name, as node_exporter has it where node_exporter has it.
    pub name: &'static str,
    /// Its type.
    pub kind: MetricType,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// What it means, one sentence.
    pub help: &'static str,
}

impl Described {
    /// A counter.
    pub(super) const fn counter(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Self {
        Self { name, kind: MetricType::Counter, labels, help }
    }

    /// A gauge.
    pub(super) const fn gauge(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Self {
        Self { name, kind: MetricType::Gauge, labels, help }
    }

    /// The family, without series. The host's names begin with `node_`, all others speak of the agent.
    pub(super) fn family(&self) -> Family {
        let origin = if self.name.starts_with("node_") { Origin::Host } else { Origin::Agent };
        Family::new(self.name, self.kind, self.help, origin)
    }
}

/// The families of one round in the order of their descriptions. Names and helps are allocated once.
#[derive(Debug)]
pub(super) struct Sheet(Vec<Family>);

impl Sheet {
    pub(super) fn new(described: &[Described]) -> Self {
        Self(described.iter().map(Described::family).collect())
    }

    /// Forgets what a round that failed has left.
    pub(super) fn begin(&mut self) {
        self.0.iter_mut().for_each(|family| family.series.clear());
    }

    /// Adds one series to the family of this name.
    pub(super) fn push(&mut self, name: &str, labels: &Labels, value: f64) {
        let family = self.0.iter_mut().find(|family| *family.name == *name);
        debug_assert!(family.is_some(), "{name} is not described");
        if let Some(family) = family {
            family.push(labels.clone(), value);
        }
    }

    /// Adds one series to each of the families, in the order of their descriptions and from the first on; `None` adds none.
    pub(super) fn row(&mut self, labels: &Labels, values: impl IntoIterator<Item = Option<f64>>) {
        for (family, value) in self.0.iter_mut().zip(values) {
            if let Some(value) = value {
                family.push(labels.clone(), value);
            }
        }
    }

    /// The families that have a series.
    pub(super) fn take(&mut self) -> Vec<Family> {
        let filled = self.0.iter_mut().filter(|family| !family.series.is_empty());
        filled
            .map(|family| {
                // The next round is as long as this one.
                let next = Vec::with_capacity(family.series.len());
                let series = std::mem::replace(&mut family.series, next);
                Family { name: family.name.clone(), help: family.help.clone(), series, ..*family }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DESCRIBED: [Described; 3] = [
        Described::gauge("node_a_bytes", &["device"], "A."),
        Described::counter("sidewatch_b_total", &["device"], "B."),
        Described::gauge("node_c", &[], "C."),
    ];

    #[test]
    fn families_without_series_are_left_out() {
        let mut sheet = Sheet::new(&DESCRIBED);
        sheet.row(&Labels::from_pairs([("device", "sda")]), [Some(1.0), Some(2.0)]);
        let families = sheet.take();
        let shown: Vec<_> = families.iter().map(|f| (&*f.name, f.kind, f.origin, f.unit.map(|u| u.as_str()))).collect();
        assert_eq!(
            shown,
            [
                ("node_a_bytes", MetricType::Gauge, Origin::Host, Some("bytes")),
                ("sidewatch_b_total", MetricType::Counter, Origin::Agent, None)
            ]
        );
        assert!(sheet.take().is_empty());
    }

    #[test]
    fn a_round_that_failed_leaves_nothing() {
        let mut sheet = Sheet::new(&DESCRIBED);
        sheet.push("node_c", &Labels::empty(), 1.0);
        sheet.begin();
        assert!(sheet.take().is_empty());
    }

    #[test]
    fn a_missing_value_is_no_series() {
        let mut sheet = Sheet::new(&DESCRIBED);
        sheet.row(&Labels::empty(), [None, Some(2.0)]);
        assert_eq!(sheet.take().iter().map(|f| f.name.to_string()).collect::<Vec<_>>(), ["sidewatch_b_total"]);
    }
}
