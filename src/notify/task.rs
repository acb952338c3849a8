//! The loop: looks at the rules after every evaluation, tells each target, and keeps on disk who knows what.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{Mutex, watch};
use tokio::time::MissedTickBehavior;

use super::backoff::Verdict;
use super::config::Config;
use super::journald;
use super::ledger::Ledger;
use super::life::Phase;
use super::metrics::Metrics;
use super::payload::{Manner, Telling};
use super::process;
use super::record::{Id, Record};
use super::sight::Sight;
use super::silence::{Held, SilenceState, Silences};
use super::store::Store;
use super::target::{How, Refusal, Spec, Target, specs};
use crate::clock;
use crate::model::{Condition, RulesSnapshot, Timestamp};
use crate::runtime::{Board, Panicked, Stage, TaskContext, TaskResult, blocking};
use crate::telemetry::{Telemetry, chain};

/// The part of the agent that the notifications' state is on the board; targets are `notify:NAME`.
const PART: &str = "notify";
/// The part that silences are, while there are any.
const SILENCES: &str = "silences";
/// How often it looks for what is due.
const TICK: Duration = Duration::from_millis(250);
/// How long it waits before it tries a disk again that took nothing, and for how long a disk may take what it is given.
const DISK_PAUSE: Duration = Duration::from_secs(10);
/// Where more steps wait for a disk, they are given up, and all of the ledger is written instead.
const UNKEPT_MAX: usize = 4096;
/// How long the last messages may take when the agent stops; what is not told then waits on disk.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// What notifications stand on.
pub struct Needs {
    /// The section `notify`, now and after every reload.
    pub config: watch::Receiver<Arc<Config>>,
    /// The rules and alerts, now and after every evaluation.
    pub rules: watch::Receiver<Arc<RulesSnapshot>>,
    /// Where the metrics are made.
    pub telemetry: Arc<Telemetry>,
    /// Where each target's condition is posted.
    pub board: Board,
    /// Where the state is kept, or why it is not.
    pub store: Result<Store, String>,
    /// What holds the beginnings of alerts back.
    pub silences: Silences,
}

/// The notifications, to be run by [`run`].
#[derive(Clone)]
pub struct Service(Arc<Mutex<State>>);

struct State {
    began: Instant,
    config: watch::Receiver<Arc<Config>>,
    rules: watch::Receiver<Arc<RulesSnapshot>>,
    metrics: Metrics,
    board: Board,
    manner: Manner,
    silences: Silences,
    held: Held,
    ledger: Ledger,
    targets: Vec<Target>,
    /// `None` where there is none, and while it is being written.
    store: Option<Store>,
    /// The state on disk is in the ledger.
    restored: bool,
    /// The rules as they were looked at last; `None` where they have not said anything yet.
    looked_at: Option<Arc<RulesSnapshot>>,
    /// Since when it is being written.
    writing_since: Option<Timestamp>,
    /// Steps of the ledger that are not on disk yet.
    unkept: Vec<Record>,
    /// There were too many of them: all of the ledger is to be written.
    whole: bool,
    /// Why nothing is kept, and since when it has not been tried again.
    memory_alone: Option<(String, Timestamp)>,
    pruned_at: Timestamp,
}

/// Makes the notifications; nothing is read before they run.
#[must_use]
pub fn new(needs: Needs) -> Service {
    let (store, memory_alone) = match needs.store {
        Ok(store) => (Some(store), None),
        Err(why) => (None, Some((why, Timestamp::default()))),
    };
    let state = State {
        began: clock::monotonic(),
        config: needs.config,
        rules: needs.rules,
        metrics: Metrics::new(&needs.telemetry),
        board: needs.board,
        manner: Manner::default(),
        silences: needs.silences,
        held: Held::default(),
        ledger: Ledger::default(),
        targets: Vec::new(),
        store,
        restored: false,
        looked_at: None,
        writing_since: None,
        unkept: Vec::new(),
        whole: false,
        memory_alone,
        pruned_at: Timestamp::default(),
    };
    Service(Arc::new(Mutex::new(state)))
}

/// Tells the targets until the agent drains.
///
/// # Errors
/// Never: whatever goes wrong with a target is posted, counted and logged.
pub async fn run(service: Service, context: TaskContext) -> TaskResult {
    // Held while it runs: a second start waits until the first has ended.
    let mut state = service.0.lock().await;
    state.restore().await;
    if state.store.is_none() && state.memory_alone.is_none() {
        state.memory_alone = Some(("its file was lost in a panic".to_owned(), Timestamp::default()));
    }
    state.writing_since = None;
    state.reconfigure();
    for target in &mut state.targets {
        target.busy = false;
    }
    Running { state: &mut state, work: FuturesUnordered::new() }.run(context).await;
    Ok(())
}

/// What the loop waits for.
type Work = BoxFuture<'static, Event>;

enum Event {
    Answered { target: String, what: Vec<(Id, Phase)>, verdict: Verdict, seconds: f64 },
    Kept(Result<(Store, io::Result<()>), Panicked>),
}

struct Running<'s> {
    state: &'s mut State,
    work: FuturesUnordered<Work>,
}

impl Running<'_> {
    async fn run(&mut self, mut context: TaskContext) {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = context.shutdown.reached(Stage::Draining) => break,
                _ = tick.tick() => {}
                // A source that is gone says nothing new; the tick goes on.
                Ok(()) = self.state.rules.changed() => self.state.look(),
                Ok(()) = self.state.config.changed() => self.state.reconfigure(),
                Some(event) = self.work.next() => self.state.handle(event),
            }
            self.go_on();
            context.pulse.beat();
        }
        self.end().await;
    }

    /// Says what can be said at once, and has the disk know the rest.
    async fn end(&mut self) {
        let last_words = async {
            self.go_on();
            while let Some(event) = self.work.next().await {
                self.state.handle(event);
                self.go_on();
            }
        };
        if tokio::time::timeout(LAST_WORDS, last_words).await.is_err() {
            tracing::warn!("not everything could be told before the end; it waits on disk");
        }
        // A message that is under way is given up; what the disk has to know is not, also where it is still at what came before.
        while self.state.writing_since.is_some() {
            let Some(event) = self.work.next().await else { break };
            self.state.handle(event);
        }
        self.state.keep_now().await;
    }

    /// Starts whatever can be done now.
    fn go_on(&mut self) {
        let at = clock::now();
        self.state.hold_back(at);
        self.state.mind_fallback();
        self.state.tell(at, &self.work);
        self.state.keep(at, &self.work);
        self.state.show(at);
    }
}

impl State {
    /// Brings back what the disk knows.
    async fn restore(&mut self) {
        if self.restored {
            return;
        }
        self.restored = true;
        let Some(store) = self.store.take() else { return };
        match blocking(move || (store.load(), store)).await {
            Ok((Ok((records, damaged)), store)) => {
                self.ledger = Ledger::replay(records);
                self.store = Some(store);
                self.metrics.damaged.inc_by(damaged as u64);
                if damaged > 0 {
                    tracing::warn!(damaged, "records of the notifications' state cannot be read and are left out");
                }
            }
            // What is there is not written over.
            Ok((Err(error), _)) => {
                tracing::error!(%error, "the notifications' state cannot be read");
                self.memory_alone = Some((format!("the state cannot be read: {error}"), Timestamp::default()));
            }
            Err(panicked) => self.memory_alone = Some((chain(&panicked), Timestamp::default())),
        }
    }

    /// Puts the configuration in force.
    fn reconfigure(&mut self) {
        let config = Arc::clone(&self.config.borrow_and_update());
        self.manner = Manner {
            external_labels: config.external_labels.clone().unwrap_or_default(),
            external_url: config.external_url.clone().unwrap_or_default(),
            resend_delay: config.resend_delay.get(),
        };
        self.held.forget();
        let specs = specs(&config);
        let (mut old, mut targets) = (std::mem::take(&mut self.targets), Vec::new());
        for spec in specs {
            // One that is the same stays as it is; also one with other credentials, but it may be tried at once.
            let known = old.iter().position(|target| target.spec.name == spec.name).map(|place| old.remove(place));
            targets.push(match known {
                Some(target) if target.spec == spec => target,
                Some(target) => target.replaced(spec),
                None => Target::new(spec),
            });
        }
        for target in &old {
            self.metrics.ended(&target.spec.name);
            self.board.remove(&part(&target.spec));
            self.board.remove(&refused(&target.spec));
        }
        self.targets = targets;
        for target in &self.targets {
            self.metrics.started(target, config.queue_max);
        }
        self.metrics.discovered(self.targets.iter().filter(|target| target.is_alertmanager()).count());
        let names = |fallback: bool| -> BTreeSet<String> {
            self.targets.iter().filter(|target| !fallback || target.spec.fallback).map(|target| target.spec.name.clone()).collect()
        };
        let steps = self.ledger.target(&names(false), &names(true), clock::now());
        self.remember(steps);
        if self.looked_at.is_some() {
            // Whoever is new knows nothing.
            self.looked_at = Some(Arc::default());
            self.look();
        }
    }

    fn remember(&mut self, steps: Vec<Record>) {
        if self.memory_alone.as_ref().is_none_or(|(_, tried)| *tried != Timestamp::default()) {
            self.unkept.extend(steps);
            if self.unkept.len() > UNKEPT_MAX {
                (self.unkept, self.whole) = (Vec::new(), true);
            }
        }
    }

    /// Looks at the rules.
    fn look(&mut self) {
        let at = clock::now();
        let rules = Arc::clone(&self.rules.borrow_and_update());
        let before = self.looked_at.replace(Arc::clone(&rules));
        if self.targets.is_empty() {
            return;
        }
        let sight = before.map_or_else(|| Sight::of(&rules), |before| Sight::since(&before, &rules));
        let needed = self.needs_fallback();
        let to: Vec<_> =
            self.targets.iter().filter(|target| needed || !target.spec.fallback).map(|target| target.spec.name.clone()).collect();
        let steps = self.ledger.observe(&sight, &to, at);
        self.remember(steps);
        let most = self.config.borrow().queue_max;
        let mut given_up = Vec::new();
        for target in &mut self.targets {
            let steps = self.ledger.bound(&target.spec.name, most, target.under_way());
            let dropped = steps.iter().map(|step| if let Record::Dropped { what, .. } = step { what.len() } else { 0 }).sum();
            if dropped > 0 {
                target.owed = !target.spec.fallback;
                self.metrics.dropped(target, "queue_full", dropped);
                tracing::warn!(target = target.spec.name, dropped, "too many notifications wait; the oldest are given up");
            }
            given_up.extend(steps);
        }
        self.remember(given_up);
    }

    /// Looks at the silences: nobody is told of what has begun and ended under one.
    fn hold_back(&mut self, at: Timestamp) {
        self.held.renew(&self.silences.book(), at);
        let Self { ledger, held, manner, targets, .. } = self;
        let pass_over = |target: &Target| ledger.pass_over(&target.spec.name, target.under_way(), |id, life| held.holds(id, life, manner));
        let steps: Vec<_> = targets.iter().flat_map(pass_over).collect();
        self.remember(steps);
    }

    /// Whether no Alertmanager has been reached for so long that others are told.
    fn needs_fallback(&self) -> bool {
        let (after, now) = (self.config.borrow().fallback_after.get(), self.began.elapsed());
        let mut alertmanagers = self.targets.iter().filter(|target| target.is_alertmanager()).peekable();
        alertmanagers.peek().is_some() && alertmanagers.all(|target| target.failing_for(now).is_some_and(|long| long >= after))
    }

    /// In need, targets that are told only then get what no Alertmanager has.
    fn mind_fallback(&mut self) {
        if !self.targets.iter().any(|target| target.spec.fallback) || !self.needs_fallback() {
            return;
        }
        let (fallback, others): (Vec<_>, Vec<_>) = self.targets.iter().partition(|target| target.spec.fallback);
        let unreachable: Vec<_> = others.iter().filter(|target| target.is_alertmanager()).map(|target| target.spec.name.clone()).collect();
        let steps: Vec<_> = fallback.iter().flat_map(|target| self.ledger.relieve(&target.spec.name, &unreachable)).collect();
        self.remember(steps);
    }

    /// Sends whatever is due.
    fn tell(&mut self, at: Timestamp, work: &FuturesUnordered<Work>) {
        let mut owed = Vec::new();
        let room = self.config.borrow().queue_max.div_ceil(2);
        for target in &mut self.targets {
            if !target.may_try(at) {
                continue;
            }
            let resend = target.is_alertmanager().then_some(self.manner.resend_delay);
            let (held, manner) = (&mut self.held, &self.manner);
            let mut holds = |id, life: &_| held.holds(id, life, manner);
            let mut what = self.ledger.batch(&target.spec.name, at, resend, &mut holds);
            // What still waits is held back.
            if what.is_empty() && target.owed && self.ledger.waiting(&target.spec.name) < room {
                target.owed = false;
                owed.extend(self.ledger.catch_up(&target.spec.name));
                what = self.ledger.batch(&target.spec.name, at, resend, &mut holds);
            }
            if matches!(target.spec.how, How::Webhook(_) | How::Command(..)) {
                let name = |id: &Id| self.ledger.life(*id).and_then(|life| life.key.labels.get("alertname")).unwrap_or_default();
                let first = what.first().map(|(id, _)| name(id)).unwrap_or_default();
                what.retain(|(id, _)| name(id) == first);
            }
            what.truncate(target.batch_max);
            if what.is_empty() {
                target.has_nothing_to_hear();
                continue;
            }
            let tellings: Vec<_> =
                what.iter().filter_map(|(id, phase)| Some(Telling { life: self.ledger.life(*id)?, phase: *phase })).collect();
            let told = deliver(&target.spec, &self.manner, &tellings, at);
            target.begin(what.iter().map(|(id, _)| *id).collect(), at);
            let (name, started) = (target.spec.name.clone(), clock::monotonic());
            let answered = told.map(move |verdict| Event::Answered {
                target: name,
                what,
                verdict,
                seconds: clock::monotonic().duration_since(started).as_secs_f64(),
            });
            work.push(answered.boxed());
        }
        self.remember(owed);
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Answered { target, what, verdict, seconds } => self.answered(&target, &what, verdict, seconds),
            Event::Kept(Ok((store, outcome))) => {
                (self.store, self.writing_since) = (Some(store), None);
                self.memory_alone = outcome.err().map(|error| {
                    self.metrics.store_failures.inc();
                    tracing::error!(%error, "the notifications' state cannot be written");
                    (format!("the state cannot be written: {error}"), clock::now())
                });
            }
            Event::Kept(Err(panicked)) => {
                (self.memory_alone, self.writing_since) = (Some((chain(&panicked), Timestamp::default())), None);
            }
        }
    }

    fn answered(&mut self, name: &str, what: &[(Id, Phase)], verdict: Verdict, seconds: f64) {
        let at = clock::now();
        // A reload may have taken it away.
        let Some(target) = self.targets.iter_mut().find(|target| target.spec.name == name) else { return };
        self.metrics.tried(target, what.len(), seconds, verdict == Verdict::Delivered);
        let is_too_large = matches!(verdict, Verdict::TooLarge(_));
        let steps = match verdict {
            Verdict::Delivered => {
                if target.failing.is_some() {
                    tracing::info!(target = name, "notifications get through again");
                }
                target.took(at);
                self.ledger.told(name, what, at)
            }
            // An Alertmanager takes none of a batch in which it cannot read one.
            Verdict::TooLarge(error) | Verdict::Unreadable(error) if what.len() > 1 && (is_too_large || target.is_alertmanager()) => {
                target.divides(what.len(), at);
                tracing::warn!(target = name, alerts = what.len(), error, "notifications were not taken together; fewer are sent");
                Vec::new()
            }
            Verdict::Refused(error) | Verdict::TooLarge(error) | Verdict::Unreadable(error) => {
                target.refuses(error.clone(), what.len(), at);
                self.metrics.dropped(target, "refused", what.len());
                tracing::error!(target = name, alerts = what.len(), error, "notifications were refused and are not sent again");
                // Of a batch that an Alertmanager calls bad it has taken what is good; and what is told in need would be due again.
                if target.is_alertmanager() || target.spec.fallback {
                    self.ledger.told(name, what, at)
                } else {
                    self.ledger.refused(name, what)
                }
            }
            Verdict::Failed { error, retry_after } => {
                // Once, not at every attempt.
                if target.failing.as_ref().is_none_or(|(_, known)| *known != error) {
                    tracing::warn!(target = name, error, "a notification did not get through; it waits");
                }
                target.failed(at, self.began.elapsed(), error, retry_after);
                Vec::new()
            }
        };
        self.remember(steps);
    }

    /// Has the disk know what has changed.
    fn keep(&mut self, at: Timestamp, work: &FuturesUnordered<Work>) {
        if at.since(self.pruned_at) >= DISK_PAUSE || at < self.pruned_at {
            self.pruned_at = at;
            self.ledger.prune(at);
            self.held.prune(|id| self.ledger.life(id).is_some());
        }
        let paused = self.memory_alone.as_ref().is_some_and(|(_, tried)| at.since(*tried) < DISK_PAUSE && at >= *tried);
        if paused {
            return;
        }
        let Some(store) = self.take_due() else { return };
        self.writing_since = Some(at);
        let write = self.writing(store);
        work.push(write.map(Event::Kept).boxed());
    }

    /// The store, where there is something to write.
    fn take_due(&mut self) -> Option<Store> {
        let due = |store: &mut Store| self.whole || !self.unkept.is_empty() || (store.is_due() && !self.targets.is_empty());
        self.store.take_if(due)
    }

    fn writing(&mut self, mut store: Store) -> impl Future<Output = Result<(Store, io::Result<()>), Panicked>> + Send + 'static {
        let steps = std::mem::take(&mut self.unkept);
        let whole = (std::mem::take(&mut self.whole) || store.is_due()).then(|| self.ledger.records());
        blocking(move || {
            let outcome = match whole {
                Some(records) => store.replace(&records),
                None => store.append(&steps),
            };
            (store, outcome)
        })
    }

    /// The same, and waits for it.
    async fn keep_now(&mut self) {
        let Some(store) = self.take_due() else { return };
        let kept = self.writing(store).await;
        self.handle(Event::Kept(kept));
    }

    /// Posts how every target is doing.
    fn show(&mut self, at: Timestamp) {
        let (ledger, held, manner) = (&self.ledger, &mut self.held, &self.manner);
        let silenced = ledger.firing().filter(|(id, life)| held.holds(*id, life, manner)).count();
        let book = self.silences.book();
        let silences = SilenceState::ALL.map(|state| (state, book.count(state, at)));
        self.metrics.silences(silences, silenced);
        let [active, pending, _] = silences.map(|(_, count)| count);
        match self.silences.fault() {
            Some(why) => self.board.report(SILENCES, Condition::Degraded, &why, at),
            None if active + pending == 0 => self.board.remove(SILENCES),
            None => {
                let detail = format!("{active} active, {pending} pending; {silenced} alerts that fire are silenced");
                self.board.report(SILENCES, Condition::Ok, &detail, at);
            }
        }
        for target in &self.targets {
            let waiting = self.ledger.waiting(&target.spec.name);
            self.metrics.waiting(target, waiting);
            match &target.failing {
                Some((_, error)) => {
                    let detail = format!("{error}; {waiting} notifications wait");
                    self.board.report(&part(&target.spec), Condition::Degraded, &detail, at);
                }
                None => self.board.report(&part(&target.spec), Condition::Ok, "", at),
            }
            match target.refusal(at) {
                Some(Refusal { error, notifications, .. }) => {
                    let detail = format!("{error}; {notifications} notifications were refused");
                    self.board.report(&refused(&target.spec), Condition::Degraded, &detail, at);
                }
                None => self.board.remove(&refused(&target.spec)),
            }
        }
        match &self.memory_alone {
            _ if self.targets.is_empty() => self.board.remove(PART),
            Some((why, _)) => self.board.report(PART, Condition::Degraded, &format!("in memory alone: {why}"), at),
            None if self.writing_since.is_some_and(|since| at.since(since) >= DISK_PAUSE) => {
                self.board.report(PART, Condition::Degraded, "in memory alone: the disk takes too long", at);
            }
            None => self.board.report(PART, Condition::Ok, "", at),
        }
    }
}

fn part(spec: &Spec) -> String {
    format!("{PART}:{}", spec.name)
}

/// Apart from whether a target can be reached: what it refuses holds nothing else back.
fn refused(spec: &Spec) -> String {
    format!("refused:{}", spec.name)
}

/// The message, on its way.
fn deliver(spec: &Spec, manner: &Manner, tellings: &[Telling<'_>], at: Timestamp) -> BoxFuture<'static, Verdict> {
    match &spec.how {
        How::Alertmanager(endpoint) => endpoint.clone().post(manner.alertmanager(tellings, at)).boxed(),
        How::Webhook(endpoint) => endpoint.clone().post(manner.webhook(&spec.name, tellings)).boxed(),
        How::Command(line, timeout) => process::run(line.clone(), *timeout, manner.webhook(&spec.name, tellings)).boxed(),
        How::Journal => {
            let entries: Vec<_> = tellings.iter().map(|telling| journald::entry(&manner.journal(*telling))).collect();
            let written = blocking(move || journald::write(Path::new(journald::SOCKET), &entries));
            written.map(|verdict| verdict.unwrap_or_else(|panicked| Verdict::failed(chain(&panicked)))).boxed()
        }
    }
}

#[cfg(test)]
mod tests;
