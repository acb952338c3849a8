//! The loop: asks the signals at every interval, judges every second and whenever the rules say something new, and publishes the
//! verdict.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::{BoxFuture, FutureExt, OptionFuture};
use prometheus::{Gauge, GaugeVec};
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use super::signal::{Probe, Readings, probes, read};
use super::{Config, Deduction, HealthState, Memory, Report, judge};
use crate::clock;
use crate::model::{Condition, RulesSnapshot};
use crate::promql::Engine;
use crate::runtime::{Board, Panicked, Stage, TaskContext, TaskResult, blocking};
use crate::telemetry::Telemetry;

/// The part of the agent that the signals are on the board, where there are any.
const PART: &str = "signals";

/// Everything the loop works with.
#[derive(Clone, Debug)]
pub struct Judge {
    config: watch::Receiver<Arc<Config>>,
    rules: watch::Receiver<Arc<RulesSnapshot>>,
    board: Board,
    engine: Arc<Engine>,
    report: Arc<watch::Sender<Arc<Report>>>,
    metrics: Metrics,
}

/// So many reasons are shown as series.
const REASONS_MAX: usize = 100;

/// What the loop holds while it runs.
struct Running {
    config: Arc<Config>,
    probes: Arc<Vec<Probe>>,
    readings: Readings,
    /// The signals being asked now.
    asking: Option<BoxFuture<'static, Result<Readings, Panicked>>>,
    asked: Option<Instant>,
    memory: Memory,
}

impl Running {
    fn new(config: Arc<Config>, memory: Memory) -> Self {
        let probes = Arc::new(probes(&config));
        Self { config, probes, readings: Readings::default(), asking: None, asked: None, memory }
    }

    /// Goes on by another configuration. What the signals said stays known where they are the same: a reload is no reason to see less.
    fn under(self, config: Arc<Config>) -> Self {
        if self.config == config {
            return self;
        }
        let mut readings = self.readings;
        readings.signals.retain(|name, _| config.signals.get(name) == self.config.signals.get(name));
        Self { readings, ..Self::new(config, self.memory) }
    }
}

impl Judge {
    /// A judge and the place where its verdicts appear.
    #[must_use]
    pub fn new(
        config: watch::Receiver<Arc<Config>>,
        rules: watch::Receiver<Arc<RulesSnapshot>>,
        engine: Arc<Engine>,
        board: Board,
        telemetry: &Telemetry,
    ) -> (Self, watch::Receiver<Arc<Report>>) {
        let first = judge(&config.borrow(), &rules.borrow(), &Readings::default(), board.parts(), &mut Memory::default(), clock::now());
        let (report, reports) = watch::channel(Arc::new(first));
        let metrics = Metrics::new(telemetry);
        (Self { config, rules, board, engine, report: Arc::new(report), metrics }, reports)
    }

    /// Judges until the agent stops.
    ///
    /// # Errors
    /// Never; the signature is every task's.
    pub async fn run(mut self, mut context: TaskContext) -> TaskResult {
        let mut every_second = tokio::time::interval(Duration::from_secs(1));
        every_second.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut running = Running::new(self.config.borrow_and_update().clone(), Memory::default());
        let mut shown = Shown::default();
        let mut before = clock::Moment::now();
        loop {
            // A source that is gone says nothing new; the tick goes on.
            tokio::select! {
                _ = every_second.tick() => {}
                Ok(()) = self.rules.changed() => {}
                Ok(()) = self.config.changed() => running = running.under(self.config.borrow_and_update().clone()),
                Some(answered) = OptionFuture::from(running.asking.as_mut()) => {
                    running.asking = None;
                    self.answered(&mut running, answered);
                }
                () = context.shutdown.reached(Stage::Stopping) => return Ok(()),
            }
            self.ask(&mut running);
            let now = clock::Moment::now();
            running.memory.clock_jumped(now.jump_since(before));
            before = now;
            let rules = self.rules.borrow_and_update().clone();
            let verdict = judge(&running.config, &rules, &running.readings, self.board.parts(), &mut running.memory, now.wall);
            self.metrics.show(&verdict, &mut shown);
            log_change(&self.report.borrow(), &verdict);
            self.report.send_replace(Arc::new(verdict));
            context.pulse.beat();
        }
    }

    /// Has the signals asked where their time has come and nobody is at it.
    fn ask(&self, running: &mut Running) {
        let due = running.asked.is_none_or(|asked| clock::monotonic().duration_since(asked) >= running.config.interval.get());
        if !due {
            return;
        }
        if running.probes.is_empty() {
            self.board.remove(PART);
        } else if running.asking.is_none() {
            let (probes, engine, config) = (Arc::clone(&running.probes), Arc::clone(&self.engine), Arc::clone(&running.config));
            running.asking = Some(blocking(move || read(&probes, &config, &engine, clock::now())).boxed());
        } else {
            return;
        }
        running.asked = Some(clock::monotonic());
    }

    fn answered(&self, running: &mut Running, answered: Result<Readings, Panicked>) {
        let failure = match answered {
            Ok(readings) => {
                running.readings = readings;
                let failed = running.readings.signals.iter().find_map(|(name, read)| Some((name, read.as_ref().err()?)));
                failed.map(|(name, error)| format!("{name} cannot be evaluated: {error}"))
            }
            Err(panicked) => Some(panicked.to_string()),
        };
        let (condition, detail) = match failure {
            Some(failure) => (Condition::Degraded, failure),
            None => (Condition::Ok, format!("{} signals", running.probes.len())),
        };
        self.board.report(PART, condition, &detail, clock::now());
    }
}

/// The score as series: history records them as it does all of the agent's own metrics.
#[derive(Clone, Debug)]
struct Metrics {
    score: Gauge,
    states: GaugeVec,
    lost: GaugeVec,
    services: GaugeVec,
}

/// The series that are there now, to be taken away when their reason or service is gone.
#[derive(Debug, Default)]
struct Shown {
    lost: BTreeSet<[String; 2]>,
    services: BTreeSet<String>,
}

impl Metrics {
    fn new(telemetry: &Telemetry) -> Self {
        let services = "The health score of each service that signals or alerts tell of, from 0 to 100.";
        Self {
            score: telemetry.gauge("sidewatch_health_score", "The health score, from 0 to 100."),
            states: telemetry.gauges("sidewatch_health_state", "1 for the state of the health, 0 for the others.", &["state"]),
            lost: telemetry.gauges(
                "sidewatch_health_points_lost",
                "The points that are taken from the health score now, by reason, the 100 most expensive ones; without a service it is about all of them.",
                &["reason", "service"],
            ),
            services: telemetry.gauges("sidewatch_health_service_score", services, &["service"]),
        }
    }

    fn show(&self, report: &Report, shown: &mut Shown) {
        self.score.set(report.score);
        for state in HealthState::ALL {
            self.states.with_label_values(&[state.as_str()]).set(f64::from(u8::from(state == report.state)));
        }
        let mut now = Shown::default();
        for reason in report.deductions.iter().filter(|reason| reason.counts()).take(REASONS_MAX) {
            let labels = [reason.signal.clone(), reason.service.clone().unwrap_or_default()];
            self.lost.with_label_values(&labels).set(reason.points);
            now.lost.insert(labels);
        }
        for service in &report.services {
            self.services.with_label_values(&[&service.service]).set(service.score);
            now.services.insert(service.service.clone());
        }
        for labels in shown.lost.difference(&now.lost) {
            // It is there: nobody else takes any away.
            let _gone = self.lost.remove_label_values(labels);
        }
        for service in shown.services.difference(&now.services) {
            let _gone = self.services.remove_label_values(&[service]);
        }
        *shown = now;
    }
}

fn log_change(before: &Report, now: &Report) {
    if before.state == now.state {
        return;
    }
    let counted = now.deductions.iter().filter(|reason| reason.counts()).map(Deduction::named);
    let reasons: Vec<_> = counted.chain(now.blind.iter().cloned()).collect();
    let (from, to, reasons) = (before.state.as_str(), now.state.as_str(), reasons.join(", "));
    match now.state {
        HealthState::Healthy => tracing::info!(from, to, score = now.score, "health changed"),
        _ => tracing::warn!(from, to, score = now.score, reasons, "health changed"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::Measured;
    use crate::model::Labels;

    #[test]
    fn a_reload_forgets_only_what_changed_signals_said() {
        let config = |weight: f64| {
            let signal = |name: &str, weight: f64| format!("{name}: {{expr: up, good: 1, bad: 0, weight: {weight}}}");
            let config = format!("{{signals: {{{}, {}}}}}", signal("a", 5.0), signal("b", weight));
            Arc::new(serde_yaml::from_str::<Config>(&config).expect("readable"))
        };
        let mut running = Running::new(config(5.0), Memory::default());
        let said = Measured { service: None, value: Some(1.0), labels: Labels::empty(), count: None };
        running.readings.signals = ["a", "b"].map(|name| (name.to_owned(), Ok(vec![said.clone()]))).into();
        running.asked = Some(clock::monotonic());
        let running = running.under(config(5.0));
        assert_eq!((running.readings.signals.len(), running.asked.is_some()), (2, true));
        let running = running.under(config(6.0));
        assert_eq!(running.readings.signals.keys().collect::<Vec<_>>(), ["a"]);
        assert!(running.asked.is_none(), "the signals are asked anew");
    }

    #[test]
    fn series_of_what_is_gone_are_gone() {
        let telemetry = Telemetry::new();
        let (metrics, mut shown) = (Metrics::new(&telemetry), Shown::default());
        let series = || telemetry.families().iter().map(|family| family.series.len()).sum::<usize>();
        let none = Report::default();
        metrics.show(&none, &mut shown);
        let before = series();
        let rules = RulesSnapshot::default();
        let failed = crate::model::Part {
            name: "a".into(),
            condition: Condition::Failed,
            detail: String::new(),
            since: clock::now(),
            required: false,
        };
        let report = judge(&Config::default(), &rules, &Readings::default(), vec![failed], &mut Memory::default(), clock::now());
        metrics.show(&report, &mut shown);
        assert_eq!(series(), before + 1);
        metrics.show(&none, &mut shown);
        assert_eq!(series(), before);
    }
}
