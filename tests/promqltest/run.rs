//! Runs a test file against the engine over a real history.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sidewatch::history::{self, Append, History, Query, QueryError, Visit};
use sidewatch::model::{Labels, METRIC_NAME, Matcher, PromDuration, Timestamp};
use sidewatch::promql::{self, Answer, Engine, EngineConfig, EvalError, Expr, Slot, Value};
use sidewatch::telemetry::Telemetry;

use super::compare;
use super::rerun;
use super::script::{Case, Command, Expected, Load, Script, Text, When};

/// What became of a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The answer is the expected one.
    Passed,
    /// It is not, and why.
    Failed(String),
    /// The case is about native histograms, or about something that the engine says it lacks.
    Unsupported(String),
}

/// How many cases ended how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    pub(crate) unsupported: usize,
}

impl Tally {
    pub(crate) fn count(&mut self, outcome: &Outcome) {
        match outcome {
            Outcome::Passed => self.passed += 1,
            Outcome::Failed(_) => self.failed += 1,
            Outcome::Unsupported(_) => self.unsupported += 1,
        }
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.unsupported += other.unsupported;
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} passed, {} failed, {} unsupported", self.passed, self.failed, self.unsupported)
    }
}

/// Runs all cases of a file and hands each to `report` with its line and query.
pub(crate) fn run(script: &Script, report: &mut dyn FnMut(usize, &str, &Outcome)) -> Tally {
    let mut tally = Tally::default();
    let mut storage = Storage::default();
    for command in &script.commands {
        match command {
            Command::Clear => storage = Storage::default(),
            Command::Load(load) => storage.load(load),
            Command::Eval(case) => {
                let outcome = evaluate(case, &mut storage);
                tally.count(&outcome);
                report(case.line, &case.expr, &outcome);
            }
        }
    }
    tally
}

/// What has been loaded, by time.
type Samples = BTreeMap<i64, Vec<(Labels, f64)>>;

#[derive(Default)]
struct Storage {
    floats: Samples,
    /// Where native histograms would be.
    natives: Samples,
    /// Where samples say since when they count.
    started: Samples,
    engine: Option<(Engine, Arc<Source>)>,
}

impl Storage {
    fn load(&mut self, load: &Load) {
        self.engine = None;
        // Of a series that is written twice in one load, the last line counts.
        let series: BTreeMap<&Labels, &Vec<Slot>> = load.series.iter().map(|(labels, values)| (labels, values)).collect();
        for (labels, values) in series {
            let name = labels.metric_name();
            let base = ["_bucket", "_count", "_sum"].iter().find_map(|ending| name.strip_suffix(ending)).filter(|_| load.with_nhcb);
            let custom = base.map(|base| labels.with(METRIC_NAME, base).without("le"));
            for (value, at) in values.iter().zip((0..).map(|place| place * load.step)) {
                match value {
                    Slot::Gap => continue,
                    Slot::Float(value) => self.floats.entry(at).or_default().push((labels.clone(), *value)),
                    Slot::Native => self.natives.entry(at).or_default().push((labels.clone(), 0.0)),
                }
                self.natives.entry(at).or_default().extend(custom.clone().map(|labels| (labels, 0.0)));
                if load.started.contains(labels) {
                    self.started.entry(at).or_default().push((labels.clone(), 0.0));
                }
            }
        }
    }

    /// The engine with the options of upstream's own run.
    fn engine(&mut self) -> &(Engine, Arc<Source>) {
        self.engine.get_or_insert_with(|| {
            let source = Arc::new(Source {
                floats: history(&self.floats),
                natives: history(&self.natives),
                started: history(&self.started),
                met_native: AtomicBool::new(false),
                met_started: AtomicBool::new(false),
            });
            let config = EngineConfig { delayed_name_removal: true, experimental: true, ..EngineConfig::default() };
            (Engine::new(Arc::clone(&source) as Arc<dyn Query>, config), source)
        })
    }
}

fn history(samples: &Samples) -> History {
    let unlimited = history::Config {
        retention: PromDuration::from_millis(u64::MAX),
        bytes_max: usize::MAX / 2,
        series_max: 1_000_000,
        ..history::Config::default()
    };
    let history = History::new(&unlimited, &Telemetry::new());
    for (at, samples) in samples {
        history.append(Timestamp::from_millis(*at), samples);
    }
    history
}

/// A history of floats that notices when somebody asks for what would be a native histogram or have a start timestamp.
struct Source {
    floats: History,
    natives: History,
    started: History,
    met_native: AtomicBool,
    met_started: AtomicBool,
}

impl Source {
    /// Whether that was so since the last time this was asked.
    fn has_met_native(&self) -> bool {
        self.met_native.swap(false, Ordering::Relaxed)
    }
}

impl Query for Source {
    fn visit(&self, matchers: &[Matcher], after: Timestamp, until: Timestamp, visit: Visit<'_>) -> Result<(), QueryError> {
        if !self.natives.series(matchers, after, until)?.is_empty() {
            self.met_native.store(true, Ordering::Relaxed);
        }
        if !self.started.series(matchers, after, until)?.is_empty() {
            self.met_started.store(true, Ordering::Relaxed);
        }
        self.floats.visit(matchers, after, until, visit)
    }

    fn series(&self, matchers: &[Matcher], after: Timestamp, until: Timestamp) -> Result<Vec<Labels>, QueryError> {
        self.floats.series(matchers, after, until)
    }

    fn label_names(&self, matchers: &[Matcher], after: Timestamp, until: Timestamp) -> Result<Vec<String>, QueryError> {
        self.floats.label_names(matchers, after, until)
    }

    fn label_values(&self, name: &str, matchers: &[Matcher], after: Timestamp, until: Timestamp) -> Result<Vec<String>, QueryError> {
        self.floats.label_values(name, matchers, after, until)
    }
}

fn evaluate(case: &Case, storage: &mut Storage) -> Outcome {
    if matches!(&case.expected, Expected::Series(series) if series.iter().any(|(_, slots)| slots.contains(&Slot::Native))) {
        return Outcome::Unsupported("native histograms".to_owned());
    }
    let expr = match promql::parse(&case.expr) {
        Ok(expr) => expr,
        Err(error) if case.fail.as_ref().is_some_and(|fail| fail.holds(&error.message)) => return Outcome::Passed,
        Err(error) => return Outcome::Failed(error.to_string()),
    };
    let outcome = match case.when {
        When::Instant { at } => instant(case, storage.engine(), &expr, at),
        When::Range { from, to, step } => {
            let (engine, source) = storage.engine();
            let answer = engine.range(&expr, Timestamp::from_millis(from), Timestamp::from_millis(to), step);
            if source.has_met_native() { Err(without_natives()) } else { check(case, answer).map(drop) }
        }
    };
    // Most queries do not care since when a sample counts.
    let met_started = storage.engine().1.met_started.swap(false, Ordering::Relaxed);
    match outcome {
        Err(Outcome::Failed(_)) if met_started => Outcome::Unsupported("start timestamps".to_owned()),
        outcome => outcome.err().unwrap_or(Outcome::Passed),
    }
}

fn without_natives() -> Outcome {
    Outcome::Unsupported("native histograms".to_owned())
}

/// Evaluates a case at its time, then again in other ways that have to give the same. Where only such another way meets
/// native histograms, it is left out.
fn instant(case: &Case, subject: &(Engine, Arc<Source>), expr: &Expr, at: i64) -> Result<(), Outcome> {
    if !at_once(case, subject, expr, at)? {
        return Err(without_natives());
    }
    let Some((pinned, times)) = rerun::pinned(expr, at) else { return Ok(()) };
    for time in times {
        at_once(case, subject, &pinned, time).map_err(|outcome| match outcome {
            Outcome::Failed(why) => Outcome::Failed(format!("pinned by @ and asked at {time} ms: {why}")),
            other => other,
        })?;
    }
    Ok(())
}

/// Evaluates an expression at a time, and over a range around it. False where that met native histograms.
fn at_once(case: &Case, (engine, source): &(Engine, Arc<Source>), expr: &Expr, at: i64) -> Result<bool, Outcome> {
    let answer = engine.instant(expr, Timestamp::from_millis(at));
    if source.has_met_native() {
        return Ok(false);
    }
    let Some(value) = check(case, answer)? else { return Ok(true) };
    if matches!(value, Value::String(_) | Value::Matrix(_)) || !rerun::has_range(&case.expr) {
        return Ok(true);
    }
    let (start, end) = (Timestamp::from_millis(at - 60_000), Timestamp::from_millis(at + 60_000));
    let range = engine.range(expr, start, end, 60_000);
    // Other steps than the middle one may fail for natives' sake, or not be in order.
    if source.has_met_native() || case.ordered {
        return Ok(true);
    }
    let same = range.map_err(|error| error.to_string()).and_then(|range| rerun::step(&range.value, at, &value));
    same.and_then(|value| compare::value(case, &value)).map_err(|why| Outcome::Failed(format!("as a step of a range: {why}")))?;
    Ok(true)
}

/// Compares an answer or an error with what is expected; gives the value where there should be one.
fn check(case: &Case, answer: Result<Answer, EvalError>) -> Result<Option<Value>, Outcome> {
    match (answer, &case.fail) {
        (Err(EvalError::Unsupported(what)), _) => Err(Outcome::Unsupported(what)),
        (Err(error), Some(fail)) if fail.holds(&error.to_string()) => Ok(None),
        (Err(error), Some(fail)) => Err(Outcome::Failed(format!("expected the error {fail:?}, got {error}"))),
        (Err(error), None) => Err(Outcome::Failed(error.to_string())),
        (Ok(answer), Some(_)) => Err(Outcome::Failed(format!("expected an error, got {:?}", answer.value))),
        (Ok(answer), None) => compare::value(case, &answer.value)
            .and_then(|()| texts("warning", &case.warnings, case.no_warnings, &answer.warnings))
            .and_then(|()| texts("info", &case.infos, case.no_infos, &answer.infos))
            .map(|()| Some(answer.value))
            .map_err(Outcome::Failed),
    }
}

/// Where any is expected, each has to be there and nothing else.
fn texts(kind: &str, expected: &[Text], none: bool, got: &[String]) -> Result<(), String> {
    if none && !got.is_empty() {
        return Err(format!("expected no {kind}, got {got:?}"));
    }
    if expected.is_empty() {
        return Ok(());
    }
    let missing = expected.iter().find(|expected| !got.iter().any(|got| expected.holds(got)));
    let surplus = got.iter().find(|got| !expected.iter().any(|expected| expected.holds(got)));
    match (missing, surplus) {
        (None, None) => Ok(()),
        _ => Err(format!("expected the {kind} {expected:?}, got {got:?}")),
    }
}
