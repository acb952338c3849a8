//! Operators between two operands: scalars, a vector and a scalar, or two vectors.

use crate::model::Labels;

use super::ast::{Binary, BinaryOp, Expr, ValueType};
use super::eval::{Evaluator, wrong_type};
use super::eval_error::EvalError;
use super::matching;
use super::naming;
use super::span::Span;
use super::stream::{self, Passing};
use super::value::{ABSENT, Evaluated, Steps, Track, is_absent};

pub(super) fn binary(ev: &mut Evaluator<'_>, binary: &Binary, span: Span, steps: Steps) -> Result<Evaluated, EvalError> {
    let Binary { op, lhs, rhs, return_bool, matching } = binary;
    // What a comparison leaves away is not made.
    if rhs.value_type() == ValueType::Scalar && stream::is_passing(lhs, steps) {
        let scalar = ev.scalar(rhs, steps)?;
        return VectorAndScalar::new(binary, span, &scalar, |value, scalar| (value, scalar)).pass(ev, lhs, steps);
    }
    if lhs.value_type() == ValueType::Scalar && stream::is_passing(rhs, steps) {
        let scalar = ev.scalar(lhs, steps)?;
        return VectorAndScalar::new(binary, span, &scalar, |value, scalar| (scalar, value)).pass(ev, rhs, steps);
    }
    let left = ev.eval(lhs, steps)?;
    let right = ev.eval(rhs, steps)?;
    match (left, right) {
        (Evaluated::Scalar(left), Evaluated::Scalar(right)) => {
            // Two columns become one.
            ev.release(right.len());
            Ok(Evaluated::Scalar(left.into_iter().zip(right).map(|(left, right)| scalars(*op, left, right)).collect()))
        }
        (Evaluated::Vector(tracks), Evaluated::Scalar(scalar)) => {
            VectorAndScalar::new(binary, span, &scalar, |value, scalar| (value, scalar)).apply(ev, tracks)
        }
        (Evaluated::Scalar(scalar), Evaluated::Vector(tracks)) => {
            VectorAndScalar::new(binary, span, &scalar, |value, scalar| (scalar, value)).apply(ev, tracks)
        }
        (Evaluated::Vector(left), Evaluated::Vector(right)) => {
            let matching = matching.clone().unwrap_or_default();
            let result = if op.is_set() {
                matching::set_operation(ev, *op, left, right, &matching)
            } else {
                matching::operation(ev, matching::Operation { op: *op, return_bool: *return_bool, span }, &left, &right, &matching)
            };
            result.map(Evaluated::Vector)
        }
        (Evaluated::String(_), _) => Err(no_operand(lhs)),
        (_, Evaluated::String(_)) => Err(no_operand(rhs)),
    }
}

fn no_operand(expr: &Expr) -> EvalError {
    wrong_type(expr, "an operand", "scalar or instant vector")
}

fn scalars(op: BinaryOp, left: f64, right: f64) -> f64 {
    match apply(op, left, right) {
        Outcome::Value(value) => value,
        Outcome::Keep(keep) => f64::from(u8::from(keep)),
        Outcome::Incompatible => f64::NAN,
    }
}

/// What an operator makes of two floats.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Outcome {
    /// A value.
    Value(f64),
    /// A comparison that holds or does not.
    Keep(bool),
    /// Nothing: the operator is for histograms.
    Incompatible,
}

pub(super) fn apply(op: BinaryOp, left: f64, right: f64) -> Outcome {
    #[allow(clippy::float_cmp)] // the language compares exactly
    match op {
        BinaryOp::Add => Outcome::Value(left + right),
        BinaryOp::Sub => Outcome::Value(left - right),
        BinaryOp::Mul => Outcome::Value(left * right),
        BinaryOp::Div => Outcome::Value(left / right),
        // Both have the sign of the dividend, as C's fmod.
        BinaryOp::Mod => Outcome::Value(left % right),
        BinaryOp::Pow => Outcome::Value(left.powf(right)),
        BinaryOp::Atan2 => Outcome::Value(left.atan2(right)),
        BinaryOp::Eq => Outcome::Keep(left == right),
        BinaryOp::Ne => Outcome::Keep(left != right),
        BinaryOp::Lt => Outcome::Keep(left < right),
        BinaryOp::Le => Outcome::Keep(left <= right),
        BinaryOp::Gt => Outcome::Keep(left > right),
        BinaryOp::Ge => Outcome::Keep(left >= right),
        BinaryOp::And | BinaryOp::Or | BinaryOp::Unless | BinaryOp::TrimUpper | BinaryOp::TrimLower => Outcome::Incompatible,
    }
}

/// True for operators whose result is no longer what the metric's name says.
pub(super) const fn changes_meaning(op: BinaryOp) -> bool {
    !op.is_comparison() && !op.is_set() && !matches!(op, BinaryOp::TrimUpper | BinaryOp::TrimLower)
}

struct VectorAndScalar<'a, F> {
    op: BinaryOp,
    return_bool: bool,
    span: Span,
    scalar: &'a [f64],
    /// Puts the two operands where they were written.
    order: F,
    incompatible: bool,
}

impl<'a, F: Fn(f64, f64) -> (f64, f64)> VectorAndScalar<'a, F> {
    fn new(binary: &Binary, span: Span, scalar: &'a [f64], order: F) -> Self {
        Self { op: binary.op, return_bool: binary.return_bool, span, scalar, order, incompatible: false }
    }

    /// Series that are in memory.
    fn apply(mut self, ev: &mut Evaluator<'_>, tracks: Vec<Track>) -> Result<Evaluated, EvalError> {
        let mut kept = Vec::with_capacity(tracks.len());
        for mut track in tracks {
            (ev.interrupt)()?;
            self.change(&mut track.values);
            if track.is_present() {
                kept.push(track);
            }
        }
        self.finish(ev, kept)
    }

    /// Series as they are read.
    fn pass(mut self, ev: &mut Evaluator<'_>, vector: &Expr, steps: Steps) -> Result<Evaluated, EvalError> {
        let (mut kept, mut values) = (Vec::new(), Vec::with_capacity(steps.count()));
        stream::each_series(ev, vector, steps, &mut |ev, series| {
            values.clear();
            values.extend_from_slice(series.values);
            self.change(&mut values);
            if values.iter().all(|value| is_absent(*value)) {
                return Ok(());
            }
            ev.hold(steps.count())?;
            kept.push(Passing { values: &values, ..series }.to_track());
            Ok(())
        })?;
        self.finish(ev, kept)
    }

    fn change(&mut self, values: &mut [f64]) {
        for (value, scalar) in values.iter_mut().zip(self.scalar).filter(|(value, _)| !is_absent(**value)) {
            let (left, right) = (self.order)(*value, *scalar);
            *value = match apply(self.op, left, right) {
                Outcome::Value(result) => result,
                Outcome::Keep(keep) if self.return_bool => f64::from(u8::from(keep)),
                // A comparison keeps the vector's value, on whichever side it stands.
                Outcome::Keep(true) => *value,
                Outcome::Keep(false) => ABSENT,
                Outcome::Incompatible => {
                    self.incompatible = true;
                    ABSENT
                }
            };
        }
    }

    fn finish(self, ev: &mut Evaluator<'_>, mut kept: Vec<Track>) -> Result<Evaluated, EvalError> {
        ev.release(self.scalar.len());
        if self.incompatible {
            ev.annotations.incompatible_floats(self.op.as_str(), self.span);
        }
        if self.return_bool || changes_meaning(self.op) {
            kept = naming::drop_names(kept, ev.config.delayed_name_removal)?;
        }
        Ok(Evaluated::Vector(kept))
    }
}

/// The labels of the result of an operation between two series, of which `many` is on the side that may have several.
pub(super) fn result_labels(many: &Labels, one: &Labels, op: BinaryOp, drop_now: bool, matching: &super::ast::VectorMatching) -> Labels {
    let one_to_one = matching.cardinality == super::ast::Cardinality::OneToOne;
    let listed = |name: &str| matching.labels.iter().any(|label| label == name);
    let kept = many.filtered(|name| {
        let dropped = (changes_meaning(op) || drop_now) && naming::is_metadata(name);
        !dropped && (!one_to_one || listed(name) == matching.on)
    });
    if matching.include.is_empty() {
        return kept;
    }
    let mut builder = kept.to_builder();
    for label in &matching.include {
        builder.set(label, one.get(label).unwrap_or(""));
    }
    if drop_now {
        matching.include.iter().filter(|label| naming::is_metadata(label)).for_each(|label| {
            builder.remove(label);
        });
    }
    builder.build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remainder_has_the_sign_of_the_dividend() {
        assert_eq!(apply(BinaryOp::Mod, -5.0, 3.0), Outcome::Value(-2.0));
        assert_eq!(apply(BinaryOp::Mod, 5.0, -3.0), Outcome::Value(2.0));
    }

    #[test]
    fn not_a_number_equals_nothing() {
        assert_eq!(apply(BinaryOp::Eq, f64::NAN, f64::NAN), Outcome::Keep(false));
        assert_eq!(apply(BinaryOp::Ne, f64::NAN, f64::NAN), Outcome::Keep(true));
    }
}
