//! What the agent says about itself where Prometheus's clients ask a server about itself.

use std::collections::BTreeMap;

use crate::model::{PromDuration, Timestamp};
use crate::recorder::Identity;

/// What the agent says about itself; another one after each attempt to load the configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct About {
    /// When the agent started.
    pub started: Timestamp,
    /// Its working directory.
    pub folder: String,
    /// The name of its host.
    pub host_name: String,
    /// Where its metrics are scraped; empty where nobody can.
    pub scrape_url: String,
    /// Where Alertmanagers are told of alerts.
    pub alertmanagers: Vec<String>,
    /// What its series are called in history.
    pub identity: Identity,
    /// The configuration in force as YAML, with everything filled in.
    pub configuration: String,
    /// Since when that is in force.
    pub loaded: Timestamp,
    /// Whether the last attempt to load a configuration succeeded.
    pub load_succeeded: bool,
    /// How far apart the samples of history are.
    pub resolution: PromDuration,
    /// How much history is kept, in words.
    pub retention: String,
    /// Settings under the names of the flags of Prometheus that mean the same.
    pub flags: BTreeMap<&'static str, String>,
}
