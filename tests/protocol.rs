//! The event language as `docs/protocol.md` specifies it, proved by vectors that any implementation can run:
//! `tests/protocol/vectors.ndjson`, read with the words at the top of that file. Here they go through the agent's own framing,
//! decoders, aggregation and registry, and what comes out has to be exactly what they say.

#![allow(clippy::expect_used, clippy::panic)] // a test may fail

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use sidewatch::model::{Exponential, Family, Labels, Series, Sign, Timestamp, Value};
use sidewatch::registry;

#[path = "protocol/vector.rs"]
mod vector;

use vector::{Expected, Exponent, Step, Vector, Vectors};

const SPECIFICATION: &str = include_str!("../docs/protocol.md");

/// When everything in a vector happens, unless it says how much later.
const AT: Timestamp = Timestamp::from_millis(1_800_000_000_000);

#[test]
fn every_vector_comes_out_as_it_says() {
    let Vectors { vectors, .. } = Vectors::read();
    let mut faults = String::new();
    for vector in &vectors {
        let (found, expected) = (found(vector), expected(vector));
        if found != expected {
            write!(faults, "\n{} ({})\n  expected {expected}\n  found    {found}\n", vector.name, vector.rule).expect("writes");
        }
    }
    assert!(faults.is_empty(), "{faults}");
    println!("{} vectors", vectors.len());
}

#[test]
fn every_rule_has_a_vector_or_says_where_it_is_proved() {
    let Vectors { header, vectors } = Vectors::read();
    let ruled: BTreeSet<&str> = rules().collect();
    let proved: BTreeSet<&str> = vectors.iter().map(|vector| vector.rule.as_str()).collect();
    let elsewhere: BTreeSet<&str> = header.proved_elsewhere.keys().map(String::as_str).collect();
    let strange: Vec<_> = proved.union(&elsewhere).filter(|rule| !ruled.contains(*rule)).collect();
    assert!(strange.is_empty(), "docs/protocol.md has no rules {strange:?}");
    let bare: Vec<_> = ruled.iter().filter(|rule| !proved.contains(*rule) && !elsewhere.contains(*rule)).collect();
    assert!(bare.is_empty(), "nothing proves the rules {bare:?}");
    for (rule, place) in &header.proved_elsewhere {
        let file = place.split(' ').next().unwrap_or_default();
        assert!(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(file).exists(), "{rule}: there is no {file}");
    }
}

#[test]
fn the_vectors_are_in_order() {
    let Vectors { header, vectors } = Vectors::read();
    let mut names = BTreeSet::new();
    for vector in &vectors {
        assert!(names.insert(&vector.name), "{} stands there twice", vector.name);
    }
    assert_eq!(header.buckets, registry::Config::default().buckets, "the buckets that vectors expect are the default ones");
    let version = SPECIFICATION.lines().find_map(|line| line.strip_prefix("Version ")).and_then(|rest| rest.split(['.', ',']).next());
    assert_eq!(header.protocol.split('.').next(), version, "the version of the vectors and of docs/protocol.md");
}

/// The identifiers of all rules: list items of the specification that begin with one in bold.
fn rules() -> impl Iterator<Item = &'static str> {
    SPECIFICATION.lines().filter_map(|line| line.strip_prefix("- **")?.split_once("** ")).map(|(rule, _)| rule)
}

/// What the agent makes of a vector, in words.
fn found(vector: &Vector) -> String {
    let probe = sidewatch::ingest::Probe::new(&vector.config.ingest, &vector.config.registry);
    let mut senders = BTreeMap::new();
    let mut at = AT;
    for step in &vector.send {
        match step {
            Step::Bytes { from, bytes } => {
                let sender = senders.entry(from.clone()).or_insert_with(|| probe.sender(vector.over.into()));
                sender.send(bytes, at);
                sender.flush(at);
            }
            Step::Gone(from) => {
                let mut sender = senders.remove(from).unwrap_or_else(|| panic!("{}: nobody is called {from}", vector.name));
                sender.end(at);
            }
            Step::Pass { millis } => {
                at = at.plus_millis(*millis);
                senders.values_mut().for_each(|sender| sender.flush(at));
                probe.look(at);
            }
            Step::Turn => probe.turn_sets(),
        }
    }
    for sender in senders.values_mut() {
        sender.end(at);
    }
    probe.look(at.plus_millis(1000));
    let refused = probe.counted("sidewatch_ingest_refused_total").into_iter().map(|(labels, count)| (labels.concat(), count)).collect();
    let lost = probe.counted("sidewatch_ingest_lost_total").into_iter().filter_map(|(labels, count)| match labels.as_slice() {
        [reason, sender] if reason == "gap" => Some((sender.clone(), count)),
        _ => None,
    });
    let gaps = lost.collect();
    let families = probe.families();
    shown(families.iter().flat_map(|family| family.series.iter().map(|series| line(family, series, vector))), &refused, &gaps)
}

fn line(family: &Family, series: &Series, vector: &Vector) -> String {
    let told = vector.series.iter().find(|expected| expected.is(&family.name, &series.labels));
    let head = format!("{} {}{}", family.kind.as_str(), family.name, series.labels);
    match &series.value {
        Value::Number(value) => format!("{head} {value}"),
        Value::Histogram(histogram) => {
            let bounds = histogram.bounds.iter().map(f64::to_string).chain(["+Inf".to_owned()]);
            let counts = bounds.zip(histogram.counts.iter().copied()).filter(|(_, count)| *count > 0);
            let exponential = told.and_then(|told| told.exponential.as_ref()).and(histogram.exponential.as_ref()).map(exponent);
            let exemplars = (0..histogram.counts.len()).filter_map(|bucket| histogram.exemplars.get(bucket));
            let exemplars = exemplars.map(|exemplar| (exemplar.trace_id.as_str().to_owned(), exemplar.value)).collect();
            format!("{head} {}", observations(histogram.count(), histogram.sum, &counts.collect(), exponential.as_ref(), &exemplars))
        }
        Value::Summary(_) => head,
    }
}

fn exponent(histogram: &Exponential) -> Exponent {
    let filled = |sign| histogram.filled(sign).collect();
    Exponent {
        schema: histogram.schema(),
        zero: histogram.zero_count(),
        positive: filled(Sign::Positive),
        negative: filled(Sign::Negative),
    }
}

/// What a vector expects, in the same words.
fn expected(vector: &Vector) -> String {
    let line = |expected: &Expected| {
        let head = format!("{} {}{}", expected.kind, expected.name, Labels::from_pairs(&expected.labels));
        match expected.value {
            Some(value) => format!("{head} {value}"),
            None => {
                let (count, sum) = (expected.count.expect("a count"), expected.sum.expect("a sum"));
                let (exponential, exemplars) = (expected.exponential.as_ref(), &expected.exemplars);
                format!("{head} {}", observations(count, sum, &expected.buckets, exponential, exemplars))
            }
        }
    };
    shown(vector.series.iter().map(line), &vector.refused, &vector.gaps)
}

fn observations(
    count: u64,
    sum: f64,
    buckets: &Vec<(String, u64)>,
    exponential: Option<&Exponent>,
    exemplars: &Vec<(String, f64)>,
) -> String {
    let exponential = exponential.map(|Exponent { schema, zero, positive, negative }| {
        format!(" schema {schema} zero {zero} positive {positive:?} negative {negative:?}")
    });
    let exponential = exponential.unwrap_or_default();
    let exemplars = if exemplars.is_empty() { String::new() } else { format!(" {exemplars:?}") };
    format!("count {count} sum {sum} {buckets:?}{exponential}{exemplars}")
}

fn shown(series: impl Iterator<Item = String>, refused: &BTreeMap<String, f64>, gaps: &BTreeMap<String, f64>) -> String {
    let mut series: Vec<_> = series.collect();
    series.sort();
    format!("{series:#?}, refused {refused:?}, gaps {gaps:?}")
}
