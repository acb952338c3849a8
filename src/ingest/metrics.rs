//! Ingest's own metrics, and the tally in which a session counts before it adds to them.

use prometheus::{IntCounter, IntCounterVec, IntGauge};

use super::{Refusal, kinds};
use crate::telemetry::Telemetry;

/// Why the agent closed a connection: its sender is none of those who may send.
pub(super) const NOT_ALLOWED: &str = "not_allowed";
/// It was silent for too long.
pub(super) const IDLE: &str = "idle";

/// How many kinds of events are counted apart: those in JSON, and what only StatsD's lines report.
pub(super) const KINDS: usize = kinds::ALL.len() + Kind::ALL.len() - SHARED;
/// The last of the kinds in JSON are the first of StatsD's.
const SHARED: usize = 3;

/// Their names.
pub(super) fn kind_names() -> [&'static str; KINDS] {
    let mut names = [""; KINDS];
    let all = kinds::ALL.iter().map(|kind| kind.name).chain(Kind::ALL.iter().skip(SHARED).map(|kind| kind.as_str()));
    names.iter_mut().zip(all).for_each(|(place, name)| *place = name);
    names
}

/// What StatsD's lines report, as it is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Count,
    Gauge,
    Histogram,
    Set,
    /// DogStatsD's event.
    Event,
    /// DogStatsD's service check.
    Check,
}

impl Kind {
    pub(super) const ALL: [Self; 6] = [Self::Count, Self::Gauge, Self::Histogram, Self::Set, Self::Event, Self::Check];

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::Set => "set",
            Self::Event => "event",
            Self::Check => "check",
        }
    }

    /// Where it stands among [`kind_names`].
    const fn number(self) -> usize {
        kinds::ALL.len() - SHARED + self as usize
    }
}

/// What a session has counted since its last batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) bytes: u64,
    pub(super) lines: u64,
    pub(super) abandoned_requests: u64,
    pub(super) abandoned_tasks: u64,
    /// Tags of a StatsD line whose key stood in the line before.
    pub(super) repeated_tags: u64,
    /// Optional fields of StatsD events and service checks that could not be read.
    pub(super) ignored_fields: u64,
    events: [u64; KINDS],
    refused: [u64; Refusal::ALL.len()],
}

/// The standard library knows no default for as many counts as there are reasons.
impl Default for Tally {
    fn default() -> Self {
        Self {
            bytes: 0,
            lines: 0,
            abandoned_requests: 0,
            abandoned_tasks: 0,
            repeated_tags: 0,
            ignored_fields: 0,
            events: [0; KINDS],
            refused: [0; Refusal::ALL.len()],
        }
    }
}

impl Tally {
    /// Counts one event in JSON.
    pub(super) fn event(&mut self, kind: &kinds::Kind) {
        if let Some(count) = self.events.get_mut(kind.number()) {
            *count += 1;
        }
    }

    /// Counts what StatsD's lines report.
    pub(super) fn count(&mut self, kind: Kind, events: u64) {
        if let Some(count) = self.events.get_mut(kind.number()) {
            *count += events;
        }
    }

    /// True when there are events or refusals in it.
    pub(super) fn has_counts(&self) -> bool {
        self.events.iter().chain(&self.refused).any(|count| *count > 0)
    }

    /// Takes out events by kind and refusals by reason.
    pub(super) fn take_counts(&mut self) -> ([u64; KINDS], [u64; Refusal::ALL.len()]) {
        let taken = (self.events, self.refused);
        (self.events, self.refused) = ([0; KINDS], [0; Refusal::ALL.len()]);
        taken
    }

    pub(super) fn refuse(&mut self, reason: Refusal, events: u64) {
        if let Some(count) = self.refused.get_mut(reason as usize) {
            *count += events;
        }
    }
}

/// Ingest's own metrics.
#[derive(Debug)]
pub(super) struct Metrics {
    bytes: IntCounter,
    lines: IntCounter,
    batches: IntCounter,
    abandoned_requests: IntCounter,
    abandoned_tasks: IntCounter,
    repeated_tags: IntCounter,
    ignored_fields: IntCounter,
    pub(super) connections: IntGauge,
    pub(super) connections_total: IntCounter,
    /// Connections that the agent closed, by reason.
    pub(super) closed: IntCounterVec,
    pub(super) evictions: IntCounter,
    pub(super) pauses: IntCounter,
    peers: IntGauge,
    peers_ended: IntCounter,
    sessions_bytes: IntGauge,
    curtailed: IntCounter,
    pub(super) errors: IntCounterVec,
}

impl Metrics {
    pub(super) fn new(telemetry: &Telemetry) -> Self {
        let errors = telemetry.counters("sidewatch_ingest_errors_total", "Failed operations on sockets, by operation.", &["operation"]);
        for operation in ["accept", "read", "receive"] {
            errors.with_label_values(&[operation]);
        }
        let closed = telemetry.counters(
            "sidewatch_ingest_connections_closed_total",
            "Stream connections that the agent closed, by reason.",
            &["reason"],
        );
        for reason in [NOT_ALLOWED, IDLE] {
            closed.with_label_values(&[reason]);
        }
        Self {
            bytes: telemetry.counter("sidewatch_ingest_bytes_total", "Bytes received on all sockets."),
            lines: telemetry.counter("sidewatch_ingest_lines_total", "Lines received on all sockets, of both languages."),
            batches: telemetry.counter("sidewatch_ingest_batches_total", "Batches of changes handed to the registry."),
            abandoned_requests: telemetry
                .counter("sidewatch_ingest_abandoned_requests_total", "Requests that began and whose end did not come in time."),
            abandoned_tasks: telemetry
                .counter("sidewatch_ingest_abandoned_tasks_total", "Tasks that were open and of which nothing more was heard."),
            repeated_tags: telemetry.counter(
                "sidewatch_ingest_repeated_tags_total",
                "Tags of StatsD lines whose key stood in the line before; the last one counts.",
            ),
            ignored_fields: telemetry.counter(
                "sidewatch_ingest_ignored_fields_total",
                "Optional fields of StatsD events and service checks that could not be read; the rest counts.",
            ),
            connections: telemetry.int_gauge("sidewatch_ingest_connections", "Stream connections that are open."),
            connections_total: telemetry.counter("sidewatch_ingest_connections_total", "Stream connections that were accepted."),
            closed,
            evictions: telemetry.counter(
                "sidewatch_ingest_datagram_senders_evicted_total",
                "Senders of datagrams that were forgotten because there were too many.",
            ),
            pauses: telemetry.counter(
                "sidewatch_ingest_pauses_total",
                "Times that a connection was not read for a while because its sender was over its quota.",
            ),
            peers: telemetry.int_gauge("sidewatch_ingest_processes", "Processes that have sent and live."),
            peers_ended: telemetry.counter("sidewatch_ingest_processes_ended_total", "Processes that sent and were seen to have ended."),
            sessions_bytes: telemetry
                .int_gauge("sidewatch_ingest_sessions_bytes", "Memory that sessions take for the names and series of their senders."),
            curtailed: telemetry.counter(
                "sidewatch_ingest_sessions_curtailed_total",
                "Times that a session began anew because all sessions together took too much memory.",
            ),
            errors,
        }
    }

    /// Adds what a session has counted, events and refusals apart: those are the registry's.
    pub(super) fn add(&self, tally: &Tally) {
        self.bytes.inc_by(tally.bytes);
        self.lines.inc_by(tally.lines);
        self.abandoned_requests.inc_by(tally.abandoned_requests);
        self.abandoned_tasks.inc_by(tally.abandoned_tasks);
        self.repeated_tags.inc_by(tally.repeated_tags);
        self.ignored_fields.inc_by(tally.ignored_fields);
    }

    /// How many processes there are, and how many more have ended.
    pub(super) fn peers(&self, now: usize, ended: usize) {
        self.peers.set(i64::try_from(now).unwrap_or(i64::MAX));
        self.peers_ended.inc_by(ended as u64);
    }

    /// What all sessions take, and how often one more began anew for want of room.
    pub(super) fn sessions(&self, bytes: usize, curtailed: u64) {
        self.sessions_bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
        self.curtailed.inc_by(curtailed);
    }

    pub(super) fn batch(&self) {
        self.batches.inc();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_counted_under_its_name() {
        let names = kind_names();
        for kind in Kind::ALL {
            assert_eq!(names[kind.number()], kind.as_str());
        }
        for kind in kinds::ALL {
            assert_eq!(names[kind.number()], kind.name);
        }
        assert!((1..KINDS).all(|number| !names[..number].contains(&names[number])));
    }
}
