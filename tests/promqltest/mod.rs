//! Prometheus's language for tests of the engine: files of loaded series, queries and expected answers. The runner
//! (`examples/promqltest.rs`) and the conformance test share this.
//! Source: prometheus/prometheus `promql/promqltest/README.md`.

mod compare;
mod rerun;
mod run;
mod script;

pub(crate) use run::{Outcome, Tally, run};
pub(crate) use script::Script;
