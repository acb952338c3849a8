//! Sidewatch: a sidecar observability agent for Linux.
//!
//! The rooms stand in the order of their layers: each imports only from rooms above it in this list, and never from
//! one of its own layer. `ARCHITECTURE.md` tells what lives where, `tests/architecture.rs` keeps it so.

pub mod model;

pub mod clock;
pub mod diagnostic;
pub mod telemetry;

pub mod runtime;

pub mod exposition;
pub mod history;
pub mod registry;

pub mod collect;
pub mod ingest;
pub mod promql;
pub mod recorder;

pub mod health;
pub mod rules;

pub mod notify;

pub mod http;

pub mod config;

pub mod app;

pub mod cli;
