//! The `rules` section of the configuration.

use std::path::PathBuf;

use super::overlay::{self, Overlays};
use crate::model::PromDuration;

/// The `rules` section of the configuration.
#[derive(Clone, Debug, PartialEq, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The folder whose `*.yml` and `*.yaml` files are the rules, in Prometheus's format. By default
    /// `/etc/sidewatch/rules` as a service, `$XDG_CONFIG_HOME/sidewatch/rules` as a plain user. A folder that does not
    /// exist holds no rules.
    pub folder: Option<PathBuf>,
    /// More rule files: paths in which `*`, `?` and `[…]` stand for any characters but `/`. Changes are noticed within a minute, or on
    /// SIGHUP.
    pub files: Vec<String>,
    /// Which built-in packs are evaluated. A valid file of the same name in the folder (`host.yml`) replaces a pack.
    pub packs: Packs,
    /// How often a group is evaluated that names no `interval` itself.
    pub interval: PromDuration,
    /// How often the built-in packs are evaluated.
    pub pack_interval: PromDuration,
    /// Whether the state of alerts is kept in the state folder. A change takes effect at the next start.
    pub persist: bool,
    /// After a longer stop of the agent an alert that was pending starts anew. Firing ones go on.
    pub outage_tolerance: PromDuration,
    /// So long after a start an alert that was active before does not end, and nobody is told that it has, only because its condition
    /// is not seen to hold: ranges have to fill first.
    pub settle: PromDuration,
    /// Where nothing but history tells of an alert that was pending: it fires so long after a start at the earliest. One whose `for` is
    /// shorter starts anew.
    pub for_grace_period: PromDuration,
    /// What rule files cannot say of an alert, by its group's name and its own.
    pub overlay: Overlays,
}

impl Config {
    /// What is wrong with the values, each behind its key; nothing if they make sense.
    #[must_use]
    pub fn check(&self) -> Vec<(String, String)> {
        let patterns = self
            .files
            .iter()
            .filter_map(|pattern| Some(("files".to_owned(), format!("{pattern}: {}", glob::Pattern::new(pattern).err()?))));
        let overlays = overlay::check(&self.overlay).into_iter().map(|(key, message)| (format!("overlay.{key}"), message));
        patterns.chain(overlays).collect()
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            folder: None,
            files: Vec::new(),
            packs: Packs::default(),
            interval: PromDuration::from_secs(15),
            pack_interval: PromDuration::from_secs(5),
            persist: true,
            outage_tolerance: PromDuration::from_secs(3600),
            settle: PromDuration::from_secs(60),
            for_grace_period: PromDuration::from_secs(600),
            overlay: Overlays::new(),
        }
    }
}

/// The built-in packs.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Packs {
    /// Caches: hit rate, errors, latency.
    pub cache: bool,
    /// Queries of databases and pools of connections.
    pub database: bool,
    /// Disks, filesystems and network interfaces.
    pub devices: bool,
    /// Failed requests, traffic that stops, reported errors, heartbeats and service checks.
    pub errors: bool,
    /// CPU, memory and pressure of the host.
    pub host: bool,
    /// Latency of requests.
    pub latency: bool,
    /// Calls of models, steps of agents, stages of pipelines.
    pub operations: bool,
    /// The agent itself: what it loses, has no room for, or cannot load, write or see.
    pub sidewatch: bool,
    /// Background tasks.
    pub tasks: bool,
}

impl Packs {
    /// All packs, on or off.
    #[must_use]
    pub const fn all(on: bool) -> Self {
        Self { cache: on, database: on, devices: on, errors: on, host: on, latency: on, operations: on, sidewatch: on, tasks: on }
    }
}

impl Default for Packs {
    fn default() -> Self {
        Self::all(true)
    }
}
