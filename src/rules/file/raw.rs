//! The YAML of a rule file as it stands, before anything is checked but its shape.
//!
//! Go's YAML reader takes any scalar for a text and keeps it as written (`severity: 1.10`, `for: 0`), and nothing
//! (`rules:`) for an empty value; so does this. Only the library's own deserializer still knows how a scalar was
//! written, and it stops at the first problem. So a file is read by it, and when that fails once more by
//! [`read_yaml`], which finds all problems but sees numbers where texts may stand: hence two forms of text.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, DeserializeOwned, Deserializer, Error, MapAccess, SeqAccess, Unexpected, Visitor};

use super::foreign::foreign;
use crate::diagnostic::{Diagnostic, Position, excessive_yaml, read_yaml};

/// The whole file.
#[derive(Debug, Default)]
pub(super) struct RawFile {
    pub(super) groups: Vec<Element<RawGroup>>,
}

/// An element of a list, and its place there: elements that are nothing are left out, as Go's YAML reader does it.
#[derive(Debug)]
pub(super) struct Element<T> {
    pub(super) place: usize,
    pub(super) is: T,
}

fn elements<S, T: From<S>>(list: Field<Vec<Option<S>>>) -> Vec<Element<T>> {
    let list = list.value().unwrap_or_default().into_iter().enumerate();
    list.filter_map(|(place, element)| Some(Element { place, is: element?.into() })).collect()
}

/// A group. A duration that is there may be an empty text, which is no duration.
#[derive(Debug, Default)]
pub(super) struct RawGroup {
    pub(super) name: String,
    pub(super) interval: Option<String>,
    pub(super) query_offset: Option<String>,
    pub(super) limit: Option<i64>,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) rules: Vec<Element<RawRule>>,
}

/// A rule.
#[derive(Debug, Default)]
pub(super) struct RawRule {
    pub(super) record: String,
    pub(super) alert: String,
    pub(super) expr: String,
    pub(super) hold: Option<String>,
    pub(super) keep_firing_for: Option<String>,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) annotations: BTreeMap<String, String>,
}

impl RawRule {
    /// The alert's or the recorded metric's name.
    pub(super) fn name(&self) -> &str {
        if self.alert.is_empty() { &self.record } else { &self.alert }
    }
}

/// What becomes of keys that nobody knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::rules) enum UnknownKeys {
    /// They are problems: most likely they are misspelt.
    #[default]
    Refused,
    /// Other programs have a use for them.
    Ignored,
}

/// Reads a file, and finds all problems of its shape. Where they stand behind keys there is also what the rest says.
pub(super) fn read(file: &str, text: &str, unknown: UnknownKeys) -> (Option<RawFile>, Vec<Diagnostic>) {
    if let Some(problem) = excessive_yaml(file, text) {
        return (None, vec![problem]);
    }
    match unknown {
        UnknownKeys::Refused => read_as::<StrictFile<Exact>, StrictFile<Scalar>>(file, text),
        UnknownKeys::Ignored => read_as::<LaxFile<Exact>, LaxFile<Scalar>>(file, text),
    }
}

/// Reads a file in its exact form, or in the other one that finds all problems.
fn read_as<E, S>(file: &str, text: &str) -> (Option<RawFile>, Vec<Diagnostic>)
where
    E: DeserializeOwned + Default + Into<RawFile>,
    S: DeserializeOwned + Into<RawFile>,
{
    match serde_yaml::from_str::<Option<E>>(text) {
        Ok(raw) => (Some(raw.unwrap_or_default().into()), Vec::new()),
        Err(error) => {
            if let Some(problem) = foreign(file, text) {
                return (None, vec![problem]);
            }
            let (rest, problems) = read_yaml::<S>(file, text);
            if !problems.is_empty() {
                return (rest.map(S::into), problems);
            }
            if text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
                return (Some(RawFile::default()), Vec::new());
            }
            let place = error.location().map_or(Position::START, |l| Position { line: l.line(), column: l.column() });
            (None, vec![Diagnostic::new(file, text, place, error.to_string())])
        }
    }
}

/// The shapes of a file, a group and a rule, with texts in one of two forms; with `deny_unknown_fields` or without.
macro_rules! shapes {
    ($file:ident, $group:ident, $rule:ident $(, $strict:ident)?) => {
        #[derive(Debug, Default, serde::Deserialize)]
        #[serde(default, $($strict,)? bound(deserialize = "T: Deserialize<'de> + Default"))]
        struct $file<T> {
            groups: Field<Vec<Option<$group<T>>>>,
            #[serde(rename = "<<")]
            bases: Bases<Self>,
        }

        #[derive(Debug, Default, serde::Deserialize)]
        #[serde(default, $($strict,)? bound(deserialize = "T: Deserialize<'de> + Default"))]
        struct $group<T> {
            name: Field<T>,
            interval: Field<T>,
            query_offset: Field<T>,
            limit: Field<Whole>,
            labels: Field<Texts<T>>,
            rules: Field<Vec<Option<$rule<T>>>>,
            #[serde(rename = "<<")]
            bases: Bases<Self>,
        }

        #[derive(Debug, Default, serde::Deserialize)]
        #[serde(default, $($strict,)? bound(deserialize = "T: Deserialize<'de> + Default"))]
        struct $rule<T> {
            record: Field<T>,
            alert: Field<T>,
            expr: Field<T>,
            #[serde(rename = "for")]
            hold: Field<T>,
            keep_firing_for: Field<T>,
            labels: Field<Texts<T>>,
            annotations: Field<Texts<T>>,
            #[serde(rename = "<<")]
            bases: Bases<Self>,
        }

        impl<T> Merge for $file<T> {
            fn merge(&mut self) {
                for mut base in self.bases.take() {
                    base.merge();
                    self.groups.or(base.groups);
                }
            }
        }

        impl<T> Merge for $group<T> {
            fn merge(&mut self) {
                for mut base in self.bases.take() {
                    base.merge();
                    self.name.or(base.name);
                    self.interval.or(base.interval);
                    self.query_offset.or(base.query_offset);
                    self.limit.or(base.limit);
                    self.labels.or(base.labels);
                    self.rules.or(base.rules);
                }
            }
        }

        impl<T> Merge for $rule<T> {
            fn merge(&mut self) {
                for mut base in self.bases.take() {
                    base.merge();
                    self.record.or(base.record);
                    self.alert.or(base.alert);
                    self.expr.or(base.expr);
                    self.hold.or(base.hold);
                    self.keep_firing_for.or(base.keep_firing_for);
                    self.labels.or(base.labels);
                    self.annotations.or(base.annotations);
                }
            }
        }

        impl<T: Into<String>> From<$file<T>> for RawFile {
            fn from(mut file: $file<T>) -> Self {
                file.merge();
                Self { groups: elements(file.groups) }
            }
        }

        impl<T: Into<String>> From<$group<T>> for RawGroup {
            fn from(mut group: $group<T>) -> Self {
                group.merge();
                Self {
                    name: text(group.name).unwrap_or_default(),
                    interval: text(group.interval),
                    query_offset: text(group.query_offset),
                    limit: group.limit.value().map(|limit| limit.0),
                    labels: texts(group.labels),
                    rules: elements(group.rules),
                }
            }
        }

        impl<T: Into<String>> From<$rule<T>> for RawRule {
            fn from(mut rule: $rule<T>) -> Self {
                rule.merge();
                Self {
                    record: text(rule.record).unwrap_or_default(),
                    alert: text(rule.alert).unwrap_or_default(),
                    expr: text(rule.expr).unwrap_or_default(),
                    hold: text(rule.hold),
                    keep_firing_for: text(rule.keep_firing_for),
                    labels: texts(rule.labels),
                    annotations: texts(rule.annotations),
                }
            }
        }
    };
}

shapes!(StrictFile, StrictGroup, StrictRule, deny_unknown_fields);
shapes!(LaxFile, LaxGroup, LaxRule);

/// What merge keys (`<<: *base`) bring is taken where there is no key of one's own.
trait Merge {
    fn merge(&mut self);
}

/// What stands behind a key.
#[derive(Debug, Default)]
pub(in crate::rules) enum Field<T> {
    /// There is no such key.
    #[default]
    Absent,
    /// Nothing.
    Null,
    /// A value.
    Is(T),
}

impl<T> Field<T> {
    /// Takes what stands elsewhere, where there is no such key here.
    pub(in crate::rules) fn or(&mut self, base: Self) {
        if matches!(self, Self::Absent) {
            *self = base;
        }
    }

    /// What stands there, if there is anything.
    pub(in crate::rules) fn value(self) -> Option<T> {
        match self {
            Self::Is(value) => Some(value),
            Self::Absent | Self::Null => None,
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Field<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Option::<T>::deserialize(deserializer).map(|value| value.map_or(Self::Null, Self::Is))
    }
}

fn text<T: Into<String>>(field: Field<T>) -> Option<String> {
    field.value().map(T::into)
}

fn texts<T: Into<String>>(field: Field<Texts<T>>) -> BTreeMap<String, String> {
    field.value().map(|texts| texts.0).unwrap_or_default().into_iter().map(|(name, text)| (name, text.into())).collect()
}

/// What a merge key names: a map, or several, of which the first counts most.
#[derive(Debug)]
pub(in crate::rules) struct Bases<B>(Vec<B>);

impl<B> Bases<B> {
    /// Them, once.
    pub(in crate::rules) fn take(&mut self) -> Vec<B> {
        std::mem::take(&mut self.0)
    }
}

impl<B> Default for Bases<B> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, B: Deserialize<'de>> Deserialize<'de> for Bases<B> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Maps<B>(PhantomData<B>);

        impl<'de, B: Deserialize<'de>> Visitor<'de> for Maps<B> {
            type Value = Bases<B>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a mapping, or a list of mappings: a merge needs them")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                Ok(Bases(vec![B::deserialize(MapAccessDeserializer::new(map))?]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut bases = Vec::new();
                while let Some(base) = list.next_element()? {
                    bases.push(base);
                }
                Ok(Bases(bases))
            }
        }

        deserializer.deserialize_any(Maps(PhantomData))
    }
}

/// Texts by name, none of which is there twice, with those that merge keys bring.
#[derive(Debug)]
pub(in crate::rules) struct Texts<T>(pub(in crate::rules) BTreeMap<String, T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Texts<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Unique<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Unique<T> {
            type Value = Texts<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
                let mut map = BTreeMap::new();
                let mut bases = None;
                while let Some(key) = entries.next_key::<String>()? {
                    let twice = if key == MERGE { bases.is_some() } else { map.contains_key(&key) };
                    if twice {
                        return Err(A::Error::custom(format!("mapping key {key:?} already defined")));
                    }
                    if key == MERGE {
                        bases = Some(entries.next_value::<Bases<Self::Value>>()?);
                    } else {
                        map.insert(key, entries.next_value()?);
                    }
                }
                for (key, value) in bases.into_iter().flat_map(|bases| bases.0).flat_map(|base| base.0) {
                    map.entry(key).or_insert(value);
                }
                Ok(Texts(map))
            }
        }

        deserializer.deserialize_map(Unique(PhantomData))
    }
}

/// The key whose value is a map with more keys.
const MERGE: &str = "<<";

/// A scalar as it is written; nothing is an empty text.
#[derive(Debug, Default)]
pub(in crate::rules) struct Exact(pub(in crate::rules) String);

impl<'de> Deserialize<'de> for Exact {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Option::<String>::deserialize(deserializer).map(|text| Self(text.unwrap_or_default()))
    }
}

impl From<Exact> for String {
    fn from(text: Exact) -> Self {
        text.0
    }
}

impl From<Scalar> for String {
    fn from(text: Scalar) -> Self {
        text.0
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

/// A whole number as Go's YAML reader takes it: of one with decimals the part in front of them.
#[derive(Debug)]
struct Whole(i64);

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Number;

        impl Visitor<'_> for Number {
            type Value = Whole;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number")
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Whole, E> {
                Ok(Whole(number))
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Whole, E> {
                i64::try_from(number).map(Whole).map_err(|_| E::invalid_value(Unexpected::Unsigned(number), &self))
            }

            #[allow(clippy::cast_possible_truncation)] // it is in range
            fn visit_f64<E: Error>(self, number: f64) -> Result<Whole, E> {
                if number.abs() < 9e18 { Ok(Whole(number as i64)) } else { Err(E::invalid_value(Unexpected::Float(number), &self)) }
            }
        }

        deserializer.deserialize_any(Number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strict(text: &str) -> (Option<RawFile>, Vec<Diagnostic>) {
        read("f", text, UnknownKeys::Refused)
    }

    #[test]
    fn scalars_stay_as_written() {
        let text = "groups:\n- name: 1.10\n  rules:\n  - {alert: yes, expr: 1, for: 0, labels: {a: 0o17, b: ~, c: null}}\n";
        let raw = strict(text).0.expect("valid");
        let group = &raw.groups[0].is;
        let rule = &group.rules[0].is;
        assert_eq!((group.name.as_str(), rule.name(), rule.expr.as_str(), rule.hold.as_deref()), ("1.10", "yes", "1", Some("0")));
        assert_eq!(["a", "b", "c"].map(|name| rule.labels[name].as_str()), ["0o17", "", ""]);
    }

    #[test]
    fn a_limit_is_a_number_whose_decimals_do_not_count() {
        let limit = |limit: &str| {
            let (raw, problems) = strict(&format!("groups: [{{name: g, limit: {limit}}}]"));
            (raw.and_then(|raw| raw.groups[0].is.limit), problems.len())
        };
        for (written, read) in [("5", 5), ("5.9", 5), ("-3", -3), ("1e3", 1000), ("0x10", 16)] {
            assert_eq!(limit(written), (Some(read), 0), "{written}");
        }
        assert_eq!(limit("~"), (None, 0));
        for wrong in ["'5'", "five", "true", ".inf", ".nan", "1e19", "18446744073709551615", "[5]"] {
            assert_eq!(limit(wrong), (None, 1), "{wrong}");
        }
    }

    #[test]
    fn no_label_and_no_annotation_stands_twice() {
        for rule in ["labels: {a: b, a: c}", "annotations:\n      a: b\n      a: c"] {
            let (raw, problems) = strict(&format!("groups:\n- name: g\n  rules:\n  - alert: A\n    expr: up\n    {rule}\n"));
            assert!(
                raw.is_none() && problems.len() == 1 && problems[0].message.contains("duplicate entry with key \"a\""),
                "{rule}: {problems:?}"
            );
        }
        assert!(strict("groups: [{name: g, labels: ~, rules: [{alert: A, expr: up, labels: , annotations: {}}]}]").1.is_empty());
    }

    #[test]
    fn merge_keys_stand_for_what_they_name() {
        let rules = "  - &r\n    alert: A\n    expr: up\n    labels: &l {a: b}\n  - {alert: B, expr: up, labels: {<<: *l, c: d}}\n  - <<: *r\n    alert: C\n";
        let raw = strict(&format!("groups:\n- name: g\n  rules:\n{rules}")).0.expect("valid");
        let rules: Vec<_> = raw.groups[0].is.rules.iter().map(|rule| &rule.is).collect();
        let names: Vec<_> = rules.iter().map(|rule| rule.name()).collect();
        let labels: Vec<_> = rules[1].labels.keys().map(String::as_str).collect();
        assert_eq!((names, labels, rules[2].expr.as_str()), (vec!["A", "B", "C"], vec!["a", "c"], "up"));
        let (raw, problems) = strict("groups:\n- name: g\n  rulez:\n  - {<<: 1}\n");
        assert!(raw.is_some() && problems.len() == 1, "{problems:?}");
    }

    #[test]
    fn what_is_merged_stays_as_written_and_ones_own_counts_more() {
        let text = "groups:\n- name: g\n  rules:\n  - &r {alert: A, expr: up, for: 5m, labels: &l {v: 1.10, t: yes}}\n\
                    \x20 - {alert: B, expr: up, labels: {t: no, <<: [*l, {t: x, w: 0x1F}]}}\n\
                    \x20 - {<<: *r, alert: C, for: , labels: {<<: *l}}\n  - {<<: [{alert: D}, *r]}\n";
        let raw = strict(text).0.expect("valid");
        let shown: Vec<_> =
            raw.groups[0].is.rules.iter().map(|rule| (rule.is.name(), rule.is.hold.as_deref(), format!("{:?}", rule.is.labels))).collect();
        let with = |labels: &str| format!("{{{labels}}}");
        assert_eq!(
            shown,
            [
                ("A", Some("5m"), with(r#""t": "yes", "v": "1.10""#)),
                ("B", None, with(r#""t": "no", "v": "1.10", "w": "0x1F""#)),
                ("C", None, with(r#""t": "yes", "v": "1.10""#)),
                ("D", Some("5m"), with(r#""t": "yes", "v": "1.10""#)),
            ]
        );
        for wrong in ["{<<: a}", "{<<: [a]}", "{<<: {x: 1}, <<: {y: 1}}"] {
            let text = format!("groups: [{{name: g, rules: [{{alert: A, expr: up, labels: {wrong}}}]}}]");
            assert_eq!(strict(&text).1.len(), 1, "{wrong}");
        }
    }

    #[test]
    fn keys_of_other_programs_are_ignored_where_that_is_asked_for() {
        let text = "x: 1\ngroups:\n- name: g\n  concurrency: 2\n  rules:\n  - {alert: A, expr: up, debug: [a], labels: {v: 1.10}}\n";
        assert_eq!(strict(text).1.len(), 3);
        let (raw, problems) = read("f", text, UnknownKeys::Ignored);
        assert!(problems.is_empty(), "{problems:?}");
        assert_eq!(raw.expect("valid").groups[0].is.rules[0].is.labels["v"], "1.10");
        let (_, problems) = read("f", &format!("{text}  limit: x\n"), UnknownKeys::Ignored);
        assert_eq!(problems.len(), 1, "what is wrong with known keys is still told");
    }

    #[test]
    fn nothing_is_an_empty_file() {
        for text in ["", "# only words\n", "groups:\n", "---\n"] {
            assert!(strict(text).0.expect("valid").groups.is_empty(), "{text:?}");
        }
    }

    #[test]
    fn numbers_are_no_problem_beside_a_real_one() {
        let (_, problems) = strict("groups:\n- name: 1\n  interval: 0\n  rulez: []\n  limit: x\n");
        let lines: Vec<_> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(lines[0].starts_with("f:4:3: unknown key `groups[0].rulez` (did you mean `rules`?)"), "{lines:?}");
        assert!(lines[1].starts_with("f:5:10: groups[0].limit: invalid type"), "{lines:?}");
    }
}
