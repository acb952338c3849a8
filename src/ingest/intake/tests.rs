//! From payloads to families.

mod crowd;

use std::cell::RefCell;

use proptest::prelude::*;

use super::*;
use crate::ingest::dialect::{Dialect, TagStyles};
use crate::model::{Histogram, Value};

/// Keeps what was refused, and the titles of events.
#[derive(Default)]
struct Book(RefCell<Vec<(Refusal, String)>>, RefCell<Vec<String>>);

impl Witness for Book {
    fn refused(&self, reason: Refusal, bytes: &[u8]) {
        self.0.borrow_mut().push((reason, String::from_utf8_lossy(bytes).into_owned()));
    }

    fn occurred(&self, occurrence: &Occurrence<'_>) {
        self.1.borrow_mut().push(occurrence.title.clone().into_owned());
    }

    fn checked(&self, _: &Check<'_>) {}
}

struct Fixture {
    registry: Arc<Registry>,
    telemetry: Arc<Telemetry>,
    shared: Arc<Shared>,
    book: Book,
}

/// What the Unix sockets speak by default.
const JSON: Language = Language { json: true, ..Language::DOGSTATSD };
const STATSD: Language = Language { dialect: Dialect::Statsd, ..Language::DOGSTATSD };

fn fixture(config: &Config) -> Fixture {
    let telemetry = Telemetry::new();
    let registry = Registry::new(&crate::registry::Config::default(), &telemetry);
    let shared = Shared::new(config, Arc::clone(&registry), &telemetry);
    Fixture { registry, telemetry, shared, book: Book::default() }
}

impl Fixture {
    fn send(&self, payload: &str) {
        self.send_in(JSON, payload);
    }

    /// A new sender sends this at 1000 s.
    fn send_in(&self, language: Language, payload: &str) {
        let mut intake = self.shared.intake(language);
        intake.take(payload.as_bytes(), at(1_000_000), &self.book);
        intake.flush(at(1_000_000), &self.book);
    }

    /// How many were refused by this reason.
    fn refused(&self, reason: Refusal) -> f64 {
        self.own("sidewatch_ingest_refused_total", reason.as_str())
    }

    /// `name{labels} value` of every series; a histogram is its count and sum.
    fn series(&self) -> Vec<String> {
        let show = |value: &Value| match value {
            Value::Number(value) => value.to_string(),
            Value::Histogram(histogram) => format!("{}/{}", histogram.count(), histogram.sum),
            Value::Summary(_) => panic!("no event becomes a summary"),
        };
        let families: Vec<_> =
            self.registry.families().into_iter().filter(|family| !family.name.starts_with("sidewatch_ingest_")).collect();
        families.iter().flat_map(|f| f.series.iter().map(|s| format!("{}{} {}", f.name, s.labels, show(&s.value)))).collect()
    }

    fn own(&self, name: &str, label: &str) -> f64 {
        let families = [self.telemetry.families(), self.registry.families()].concat();
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
    let mut worker = fixture.shared.intake(JSON);
    let mut lost = fixture.shared.intake(JSON);
    for (intake, payload) in [(&mut worker, [begin("1"), begin("2"), begin("2"), end("1"), end("9")].join("\n")), (&mut lost, begin("1"))] {
        intake.take(payload.as_bytes(), at(0), &fixture.book);
        intake.flush(at(0), &fixture.book);
    }
    assert_eq!(active(), r#"http_server_active_requests{http_request_method="GET"} 2"#);
    drop(lost);
    assert_eq!(active(), r#"http_server_active_requests{http_request_method="GET"} 1"#);
    assert!(worker.has_open());
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
    let mut intake = fixture.shared.intake(JSON);
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
    let mut intake = fixture.shared.intake(JSON);
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
    let mut intake = fixture.shared.intake(JSON);
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
        let mut senders: Vec<Intake> = (0..4).map(|_| divided.shared.intake(JSON)).collect();
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
        let mut intake = fixture.shared.intake(JSON);
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
    let family = families.iter().find(|family| &*family.name == "wait_seconds").expect("a family");
    assert_eq!(family.series[0].value, Value::Histogram(expected));
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
    let (mut intake, mut found) = (fixture.shared.intake(JSON), None);
    let table = &mut intake.table;
    let mut add = |text, found: &mut Option<crate::ingest::aggregate::Found>| {
        let Ok(Decoded::Metric(line)) = statsd::decode(text, JSON) else { panic!("a metric") };
        table.add_reading(&line, statsd::Reading::Rise(1.0), found).map(drop)
    };
    assert_eq!(add("node_x:1|c", &mut found), Err(Refusal::Reserved));
    assert_eq!(add("a:1|c", &mut found), Err(Refusal::Reserved), "not asked again");
    let mut found = None;
    assert_eq!(add("a:1|c", &mut found), Ok(()));
    assert_eq!(add("b:1|c", &mut found), Ok(()));
    assert_eq!(table.pending().map(|pending| pending.events).collect::<Vec<_>>(), [2], "both are the series that was found first");
}

#[test]
fn a_set_shows_its_distinct_members_over_all_senders_once_an_interval_is_over() {
    let fixture = fixture(&Config::default());
    fixture.send("users:ann|s|#k:v\nusers:bob|s|#k:v\nusers:ann|s|#k:v");
    fixture.send("users:bob|s|#k:v\nusers:eve:1|s|#k:v");
    assert_eq!(fixture.series(), Vec::<String>::new(), "no interval is over");
    fixture.registry.turn_sets();
    assert_eq!(fixture.series(), [r#"users{k="v"} 3"#]);
    fixture.send("users:ann|s|#k:v");
    fixture.registry.turn_sets();
    assert_eq!(fixture.series(), [r#"users{k="v"} 1"#]);
    assert_eq!(fixture.own("sidewatch_ingest_events_total", "set"), 6.0);
}

#[test]
fn a_set_and_a_gauge_of_one_name_are_told_apart() {
    let fixture = fixture(&Config::default());
    fixture.send("a:1|g\nb:x|s");
    fixture.send("a:x|s\nb:1|g\nb:y|s");
    fixture.send("b:2|g");
    fixture.registry.turn_sets();
    assert_eq!(fixture.series(), ["a{} 1", "b{} 2"]);
    assert_eq!(fixture.refused(Refusal::TypeConflict), 3.0);
}

#[test]
fn a_known_member_costs_no_change_of_its_set() {
    let fixture = fixture(&Config { flush_series: 2, ..Config::default() });
    let mut intake = fixture.shared.intake(JSON);
    for _ in 0..10 {
        intake.take(b"users:ann|s", at(0), &fixture.book);
    }
    let pending: Vec<_> = intake.table.pending().collect();
    let crate::model::Change::Members(members) = &pending[0].change else { panic!("a set") };
    assert_eq!((pending[0].events, members.count()), (10, 1.0));
}

#[test]
fn a_stamped_gauge_holds_its_latest_value_and_says_what_came_late() {
    let fixture = fixture(&Config::default());
    fixture.send("g:1|g|T900\ng:2|g|T899\ng:3|g|T901");
    fixture.send("g:4|g|T901\nh:1|g|T5\nh:2|g");
    assert_eq!(fixture.series(), ["g{} 3", "h{} 2"]);
    assert_eq!(fixture.refused(Refusal::StaleTimestamp), 2.0);
    fixture.send("h:3|g|T4");
    assert_eq!(fixture.series(), ["g{} 3", "h{} 3"], "a value without a stamp is no later than any");
}

#[test]
fn a_time_that_is_further_ahead_than_clocks_may_differ_is_refused() {
    let fixture = fixture(&Config::default());
    fixture.send("a:1|c|T1060\na:1|c|T1061\ng:1|g|T1060\ng:2|g|T1061\na:1|c|T9223372036854775807");
    assert_eq!(fixture.series(), ["a_total{} 1", "g{} 1"]);
    assert_eq!(fixture.refused(Refusal::FutureTimestamp), 3.0);
}

#[test]
fn a_stamped_count_is_added_as_it_is() {
    let fixture = fixture(&Config::default());
    fixture.send("a:2|c|@0.5|T900\na:2|c|@0.5\na:2|c|T1");
    assert_eq!(fixture.series(), ["a_total{} 8"]);
}

#[test]
fn a_service_check_is_a_gauge_of_the_agents_own_that_no_metric_can_write() {
    let fixture = fixture(&Config { service: "shop".into(), ..Config::default() });
    fixture.send("_sc|db.up|2|#zone:a,check:mine|m:down\n_sc|db.up|1|#zone:a|d:x\n_sc|q|3|#service:api,job:x");
    fixture.send("sidewatch_service_check_status:0|g|#check:db.up\n_sc|q|3|#service:api");
    assert_eq!(
        fixture.series(),
        [
            r#"sidewatch_service_check_status{check="db.up", service_name="shop", zone="a"} 1"#,
            r#"sidewatch_service_check_status{check="q", service_name="api"} 3"#,
        ]
    );
    assert_eq!(fixture.refused(Refusal::Reserved), 2.0, "the label `job`, and the metric");
    assert_eq!(fixture.own("sidewatch_ingest_events_total", "check"), 3.0);
    assert_eq!(fixture.own("sidewatch_ingest_ignored_fields_total", ""), 1.0);
}

#[test]
fn events_are_counted_by_what_is_bounded_and_told_to_the_witness() {
    let fixture = fixture(&Config::default());
    fixture.send("_e{1,1}:a|b|t:error|#service:api,user:1\n_e{1,1}:c|d|t:error|#service:api,user:2\n_e{1,1}:a|b|p:low|t:x|k:y");
    assert_eq!(
        fixture.series(),
        [
            r#"app_events_total{alert_type="error", priority="normal", service_name="api"} 2"#,
            r#"app_events_total{alert_type="info", priority="low"} 1"#,
        ]
    );
    assert_eq!(*fixture.book.1.borrow(), ["a", "c", "a"]);
    assert_eq!(fixture.own("sidewatch_ingest_events_total", "event"), 3.0);
    assert_eq!(fixture.own("sidewatch_ingest_ignored_fields_total", ""), 1.0);
}

#[test]
fn of_a_repeated_tag_the_last_holds_and_each_line_is_counted() {
    let fixture = fixture(&Config::default());
    fixture.send("a:1|c|#k:1,k:2\na:1|c|#k:1,k:2\na:1:1|c|#k:1,k:2");
    assert_eq!(fixture.series(), [r#"a_total{k="2"} 4"#]);
    assert_eq!(fixture.own("sidewatch_ingest_repeated_tags_total", ""), 3.0);
}

#[test]
fn a_sign_is_a_change_in_plain_statsd_only() {
    let lines = "g:5|g\ng:-2|g\ng:+4|g\ng:-2|g";
    let (plain, dog) = (fixture(&Config::default()), fixture(&Config::default()));
    plain.send_in(STATSD, lines);
    dog.send(lines);
    assert_eq!((plain.series(), dog.series()), (vec!["g{} 5".to_owned()], vec!["g{} -2".to_owned()]));
}

#[test]
fn the_parts_of_a_plain_statsd_line_are_known_one_by_one() {
    let fixture = fixture(&Config::default());
    let mut intake = fixture.shared.intake(STATSD);
    intake.take(b"a:1|c:320|ms|@0.1:x|c\n", at(0), &fixture.book);
    for known in [&b"a:7|c"[..], b"a:7|ms|@0.1"] {
        assert!(intake.table.add_known(known).is_some());
    }
    intake.take(b"a:1|c:640|ms|@0.1", at(0), &fixture.book);
    intake.flush(at(0), &fixture.book);
    assert_eq!(fixture.series(), ["a_seconds{} 30/9.67", "a_total{} 9"]);
    assert_eq!(*fixture.book.0.borrow(), [(Refusal::BadValue, "x|c".to_owned())]);
}

#[test]
fn where_no_json_is_spoken_a_brace_begins_a_name() {
    let fixture = fixture(&Config::default());
    fixture.send_in(STATSD, "{a}:1|c\n{\"kind\":\"count\",\"name\":\"b\"}");
    assert_eq!(fixture.series(), ["a_total{} 1"]);
    assert_eq!(fixture.refused(Refusal::Malformed), 1.0);
}

#[test]
fn tags_without_a_value_follow_the_configuration_while_a_session_lives() {
    let fixture = fixture(&Config::default());
    let mut intake = fixture.shared.intake(JSON);
    for bare_tags in [crate::ingest::BareTags::Drop, crate::ingest::BareTags::Label] {
        fixture.shared.reconfigure(&Config { bare_tags, ..Config::default() });
        intake.take(b"a:1|c|#flag", at(0), &fixture.book);
    }
    intake.flush(at(0), &fixture.book);
    assert_eq!(fixture.series(), ["a_total{} 1", r#"a_total{flag="true"} 1"#]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// The quick way is only quicker: whatever has been seen before, a line means what it means.
    #[test]
    fn a_line_means_the_same_whatever_came_before_it(
        statsd in any::<bool>(), influxdb in any::<bool>(),
        lines in proptest::collection::vec("[ab](,k=[12])?:[+-]?[0-9:.x-]{0,4}(\\|(c|g|ms|s|h|q)(\\|(@0.5|@0|#k:[12]|#k:1,k:2|T[89]|c:x))?(:[0-9]\\|[cg](\\|@0.5)?)?){0,2}", 1..12),
    ) {
        let dialect = if statsd { Dialect::Statsd } else { Dialect::Dogstatsd };
        let styles = TagStyles { influxdb, ..TagStyles::default() };
        let language = Language { dialect, styles, ..JSON };
        let (together, apart) = (fixture(&Config::default()), fixture(&Config::default()));
        together.send_in(language, &lines.join("\n"));
        lines.iter().for_each(|line| apart.send_in(language, line));
        together.registry.turn_sets();
        apart.registry.turn_sets();
        prop_assert_eq!(together.series(), apart.series());
        let refused = |fixture: &Fixture| Refusal::ALL.map(|reason| fixture.refused(reason));
        prop_assert_eq!(refused(&together), refused(&apart));
        let events = |fixture: &Fixture| {
            let events = Kind::ALL.map(|kind| fixture.own("sidewatch_ingest_events_total", kind.as_str()));
            (events, fixture.own("sidewatch_ingest_repeated_tags_total", ""))
        };
        prop_assert_eq!(events(&together), events(&apart));
    }
}

/// `sender reason count` of every loss.
fn losses(fixture: &Fixture) -> Vec<String> {
    let families = fixture.registry.families();
    let lost = families.iter().filter(|family| &*family.name == "sidewatch_ingest_lost_total").flat_map(|family| &family.series);
    let show = |value: &Value| if let Value::Number(value) = value { *value } else { f64::NAN };
    let label = |series: &crate::model::Series, name: &str| series.labels.get(name).unwrap_or_default().to_owned();
    let mut lost: Vec<_> =
        lost.map(|series| format!("{} {} {}", label(series, "sender"), label(series, "reason"), show(&series.value))).collect();
    lost.sort();
    lost
}

#[test]
fn a_loss_stands_under_the_sender_that_the_event_names_else_under_the_process() {
    let fixture = fixture(&Config::default());
    fixture.send(
        r#"no line
{"kind":"count","name":"a","value":-1,"sender":"w1"}
{"kind":"count","name":"node_a","sender":"w2"}
no line either
{"kind":"count","sender":"w2"}
{"kind":"gauge","name":"a_total","value":1,"sender":"w1"}
{"kind":"count","name":"a","sender":"w1"}"#,
    );
    assert_eq!(
        losses(&fixture),
        ["unknown malformed 2", "w1 negative_count 1", "w1 type_conflict 1", "w2 missing_field 1", "w2 reserved 1"]
    );
}

#[test]
fn numbers_without_a_name_belong_to_their_connection() {
    let fixture = fixture(&Config::default());
    let line = |seq: u64| format!("{{\"kind\":\"count\",\"name\":\"a\",\"seq\":{seq}}}\n");
    let (mut one, mut other) = (fixture.shared.intake(JSON), fixture.shared.intake(JSON));
    for seq in [1, 2, 5] {
        one.take(line(seq).as_bytes(), at(0), &fixture.book);
        other.take(line(seq + 100).as_bytes(), at(0), &fixture.book);
    }
    one.flush(at(0), &fixture.book);
    assert!(one.is_waiting() && losses(&fixture).is_empty());
    one.flush(at(1000), &fixture.book);
    assert!(!one.is_waiting());
    assert_eq!(losses(&fixture), ["unknown gap 2"]);
    other.take(line(103).as_bytes(), at(0), &fixture.book);
    other.finish(at(0), &fixture.book);
    assert_eq!(losses(&fixture), ["unknown gap 3"]);

    let mut several = fixture.shared.intake_of(&Peer::several(), JSON);
    [1, 9, 3, 400].into_iter().for_each(|seq| several.take(line(seq).as_bytes(), at(0), &fixture.book));
    several.finish(at(0), &fixture.book);
    assert_eq!(losses(&fixture), ["unknown gap 3"], "nobody knows whose numbers these are");
}

proptest! {
    /// sent = counted + reported lost, whatever is lost on the way and however it is divided among sessions that follow one
    /// another.
    #[test]
    fn what_a_numbered_sender_sends_is_counted_or_reported(
        fates in prop::collection::vec((0..5_u8, any::<bool>()), 1..200),
        valid in prop::collection::vec(any::<bool>(), 200),
    ) {
        let fixture = fixture(&Config::default());
        let line = |seq: usize| {
            let value = if valid[seq] { 1 } else { -1 };
            format!("{{\"kind\":\"count\",\"name\":\"a\",\"value\":{value},\"sender\":\"w\",\"seq\":{seq}}}\n")
        };
        let mut intake = fixture.shared.intake(JSON);
        let mut last = 0;
        for (seq, (fate, reconnect)) in fates.iter().enumerate() {
            if seq == 0 || *fate > 0 {
                intake.take(line(seq).as_bytes(), at(0), &fixture.book);
                last = seq;
            }
            if *reconnect && *fate == 4 {
                intake.finish(at(0), &fixture.book);
                intake = fixture.shared.intake(JSON);
            }
        }
        intake.finish(at(0), &fixture.book);
        fixture.shared.look(at(5000));
        let counted: f64 = fixture.series().iter().map(|series| series.rsplit_once(' ').expect("a value").1.parse::<f64>().expect("a number")).sum();
        let lost: f64 = losses(&fixture).iter().map(|loss| loss.rsplit_once(' ').expect("a value").1.parse::<f64>().expect("a number")).sum();
        prop_assert_eq!((last + 1) as f64, counted + lost, "{:?}", losses(&fixture));
    }
}

mod typed;
