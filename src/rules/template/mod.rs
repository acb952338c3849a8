//! The Go template language as rule files use it in labels and annotations: text with actions in `{{ }}`.
//!
//! Parsed when a file is loaded, so that a mistake is known before an alert needs the text; expanded at every evaluation.
//! What stands here prints byte for byte what Prometheus prints, messages about mistakes included. A template has bounds on
//! the text it makes, on the steps it takes and on the queries it asks.

mod builtin;
mod eval;
mod functions;
mod humanize;
mod lexer;
mod literal;
mod method;
mod parser;
mod printf;
mod query;
mod syntax;
#[cfg(test)]
mod tests;
mod text;
mod time;
mod value;
mod verb;

use std::borrow::Cow;

use crate::model::{Labels, Timestamp};

pub use functions::{TemplateFunction, template_functions};
pub use method::template_methods;

/// What Prometheus puts before every template of a rule; positions in its messages count from there.
const PREFIX: &str = "{{$labels := .Labels}}{{$externalLabels := .ExternalLabels}}{{$externalURL := .ExternalURL}}{{$value := .Value}}";

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

/// Asks for the samples that a query finds at the time of the evaluation, or says why it cannot.
pub(super) type Ask<'a> = &'a dyn Fn(&str) -> Result<Vec<(Labels, f64)>, String>;

/// What a template can see.
#[derive(Clone, Copy)]
pub(super) struct Data<'a> {
    /// `$labels`: the labels of the result, its metric's name included.
    pub(super) labels: &'a Labels,
    /// `$externalLabels`
    pub(super) external_labels: &'a Labels,
    /// `$externalURL`
    pub(super) external_url: &'a str,
    /// `$value`
    pub(super) value: f64,
    /// `now`
    pub(super) at: Timestamp,
    /// `query`
    pub(super) ask: Ask<'a>,
}

/// A parsed template.
#[derive(Debug)]
pub(super) struct Template {
    /// As messages name it.
    name: String,
    /// What was parsed, [`PREFIX`] included.
    text: String,
    trees: parser::Trees,
    is_plain: bool,
    varies: bool,
}

impl Template {
    /// Parses a text of an alert's labels or annotations.
    ///
    /// # Errors
    /// When it is not a template; with the byte where.
    pub(super) fn parse(alert: &str, text: &str) -> Result<Self, TemplateError> {
        let is_plain = !text.contains("{{");
        let varies = lexer::tokens(text).iter().any(tells_of_more_than_labels);
        let text = format!("{PREFIX}{text}");
        let name = format!("__alert_{alert}");
        match parser::parse(&name, &text) {
            // Of a text without actions no step is needed.
            Ok(_) if is_plain => Ok(Self { name, text, trees: parser::Trees::default(), is_plain, varies }),
            Ok(trees) => Ok(Self { name, text, trees, is_plain, varies }),
            Err(TemplateError { at, message }) => {
                let line = 1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count();
                let message = format!("template: {name}:{line}: {message}");
                Err(TemplateError { at: at.saturating_sub(PREFIX.len()), message })
            }
        }
    }

    /// The text, where there is no action in it and it is the same for all results.
    pub(super) fn plain(&self) -> Option<&str> {
        if self.is_plain { self.text.get(PREFIX.len()..) } else { None }
    }

    /// Whether the same labels may give another text at another time, by another value or configuration.
    pub(super) const fn varies(&self) -> bool {
        self.varies
    }

    /// The text for one result.
    ///
    /// # Errors
    /// When a function refuses its arguments, a field is taken of what has none, or a bound is reached.
    pub(super) fn expand(&self, data: &Data<'_>) -> Result<Cow<'_, str>, String> {
        if let Some(plain) = self.plain() {
            return Ok(Cow::Borrowed(plain));
        }
        eval::expand(self, data).map(Cow::Owned).map_err(|error| format!("error executing template {}: {error}", self.name))
    }

    /// Line and column of a byte, as Go's messages count them: columns in bytes from 0.
    fn position(&self, at: usize) -> (usize, usize) {
        let before = self.text.get(..at).unwrap_or(&self.text);
        let line = 1 + before.bytes().filter(|byte| *byte == b'\n').count();
        (line, before.len() - before.rfind('\n').map_or(0, |end| end + 1))
    }
}

/// What `.` holds beside `.Labels`, and the functions that look at more than their arguments.
fn tells_of_more_than_labels(token: &lexer::Token<'_>) -> bool {
    match token.kind {
        lexer::Kind::Dot => true,
        lexer::Kind::Field => matches!(&*token.text, ".Value" | ".ExternalLabels" | ".ExternalURL"),
        lexer::Kind::Variable => matches!(&*token.text, "$" | "$value" | "$externalLabels" | "$externalURL"),
        lexer::Kind::Word => matches!(&*token.text, "query" | "now" | "externalURL" | "pathPrefix"),
        _ => false,
    }
}
