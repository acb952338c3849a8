//! Aggregations: many series become one for each group, or few are chosen.

use std::cmp::Ordering;
use std::hash::{BuildHasher, Hash, Hasher};

use hashbrown::{DefaultHashBuilder, HashMap, HashTable};

use crate::model::{FloatStyle, Labels, METRIC_NAME, format_float};

use super::ast::{Aggregate, AggregateOp, Expr, ExprKind};
use super::eval::{Evaluator, wrong_type};
use super::eval_error::EvalError;
use super::quote::quote;
use super::sampling;
use super::statistics::{self, Direction, Mean, Sum};
use super::stream::{self, Name, Passing};
use super::value::{ABSENT, Steps, Track, is_absent};

pub(super) fn aggregate(ev: &mut Evaluator<'_>, aggregate: &Aggregate, steps: Steps) -> Result<Vec<Track>, EvalError> {
    let op = aggregate.op;
    match (op, &aggregate.param) {
        (AggregateOp::TopK | AggregateOp::BottomK | AggregateOp::LimitK, Some(param)) => choose(ev, aggregate, param, steps),
        (AggregateOp::Quantile, Some(param)) => {
            let quantiles = ev.scalar(param, steps)?;
            let tracks = ev.vector(&aggregate.expr, steps)?;
            for quantile in worst_quantiles(&quantiles) {
                ev.annotations.invalid_quantile(quantile, param.span);
            }
            reduce(ev, aggregate, tracks, steps, |values, step| {
                statistics::quantile(quantiles.get(step).copied().unwrap_or(f64::NAN), values)
            })
        }
        (AggregateOp::CountValues, Some(param)) => count_values(ev, aggregate, param, steps),
        (AggregateOp::LimitRatio, Some(param)) => limit_ratio(ev, aggregate, param, steps),
        _ => reduce_running(ev, aggregate, steps, op),
    }
}

/// True for a label that a group has in common.
fn is_common(name: &str, aggregate: &Aggregate) -> bool {
    let listed = aggregate.grouping.iter().any(|label| label == name);
    if aggregate.without { name != METRIC_NAME && !listed } else { listed }
}

/// The labels that a group has in common.
fn group_labels(labels: &Labels, aggregate: &Aggregate) -> Labels {
    labels.filtered(|name| is_common(name, aggregate))
}

/// What series have in common, in order of the first ones, and what is kept of each group. Labels are made once a group, not once a
/// series.
struct Groups<'a, T> {
    aggregate: &'a Aggregate,
    groups: Vec<Group<T>>,
    places: HashTable<(u64, usize)>,
    state: DefaultHashBuilder,
}

struct Group<T> {
    labels: Labels,
    drop_name: bool,
    kept: T,
}

impl<'a, T: Default> Groups<'a, T> {
    fn new(aggregate: &'a Aggregate) -> Self {
        Self { aggregate, groups: Vec::new(), places: HashTable::new(), state: DefaultHashBuilder::default() }
    }

    /// A series' group, and whether it is a new one.
    fn find(&mut self, series: Passing<'_>) -> Option<(&mut Group<T>, bool)> {
        let aggregate = self.aggregate;
        let common = || series.labels().filter(|(name, _)| is_common(name, aggregate));
        let mut hasher = self.state.build_hasher();
        common().for_each(|label| label.hash(&mut hasher));
        let hash = hasher.finish();
        let is_group =
            |(known, place): &(u64, usize)| *known == hash && self.groups.get(*place).is_some_and(|group| group.labels.iter().eq(common()));
        let found = self.places.find(hash, is_group).map(|(_, place)| *place);
        let place = found.unwrap_or(self.groups.len());
        if found.is_none() {
            self.groups.push(Group { labels: Labels::from_sorted(common()), drop_name: false, kept: T::default() });
            self.places.insert_unique(hash, (hash, place), |(hash, _)| *hash);
        }
        let group = self.groups.get_mut(place)?;
        group.drop_name |= series.name == Name::Going;
        Some((group, found.is_none()))
    }
}

/// The groups of series, with their places.
fn groups(tracks: &[Track], aggregate: &Aggregate) -> Vec<Group<Vec<usize>>> {
    let mut groups = Groups::<Vec<usize>>::new(aggregate);
    for (place, track) in tracks.iter().enumerate() {
        if let Some((group, _)) = groups.find(Passing::of(track)) {
            group.kept.push(place);
        }
    }
    groups.groups
}

/// One value a group and step, out of the values that are there.
fn reduce(
    ev: &mut Evaluator<'_>,
    aggregate: &Aggregate,
    tracks: Vec<Track>,
    steps: Steps,
    value: impl Fn(&mut Vec<f64>, usize) -> f64,
) -> Result<Vec<Track>, EvalError> {
    let mut reduced = Vec::new();
    let mut present = Vec::new();
    for Group { labels, drop_name, kept } in groups(&tracks, aggregate) {
        (ev.interrupt)()?;
        ev.hold(steps.count())?;
        let members: Vec<&Track> = kept.into_iter().filter_map(|member| tracks.get(member)).collect();
        let mut values = Vec::with_capacity(steps.count());
        for step in 0..steps.count() {
            present.clear();
            present.extend(members.iter().filter_map(|member| member.at(step)));
            values.push(if present.is_empty() { ABSENT } else { value(&mut present, step) });
        }
        reduced.push(Track { labels, drop_name, values });
    }
    ev.release(tracks.len().saturating_mul(steps.count()));
    Ok(reduced)
}

/// One value a group and step of the aggregations without a parameter. What can be worked out as values come is worked out as series
/// come, so that no more than a value a group and step is kept.
fn reduce_running(ev: &mut Evaluator<'_>, aggregate: &Aggregate, steps: Steps, op: AggregateOp) -> Result<Vec<Track>, EvalError> {
    match op {
        AggregateOp::Sum => running(ev, aggregate, steps, |sum: Option<Sum>, value| sum.unwrap_or_default().with(value), Sum::total),
        AggregateOp::Avg => running(ev, aggregate, steps, |mean: Option<Mean>, value| mean.unwrap_or_default().with(value), Mean::total),
        AggregateOp::Count => running(ev, aggregate, steps, |seen, _| seen.unwrap_or(0.0) + 1.0, |seen| seen),
        AggregateOp::Min => {
            running(ev, aggregate, steps, |least, value| statistics::more_extreme(least, value, Ordering::Less), |least| least)
        }
        AggregateOp::Max => {
            running(ev, aggregate, steps, |most, value| statistics::more_extreme(most, value, Ordering::Greater), |most| most)
        }
        AggregateOp::Stdvar | AggregateOp::Stddev => {
            let tracks = ev.vector(&aggregate.expr, steps)?;
            let root = op == AggregateOp::Stddev;
            reduce(ev, aggregate, tracks, steps, |values, _| {
                let variance = statistics::variance(values);
                if root { variance.sqrt() } else { variance }
            })
        }
        _ => running(ev, aggregate, steps, |_, _| 1.0, |one| one),
    }
}

/// A value a group and step that has any, worked out by `add` from `None` on.
fn running<T: Copy>(
    ev: &mut Evaluator<'_>,
    aggregate: &Aggregate,
    steps: Steps,
    add: impl Fn(Option<T>, f64) -> T,
    total: impl Fn(T) -> f64,
) -> Result<Vec<Track>, EvalError> {
    // While they are worked out values take more room than an f64.
    let more = steps.count().saturating_mul(size_of::<Option<T>>().div_ceil(size_of::<f64>()) - 1);
    let mut groups = Groups::<Vec<Option<T>>>::new(aggregate);
    stream::each_series(ev, &aggregate.expr, steps, &mut |ev, series| {
        let Some((group, is_new)) = groups.find(series) else { return Ok(()) };
        if is_new {
            ev.hold(steps.count().saturating_add(more))?;
            group.kept.resize(steps.count(), None);
        }
        for (state, value) in group.kept.iter_mut().zip(series.values).filter(|(_, value)| !is_absent(**value)) {
            *state = Some(add(*state, *value));
        }
        Ok(())
    })?;
    let mut tracks = Vec::with_capacity(groups.groups.len());
    for Group { labels, drop_name, kept } in groups.groups {
        // `collect` would go on in the larger room.
        let mut values = Vec::with_capacity(steps.count());
        values.extend(kept.into_iter().map(|state| state.map_or(ABSENT, &total)));
        ev.release(more);
        tracks.push(Track { labels, drop_name, values });
    }
    Ok(tracks)
}

/// NaN, the greatest above 1 and the least below 0, where there are such.
fn worst_quantiles(quantiles: &[f64]) -> impl Iterator<Item = f64> {
    let not_a_number = quantiles.iter().copied().find(|quantile| quantile.is_nan());
    let greatest = quantiles.iter().copied().fold(0.0, f64::max);
    let least = quantiles.iter().copied().fold(0.0, f64::min);
    not_a_number.into_iter().chain(Some(greatest).filter(|greatest| *greatest > 1.0)).chain(Some(least).filter(|least| *least < 0.0))
}

/// `topk`, `bottomk` and `limitk`: series stay what they are, but only some of each group at each step.
fn choose(ev: &mut Evaluator<'_>, aggregate: &Aggregate, param: &Expr, steps: Steps) -> Result<Vec<Track>, EvalError> {
    let counts = ev.scalar(param, steps)?;
    let tracks = ev.vector(&aggregate.expr, steps)?;
    for count in &counts {
        let refusal = match *count {
            count if count.is_nan() => "Parameter value is NaN".to_owned(),
            count if count <= i64::MIN as f64 => format!("Scalar value {} underflows int64", format_float(count, FloatStyle::General)),
            count if count >= i64::MAX as f64 => format!("Scalar value {} overflows int64", format_float(count, FloatStyle::General)),
            _ => continue,
        };
        return Err(EvalError::InvalidArgument(refusal));
    }
    if counts.iter().all(|count| *count < 1.0) {
        return Ok(Vec::new());
    }
    let values = tracks.len().saturating_mul(steps.count());
    ev.hold(values)?;
    let mut chosen: Vec<Track> = tracks.iter().map(|track| Track { values: vec![ABSENT; steps.count()], ..track.clone() }).collect();
    let mut order = Vec::with_capacity(tracks.len());
    for Group { kept: members, .. } in groups(&tracks, aggregate) {
        (ev.interrupt)()?;
        for (step, count) in counts.iter().enumerate() {
            let mut candidates: Vec<(usize, f64)> =
                members.iter().filter_map(|member| Some((*member, tracks.get(*member)?.at(step)?))).collect();
            match aggregate.op {
                AggregateOp::TopK => candidates.sort_by(|a, b| statistics::by_value(a.1, b.1, Direction::Descending)),
                AggregateOp::BottomK => candidates.sort_by(|a, b| statistics::by_value(a.1, b.1, Direction::Ascending)),
                _ => {}
            }
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // saturates; below 1 is none
            candidates.truncate(*count as usize);
            for (member, value) in candidates {
                if let Some(slot) = chosen.get_mut(member).and_then(|track| track.values.get_mut(step)) {
                    *slot = value;
                }
                order.push(member);
            }
        }
    }
    ev.release(values);
    if steps.count() == 1 {
        // An instant answer comes in the order of the choice.
        let mut slots: Vec<Option<Track>> = chosen.into_iter().map(Some).collect();
        return Ok(order.into_iter().filter_map(|member| slots.get_mut(member)?.take()).collect());
    }
    Ok(chosen.into_iter().filter(Track::is_present).collect())
}

/// `limit_ratio`: the series of a share that their labels decide, whatever their group.
fn limit_ratio(ev: &mut Evaluator<'_>, aggregate: &Aggregate, param: &Expr, steps: Steps) -> Result<Vec<Track>, EvalError> {
    let ratios = ev.scalar(param, steps)?;
    let mut tracks = ev.vector(&aggregate.expr, steps)?;
    if ratios.iter().any(|ratio| ratio.is_nan()) {
        return Err(EvalError::InvalidArgument("Ratio value is NaN".to_owned()));
    }
    let (least, greatest) = ratios.iter().fold((0.0_f64, 0.0_f64), |(least, greatest), ratio| (least.min(*ratio), greatest.max(*ratio)));
    for (ratio, limit) in [(greatest, 1.0), (least, -1.0)] {
        if ratio.abs() > 1.0 {
            ev.annotations.invalid_ratio(ratio, limit, param.span);
        }
    }
    for track in &mut tracks {
        let labels = track.labels.clone();
        for (value, ratio) in track.values.iter_mut().zip(&ratios) {
            if *ratio == 0.0 || !sampling::is_chosen(&labels, ratio.clamp(-1.0, 1.0)) {
                *value = ABSENT;
            }
        }
    }
    tracks.retain(Track::is_present);
    Ok(tracks)
}

/// `count_values`: how many series have each value.
fn count_values(ev: &mut Evaluator<'_>, aggregate: &Aggregate, param: &Expr, steps: Steps) -> Result<Vec<Track>, EvalError> {
    let ExprKind::String(label) = &param.unwrap_parens().kind else { return Err(wrong_type(param, "an argument", "string")) };
    if label.is_empty() {
        return Err(EvalError::InvalidArgument(format!("invalid label name {}", quote(label))));
    }
    let tracks = ev.vector(&aggregate.expr, steps)?;
    // The value is one of the labels that a group has in common.
    let mut grouped = aggregate.clone();
    if !grouped.without {
        grouped.grouping.push(label.clone());
    }
    let mut places: HashMap<Labels, Vec<f64>> = HashMap::new();
    let mut seen = Vec::new();
    for track in &tracks {
        (ev.interrupt)()?;
        for step in 0..steps.count() {
            let Some(value) = track.at(step) else { continue };
            let labels = group_labels(&track.labels.with(label, &format_float(value, FloatStyle::Plain)), &grouped);
            if !places.contains_key(&labels) {
                ev.hold(steps.count())?;
                seen.push(labels.clone());
            }
            let values = places.entry(labels).or_insert_with(|| vec![ABSENT; steps.count()]);
            if let Some(count) = values.get_mut(step) {
                *count = if is_absent(*count) { 1.0 } else { *count + 1.0 };
            }
        }
    }
    Ok(seen.into_iter().filter_map(|labels| places.remove_entry(&labels)).map(|(labels, values)| Track::new(labels, values)).collect())
}
