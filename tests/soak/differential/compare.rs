//! Two answers in one form, and whether they say the same.

use std::collections::BTreeMap;

use serde_json::Value as Json;
use sidewatch::promql::{Answer, Value};

/// What a query came to: an error, or points by series; a scalar is a series without labels.
#[derive(Clone, Debug)]
pub(super) enum Outcome {
    Failed(String),
    Answered(Series),
}

/// Points by series, each a time in ms and a value. The series stand in the order in which they were answered.
pub(super) type Series = Vec<(BTreeMap<String, String>, Vec<(i64, f64)>)>;

/// How the two differ.
#[derive(Clone, Debug)]
pub(super) struct Difference {
    pub(super) said: String,
    /// Where one value differs: ours, theirs.
    pub(super) values: Option<(f64, f64)>,
}

/// What an answer of Prometheus's API says.
pub(super) fn theirs(answer: &Json) -> Outcome {
    if answer["status"] != "success" {
        return Outcome::Failed(answer["error"].as_str().unwrap_or("?").to_owned());
    }
    let (data, point) = (&answer["data"], |pair: &Json| {
        let at = (pair[0].as_f64().unwrap() * 1000.0).round() as i64;
        (at, pair[1].as_str().unwrap().parse::<f64>().unwrap())
    });
    if data["resultType"] == "scalar" {
        return Outcome::Answered(vec![(BTreeMap::new(), vec![point(&data["result"])])]);
    }
    let series = data["result"].as_array().unwrap().iter().map(|series| {
        let labels = series["metric"].as_object().unwrap().iter();
        let labels = labels.map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect();
        let points = series["values"].as_array().map_or_else(|| vec![point(&series["value"])], |all| all.iter().map(point).collect());
        (labels, points)
    });
    Outcome::Answered(series.collect())
}

/// What the engine says; `at` is when a scalar is.
pub(super) fn ours(answer: Result<Answer, impl std::fmt::Display>, at: i64) -> Outcome {
    let named = |labels: &sidewatch::model::Labels| labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    match answer.map(|answer| answer.value) {
        Err(error) => Outcome::Failed(error.to_string()),
        Ok(Value::String(text)) => Outcome::Failed(format!("a string: {text}")),
        Ok(Value::Scalar(value)) => Outcome::Answered(vec![(BTreeMap::new(), vec![(at, value)])]),
        Ok(Value::Vector(samples)) => {
            let series = samples.iter().map(|sample| (named(&sample.labels), vec![(sample.at.as_millis(), sample.value)]));
            Outcome::Answered(series.collect())
        }
        Ok(Value::Matrix(series)) => {
            let points =
                |samples: &[sidewatch::model::Sample]| samples.iter().map(|sample| (sample.at.as_millis(), sample.value)).collect();
            Outcome::Answered(series.iter().map(|series| (named(&series.labels), points(&series.samples))).collect())
        }
    }
}

/// The first difference, if there is one; with `ordered` the series' order counts, as far as their values tell it.
pub(super) fn difference(ours: &Outcome, theirs: &Outcome, ordered: bool) -> Option<Difference> {
    let said = |said: String| Some(Difference { said, values: None });
    let (mine, other) = match (ours, theirs) {
        (Outcome::Failed(_), Outcome::Failed(_)) => return None,
        (Outcome::Failed(error), Outcome::Answered(series)) => return said(format!("error {error:?} for {} series", series.len())),
        (Outcome::Answered(series), Outcome::Failed(error)) => return said(format!("{} series for error {error:?}", series.len())),
        (Outcome::Answered(mine), Outcome::Answered(other)) => (mine, other),
    };
    if ordered {
        let places = mine.iter().zip(other).find(|((_, a), (_, b))| !a.iter().zip(b).all(|(a, b)| close(a.1, b.1)));
        if let Some(((labels, _), _)) = places {
            return said(format!("another order at {labels:?}"));
        }
    }
    let expected: BTreeMap<_, _> = other.iter().map(|(labels, points)| (labels, points)).collect();
    let found: BTreeMap<_, _> = mine.iter().map(|(labels, points)| (labels, points)).collect();
    if let Some(missing) = expected.keys().find(|labels| !found.contains_key(*labels)) {
        return said(format!("missing {missing:?}"));
    }
    for (labels, points) in found {
        let Some(expected) = expected.get(labels) else { return said(format!("{labels:?} beyond theirs")) };
        let times = |points: &[(i64, f64)]| points.iter().map(|point| point.0).collect::<Vec<_>>();
        if times(points) != times(expected) {
            return said(format!("{labels:?}: {} points, not {}", points.len(), expected.len()));
        }
        if let Some((a, b)) = points.iter().zip(expected.iter()).find(|(a, b)| !close(a.1, b.1)) {
            let said = format!("{labels:?}: {} at {}, not {}", a.1, a.0, b.1);
            return Some(Difference { said, values: Some((a.1, b.1)) });
        }
    }
    None
}

/// Equal, or within 1e-9 of the greater one; NaN is NaN.
pub(super) fn close(a: f64, b: f64) -> bool {
    a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= 1e-9 * a.abs().max(b.abs())
}
