//! `/api/v1/targets` and its like: an agent scrapes nobody, but in history its series carry a `job` and an `instance` as if somebody
//! had scraped it. Each such pair is shown as a target, which is as well as its `up` says.
//! Source: Prometheus documentation "HTTP API", prometheus/prometheus `web/api/v1/api.go`.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::json;

use super::State;
use super::about::About;
use super::api::{self, Error};
use super::envelope::Success;
use super::reply::Reply;
use super::router::Call;
use super::status::up;
use crate::history::Window;
use crate::model::{Labels, METRIC_NAME, PromDuration, Sample, is_stale};

/// The targets; none has ever been dropped.
pub(super) fn targets(call: &Call, state: &State) -> Reply {
    let about = state.about.borrow().clone();
    api::reply(windows(call, state).map(|windows| {
        let active = matches!(call.params.get("state").unwrap_or("any").to_ascii_lowercase().as_str(), "any" | "active");
        let pool = call.params.get("scrapePool");
        let targets = windows.iter().filter(|_| active).filter_map(|window| Target::new(window, &about));
        let targets: Vec<_> = targets.filter(|target| pool.is_none_or(|pool| target.scrape_pool == pool)).collect();
        Success::new(&json!({ "activeTargets": targets, "droppedTargets": [], "droppedTargetCounts": {} }))
    }))
}

/// The jobs.
pub(super) fn pools(call: &Call, state: &State) -> Reply {
    api::reply(windows(call, state).map(|windows| {
        let live = windows.iter().filter(|window| last(window).is_some());
        let jobs: BTreeSet<&str> = live.filter_map(|window| window.labels.get("job")).collect();
        Success::new(&json!({ "scrapePools": jobs }))
    }))
}

/// The Alertmanagers that are told; none has ever been dropped.
pub(super) fn alertmanagers(_: &Call, state: &State) -> Reply {
    let about = state.about.borrow();
    let active: Vec<_> = about.alertmanagers.iter().map(|url| json!({ "url": url })).collect();
    api::reply(Ok(Success::new(&json!({ "activeAlertmanagers": active, "droppedAlertmanagers": [] }))))
}

/// What `up` has been as far back as it counts as present.
fn windows(call: &Call, state: &State) -> Result<Vec<Window>, Error> {
    let after = call.at.plus_millis(-state.engine.config().lookback.as_millis());
    Ok(state.history.select(&[up()?], after, call.at)?)
}

/// The sample at its end, where it has not ended.
fn last(window: &Window) -> Option<&Sample> {
    window.samples.last().filter(|sample| !is_stale(sample.value))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Target<'a> {
    discovered_labels: Labels,
    labels: Labels,
    scrape_pool: &'a str,
    scrape_url: &'a str,
    global_url: &'a str,
    last_error: &'static str,
    last_scrape: String,
    health: &'static str,
    scrape_interval: PromDuration,
    scrape_timeout: PromDuration,
}

impl<'a> Target<'a> {
    /// `None` where the series has ended, or is no target's because it has no job.
    fn new(window: &'a Window, about: &'a About) -> Option<Self> {
        let Sample { at, value } = last(window)?;
        let job = window.labels.get("job")?;
        let interval = about.resolution.to_string();
        let discovered = [
            ("__address__", window.labels.get("instance").unwrap_or("")),
            ("__metrics_path__", "/metrics"),
            ("__scheme__", "http"),
            ("__scrape_interval__", &interval),
            ("__scrape_timeout__", &interval),
            ("job", job),
        ];
        let works = *value == 1.0;
        Some(Self {
            discovered_labels: Labels::from_pairs(discovered),
            labels: window.labels.without(METRIC_NAME),
            scrape_pool: job,
            scrape_url: &about.scrape_url,
            global_url: &about.scrape_url,
            last_error: if works { "" } else { "what this job measures cannot be read; /readyz?verbose tells why" },
            last_scrape: at.to_string(),
            health: if works { "up" } else { "down" },
            scrape_interval: about.resolution,
            scrape_timeout: about.resolution,
        })
    }
}
