//! The same samples in Debian's Prometheus and in the engine, and thousands of expressions made by chance: both say the same.
//!
//! 2.42 closes ranges on both sides and 3.x on the right only, so that no sample ever lies on an edge here. What differs all the
//! same is in the table of `known`, with its cause; everything else fails the test.

mod chance;
mod compare;
mod expressions;
mod known;
mod samples;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sidewatch::history::{self, Append, History};
use sidewatch::model::{Labels, Timestamp};
use sidewatch::promql::{Engine, EngineConfig, When, parse};
use sidewatch::telemetry::Telemetry;

use crate::ONE_IN;
use crate::remote_write::Message;
use crate::stage::Prometheus;
use chance::Chance;
use compare::{Outcome, difference};
use samples::{BEGIN_MS, LENGTH_S, Written};

const EXPRESSIONS: u64 = 5_000;
const SEED: u64 = 4;

#[test]
fn the_engine_answers_what_a_real_prometheus_answers() {
    let written = samples::all();
    let prometheus = Prometheus::receiving();
    // Ten minutes a message, since it takes samples that are up to an hour older than its newest one.
    for begin in (0..LENGTH_S * 1000).step_by(600_000) {
        let mut message = Message::default();
        for series in &written {
            let labels = series.labels.iter().map(|(name, value)| (*name, value.as_str()));
            let times = BEGIN_MS + begin..BEGIN_MS + begin + 600_000;
            message.add(labels, series.samples.iter().copied().filter(|(at, _)| times.contains(at)));
        }
        prometheus.write(&message);
    }
    let engine = engine(&written);
    let seed = std::env::var("SIDEWATCH_SEED").ok().map_or(SEED, |seed| seed.parse().unwrap());
    let mut chance = Chance::new(seed);
    let mut counted = Counted::default();
    for _ in 0..EXPRESSIONS / ONE_IN {
        let expression = expressions::expression(&mut chance);
        let at = expressions::time_ms(&mut chance);
        counted.take(&prometheus, &engine, &expression, When::At(Timestamp::from_millis(at)));
        let (step_millis, steps) = (1000 * (1 + chance.below(90) as i64), 1 + chance.below(30) as i64);
        let end = Timestamp::from_millis(at + step_millis * steps);
        counted.take(&prometheus, &engine, &expression, When::Range { start: Timestamp::from_millis(at), end, step_millis });
    }
    counted.print(seed);
    assert!(counted.unexplained.is_empty(), "{} answers differ for no known cause", counted.unexplained.len());
    let last_digit = counted.known.get(known::LAST_DIGIT).map_or(0, |(count, _)| *count);
    assert!(last_digit <= 2 + counted.queries / known::LAST_DIGIT_ONE_IN, "{last_digit} times: {}", known::LAST_DIGIT);
    // Both would agree on nothing at all as well.
    assert!(counted.with_points * 2 > counted.queries, "{} of {} have an answer", counted.with_points, counted.queries);
}

fn engine(written: &[Written]) -> Engine {
    let mut slots: BTreeMap<i64, Vec<(Labels, f64)>> = BTreeMap::new();
    for series in written {
        let labels = Labels::from_pairs(series.labels.iter().map(|(name, value)| (*name, value.as_str())));
        for (at, value) in &series.samples {
            slots.entry(*at).or_default().push((labels.clone(), *value));
        }
    }
    let history = History::new(&history::Config::default(), &Telemetry::new());
    for (at, samples) in &slots {
        let appended = history.append(Timestamp::from_millis(*at), samples);
        assert_eq!(appended.refused(), 0, "{appended:?}");
    }
    Engine::new(Arc::new(history), EngineConfig::default())
}

#[derive(Default)]
struct Counted {
    queries: u64,
    with_points: u64,
    errors: u64,
    known: BTreeMap<&'static str, (u64, String)>,
    unexplained: Vec<String>,
    ours_took: Duration,
    theirs_took: Duration,
}

impl Counted {
    fn take(&mut self, prometheus: &Prometheus, engine: &Engine, expression: &str, when: When) {
        let seconds = |at: Timestamp| format!("{}.{:03}", at.as_millis() / 1000, at.as_millis() % 1000);
        let begin = Instant::now();
        let (answer, at) = match when {
            When::At(at) => (prometheus.ask("/api/v1/query", &[("query", expression), ("time", &seconds(at))]), at),
            When::Range { start, end, step_millis } => {
                let step = format!("{}", step_millis / 1000);
                let parameters = [("query", expression), ("start", &seconds(start)), ("end", &seconds(end)), ("step", &step)];
                (prometheus.ask("/api/v1/query_range", &parameters), start)
            }
        };
        let theirs = compare::theirs(&answer);
        self.theirs_took += begin.elapsed();
        let begin = Instant::now();
        let ours = match parse(expression) {
            Err(error) => Outcome::Failed(error.to_string()),
            Ok(expr) => compare::ours(engine.evaluate(&expr, when, &|| false), at.as_millis()),
        };
        self.ours_took += begin.elapsed();
        self.queries += 1;
        match &theirs {
            Outcome::Failed(_) => self.errors += 1,
            Outcome::Answered(series) => self.with_points += u64::from(!series.is_empty()),
        }
        let ordered = expression.starts_with("sort") && matches!(when, When::At(_));
        let Some(difference) = difference(&ours, &theirs, ordered) else { return };
        let shown = format!("{expression}\n    {when:?}\n    {}", difference.said);
        match known::cause(expression, &difference) {
            Some(cause) => self.known.entry(cause).or_insert((0, shown)).0 += 1,
            None => self.unexplained.push(shown),
        }
    }

    fn print(&self, seed: u64) {
        let Self { queries, with_points, errors, known, unexplained, ours_took, theirs_took } = self;
        for shown in unexplained.iter().take(40) {
            println!("differs: {shown}");
        }
        println!("seed {seed}: {queries} queries, {with_points} with an answer, {errors} that Prometheus refuses");
        println!("{} differ for no known cause; the others, by their cause:", unexplained.len());
        for (cause, (count, first)) in known {
            println!("{count:6}  {cause}\n        e.g. {first}");
        }
        println!("took {ours_took:?} here, {theirs_took:?} there with its HTTP");
    }
}
