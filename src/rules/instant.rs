//! What an expression gives at one time, as rules and their templates take it: samples.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;

use super::series::Output;
use crate::model::{Labels, Timestamp};
use crate::promql::{self, Engine, Expr, Value};
use crate::telemetry::chain;

/// The most answers that are kept for templates that ask the same.
const ANSWERS_MAX: usize = 64;

/// The most samples of an answer that is kept.
const ANSWER_SAMPLES_MAX: usize = 1_000;

/// The most samples that all templates of an evaluation are given: each of thousands of alerts may ask for each series.
const SAMPLES_MAX: usize = 1_000_000;

/// An expression's samples; a scalar is one without labels.
///
/// # Errors
/// When it cannot be evaluated, or gives something else.
pub(super) fn samples(engine: &Engine, expr: &Expr, at: Timestamp) -> Result<Vec<Output>, String> {
    match engine.instant(expr, at).map_err(|error| chain(&error))?.value {
        Value::Scalar(value) => Ok(vec![(Labels::empty(), value)]),
        Value::Vector(samples) => Ok(samples.into_iter().map(|sample| (sample.labels, sample.value)).collect()),
        Value::String(_) | Value::Matrix(_) => Err("rule result is not a vector or scalar".to_owned()),
    }
}

/// Answers the queries of templates at one time. The alerts of a rule ask the same, and are answered once.
pub(super) struct Asker<'e> {
    engine: &'e Engine,
    at: Timestamp,
    answers: RefCell<HashMap<String, Result<Vec<Output>, String>>>,
    given: Cell<usize>,
}

impl<'e> Asker<'e> {
    /// For an evaluation at `at`.
    pub(super) fn new(engine: &'e Engine, at: Timestamp) -> Self {
        Self { engine, at, answers: RefCell::default(), given: Cell::new(0) }
    }

    /// What a query finds.
    ///
    /// # Errors
    /// When it is no query, or cannot be evaluated, or too much has been asked.
    pub(super) fn ask(&self, query: &str) -> Result<Vec<Output>, String> {
        if let Some(answer) = self.answers.borrow().get(query) {
            return answer.clone();
        }
        if self.given.get() > SAMPLES_MAX {
            return Err(format!("the queries in templates of one evaluation have found more than {SAMPLES_MAX} samples"));
        }
        let answer = promql::parse(query).map_err(|error| error.to_string()).and_then(|expr| samples(self.engine, &expr, self.at));
        self.given.set(self.given.get().saturating_add(answer.as_ref().map_or(0, Vec::len)));
        let mut answers = self.answers.borrow_mut();
        if answers.len() < ANSWERS_MAX && answer.as_ref().map_or(0, Vec::len) <= ANSWER_SAMPLES_MAX {
            answers.insert(query.to_owned(), answer.clone());
        }
        answer
    }
}
