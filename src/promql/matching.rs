//! Vector matching: which series of two vectors meet, and what becomes of them.

use std::rc::Rc;

use hashbrown::HashMap;

use crate::model::{Labels, METRIC_NAME};

use super::ast::{BinaryOp, Cardinality, Fill, VectorMatching};
use super::binary::{Outcome, apply, result_labels};
use super::eval::Evaluator;
use super::eval_error::EvalError;
use super::naming::Merger;
use super::quote::quote;
use super::span::Span;
use super::value::{ABSENT, Track, is_absent};

/// The labels by which a series looks for its partners.
fn signature(labels: &Labels, matching: &VectorMatching) -> Labels {
    let listed = |name: &str| matching.labels.iter().any(|label| label == name);
    labels.filtered(|name| if matching.on { listed(name) } else { name != METRIC_NAME && !listed(name) })
}

/// Series with one signature.
#[derive(Default)]
struct Group<'a> {
    signature: Labels,
    left: Vec<&'a Track>,
    right: Vec<&'a Track>,
}

/// Groups in order of their first series.
fn groups<'a>(left: &'a [Track], right: &'a [Track], matching: &VectorMatching) -> Vec<Group<'a>> {
    let mut groups: Vec<Group<'a>> = Vec::new();
    let mut places: HashMap<Labels, usize> = HashMap::new();
    let sides = left.iter().map(|track| (track, true)).chain(right.iter().map(|track| (track, false)));
    for (track, is_left) in sides {
        let signature = signature(&track.labels, matching);
        let place = *places.entry(signature.clone()).or_insert_with(|| {
            groups.push(Group { signature, ..Group::default() });
            groups.len() - 1
        });
        if let Some(group) = groups.get_mut(place) {
            if is_left { group.left.push(track) } else { group.right.push(track) }
        }
    }
    groups
}

/// `and`, `or`, `unless`.
pub(super) fn set_operation(
    ev: &Evaluator<'_>,
    op: BinaryOp,
    left: Vec<Track>,
    right: Vec<Track>,
    matching: &VectorMatching,
) -> Result<Vec<Track>, EvalError> {
    let steps = left.first().or(right.first()).map_or(0, |track| track.values.len());
    // At which steps each signature is there, on the side that decides.
    let deciding = if op == BinaryOp::Or { &left } else { &right };
    let mut present: HashMap<Labels, Vec<bool>> = HashMap::new();
    for track in deciding {
        (ev.interrupt)()?;
        let steps = present.entry(signature(&track.labels, matching)).or_insert_with(|| vec![false; steps]);
        steps.iter_mut().zip(&track.values).for_each(|(present, value)| *present |= !is_absent(*value));
    }
    let keep = |mut track: Track, wanted: bool| {
        let decided = present.get(&signature(&track.labels, matching));
        for (step, value) in track.values.iter_mut().enumerate() {
            let is_there = decided.and_then(|steps| steps.get(step)).copied().unwrap_or(false);
            if is_there != wanted {
                *value = ABSENT;
            }
        }
        Some(track).filter(Track::is_present)
    };
    match op {
        BinaryOp::And => Ok(left.into_iter().filter_map(|track| keep(track, true)).collect()),
        BinaryOp::Unless => Ok(left.into_iter().filter_map(|track| keep(track, false)).collect()),
        _ => {
            let added: Vec<Track> = right.into_iter().filter_map(|track| keep(track, false)).collect();
            let mut merged = Merger::default();
            for track in left.into_iter().chain(added) {
                merged.add(track)?;
            }
            Ok(merged.finish())
        }
    }
}

/// An operator that is no set operator, as written.
#[derive(Clone, Copy)]
pub(super) struct Operation {
    pub(super) op: BinaryOp,
    pub(super) return_bool: bool,
    pub(super) span: Span,
}

/// Arithmetic and comparison between two vectors.
pub(super) fn operation(
    ev: &mut Evaluator<'_>,
    operation: Operation,
    left: &[Track],
    right: &[Track],
    matching: &VectorMatching,
) -> Result<Vec<Track>, EvalError> {
    let steps = left.first().or(right.first()).map_or(0, |track| track.values.len());
    let delayed = ev.config.delayed_name_removal;
    let met = met(left, right, matching, steps);
    let mut joiner = Joiner { operation, matching, steps, met, delayed, incompatible: false };
    let mut merged = Merger::default();
    for group in groups(left, right, matching) {
        (ev.interrupt)()?;
        for track in joiner.join(&group)? {
            merged.add(track)?;
        }
    }
    if joiner.incompatible {
        ev.annotations.incompatible_floats(operation.op.as_str(), operation.span);
    }
    let tracks = merged.finish();
    ev.hold(tracks.len().saturating_mul(steps))?;
    ev.release((left.len() + right.len()).saturating_mul(steps));
    Ok(tracks)
}

/// The steps at which there is anything to be matched: something on both sides, or on one if the other can be filled.
/// At the others Prometheus does not look for duplicates either.
fn met(left: &[Track], right: &[Track], matching: &VectorMatching, steps: usize) -> Rc<[usize]> {
    let present = |side: &[Track]| {
        let mut present = vec![false; steps];
        for track in side {
            present.iter_mut().zip(&track.values).for_each(|(present, value)| *present |= !is_absent(*value));
        }
        present
    };
    let fills = matching.fill != Fill::default();
    let sides = present(left).into_iter().zip(present(right)).enumerate();
    sides.filter(|(_, (left, right))| (*left && *right) || (fills && (*left || *right))).map(|(step, _)| step).collect()
}

/// Applies an operator within a group.
struct Joiner<'a> {
    operation: Operation,
    matching: &'a VectorMatching,
    steps: usize,
    met: Rc<[usize]>,
    delayed: bool,
    incompatible: bool,
}

/// A result under construction, of one pair of series; two pairs may make one series.
struct Joined {
    track: Track,
    /// The step after the last one at which a pair met, whether or not a value came of it.
    met: usize,
}

impl Joiner<'_> {
    fn join(&mut self, group: &Group<'_>) -> Result<Vec<Track>, EvalError> {
        // What follows speaks of the side that may have many and the side that has one.
        let swapped = self.matching.cardinality == Cardinality::OneToMany;
        let (many, one) = if swapped { (&group.right, &group.left) } else { (&group.left, &group.right) };
        let fill = self.matching.fill;
        let (fill_many, fill_one) = if swapped { (fill.right, fill.left) } else { (fill.left, fill.right) };
        if (many.is_empty() && fill_many.is_none()) || (one.is_empty() && fill_one.is_none()) {
            // Prometheus refuses duplicates on the "one" side whether or not anybody meets them.
            self.refuse_duplicates(group, one, swapped)?;
            return Ok(Vec::new());
        }
        let mut results: Vec<Joined> = Vec::new();
        let mut by_labels: HashMap<Labels, usize> = HashMap::new();
        let mut pairs: HashMap<(usize, usize), usize> = HashMap::new();
        let met = Rc::clone(&self.met);
        for step in met.iter().copied() {
            let partner = self.partner(group, one, swapped, step)?;
            let mut alone = true;
            for (place, track) in many.iter().enumerate() {
                let Some(value) = track.at(step) else { continue };
                let (other, other_value) = match (partner, fill_one) {
                    (Some((other, value)), _) => (Some(other), value),
                    (None, Some(fill)) => (None, fill),
                    (None, None) => continue,
                };
                if self.matching.cardinality == Cardinality::OneToOne && !alone {
                    return Err(EvalError::ImplicitManyToOne);
                }
                alone = false;
                let pair = (place, other.unwrap_or(usize::MAX));
                let result = *pairs.entry(pair).or_insert_with(|| {
                    let other = other.and_then(|other| one.get(other)).map_or(&group.signature, |track| &track.labels);
                    self.result_place(&mut results, &mut by_labels, &track.labels, other)
                });
                let (lhs, rhs) = if swapped { (other_value, value) } else { (value, other_value) };
                self.put(&mut results, result, step, lhs, rhs)?;
            }
            if let (true, Some((other, value)), Some(fill)) = (alone, partner, fill_many) {
                let result = *pairs.entry((usize::MAX, other)).or_insert_with(|| {
                    let other = one.get(other).map_or(&group.signature, |track| &track.labels);
                    self.result_place(&mut results, &mut by_labels, &group.signature, other)
                });
                let (lhs, rhs) = if swapped { (value, fill) } else { (fill, value) };
                self.put(&mut results, result, step, lhs, rhs)?;
            }
        }
        Ok(results.into_iter().map(|result| result.track).filter(Track::is_present).collect())
    }

    fn refuse_duplicates(&self, group: &Group<'_>, one: &[&Track], swapped: bool) -> Result<(), EvalError> {
        if one.len() > 1 {
            for step in self.met.iter().copied() {
                self.partner(group, one, swapped, step)?;
            }
        }
        Ok(())
    }

    /// The one series on the "one" side that is there at this step.
    fn partner(&self, group: &Group<'_>, one: &[&Track], swapped: bool, step: usize) -> Result<Option<(usize, f64)>, EvalError> {
        let mut found: Option<(usize, f64)> = None;
        for (place, track) in one.iter().enumerate() {
            let Some(value) = track.at(step) else { continue };
            if let Some(first) = found.and_then(|(place, _)| one.get(place)) {
                return Err(EvalError::ManyToMany {
                    group: series(&group.signature),
                    side: if swapped { "left" } else { "right" },
                    one: series(&first.labels),
                    other: series(&track.labels),
                });
            }
            found = Some((place, value));
        }
        Ok(found)
    }

    fn result_place(&self, results: &mut Vec<Joined>, by_labels: &mut HashMap<Labels, usize>, many: &Labels, one: &Labels) -> usize {
        let Operation { op, return_bool, .. } = self.operation;
        let labels = result_labels(many, one, op, return_bool && !self.delayed, self.matching);
        *by_labels.entry(labels.clone()).or_insert_with(|| {
            let mut track = Track::new(labels, vec![ABSENT; self.steps]);
            track.drop_name = return_bool && self.delayed;
            results.push(Joined { track, met: 0 });
            results.len() - 1
        })
    }

    fn put(&mut self, results: &mut [Joined], place: usize, step: usize, lhs: f64, rhs: f64) -> Result<(), EvalError> {
        let Some(result) = results.get_mut(place) else { return Ok(()) };
        if std::mem::replace(&mut result.met, step + 1) == step + 1 {
            return Err(EvalError::GroupingNotUnique);
        }
        let value = match apply(self.operation.op, lhs, rhs) {
            Outcome::Value(value) => value,
            Outcome::Keep(keep) if self.operation.return_bool => f64::from(u8::from(keep)),
            Outcome::Keep(true) => lhs,
            Outcome::Keep(false) => return Ok(()),
            Outcome::Incompatible => {
                self.incompatible = true;
                return Ok(());
            }
        };
        if let Some(slot) = result.track.values.get_mut(step) {
            *slot = value;
        }
        Ok(())
    }
}

/// A series as error messages show it: `{__name__="a", b="c"}`.
pub(super) fn series(labels: &Labels) -> String {
    let pairs: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={}", quote(value))).collect();
    format!("{{{}}}", pairs.join(", "))
}
