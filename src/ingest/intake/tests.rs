//! From payloads to families.

use std::cell::RefCell;

use proptest::prelude::*;

use super::*;
use crate::model::{Histogram, Value};

/// Keeps what was refused.
#[derive(Default)]
struct Book(RefCell<Vec<(Refusal, String)>>);

impl Witness for Book {
    fn refused(&self, reason: Refusal, bytes: &[u8]) {
        self.0.borrow_mut().push((reason, String::from_utf8_lossy(bytes).into_owned()));
    }
}

struct Fixture {
    registry: Arc<Registry>,
    telemetry: Arc<Telemetry>,
    shared: Arc<Shared>,
    book: Book,
}

fn fixture(config: &Config) -> Fixture {
    let telemetry = Telemetry::new();
    let registry = Registry::new(&crate::registry::Config::default(), &telemetry);
    let shared = Shared::new(config, Arc::clone(&registry), &telemetry);
    Fixture { registry, telemetry, shared, book: Book::default() }
}

impl Fixture {
    fn send(&self, payload: &str) {
        let mut intake = self.shared.intake();
        intake.take(payload.as_bytes(), at(0), &self.book);
        intake.flush(at(0), &self.book);
    }

    /// `name{labels} value` of every series; a histogram is its count and sum.
    fn series(&self) -> Vec<String> {
        let show = |value: &Value| match value {
            Value::Number(value) => value.to_string(),
            Value::Histogram(histogram) => format!("{}/{}", histogram.count(), histogram.sum),
        };
        let families = self.registry.families();
        families.iter().flat_map(|f| f.series.iter().map(|s| format!("{}{} {}", f.name, s.labels, show(&s.value)))).collect()
    }

    fn own(&self, name: &str, label: &str) -> f64 {
        let families = self.telemetry.families();
        let family = families.iter().find(|family| &*family.name == name).expect(name);
        let series = family.series.iter().find(|series| series.labels.iter().all(|(_, value)| value == label)).expect(label);
        if let Value::Number(value) = series.value { value } else { panic!("{name} is a number") }
    }
}

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

#[test]
fn both_languages_arrive_in_one_payload() {
    let fixture = fixture(&Config { service: "shop".into(), ..Config::default() });
    fixture.send(concat!(
        "a:1|c|#k:v\r\n\n",
        r#"{"kind":"count","name":"a","value":2,"tags":{"k":"v"}}"#,
        "\na:0.5|g\nlatency:20:40|ms|#service:other\n",
        r#"{"kind":"gauge","name":"b","value":7,"service":"api"}"#,
    ));
    // A gauge `a` would meet the counter `a_total` in OpenMetrics, where the counter's family is called `a`.
    let expected =
        [r#"a_total{k="v", service_name="shop"} 3"#, r#"b{service_name="api"} 7"#, r#"latency_seconds{service_name="other"} 2/0.06"#];
    assert_eq!(fixture.series(), expected);
    assert_eq!(*fixture.book.0.borrow(), [(Refusal::TypeConflict, "a".to_owned())]);
    assert_eq!(fixture.own("sidewatch_ingest_events_total", "count"), 2.0);
    assert_eq!(fixture.own("sidewatch_ingest_events_total", "histogram"), 2.0);
    assert_eq!(fixture.own("sidewatch_ingest_refused_total", "type_conflict"), 1.0);
}

#[test]
fn a_request_becomes_all_its_series() {
    let fixture = fixture(&Config::default());
    let line = r#"{"kind":"request","service":"s","method":"GET","route":"/","status":200,"duration_s":0.25,"bytes_in":10,
        "bytes_out":100,"bytes_uncompressed":400,"encoding":"gzip","queue_ms":8}"#;
    fixture.send(&line.replace('\n', ""));
    let labels = r#"{http_request_method="GET", http_response_status_code="200", http_route="/", service_name="s"}"#;
    assert_eq!(
        fixture.series(),
        [
            r#"app_request_queue_seconds{service_name="s"} 1/0.008"#.to_owned(),
            r#"app_response_compressed_bytes_total{encoding="gzip", service_name="s"} 100"#.to_owned(),
            r#"app_response_uncompressed_bytes_total{encoding="gzip", service_name="s"} 400"#.to_owned(),
            format!("http_server_request_body_size_bytes{labels} 1/10"),
            format!("http_server_request_duration_seconds{labels} 1/0.25"),
            format!("http_server_response_body_size_bytes{labels} 1/100"),
        ]
    );
}

fn begin(id: &str) -> String {
    format!(r#"{{"kind":"request","phase":"begin","method":"GET","request_id":"{id}"}}"#)
}

fn end(id: &str) -> String {
    format!(r#"{{"kind":"request","method":"GET","request_id":"{id}","duration_ms":1}}"#)
}

#[test]
fn active_requests_fall_with_their_end_and_with_their_sender() {
    let fixture = fixture(&Config::default());
    let active = || fixture.series().into_iter().find(|line| line.starts_with("http_server_active_requests")).expect("a gauge");
    let mut worker = fixture.shared.intake();
    let mut lost = fixture.shared.intake();
    for (intake, payload) in [(&mut worker, [begin("1"), begin("2"), begin("2"), end("1"), end("9")].join("\n")), (&mut lost, begin("1"))] {
        intake.take(payload.as_bytes(), at(0), &fixture.book);
        intake.flush(at(0), &fixture.book);
    }
    assert_eq!(active(), r#"http_server_active_requests{http_request_method="GET"} 2"#);
    drop(lost);
    assert_eq!(active(), r#"http_server_active_requests{http_request_method="GET"} 1"#);
    assert!(worker.has_open_requests());
    worker.flush(at(900_000), &fixture.book);
    assert_eq!(active(), r#"http_server_active_requests{http_request_method="GET"} 0"#);
    assert_eq!(fixture.own("sidewatch_ingest_abandoned_requests_total", ""), 1.0);
}

#[test]
fn a_refused_series_counts_all_its_events() {
    let fixture = fixture(&Config::default());
    fixture.send("a:1|g");
    fixture.send("a:1:2:3|h");
    assert_eq!(fixture.own("sidewatch_ingest_refused_total", "type_conflict"), 3.0);
}

#[test]
fn every_refusal_is_counted_and_shown_to_the_witness() {
    let fixture = fixture(&Config::default());
    let mut intake = fixture.shared.intake();
    intake.take(b"a:1|c\n\xff\xfe\nb:nan:1|g\nc:-1|c\nnode_x:1|g\nhello", at(0), &fixture.book);
    intake.flush(at(0), &fixture.book);
    let reasons: Vec<_> = fixture.book.0.borrow().iter().map(|(reason, _)| *reason).collect();
    let expected = [Refusal::NotUtf8, Refusal::NotFinite, Refusal::NegativeCount, Refusal::Reserved, Refusal::Malformed];
    assert_eq!(reasons, expected);
    for reason in expected {
        assert_eq!(fixture.own("sidewatch_ingest_refused_total", reason.as_str()), 1.0, "{reason:?}");
    }
    assert_eq!(fixture.series(), ["a_total{} 1", "b{} 1"]);
    assert!(!intake.is_pending());
}

#[test]
fn a_full_table_is_handed_over_and_nothing_is_lost() {
    let fixture = fixture(&Config { flush_series: 3, ..Config::default() });
    let lines: Vec<String> = (0..10).flat_map(|_| (0..7).map(|k| format!("a:1|c|#k:{k}"))).collect();
    fixture.send(&lines.join("\n"));
    assert_eq!(fixture.series(), (0..7).map(|k| format!(r#"a_total{{k="{k}"}} 10"#)).collect::<Vec<_>>());
}

#[test]
fn events_that_are_refused_late_do_not_fill_the_table() {
    let fixture = fixture(&Config { flush_series: 3, ..Config::default() });
    let mut intake = fixture.shared.intake();
    for name in 0..10 {
        intake.take(format!("a{name}:1e308|h|@0.1").as_bytes(), at(0), &fixture.book);
        assert!(!intake.table.is_full());
    }
    assert_eq!(fixture.book.0.borrow().len(), 10);
}

#[test]
fn the_last_level_of_a_gauge_holds_whatever_the_order_of_its_tags() {
    let fixture = fixture(&Config::default());
    fixture.send("g:1|g|#a:1,b:2\ng:2|g|#b:2,a:1\ng:3|g|#a:1,b:2\ng:4|g|#b:2,a:1");
    assert_eq!(fixture.series(), [r#"g{a="1", b="2"} 4"#]);
    fixture.send(r#"{"kind":"gauge","name":"g","op":"add","value":-1,"tags":{"a":"1","b":"2"}}"#);
    assert_eq!(fixture.series(), [r#"g{a="1", b="2"} 3"#]);
}

#[test]
fn the_merge_that_is_declared_last_holds_within_a_batch_too() {
    let fixture = fixture(&Config::default());
    let change = |merge| format!(r#"{{"kind":"gauge","name":"g","op":"add","value":1,"merge":"{merge}"}}"#);
    let mut intake = fixture.shared.intake();
    intake.take([change("last"), change("sum")].join("\n").as_bytes(), at(0), &fixture.book);
    intake.flush(at(0), &fixture.book);
    assert_eq!(fixture.series(), ["g{} 2"]);
    drop(intake);
    assert_eq!(fixture.series(), ["g{} 0"], "a sum over nobody");
}

#[test]
fn a_unit_is_converted_for_each_sender_by_its_own_word() {
    let fixture = fixture(&Config::default());
    for (unit, value) in [("ms", 500), ("s", 1)] {
        fixture.send(&format!(r#"{{"kind":"histogram","name":"wait","unit":"{unit}","value":{value}}}"#));
    }
    assert_eq!(fixture.series(), ["wait_seconds{} 2/1.5"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_division_among_senders_and_batches_gives_the_total(
        events in proptest::collection::vec((0_u8..3, 0_u32..4, 1_u32..100, 0_usize..4, any::<bool>()), 1..80)
    ) {
        let divided = fixture(&Config { flush_series: 5, ..Config::default() });
        let mut senders: Vec<Intake> = (0..4).map(|_| divided.shared.intake()).collect();
        let whole = fixture(&Config::default());
        let mut all = String::new();
        for (kind, label, value, sender, flush) in events {
            let line = match kind {
                0 => format!("c:{value}|c|#l:{label}"),
                1 => format!("h:{value}|h|#l:{label}"),
                _ => format!(r#"{{"kind":"request","route":"/{label}","duration_s":{value}}}"#),
            };
            senders[sender].take(line.as_bytes(), at(0), &divided.book);
            if flush {
                senders[sender].flush(at(0), &divided.book);
            }
            all = format!("{line}\n{all}");
        }
        for sender in &mut senders {
            sender.flush(at(0), &divided.book);
        }
        whole.send(&all);
        prop_assert_eq!(divided.registry.families(), whole.registry.families());
    }

    #[test]
    fn no_bytes_make_it_panic(payload in proptest::collection::vec(any::<u8>(), 0..300)) {
        let fixture = fixture(&Config::default());
        let mut intake = fixture.shared.intake();
        intake.take(&payload, at(0), &fixture.book);
        intake.flush(at(0), &fixture.book);
    }
}

#[test]
fn a_histogram_uses_the_registrys_buckets() {
    let fixture = fixture(&Config::default());
    fixture.send("wait:30|ms");
    let families = fixture.registry.families();
    let mut expected = Histogram::with_exponential(fixture.registry.bounds("wait_seconds"));
    expected.observe(0.03, 1);
    assert_eq!(families[0].series[0].value, Value::Histogram(expected));
}

#[test]
fn a_line_of_a_known_shape_counts_as_a_decoded_one_does() {
    let lines = [
        "a.b:2|c|@0.5|#k:v",
        "a.b:3|c|@0.5|#k:v",
        "a.b:-1|c|@0.5|#k:v",
        "t:1:2|ms|@0.5",
        "t:3:4:|ms|@0.5",
        "t:3:x|ms|@0.5",
        "g:5|g",
        "g:-7|g",
        "g:nan|g",
    ];
    let (together, apart) = (fixture(&Config::default()), fixture(&Config::default()));
    together.send(&lines.join("\n"));
    // A new sender has seen no shapes.
    lines.iter().for_each(|line| apart.send(line));
    assert_eq!(together.series(), apart.series());
    assert_eq!(together.series().len(), 3, "{:?}", together.series());
    for (name, label) in
        [("events", "count"), ("events", "gauge"), ("events", "histogram"), ("refused", "bad_value"), ("refused", "not_finite")]
    {
        let name = format!("sidewatch_ingest_{name}_total");
        assert_eq!(together.own(&name, label), apart.own(&name, label), "{name} {label}");
    }
}

#[test]
fn shapes_are_forgotten_with_the_names_that_were_made_from_them() {
    let fixture = fixture(&Config { flush_series: 2, ..Config::default() });
    fixture.send("a:1|c\nb:1|c\nc:1|c\nb:1|c\na:1|c\nc:1|c\na:1|c");
    assert_eq!(fixture.series(), ["a_total{} 3", "b_total{} 2", "c_total{} 2"]);
}

#[test]
fn shapes_are_bounded_even_where_they_mean_the_same_series() {
    let fixture = fixture(&Config { session_bytes_max: 700, ..Config::default() });
    let lines: Vec<String> = (0..6).map(|field| format!("a:1|c|future{field}")).collect();
    fixture.send(&lines.join("\n"));
    assert_eq!(fixture.series(), ["a_total{} 6"]);
    assert_eq!(fixture.own("sidewatch_ingest_batches_total", ""), 2.0);
}

#[test]
fn a_packed_lines_series_is_looked_for_once() {
    let fixture = fixture(&Config::default());
    let (mut intake, mut found) = (fixture.shared.intake(), None);
    let table = &mut intake.table;
    let event = |name: &'static str| {
        Event::Count(crate::model::CountEvent { service: None, name: name.into(), value: 1.0, unit: None, tags: vec![] })
    };
    assert_eq!(table.add(&event("node_x"), at(0), &mut found), Err(Refusal::Reserved));
    assert_eq!(table.add(&event("a"), at(0), &mut found), Err(Refusal::Reserved), "not asked again");
    let mut found = None;
    assert_eq!(table.add(&event("a"), at(0), &mut found), Ok(()));
    assert_eq!(table.add(&event("b"), at(0), &mut found), Ok(()));
    assert_eq!(table.pending().map(|pending| pending.events).collect::<Vec<_>>(), [2], "both are the series that was found first");
}
