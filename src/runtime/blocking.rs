//! Work that must not hold up the async tasks.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync;

/// Whose turn it is, by name.
static TURNS: Mutex<BTreeMap<String, Arc<sync::Mutex<()>>>> = Mutex::new(BTreeMap::new());

/// The work panicked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the work panicked: {0}")]
pub struct Panicked(pub String);

/// Runs `work` on a thread where it may block.
///
/// # Errors
/// When it panics.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Panicked> {
    tokio::task::spawn_blocking(work).await.map_err(|error| match error.try_into_panic() {
        Ok(panic) => Panicked(panic_message(&*panic).to_owned()),
        Err(error) => Panicked(error.to_string()),
    })
}

/// Runs `work` that may hang for ever on a thread where it may block, one after the other where the `name` is the same: what hangs has one
/// thread, however often it is asked for again. Whoever asks is to have a deadline.
///
/// # Errors
/// When it panics.
pub async fn in_turn<T: Send + 'static>(name: &str, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Panicked> {
    let turn = {
        let mut turns = TURNS.lock().unwrap_or_else(PoisonError::into_inner);
        turns.retain(|_, turn| Arc::strong_count(turn) > 1);
        Arc::clone(turns.entry(name.to_owned()).or_default())
    };
    let turn = turn.lock_owned().await;
    blocking(move || {
        let _turn = turn;
        work()
    })
    .await
}

/// Starts a named thread for work that may hang for ever; nobody waits for it at the end.
///
/// # Errors
/// When the system has no thread to give.
pub fn thread(name: &str, work: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
    std::thread::Builder::new().name(name.to_owned()).spawn(work).map(drop)
}

/// What a panic said.
pub(super) fn panic_message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn what_hangs_has_one_thread_and_holds_up_nobody_else() {
        static STARTED: AtomicUsize = AtomicUsize::new(0);
        let (end, ended) = mpsc::sync_channel::<()>(2);
        let ended = Arc::new(Mutex::new(ended));
        let hang = || {
            let ended = Arc::clone(&ended);
            in_turn("hangs", move || {
                STARTED.fetch_add(1, Ordering::Relaxed);
                ended.lock().unwrap_or_else(PoisonError::into_inner).recv()
            })
        };
        for _ in 0..5 {
            timeout(Duration::from_millis(20), hang()).await.expect_err("it hangs");
        }
        assert_eq!(in_turn("another", || 1).await, Ok(1));
        end.send(()).expect("it waits");
        end.send(()).expect("there is room");
        assert_eq!(hang().await, Ok(Ok(())));
        assert_eq!(STARTED.load(Ordering::Relaxed), 2);
        assert!(in_turn("hangs", || -> u8 { panic!("on purpose") }).await.is_err());
        assert_eq!(in_turn("hangs", || 2).await, Ok(2));
    }

    #[tokio::test]
    async fn a_panic_is_an_error() {
        assert_eq!(blocking(|| 1).await, Ok(1));
        assert_eq!(blocking(|| -> u8 { panic!("on purpose") }).await, Err(Panicked("on purpose".into())));
    }
}
