//! StatsD lines: each is counted or refused, and what a session has learnt of its sender's lines changes nothing but the cost.

use sidewatch::ingest::{Config, DatagramConfig, Dialect, TagStyle};

use super::Outcome;
use super::outcome::{AT, all};

/// What the registry refuses was counted as an event before: the two can meet in one event.
const LATE: [&str; 4] = ["type_conflict", "series_limit", "stale_timestamp", "overflow"];

/// The first byte chooses the dialect and the ways of writing tags, the rest are several lines; those in JSON are left out, since
/// requests that are open make senders differ.
pub(crate) fn statsd(data: &[u8]) {
    let Some((choice, data)) = data.split_first() else { return };
    let styles = [TagStyle::Influxdb, TagStyle::Librato, TagStyle::Signalfx].into_iter().zip([2, 4, 8]);
    let datagram = DatagramConfig {
        dialect: if choice & 1 == 0 { Dialect::Dogstatsd } else { Dialect::Statsd },
        tag_styles: styles.filter(|(_, bit)| choice & bit != 0).map(|(style, _)| style).collect(),
        ..DatagramConfig::default()
    };
    let config = Config { datagram, ..Config::default() };
    let lines: Vec<&[u8]> = data.split(|byte| *byte == b'\n').filter(|line| !line.starts_with(b"{")).collect();
    let payload = lines.join(&b'\n');
    once_known_as_at_first(&config, &payload);
    together_as_apart(&config, &payload, &lines);
    lines.iter().take(8).for_each(|line| counted_or_refused(&config, line));
}

/// The same lines again take the way of those that are known; another sender has to learn them anew.
fn once_known_as_at_first(config: &Config, payload: &[u8]) {
    let one = Outcome::of(config, |probe| {
        let mut sender = probe.datagrams();
        all(&mut sender, &[payload]);
        all(&mut sender, &[payload]);
    });
    let two = Outcome::of(config, |probe| (0..2).for_each(|_| all(&mut probe.datagrams(), &[payload])));
    assert_eq!(one, two);
}

fn together_as_apart(config: &Config, payload: &[u8], lines: &[&[u8]]) {
    let together = Outcome::of_datagram(config, payload);
    let apart = Outcome::of(config, |probe| {
        let mut sender = probe.datagrams();
        lines.iter().for_each(|line| sender.send(line, AT));
        all(&mut sender, &[]);
    });
    assert_eq!(together, apart);
}

fn counted_or_refused(config: &Config, line: &[u8]) {
    let outcome = Outcome::of_datagram(config, line);
    if line.is_empty() || line == b"\r" {
        return assert_eq!(outcome.lines, 0.0);
    }
    assert_eq!(outcome.lines, 1.0);
    let accounted = outcome.events_total() + outcome.refused_total() - outcome.refused_for(&LATE);
    // Every value is an event, unless the line is refused as a whole, and in front of every value stands a colon.
    let most = line.iter().filter(|byte| **byte == b':').count().max(1);
    assert!(accounted >= 1.0 && accounted <= most as f64, "{accounted} of {most}: {outcome:?}");
}
