//! What follows an operand: `[range]`, `[range:step]`, `offset`, `@`, `anchored`, `smoothed`.

use crate::model::Timestamp;

use super::super::ast::{AtModifier, DurationArg, Expr, ExprKind, Extension, MatrixSelector, Subquery};
use super::super::error::Problem;
use super::super::span::Span;
use super::super::token::{Keyword, Token, TokenKind};
use super::duration::Place;
use super::{Parser, Result, Tree};

impl Parser<'_> {
    /// Applies all that follows an operand.
    pub(super) fn postfix(&mut self, mut operand: Tree<Expr>) -> Result<Tree<Expr>> {
        loop {
            let token = self.peek()?;
            match token.kind {
                TokenKind::LeftBracket => operand = self.brackets(operand)?,
                TokenKind::Keyword(Keyword::Offset) => self.offset(&mut operand.node)?,
                TokenKind::At => self.at(&mut operand.node)?,
                TokenKind::Keyword(Keyword::Anchored) => self.extension(&mut operand.node, Extension::Anchored)?,
                TokenKind::Keyword(Keyword::Smoothed) => self.extension(&mut operand.node, Extension::Smoothed)?,
                _ => return Ok(operand),
            }
        }
    }

    fn brackets(&mut self, operand: Tree<Expr>) -> Result<Tree<Expr>> {
        let open = self.take()?;
        let Tree { node: expr, height } = operand;
        let range = self.positive_duration(Place::Range)?;
        if self.accept(TokenKind::Colon)?.is_some() {
            return self.subquery(expr, height, range);
        }
        let token = self.peek()?;
        if token.kind != TokenKind::RightBracket {
            return Err(self.unexpected_in(token, "subquery or range", "\":\" or \"]\""));
        }
        let close = self.take()?;
        let span = expr.span.to(close.span);
        let problem = |message| Err(Problem::new(open.span.to(close.span), message));
        match expr.kind {
            ExprKind::VectorSelector(selector) if selector.offset != DurationArg::default() => {
                problem("no offset modifiers allowed before range")
            }
            ExprKind::VectorSelector(selector) if selector.at.is_some() => problem("no @ modifiers allowed before range"),
            ExprKind::VectorSelector(selector) => {
                self.above(Expr { kind: ExprKind::MatrixSelector(MatrixSelector { selector, range }), span }, height, span)
            }
            _ => problem("ranges only allowed for vector selectors"),
        }
    }

    fn subquery(&mut self, expr: Expr, height: u32, range: DurationArg) -> Result<Tree<Expr>> {
        let step = match self.peek()?.kind {
            TokenKind::RightBracket => None,
            _ => Some(self.positive_duration(Place::Step)?),
        };
        let token = self.peek()?;
        if token.kind != TokenKind::RightBracket {
            return Err(self.unexpected_in(token, "subquery selector", "\"]\""));
        }
        let span = expr.span.to(self.take()?.span);
        let subquery = Subquery { expr, range, step, offset: DurationArg::default(), at: None };
        self.above(Expr { kind: ExprKind::Subquery(Box::new(subquery)), span }, height, span)
    }

    fn offset(&mut self, expr: &mut Expr) -> Result<()> {
        self.take()?;
        let offset = self.offset_duration()?;
        let place = match &mut expr.kind {
            ExprKind::VectorSelector(selector) => &mut selector.offset,
            ExprKind::MatrixSelector(matrix) => &mut matrix.selector.offset,
            ExprKind::Subquery(subquery) => &mut subquery.offset,
            _ => return Err(misplaced(expr.span, "offset modifier")),
        };
        if *place != DurationArg::default() {
            return Err(Problem::new(expr.span, "offset may not be set multiple times"));
        }
        *place = offset;
        expr.span.end = self.end;
        Ok(())
    }

    fn at(&mut self, expr: &mut Expr) -> Result<()> {
        self.take()?;
        let at = self.at_time(expr.span)?;
        let place = match &mut expr.kind {
            ExprKind::VectorSelector(selector) => &mut selector.at,
            ExprKind::MatrixSelector(matrix) => &mut matrix.selector.at,
            ExprKind::Subquery(subquery) => &mut subquery.at,
            _ => return Err(misplaced(expr.span, "@ modifier")),
        };
        if place.is_some() {
            return Err(Problem::new(expr.span, "@ <timestamp> may not be set multiple times"));
        }
        *place = Some(at);
        expr.span.end = self.end;
        Ok(())
    }

    fn at_time(&mut self, operand: Span) -> Result<AtModifier> {
        let unexpected = |parser: &Self, token: Token| Err(parser.unexpected_in(token, "@", "timestamp"));
        let token = self.peek()?;
        let at = match token.kind {
            TokenKind::Keyword(Keyword::Start) => AtModifier::Start,
            TokenKind::Keyword(Keyword::End) => AtModifier::End,
            _ => {
                let negative = self.sign()?.is_some_and(|(negative, _)| negative);
                let token = self.peek()?;
                let Some(number) = self.number()? else { return unexpected(self, token) };
                let seconds = if negative { -number.value } else { number.value };
                return timestamp(seconds, operand);
            }
        };
        self.take()?;
        for kind in [TokenKind::LeftParen, TokenKind::RightParen] {
            let token = self.peek()?;
            if token.kind != kind {
                return unexpected(self, token);
            }
            self.take()?;
        }
        Ok(at)
    }

    fn extension(&mut self, expr: &mut Expr, extension: Extension) -> Result<()> {
        self.take()?;
        let word = extension.as_str();
        let place = match &mut expr.kind {
            ExprKind::VectorSelector(selector) => &mut selector.extension,
            ExprKind::MatrixSelector(matrix) => &mut matrix.selector.extension,
            ExprKind::Subquery(_) => {
                return Err(Problem::new(expr.span, format!("{word} modifier is not supported for subqueries")));
            }
            _ => return Err(Problem::new(expr.span, format!("{word} modifier not implemented"))),
        };
        if place.is_some_and(|other| other != extension) {
            return Err(Problem::new(expr.span, "anchored and smoothed modifiers cannot be used together"));
        }
        *place = Some(extension);
        expr.span.end = self.end;
        Ok(())
    }
}

fn misplaced(span: Span, what: &str) -> Problem {
    let message = format!("{what} must be preceded by an instant vector selector or range vector selector or a subquery");
    Problem::new(span, message)
}

fn timestamp(seconds: f64, operand: Span) -> Result<AtModifier> {
    // 2^63, as Prometheus has it, though it is milliseconds that are stored.
    const SECONDS_MAX: f64 = 9_223_372_036_854_775_808.0;
    if seconds.abs() < SECONDS_MAX {
        return Ok(AtModifier::Timestamp(Timestamp::from_seconds(seconds)));
    }
    let text = match seconds {
        f64::INFINITY => "+Inf".to_owned(),
        f64::NEG_INFINITY => "-Inf".to_owned(),
        nan if nan.is_nan() => "NaN".to_owned(),
        finite => format!("{finite:.6}"),
    };
    Err(Problem::new(operand, format!("timestamp out of bounds for @ modifier: {text}")))
}
