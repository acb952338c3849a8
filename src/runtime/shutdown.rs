//! Shutdown in stages: producers stop and drain first, HTTP stops last, so that it can say "stopping".

use tokio::sync::watch;

/// Where the agent is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// At work.
    Running,
    /// Producers stop, what they hold is merged and evaluated for the last time.
    Draining,
    /// The rest stops too.
    Stopping,
}

/// Tells a task which stage the agent is in.
#[derive(Clone, Debug)]
pub struct Shutdown(watch::Receiver<Stage>);

impl Shutdown {
    /// The stage now.
    #[must_use]
    pub fn stage(&self) -> Stage {
        *self.0.borrow()
    }

    /// Waits until the agent is in this stage or a later one.
    pub async fn reached(&mut self, stage: Stage) {
        // The sender gone means that the agent is gone: every stage is reached.
        let _gone = self.0.wait_for(|now| *now >= stage).await;
    }
}

/// Moves the agent from stage to stage.
#[derive(Debug)]
pub struct ShutdownSender(watch::Sender<Stage>);

impl ShutdownSender {
    /// A running agent.
    #[must_use]
    pub fn new() -> (Self, Shutdown) {
        let (sender, receiver) = watch::channel(Stage::Running);
        (Self(sender), Shutdown(receiver))
    }

    /// Enters a stage; there is no way back.
    pub fn enter(&self, stage: Stage) {
        self.0.send_if_modified(|now| {
            let later = stage > *now;
            *now = (*now).max(stage);
            later
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_later_stage_includes_the_earlier_ones() {
        let (sender, mut shutdown) = ShutdownSender::new();
        sender.enter(Stage::Stopping);
        sender.enter(Stage::Draining);
        shutdown.reached(Stage::Draining).await;
        assert_eq!(shutdown.stage(), Stage::Stopping);
    }

    #[tokio::test]
    async fn a_lost_sender_ends_the_wait() {
        let (sender, mut shutdown) = ShutdownSender::new();
        drop(sender);
        shutdown.reached(Stage::Stopping).await;
    }
}
