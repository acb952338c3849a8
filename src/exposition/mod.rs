//! Writers of Prometheus's text format and of OpenMetrics, and the choice between them: pure.
//!
//! Both formats carry the same sample names with the same labels, so that a scraper may change its mind without making
//! new series. They differ in their metadata, in how floats look, and in the end marker. (One exception is forced by
//! OpenMetrics: a histogram whose sum is negative has no `_sum` and no `_count` there.)
#![warn(clippy::indexing_slicing, clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_possible_wrap)]

mod accept;
mod escape;
mod openmetrics;
mod sample;
mod text;

#[cfg(test)]
mod tests;

use crate::model::Family;

pub use accept::{Negotiated, negotiate};

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

/// Appends all families to `out`. They come sorted by name, each name once; a family without series is left out.
pub fn write(format: Format, families: &[Family], out: &mut Vec<u8>) {
    match format {
        Format::Text004 => text::write(families, out),
        Format::OpenMetrics100 => openmetrics::write(families, out),
    }
}
