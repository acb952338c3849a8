//! A way in without a socket: bytes go through the same framing, decoding, summing up and merging as those of a sender, and what
//! became of them can be looked at. It is here for the protocol's test vectors and the fuzz targets, which are programs of
//! their own while the decoders are private; nothing of it is an interface, so the documentation does not show it.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::dialect::{Language, TagStyles};
use super::frame::{Found, Frames};
use super::intake::{Intake, Shared, Witness};
use super::peer::Peer;
use super::statsd::{Check, Occurrence};
use super::{Config, Refusal};
use crate::model::{Family, Origin, Timestamp, Value};
use crate::registry::{self, Registry};
use crate::telemetry::Telemetry;

/// A counter's values by those of its labels.
pub type Counts = Vec<(Vec<String>, f64)>;

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

    /// A new sender over this transport.
    #[must_use]
    pub fn sender(&self, over: Transport) -> Sender {
        let config = self.shared.config();
        let limit = config.frame_bytes_max.get();
        let Config { stream, datagram, tcp, udp, .. } = &*config;
        let (dialect, styles) = match over {
            Transport::Stream => (stream.dialect, &stream.tag_styles),
            Transport::Datagram => (datagram.dialect, &datagram.tag_styles),
            Transport::Tcp => (tcp.dialect, &tcp.tag_styles),
            Transport::Udp => (udp.dialect, &udp.tag_styles),
        };
        let unix = matches!(over, Transport::Stream | Transport::Datagram);
        let language = Language { dialect, styles: TagStyles::of(styles), json: unix, framed: unix, ..Language::default() };
        let frames = match over {
            Transport::Stream => Some(Frames::new(limit)),
            Transport::Tcp => Some(Frames::lines(limit)),
            Transport::Datagram | Transport::Udp => None,
        };
        let peer = if over == Transport::Udp { Peer::several() } else { Peer::unknown() };
        Sender { intake: self.shared.intake_of(&peer, language), stream: frames.map(Stream::new), limit }
    }

    /// Ends the interval of all sets.
    pub fn turn_sets(&self) {
        self.shared.turn_sets();
    }

    /// Gives up what does not come any more, as the agent does every second.
    pub fn look(&self, at: Timestamp) {
        self.shared.look(at);
    }

    /// What events have made so far, in order of names and labels.
    #[must_use]
    pub fn families(&self) -> Vec<Family> {
        self.registry.families().into_iter().filter(|family| family.origin == Origin::Events).collect()
    }

    /// One of the agent's own counters: how far it has come, by the values of its labels in order of their names.
    #[must_use]
    pub fn counted(&self, name: &str) -> Counts {
        self.counters().remove(name).unwrap_or_default()
    }

    /// The same of all of them that have come any way, by their names.
    #[must_use]
    pub fn counters(&self) -> BTreeMap<String, Counts> {
        let mut counters: BTreeMap<String, Counts> = BTreeMap::new();
        for family in self.telemetry.families().into_iter().chain(self.registry.families()) {
            let rows = family.series.iter().filter_map(|series| match series.value {
                Value::Number(value) if value > 0.0 => Some((series.labels.iter().map(|(_, value)| value.to_owned()).collect(), value)),
                Value::Number(_) | Value::Histogram(_) | Value::Summary(_) => None,
            });
            counters.entry(family.name.to_string()).or_default().extend(rows);
        }
        counters
    }
}

/// What bytes come over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// A connection to the Unix stream socket.
    Stream,
    /// The Unix datagram socket, with credentials.
    Datagram,
    /// A TCP connection.
    Tcp,
    /// UDP.
    Udp,
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
        let Self { intake, stream, limit } = self;
        if stream.is_none() && !intake.allows(bytes.len(), || at) {
            return intake.drop_payload(Refusal::Quota, bytes, &Unheard);
        }
        intake.received(bytes.len(), || at);
        match stream {
            None if bytes.len() > *limit => intake.refuse(Refusal::Truncated, bytes, &Unheard),
            None => intake.take(bytes, at, &Unheard),
            Some(stream) => stream.read(bytes, false, |found| settle(intake, found, at)),
        }
    }

    /// Nothing more will come: what is left of a connection is taken or refused, and everything is handed over.
    pub fn end(&mut self, at: Timestamp) {
        let Self { intake, stream, .. } = self;
        if let Some(stream) = stream {
            stream.read(&[], true, |found| settle(intake, found, at));
        }
        intake.finish(at, &Unheard);
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
    const fn new(frames: Frames) -> Self {
        Self { frames, held: Vec::new() }
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
    let mut stream = Stream::new(Frames::new(limit));
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
