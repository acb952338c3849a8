//! What one ingest session hands to the registry: aggregated changes, a series each.

use std::sync::Arc;

use super::{GaugeMerge, GaugeOp, Histogram, Labels, MetricType};

/// Which series a change belongs to, and what the series is if it does not exist yet.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SeriesKey {
    /// The family's final name (sanitised, with unit and `_total`).
    pub name: Arc<str>,
    /// The family's type.
    pub kind: MetricType,
    /// The series' labels, without the name.
    pub labels: Labels,
}

/// Observations of one histogram since the last batch. The buckets are the registry's to choose.
pub type HistogramDelta = Histogram;

/// What happened to one series since the last batch.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// A counter rose.
    Count(f64),
    /// A gauge was set or changed.
    Gauge {
        /// The value or the change.
        value: f64,
        /// Set or add.
        op: GaugeOp,
        /// How the values of several senders become one.
        merge: GaugeMerge,
    },
    /// A histogram got observations.
    Observe(HistogramDelta),
}

/// One series' change.
#[derive(Clone, Debug, PartialEq)]
pub struct Delta {
    /// The series.
    pub key: SeriesKey,
    /// What happened.
    pub change: Change,
}

/// A session's changes since its last batch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// Who sends: gauges that are merged over senders are kept apart by this.
    pub sender: u64,
    /// The changes, in the order in which their series first appeared.
    pub deltas: Vec<Delta>,
}
