//! What a query does while it is evaluated, for those who ask for `stats`.
//! Source: prometheus/prometheus `util/stats/query_stats.go`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::clock;
use crate::history::{Query, QueryError, Visit};
use crate::model::{Labels, Matcher, Sample, Timestamp};

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
        self.has_taken(clock::monotonic().duration_since(begun));
        answer
    }

    fn has_taken(&self, read: Duration) {
        self.nanos.fetch_add(u64::try_from(read.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    fn has_read(&self, samples: &[Sample]) {
        self.samples.fetch_add(samples.len() as u64, Ordering::Relaxed);
    }

    /// Samples are passed on, as [`Query::select`] would hold all of them at once. What is done with them is no reading.
    fn watch(&self, visit: Visit<'_>, read: impl FnOnce(Visit<'_>) -> Result<(), QueryError>) -> Result<(), QueryError> {
        let mut begun = clock::monotonic();
        let answer = read(&mut |labels, samples| {
            self.has_taken(clock::monotonic().duration_since(begun));
            self.has_read(samples);
            let flow = visit(labels, samples);
            begun = clock::monotonic();
            flow
        });
        self.has_taken(clock::monotonic().duration_since(begun));
        answer
    }
}

impl Query for Watched {
    fn thinned_until(&self) -> Option<Timestamp> {
        self.history.thinned_until()
    }

    fn visit(&self, matchers: &[Matcher], after: Timestamp, until: Timestamp, visit: Visit<'_>) -> Result<(), QueryError> {
        self.watch(visit, |visit| self.history.visit(matchers, after, until, visit))
    }

    fn visit_newest(&self, matchers: &[Matcher], after: Timestamp, until: Timestamp, visit: Visit<'_>) -> Result<(), QueryError> {
        self.watch(visit, |visit| self.history.visit_newest(matchers, after, until, visit))
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

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use super::*;
    use crate::history::{Append, History};
    use crate::telemetry::Telemetry;

    #[test]
    fn whoever_breaks_off_has_read_no_more_than_what_was_handed_on() {
        let history = History::new(&crate::history::Config::default(), &Telemetry::new());
        let series = ["a", "b", "c"].map(|name| (Labels::from_pairs([("n", name)]), 1.0));
        for second in 1..=5 {
            history.append(Timestamp::from_millis(second * 1000), &series);
        }
        let watched = Watched::new(Arc::new(history));
        let mut seen = 0;
        let visited = watched.visit(&[], Timestamp::MIN, Timestamp::MAX, &mut |_, samples| {
            seen += samples.len();
            if seen < 10 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        assert_eq!((visited, seen), (Ok(()), 10));
        let stats = watched.stats(Duration::ZERO, Duration::from_secs(1));
        assert_eq!(stats["samples"]["totalQueryableSamples"], 10);
        assert!(stats["timings"]["queryPreparationTime"].as_f64().is_some_and(|seconds| seconds > 0.0 && seconds < 1.0));
    }
}
