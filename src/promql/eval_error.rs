//! Why a query has no value. Where Prometheus has the same error, the text is the same.

use crate::history::QueryError;

/// Why a query has no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EvalError {
    /// Part of the language, but not of this engine.
    #[error("{0} is not supported yet")]
    Unsupported(String),
    /// Part of the language that Prometheus has behind a feature flag, and that is not switched on.
    #[error("{0} is experimental and must be enabled with the option promql.experimental")]
    NotEnabled(String),
    /// More samples at a time than the limit.
    #[error("query processing would load too many samples into memory in query execution (the limit is {limit})")]
    TooManySamples {
        /// The limit.
        limit: usize,
    },
    /// More steps than the limit.
    #[error("exceeded maximum resolution of {limit} points per timeseries. Try decreasing the query resolution (?step=XX)")]
    TooManySteps {
        /// The limit, with thousands separated.
        limit: String,
    },
    /// The time limit has passed.
    #[error("query timed out in expression evaluation")]
    Timeout,
    /// Whoever asked does not want to know any more.
    #[error("query was canceled in expression evaluation")]
    Cancelled,
    /// A range query with a step that does not move on.
    #[error("zero or negative query resolution step widths are not accepted. Try a positive integer")]
    NoStep,
    /// A range query that ends before it starts.
    #[error("end timestamp must not be before start time")]
    EndBeforeStart,
    /// A type that cannot be the value of a range query or of an operand.
    #[error("invalid expression type {found:?} for {place}, must be {expected}")]
    WrongType {
        /// What it is.
        found: &'static str,
        /// Where it stands.
        place: &'static str,
        /// What can stand there.
        expected: &'static str,
    },
    /// Two results are one series.
    #[error("vector cannot contain metrics with the same labelset")]
    DuplicateLabels,
    /// The "one" side of a vector matching has several series for a group.
    #[error(
        "found duplicate series for the match group {group} on the {side} hand-side of the operation: [{one}, {other}];many-to-many \
         matching not allowed: matching labels must be unique on one side"
    )]
    ManyToMany {
        /// The labels in common.
        group: String,
        /// `left` or `right`.
        side: &'static str,
        /// A series.
        one: String,
        /// Another one.
        other: String,
    },
    /// Several series on the side that has to be unique when neither side may have many.
    #[error("multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)")]
    ImplicitManyToOne,
    /// Two results of a many-to-one matching are one series.
    #[error("multiple matches for labels: grouping labels must ensure unique matches")]
    GroupingNotUnique,
    /// An argument outside of what the function takes.
    #[error("{0}")]
    InvalidArgument(String),
    /// History did not answer.
    #[error("expanding series")]
    History(#[from] QueryError),
}
