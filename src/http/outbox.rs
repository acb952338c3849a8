//! Large answers on their way. Each is a result in memory until its client has read it, so that only some may be on their way at a
//! time. A query has given its turn back by then: slow readers hold up other large answers, for a while, and nothing else.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep_until};

use super::serve::turns;

/// A connection that has been broken off closes at once, but not in no time.
const CLOSING: Duration = Duration::from_secs(1);

/// The places of answers that are on their way.
pub(super) struct Outbox {
    places: Arc<Semaphore>,
    /// For how long an answer may keep its place from another one.
    patience: Duration,
    sending: Sending,
}

type Sending = Arc<Mutex<Vec<Sent>>>;

/// An answer that is being sent, the one that began first in front.
struct Sent {
    since: Instant,
    connection: Arc<Notify>,
}

/// A place that an answer has until all of it is made, or nobody wants the rest.
pub(super) struct Place {
    _permit: OwnedSemaphorePermit,
    connection: Arc<Notify>,
    sending: Sending,
}

impl Outbox {
    pub(super) fn new(places: usize, patience: Duration) -> Self {
        Self { places: turns(places), patience, sending: Sending::default() }
    }

    /// Waits for a place for an answer on this connection. An answer that has had its place for longer than patience lasts is broken
    /// off: its connection is notified.
    pub(super) async fn place(&self, connection: Arc<Notify>) -> Place {
        let mut room = std::pin::pin!(Arc::clone(&self.places).acquire_owned());
        let mut earliest = Instant::now();
        let permit = loop {
            let oldest = lock(&self.sending).first().map(|sent| sent.since + self.patience);
            let due = oldest.unwrap_or(earliest + CLOSING).max(earliest);
            tokio::select! {
                biased;
                // Never closed, so it is only ever a permit.
                Ok(permit) = room.as_mut() => break permit,
                () = sleep_until(due) => self.break_off(due),
            }
            earliest = due + CLOSING;
        };
        lock(&self.sending).push(Sent { since: Instant::now(), connection: Arc::clone(&connection) });
        Place { _permit: permit, connection, sending: Arc::clone(&self.sending) }
    }

    fn break_off(&self, now: Instant) {
        let mut sending = lock(&self.sending);
        if sending.first().is_some_and(|sent| sent.since + self.patience <= now) {
            sending.remove(0).connection.notify_one();
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // A connection sends one answer at a time.
        lock(&self.sending).retain(|sent| !Arc::ptr_eq(&sent.connection, &self.connection));
    }
}

fn lock(sending: &Mutex<Vec<Sent>>) -> MutexGuard<'_, Vec<Sent>> {
    sending.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::timeout;

    const PATIENCE: Duration = Duration::from_secs(10);

    /// A connection that gives its place up when it is broken off, and how long it kept it.
    async fn obey(place: Place) -> Duration {
        let begun = Instant::now();
        place.connection.notified().await;
        begun.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn a_place_is_kept_while_nobody_else_wants_it() {
        let outbox = Outbox::new(2, PATIENCE);
        let first = outbox.place(Arc::default()).await;
        let connection = Arc::clone(&first.connection);
        assert!(timeout(Duration::from_secs(3600), connection.notified()).await.is_err());
        timeout(Duration::ZERO, outbox.place(Arc::default())).await.expect("there are two places");
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_began_first_is_broken_off_for_each_who_waits() {
        let outbox = Outbox::new(2, PATIENCE);
        let first = outbox.place(Arc::default()).await;
        tokio::time::sleep(Duration::from_secs(4)).await;
        let second = outbox.place(Arc::default()).await;
        let begun = Instant::now();
        let waiting = async {
            let (third, fourth) = tokio::join!(outbox.place(Arc::default()), outbox.place(Arc::default()));
            (begun.elapsed(), third, fourth)
        };
        let (first, second, (waited, ..)) = tokio::join!(obey(first), obey(second), waiting);
        assert_eq!([first, second, waited].map(|duration| duration.as_secs()), [6, 10, 10]);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_is_broken_off_for_a_place_that_is_free_again() {
        let outbox = Outbox::new(1, PATIENCE);
        let connection = Arc::new(Notify::new());
        let first = outbox.place(Arc::clone(&connection)).await;
        let leaving = async {
            tokio::time::sleep(PATIENCE / 2).await;
            drop(first);
        };
        let (second, ()) = tokio::join!(outbox.place(Arc::clone(&connection)), leaving);
        assert!(timeout(PATIENCE * 3, connection.notified()).await.is_err());
        assert_eq!(lock(&outbox.sending).len(), 1);
        drop(second);
        assert!(lock(&outbox.sending).is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_closes_late_is_not_made_up_for_by_another() {
        let outbox = Outbox::new(2, PATIENCE);
        let [first, second] = [outbox.place(Arc::default()).await, outbox.place(Arc::default()).await];
        tokio::time::sleep(PATIENCE).await;
        let late = async {
            first.connection.notified().await;
            tokio::time::sleep(CLOSING / 2).await;
            drop(first);
        };
        let (third, ()) = tokio::join!(outbox.place(Arc::default()), late);
        assert!(timeout(Duration::from_secs(3600), second.connection.notified()).await.is_err());
        drop(third);
    }
}
