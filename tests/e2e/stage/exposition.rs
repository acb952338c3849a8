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
}
