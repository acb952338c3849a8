//! What each fuzz target does with an input. Every body checks properties and panics where one does not hold. The targets run them
//! over what the fuzzer makes up, `tests/fuzz_corpus.rs` over the corpus that is kept.

#![allow(dead_code, unused_imports, reason = "every target uses a part of it")]

mod chunk;
mod frame;
mod history;
mod journal;
mod json;
mod outcome;
mod pattern;
mod promql;
mod rules;
mod statsd;
mod template;

pub(crate) use chunk::chunk;
pub(crate) use frame::frame;
pub(crate) use history::history;
pub(crate) use journal::journal;
pub(crate) use json::json;
pub(crate) use pattern::pattern;
pub(crate) use promql::promql;
pub(crate) use rules::rules;
pub(crate) use statsd::statsd;
pub(crate) use template::template;

use outcome::Outcome;
