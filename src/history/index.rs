//! The inverted index: which series carry which value of which label.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::model::{Labels, MatchOp, Matcher};

/// A series' place in the store.
pub(super) type SeriesId = u32;

/// Ascending and without repetition.
type Postings = Vec<SeriesId>;

/// Names to values to the series that carry them, in order, so that listings need no sorting.
#[derive(Debug, Default)]
pub(super) struct Index {
    labels: BTreeMap<Box<str>, BTreeMap<Box<str>, Postings>>,
    all: Postings,
}

impl Index {
    pub(super) fn insert(&mut self, id: SeriesId, labels: &Labels) {
        insert(&mut self.all, id);
        for (name, value) in labels {
            if !self.labels.contains_key(name) {
                self.labels.insert(name.into(), BTreeMap::new());
            }
            let Some(values) = self.labels.get_mut(name) else { continue };
            match values.get_mut(value) {
                Some(postings) => insert(postings, id),
                None => {
                    values.insert(value.into(), vec![id]);
                }
            }
        }
    }

    /// Removes many series at once; `gone` is ascending.
    pub(super) fn remove(&mut self, gone: &[(SeriesId, Labels)]) {
        let is_gone = |id: &SeriesId| gone.binary_search_by_key(id, |(id, _)| *id).is_ok();
        self.all.retain(|id| !is_gone(id));
        for (name, value) in gone.iter().flat_map(|(_, labels)| labels) {
            let Some(values) = self.labels.get_mut(name) else { continue };
            let Some(postings) = values.get_mut(value) else { continue };
            // The first of the series that go takes the others along; their postings are short from then on.
            if postings.iter().any(is_gone) {
                postings.retain(|id| !is_gone(id));
            }
            if postings.is_empty() {
                values.remove(value);
            }
            if values.is_empty() {
                self.labels.remove(name);
            }
        }
    }

    /// The series that satisfy all matchers, ascending. A matcher that accepts the empty value is satisfied by series
    /// without the label too, so it takes series away; every other one names the series that can be in the answer.
    pub(super) fn select(&self, matchers: &[Matcher]) -> Postings {
        let (subtracting, naming): (Vec<_>, Vec<_>) = matchers.iter().partition(|matcher| matcher.matches(""));
        let mut found: Option<Cow<'_, [SeriesId]>> = None;
        for matcher in naming {
            let named = match matcher.values() {
                Some(listed) => self.listed(matcher.name(), listed.iter().map(String::as_str)),
                None => self.asked(matcher.name(), |value| matcher.matches(value)),
            };
            found = Some(match found {
                Some(found) => Cow::Owned(intersect(&found, &named)),
                None => named,
            });
            if found.as_ref().is_some_and(|found| found.is_empty()) {
                return Postings::new();
            }
        }
        let mut found = found.map_or_else(|| self.all.clone(), Cow::into_owned);
        for matcher in subtracting {
            if found.is_empty() {
                break;
            }
            let unwanted = match matcher.op() {
                MatchOp::NotEqual => self.listed(matcher.name(), std::iter::once(matcher.value())),
                _ => self.asked(matcher.name(), |value| !matcher.matches(value)),
            };
            found.retain(|id| unwanted.binary_search(id).is_err());
        }
        found
    }

    /// The series with one of these values, each of which is looked up.
    fn listed<'v>(&self, name: &str, listed: impl Iterator<Item = &'v str>) -> Cow<'_, [SeriesId]> {
        let Some(values) = self.labels.get(name) else { return Cow::default() };
        union(listed.filter_map(|value| values.get(value)))
    }

    /// The series with a value that is wanted; all values are asked.
    fn asked(&self, name: &str, wanted: impl Fn(&str) -> bool) -> Cow<'_, [SeriesId]> {
        let Some(values) = self.labels.get(name) else { return Cow::default() };
        union(values.iter().filter(|(value, _)| wanted(value)).map(|(_, postings)| postings))
    }
}

/// All of these together. A series has one value of a label, so there is nothing to deduplicate; and mostly one is all there are.
fn union<'p>(mut found: impl Iterator<Item = &'p Postings>) -> Cow<'p, [SeriesId]> {
    let Some(first) = found.next() else { return Cow::default() };
    let mut union = Cow::Borrowed(first.as_slice());
    found.for_each(|postings| union.to_mut().extend_from_slice(postings));
    if let Cow::Owned(union) = &mut union {
        union.sort_unstable();
    }
    union
}

fn insert(postings: &mut Postings, id: SeriesId) {
    if let Err(place) = postings.binary_search(&id) {
        postings.insert(place, id);
    }
}

/// Both ascend, so that what is looked for is near: the steps from where the last one was double until they are too far.
fn intersect(a: &[SeriesId], b: &[SeriesId]) -> Postings {
    let (short, mut long) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    let mut both = Postings::with_capacity(short.len());
    for id in short {
        let mut step = 1;
        while long.get(step).is_some_and(|other| other < id) {
            step *= 2;
        }
        let near = long.get(..=step).unwrap_or(long);
        long = long.get(near.partition_point(|other| other < id)..).unwrap_or_default();
        if long.first() == Some(id) {
            both.push(*id);
        }
    }
    both
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::MatchOp::{Equal, NotEqual, NotRegex, Regex};

    fn index() -> Index {
        let mut index = Index::default();
        for (id, pairs) in [
            (3, vec![("__name__", "up"), ("job", "node")]),
            (1, vec![("__name__", "up"), ("job", "api"), ("zone", "eu")]),
            (2, vec![("__name__", "load"), ("job", "node")]),
        ] {
            index.insert(id, &Labels::from_pairs(pairs));
        }
        index
    }

    fn select(index: &Index, matchers: &[(&str, crate::model::MatchOp, &str)]) -> Vec<SeriesId> {
        let matchers: Vec<_> = matchers.iter().map(|(name, op, value)| Matcher::new(*name, *op, *value).expect("valid")).collect();
        index.select(&matchers)
    }

    #[test]
    fn every_matcher_narrows_the_answer() {
        let index = index();
        assert_eq!(select(&index, &[]), [1, 2, 3]);
        assert_eq!(select(&index, &[("__name__", Equal, "up")]), [1, 3]);
        assert_eq!(select(&index, &[("__name__", Equal, "up"), ("job", NotEqual, "api")]), [3]);
        assert_eq!(select(&index, &[("job", Regex, "n.*|a.*"), ("__name__", NotRegex, "l.*")]), [1, 3]);
        assert_eq!(select(&index, &[("job", Equal, "nobody"), ("__name__", Equal, "up")]), Vec::<SeriesId>::new());
    }

    #[test]
    fn values_that_a_pattern_lists_are_those_that_it_matches() {
        let mut index = Index::default();
        for id in 0..60 {
            index.insert(id, &Labels::from_pairs([("__name__", "m"), ("l", &(id % 20).to_string())]));
        }
        assert_eq!(select(&index, &[("l", Regex, "3|17|nothing|3")]), [3, 17, 23, 37, 43, 57]);
        assert_eq!(select(&index, &[("l", Regex, "3|17"), ("l", NotEqual, "17")]), [3, 23, 43]);
        assert_eq!(select(&index, &[("l", Regex, "(?:nothing)")]), Vec::<SeriesId>::new());
        let unlisted: Vec<SeriesId> = (0..60).filter(|id| ![3, 17].contains(&(id % 20))).collect();
        assert_eq!(select(&index, &[("l", NotRegex, "3|17")]), unlisted);
        // Those with the empty value among them are the series without the label, too.
        index.insert(60, &Labels::from_pairs([("__name__", "m")]));
        assert_eq!(select(&index, &[("l", Regex, "3|")]), [3, 23, 43, 60]);
    }

    proptest! {
        #[test]
        fn what_is_in_both_is_found(
            a in prop::collection::btree_set(0..300_u32, 0..200),
            b in prop::collection::btree_set(0..300_u32, 0..200),
        ) {
            let both: Vec<SeriesId> = a.intersection(&b).copied().collect();
            prop_assert_eq!(intersect(&Vec::from_iter(a), &Vec::from_iter(b)), both);
        }
    }

    #[test]
    fn an_absent_label_has_the_empty_value() {
        let index = index();
        assert_eq!(select(&index, &[("zone", Equal, "")]), [2, 3]);
        assert_eq!(select(&index, &[("zone", NotEqual, "")]), [1]);
        assert_eq!(select(&index, &[("zone", Regex, ".*")]), [1, 2, 3]);
        assert_eq!(select(&index, &[("zone", Regex, ".+")]), [1]);
        assert_eq!(select(&index, &[("zone", NotEqual, "eu")]), [2, 3]);
        assert_eq!(select(&index, &[("nowhere", NotEqual, "x")]), [1, 2, 3]);
        assert_eq!(select(&index, &[("nowhere", Equal, "x")]), Vec::<SeriesId>::new());
    }

    #[test]
    fn what_is_removed_leaves_no_name_and_no_value_behind() {
        let mut index = index();
        index.remove(&[(1, Labels::from_pairs([("__name__", "up"), ("job", "api"), ("zone", "eu")]))]);
        assert_eq!(select(&index, &[]), [2, 3]);
        assert!(!index.labels.contains_key("zone"));
        assert!(!index.labels["job"].contains_key("api"));
    }
}
