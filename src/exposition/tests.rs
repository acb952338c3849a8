//! Both formats against golden texts, and against a reader that shares no code with the writers.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;

use super::{Format, Writer, write};
use crate::model::{Exemplar, Family, Histogram, Labels, MetricType, Origin, Series, Summary, Timestamp, TraceId, Value};

fn text(format: Format, families: &[Family]) -> String {
    let mut out = Vec::new();
    write(format, families, &mut out);
    String::from_utf8(out).expect("UTF-8")
}

fn family(name: &str, kind: MetricType) -> Family {
    Family::new(name, kind, "", Origin::Host)
}

fn histogram(labels: Labels, bounds: &[f64], counts: &[u64], sum: f64) -> Series {
    Series { labels, value: Value::Histogram(Histogram::classic(Arc::from(bounds), counts.to_vec(), sum)) }
}

fn golden_families() -> Vec<Family> {
    let mut latency = Family::new("http_server_request_duration_seconds", MetricType::Histogram, "Requests.", Origin::Events);
    latency.series.push(histogram(Labels::from_pairs([("route", "/a")]), &[0.005, 1.0, 2_500_000.0], &[1, 0, 2, 4], 0.25));
    latency.series.push(histogram(Labels::empty(), &[0.005], &[0, 0], 0.0));
    vec![
        family("bare", MetricType::Gauge),
        latency,
        Family::new("node_cpu_seconds_total", MetricType::Counter, "Seconds a \"CPU\" spent.", Origin::Host)
            .with(Labels::from_pairs([("cpu", "0"), ("mode", "idle")]), 1_234_567.5)
            .with(Labels::from_pairs([("cpu", "0"), ("mode", "user")]), 12.0),
        Family::new("node_load1", MetricType::Gauge, "1m load \\ average.\nSecond line.", Origin::Host).with(Labels::empty(), 0.25),
        family("odd", MetricType::Unknown)
            .with(Labels::from_pairs([("path", "C:\\x\n\"y\"")]), f64::NAN)
            .with(Labels::from_pairs([("path", "é")]), f64::NEG_INFINITY),
        family("scraped_count", MetricType::Counter).with(Labels::empty(), 1.0),
    ]
}

#[test]
fn the_text_format_is_as_documented() {
    assert_eq!(
        text(Format::Text004, &golden_families()),
        r#"# HELP http_server_request_duration_seconds Requests.
# TYPE http_server_request_duration_seconds histogram
http_server_request_duration_seconds_bucket{route="/a",le="0.005"} 1
http_server_request_duration_seconds_bucket{route="/a",le="1.0"} 1
http_server_request_duration_seconds_bucket{route="/a",le="2.5e+06"} 3
http_server_request_duration_seconds_bucket{route="/a",le="+Inf"} 7
http_server_request_duration_seconds_sum{route="/a"} 0.25
http_server_request_duration_seconds_count{route="/a"} 7
http_server_request_duration_seconds_bucket{le="0.005"} 0
http_server_request_duration_seconds_bucket{le="+Inf"} 0
http_server_request_duration_seconds_sum 0
http_server_request_duration_seconds_count 0
# HELP node_cpu_seconds_total Seconds a "CPU" spent.
# TYPE node_cpu_seconds_total counter
node_cpu_seconds_total{cpu="0",mode="idle"} 1.2345675e+06
node_cpu_seconds_total{cpu="0",mode="user"} 12
# HELP node_load1 1m load \\ average.\nSecond line.
# TYPE node_load1 gauge
node_load1 0.25
# TYPE odd untyped
odd{path="C:\\x\n\"y\""} NaN
odd{path="é"} -Inf
# TYPE scraped_count counter
scraped_count 1
"#
    );
}

#[test]
fn open_metrics_is_as_specified() {
    assert_eq!(
        text(Format::OpenMetrics100, &golden_families()),
        r#"# HELP http_server_request_duration_seconds Requests.
# TYPE http_server_request_duration_seconds histogram
# UNIT http_server_request_duration_seconds seconds
http_server_request_duration_seconds_bucket{route="/a",le="0.005"} 1
http_server_request_duration_seconds_bucket{route="/a",le="1.0"} 1
http_server_request_duration_seconds_bucket{route="/a",le="2.5e+06"} 3
http_server_request_duration_seconds_bucket{route="/a",le="+Inf"} 7
http_server_request_duration_seconds_sum{route="/a"} 0.25
http_server_request_duration_seconds_count{route="/a"} 7
http_server_request_duration_seconds_bucket{le="0.005"} 0
http_server_request_duration_seconds_bucket{le="+Inf"} 0
http_server_request_duration_seconds_sum 0.0
http_server_request_duration_seconds_count 0
# HELP node_cpu_seconds Seconds a \"CPU\" spent.
# TYPE node_cpu_seconds counter
# UNIT node_cpu_seconds seconds
node_cpu_seconds_total{cpu="0",mode="idle"} 1.2345675e+06
node_cpu_seconds_total{cpu="0",mode="user"} 12.0
# HELP node_load1 1m load \\ average.\nSecond line.
# TYPE node_load1 gauge
node_load1 0.25
# TYPE odd unknown
odd{path="C:\\x\n\"y\""} NaN
odd{path="é"} -Inf
# TYPE scraped_count unknown
scraped_count 1.0
# EOF
"#
    );
}

#[test]
fn a_counter_whose_short_name_is_taken_is_unknown_in_open_metrics() {
    for other in [
        family("x", MetricType::Gauge),
        family("x_created", MetricType::Gauge),
        // In each of these the counter is called after a sample that the histogram has.
        family("h", MetricType::Histogram),
        family("h", MetricType::Summary),
    ] {
        let name = if &*other.name == "h" { "h_count_total" } else { "x_total" };
        let mut families = vec![other, family(name, MetricType::Counter).with(Labels::empty(), 1.0)];
        families.sort_by(|a, b| a.name.cmp(&b.name));
        let written = text(Format::OpenMetrics100, &families);
        assert!(written.contains(&format!("# TYPE {name} unknown\n{name} 1.0\n")), "{written}");
    }
    let created = [family("x_created_total", MetricType::Counter).with(Labels::empty(), 1.0), family("x_total", MetricType::Counter)];
    assert!(text(Format::OpenMetrics100, &created).starts_with("# TYPE x_created_total unknown\n"));
}

#[test]
fn the_unit_is_left_out_where_the_name_does_not_end_in_it() {
    let families = [
        family("x_seconds", MetricType::Gauge).with(Labels::empty(), 1.0),
        family("x_seconds_total", MetricType::Counter).with(Labels::empty(), 1.0),
    ];
    let written = text(Format::OpenMetrics100, &families);
    assert_eq!(written.matches("# UNIT").count(), 1, "{written}");
}

#[test]
fn a_summary_shows_its_quantiles_in_both_formats_alike() {
    let mut family = family("took_seconds", MetricType::Summary);
    let summary = Summary { quantiles: vec![(0.5, 0.25), (0.99, f64::NAN)], sum: 3.0, count: 12 };
    family.series.push(Series { labels: Labels::from_pairs([("a", "1")]), value: Value::Summary(summary.clone()) });
    family.series.push(Series { labels: Labels::empty(), value: Value::Summary(summary) });
    let lines = |sum: &str| {
        ["{a=\"1\"", "{"]
            .map(|start| {
                let (comma, rest) = if start == "{" { ("", "") } else { (",", "{a=\"1\"}") };
                format!(
                    "took_seconds{start}{comma}quantile=\"0.5\"}} 0.25\ntook_seconds{start}{comma}quantile=\"0.99\"}} NaN\n\
                     took_seconds_sum{rest} {sum}\ntook_seconds_count{rest} 12\n"
                )
            })
            .concat()
    };
    let plain = text(Format::Text004, std::slice::from_ref(&family));
    assert!(plain.ends_with(&format!("# TYPE took_seconds summary\n{}", lines("3"))), "{plain}");
    let open = text(Format::OpenMetrics100, &[family]);
    assert!(open.contains("# TYPE took_seconds summary\n# UNIT took_seconds seconds\n"), "{open}");
    assert!(open.ends_with(&format!("{}# EOF\n", lines("3.0"))), "{open}");
}

#[test]
fn a_negative_sum_is_left_out_of_open_metrics() {
    let mut family = family("delta", MetricType::Histogram);
    family.series.push(histogram(Labels::from_pairs([("a", "1")]), &[0.5], &[1, 0], -2.0));
    family.series.push(histogram(Labels::from_pairs([("a", "2")]), &[0.5], &[1, 0], 0.25));
    let plain = text(Format::Text004, std::slice::from_ref(&family));
    assert!(plain.contains("delta_sum{a=\"1\"} -2\n") && plain.contains("delta_count{a=\"1\"} 1\n"), "{plain}");
    let open = text(Format::OpenMetrics100, &[family]);
    assert!(open.contains("delta_bucket{a=\"1\",le=\"+Inf\"} 1\n"), "{open}");
    assert!(!open.contains("delta_sum{a=\"1\"}") && !open.contains("delta_count{a=\"1\"}"), "{open}");
    assert!(open.contains("delta_sum{a=\"2\"} 0.25\n") && open.contains("delta_count{a=\"2\"} 1\n"), "{open}");
}

#[test]
fn exemplars_stand_behind_their_buckets_in_open_metrics_alone() {
    let mut histogram = Histogram::new(Arc::from([0.5]));
    for (value, id, millis) in [(0.25, "4bf92f3577b34da6a3ce929d0e0e4736", 1_520_879_607_789), (7.0, "a\"b\\", 1_520_879_607_020)] {
        histogram.observe(value, 1);
        let trace_id = TraceId::new(id).expect("short");
        histogram.exemplify(Exemplar { trace_id, value, at: Timestamp::from_millis(millis) });
    }
    let mut family = family("t_seconds", MetricType::Histogram);
    family.series.push(Series { labels: Labels::empty(), value: Value::Histogram(histogram) });
    let families = [family];
    assert_eq!(
        text(Format::OpenMetrics100, &families),
        r#"# TYPE t_seconds histogram
# UNIT t_seconds seconds
t_seconds_bucket{le="0.5"} 1 # {trace_id="4bf92f3577b34da6a3ce929d0e0e4736"} 0.25 1520879607.789
t_seconds_bucket{le="+Inf"} 2 # {trace_id="a\"b\\"} 7.0 1520879607.020
t_seconds_sum 7.25
t_seconds_count 2
# EOF
"#
    );
    assert!(!text(Format::Text004, &families).contains("trace_id"));
}

#[test]
fn series_of_one_family_may_have_buckets_of_their_own() {
    let mut family = family("h", MetricType::Histogram);
    for (label, bounds) in [("a", 0.5), ("b", 0.25), ("c", 0.25), ("d", 0.5)] {
        family.series.push(histogram(Labels::from_pairs([("l", label)]), &[bounds], &[1, 1], 1.0));
    }
    let written = text(Format::Text004, &[family]);
    for (label, bounds) in [("a", "0.5"), ("b", "0.25"), ("c", "0.25"), ("d", "0.5")] {
        assert!(written.contains(&format!("h_bucket{{l=\"{label}\",le=\"{bounds}\"}} 1\n")), "{written}");
    }
}

#[test]
fn what_has_been_written_can_be_taken_piece_by_piece() {
    let families = golden_families();
    for format in [Format::Text004, Format::OpenMetrics100] {
        let names = families.iter().map(|family| (Arc::clone(&family.name), family.kind)).collect();
        let mut writer = Writer::new(format, names);
        let (mut all, mut piece) = (Vec::new(), Vec::new());
        for family in &families {
            writer.family(&family.name, family.kind, &family.help);
            writer.all_series(family);
            writer.swap(&mut piece);
            assert_eq!(piece.is_empty(), family.series.is_empty());
            all.append(&mut piece);
        }
        writer.end();
        writer.swap(&mut piece);
        all.append(&mut piece);
        assert_eq!(String::from_utf8(all).expect("UTF-8"), text(format, &families));
    }
}

#[test]
fn nothing_is_still_a_complete_document() {
    assert_eq!(text(Format::Text004, &[]), "");
    assert_eq!(text(Format::OpenMetrics100, &[]), "# EOF\n");
}

/// What a scraper understands of a document: samples by name and labels (values to the bit), help by family name.
#[derive(Debug, Default, PartialEq)]
struct Document {
    samples: Vec<(String, BTreeMap<String, String>, u64)>,
    help: BTreeMap<String, String>,
    types: BTreeMap<String, String>,
}

fn read(document: &str) -> Document {
    let mut read = Document::default();
    for line in document.strip_suffix('\n').unwrap_or(document).split('\n').filter(|line| !line.is_empty()) {
        let words: Vec<&str> = line.splitn(4, ' ').collect();
        match words.as_slice() {
            ["#", "HELP", name, help] => assert!(read.help.insert((*name).into(), unescape(help)).is_none(), "{line}"),
            ["#", "TYPE", name, kind] => assert!(read.types.insert((*name).into(), (*kind).into()).is_none(), "{line}"),
            ["#", "UNIT", ..] | ["#", "EOF"] => {}
            _ => read.samples.push(read_sample(line)),
        }
    }
    read
}

fn read_sample(line: &str) -> (String, BTreeMap<String, String>, u64) {
    let end = line.find(['{', ' ']).expect("a name");
    let (name, mut rest) = line.split_at(end);
    let mut labels = BTreeMap::new();
    if let Some(inner) = rest.strip_prefix('{') {
        rest = inner;
        while !rest.starts_with('}') {
            let (label, tail) = rest.split_once("=\"").expect("a label");
            let mut escaped = false;
            let end = tail
                .find(|c| {
                    let ends = c == '"' && !escaped;
                    escaped = c == '\\' && !escaped;
                    ends
                })
                .expect("a closing quote");
            assert!(labels.insert(label.into(), unescape(&tail[..end])).is_none(), "{line}");
            rest = tail[end + 1..].strip_prefix(',').unwrap_or(&tail[end + 1..]);
        }
        rest = &rest[1..];
    }
    let value: f64 = rest.strip_prefix(' ').expect("a space").parse().expect("a float");
    (name.to_owned(), labels, value.to_bits())
}

fn unescape(text: &str) -> String {
    let mut chars = text.chars();
    let mut plain = String::new();
    while let Some(c) = chars.next() {
        plain.push(match c {
            '\\' => match chars.next().expect("something behind a backslash") {
                'n' => '\n',
                other => other,
            },
            _ => c,
        });
    }
    plain
}

/// Text with what needs escaping in it more often than chance would have it.
fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![r#"[\\\n"n {},=#]{0,6}"#, any::<String>()]
}

fn any_families() -> impl Strategy<Value = Vec<Family>> {
    let labels = || proptest::collection::btree_map("[a-d]", any_text(), 0..3).prop_map(Labels::from_pairs);
    let number = (labels(), any::<f64>()).prop_map(|(labels, value)| Series { labels, value: Value::Number(value) });
    let buckets = (labels(), any::<[u32; 3]>(), 0.0..1e9)
        .prop_map(|(labels, counts, sum)| histogram(labels, &[0.1, 1.0], &counts.map(u64::from), sum));
    let numbers = ("[a-b](_x|_total|_seconds|_seconds_total)?", any_text(), 0..3_usize, proptest::collection::vec(number, 1..3));
    let histograms = ("[h-i]_(y|seconds)", any_text(), proptest::collection::vec(buckets, 1..3));
    let numbers = numbers.prop_map(|(name, help, kind, series)| {
        let kind = [MetricType::Counter, MetricType::Gauge, MetricType::Unknown][kind];
        Family { series, ..Family::new(name, kind, help, Origin::Host) }
    });
    let histograms =
        histograms.prop_map(|(name, help, series)| Family { series, ..Family::new(name, MetricType::Histogram, help, Origin::Host) });
    let summary = (labels(), any::<[f64; 2]>(), 0.0..1e9, any::<u32>()).prop_map(|(labels, [a, b], sum, count)| Series {
        labels,
        value: Value::Summary(Summary { quantiles: vec![(0.5, a), (0.99, b)], sum, count: count.into() }),
    });
    let summaries = ("[s-t]_(y|seconds)", any_text(), proptest::collection::vec(summary, 1..3))
        .prop_map(|(name, help, series)| Family { series, ..Family::new(name, MetricType::Summary, help, Origin::Agent) });
    proptest::collection::vec(prop_oneof![numbers, histograms, summaries], 0..4).prop_map(|mut families| {
        families.sort_by(|a, b| a.name.cmp(&b.name));
        families.dedup_by(|a, b| a.name == b.name);
        families
    })
}

fn expected_samples(families: &[Family]) -> Vec<(String, BTreeMap<String, String>, u64)> {
    let mut samples = Vec::new();
    for family in families {
        for series in &family.series {
            let labels: BTreeMap<String, String> = series.labels.iter().map(|(n, v)| (n.into(), v.into())).collect();
            match &series.value {
                Value::Number(value) => samples.push((family.name.to_string(), labels, value.to_bits())),
                Value::Histogram(histogram) => {
                    let mut below = 0.0;
                    for (le, count) in ["0.1", "1.0", "+Inf"].iter().zip(&histogram.counts) {
                        below += *count as f64;
                        let mut labels = labels.clone();
                        labels.insert("le".into(), (*le).into());
                        samples.push((format!("{}_bucket", family.name), labels, f64::to_bits(below)));
                    }
                    samples.push((format!("{}_sum", family.name), labels.clone(), histogram.sum.to_bits()));
                    samples.push((format!("{}_count", family.name), labels, f64::to_bits(below)));
                }
                Value::Summary(summary) => {
                    for (rank, value) in &summary.quantiles {
                        let mut labels = labels.clone();
                        labels.insert("quantile".into(), rank.to_string());
                        samples.push((family.name.to_string(), labels, value.to_bits()));
                    }
                    samples.push((format!("{}_sum", family.name), labels.clone(), summary.sum.to_bits()));
                    samples.push((format!("{}_count", family.name), labels, (summary.count as f64).to_bits()));
                }
            }
        }
    }
    // A NaN is written without its bits.
    for sample in &mut samples {
        if f64::from_bits(sample.2).is_nan() {
            sample.2 = "NaN".parse::<f64>().expect("a float").to_bits();
        }
    }
    samples
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn what_is_written_reads_back_the_same_in_both_formats(families in any_families()) {
        let plain = read(&text(Format::Text004, &families));
        prop_assert_eq!(&plain.samples, &expected_samples(&families));
        for family in &families {
            prop_assert_eq!(plain.help.get(&*family.name).map_or("", String::as_str), &*family.help);
        }

        let document = text(Format::OpenMetrics100, &families);
        let open = read(&document);
        prop_assert_eq!(&open.samples, &plain.samples);
        prop_assert!(document.ends_with("# EOF\n") && !document.contains("\n\n"));
        // No family was lost by taking another one's name.
        prop_assert_eq!(open.types.len(), families.len());
        prop_assert_eq!(open.help.values().collect::<std::collections::BTreeSet<_>>(), plain.help.values().collect());
    }
}
