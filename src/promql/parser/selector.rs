//! Selectors of series and lists of labels.

use crate::model::{METRIC_NAME, MatchOp, Matcher};

use super::super::ast::{BinaryOp, DurationArg, VectorSelector};
use super::super::error::Problem;
use super::super::quote::quote;
use super::super::span::Span;
use super::super::token::{Token, TokenKind};
use super::{Parser, QUERY_REGEXES_MAX, Result};

impl Parser<'_> {
    /// `name`, `name{…}` or `{…}`, of which the caller has taken the first word.
    pub(super) fn vector_selector(&mut self, first: Token) -> Result<(VectorSelector, Span)> {
        let name = (first.kind != TokenKind::LeftBrace).then(|| first.span.text(self.query).to_owned());
        let mut matchers = Vec::new();
        if name.is_none() || self.accept(TokenKind::LeftBrace)?.is_some() {
            self.matchers(&mut matchers)?;
        }
        if let Some(name) = &name {
            matchers.push(matcher(METRIC_NAME, MatchOp::Equal, name, first.span)?);
        }
        let selector = VectorSelector { name, matchers, offset: DurationArg::default(), at: None, extension: None };
        Ok((selector, Span::new(first.span.start, self.end)))
    }

    /// The conditions after the opening brace, and the closing brace.
    fn matchers(&mut self, matchers: &mut Vec<Matcher>) -> Result<()> {
        while self.accept(TokenKind::RightBrace)?.is_none() {
            matchers.push(self.matcher()?);
            if self.accept(TokenKind::Comma)?.is_some() {
                continue;
            }
            let token = self.peek()?;
            if token.kind != TokenKind::RightBrace {
                return Err(self.unexpected_in(token, "label matching", "\",\" or \"}\""));
            }
        }
        Ok(())
    }

    fn matcher(&mut self) -> Result<Matcher> {
        let label = self.peek()?;
        let name = match label.kind {
            TokenKind::Identifier => label.span.text(self.query).to_owned(),
            TokenKind::String => self.text(label)?,
            _ => return Err(self.unexpected_in(label, "label matching", "identifier or \"}\"")),
        };
        self.take()?;
        let operator = self.peek()?;
        let op = match operator.kind {
            TokenKind::Assign => MatchOp::Equal,
            TokenKind::Operator(BinaryOp::Ne) => MatchOp::NotEqual,
            TokenKind::MatchRegex => MatchOp::Regex,
            TokenKind::MatchNotRegex => MatchOp::NotRegex,
            // A quoted name by itself is the metric's.
            _ if label.kind == TokenKind::String => return matcher(METRIC_NAME, MatchOp::Equal, &name, label.span),
            _ => return Err(self.unexpected_in(operator, "label matching", "label matching operator")),
        };
        self.take()?;
        let value = self.peek()?;
        if value.kind != TokenKind::String {
            return Err(self.unexpected_in(value, "label matching", "string"));
        }
        self.take()?;
        let span = label.span.to(value.span);
        if matches!(op, MatchOp::Regex | MatchOp::NotRegex) {
            self.regexes += 1;
            if self.regexes > QUERY_REGEXES_MAX {
                let message = format!("query has too many regular expressions: at most {QUERY_REGEXES_MAX} are allowed");
                return Err(Problem::new(span, message));
            }
        }
        matcher(&name, op, &self.text(value)?, span)
    }

    /// The labels in parentheses after `by`, `without`, `on`, `ignoring`, `group_left` and `group_right`.
    pub(super) fn grouping(&mut self) -> Result<Vec<String>> {
        const CONTEXT: &str = "grouping opts";
        let token = self.peek()?;
        if token.kind != TokenKind::LeftParen {
            return Err(self.unexpected_in(token, CONTEXT, "\"(\""));
        }
        self.take()?;
        let mut labels = Vec::new();
        while self.accept(TokenKind::RightParen)?.is_none() {
            let token = self.peek()?;
            labels.push(match token.kind {
                TokenKind::String => self.grouping_label(token)?,
                kind if kind.is_label_name() => token.span.text(self.query).to_owned(),
                _ => return Err(self.unexpected_in(token, CONTEXT, "label")),
            });
            self.take()?;
            if self.accept(TokenKind::Comma)?.is_some() {
                continue;
            }
            let token = self.peek()?;
            if token.kind != TokenKind::RightParen {
                return Err(self.unexpected_in(token, CONTEXT, "\",\" or \")\""));
            }
        }
        Ok(labels)
    }

    fn grouping_label(&self, literal: Token) -> Result<String> {
        let label = self.text(literal)?;
        if label.is_empty() {
            return Err(Problem::new(literal.span, format!("invalid label name for grouping: {}", quote(&label))));
        }
        Ok(label)
    }
}

fn matcher(name: &str, op: MatchOp, value: &str, span: Span) -> Result<Matcher> {
    Matcher::new(name, op, value).map_err(|error| Problem::new(span, error.to_string()))
}
