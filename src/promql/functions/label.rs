//! Functions that look at labels only.

use regex::{Regex, RegexBuilder};

use super::super::ast::Call;
use super::super::eval::Evaluator;
use super::super::eval_error::EvalError;
use super::super::naming;
use super::super::value::{Evaluated, Steps, Track};
use super::{Function, argument, text};
use crate::model::METRIC_NAME;

pub(super) const ALL: &[Function] = &[Function::whole("label_replace", label_replace), Function::whole("label_join", label_join)];

/// The largest program that a pattern may compile to, in bytes: that of a matcher's pattern.
const PATTERN_BYTES_MAX: usize = 1 << 20;

fn label_replace(ev: &mut Evaluator<'_>, call: &Call, steps: Steps) -> Result<Evaluated, EvalError> {
    let (target, replacement, source, pattern) = (text(call, 1)?, text(call, 2)?, text(call, 3)?, text(call, 4)?);
    let regex =
        compile(pattern).ok_or_else(|| EvalError::InvalidArgument(format!("invalid regular expression in label_replace(): {pattern}")))?;
    check_name(target, "destination", "label_replace")?;
    let mut tracks = ev.vector(argument(call, 0)?, steps)?;
    for track in &mut tracks {
        let expanded = regex.captures(track.labels.get(source).unwrap_or("")).map(|captures| {
            let mut expanded = String::new();
            captures.expand(replacement, &mut expanded);
            expanded
        });
        if let Some(value) = expanded {
            set(track, target, &value);
        }
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
        let joined = values.join(separator);
        set(track, target, &joined);
    }
    naming::merge(tracks).map(Evaluated::Vector)
}

/// A name that is given on purpose is not to be dropped.
fn set(track: &mut Track, label: &str, value: &str) {
    track.labels = track.labels.with(label, value);
    if label == METRIC_NAME {
        track.drop_name = false;
    }
}

/// Over the whole value, `.` matching line feeds too.
fn compile(pattern: &str) -> Option<Regex> {
    RegexBuilder::new(&format!("^(?s:{pattern})$")).size_limit(PATTERN_BYTES_MAX).build().ok()
}

/// Any text but none is a label name.
fn check_name(name: &str, role: &str, function: &str) -> Result<(), EvalError> {
    if name.is_empty() {
        return Err(EvalError::InvalidArgument(format!("invalid {role} label name in {function}(): {name}")));
    }
    Ok(())
}
