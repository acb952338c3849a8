//! YAML into a typed value, with all problems at once, each with its place.
//!
//! The YAML library tells where only for an error that is raised while it reads, and it stops at the first. So a text
//! is first read into a tree, the tree into the type; each problem found there is taken out of the tree and the rest is
//! tried again. A problem's place is then found by reading the text once more along the problem's path, with an error
//! raised on purpose when its end is reached. That costs a pass a problem, and only texts with problems pay it.

use std::fmt;

use serde::de::{self, DeserializeOwned, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_path_to_error::Segment;
use serde_yaml::Value;

use super::aliases::excessive_aliases;
use super::nesting::excessive_nesting;
use super::{Diagnostic, Position, nearest, position_of_byte};

/// How serde begins to speak of a key that a type does not have.
const UNKNOWN: &str = "unknown field `";

/// The key of YAML itself, which types know that have it resolved.
const MERGE: &str = "<<";

/// The most problems reported at once.
const PROBLEMS_MAX: usize = 50;

/// So many bytes are gone through to find the places of problems.
const PASSES_BYTES_MAX: usize = 32 << 20;

/// How many problems of a text are told, of `most` at best: finding the place of each costs a pass over the text, so of a very long one they are fewer.
#[must_use]
pub fn told_max(text: &str, most: usize) -> usize {
    (PASSES_BYTES_MAX / text.len().max(1)).clamp(1, most)
}

/// The problem of a text that says far more than is written, or takes far longer to read than it is long.
#[must_use]
pub fn excessive_yaml(file: &str, text: &str) -> Option<Diagnostic> {
    excessive_nesting(file, text).or_else(|| excessive_aliases(file, text))
}

/// One step into a YAML tree.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PathStep {
    /// Into a mapping, to the value behind this key.
    Key(String),
    /// Into a sequence, to the element with this number (from 0).
    Index(usize),
}

/// Reads a text. An empty one is an empty mapping, so that a type with defaults everywhere has them.
///
/// # Errors
/// All problems found, in the order in which they stand in the text.
pub fn parse_yaml<T: DeserializeOwned>(file: &str, text: &str) -> Result<T, Vec<Diagnostic>> {
    match read_yaml(file, text) {
        (Some(value), problems) if problems.is_empty() => Ok(value),
        (_, problems) => Err(problems),
    }
}

/// As [`parse_yaml`], with the value also where something is wrong with what stands behind keys: what else is wrong can then be said at
/// the same time. What is behind such a key is absent from the value; whoever checks further has to say nothing of that. Where an
/// element of a list is wrong there is no value, for its list has become shorter.
#[must_use]
pub fn read_yaml<T: DeserializeOwned>(file: &str, text: &str) -> (Option<T>, Vec<Diagnostic>) {
    if let Some(problem) = excessive_yaml(file, text) {
        return (None, vec![problem]);
    }
    let mut tree: Value = match serde_yaml::from_str(text) {
        Ok(tree) => tree,
        Err(error) => return (None, vec![syntax_problem(file, text, &error)]),
    };
    if tree.is_null() {
        tree = Value::Mapping(serde_yaml::Mapping::new());
    }
    let mut problems = Vec::new();
    let mut removed = Vec::new();
    let mut lists_are_whole = true;
    let value = loop {
        match serde_path_to_error::deserialize(tree.clone()) {
            Ok(value) => break lists_are_whole.then_some(value),
            Err(error) => {
                let path = steps(error.path());
                lists_are_whole &= !matches!(path.last(), Some(PathStep::Index(_)));
                let original = before_removals(&path, &removed);
                let message = error.inner().to_string();
                // What is missing because it was wrong and taken out has been told of.
                let missing = message.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`'));
                let missing = missing.map(|key| [original.as_slice(), &[PathStep::Key(key.to_owned())]].concat());
                if !missing.is_some_and(|path| removed.contains(&path)) {
                    problems.push(problem(file, text, &original, &message));
                }
                if problems.len() == told_max(text, PROBLEMS_MAX) || !remove(&mut tree, &path) {
                    break None;
                }
                removed.push(original);
                removed.sort();
            }
        }
    };
    problems.sort_by_key(|problem| problem.position);
    (value, problems)
}

/// Where the key at the end of a path stands; where there is none, where its mapping begins.
#[must_use]
pub fn locate_yaml_key(text: &str, path: &[PathStep]) -> Option<Position> {
    locate(text, path, true)
}

/// Where the value at a path begins; for a key whose value is null or absent, where its parent begins.
#[must_use]
pub fn locate_yaml(text: &str, path: &[PathStep]) -> Option<Position> {
    locate(text, path, false)
}

fn locate(text: &str, path: &[PathStep], at_key: bool) -> Option<Position> {
    located(Locate { path, at_key }, serde_yaml::Deserializer::from_str(text))
}

fn located(locate: Locate<'_>, document: serde_yaml::Deserializer<'_>) -> Option<Position> {
    let location = locate.deserialize(document).err()?.location()?;
    Some(Position { line: location.line(), column: location.column() })
}

fn syntax_problem(file: &str, text: &str, error: &serde_yaml::Error) -> Diagnostic {
    let message = error.to_string();
    if message.contains("more than one document") {
        let second = serde_yaml::Deserializer::from_str(text).nth(1);
        let place = second.and_then(|second| located(Locate { path: &[], at_key: false }, second)).unwrap_or(Position::START);
        return Diagnostic::new(file, text, place, "the document has ended before this")
            .with_hint("a line that is indented less than the first key ends it, as a last bracket and `---` do");
    }
    // The library repeats the place at the end of its message; that of a letter which no YAML may have is there alone, as a byte.
    let (message, byte) = message.rsplit_once(" at position ").unwrap_or((&message, ""));
    let message = message.split(" at line ").next().unwrap_or(message);
    let place = match (byte.parse(), error.location()) {
        (Ok(byte), _) => position_of_byte(text, byte),
        (_, Some(place)) => Position { line: place.line(), column: place.column() },
        _ => Position::START,
    };
    let found = text.lines().nth(place.line.saturating_sub(1)).and_then(|line| line.chars().nth(place.column.saturating_sub(1)));
    if found == Some('\t') && message == "found character that cannot start any token" {
        return Diagnostic::new(file, text, place, "a tab where YAML has spaces");
    }
    Diagnostic::new(file, text, place, message)
}

fn problem(file: &str, text: &str, path: &[PathStep], message: &str) -> Diagnostic {
    let name = path.iter().map(PathStep::to_string).collect::<String>();
    let name = name.trim_start_matches('.');
    if let Some(unknown) = message.strip_prefix(UNKNOWN).and_then(|rest| rest.split('`').next()) {
        let place = locate(text, path, true).unwrap_or(Position::START);
        let known: Vec<_> = message.split('`').skip(3).step_by(2).filter(|known| *known != MERGE).collect();
        let hint = match nearest(unknown, known.iter().copied()) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("known keys here: {}", known.join(", ")),
        };
        return Diagnostic::new(file, text, place, format!("unknown key `{name}`")).with_hint(hint);
    }
    let place = locate(text, path, false).unwrap_or(Position::START);
    let message = plainly(message);
    let message = if name.is_empty() { message } else { format!("{name}: {message}") };
    Diagnostic::new(file, text, place, message)
}

/// The longest value that a message repeats, in characters.
const SHOWN_MAX: usize = 60;

/// A message of serde's in words that do not come from Rust, and without values that fill the screen.
fn plainly(message: &str) -> String {
    let Some((found, expected)) = message.rsplit_once(", expected ") else { return message.to_owned() };
    let expected = match expected {
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number",
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number of at least 0",
        "f32" | "f64" => "a number",
        "a sequence" => "a list",
        "a map" => "a mapping",
        "a string" => "a text",
        "a boolean" => "true or false",
        "field identifier" => "a key",
        other if other.starts_with("struct ") => "a mapping",
        other => other,
    };
    let found = match found.strip_prefix("invalid type: ") {
        None => found.to_owned(),
        Some("sequence") => "invalid type: list".to_owned(),
        Some("map") => "invalid type: mapping".to_owned(),
        Some("unit value") => "invalid type: nothing".to_owned(),
        Some(other) => format!("invalid type: {}", other.replace("floating point `", "number `")),
    };
    let found = if found.chars().count() > SHOWN_MAX + 30 { found.chars().take(SHOWN_MAX).chain("…".chars()).collect() } else { found };
    format!("{found}, expected {expected}")
}

fn steps(path: &serde_path_to_error::Path) -> Vec<PathStep> {
    let step = |segment: &Segment| match segment {
        Segment::Seq { index } => Some(PathStep::Index(*index)),
        Segment::Map { key } => Some(PathStep::Key(key.clone())),
        Segment::Enum { .. } | Segment::Unknown => None,
    };
    path.iter().map_while(step).collect()
}

/// The path in the text of a path in the tree, whose sequences have become shorter.
fn before_removals(path: &[PathStep], removed: &[Vec<PathStep>]) -> Vec<PathStep> {
    let mut original: Vec<PathStep> = Vec::with_capacity(path.len());
    for step in path {
        let mut step = step.clone();
        for gone in removed {
            match (gone.split_last(), &mut step) {
                (Some((PathStep::Index(gone), parents)), PathStep::Index(index)) if *parents == *original && *gone <= *index => *index += 1,
                _ => {}
            }
        }
        original.push(step);
    }
    original
}

/// Takes the value at a path out of the tree; false when it is not there, or is the whole tree.
fn remove(tree: &mut Value, path: &[PathStep]) -> bool {
    let Some((last, parents)) = path.split_last() else { return false };
    let parent = parents.iter().try_fold(tree, |node, step| match step {
        PathStep::Key(key) => node.get_mut(key.as_str()),
        PathStep::Index(index) => node.get_mut(*index),
    });
    match (parent, last) {
        (Some(Value::Mapping(mapping)), PathStep::Key(key)) => mapping.remove(key.as_str()).is_some(),
        (Some(Value::Sequence(items)), PathStep::Index(index)) if *index < items.len() => {
            items.remove(*index);
            true
        }
        _ => false,
    }
}

impl fmt::Display for PathStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(key) => write!(f, ".{key}"),
            Self::Index(index) => write!(f, "[{index}]"),
        }
    }
}

/// Walks along a path and raises an error where it ends.
#[derive(Clone, Copy)]
struct Locate<'p> {
    path: &'p [PathStep],
    /// Whether to stop at the last key rather than at its value.
    at_key: bool,
}

const FOUND: &str = "found";

impl<'de> DeserializeSeed<'de> for Locate<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Locate<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(FOUND)
    }

    // Scalars are not accepted: the library then raises the error at the scalar itself, which is where the path ends.

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Some((PathStep::Key(wanted), rest)) = self.path.split_first() else { return Err(de::Error::custom(FOUND)) };
        let stop_at = (self.at_key && rest.is_empty()).then_some(wanted.as_str());
        while let Some(key) = map.next_key_seed(Key { stop_at })? {
            if key == *wanted {
                return map.next_value_seed(Locate { path: rest, at_key: self.at_key });
            }
            map.next_value::<IgnoredAny>()?;
        }
        Err(de::Error::custom(FOUND))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<(), A::Error> {
        let Some((PathStep::Index(wanted), rest)) = self.path.split_first() else { return Err(de::Error::custom(FOUND)) };
        for _ in 0..*wanted {
            if sequence.next_element::<IgnoredAny>()?.is_none() {
                return Err(de::Error::custom(FOUND));
            }
        }
        sequence.next_element_seed(Locate { path: rest, at_key: self.at_key })?;
        Err(de::Error::custom(FOUND))
    }
}

/// Reads a mapping's key as text; raises an error at the wanted one.
struct Key<'p> {
    stop_at: Option<&'p str>,
}

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = String;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: de::Error>(self, key: &str) -> Result<String, E> {
        if self.stop_at == Some(key) { Err(E::custom(FOUND)) } else { Ok(key.to_owned()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, PartialEq, serde::Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Outer {
        name: String,
        inner: Inner,
        list: Vec<Inner>,
    }

    #[derive(Debug, Default, PartialEq, serde::Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Inner {
        count: u8,
        interval: crate::model::PromDuration,
    }

    fn problems(text: &str) -> Vec<String> {
        parse_yaml::<Outer>("a.yml", text).expect_err("problems").iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_text_without_problems_is_a_value() {
        let outer: Outer = parse_yaml("a.yml", "name: x\ninner: {count: 3, interval: 1m}\n").expect("valid");
        assert_eq!((outer.name.as_str(), outer.inner.count), ("x", 3));
        assert_eq!(parse_yaml::<Outer>("a.yml", "").expect("defaults"), Outer::default());
        assert_eq!(parse_yaml::<Outer>("a.yml", "# nothing\n").expect("defaults"), Outer::default());
    }

    #[test]
    fn all_problems_come_at_once_with_their_places() {
        let text = "nmae: x\ninner:\n  count: many\n  intervall: 5s\nlist:\n  - count: 1\n  - count: 2\n    interval: 5 s\n";
        assert_eq!(
            problems(text),
            [
                "a.yml:1:1: unknown key `nmae` (did you mean `name`?)",
                r#"a.yml:3:10: inner.count: invalid type: string "many", expected a whole number of at least 0"#,
                "a.yml:4:3: unknown key `inner.intervall` (did you mean `interval`?)",
                r#"a.yml:8:15: list[1].interval: not a valid duration string: "5 s" (write it like 30s, 5m or 1h30m)"#,
            ]
        );
    }

    #[test]
    fn of_a_long_text_few_problems_are_told() {
        let long = format!("#{}\n{}", "x".repeat(4 << 20), "list:\n".to_owned() + &"- {counts: 1}\n".repeat(60));
        assert_eq!(problems(&long).len(), 7);
        let short = "list:\n".to_owned() + &"- {counts: 1}\n".repeat(60);
        assert_eq!(problems(&short).len(), PROBLEMS_MAX);
    }

    #[test]
    fn a_control_character_is_found_where_it_stands() {
        assert_eq!(problems("name: é\nlist: [\u{7}]\n"), ["a.yml:2:8: control characters are not allowed"]);
    }

    #[test]
    fn a_tab_is_called_one() {
        assert_eq!(problems("inner:\n\tcount: 1\n"), ["a.yml:2:1: a tab where YAML has spaces"]);
    }

    #[test]
    fn what_is_wrong_is_not_missing_as_well() {
        #[derive(Debug, serde::Deserialize)]
        #[allow(dead_code)] // only what is wrong with it is looked at
        struct Needy {
            list: Vec<Needed>,
        }
        #[derive(Debug, serde::Deserialize)]
        #[allow(dead_code)] // as above
        struct Needed {
            count: u8,
            other: u8,
        }
        let problems =
            |text: &str| parse_yaml::<Needy>("a.yml", text).expect_err("problems").iter().map(ToString::to_string).collect::<Vec<_>>();
        let wrong = "list[0].count: invalid type: string \"x\", expected a whole number of at least 0";
        assert_eq!(problems("list: [{count: x, other: 1}]\n"), [format!("a.yml:1:16: {wrong}")]);
        assert_eq!(problems("list: [{count: x}]\n"), [format!("a.yml:1:16: {wrong}")], "more when that is mended");
        assert_eq!(problems("list: [{other: 1}]\n"), ["a.yml:1:8: list[0]: missing field `count`"]);
    }

    #[test]
    fn a_bad_element_does_not_shift_the_places_of_the_next() {
        let text = "list:\n- 1\n- count: 1\n- 2\n- count: x\n";
        let places: Vec<_> = problems(text).iter().map(|p| p.split(": invalid").next().unwrap_or("").to_owned()).collect();
        assert_eq!(places, ["a.yml:2:3: list[0]", "a.yml:4:3: list[2]", "a.yml:5:10: list[3].count"]);
    }

    #[test]
    fn what_is_wrong_behind_a_key_leaves_a_value_and_a_wrong_element_does_not() {
        let (value, problems) = read_yaml::<Outer>("a.yml", "nmae: x\ninner: {count: 3}\n");
        assert_eq!((value.map(|outer| outer.inner.count), problems.len()), (Some(3), 1));
        let (value, problems) = read_yaml::<Outer>("a.yml", "nmae: x\nname: y\ninner: {count: many}\n");
        assert_eq!((value.map(|outer| (outer.name, outer.inner.count)), problems.len()), (Some(("y".to_owned(), 0)), 2));
        let (value, problems) = read_yaml::<Outer>("a.yml", "name: y\nlist: [{count: 1}, 2]\n");
        assert_eq!((value, problems.len()), (None, 1));
    }

    #[test]
    fn broken_yaml_has_a_place_too() {
        let problems = problems("name: [x\ninner: }\n");
        assert_eq!(problems.len(), 1);
        assert!(problems[0].starts_with("a.yml:2:"), "{problems:?}");
    }

    #[test]
    fn a_far_key_lists_what_is_known() {
        assert_eq!(problems("zzz: 1"), ["a.yml:1:1: unknown key `zzz` (known keys here: name, inner, list)"]);
    }

    #[test]
    fn what_is_wrong_is_said_without_names_of_rust_and_cut() {
        for (text, said) in [
            ("- a\n", "a.yml:1:1: invalid type: list, expected a mapping"),
            ("inner: [1]\n", "a.yml:1:8: inner: invalid type: list, expected a mapping"),
            ("inner: {count: 1.5}\n", "a.yml:1:16: inner.count: invalid type: number `1.5`, expected a whole number of at least 0"),
            ("list: {a: 1}\n", "a.yml:1:7: list: invalid type: mapping, expected a list"),
        ] {
            assert_eq!(problems(text), [said], "{text}");
        }
        let long = problems(&"word ".repeat(1_000));
        assert!(long[0].starts_with("a.yml:1:1: invalid type: string \"word word") && long[0].len() < 120, "{long:?}");
    }

    #[test]
    fn a_key_is_found_by_its_path() {
        let path = [PathStep::Key("a".into()), PathStep::Key("b".into())];
        assert_eq!(locate_yaml_key("a:\n  c: 1\n  b: 2\n", &path), Some(Position { line: 3, column: 3 }));
    }

    #[test]
    fn a_value_is_found_by_its_path() {
        let path = [PathStep::Key("a".into()), PathStep::Index(1), PathStep::Key("b".into())];
        assert_eq!(locate_yaml("a:\n- x\n- c: 1\n  b: 2\n", &path), Some(Position { line: 4, column: 6 }));
        assert_eq!(locate_yaml("a:\n- x\n- c: 1\n  b: >\n    text\n", &path), Some(Position { line: 4, column: 6 }));
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[a-z:\\- \n\\[\\]{}&*#>|'\"0-9]{0,80}") {
            if let Err(problems) = parse_yaml::<Outer>("a.yml", &text) {
                for problem in problems {
                    assert!(!problem.render(false).is_empty());
                }
            }
        }
    }
}
