//! What no single value shows: whether the values fit together, and whether each is within sense.

use super::{Config, Jobs};
use crate::diagnostic::{Diagnostic, PathStep, Position, locate_yaml};
use crate::model::{PromDuration, format_millis};

/// Finds everything that is wrong with a configuration that could be read.
pub(super) fn check(config: &Config, file: &str, text: &str) -> Vec<Diagnostic> {
    faults(config).into_iter().map(|(path, message)| diagnostic(file, text, &path, message)).collect()
}

/// What is valid, and probably a mistake: a signal of the score that looks back further than history is kept.
pub fn warnings(config: &Config, file: &str, text: &str) -> Vec<Diagnostic> {
    let kept = config.history.retention.as_millis().max(config.history.thinned_retention.as_millis());
    let short = config.health.reaches(&config.promql).into_iter().filter(|(_, reach)| *reach > kept);
    let message = |reach| format!("looks back {}, and history is kept for {}", format_millis(reach), format_millis(kept));
    short.map(|(key, reach)| diagnostic(file, text, &format!("health.{key}"), message(reach))).collect()
}

fn diagnostic(file: &str, text: &str, path: &str, message: String) -> Diagnostic {
    // Only elements of lists are numbered.
    let step = |key: &str| key.parse().map_or_else(|_| PathStep::Key(key.to_owned()), PathStep::Index);
    let steps: Vec<_> = path.split('.').map(step).collect();
    // What is missing has no place of its own: then it is the place of what it is missing from.
    let place = (1..=steps.len()).rev().find_map(|length| locate_yaml(text, steps.get(..length)?)).unwrap_or(Position::START);
    let name: String = steps.iter().map(PathStep::to_string).collect();
    Diagnostic::new(file, text, place, format!("{}: {message}", name.trim_start_matches('.')))
}

fn faults(config: &Config) -> Vec<(String, String)> {
    let mut faults = Vec::new();
    let least_durations = [
        ("collect.interval", config.collect.interval, 100),
        ("history.resolution", config.history.resolution, 100),
        ("promql.subquery_step", config.promql.subquery_step, 1),
        ("promql.timeout", config.promql.timeout, 10),
        ("rules.interval", config.rules.interval, 100),
        ("rules.pack_interval", config.rules.pack_interval, 100),
        ("shutdown.deadline", config.shutdown.deadline, 100),
        ("http.header_timeout", config.http.header_timeout, 10),
        ("http.request_timeout", config.http.request_timeout, 10),
        ("ingest.flush_interval", config.ingest.flush_interval, 10),
        ("registry.journal.snapshot_interval", config.registry.journal.snapshot_interval, 1000),
        ("ingest.set_interval", config.ingest.set_interval, 1000),
    ];
    let relative_durations = [
        ("history.retention", config.history.retention, "history.resolution", config.history.resolution),
        // Else there would be no present value of any series between two samples.
        ("promql.lookback", config.promql.lookback, "history.resolution", config.history.resolution),
    ];
    let numbers = [
        ("history.bytes_max", config.history.bytes_max, 1 << 20..=usize::MAX),
        ("history.series_max", config.history.series_max, 1..=usize::MAX),
        ("registry.journal.bytes_max", config.registry.journal.bytes_max, 1 << 16..=usize::MAX),
        // The largest batch has to fit.
        ("registry.journal.buffer_bytes_max", config.registry.journal.buffer_bytes_max, 4 << 20..=usize::MAX),
        ("registry.series_max", config.registry.series_max, 1..=usize::MAX),
        ("registry.series_per_metric_max", config.registry.series_per_metric_max, 1..=usize::MAX),
        ("registry.bytes_max", config.registry.bytes_max, 1 << 20..=usize::MAX),
        ("registry.families_max", config.registry.families_max, 1..=usize::MAX),
        ("promql.samples_max", config.promql.samples_max, 1000..=usize::MAX),
        ("promql.steps_max", config.promql.steps_max, 1..=1_000_000),
        ("ingest.connections_max", config.ingest.connections_max, 1..=usize::MAX),
        ("ingest.datagram.senders_max", config.ingest.datagram.senders_max, 1..=usize::MAX),
        ("ingest.senders_max", config.ingest.senders_max, 1..=usize::MAX),
        ("ingest.burst_bytes_max", config.ingest.burst_bytes_max, 1..=usize::MAX),
        ("ingest.series_per_sender_max", config.ingest.series_per_sender_max, 1..=usize::MAX),
        ("ingest.labels_max", config.ingest.labels_max, 1..=usize::MAX),
        ("ingest.label_value_bytes_max", config.ingest.label_value_bytes_max, 1..=usize::MAX),
        ("ingest.name_bytes_max", config.ingest.name_bytes_max, 1..=usize::MAX),
        ("ingest.sessions_bytes_max", config.ingest.sessions_bytes_max, 1 << 20..=usize::MAX),
        ("ingest.flush_series", config.ingest.flush_series, 1..=usize::MAX),
        // The kernel's number is an `int`, and it doubles what it is given.
        ("ingest.udp.receive_buffer_bytes", config.ingest.udp.receive_buffer_bytes, 4096..=1 << 30),
        // Each whose matchers are patterns alone is compared with every alert, at each change, by the loop that sends.
        ("notify.silences_max", config.notify.silences_max, 1..=10_000),
        ("http.connections_max", config.http.connections_max, 1..=usize::MAX),
        ("http.header_bytes_max", config.http.header_bytes_max, 1024..=1 << 20),
        // Each takes a thread: the rest of the agent needs some, too.
        ("http.query_concurrency", config.http.query_concurrency, 1..=32),
        ("http.metrics_concurrency", config.http.metrics_concurrency, 1..=16),
    ];
    let Jobs { host, events, agent } = &config.jobs;
    let names = [("jobs.host", host.as_str()), ("jobs.events", events), ("jobs.agent", agent)];
    let names = names.into_iter().chain(config.instance.as_deref().map(|instance| ("instance", instance)));

    let mut fault = |path: &str, message: String| faults.push((path.to_owned(), message));
    for (path, value, least) in least_durations.map(|(path, value, least)| (path, value, PromDuration::from_millis(least))) {
        if value < least {
            fault(path, format!("{value} is too short; it is at least {least}"));
        }
    }
    for (path, value, other, least) in relative_durations {
        if value < least {
            fault(path, format!("{value} is too short; it is at least {other}, which is {least}"));
        }
    }
    for (path, value, range) in numbers {
        if value < *range.start() {
            fault(path, format!("{value} is too little; it is at least {}", range.start()));
        } else if value > *range.end() {
            fault(path, format!("{value} is too much; it is at most {}", range.end()));
        }
    }
    for (path, _) in names.filter(|(_, name)| name.is_empty()) {
        fault(path, "it is empty: the label would be missing".to_owned());
    }
    let (stream, datagram) = (&config.ingest.stream, &config.ingest.datagram);
    if stream.enabled && datagram.enabled && stream.path.is_some() && stream.path == datagram.path {
        fault("ingest.datagram.path", "it is the path of ingest.stream as well".to_owned());
    }
    let (udp, tcp) = (&config.ingest.udp, &config.ingest.tcp);
    for (path, listen) in [("ingest.udp.listen", &udp.listen), ("ingest.tcp.listen", &tcp.listen)] {
        if let Some(twice) = listen.iter().enumerate().find_map(|(index, one)| listen.iter().take(index).find(|other| *other == one)) {
            fault(path, format!("{twice} stands there twice"));
        }
        if !listen.is_empty() && !config.ingest.allow.is_empty() {
            fault(path, "on the network nobody can be told from those in ingest.allow".to_owned());
        }
    }
    if datagram.enabled && !datagram.credentials && !config.ingest.allow.is_empty() {
        fault("ingest.datagram.credentials", "without them nobody can be told from those in ingest.allow".to_owned());
    }
    if let Err(error) = config.log.filter() {
        fault("log.level", crate::telemetry::chain(&error));
    }
    for (key, message) in config.rules.check() {
        fault(&format!("rules.{key}"), message);
    }
    for (key, message) in config.notify.check() {
        fault(&format!("notify.{key}"), message);
    }
    for (key, message) in config.heartbeat.check() {
        fault(&format!("heartbeat.{key}"), message);
    }
    for (key, message) in config.health.check() {
        fault(&format!("health.{key}"), message);
    }
    for line in config.collect.check() {
        // It has said so above, with the same words as of every other duration.
        if let Some((key, message)) = line.split_once(": ").filter(|(key, _)| *key != "interval") {
            fault(&format!("collect.{key}"), message.to_owned());
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_that_looks_back_further_than_history_goes_is_told() {
        let told = |text: &str| {
            let config: Config = serde_yaml::from_str(text).expect("readable");
            warnings(&config, "a.yml", text).iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        let signal = |expr: &str, count: &str| {
            format!(
                "history: {{retention: 1h, thinned_retention: 2h}}\nhealth:\n  signals:\n    slow:\n      expr: {expr}\n      good: 0\n      bad: 1\n      weight: 9\n      count: {count}\n"
            )
        };
        assert_eq!(told("{}"), Vec::<String>::new());
        assert_eq!(told(&signal("rate(a_total[1h55m])", "increase(b_total[5m])")), Vec::<String>::new());
        assert_eq!(
            told(&signal("rate(a_total[3h])", "increase(b_total[1h] offset 2h)")),
            [
                "a.yml:5:13: health.signals.slow.expr: looks back 3h, and history is kept for 2h",
                "a.yml:9:14: health.signals.slow.count: looks back 3h, and history is kept for 2h",
            ]
        );
    }

    fn faults_of(text: &str) -> Vec<String> {
        let config = serde_yaml::from_str(text).expect("readable");
        let mut problems = check(&config, "a.yml", text);
        problems.sort_by_key(|problem| problem.position);
        problems.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_defaults_fit_together() {
        assert_eq!(faults_of("{}"), Vec::<String>::new());
    }

    #[test]
    fn every_room_is_asked_and_its_faults_have_their_places() {
        let text = "\
collect:
  disabled: [disks]
  disk: {device_exclude: \"(\"}
rules: {pack_interval: 0s}
health: {weights: {part_failed: -1}}
log: {level: 'a=b=c'}
";
        let lines = faults_of(text);
        let starts = [
            "a.yml:2:13: collect.disabled: there is no collector \"disks\"",
            "a.yml:3:26: collect.disk.device_exclude: ",
            "a.yml:4:24: rules.pack_interval: 0s is too short; it is at least 100ms",
            "a.yml:5:19: health.weights: ",
            "a.yml:6:14: log.level: ",
        ];
        assert_eq!(lines.len(), starts.len(), "{lines:#?}");
        assert!(lines.iter().zip(starts).all(|(line, start)| line.starts_with(start)), "{lines:#?}");
    }

    #[test]
    fn values_without_sense_are_refused() {
        for (text, message) in [
            ("history: {resolution: 10m}", "promql.lookback: 5m is too short; it is at least history.resolution, which is 10m"),
            ("history: {retention: 1s}", "history.retention: 1s is too short; it is at least history.resolution, which is 5s"),
            ("history: {series_max: 0}", "history.series_max: 0 is too little; it is at least 1"),
            ("http: {query_concurrency: 1000}", "http.query_concurrency: 1000 is too much; it is at most 32"),
            ("notify: {silences_max: 10001}", "notify.silences_max: 10001 is too much; it is at most 10000"),
            ("jobs: {host: ''}", "jobs.host: it is empty: the label would be missing"),
            ("instance: ''", "instance: it is empty: the label would be missing"),
            ("ingest: {udp: {listen: ['[::1]:1', '[::1]:2', '[::1]:1']}}", "ingest.udp.listen: [::1]:1 stands there twice"),
            (
                "ingest: {tcp: {listen: ['[::1]:1']}, allow: {users: [root]}}",
                "ingest.tcp.listen: on the network nobody can be told from those in ingest.allow",
            ),
            ("ingest: {udp: {receive_buffer_bytes: 1}}", "ingest.udp.receive_buffer_bytes: 1 is too little; it is at least 4096"),
            ("ingest: {set_interval: 500ms}", "ingest.set_interval: 500ms is too short; it is at least 1s"),
            ("ingest: {stream: {path: /a}, datagram: {path: /a}}", "ingest.datagram.path: it is the path of ingest.stream as well"),
            (
                "ingest: {allow: {users: [root]}, datagram: {credentials: false}}",
                "ingest.datagram.credentials: without them nobody can be told from those in ingest.allow",
            ),
            ("collect: {interval: 1ms}", "collect.interval: 1ms is too short; it is at least 100ms"),
        ] {
            let lines = faults_of(text);
            assert!(lines.len() == 1 && lines[0].ends_with(message), "{text}: {lines:?}");
        }
    }
}
