//! The first document of a YAML text: of several, rule files and test files use no other.

/// The first YAML document of a text, and the line on which another one begins.
pub(in crate::rules) fn first_document(text: &str) -> (&str, Option<usize>) {
    // Editors put a byte order mark in front, which says nothing.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    // Line ends are those of the text: nothing else than a return is one for an editor of long ago.
    let end = if text.contains('\n') { '\n' } else { '\r' };
    let mut begun = false;
    let mut at = 0;
    for (index, line) in text.split_inclusive(end).enumerate() {
        let bare = line.trim_end();
        let marker = is_marker(line, "---");
        // An end in front of everything is a mistake, which the library tells.
        if begun && (marker || is_marker(line, "...")) {
            let (first, rest) = text.split_at(at);
            let nothing = |line: &str| line.trim().is_empty() || line.starts_with('#') || matches!(line.trim_end(), "---" | "...");
            return (first, (!rest.split(end).all(nothing)).then_some(index + 1));
        }
        begun = begun || marker || !(bare.is_empty() || bare.trim_start().starts_with('#') || bare.starts_with('%'));
        at += line.len();
    }
    (text, None)
}

/// Whether a line begins or ends a document: the marker stands in its first column, and alone or before a blank.
fn is_marker(line: &str, marker: &str) -> bool {
    line.strip_prefix(marker).is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']))
}

#[cfg(test)]
mod tests {
    use super::super::raw::{UnknownKeys, read};
    use super::*;
    use crate::diagnostic::{Diagnostic, Position};

    fn problems(text: &str) -> Vec<Diagnostic> {
        read("f", text, UnknownKeys::Refused).1
    }

    #[test]
    fn only_the_first_document_counts() {
        assert_eq!(first_document("# c\n---\na: 1\n---\nb: 1\n"), ("# c\n---\na: 1\n", Some(4)));
        assert_eq!(first_document("a: 1\n---\n# nothing\n"), ("a: 1\n", None));
        assert_eq!(first_document("a: |\n  ---\n"), ("a: |\n  ---\n", None));
        assert_eq!(first_document("a: 1\n...\nb\n"), ("a: 1\n", Some(2)));
        assert_eq!(first_document("a: 1\r\n---\tb\r\n"), ("a: 1\r\n", Some(2)));
        assert_eq!(first_document("a: 1\r---\rb: 1\r"), ("a: 1\r", Some(2)));
        assert_eq!(first_document("a: 1\n--- # nothing\n---b: 1\n"), ("a: 1\n", Some(2)));
    }

    #[test]
    fn what_ends_before_it_begins_is_no_file_without_rules() {
        for text in ["...\ngroups: []\n", "# c\n...\ngroups: []\n"] {
            let (first, more) = first_document(text);
            assert_eq!((more, problems(first).len()), (None, 1), "{text:?}");
        }
        assert!(problems(first_document("---\n...\ngroups: x\n").0).is_empty(), "an empty document is one");
    }

    #[test]
    fn what_stands_behind_the_end_of_the_document_is_told_where_it_stands() {
        for (text, place) in [
            (" groups:\n- name: g\n", Position { line: 2, column: 1 }),
            ("{groups: []}\n# c\n{groups: []}\n", Position { line: 3, column: 1 }),
        ] {
            let problems = problems(text);
            assert_eq!(problems.iter().map(|problem| problem.position).collect::<Vec<_>>(), [place], "{text:?}: {problems:?}");
            assert!(problems[0].message.contains("the document has ended"), "{problems:?}");
        }
    }
}
