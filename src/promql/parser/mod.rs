//! Builds the tree: binary operators by precedence climbing, everything else by recursive descent.
//!
//! Messages, their places and which of several mistakes is named first are Prometheus's, whose grammar is
//! `generated_parser.y`. A query is limited in length and in depth, so that neither this parser nor whoever walks the
//! tree can be made to exhaust its stack.

mod duration;
mod literal;
mod operand;
mod postfix;
mod selector;
#[cfg(test)]
mod tests;

use crate::model::Matcher;

use super::ast::{Binary, BinaryOp, Cardinality, Expr, ExprKind, Fill, Unary, VectorMatching};
use super::check::check;
use super::error::{ParseError, Problem};
use super::lexer::Lexer;
use super::span::Span;
use super::token::{Keyword, Token, TokenKind};

/// The longest query, in bytes.
pub const QUERY_BYTES_MAX: usize = 64 * 1024;

/// The height of the highest tree; a chain of 128 operators is as high as 128 parentheses are deep.
pub const QUERY_DEPTH_MAX: u32 = 128;

/// The most regular expressions in one query: compiled, a short one can take half a megabyte.
pub const QUERY_REGEXES_MAX: usize = 200;

type Result<T> = std::result::Result<T, Problem>;

/// Reads and checks a query.
///
/// # Errors
/// The first mistake, as Prometheus would name it; also if the query exceeds [`QUERY_BYTES_MAX`], [`QUERY_DEPTH_MAX`]
/// or [`QUERY_REGEXES_MAX`].
pub fn parse(text: &str) -> std::result::Result<Expr, ParseError> {
    let query = || {
        let mut parser = Parser::new(text)?;
        if parser.peek()?.kind == TokenKind::End {
            return Err(Problem::new(Span::default(), "no expression found in input"));
        }
        let mut expr = parser.expression(Level::Or)?.node;
        parser.end()?;
        check(&mut expr, text)?;
        Ok(expr)
    };
    query().map_err(|problem| ParseError::new(problem, text))
}

/// Reads the conditions of one selector, such as `up{job="a"}`, as the `match[]` parameters of the HTTP API carry it.
/// Unlike in a query, all of the conditions may match the empty value.
///
/// # Errors
/// As [`parse`].
pub fn parse_selector(text: &str) -> std::result::Result<Vec<Matcher>, ParseError> {
    let selector = || {
        let mut parser = Parser::new(text)?;
        let token = parser.peek()?;
        if !token.kind.is_metric_name() && token.kind != TokenKind::LeftBrace {
            return Err(parser.unexpected(token));
        }
        parser.take()?;
        let (selector, _) = parser.vector_selector(token)?;
        parser.end()?;
        Ok(selector.matchers)
    };
    selector().map_err(|problem| ParseError::new(problem, text))
}

/// How strongly operators bind, weakest first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Or,
    And,
    Comparison,
    Sum,
    Product,
    Power,
}

impl Level {
    const fn of(op: BinaryOp) -> Self {
        match op {
            BinaryOp::Or => Self::Or,
            BinaryOp::And | BinaryOp::Unless => Self::And,
            BinaryOp::Eq
            | BinaryOp::Ne
            | BinaryOp::Lt
            | BinaryOp::Le
            | BinaryOp::Gt
            | BinaryOp::Ge
            | BinaryOp::TrimUpper
            | BinaryOp::TrimLower => Self::Comparison,
            BinaryOp::Add | BinaryOp::Sub => Self::Sum,
            BinaryOp::Mul | BinaryOp::Div | BinaryOp::Mod | BinaryOp::Atan2 => Self::Product,
            BinaryOp::Pow => Self::Power,
        }
    }

    /// The weakest level an operator's right operand may have: its own only for the one that groups to the right.
    const fn right(self) -> Self {
        match self {
            Self::Or => Self::And,
            Self::And => Self::Comparison,
            Self::Comparison => Self::Sum,
            Self::Sum => Self::Product,
            Self::Product | Self::Power => Self::Power,
        }
    }
}

/// A finished part of the tree and how high it is.
struct Tree<T> {
    node: T,
    height: u32,
}

struct Parser<'a> {
    query: &'a str,
    lexer: Lexer<'a>,
    /// The next word, if something has looked at it. It is read as late as possible: a mistake in it must not hide
    /// one in the words before it.
    next: Option<Token>,
    /// The end of the last word taken.
    end: u32,
    /// How many expressions the current one is in.
    depth: u32,
    /// How many aggregations the current word is in: Prometheus names them in messages.
    aggregations: u32,
    /// How many regular expressions there have been.
    regexes: usize,
}

impl<'a> Parser<'a> {
    fn new(query: &'a str) -> Result<Self> {
        if query.len() > QUERY_BYTES_MAX {
            let message = format!("query is too long: {} bytes, at most {QUERY_BYTES_MAX} are allowed", query.len());
            return Err(Problem::new(Span::default(), message));
        }
        Ok(Self { query, lexer: Lexer::new(query), next: None, end: 0, depth: 0, aggregations: 0, regexes: 0 })
    }

    fn peek(&mut self) -> Result<Token> {
        match self.next {
            Some(token) => Ok(token),
            None => Ok(*self.next.insert(self.lexer.next_token()?)),
        }
    }

    fn take(&mut self) -> Result<Token> {
        let token = self.peek()?;
        self.next = None;
        self.end = token.span.end;
        Ok(token)
    }

    /// Takes the next word if it is of this kind.
    fn accept(&mut self, kind: TokenKind) -> Result<Option<Token>> {
        if self.peek()?.kind == kind { self.take().map(Some) } else { Ok(None) }
    }

    fn accept_word(&mut self, word: Keyword) -> Result<bool> {
        Ok(self.accept(TokenKind::Keyword(word))?.is_some())
    }

    fn expect(&mut self, kind: TokenKind) -> Result<Token> {
        let token = self.peek()?;
        if token.kind == kind { self.take() } else { Err(self.unexpected(token)) }
    }

    fn end(&mut self) -> Result<()> {
        self.expect(TokenKind::End).map(drop)
    }

    /// A word where no expression can have it.
    fn unexpected(&self, token: Token) -> Problem {
        self.unexpected_in(token, if self.aggregations > 0 { "aggregation" } else { "" }, "")
    }

    fn unexpected_in(&self, token: Token, context: &str, expected: &str) -> Problem {
        let mut message = format!("unexpected {}", token.describe(self.query));
        for (link, part) in [(" in ", context), (", expected ", expected)] {
            if !part.is_empty() {
                message.push_str(link);
                message.push_str(part);
            }
        }
        Problem::new(token.span, message)
    }

    /// Puts a node above parts of which the highest has this height.
    fn above<T>(&self, node: T, height: u32, span: Span) -> Result<Tree<T>> {
        if height >= QUERY_DEPTH_MAX { Err(too_deep(span)) } else { Ok(Tree { node, height: height + 1 }) }
    }

    /// Goes one level deeper; [`Parser::rise`] comes back. No mistake is recovered from, so none needs to come back.
    fn descend(&mut self) -> Result<()> {
        if self.depth >= QUERY_DEPTH_MAX {
            return Err(too_deep(self.peek()?.span));
        }
        self.depth += 1;
        Ok(())
    }

    const fn rise(&mut self) {
        self.depth -= 1;
    }

    // The functions through which expressions nest are kept small: the stack they use is what limits the depth.

    /// An expression whose operators all bind at least as strongly as `weakest`.
    fn expression(&mut self, weakest: Level) -> Result<Tree<Expr>> {
        self.descend()?;
        let mut left = self.unary()?;
        while let Some(op) = self.operator(weakest)? {
            left = self.binary(left, op)?;
        }
        self.rise();
        Ok(left)
    }

    fn operator(&mut self, weakest: Level) -> Result<Option<BinaryOp>> {
        let TokenKind::Operator(op) = self.peek()?.kind else { return Ok(None) };
        if Level::of(op) < weakest {
            return Ok(None);
        }
        self.take()?;
        Ok(Some(op))
    }

    /// What follows an operator.
    fn binary(&mut self, left: Tree<Expr>, op: BinaryOp) -> Result<Tree<Expr>> {
        let modifiers = self.modifiers()?;
        let right = self.expression(Level::of(op).right())?;
        self.joined(left, op, modifiers, right)
    }

    fn joined(
        &self,
        left: Tree<Expr>,
        op: BinaryOp,
        (return_bool, matching): (bool, VectorMatching),
        right: Tree<Expr>,
    ) -> Result<Tree<Expr>> {
        let span = left.node.span.to(right.node.span);
        let height = left.height.max(right.height);
        let binary = Binary { op, lhs: left.node, rhs: right.node, return_bool, matching: Some(matching) };
        self.above(Expr { kind: ExprKind::Binary(Box::new(binary)), span }, height, span)
    }

    /// An operand with any signs, which bind weaker than `^` and stronger than all other operators.
    fn unary(&mut self) -> Result<Tree<Expr>> {
        match self.sign()? {
            None => self.operand(),
            Some((negative, sign)) => {
                let operand = self.expression(Level::Power)?;
                self.signed_operand(negative, sign, operand)
            }
        }
    }

    fn signed_operand(&self, negative: bool, sign: Span, operand: Tree<Expr>) -> Result<Tree<Expr>> {
        let Tree { node: mut expr, height } = operand;
        let span = sign.to(expr.span);
        if let ExprKind::Number(number) = &mut expr.kind {
            if negative {
                number.value = -number.value;
            }
            return Ok(Tree { node: Expr { span, ..expr }, height });
        }
        self.above(Expr { kind: ExprKind::Unary(Box::new(Unary { negative, expr })), span }, height, span)
    }

    /// What may stand between an operator and its right operand.
    fn modifiers(&mut self) -> Result<(bool, VectorMatching)> {
        let return_bool = self.accept_word(Keyword::Bool)?;
        let mut matching = VectorMatching::default();
        let on = self.accept_word(Keyword::On)?;
        if on || self.accept_word(Keyword::Ignoring)? {
            matching.on = on;
            matching.labels = self.grouping()?;
            matching.cardinality = match self.peek()?.kind {
                TokenKind::Keyword(Keyword::GroupLeft) => Cardinality::ManyToOne,
                TokenKind::Keyword(Keyword::GroupRight) => Cardinality::OneToMany,
                _ => Cardinality::OneToOne,
            };
            if matching.cardinality != Cardinality::OneToOne {
                self.take()?;
                if self.peek()?.kind == TokenKind::LeftParen {
                    matching.include = self.grouping()?;
                }
            }
        }
        matching.fill = self.fill()?;
        Ok((return_bool, matching))
    }

    fn fill(&mut self) -> Result<Fill> {
        let mut fill = Fill::default();
        if self.accept_word(Keyword::Fill)? {
            let value = self.fill_value()?;
            return Ok(Fill { left: Some(value), right: Some(value) });
        }
        if self.accept_word(Keyword::FillLeft)? {
            fill.left = Some(self.fill_value()?);
        }
        if self.accept_word(Keyword::FillRight)? {
            fill.right = Some(self.fill_value()?);
            if fill.left.is_none() && self.accept_word(Keyword::FillLeft)? {
                fill.left = Some(self.fill_value()?);
            }
        }
        Ok(fill)
    }

    fn fill_value(&mut self) -> Result<f64> {
        self.expect(TokenKind::LeftParen)?;
        let negative = self.sign()?.is_some_and(|(negative, _)| negative);
        let token = self.peek()?;
        let Some(number) = self.number()? else { return Err(self.unexpected(token)) };
        self.expect(TokenKind::RightParen)?;
        Ok(if negative { -number.value } else { number.value })
    }

    /// A sign and where it stands, if one is next.
    fn sign(&mut self) -> Result<Option<(bool, Span)>> {
        let token = self.peek()?;
        let TokenKind::Operator(op @ (BinaryOp::Add | BinaryOp::Sub)) = token.kind else { return Ok(None) };
        self.take()?;
        Ok(Some((op == BinaryOp::Sub, token.span)))
    }
}

fn too_deep(span: Span) -> Problem {
    Problem::new(span, format!("query is nested too deeply: at most {QUERY_DEPTH_MAX} levels are allowed"))
}
