//! The sampling loop: every collector, once an interval, one after the other on a thread where they may block. What a
//! collector does wrong stays its own: an error or a panic is a metric, a line in the log and a word on the board.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus::{Histogram, IntCounter, IntCounterVec};
use tokio::sync::watch;

use crate::clock;
use crate::model::{Condition, Family, Labels, Timestamp};
use crate::registry::Registry;
use crate::runtime::{Board, Panicked, Pulse, Shutdown, Stage, TaskContext, TaskResult, Ticker, blocking};
use crate::telemetry::{Telemetry, Throttle, chain};

use super::sheet::Sheet;
use super::{ALL, CollectError, Collector, Config, Described, HostFs, Kind, Parts, Prober};

/// The part of the board that tells whether the host has been sampled.
pub const PART: &str = "collect";

const COLLECTOR: &[&str] = &["collector"];

/// What the loop itself makes, under node_exporter's names because dashboards ask for them.
pub(super) const FAMILIES: [Described; 2] = [
    Described::gauge("node_scrape_collector_duration_seconds", COLLECTOR, "How long a collector took in the last round."),
    Described::gauge("node_scrape_collector_success", COLLECTOR, "1 where a collector succeeded in the last round, else 0."),
];

/// The watchdog wants a sign of life at least every 5 s, whatever the interval.
const BEAT: Duration = Duration::from_secs(1);

/// How long a collector may be busy before the board says so.
const SLOW: Duration = Duration::from_secs(5);

/// What every round needs; made once, and handed to [`run`] at each of its starts.
#[derive(Clone, Debug)]
pub struct Sampler {
    registry: Arc<Registry>,
    board: Board,
    metrics: Metrics,
    prober: Arc<Mutex<Prober>>,
}

#[derive(Clone, Debug)]
struct Metrics {
    rounds: Histogram,
    missed: IntCounter,
    errors: IntCounterVec,
}

impl Sampler {
    /// Samples go to `registry`, conditions to `board`, where the agent is not ready before the first round.
    #[must_use]
    pub fn new(registry: Arc<Registry>, telemetry: &Telemetry, board: Board) -> Self {
        board.require(PART);
        let bounds = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1.0];
        let metrics = Metrics {
            rounds: telemetry.histogram("sidewatch_collect_round_duration_seconds", "How long rounds of all collectors take.", &bounds),
            missed: telemetry
                .counter("sidewatch_collect_rounds_missed_total", "Rounds that were due while another one was still going on."),
            errors: telemetry.counters("sidewatch_collect_errors_total", "Collectors that failed in a round, by reason.", &["reason"]),
        };
        for reason in CollectError::REASONS {
            metrics.errors.with_label_values(&[reason]).inc_by(0);
        }
        Self { registry, board, metrics, prober: Arc::default() }
    }

    /// The same sampler with another way to ask filesystems, for tests.
    #[must_use]
    pub fn with_prober(mut self, prober: Prober) -> Self {
        self.prober = Arc::new(Mutex::new(prober));
        self
    }
}

/// Samples until the agent stops. A new configuration takes effect at once.
///
/// # Errors
/// Never by what collectors do; only when a round itself has a defect.
pub async fn run(sampler: Sampler, mut config: watch::Receiver<Config>, mut context: TaskContext) -> TaskResult {
    loop {
        let current = config.borrow_and_update().clone();
        let mut round = Round::new(current.clone(), sampler.clone(), ALL);
        let mut ticker = Ticker::new(current.interval.get(), Duration::ZERO);
        // Whoever waits for the first sample does not wait for a whole interval.
        let mut at = clock::now();
        loop {
            let Some(back) = sample(round, at, &mut context.shutdown, &context.pulse).await? else { return Ok(()) };
            round = back;
            let slot = loop {
                context.pulse.beat();
                tokio::select! {
                    slot = ticker.tick() => break Some(slot),
                    () = changed(&mut config) => break None,
                    () = context.shutdown.reached(Stage::Draining) => return Ok(()),
                    () = tokio::time::sleep(BEAT) => {}
                }
            };
            let Some(slot) = slot else { break };
            sampler.metrics.missed.inc_by(slot.missed);
            at = slot.at;
        }
    }
}

/// Waits for another configuration; for ever once there can be none.
async fn changed(config: &mut watch::Receiver<Config>) {
    if config.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// One round on a thread where it may block. `None` when the agent stops meanwhile; a thread that hangs is left behind.
async fn sample(mut round: Round, at: Timestamp, shutdown: &mut Shutdown, pulse: &Pulse) -> Result<Option<Round>, Panicked> {
    let (busy, board) = (Arc::clone(&round.busy), round.sampler.board.clone());
    let started = clock::monotonic();
    let work = blocking(move || {
        round.sample(at);
        round
    });
    tokio::pin!(work);
    loop {
        tokio::select! {
            done = &mut work => return done.map(Some),
            () = shutdown.reached(Stage::Draining) => return Ok(None),
            () = tokio::time::sleep(BEAT) => {}
        }
        pulse.beat();
        let waited = clock::monotonic().saturating_duration_since(started);
        if let Some(name) = *lock(&busy)
            && waited >= SLOW
        {
            let detail = format!("no answer for {} s; nothing is sampled meanwhile", waited.as_secs());
            board.report(&part(name), Condition::Failed, &detail, clock::now());
        }
    }
}

/// All collectors that are switched on, with what they keep between rounds.
struct Round {
    config: Config,
    sampler: Sampler,
    host: HostFs,
    entries: Vec<Entry>,
    sheet: Sheet,
    /// Who is sampling now.
    busy: Arc<Mutex<Option<&'static str>>>,
}

struct Entry {
    kind: &'static Kind,
    /// `None` where it could not be made, or has panicked: it is made anew.
    collector: Option<Box<dyn Collector>>,
    part: String,
    labels: Labels,
    throttle: Throttle,
    failing: bool,
}

impl Round {
    fn new(config: Config, sampler: Sampler, kinds: &'static [Kind]) -> Self {
        let (on, off): (Vec<&Kind>, Vec<&Kind>) = kinds.iter().partition(|kind| config.enables(kind.name));
        for kind in off {
            sampler.registry.publish(kind.name, Vec::new());
            sampler.board.remove(&part(kind.name));
        }
        let entry = |kind: &'static Kind| Entry {
            kind,
            collector: None,
            part: part(kind.name),
            labels: Labels::from_pairs([("collector", kind.name)]),
            throttle: Throttle::new(1, Duration::from_mins(1)),
            failing: false,
        };
        let host = HostFs::new(&config.proc, &config.sys);
        Self { host, entries: on.into_iter().map(entry).collect(), sheet: Sheet::new(&FAMILIES), busy: Arc::default(), config, sampler }
    }

    fn sample(&mut self, at: Timestamp) {
        let Self { config, sampler, host, entries, sheet, busy } = self;
        let parts = Parts { config, prober: &sampler.prober };
        let began = clock::monotonic();
        let mut before = began;
        let mut worked = entries.is_empty();
        sheet.begin();
        for entry in entries.iter_mut() {
            *lock(busy) = Some(entry.kind.name);
            let result = entry.sample(&parts, host, at);
            let now = clock::monotonic();
            let success = result.is_ok();
            worked |= success;
            let took = now.saturating_duration_since(before).as_secs_f64();
            before = now;
            sheet.row(&entry.labels, [Some(took), Some(f64::from(u8::from(success)))]);
            // The series of a collector that failed go: old values would pass for new ones.
            sampler.registry.publish(entry.kind.name, entry.judge(result, sampler, at));
        }
        *lock(busy) = None;
        sampler.registry.publish(PART, sheet.take());
        sampler.metrics.rounds.observe(before.saturating_duration_since(began).as_secs_f64());
        let (condition, detail) = if worked { (Condition::Ok, "") } else { (Condition::Failed, "every collector failed") };
        sampler.board.report(PART, condition, detail, at);
    }
}

impl Entry {
    fn sample(&mut self, parts: &Parts<'_>, host: &mut HostFs, at: Timestamp) -> Result<Vec<Family>, CollectError> {
        let mut collector = match self.collector.take() {
            Some(collector) => collector,
            None => (self.kind.make)(parts)?,
        };
        let result = catch_unwind(AssertUnwindSafe(|| collector.collect(host, at)));
        let result = result.map_err(|panic| {
            let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
            CollectError::Panicked(text.unwrap_or("no message").to_owned())
        })?;
        self.collector = Some(collector);
        result
    }

    /// Says how it went where people and machines look for it.
    fn judge(&mut self, result: Result<Vec<Family>, CollectError>, sampler: &Sampler, at: Timestamp) -> Vec<Family> {
        match result {
            Ok(families) => {
                let (condition, detail) = self.collector.as_ref().map_or((Condition::Ok, String::new()), |collector| collector.condition());
                sampler.board.report(&self.part, condition, &detail, at);
                if std::mem::take(&mut self.failing) {
                    tracing::info!(collector = self.kind.name, "a collector works again");
                }
                families
            }
            Err(error) => {
                sampler.metrics.errors.with_label_values(&[error.reason()]).inc();
                let text = chain(&error);
                sampler.board.report(&self.part, Condition::Failed, &text, at);
                self.failing = true;
                if let Some(suppressed) = self.throttle.pass(clock::monotonic()) {
                    tracing::warn!(collector = self.kind.name, error = text, suppressed, "a collector failed");
                }
                Vec::new()
            }
        }
    }
}

fn part(name: &str) -> String {
    format!("collector:{name}")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
#[path = "task/tests.rs"]
mod tests;
