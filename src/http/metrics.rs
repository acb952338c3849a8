//! `/metrics`: everything that is measured, in the format that the scraper asks for.

use hyper::StatusCode;

use super::State;
use super::reply::Reply;
use super::router::Call;
use crate::exposition::{negotiate, write};
use crate::model::Family;

pub(super) fn answer(call: &Call, state: &State) -> Reply {
    let negotiated = negotiate(call.accept.as_deref());
    let mut body = Vec::new();
    write(negotiated.format, &families(state), &mut body);
    Reply::new(StatusCode::OK, negotiated.content_type, body)
}

/// All families by name: the registry's and the agent's own. `ALERTS` is in history alone: a server that scrapes this agent
/// has its own.
pub(super) fn families(state: &State) -> Vec<Family> {
    let mut families = state.registry.families();
    families.extend(state.telemetry.families());
    families.sort_by(|a, b| a.name.cmp(&b.name));
    // Names are unique within each source, and the sources' names are reserved; a scrape must not fail over a mistake here.
    families.dedup_by(|later, first| later.name == first.name);
    families
}
