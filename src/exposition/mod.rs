//! Writers of Prometheus's text format and of OpenMetrics, and the choice between them: pure.
//!
//! Both formats carry the same sample names with the same labels, so that a scraper may change its mind without making
//! new series. They differ in their metadata, in how floats look, and in the end marker. (One exception is forced by
//! OpenMetrics: a histogram whose sum is negative has no `_sum` and no `_count` there.)
#![warn(clippy::indexing_slicing, clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_possible_wrap)]

mod accept;
mod buckets;
mod escape;
mod head;
mod names;
mod writer;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::model::{Family, Value};

pub use accept::{Negotiated, negotiate};
pub use names::Names;
pub use writer::Writer;

/// A format of `/metrics`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Prometheus's text format, version 0.0.4.
    Text004,
    /// OpenMetrics text, version 1.0.0.
    OpenMetrics100,
}

impl Format {
    /// The value of `Content-Type` for this format where nothing more particular was negotiated.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Text004 => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics100 => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

impl Writer {
    /// All series of a family, which has been begun.
    pub fn all_series(&mut self, family: &Family) {
        for series in &family.series {
            match &series.value {
                Value::Number(value) => self.number(&series.labels, *value),
                Value::Histogram(histogram) => self.histogram(&series.labels, histogram),
                Value::Summary(summary) => self.summary(&series.labels, summary),
            }
        }
    }
}

/// Appends all families to `out`. They come sorted by name, each name once; a family without series is left out.
pub fn write(format: Format, families: &[Family], out: &mut Vec<u8>) {
    let names = families.iter().map(|family| (Arc::clone(&family.name), family.kind)).collect();
    let mut writer = Writer::new(format, names);
    writer.swap(out);
    for family in families {
        writer.family(&family.name, family.kind, &family.help);
        writer.all_series(family);
    }
    writer.end();
    writer.swap(out);
}
