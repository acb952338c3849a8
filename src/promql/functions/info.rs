//! `info()`: series with the labels of the info series that describe the same target.
//! Source: prometheus/prometheus `promql/info.go`.

use hashbrown::{HashMap, HashSet};

use super::super::ast::{Call, DurationArg, Expr, ExprKind, VectorSelector};
use super::super::eval::Evaluator;
use super::super::eval_error::EvalError;
use super::super::matching::series;
use super::super::naming::Merger;
use super::super::select;
use super::super::value::{ABSENT, Evaluated, Steps, Track, is_absent};
use super::{Function, argument};
use crate::model::{Labels, METRIC_NAME, MatchOp, Matcher, Sample};

pub(super) const ALL: &[Function] = &[Function::whole("info", info)];

/// The metric whose labels are added unless the second argument names others.
const TARGET_INFO: &str = "target_info";

/// The labels by which series and info series are about the same target.
const IDENTIFYING: [&str; 2] = ["instance", "job"];

fn info(ev: &mut Evaluator<'_>, call: &Call, steps: Steps) -> Result<Evaluated, EvalError> {
    let base = argument(call, 0)?;
    let tracks = ev.vector(base, steps)?;
    let given = call.args.get(1).map(|arg| match &arg.unwrap_parens().kind {
        ExprKind::VectorSelector(selector) => selector.matchers.as_slice(),
        _ => &[],
    });
    let wanted = Wanted::new(given);
    let is_info = |track: &Track| !wanted.names.is_empty() && wanted.names.iter().all(|name| name.matches(track.labels.metric_name()));
    let described: Vec<&Track> = tracks.iter().filter(|track| !is_info(track)).collect();
    let infos = wanted.find(ev, base, &described, steps)?;
    let mut work = Work { interrupt: ev.interrupt, units: 0 };
    let groups = Groups::new(ev, &infos, steps, &mut work)?;
    let mut merged = Merger::default();
    for track in tracks {
        work.add(1)?;
        if is_info(&track) {
            merged.add(track)?;
            continue;
        }
        for part in groups.enrich(ev, &track, &wanted, &mut work)? {
            merged.add(part)?;
        }
        ev.release(steps.count());
    }
    // The info series, and what each group has looked up in them.
    ev.release(infos.len().saturating_add(groups.count).saturating_mul(steps.count()));
    Ok(Evaluated::Vector(merged.finish()))
}

/// Asks now and then whether to go on: it costs more than what is done between.
struct Work<'a> {
    interrupt: &'a dyn Fn() -> Result<(), EvalError>,
    units: usize,
}

impl Work<'_> {
    fn add(&mut self, units: usize) -> Result<(), EvalError> {
        /// Some microseconds.
        const ASK_EACH: usize = 1024;
        self.units = self.units.saturating_add(units);
        if self.units < ASK_EACH {
            return Ok(());
        }
        self.units = 0;
        (self.interrupt)()
    }
}

/// What the second argument asks for.
struct Wanted {
    /// Conditions on the names of info metrics; none where the argument has none.
    names: Vec<Matcher>,
    /// Conditions on the labels to be added. No other label is added if there are any.
    labels: Vec<Matcher>,
}

impl Wanted {
    fn new(given: Option<&[Matcher]>) -> Self {
        match given {
            Some(matchers) => {
                let (names, labels) = matchers.iter().cloned().partition(|matcher| matcher.name() == METRIC_NAME);
                Self { names, labels }
            }
            None => Self { names: target_info().into_iter().collect(), labels: Vec::new() },
        }
    }

    /// The info series of the targets, with the time of the sample that counts at each step.
    fn find(&self, ev: &mut Evaluator<'_>, base: &Expr, described: &[&Track], steps: Steps) -> Result<Vec<Track>, EvalError> {
        let mut matchers: Vec<Matcher> = Vec::new();
        for label in IDENTIFYING {
            let values: HashSet<&str> = described.iter().filter_map(|track| track.labels.get(label)).collect();
            if !values.is_empty() {
                matchers.extend(one_of(label, values));
            }
        }
        if matchers.is_empty() {
            return Ok(Vec::new());
        }
        matchers.extend(self.labels.iter().cloned());
        if self.names.is_empty() {
            matchers.extend(target_info());
        } else {
            matchers.extend(self.names.iter().cloned());
        }
        // They are looked at when what they describe is.
        let mut times: Option<&VectorSelector> = None;
        base.walk(&mut |expr| {
            times = times.or(match &expr.kind {
                ExprKind::VectorSelector(selector) => Some(selector),
                ExprKind::MatrixSelector(matrix) => Some(&matrix.selector),
                _ => None,
            });
        });
        let selector = VectorSelector {
            name: None,
            matchers,
            offset: times.map_or_else(DurationArg::default, |selector| selector.offset.clone()),
            at: times.and_then(|selector| selector.at),
            extension: None,
        };
        select::instant(ev, &selector, steps, |sample| sample.at.as_millis() as f64)
    }
}

fn target_info() -> Option<Matcher> {
    Matcher::new(METRIC_NAME, MatchOp::Equal, TARGET_INFO).ok()
}

/// A condition that a label has one of these values; none where it cannot be written, so that more is looked at than need be.
fn one_of(label: &str, values: HashSet<&str>) -> Option<Matcher> {
    if let [only] = values.iter().collect::<Vec<_>>().as_slice() {
        return Matcher::new(label, MatchOp::Equal, **only).ok();
    }
    let quoted: Vec<String> = values.into_iter().map(regex::escape).collect();
    Matcher::new(label, MatchOp::Regex, quoted.join("|")).or_else(|_| Matcher::new(label, MatchOp::NotEqual, "")).ok()
}

/// Info series by name and target.
struct Groups<'a> {
    by_target: HashMap<Labels, Vec<Group<'a>>>,
    count: usize,
}

struct Group<'a> {
    name: &'a str,
    members: Vec<&'a Track>,
    /// Which of them counts at each step.
    newest: Vec<Newest>,
}

/// Which series of a group has the newest sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Newest {
    Nobody,
    Member(u32),
    /// Two have one of the same time, and contradict each other.
    Several,
}

fn target(labels: &Labels) -> Labels {
    labels.filtered(|name| IDENTIFYING.contains(&name))
}

impl<'a> Groups<'a> {
    fn new(ev: &mut Evaluator<'_>, infos: &'a [Track], steps: Steps, work: &mut Work<'_>) -> Result<Self, EvalError> {
        let mut by_target: HashMap<Labels, Vec<Group<'a>>> = HashMap::new();
        let mut places: HashMap<(Labels, &str), usize> = HashMap::new();
        for track in infos {
            work.add(1)?;
            let target = target(&track.labels);
            let name = track.labels.metric_name();
            let groups = by_target.entry(target.clone()).or_default();
            let place = *places.entry((target, name)).or_insert(groups.len());
            match groups.get_mut(place) {
                Some(group) => group.members.push(track),
                None => groups.push(Group { name, members: vec![track], newest: Vec::new() }),
            }
        }
        for group in by_target.values_mut().flatten() {
            ev.hold(steps.count())?;
            group.look(steps, work)?;
        }
        Ok(Self { by_target, count: places.len() })
    }

    /// A series with the labels of its info series, one for each set of labels that it has over time; without the steps at which it has
    /// no info series and has to have some.
    fn enrich(&self, ev: &mut Evaluator<'_>, track: &Track, wanted: &Wanted, work: &mut Work<'_>) -> Result<Vec<Track>, EvalError> {
        let groups = self.by_target.get(&target(&track.labels)).map_or(&[][..], Vec::as_slice);
        let mut parts: Vec<Track> = Vec::new();
        let mut by_labels: HashMap<Labels, usize> = HashMap::new();
        // Which info series count changes seldom, and only then there are other labels to be built.
        let mut by_choice: HashMap<Vec<Newest>, Option<usize>> = HashMap::new();
        let mut choice = vec![Newest::Nobody; groups.len()];
        let mut place = None;
        for (step, value) in track.values.iter().enumerate().filter(|(_, value)| !is_absent(**value)) {
            work.add(1 + groups.len())?;
            let mut is_known = place.is_some();
            for (group, chosen) in groups.iter().zip(&mut choice) {
                let newest = group.newest.get(step).copied().unwrap_or(Newest::Nobody);
                if newest == Newest::Several {
                    return Err(group.contradiction(step));
                }
                is_known &= *chosen == newest;
                *chosen = newest;
            }
            let part = match place.filter(|_| is_known).or_else(|| by_choice.get(&choice).copied()) {
                Some(part) => part,
                None => {
                    let labels = wanted.enriched(ev, &track.labels, groups, &choice, work)?;
                    let part = labels.map(|labels| {
                        *by_labels.entry(labels).or_insert_with_key(|labels| {
                            parts.push(Track { labels: labels.clone(), values: Vec::new(), drop_name: track.drop_name });
                            parts.len() - 1
                        })
                    });
                    by_choice.insert(choice.clone(), part);
                    part
                }
            };
            place = Some(part);
            let Some(part) = part.and_then(|part| parts.get_mut(part)) else { continue };
            if part.values.is_empty() {
                ev.hold(track.values.len())?;
                part.values.resize(track.values.len(), ABSENT);
            }
            if let Some(slot) = part.values.get_mut(step) {
                *slot = *value;
            }
        }
        Ok(parts)
    }
}

impl Wanted {
    /// The labels of a series with those of the info series that are chosen; nothing where it has none and has to have some.
    fn enriched(
        &self,
        ev: &mut Evaluator<'_>,
        labels: &Labels,
        groups: &[Group<'_>],
        choice: &[Newest],
        work: &mut Work<'_>,
    ) -> Result<Option<Labels>, EvalError> {
        let mut added: HashMap<&str, &str> = HashMap::new();
        let (mut any, mut bytes) = (false, 0_usize);
        for (group, chosen) in groups.iter().zip(choice) {
            let Some(info) = group.member(*chosen) else { continue };
            any = true;
            work.add(info.labels.len())?;
            for (name, value) in info.labels.iter().filter(|(name, _)| *name != METRIC_NAME) {
                if !self.labels.is_empty() && !self.labels.iter().any(|matcher| matcher.name() == name) {
                    continue;
                }
                match added.get(name) {
                    Some(other) if *other != value => return Err(EvalError::InvalidArgument(format!("conflicting label: {name}"))),
                    Some(_) => {}
                    None if labels.get(name).is_some() => {}
                    None => {
                        added.insert(name, value);
                        bytes += name.len() + value.len();
                    }
                }
            }
        }
        if !any && self.labels.iter().any(|matcher| !matcher.matches("")) {
            return Ok(None);
        }
        // Labels take the room of samples.
        ev.hold(bytes / size_of::<Sample>())?;
        let mut builder = labels.to_builder();
        for (name, value) in added {
            builder.set(name, value);
        }
        Ok(Some(builder.build()))
    }
}

impl<'a> Group<'a> {
    fn member(&self, newest: Newest) -> Option<&'a Track> {
        match newest {
            Newest::Member(place) => self.members.get(place as usize).copied(),
            Newest::Nobody | Newest::Several => None,
        }
    }

    /// Sees which series has the newest sample at each step.
    fn look(&mut self, steps: Steps, work: &mut Work<'_>) -> Result<(), EvalError> {
        let mut found = vec![(Newest::Nobody, f64::NEG_INFINITY); steps.count()];
        for (place, track) in (0..).zip(&self.members) {
            work.add(steps.count())?;
            for (found, at) in found.iter_mut().zip(&track.values).filter(|(_, at)| !is_absent(**at)) {
                let (newest, newest_at) = *found;
                found.0 = match newest {
                    Newest::Several => Newest::Several,
                    Newest::Member(_) if newest_at > *at => newest,
                    Newest::Member(_) if newest_at >= *at => Newest::Several,
                    Newest::Member(_) | Newest::Nobody => {
                        found.1 = *at;
                        Newest::Member(place)
                    }
                };
            }
        }
        self.newest = found.into_iter().map(|(newest, _)| newest).collect();
        Ok(())
    }

    /// Two series whose samples are of the same time at a step, and the newest so far.
    fn contradiction(&self, step: usize) -> EvalError {
        let mut found: Option<(&Track, f64)> = None;
        for (track, at) in self.members.iter().filter_map(|track| Some((track, track.at(step)?))) {
            match found {
                Some((_, newest)) if newest > at => {}
                Some((other, newest)) if newest >= at => {
                    let (one, two) = (series(&other.labels), series(&track.labels));
                    let text = format!("found duplicate series for info metric: existing {one} @ {newest}, new {two} @ {at}");
                    return EvalError::InvalidArgument(text);
                }
                _ => found = Some((track, at)),
            }
        }
        EvalError::InvalidArgument(format!("found duplicate series for info metric: {}", self.name))
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::sync::Arc;

    use super::*;
    use crate::history::{self, Append, History};
    use crate::model::{PromDuration, Timestamp};
    use crate::promql::engine::{Engine, EngineConfig, When};
    use crate::promql::parse;
    use crate::promql::value::Value;
    use crate::telemetry::Telemetry;

    const STEPS: i64 = 10_000;

    /// Series of one target with as many info series, of which each names another version a minute.
    fn engine(count: usize, config: EngineConfig) -> Engine {
        let history = History::new(&history::Config::default(), &Telemetry::new());
        for minute in 0..10 {
            let at = Timestamp::from_millis(minute * 60_000);
            let labels = |name: &str, which: &str, value: &str| {
                Labels::from_pairs([("__name__", name), ("instance", "i"), ("job", "j"), (which, value)])
            };
            let series = (0..count).flat_map(|number| {
                let version = labels(&format!("i{number}_info"), &format!("version_{number}"), &minute.to_string());
                [(labels("m", "n", &number.to_string()), 1.0), (version, 1.0)]
            });
            history.append(at, &series.collect::<Vec<_>>());
        }
        Engine::new(Arc::new(history), EngineConfig { experimental: true, lookback: PromDuration::from_millis(59_999), ..config })
    }

    fn ask(engine: &Engine, query: &str, cancelled: &dyn Fn() -> bool) -> Result<Value, EvalError> {
        let (start, end) = (Timestamp::from_millis(0), Timestamp::from_millis(STEPS * 50));
        let answer = engine.evaluate(&parse(query).expect("a query"), When::Range { start, end, step_millis: 50 }, cancelled);
        answer.map(|answer| answer.value)
    }

    #[test]
    fn labels_follow_their_info_series_from_step_to_step() {
        let engine = engine(1, EngineConfig::default());
        let Ok(Value::Matrix(series)) = ask(&engine, r#"info(m, {__name__="i0_info"})"#, &|| false) else { panic!("no matrix") };
        let versions: Vec<_> = series.iter().map(|series| (series.labels.get("version_0").unwrap_or(""), series.samples.len())).collect();
        let [first, others @ .., last] = versions.as_slice() else { panic!("{versions:?}") };
        // A sample counts for just less than a minute: at one step before the next nobody has a value.
        assert_eq!((*first, *last), (("0", 1200), ("8", 401)));
        assert!(others.iter().all(|(_, count)| *count == 1200), "{versions:?}");
    }

    #[test]
    fn it_is_asked_whether_to_go_on_however_few_series_there_are() {
        let engine = engine(30, EngineConfig::default());
        let asked = Cell::new(0);
        let count = |query: &str| {
            asked.set(0);
            ask(&engine, query, &|| {
                asked.set(asked.get() + 1);
                false
            })
            .expect("an answer");
            asked.get()
        };
        let (without, with) = (count(r#"m{n="0"}"#), count(r#"info(m{n="0"}, {__name__=~"i.*_info", version_0=~".*"})"#));
        assert!(with > without + 10_000 * 30 / 1024, "{without} {with}");
    }

    #[test]
    fn what_labels_take_counts_as_samples() {
        let query = r#"info(m, {__name__=~"i.*_info"})"#;
        let ask = |samples_max| {
            let engine = engine(40, EngineConfig { samples_max, ..EngineConfig::default() });
            engine.instant(&parse(query).expect("a query"), Timestamp::from_millis(1000))
        };
        assert!(ask(10_000).is_ok());
        assert!(matches!(ask(1_000), Err(EvalError::TooManySamples { .. })));
    }
}
