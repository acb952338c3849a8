//! Patterns that a comparison of texts can decide: `a|b|c`, `prefix.*`, `.*part.*`, `.+`. Most are of this kind.

use memchr::memmem;

use super::node::{Assertion, Node};

/// The most values that a pattern is multiplied out into, unless they are written one by one.
const VALUES_MAX: usize = 256;

/// What a value is compared with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// It is one of these, which are in order.
    Values(Vec<String>),
    /// It has this text in it, with anything before or behind, of so many characters at least; `None` for nothing.
    Around { before: Option<usize>, text: String, behind: Option<usize> },
}

impl Shape {
    pub(super) fn of(node: &Node) -> Option<Self> {
        if let Some(mut values) = values(node, Edges { start: true, end: true }) {
            values.sort_unstable();
            values.dedup();
            return Some(Self::Values(values));
        }
        around(node)
    }

    pub(super) fn matches(&self, value: &str) -> bool {
        match self {
            Self::Values(values) => values.binary_search_by(|known| known.as_str().cmp(value)).is_ok(),
            Self::Around { before, text, behind } => {
                let least = text.len() + before.unwrap_or(0) + behind.unwrap_or(0);
                match (before, behind) {
                    _ if value.len() < least => false,
                    (None, None) => value == text,
                    (None, Some(_)) => value.starts_with(text),
                    (Some(_), None) => value.ends_with(text),
                    // A text starts and ends between characters, so that a byte beside it is a character beside it.
                    (Some(before), Some(behind)) => {
                        let inner = value.as_bytes().get(*before..value.len() - behind);
                        inner.is_some_and(|inner| memmem::find(inner, text.as_bytes()).is_some())
                    }
                }
            }
        }
    }
}

/// Whether a part stands at the start or the end of the pattern, where `^` and `$` say nothing that is not so anyway.
#[derive(Clone, Copy)]
struct Edges {
    start: bool,
    end: bool,
}

impl Edges {
    fn of(self, place: usize, count: usize) -> Self {
        Self { start: self.start && place == 0, end: self.end && place + 1 == count }
    }

    fn grant(self, assertion: Assertion) -> bool {
        match assertion {
            Assertion::TextStart | Assertion::LineStart => self.start,
            Assertion::TextEnd | Assertion::LineEnd => self.end,
            Assertion::WordBoundary | Assertion::NoWordBoundary => false,
        }
    }
}

/// All values that match, if they are few.
fn values(node: &Node, edges: Edges) -> Option<Vec<String>> {
    match node {
        Node::Empty => Some(vec![String::new()]),
        Node::Literal { c, fold } if !fold || !c.is_alphabetic() => Some(vec![c.to_string()]),
        Node::Assertion(assertion) if edges.grant(*assertion) => Some(vec![String::new()]),
        Node::Group(node) => values(node, edges),
        Node::Alternate(nodes) => {
            let mut all = Vec::new();
            for node in nodes {
                all.extend(values(node, edges)?);
            }
            Some(all)
        }
        Node::Concat(nodes) => {
            let mut all = vec![String::new()];
            for (place, node) in nodes.iter().enumerate() {
                let more = values(node, edges.of(place, nodes.len()))?;
                match more.as_slice() {
                    [only] => all.iter_mut().for_each(|value| value.push_str(only)),
                    more if all.len().saturating_mul(more.len()) > VALUES_MAX => return None,
                    more => all = all.iter().flat_map(|value| more.iter().map(move |more| format!("{value}{more}"))).collect(),
                }
            }
            Some(all)
        }
        Node::Repeat { node, min: 0, max: Some(1), .. } => {
            let mut all = values(node, Edges { start: false, end: false })?;
            all.push(String::new());
            Some(all)
        }
        _ => None,
    }
}

fn around(node: &Node) -> Option<Shape> {
    let nodes = match node {
        Node::Concat(nodes) => nodes.as_slice(),
        other => std::slice::from_ref(other),
    };
    let nodes = match nodes {
        [Node::Assertion(Assertion::TextStart), nodes @ ..] => nodes,
        nodes => nodes,
    };
    let nodes = match nodes {
        [nodes @ .., Node::Assertion(Assertion::TextEnd)] => nodes,
        nodes => nodes,
    };
    let (nodes, before) = match nodes.split_first() {
        Some((first, rest)) => anything(first).map_or((nodes, None), |least| (rest, Some(least))),
        None => (nodes, None),
    };
    let (nodes, behind) = match nodes.split_last() {
        Some((last, rest)) => anything(last).map_or((nodes, None), |least| (rest, Some(least))),
        None => (nodes, None),
    };
    let mut text = String::new();
    for node in nodes {
        match values(node, Edges { start: false, end: false })?.as_slice() {
            [only] => text.push_str(only),
            _ => return None,
        }
    }
    // Bytes stand for characters above, which holds beside a text only; and one character has one at least.
    let counted = text.is_empty() && before.unwrap_or(0) + behind.unwrap_or(0) > 1;
    (!counted).then_some(Shape::Around { before, text, behind })
}

/// How many characters `.*` or `.+` is at least, if this is one.
fn anything(node: &Node) -> Option<usize> {
    match node {
        Node::Group(node) => anything(node),
        Node::Repeat { node, min: min @ (0 | 1), max: None, .. } if **node == (Node::Any { line_feeds: true }) => Some(*min as usize),
        _ => None,
    }
}
