//! A way in without a socket: bytes go through the same framing, decoding, summing up and merging as those of a sender, and what
//! became of them can be looked at. It is here for the protocol's test vectors and the fuzz targets, which are programs of
//! their own while the decoders are private; nothing of it is an interface, so the documentation does not show it.

use std::sync::Arc;

use super::dialect::{BareTags, Dialect, Language, TagStyle, TagStyles};
use super::frame::{Found, Frames};
use super::intake::{Intake, Shared, Witness};
use super::peer::Peer;
use super::statsd::{Check, Occurrence};
use super::{Config, Refusal};
use crate::model::{Family, Origin, Timestamp, Value};
use crate::registry::{self, Registry};
use crate::telemetry::Telemetry;

/// A registry with nothing in it, and senders to fill it.
#[derive(Debug)]
pub struct Probe {
    shared: Arc<Shared>,
    registry: Arc<Registry>,
    telemetry: Arc<Telemetry>,
}

impl Probe {
    /// As the agent would be with these two sections of the configuration.
    #[must_use]
    pub fn new(ingest: &Config, registry: &registry::Config) -> Self {
        let telemetry = Telemetry::new();
        let registry = Registry::new(registry, &telemetry);
        Self { shared: Shared::new(ingest, Arc::clone(&registry), &telemetry), registry, telemetry }
    }

    /// A sender with a connection to the stream socket.
    #[must_use]
    pub fn connect(&self) -> Sender {
        let config = self.shared.config();
        let stream = Some(Stream::new(config.frame_bytes_max.get()));
        self.sender(&config, config.stream.dialect, &config.stream.tag_styles, stream)
    }

    /// A sender of datagrams.
    #[must_use]
    pub fn datagrams(&self) -> Sender {
        let config = self.shared.config();
        self.sender(&config, config.datagram.dialect, &config.datagram.tag_styles, None)
    }

    fn sender(&self, config: &Config, dialect: Dialect, styles: &[TagStyle], stream: Option<Stream>) -> Sender {
        let framed = stream.is_some();
        let language = Language { dialect, styles: TagStyles::of(styles), bare_tags: BareTags::default(), json: true, framed };
        Sender { intake: self.shared.intake_of(&Peer::unknown(), language), stream, limit: config.frame_bytes_max.get() }
    }

    /// Ends the interval of all sets.
    pub fn turn_sets(&self) {
        self.shared.turn_sets();
    }

    /// What events have made so far, in order of names and labels.
    #[must_use]
    pub fn families(&self) -> Vec<Family> {
        self.registry.families().into_iter().filter(|family| family.origin == Origin::Events).collect()
    }

    /// One of the agent's own counters: how far it has come, by the value of its label.
    #[must_use]
    pub fn counted(&self, name: &str) -> Vec<(String, f64)> {
        let families = self.telemetry.families().into_iter().chain(self.registry.families());
        let series = families.filter(|family| &*family.name == name).flat_map(|family| family.series);
        let rows = series.filter_map(|series| match series.value {
            Value::Number(value) if value > 0.0 => Some((series.labels.iter().map(|(_, value)| value).collect(), value)),
            Value::Number(_) | Value::Histogram(_) => None,
        });
        rows.collect()
    }
}

/// Somebody who sends. Dropped, it is gone, as a connection that is closed.
#[derive(Debug)]
pub struct Sender {
    intake: Intake,
    /// `None` for datagrams.
    stream: Option<Stream>,
    limit: usize,
}

impl Sender {
    /// Takes bytes that arrived together: a datagram, or as much of a connection as one read gave.
    pub fn send(&mut self, bytes: &[u8], at: Timestamp) {
        self.intake.received(bytes.len(), || at);
        let Self { intake, stream, limit } = self;
        match stream {
            None if bytes.len() > *limit => intake.refuse(Refusal::Truncated, bytes, &Unheard),
            None => intake.take(bytes, at, &Unheard),
            Some(stream) => stream.read(bytes, false, |found| settle(intake, found, at)),
        }
    }

    /// The connection says nothing more: what is left of it is taken or refused.
    pub fn end(&mut self, at: Timestamp) {
        let Self { intake, stream, .. } = self;
        if let Some(stream) = stream {
            stream.read(&[], true, |found| settle(intake, found, at));
        }
    }

    /// Hands over what has been collected, as a session does every 100 ms.
    pub fn flush(&mut self, at: Timestamp) {
        self.intake.flush(at, &Unheard);
    }
}

fn settle(intake: &mut Intake, found: Result<&[u8], (Refusal, &[u8])>, at: Timestamp) {
    match found {
        Ok(payload) => intake.take(payload, at, &Unheard),
        Err((reason, bytes)) => intake.refuse(reason, bytes, &Unheard),
    }
}

/// A connection's framing with the bytes that are not used yet.
#[derive(Debug)]
struct Stream {
    frames: Frames,
    held: Vec<u8>,
}

impl Stream {
    fn new(limit: usize) -> Self {
        Self { frames: Frames::new(limit), held: Vec::new() }
    }

    fn read(&mut self, bytes: &[u8], ended: bool, mut sink: impl FnMut(Result<&[u8], (Refusal, &[u8])>)) {
        self.held.extend_from_slice(bytes);
        let mut used = 0;
        loop {
            let (more, found) = self.frames.next(self.held.get(used..).unwrap_or(&[]), ended);
            used += more;
            match found {
                Found::Payload(payload) => sink(Ok(payload)),
                Found::Refused(reason, bytes) => sink(Err((reason, bytes))),
                Found::Incomplete => break,
            }
        }
        self.held.drain(..used.min(self.held.len()));
    }
}

/// The payloads of a connection that gave these reads and then ended, or why there is none.
#[must_use]
pub fn payloads(limit: usize, reads: &[&[u8]]) -> Vec<Result<Vec<u8>, Refusal>> {
    let mut stream = Stream::new(limit);
    let mut payloads = Vec::new();
    let ends = std::iter::repeat_n(false, reads.len()).chain([true]);
    for (bytes, ended) in reads.iter().copied().chain([&[][..]]).zip(ends) {
        stream.read(bytes, ended, |found| payloads.push(found.map(<[u8]>::to_vec).map_err(|(reason, _)| reason)));
    }
    payloads
}

/// All is counted; nobody is told.
#[derive(Debug)]
struct Unheard;

impl Witness for Unheard {
    fn refused(&self, _: Refusal, _: &[u8]) {}
    fn occurred(&self, _: &Occurrence<'_>) {}
    fn checked(&self, _: &Check<'_>) {}
}
