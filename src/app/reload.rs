//! A reload: the whole new configuration is read and checked first, then swapped. A bad one changes nothing and is shown
//! in the log, in `/readyz?verbose` and in `sidewatch_config_last_reload_successful`.

use std::sync::Arc;

use anyhow::Context;
use prometheus::{Gauge, IntCounterVec, IntGauge};
use sd_notify::NotifyState;

use super::agent::{Agent, open_sockets, recorder, spawn_http, spawn_ingest};
use super::systemd;
use crate::clock;
use crate::config::{Config, Loaded, load};
use crate::http;
use crate::ingest::Ingest;
use crate::model::{Condition, Timestamp};
use crate::rules;
use crate::runtime::Policy;
use crate::telemetry::{Telemetry, chain};

/// The configuration's part on the board.
const PART: &str = "config";

/// What is known about reloads.
pub(super) struct Reloads {
    successful: IntGauge,
    success_time: Gauge,
    total: IntCounterVec,
}

impl Reloads {
    /// Starting is the first success.
    pub(super) fn new(telemetry: &Telemetry, at: Timestamp) -> Self {
        let reloads = Self {
            successful: telemetry
                .int_gauge("sidewatch_config_last_reload_successful", "Whether the last attempt to load the configuration succeeded."),
            success_time: telemetry
                .gauge("sidewatch_config_last_reload_success_timestamp_seconds", "When the configuration in force was loaded."),
            total: telemetry.counters("sidewatch_config_reloads_total", "Attempts to load the configuration again.", &["outcome"]),
        };
        for outcome in ["success", "failure"] {
            reloads.total.with_label_values(&[outcome]);
        }
        reloads.successful.set(1);
        reloads.success_time.set(at.as_seconds());
        reloads
    }

    fn count(&self, success: bool, at: Timestamp) {
        self.successful.set(i64::from(success));
        if success {
            self.success_time.set(at.as_seconds());
        }
        self.total.with_label_values(&[if success { "success" } else { "failure" }]).inc();
    }
}

impl Agent {
    /// Reads everything again and puts it in force, or says why not.
    pub(super) async fn reload(&mut self, because: &str) {
        systemd::tell_reloading();
        tracing::info!(because, "reloading");
        self.files.mark();
        let outcome = match load(&self.source) {
            Ok(new) => self.swap(new).await,
            Err(problems) => {
                problems.iter().for_each(|problem| tracing::error!("{problem}"));
                let first = problems.first().map(ToString::to_string).unwrap_or_default();
                Err(format!("{} problem(s), the running configuration stays: {first}", problems.len()))
            }
        };
        let at = clock::now();
        self.reloads.count(outcome.is_ok(), at);
        match outcome {
            Ok(()) => self.board.report(PART, Condition::Ok, "", at),
            Err(reason) => {
                tracing::error!(reason, "the configuration was not reloaded");
                self.board.report(PART, Condition::Degraded, &reason, at);
            }
        }
        systemd::tell(&[NotifyState::Ready]);
    }

    /// Puts a checked configuration in force. What can still be refused (a socket, an address) comes first; the rules
    /// come last and keep themselves when their files are broken, which is theirs to show.
    async fn swap(&mut self, new: Loaded) -> Result<(), String> {
        let old = self.loaded.config.clone();
        self.swap_ingest(&old, &new.config).await?;
        self.swap_http(&old, &new.config).await?;
        self.swap_recorder(&old, &new.config).await;
        self.registry.reconfigure(&new.config.registry);
        self.collect_config.send_replace(new.config.collect.clone());
        self.health_config.send_replace(Arc::new(new.config.health.clone()));
        if let Some(folder) = &new.config.rules.folder {
            self.files.watch(folder);
        }
        match self.rules.reload(Some(new.config.rules.clone())).await {
            Ok(rules::Reloaded { files, groups, rules }) => tracing::info!(files, groups, rules, "rules reloaded"),
            Err(error) => tracing::error!(error = chain(&error), "the rules were not reloaded"),
        }
        for section in needs_restart(&old, &new.config) {
            tracing::warn!(section, "this change takes effect at the next start");
        }
        self.loaded = new;
        Ok(())
    }

    async fn swap_ingest(&mut self, old: &Config, new: &Config) -> Result<(), String> {
        let fixed = |config: &Config| {
            let config = &config.ingest;
            (config.stream.clone(), config.datagram.clone(), config.connections_max, config.frame_bytes_max)
        };
        if fixed(old) == fixed(new) {
            self.ingest.reconfigure(&new.ingest);
            return Ok(());
        }
        self.ingest_task.stop();
        self.ingest_task.ended().await;
        let (opened, config) = match open_sockets(new, &self.source, &self.passed) {
            Ok(sockets) => (Ok(sockets), new),
            Err(error) => {
                let again = open_sockets(old, &self.source, &self.passed);
                (again.context(format!("{error:#}; and the old sockets cannot be had again")), old)
            }
        };
        let sockets = opened.map_err(|error| format!("{error:#}"))?;
        for part in ["socket:stream", "socket:datagram"] {
            self.board.remove(part);
        }
        self.ingest = Ingest::new(&config.ingest, sockets, Arc::clone(&self.registry), &self.telemetry, self.board.clone());
        self.ingest_task = spawn_ingest(&self.supervisor, &self.ingest);
        if std::ptr::eq(config, new) { Ok(()) } else { Err("the new sockets cannot be had, the old ones stay".to_owned()) }
    }

    async fn swap_http(&mut self, old: &Config, new: &Config) -> Result<(), String> {
        if old.http == new.http {
            return Ok(());
        }
        self.http_task.stop();
        self.http_task.ended().await;
        let mut config = &new.http;
        let mut refused = None;
        let bound = match http::Bound::new(&config.listen).await {
            Ok(bound) => bound,
            Err(error) => {
                config = &old.http;
                let reason = chain(&error);
                let again = http::Bound::new(&config.listen).await;
                let bound = again.map_err(|error| format!("{reason}; and the old addresses cannot be had again: {}", chain(&error)))?;
                refused = Some(reason);
                bound
            }
        };
        let state = http::State {
            registry: Arc::clone(&self.registry),
            telemetry: Arc::clone(&self.telemetry),
            history: Arc::new(self.history.clone()),
            engine: Arc::clone(&self.engine),
            rules: self.rules.snapshots(),
            health: self.health.clone(),
            board: self.board.clone(),
        };
        self.http_task = spawn_http(&self.supervisor, http::Server::new(config, state), bound);
        refused.map_or(Ok(()), Err)
    }

    async fn swap_recorder(&mut self, old: &Config, new: &Config) {
        if (&old.instance, &old.jobs) == (&new.instance, &new.jobs) {
            return;
        }
        self.recorder_task.stop();
        self.recorder_task.ended().await;
        let recorder = recorder(new, &self.registry, &self.telemetry, &self.history, &self.board);
        self.recorder_task = self.supervisor.spawn("recorder", Policy::RESTART, move |context| recorder.clone().run(context));
    }
}

/// The changed sections that are read at the start only.
fn needs_restart(old: &Config, new: &Config) -> Vec<&'static str> {
    let changed = [
        ("state", old.state != new.state),
        ("log", old.log != new.log),
        ("history", old.history != new.history),
        ("promql", old.promql != new.promql),
    ];
    changed.into_iter().filter(|(_, changed)| *changed).map(|(section, _)| section).collect()
}
