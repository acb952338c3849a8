//! `/metrics`: everything that is measured, in the format that the scraper asks for.

use std::sync::Arc;

use super::State;
use super::pieces::Pieces;
use super::reply::Reply;
use super::router::Call;
use super::scrape::{Scrape, Standing};
use crate::exposition::{Format, Names, Writer, negotiate};
use crate::model::MetricType;

pub(super) fn answer(call: &Call, state: &State) -> Reply {
    let negotiated = negotiate(call.accept.as_deref());
    let standing = standing(state);
    let names = match negotiated.format {
        Format::Text004 => Names::default(),
        Format::OpenMetrics100 => heads(state, &standing).into_iter().map(|head| (head.name, head.kind)).collect(),
    };
    let scrape = Scrape::new(Arc::clone(&state.registry), standing, Writer::new(negotiated.format, names));
    Reply::in_pieces(negotiated.content_type, Pieces::new(scrape))
}

/// A family without its series.
#[derive(Debug)]
pub(super) struct Described {
    pub(super) name: Arc<str>,
    pub(super) kind: MetricType,
    pub(super) help: Arc<str>,
}

/// All families by name, each once.
pub(super) fn described(state: &State) -> Vec<Described> {
    heads(state, &standing(state))
}

/// What is there whole. `ALERTS` is in history alone: a server that scrapes this agent has its own.
fn standing(state: &State) -> Standing {
    let mut sources = state.registry.published();
    sources.push(Arc::new(state.telemetry.families()));
    Standing::new(sources)
}

fn heads(state: &State, standing: &Standing) -> Vec<Described> {
    let describe = |name: &Arc<str>, kind, help: &Arc<str>| Described { name: Arc::clone(name), kind, help: Arc::clone(help) };
    let mut heads: Vec<_> = standing.all().map(|family| describe(&family.name, family.kind, &family.help)).collect();
    state.registry.heads(|head| heads.push(describe(head.name, head.kind, head.help)));
    heads.sort_by(|a, b| a.name.cmp(&b.name));
    heads.dedup_by(|later, first| later.name == first.name);
    heads
}
