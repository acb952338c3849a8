//! The evaluator: walks the tree and works out every node for all steps at once.

use crate::history::Query;

use super::annotation::Annotations;
use super::ast::{AtModifier, Call, Expr, ExprKind, Extension, Unary, ValueType};
use super::engine::EngineConfig;
use super::eval_error::EvalError;
use super::value::{Evaluated, Ranges, Steps, Track};
use super::{aggregate, binary, extension, functions, naming, select};

/// The times a query is asked about, in milliseconds: what `@ start()`, `@ end()`, `step()` and `range()` refer to,
/// however deep they stand.
#[derive(Clone, Copy, Debug)]
pub(super) struct QueryTimes {
    pub(super) start: i64,
    pub(super) end: i64,
    /// 0 for an instant query.
    pub(super) step: i64,
}

/// One evaluation of one query.
pub(super) struct Evaluator<'a> {
    pub(super) source: &'a dyn Query,
    pub(super) config: &'a EngineConfig,
    pub(super) times: QueryTimes,
    pub(super) annotations: Annotations,
    /// Says whether to go on.
    pub(super) interrupt: &'a dyn Fn() -> Result<(), EvalError>,
    /// Samples and values in memory.
    pub(super) held: usize,
    /// How often it was asked whether they are too many.
    pub(super) asked: u32,
}

/// Of so many times that something comes into memory, which is for each series at least, it is asked once whether to go on: to look at
/// the clock takes as long as to read a few samples.
const HOLDS_BETWEEN_CHECKS: u32 = 8;

impl Evaluator<'_> {
    /// The value of an expression of any type but range vector.
    pub(super) fn eval(&mut self, expr: &Expr, steps: Steps) -> Result<Evaluated, EvalError> {
        if steps.count() > 1 && !is_leaf(expr) && is_step_invariant(expr) {
            let once = self.eval(expr, Steps::instant(steps.first()))?;
            let series = match &once {
                Evaluated::Scalar(_) => 1,
                Evaluated::String(_) => 0,
                Evaluated::Vector(tracks) => tracks.len(),
            };
            self.hold(series.saturating_mul(steps.count()))?;
            return Ok(once.repeated(steps.count()));
        }
        match &expr.kind {
            ExprKind::Number(number) => {
                self.hold(steps.count())?;
                Ok(Evaluated::Scalar(vec![number.value; steps.count()]))
            }
            ExprKind::String(text) => Ok(Evaluated::String(text.clone())),
            ExprKind::VectorSelector(selector) if selector.extension == Some(Extension::Smoothed) => {
                extension::smoothed(self, selector, steps).map(Evaluated::Vector)
            }
            ExprKind::VectorSelector(selector) => select::instant(self, selector, steps, |sample| sample.value).map(Evaluated::Vector),
            ExprKind::MatrixSelector(_) | ExprKind::Subquery(_) => Err(wrong_type(expr, "an operand", "scalar or instant vector")),
            ExprKind::Aggregate(aggregate) => aggregate::aggregate(self, aggregate, steps).map(Evaluated::Vector),
            ExprKind::Call(call) => {
                if call.function.returns == ValueType::Scalar {
                    self.hold(steps.count())?;
                }
                functions::call(self, call, steps)
            }
            ExprKind::Binary(binary) => binary::binary(self, binary, expr.span, steps),
            ExprKind::Unary(unary) => self.unary(unary, steps),
            ExprKind::Paren(inner) => self.eval(inner, steps),
        }
    }

    /// A scalar at each step.
    pub(super) fn scalar(&mut self, expr: &Expr, steps: Steps) -> Result<Vec<f64>, EvalError> {
        match self.eval(expr, steps)? {
            Evaluated::Scalar(values) => Ok(values),
            _ => Err(wrong_type(expr, "an argument", "scalar")),
        }
    }

    /// An instant vector's series.
    pub(super) fn vector(&mut self, expr: &Expr, steps: Steps) -> Result<Vec<Track>, EvalError> {
        match self.eval(expr, steps)? {
            Evaluated::Vector(tracks) => Ok(tracks),
            _ => Err(wrong_type(expr, "an argument", "instant vector")),
        }
    }

    /// A range vector's series.
    pub(super) fn ranges(&mut self, expr: &Expr, steps: Steps) -> Result<Ranges, EvalError> {
        match &expr.unwrap_parens().kind {
            ExprKind::MatrixSelector(matrix) => select::ranges(self, matrix, steps),
            ExprKind::Subquery(subquery) => select::subquery(self, subquery, steps),
            _ => Err(wrong_type(expr, "an argument", "range vector")),
        }
    }

    fn unary(&mut self, unary: &Unary, steps: Steps) -> Result<Evaluated, EvalError> {
        let mut operand = self.eval(&unary.expr, steps)?;
        match &mut operand {
            _ if !unary.negative => {}
            Evaluated::Scalar(values) => values.iter_mut().for_each(|value| *value = -*value),
            Evaluated::Vector(tracks) => {
                tracks.iter_mut().for_each(|track| track.map(|value| -value));
                let tracks = naming::drop_names(std::mem::take(tracks), self.config.delayed_name_removal)?;
                return Ok(Evaluated::Vector(tracks));
            }
            Evaluated::String(_) => return Err(wrong_type(&unary.expr, "a sign", "scalar or instant vector")),
        }
        Ok(operand)
    }

    /// Accounts for samples or values that come into memory, and sees whether to go on.
    pub(super) fn hold(&mut self, samples: usize) -> Result<(), EvalError> {
        self.held = self.held.saturating_add(samples);
        if self.held > self.config.samples_max {
            return Err(EvalError::TooManySamples { limit: self.config.samples_max });
        }
        self.asked = self.asked.wrapping_add(1);
        if self.asked % HOLDS_BETWEEN_CHECKS == 1 { (self.interrupt)() } else { Ok(()) }
    }

    /// Samples or values have gone.
    pub(super) const fn release(&mut self, samples: usize) {
        self.held = self.held.saturating_sub(samples);
    }

    /// The time of an `@`.
    pub(super) fn at(&self, at: Option<AtModifier>) -> Option<i64> {
        at.map(|at| match at {
            AtModifier::Timestamp(at) => at.as_millis(),
            AtModifier::Start => self.times.start,
            AtModifier::End => self.times.end,
        })
    }
}

pub(super) fn wrong_type(expr: &Expr, place: &'static str, expected: &'static str) -> EvalError {
    EvalError::WrongType { found: expr.value_type().describe(), place, expected }
}

const fn is_leaf(expr: &Expr) -> bool {
    matches!(expr.kind, ExprKind::Number(_) | ExprKind::String(_))
}

/// True where the value is the same at every step: everything that reads samples reads them at a fixed time, and nothing
/// asks for the evaluation time.
pub(super) fn is_step_invariant(expr: &Expr) -> bool {
    match &expr.kind {
        ExprKind::VectorSelector(selector) => selector.at.is_some(),
        ExprKind::MatrixSelector(matrix) => matrix.selector.at.is_some(),
        ExprKind::Subquery(subquery) => subquery.at.is_some(),
        ExprKind::Call(Call { function, args }) => !functions::asks_for_time(function.name) && args.iter().all(is_step_invariant),
        _ => expr.children().into_iter().all(is_step_invariant),
    }
}

/// The range vector among the arguments of a call.
pub(super) fn matrix_argument(call: &Call) -> Option<&Expr> {
    call.args.iter().find(|arg| arg.value_type() == ValueType::Matrix)
}
