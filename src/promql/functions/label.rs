//! Functions that look at labels only.

use super::super::ast::Call;
use super::super::eval::Evaluator;
use super::super::eval_error::EvalError;
use super::super::naming;
use super::super::value::{Evaluated, Steps, Track};
use super::{Function, argument, text};
use crate::model::{METRIC_NAME, Rewrite, Sample};

pub(super) const ALL: &[Function] = &[Function::whole("label_replace", label_replace), Function::whole("label_join", label_join)];

/// The longest value that a label may be given, in bytes: replacements that repeat what they match could double it without
/// end.
const VALUE_BYTES_MAX: usize = 64 << 10;

fn label_replace(ev: &mut Evaluator<'_>, call: &Call, steps: Steps) -> Result<Evaluated, EvalError> {
    let (target, replacement, source, pattern) = (text(call, 1)?, text(call, 2)?, text(call, 3)?, text(call, 4)?);
    let rewrite = Rewrite::new(pattern)
        .map_err(|_| EvalError::InvalidArgument(format!("invalid regular expression in label_replace(): {pattern}")))?;
    check_name(target, "destination", "label_replace")?;
    let mut tracks = ev.vector(argument(call, 0)?, steps)?;
    let references = replacement.matches('$').count();
    for track in &mut tracks {
        let original = track.labels.get(source).unwrap_or("");
        check_length(replacement.len() + references.saturating_mul(original.len()))?;
        let Some(expanded) = rewrite.apply(original, replacement) else { continue };
        set(ev, track, target, &expanded)?;
    }
    naming::merge(tracks).map(Evaluated::Vector)
}

fn label_join(ev: &mut Evaluator<'_>, call: &Call, steps: Steps) -> Result<Evaluated, EvalError> {
    let (target, separator) = (text(call, 1)?, text(call, 2)?);
    let mut sources = Vec::new();
    for place in 3..call.args.len() {
        let source = text(call, place)?;
        check_name(source, "source", "label_join")?;
        sources.push(source);
    }
    check_name(target, "destination", "label_join")?;
    let mut tracks = ev.vector(argument(call, 0)?, steps)?;
    for track in &mut tracks {
        let values: Vec<&str> = sources.iter().map(|source| track.labels.get(source).unwrap_or("")).collect();
        check_length(values.iter().map(|value| value.len() + separator.len()).sum())?;
        let joined = values.join(separator);
        set(ev, track, target, &joined)?;
    }
    naming::merge(tracks).map(Evaluated::Vector)
}

fn check_length(bytes: usize) -> Result<(), EvalError> {
    if bytes > VALUE_BYTES_MAX {
        return Err(EvalError::InvalidArgument(format!("a label's value would be longer than {VALUE_BYTES_MAX} bytes")));
    }
    Ok(())
}

/// A name that is given on purpose is not to be dropped. A long value takes the room of samples.
fn set(ev: &mut Evaluator<'_>, track: &mut Track, label: &str, value: &str) -> Result<(), EvalError> {
    ev.hold(value.len() / size_of::<Sample>())?;
    track.labels = track.labels.with(label, value);
    if label == METRIC_NAME {
        track.drop_name = false;
    }
    Ok(())
}

/// Any text but none is a label name.
fn check_name(name: &str, role: &str, function: &str) -> Result<(), EvalError> {
    if name.is_empty() {
        return Err(EvalError::InvalidArgument(format!("invalid {role} label name in {function}(): {name}")));
    }
    Ok(())
}
