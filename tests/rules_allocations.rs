//! What a round of alerting rules allocates in which nothing changes. This program counts what all of it allocates, so it has one test only.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "a test may fail")]

use std::alloc::System;
use std::fmt::Write;
use std::sync::Arc;

use sidewatch::history::Append;
use sidewatch::model::{Labels, RuleKind, Timestamp};
use sidewatch::promql::{Engine, EngineConfig};
use sidewatch::rules::{Probe, scratch};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Rounds until everything is as it stays.
const BEFORE: i64 = 5;
/// Rounds that are measured, all within the time in which a head of history takes what it is given without more room.
const MEASURED: i64 = 5;

/// The fewest allocations that a round takes with so many rules, each of which has so many alerts.
fn allocations(rules: usize, alerts: usize) -> usize {
    let folder = tempfile::tempdir().expect("a folder");
    let history = scratch();
    let engine = Arc::new(Engine::new(Arc::new(history.clone()), EngineConfig::default()));
    let mut text = "groups:\n- name: g\n  rules:\n".to_owned();
    for rule in 0..rules {
        writeln!(text, "  - alert: A{rule}\n    expr: x > 1\n    labels: {{severity: page}}\n    annotations: {{summary: too much}}")
            .expect("text");
    }
    let mut probe = Probe::new(&text, &history, engine, folder.path().to_owned()).expect("one group");
    let samples: Vec<_> = (0..200)
        .map(|x| (Labels::from_pairs([("__name__", "x"), ("i", &format!("{x:03}"))]), if x < alerts { 2.0 } else { 1.0 }))
        .collect();
    let mut fewest = usize::MAX;
    for round in 0..BEFORE + MEASURED {
        let at = Timestamp::from_millis(5_000 * round);
        history.append(at, &samples);
        let region = Region::new(ALLOCATOR);
        let shown = probe.evaluate(at);
        let change = region.change();
        let active = shown.rules.iter().map(|rule| match &rule.kind {
            RuleKind::Alerting { alerts, .. } => alerts.len(),
            RuleKind::Recording => 0,
        });
        assert_eq!(active.sum::<usize>(), rules * alerts);
        if round >= BEFORE {
            fewest = fewest.min(change.allocations);
        }
    }
    fewest
}

/// The bytes that so many rules keep which have never fired, with texts as rules have them.
fn kept(rules: usize) -> isize {
    let folder = tempfile::tempdir().expect("a folder");
    let history = scratch();
    let engine = Arc::new(Engine::new(Arc::new(history.clone()), EngineConfig::default()));
    let mut text = "groups:\n- name: g\n  rules:\n".to_owned();
    for rule in 0..rules {
        writeln!(
            text,
            "  - alert: A{rule}\n    expr: x > 1\n    labels: {{severity: page}}\n    annotations:\n      \
             summary: '{{{{ $labels.i }}}} has {{{{ $value | humanize }}}}'\n      \
             description: '{{{{ $value | printf \"%.0f\" }}}} of {{{{ $labels.i }}}} are too much.'\n      runbook_url: https://example.org/too-much"
        )
        .expect("text");
    }
    let region = Region::new(ALLOCATOR);
    let _probe = Probe::new(&text, &history, engine, folder.path().to_owned()).expect("one group");
    let change = region.change();
    let known = |bytes: usize| isize::try_from(bytes).expect("it fits in memory");
    known(change.bytes_allocated) - known(change.bytes_deallocated)
}

#[test]
fn a_round_in_which_nothing_changes_allocates_little() {
    let rule = (allocations(20, 0) - allocations(10, 0)) as f64 / 10.0;
    let alert = (allocations(1, 200) - allocations(1, 100)) as f64 / 100.0;
    println!("{rule} allocations a rule, {alert} an alert more");
    // Of an alert its labels, which are those of the series with others over them: the text and what shares it; and the value.
    // Of a rule what its query reads into, and its name and expression to be shown; of the series that are not alerts nothing.
    assert_eq!((rule, alert), (13.0, 3.0));
    let bytes = (kept(200) - kept(100)) / 100;
    println!("a rule with two templates keeps {bytes} bytes");
    assert!(bytes < 10_000, "{bytes}");
}
