//! The configuration file: every room's own section, composed; found, read, checked whole, and described.

mod check;
mod hide;
mod places;
mod render;
mod source;

use std::path::{Path, PathBuf};

use crate::collect;
use crate::health;
use crate::history;
use crate::http;
use crate::ingest;
use crate::model::PromDuration;
use crate::notify;
use crate::promql;
use crate::registry;
use crate::rules;
use crate::telemetry;

pub use check::warnings;
pub use hide::hide;
pub use places::Places;
pub use render::{json_schema, options_table};
pub use source::{Loaded, Source, load};

/// The whole configuration. Every key is optional; unknown keys are refused.
#[derive(Clone, Debug, Default, PartialEq, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The label `instance` in history and on alerts. Default: the host's name.
    pub instance: Option<String>,
    /// The folder for the agent's own state. Default: `/var/lib/sidewatch` as a service, `$XDG_STATE_HOME/sidewatch` as
    /// a user. A change takes effect at the next start.
    pub state: Option<PathBuf>,
    /// The label `job` in history, by origin of a series.
    pub jobs: Jobs,
    /// The log. A change takes effect at the next start.
    pub log: telemetry::Config,
    /// Sampling the host.
    pub collect: collect::Config,
    /// Receiving events.
    pub ingest: ingest::Config,
    /// Live series and their limits.
    pub registry: registry::Config,
    /// Recent samples. A change takes effect at the next start.
    pub history: history::Config,
    /// Evaluating PromQL. A change takes effect at the next start.
    pub promql: promql::EngineConfig,
    /// Alerting and recording rules.
    pub rules: rules::Config,
    /// Telling others of alerts.
    pub notify: notify::Config,
    /// Telling others that this agent watches.
    pub heartbeat: notify::Heartbeat,
    /// The score.
    pub health: health::Config,
    /// The HTTP interface.
    pub http: http::Config,
    /// Changing the agent while it runs. A change takes effect at the next start.
    pub control: http::ControlConfig,
    /// Stopping.
    pub shutdown: Shutdown,
}

/// The label `job` in history, by origin of a series.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Jobs {
    /// Series of the host.
    pub host: String,
    /// Series from events that name no service; others have the service as their job.
    pub events: String,
    /// Series of the agent itself.
    pub agent: String,
}

impl Default for Jobs {
    fn default() -> Self {
        Self { host: "node".into(), events: "app".into(), agent: "sidewatch".into() }
    }
}

/// Stopping.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Shutdown {
    /// How long draining may take after SIGTERM or SIGINT; what is not done then is given up. A second signal ends the
    /// agent at once.
    pub deadline: PromDuration,
}

impl Default for Shutdown {
    fn default() -> Self {
        Self { deadline: PromDuration::from_secs(5) }
    }
}

impl Config {
    /// Fills in what depends on where the agent runs.
    #[must_use]
    pub fn at(mut self, places: &Places, host_name: &str) -> Self {
        let instance = self.instance.get_or_insert_with(|| host_name.to_owned()).clone();
        self.notify.external_labels.get_or_insert_with(|| [("instance".to_owned(), instance)].into());
        self.state.get_or_insert_with(|| places.state.clone());
        self.rules.folder.get_or_insert_with(|| places.rules.clone());
        self.ingest.stream.path.get_or_insert_with(|| places.sockets.join("events.sock"));
        self.ingest.datagram.path.get_or_insert_with(|| places.sockets.join("events.dgram.sock"));
        // Agents beside each other have event sockets of their own, so they have control sockets of their own.
        let folder = self.ingest.stream.path.as_deref().and_then(Path::parent).unwrap_or(&places.sockets);
        self.control.path.get_or_insert_with(|| folder.join("control.sock"));
        self
    }
}
