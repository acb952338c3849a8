//! The YAML of a rule file as it stands, before anything is checked but its shape.
//!
//! Go's YAML reader takes any scalar for a text and keeps it as written (`severity: 1.10`, `for: 0`), and nothing
//! (`rules:`) for an empty value; so does this. Only the library's own deserializer still knows how a scalar was
//! written, and it stops at the first problem. So a file is read by it, and when that fails once more by
//! [`read_yaml`], which finds all problems but sees numbers where texts may stand: hence two forms of text.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};

use crate::diagnostic::{Diagnostic, Position, read_yaml};

/// The whole file.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default, deny_unknown_fields, bound(deserialize = "T: Deserialize<'de> + Default"))]
pub(super) struct RawFile<T = Exact> {
    pub(super) groups: Option<Vec<RawGroup<T>>>,
}

/// A group.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default, deny_unknown_fields, bound(deserialize = "T: Deserialize<'de> + Default"))]
pub(super) struct RawGroup<T = Exact> {
    pub(super) name: T,
    pub(super) interval: T,
    pub(super) query_offset: T,
    pub(super) limit: Option<i64>,
    #[serde(deserialize_with = "unique")]
    pub(super) labels: Option<BTreeMap<String, T>>,
    pub(super) rules: Option<Vec<RawRule<T>>>,
}

/// A rule.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default, deny_unknown_fields, bound(deserialize = "T: Deserialize<'de> + Default"))]
pub(super) struct RawRule<T = Exact> {
    pub(super) record: T,
    pub(super) alert: T,
    pub(super) expr: T,
    #[serde(rename = "for")]
    pub(super) hold: T,
    pub(super) keep_firing_for: T,
    #[serde(deserialize_with = "unique")]
    pub(super) labels: Option<BTreeMap<String, T>>,
    #[serde(deserialize_with = "unique")]
    pub(super) annotations: Option<BTreeMap<String, T>>,
}

impl RawRule {
    /// The alert's or the recorded metric's name.
    pub(super) fn name(&self) -> &str {
        if self.alert.0.is_empty() { &self.record.0 } else { &self.alert.0 }
    }
}

/// A map of texts as one of strings.
pub(super) fn strings(texts: Option<BTreeMap<String, Exact>>) -> BTreeMap<String, String> {
    texts.unwrap_or_default().into_iter().map(|(name, text)| (name, text.0)).collect()
}

/// Reads a file, and finds all problems of its shape. Where they are keys that nobody knows, and nothing worse, there is
/// also what the rest says.
pub(super) fn read(file: &str, text: &str) -> (Option<RawFile>, Vec<Diagnostic>) {
    match serde_yaml::from_str::<Option<RawFile>>(text) {
        Ok(raw) => (Some(raw.unwrap_or_default()), Vec::new()),
        Err(error) => {
            if let Some(raw) = merged(text) {
                return (Some(raw), Vec::new());
            }
            let (rest, problems) = read_yaml::<RawFile<Scalar>>(file, text);
            if !problems.is_empty() {
                return (rest.map(RawFile::from), problems);
            }
            if text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
                return (Some(RawFile::default()), Vec::new());
            }
            let place = error.location().map_or(Position::START, |l| Position { line: l.line(), column: l.column() });
            (None, vec![Diagnostic::new(file, text, place, error.to_string())])
        }
    }
}

/// A file that is valid once its merge keys (`<<: *labels`) stand for what they name.
fn merged(text: &str) -> Option<RawFile> {
    if !text.contains("<<") {
        return None;
    }
    let mut value: serde_yaml::Value = serde_yaml::from_str(text).ok()?;
    value.apply_merge().ok()?;
    let raw: Option<RawFile<Scalar>> = serde_yaml::from_value(value).ok()?;
    raw.map(RawFile::from)
}

impl From<RawFile<Scalar>> for RawFile {
    fn from(file: RawFile<Scalar>) -> Self {
        let group = |group: RawGroup<Scalar>| RawGroup {
            name: Exact(group.name.0),
            interval: Exact(group.interval.0),
            query_offset: Exact(group.query_offset.0),
            limit: group.limit,
            labels: group.labels.map(exact),
            rules: group.rules.map(|rules| rules.into_iter().map(RawRule::from).collect()),
        };
        Self { groups: file.groups.map(|groups| groups.into_iter().map(group).collect()) }
    }
}

impl From<RawRule<Scalar>> for RawRule {
    fn from(rule: RawRule<Scalar>) -> Self {
        Self {
            record: Exact(rule.record.0),
            alert: Exact(rule.alert.0),
            expr: Exact(rule.expr.0),
            hold: Exact(rule.hold.0),
            keep_firing_for: Exact(rule.keep_firing_for.0),
            labels: rule.labels.map(exact),
            annotations: rule.annotations.map(exact),
        }
    }
}

fn exact(texts: BTreeMap<String, Scalar>) -> BTreeMap<String, Exact> {
    texts.into_iter().map(|(name, text)| (name, Exact(text.0))).collect()
}

/// The first YAML document of a text, and the line on which another one begins.
pub(super) fn first_document(text: &str) -> (&str, Option<usize>) {
    let mut begun = false;
    let mut at = 0;
    for (index, line) in text.split_inclusive('\n').enumerate() {
        let bare = line.trim_end();
        let marker = bare == "---" || bare.starts_with("--- ");
        if (marker && begun) || bare == "..." {
            let (first, rest) = text.split_at(at);
            let more =
                rest.lines().any(|line| !line.trim().is_empty() && !line.starts_with('#') && !matches!(line.trim_end(), "---" | "..."));
            return (first, more.then_some(index + 1));
        }
        begun = begun || marker || !(bare.is_empty() || bare.trim_start().starts_with('#') || bare.starts_with('%'));
        at += line.len();
    }
    (text, None)
}

/// A map that has no key twice: of two texts one would be lost.
pub(in crate::rules) fn unique<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<BTreeMap<String, T>>, D::Error> {
    struct Unique<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for Unique<T> {
        type Value = Option<BTreeMap<String, T>>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a map")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
            let mut map = BTreeMap::new();
            while let Some((key, value)) = entries.next_entry::<String, T>()? {
                if map.contains_key(&key) {
                    return Err(A::Error::custom(format!("mapping key {key:?} already defined")));
                }
                map.insert(key, value);
            }
            Ok(Some(map))
        }

        fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_none<E: Error>(self) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
            deserializer.deserialize_map(self)
        }
    }

    deserializer.deserialize_option(Unique(PhantomData))
}

/// A scalar as it is written; nothing is an empty text.
#[derive(Debug, Default)]
pub(in crate::rules) struct Exact(pub(in crate::rules) String);

impl<'de> Deserialize<'de> for Exact {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Option::<String>::deserialize(deserializer).map(|text| Self(text.unwrap_or_default()))
    }
}

/// Any scalar, more or less as it is written: good enough to look for further problems in a file that has one.
#[derive(Debug, Default)]
pub(in crate::rules) struct Scalar(String);

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self::default())
    }
}

impl Visitor<'_> for Scalar {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_str<E: Error>(self, scalar: &str) -> Result<Self, E> {
        Ok(Self(scalar.to_string()))
    }

    fn visit_bool<E: Error>(self, scalar: bool) -> Result<Self, E> {
        Ok(Self(scalar.to_string()))
    }

    fn visit_i64<E: Error>(self, scalar: i64) -> Result<Self, E> {
        Ok(Self(scalar.to_string()))
    }

    fn visit_u64<E: Error>(self, scalar: u64) -> Result<Self, E> {
        Ok(Self(scalar.to_string()))
    }

    fn visit_f64<E: Error>(self, scalar: f64) -> Result<Self, E> {
        Ok(Self(scalar.to_string()))
    }

    fn visit_unit<E: Error>(self) -> Result<Self, E> {
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_document_counts() {
        assert_eq!(first_document("# c\n---\na: 1\n---\nb: 1\n"), ("# c\n---\na: 1\n", Some(4)));
        assert_eq!(first_document("a: 1\n---\n# nothing\n"), ("a: 1\n", None));
        assert_eq!(first_document("a: |\n  ---\n"), ("a: |\n  ---\n", None));
        assert_eq!(first_document("a: 1\n...\nb\n"), ("a: 1\n", Some(2)));
    }

    #[test]
    fn scalars_stay_as_written() {
        let text = "groups:\n- name: 1.10\n  rules:\n  - {alert: yes, expr: 1, for: 0, labels: {a: 0o17, b: ~, c: null}}\n";
        let raw = read("f", text).0.expect("valid");
        let group = &raw.groups.expect("groups")[0];
        let rule = &group.rules.as_ref().expect("rules")[0];
        let label = |name: &str| rule.labels.as_ref().expect("labels")[name].0.clone();
        assert_eq!((group.name.0.as_str(), rule.name(), rule.expr.0.as_str(), rule.hold.0.as_str()), ("1.10", "yes", "1", "0"));
        assert_eq!([label("a"), label("b"), label("c")], ["0o17", "", ""]);
    }

    #[test]
    fn no_label_and_no_annotation_stands_twice() {
        for rule in ["labels: {a: b, a: c}", "annotations:\n      a: b\n      a: c"] {
            let (raw, problems) = read("f", &format!("groups:\n- name: g\n  rules:\n  - alert: A\n    expr: up\n    {rule}\n"));
            assert!(
                raw.is_none() && problems.len() == 1 && problems[0].message.contains("duplicate entry with key \"a\""),
                "{rule}: {problems:?}"
            );
        }
        assert!(read("f", "groups: [{name: g, labels: ~, rules: [{alert: A, expr: up, labels: , annotations: {}}]}]").1.is_empty());
    }

    #[test]
    fn merge_keys_stand_for_what_they_name() {
        let rules = "  - &r\n    alert: A\n    expr: up\n    labels: &l {a: b}\n  - {alert: B, expr: up, labels: {<<: *l, c: d}}\n  - <<: *r\n    alert: C\n";
        let raw = read("f", &format!("groups:\n- name: g\n  rules:\n{rules}")).0.expect("valid");
        let rules = raw.groups.expect("groups").remove(0).rules.expect("rules");
        let names: Vec<_> = rules.iter().map(RawRule::name).collect();
        let labels: Vec<_> = rules[1].labels.as_ref().expect("labels").keys().map(String::as_str).collect();
        assert_eq!((names, labels, rules[2].expr.0.as_str()), (vec!["A", "B", "C"], vec!["a", "c"], "up"));
        let (raw, problems) = read("f", "groups:\n- name: g\n  rulez:\n  - {<<: 1}\n");
        assert!(raw.is_some() && problems.len() == 1, "{problems:?}");
    }

    #[test]
    fn nothing_is_an_empty_file() {
        for text in ["", "# only words\n", "groups:\n", "---\n"] {
            assert!(read("f", text).0.expect("valid").groups.is_none(), "{text:?}");
        }
    }

    #[test]
    fn numbers_are_no_problem_beside_a_real_one() {
        let (_, problems) = read("f", "groups:\n- name: 1\n  interval: 0\n  rulez: []\n  limit: x\n");
        let lines: Vec<_> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(lines[0].starts_with("f:4:3: unknown key `groups[0].rulez` (did you mean `rules`?)"), "{lines:?}");
        assert!(lines[1].starts_with("f:5:10: groups[0].limit: invalid type"), "{lines:?}");
    }
}
