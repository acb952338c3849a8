//! `/api/v1/metadata`: what metrics mean.

use std::collections::BTreeMap;

use serde::Serialize;

use super::State;
use super::api::{self, Error};
use super::envelope::Success;
use super::metrics::described;
use super::params::Params;
use super::reply::Reply;
use super::router::Call;
use crate::model::unit_of_name;

#[derive(Serialize)]
struct Metadata {
    #[serde(rename = "type")]
    kind: &'static str,
    help: String,
    unit: &'static str,
}

/// Type, help and unit of every metric.
pub(super) fn metadata(call: &Call, state: &State) -> Reply {
    // There is one entry a metric, which any limit on them leaves.
    let limits = most(&call.params, "limit").and_then(|limit| most(&call.params, "limit_per_metric").map(|_| limit));
    let answer = limits.map(|limit| {
        let wanted = call.params.get("metric");
        let families = described(state).into_iter().filter(|family| wanted.is_none_or(|name| *family.name == *name));
        let found: BTreeMap<String, [Metadata; 1]> = families
            .take(limit)
            .map(|family| {
                let unit = unit_of_name(&family.name).map_or("", |unit| unit.as_str());
                (family.name.to_string(), [Metadata { kind: family.kind.as_str(), help: family.help.to_string(), unit }])
            })
            .collect();
        Success::new(&found)
    });
    api::reply(answer)
}

/// How many metrics at most. Unlike elsewhere 0 is none, and a negative number is no limit.
fn most(params: &Params, name: &str) -> Result<usize, Error> {
    let Some(text) = params.get(name) else { return Ok(usize::MAX) };
    let number = text.parse::<i64>().map_err(|_| Error::BadData(format!("{name} must be a number")))?;
    Ok(usize::try_from(number).unwrap_or(usize::MAX))
}
