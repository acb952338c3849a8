//! The functions of the language: one file a family, one descriptor a function, all listed in [`ALL`].

mod date;
mod elementwise;
mod histogram;
mod info;
mod label;
mod over_time;
mod range;
mod rate;
mod trend;
mod vector;

use super::ast::Call;
use super::eval::Evaluator;
use super::eval_error::EvalError;
use super::naming;
use super::value::{Evaluated, Steps};

pub(super) use range::{RangeFunction, Window, each_over_range};

/// How a function is worked out.
enum Eval {
    /// By itself on each value of an instant vector; names are dropped.
    Element(fn(f64) -> f64),
    /// By itself on the samples of each range; see [`RangeFunction`].
    Range(RangeFunction),
    /// Out of its arguments as a whole.
    Whole(fn(&mut Evaluator<'_>, &Call, Steps) -> Result<Evaluated, EvalError>),
}

/// A function: its name, and how it is worked out. What the parser knows of it stands in its signature.
struct Function {
    name: &'static str,
    eval: Eval,
}

impl Function {
    const fn element(name: &'static str, eval: fn(f64) -> f64) -> Self {
        Self { name, eval: Eval::Element(eval) }
    }

    const fn whole(name: &'static str, eval: fn(&mut Evaluator<'_>, &Call, Steps) -> Result<Evaluated, EvalError>) -> Self {
        Self { name, eval: Eval::Whole(eval) }
    }
}

/// All functions, by family.
const ALL: [&[Function]; 9] =
    [date::ALL, elementwise::ALL, histogram::ALL, info::ALL, label::ALL, over_time::ALL, rate::ALL, trend::ALL, vector::ALL];

/// The value of a call.
pub(super) fn call(ev: &mut Evaluator<'_>, call: &Call, steps: Steps) -> Result<Evaluated, EvalError> {
    let name = call.function.name;
    let Some(function) = find(name) else { return Err(EvalError::Unsupported(format!("the function {name}"))) };
    match &function.eval {
        Eval::Element(change) => {
            let mut tracks = ev.vector(argument(call, 0)?, steps)?;
            tracks.iter_mut().for_each(|track| track.map(change));
            naming::drop_names(tracks, ev.config.delayed_name_removal).map(Evaluated::Vector)
        }
        Eval::Range(function) => range::over_range(ev, call, steps, function).map(Evaluated::Vector),
        Eval::Whole(eval) => eval(ev, call, steps),
    }
}

fn find(name: &str) -> Option<&'static Function> {
    ALL.into_iter().flatten().find(|function| function.name == name)
}

/// The function of this name, where it is one over ranges.
pub(super) fn over_ranges(name: &str) -> Option<&'static RangeFunction> {
    match &find(name)?.eval {
        Eval::Range(function) => Some(function),
        _ => None,
    }
}

/// True for functions whose value depends on the evaluation time even where their arguments do not.
pub(super) fn asks_for_time(name: &str) -> bool {
    matches!(
        name,
        "days_in_month"
            | "day_of_month"
            | "day_of_week"
            | "day_of_year"
            | "hour"
            | "minute"
            | "month"
            | "year"
            | "predict_linear"
            | "time"
            | "timestamp"
    )
}

/// An argument. The parser has counted them.
fn argument(call: &Call, place: usize) -> Result<&super::ast::Expr, EvalError> {
    call.args.get(place).ok_or_else(|| EvalError::InvalidArgument(format!("{}() lacks an argument", call.function.name)))
}

/// A text argument.
fn text(call: &Call, place: usize) -> Result<&str, EvalError> {
    let expr = argument(call, place)?;
    match &expr.unwrap_parens().kind {
        super::ast::ExprKind::String(text) => Ok(text),
        _ => Err(super::eval::wrong_type(expr, "an argument", "string")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::promql::SIGNATURES;

    #[test]
    fn what_the_parser_knows_is_what_can_be_worked_out() {
        let mut known: Vec<_> = ALL.into_iter().flatten().map(|function| function.name).collect();
        known.sort_unstable();
        let signatures: Vec<_> = SIGNATURES.iter().map(|signature| signature.name).collect();
        assert_eq!(known, signatures);
    }
}
