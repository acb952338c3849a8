//! Whether and how series are kept on disk.

use crate::model::PromDuration;

/// The `registry.journal` section of the configuration.
#[derive(Clone, Debug, PartialEq, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct JournalConfig {
    /// Whether what events have counted survives a restart. Without it every start begins at zero.
    pub enabled: bool,
    /// How often all series are saved, so that a start does not have to read a long journal: at most so often, and only when
    /// the journal has grown as large as what was saved last.
    pub snapshot_interval: PromDuration,
    /// When the journal has so many bytes, all series are saved without waiting for `snapshot_interval`, and it begins anew.
    pub bytes_max: usize,
    /// The most bytes that wait in memory for a disk that does not keep up. Beyond it the journal is given up, and taken up
    /// again once all series can be saved.
    pub buffer_bytes_max: usize,
}

impl Default for JournalConfig {
    fn default() -> Self {
        Self { enabled: true, snapshot_interval: PromDuration::from_secs(60), bytes_max: 16 << 20, buffer_bytes_max: 16 << 20 }
    }
}
