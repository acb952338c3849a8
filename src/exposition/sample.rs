//! The sample lines of a family. They differ between the formats only in how a float is written.

use super::{Format, escape};
use crate::model::{Family, FloatStyle, Histogram, Labels, MetricType, Value, write_float};

/// Appends every series of a family. A value that is not of the family's type has no place in it and is left out; the
/// registry keeps types apart.
pub(super) fn write(family: &Family, format: Format, out: &mut Vec<u8>) {
    let style = style(format);
    let name = family.name.as_bytes();
    let mut labels = Vec::new();
    for series in &family.series {
        labels.clear();
        write_labels(&series.labels, &mut labels);
        match (&series.value, family.kind) {
            (Value::Number(value), MetricType::Counter | MetricType::Gauge | MetricType::Unknown) => {
                start_line(name, b"", &labels, out);
                write_float(*value, style, out);
                out.push(b'\n');
            }
            (Value::Histogram(histogram), MetricType::Histogram) => write_histogram(name, &labels, histogram, format, out),
            (Value::Number(_), MetricType::Histogram) | (Value::Histogram(_), _) => {}
        }
    }
}

const fn style(format: Format) -> FloatStyle {
    match format {
        Format::Text004 => FloatStyle::General,
        Format::OpenMetrics100 => FloatStyle::Canonical,
    }
}

fn write_histogram(name: &[u8], labels: &[u8], histogram: &Histogram, format: Format, out: &mut Vec<u8>) {
    let mut count = itoa::Buffer::new();
    let mut total = 0;
    for (bound, cumulative) in histogram.cumulative() {
        out.extend_from_slice(name);
        out.extend_from_slice(b"_bucket{");
        if !labels.is_empty() {
            out.extend_from_slice(labels);
            out.push(b',');
        }
        out.extend_from_slice(b"le=\"");
        // The label is the same text in both formats, or a scraper that changes formats would see new series.
        write_float(bound, FloatStyle::Canonical, out);
        out.extend_from_slice(b"\"} ");
        out.extend_from_slice(count.format(cumulative).as_bytes());
        out.push(b'\n');
        total = cumulative;
    }
    // In OpenMetrics a sum is a counter: a negative one makes the document invalid, and a count without a sum does too.
    if format == Format::OpenMetrics100 && histogram.sum < 0.0 {
        return;
    }
    start_line(name, b"_sum", labels, out);
    write_float(histogram.sum, style(format), out);
    out.push(b'\n');
    start_line(name, b"_count", labels, out);
    out.extend_from_slice(count.format(total).as_bytes());
    out.push(b'\n');
}

fn start_line(name: &[u8], suffix: &[u8], labels: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(name);
    out.extend_from_slice(suffix);
    if !labels.is_empty() {
        out.push(b'{');
        out.extend_from_slice(labels);
        out.push(b'}');
    }
    out.push(b' ');
}

fn write_labels(labels: &Labels, out: &mut Vec<u8>) {
    for (name, value) in labels {
        if !out.is_empty() {
            out.push(b',');
        }
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"=\"");
        escape::quoted(value, out);
        out.push(b'"');
    }
}
