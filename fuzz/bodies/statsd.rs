//! StatsD lines: each is counted or refused, and what a session has learnt of its sender's lines changes nothing but the cost.

use sidewatch::ingest::{Config, DatagramConfig, Dialect, TagStyle, Transport};

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
    let outcome = together_as_apart(&config, &payload, &lines);
    counted_or_refused(&outcome, &lines);
}

/// The same lines again take the way of those that are known; another sender has to learn them anew.
fn once_known_as_at_first(config: &Config, payload: &[u8]) {
    let one = Outcome::of(config, |probe| {
        let mut sender = probe.sender(Transport::Datagram);
        all(&mut sender, &[payload]);
        all(&mut sender, &[payload]);
    });
    let two = Outcome::of(config, |probe| (0..2).for_each(|_| all(&mut probe.sender(Transport::Datagram), &[payload])));
    assert_eq!(one, two);
}

fn together_as_apart(config: &Config, payload: &[u8], lines: &[&[u8]]) -> Outcome {
    let together = Outcome::of_datagram(config, payload);
    let apart = Outcome::of(config, |probe| {
        let mut sender = probe.sender(Transport::Datagram);
        lines.iter().for_each(|line| sender.send(line, AT));
        all(&mut sender, &[]);
    });
    assert_eq!(together, apart);
    together
}

fn counted_or_refused(outcome: &Outcome, lines: &[&[u8]]) {
    let lines: Vec<_> = lines.iter().filter(|line| !line.is_empty() && **line != b"\r").collect();
    assert_eq!(outcome.lines, lines.len() as f64);
    let accounted = outcome.events_total() + outcome.refused_total();
    assert!(accounted >= outcome.lines, "{accounted} of {} lines: {outcome:?}", outcome.lines);
    // Every value is an event, unless its line is refused as a whole, and in front of every value stands a colon.
    let most: usize = lines.iter().map(|line| line.iter().filter(|byte| **byte == b':').count().max(1)).sum();
    assert!(accounted - outcome.refused_for(&LATE) <= most as f64, "{accounted} of {most} values: {outcome:?}");
}
