//! `info()`: series with the labels of the info series that describe the same target.
//! Source: prometheus/prometheus `promql/info.go`.

use hashbrown::{HashMap, HashSet};

use super::super::ast::{Call, DurationArg, Expr, ExprKind, VectorSelector};
use super::super::eval::Evaluator;
use super::super::eval_error::EvalError;
use super::super::matching::series;
use super::super::naming::Merger;
use super::super::select;
use super::super::value::{ABSENT, Evaluated, Steps, Track};
use super::{Function, argument};
use crate::model::{Labels, METRIC_NAME, MatchOp, Matcher};

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
    let groups = Groups::new(&infos);
    let mut merged = Merger::default();
    for track in &tracks {
        (ev.interrupt)()?;
        if is_info(track) {
            merged.add(track.clone())?;
            continue;
        }
        // The labels to be added may change from step to step.
        let mut parts: HashMap<Labels, Vec<f64>> = HashMap::new();
        let mut order = Vec::new();
        for step in 0..steps.count() {
            let Some(value) = track.at(step) else { continue };
            let Some(labels) = groups.enrich(track, step, &wanted)? else { continue };
            if !parts.contains_key(&labels) {
                ev.hold(steps.count())?;
                order.push(labels.clone());
            }
            let values = parts.entry(labels).or_insert_with(|| vec![ABSENT; steps.count()]);
            if let Some(slot) = values.get_mut(step) {
                *slot = value;
            }
        }
        for labels in order {
            if let Some(values) = parts.remove(&labels) {
                merged.add(Track { labels, values, drop_name: track.drop_name })?;
            }
        }
    }
    ev.release(tracks.len().saturating_add(infos.len()).saturating_mul(steps.count()));
    Ok(Evaluated::Vector(merged.finish()))
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
}

struct Group<'a> {
    name: &'a str,
    members: Vec<&'a Track>,
}

fn target(labels: &Labels) -> Labels {
    labels.filtered(|name| IDENTIFYING.contains(&name))
}

impl<'a> Groups<'a> {
    fn new(infos: &'a [Track]) -> Self {
        let mut by_target: HashMap<Labels, Vec<Group<'a>>> = HashMap::new();
        for track in infos {
            let groups = by_target.entry(target(&track.labels)).or_default();
            let name = track.labels.metric_name();
            match groups.iter_mut().find(|group| group.name == name) {
                Some(group) => group.members.push(track),
                None => groups.push(Group { name, members: vec![track] }),
            }
        }
        Self { by_target }
    }

    /// The labels of a series with those of its info series at a step; nothing where it has none and has to have some.
    fn enrich(&self, track: &Track, step: usize, wanted: &Wanted) -> Result<Option<Labels>, EvalError> {
        let groups = self.by_target.get(&target(&track.labels)).map_or(&[][..], Vec::as_slice);
        let mut added: Vec<(&str, &str)> = Vec::new();
        let mut any = false;
        for group in groups {
            let Some(info) = group.newest(step)? else { continue };
            any = true;
            for (name, value) in info.labels.iter().filter(|(name, _)| *name != METRIC_NAME) {
                if !wanted.labels.is_empty() && !wanted.labels.iter().any(|matcher| matcher.name() == name) {
                    continue;
                }
                match added.iter().find(|(other, _)| *other == name) {
                    Some((_, other)) if *other != value => {
                        return Err(EvalError::InvalidArgument(format!("conflicting label: {name}")));
                    }
                    Some(_) => {}
                    None if track.labels.get(name).is_some() => {}
                    None => added.push((name, value)),
                }
            }
        }
        if !any && wanted.labels.iter().any(|matcher| !matcher.matches("")) {
            return Ok(None);
        }
        let mut builder = track.labels.to_builder();
        for (name, value) in added {
            builder.set(name, value);
        }
        Ok(Some(builder.build()))
    }
}

impl<'a> Group<'a> {
    /// The series whose sample is the newest at a step. Two of one time contradict each other.
    fn newest(&self, step: usize) -> Result<Option<&'a Track>, EvalError> {
        let mut found: Option<(&Track, f64)> = None;
        for track in &self.members {
            let Some(at) = track.at(step) else { continue };
            match found {
                Some((_, newest)) if newest > at => {}
                Some((other, newest)) if newest >= at => {
                    let (one, two) = (series(&other.labels), series(&track.labels));
                    let text = format!("found duplicate series for info metric: existing {one} @ {newest}, new {two} @ {at}");
                    return Err(EvalError::InvalidArgument(text));
                }
                _ => found = Some((track, at)),
            }
        }
        Ok(found.map(|(track, _)| track))
    }
}
