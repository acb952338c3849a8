//! The loop: looks every second whether all series should be saved, and how the disk does; at the end saves them once more.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use super::keeper::Journal;
use crate::clock;
use crate::runtime::{Panicked, Stage, TaskContext, TaskResult, blocking};

const LOOK: Duration = Duration::from_secs(1);

/// An attempt to save all series that goes on beside the loop.
type Saving = Pin<Box<dyn Future<Output = Result<(), Panicked>> + Send>>;

impl Journal {
    /// Runs until the agent stops: nothing happens to series any more then, since whoever changes them has drained.
    ///
    /// # Errors
    /// When saving panics.
    pub async fn run(self: Arc<Self>, mut context: TaskContext) -> TaskResult {
        let mut saving: Option<Saving> = None;
        loop {
            context.pulse.beat();
            self.report("", clock::now());
            if saving.is_none() && self.is_due() {
                saving = Some(self.saving(false));
            }
            tokio::select! {
                saved = async { match &mut saving { Some(saving) => saving.await, None => std::future::pending().await } } => {
                    saving = None;
                    saved?;
                }
                () = tokio::time::sleep(LOOK) => {}
                () = context.shutdown.reached(Stage::Stopping) => break,
            }
        }
        if let Some(saving) = saving {
            saving.await?;
        }
        self.saving(true).await?;
        self.close();
        Ok(())
    }

    fn saving(self: &Arc<Self>, last: bool) -> Saving {
        let journal = Arc::clone(self);
        Box::pin(blocking(move || journal.save(last)))
    }
}
