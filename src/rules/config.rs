//! The `rules` section of the configuration.

use std::path::PathBuf;

use crate::model::PromDuration;

/// The `rules` section of the configuration.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The folder whose `*.yml` and `*.yaml` files are the rules, in Prometheus's format. By default
    /// `/etc/sidewatch/rules` as a service, `$XDG_CONFIG_HOME/sidewatch/rules` as a plain user. A folder that does not
    /// exist holds no rules.
    pub folder: Option<PathBuf>,
    /// Which built-in packs are evaluated. A file of the same name in the folder (`host.yml`) replaces a pack.
    pub packs: Packs,
    /// How often a group is evaluated that names no `interval` itself.
    pub interval: PromDuration,
    /// How often the built-in packs are evaluated.
    pub pack_interval: PromDuration,
    /// How long after people were told of an alert they are told again, while it fires and for 15 minutes after its end. Alertmanager
    /// takes an alert for over that it has not heard of for four times as long.
    pub resend_delay: PromDuration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            folder: None,
            packs: Packs::default(),
            interval: PromDuration::from_secs(15),
            pack_interval: PromDuration::from_secs(5),
            resend_delay: PromDuration::from_secs(60),
        }
    }
}

/// The built-in packs.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Packs {
    /// CPU, memory, disks, filesystems and pressure of the host.
    pub host: bool,
    /// Latency, errors and traffic of the requests that the service's processes report.
    pub requests: bool,
}

impl Default for Packs {
    fn default() -> Self {
        Self { host: true, requests: true }
    }
}
