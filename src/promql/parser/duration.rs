//! Durations of ranges, steps and offsets: a literal, or arithmetic that is done when the query is evaluated.

use super::super::ast::{BinaryOp, DurationArg, DurationExpr, DurationKind, Number};
use super::super::error::Problem;
use super::super::span::Span;
use super::super::token::{Keyword, Token, TokenKind};
use super::literal::DURATION_SECONDS_MAX;
use super::{Level, Parser, Result, Tree};

/// Where a duration stands, for messages.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Range,
    Step,
    Offset,
}

impl Place {
    const fn context(self) -> (&'static str, &'static str) {
        match self {
            Self::Range => ("subquery or range selector", "number, duration, step(), or range()"),
            Self::Step => ("subquery selector", "number, duration, step(), range(), or \"]\""),
            Self::Offset => ("offset", "number, duration, step(), or range()"),
        }
    }
}

impl Parser<'_> {
    /// The duration of a range or step. Arithmetic is checked when it is done.
    pub(super) fn positive_duration(&mut self, place: Place) -> Result<DurationArg> {
        let duration = self.duration(Level::Sum, place)?.node;
        let span = duration.span;
        match argument(duration) {
            DurationArg::Millis(millis) if millis <= 0 => Err(Problem::new(span, "duration must be greater than 0")),
            argument => Ok(argument),
        }
    }

    /// The duration of an offset. Here arithmetic needs parentheses, because what follows is mostly arithmetic on the
    /// values: `foo offset 5m - 1` subtracts one from `foo`.
    pub(super) fn offset_duration(&mut self) -> Result<DurationArg> {
        let sign = self.sign()?;
        let operand = self.duration_operand(Place::Offset)?;
        Ok(argument(match sign {
            Some((negative, span)) => self.signed(negative, span, operand)?.node,
            None => operand.node,
        }))
    }

    fn duration(&mut self, weakest: Level, place: Place) -> Result<Tree<DurationExpr>> {
        self.descend()?;
        let mut left = match self.sign()? {
            Some((negative, span)) => {
                let operand = self.duration(Level::Power, place)?;
                self.signed(negative, span, operand)?
            }
            None => self.duration_operand(place)?,
        };
        while let Some((op, operator)) = self.duration_operator(weakest)? {
            let right = self.duration(Level::of(op).right(), place)?;
            left = self.joined_durations(left, op, operator, right)?;
        }
        self.rise();
        Ok(left)
    }

    fn joined_durations(
        &self,
        left: Tree<DurationExpr>,
        op: BinaryOp,
        operator: Token,
        right: Tree<DurationExpr>,
    ) -> Result<Tree<DurationExpr>> {
        let by_zero = matches!(right.node.kind, DurationKind::Number(number) if number.value == 0.0);
        match op {
            BinaryOp::Div if by_zero => return Err(Problem::new(operator.span, "division by zero")),
            BinaryOp::Mod if by_zero => return Err(Problem::new(operator.span, "modulo by zero")),
            _ => {}
        }
        let span = left.node.span.to(right.node.span);
        let height = left.height.max(right.height);
        let kind = DurationKind::Binary(op, Box::new(left.node), Box::new(right.node));
        self.above(DurationExpr { kind, span }, height, span)
    }

    fn duration_operator(&mut self, weakest: Level) -> Result<Option<(BinaryOp, Token)>> {
        let token = self.peek()?;
        let TokenKind::Operator(op) = token.kind else { return Ok(None) };
        let arithmetic = matches!(op, BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul | BinaryOp::Div | BinaryOp::Mod | BinaryOp::Pow);
        if !arithmetic || Level::of(op) < weakest {
            return Ok(None);
        }
        self.take()?;
        Ok(Some((op, token)))
    }

    fn signed(&self, negative: bool, sign: Span, operand: Tree<DurationExpr>) -> Result<Tree<DurationExpr>> {
        let Tree { node, height } = operand;
        let span = sign.to(node.span);
        match node.kind {
            DurationKind::Number(number) => {
                let value = if negative { -number.value } else { number.value };
                Ok(Tree { node: DurationExpr { kind: DurationKind::Number(Number { value, ..number }), span }, height })
            }
            kind if !negative => Ok(Tree { node: DurationExpr { kind, span }, height }),
            kind => {
                let inner = DurationExpr { kind, span: node.span };
                self.above(DurationExpr { kind: DurationKind::Negate(Box::new(inner)), span }, height, span)
            }
        }
    }

    fn duration_operand(&mut self, place: Place) -> Result<Tree<DurationExpr>> {
        let token = self.peek()?;
        let leaf = |kind, span| Ok(Tree { node: DurationExpr { kind, span }, height: 1 });
        match token.kind {
            TokenKind::Number | TokenKind::Duration => {
                let Some(number) = self.number()? else { return Err(self.unexpected_duration(token, place)) };
                if number.value.is_nan() || number.value > DURATION_SECONDS_MAX {
                    return Err(Problem::new(token.span, "duration out of range"));
                }
                leaf(DurationKind::Number(number), token.span)
            }
            TokenKind::Keyword(word @ (Keyword::Step | Keyword::Range)) => {
                self.take()?;
                self.expect_in_duration(TokenKind::LeftParen, place)?;
                let close = self.expect_in_duration(TokenKind::RightParen, place)?;
                let kind = if word == Keyword::Step { DurationKind::Step } else { DurationKind::Range };
                leaf(kind, token.span.to(close.span))
            }
            TokenKind::Keyword(Keyword::MinOf | Keyword::MaxOf) => self.min_or_max(place),
            TokenKind::LeftParen => self.duration_parentheses(place),
            _ => Err(self.unexpected_duration(token, place)),
        }
    }

    fn min_or_max(&mut self, place: Place) -> Result<Tree<DurationExpr>> {
        let word = self.take()?;
        self.expect_in_duration(TokenKind::LeftParen, place)?;
        let first = self.duration(Level::Sum, place)?;
        self.expect_in_duration(TokenKind::Comma, place)?;
        let second = self.duration(Level::Sum, place)?;
        let close = self.expect_in_duration(TokenKind::RightParen, place)?;
        let (span, height) = (word.span.to(close.span), first.height.max(second.height));
        let (first, second) = (Box::new(first.node), Box::new(second.node));
        let kind = match word.kind {
            TokenKind::Keyword(Keyword::MinOf) => DurationKind::Min(first, second),
            _ => DurationKind::Max(first, second),
        };
        self.above(DurationExpr { kind, span }, height, span)
    }

    fn duration_parentheses(&mut self, place: Place) -> Result<Tree<DurationExpr>> {
        let open = self.take()?;
        let Tree { node: inner, height } = self.duration(Level::Sum, place)?;
        let span = open.span.to(self.expect_in_duration(TokenKind::RightParen, place)?.span);
        match inner.kind {
            // One pair of parentheses says all that several say.
            kind @ DurationKind::Paren(_) => Ok(Tree { node: DurationExpr { kind, span }, height }),
            _ => self.above(DurationExpr { kind: DurationKind::Paren(Box::new(inner)), span }, height, span),
        }
    }

    fn expect_in_duration(&mut self, kind: TokenKind, place: Place) -> Result<Token> {
        let token = self.peek()?;
        if token.kind == kind { self.take() } else { Err(self.unexpected_duration(token, place)) }
    }

    fn unexpected_duration(&self, token: Token, place: Place) -> Problem {
        let (context, expected) = place.context();
        self.unexpected_in(token, context, expected)
    }
}

/// A literal as milliseconds, anything else as it is.
fn argument(duration: DurationExpr) -> DurationArg {
    match duration.kind {
        // First to nanoseconds and then down to milliseconds, as Prometheus does it. The value is in range.
        #[allow(clippy::cast_possible_truncation)]
        DurationKind::Number(number) => DurationArg::Millis((number.value * 1e9).round() as i64 / 1_000_000),
        kind => DurationArg::Expr(Box::new(DurationExpr { kind, span: duration.span })),
    }
}
