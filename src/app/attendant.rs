//! What goes on each second while the agent lives, also while it reloads: whatever a reload waits for, systemd's watchdog is fed and a
//! request to stop is heard.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::sync::watch;
use tokio::time::{Interval, MissedTickBehavior};

use super::signals::Request;
use super::systemd;
use crate::health::Report;
use crate::runtime::Supervisor;

/// A task that is silent for longer than this keeps the watchdog from being fed.
const SILENCE_MAX: Duration = Duration::from_secs(15);

/// Tells systemd how the agent is.
pub(super) struct Attendant {
    second: Interval,
    supervisor: Supervisor,
    health: watch::Receiver<Arc<Report>>,
    /// What `systemctl status` shows.
    status: String,
}

/// How what was accompanied went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome<T> {
    /// It is done; meanwhile it may have been asked for `again`.
    Done { outcome: T, again: bool },
    /// The agent ends before it is done, by a signal or because of what has failed.
    Ended(Option<String>),
}

impl Attendant {
    /// Has told nothing yet.
    pub(super) fn new(supervisor: Supervisor, health: watch::Receiver<Arc<Report>>) -> Self {
        let mut second = tokio::time::interval(systemd::watchdog_period().unwrap_or(Duration::from_secs(1)).min(Duration::from_secs(1)));
        second.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { second, supervisor, health, status: String::new() }
    }

    /// Waits until it is time and tells. Cancel safe.
    pub(super) async fn tick(&mut self) {
        self.second.tick().await;
        self.tell();
    }

    /// Feeds the watchdog while every task answers, and shows the verdict in `systemctl status`.
    fn tell(&mut self) {
        let silent = self.supervisor.silent(SILENCE_MAX);
        if silent.is_empty() {
            systemd::tell(&[NotifyState::Watchdog]);
        } else {
            tracing::error!(tasks = silent.join(", "), "tasks do not answer; the watchdog is not fed");
        }
        let now = self.health.borrow().line();
        if now != self.status {
            systemd::tell(&[NotifyState::Status(&now)]);
            self.status = now;
        }
    }

    /// Does `work`, which may take its time, while the agent lives on. `request` waits for the next one.
    pub(super) async fn accompany<T>(
        &mut self,
        work: impl Future<Output = T>,
        mut request: impl AsyncFnMut() -> Request,
        mut failed: Pin<&mut impl Future<Output = String>>,
    ) -> Outcome<T> {
        let mut work = pin!(work);
        let mut again = false;
        loop {
            tokio::select! {
                outcome = &mut work => return Outcome::Done { outcome, again },
                request = request() => match request {
                    Request::Reload => again = true,
                    Request::Stop => return Outcome::Ended(None),
                },
                failure = &mut failed => return Outcome::Ended(Some(failure)),
                () = self.tick() => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;
    use crate::telemetry::Telemetry;

    fn attendant() -> Attendant {
        let (_, health) = watch::channel(Arc::default());
        Attendant::new(Supervisor::new(&Telemetry::new()), health)
    }

    #[tokio::test(start_paused = true)]
    async fn a_reload_that_hangs_is_left_when_the_agent_is_to_stop() {
        let mut failed = pin!(pending());
        let mut requests = [Request::Reload, Request::Reload, Request::Stop].into_iter();
        let outcome = attendant().accompany(pending::<()>(), async || requests.next().expect("no more"), failed.as_mut()).await;
        assert_eq!(outcome, Outcome::Ended(None));
        let outcome = attendant().accompany(pending::<()>(), async || pending().await, pin!(ready("x".to_owned()))).await;
        assert_eq!(outcome, Outcome::Ended(Some("x".to_owned())));
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_reload_is_done_again_when_asked_for_meanwhile() {
        let work = || tokio::time::sleep(Duration::from_secs(100));
        let mut failed = pin!(pending());
        let mut first = true;
        let mut request = async || if std::mem::take(&mut first) { Request::Reload } else { pending().await };
        let mut attendant = attendant();
        assert_eq!(attendant.accompany(work(), &mut request, failed.as_mut()).await, Outcome::Done { outcome: (), again: true });
        assert_eq!(attendant.accompany(work(), &mut request, failed.as_mut()).await, Outcome::Done { outcome: (), again: false });
    }
}
