//! The PromQL engine: parser, type checker, evaluator.

#![warn(clippy::indexing_slicing, clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_possible_wrap)]

mod ast;
mod signature;
mod span;

pub use ast::{
    Aggregate, AggregateOp, AtModifier, Binary, BinaryOp, Call, Cardinality, DurationArg, DurationExpr, DurationKind, Expr, ExprKind,
    Extension, Fill, MatrixSelector, Number, Subquery, Unary, ValueType, VectorMatching, VectorSelector,
};
pub use signature::{Signature, Variadic};
pub use span::Span;
