//! What became of some bytes, in a form that can be compared.

use sidewatch::ingest::{Config, Counts, Probe, Sender, Transport};
use sidewatch::model::{Family, Timestamp};
use sidewatch::registry;

/// Some time or other.
pub(crate) const AT: Timestamp = Timestamp::from_millis(1_800_000_000_000);

/// Everything that senders have brought about.
#[derive(Debug, PartialEq)]
pub(crate) struct Outcome {
    pub(crate) families: Vec<Family>,
    pub(crate) refused: Counts,
    pub(crate) events: Counts,
    pub(crate) lines: f64,
    /// By sender, with what is missing of its numbers.
    pub(crate) lost: Counts,
    pub(crate) highest: Counts,
}

impl Outcome {
    /// Of what `act` does with an agent of its own.
    pub(crate) fn of(config: &Config, act: impl FnOnce(&Probe)) -> Self {
        let probe = Probe::new(config, &registry::Config::default());
        act(&probe);
        probe.turn_sets();
        probe.look(AT.plus_millis(1000));
        let mut counters = probe.counters();
        let mut counted = |name: &str| counters.remove(name).unwrap_or_default();
        Self {
            families: probe.families(),
            refused: counted("sidewatch_ingest_refused_total"),
            events: counted("sidewatch_ingest_events_total"),
            lines: total(&counted("sidewatch_ingest_lines_total")),
            lost: counted("sidewatch_ingest_lost_total"),
            highest: counted("sidewatch_ingest_sender_sequence"),
        }
    }

    /// Of one datagram.
    pub(crate) fn of_datagram(config: &Config, bytes: &[u8]) -> Self {
        Self::of(config, |probe| all(&mut probe.sender(Transport::Datagram), &[bytes]))
    }

    /// How much was refused for one of these reasons.
    pub(crate) fn refused_for(&self, reasons: &[&str]) -> f64 {
        self.refused.iter().filter(|(reason, _)| reasons.contains(&reason.concat().as_str())).map(|(_, count)| count).sum()
    }

    pub(crate) fn refused_total(&self) -> f64 {
        total(&self.refused)
    }

    pub(crate) fn events_total(&self) -> f64 {
        total(&self.events)
    }
}

/// Sends each of these, says that this was all, and hands over.
pub(crate) fn all(sender: &mut Sender, pieces: &[&[u8]]) {
    pieces.iter().for_each(|bytes| sender.send(bytes, AT));
    sender.end(AT);
}

fn total(counts: &[(Vec<String>, f64)]) -> f64 {
    counts.iter().map(|(_, count)| count).sum()
}
