//! How deep lists and mappings in brackets may stand in each other.

use super::{Diagnostic, position_of_byte};

/// What the library refuses is far less deep; but it looks at all that is open for each word, before it refuses anything.
const DEPTH_MAX: usize = 1_000;

/// The problem of a text with so many open brackets that to read it takes minutes.
#[must_use]
pub(super) fn excessive_nesting(file: &str, text: &str) -> Option<Diagnostic> {
    let byte = deepest(text, DEPTH_MAX)?;
    let mut problem = Diagnostic::of_file(file, format!("more than {DEPTH_MAX} lists and mappings stand in each other"));
    problem.position = position_of_byte(text, byte);
    Some(problem)
}

/// The byte of the first bracket that is deeper than `max`. Those in the middle of a text open nothing (`in [0, 1) or so`).
fn deepest(text: &str, max: usize) -> Option<usize> {
    let (mut depth, mut before) = (0_usize, b'\n');
    for (place, byte) in text.bytes().enumerate() {
        match byte {
            b'[' | b'{' if b"\n[{,:-?".contains(&before) => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > max {
            return Some(place);
        }
        if !matches!(byte, b' ' | b'\t' | b'\r') {
            before = byte;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_too_deep_is_found_where_it_begins() {
        let problem = excessive_nesting("f", &format!("a:\n  {}", "[{b: ".repeat(100_000))).expect("too deep");
        assert_eq!(problem.to_string(), "f:2:2503: more than 1000 lists and mappings stand in each other");
        assert_eq!(deepest("[{a: [x, {", 3), Some(9));
    }

    #[test]
    fn brackets_in_texts_do_not_add_up() {
        let rule = "- expr: a{b=~\"x[^}y\"}\n  d: in [0, 1) or {{ $value }} (1, 2]\n  e: \"{{ with [\"\n  f: {a: [b, {c: d}]}\n";
        assert_eq!(deepest(&rule.repeat(1_000), 4), None);
    }
}
