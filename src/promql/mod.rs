//! The PromQL engine: parser, type checker, evaluator.

#![warn(clippy::indexing_slicing, clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_possible_wrap)]

mod ast;
mod check;
mod error;
mod lexer;
mod parser;
mod print;
mod quote;
mod signature;
mod span;
mod token;

pub use ast::{
    Aggregate, AggregateOp, AtModifier, Binary, BinaryOp, Call, Cardinality, DurationArg, DurationExpr, DurationKind, Expr, ExprKind,
    Extension, Fill, MatrixSelector, Number, Subquery, Unary, ValueType, VectorMatching, VectorSelector,
};
pub use error::ParseError;
pub use parser::{QUERY_BYTES_MAX, QUERY_DEPTH_MAX, parse, parse_selector};
pub use signature::{SIGNATURES, Signature, Variadic, signature};
pub use span::Span;
