//! Reads a pattern by Go's rules.

use super::PATTERN_BYTES_MAX;
use super::class;
use super::error::{Code, PatternError};
use super::escape::{self, Escape};
use super::flags::{self, Flags, Opening};
use super::node::{Assertion, Node};
use super::repeat;

/// How many expressions may be within each other: whoever walks the tree recurses.
const DEPTH_MAX: u32 = 100;

/// A pattern that has been read.
pub(super) struct Parsed {
    pub(super) node: Node,
    /// The names of the groups, the first of which is the whole.
    pub(super) names: Vec<Option<String>>,
}

/// A part of the tree and how high it is.
struct Tree {
    node: Node,
    height: u32,
}

/// What is open: the whole pattern, or a group.
#[derive(Default)]
struct Open {
    captures: bool,
    /// The flags that are in force again once it is closed.
    flags: Flags,
    alternatives: Vec<Tree>,
    items: Vec<Tree>,
}

struct Parser<'a> {
    pattern: &'a str,
    /// What has not been read.
    rest: &'a str,
    flags: Flags,
    open: Vec<Open>,
    names: Vec<Option<String>>,
    /// Where the repetition starts that the last word was.
    last_repeat: Option<&'a str>,
}

pub(super) fn parse(pattern: &str, flags: Flags) -> Result<Parsed, PatternError> {
    if pattern.len() > PATTERN_BYTES_MAX {
        return Err(PatternError::new(Code::Long, pattern));
    }
    let mut parser = Parser { pattern, rest: pattern, flags, open: vec![Open::default()], names: vec![None], last_repeat: None };
    while let Some(c) = parser.rest.chars().next() {
        let last_repeat = parser.last_repeat.take();
        parser.word(c, last_repeat)?;
    }
    let Some(whole) = parser.open.pop().filter(|_| parser.open.is_empty()) else {
        return Err(PatternError::new(Code::MissingParen, pattern));
    };
    let node = parser.close(whole)?.node;
    Ok(Parsed { node, names: parser.names })
}

impl<'a> Parser<'a> {
    fn word(&mut self, c: char, last_repeat: Option<&'a str>) -> Result<(), PatternError> {
        let start = self.rest;
        match c {
            '(' if start.starts_with("(?") => return self.flags_or_group(),
            '[' => {
                let (node, rest) = class::parse(start, self.flags.fold)?;
                self.rest = rest;
                return self.push(node, 1);
            }
            '\\' => return self.escape(),
            '*' => return self.repeat(start, c, (0, None), last_repeat),
            '+' => return self.repeat(start, c, (1, None), last_repeat),
            '?' => return self.repeat(start, c, (0, Some(1)), last_repeat),
            '{' => {
                if let Some((count, after)) = repeat::parse(start) {
                    let count = count.ok_or_else(|| PatternError::new(Code::RepeatCount, before(start, after)))?;
                    self.rest = after;
                    return self.repeat_with(start, count, last_repeat);
                }
            }
            _ => {}
        }
        self.rest = start.get(c.len_utf8()..).unwrap_or("");
        match c {
            '(' => self.open_group(true, None, self.flags),
            '|' => {
                let Some(open) = self.open.last_mut() else { return Ok(()) };
                let items = std::mem::take(&mut open.items);
                let alternative = self.concat(items)?;
                if let Some(open) = self.open.last_mut() {
                    open.alternatives.push(alternative);
                }
                return Ok(());
            }
            ')' => return self.close_group(),
            '^' => return self.push(Node::Assertion(if self.flags.lines { Assertion::LineStart } else { Assertion::TextStart }), 1),
            '$' => return self.push(Node::Assertion(if self.flags.lines { Assertion::LineEnd } else { Assertion::TextEnd }), 1),
            '.' => return self.push(Node::Any { line_feeds: self.flags.line_feeds }, 1),
            c => return self.literal(c),
        }
        Ok(())
    }

    fn literal(&mut self, c: char) -> Result<(), PatternError> {
        self.push(Node::Literal { c, fold: self.flags.fold }, 1)
    }

    fn push(&mut self, node: Node, height: u32) -> Result<(), PatternError> {
        if height > DEPTH_MAX {
            return Err(PatternError::new(Code::Nesting, self.pattern));
        }
        if let Some(open) = self.open.last_mut() {
            open.items.push(Tree { node, height });
        }
        Ok(())
    }

    fn flags_or_group(&mut self) -> Result<(), PatternError> {
        let (opening, rest) = flags::parse(self.rest, self.flags)?;
        self.rest = rest;
        match opening {
            Opening::Named(name) => self.open_group(true, Some(name.to_owned()), self.flags),
            Opening::Group(flags) => {
                self.open_group(false, None, self.flags);
                self.flags = flags;
            }
            Opening::Flags(flags) => self.flags = flags,
        }
        Ok(())
    }

    fn open_group(&mut self, captures: bool, name: Option<String>, flags: Flags) {
        if captures {
            self.names.push(name);
        }
        self.open.push(Open { captures, flags, ..Open::default() });
    }

    fn close_group(&mut self) -> Result<(), PatternError> {
        if self.open.len() < 2 {
            return Err(PatternError::new(Code::UnexpectedParen, self.pattern));
        }
        let Some(open) = self.open.pop() else { return Ok(()) };
        self.flags = open.flags;
        let captures = open.captures;
        let Tree { node, height } = self.close(open)?;
        if captures { self.push(Node::Group(Box::new(node)), height + 1) } else { self.push(node, height) }
    }

    /// What was open as one node.
    fn close(&self, open: Open) -> Result<Tree, PatternError> {
        let Open { mut alternatives, items, .. } = open;
        let last = self.concat(items)?;
        if alternatives.is_empty() {
            return Ok(last);
        }
        alternatives.push(last);
        self.above(alternatives, Node::Alternate)
    }

    fn concat(&self, mut items: Vec<Tree>) -> Result<Tree, PatternError> {
        match items.len() {
            0 => Ok(Tree { node: Node::Empty, height: 1 }),
            1 => Ok(items.remove(0)),
            _ => self.above(items, Node::Concat),
        }
    }

    fn above(&self, parts: Vec<Tree>, make: fn(Vec<Node>) -> Node) -> Result<Tree, PatternError> {
        let height = parts.iter().map(|part| part.height).max().unwrap_or(0) + 1;
        if height > DEPTH_MAX {
            return Err(PatternError::new(Code::Nesting, self.pattern));
        }
        Ok(Tree { node: make(parts.into_iter().map(|part| part.node).collect()), height })
    }

    fn escape(&mut self) -> Result<(), PatternError> {
        let (escape, rest) = escape::parse(self.rest)?;
        self.rest = rest;
        match escape {
            Escape::Assertion(assertion) => self.push(Node::Assertion(assertion), 1),
            Escape::Class(text) => self.push(Node::Class { text, fold: self.flags.fold }, 1),
            Escape::Char(Some(c)) => self.literal(c),
            Escape::Char(None) => self.push(Node::Class { text: class::NOTHING.to_owned(), fold: false }, 1),
            Escape::Quoted(text) => text.chars().try_for_each(|c| self.literal(c)),
        }
    }

    fn repeat(&mut self, start: &'a str, sign: char, count: (u32, Option<u32>), last: Option<&'a str>) -> Result<(), PatternError> {
        self.rest = start.get(sign.len_utf8()..).unwrap_or("");
        self.repeat_with(start, count, last)
    }

    /// Repeats what was read last. `start` is where the repetition is written, `last` where the one directly before it is.
    fn repeat_with(&mut self, start: &'a str, (min, max): (u32, Option<u32>), last: Option<&'a str>) -> Result<(), PatternError> {
        let mut greedy = !self.flags.swap_greed;
        if let Some(rest) = self.rest.strip_prefix('?') {
            self.rest = rest;
            greedy = !greedy;
        }
        if let Some(last) = last {
            return Err(PatternError::new(Code::NestedRepeat, before(last, self.rest)));
        }
        let Some(Tree { node, height }) = self.open.last_mut().and_then(|open| open.items.pop()) else {
            return Err(PatternError::new(Code::MissingRepeatArgument, before(start, self.rest)));
        };
        let node = Node::Repeat { node: Box::new(node), min, max, greedy };
        if (min >= 2 || max.is_some_and(|max| max >= 2)) && !repeat::is_allowed(&node, repeat::COUNT_MAX) {
            return Err(PatternError::new(Code::RepeatCount, before(start, self.rest)));
        }
        self.last_repeat = Some(start);
        self.push(node, height + 1)
    }
}

/// The part of a text before its rest.
pub(super) fn before<'a>(text: &'a str, rest: &str) -> &'a str {
    text.get(..text.len().saturating_sub(rest.len())).unwrap_or(text)
}
