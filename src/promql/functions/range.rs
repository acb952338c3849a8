//! Functions over ranges: the part that is the same for all of them. Each series' samples are walked through once, a
//! window sliding over them from step to step.

use super::super::ast::{Call, Expr, ExprKind, Extension, ValueType};
use super::super::eval::{Evaluator, matrix_argument, wrong_type};
use super::super::eval_error::EvalError;
use super::super::extension;
use super::super::naming;
use super::super::select;
use super::super::stream::{Name, Passing, See};
use super::super::value::{ABSENT, Ranges, Steps, Track, is_absent};
use super::Function;
use crate::model::{Labels, Sample, Timestamp};

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
    /// Where the samples fell, of a counter; `None` where nobody has looked for it.
    pub(super) falls: Option<&'a [Fall]>,
}

/// A sample that is less than the one before it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fall {
    place: usize,
    /// The value before.
    pub(super) from: f64,
}

/// What is looked at once there is a result: the call, and the scalar arguments at each step.
type Check = fn(&mut Evaluator<'_>, &Call, &[Vec<f64>]) -> Result<(), EvalError>;

/// A function over ranges.
pub(in super::super) struct RangeFunction {
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
    let mut tracks = Vec::new();
    each_over_range(ev, call, steps, function, &mut |ev, series| {
        ev.hold(steps.count())?;
        tracks.push(series.to_track());
        Ok(())
    })?;
    Ok(tracks)
}

/// As [`over_range`], a series at a time.
pub(in super::super) fn each_over_range(
    ev: &mut Evaluator<'_>,
    call: &Call,
    steps: Steps,
    function: &RangeFunction,
    see: See<'_>,
) -> Result<(), EvalError> {
    let mut params: Vec<Vec<f64>> = Vec::new();
    for arg in call.args.iter().filter(|arg| arg.value_type() != ValueType::Matrix) {
        params.push(ev.scalar(arg, steps)?);
    }
    let arg = matrix_argument_of(call)?;
    let delayed = ev.config.delayed_name_removal;
    let mut names = Names::default();
    let mut has_any = false;
    let (mut falls, mut values) = (Vec::new(), Vec::with_capacity(steps.count()));
    let mut sparse = Sparse::new(ev, arg);
    let ranges = select::each_range(ev, arg, steps, &mut |ev, ranges, series| {
        names.see(series.labels);
        let falls = function.for_counters.then(|| {
            find_falls(series.samples, &mut falls);
            falls.as_slice()
        });
        values.clear();
        for_each_window(series.samples, falls, ranges, steps, |step, mut window| {
            for (slot, values) in window.params.iter_mut().zip(&params) {
                *slot = values.get(step).copied().unwrap_or(f64::NAN);
            }
            sparse.see(ranges, &window);
            let value = if window.samples.is_empty() { None } else { (function.value)(&window) };
            values.push(value.unwrap_or(ABSENT));
            // Long windows at many steps are a lot of work within one series.
            if (step + 1) % STEPS_BETWEEN_CHECKS == 0 { (ev.interrupt)() } else { Ok(()) }
        })?;
        if values.iter().all(|value| is_absent(*value)) {
            return Ok(());
        }
        has_any = true;
        if function.for_counters && !names.is_counter {
            ev.annotations.possible_non_counter(series.labels.metric_name(), arg.span);
        }
        let name = match (function.keeps_name, delayed) {
            (true, _) if series.drop_name => Name::Going,
            (true, _) => Name::Kept,
            (false, true) => Name::Going,
            (false, false) => Name::Gone,
        };
        if name == Name::Gone {
            names.unnamed.push(series.labels.clone());
        }
        see(ev, Passing { labels: series.labels, name, values: &values })
    })?;
    if sparse.found || (names.first.is_none() && sparse.hides(&ranges, ranges.bounds(steps.first()).1)) {
        ev.annotations.thinned_range(ranges.range, arg.span);
    }
    if let Some(check) = function.check.filter(|_| has_any) {
        check(ev, call, &params)?;
    }
    if names.has_duplicates() { Err(EvalError::DuplicateLabels) } else { Ok(()) }
}

/// The names of the series that a function has seen.
#[derive(Default)]
struct Names {
    first: Option<Labels>,
    /// Whether the newest one is no name, or that of a counter.
    is_counter: bool,
    /// Whether there are several metrics.
    differ: bool,
    /// Those whose names have gone.
    unnamed: Vec<Labels>,
}

impl Names {
    fn see(&mut self, labels: &Labels) {
        if self.first.as_ref().is_some_and(|first| naming::is_same_metric(first, labels)) {
            return;
        }
        self.differ |= self.first.is_some();
        let name = labels.metric_name();
        self.is_counter = name.is_empty() || is_counter_name(name);
        self.first = Some(labels.clone());
    }

    /// Unlike for functions of instant vectors, two series of one name are an error even where they never meet.
    fn has_duplicates(&self) -> bool {
        let mut seen = hashbrown::HashSet::new();
        self.differ && !self.unnamed.iter().all(|labels| seen.insert(naming::without_metadata(labels)))
    }
}

/// Looks for ranges that hold fewer than two samples because history has thinned theirs.
struct Sparse {
    /// What is this old or older is thinned.
    thinned_until: i64,
    found: bool,
}

impl Sparse {
    /// History keeps a sample of each such time.
    const KEPT_MILLIS: i64 = 60_000;

    fn new(ev: &Evaluator<'_>, arg: &Expr) -> Self {
        // What a subquery holds was evaluated as often as it says.
        let is_read = matches!(arg.unwrap_parens().kind, ExprKind::MatrixSelector(_));
        let thinned_until = if is_read { ev.source.thinned_until().map_or(i64::MIN, Timestamp::as_millis) } else { i64::MIN };
        Self { thinned_until, found: false }
    }

    /// Whether a range may hold nothing for this reason. In a longer one there is nothing because the series was not there.
    const fn hides(&self, ranges: &Ranges, until: i64) -> bool {
        ranges.range < Self::KEPT_MILLIS && until <= self.thinned_until
    }

    fn see(&mut self, ranges: &Ranges, window: &Window<'_>) {
        self.found |= match window.samples {
            [] => self.hides(ranges, window.until),
            // Two samples that are kept may be all but two minutes apart.
            [one] => ranges.range < 3 * Self::KEPT_MILLIS && one.at.as_millis() <= self.thinned_until,
            _ => false,
        };
    }
}

/// The range vector among a call's arguments, whose modifiers the function has to know.
pub(super) fn matrix_argument_of(call: &Call) -> Result<&Expr, EvalError> {
    let Some(arg) = matrix_argument(call) else {
        return Err(wrong_type(super::argument(call, 0)?, "an argument", "range vector"));
    };
    extension::check_function(call)?;
    Ok(arg)
}

/// How many steps are taken before the next look at whether to go on.
const STEPS_BETWEEN_CHECKS: usize = 64;

/// Calls `visit` with what each step sees, which may be nothing, until it fails.
pub(super) fn for_each_window(
    samples: &[Sample],
    falls: Option<&[Fall]>,
    ranges: &Ranges,
    steps: Steps,
    mut visit: impl FnMut(usize, Window<'_>) -> Result<(), EvalError>,
) -> Result<(), EvalError> {
    // The bounds never move back, so both ends only ever move on.
    let (mut from, mut to) = (0, 0);
    let (mut first_fall, mut last_fall) = (0, 0);
    for (step, at) in steps.times().enumerate() {
        let ((after, until), (seen_after, seen_until)) = (ranges.bounds(at), ranges.reach(at));
        let passed = |place: usize, time: i64| samples.get(place).is_some_and(|sample| sample.at.as_millis() <= time);
        while passed(from, seen_after) {
            from += 1;
        }
        if passed(samples.len().wrapping_sub(1), seen_until) {
            to = samples.len();
        }
        while passed(to, seen_until) {
            to += 1;
        }
        let falls = falls.map(|falls| {
            // A fall to the window's first sample was before it.
            while falls.get(first_fall).is_some_and(|fall| fall.place <= from) {
                first_fall += 1;
            }
            while falls.get(last_fall).is_some_and(|fall| fall.place < to) {
                last_fall += 1;
            }
            falls.get(first_fall..last_fall).unwrap_or(&[])
        });
        let samples = samples.get(from..to).unwrap_or(&[]);
        let extension = ranges.extension.map(|(kind, _)| kind);
        visit(step, Window { samples, after, until, at, extension, params: [f64::NAN; 2], falls })?;
    }
    Ok(())
}

/// Looks once a series for what each window would have to look for.
fn find_falls(samples: &[Sample], falls: &mut Vec<Fall>) {
    falls.clear();
    // Most have none, which is seen faster without looking for the place.
    if !samples.array_windows().fold(false, |any, [before, after]| any | (after.value < before.value)) {
        return;
    }
    let pairs = samples.array_windows().enumerate().filter(|(_, [before, after])| after.value < before.value);
    falls.extend(pairs.map(|(place, [before, _])| Fall { place: place + 1, from: before.value }));
}

fn is_counter_name(name: &str) -> bool {
    ["_total", "_sum", "_count", "_bucket"].iter().any(|ending| name.ends_with(ending))
}
