//! Losses by name, numbers, and what is known again after a restart.

use super::*;
use crate::ingest::Refusal;
use crate::model::Value;
use crate::telemetry::Telemetry;

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn registry() -> Arc<Registry> {
    Registry::new(&crate::registry::Config::default(), &Telemetry::new())
}

/// `name{labels} value` of every series of senders.
fn series(registry: &Registry) -> Vec<String> {
    let show = |value: &Value| if let Value::Number(value) = value { value.to_string() } else { "?".to_owned() };
    let families = registry.families();
    families.iter().flat_map(|f| f.series.iter().map(|s| format!("{}{} {}", &f.name[17..], s.labels, show(&s.value)))).collect()
}

/// A session hands over these numbers of these senders.
fn numbers(senders: &Senders, registry: &Registry, millis: i64, sent: &[(&str, &[u64])]) {
    let mut notes = Notes::new(&Arc::from("own"));
    for (name, numbers) in sent {
        notes.turn_to(Some(name));
        numbers.iter().for_each(|number| notes.number(*number));
    }
    senders.write(&mut notes, at(millis)).hand_over(&mut registry.merge(1, at(millis)));
}

#[test]
fn what_is_lost_stands_under_the_senders_name_and_the_reason() {
    let registry = registry();
    let senders = Senders::new(Arc::clone(&registry), 10, at(0));
    senders.lose("a", Refusal::Truncated.into(), 2, at(0));
    senders.lose("a", Refusal::Truncated.into(), 3, at(0));
    senders.lose("a", Loss::GAP, 1, at(0));
    senders.lose("b", Refusal::NotAllowed.into(), 1, at(0));
    assert_eq!(
        series(&registry),
        [
            r#"lost_total{reason="gap", sender="a"} 1"#,
            r#"lost_total{reason="not_allowed", sender="b"} 1"#,
            r#"lost_total{reason="truncated", sender="a"} 5"#,
        ]
    );
}

#[test]
fn names_beyond_the_limit_are_counted_together() {
    let registry = registry();
    let senders = Senders::new(Arc::clone(&registry), 2, at(0));
    for name in ["a", "b", "c", "d", "a", OTHER] {
        senders.lose(name, Loss::GAP, 1, at(0));
    }
    numbers(&senders, &registry, 0, &[("c", &[1]), ("d", &[100])]);
    let gap = |name: &str, value: u64| format!(r#"lost_total{{reason="gap", sender="{name}"}} {value}"#);
    assert_eq!(series(&registry), [gap(OTHER, 3), gap("a", 2), gap("b", 1)]);
    senders.limit(3);
    senders.lose("c", Loss::GAP, 1, at(0));
    assert_eq!(series(&registry).len(), 4);
}

#[test]
fn numbers_of_a_name_are_followed_across_its_sessions() {
    let registry = registry();
    let senders = Senders::new(Arc::clone(&registry), 10, at(0));
    numbers(&senders, &registry, 0, &[("a", &[1, 2]), ("b", &[7])]);
    numbers(&senders, &registry, 10, &[("a", &[5]), ("b", &[8])]);
    let shown = |a: u64, missing: u64| {
        [("missing", "a", missing), ("missing", "b", 0), ("sequence", "a", a), ("sequence", "b", 8)]
            .map(|(what, name, value)| format!(r#"sender_{what}{{sender="{name}"}} {value}"#))
    };
    assert_eq!(series(&registry), shown(5, 2));
    senders.settle(at(1009));
    assert_eq!(series(&registry), shown(5, 2), "they may still come");
    numbers(&senders, &registry, 1009, &[("a", &[3])]);
    senders.settle(at(2008));
    assert_eq!(series(&registry), shown(5, 1));
    senders.settle(at(2009));
    assert_eq!(series(&registry)[0], r#"lost_total{reason="gap", sender="a"} 1"#);
    assert_eq!(series(&registry)[1..], shown(5, 0));
}

#[test]
fn after_a_restart_the_last_number_is_known() {
    let registry = registry();
    let before = Senders::new(Arc::clone(&registry), 2, at(0));
    numbers(&before, &registry, 0, &[("a", &[1, 2, 4])]);
    before.lose("b", Loss::GAP, 1, at(0));
    drop(before);
    let after = Senders::new(Arc::clone(&registry), 2, at(0));
    numbers(&after, &registry, 0, &[("a", &[10, 11])]);
    after.settle(at(5000));
    after.lose("c", Loss::GAP, 1, at(0));
    assert_eq!(
        series(&registry),
        [
            r#"lost_total{reason="gap", sender="__other__"} 1"#,
            r#"lost_total{reason="gap", sender="a"} 6"#,
            r#"lost_total{reason="gap", sender="b"} 1"#,
            r#"sender_missing{sender="a"} 0"#,
            r#"sender_sequence{sender="a"} 11"#,
        ],
        "3, which was missing, and 5 to 9; and both names are known"
    );
}
