//! The supervisor: starts tasks, notices when one ends or panics, and starts it again or stops the agent.

use std::error::Error;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use prometheus::{IntCounter, IntCounterVec};
use tokio::sync::watch;
use tokio::task::AbortHandle;

use super::blocking::panic_message;
use super::policy::{Decision, Restarts};
use super::shutdown::ShutdownSender;
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
    tasks: Arc<Tasks>,
    panics: IntCounterVec,
    restarts: IntCounterVec,
}

/// The tasks that run now, and the first one that failed for good.
#[derive(Debug)]
struct Tasks {
    running: Mutex<Vec<Running>>,
    left: watch::Sender<usize>,
    fatal: watch::Sender<Option<String>>,
}

#[derive(Debug)]
struct Running {
    id: u64,
    name: &'static str,
    pulse: Pulse,
    stage: Arc<ShutdownSender>,
    abort: AbortHandle,
}

/// One running task: for stopping it before the agent stops, when its part of the configuration has changed.
#[derive(Clone, Debug)]
pub struct TaskHandle {
    stage: Arc<ShutdownSender>,
    ended: watch::Receiver<bool>,
}

impl TaskHandle {
    /// Asks the task to end.
    pub fn stop(&self) {
        self.stage.enter(Stage::Stopping);
    }

    /// Whether it has.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        *self.ended.borrow()
    }

    /// Waits until it has.
    pub async fn ended(&mut self) {
        // A task that is gone has ended.
        let _gone = self.ended.wait_for(|ended| *ended).await;
    }
}

impl Supervisor {
    /// A supervisor without tasks.
    #[must_use]
    pub fn new(telemetry: &Telemetry) -> Self {
        let tasks = Tasks { running: Mutex::default(), left: watch::Sender::new(0), fatal: watch::Sender::new(None) };
        Self {
            tasks: Arc::new(tasks),
            panics: telemetry.counters("sidewatch_runtime_task_panics_total", "Panics in tasks and their children.", &["task"]),
            restarts: telemetry.counters("sidewatch_runtime_task_restarts_total", "Restarts of tasks that ended early.", &["task"]),
        }
    }

    /// Starts a task. `make` is called for each start. Ending before [`Stage::Draining`] is unexpected and left to the policy.
    #[allow(clippy::disallowed_methods)]
    pub fn spawn<M, F>(&self, name: &'static str, policy: Policy, make: M) -> TaskHandle
    where
        M: FnMut(TaskContext) -> F + Send + 'static,
        F: Future<Output = TaskResult> + Send + 'static,
    {
        let (panics, restarts) = (self.panics.with_label_values(&[name]), self.restarts.with_label_values(&[name]));
        let (sender, shutdown) = ShutdownSender::new();
        let (stage, pulse) = (Arc::new(sender), Pulse::new());
        let context = TaskContext { shutdown, pulse: pulse.clone(), scope: Scope::new(name, panics.clone()) };
        let (ended_sender, ended) = watch::channel(false);
        let mut running = self.tasks.lock();
        let id = running.last().map_or(0, |last| last.id + 1);
        self.tasks.left.send_modify(|left| *left += 1);
        let tasks = Arc::clone(&self.tasks);
        let abort = tokio::spawn(async move {
            if let Err(reason) = supervise(name, policy, make, context, &panics, &restarts).await {
                tracing::error!(task = name, reason, "a task ended early and the agent cannot go on");
                tasks.fatal.send_replace(Some(format!("task {name}: {reason}")));
            }
            tasks.lock().retain(|task| task.id != id);
            tasks.left.send_modify(|left| *left -= 1);
            ended_sender.send_replace(true);
        });
        running.push(Running { id, name, pulse, stage: Arc::clone(&stage), abort: abort.abort_handle() });
        TaskHandle { stage, ended }
    }

    /// Moves all tasks to a stage.
    pub fn enter(&self, stage: Stage) {
        self.tasks.lock().iter().for_each(|task| task.stage.enter(stage));
    }

    /// Waits until a task has failed for good, and says which and why.
    pub async fn failed(&self) -> String {
        let mut fatal = self.tasks.fatal.subscribe();
        match fatal.wait_for(Option::is_some).await {
            Ok(reason) => reason.clone().unwrap_or_default(),
            Err(_) => "the supervisor is gone".to_owned(),
        }
    }

    /// The tasks that have given no sign of life for longer than `limit`.
    #[must_use]
    pub fn silent(&self, limit: Duration) -> Vec<&'static str> {
        self.tasks.lock().iter().filter(|task| task.pulse.silence() > limit).map(|task| task.name).collect()
    }

    /// Waits until all tasks have ended, but no longer than `deadline`; what is left then is aborted and named.
    pub async fn finish(&self, deadline: Duration) -> Vec<&'static str> {
        let mut left = self.tasks.left.subscribe();
        if tokio::time::timeout(deadline, left.wait_for(|left| *left == 0)).await.is_ok() {
            return Vec::new();
        }
        self.tasks.lock().iter().map(|task| (task.abort.abort(), task.name).1).collect()
    }
}

impl Tasks {
    fn lock(&self) -> MutexGuard<'_, Vec<Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs a task until it ends as it should; the error is why it will not be started again.
async fn supervise<M, F>(
    name: &'static str,
    policy: Policy,
    mut make: M,
    mut context: TaskContext,
    panics: &IntCounter,
    restarts: &IntCounter,
) -> Result<(), String>
where
    M: FnMut(TaskContext) -> F,
    F: Future<Output = TaskResult>,
{
    let mut history = Restarts::default();
    let started = clock::monotonic();
    loop {
        let reason = match AssertUnwindSafe(async { make(context.clone()).await }).catch_unwind().await {
            Ok(Ok(())) if context.shutdown.stage() > Stage::Running => return Ok(()),
            Ok(Ok(())) => "it ended".to_owned(),
            Ok(Err(error)) => chain(&*error),
            Err(panic) => {
                panics.inc();
                format!("it panicked: {}", panic_message(&*panic))
            }
        };
        if context.shutdown.stage() > Stage::Running {
            tracing::warn!(task = name, reason, "a task failed while stopping");
            return Ok(());
        }
        let Decision::Restart(pause) = history.decide(policy, clock::monotonic().duration_since(started)) else { return Err(reason) };
        tracing::error!(task = name, reason, pause_ms = pause.as_millis(), "a task ended early and is started again");
        restarts.inc();
        tokio::select! {
            () = tokio::time::sleep(pause) => context.pulse.beat(),
            () = context.shutdown.reached(Stage::Draining) => return Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Value;

    fn supervisor() -> (Arc<Telemetry>, Supervisor) {
        let telemetry = Telemetry::new();
        let supervisor = Supervisor::new(&telemetry);
        (telemetry, supervisor)
    }

    fn total(telemetry: &Telemetry, name: &str) -> f64 {
        let families = telemetry.families();
        families.iter().filter(|f| &*f.name == name).flat_map(|f| &f.series).fold(0.0, |sum, series| match series.value {
            Value::Number(value) => sum + value,
            Value::Histogram(_) | Value::Summary(_) => sum,
        })
    }

    async fn until_draining(mut context: TaskContext) -> TaskResult {
        context.shutdown.reached(Stage::Draining).await;
        Ok(())
    }

    #[tokio::test(start_paused = true)]
    async fn a_panic_is_counted_and_the_task_starts_again_while_others_go_on() {
        let (telemetry, supervisor) = supervisor();
        let (attempts, mut seen) = watch::channel(0);
        let (mut first, attempts) = (true, Arc::new(attempts));
        supervisor.spawn("flaky", Policy::RESTART, move |context| {
            let (panics, attempts) = (std::mem::take(&mut first), Arc::clone(&attempts));
            async move {
                attempts.send_modify(|n| *n += 1);
                assert!(!panics, "on purpose");
                until_draining(context).await
            }
        });
        seen.wait_for(|n| *n == 2).await.expect("started twice");
        assert_eq!(total(&telemetry, "sidewatch_runtime_task_panics_total"), 1.0);
        assert_eq!(total(&telemetry, "sidewatch_runtime_task_restarts_total"), 1.0);
        supervisor.enter(Stage::Draining);
        assert!(supervisor.finish(Duration::from_secs(5)).await.is_empty());
    }

    #[tokio::test]
    async fn a_panic_while_a_task_is_made_is_noticed_too() {
        let (telemetry, supervisor) = supervisor();
        supervisor.spawn("unmakeable", Policy::Critical, |_| -> std::future::Pending<TaskResult> { panic!("on purpose") });
        let failed = tokio::time::timeout(Duration::from_secs(5), supervisor.failed()).await;
        assert_eq!(failed.as_deref(), Ok("task unmakeable: it panicked: on purpose"));
        assert_eq!(total(&telemetry, "sidewatch_runtime_task_panics_total"), 1.0);
    }

    #[tokio::test]
    async fn the_end_of_a_critical_task_is_fatal() {
        let (_telemetry, supervisor) = supervisor();
        supervisor.spawn("vital", Policy::Critical, |_| async { Err("lost".into()) });
        assert_eq!(supervisor.failed().await, "task vital: lost");
    }

    #[tokio::test]
    async fn one_task_can_be_stopped_alone() {
        let (_telemetry, supervisor) = supervisor();
        let mut one = supervisor.spawn("one", Policy::Critical, until_draining);
        supervisor.spawn("other", Policy::Critical, until_draining);
        assert!(!one.has_ended());
        one.stop();
        one.ended().await;
        assert!(one.has_ended());
        assert_eq!(supervisor.finish(Duration::ZERO).await, ["other"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_ignores_the_shutdown_is_cut_off_and_named() {
        let (_telemetry, supervisor) = supervisor();
        supervisor.spawn("deaf", Policy::Critical, |_| std::future::pending());
        supervisor.enter(Stage::Stopping);
        assert_eq!(supervisor.finish(Duration::from_secs(1)).await, ["deaf"]);
    }

    #[tokio::test]
    async fn a_task_without_a_beat_is_silent() {
        let (_telemetry, supervisor) = supervisor();
        supervisor.spawn("still", Policy::Critical, |_| std::future::pending());
        assert!(supervisor.silent(Duration::from_secs(60)).is_empty());
        while supervisor.silent(Duration::ZERO).is_empty() {
            tokio::task::yield_now().await;
        }
        assert_eq!(supervisor.silent(Duration::ZERO), ["still"]);
    }
}
