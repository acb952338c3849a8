//! A pattern as a tree, and the tree as a pattern of Rust's.

use std::fmt::Write as _;

/// A part of a pattern.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    Empty,
    /// A character; in either case if `fold`.
    Literal {
        c: char,
        fold: bool,
    },
    /// A class of characters, written as Rust's; in either case if `fold`.
    Class {
        text: String,
        fold: bool,
    },
    /// `.`
    Any {
        line_feeds: bool,
    },
    Assertion(Assertion),
    /// A group that captures.
    Group(Box<Self>),
    Concat(Vec<Self>),
    Alternate(Vec<Self>),
    Repeat {
        node: Box<Self>,
        min: u32,
        max: Option<u32>,
        greedy: bool,
    },
}

/// A condition on a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Assertion {
    TextStart,
    TextEnd,
    LineStart,
    LineEnd,
    WordBoundary,
    NoWordBoundary,
}

impl Assertion {
    const fn as_str(self) -> &'static str {
        match self {
            Self::TextStart => "\\A",
            Self::TextEnd => "\\z",
            Self::LineStart => "(?m:^)",
            Self::LineEnd => "(?m:$)",
            Self::WordBoundary => "(?-u:\\b)",
            Self::NoWordBoundary => "(?-u:\\B)",
        }
    }
}

impl Node {
    /// Appends this in Rust's syntax. Nothing in it depends on flags outside of it.
    pub(super) fn write(&self, out: &mut String) {
        match self {
            Self::Empty => {}
            Self::Literal { c, fold } => folded(out, *fold && c.is_alphabetic(), |out| write_char(out, *c)),
            Self::Class { text, fold } => folded(out, *fold, |out| out.push_str(text)),
            Self::Any { line_feeds: true } => out.push_str("(?s:.)"),
            Self::Any { line_feeds: false } => out.push_str("[^\\n]"),
            Self::Assertion(assertion) => out.push_str(assertion.as_str()),
            Self::Group(node) => enclosed(out, "(", |out| node.write(out)),
            Self::Concat(nodes) => nodes.iter().for_each(|node| node.write(out)),
            Self::Alternate(nodes) => enclosed(out, "(?:", |out| {
                for (place, node) in nodes.iter().enumerate() {
                    if place > 0 {
                        out.push('|');
                    }
                    node.write(out);
                }
            }),
            Self::Repeat { node, min, max, greedy } => {
                enclosed(out, "(?:", |out| node.write(out));
                let _ = match (min, max) {
                    (0, None) => write!(out, "*"),
                    (1, None) => write!(out, "+"),
                    (0, Some(1)) => write!(out, "?"),
                    (min, None) => write!(out, "{{{min},}}"),
                    (min, Some(max)) => write!(out, "{{{min},{max}}}"),
                };
                if !greedy {
                    out.push('?');
                }
            }
        }
    }
}

/// Appends a character so that it means itself, inside a class and outside.
pub(super) fn write_char(out: &mut String, c: char) {
    if c.is_ascii_alphanumeric() {
        out.push(c);
    } else {
        let _ = write!(out, "\\x{{{:X}}}", u32::from(c));
    }
}

fn enclosed(out: &mut String, open: &str, write: impl FnOnce(&mut String)) {
    out.push_str(open);
    write(out);
    out.push(')');
}

fn folded(out: &mut String, fold: bool, write: impl FnOnce(&mut String)) {
    if fold { enclosed(out, "(?i:", write) } else { write(out) }
}
