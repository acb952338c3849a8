//! The supervisor: starts tasks, notices when one ends or panics, and starts it again or stops the agent.

use std::error::Error;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use prometheus::IntCounterVec;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::blocking::panic_message;
use super::policy::{Decision, Restarts};
use super::{Policy, Pulse, Scope, Shutdown, Stage};
use crate::clock;
use crate::telemetry::{Telemetry, chain};

/// How a task ends: well, or with a reason.
pub type TaskResult = Result<(), Box<dyn Error + Send + Sync>>;

/// What every task gets.
#[derive(Clone, Debug)]
pub struct TaskContext {
    /// When to end.
    pub shutdown: Shutdown,
    /// Its sign of life.
    pub pulse: Pulse,
    /// Where it spawns children.
    pub scope: Scope,
}

/// Starts and watches all tasks; cloning it is cheap.
#[derive(Clone, Debug)]
pub struct Supervisor {
    shutdown: Shutdown,
    tasks: Arc<Mutex<JoinSet<&'static str>>>,
    pulses: Arc<Mutex<Vec<(&'static str, Pulse)>>>,
    fatal: Arc<watch::Sender<Option<String>>>,
    panics: IntCounterVec,
    restarts: IntCounterVec,
}

impl Supervisor {
    /// A supervisor without tasks.
    #[must_use]
    pub fn new(telemetry: &Telemetry, shutdown: Shutdown) -> Self {
        Self {
            shutdown,
            tasks: Arc::default(),
            pulses: Arc::default(),
            fatal: Arc::new(watch::Sender::new(None)),
            panics: telemetry.counters("sidewatch_runtime_task_panics_total", "Panics in tasks and their children.", &["task"]),
            restarts: telemetry.counters("sidewatch_runtime_task_restarts_total", "Restarts of tasks that ended early.", &["task"]),
        }
    }

    /// Starts a task. `make` is called for each start. Ending before [`Stage::Draining`] is unexpected and left to the policy.
    #[allow(clippy::disallowed_methods)]
    pub fn spawn<M, F>(&self, name: &'static str, policy: Policy, mut make: M)
    where
        M: FnMut(TaskContext) -> F + Send + 'static,
        F: Future<Output = TaskResult> + Send + 'static,
    {
        let (panics, restarts) = (self.panics.with_label_values(&[name]), self.restarts.with_label_values(&[name]));
        let context = TaskContext { shutdown: self.shutdown.clone(), pulse: Pulse::new(), scope: Scope::new(name, panics.clone()) };
        self.lock_pulses().push((name, context.pulse.clone()));
        let fatal = Arc::clone(&self.fatal);
        let started = clock::monotonic();
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner).spawn(async move {
            let mut history = Restarts::default();
            loop {
                let reason = match AssertUnwindSafe(make(context.clone())).catch_unwind().await {
                    Ok(Ok(())) if context.shutdown.stage() > Stage::Running => return name,
                    Ok(Ok(())) => "it ended".to_owned(),
                    Ok(Err(error)) => chain(&*error),
                    Err(panic) => {
                        panics.inc();
                        format!("it panicked: {}", panic_message(&*panic))
                    }
                };
                match history.decide(policy, clock::monotonic().duration_since(started)) {
                    _ if context.shutdown.stage() > Stage::Running => {
                        tracing::warn!(task = name, reason, "a task failed while stopping");
                        return name;
                    }
                    Decision::Restart(pause) => {
                        tracing::error!(task = name, reason, pause_ms = pause.as_millis(), "a task ended early and is started again");
                        restarts.inc();
                        let mut shutdown = context.shutdown.clone();
                        tokio::select! {
                            () = tokio::time::sleep(pause) => context.pulse.beat(),
                            () = shutdown.reached(Stage::Draining) => return name,
                        }
                    }
                    Decision::Stop => {
                        tracing::error!(task = name, reason, "a task ended early and the agent cannot go on");
                        fatal.send_replace(Some(format!("task {name}: {reason}")));
                        return name;
                    }
                }
            }
        });
    }

    /// Waits until a task has failed for good, and says which and why.
    pub async fn failed(&self) -> String {
        let mut fatal = self.fatal.subscribe();
        match fatal.wait_for(Option::is_some).await {
            Ok(reason) => reason.clone().unwrap_or_default(),
            Err(_) => "the supervisor is gone".to_owned(),
        }
    }

    /// The tasks that have given no sign of life for longer than `limit`.
    #[must_use]
    pub fn silent(&self, limit: Duration) -> Vec<&'static str> {
        self.lock_pulses().iter().filter(|(_, pulse)| pulse.silence() > limit).map(|(name, _)| *name).collect()
    }

    /// Waits until all tasks have ended, but no longer than `deadline`; what is left then is aborted. True when all ended.
    pub async fn finish(&self, deadline: Duration) -> bool {
        let mut tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        let all = async { while tasks.join_next().await.is_some() {} };
        let finished = tokio::time::timeout(deadline, all).await.is_ok();
        tasks.abort_all();
        finished
    }

    fn lock_pulses(&self) -> std::sync::MutexGuard<'_, Vec<(&'static str, Pulse)>> {
        self.pulses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::super::ShutdownSender;
    use super::*;
    use crate::model::Value;

    fn supervisor() -> (Arc<Telemetry>, ShutdownSender, Supervisor) {
        let telemetry = Telemetry::new();
        let (sender, shutdown) = ShutdownSender::new();
        let supervisor = Supervisor::new(&telemetry, shutdown);
        (telemetry, sender, supervisor)
    }

    fn total(telemetry: &Telemetry, name: &str) -> f64 {
        let families = telemetry.families();
        families.iter().filter(|f| &*f.name == name).flat_map(|f| &f.series).fold(0.0, |sum, series| match series.value {
            Value::Number(value) => sum + value,
            Value::Histogram(_) => sum,
        })
    }

    #[tokio::test(start_paused = true)]
    async fn a_panic_is_counted_and_the_task_starts_again_while_others_go_on() {
        let (telemetry, sender, supervisor) = supervisor();
        let (attempts, mut seen) = watch::channel(0);
        let (mut first, attempts) = (true, Arc::new(attempts));
        supervisor.spawn("flaky", Policy::RESTART, move |mut context| {
            let (panics, attempts) = (std::mem::take(&mut first), Arc::clone(&attempts));
            async move {
                attempts.send_modify(|n| *n += 1);
                assert!(!panics, "on purpose");
                context.shutdown.reached(Stage::Draining).await;
                Ok(())
            }
        });
        seen.wait_for(|n| *n == 2).await.expect("started twice");
        assert_eq!(total(&telemetry, "sidewatch_runtime_task_panics_total"), 1.0);
        assert_eq!(total(&telemetry, "sidewatch_runtime_task_restarts_total"), 1.0);
        sender.enter(Stage::Draining);
        assert!(supervisor.finish(Duration::from_secs(5)).await);
    }

    #[tokio::test]
    async fn the_end_of_a_critical_task_is_fatal() {
        let (_telemetry, _sender, supervisor) = supervisor();
        supervisor.spawn("vital", Policy::Critical, |_| async { Err("lost".into()) });
        assert_eq!(supervisor.failed().await, "task vital: lost");
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_ignores_the_shutdown_is_cut_off() {
        let (_telemetry, sender, supervisor) = supervisor();
        supervisor.spawn("deaf", Policy::Critical, |_| std::future::pending());
        sender.enter(Stage::Stopping);
        assert!(!supervisor.finish(Duration::from_secs(1)).await);
    }

    #[tokio::test]
    async fn a_task_without_a_beat_is_silent() {
        let (_telemetry, _sender, supervisor) = supervisor();
        supervisor.spawn("still", Policy::Critical, |_| std::future::pending());
        assert!(supervisor.silent(Duration::from_secs(60)).is_empty());
        while supervisor.silent(Duration::ZERO).is_empty() {
            tokio::task::yield_now().await;
        }
        assert_eq!(supervisor.silent(Duration::ZERO), ["still"]);
    }
}
