//! The syntax tree of a query. Every node knows its place in the text; comparing two trees ignores places, so that a
//! printed and re-read query equals the first one.

use crate::model::{Matcher, Timestamp};

pub use super::operator::{AggregateOp, BinaryOp};
use super::signature::Signature;
use super::span::Span;

/// An expression and the bytes it was read from.
#[derive(Clone, Debug)]
pub struct Expr {
    /// What it is.
    pub kind: ExprKind,
    /// Where it stands: from the first byte of its first token to the last of its last, modifiers included.
    pub span: Span,
}

/// The kinds of expressions.
#[derive(Clone, Debug, PartialEq)]
pub enum ExprKind {
    /// `1.5`, `0x1f`, `Inf`, `5m`; a sign before it is folded in.
    Number(Number),
    /// `"text"`
    String(String),
    /// `up{job="a"} offset 5m`
    VectorSelector(VectorSelector),
    /// `up[5m]`
    MatrixSelector(MatrixSelector),
    /// `expr[1h:1m]`
    Subquery(Box<Subquery>),
    /// `sum by (job) (up)`
    Aggregate(Box<Aggregate>),
    /// `rate(x[5m])`
    Call(Call),
    /// `a + on (job) b`
    Binary(Box<Binary>),
    /// `-expr`
    Unary(Box<Unary>),
    /// `(expr)`
    Paren(Box<Expr>),
}

/// The type of an expression's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ValueType {
    /// One number.
    Scalar,
    /// One text.
    String,
    /// A sample of each of a set of series, all at one time.
    Vector,
    /// Samples over a range of time of each of a set of series.
    Matrix,
}

/// A number literal.
#[derive(Clone, Copy, Debug)]
pub struct Number {
    /// The value; seconds if written as a duration.
    pub value: f64,
    /// True if written as a duration (`5m`): then it is printed as one.
    pub is_duration: bool,
}

/// Selects one sample a series. Selectors are equal whatever the order of their conditions.
#[derive(Clone, Debug)]
pub struct VectorSelector {
    /// The metric name written before the braces, if any.
    pub name: Option<String>,
    /// All conditions, the one on `__name__` that `name` makes last.
    pub matchers: Vec<Matcher>,
    /// How far back to look; negative is forward, `Millis(0)` is no offset.
    pub offset: DurationArg,
    /// The time to look at instead of the evaluation time.
    pub at: Option<AtModifier>,
    /// How values at the edges of the range are made.
    pub extension: Option<Extension>,
}

/// The modifiers of extended range selectors (`promql-extended-range-selectors` in Prometheus).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extension {
    /// `anchored`: the last sample before the range stands at its start.
    Anchored,
    /// `smoothed`: values at both edges are interpolated from the samples around them.
    Smoothed,
}

/// Selects the samples of a range of time of each series.
#[derive(Clone, Debug, PartialEq)]
pub struct MatrixSelector {
    /// Which series; carries offset, `@` and extension of the whole.
    pub selector: VectorSelector,
    /// How long the range is.
    pub range: DurationArg,
}

/// Evaluates an instant expression over a range.
#[derive(Clone, Debug, PartialEq)]
pub struct Subquery {
    /// What is evaluated at each step.
    pub expr: Expr,
    /// How long the range is.
    pub range: DurationArg,
    /// The distance of steps; the engine's default if absent.
    pub step: Option<DurationArg>,
    /// As for a selector.
    pub offset: DurationArg,
    /// As for a selector.
    pub at: Option<AtModifier>,
}

/// `@`: a fixed evaluation time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AtModifier {
    /// A time in Unix seconds.
    Timestamp(Timestamp),
    /// The first time of the query.
    Start,
    /// The last time of the query.
    End,
}

/// A duration of a selector: known when parsed, or computed from the query's step and range.
#[derive(Clone, Debug, PartialEq)]
pub enum DurationArg {
    /// Milliseconds, rounded towards zero.
    Millis(i64),
    /// To be computed when evaluated.
    Expr(Box<DurationExpr>),
}

/// Arithmetic on durations, in seconds.
#[derive(Clone, Debug)]
pub struct DurationExpr {
    /// What it is.
    pub kind: DurationKind,
    /// Where it stands.
    pub span: Span,
}

/// The kinds of duration expressions.
#[derive(Clone, Debug, PartialEq)]
pub enum DurationKind {
    /// `5m` or `300`
    Number(Number),
    /// `step()`: the step of the range query; 0 for an instant query.
    Step,
    /// `range()`: end minus start of the query.
    Range,
    /// `min_of(a, b)`
    Min(Box<DurationExpr>, Box<DurationExpr>),
    /// `max_of(a, b)`
    Max(Box<DurationExpr>, Box<DurationExpr>),
    /// `-a`
    Negate(Box<DurationExpr>),
    /// `+ - * / % ^`; no other operator occurs.
    Binary(BinaryOp, Box<DurationExpr>, Box<DurationExpr>),
    /// `(a)`
    Paren(Box<DurationExpr>),
}

/// An aggregation.
#[derive(Clone, Debug, PartialEq)]
pub struct Aggregate {
    /// Which.
    pub op: AggregateOp,
    /// The first argument of those that take two.
    pub param: Option<Expr>,
    /// What is aggregated.
    pub expr: Expr,
    /// The labels of `by` or `without`.
    pub grouping: Vec<String>,
    /// True for `without`.
    pub without: bool,
}

/// A function call. The number and types of the arguments fit the signature.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// The function.
    pub function: &'static Signature,
    /// Its arguments.
    pub args: Vec<Expr>,
}

/// Two operands and an operator.
#[derive(Clone, Debug, PartialEq)]
pub struct Binary {
    /// The operator.
    pub op: BinaryOp,
    /// The left operand.
    pub lhs: Expr,
    /// The right operand.
    pub rhs: Expr,
    /// `bool`: a comparison gives 0 or 1 instead of dropping what does not compare.
    pub return_bool: bool,
    /// How series find their partners; present exactly if both operands are vectors.
    pub matching: Option<VectorMatching>,
}

/// How the series of two vectors find each other.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct VectorMatching {
    /// How many partners a series may have.
    pub cardinality: Cardinality,
    /// The labels of `on` or `ignoring`.
    pub labels: Vec<String>,
    /// True for `on`.
    pub on: bool,
    /// The labels of `group_left` or `group_right`: copied from the "one" side.
    pub include: Vec<String>,
    /// The values that stand for absent partners.
    pub fill: Fill,
}

/// How many partners a series may have in a binary operation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cardinality {
    /// One on each side.
    #[default]
    OneToOne,
    /// `group_left`: several on the left.
    ManyToOne,
    /// `group_right`: several on the right.
    OneToMany,
    /// Set operators.
    ManyToMany,
}

/// `fill(v)`, `fill_left(v)`, `fill_right(v)`: what an absent side counts as.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fill {
    /// For a missing left side.
    pub left: Option<f64>,
    /// For a missing right side.
    pub right: Option<f64>,
}

/// An operand with a sign.
#[derive(Clone, Debug, PartialEq)]
pub struct Unary {
    /// True for `-`, false for `+`.
    pub negative: bool,
    /// The operand.
    pub expr: Expr,
}

impl Expr {
    /// The type of the value.
    #[must_use]
    pub fn value_type(&self) -> ValueType {
        match &self.kind {
            ExprKind::Number(_) => ValueType::Scalar,
            ExprKind::String(_) => ValueType::String,
            ExprKind::VectorSelector(_) | ExprKind::Aggregate(_) => ValueType::Vector,
            ExprKind::MatrixSelector(_) | ExprKind::Subquery(_) => ValueType::Matrix,
            ExprKind::Call(call) => call.function.returns,
            ExprKind::Unary(unary) => unary.expr.value_type(),
            ExprKind::Paren(inner) => inner.value_type(),
            ExprKind::Binary(binary) => match (binary.lhs.value_type(), binary.rhs.value_type()) {
                (ValueType::Scalar, ValueType::Scalar) => ValueType::Scalar,
                _ => ValueType::Vector,
            },
        }
    }

    /// The expression inside any parentheses.
    #[must_use]
    pub fn unwrap_parens(&self) -> &Self {
        let mut inner = self;
        while let ExprKind::Paren(next) = &inner.kind {
            inner = next;
        }
        inner
    }

    /// The direct operands, arguments or contents, in the order they are written.
    #[must_use]
    pub fn children(&self) -> Vec<&Self> {
        match &self.kind {
            ExprKind::Number(_) | ExprKind::String(_) | ExprKind::VectorSelector(_) | ExprKind::MatrixSelector(_) => Vec::new(),
            ExprKind::Subquery(subquery) => vec![&subquery.expr],
            ExprKind::Aggregate(aggregate) => aggregate.param.iter().chain([&aggregate.expr]).collect(),
            ExprKind::Call(call) => call.args.iter().collect(),
            ExprKind::Binary(binary) => vec![&binary.lhs, &binary.rhs],
            ExprKind::Unary(unary) => vec![&unary.expr],
            ExprKind::Paren(inner) => vec![inner],
        }
    }

    /// As [`Expr::children`], to rewrite them.
    #[must_use]
    pub fn children_mut(&mut self) -> Vec<&mut Self> {
        match &mut self.kind {
            ExprKind::Number(_) | ExprKind::String(_) | ExprKind::VectorSelector(_) | ExprKind::MatrixSelector(_) => Vec::new(),
            ExprKind::Subquery(subquery) => vec![&mut subquery.expr],
            ExprKind::Aggregate(aggregate) => {
                let Aggregate { param, expr, .. } = aggregate.as_mut();
                param.iter_mut().chain([expr]).collect()
            }
            ExprKind::Call(call) => call.args.iter_mut().collect(),
            ExprKind::Binary(binary) => {
                let Binary { lhs, rhs, .. } = binary.as_mut();
                vec![lhs, rhs]
            }
            ExprKind::Unary(unary) => vec![&mut unary.expr],
            ExprKind::Paren(inner) => vec![inner.as_mut()],
        }
    }

    /// Calls `visit` with this and every expression inside it, parents first.
    pub fn walk<'a>(&'a self, visit: &mut impl FnMut(&'a Self)) {
        visit(self);
        for child in self.children() {
            child.walk(visit);
        }
    }
}

impl PartialEq for Expr {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind
    }
}

impl PartialEq for DurationExpr {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind
    }
}

impl PartialEq for VectorSelector {
    fn eq(&self, other: &Self) -> bool {
        fn sorted(matchers: &[Matcher]) -> Vec<(&str, &str, &str)> {
            let mut keys: Vec<_> = matchers.iter().map(|m| (m.name(), m.op().as_str(), m.value())).collect();
            keys.sort_unstable();
            keys
        }
        (&self.name, &self.offset, self.at, self.extension) == (&other.name, &other.offset, other.at, other.extension)
            && sorted(&self.matchers) == sorted(&other.matchers)
    }
}

/// Equal literals: NaN equals NaN here.
fn same(a: f64, b: f64) -> bool {
    a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan())
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        same(self.value, other.value) && self.is_duration == other.is_duration
    }
}

impl PartialEq for Fill {
    fn eq(&self, other: &Self) -> bool {
        let equal = |a: Option<f64>, b: Option<f64>| match (a, b) {
            (Some(a), Some(b)) => same(a, b),
            (None, None) => true,
            _ => false,
        };
        equal(self.left, other.left) && equal(self.right, other.right)
    }
}

impl Default for DurationArg {
    fn default() -> Self {
        Self::Millis(0)
    }
}

impl ValueType {
    /// The name in Prometheus's error messages.
    #[must_use]
    pub const fn describe(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::String => "string",
            Self::Vector => "instant vector",
            Self::Matrix => "range vector",
        }
    }
}

impl Extension {
    /// The keyword.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Anchored => "anchored",
            Self::Smoothed => "smoothed",
        }
    }
}
