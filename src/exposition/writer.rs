//! The writer: a family's head, then its series one by one, each read where it is kept. What all lines of a family have in
//! common is prepared once, so that a line is little more than a copy of its labels and a number.

use super::buckets::{self, Bounds};
use super::{Format, Names, escape, head};
use crate::model::{FloatStyle, Histogram, Labels, MetricType, Summary, write_float};

/// Writes families one after the other. They come sorted by name, each name once; the names of all of them are known from
/// the start.
#[derive(Debug)]
pub struct Writer {
    format: Format,
    names: Names,
    out: Vec<u8>,
    kind: MetricType,
    /// The head of a family whose first series is still to come: without any there is none.
    head: Vec<u8>,
    name: Vec<u8>,
    bounds: Bounds,
    /// How a line of a histogram's buckets starts: the same for all of a series.
    start: Vec<u8>,
}

impl Writer {
    /// A writer of a document with families of these names. In the text format names do not matter.
    #[must_use]
    pub fn new(format: Format, names: Names) -> Self {
        let (out, head, name, start) = Default::default();
        Self { format, names, out, kind: MetricType::Unknown, head, name, bounds: Bounds::default(), start }
    }

    /// Whether a family of this name can be written.
    #[must_use]
    pub fn knows(&self, name: &str) -> bool {
        self.format == Format::Text004 || self.names.have(name)
    }

    /// The series that follow belong to this family.
    pub fn family(&mut self, name: &str, kind: MetricType, help: &str) {
        self.head.clear();
        head::write(self.format, &self.names, name, kind, help, &mut self.head);
        self.kind = kind;
        self.name.clear();
        self.name.extend_from_slice(name.as_bytes());
    }

    /// A series of a counter, a gauge or an unknown. A value that is not of the family's type has no place in it and is
    /// left out; the registry keeps types apart.
    pub fn number(&mut self, labels: &Labels, value: f64) {
        if matches!(self.kind, MetricType::Histogram | MetricType::Summary) {
            return;
        }
        self.out.append(&mut self.head);
        self.out.extend_from_slice(&self.name);
        write_braced(labels, &mut self.out);
        self.end_with_float(value);
    }

    /// A series of a histogram.
    pub fn histogram(&mut self, labels: &Labels, histogram: &Histogram) {
        if self.kind != MetricType::Histogram {
            return;
        }
        self.out.append(&mut self.head);
        self.bounds.prepare(&histogram.bounds);
        self.start.clear();
        self.start.extend_from_slice(&self.name);
        self.start.extend_from_slice(b"_bucket{");
        if !labels.is_empty() {
            write_labels(labels, &mut self.start);
            self.start.push(b',');
        }
        let total = buckets::write(self.format, &self.start, &self.bounds, histogram, &mut self.out);
        self.totals(labels, histogram.sum, total);
    }

    /// A series of a summary.
    pub fn summary(&mut self, labels: &Labels, summary: &Summary) {
        if self.kind != MetricType::Summary {
            return;
        }
        self.out.append(&mut self.head);
        for (quantile, value) in &summary.quantiles {
            self.out.extend_from_slice(&self.name);
            self.out.push(b'{');
            if !labels.is_empty() {
                write_labels(labels, &mut self.out);
                self.out.push(b',');
            }
            self.out.extend_from_slice(b"quantile=\"");
            // In both formats as in OpenMetrics, so that the series do not depend on the format.
            write_float(*quantile, FloatStyle::Canonical, &mut self.out);
            self.out.extend_from_slice(b"\"} ");
            self.end_with_float(*value);
        }
        self.totals(labels, summary.sum, summary.count);
    }

    fn totals(&mut self, labels: &Labels, sum: f64, count: u64) {
        // In OpenMetrics a sum is a counter: a negative one makes the document invalid, and a count without a sum does too.
        if self.format == Format::OpenMetrics100 && sum < 0.0 {
            return;
        }
        self.start_line(b"_sum", labels);
        self.end_with_float(sum);
        self.start_line(b"_count", labels);
        self.out.extend_from_slice(itoa::Buffer::new().format(count).as_bytes());
        self.out.push(b'\n');
    }

    /// Ends the document.
    pub fn end(&mut self) {
        if self.format == Format::OpenMetrics100 {
            self.out.extend_from_slice(b"# EOF\n");
        }
    }

    /// Whether nothing has been written since the last exchange.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.out.is_empty()
    }

    /// Exchanges what has been written so far for the buffer in which to go on.
    pub fn swap(&mut self, buffer: &mut Vec<u8>) {
        std::mem::swap(&mut self.out, buffer);
    }

    fn start_line(&mut self, suffix: &[u8], labels: &Labels) {
        self.out.extend_from_slice(&self.name);
        self.out.extend_from_slice(suffix);
        write_braced(labels, &mut self.out);
    }

    fn end_with_float(&mut self, value: f64) {
        let style = match self.format {
            Format::Text004 => FloatStyle::General,
            Format::OpenMetrics100 => FloatStyle::Canonical,
        };
        write_float(value, style, &mut self.out);
        self.out.push(b'\n');
    }
}

/// Appends labels, if there are any, and the space before the value.
fn write_braced(labels: &Labels, out: &mut Vec<u8>) {
    if labels.is_empty() {
        out.push(b' ');
        return;
    }
    out.push(b'{');
    write_labels(labels, out);
    out.extend_from_slice(b"} ");
}

fn write_labels(labels: &Labels, out: &mut Vec<u8>) {
    if let Some(text) = labels.as_exposed() {
        out.extend_from_slice(text.as_bytes());
        return;
    }
    let mut separator: &[u8] = b"";
    for (name, value) in labels {
        out.extend_from_slice(separator);
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"=\"");
        escape::quoted(value, out);
        out.push(b'"');
        separator = b",";
    }
}
