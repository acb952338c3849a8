//! Events in JSON: what the protocol's vectors do not show.

use super::*;
use crate::model::Exemplar;

fn task(id: &str, state: &str) -> String {
    format!(r#"{{"kind":"task","name":"mail","state":"{state}","task_id":"{id}","duration_s":1}}"#)
}

#[test]
fn every_kind_is_counted_by_its_name() {
    let fixture = fixture(&Config::default());
    for (number, kind) in (1..).zip(kinds::ALL) {
        let fields = concat!(
            r#""value":1,"system":"s","duration_s":1,"op":"set","in_use":1,"state":"failed","version":"1","#,
            r#""measures":{"a":1}"#
        );
        // A cache has another set of operations than a gauge, and both know `set`.
        fixture.send(&format!("{{\"kind\":\"{0}\",\"name\":\"{0}\",{fields}}}\n", kind.name).repeat(number));
        assert_eq!(fixture.own("sidewatch_ingest_events_total", kind.name), number as f64, "{}", kind.name);
    }
    assert_eq!(*fixture.book.0.borrow(), []);
}

#[test]
fn what_is_open_counts_on_when_the_names_are_forgotten() {
    let fixture =
        fixture(&Config { session_bytes_max: 2_000, task_stalled_after: crate::model::PromDuration::from_secs(5), ..Config::default() });
    let mut intake = fixture.shared.intake(JSON);
    let mut send = |millis, text: &str| {
        intake.take(text.as_bytes(), at(millis), &fixture.book);
        intake.flush(at(millis), &fixture.book);
    };
    send(0, &[begin("1"), begin("2"), task("1", "running"), task("2", "pending"), task("3", "running")].join("\n"));
    let many: Vec<String> = (0..40).map(|name| format!("{{\"kind\":\"count\",\"name\":\"c{name}\"}}")).collect();
    send(0, &many.join("\n"));
    send(5_000, &[end("1"), task("2", "running"), task("3", "failed")].join("\n"));
    let open: Vec<_> = fixture.series().into_iter().filter(|line| line.contains("active") || line.contains("app_tasks")).collect();
    let expected = [
        r#"app_tasks{state="pending", task="mail"} 0"#,
        r#"app_tasks{state="running", task="mail"} 2"#,
        r#"app_tasks_stalled{task="mail"} 1"#,
        r#"http_server_active_requests{http_request_method="GET"} 1"#,
    ];
    assert_eq!(open, expected);
}

#[test]
fn tasks_that_are_given_up_are_counted() {
    let fixture = fixture(&Config::default());
    let mut intake = fixture.shared.intake(JSON);
    intake.take(task("1", "running").as_bytes(), at(0), &fixture.book);
    intake.flush(at(0), &fixture.book);
    assert!(intake.has_open());
    intake.flush(at(86_400_000), &fixture.book);
    assert!(!intake.has_open());
    assert_eq!(fixture.own("sidewatch_ingest_abandoned_tasks_total", ""), 1.0);
}

#[test]
fn a_task_that_is_refused_leaves_no_trace_among_the_states() {
    let fixture = fixture(&Config { open_tasks_max: 1, ..Config::default() });
    fixture.send(&[task("1", "running"), task("2", "running"), task("2", "completed")].join("\n"));
    assert_eq!(fixture.refused(Refusal::OpenTasks), 1.0);
    let running = fixture.series().into_iter().find(|line| line.starts_with("app_tasks{"));
    // The datagram's sender is gone by now.
    assert_eq!(running.as_deref(), Some(r#"app_tasks{state="running", task="mail"} 0"#));
}

#[test]
fn the_largest_observation_with_a_trace_is_the_exemplar() {
    let fixture = fixture(&Config::default());
    let line = |ms: u32, trace: &str| format!(r#"{{"kind":"request","duration_ms":{ms},"trace_id":"{trace}"}}"#);
    let mut intake = fixture.shared.intake(JSON);
    for (millis, lines) in [(0, [line(20, "a"), line(22, "b"), line(900, "")]), (100, [line(24, "c"), line(21, "d"), line(9, "e")])] {
        intake.take(lines.join("\n").as_bytes(), at(millis), &fixture.book);
        intake.flush(at(millis), &fixture.book);
    }
    let families = fixture.registry.families();
    let Value::Histogram(histogram) = &families[0].series[0].value else { panic!("a histogram") };
    let all: Vec<&Exemplar> = (0..histogram.counts.len()).filter_map(|bucket| histogram.exemplars.get(bucket)).collect();
    let shown: Vec<_> = all.iter().map(|exemplar| (exemplar.trace_id.as_str(), exemplar.value, exemplar.at)).collect();
    assert_eq!(shown, [("c", 0.024, at(100))], "the latest flush replaces what its bucket held");
}

#[test]
fn labels_follow_the_configuration_of_tags_while_a_session_lives() {
    let fixture = fixture(&Config::default());
    let mut intake = fixture.shared.intake(JSON);
    let line = br#"{"kind":"error","type":"E","tags":{"region":"eu","region":"us","zone":"b"}}"#;
    for tags in [vec![], vec!["zone".to_owned(), "region".to_owned()]] {
        fixture.shared.reconfigure(&Config { event_tags: tags, ..Config::default() });
        intake.take(line, at(0), &fixture.book);
        intake.flush(at(0), &fixture.book);
    }
    let expected = [r#"app_errors_total{error_type="E"} 1"#, r#"app_errors_total{error_type="E", region="us", zone="b"} 1"#];
    assert_eq!(fixture.series(), expected);
}

#[test]
fn a_long_path_is_no_label() {
    let fixture = fixture(&Config { label_value_bytes_max: 14, ..Config::default() });
    for path in ["/items/1234567890?page=3", "/items/abcdefghi"] {
        fixture.send(&format!(r#"{{"kind":"request","path":"{path}","duration_s":1}}"#));
    }
    let expected = [
        r#"http_server_request_duration_seconds{http_route="/items/{id}"} 1/1"#,
        r#"http_server_request_duration_seconds{http_route="__unmatched__"} 1/1"#,
    ];
    assert_eq!(fixture.series(), expected);
    fixture.send(r#"{"kind":"request","route":"/items/abcdefghi","duration_s":1}"#);
    assert_eq!(fixture.refused(Refusal::LabelTooLong), 1.0);
}

#[test]
fn events_that_differ_in_a_label_or_the_service_go_apart() {
    let fixture = fixture(&Config::default());
    let lines = [
        r#""route":"a""#,
        r#""route":"a","service":"s""#,
        r#""route":"a","method":"GET""#,
        r#""route":"a","status":200"#,
        r#""route":"a","error":"E""#,
        r#""error":"a""#,
        r#""service":"a""#,
        r#""method":"get","route":"a""#,
        r#""path":"a","status":200"#,
    ];
    for line in lines {
        fixture.send(&format!(r#"{{"kind":"request","duration_s":1,{line}}}"#));
    }
    assert_eq!(fixture.series().len(), 7, "the last two are like others: {:#?}", fixture.series());
}
