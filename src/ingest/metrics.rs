//! Ingest's own metrics, and the tally in which a session counts before it adds to them.

use prometheus::{IntCounter, IntCounterVec, IntGauge};

use super::Refusal;
use crate::model::{Event, MetricType};
use crate::telemetry::Telemetry;

/// Why the agent closed a connection: its sender is none of those who may send.
pub(super) const NOT_ALLOWED: &str = "not_allowed";

const KINDS: [&str; 4] = ["request", "count", "gauge", "histogram"];

/// What a session has counted since its last batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) bytes: u64,
    pub(super) lines: u64,
    pub(super) abandoned: u64,
    events: [u64; KINDS.len()],
    refused: [u64; Refusal::ALL.len()],
}

impl Tally {
    pub(super) fn event(&mut self, event: &Event<'_>) {
        match event {
            Event::Request(_) => self.count(0, 1),
            Event::Count(_) => self.metrics(MetricType::Counter, 1),
            Event::Gauge(_) => self.metrics(MetricType::Gauge, 1),
            Event::Histogram(_) => self.metrics(MetricType::Histogram, 1),
        }
    }

    /// Counts events that are metrics of this type.
    pub(super) fn metrics(&mut self, kind: MetricType, events: u64) {
        let kind = match kind {
            MetricType::Counter => 1,
            MetricType::Gauge => 2,
            MetricType::Histogram | MetricType::Unknown => 3,
        };
        self.count(kind, events);
    }

    fn count(&mut self, kind: usize, events: u64) {
        if let Some(count) = self.events.get_mut(kind) {
            *count += events;
        }
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
    events: [IntCounter; KINDS.len()],
    refused: [IntCounter; Refusal::ALL.len()],
    bytes: IntCounter,
    lines: IntCounter,
    batches: IntCounter,
    abandoned: IntCounter,
    pub(super) connections: IntGauge,
    pub(super) connections_total: IntCounter,
    /// Connections that the agent closed, by reason.
    pub(super) closed: IntCounterVec,
    pub(super) evictions: IntCounter,
    peers: IntGauge,
    peers_ended: IntCounter,
    pub(super) errors: IntCounterVec,
}

impl Metrics {
    pub(super) fn new(telemetry: &Telemetry) -> Self {
        let events = telemetry.counters("sidewatch_ingest_events_total", "Events that were received and understood, by kind.", &["kind"]);
        let refused = telemetry.counters(
            "sidewatch_ingest_refused_total",
            "Lines, frames and events that were received and are not counted, by reason; an event of several series may count more than once.",
            &["reason"],
        );
        let errors = telemetry.counters("sidewatch_ingest_errors_total", "Failed operations on sockets, by operation.", &["operation"]);
        for operation in ["accept", "read", "receive"] {
            errors.with_label_values(&[operation]);
        }
        let closed = telemetry.counters(
            "sidewatch_ingest_connections_closed_total",
            "Stream connections that the agent closed, by reason.",
            &["reason"],
        );
        closed.with_label_values(&[NOT_ALLOWED]);
        Self {
            events: KINDS.map(|kind| events.with_label_values(&[kind])),
            refused: Refusal::ALL.map(|reason| refused.with_label_values(&[reason.as_str()])),
            bytes: telemetry.counter("sidewatch_ingest_bytes_total", "Bytes received on all sockets."),
            lines: telemetry.counter("sidewatch_ingest_lines_total", "Lines received on all sockets, of both languages."),
            batches: telemetry.counter("sidewatch_ingest_batches_total", "Batches of changes handed to the registry."),
            abandoned: telemetry
                .counter("sidewatch_ingest_abandoned_requests_total", "Requests that began and whose end did not come in time."),
            connections: telemetry.int_gauge("sidewatch_ingest_connections", "Stream connections that are open."),
            connections_total: telemetry.counter("sidewatch_ingest_connections_total", "Stream connections that were accepted."),
            closed,
            evictions: telemetry.counter(
                "sidewatch_ingest_datagram_senders_evicted_total",
                "Senders of datagrams that were forgotten because there were too many.",
            ),
            peers: telemetry.int_gauge("sidewatch_ingest_processes", "Processes that are known to send."),
            peers_ended: telemetry.counter("sidewatch_ingest_processes_ended_total", "Processes that sent and were seen to have ended."),
            errors,
        }
    }

    /// Adds what a session has counted.
    pub(super) fn add(&self, tally: &Tally) {
        self.bytes.inc_by(tally.bytes);
        self.lines.inc_by(tally.lines);
        self.abandoned.inc_by(tally.abandoned);
        let events = self.events.iter().zip(tally.events);
        for (counter, count) in events.chain(self.refused.iter().zip(tally.refused)).filter(|(_, count)| *count > 0) {
            counter.inc_by(count);
        }
    }

    /// How many processes there are, and how many more have ended.
    pub(super) fn peers(&self, now: usize, ended: usize) {
        self.peers.set(i64::try_from(now).unwrap_or(i64::MAX));
        self.peers_ended.inc_by(ended as u64);
    }

    pub(super) fn batch(&self) {
        self.batches.inc();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_a_place_of_its_own() {
        let telemetry = Telemetry::new();
        let metrics = Metrics::new(&telemetry);
        let mut tally = Tally::default();
        for (events, reason) in (1..).zip(Refusal::ALL) {
            tally.refuse(reason, events);
        }
        metrics.add(&tally);
        for (events, reason) in (1..).zip(Refusal::ALL) {
            let series = Refusal::ALL.iter().position(|other| *other == reason).expect("listed");
            assert_eq!(metrics.refused[series].get(), events, "{reason:?}");
        }
    }
}
