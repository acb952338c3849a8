//! Work that must not hold up the async tasks.

use std::any::Any;

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
    use super::*;

    #[tokio::test]
    async fn a_panic_is_an_error() {
        assert_eq!(blocking(|| 1).await, Ok(1));
        assert_eq!(blocking(|| -> u8 { panic!("on purpose") }).await, Err(Panicked("on purpose".into())));
    }
}
