//! The `control` section of the configuration.

use std::path::PathBuf;

/// The `control` section of the configuration: the socket by which the agent is changed, with `sidewatch silence` and `sidewatch reload`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ControlConfig {
    /// Whether there is such a socket.
    pub enabled: bool,
    /// Its path. Default: `control.sock` beside the stream socket for events. Root, the agent's own user and the members of the socket's
    /// group may use it; its mode is 0660.
    pub path: Option<PathBuf>,
    /// The group that it belongs to, by name or number. Default: the agent's own.
    pub group: Option<String>,
}

impl Default for ControlConfig {
    fn default() -> Self {
        Self { enabled: true, path: None, group: None }
    }
}
