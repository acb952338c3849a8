//! An answer that is made while it is sent: only a piece of it is in memory, and whoever makes it waits for the client.

use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::StatusCode;
use hyper::body::{Body, Frame};

use super::encoding::Gzip;
use super::instruments::Metrics;
use crate::clock;

/// How long an answer has the thread before it is another task's turn. A pause costs a wake-up of another thread, which is
/// more than some pieces cost.
const TURN: Duration = Duration::from_millis(1);

/// What makes the pieces.
pub(super) trait Source: Send {
    /// Appends the next piece to an empty buffer; one to which nothing is appended is the last. It is to take no longer than
    /// other tasks can wait.
    fn make(&mut self, piece: &mut Vec<u8>);
}

/// An answer in pieces.
pub(super) struct Pieces {
    source: Box<dyn Source>,
    gzip: Option<Gzip>,
    spare: Spare,
    turn: Duration,
    /// How much of its turn it has had.
    had: Duration,
    ended: bool,
    answered: Option<Answered>,
    kept: Option<Box<dyn Send>>,
}

impl Pieces {
    pub(super) fn new(source: impl Source + 'static) -> Self {
        Self {
            source: Box::new(source),
            gzip: None,
            spare: Spare::default(),
            turn: TURN,
            had: Duration::ZERO,
            ended: false,
            answered: None,
            kept: None,
        }
    }

    /// Compresses all of it.
    pub(super) fn compress(&mut self) {
        self.gzip = Some(Gzip::default());
    }

    /// Counts the answer at its end.
    pub(super) fn count(&mut self, answered: Answered) {
        self.answered = Some(answered);
    }

    /// Keeps something until all has been made, or until nobody wants the rest.
    pub(super) fn keep(&mut self, kept: impl Send + 'static) {
        self.kept = Some(Box::new(kept));
    }

    /// The next bytes to send; `None` at the end.
    fn next(&mut self) -> Option<Bytes> {
        while !self.ended {
            let mut bytes = self.spare.take();
            if let Some(gzip) = &mut self.gzip {
                self.ended = gzip.pass(|plain| self.source.make(plain), &mut bytes);
            } else {
                self.source.make(&mut bytes);
                self.ended = bytes.is_empty();
            }
            let lent = Lent { bytes, home: self.spare.clone() };
            if !lent.bytes.is_empty() {
                return Some(Bytes::from_owner(lent));
            }
        }
        None
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        // With a client that reads as fast as this writes, no other task would ever have this thread.
        if self.had >= self.turn {
            self.had = Duration::ZERO;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let begun = clock::monotonic();
        let next = self.next();
        let taken = clock::monotonic().duration_since(begun);
        self.had += taken;
        if let Some(answered) = &mut self.answered {
            answered.taken += taken;
        }
        if next.is_none() {
            (self.answered, self.kept) = (None, None);
        }
        Poll::Ready(next.map(|bytes| Ok(Frame::data(bytes))))
    }
}

impl fmt::Debug for Pieces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pieces").field("ended", &self.ended).finish_non_exhaustive()
    }
}

/// An answer that is counted when this goes: when all of it has been made, or when nobody wants the rest.
pub(super) struct Answered {
    pub(super) metrics: Metrics,
    pub(super) handler: &'static str,
    pub(super) status: StatusCode,
    /// How long it has taken to make so far.
    pub(super) taken: Duration,
}

impl Drop for Answered {
    fn drop(&mut self) {
        self.metrics.answered(self.handler, self.status.as_str(), self.taken.as_secs_f64());
    }
}

/// Buffers that have been sent and can be written again. New memory for each would have to be cleared by the kernel first.
#[derive(Clone, Default)]
struct Spare(Arc<Mutex<Vec<Vec<u8>>>>);

impl Spare {
    fn take(&self) -> Vec<u8> {
        self.buffers().pop().unwrap_or_default()
    }

    fn buffers(&self) -> MutexGuard<'_, Vec<Vec<u8>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A buffer on its way to the client.
struct Lent {
    bytes: Vec<u8>,
    home: Spare,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.clear();
        self.home.buffers().push(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Telemetry;
    use http_body_util::BodyExt;

    struct Count(u8);

    impl Source for Count {
        fn make(&mut self, piece: &mut Vec<u8>) {
            if self.0 > 0 {
                piece.resize(100_000, self.0);
                self.0 -= 1;
            }
        }
    }

    fn whole() -> Vec<u8> {
        [3, 2, 1].iter().flat_map(|number| vec![*number; 100_000]).collect()
    }

    #[tokio::test]
    async fn pieces_make_the_whole_and_it_is_counted_at_its_end() {
        let telemetry = Telemetry::new();
        let counted = || telemetry.families().iter().filter(|family| &*family.name == "sidewatch_http_requests_total").count();
        let mut pieces = Pieces::new(Count(3));
        let (metrics, taken) = (Metrics::new(&telemetry), Duration::ZERO);
        pieces.count(Answered { metrics, handler: "/metrics", status: StatusCode::OK, taken });
        let first = pieces.frame().await.expect("a frame").expect("never fails").into_data().expect("data");
        assert_eq!((first.len(), counted()), (100_000, 0));
        let rest = pieces.collect().await.expect("never fails").to_bytes();
        assert_eq!([first, rest].concat(), whole());
        assert_eq!(counted(), 1);
    }

    #[tokio::test]
    async fn compressed_pieces_make_the_whole() {
        let mut pieces = Pieces::new(Count(3));
        pieces.compress();
        let sent = pieces.collect().await.expect("never fails").to_bytes();
        let mut plain = Vec::new();
        std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&*sent), &mut plain).expect("gzip");
        assert!(plain == whole() && sent.len() < 3000, "{}", sent.len());
    }

    #[tokio::test]
    async fn after_its_turn_other_tasks_have_theirs() {
        assert_eq!(turns(Duration::from_nanos(1)).await, ["piece", "pause", "piece", "pause", "piece", "pause"]);
        assert_eq!(turns(Duration::MAX).await, ["piece"; 3]);
    }

    async fn turns(turn: Duration) -> Vec<&'static str> {
        let mut pieces = std::pin::pin!(Pieces { turn, ..Pieces::new(Count(3)) });
        let mut turns = Vec::new();
        std::future::poll_fn(|context| {
            loop {
                turns.push(match pieces.as_mut().poll_frame(context) {
                    Poll::Pending => "pause",
                    Poll::Ready(Some(_)) => "piece",
                    Poll::Ready(None) => return Poll::Ready(()),
                });
            }
        })
        .await;
        turns
    }

    #[test]
    fn a_buffer_that_has_been_sent_is_written_again() {
        let mut pieces = Pieces::new(Count(3));
        let addresses: Vec<_> = std::iter::from_fn(|| pieces.next().map(|bytes| bytes.as_ptr())).collect();
        assert_eq!(addresses, [addresses[0]; 3]);
    }
}
