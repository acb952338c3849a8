//! The names of a heartbeat's two series: who makes them, and who keeps them, have to mean the same.

/// When the last heartbeat arrived, in Unix seconds.
pub const HEARTBEAT_TIMESTAMP: &str = "app_heartbeat_timestamp_seconds";
/// The time within which the next heartbeat is to come, in seconds; 0 when none is to come any more.
pub const HEARTBEAT_INTERVAL: &str = "app_heartbeat_interval_seconds";
