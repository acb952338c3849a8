//! The Go template language as rule files use it in labels and annotations: text with actions in `{{ }}`.
//!
//! Parsed when a file is loaded, so that a mistake is known before an alert needs the text; expanded at every evaluation.
//! What stands here prints byte for byte what Prometheus prints. `define`, `template`, `break`, and the functions that
//! query (`query`, `first`, …) are refused by name when a file is loaded.

mod eval;
mod functions;
mod humanize;
mod lexer;
mod parser;
mod printf;
#[cfg(test)]
mod tests;
mod value;

use crate::model::Labels;

pub(super) use functions::link;
pub use functions::template_functions;

/// Why a text is not a template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(super) struct TemplateError {
    /// The byte of the text where the mistake is.
    pub(super) at: usize,
    /// What is wrong.
    pub(super) message: String,
}

impl TemplateError {
    fn new(at: usize, message: impl Into<String>) -> Self {
        Self { at, message: message.into() }
    }
}

/// What a template can see.
#[derive(Clone, Copy, Debug)]
pub(super) struct Data<'a> {
    /// `$labels`: the labels of the result, its metric's name included.
    pub(super) labels: &'a Labels,
    /// `$externalLabels`
    pub(super) external_labels: &'a Labels,
    /// `$externalURL`
    pub(super) external_url: &'a str,
    /// `$value`
    pub(super) value: f64,
}

/// A parsed template.
#[derive(Debug)]
pub(super) struct Template {
    nodes: Vec<parser::Node>,
}

impl Template {
    /// Parses a text.
    ///
    /// # Errors
    /// When it is not a template, or uses what is not supported; with the byte where.
    pub(super) fn parse(text: &str) -> Result<Self, TemplateError> {
        parser::parse(text).map(|nodes| Self { nodes })
    }

    /// The text for one result.
    ///
    /// # Errors
    /// When a function refuses its arguments, or a field is taken of what has none.
    pub(super) fn expand(&self, data: &Data<'_>) -> Result<String, String> {
        eval::expand(&self.nodes, data)
    }
}
