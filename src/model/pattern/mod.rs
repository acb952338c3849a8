//! Regular expressions as Prometheus has them: the language of Go's RE2, over a whole value, `.` matching line feeds too.
//!
//! Rust's `regex` crate runs them. What a pattern means differs between the two languages in places (`\w` and `\b` know
//! other alphabets there, `[a&&b]` is an intersection, `{` has to repeat something), so a pattern is read by Go's rules
//! and written anew by Rust's. Most patterns need no automaton at all: see [`shape`].
//! Source: golang/go `regexp/syntax`, prometheus/prometheus `model/labels/regexp.go`.

mod class;
mod error;
mod escape;
mod expand;
mod flags;
mod node;
mod repeat;
mod shape;
mod syntax;

pub use error::PatternError;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use regex::bytes::{Regex, RegexBuilder};

use error::Code;
use expand::expand;
use flags::Flags;
use node::Node;
use shape::Shape;
use syntax::Parsed;

/// The longest pattern, in bytes.
pub const PATTERN_BYTES_MAX: usize = 32 * 1024;

/// The largest program that a pattern may compile to, in bytes.
pub const PATTERN_PROGRAM_BYTES_MAX: usize = 1 << 20;

/// The programs that conditions have now. Many rules ask for the same devices and mountpoints, and a program takes tens of kilobytes with
/// what it remembers while it runs.
static PROGRAMS: Mutex<BTreeMap<String, Weak<Regex>>> = Mutex::new(BTreeMap::new());

/// A condition on a whole value.
#[derive(Clone, Debug)]
pub struct Pattern(Test);

#[derive(Clone, Debug)]
enum Test {
    Shape(Shape),
    Program(Arc<Regex>),
}

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// When Go would refuse it, or a limit is exceeded: [`PATTERN_BYTES_MAX`], [`PATTERN_PROGRAM_BYTES_MAX`], or 100
    /// expressions within each other.
    pub fn new(pattern: &str) -> Result<Self, PatternError> {
        let Parsed { node, .. } = syntax::parse(pattern, Flags::PROMETHEUS)?;
        let test = match Shape::of(&node) {
            Some(shape) => Test::Shape(shape),
            None => Test::Program(program(pattern, &node)?),
        };
        Ok(Self(test))
    }

    /// Whether the whole value matches.
    #[must_use]
    pub fn is_match(&self, value: &str) -> bool {
        match &self.0 {
            Test::Shape(shape) => shape.matches(value),
            Test::Program(regex) => regex.is_match(value.as_bytes()),
        }
    }

    /// The only values that match, in order, where they are few enough to be listed: those of `a|b|c`.
    #[must_use]
    pub fn values(&self) -> Option<&[String]> {
        match &self.0 {
            Test::Shape(Shape::Values(values)) => Some(values),
            _ => None,
        }
    }
}

/// A pattern that says what becomes of a value.
#[derive(Clone, Debug)]
pub struct Rewrite {
    regex: Regex,
    /// The names of the groups, the first of which is the whole match.
    names: Vec<Option<String>>,
}

impl Rewrite {
    /// Reads a pattern.
    ///
    /// # Errors
    /// As [`Pattern::new`].
    pub fn new(pattern: &str) -> Result<Self, PatternError> {
        let Parsed { node, names } = syntax::parse(pattern, Flags::PROMETHEUS)?;
        Ok(Self { regex: compile(pattern, &node)?, names })
    }

    /// The template with `$1`, `${1}`, `$name` and `${name}` replaced by what the groups matched, and `$$` by a dollar;
    /// nothing if the value does not match.
    #[must_use]
    pub fn apply(&self, value: &str, template: &str) -> Option<String> {
        let captures = self.regex.captures(value.as_bytes())?;
        let group = |place: usize| captures.get(place).and_then(|found| value.get(found.range()));
        Some(expand(template, &self.names, group))
    }
}

/// The largest program of a [`Search`], in bytes: it may run over long texts, and often.
const SEARCH_PROGRAM_BYTES_MAX: usize = 256 << 10;

/// A pattern that is looked for within a text, as Go's package regexp does by itself: `.` is no line feed.
#[derive(Clone, Debug)]
pub struct Search(Rewrite);

impl Search {
    /// Reads a pattern.
    ///
    /// # Errors
    /// As [`Pattern::new`], but a program may have 256 KiB only.
    pub fn new(pattern: &str) -> Result<Self, PatternError> {
        let Parsed { node, names } = syntax::parse(pattern, Flags::GO)?;
        let mut text = String::with_capacity(pattern.len());
        node.write(&mut text);
        Ok(Self(Rewrite { regex: build(pattern, &text, SEARCH_PROGRAM_BYTES_MAX)?, names }))
    }

    /// Whether a part of the text matches.
    #[must_use]
    pub fn is_match(&self, text: &str) -> bool {
        self.0.regex.is_match(text.as_bytes())
    }

    /// The text with every match replaced by the template, as [`Rewrite::apply`] reads it. It is left off when it has
    /// become longer than `bytes_max`.
    #[must_use]
    pub fn replace_all(&self, text: &str, template: &str, bytes_max: usize) -> String {
        let mut out = String::new();
        let mut copied = 0;
        for captures in self.0.regex.captures_iter(text.as_bytes()) {
            let Some(found) = captures.get(0).map(|found| found.range()) else { continue };
            // Over bytes nothing also matches within a character.
            let Some(between) = text.get(copied..found.start) else { continue };
            out.push_str(between);
            let group = |place: usize| captures.get(place).and_then(|found| text.get(found.range()));
            out.push_str(&expand(template, &self.0.names, group));
            copied = found.end;
            if out.len() > bytes_max {
                return out;
            }
        }
        out.push_str(text.get(copied..).unwrap_or(""));
        out
    }
}

/// That of another condition with the same pattern, or a new one.
fn program(pattern: &str, node: &Node) -> Result<Arc<Regex>, PatternError> {
    let programs = || PROGRAMS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = programs().get(pattern).and_then(Weak::upgrade) {
        return Ok(known);
    }
    let new = Arc::new(compile(pattern, node)?);
    let mut programs = programs();
    programs.retain(|_, program| program.strong_count() > 0);
    programs.insert(pattern.to_owned(), Arc::downgrade(&new));
    Ok(new)
}

/// Assertions about words are ASCII's, and the negated one may not stand in a pattern over text: so this one is over
/// bytes. It sees no other places than those between characters, because all that consumes anything consumes characters.
fn compile(pattern: &str, node: &Node) -> Result<Regex, PatternError> {
    let mut text = String::with_capacity(pattern.len() + 16);
    text.push_str("\\A(?:");
    node.write(&mut text);
    text.push_str(")\\z");
    build(pattern, &text, PATTERN_PROGRAM_BYTES_MAX)
}

fn build(pattern: &str, text: &str, program_bytes_max: usize) -> Result<Regex, PatternError> {
    let program = RegexBuilder::new(text).size_limit(program_bytes_max).nest_limit(1000).build();
    program.map_err(|_| PatternError::new(Code::Large, pattern))
}

#[cfg(test)]
mod tests;
