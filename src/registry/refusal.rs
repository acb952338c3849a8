//! Why a change is not applied.

/// Why the registry refuses a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Refusal {
    /// The name belongs to a metric of another type, or is one of a histogram's own (`_bucket`, `_sum`, `_count`).
    #[error("the name belongs to a metric of another type")]
    TypeConflict,
    /// The name would be one more than the registry's limit allows.
    #[error("there are too many metric names")]
    SeriesLimit,
    /// The gauge holds a value that was measured later.
    #[error("the gauge holds a value with a time stamp that is not older")]
    StaleTimestamp,
    /// The name would be a new one, and series take all the bytes that they may.
    #[error("there is no memory for another metric name")]
    Memory,
    /// The series would be one more than its sender may make.
    #[error("the sender makes too many new series")]
    SenderLimit,
    /// The series' value would leave the range of a float: an infinite counter could never be right again.
    #[error("the value of the series would be no finite number any more")]
    Overflow,
}

impl Refusal {
    /// All reasons.
    pub const ALL: [Self; 6] =
        [Self::TypeConflict, Self::SeriesLimit, Self::Memory, Self::SenderLimit, Self::StaleTimestamp, Self::Overflow];

    /// The reason as it stands in a label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TypeConflict => "type_conflict",
            Self::SeriesLimit => "series_limit",
            Self::Memory => "memory",
            Self::StaleTimestamp => "stale_timestamp",
            Self::SenderLimit => "sender_limit",
            Self::Overflow => "overflow",
        }
    }
}
