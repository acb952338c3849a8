//! Which alerts are held back: asked many times a second of each that waits, worked out once for as long as the same
//! silences are in force.

use std::collections::HashMap;
use std::sync::Arc;

use super::book::{Book, Silence, SilenceState};
use crate::model::{Matcher, Timestamp};
use crate::notify::life::Life;
use crate::notify::payload::Manner;
use crate::notify::record::Id;

/// The silences that are in force, and what is known of alerts.
#[derive(Debug, Default)]
pub(in crate::notify) struct Held {
    /// What was looked at last, and between which times nothing of it begins or ends.
    seen: Option<(Arc<Book>, Timestamp, Timestamp)>,
    in_force: InForce,
    known: HashMap<Id, bool>,
}

impl Held {
    /// These are the silences, at a time.
    pub(in crate::notify) fn renew(&mut self, book: &Arc<Book>, at: Timestamp) {
        if self.seen.as_ref().is_some_and(|(seen, from, to)| Arc::ptr_eq(seen, book) && (*from..*to).contains(&at)) {
            return;
        }
        let turns = || book.all().flat_map(|silence| [silence.starts_at, silence.ends_at]);
        let from = turns().filter(|turn| *turn <= at).max().unwrap_or(Timestamp::MIN);
        let to = turns().filter(|turn| *turn > at).min().unwrap_or(Timestamp::MAX);
        self.seen = Some((Arc::clone(book), from, to));
        let now = || book.all().filter(|silence| silence.state(at) == SilenceState::Active);
        if !now().eq(&self.in_force.all) {
            self.in_force = InForce::of(now().cloned().collect());
            self.known.clear();
        }
    }

    /// What is known of alerts may be wrong: they have other labels now, or are others.
    pub(in crate::notify) fn forget(&mut self) {
        self.known.clear();
    }

    /// Forgets alerts that are gone.
    pub(in crate::notify) fn prune(&mut self, alive: impl Fn(Id) -> bool) {
        self.known.retain(|id, _| alive(*id));
    }

    /// Whether nobody is to be told that an alert has begun.
    pub(in crate::notify) fn holds(&mut self, id: Id, life: &Life, manner: &Manner) -> bool {
        if self.in_force.all.is_empty() {
            return false;
        }
        let in_force = &self.in_force;
        *self.known.entry(id).or_insert_with(|| in_force.hold(|name| manner.label(life, name)))
    }
}

/// Silences by what an alert has to have, so that one among many alerts does not have to be compared with each of many silences.
#[derive(Debug, Default)]
struct InForce {
    all: Vec<Silence>,
    /// By the name of a label and a value, the places of silences that want it.
    by_value: HashMap<String, HashMap<String, Vec<usize>>>,
    /// Those that want no certain value of any label.
    others: Vec<usize>,
}

impl InForce {
    fn of(all: Vec<Silence>) -> Self {
        let mut wanted: HashMap<(&str, &str), usize> = HashMap::new();
        for (name, value) in all.iter().flat_map(|silence| silence.matchers.iter().filter_map(certain)).flat_map(pairs) {
            *wanted.entry((name, value)).or_default() += 1;
        }
        let (mut by_value, mut others) = (HashMap::<String, HashMap<String, Vec<usize>>>::new(), Vec::new());
        for (place, silence) in all.iter().enumerate() {
            // What few others want tells most.
            let crowd = |matcher: &(&str, &[String])| pairs(*matcher).filter_map(|pair| wanted.get(&pair)).sum::<usize>();
            let Some((name, values)) = silence.matchers.iter().filter_map(certain).min_by_key(crowd) else {
                others.push(place);
                continue;
            };
            let of_name = by_value.entry(name.to_owned()).or_default();
            values.iter().for_each(|value| of_name.entry(value.clone()).or_default().push(place));
        }
        Self { all, by_value, others }
    }

    /// Whether one of them is about an alert with these labels.
    fn hold<'l>(&self, label: impl Fn(&str) -> Option<&'l str>) -> bool {
        self.candidates(&label).any(|silence| silence.matches(&label))
    }

    fn candidates<'l>(&self, label: impl Fn(&str) -> Option<&'l str>) -> impl Iterator<Item = &Silence> {
        let certain = self.by_value.iter().filter_map(move |(name, of_name)| of_name.get(label(name)?)).flatten();
        certain.chain(&self.others).filter_map(|place| self.all.get(*place))
    }
}

/// The label and the only values that satisfy a matcher, where they can be looked up: an absent label cannot.
fn certain(matcher: &Matcher) -> Option<(&str, &[String])> {
    let values = matcher.values()?;
    values.iter().all(|value| !value.is_empty()).then_some((matcher.name(), values))
}

fn pairs<'m>((name, values): (&'m str, &'m [String])) -> impl Iterator<Item = (&'m str, &'m str)> {
    values.iter().map(move |value| (name, value.as_str()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::matchers::parse_matcher;
    use super::*;

    fn silence(id: usize, matchers: &[String], from: i64, to: i64) -> Silence {
        let at = Timestamp::from_millis;
        let matchers = matchers.iter().map(|matcher| parse_matcher(matcher).expect("a matcher")).collect();
        let (created_by, comment) = (String::new(), String::new());
        Silence { id: id.to_string(), matchers, starts_at: at(from), ends_at: at(to), updated_at: at(0), created_by, comment }
    }

    #[test]
    fn an_alert_is_not_compared_with_silences_of_others() {
        let all = (0..1000).map(|n| {
            let matchers =
                if n % 2 == 0 { [format!("alertname=A{n}"), "job=x".to_owned()] } else { ["job=x".to_owned(), format!("i=~{n}|x{n}")] };
            silence(n, &matchers, 0, 1)
        });
        let in_force = InForce::of(all.collect());
        let asked = |labels: &[(&str, &'static str)]| {
            let label = |name: &str| labels.iter().find(|(n, _)| *n == name).map(|(_, value)| *value);
            (in_force.candidates(label).count(), in_force.hold(label))
        };
        assert_eq!(asked(&[("alertname", "A4"), ("job", "x"), ("i", "8")]), (1, true));
        assert_eq!(asked(&[("alertname", "A5"), ("job", "x"), ("i", "7")]), (1, true));
        assert_eq!(asked(&[("alertname", "A4"), ("job", "y"), ("i", "x7")]), (2, false));
        assert_eq!(asked(&[("alertname", "B"), ("job", "x")]), (0, false));
    }

    #[test]
    fn what_begins_and_ends_is_noticed_in_time_and_nothing_is_worked_out_between() {
        let book = Arc::new(Book::of([silence(0, &["a=b".into()], 10, 30), silence(1, &["a=c".into()], 20, 40)]));
        let mut held = Held::default();
        let mut renewed = |millis| {
            held.known.insert(7, true);
            held.renew(&book, Timestamp::from_millis(millis));
            (held.in_force.all.len(), held.known.is_empty())
        };
        let seen = [5, 9, 10, 19, 20, 29, 30, 40, 41, 15].map(&mut renewed);
        let expected = [(0, false), (0, false), (1, true), (1, false), (2, true), (2, false), (1, true), (0, true), (0, false), (1, true)];
        assert_eq!(seen, expected);
    }

    proptest! {
        #[test]
        fn the_index_finds_what_a_look_at_all_of_them_finds(
            silences in prop::collection::vec(prop::collection::vec(("[ab]", "(=|!=|=~|!~)", "[xy]?|x\\|y|\\.\\*|x\\|"), 1..4), 0..6),
            labels in prop::collection::btree_map("[ab]", "[xyz]", 0..3),
        ) {
            let written = |matchers: &Vec<(String, String, String)>| matchers.iter().map(|(n, op, v)| format!("{n}{op}{v}")).collect::<Vec<_>>();
            let all: Vec<_> = silences.iter().enumerate().map(|(n, matchers)| silence(n, &written(matchers), 0, 1)).collect();
            let label = |name: &str| labels.get(name).map(String::as_str);
            prop_assert_eq!(InForce::of(all.clone()).hold(label), all.iter().any(|silence| silence.matches(label)));
        }
    }
}
