//! Sends heartbeats while all is well.

use std::sync::Arc;
use std::time::Duration;

use hyper::Method;
use prometheus::{Gauge, IntCounterVec};
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use super::config::{Heartbeat, HeartbeatMethod};
use super::judge::{Held, Judge};
use crate::clock;
use crate::model::{Condition, RulesSnapshot, Timestamp};
use crate::notify::Config;
use crate::notify::backoff::Verdict;
use crate::runtime::{Board, Stage, Supervisor, TaskContext, TaskResult};
use crate::telemetry::Telemetry;

/// The part of the agent that it is on the board.
const PART: &str = "heartbeat";
/// How often it looks whether all is well again.
const LOOK: Duration = Duration::from_secs(1);
/// A task that is silent for longer does not work.
const SILENCE_MAX: Duration = Duration::from_secs(15);

/// What heartbeats stand on.
#[derive(Clone)]
pub struct HeartbeatNeeds {
    /// The section `heartbeat`, now and after every reload.
    pub config: watch::Receiver<Arc<Heartbeat>>,
    /// The section `notify`, as well.
    pub notify: watch::Receiver<Arc<Config>>,
    /// The rules as of their last evaluation.
    pub rules: watch::Receiver<Arc<RulesSnapshot>>,
    /// Where every part's condition is posted.
    pub board: Board,
    /// Who knows which tasks answer.
    pub supervisor: Supervisor,
    /// Where the metrics are made.
    pub telemetry: Arc<Telemetry>,
}

/// The heartbeats, to be sent by [`run_heartbeats`]; cloning it is cheap.
#[derive(Clone)]
pub struct Heartbeats {
    needs: HeartbeatNeeds,
    metrics: Metrics,
}

impl Heartbeats {
    /// Makes them; nothing is sent before they run.
    #[must_use]
    pub fn new(needs: HeartbeatNeeds) -> Self {
        let metrics = Metrics::new(&needs.telemetry);
        Self { needs, metrics }
    }
}

#[derive(Clone)]
struct Metrics {
    sent: IntCounterVec,
    held_back: IntCounterVec,
    last: Gauge,
}

impl Metrics {
    fn new(telemetry: &Telemetry) -> Self {
        let metrics = Self {
            sent: telemetry.counters(
                "sidewatch_heartbeat_sent_total",
                "Heartbeats that were sent, by outcome: taken, failed.",
                &["outcome"],
            ),
            held_back: telemetry.counters(
                "sidewatch_heartbeat_held_back_total",
                "Heartbeats that were due and not sent, because not all was well: tasks, sampling, evaluation, delivery.",
                &["reason"],
            ),
            last: telemetry.gauge("sidewatch_heartbeat_last_success_timestamp_seconds", "When the last heartbeat was taken; 0 for never."),
        };
        ["taken", "failed"].iter().for_each(|outcome| drop(metrics.sent.with_label_values(&[*outcome])));
        Held::ALL.iter().for_each(|reason| drop(metrics.held_back.with_label_values(&[reason.as_str()])));
        metrics
    }
}

/// What is known between two heartbeats.
#[derive(Default)]
struct Beat {
    judge: Judge,
    /// When the last one was sent, or had been due and was held back.
    last: Option<Timestamp>,
    /// The one that is due is held back: it is sent as soon as all is well.
    held: Option<Held>,
    /// Why the last one was not taken.
    failing: Option<String>,
}

/// Sends heartbeats until the agent drains.
///
/// # Errors
/// Never: whatever goes wrong is posted, counted and logged.
pub async fn run_heartbeats(heartbeats: Heartbeats, mut context: TaskContext) -> TaskResult {
    let Heartbeats { mut needs, metrics } = heartbeats;
    let mut look = tokio::time::interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut beat = Beat::default();
    loop {
        tokio::select! {
            () = context.shutdown.reached(Stage::Draining) => break,
            _ = look.tick() => {}
            // A URL that is new is asked for at once.
            Ok(()) = needs.config.changed() => beat = Beat::default(),
        }
        context.pulse.beat();
        let config = Arc::clone(&needs.config.borrow_and_update());
        let round = beat.round(&needs, &config, &metrics);
        tokio::pin!(round);
        loop {
            tokio::select! {
                () = &mut round => break,
                () = context.shutdown.reached(Stage::Draining) => return Ok(()),
                // An answer may take longer than a task may be silent.
                () = tokio::time::sleep(LOOK) => context.pulse.beat(),
            }
        }
    }
    Ok(())
}

impl Beat {
    async fn round(&mut self, needs: &HeartbeatNeeds, config: &Heartbeat, metrics: &Metrics) {
        let Some(endpoint) = config.endpoint() else {
            needs.board.remove(PART);
            return;
        };
        let at = clock::now();
        // A clock that was set back does not hold it up.
        let due = self.last.is_none_or(|last| at.since(last) >= config.every.get() || at < last);
        if !due && self.held.is_none() {
            return;
        }
        let silent = needs.supervisor.silent(SILENCE_MAX);
        let rules = Arc::clone(&needs.rules.borrow());
        let notify = Arc::clone(&needs.notify.borrow());
        if let Some((held, why)) = self.judge.judge(&silent, &needs.board.parts(), &rules, &notify, at) {
            if due {
                self.last = Some(at);
                metrics.held_back.with_label_values(&[held.as_str()]).inc();
            }
            if self.held.replace(held).is_none() {
                tracing::warn!(reason = held.as_str(), "heartbeats are held back: {why}");
            }
            needs.board.report(PART, Condition::Ok, &format!("held back: {why}"), at);
            return;
        }
        if self.held.take().is_some() {
            tracing::info!("heartbeats go out again");
        }
        self.last = Some(at);
        let (method, body) = match config.method {
            HeartbeatMethod::Get => (Method::GET, Vec::new()),
            HeartbeatMethod::Post => {
                let body = serde_json::json!({"agent": "sidewatch", "version": env!("CARGO_PKG_VERSION"), "at": at});
                (Method::POST, body.to_string().into_bytes())
            }
        };
        match endpoint.send(method, body).await {
            Verdict::Delivered => {
                metrics.sent.with_label_values(&["taken"]).inc();
                metrics.last.set(at.as_seconds());
                self.failing = None;
                needs.board.report(PART, Condition::Ok, "", at);
            }
            Verdict::Refused(error) | Verdict::TooLarge(error) | Verdict::Unreadable(error) | Verdict::Failed { error, .. } => {
                metrics.sent.with_label_values(&["failed"]).inc();
                // Once, not each time.
                if self.failing.as_ref() != Some(&error) {
                    tracing::warn!(error, "a heartbeat was not taken");
                }
                needs.board.report(PART, Condition::Degraded, &error, at);
                self.failing = Some(error);
            }
        }
    }
}
