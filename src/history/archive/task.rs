//! The loop: writes once a minute what has been added, and once more at the end.

use std::sync::Arc;
use std::time::Duration;

use super::keeper::Archive;
use crate::clock;
use crate::runtime::{Stage, TaskContext, TaskResult, blocking};

/// How much time a process that is killed loses at most.
const EVERY: Duration = Duration::from_secs(60);
/// How often the loop shows that it is alive.
const BEAT: Duration = Duration::from_secs(1);

impl Archive {
    /// Runs until the agent stops: nothing is added to history then, since whoever adds has drained.
    ///
    /// # Errors
    /// When saving panics.
    pub async fn run(self: Arc<Self>, mut context: TaskContext) -> TaskResult {
        let mut saved = clock::monotonic();
        loop {
            context.pulse.beat();
            tokio::select! {
                () = tokio::time::sleep(BEAT) => {}
                () = context.shutdown.reached(Stage::Stopping) => break,
            }
            if clock::monotonic().saturating_duration_since(saved) >= EVERY {
                saved = clock::monotonic();
                let saving = blocking({
                    let archive = Arc::clone(&self);
                    move || archive.save(clock::now())
                });
                tokio::pin!(saving);
                loop {
                    tokio::select! {
                        done = &mut saving => {
                            done?;
                            break;
                        }
                        // A disk that hangs is not the loop's fault.
                        () = tokio::time::sleep(BEAT) => context.pulse.beat(),
                    }
                }
            }
        }
        blocking(move || self.save(clock::now())).await?;
        Ok(())
    }
}
