//! The agent: all rooms built and wired, from its start to its end.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use sd_notify::NotifyState;
use tokio::sync::{mpsc, watch};

use super::about;
use super::attendant::{Attendant, Outcome};
use super::reload::Reloads;
use super::signals::{Request, Signals};
use super::state::{self, StateFolder};
use super::systemd;
use super::watch::Files;
use crate::clock::{self, Moment};
use crate::collect::{self, Sampler};
use crate::config::{Config, Loaded, Source};
use crate::health::{self, AgentCheckServer, Judge, Report};
use crate::history::{self, Append, Archive, History};
use crate::http;
use crate::ingest::{self, Ingest, Passed, Sockets};
use crate::model::Labels;
use crate::notify;
use crate::promql::Engine;
use crate::recorder::Recorder;
use crate::registry::{self, Journal, Registry};
use crate::rules;
use crate::runtime::{Board, Policy, Stage, Supervisor, TaskHandle, blocking};
use crate::telemetry::{Telemetry, chain};

/// So many may wait for a reload by the control socket; one suffices for all of them, but each is told.
const RELOADS_MAX: usize = 4;

/// Everything that lives as long as the agent, and a handle to every task.
pub(super) struct Agent {
    pub(super) source: Source,
    pub(super) loaded: Loaded,
    pub(super) telemetry: Arc<Telemetry>,
    pub(super) board: Board,
    pub(super) supervisor: Supervisor,
    pub(super) registry: Arc<Registry>,
    pub(super) history: History,
    pub(super) engine: Arc<Engine>,
    pub(super) rules: rules::Handle,
    pub(super) health: watch::Receiver<Arc<Report>>,
    pub(super) collect_config: watch::Sender<collect::Config>,
    pub(super) health_config: watch::Sender<Arc<health::Config>>,
    pub(super) agent_check_task: TaskHandle,
    pub(super) notify_config: watch::Sender<Arc<notify::Config>>,
    pub(super) heartbeat_config: watch::Sender<Arc<notify::Heartbeat>>,
    pub(super) about: watch::Sender<Arc<http::About>>,
    /// The sockets that systemd passed, kept so that the part which serves them can be built anew.
    pub(super) passed: Passed,
    /// `None` where its sockets were lost in a reload.
    pub(super) ingest: Option<Arc<Ingest>>,
    pub(super) ingest_task: TaskHandle,
    pub(super) recorder_task: TaskHandle,
    /// The addresses that HTTP is served on, kept so that only a change of them closes them.
    pub(super) bound: Arc<http::Bound>,
    pub(super) http_task: TaskHandle,
    /// The tasks that end when the agent drains, beside the two above that do.
    draining: Vec<TaskHandle>,
    pub(super) reloads: Reloads,
    /// Those who ask for a reload by the control socket.
    asked: mpsc::Receiver<http::ReloadRequest>,
    /// systemd knows that the agent has started.
    pub(super) ready: bool,
    pub(super) files: Files,
    /// `None` where there is no folder to keep anything in.
    _state: Option<StateFolder>,
}

impl Agent {
    /// Builds everything and starts all tasks.
    ///
    /// # Errors
    /// When an address or a socket cannot be had.
    pub(super) async fn start(source: Source, loaded: Loaded, passed: Passed) -> anyhow::Result<Self> {
        let config = &loaded.config;
        let telemetry = Telemetry::new();
        telemetry
            .gauges("sidewatch_build_info", "1, with the version of the agent.", &["version"])
            .with_label_values(&[env!("CARGO_PKG_VERSION")])
            .set(1.0);
        let board = Board::new();
        board.require("http");
        let supervisor = Supervisor::new(&telemetry);
        let reloads = Reloads::new(&telemetry, clock::now());
        // What can be refused comes first, before anything runs.
        let bound = Arc::new(http::Bound::new(&config.http.listen).await.context("cannot serve HTTP")?);
        let sockets = open_sockets(config, &source, &passed)?;
        let control = bind_control(&config.control)?;

        let state_folder = take_state(config, &source)?;
        let registry = Registry::new(&config.registry, &telemetry);
        // Before anyone counts: what was counted before comes first.
        let folder = state_folder.as_ref().map(|folder| folder.path.clone()).map_err(Clone::clone);
        let notify_folder = folder.clone();
        let journal = open_journal(config, &registry, folder.clone(), &telemetry, &board).await?;
        if let Some(journal) = journal {
            supervisor.spawn("journal", Policy::RESTART, move |context| Arc::clone(&journal).run(context));
        }
        let (kept, posts) = (Arc::clone(&registry), board.clone());
        supervisor.spawn("registry", Policy::RESTART, move |context| registry::run(Arc::clone(&kept), posts.clone(), context));
        let history = History::new(&config.history, &telemetry);
        if let Some(archive) = open_archive(config, &history, folder.clone(), &telemetry, &board).await? {
            supervisor.spawn("history", Policy::RESTART, move |context| Arc::clone(&archive).run(context));
        }
        let engine = Arc::new(Engine::new(Arc::new(history.clone()), config.promql.clone()));
        let (collect_config, collect_configs) = watch::channel(config.collect.clone());
        let sampler = Sampler::new(Arc::clone(&registry), &telemetry, board.clone());
        let collect_task =
            supervisor.spawn("collect", Policy::RESTART, move |context| collect::run(sampler.clone(), collect_configs.clone(), context));

        let ingest = Ingest::new(&config.ingest, sockets, Arc::clone(&registry), &telemetry, board.clone());
        let ingest_task = spawn_ingest(&supervisor, &ingest);
        let (service, rules) = rules::new(
            config.rules.clone(),
            rules::Needs {
                engine: Arc::clone(&engine),
                history: Arc::new(history.clone()),
                past: Arc::new(history.clone()),
                state: folder,
                telemetry: Arc::clone(&telemetry),
                board: board.clone(),
                externals: externals(&config.notify),
            },
        );
        let rules_task = supervisor.spawn("rules", Policy::RESTART, move |context| rules::run(service.clone(), context));
        let (health_config, health_configs) = watch::channel(Arc::new(config.health.clone()));
        let (judge, health) = Judge::new(health_configs, rules.snapshots(), Arc::clone(&engine), board.clone(), &telemetry);
        supervisor.spawn("health", Policy::RESTART, move |context| judge.clone().run(context));
        let agent_check = AgentCheckServer::bind(&config.health.agent_check, health.clone(), &telemetry, board.clone()).await?;
        let agent_check_task = spawn_agent_check(&supervisor, agent_check);

        let (notify_config, notify_configs) = watch::channel(Arc::new(config.notify.clone()));
        let silences = match &notify_folder {
            Ok(folder) => notify::Silences::open(Some(folder), notify_configs.clone()),
            Err(why) if keeps_state(config) => notify::Silences::in_memory(why, notify_configs.clone()),
            Err(_) => notify::Silences::open(None, notify_configs.clone()),
        };
        let (heartbeat_config, heartbeat_configs) = watch::channel(Arc::new(config.heartbeat.clone()));
        let heartbeats = notify::Heartbeats::new(notify::HeartbeatNeeds {
            config: heartbeat_configs,
            notify: notify_configs.clone(),
            rules: rules.snapshots(),
            board: board.clone(),
            supervisor: supervisor.clone(),
            telemetry: Arc::clone(&telemetry),
        });
        let heartbeat_task =
            supervisor.spawn("heartbeat", Policy::RESTART, move |context| notify::run_heartbeats(heartbeats.clone(), context));
        let notifications = notify::new(notify::Needs {
            config: notify_configs,
            rules: rules.snapshots(),
            telemetry: Arc::clone(&telemetry),
            board: board.clone(),
            silences: silences.clone(),
            store: notify_folder.and_then(|folder| notify::Store::open(&folder).map_err(|error| chain(&error))).inspect_err(|reason| {
                if config.notify.has_targets() {
                    tracing::error!(reason, "who was told what, and what waits, will not survive this process");
                }
            }),
        });
        let notify_task = supervisor.spawn("notify", Policy::RESTART, move |context| notify::run(notifications.clone(), context));

        let rules_folder = config.rules.folder.clone().unwrap_or_else(|| source.places.rules.clone());
        let mut files = Files::new(source.path(), &rules_folder, &config.rules.files);
        files.mark().await;
        let recorder = recorder(config, &registry, &telemetry, &history, &board);
        let recorder_task = supervisor.spawn("recorder", Policy::RESTART, move |context| recorder.clone().run(context));
        let started = clock::now();
        let (about, abouts) = watch::channel(Arc::new(about::about(config, &source, &bound, started, started)));
        let state = http::State {
            registry: Arc::clone(&registry),
            telemetry: Arc::clone(&telemetry),
            history: Arc::new(history.clone()),
            engine: Arc::clone(&engine),
            rules: rules.snapshots(),
            health: health.clone(),
            board: board.clone(),
            about: abouts,
        };
        let (ask, asked) = mpsc::channel(RELOADS_MAX);
        if let Some((path, bound)) = control {
            let alerts = http::Alerts { rules: rules.snapshots(), notify: notify_config.subscribe() };
            let control = http::Control::new(path, ask, silences, alerts, &telemetry, board.clone());
            let bound = Arc::new(bound);
            supervisor
                .spawn("control", Policy::RESTART, move |context| http::run_control(Arc::clone(&control), Arc::clone(&bound), context));
        }
        let addresses: Vec<_> = bound.addresses().map(ToString::to_string).collect();
        let http_task = spawn_http(&supervisor, http::Server::new(&config.http, state), &bound);
        tracing::info!(
            version = env!("CARGO_PKG_VERSION"),
            config = %source.path().display(),
            rules = %rules_folder.display(),
            http = addresses.join(", "),
            "sidewatch started"
        );
        Ok(Self {
            source,
            telemetry,
            board,
            supervisor,
            registry,
            history,
            engine,
            rules,
            health,
            collect_config,
            health_config,
            agent_check_task,
            notify_config,
            heartbeat_config,
            about,
            passed,
            ingest: Some(ingest),
            ingest_task,
            recorder_task,
            bound,
            http_task,
            draining: vec![collect_task, rules_task, notify_task, heartbeat_task],
            reloads,
            asked,
            ready: false,
            files,
            loaded,
            _state: state_folder.ok(),
        })
    }

    /// Lives until a signal or a task that has failed for good ends it; the latter is the answer.
    pub(super) async fn live(mut self, mut signals: Signals) -> anyhow::Result<Option<String>> {
        let (supervisor, board) = (self.supervisor.clone(), self.board.clone());
        let mut attendant = Attendant::new(supervisor.clone(), self.health.clone());
        let failed = supervisor.failed();
        tokio::pin!(failed);
        // Another reload was asked for during the last one.
        let mut again = false;
        let failure = loop {
            let mut asked = None;
            let because = tokio::select! {
                request = signals.next(), if !again => match request {
                    Request::Reload => "SIGHUP",
                    Request::Stop => break None,
                },
                () = std::future::ready(()), if again => "SIGHUP",
                () = self.files.changed() => "a changed file",
                Some(reply) = self.asked.recv() => {
                    asked = Some(reply);
                    "the control socket"
                }
                failure = &mut failed => break Some(failure),
                () = board.ready(), if !self.ready => {
                    self.ready = true;
                    systemd::tell(&[NotifyState::Ready]);
                    tracing::info!("ready");
                    continue;
                }
                () = attendant.tick() => continue,
            };
            match attendant.accompany(self.reload(because), async || signals.next().await, failed.as_mut()).await {
                Outcome::Done { outcome, again: requested } => {
                    again = requested;
                    // Whatever became of it is in the log and on the board too, and who has asked may have gone.
                    let _gone = asked.map(|asked| asked.send(outcome));
                }
                Outcome::Ended(failure) => break failure,
            }
        };
        self.stop(failure.as_deref()).await;
        Ok(failure)
    }

    /// Producers first, HTTP last.
    async fn stop(mut self, failure: Option<&str>) {
        tracing::info!(reason = failure.unwrap_or("signal"), "stopping");
        // Nobody answers these any more.
        drop(self.asked);
        systemd::tell(&[NotifyState::Stopping]);
        let deadline = self.loaded.config.shutdown.deadline.get();
        let started = clock::monotonic();
        self.supervisor.enter(Stage::Draining);
        let mut draining = std::mem::take(&mut self.draining);
        draining.extend([self.ingest_task, self.recorder_task]);
        let drained = async {
            for task in &mut draining {
                task.ended().await;
            }
        };
        // What comes after has to have some of the time too: it saves history and what events have counted, and finishes answers.
        let first = deadline * 4 / 5;
        if tokio::time::timeout(first, drained).await.is_err() {
            tracing::warn!(deadline_ms = first.as_millis(), "not everything was drained in time");
        }
        self.supervisor.enter(Stage::Stopping);
        let cut_off = self.supervisor.finish(deadline.saturating_sub(clock::monotonic().duration_since(started))).await;
        if cut_off.is_empty() {
            tracing::info!("stopped");
        } else {
            tracing::warn!(tasks = cut_off.join(", "), "stopped; these tasks were cut off");
        }
    }
}

/// Binds the control socket, where there is to be one.
fn bind_control(config: &http::ControlConfig) -> anyhow::Result<Option<(PathBuf, http::Bound)>> {
    let Some(path) = config.path.as_ref().filter(|_| config.enabled) else { return Ok(None) };
    let bound = http::Bound::for_group(path, config.group.as_deref(), "control.path").context("cannot open the control socket")?;
    Ok(Some((path.clone(), bound)))
}

/// Whether anything is to survive this process.
fn keeps_state(config: &Config) -> bool {
    config.registry.journal.enabled || config.history.persist || config.rules.persist || config.notify.has_targets()
}

/// Takes the state folder, where anything is to be kept in it.
fn take_state(config: &Config, source: &Source) -> anyhow::Result<Result<StateFolder, String>> {
    if !keeps_state(config) {
        return Ok(Err("nothing is kept".to_owned()));
    }
    state::take(config.state.as_ref().unwrap_or(&source.places.state))
}

/// Restores the registry, which may take a while.
async fn open_journal(
    config: &Config,
    registry: &Arc<Registry>,
    folder: Result<PathBuf, String>,
    telemetry: &Arc<Telemetry>,
    board: &Board,
) -> anyhow::Result<Option<Arc<Journal>>> {
    let (registry, telemetry, board, config) =
        (Arc::clone(registry), Arc::clone(telemetry), board.clone(), config.registry.journal.clone());
    let opened = blocking(move || Journal::open(&registry, folder, &config, &telemetry, &board, clock::now()));
    opened.await.context("cannot restore what events have counted")
}

/// Reads history back, which may take a while.
async fn open_archive(
    config: &Config,
    history: &History,
    folder: Result<PathBuf, String>,
    telemetry: &Arc<Telemetry>,
    board: &Board,
) -> anyhow::Result<Option<Arc<Archive>>> {
    let (history, telemetry, board, config) = (history.clone(), Arc::clone(telemetry), board.clone(), config.history.clone());
    let opened = blocking(move || {
        // A clock that is set from here on, as it often is after a boot, is noticed.
        history.heed(Moment::now());
        Archive::open(&history, folder, &config, &telemetry, &board, clock::now())
    });
    opened.await.context("cannot read history back")
}

/// What templates see of what every notification carries.
pub(super) fn externals(config: &notify::Config) -> rules::Externals {
    rules::Externals {
        labels: Labels::from_pairs(config.external_labels.iter().flatten()),
        url: config.external_url.clone().unwrap_or_default(),
    }
}

/// Takes the passed sockets and binds the others.
pub(super) fn open_sockets(config: &Config, source: &Source, passed: &Passed) -> anyhow::Result<Sockets> {
    let passed = systemd::duplicate(passed).context("cannot keep a handle to the passed sockets")?;
    ingest::Sockets::open(&config.ingest, &source.places.sockets, passed).context("cannot listen for events")
}

pub(super) fn spawn_ingest(supervisor: &Supervisor, ingest: &Arc<Ingest>) -> TaskHandle {
    let ingest = Arc::clone(ingest);
    supervisor.spawn("ingest", Policy::RESTART, move |context| ingest::run(Arc::clone(&ingest), context))
}

pub(super) fn spawn_agent_check(supervisor: &Supervisor, server: AgentCheckServer) -> TaskHandle {
    let server = Arc::new(server);
    supervisor.spawn("agent-check", Policy::RESTART, move |context| Arc::clone(&server).run(context))
}

pub(super) fn spawn_http(supervisor: &Supervisor, server: Arc<http::Server>, bound: &Arc<http::Bound>) -> TaskHandle {
    let bound = Arc::clone(bound);
    supervisor.spawn("http", Policy::RESTART, move |context| http::run(Arc::clone(&server), Arc::clone(&bound), context))
}

pub(super) fn recorder(
    config: &Config,
    registry: &Arc<Registry>,
    telemetry: &Arc<Telemetry>,
    history: &History,
    board: &Board,
) -> Recorder {
    let identity = about::identity(config);
    let append: Arc<dyn history::Append> = Arc::new(history.clone());
    Recorder::new(Arc::clone(registry), Arc::clone(telemetry), append, config.history.resolution.get(), identity, board.clone())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::app::reload::tests::start;
    use crate::runtime::TaskContext;

    #[tokio::test(flavor = "multi_thread")]
    async fn what_does_not_drain_takes_no_time_from_what_has_to_be_saved() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut agent = start(folder.path(), "{http: {listen: []}, shutdown: {deadline: 5s}}").await;
        agent.draining.push(agent.supervisor.spawn("deaf", Policy::Critical, |_| std::future::pending()));
        let (saved, was_saved) = watch::channel(false);
        let saved = Arc::new(saved);
        agent.supervisor.spawn("saves", Policy::Critical, move |mut context: TaskContext| {
            let saved = Arc::clone(&saved);
            async move {
                context.shutdown.reached(Stage::Stopping).await;
                tokio::time::sleep(Duration::from_millis(50)).await;
                saved.send_replace(true);
                Ok(())
            }
        });
        let started = clock::monotonic();
        agent.stop(None).await;
        assert!(*was_saved.borrow() && started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    }
}
