//! The bucket lines of a histogram, and the exemplars behind them.
//! Source: the OpenMetrics 1.0 specification, "Exemplars".

use std::sync::Arc;

use super::{Format, escape};
use crate::model::{Exemplar, FloatStyle, Histogram, Timestamp, write_float};

/// The labels `le` of a family's buckets as they stand in a line, `le="0.1"} `: prepared once, since all series of a
/// family have the same. The text is the same in both formats, or a scraper that changes formats would see new series.
#[derive(Debug, Default)]
pub(super) struct Bounds {
    of: Option<Arc<[f64]>>,
    text: Vec<u8>,
    /// Where each text ends.
    ends: Vec<usize>,
}

impl Bounds {
    /// Prepares the texts of these bounds and of the one above them, if they are not those that are prepared.
    pub(super) fn prepare(&mut self, bounds: &Arc<[f64]>) {
        if self.of.as_ref().is_some_and(|prepared| Arc::ptr_eq(prepared, bounds) || prepared == bounds) {
            return;
        }
        self.of = Some(Arc::clone(bounds));
        self.text.clear();
        self.ends.clear();
        for bound in bounds.iter().copied().chain([f64::INFINITY]) {
            self.text.extend_from_slice(b"le=\"");
            write_float(bound, FloatStyle::Canonical, &mut self.text);
            self.text.extend_from_slice(b"\"} ");
            self.ends.push(self.text.len());
        }
    }

    fn texts(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, end)| self.text.get(start..*end).unwrap_or(&[]))
    }
}

/// Appends a line for each bucket, every one beginning with `start`; answers the observations in all of them.
pub(super) fn write(format: Format, start: &[u8], bounds: &Bounds, histogram: &Histogram, out: &mut Vec<u8>) -> u64 {
    let mut digits = itoa::Buffer::new();
    let mut total = 0_u64;
    for ((bucket, count), le) in histogram.counts.iter().enumerate().zip(bounds.texts()) {
        total = total.saturating_add(*count);
        out.extend_from_slice(start);
        out.extend_from_slice(le);
        out.extend_from_slice(digits.format(total).as_bytes());
        if format == Format::OpenMetrics100
            && let Some(exemplar) = histogram.exemplars.get(bucket)
        {
            write_exemplar(exemplar, out);
        }
        out.push(b'\n');
    }
    total
}

/// The label's name and value have 128 characters at most, says the format; a trace id is never that long.
fn write_exemplar(exemplar: &Exemplar, out: &mut Vec<u8>) {
    out.extend_from_slice(b" # {trace_id=\"");
    escape::quoted(exemplar.trace_id.as_str(), out);
    out.extend_from_slice(b"\"} ");
    write_float(exemplar.value, FloatStyle::Canonical, out);
    out.push(b' ');
    write_seconds(exemplar.at, out);
}

/// A time as Unix seconds with milliseconds.
fn write_seconds(at: Timestamp, out: &mut Vec<u8>) {
    let millis = at.as_millis();
    let mut digits = itoa::Buffer::new();
    if millis < 0 {
        out.push(b'-');
    }
    out.extend_from_slice(digits.format(millis.unsigned_abs() / 1000).as_bytes());
    out.push(b'.');
    // The one in front keeps the zeros behind the point.
    out.extend_from_slice(digits.format(1000 + millis.unsigned_abs() % 1000).as_bytes().get(1..).unwrap_or(b"0"));
}
