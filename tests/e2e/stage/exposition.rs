//! Reading a value out of `/metrics`.

use std::collections::BTreeMap;

/// The samples of one answer in the text format, by series as it is written: `name{label="value",…}`.
pub(crate) struct Exposition {
    text: String,
    samples: BTreeMap<String, f64>,
}

impl Exposition {
    /// Reads the text format 0.0.4.
    pub(crate) fn parse(text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        let samples = lines
            .map(|line| {
                let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("not a sample: {line}"));
                (series.to_owned(), value.parse().unwrap_or_else(|_| panic!("not a value: {line}")))
            })
            .collect();
        Self { text: text.to_owned(), samples }
    }

    /// The answer as it came.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The value of exactly this series.
    pub(crate) fn value(&self, series: &str) -> Option<f64> {
        self.samples.get(series).copied()
    }

    /// The sum over the series of this name whose labels hold all of `labels` (`name="value"` each).
    pub(crate) fn sum(&self, name: &str, labels: &[&str]) -> f64 {
        self.samples
            .iter()
            .filter(|(series, _)| series.split('{').next() == Some(name) && labels.iter().all(|label| series.contains(label)))
            .map(|(_, value)| value)
            .sum()
    }

    /// All samples by series.
    pub(crate) fn samples(&self) -> impl Iterator<Item = (&str, f64)> {
        self.samples.iter().map(|(series, value)| (series.as_str(), *value))
    }

    /// The sum over the series of this name that hold `text`.
    pub(crate) fn matching(&self, name: &str, text: &str) -> f64 {
        self.samples().filter(|(series, _)| series.split('{').next() == Some(name) && series.contains(text)).map(|(_, value)| value).sum()
    }

    /// The cumulative buckets of a histogram, added up over the series whose labels hold all of `labels`: each bound with its count.
    pub(crate) fn buckets(&self, name: &str, labels: &[&str]) -> Vec<(f64, f64)> {
        let bucket = format!("{name}_bucket");
        let mut buckets: Vec<(f64, f64)> = Vec::new();
        for (series, count) in &self.samples {
            if series.split('{').next() != Some(&bucket) || !labels.iter().all(|label| series.contains(label)) {
                continue;
            }
            let bound: f64 = series.split("le=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap().parse().unwrap();
            match buckets.iter_mut().find(|(known, _)| *known == bound) {
                Some((_, sum)) => *sum += count,
                None => buckets.push((bound, *count)),
            }
        }
        buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        buckets
    }
}
