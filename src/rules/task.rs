//! The loop that runs the groups: each at its own slots, on a thread where it may take its time, so that a slow group
//! delays nobody else. It owns all rule state, and publishes a snapshot after evaluations, a few times a second at most.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{Mutex, Semaphore, mpsc, oneshot, watch};

use super::condition::{condition, reading};
use super::config::Config;
use super::group::{Group, Round, World, slot_offset};
use super::load::load;
use super::metrics::{Metrics, alert_counts};
use super::restore::Tolerance;
use super::roster::{Fate, Roster};
use super::rule::{Externals, GroupSpec};
use super::series::Output;
use super::set::RuleSet;
use super::store::{self, Store};
use crate::clock::{self, Moment};
use crate::diagnostic::{Diagnostic, sum_up};
use crate::history::{Append, Query};
use crate::model::{RulesSnapshot, Timestamp};
use crate::promql::Engine;
use crate::runtime::{Board, Panicked, Slot, Stage, TaskContext, TaskResult, Ticker, blocking};
use crate::telemetry::Telemetry;

/// The part of the agent that the rules are on the board.
const PART: &str = "rules";

/// How many groups are evaluated at a time; more wait. Slow ones must not take the threads that sampling and queries need.
const EVALUATIONS_MAX: usize = 8;

/// What the rules say is not shown more often: whoever is told looks through all of it.
const PUBLISHED: Duration = Duration::from_millis(200);

/// Nobody waits longer for rule files to be read. A file system that hangs may take for ever.
const READING: Duration = Duration::from_secs(30);

/// What the rules stand on.
pub struct Needs {
    /// Evaluates expressions over history.
    pub engine: Arc<Engine>,
    /// Takes recorded series and `ALERTS`.
    pub history: Arc<dyn Append>,
    /// Tells of alerts that were pending, where nothing else does.
    pub past: Arc<dyn Query>,
    /// The agent's own folder, or why it has none.
    pub state: Result<PathBuf, String>,
    /// Where the rules' own metrics are made.
    pub telemetry: Arc<Telemetry>,
    /// Where their condition is posted, as the part `rules`, which the agent is not ready without.
    pub board: Board,
    /// What templates may see beside a result.
    pub externals: Externals,
}

/// What a reload did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reloaded {
    /// Files and packs in force.
    pub files: usize,
    /// Their groups.
    pub groups: usize,
    /// Their rules.
    pub rules: usize,
}

/// Why a reload changed nothing.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ReloadError {
    /// Rule files are broken: the running rules stay.
    #[error("{}", sum_up(problems))]
    Broken {
        /// What is wrong with them.
        problems: Vec<Diagnostic>,
    },
    /// A disk takes its time, or a file system hangs.
    #[error("the rule files have not been read within {} s; they are in force as soon as they have been", READING.as_secs())]
    Slow,
    /// The agent is stopping.
    #[error("the rules do not run any more")]
    Stopped,
}

struct Reload {
    /// What is to be in force then; `None`: as it is.
    wanted: Option<(Config, Externals)>,
    /// `None`: it is the first time, and nobody has asked.
    reply: Option<oneshot::Sender<Result<Reloaded, ReloadError>>>,
}

/// Reads the rules and has them reloaded.
#[derive(Clone, Debug)]
pub struct Handle {
    reloads: mpsc::Sender<Reload>,
    snapshots: watch::Receiver<Arc<RulesSnapshot>>,
}

impl Handle {
    /// The rules and alerts as they stand, now and after evaluations, 200 ms later at most.
    #[must_use]
    pub fn snapshots(&self) -> watch::Receiver<Arc<RulesSnapshot>> {
        self.snapshots.clone()
    }

    /// Reads the rule files again, by another configuration where one is given, and runs them if all are valid.
    ///
    /// # Errors
    /// When a file is broken, and then nothing has changed; when reading takes long, and then it goes on; when the rules do not run any
    /// more.
    pub async fn reload(&self, wanted: Option<(Config, Externals)>) -> Result<Reloaded, ReloadError> {
        let (reply, answer) = oneshot::channel();
        let asked = async {
            self.reloads.send(Reload { wanted, reply: Some(reply) }).await.map_err(|_| ReloadError::Stopped)?;
            answer.await.unwrap_or(Err(ReloadError::Stopped))
        };
        tokio::time::timeout(READING, asked).await.unwrap_or(Err(ReloadError::Slow))
    }
}

/// The rules, to be run by [`run`].
#[derive(Clone)]
pub struct Service(Arc<Mutex<State>>);

struct State {
    config: Config,
    world: Arc<World>,
    metrics: Metrics,
    store_metrics: store::Metrics,
    /// The agent's own folder, or why it has none.
    folder: Result<PathBuf, String>,
    board: Board,
    reloads: mpsc::Receiver<Reload>,
    snapshots: watch::Sender<Arc<RulesSnapshot>>,
    load_errors: Vec<String>,
    /// Files that have taken the place of packs, as was said last.
    replaced: Vec<(&'static str, String)>,
}

/// Makes the rules; nothing is read before they run.
#[must_use]
pub fn new(config: Config, needs: Needs) -> (Service, Handle) {
    let (send, reloads) = mpsc::channel(8);
    let (publish, snapshots) = watch::channel(Arc::default());
    needs.board.require(PART);
    let world = World {
        engine: needs.engine,
        history: needs.history,
        externals: needs.externals,
        past: needs.past,
        store: None,
        tolerance: tolerance(&config),
    };
    let state = State {
        config,
        world: Arc::new(world),
        metrics: Metrics::new(&needs.telemetry),
        store_metrics: store::Metrics::new(&needs.telemetry),
        folder: needs.state,
        board: needs.board,
        reloads,
        snapshots: publish,
        load_errors: Vec::new(),
        replaced: Vec::new(),
    };
    (Service(Arc::new(Mutex::new(state))), Handle { reloads: send, snapshots })
}

/// Loads the rules and evaluates them until the agent drains.
///
/// # Errors
/// When reading or writing the state of alerts panics: whatever else goes wrong with a file or a rule is posted, counted and logged.
pub async fn run(service: Service, context: TaskContext) -> TaskResult {
    // Held while it runs: a second start waits until the first has ended.
    let mut state = service.0.lock().await;
    if state.config.persist && state.world.store.is_none() {
        let (folder, metrics, board) = (state.folder.clone(), state.store_metrics.clone(), state.board.clone());
        let store = blocking(move || Store::open(folder, metrics, &board, clock::now())).await?;
        state.world = Arc::new(World { store: Some(Arc::new(store)), ..World::clone(&state.world) });
    }
    let turns = Arc::new(Semaphore::new(EVALUATIONS_MAX));
    let (roster, stops, work) = (Roster::default(), HashMap::new(), FuturesUnordered::new());
    let shown = Shown { at: None, is_due: false, is_counted: true };
    let begun = clock::monotonic();
    Running { state: &mut state, begun, roster, stops, work, turns, reading: None, first: true, tending: false, shown }.run(context).await;
    if let Some(store) = state.world.store.clone() {
        blocking(move || store.close(clock::now())).await?;
    }
    Ok(())
}

/// What the loop waits for.
type Work = BoxFuture<'static, Event>;

enum Event {
    Loaded {
        set: Box<RuleSet>,
        wanted: Box<(Config, Externals)>,
        reply: Option<oneshot::Sender<Result<Reloaded, ReloadError>>>,
    },
    Evaluated {
        group: Box<Group>,
        ticker: Ticker,
        slot: Slot,
        round: Round,
    },
    EvaluationPanicked {
        spec: Arc<GroupSpec>,
        panicked: Panicked,
    },
    Stopped(Box<Group>),
    /// The state of alerts has been looked after.
    Tended,
    /// A removed group's series may end now, at the time when it was removed.
    Ended {
        markers: Vec<Output>,
        at: Timestamp,
    },
}

struct Running<'s> {
    state: &'s mut State,
    begun: Instant,
    roster: Roster,
    /// The turns that groups are in.
    stops: HashMap<String, Turn>,
    work: FuturesUnordered<Work>,
    /// Whose turn it is to be evaluated.
    turns: Arc<Semaphore>,
    /// Since when rule files are being read. One after the other, so that what was read last is in force last.
    reading: Option<Instant>,
    /// No rule files have been loaded yet.
    first: bool,
    /// The state of alerts is being looked after.
    tending: bool,
    shown: Shown,
}

/// What is known of a group's turn while it lasts.
struct Turn {
    /// Asks the group to come to rest.
    stop: watch::Sender<bool>,
    /// The slot that it is in; 0 while it waits for one.
    slot: Arc<AtomicI64>,
    interval_millis: i64,
    /// How many slots were counted as missed while it lasts.
    missed: u64,
    /// How many of those that its slot comes after were counted before.
    counted: u64,
}

impl Turn {
    /// How many slots it has missed since it was last asked.
    fn misses(&mut self, now: Timestamp) -> u64 {
        let slot = self.slot.load(Ordering::Relaxed);
        if slot == 0 {
            return 0;
        }
        // The one after its own is missed when yet another one has begun: till then it may be late, as in Prometheus.
        let passed = now.as_millis().saturating_sub(slot) / self.interval_millis.max(1);
        let missed = u64::try_from(passed - 1).unwrap_or(0);
        let more = missed.saturating_sub(self.missed);
        self.missed += more;
        more
    }
}

/// What others were shown.
struct Shown {
    /// When that was; `None`: nothing yet, for no rule files have been read.
    at: Option<Instant>,
    /// Something has changed since.
    is_due: bool,
    /// There are as many alerts as there were then.
    is_counted: bool,
}

impl Running<'_> {
    async fn run(&mut self, mut context: TaskContext) {
        self.load(Reload { wanted: None, reply: None });
        let mut beat = tokio::time::interval(Duration::from_secs(1));
        loop {
            let due_at = tokio::time::Instant::from_std(self.shown.at.unwrap_or_else(clock::monotonic) + PUBLISHED);
            tokio::select! {
                () = context.shutdown.reached(Stage::Draining) => break,
                _ = beat.tick() => {
                    context.pulse.beat();
                    self.tend();
                    self.look_at_clock();
                }
                () = tokio::time::sleep_until(due_at), if self.shown.is_due => self.publish(),
                Some(reload) = self.state.reloads.recv(), if self.reading.is_none() => self.load(reload),
                Some(event) = self.work.next() => self.handle(event),
            }
        }
        if self.shown.is_due {
            self.publish();
        }
    }

    /// Counts what groups miss while they are evaluated, and says where one has not been evaluated for long.
    fn look_at_clock(&mut self) {
        let now = clock::now();
        for (key, turn) in &mut self.stops {
            self.state.metrics.missed(key, turn.misses(now));
        }
        let snapshot = Arc::clone(&self.state.snapshots.borrow());
        if self.shown.at.is_some() || self.reads_long() {
            self.post(&snapshot);
        }
    }

    /// For how long the loop has run, by a clock that nobody sets.
    fn age(&self) -> Duration {
        clock::monotonic().saturating_duration_since(self.begun)
    }

    /// Rule files are being read for so long that nobody waits for it.
    fn reads_long(&self) -> bool {
        self.reading.is_some_and(|since| clock::monotonic().saturating_duration_since(since) >= READING)
    }

    /// Has the state of alerts looked after, where a disk may take its time.
    fn tend(&mut self) {
        let Some(store) = self.state.world.store.clone().filter(|_| !self.tending) else { return };
        self.tending = true;
        let tending = blocking(move || store.tend(clock::now()));
        self.work.push(tending.map(|_| Event::Tended).boxed());
    }

    /// A group with what is known of its alerts from before.
    fn resume(&self, spec: Arc<GroupSpec>, starting: bool) -> Group {
        let mut group = Group::new(spec);
        let World { store, tolerance, .. } = &*self.state.world;
        match store.as_ref().and_then(|store| store.past(&group.spec().key(), &group.keys())) {
            Some(past) => group.resume(past, clock::now(), *tolerance),
            None if starting => group.ask_history(clock::now(), *tolerance),
            None => {}
        }
        group
    }

    fn load(&mut self, Reload { wanted, reply }: Reload) {
        self.reading = Some(clock::monotonic());
        let wanted = Box::new(wanted.unwrap_or_else(|| (self.state.config.clone(), self.state.world.externals.clone())));
        let work = read(wanted.0.clone(), load).map(|set| Event::Loaded { set: Box::new(set), wanted, reply });
        self.work.push(work.boxed());
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Loaded { set, wanted, reply } => {
                self.reading = None;
                let result = self.loaded(*set, *wanted);
                if let Some(reply) = reply {
                    // Whoever asked may have gone.
                    let _gone = reply.send(result);
                }
            }
            Event::Evaluated { group, ticker, slot, round } => {
                let key = group.spec().key();
                let snapshot = group.snapshot();
                let counted = self.stops.get(&key).map_or(0, |turn| turn.counted);
                self.state.metrics.evaluated(&key, slot.missed.saturating_sub(counted), &round, &snapshot);
                let before = self.roster.update(&key, Arc::clone(&snapshot), self.age());
                let fate = self.roster.fate(&key);
                let is_counted = fate == Fate::Stay && before.is_some_and(|before| alert_counts(&before).eq(alert_counts(&snapshot)));
                match fate {
                    Fate::Stay => self.wait(group, ticker),
                    _ => self.settle(*group),
                }
                self.publish_soon(is_counted);
            }
            Event::EvaluationPanicked { spec, panicked } => {
                tracing::error!(group = spec.key(), %panicked, "a rule group panicked and starts anew");
                let group = self.resume(spec, false);
                self.settle(group);
                self.publish_soon(false);
            }
            Event::Stopped(group) => {
                self.settle(*group);
                self.publish_soon(false);
            }
            Event::Tended => self.tending = false,
            Event::Ended { markers, at } => drop(self.state.world.history.append(at, &markers)),
        }
    }

    /// Puts what was loaded in force: all of it, or at the first time what there is, or nothing.
    fn loaded(&mut self, set: RuleSet, (config, externals): (Config, Externals)) -> Result<Reloaded, ReloadError> {
        let now = clock::now();
        for warning in &set.warnings {
            tracing::warn!("{warning}");
        }
        for problem in &set.problems {
            tracing::error!("{problem}");
        }
        self.state.metrics.loaded(set.problems.len(), now);
        self.state.load_errors = set.problems.iter().map(ToString::to_string).collect();
        let valid = set.problems.is_empty();
        if valid || self.first {
            self.state.world = Arc::new(World { tolerance: tolerance(&config), externals, ..World::clone(&self.state.world) });
            self.state.config = config;
            let starting = self.first;
            self.first = !valid && set.loaded == 0;
            if self.state.replaced != set.replaced {
                for (pack, file) in &set.replaced {
                    tracing::info!(pack, file, "a rule file takes the place of a built-in pack");
                }
                self.state.replaced.clone_from(&set.replaced);
            }
            let world = &self.state.world;
            world.history.need(set.need(world.engine.config()));
            let change = self.roster.reconcile(&set.groups);
            for key in change.stop {
                if let Some(turn) = self.stops.get(&key) {
                    turn.stop.send_replace(true);
                }
            }
            for spec in change.start {
                let group = self.resume(spec, starting);
                self.start(group);
            }
            // What is not there because its file is broken may come back.
            if let Some(store) = self.state.world.store.as_ref().filter(|_| valid) {
                let known: HashSet<String> = set.groups.iter().map(|group| group.key()).collect();
                store.retain(now, |key| known.contains(key));
            }
        }
        self.shown.is_counted = false;
        self.publish();
        if valid {
            tracing::info!(files = set.loaded, groups = set.groups.len(), rules = set.rule_count(), "rules loaded");
            Ok(Reloaded { files: set.loaded, groups: set.groups.len(), rules: set.rule_count() })
        } else {
            Err(ReloadError::Broken { problems: set.problems })
        }
    }

    /// Runs a group from its next slot on.
    fn start(&mut self, group: Group) {
        let spec = group.spec();
        let period = Duration::from_millis(spec.interval_millis.unsigned_abs());
        let ticker = Ticker::new(period, Duration::from_millis(slot_offset(spec)));
        self.state.metrics.started(spec);
        self.roster.put(spec, group.snapshot(), self.age());
        self.wait(Box::new(group), ticker);
    }

    /// Waits for a group's next slot and evaluates it.
    fn wait(&mut self, group: Box<Group>, ticker: Ticker) {
        let (stop, stopped) = watch::channel(false);
        let (key, slot, interval_millis) = (group.spec().key(), Arc::new(AtomicI64::new(0)), group.spec().interval_millis);
        let counted = self.stops.get(&key).map_or(0, |turn| turn.missed);
        self.stops.insert(key, Turn { stop, slot: Arc::clone(&slot), interval_millis, missed: 0, counted });
        self.work.push(turn(group, (ticker, slot), stopped, Arc::clone(&self.turns), Arc::clone(&self.state.world)).boxed());
    }

    /// A group has come to rest: its successor starts, or its series end.
    fn settle(&mut self, group: Group) {
        let key = group.spec().key();
        match self.roster.fate(&key) {
            Fate::Stay => self.start(group),
            Fate::Replace(spec) => self.start(group.succeed(spec)),
            Fate::Remove => {
                self.roster.remove(&key);
                self.stops.remove(&key);
                self.state.metrics.ended(&key);
                let interval = group.spec().interval_millis.unsigned_abs();
                // As all that it wrote: a successor with the same offset goes on where it stopped.
                let at = clock::now().plus_millis(-group.spec().query_offset_millis);
                let markers = group.end();
                // Two intervals later, so that a renamed group has taken its series over: history then refuses the
                // older markers.
                let later = tokio::time::sleep(Duration::from_millis(interval.saturating_mul(2)));
                self.work.push(later.map(move |()| Event::Ended { markers, at }).boxed());
            }
        }
    }

    /// Publishes at once where the last time is a while ago, else when it is. With `is_counted` there are as many alerts as before.
    fn publish_soon(&mut self, is_counted: bool) {
        self.shown.is_due = true;
        self.shown.is_counted &= is_counted;
        if self.shown.at.is_none_or(|at| clock::monotonic().saturating_duration_since(at) >= PUBLISHED) {
            self.publish();
        }
    }

    fn publish(&mut self) {
        let snapshot = Arc::new(self.roster.snapshot(self.state.load_errors.clone()));
        if !self.shown.is_counted {
            self.state.metrics.alerts(&snapshot);
        }
        self.shown = Shown { at: Some(clock::monotonic()), is_due: false, is_counted: true };
        // First, for whoever is woken by the snapshot looks at the board.
        self.post(&snapshot);
        self.state.snapshots.send_replace(snapshot);
    }

    /// Posts on the board how the rules are doing.
    fn post(&self, snapshot: &RulesSnapshot) {
        let now = clock::now();
        let (condition, detail) =
            if self.reads_long() { reading(self.first, READING) } else { condition(snapshot, self.first, self.roster.overdue(self.age())) };
        self.state.board.report(PART, condition, &detail, now);
    }
}

/// One turn of a group: its next slot and its evaluation, or being asked to rest before.
async fn turn(
    group: Box<Group>,
    (mut ticker, begun): (Ticker, Arc<AtomicI64>),
    mut stopped: watch::Receiver<bool>,
    turns: Arc<Semaphore>,
    world: Arc<World>,
) -> Event {
    let slot = tokio::select! {
        biased;
        _ = stopped.wait_for(|stopped| *stopped) => return Event::Stopped(group),
        slot = ticker.tick() => slot,
    };
    begun.store(slot.at.as_millis(), Ordering::Relaxed);
    // Never closed, so there is always a turn to come. It ends with the evaluation, also when nobody waits for that any more.
    let turn = turns.acquire_owned().await;
    let spec = Arc::clone(group.spec());
    let evaluated = blocking(move || {
        let _turn = turn;
        let mut group = group;
        let now = Moment::now();
        world.history.heed(now);
        // The clock may have been set back since the slot began.
        let at = slot.at.min(now.wall);
        if slot.jump_millis != 0 {
            group.clock_jumped(slot.jump_millis, at, world.tolerance);
        }
        let round = group.evaluate(at, &world);
        (group, round)
    });
    match evaluated.await {
        Ok((group, round)) => Event::Evaluated { group, ticker, slot, round },
        Err(panicked) => Event::EvaluationPanicked { spec, panicked },
    }
}

/// Reads rule files where that may take its time. If it panics, that is what is wrong with them.
async fn read(config: Config, load: fn(&Config) -> RuleSet) -> RuleSet {
    let folder = config.folder.as_ref().map_or_else(|| "rules".to_owned(), |folder| folder.display().to_string());
    blocking(move || load(&config)).await.unwrap_or_else(|panicked| {
        let problems = vec![Diagnostic::of_file(&folder, format!("cannot be read: {panicked}"))];
        RuleSet { problems, broken: 1, ..RuleSet::default() }
    })
}

fn tolerance(config: &Config) -> Tolerance {
    Tolerance {
        outage_millis: config.outage_tolerance.as_millis(),
        grace_millis: config.for_grace_period.as_millis(),
        settle_millis: config.settle.as_millis(),
    }
}

#[cfg(test)]
mod tests;
