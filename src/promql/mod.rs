//! The PromQL engine: parser, type checker, evaluator.

#![warn(clippy::indexing_slicing, clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_possible_wrap)]

mod aggregate;
mod annotation;
mod ast;
mod binary;
mod check;
mod engine;
mod error;
mod eval;
mod eval_error;
mod experimental;
mod extension;
mod functions;
mod histogram;
mod lexer;
mod matching;
mod naming;
mod notation;
mod operator;
mod parser;
mod pretty;
mod print;
mod quote;
mod reach;
mod sampling;
mod select;
mod signature;
mod span;
mod statistics;
mod stream;
mod token;
mod value;

#[cfg(test)]
mod tests;

pub use annotation::{Annotation, Severity};
pub use ast::{
    Aggregate, AggregateOp, AtModifier, Binary, BinaryOp, Call, Cardinality, DurationArg, DurationExpr, DurationKind, Expr, ExprKind,
    Extension, Fill, MatrixSelector, Number, Subquery, Unary, ValueType, VectorMatching, VectorSelector,
};
pub use engine::{Engine, EngineConfig, When};
pub use error::ParseError;
pub use eval_error::EvalError;
pub use notation::{Slot, read_number, read_quoted, read_series, read_values};
pub use parser::{QUERY_BYTES_MAX, QUERY_DEPTH_MAX, QUERY_REGEXES_MAX, parse, parse_selector};
pub use reach::{reach_millis, reach_place};
pub use signature::{SIGNATURES, Signature, Variadic, signature};
pub use span::Span;
pub use value::{Answer, MatrixSeries, Value, VectorSample};
