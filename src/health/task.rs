//! The loop: judges every second and whenever the rules say something new, and publishes the verdict.

use std::sync::Arc;
use std::time::Duration;

use prometheus::{Gauge, GaugeVec};
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use super::{Config, HealthState, Report, judge};
use crate::clock;
use crate::model::RulesSnapshot;
use crate::runtime::{Board, Stage, TaskContext, TaskResult};
use crate::telemetry::Telemetry;

/// Everything the loop works with.
#[derive(Clone, Debug)]
pub struct Judge {
    config: watch::Receiver<Arc<Config>>,
    rules: watch::Receiver<Arc<RulesSnapshot>>,
    board: Board,
    report: Arc<watch::Sender<Arc<Report>>>,
    score: Gauge,
    states: GaugeVec,
}

impl Judge {
    /// A judge and the place where its verdicts appear.
    #[must_use]
    pub fn new(
        config: watch::Receiver<Arc<Config>>,
        rules: watch::Receiver<Arc<RulesSnapshot>>,
        board: Board,
        telemetry: &Telemetry,
    ) -> (Self, watch::Receiver<Arc<Report>>) {
        let first = judge(&config.borrow(), &rules.borrow(), board.parts(), clock::now());
        let (report, reports) = watch::channel(Arc::new(first));
        let score = telemetry.gauge("sidewatch_health_score", "The health score, from 0 to 100.");
        let states = telemetry.gauges("sidewatch_health_state", "1 for the state of the health, 0 for the others.", &["state"]);
        (Self { config, rules, board, report: Arc::new(report), score, states }, reports)
    }

    /// Judges until the agent stops.
    ///
    /// # Errors
    /// Never; the signature is every task's.
    pub async fn run(mut self, mut context: TaskContext) -> TaskResult {
        let mut every_second = tokio::time::interval(Duration::from_secs(1));
        every_second.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            // A source that is gone says nothing new; the tick goes on.
            tokio::select! {
                _ = every_second.tick() => {}
                Ok(()) = self.rules.changed() => {}
                Ok(()) = self.config.changed() => {}
                () = context.shutdown.reached(Stage::Stopping) => return Ok(()),
            }
            let verdict = judge(&self.config.borrow_and_update(), &self.rules.borrow_and_update(), self.board.parts(), clock::now());
            self.score.set(verdict.score);
            for state in HealthState::ALL {
                self.states.with_label_values(&[state.as_str()]).set(f64::from(u8::from(state == verdict.state)));
            }
            log_change(&self.report.borrow(), &verdict);
            self.report.send_replace(Arc::new(verdict));
            context.pulse.beat();
        }
    }
}

fn log_change(before: &Report, now: &Report) {
    if before.state == now.state {
        return;
    }
    let reasons: Vec<_> = now.deductions.iter().map(|reason| reason.signal.as_str()).chain(now.blind.iter().map(String::as_str)).collect();
    let (from, to, reasons) = (before.state.as_str(), now.state.as_str(), reasons.join(", "));
    match now.state {
        HealthState::Healthy => tracing::info!(from, to, score = now.score, "health changed"),
        _ => tracing::warn!(from, to, score = now.score, reasons, "health changed"),
    }
}
