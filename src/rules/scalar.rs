//! Where a byte of a YAML scalar's value stands in the file, so that the caret of a mistake in an expression stands under
//! the mistake and not under the key.

mod walk;

use walk::{in_folded, in_quotes};

use crate::diagnostic::Position;

/// The place of byte `offset` of `value`, whose scalar begins at `start` in `text`: in scalars of all forms, through escapes and
/// folded lines. Where what stands there does not read as the value (folded, with an indentation by number), the scalar's start.
pub(super) fn position_in_scalar(text: &str, start: Position, value: &str, offset: usize) -> Position {
    find(text, start, value, offset).unwrap_or(start)
}

fn find(text: &str, start: Position, value: &str, offset: usize) -> Option<Position> {
    let start = behind_properties(text, start)?;
    let line = text.lines().nth(start.line.checked_sub(1)?)?;
    let rest: String = line.chars().skip(start.column.checked_sub(1)?).collect();
    let offset = offset.min(value.len());
    if rest.starts_with('|') {
        return in_block(text, start.line, value, offset);
    }
    if rest.starts_with('>') {
        return in_folded(text, start, value, offset);
    }
    let quote = rest.chars().next().filter(|quote| matches!(quote, '"' | '\''));
    in_quotes(text, start, quote, value, offset)
}

/// Where a scalar itself begins, behind its tag (`!!str`) and its anchor (`&name`), which may stand on a line of their own.
fn behind_properties(text: &str, start: Position) -> Option<Position> {
    let is_blank = |c: &char| matches!(c, ' ' | '\t');
    let mut at = start;
    loop {
        let line = text.lines().nth(at.line.checked_sub(1)?)?;
        let mut rest = line.chars().skip(at.column.checked_sub(1)?).peekable();
        while rest.next_if(is_blank).is_some() {
            at.column += 1;
        }
        match rest.peek() {
            None => at = Position { line: at.line + 1, column: 1 },
            Some('!' | '&') => at.column += rest.take_while(|c| !is_blank(c)).count(),
            Some(_) => return Some(at),
        }
    }
}

/// A literal block: line by line the value, behind an indentation that is the same for all.
fn in_block(text: &str, header: usize, value: &str, offset: usize) -> Option<Position> {
    let before = value.get(..offset)?;
    let down = before.matches('\n').count();
    let wanted = value.split('\n').nth(down)?;
    if wanted.is_empty() && offset == value.len() && down > 0 {
        // Behind the last line feed there may be nothing in the file; the end of the last line is as good.
        let last = text.lines().nth(header + down - 1)?;
        return Some(Position { line: header + down, column: last.chars().count() + 1 });
    }
    let line = text.lines().nth(header + down)?;
    let indent = line.strip_suffix(wanted)?;
    if !indent.chars().all(|c| c == ' ') {
        return None;
    }
    let along = before.rsplit('\n').next()?.chars().count();
    Some(Position { line: header + down + 1, column: indent.len() + along + 1 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::{PathStep, locate_yaml};

    /// The place of the `!` in the value of `e`.
    fn place(text: &str) -> (usize, usize) {
        let start = locate_yaml(text, &[PathStep::Key("e".into())]).expect("there");
        let value: std::collections::BTreeMap<String, String> = serde_yaml::from_str(text).expect("valid");
        let offset = value["e"].find('!').unwrap_or(value["e"].len());
        let position = position_in_scalar(text, start, &value["e"], offset);
        (position.line, position.column)
    }

    #[test]
    fn a_place_on_one_line_is_exact() {
        assert_eq!(place("a: 1\ne: sum(é !)\n"), (2, 10));
        assert_eq!(place("e: \"sum( !)\"\n"), (1, 10));
        assert_eq!(place("e:   'sum( !)' # c\n"), (1, 12));
    }

    #[test]
    fn a_place_in_a_block_is_exact() {
        assert_eq!(place("e: |\n    sum(\n      !x)\n"), (3, 7));
        assert_eq!(place("e: |-\n\n  sum(\n  x!)\nb: 1"), (4, 4));
        assert_eq!(place("e: |\n  sum(\n"), (2, 7));
    }

    #[test]
    fn a_place_is_found_through_folded_lines() {
        assert_eq!(place("e: >\n  sum(\n  a !x)\n"), (3, 5));
        assert_eq!(place("e: >-\n\n  sum(\n\n\n  a\n    b\n  !x)\n\nf: 1\n"), (8, 3));
        assert_eq!(place("e: >\n  sum(\n"), (2, 7));
        assert_eq!(place("e: sum(\n  a\n\n  b  \n  é !x)\n"), (5, 5));
        assert_eq!(place("e: 'sum(\n  a\n\n  !x)'\n"), (4, 3));
        assert_eq!(place("e: \"sum(  \n  a \\\n  b!x)\"\n"), (3, 4));
    }

    #[test]
    fn a_place_is_found_behind_escapes() {
        assert_eq!(place("e: 'a{b=''c''} !'\n"), (1, 16));
        assert_eq!(place("e: \"a{b=\\\"c\\\"} !\"\n"), (1, 16));
        assert_eq!(place("e: \"a\\t\\x41\\u00e9\\\\ !\"\n"), (1, 21));
        assert_eq!(place("e: \"a\\n\"\n"), (1, 8));
    }

    #[test]
    fn a_place_is_found_behind_tags_and_anchors() {
        assert_eq!(place("e: !!str sum( !)\n"), (1, 15));
        assert_eq!(place("e: &a !!str \"sum( !)\"\n"), (1, 19));
        assert_eq!(place("e: &a |\n  sum(\n  !)\n"), (3, 3));
        assert_eq!(place("e: !!str >-\n  sum(\n  !)\n"), (3, 3));
        assert_eq!(place("e: &a\n  sum( !)\n"), (2, 8));
    }

    #[test]
    fn a_place_in_a_block_with_an_indentation_by_number_is_exact() {
        assert_eq!(place("e: |2-\n    sum(\n  !)\n"), (3, 3));
        assert_eq!(place("f: 1\ne: |+1 # c\n   sum( !)\n\n"), (3, 9));
    }

    #[test]
    fn behind_an_alias_it_is_where_the_text_stands() {
        assert_eq!(place("f: &f sum( !)\ne: *f\n"), (1, 12));
        assert_eq!(place("f: &f |\n  sum(\n  !)\ne: *f\n"), (3, 3));
    }

    #[test]
    fn elsewhere_it_is_the_scalars_start() {
        assert_eq!(place("e: >2\n   sum(\n  !x)\n"), (1, 4));
    }

    proptest::proptest! {
        #[test]
        fn no_place_makes_it_panic(text in "[|>a\"'\\\\xu \n]{0,20}", line in 0_usize..5, column in 0_usize..9, value in "[a \n]{0,9}", offset in 0_usize..12) {
            position_in_scalar(&text, Position { line, column }, &value, offset);
        }
    }
}
