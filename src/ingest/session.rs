//! One sender's session: when what it has collected is handed over, and, for a stream connection, the reading.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::dialect::Language;
use super::frame::{Found, Frames};
use super::intake::{Intake, Shared};
use super::log::Log;
use super::peer::Peer;
use super::senders::PATIENCE;
use super::{Refusal, metrics};
use crate::clock;
use crate::runtime::{Shutdown, Stage};

/// One read takes at most so much.
const READ_BYTES: usize = 64 * 1024;
/// How often requests whose end does not come are looked for, and whether others need a silent sender's room.
const EXPIRY: Duration = Duration::from_secs(30);
/// A connection that is over its quota is looked at again after so long at most.
const PAUSE_MAX: Duration = Duration::from_secs(1);
/// Nothing to do: any long time.
const IDLE: Duration = Duration::from_secs(86_400);
/// A connection that is silent for so long at the end has said what it had to say.
const DRAIN_PAUSE: Duration = Duration::from_millis(20);
/// However much a connection says at the end.
const DRAIN_MAX: Duration = Duration::from_secs(1);

/// A sender's intake with its time to hand over.
#[derive(Debug)]
pub(super) struct Session {
    intake: Intake,
    log: Arc<Log>,
    due: Instant,
}

impl Session {
    pub(super) fn new(shared: &Arc<Shared>, peer: &Arc<Peer>, language: Language, log: &Arc<Log>) -> Self {
        Self { intake: shared.intake_of(peer, language), log: Arc::clone(log), due: Instant::now() + IDLE }
    }

    /// Takes a payload of `bytes`, and hands over when it is time.
    pub(super) fn take(&mut self, payload: &[u8]) {
        self.intake.take(payload, clock::now(), &*self.log);
    }

    /// Counts bytes that came in.
    pub(super) fn received(&mut self, bytes: usize) {
        self.intake.received(bytes, clock::now);
    }

    /// Whether the sender may send a datagram of so many bytes now.
    pub(super) fn allows(&self, bytes: usize) -> bool {
        self.intake.allows(bytes, clock::now)
    }

    /// Counts a datagram that is not taken.
    pub(super) fn drop_payload(&mut self, reason: Refusal, payload: &[u8]) {
        self.intake.drop_payload(reason, payload, &*self.log);
    }

    /// How long not to read.
    fn pause(&mut self) -> Duration {
        self.intake.pause(clock::now, &*self.log)
    }

    /// When a sender that was heard then has been silent for too long; `None` for never.
    fn patience(&self, heard: Instant) -> Option<Instant> {
        Some(self.intake.idle_timeout()).filter(|timeout| !timeout.is_zero()).map(|timeout| heard + timeout)
    }

    /// Counts a payload that cannot be taken.
    pub(super) fn refuse(&mut self, reason: Refusal, bytes: &[u8]) {
        self.intake.refuse(reason, bytes, &*self.log);
    }

    /// Counts what never came in, as far as is known why.
    pub(super) fn lose(&mut self, reason: Refusal, events: u64) {
        self.intake.lose(reason, events);
    }

    /// When to call [`Session::flush`] if nothing else happens.
    pub(super) const fn due(&self) -> Instant {
        self.due
    }

    /// To be called after each reading: hands over when it is time, else notes when it will be.
    pub(super) fn settle(&mut self) {
        let now = Instant::now();
        if now >= self.due {
            self.flush();
        } else if self.intake.is_pending() {
            self.due = self.due.min(now + self.intake.flush_interval());
        }
    }

    /// The process that sends has ended.
    pub(super) fn bereave(&mut self) {
        self.intake.bereave(clock::now(), &*self.log);
        self.due = Instant::now() + IDLE;
    }

    /// Hands over what has been collected.
    pub(super) fn flush(&mut self) {
        self.intake.flush(clock::now(), &*self.log);
        self.due = Instant::now()
            + match () {
                () if self.intake.is_waiting() => PATIENCE,
                () if self.intake.has_open() || self.intake.has_much() => EXPIRY,
                () => IDLE,
            };
    }

    /// Hands over what has been collected: nothing more will come.
    pub(super) fn finish(&mut self) {
        self.intake.finish(clock::now(), &*self.log);
    }
}

/// Serves one connection until it ends, or until the agent drains and the connection has nothing more to say.
pub(super) async fn serve(
    mut reader: impl AsyncRead + Unpin,
    peer: &Arc<Peer>,
    language: Language,
    shared: &Arc<Shared>,
    log: &Arc<Log>,
    mut shutdown: Shutdown,
) {
    let mut session = Session::new(shared, peer, language, log);
    let mut alive = true;
    let mut heard = Instant::now();
    let mut paused = false;
    let limit = shared.config().frame_bytes_max.get();
    let mut frames = if language.framed { Frames::new(limit) } else { Frames::lines(limit) };
    let mut buffer = Buffer::new(Frames::capacity(limit).max(READ_BYTES));
    loop {
        let pause = session.pause();
        if !std::mem::replace(&mut paused, !pause.is_zero()) && paused {
            shared.metrics.pauses.inc();
        }
        let patience = session.patience(heard).filter(|_| !paused);
        let read = tokio::select! {
            read = reader.read(buffer.free()), if !paused => read,
            // Not all at once: the limit may be lifted meanwhile.
            () = sleep(pause.min(PAUSE_MAX)), if paused => {
                heard = Instant::now();
                continue;
            }
            () = sleep_until(patience.unwrap_or(heard)), if patience.is_some() => {
                shared.metrics.closed.with_label_values(&[metrics::IDLE]).inc();
                tracing::debug!(sender = %peer, "a connection was silent for too long and is closed");
                break;
            }
            () = sleep_until(session.due()) => {
                session.flush();
                continue;
            }
            // A child may hold the connection open that its parent has left behind.
            () = peer.departure(), if alive => {
                alive = false;
                session.bereave();
                continue;
            }
            () = shutdown.reached(Stage::Draining) => {
                drain(&mut reader, &mut session, &mut frames, &mut buffer).await;
                break;
            }
        };
        let read = read.unwrap_or_else(|error| {
            shared.metrics.errors.with_label_values(&["read"]).inc();
            tracing::debug!(%error, "a connection ended with an error");
            0
        });
        heard = Instant::now();
        buffer.filled(read);
        session.received(read);
        digest(&mut session, &mut frames, &mut buffer, read == 0);
        if read == 0 {
            break;
        }
        session.settle();
    }
    session.finish();
}

/// Reads what is already on its way.
async fn drain(reader: &mut (impl AsyncRead + Unpin), session: &mut Session, frames: &mut Frames, buffer: &mut Buffer) {
    let deadline = Instant::now() + DRAIN_MAX;
    while Instant::now() < deadline {
        match timeout(DRAIN_PAUSE, reader.read(buffer.free())).await {
            Ok(Ok(0) | Err(_)) => return digest(session, frames, buffer, true),
            Ok(Ok(read)) => {
                buffer.filled(read);
                session.received(read);
                digest(session, frames, buffer, false);
                session.settle();
            }
            Err(_silent) => break,
        }
    }
    // The rest of this line would still come, but nobody will be there: half a line is no line.
    if !buffer.held().is_empty() {
        session.refuse(Refusal::Truncated, buffer.held());
    }
}

/// Takes every whole payload out of the buffer.
fn digest(session: &mut Session, frames: &mut Frames, buffer: &mut Buffer, ended: bool) {
    loop {
        let (used, found) = frames.next(buffer.held(), ended);
        let done = match found {
            Found::Payload(payload) => {
                session.take(payload);
                false
            }
            Found::Refused(reason, bytes) => {
                session.refuse(reason, bytes);
                false
            }
            Found::Incomplete => true,
        };
        buffer.used(used);
        if done {
            return;
        }
    }
}

/// Bytes that were read and not used yet, in a buffer of fixed size that is never full while they are not a payload.
#[derive(Debug)]
struct Buffer {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

impl Buffer {
    fn new(capacity: usize) -> Self {
        Self { bytes: vec![0; capacity], start: 0, end: 0 }
    }

    fn held(&self) -> &[u8] {
        self.bytes.get(self.start..self.end).unwrap_or(&[])
    }

    /// Room for the next read.
    fn free(&mut self) -> &mut [u8] {
        if self.start > 0 {
            self.bytes.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        self.bytes.get_mut(self.end..).unwrap_or(&mut [])
    }

    fn filled(&mut self, count: usize) {
        self.end += count;
    }

    fn used(&mut self, count: usize) {
        self.start += count;
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;

    use super::*;
    use crate::ingest::{Config, MAX_FRAME};
    use crate::model::Value;
    use crate::registry::Registry;
    use crate::runtime::ShutdownSender;
    use crate::telemetry::Telemetry;

    /// What the Unix sockets speak.
    const UNIX: Language = Language { json: true, framed: true, ..Language::DOGSTATSD };

    /// Serves these bytes as one connection; the count of `a_total` afterwards.
    async fn counted(bytes: &[u8]) -> f64 {
        let telemetry = Telemetry::new();
        let registry = Registry::new(&crate::registry::Config::default(), &telemetry);
        let shared = Shared::new(&Config::default(), Arc::clone(&registry), &telemetry);
        let (_sender, shutdown) = ShutdownSender::new();
        serve(bytes, &Peer::unknown(), UNIX, &shared, &Arc::new(Log::new()), shutdown).await;
        let families = registry.families();
        let value = families.first().and_then(|family| family.series.first()).map(|series| series.value.clone());
        if let Some(Value::Number(value)) = value { value } else { 0.0 }
    }

    fn payload(size: usize) -> Vec<u8> {
        let mut payload = b"a:1|c|future-".to_vec();
        payload.resize(size, b'x');
        payload
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_is_silent_for_too_long_is_closed() {
        let telemetry = Telemetry::new();
        let registry = Registry::new(&crate::registry::Config::default(), &telemetry);
        let config = Config { idle_timeout: crate::model::PromDuration::from_millis(300), ..Config::default() };
        let shared = Shared::new(&config, Arc::clone(&registry), &telemetry);
        let (_sender, shutdown) = ShutdownSender::new();
        let (mut near, far) = tokio::io::duplex(1024);
        let (log, peer) = (Arc::new(Log::new()), Peer::unknown());
        let sending = async {
            for _ in 0..10 {
                near.write_all(b"a:1|c\n").await.expect("open");
                sleep(Duration::from_millis(200)).await;
            }
            near
        };
        let ((), _still_open) = tokio::join!(serve(far, &peer, Language::default(), &shared, &log, shutdown), sending);
        assert_eq!(shared.metrics.closed.with_label_values(&[metrics::IDLE]).get(), 1);
        assert_eq!(registry.families()[0].series[0].value, Value::Number(10.0));
    }

    #[tokio::test]
    async fn an_open_session_takes_a_new_flush_interval() {
        let telemetry = Telemetry::new();
        let registry = Registry::new(&crate::registry::Config::default(), &telemetry);
        let shared = Shared::new(&Config::default(), registry, &telemetry);
        let mut session = Session::new(&shared, &Peer::unknown(), UNIX, &Arc::new(Log::new()));
        shared.reconfigure(&Config { flush_interval: crate::model::PromDuration::from_secs(3600), ..Config::default() });
        session.take(b"a:1|c");
        session.settle();
        assert!(session.due() > Instant::now() + Duration::from_secs(3000));
    }

    #[tokio::test]
    async fn a_payload_at_the_limit_fits_behind_whatever_came_before() {
        for front in [0, 1, 7, 4096] {
            let line = |size| [payload(size), vec![b'\n']].concat();
            let lines = [vec![b'\n'; front], line(MAX_FRAME), line(MAX_FRAME + 1), line(MAX_FRAME)].concat();
            assert_eq!(counted(&lines).await, 2.0, "{front}");
            let frame = |size: usize| [u32::try_from(size).expect("short").to_le_bytes().to_vec(), payload(size)].concat();
            let frames = [frame(13 + front), frame(MAX_FRAME), frame(MAX_FRAME + 1), frame(MAX_FRAME)].concat();
            assert_eq!(counted(&frames).await, 3.0, "{front}");
        }
    }

    #[test]
    fn a_session_that_remembers_much_is_asked_for_its_room_while_it_is_silent() {
        let telemetry = Telemetry::new();
        let registry = Registry::new(&crate::registry::Config::default(), &telemetry);
        let shared = Shared::new(&Config::default(), registry, &telemetry);
        let mut session = Session::new(&shared, &Peer::unknown(), UNIX, &Arc::new(Log::new()));
        let mut due_in = |count: usize| {
            let lines: Vec<_> = (0..count).map(|route| format!("requests:1|c|#route:/{route}")).collect();
            session.take(lines.join("\n").as_bytes());
            session.flush();
            session.due().duration_since(Instant::now())
        };
        assert!(due_in(1) > Duration::from_secs(3600));
        assert!(due_in(500) <= EXPIRY);
    }
}
