//! What is not as a test expects, and how it is told.

use std::collections::BTreeMap;
use std::fmt;

use super::file::AlertTexts;
use crate::model::Labels;

/// One thing that is not as expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The test, where it has a name.
    pub(super) test: Option<String>,
    /// What was looked at, and when; or all there is to say.
    pub(super) what: String,
    /// What was expected, and what there is, one a line.
    pub(super) sides: Option<(Vec<String>, Vec<String>)>,
    /// What is probably the cause.
    pub(super) hint: Option<String>,
}

impl Failure {
    pub(super) fn new(test: Option<&str>, what: impl Into<String>) -> Self {
        Self { test: test.map(str::to_owned), what: what.into(), sides: None, hint: None }
    }

    pub(super) fn with_sides(mut self, expected: Vec<String>, got: Vec<String>) -> Self {
        self.sides = Some((expected, got));
        self
    }

    pub(super) fn with_hint(mut self, hint: Option<String>) -> Self {
        self.hint = hint;
        self
    }

    /// As the failure displays, but of what was expected and what there is only where they differ.
    #[must_use]
    pub fn diff(&self) -> String {
        let Some((expected, got)) = &self.sides else { return self.to_string() };
        let mut text = self.head();
        let mut left = got.clone();
        let mut lines = Vec::new();
        for line in expected {
            match left.iter().position(|other| other == line) {
                Some(place) => lines.push(format!("  {}", left.remove(place))),
                None => lines.push(format!("- {line}")),
            }
        }
        lines.extend(left.into_iter().map(|line| format!("+ {line}")));
        for line in lines {
            text.push_str(&format!("\n        {line}"));
        }
        if let Some(hint) = &self.hint {
            text.push_str(&format!("\n        help: {hint}"));
        }
        text
    }

    fn head(&self) -> String {
        let name = self.test.as_ref().map_or_else(String::new, |test| format!("    name: {test},\n"));
        format!("{name}    {}", self.what)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.head())?;
        let Some((expected, got)) = &self.sides else { return Ok(()) };
        for (title, lines) in [("exp", expected), ("got", got)] {
            match lines.as_slice() {
                [] => write!(f, "\n        {title}: nothing")?,
                lines => {
                    write!(f, "\n        {title}:")?;
                    for line in lines {
                        write!(f, "\n            {line}")?;
                    }
                }
            }
        }
        self.hint.as_ref().map_or(Ok(()), |hint| write!(f, "\n        help: {hint}"))
    }
}

/// Alerts, one a line.
pub(super) fn shown_alerts(alerts: &[AlertTexts]) -> Vec<String> {
    let shown = |texts: &BTreeMap<String, String>| {
        let pairs: Vec<_> = texts.iter().map(|(name, text)| format!("{name}={text:?}")).collect();
        format!("{{{}}}", pairs.join(", "))
    };
    alerts.iter().map(|(labels, annotations)| format!("labels: {} annotations: {}", shown(labels), shown(annotations))).collect()
}

/// Samples, one a line.
pub(super) fn shown_samples(samples: &[(Labels, f64)]) -> Vec<String> {
    let shown = |labels: &Labels| if labels.is_empty() { "{}".to_owned() } else { labels.to_string() };
    samples.iter().map(|(labels, value)| format!("{} {value}", shown(labels))).collect()
}
