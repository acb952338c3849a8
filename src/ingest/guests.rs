//! The senders of datagrams, each with a session of its own, told apart by what the kernel says of each datagram.

use std::sync::Arc;
use std::time::Duration;

use hashbrown::HashMap;
use tokio::time::Instant;

use super::dialect::Language;
use super::intake::Shared;
use super::listener::{Place, Socket};
use super::log::Log;
use super::peer::{Credentials, Peer};
use super::session::Session;
use crate::clock;

/// How often sessions are looked at that nothing came for, at most.
const SWEEP: Duration = Duration::from_millis(25);

/// A process, and its session if it may send.
#[derive(Debug)]
pub(super) struct Guest {
    pub(super) peer: Arc<Peer>,
    pub(super) session: Option<Session>,
    /// In order of the last datagrams.
    used: u64,
}

/// All senders of datagrams that are remembered.
#[derive(Debug)]
pub(super) struct Guests {
    shared: Arc<Shared>,
    log: Arc<Log>,
    /// Whether senders can be told apart, and from those who may not send.
    credentials: bool,
    language: Language,
    /// What those are called of whom nothing else is known.
    network: Option<String>,
    max: usize,
    known: HashMap<Option<Credentials>, Guest>,
    uses: u64,
    departures: u64,
    sweep: Instant,
}

impl Guests {
    pub(super) fn new<S>(shared: &Arc<Shared>, socket: &Socket<S>, log: &Arc<Log>) -> Self {
        let Socket { credentials, language, .. } = *socket;
        let network = matches!(socket.place, Place::Address(_)).then(|| socket.network_name());
        let max = shared.config().datagram.senders_max.max(1);
        let (shared, log) = (Arc::clone(shared), Arc::clone(log));
        let departures = shared.peers.departures();
        Self { shared, log, credentials, language, network, max, known: HashMap::new(), uses: 0, departures, sweep: Instant::now() }
    }

    /// The sender with these credentials; all of which nothing is known are one.
    pub(super) fn of(&mut self, credentials: Option<Credentials>) -> &mut Guest {
        self.uses += 1;
        if self.known.len() >= self.max && !self.known.contains_key(&credentials) {
            self.evict();
        }
        let guest = self.known.entry(credentials).or_insert_with(|| {
            let unknown = || self.network.as_deref().map_or_else(Peer::several, Peer::several_at);
            let peer = credentials.map_or_else(unknown, |credentials| self.shared.peers.meet(credentials, None));
            let session =
                (!self.credentials || self.shared.admits(&peer)).then(|| Session::new(&self.shared, &peer, self.language, &self.log));
            Guest { peer, session, used: 0 }
        });
        guest.used = self.uses;
        guest
    }

    /// Refuses a datagram of a sender that may not send.
    pub(super) fn turn_away(&self, credentials: Option<Credentials>) {
        if let Some(guest) = self.known.get(&credentials) {
            self.shared.turn_away(&guest.peer, &self.log, clock::now());
        }
    }

    /// To be called after each reading: hands over what is due, and lets go of senders that have ended.
    pub(super) fn settle(&mut self) {
        let now = Instant::now();
        if now < self.sweep {
            return;
        }
        self.sweep = now + SWEEP.min(self.shared.config().flush_interval.get() / 4);
        for session in self.known.values_mut().filter_map(|guest| guest.session.as_mut()) {
            session.settle();
        }
        let departures = self.shared.peers.departures();
        if std::mem::replace(&mut self.departures, departures) != departures {
            let gone = self.known.extract_if(|_, guest| guest.peer.is_gone());
            gone.filter_map(|(_, guest)| guest.session).for_each(|mut session| session.finish());
        }
    }

    /// Hands over everything: nothing more will come.
    pub(super) fn finish(&mut self) {
        for session in self.known.values_mut().filter_map(|guest| guest.session.as_mut()) {
            session.finish();
        }
    }

    /// Forgets the one that has been silent for longest.
    fn evict(&mut self) {
        let Some(oldest) = self.known.iter().min_by_key(|(_, guest)| guest.used).map(|(credentials, _)| *credentials) else { return };
        if let Some(mut session) = self.known.remove(&oldest).and_then(|guest| guest.session) {
            session.finish();
        }
        self.shared.metrics.evictions.inc();
    }
}
