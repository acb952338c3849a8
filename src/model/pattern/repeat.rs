//! `{2,5}` and how much may be repeated.

use super::node::Node;

/// The most times that anything may be repeated, by all repetitions around it together.
pub(super) const COUNT_MAX: u32 = 1000;

/// At least and at most how often.
pub(super) type Count = (u32, Option<u32>);

/// A count in braces and what follows; no count where the numbers are too large or in the wrong order. Nothing where the
/// brace is one by itself.
pub(super) fn parse(text: &str) -> Option<(Option<Count>, &str)> {
    let (min, rest) = number(text.strip_prefix('{')?)?;
    let (max, rest) = match rest.strip_prefix(',') {
        None => (Some(min), rest),
        Some(rest) if rest.starts_with('}') => (None, rest),
        Some(rest) => number(rest).map(|(max, rest)| (Some(max), rest))?,
    };
    let rest = rest.strip_prefix('}')?;
    let valid = min <= COUNT_MAX && max.is_none_or(|max| max <= COUNT_MAX && min <= max);
    Some((valid.then_some((min, max)), rest))
}

/// Digits without a needless zero in front; beyond what counts they all are the same.
fn number(text: &str) -> Option<(u32, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at_checked(end)?;
    if digits.is_empty() || (digits.len() > 1 && digits.starts_with('0')) {
        return None;
    }
    Some((digits.parse().unwrap_or(u32::MAX), rest))
}

/// Whether nothing in here is repeated more than `most` times.
pub(super) fn is_allowed(node: &Node, most: u32) -> bool {
    match node {
        Node::Repeat { node, min, max, .. } => {
            // `*`, `+` and `?` are no counts.
            let times = match (min, max) {
                (0 | 1, None) | (0, Some(1)) => 1,
                (_, Some(0)) => return true,
                (min, max) => max.unwrap_or(*min),
            };
            times <= most && is_allowed(node, most / times.max(1))
        }
        Node::Group(node) => is_allowed(node, most),
        Node::Concat(nodes) | Node::Alternate(nodes) => nodes.iter().all(|node| is_allowed(node, most)),
        Node::Empty | Node::Literal { .. } | Node::Class { .. } | Node::Any { .. } | Node::Assertion(_) => true,
    }
}
