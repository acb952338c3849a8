//! Tests of the silences' book.

use super::*;
use crate::notify::silence::parse_matcher;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(seconds * 1000)
}

fn draft(matchers: &[&str], starts: i64, ends: i64) -> Draft {
    Draft {
        id: None,
        matchers: matchers.iter().map(|text| parse_matcher(text).expect("a matcher")).collect(),
        starts_at: at(starts),
        ends_at: at(ends),
        created_by: "me".into(),
        comment: String::new(),
    }
}

fn changed(id: &str, draft: Draft) -> Draft {
    Draft { id: Some(id.to_owned()), ..draft }
}

fn states(book: &Book, seconds: i64) -> Vec<(String, SilenceState)> {
    book.all().map(|silence| (silence.id.clone(), silence.state(at(seconds)))).collect()
}

#[test]
fn a_silence_is_pending_then_active_then_expired() {
    let mut book = Book::default();
    assert_eq!(book.set(draft(&["a=b"], 20, 30), "x".into(), 9, at(10)), Ok("x".into()));
    let seen: Vec<_> = [19, 20, 29, 30].iter().flat_map(|seconds| states(&book, *seconds)).map(|(_, state)| state.as_str()).collect();
    assert_eq!(seen, ["pending", "active", "active", "expired"]);
    assert_eq!((book.count(SilenceState::Active, at(20)), book.count(SilenceState::Pending, at(20))), (1, 0));
}

#[test]
fn all_matchers_have_to_hold() {
    let mut book = Book::default();
    book.set(draft(&["a=b", "c!=d", "e=~f|g"], 0, 9), "x".into(), 9, at(0)).expect("valid");
    let silence = book.get("x").expect("there").clone();
    let matches =
        |labels: &[(&str, &'static str)]| silence.matches(|name| labels.iter().find(|(n, _)| *n == name).map(|(_, value)| *value));
    assert!(matches(&[("a", "b"), ("e", "g"), ("z", "z")]));
    assert!(!matches(&[("a", "b"), ("e", "fg")]) && !matches(&[("a", "b"), ("c", "d"), ("e", "g")]) && !matches(&[("e", "g")]));
}

#[test]
fn what_makes_no_sense_is_refused() {
    let refused = |draft: Draft| Book::default().set(draft, "x".into(), 9, at(10)).expect_err("refused").to_string();
    for (draft, why) in [
        (draft(&["a=b"], 0, 10), "over already"),
        (draft(&["a=b"], 30, 20), "before it begins"),
        (draft(&[], 0, 20), "no matcher"),
        (draft(&["a=~.*", "b!=c"], 0, 20), "at least one matcher must not match the empty value"),
        (draft(&["a=b"; 33], 0, 20), "more than 32"),
        (Draft { comment: "x".repeat(1025), ..draft(&["a=b"], 0, 20) }, "at most 1024 bytes each, not 1025"),
        (changed("y", draft(&["a=b"], 0, 20)), "there is no silence y"),
    ] {
        assert!(refused(draft).contains(why), "{why}");
    }
}

#[test]
fn a_longer_end_changes_it_and_other_matchers_make_another_one() {
    let mut book = Book::default();
    book.set(draft(&["a=b"], 10, 20), "x".into(), 9, at(10)).expect("valid");
    assert_eq!(book.set(changed("x", draft(&["a=b"], 10, 40)), "y".into(), 9, at(12)), Ok("x".into()));
    assert_eq!(book.get("x").map(|silence| (silence.starts_at, silence.ends_at)), Some((at(10), at(40))));
    assert_eq!(book.set(changed("x", draft(&["a=c"], 10, 40)), "y".into(), 9, at(15)), Ok("y".into()));
    assert_eq!(states(&book, 15), [("x".into(), SilenceState::Expired), ("y".into(), SilenceState::Active)]);
    assert_eq!(book.get("y").map(|silence| silence.starts_at), Some(at(15)), "not before it was asked for");
    // One that is over begins anew.
    assert_eq!(book.set(changed("x", draft(&["a=b"], 10, 40)), "z".into(), 9, at(16)), Ok("z".into()));
}

#[test]
fn one_that_is_ended_is_over_at_once_and_only_once() {
    let mut book = Book::default();
    for (id, starts) in [("active", 0), ("pending", 50)] {
        book.set(draft(&["a=b"], starts, 100), id.into(), 9, at(0)).expect("valid");
        assert_eq!(book.expire(id, at(5)), Ok(()));
        assert_eq!(book.get(id).map(|silence| (silence.starts_at <= at(5), silence.ends_at)), Some((true, at(5))));
        assert_eq!(book.expire(id, at(6)), Err(Refusal::Over(id.into())));
    }
    assert_eq!(book.expire("none", at(5)), Err(Refusal::Unknown("none".into())));
}

#[test]
fn only_so_many_may_be_open_and_what_is_over_is_forgotten_in_time() {
    let mut book = Book::default();
    let set = |book: &mut Book, id: &str, seconds: i64| book.set(draft(&["a=b"], seconds, seconds + 10), id.into(), 2, at(seconds));
    assert!(set(&mut book, "a", 0).is_ok() && set(&mut book, "b", 1).is_ok());
    assert_eq!(set(&mut book, "c", 2), Err(Refusal::TooMany(2)));
    assert!(set(&mut book, "c", 20).is_ok() && set(&mut book, "d", 40).is_ok() && set(&mut book, "e", 60).is_ok());
    let ids = |book: &Book| book.all().map(|silence| silence.id.clone()).collect::<String>();
    assert_eq!(ids(&book), "cde", "the latest two that are over, and what is open");
    book.forget(2, at(70 + 5 * 86_400));
    assert_eq!(ids(&book), "e");
    book.forget(2, at(71 + 5 * 86_400));
    assert_eq!(ids(&book), "");
}
