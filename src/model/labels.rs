//! A label set: sorted, immutable, one allocation, shared by cloning a pointer.
//!
//! All names and values stand in one text, behind their lengths, just as a scrape shows them: `name="value",…`. A scrape
//! of many series is then one copy a series, equality and hashing are one pass over one slice, and a series costs its
//! text and six bytes a label. Values are not escaped; where one would have to be, a mark says so.
//!
//! The text opens with a number: how many bytes of lengths follow, doubled, and one more for the mark. A number is written
//! in ASCII, six bits a byte, least significant first, bit 6 set where more follow, so that the whole stays valid UTF-8.

use std::cmp::Ordering;
use std::fmt;
use std::iter::Peekable;
use std::sync::Arc;

use memchr::memchr3;

/// The label that carries a metric's name.
pub const METRIC_NAME: &str = "__name__";

/// A sorted label set without duplicates and without empty values. Texts by name, as annotations are, may be empty.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Labels(Arc<str>);

impl Labels {
    /// The empty set.
    #[must_use]
    pub fn empty() -> Self {
        Self::default()
    }

    /// From pairs in any order; of a repeated name the last one counts, an empty value is no label.
    pub fn from_pairs<N: AsRef<str>, V: AsRef<str>>(pairs: impl IntoIterator<Item = (N, V)>) -> Self {
        let mut builder = LabelsBuilder::default();
        for (name, value) in pairs {
            builder.set(name.as_ref(), value.as_ref());
        }
        builder.build()
    }

    /// From pairs that are in order of names already, without repetitions. An empty value stays: it is a text, and no label of a series.
    #[must_use]
    pub fn from_sorted<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)> + Clone) -> Self {
        pack(pairs)
    }

    /// Names and values in order of names.
    #[must_use]
    pub fn iter(&self) -> Iter<'_> {
        let (lengths, text, _) = self.parts();
        Iter { lengths, text }
    }

    /// The set as every text format of Prometheus shows it, `name="value",…`; `None` where a value needs an escape.
    #[must_use]
    pub fn as_exposed(&self) -> Option<&str> {
        let (_, text, escape) = self.parts();
        (!escape).then_some(text)
    }

    /// The lengths, the text, and whether a value in it needs an escape.
    fn parts(&self) -> (&str, &str, bool) {
        let opened = take_number(&self.0).and_then(|(number, rest)| {
            let (lengths, text) = rest.split_at_checked(number >> 1)?;
            Some((lengths, text, number & 1 == 1))
        });
        opened.unwrap_or(("", "", false))
    }

    /// The value of a label; `None` where it is absent.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(n, _)| *n == name).map(|(_, value)| value)
    }

    /// The metric's name, `""` where there is none.
    #[must_use]
    pub fn metric_name(&self) -> &str {
        self.get(METRIC_NAME).unwrap_or("")
    }

    /// How many labels there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// True where there is no label at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Bytes of text that this set holds (shared by all its clones).
    #[must_use]
    pub fn byte_len(&self) -> usize {
        self.0.len()
    }

    /// A builder that starts from this set.
    #[must_use]
    pub fn to_builder(&self) -> LabelsBuilder {
        LabelsBuilder { pairs: self.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect() }
    }

    /// This set with one label set (or, by an empty value, removed).
    #[must_use]
    pub fn with(&self, name: &str, value: &str) -> Self {
        self.overlaid(&[(name, value)])
    }

    /// This set with several labels set (or, by empty values, removed), which are in order of names, without repetitions.
    #[must_use]
    pub fn overlaid(&self, over: &[(&str, &str)]) -> Self {
        let kept = self.iter().filter(|(name, _)| over.binary_search_by_key(name, |(name, _)| name).is_err());
        let over = over.iter().copied().filter(|(_, value)| !value.is_empty());
        pack(Merged { one: kept.peekable(), other: over.peekable() })
    }

    /// This set without one label.
    #[must_use]
    pub fn without(&self, name: &str) -> Self {
        self.with(name, "")
    }

    /// This set with another value, which is not empty, for each label whose name `choose` accepts.
    #[must_use]
    pub fn replaced(&self, choose: impl Fn(&str) -> bool, value: &str) -> Self {
        pack(self.iter().map(|(name, old)| (name, if choose(name) { value } else { old })))
    }

    /// Only the labels whose name `keep` accepts.
    #[must_use]
    pub fn filtered(&self, keep: impl Fn(&str) -> bool) -> Self {
        pack(self.iter().filter(|(name, _)| keep(name)))
    }
}

/// By names and values in turn, as Prometheus orders series.
impl Ord for Labels {
    fn cmp(&self, other: &Self) -> Ordering {
        let ((lengths, text, _), (other_lengths, other_text, _)) = (self.parts(), other.parts());
        if lengths == other_lengths {
            // Name stands against name and value against value, byte for byte.
            return text.cmp(other_text);
        }
        self.iter().cmp(other.iter())
    }
}

impl PartialOrd for Labels {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// As PromQL prints a series: `name{label="value", …}`.
impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.metric_name();
        f.write_str(name)?;
        let mut separator = "{";
        for (label, value) in self.iter().filter(|(n, _)| *n != METRIC_NAME) {
            write!(f, "{separator}{label}={value:?}")?;
            separator = ", ";
        }
        match (separator, name) {
            ("{", "") => f.write_str("{}"),
            ("{", _) => Ok(()),
            _ => f.write_str("}"),
        }
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// An object of strings, as every Prometheus interface shows labels.
impl serde::Serialize for Labels {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'a> IntoIterator for &'a Labels {
    type Item = (&'a str, &'a str);
    type IntoIter = Iter<'a>;
    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

/// Iterates over names and values.
#[derive(Clone, Debug)]
pub struct Iter<'a> {
    lengths: &'a str,
    text: &'a str,
}

impl<'a> Iter<'a> {
    /// Takes the next name or value, and the punctuation behind it, of which the last value has one byte less.
    fn take(&mut self) -> Option<&'a str> {
        let (length, lengths) = take_number(self.lengths)?;
        let (part, rest) = self.text.split_at_checked(length)?;
        (self.lengths, self.text) = (lengths, rest.get(2..).unwrap_or(""));
        Some(part)
    }
}

impl<'a> Iterator for Iter<'a> {
    type Item = (&'a str, &'a str);
    fn next(&mut self) -> Option<Self::Item> {
        Some((self.take()?, self.take()?))
    }
}

/// Collects labels in any order.
#[derive(Clone, Debug, Default)]
pub struct LabelsBuilder {
    pairs: Vec<(String, String)>,
}

impl LabelsBuilder {
    /// Sets a label, replacing an earlier value; an empty value removes it.
    pub fn set(&mut self, name: &str, value: &str) -> &mut Self {
        match self.pairs.iter_mut().find(|(n, _)| n == name) {
            Some((_, old)) => value.clone_into(old),
            None => self.pairs.push((name.to_owned(), value.to_owned())),
        }
        self
    }

    /// Removes a label.
    pub fn remove(&mut self, name: &str) -> &mut Self {
        self.pairs.retain(|(n, _)| n != name);
        self
    }

    /// The value set so far; `None` where the label is absent or was removed.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(n, v)| n == name && !v.is_empty()).map(|(_, v)| v.as_str())
    }

    /// The finished set.
    #[must_use]
    pub fn build(mut self) -> Labels {
        self.pairs.retain(|(_, value)| !value.is_empty());
        self.pairs.sort_unstable();
        pack(self.pairs.iter().map(|(n, v)| (n.as_str(), v.as_str())))
    }
}

/// Two that ascend, as one that does.
#[derive(Clone)]
struct Merged<'a, A: Iterator<Item = (&'a str, &'a str)>, B: Iterator<Item = (&'a str, &'a str)>> {
    one: Peekable<A>,
    other: Peekable<B>,
}

impl<'a, A: Iterator<Item = (&'a str, &'a str)>, B: Iterator<Item = (&'a str, &'a str)>> Iterator for Merged<'a, A, B> {
    type Item = (&'a str, &'a str);
    fn next(&mut self) -> Option<Self::Item> {
        match (self.one.peek(), self.other.peek()) {
            (Some(one), Some(other)) if other < one => self.other.next(),
            (None, _) => self.other.next(),
            _ => self.one.next(),
        }
    }
}

fn pack<'a>(sorted: impl Iterator<Item = (&'a str, &'a str)> + Clone) -> Labels {
    let (mut lengths, mut text, mut escape) = (0, 0, false);
    for (name, value) in sorted.clone() {
        lengths += number_len(name.len()) + number_len(value.len());
        text += name.len() + value.len() + 4;
        escape |= memchr3(b'\\', b'"', b'\n', value.as_bytes()).is_some();
    }
    if text == 0 {
        return Labels::default();
    }
    let opening = lengths << 1 | usize::from(escape);
    let mut whole = String::with_capacity(number_len(opening) + lengths + text);
    push_number(&mut whole, opening);
    for (name, value) in sorted.clone() {
        push_number(&mut whole, name.len());
        push_number(&mut whole, value.len());
    }
    let mut separator = "";
    for (name, value) in sorted {
        for part in [separator, name, "=\"", value, "\""] {
            whole.push_str(part);
        }
        separator = ",";
    }
    Labels(Arc::from(whole))
}

/// How many bytes a number takes.
fn number_len(number: usize) -> usize {
    (usize::BITS - number.leading_zeros()).div_ceil(6).max(1) as usize
}

fn push_number(text: &mut String, mut number: usize) {
    loop {
        #[allow(clippy::cast_possible_truncation)] // masked to six bits
        let low = (number & 0x3f) as u8;
        number >>= 6;
        text.push(char::from(if number == 0 { low } else { low | 0x40 }));
        if number == 0 {
            break;
        }
    }
}

fn take_number(text: &str) -> Option<(usize, &str)> {
    let mut number = 0;
    for (index, byte) in text.bytes().enumerate() {
        number |= usize::from(byte & 0x3f) << (6 * index);
        if byte & 0x40 == 0 {
            return Some((number, text.get(index + 1..)?));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn order_of_insertion_does_not_matter() {
        let a = Labels::from_pairs([("b", "2"), ("a", "1"), ("__name__", "up")]);
        let b = Labels::from_pairs([("__name__", "up"), ("a", "1"), ("b", "2")]);
        assert_eq!(a, b);
        assert_eq!(a.to_string(), r#"up{a="1", b="2"}"#);
    }

    #[test]
    fn an_empty_value_is_no_label() {
        assert!(Labels::from_pairs([("a", "")]).is_empty());
        assert!(Labels::from_pairs([("a", "1")]).with("a", "").is_empty());
    }

    #[test]
    fn the_text_is_that_of_a_scrape_unless_something_needs_an_escape() {
        assert_eq!(Labels::empty().as_exposed(), Some(""));
        assert_eq!(Labels::from_pairs([("b", "é"), ("a", "1")]).as_exposed(), Some(r#"a="1",b="é""#));
        for value in ["a\"", "\\", "\n"] {
            assert_eq!(Labels::from_pairs([("a", value)]).as_exposed(), None);
        }
    }

    #[test]
    fn sets_order_by_names_then_values() {
        let short = Labels::from_pairs([("a", "1")]);
        let long = Labels::from_pairs([("a", "1"), ("b", "0")]);
        let other = Labels::from_pairs([("a", "10")]);
        assert!(short < long && long < other);
    }

    proptest! {
        #[test]
        fn what_is_laid_over_goes_before_what_is_under_it(
            under in proptest::collection::btree_map("[a-d]", "[xy]", 0..4),
            over in proptest::collection::btree_map("[a-d]", "[xy]?", 0..4),
        ) {
            let pairs: Vec<(&str, &str)> = over.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            prop_assert_eq!(Labels::from_pairs(&under).overlaid(&pairs), Labels::from_pairs(under.iter().chain(&over)));
        }

        #[test]
        fn sets_order_as_their_pairs_do(
            a in proptest::collection::btree_map("[ab]{1,2}", "[ab\"\\\\]{1,2}", 0..4),
            b in proptest::collection::btree_map("[ab]{1,2}", "[ab\"\\\\]{1,2}", 0..4),
        ) {
            prop_assert_eq!(Labels::from_pairs(a.iter()).cmp(&Labels::from_pairs(b.iter())), a.iter().cmp(b.iter()));
        }

        #[test]
        fn what_goes_in_comes_out(pairs in proptest::collection::btree_map("[a-z_]{1,80}", "(.|\n){1,40}|[a-z]{1,5000}", 0..6)) {
            let labels = Labels::from_pairs(pairs.iter());
            let out: Vec<_> = labels.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
            prop_assert_eq!(&out, &pairs.into_iter().collect::<Vec<_>>());
            let text: Vec<_> = out.iter().map(|(n, v)| format!("{n}=\"{v}\"")).collect();
            let plain = out.iter().all(|(_, value)| !value.contains(['\\', '"', '\n']));
            prop_assert_eq!(labels.as_exposed().map(str::to_owned), plain.then(|| text.join(",")));
        }
    }
}
