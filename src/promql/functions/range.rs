//! Functions over ranges: the part that is the same for all of them. Each series' samples are walked through once, a
//! window sliding over them from step to step.

use super::super::ast::{Call, Expr, ExprKind, Extension, ValueType};
use super::super::eval::{Evaluator, matrix_argument, wrong_type};
use super::super::eval_error::EvalError;
use super::super::extension;
use super::super::naming;
use super::super::value::{ABSENT, Ranges, Steps, Track};
use super::Function;
use crate::model::{Sample, Timestamp};

/// What a function over a range sees of one series at one step.
pub(in super::super) struct Window<'a> {
    /// At least one, in order of time, without stale markers.
    pub(in super::super) samples: &'a [Sample],
    /// The range: after this time (milliseconds) …
    pub(in super::super) after: i64,
    /// … until this one.
    pub(in super::super) until: i64,
    /// The evaluation time, from which an offset or `@` may have moved the range away.
    pub(super) at: i64,
    /// The modifier of the range, with which there are samples beyond it.
    pub(in super::super) extension: Option<Extension>,
    /// The scalar arguments in order.
    pub(super) params: [f64; 2],
}

/// What is looked at once there is a result: the call, and the scalar arguments at each step.
type Check = fn(&mut Evaluator<'_>, &Call, &[Vec<f64>]) -> Result<(), EvalError>;

/// A function over ranges.
pub(super) struct RangeFunction {
    value: fn(&Window<'_>) -> Option<f64>,
    /// The value is still what the metric's name says.
    keeps_name: bool,
    /// Makes sense for counters only.
    for_counters: bool,
    check: Option<Check>,
}

impl Function {
    pub(super) const fn range(name: &'static str, value: fn(&Window<'_>) -> Option<f64>) -> Self {
        Self { name, eval: super::Eval::Range(RangeFunction { value, keeps_name: false, for_counters: false, check: None }) }
    }

    pub(super) const fn range_keeping_name(name: &'static str, value: fn(&Window<'_>) -> Option<f64>) -> Self {
        Self { name, eval: super::Eval::Range(RangeFunction { value, keeps_name: true, for_counters: false, check: None }) }
    }

    pub(super) const fn range_of_counter(name: &'static str, value: fn(&Window<'_>) -> Option<f64>) -> Self {
        Self { name, eval: super::Eval::Range(RangeFunction { value, keeps_name: false, for_counters: true, check: None }) }
    }

    pub(super) const fn range_checked(name: &'static str, value: fn(&Window<'_>) -> Option<f64>, check: Check) -> Self {
        Self { name, eval: super::Eval::Range(RangeFunction { value, keeps_name: false, for_counters: false, check: Some(check) }) }
    }
}

/// Applies a function over ranges.
pub(super) fn over_range(ev: &mut Evaluator<'_>, call: &Call, steps: Steps, function: &RangeFunction) -> Result<Vec<Track>, EvalError> {
    let mut params: Vec<Vec<f64>> = Vec::new();
    for arg in call.args.iter().filter(|arg| arg.value_type() != ValueType::Matrix) {
        params.push(ev.scalar(arg, steps)?);
    }
    let (ranges, arg) = matrix(ev, call, steps)?;
    let mut tracks = Vec::with_capacity(ranges.series.len());
    let mut held = 0;
    let delayed = ev.config.delayed_name_removal;
    let mut sparse = Sparse::new(ev, &ranges, arg, steps);
    let one_metric = naming::has_one_metric(ranges.series.iter().map(|series| &series.labels));
    for series in &ranges.series {
        held += series.samples.len();
        let mut track = Track::new(series.labels.clone(), Vec::with_capacity(steps.count()));
        for_each_window(&series.samples, &ranges, steps, |step, mut window| {
            for (slot, values) in window.params.iter_mut().zip(&params) {
                *slot = values.get(step).copied().unwrap_or(f64::NAN);
            }
            sparse.see(&window);
            let value = if window.samples.is_empty() { None } else { (function.value)(&window) };
            track.values.push(value.unwrap_or(ABSENT));
            // Long windows at many steps are a lot of work within one series.
            if step % STEPS_BETWEEN_CHECKS == 0 { (ev.interrupt)() } else { Ok(()) }
        })?;
        if !track.is_present() {
            continue;
        }
        ev.hold(steps.count())?;
        let name = series.labels.metric_name();
        if function.for_counters && !name.is_empty() && !is_counter_name(name) {
            ev.annotations.possible_non_counter(name, arg.span);
        }
        track.drop_name = if function.keeps_name { series.drop_name } else { delayed };
        if !function.keeps_name && !delayed {
            track.labels = naming::without_metadata(&track.labels);
        }
        tracks.push(track);
    }
    ev.release(held);
    if sparse.found {
        ev.annotations.thinned_range(ranges.range, arg.span);
    }
    if let Some(check) = function.check.filter(|_| !tracks.is_empty()) {
        check(ev, call, &params)?;
    }
    // Unlike for functions of instant vectors, two series of one name are an error even where they never meet.
    if !one_metric && !delayed && has_duplicates(&tracks) {
        return Err(EvalError::DuplicateLabels);
    }
    Ok(tracks)
}

/// Looks for ranges that hold fewer than two samples because history has thinned theirs.
struct Sparse {
    /// What is this old or older is thinned.
    thinned_until: i64,
    /// Shorter ranges may hold none at all. In longer ones there is none because the series was not there.
    may_be_empty: bool,
    found: bool,
}

impl Sparse {
    /// History keeps a sample of each such time.
    const KEPT_MILLIS: i64 = 60_000;

    fn new(ev: &Evaluator<'_>, ranges: &Ranges, arg: &Expr, steps: Steps) -> Self {
        // What a subquery holds was evaluated as often as it says.
        let is_read = matches!(arg.unwrap_parens().kind, ExprKind::MatrixSelector(_));
        let thinned_until = if is_read { ev.source.thinned_until().map_or(i64::MIN, Timestamp::as_millis) } else { i64::MIN };
        let may_be_empty = ranges.range < Self::KEPT_MILLIS;
        // Then no series has a sample, and none is seen.
        let found = may_be_empty && ranges.series.is_empty() && ranges.bounds(steps.first()).1 <= thinned_until;
        Self { thinned_until, may_be_empty, found }
    }

    fn see(&mut self, window: &Window<'_>) {
        self.found |= match window.samples {
            [] => self.may_be_empty && window.until <= self.thinned_until,
            [one] => one.at.as_millis() <= self.thinned_until,
            _ => false,
        };
    }
}

/// The range vector of a call, and the argument it comes from.
pub(super) fn matrix<'a>(ev: &mut Evaluator<'_>, call: &'a Call, steps: Steps) -> Result<(Ranges, &'a Expr), EvalError> {
    let arg = match matrix_argument(call) {
        Some(arg) => arg,
        None => return Err(wrong_type(super::argument(call, 0)?, "an argument", "range vector")),
    };
    extension::check_function(call)?;
    Ok((ev.ranges(arg, steps)?, arg))
}

/// How many steps are taken before the next look at whether to go on.
const STEPS_BETWEEN_CHECKS: usize = 64;

/// Calls `visit` with what each step sees, which may be nothing, until it fails.
pub(super) fn for_each_window(
    samples: &[Sample],
    ranges: &Ranges,
    steps: Steps,
    mut visit: impl FnMut(usize, Window<'_>) -> Result<(), EvalError>,
) -> Result<(), EvalError> {
    // The bounds never move back, so both ends only ever move on.
    let (mut from, mut to) = (0, 0);
    for (step, at) in steps.times().enumerate() {
        let ((after, until), (seen_after, seen_until)) = (ranges.bounds(at), ranges.reach(at));
        let passed = |place: usize, time: i64| samples.get(place).is_some_and(|sample| sample.at.as_millis() <= time);
        while passed(from, seen_after) {
            from += 1;
        }
        while passed(to, seen_until) {
            to += 1;
        }
        let samples = samples.get(from..to).unwrap_or(&[]);
        visit(step, Window { samples, after, until, at, extension: ranges.extension.map(|(kind, _)| kind), params: [f64::NAN; 2] })?;
    }
    Ok(())
}

fn has_duplicates(tracks: &[Track]) -> bool {
    let mut seen = hashbrown::HashSet::with_capacity(tracks.len());
    !tracks.iter().all(|track| seen.insert(&track.labels))
}

fn is_counter_name(name: &str) -> bool {
    ["_total", "_sum", "_count", "_bucket"].iter().any(|ending| name.ends_with(ending))
}
