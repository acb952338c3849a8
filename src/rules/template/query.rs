//! The functions that ask for samples and look at them.

use std::sync::Arc;

use super::eval::Scene;
use super::functions::text;
use super::value::{Sample, Samples, Value};

/// What Go says where a sample is `nil`.
const NO_SAMPLE: &str = "runtime error: invalid memory address or nil pointer dereference";

/// `query`: what an expression finds at the time of the evaluation.
pub(super) fn query(scene: &Scene<'_>, args: &[Value]) -> Result<Value, String> {
    scene.charge_query()?;
    let found = (scene.data.ask)(text(args, 0))?;
    scene.charge(found.len())?;
    Ok(Value::List(Samples::new(found.into_iter().map(|(labels, value)| Arc::new(Sample { labels, value })))))
}

/// `first`: the first sample.
pub(super) fn first(args: &[Value]) -> Result<Value, String> {
    match args.first() {
        Some(Value::List(samples)) => samples.as_slice().first().map(|sample| Value::Sample(Some(sample.clone()))),
        _ => None,
    }
    .ok_or_else(|| "first() called on vector with no elements".to_owned())
}

/// `label`: the value of a sample's label.
pub(super) fn label(name: &str, sample: Option<&Value>) -> Result<Value, String> {
    match sample {
        Some(Value::Sample(Some(sample))) => Ok(Value::text(sample.labels.get(name).unwrap_or(""))),
        _ => Err(NO_SAMPLE.to_owned()),
    }
}

/// `value`: the value of a sample.
pub(super) fn value(args: &[Value]) -> Result<Value, String> {
    match args.first() {
        Some(Value::Sample(Some(sample))) => Ok(Value::Float(sample.value)),
        _ => Err(NO_SAMPLE.to_owned()),
    }
}

/// `sortByLabel`: a result in the order of a label; what is equal stays in order.
pub(super) fn sort_by_label(scene: &Scene<'_>, args: &[Value]) -> Result<Value, String> {
    let Some(Value::List(samples)) = args.get(1) else { return Ok(Value::Nil) };
    let mut sorted = samples.as_slice().to_vec();
    scene.charge(sorted.len().saturating_mul(2))?;
    let name = text(args, 0);
    sorted.sort_by(|a, b| a.labels.get(name).unwrap_or("").cmp(b.labels.get(name).unwrap_or("")));
    Ok(Value::List(Samples::new(sorted)))
}

/// `now`: the time of the evaluation in seconds since the epoch.
#[allow(clippy::cast_precision_loss)]
pub(super) fn now(scene: &Scene<'_>, _args: &[Value]) -> Result<Value, String> {
    Ok(Value::Float(scene.data.at.as_millis() as f64 / 1e3))
}
