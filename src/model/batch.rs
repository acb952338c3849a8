//! What an ingest session collects for the registry: changes, a series each.

use std::sync::Arc;

use super::{Distinct, GaugeMerge, GaugeOp, Histogram, Labels, MetricType};

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
    /// A gauge was set to a value that was measured at a time of its own. It counts where what the series holds is not
    /// stamped, or with an earlier time.
    Stamped {
        /// The value.
        value: f64,
        /// When it was measured, in Unix seconds.
        seconds: i64,
        /// The gauge was set without a time before that: so no earlier stamp is in the way.
        always: bool,
    },
    /// A set got members.
    Members(Distinct),
    /// A histogram got observations. The buckets are the registry's to choose.
    Observe(Histogram),
}

impl Change {
    /// Nothing yet, for a series of this type; `bounds` are a histogram's classic buckets.
    #[must_use]
    pub fn none(kind: MetricType, bounds: impl FnOnce() -> Arc<[f64]>) -> Self {
        match kind {
            MetricType::Counter => Self::Count(0.0),
            MetricType::Gauge | MetricType::Summary | MetricType::Unknown => {
                Self::Gauge { value: 0.0, op: GaugeOp::Add, merge: GaugeMerge::Last }
            }
            MetricType::Histogram => Self::Observe(Histogram::with_exponential(bounds())),
        }
    }

    /// Takes everything out and keeps the room: a histogram's buckets are allocated once.
    pub fn clear(&mut self) {
        match self {
            Self::Count(rise) => *rise = 0.0,
            Self::Gauge { value, op, .. } => (*value, *op) = (0.0, GaugeOp::Add),
            Self::Stamped { .. } => *self = Self::none(MetricType::Gauge, || Arc::from([])),
            Self::Members(members) => members.clear(),
            Self::Observe(histogram) => histogram.clear(),
        }
    }
}
