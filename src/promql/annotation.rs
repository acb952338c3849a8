//! What a query says beside its value, in Prometheus's words.
//! Source: prometheus/prometheus `util/annotations/annotations.go`, and its tests for the texts.

use std::collections::BTreeMap;

use crate::model::{FloatStyle, Timestamp, format_float, format_millis};

use super::quote::quote;
use super::span::Span;

/// How grave an annotation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Probably a mistake.
    Warning,
    /// Worth knowing.
    Info,
}

/// A remark about a part of the query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Annotation {
    /// How grave it is.
    pub severity: Severity,
    /// What it says, with `PromQL warning: ` or `PromQL info: ` in front.
    pub message: String,
    /// The part.
    pub span: Span,
}

impl Annotation {
    /// The message with line and column of the part in the query's text: `PromQL warning: … (1:21)`.
    #[must_use]
    pub fn render(&self, text: &str) -> String {
        let (line, column) = self.span.line_column(text);
        format!("{} ({line}:{column})", self.message)
    }

    /// The same for a text of one line.
    #[must_use]
    pub fn render_one_line(&self) -> String {
        format!("{} (1:{})", self.message, self.span.start + 1)
    }
}

/// Buckets that were not monotonic: reported once a query, with what all occurrences have in common.
#[derive(Debug)]
struct Forced {
    lowest: f64,
    highest: f64,
    difference: f64,
    samples: u64,
    from: i64,
    to: i64,
}

/// Collects annotations, each only once.
#[derive(Debug, Default)]
pub(super) struct Annotations {
    remarks: BTreeMap<(Severity, Span, String), Option<Forced>>,
}

impl Annotations {
    fn add(&mut self, severity: Severity, span: Span, text: String) {
        self.remarks.entry((severity, span, text)).or_insert(None);
    }

    pub(super) fn invalid_quantile(&mut self, quantile: f64, span: Span) {
        let got = format_float(quantile, FloatStyle::General);
        self.add(Severity::Warning, span, format!("quantile value should be between 0 and 1, got {got}"));
    }

    pub(super) fn invalid_ratio(&mut self, ratio: f64, limit: f64, span: Span) {
        let [got, capped] = [ratio, limit].map(|value| format_float(value, FloatStyle::General));
        self.add(Severity::Warning, span, format!("ratio value should be between -1 and 1, got {got}, capping to {capped}"));
    }

    pub(super) fn bad_bucket_label(&mut self, metric: &str, value: &str, span: Span) {
        let text = format!("bucket label \"le\" is missing or has a malformed value of {}{}", quote(value), of_metric(metric));
        self.add(Severity::Warning, span, text);
    }

    pub(super) fn possible_non_counter(&mut self, metric: &str, span: Span) {
        let text = "metric might not be a counter, name does not end in _total/_sum/_count/_bucket: ";
        self.add(Severity::Info, span, format!("{text}{}", quote(metric)));
    }

    /// Not one of Prometheus's, whose samples are all of one resolution.
    pub(super) fn thinned_range(&mut self, range_millis: i64, span: Span) {
        let range = format_millis(range_millis);
        self.add(
            Severity::Info,
            span,
            format!("a range of {range} holds fewer than two samples, since so far back history keeps one a minute"),
        );
    }

    pub(super) fn incompatible_floats(&mut self, operator: &str, span: Span) {
        let text = format!("incompatible sample types encountered for binary operator {operator:?}: float {operator} float");
        self.add(Severity::Info, span, text);
    }

    /// The buckets of a histogram decreased between the bounds `lowest` and `highest`, by `difference` at most.
    pub(super) fn forced_monotonicity(&mut self, metric: &str, span: Span, at: i64, decrease: super::histogram::Decrease) {
        let text = format!(
            "input to histogram_quantile needed to be fixed for monotonicity (see \
             https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile){}",
            of_metric(metric)
        );
        let forced = self.remarks.entry((Severity::Info, span, text)).or_insert(None).get_or_insert(Forced {
            lowest: f64::INFINITY,
            highest: f64::NEG_INFINITY,
            difference: 0.0,
            samples: 0,
            from: at,
            to: at,
        });
        forced.lowest = forced.lowest.min(decrease.lowest);
        forced.highest = forced.highest.max(decrease.highest);
        forced.difference = forced.difference.max(decrease.difference);
        forced.samples += 1;
        forced.from = forced.from.min(at);
        forced.to = forced.to.max(at);
    }

    /// All of them, warnings first, in order of their places.
    pub(super) fn finish(self) -> Vec<Annotation> {
        let finish = |((severity, span, mut text), forced): ((Severity, Span, String), Option<Forced>)| {
            if let Some(forced) = forced {
                text.push_str(&forced.to_string());
            }
            let kind = if severity == Severity::Warning { "warning" } else { "info" };
            Annotation { severity, message: format!("PromQL {kind}: {text}"), span }
        };
        self.remarks.into_iter().map(finish).collect()
    }
}

fn of_metric(metric: &str) -> String {
    if metric.is_empty() { String::new() } else { format!(" for metric name {}", quote(metric)) }
}

impl std::fmt::Display for Forced {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            ", from buckets {} to {}, with a max diff of {}, over {} samples from {} to {}",
            format_float(self.lowest, FloatStyle::General),
            format_float(self.highest, FloatStyle::General),
            two_digits(self.difference),
            self.samples,
            Timestamp::from_millis(self.from),
            Timestamp::from_millis(self.to),
        )
    }
}

/// Rounded to two digits that count.
fn two_digits(value: f64) -> String {
    let rounded = format!("{value:.1e}").parse().unwrap_or(value);
    format_float(rounded, FloatStyle::General)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_that_fell_are_reported_once_with_what_they_have_in_common() {
        let mut annotations = Annotations::default();
        let decrease = |lowest, highest, difference| super::super::histogram::Decrease { lowest, highest, difference };
        annotations.forced_monotonicity("m", Span::new(20, 30), 2_000, decrease(1.0, 2.0, 10.0));
        annotations.forced_monotonicity("m", Span::new(20, 30), 1_000, decrease(0.5, 1.0, 0.123));
        let [annotation] = annotations.finish().try_into().expect("one");
        assert_eq!(
            annotation.render_one_line(),
            "PromQL info: input to histogram_quantile needed to be fixed for monotonicity (see \
             https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile) for metric name \"m\", from buckets 0.5 \
             to 2, with a max diff of 10, over 2 samples from 1970-01-01T00:00:01.000Z to 1970-01-01T00:00:02.000Z (1:21)"
        );
    }
}
