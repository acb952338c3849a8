//! One sender's way from payloads to the registry: lines are told apart, decoded, added to the table, and the table is
//! handed over as a batch. Pure but for the counting: when to hand over is the session's decision.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::aggregate::{Known, Table};
use super::dialect::Language;
use super::kinds::Fields;
use super::lines::Lines;
use super::log::Log;
use super::metrics::{Kind, Metrics, Tally};
use super::notes::{Loss, Notes};
use super::origin::Origin;
use super::peer::{Allowed, Peer, Peers};
use super::quota::Quota;
use super::room::Room;
use super::senders::{PATIENCE, Senders};
use super::sequence::Sequence;
use super::statsd::{self, Check, Decoded, Line, Occurrence};
use super::totals::Totals;
use super::writer::Writer;
use super::{Config, Refusal, json, kinds};
use crate::clock;
use crate::model::Timestamp;
use crate::registry::Registry;
use crate::telemetry::Telemetry;

/// What all senders have in common.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) metrics: Metrics,
    /// The processes that send.
    pub(super) peers: Peers,
    /// What they have lost, by name.
    pub(super) senders: Senders,
    totals: Totals,
    allowed: Allowed,
    config: Mutex<Arc<Config>>,
    /// How many configurations there have been: a cheap way for every intake to notice a new one.
    generation: AtomicU64,
    registry: Arc<Registry>,
    intakes: AtomicU64,
    room: Arc<Room>,
}

impl Shared {
    pub(super) fn new(config: &Config, registry: Arc<Registry>, telemetry: &Telemetry) -> Arc<Self> {
        Self::over("/proc", config, registry, telemetry)
    }

    /// With another place than `/proc` to learn about senders from.
    pub(super) fn over(proc: impl Into<PathBuf>, config: &Config, registry: Arc<Registry>, telemetry: &Telemetry) -> Arc<Self> {
        let (allowed, unknown) = Allowed::new(&config.allow);
        for name in unknown {
            tracing::warn!(name, "ingest.allow names somebody who does not exist");
        }
        registry.describe(kinds::described());
        Arc::new(Self {
            metrics: Metrics::new(telemetry),
            peers: Peers::new(proc),
            senders: Senders::new(Arc::clone(&registry), config.senders_max, clock::now()),
            totals: Totals::new(Arc::clone(&registry), clock::now()),
            allowed,
            config: Mutex::new(Arc::new(config.clone())),
            generation: AtomicU64::new(0),
            registry,
            intakes: AtomicU64::new(0),
            room: Room::new(config.sessions_bytes_max),
        })
    }

    /// The configuration now.
    pub(super) fn config(&self) -> Arc<Config> {
        Arc::clone(&self.config.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Replaces the configuration.
    pub(super) fn reconfigure(&self, config: &Config) {
        *self.config.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(config.clone());
        self.senders.limit(config.senders_max);
        self.room.limit(config.sessions_bytes_max);
        self.generation.fetch_add(1, Ordering::Release);
    }

    /// Whether this process may send.
    pub(super) fn admits(&self, peer: &Peer) -> bool {
        self.allowed.admits(peer.credentials())
    }

    /// Counts and tells of something that came from a process that may not send.
    pub(super) fn turn_away(&self, peer: &Peer, log: &Log, at: Timestamp) {
        self.totals.refuse(Refusal::NotAllowed, at);
        self.senders.lose(peer.name(), Refusal::NotAllowed.into(), 1, at);
        log.turned_away(peer);
    }

    /// Looks which senders have ended, and what does not come any more.
    pub(super) fn look(&self, at: Timestamp) {
        self.senders.settle(at);
        let ended = self.peers.look();
        self.metrics.peers(self.peers.len(), ended);
        let (bytes, curtailed) = (self.room.taken(), self.room.take_curtailed());
        self.metrics.sessions(bytes, curtailed);
        if self.room.becomes_short(curtailed) {
            tracing::warn!(
                bytes,
                "sessions take too much memory (ingest.sessions_bytes_max): those that take much work out names and labels again"
            );
        }
    }

    /// Ends the interval of all sets.
    pub(super) fn turn_sets(&self) {
        self.registry.turn_sets();
    }

    /// The intake of a sender of which nothing is known.
    #[cfg(test)]
    pub(super) fn intake(self: &Arc<Self>, language: Language) -> Intake {
        self.intake_of(&Peer::unknown(), language)
    }

    /// The intake of a new sender, whose lines are in this language.
    pub(super) fn intake_of(self: &Arc<Self>, peer: &Arc<Peer>, language: Language) -> Intake {
        let sender = self.intakes.fetch_add(1, Ordering::Relaxed);
        let generation = self.generation.load(Ordering::Acquire);
        let config = self.config();
        let table = Table::new(&config, peer.unit(), Arc::clone(&self.registry), Arc::clone(&self.room));
        let mut intake = Intake {
            shared: Arc::clone(self),
            peer: Arc::clone(peer),
            sender,
            generation,
            language,
            guesses: json::Guesses::default(),
            flush_interval: Duration::ZERO,
            idle_timeout: Duration::ZERO,
            quota: Quota::new(&config),
            clock_slack: 0,
            table,
            tally: Tally::default(),
            notes: Notes::new(peer.name()),
            numbers: Sequence::default(),
            numbered: Timestamp::from_millis(0),
        };
        intake.take_over(&config);
        intake
    }
}

/// Hears of what does not show in numbers.
pub(super) trait Witness {
    /// Something is refused: the reason, and the bytes in question.
    fn refused(&self, reason: Refusal, bytes: &[u8]);
    /// An event of DogStatsD's was counted.
    fn occurred(&self, occurrence: &Occurrence<'_>);
    /// A service check has come in.
    fn checked(&self, check: &Check<'_>);
}

/// One sender's decoder, table and tally.
#[derive(Debug)]
pub(super) struct Intake {
    shared: Arc<Shared>,
    peer: Arc<Peer>,
    sender: u64,
    generation: u64,
    language: Language,
    guesses: json::Guesses,
    flush_interval: Duration,
    idle_timeout: Duration,
    quota: Quota,
    /// How many seconds a time stamp may be ahead.
    clock_slack: i64,
    table: Table,
    tally: Tally,
    notes: Notes,
    /// Of events that have a number and no sender's name.
    numbers: Sequence,
    /// When one last came.
    numbered: Timestamp,
}

impl Intake {
    /// Counts bytes as they come in, whatever they turn out to be. `now` is asked only where they are limited.
    pub(super) fn received(&mut self, bytes: usize, now: impl FnOnce() -> Timestamp) {
        self.tally.bytes += bytes as u64;
        if let Some(rate) = self.quota.bytes {
            let at = now();
            self.peer.account().bytes(rate, at).spend(bytes as f64, rate, at);
        }
    }

    /// Whether the sender may send a datagram of so many bytes now.
    pub(super) fn allows(&self, bytes: usize, now: impl FnOnce() -> Timestamp) -> bool {
        let Some(rate) = self.quota.bytes else { return true };
        let at = now();
        self.peer.account().bytes(rate, at).allows(bytes as f64, rate, at)
    }

    /// How long the sender is not to be read.
    pub(super) fn pause(&mut self, now: impl FnOnce() -> Timestamp, witness: &impl Witness) -> Duration {
        if self.quota.bytes.is_none() {
            return Duration::ZERO;
        }
        let at = now();
        // Else the next configuration would be noticed only behind this pause.
        self.renew(at, witness);
        self.quota.bytes.map_or(Duration::ZERO, |rate| self.peer.account().bytes(rate, at).debt(rate, at))
    }

    /// Refuses a payload whole: each of its lines.
    pub(super) fn drop_payload(&mut self, reason: Refusal, payload: &[u8], witness: &impl Witness) {
        let lines = payload.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).count() as u64;
        self.tally.bytes += payload.len() as u64;
        self.tally.lines += lines;
        self.tally.refuse(reason, lines);
        self.notes.lose(reason.into(), lines);
        witness.refused(reason, payload);
    }

    /// Takes a payload: one line or several, of either language.
    pub(super) fn take(&mut self, payload: &[u8], at: Timestamp, witness: &impl Witness) {
        self.renew(at, witness);
        let mut lines = Lines::new(payload);
        while let Some(line) = lines.next() {
            self.tally.lines += 1;
            self.notes.turn_to(None);
            if let Err(reason) = self.line(&mut lines, line.clone(), at, witness) {
                self.refuse(reason, lines.bytes(line), witness);
            }
            if self.table.is_full() || self.notes.is_full() {
                self.flush(at, witness);
            }
        }
        self.notes.turn_to(None);
    }

    /// Takes a new configuration, if there is one.
    fn renew(&mut self, at: Timestamp, witness: &impl Witness) {
        let generation = self.shared.generation.load(Ordering::Acquire);
        if generation != self.generation {
            self.flush(at, witness);
            let config = self.shared.config();
            self.table.reconfigure(&config, self.peer.unit());
            self.take_over(&config);
            self.generation = generation;
        }
    }

    fn take_over(&mut self, config: &Config) {
        self.language.bare_tags = config.bare_tags;
        self.flush_interval = config.flush_interval.get();
        self.idle_timeout = config.idle_timeout.get();
        self.quota = Quota::new(config);
        self.clock_slack = config.clock_slack.as_millis() / 1000;
    }

    /// Counts something that is refused as a whole.
    pub(super) fn refuse(&mut self, reason: Refusal, bytes: &[u8], witness: &impl Witness) {
        self.tally.refuse(reason, 1);
        self.notes.lose(reason.into(), 1);
        witness.refused(reason, bytes);
    }

    /// Counts events that never came in.
    pub(super) fn lose(&mut self, reason: Refusal, events: u64) {
        self.tally.refuse(reason, events);
        self.notes.turn_to(None);
        self.notes.lose(reason.into(), events);
    }

    /// How long what has been collected may wait.
    pub(super) const fn flush_interval(&self) -> Duration {
        self.flush_interval
    }

    /// How long the sender may be silent; zero for ever.
    pub(super) const fn idle_timeout(&self) -> Duration {
        self.idle_timeout
    }

    /// True when there is something to hand over soon.
    pub(super) fn is_pending(&self) -> bool {
        !self.table.is_empty() || self.tally != Tally::default()
    }

    /// True when [`Intake::flush`] has to be called now and then even if nothing comes in.
    pub(super) fn has_open(&self) -> bool {
        self.table.has_open()
    }

    /// The same, for the sake of other sessions.
    pub(super) const fn has_much(&self) -> bool {
        self.table.has_much()
    }

    /// True while numbers are missing that may still come.
    pub(super) fn is_waiting(&self) -> bool {
        self.numbers.missing() > 0
    }

    /// Hands over what has been collected: nothing more will come.
    pub(super) fn finish(&mut self, at: Timestamp, witness: &impl Witness) {
        let lost = self.follow(at) + self.numbers.settle();
        self.notes.turn_to(None);
        self.notes.lose(Loss::GAP, lost);
        self.flush(at, witness);
    }

    /// Hands over what has been collected.
    pub(super) fn flush(&mut self, at: Timestamp, witness: &impl Witness) {
        let (requests, tasks) = self.table.expire(at);
        self.tally.abandoned_requests += requests;
        self.tally.abandoned_tasks += tasks;
        let lost = self.follow(at);
        self.notes.turn_to(None);
        self.notes.lose(Loss::GAP, lost);
        let mut ledger = (!self.notes.is_empty()).then(|| self.shared.senders.write(&mut self.notes, at));
        // A table can be full without a change: of identities whose events were all refused.
        let has_changes = !self.table.is_empty() || self.table.is_full() || ledger.is_some();
        if has_changes || self.tally.has_counts() {
            let room = self.peer.account().series_left(self.quota, at);
            let mut totals = self.shared.totals.rows();
            let mut merge = self.shared.registry.merge(self.sender, at);
            merge.limit(room);
            let all_refused = self.table.hand_over(&mut merge);
            let created = merge.created();
            if let Some(ledger) = &mut ledger {
                ledger.hand_over(&mut merge);
            }
            totals.hand_over(&mut merge, &mut self.tally);
            // The registry is not to wait for the log.
            drop((merge, totals, ledger));
            if created > 0 {
                self.peer.account().series_made(created, self.quota, at);
            }
            self.notes.turn_to_latest();
            for refused in all_refused {
                self.tally.refuse(refused.reason, refused.events);
                self.notes.lose(refused.reason.into(), refused.events);
                witness.refused(refused.reason, refused.name.as_bytes());
            }
            if !self.notes.is_empty() {
                let mut ledger = self.shared.senders.write(&mut self.notes, at);
                let mut totals = self.shared.totals.rows();
                let mut merge = self.shared.registry.merge(self.sender, at);
                ledger.hand_over(&mut merge);
                totals.hand_over(&mut merge, &mut self.tally);
            }
            if has_changes {
                self.shared.metrics.batch();
            }
        } else {
            self.table.make_room();
        }
        self.shared.metrics.add(&std::mem::take(&mut self.tally));
    }

    /// Follows the numbers of events without a sender's name: the connection stands for it. How many are lost.
    fn follow(&mut self, at: Timestamp) -> u64 {
        let Some(own) = self.notes.own() else { return 0 };
        if !own.runs.is_empty() {
            self.numbered = at;
            return own.runs.drain(..).map(|(first, last)| self.numbers.observe(first, last)).sum();
        }
        if at.since(self.numbered) >= PATIENCE { self.numbers.settle() } else { 0 }
    }

    /// The process has ended, whoever may still hold the connection: what stood for its present state goes, its counts stay.
    pub(super) fn bereave(&mut self, at: Timestamp, witness: &impl Witness) {
        self.flush(at, witness);
        if self.table.has_merged_gauges() {
            self.shared.registry.forget(self.sender);
        }
        self.table.bereave();
    }

    fn line(&mut self, lines: &mut Lines<'_>, line: Range<usize>, at: Timestamp, witness: &impl Witness) -> Result<(), Refusal> {
        let bytes = lines.bytes(line.clone());
        if self.language.json && bytes.first() == Some(&b'{') {
            return self.event(lines.text(line)?, at);
        }
        if let Some(known) = self.table.add_known(bytes) {
            self.count(known);
            return Ok(());
        }
        match statsd::decode(lines.text(line)?, self.language)? {
            Decoded::Metric(metric) => self.metric(&metric, at, witness),
            Decoded::Parts(name, parts) => {
                self.parts(name, parts, at, witness);
                Ok(())
            }
            Decoded::Occurrence(occurrence) => {
                self.tally_extras(occurrence.ignored, occurrence.repeated);
                self.table.add_occurrence(&occurrence)?;
                self.tally.count(Kind::Event, 1);
                witness.occurred(&occurrence);
                Ok(())
            }
            Decoded::Check(check) => {
                self.tally_extras(check.ignored, check.repeated);
                self.table.add_check(&check)?;
                self.tally.count(Kind::Check, 1);
                witness.checked(&check);
                Ok(())
            }
        }
    }

    /// Takes the parts of a plain StatsD line, each as if it stood alone behind the name: one that is bad is refused alone.
    fn parts(&mut self, name: &str, parts: &str, at: Timestamp, witness: &impl Witness) {
        let mut rest = Some(parts);
        while let Some(parts) = rest {
            let (part, others) = statsd::part(parts);
            rest = others;
            if let Some(known) = self.table.add_known_part(name.as_bytes(), part.as_bytes()) {
                self.count(known);
                continue;
            }
            let taken = statsd::decode_part(name, part, self.language).and_then(|metric| self.metric(&metric, at, witness));
            if let Err(reason) = taken {
                self.refuse(reason, part.as_bytes(), witness);
            }
        }
    }

    fn metric(&mut self, line: &Line<'_>, at: Timestamp, witness: &impl Witness) -> Result<(), Refusal> {
        if line.stamp.is_some_and(|seconds| seconds > (at.as_millis() / 1000).saturating_add(self.clock_slack)) {
            return Err(Refusal::FutureTimestamp);
        }
        let (name, rest) = line.raw;
        let mut found = None;
        line.readings(|reading| match reading.and_then(|reading| self.table.add_reading(line, reading, &mut found)) {
            Ok(kind) => self.tally.count(kind, 1),
            Err(reason) => self.refuse(reason, rest.as_bytes(), witness),
        })?;
        self.tally_extras(0, line.repeated);
        if let (Some(Ok(place)), Some((times, effect))) = (found, line.recurrent()) {
            self.table.learn(name.as_bytes(), rest.as_bytes(), place, times, effect, line.repeated);
        }
        Ok(())
    }

    fn count(&mut self, known: Known) {
        self.tally.count(known.kind, known.events);
        self.tally.repeated_tags += u64::from(known.repeated_tags);
    }

    fn tally_extras(&mut self, ignored: u32, repeated: u32) {
        self.tally.ignored_fields += u64::from(ignored);
        self.tally.repeated_tags += u64::from(repeated);
    }

    /// Notes who sends the line at hand, and its number. The numbers of several who cannot be told apart mean nothing.
    fn hear(&mut self, origin: &Origin<'_>) {
        self.notes.turn_to(origin.sender());
        if let Some(seq) = origin.seq.filter(|_| origin.sender().is_some() || !self.peer.is_several()) {
            self.notes.number(seq);
        }
    }

    /// Takes an event in JSON.
    fn event(&mut self, line: &str, at: Timestamp) -> Result<(), Refusal> {
        if let Some(scan) = json::Scan::new(line, &mut self.guesses) {
            let mut fields = Fields::new(scan.kind());
            if scan.read(&mut fields, &mut self.guesses).is_some() {
                return self.typed(&fields, at);
            }
        }
        // A number that was sent is not missing, whatever else is wrong.
        let held = json::read(line).inspect_err(|_| self.hear(&Origin::of(line)))?;
        self.typed(&held.fields(), at)
    }

    fn typed(&mut self, fields: &Fields<'_>, at: Timestamp) -> Result<(), Refusal> {
        if let Some(origin) = fields.origin() {
            self.hear(&origin);
        }
        let kind = fields.kind();
        kind.read(fields, &mut Writer::new(&mut self.table, fields, at))?;
        self.tally.event(kind);
        Ok(())
    }
}

/// Whatever ends a session, a panic included, the sender is no longer among the living.
impl Drop for Intake {
    fn drop(&mut self) {
        if self.table.has_merged_gauges() {
            self.shared.registry.forget(self.sender);
        }
    }
}

#[cfg(test)]
mod tests;
