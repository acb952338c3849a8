//! What stands between operators: literals, parentheses, selectors, calls and aggregations.

use super::super::ast::{Aggregate, AggregateOp, Call, Expr, ExprKind};
use super::super::error::Problem;
use super::super::quote::quote;
use super::super::signature::signature;
use super::super::span::Span;
use super::super::token::{Keyword, Token, TokenKind};
use super::{Level, Parser, Result, Tree};

impl Parser<'_> {
    /// One operand with all that follows it: ranges, offsets, `@`.
    pub(super) fn operand(&mut self) -> Result<Tree<Expr>> {
        let token = self.peek()?;
        let operand = match token.kind {
            TokenKind::LeftParen => self.parentheses()?,
            kind if kind.is_metric_name() => self.named()?,
            _ => self.literal_or_selector(token)?,
        };
        self.postfix(operand)
    }

    fn literal_or_selector(&mut self, token: Token) -> Result<Tree<Expr>> {
        let kind = match token.kind {
            TokenKind::LeftBrace => {
                self.take()?;
                return self.selector(token);
            }
            TokenKind::String => {
                self.take()?;
                ExprKind::String(self.text(token)?)
            }
            _ => match self.number()? {
                Some(number) => ExprKind::Number(number),
                None => return Err(self.unexpected(token)),
            },
        };
        Ok(leaf(kind, token.span))
    }

    /// A name: of a function or an aggregation if it is used as one, else of a metric.
    fn named(&mut self) -> Result<Tree<Expr>> {
        let name = self.take()?;
        let after = self.peek()?.kind;
        match name.kind {
            TokenKind::Aggregator(op) if matches!(after, TokenKind::LeftParen | TokenKind::Keyword(Keyword::By | Keyword::Without)) => {
                self.aggregations += 1;
                let aggregate = self.aggregate(op, name)?;
                self.aggregations -= 1;
                Ok(aggregate)
            }
            TokenKind::Identifier
            | TokenKind::Keyword(Keyword::Start | Keyword::End | Keyword::Step | Keyword::Range | Keyword::MaxOf | Keyword::MinOf)
                if after == TokenKind::LeftParen =>
            {
                self.call(name)
            }
            _ => self.selector(name),
        }
    }

    fn selector(&mut self, first: Token) -> Result<Tree<Expr>> {
        let (selector, span) = self.vector_selector(first)?;
        Ok(leaf(ExprKind::VectorSelector(selector), span))
    }

    fn parentheses(&mut self) -> Result<Tree<Expr>> {
        let open = self.take()?;
        let inner = self.expression(Level::Or)?;
        let close = self.expect(TokenKind::RightParen)?;
        let span = open.span.to(close.span);
        self.above(Expr { kind: ExprKind::Paren(Box::new(inner.node)), span }, inner.height, span)
    }

    fn call(&mut self, name: Token) -> Result<Tree<Expr>> {
        let arguments = self.arguments(false)?;
        self.called(name, arguments)
    }

    fn called(&self, name: Token, (args, height): (Vec<Expr>, u32)) -> Result<Tree<Expr>> {
        let text = name.span.text(self.query);
        let Some(function) = signature(text) else {
            return Err(Problem::new(name.span, format!("unknown function with name {}", quote(text))));
        };
        let span = Span::new(name.span.start, self.end);
        self.above(Expr { kind: ExprKind::Call(Call { function, args }), span }, height, span)
    }

    /// Arguments in parentheses, and the height of the highest. The first may be bound to name a label.
    fn arguments(&mut self, first_is_label: bool) -> Result<(Vec<Expr>, u32)> {
        self.expect(TokenKind::LeftParen)?;
        let first = self.peek()?;
        if first_is_label && first.kind == TokenKind::String {
            self.label_name(first)?;
        }
        let (mut args, mut height) = (Vec::new(), 0);
        if self.accept(TokenKind::RightParen)?.is_some() {
            return Ok((args, height));
        }
        loop {
            let arg = self.expression(Level::Or)?;
            height = height.max(arg.height);
            args.push(arg.node);
            let Some(comma) = self.accept(TokenKind::Comma)? else { break };
            if !self.peek()?.kind.starts_expression() {
                return Err(Problem::new(comma.span, "trailing commas not allowed in function call args"));
            }
        }
        self.expect(TokenKind::RightParen)?;
        Ok((args, height))
    }

    fn aggregate(&mut self, op: AggregateOp, name: Token) -> Result<Tree<Expr>> {
        let before = self.aggregate_labels()?;
        let arguments = self.arguments(op == AggregateOp::CountValues)?;
        let labels = match before {
            Some(labels) => Some(labels),
            None => self.aggregate_labels()?,
        };
        self.aggregated(op, name, labels.unwrap_or_default(), arguments)
    }

    fn aggregated(
        &self,
        op: AggregateOp,
        name: Token,
        (without, grouping): (bool, Vec<String>),
        (args, height): (Vec<Expr>, u32),
    ) -> Result<Tree<Expr>> {
        let span = Span::new(name.span.start, self.end);
        let (param, expr) = split_arguments(op, args).map_err(|message| Problem::new(span, message))?;
        let aggregate = Aggregate { op, param, expr, grouping, without };
        self.above(Expr { kind: ExprKind::Aggregate(Box::new(aggregate)), span }, height, span)
    }

    /// Whether `without` is next (else `by`), and its labels.
    fn aggregate_labels(&mut self) -> Result<Option<(bool, Vec<String>)>> {
        let without = match self.peek()?.kind {
            TokenKind::Keyword(Keyword::By) => false,
            TokenKind::Keyword(Keyword::Without) => true,
            _ => return Ok(None),
        };
        self.take()?;
        Ok(Some((without, self.grouping()?)))
    }
}

const fn leaf(kind: ExprKind, span: Span) -> Tree<Expr> {
    Tree { node: Expr { kind, span }, height: 1 }
}

/// The parameter, if the aggregation has one, and what is aggregated.
fn split_arguments(op: AggregateOp, args: Vec<Expr>) -> std::result::Result<(Option<Expr>, Expr), String> {
    if args.is_empty() {
        return Err("no arguments for aggregate expression provided".to_owned());
    }
    let (expected, got) = (1 + usize::from(op.param().is_some()), args.len());
    let mut args = args.into_iter();
    match (args.next(), args.next(), op.param()) {
        (Some(expr), None, None) => Ok((None, expr)),
        (Some(param), Some(expr), Some(_)) if got == 2 => Ok((Some(param), expr)),
        _ => Err(format!("wrong number of arguments for aggregate expression provided, expected {expected}, got {got}")),
    }
}
