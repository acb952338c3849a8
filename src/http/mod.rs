//! The HTTP interface: metrics, health, query API.
