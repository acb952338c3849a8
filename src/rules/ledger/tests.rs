//! What is written is read, whatever happens to a file.

use std::collections::BTreeMap;

use super::*;
use crate::rules::alert::{Absence, Observed, Timing};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(seconds * 1000)
}

fn key(name: &str, query: &str) -> RuleKey {
    RuleKey { name: hash([name]), query: hash([query]) }
}

fn labels(x: &str) -> Labels {
    Labels::from_pairs([("alertname", "A"), ("x", x)])
}

fn alert(value: f64) -> Alert {
    Alert {
        state: AlertState::Firing,
        annotations: Labels::from_sorted([("empty", ""), ("summary", "ü \"quoted\"\nsecond line")].into_iter()),
        value,
        active_at: at(1),
        fired_at: Some(at(2)),
        resolved_at: None,
        keep_firing_since: Some(at(3)),
        resolved_value: Some(f64::NEG_INFINITY),
        unseen: false,
        before: None,
        series: None,
    }
}

fn seen(ledger: &Ledger) -> Vec<String> {
    let alerts = |(key, group): (&String, &Group)| {
        let alerts = group.alerts.iter().flat_map(|(rule, alerts)| alerts.iter().map(move |(labels, kept)| (rule, labels, kept)));
        alerts.map(|(rule, labels, kept)| format!("{key} {rule} {labels} {:?}", Entry::new(&kept.alert))).collect::<Vec<_>>()
    };
    ledger.groups.iter().flat_map(alerts).collect()
}

/// A file with two groups, of which one ended, and its ledger.
fn written() -> (String, Ledger) {
    let mut ledger = Ledger::default();
    let mut file = format!("{FORMAT}\n");
    file += &ledger.begin(at(1), "f;g", vec![key("A", "up"), key("B", "up")], std::iter::empty());
    file += &ledger.begin(at(1), "f;h", vec![key("A", "up")], std::iter::empty());
    file += &ledger.update(at(2), "f;g", 1, [(&labels("1"), &alert(f64::NAN)), (&labels("2"), &alert(2.0))].into_iter());
    file += &ledger.update(at(2), "f;h", 0, [(&labels("1"), &alert(3.0))].into_iter());
    file += &ledger.update(at(3), "f;g", 1, [(&labels("1"), &alert(f64::NAN))].into_iter());
    file += &ledger.end(at(4), "f;h");
    file += &ledger.live(at(60), |_| true);
    (file, ledger)
}

#[test]
fn what_is_written_is_read_back() {
    let (file, ledger) = written();
    let (read, found) = Ledger::read(file.as_bytes());
    assert_eq!((seen(&read), found, read.alive("f;g")), (seen(&ledger), Found::Whole, Some(at(60))));
    assert_eq!(read.alert_count(), 1);
    let (anew, found) = Ledger::read(read.file().as_bytes());
    assert_eq!((seen(&anew), found, anew.alive("f;g")), (seen(&ledger), Found::Whole, Some(at(60))));
}

#[test]
fn a_group_that_has_yet_to_begin_is_as_it_was_when_the_agent_lives() {
    let (mut file, mut ledger) = written();
    file += &ledger.live(at(90), |_| false);
    let (read, _) = Ledger::read(file.as_bytes());
    assert_eq!((read.alive("f;g"), ledger.alive("f;g")), (Some(at(60)), Some(at(60))));
    file += &ledger.live(at(70), |key| key == "f;g");
    let (read, _) = Ledger::read(file.as_bytes());
    assert_eq!(read.alive("f;g"), Some(at(70)), "after the clock was set back too");
}

#[test]
fn a_file_that_ends_early_is_read_up_to_there() {
    let (file, _) = written();
    for length in FORMAT.len() + 1..file.len() {
        let (_, found) = Ledger::read(&file.as_bytes()[..length]);
        let whole = file.as_bytes()[length - 1] == b'\n' || file.as_bytes()[length] == b'\n';
        assert_eq!(found, if whole { Found::Whole } else { Found::Torn }, "{length}");
    }
}

#[test]
fn a_group_that_begins_anew_loses_no_alert_wherever_the_file_is_cut() {
    let mut ledger = Ledger::default();
    let mut file = format!("{FORMAT}\n");
    let (one, two) = (labels("1"), labels("2"));
    file += &ledger.begin(at(1), "f;g", vec![key("A", "up")], std::iter::empty());
    file += &ledger.update(at(2), "f;g", 0, [(&one, &alert(1.0)), (&two, &alert(2.0))].into_iter());
    let (first, before) = (file.len(), seen(&ledger));
    let alerts = [(1, &one, &alert(1.0)), (1, &two, &alert(3.0))];
    file += &ledger.begin(at(3), "f;g", vec![key("B", "up"), key("A", "up")], alerts.into_iter());
    let after = seen(&ledger);
    assert_eq!((before.len(), after.len()), (2, 2));
    for length in first..=file.len() {
        let (read, _) = Ledger::read(&file.as_bytes()[..length]);
        let expected = if length + 1 < file.len() { &before } else { &after };
        assert_eq!(&seen(&read), expected, "cut at {length} of {}", file.len());
    }
}

#[test]
fn a_line_that_is_not_as_written_is_left_out_and_told_of() {
    let (file, _) = written();
    for byte in FORMAT.len() + 1..file.len() - 1 {
        let mut file = file.clone().into_bytes();
        file[byte] ^= 1;
        let (_, found) = Ledger::read(&file);
        assert_ne!(found, Found::Whole, "byte {byte}");
    }
    assert_eq!(Ledger::read(file.replacen(FORMAT, "sidewatch alerts 2", 1).as_bytes()).1, Found::Other);
    assert_eq!(Ledger::read(b"").1, Found::Other);
}

#[test]
fn a_value_alone_is_written_once_a_minute() {
    let mut ledger = Ledger::default();
    ledger.begin(at(0), "f;g", vec![key("A", "up")], std::iter::empty());
    let mut lines =
        |seconds: i64, alert: Alert| ledger.update(at(seconds), "f;g", 0, std::iter::once((&labels("1"), &alert))).lines().count();
    assert_eq!(lines(0, alert(1.0)), 1);
    assert_eq!(lines(59, alert(2.0)), 0);
    assert_eq!(lines(60, alert(2.0)), 1);
    assert_eq!(lines(600, alert(2.0)), 0, "nothing has changed");
    assert_eq!(lines(601, Alert { keep_firing_since: None, ..alert(3.0) }), 1, "its life has");
}

#[test]
fn a_changed_rule_does_not_take_over_another_ones_alerts() {
    let mut ledger = Ledger::default();
    let known = [key("A", "1"), key("A", "2"), key("B", "3"), key("B", "4")];
    ledger.begin(at(0), "f;g", known.to_vec(), std::iter::empty());
    for (rule, x) in [(0, "a1"), (1, "a2"), (2, "b3"), (3, "b4")] {
        ledger.update(at(0), "f;g", rule, std::iter::once((&labels(x), &alert(1.0))));
    }
    let claimed = |rules: &[RuleKey]| -> Vec<String> {
        let claimed = ledger.claim("f;g", rules).expect("known");
        let x = |alerts: BTreeMap<Labels, Alert>| {
            alerts.keys().map(|labels| labels.get("x").expect("x").to_owned()).collect::<Vec<_>>().join(" ")
        };
        claimed.into_iter().map(x).collect()
    };
    assert_eq!(claimed(&known), ["a1", "a2", "b3", "b4"]);
    assert_eq!(claimed(&[known[1], known[0]]), ["a2", "a1"], "wherever they stand");
    assert_eq!(claimed(&[key("A", "2"), key("A", "5")]), ["a2", "a1"], "of one of two the expression was changed");
    assert_eq!(claimed(&[key("B", "5"), key("B", "6")]), ["", ""], "each could be either");
    assert_eq!(claimed(&[key("A", "1"), key("A", "1")]), ["a1", "a2"]);
    assert_eq!(claimed(&[key("C", "1")]), [""]);
    assert!(ledger.claim("f;h", &known).is_none());
}

#[test]
fn rules_are_known_by_kind_name_labels_and_expression() {
    let text = |name: &str, query: &str, label: &str, timing: Option<Timing>| RuleText {
        name: name.into(),
        timing,
        query: query.into(),
        labels: [("l".to_owned(), label.to_owned())].into(),
        annotations: BTreeMap::new(),
    };
    let key = |text: RuleText| RuleKey::new(&text);
    let first = key(text("A", "up", "1", Some(Timing::default())));
    assert_eq!(first, key(text("A", "up", "1", Some(Timing { for_millis: 5, keep_firing_for_millis: 5 }))));
    assert_eq!(first.name, key(text("A", "down", "1", Some(Timing::default()))).name);
    for other in [text("B", "up", "1", Some(Timing::default())), text("A", "up", "2", Some(Timing::default())), text("A", "up", "1", None)]
    {
        assert_ne!(first.name, key(other).name);
    }
    // Values that must not change with a new version: nothing would be known again.
    assert_eq!(hash(["a", "b"]), 0xe57d_a319_03de_37b1);
}

/// One evaluation a step: whether the condition holds, whether the process is killed after it.
type Step = (bool, bool);

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(300))]
    /// Two machines see the same; one is killed now and then, and goes on with what its file says, torn at its end.
    #[test]
    fn a_life_with_kills_is_a_life_without(
        steps in proptest::collection::vec((proptest::bool::weighted(0.7), proptest::bool::weighted(0.3)), 1..50),
        hold in 0_i64..5,
        keep in 0_i64..5,
        torn in 0_usize..100,
    ) {
        use crate::rules::alert::Alerts;
        let timing = Timing { for_millis: hold * 15_000, keep_firing_for_millis: keep * 15_000 };
        let (mut without, mut with) = (Alerts::default(), Alerts::default());
        let mut ledger = Ledger::default();
        let mut file = format!("{FORMAT}\n{}", ledger.begin(at(0), "f;g", vec![key("A", "up")], std::iter::empty()));
        for (round, (holds, killed)) in (0..).zip::<Vec<Step>>(steps) {
            let now = at(round * 15);
            let observed = || -> Vec<Observed> {
                let one = |x| Observed { labels: labels(x), annotations: Labels::from_pairs([("n", "1")]), value: 1.0 };
                if holds { vec![one("1"), one("2")] } else { vec![one("2")] }
            };
            for alerts in [&mut without, &mut with] {
                alerts.step(now, timing, 0, observed(), |_, _| Absence::Over).expect("no limit");
            }
            file += &ledger.update(now, "f;g", 0, with.iter());
            if killed {
                let (read, found) = Ledger::read((file.clone() + &"0".repeat(torn)).as_bytes());
                proptest::prop_assert_eq!(found, if torn > 0 { Found::Torn } else { Found::Whole });
                let past = read.claim("f;g", &[key("A", "up")]).expect("known").pop().expect("a rule");
                with = Alerts::restored(past, true);
                file = read.file();
                ledger = read;
            }
            let seen = |alerts: &Alerts| alerts.iter().map(|(labels, alert)| (labels.clone(), Entry::new(alert))).collect::<Vec<_>>();
            proptest::prop_assert_eq!(seen(&with), seen(&without));
        }
    }

    #[test]
    fn other_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
        Ledger::read(&bytes);
        Ledger::read(&[FORMAT.as_bytes(), b"\n", &bytes].concat());
    }
}
