//! What history promises to those who write into it and to those who read it, with their errors, in one place, so that
//! the engine and its tests can stand on any other store.

use std::fmt;
use std::ops::ControlFlow;

use crate::clock::Moment;
use crate::model::{Labels, Matcher, Sample, Timestamp, format_millis, is_stale};

/// Taking samples in.
pub trait Append: Send + Sync {
    /// Stores the samples of one moment. Each series takes samples in the order of time only; what is refused is counted
    /// by its reason and does not touch the rest. The stale marker is a value like any other.
    fn append(&self, at: Timestamp, samples: &[(Labels, f64)]) -> Appended;

    /// Learns what the clocks say. Whoever appends or reads at times of the clock tells it before, so that a clock that was set back is
    /// noticed: from then on what was before is as long ago as it was, by the clock as it is now.
    fn heed(&self, _: Moment) {}

    /// Learns how far back whoever reads regularly looks, in place of what it learned before.
    fn need(&self, _: Need) {}

    /// What of that is not there, although there was time for it: the retention or the budget does not hold it.
    fn shortage(&self) -> Option<Shortage> {
        None
    }
}

/// How far back somebody looks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Need {
    /// Milliseconds before the newest sample.
    pub millis: i64,
    /// Who looks so far, as it stands in a sentence.
    pub by: String,
}

/// History does not go back as far as somebody looks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shortage {
    /// Who looks further.
    pub need: Need,
    /// So many milliseconds it goes back.
    pub held_millis: i64,
    /// True where the budget is the reason, and not how long samples are to be kept.
    pub over_budget: bool,
}

impl fmt::Display for Shortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { need, held_millis, over_budget } = self;
        let seconds = |millis: i64| format_millis(millis / 1000 * 1000);
        let reason = if *over_budget { "history.bytes_max" } else { "history.thinned_retention" };
        write!(f, "{} looks back {}, and {reason} holds {}", need.by, seconds(need.millis), seconds(*held_millis))
    }
}

/// What became of the samples of one append.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Appended {
    /// Taken in.
    pub stored: u64,
    /// Refused: older than the series' newest sample, or than all that is kept.
    pub out_of_order: u64,
    /// Refused: the series has a sample of this time, with another value.
    pub duplicate: u64,
    /// Refused: a new series beyond the limit.
    pub over_limit: u64,
    /// Not stored and no loss: the series has this very sample.
    pub known: u64,
    /// Why the last of those was refused that carries a value. That a series is not to be ended is nothing to complain of: somebody else
    /// has written it since.
    pub refusal: Option<Refusal>,
}

/// Why history does not take a sample. The first two texts are Prometheus's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is older than the series' newest sample, or than all that is kept.
    #[error("out of order sample")]
    OutOfOrder,
    /// The series has a sample of this time, with another value.
    #[error("duplicate sample for timestamp")]
    Duplicate,
    /// It would be a new series beyond the limit.
    #[error("history holds as many series as it may")]
    OverLimit,
}

impl Appended {
    /// How many samples were refused for any reason.
    #[must_use]
    pub const fn refused(&self) -> u64 {
        self.out_of_order + self.duplicate + self.over_limit
    }

    /// A sample with this value is refused.
    pub(super) fn refuse(&mut self, refusal: Refusal, value: f64) {
        match refusal {
            Refusal::OutOfOrder => self.out_of_order += 1,
            Refusal::Duplicate => self.duplicate += 1,
            Refusal::OverLimit => self.over_limit += 1,
        }
        if !is_stale(value) {
            self.refusal = Some(refusal);
        }
    }
}

/// A part of one series.
#[derive(Clone, Debug, PartialEq)]
pub struct Window {
    /// The series.
    pub labels: Labels,
    /// Its samples in order of time, stale markers included, bit by bit.
    pub samples: Vec<Sample>,
}

/// Why history cannot answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// The store behind it cannot be read now.
    #[error("the history cannot be read: {reason}")]
    Unavailable {
        /// Why not.
        reason: String,
    },
}

/// Sees a series and its samples, one at least, and says whether to go on.
pub type Visit<'v> = &'v mut dyn FnMut(&Labels, &[Sample]) -> ControlFlow<()>;

/// Reading. Times are half open: `after` is outside, `until` is inside. A series is there when it satisfies all matchers
/// (none: every series does) and has a sample in that time.
pub trait Query: Send + Sync {
    /// Up to when, including that time, of each minute the last sample alone may be kept; `None` where all samples are.
    fn thinned_until(&self) -> Option<Timestamp> {
        None
    }

    /// Hands on the samples of that time a series at a time, in any order, until `visit` breaks off: whoever asks can stop before the
    /// rest is decoded, and there is no need of room for all of it at once.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn visit(&self, matchers: &[Matcher], after: Timestamp, until: Timestamp, visit: Visit<'_>) -> Result<(), QueryError>;

    /// All of that together, series in order of their labels.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn select(&self, matchers: &[Matcher], after: Timestamp, until: Timestamp) -> Result<Vec<Window>, QueryError> {
        let mut windows = Vec::new();
        self.visit(matchers, after, until, &mut |labels, samples| {
            windows.push(Window { labels: labels.clone(), samples: samples.to_vec() });
            ControlFlow::Continue(())
        })?;
        windows.sort_unstable_by(|a, b| a.labels.cmp(&b.labels));
        Ok(windows)
    }

    /// As [`Query::visit`], of each series the newest sample alone.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn visit_newest(&self, matchers: &[Matcher], after: Timestamp, until: Timestamp, visit: Visit<'_>) -> Result<(), QueryError> {
        self.visit(matchers, after, until, &mut |labels, samples| visit(labels, samples.last().map_or(&[], std::slice::from_ref)))
    }

    /// The series alone, in order.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn series(&self, matchers: &[Matcher], after: Timestamp, until: Timestamp) -> Result<Vec<Labels>, QueryError>;

    /// The names of their labels, in order.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn label_names(&self, matchers: &[Matcher], after: Timestamp, until: Timestamp) -> Result<Vec<String>, QueryError>;

    /// The values of one of their labels, in order.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn label_values(&self, name: &str, matchers: &[Matcher], after: Timestamp, until: Timestamp) -> Result<Vec<String>, QueryError>;
}
