//! A task's children: one for each connection. A panic in a child is logged and counted and ends only that child.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use prometheus::IntCounter;
use tokio::sync::watch;

use super::blocking::panic_message;

/// Where a task spawns its children.
#[derive(Clone, Debug)]
pub struct Scope {
    task: &'static str,
    panics: IntCounter,
    active: Arc<watch::Sender<usize>>,
}

impl Scope {
    pub(super) fn new(task: &'static str, panics: IntCounter) -> Self {
        Self { task, panics, active: Arc::new(watch::Sender::new(0)) }
    }

    /// Runs a child beside the task.
    #[allow(clippy::disallowed_methods)]
    pub fn spawn(&self, child: impl Future<Output = ()> + Send + 'static) {
        let scope = self.clone();
        self.active.send_modify(|active| *active += 1);
        tokio::spawn(async move {
            if let Err(panic) = AssertUnwindSafe(child).catch_unwind().await {
                scope.panics.inc();
                tracing::error!(task = scope.task, panic = panic_message(&*panic), "a child task panicked");
            }
            scope.active.send_modify(|active| *active -= 1);
        });
    }

    /// How many children there are now.
    #[must_use]
    pub fn active(&self) -> usize {
        *self.active.borrow()
    }

    /// Waits until there are none.
    pub async fn finished(&self) {
        let mut active = self.active.subscribe();
        // Cannot fail: this scope holds a sender.
        let _closed = active.wait_for(|active| *active == 0).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panicking_child_is_counted_and_the_others_finish() {
        let panics = IntCounter::new("panics_total", "-").expect("valid");
        let scope = Scope::new("test", panics.clone());
        let (sender, receiver) = tokio::sync::oneshot::channel();
        scope.spawn(async { panic!("on purpose") });
        scope.spawn(async { sender.send(()).expect("the test waits") });
        receiver.await.expect("the other child ran");
        scope.finished().await;
        assert_eq!((panics.get(), scope.active()), (1, 0));
    }
}
