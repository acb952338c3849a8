//! What a query does while it is evaluated, for those who ask for `stats`.
//! Source: prometheus/prometheus `util/stats/query_stats.go`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::clock;
use crate::history::{Query, QueryError, Window};
use crate::model::{Labels, Matcher, Timestamp};

/// A history that counts what is read from it.
pub(super) struct Watched {
    history: Arc<dyn Query>,
    nanos: AtomicU64,
    samples: AtomicU64,
}

impl Watched {
    pub(super) fn new(history: Arc<dyn Query>) -> Self {
        Self { history, nanos: AtomicU64::new(0), samples: AtomicU64::new(0) }
    }

    /// What upstream tells, as far as it is measured here: `queued` is how long the query has waited for its turn, `evaluated` how
    /// long its evaluation took, reading included.
    pub(super) fn stats(&self, queued: Duration, evaluated: Duration) -> Value {
        let read = Duration::from_nanos(self.nanos.load(Ordering::Relaxed));
        json!({
            "timings": {
                "evalTotalTime": evaluated.as_secs_f64(),
                "queryPreparationTime": read.as_secs_f64(),
                "innerEvalTime": evaluated.saturating_sub(read).as_secs_f64(),
                "execQueueTime": queued.as_secs_f64(),
                "execTotalTime": (queued + evaluated).as_secs_f64(),
            },
            "samples": { "totalQueryableSamples": self.samples.load(Ordering::Relaxed) },
        })
    }

    fn timed<T>(&self, read: impl FnOnce() -> Result<T, QueryError>) -> Result<T, QueryError> {
        let begun = clock::monotonic();
        let answer = read();
        let nanos = clock::monotonic().duration_since(begun).as_nanos();
        self.nanos.fetch_add(u64::try_from(nanos).unwrap_or(u64::MAX), Ordering::Relaxed);
        answer
    }
}

impl Query for Watched {
    fn thinned_until(&self) -> Option<Timestamp> {
        self.history.thinned_until()
    }

    fn select(&self, matchers: &[Matcher], after: Timestamp, until: Timestamp) -> Result<Vec<Window>, QueryError> {
        let windows = self.timed(|| self.history.select(matchers, after, until))?;
        self.samples.fetch_add(windows.iter().map(|window| window.samples.len() as u64).sum(), Ordering::Relaxed);
        Ok(windows)
    }

    fn series(&self, matchers: &[Matcher], after: Timestamp, until: Timestamp) -> Result<Vec<Labels>, QueryError> {
        self.timed(|| self.history.series(matchers, after, until))
    }

    fn label_names(&self, matchers: &[Matcher], after: Timestamp, until: Timestamp) -> Result<Vec<String>, QueryError> {
        self.timed(|| self.history.label_names(matchers, after, until))
    }

    fn label_values(&self, name: &str, matchers: &[Matcher], after: Timestamp, until: Timestamp) -> Result<Vec<String>, QueryError> {
        self.timed(|| self.history.label_values(name, matchers, after, until))
    }
}
