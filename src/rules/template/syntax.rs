//! The tree of a template, and how its parts are shown in messages: as Go's text/template/parse shows them.

use std::fmt;
use std::sync::Arc;

use super::functions::Function;

/// One step of a template.
#[derive(Debug)]
pub(super) enum Node {
    /// Printed as it stands.
    Text(String),
    /// A pipeline whose value is printed, unless it sets a variable.
    Action(Pipeline),
    /// `if`, `with` or `range`.
    Block {
        /// Which of them.
        kind: BlockKind,
        /// What it looks at.
        pipeline: Pipeline,
        /// What runs when that is not empty.
        body: Vec<Self>,
        /// What runs when it is.
        otherwise: Vec<Self>,
    },
    /// `template`, and the place where a `block` stands.
    Template(Invocation),
    /// `break`
    Break,
    /// `continue`
    Continue,
}

/// The blocks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum BlockKind {
    /// Runs its body once.
    If,
    /// Runs its body once with `.` set.
    With,
    /// Runs its body for each entry with `.` set.
    Range,
}

impl BlockKind {
    /// Its keyword.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::If => "if",
            Self::With => "with",
            Self::Range => "range",
        }
    }
}

/// A defined template's turn.
#[derive(Debug)]
pub(super) struct Invocation {
    /// Where its name stands.
    pub(super) at: usize,
    /// Which template.
    pub(super) name: String,
    /// What it gets as `.`
    pub(super) pipeline: Option<Pipeline>,
}

/// Commands, each passing its value on as the last argument of the next.
#[derive(Debug)]
pub(super) struct Pipeline {
    /// Where it starts.
    pub(super) at: usize,
    /// The variables set: none, one, or (in `range`) two.
    pub(super) variables: Vec<String>,
    /// `=` changes a variable, `:=` makes a new one.
    pub(super) assigns: bool,
    /// At least one.
    pub(super) commands: Vec<Command>,
}

/// An operand, or a function and its arguments.
#[derive(Debug)]
pub(super) struct Command {
    /// Where it starts.
    pub(super) at: usize,
    /// At least one.
    pub(super) operands: Vec<Operand>,
}

/// A term and where it stands.
#[derive(Debug)]
pub(super) struct Operand {
    /// Where Go says that it is: for a chain of fields, at the first field.
    pub(super) at: usize,
    /// What it is.
    pub(super) term: Term,
}

/// What can be an operand.
#[derive(Debug)]
pub(super) enum Term {
    /// `.`
    Dot,
    /// `nil`
    Nil,
    /// `true`, `false`
    Bool(bool),
    /// A number as written, with what it is as a value, if Go's `int` can hold it.
    Number(String, Option<Constant>),
    /// A text, and how it is written.
    Text(Arc<str>, String),
    /// `.a.b`
    Field(Vec<String>),
    /// `$name.a.b`; the name of `$` is empty.
    Variable(String, Vec<String>),
    /// A function.
    Function(&'static Function),
    /// Fields of something that is no field or variable.
    Chain(Box<Operand>, Vec<String>),
    /// A pipeline in parentheses.
    Nested(Box<Pipeline>),
}

/// A number's value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Constant {
    /// Go's `int`.
    Int(i64),
    /// Go's `float64`.
    Float(f64),
}

impl fmt::Display for Invocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{{template {}", super::printf::quote(&self.name))?;
        if let Some(pipeline) = &self.pipeline {
            write!(f, " {pipeline}")?;
        }
        f.write_str("}}")
    }
}

impl fmt::Display for Pipeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, name) in self.variables.iter().enumerate() {
            write!(f, "{}${name}", if index > 0 { ", " } else { "" })?;
        }
        if !self.variables.is_empty() {
            f.write_str(if self.assigns { " = " } else { " := " })?;
        }
        for (index, command) in self.commands.iter().enumerate() {
            write!(f, "{}{command}", if index > 0 { " | " } else { "" })?;
        }
        Ok(())
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, operand) in self.operands.iter().enumerate() {
            let blank = if index > 0 { " " } else { "" };
            match &operand.term {
                Term::Nested(pipeline) => write!(f, "{blank}({pipeline})")?,
                _ => write!(f, "{blank}{operand}")?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for Operand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut fields: &[String] = &[];
        match &self.term {
            Term::Dot => f.write_str(".")?,
            Term::Nil => f.write_str("nil")?,
            Term::Bool(truth) => write!(f, "{truth}")?,
            Term::Number(written, _) | Term::Text(_, written) => f.write_str(written)?,
            Term::Field(names) => fields = names,
            Term::Variable(name, names) => {
                write!(f, "${name}")?;
                fields = names;
            }
            Term::Function(function) => f.write_str(function.name)?,
            Term::Chain(first, names) => {
                match &first.term {
                    Term::Nested(pipeline) => write!(f, "({pipeline})")?,
                    _ => write!(f, "{first}")?,
                }
                fields = names;
            }
            Term::Nested(pipeline) => write!(f, "{pipeline}")?,
        }
        fields.iter().try_for_each(|name| write!(f, ".{name}"))
    }
}
