//! What the agent tells those who take it for a Prometheus server.

use std::collections::BTreeMap;

use crate::config::{Config, Source};
use crate::http::{About, Address, Bound};
use crate::model::Timestamp;
use crate::notify;
use crate::recorder::Identity;

/// What the series of an agent with this configuration are called.
pub(super) fn identity(config: &Config) -> Identity {
    Identity {
        instance: config.instance.clone().unwrap_or_default(),
        host_job: config.jobs.host.clone(),
        events_job: config.jobs.events.clone(),
        agent_job: config.jobs.agent.clone(),
    }
}

/// All of it, of an agent with this configuration in force since `loaded`.
pub(super) fn about(config: &Config, source: &Source, bound: &Bound, started: Timestamp, loaded: Timestamp) -> About {
    About {
        started,
        folder: std::env::current_dir().map(|folder| folder.display().to_string()).unwrap_or_default(),
        host_name: source.host_name.clone(),
        scrape_url: scrape_url(bound),
        alertmanagers: config.notify.alertmanagers.iter().map(notify::Alertmanager::alerts_url).collect(),
        identity: identity(config),
        // It was read from YAML, so it can be written as such.
        configuration: serde_yaml::to_string(config).unwrap_or_default(),
        loaded,
        load_succeeded: true,
        resolution: config.history.resolution,
        retention: retention(config),
        flags: flags(config, &source.path().display().to_string()),
    }
}

fn scrape_url(bound: &Bound) -> String {
    let tcp = bound.addresses().find(|address| matches!(address, Address::Tcp { .. }));
    tcp.map(|address| format!("http://{address}/metrics")).unwrap_or_default()
}

/// As Prometheus says it.
fn retention(config: &Config) -> String {
    format!("{} or {}", config.history.retention, size(config.history.bytes_max))
}

fn size(bytes: usize) -> String {
    let units = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    let unit = units.into_iter().find(|(unit, _)| bytes > 0 && bytes.is_multiple_of(*unit));
    unit.map_or_else(|| format!("{bytes}B"), |(unit, name)| format!("{}{name}", bytes / unit))
}

fn flags(config: &Config, file: &str) -> BTreeMap<&'static str, String> {
    let listen: Vec<String> = config.http.listen.iter().map(ToString::to_string).collect();
    let feature = if config.promql.delayed_name_removal { "promql-delayed-name-removal" } else { "" };
    BTreeMap::from([
        ("config.file", file.to_owned()),
        ("enable-feature", feature.to_owned()),
        ("query.lookback-delta", config.promql.lookback.to_string()),
        ("query.max-concurrency", config.http.query_concurrency.to_string()),
        ("query.max-samples", config.promql.samples_max.to_string()),
        ("query.timeout", config.promql.timeout.to_string()),
        ("storage.tsdb.retention.size", size(config.history.bytes_max)),
        ("storage.tsdb.retention.time", config.history.retention.to_string()),
        ("web.listen-address", listen.join(",")),
        ("web.max-connections", config.http.connections_max.to_string()),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Places;

    #[test]
    fn sizes_are_written_with_their_largest_unit() {
        assert_eq!([64 << 20, 3 << 30, 1536, 1000, 0].map(size), ["64MiB", "3GiB", "1536B", "1000B", "0B"].map(str::to_owned));
        assert_eq!(retention(&Config::default()), "6h or 64MiB");
    }

    #[test]
    fn the_configuration_that_is_shown_is_the_one_in_force() {
        let config = Config { instance: Some("h1".into()), ..Config::default() };
        let source = Source { file: None, places: Places::of_service(None), host_name: "host".into() };
        let about = about(&config, &source, &Bound::default(), Timestamp::from_millis(5), Timestamp::from_millis(5));
        let read: Config = serde_yaml::from_str(&about.configuration).expect("YAML");
        assert_eq!((read, about.identity.instance.as_str(), about.scrape_url.as_str()), (config, "h1", ""));
    }
}
