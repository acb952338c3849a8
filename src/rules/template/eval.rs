//! Walks the tree and writes the text, as Go's text/template/exec does: the same order of evaluation, the same places in
//! messages.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fmt::Display;
use std::sync::Arc;

use super::functions::{Function, Param};
use super::method;
use super::printf::{plain, quote, shown};
use super::syntax::{BlockKind, Command, Constant, Invocation, Node, Operand, Pipeline, Term};
use super::value::{Root, Value};
use super::{Data, Template};
use crate::model::Search;

/// The longest text that an expansion or a function in it may make, in bytes: no label and no notification has room for
/// more, and nested loops could make texts without end.
pub(super) const TEXT_BYTES_MAX: usize = 64 << 10;

/// The same for all arguments of a function together.
const ARGUMENT_BYTES_MAX: usize = 4 * TEXT_BYTES_MAX;

/// The most pieces that an expansion may run through, repetitions in loops included. Each [`STEP_BYTES`] of text that a
/// function reads or makes, and each result of a query that it looks at, is one too.
const STEPS_MAX: usize = 100_000;

/// So many bytes of text count as a step.
const STEP_BYTES: usize = 64;

/// The same where a regular expression is looked for in it.
const SEARCH_STEP_BYTES: usize = 4;

/// A regular expression costs as much as so many steps to read.
const PATTERN_STEPS: usize = 1_000;

/// The most queries of one expansion.
const QUERIES_MAX: usize = 32;

/// Blocks and templates may run inside each other this deep. Go allows 100,000, and runs out of memory before.
const DEPTH_MAX: usize = 200;

/// What functions see beside their arguments.
pub(super) struct Scene<'a> {
    /// What the template sees.
    pub(super) data: &'a Data<'a>,
    steps: Cell<usize>,
    queries: Cell<usize>,
    searches: RefCell<HashMap<String, Search>>,
}

impl Scene<'_> {
    /// Counts work.
    pub(super) fn charge(&self, steps: usize) -> Result<(), String> {
        let spent = self.steps.get().saturating_add(steps);
        self.steps.set(spent);
        if spent > STEPS_MAX { Err(format!("more than {STEPS_MAX} steps")) } else { Ok(()) }
    }

    /// A regular expression that is about to be looked for in a text. It is read once in an expansion.
    pub(super) fn search(&self, pattern: &str, text: &str) -> Result<Search, String> {
        self.charge(1 + text.len() / SEARCH_STEP_BYTES)?;
        if let Some(search) = self.searches.borrow().get(pattern) {
            return Ok(search.clone());
        }
        self.charge(PATTERN_STEPS)?;
        let search = Search::new(pattern).map_err(|error| error.to_string())?;
        self.searches.borrow_mut().insert(pattern.to_owned(), search.clone());
        Ok(search)
    }

    /// Counts a query.
    pub(super) fn charge_query(&self) -> Result<(), String> {
        self.queries.set(self.queries.get() + 1);
        if self.queries.get() > QUERIES_MAX { Err(format!("more than {QUERIES_MAX} queries")) } else { Ok(()) }
    }
}

/// Expands a parsed template.
pub(super) fn expand(template: &Template, data: &Data<'_>) -> Result<String, String> {
    let root = Value::Root(Arc::new(Root {
        labels: data.labels.clone(),
        external_labels: data.external_labels.clone(),
        external_url: Arc::from(data.external_url),
        value: data.value,
    }));
    let mut walk = Walk {
        template,
        tree: &template.name,
        scene: Scene { data, steps: Cell::new(0), queries: Cell::new(0), searches: RefCell::default() },
        variables: vec![(String::new(), root.clone())],
        out: String::new(),
        depth: 0,
        at: 0,
        node: None,
    };
    walk.nodes(&template.trees.main, &root)?;
    Ok(walk.out)
}

/// How a list of nodes ended.
#[derive(PartialEq)]
enum Flow {
    Next,
    Break,
    Continue,
}

struct Walk<'a> {
    template: &'a Template,
    /// The name of the template that runs.
    tree: &'a str,
    scene: Scene<'a>,
    variables: Vec<(String, Value)>,
    out: String,
    depth: usize,
    /// Where it is, for messages.
    at: usize,
    node: Option<&'a dyn Display>,
}

impl<'a> Walk<'a> {
    /// What is wrong, with where it is.
    fn fail<T>(&self, message: impl Display) -> Result<T, String> {
        let (line, column) = self.template.position(self.at);
        let node = self.node.map(ToString::to_string).unwrap_or_default();
        Err(format!("template: {}:{line}:{column}: executing {} at <{node}>: {message}", self.template.name, quote(self.tree)))
    }

    fn placed<T>(&self, result: Result<T, String>) -> Result<T, String> {
        result.or_else(|message| self.fail(message))
    }

    fn stand(&mut self, at: usize, node: &'a dyn Display) {
        (self.at, self.node) = (at, Some(node));
    }

    fn nodes(&mut self, nodes: &'a [Node], dot: &Value) -> Result<Flow, String> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return self.fail(format!("exceeded maximum template depth ({DEPTH_MAX})"));
        }
        let mut flow = Flow::Next;
        for node in nodes {
            self.placed(self.scene.charge(1))?;
            match node {
                Node::Text(text) => self.out.push_str(text),
                Node::Action(pipeline) => {
                    let value = self.pipeline(pipeline, dot)?;
                    if pipeline.variables.is_empty() {
                        self.out.push_str(&shown(&value));
                    }
                }
                Node::Block { kind, pipeline, body, otherwise } => flow = self.block(*kind, pipeline, body, otherwise, dot)?,
                Node::Template(invocation) => self.invoke(invocation, dot)?,
                Node::Break => flow = Flow::Break,
                Node::Continue => flow = Flow::Continue,
            }
            self.check_length(self.out.len())?;
            if flow != Flow::Next {
                break;
            }
        }
        self.depth -= 1;
        Ok(flow)
    }

    fn block(
        &mut self,
        kind: BlockKind,
        pipeline: &'a Pipeline,
        body: &'a [Node],
        otherwise: &'a [Node],
        dot: &Value,
    ) -> Result<Flow, String> {
        let scope = self.variables.len();
        let value = self.pipeline(pipeline, dot)?;
        let flow = match (kind, value.truth()) {
            (BlockKind::Range, _) => self.range(pipeline, body, otherwise, dot, value)?,
            (_, false) => self.nodes(otherwise, dot)?,
            (BlockKind::With, true) => self.nodes(body, &value)?,
            (BlockKind::If, true) => self.nodes(body, dot)?,
        };
        self.variables.truncate(scope);
        Ok(flow)
    }

    /// Over results in order, over a map in order of its keys, or so often.
    fn range(&mut self, pipeline: &'a Pipeline, body: &'a [Node], otherwise: &'a [Node], dot: &Value, over: Value) -> Result<Flow, String> {
        let scope = self.variables.len();
        let count = match &over {
            Value::Nil => 0,
            Value::List(samples) => samples.as_slice().len(),
            Value::Map(map) => map.len(),
            Value::Args(entries, _) => entries.len(),
            Value::Int(count) => usize::try_from(*count).unwrap_or(0),
            other => return self.fail(format!("range can't iterate over {}", plain(other).trim_start_matches('&'))),
        };
        if count == 0 {
            return self.nodes(otherwise, dot);
        }
        let mut pairs = match &over {
            Value::Map(map) => Some(map.iter()),
            _ => None,
        };
        for index in 0..count {
            self.placed(self.scene.charge(1))?;
            let number = Value::Int(i64::try_from(index).unwrap_or(i64::MAX));
            let (key, value) = match &over {
                Value::List(samples) => (number, Value::Sample(samples.as_slice().get(index).cloned())),
                Value::Args(entries, _) => {
                    let (name, value) = entries.get(index).cloned().unwrap_or((String::new(), Value::Nil));
                    (Value::text(&name), value)
                }
                Value::Map(_) => {
                    let (name, value) = pairs.as_mut().and_then(Iterator::next).unwrap_or_default();
                    (Value::text(name), Value::text(value))
                }
                _ => (number.clone(), number),
            };
            match (pipeline.variables.as_slice(), pipeline.assigns) {
                ([name], true) => self.assign(name, value.clone())?,
                ([first, second], true) => {
                    self.assign(first, key)?;
                    self.assign(second, value.clone())?;
                }
                // The pipeline has declared them.
                ([_], false) => self.replace(1, value.clone()),
                ([_, _], false) => {
                    self.replace(1, value.clone());
                    self.replace(2, key);
                }
                _ => {}
            }
            let flow = self.nodes(body, &value)?;
            self.variables.truncate(scope);
            if flow == Flow::Break {
                break;
            }
        }
        Ok(Flow::Next)
    }

    fn invoke(&mut self, invocation: &'a Invocation, dot: &Value) -> Result<(), String> {
        self.stand(invocation.at, invocation);
        let Some((name, nodes)) = self.template.trees.defined.get_key_value(&invocation.name) else {
            return self.fail(format!("template {} not defined", quote(&invocation.name)));
        };
        let dot = match &invocation.pipeline {
            Some(pipeline) => self.pipeline(pipeline, dot)?,
            None => Value::Nil,
        };
        self.stand(invocation.at, invocation);
        let outside = std::mem::replace(&mut self.variables, vec![(String::new(), dot.clone())]);
        let tree = std::mem::replace(&mut self.tree, name);
        self.nodes(nodes, &dot)?;
        (self.variables, self.tree) = (outside, tree);
        Ok(())
    }

    /// Sets the variable that is so many from the end.
    fn replace(&mut self, from_end: usize, value: Value) {
        let index = self.variables.len().wrapping_sub(from_end);
        if let Some((_, slot)) = self.variables.get_mut(index) {
            *slot = value;
        }
    }

    fn assign(&mut self, name: &str, value: Value) -> Result<(), String> {
        match self.variables.iter_mut().rev().find(|(known, _)| known == name) {
            Some((_, slot)) => *slot = value,
            None => return self.fail(format!("undefined variable: ${name}")),
        }
        Ok(())
    }

    fn pipeline(&mut self, pipeline: &'a Pipeline, dot: &Value) -> Result<Value, String> {
        self.stand(pipeline.at, pipeline);
        let mut passed = None;
        for command in &pipeline.commands {
            passed = Some(self.command(command, passed, dot)?);
        }
        let value = passed.unwrap_or(Value::Nil);
        for name in &pipeline.variables {
            if pipeline.assigns {
                self.assign(name, value.clone())?;
            } else {
                self.variables.push((name.clone(), value.clone()));
            }
        }
        Ok(value)
    }

    fn command(&mut self, command: &'a Command, passed: Option<Value>, dot: &Value) -> Result<Value, String> {
        self.placed(self.scene.charge(1))?;
        let Some((first, args)) = command.operands.split_first() else { return Ok(Value::Nil) };
        let given = Given { args, passed, at: command.at, node: command };
        match &first.term {
            Term::Function(function) => {
                self.stand(first.at, first);
                self.call(function, None, given, dot)
            }
            Term::Field(_) | Term::Variable(..) | Term::Chain(..) => self.fielded(first, given, dot),
            Term::Nested(pipeline) => {
                self.no_function(first, &given)?;
                self.pipeline(pipeline, dot)
            }
            Term::Nil => {
                self.stand(first.at, first);
                self.no_function(first, &given)?;
                self.fail("nil is not a command")
            }
            Term::Dot | Term::Bool(_) | Term::Number(..) | Term::Text(..) => {
                self.stand(first.at, first);
                self.no_function(first, &given)?;
                self.literal(first, dot)
            }
        }
    }

    fn no_function(&self, first: &Operand, given: &Given<'a>) -> Result<(), String> {
        if given.is_empty() { Ok(()) } else { self.fail(format!("can't give argument to non-function {first}")) }
    }

    fn literal(&self, operand: &Operand, dot: &Value) -> Result<Value, String> {
        Ok(match &operand.term {
            Term::Bool(truth) => Value::Bool(*truth),
            Term::Number(_, Some(Constant::Int(number))) => Value::Int(*number),
            Term::Number(_, Some(Constant::Float(number))) => Value::Float(*number),
            Term::Number(written, None) => return self.fail(format!("{written} overflows int")),
            Term::Text(text, _) => Value::Text(text.clone()),
            Term::Dot => dot.clone(),
            _ => Value::Nil,
        })
    }

    /// A variable, a field or a chain: what it starts with, and the fields of that.
    fn fielded(&mut self, operand: &'a Operand, given: Given<'a>, dot: &Value) -> Result<Value, String> {
        self.stand(operand.at, operand);
        let (start, fields) = match &operand.term {
            Term::Field(fields) => (dot.clone(), fields),
            Term::Variable(name, fields) => {
                let found = self.variables.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value.clone());
                match found {
                    Some(value) => (value, fields),
                    None => return self.fail(format!("undefined variable: ${name}")),
                }
            }
            Term::Chain(first, fields) => {
                if matches!(first.term, Term::Nil) {
                    return self.fail(format!("indirection through explicit nil in {operand}"));
                }
                (self.argument(first, Param::Any, dot)?, fields)
            }
            _ => return Ok(Value::Nil),
        };
        let Some((last, inner)) = fields.split_last() else {
            self.no_function(operand, &given)?;
            return Ok(start);
        };
        let mut value = start;
        // An entry of `args` has the type of what can be anything, until a pipeline passes it on.
        let mut anything = false;
        for name in inner {
            let entry = matches!(value, Value::Args(..));
            value = self.field(value, anything, name, Given { args: &[], passed: None, at: given.at, node: given.node }, dot)?;
            anything = entry;
        }
        self.field(value, anything, last, given, dot)
    }

    fn field(&mut self, receiver: Value, anything: bool, name: &str, given: Given<'a>, dot: &Value) -> Result<Value, String> {
        if let Some(method) = method::find(&receiver, name) {
            return self.call(method, Some(receiver), given, dot);
        }
        let found = match (&receiver, name) {
            (Value::Nil, _) if anything => return self.fail(format!("nil pointer evaluating interface {{}}.{name}")),
            (Value::Nil, _) => return Ok(Value::Nil),
            (Value::Root(root), "Labels") => Value::Map(root.labels.clone()),
            (Value::Root(root), "ExternalLabels") => Value::Map(root.external_labels.clone()),
            (Value::Root(root), "ExternalURL") => Value::Text(root.external_url.clone()),
            (Value::Root(root), "Value") => Value::Float(root.value),
            (Value::Sample(Some(sample)), "Labels") => Value::Map(sample.labels.clone()),
            (Value::Sample(Some(sample)), "Value") => Value::Float(sample.value),
            (Value::Sample(None), "Labels" | "Value") => return self.fail(format!("nil pointer evaluating *template.sample.{name}")),
            (Value::Map(_) | Value::Args(..), name) if !given.is_empty() => {
                return self.fail(format!("{name} is not a method but has arguments"));
            }
            // A label that is not there is empty, not an error.
            (Value::Map(map), name) => Value::text(map.get(name).unwrap_or("")),
            (Value::Args(entries, _), name) => {
                entries.iter().find(|(known, _)| known == name).map_or(Value::Nil, |(_, value)| value.clone())
            }
            (other, name) => {
                let type_name = if anything { "interface {}" } else { other.type_name() };
                return self.fail(format!("can't evaluate field {name} in type {type_name}"));
            }
        };
        if given.is_empty() { Ok(found) } else { self.fail(format!("{name} has arguments but cannot be invoked as function")) }
    }

    /// An operand as an argument.
    fn argument(&mut self, operand: &'a Operand, param: Param, dot: &Value) -> Result<Value, String> {
        self.placed(self.scene.charge(1))?;
        self.stand(operand.at, operand);
        let none = Given { args: &[], passed: None, at: operand.at, node: operand };
        let value = match &operand.term {
            Term::Dot => dot.clone(),
            Term::Nil => {
                return match param.of_nil() {
                    Some(value) => Ok(value),
                    None => self.fail(format!("cannot assign nil to {}", param.type_name())),
                };
            }
            Term::Field(_) | Term::Variable(..) | Term::Chain(..) => self.fielded(operand, none, dot)?,
            Term::Nested(pipeline) => self.pipeline(pipeline, dot)?,
            Term::Function(function) => self.call(function, None, none, dot)?,
            Term::Bool(_) | Term::Number(..) | Term::Text(..) => {
                let value = self.literal(operand, dot)?;
                return self.placed(param.of_literal(value, operand));
            }
        };
        self.placed(param.of(value))
    }

    /// Calls a function, or a method of a value.
    fn call(&mut self, function: &'static Function, receiver: Option<Value>, given: Given<'a>, dot: &Value) -> Result<Value, String> {
        let Function { name, params, variadic, .. } = *function;
        let count = given.args.len() + usize::from(given.passed.is_some());
        let fixed = params.len() - usize::from(variadic);
        if variadic && count < fixed {
            return self.fail(format!("wrong number of args for {name}: want at least {fixed} got {}", given.args.len()));
        }
        if !variadic && count != fixed {
            return self.fail(format!("wrong number of args for {name}: want {fixed} got {count}"));
        }
        let param = |index: usize| params.get(index).or(params.last()).copied().unwrap_or(Param::Any);
        // Their last argument is what they answer, and they look no further than they must.
        let decides = matches!(name, "and" | "or") && receiver.is_none();
        let mut args: Vec<Value> = receiver.into_iter().collect();
        let mut bytes = 0;
        for (index, operand) in given.args.iter().enumerate() {
            let arg = self.argument(operand, param(index), dot)?;
            if decides && arg.truth() == (name == "or") {
                return Ok(arg);
            }
            bytes += text_length(&arg);
            if bytes > ARGUMENT_BYTES_MAX {
                return self.fail(format!("the arguments of {name} are longer than {ARGUMENT_BYTES_MAX} bytes"));
            }
            args.push(arg);
        }
        if let Some(passed) = given.passed {
            args.push(self.placed(param(given.args.len()).of(passed))?);
            bytes += args.last().map_or(0, text_length);
        }
        let called = self.scene.charge(1 + bytes / STEP_BYTES).and_then(|()| (function.call)(&self.scene, &args));
        match called {
            Ok(value) => {
                let length = text_length(&value);
                self.placed(self.scene.charge(length / STEP_BYTES))?;
                self.check_length(length)?;
                Ok(value)
            }
            Err(message) => {
                self.stand(given.at, given.node);
                self.fail(format!("error calling {name}: {message}"))
            }
        }
    }

    fn check_length(&self, length: usize) -> Result<(), String> {
        if length > TEXT_BYTES_MAX { self.fail(format!("the text is longer than {TEXT_BYTES_MAX} bytes")) } else { Ok(()) }
    }
}

/// What a function or a field is given.
struct Given<'a> {
    /// The operands behind it.
    args: &'a [Operand],
    /// What the pipeline passes on.
    passed: Option<Value>,
    /// Where an error of the function is.
    at: usize,
    node: &'a dyn Display,
}

impl Given<'_> {
    fn is_empty(&self) -> bool {
        self.args.is_empty() && self.passed.is_none()
    }
}

fn text_length(value: &Value) -> usize {
    match value {
        Value::Text(text) | Value::Html(text) => text.len(),
        _ => 0,
    }
}
