//! The PromQL engine: parser, type checker, evaluator.
