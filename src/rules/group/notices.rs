//! What is handed on, over a real history and a real engine.

use std::sync::Mutex;

use super::tests::{Bench, at, spec};
use super::*;
use crate::model::AlertState;

/// Keeps what it is given, or refuses it.
#[derive(Default)]
pub(super) struct Taken {
    refuses: std::sync::atomic::AtomicBool,
    taken: Mutex<Vec<Notice>>,
}

impl Outbox for Taken {
    fn take(&self, _: Timestamp, notices: Vec<Notice>) -> bool {
        let takes = !self.refuses.load(std::sync::atomic::Ordering::Relaxed);
        if takes {
            self.taken.lock().expect("whole").extend(notices);
        }
        takes
    }
}

impl Taken {
    fn refuse(&self, refuses: bool) {
        self.refuses.store(refuses, std::sync::atomic::Ordering::Relaxed);
    }

    pub(super) fn taken(&self) -> Vec<Notice> {
        std::mem::take(&mut self.taken.lock().expect("whole"))
    }

    fn states(&self) -> Vec<AlertState> {
        self.taken().iter().map(|notice| notice.state).collect()
    }
}

pub(super) fn bench() -> (Bench, Arc<Taken>) {
    let outbox = Arc::new(Taken::default());
    let mut bench = Bench::new();
    bench.world.outbox = Some(outbox.clone());
    bench.world.externals.url = "http://h".into();
    (bench, outbox)
}

const RULE: &str =
    "groups: [{name: g, interval: 15s, rules: [{alert: A, expr: 'up < 1', for: 15s, annotations: {summary: '{{ $value }}'}}]}]";

#[test]
fn an_alert_is_handed_on_when_it_fires_once_a_minute_and_when_it_is_over() {
    let (bench, outbox) = bench();
    let mut group = Group::new(spec(RULE));
    let mut round = |seconds: i64, value: f64| {
        bench.put(seconds, "up", &[("x", "1")], value);
        group.evaluate(at(seconds), &bench.world);
        outbox.taken()
    };
    assert_eq!(round(0, 0.5), [], "pending");
    let fires = Notice {
        group: "g".into(),
        owner: None,
        labels: Labels::from_pairs([("alertname", "A"), ("x", "1")]),
        annotations: Labels::from_pairs([("summary", "0.25")]),
        value: 0.25,
        state: AlertState::Firing,
        active_at: at(0),
        fired_at: at(15),
        resolved_at: None,
        resolved_value: None,
        last_sent: None,
        valid_until: at(15 + 240),
        generator_url: "http://h/graph?g0.expr=up+%3C+1&g0.tab=1".into(),
    };
    assert_eq!(round(15, 0.25), std::slice::from_ref(&fires));
    for seconds in [30, 45, 60, 75] {
        assert_eq!(round(seconds, 0.25), [], "{seconds}: a minute is not over");
    }
    let again = Notice { last_sent: Some(at(15)), valid_until: at(90 + 240), ..fires.clone() };
    assert_eq!(round(90, 0.25), [again]);
    // The value with which it ended is what is measured then.
    let over = Notice {
        state: AlertState::Inactive,
        resolved_at: Some(at(105)),
        resolved_value: Some(3.0),
        last_sent: Some(at(90)),
        valid_until: at(105 + 240),
        ..fires
    };
    assert_eq!(round(105, 3.0), std::slice::from_ref(&over));
    assert_eq!(over.ends_at(), at(105));
    assert_eq!(round(120, 3.0), []);
    assert_eq!(round(180, 3.0).len(), 1, "once more after a minute");
}

#[test]
fn what_was_refused_is_handed_on_at_the_next_evaluation() {
    let (bench, outbox) = bench();
    let mut group = Group::new(spec(RULE));
    let mut round = |seconds: i64, value: f64| {
        bench.put(seconds, "up", &[], value);
        group.evaluate(at(seconds), &bench.world);
        outbox.states()
    };
    outbox.refuse(true);
    round(0, 0.0);
    assert_eq!(round(15, 0.0), []);
    outbox.refuse(false);
    assert_eq!(round(30, 0.0), [AlertState::Firing]);
    outbox.refuse(true);
    assert_eq!(round(45, 1.0), []);
    outbox.refuse(false);
    assert_eq!(round(60, 1.0), [AlertState::Inactive]);
    assert_eq!(round(75, 1.0), []);
}

#[test]
fn what_is_measured_is_the_side_of_the_comparison_that_has_series() {
    let measured = |expr: &str| {
        let spec = spec(&format!("groups: [{{name: g, rules: [{{alert: A, expr: '{expr}'}}]}}]"));
        spec.rules[0].measured().map(ToString::to_string)
    };
    assert_eq!(measured("up < 1").as_deref(), Some("up"));
    assert_eq!(measured("1 > (up * 2) unless on () down").as_deref(), Some("(up * 2)"));
    assert_eq!(measured("(up > on (x) down) and y").as_deref(), Some("up"));
    assert_eq!(measured("up + 1"), None);
    assert_eq!(measured("up > bool 1"), None);
    assert_eq!(measured("absent(up)"), None);
}
