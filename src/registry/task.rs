//! The registry's own loop: looks for idle series, keeps memory within its budget, and tells of labels with too many values.

use std::sync::Arc;
use std::time::Duration;

use super::Registry;
use super::events::News;
use crate::clock;
use crate::model::{Condition, Timestamp};
use crate::runtime::{Board, Stage, TaskContext, TaskResult, Ticker, blocking};
use crate::telemetry::Throttle;

/// The part of the board that tells whether series have room.
pub const PART: &str = "registry";

/// How often idle series are looked for.
const SWEEP: Duration = Duration::from_secs(10);

/// Looks after a registry until the agent stops.
///
/// # Errors
/// When a look at the series panics.
pub async fn run(registry: Arc<Registry>, board: Board, mut context: TaskContext) -> TaskResult {
    let mut log = Throttle::new(10, Duration::from_secs(60));
    let mut sweeps = Ticker::new(SWEEP, Duration::ZERO);
    loop {
        context.pulse.beat();
        tell(&registry, &board, &mut log, clock::now());
        tokio::select! {
            slot = sweeps.tick() => {
                let registry = Arc::clone(&registry);
                blocking(move || registry.expire(slot.at)).await?;
            }
            () = tokio::time::sleep(Duration::from_secs(1)) => {
                let registry = Arc::clone(&registry);
                blocking(move || registry.relieve()).await?;
            }
            () = context.shutdown.reached(Stage::Stopping) => return Ok(()),
        }
    }
}

fn tell(registry: &Registry, board: &Board, log: &mut Throttle, at: Timestamp) {
    for news in registry.take_news() {
        let Some(suppressed) = log.pass(clock::monotonic()) else { continue };
        match news {
            News::Collapsed { metric, label, values } => tracing::warn!(
                metric = &*metric,
                label = &*label,
                values,
                suppressed,
                "there are too many series: in new ones of this metric the label's value is __other__ from now on"
            ),
            News::Lifted { metric } => {
                tracing::info!(metric = &*metric, suppressed, "there is room again: new series of this metric keep their labels");
            }
            News::Short { bytes } => tracing::warn!(
                bytes,
                suppressed,
                "memory is short (registry.bytes_max): retired series, exemplars and resolution of histograms are given up, in this order"
            ),
            News::Relieved => tracing::info!(suppressed, "memory is not short any more"),
        }
    }
    match registry.crowded() {
        Some(detail) => board.report(PART, Condition::Degraded, &detail, at),
        None => board.report(PART, Condition::Ok, "", at),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Change, Labels, MetricType, SeriesKey};
    use crate::registry::{Config, Pending};
    use crate::telemetry::Telemetry;

    #[test]
    fn the_board_names_a_label_that_has_too_many_values() {
        let registry = Registry::new(&Config { series_max: 1, ..Config::default() }, &Telemetry::new());
        let (board, mut log, at) = (Board::new(), Throttle::new(1, Duration::from_secs(60)), Timestamp::from_millis(1));
        for (user, expected) in [
            ("a", (Condition::Ok, String::new())),
            ("b", (Condition::Degraded, "too many series: new values of user in m_total become __other__".to_owned())),
        ] {
            let key = SeriesKey { name: "m_total".into(), kind: MetricType::Counter, labels: Labels::from_pairs([("user", user)]) };
            assert_eq!(registry.merge(1, at).apply(&mut Pending::new(key, Change::Count(1.0))), Ok(()));
            tell(&registry, &board, &mut log, at);
            let parts = board.parts();
            let part = parts.first().map(|part| (part.condition, part.detail.clone()));
            assert_eq!(part, Some(expected));
        }
        assert!(registry.take_news().is_empty(), "it is told once");
    }
}
