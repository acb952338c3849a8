//! The loop: at every slot of the resolution, one look at everything, one append.

use std::sync::Arc;
use std::time::Duration;

use prometheus::IntCounter;

use super::{Flattener, Identity};
use crate::history::Append;
use crate::model::{Condition, Timestamp};
use crate::registry::{Cursor, Registry};
use crate::runtime::{Board, Stage, TaskContext, TaskResult, Ticker, blocking};
use crate::telemetry::Telemetry;

/// Everything the loop works with.
#[derive(Clone)]
pub struct Recorder {
    registry: Arc<Registry>,
    telemetry: Arc<Telemetry>,
    history: Arc<dyn Append>,
    resolution: Duration,
    identity: Identity,
    board: Board,
    missed: IntCounter,
}

impl Recorder {
    /// A recorder that looks every `resolution`.
    #[must_use]
    pub fn new(
        registry: Arc<Registry>,
        telemetry: Arc<Telemetry>,
        history: Arc<dyn Append>,
        resolution: Duration,
        identity: Identity,
        board: Board,
    ) -> Self {
        let missed = telemetry
            .counter("sidewatch_recorder_missed_ticks_total", "Ticks at which nothing was recorded because the agent was held up.");
        Self { registry, telemetry, history, resolution, identity, board, missed }
    }

    /// Records until the agent drains.
    ///
    /// # Errors
    /// When a look panics.
    pub async fn run(self, mut context: TaskContext) -> TaskResult {
        let mut ticker = Ticker::new(self.resolution, Duration::ZERO);
        let mut flattener = Flattener::new(self.identity.clone());
        loop {
            context.pulse.beat();
            let slot = tokio::select! {
                slot = ticker.tick() => slot,
                () = tokio::time::sleep(Duration::from_secs(1)) => continue,
                () = context.shutdown.reached(Stage::Draining) => return Ok(()),
            };
            self.missed.inc_by(slot.missed);
            let recorder = self.clone();
            // All series are looked at: that takes a while when they are many, and nobody else is to wait for it.
            flattener = blocking(move || recorder.record(flattener, slot.at)).await?;
        }
    }

    fn record(&self, mut flattener: Flattener, at: Timestamp) -> Flattener {
        let mut tick = flattener.begin();
        self.registry.published().iter().for_each(|families| tick.take(families));
        tick.take(&self.telemetry.families());
        let mut cursor = Cursor::default();
        while self.registry.read_on(&mut cursor, &mut tick) {
            tick.label_new();
        }
        let appended = self.history.append(at, tick.end());
        if appended.over_limit > 0 {
            let detail = format!("{} series are over the limit and not stored", appended.over_limit);
            self.board.report("history", Condition::Degraded, &detail, at);
        } else {
            self.board.report("history", Condition::Ok, "", at);
        }
        flattener
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{Config, History, Query};
    use crate::model::{Change, Labels, MatchOp, Matcher, MetricType, SeriesKey, is_stale};
    use crate::registry::Pending;

    #[test]
    fn an_idle_series_ends_in_history_and_goes_on_where_it_stopped() {
        let telemetry = Telemetry::new();
        let registry = Registry::new(&serde_yaml::from_str("{expiry: 20s}").expect("valid"), &telemetry);
        let history = History::new(&Config::default(), &telemetry);
        let identity = Identity { instance: "h".into(), host_job: "node".into(), events_job: "app".into(), agent_job: "sidewatch".into() };
        let append: Arc<dyn Append> = Arc::new(history.clone());
        let recorder = Recorder::new(Arc::clone(&registry), telemetry, append, Duration::from_secs(10), identity.clone(), Board::new());
        let mut flattener = Flattener::new(identity);
        let key = SeriesKey { name: "c_total".into(), kind: MetricType::Counter, labels: Labels::empty() };
        let mut pending = Pending::new(key, Change::Count(2.0));
        for second in [0, 10, 20, 30, 40, 50] {
            let at = Timestamp::from_millis(1000 * second);
            if [0, 40].contains(&second) {
                assert_eq!(registry.merge(1, at).apply(&mut pending), Ok(()));
            }
            registry.expire(at);
            flattener = recorder.record(flattener, at);
        }
        let matcher = Matcher::new("__name__", MatchOp::Equal, "c_total").expect("valid");
        let windows = history.select(&[matcher], Timestamp::from_millis(-1), Timestamp::from_millis(50_000)).expect("there");
        let samples = windows.iter().flat_map(|window| &window.samples);
        let told: Vec<_> = samples.map(|sample| (sample.at.as_millis(), (!is_stale(sample.value)).then_some(sample.value))).collect();
        assert_eq!(told, [(0, Some(2.0)), (10_000, Some(2.0)), (20_000, None), (40_000, Some(4.0)), (50_000, Some(4.0))]);
    }
}
