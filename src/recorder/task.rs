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
