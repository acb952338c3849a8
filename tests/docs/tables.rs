//! What the documentation's generated blocks hold, made from the code.

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use sidewatch::history::{self, History};
use sidewatch::model::{Timestamp, Unit, format_millis, unit_of_name};
use sidewatch::promql::{Engine, EngineConfig, EvalError, SIGNATURES, Signature, ValueType, Variadic, parse};
use sidewatch::promql::{QUERY_BYTES_MAX, QUERY_DEPTH_MAX, QUERY_REGEXES_MAX};
use sidewatch::telemetry::{MetricDoc, Telemetry};
use sidewatch::{app, collect, config, health, http, ingest, registry, rules};

type Make = fn() -> String;

/// What each generated block holds.
pub(super) const BLOCKS: &[(&str, Make)] = &[
    ("endpoints", endpoints),
    ("event fields", event_fields),
    ("event metrics", event_metrics),
    ("functions", functions),
    ("help", help),
    ("host metrics", host_metrics),
    ("limits", limits),
    ("lints", lints),
    ("options", config::options_table),
    ("own metrics", own_metrics),
    ("packs", packs),
    ("query limits", query_limits),
    ("refusals", refusals),
    ("rule test differences", rule_test_differences),
    ("signals", signals),
    ("statsd types", statsd_types),
    ("template functions", template_functions),
    ("template methods", template_methods),
    ("weights", weights),
];

/// Every limit of the configuration: its key, the metric that counts what it refuses, and what is said then.
pub(super) const LIMITS: &[(&str, &str, &str)] = &[
    ("collect.filesystem.mount_timeout", "`node_filesystem_device_error`", "the filesystem is shown by that metric alone"),
    (
        "ingest.frame_bytes_max",
        r#"`sidewatch_ingest_refused_total{reason="frame_too_large"}`, `{reason="truncated"}`"#,
        "the line, frame or datagram is refused",
    ),
    ("ingest.connections_max", "`sidewatch_ingest_connections`", "`/readyz?verbose`: all 1024 connections are taken, others wait"),
    (
        "ingest.datagram.senders_max",
        "`sidewatch_ingest_datagram_senders_evicted_total`",
        "nothing is refused: the one that was silent for longest is forgotten, and its part in merged gauges with it",
    ),
    (
        "ingest.senders_max",
        r#"`sidewatch_ingest_lost_total{sender="__other__"}`"#,
        "log: there are too many senders; losses of more are counted together, their numbers are not followed",
    ),
    (
        "ingest.bytes_per_second_max",
        r#"`sidewatch_ingest_pauses_total`, `sidewatch_ingest_lost_total{reason="quota"}`"#,
        "a connection of that sender is not read for a while, its datagrams are dropped",
    ),
    (
        "ingest.burst_bytes_max",
        r#"`sidewatch_ingest_pauses_total`, `sidewatch_ingest_lost_total{reason="quota"}`"#,
        "the same, where `ingest.bytes_per_second_max` is set",
    ),
    (
        "ingest.series_per_sender_max",
        r#"`sidewatch_ingest_lost_total{reason="sender_limit"}`"#,
        "the new series is refused, known ones go on; the sender may make new ones over the day",
    ),
    ("ingest.idle_timeout", r#"`sidewatch_ingest_connections_closed_total{reason="idle"}`"#, "the connection is closed"),
    ("ingest.labels_max", r#"`sidewatch_ingest_refused_total{reason="too_many_labels"}`"#, "the event is refused"),
    ("ingest.label_value_bytes_max", r#"`sidewatch_ingest_refused_total{reason="label_too_long"}`"#, "the event is refused"),
    (
        "ingest.name_bytes_max",
        r#"`sidewatch_ingest_refused_total{reason="name_too_long"}`"#,
        "the event is refused; a longer label name is `label_too_long`",
    ),
    ("ingest.flush_series", "`sidewatch_ingest_batches_total`", "nothing is refused: the session hands over early"),
    (
        "ingest.session_bytes_max",
        "`sidewatch_ingest_batches_total`",
        "nothing is refused: the session hands over and works out names and labels again",
    ),
    (
        "ingest.sessions_bytes_max",
        "`sidewatch_ingest_sessions_bytes`, `sidewatch_ingest_sessions_curtailed_total`",
        "nothing is refused: sessions that remember more than 32 KiB hand over and work out names and labels again; log: sessions take too much memory",
    ),
    (
        "ingest.open_requests_max",
        r#"`sidewatch_ingest_refused_total{reason="open_requests"}`"#,
        "the request is not among the active ones; its end is counted",
    ),
    ("ingest.open_request_timeout", "`sidewatch_ingest_abandoned_requests_total`", "the request counts as active no longer"),
    (
        "ingest.open_tasks_max",
        r#"`sidewatch_ingest_refused_total{reason="open_tasks"}`"#,
        "the task counts in no state; its end is counted",
    ),
    ("ingest.open_task_timeout", "`sidewatch_ingest_abandoned_tasks_total`", "the task counts in no state any longer"),
    (
        "registry.series_max",
        "`sidewatch_registry_collapsed_labels`, `sidewatch_registry_redirected_changes_total`",
        "nothing is refused: in new series labels become `__other__`, [see below](#more-series-than-there-is-room-for); `/readyz?verbose`: too many series",
    ),
    (
        "registry.series_per_metric_max",
        "`sidewatch_registry_collapsed_labels`, `sidewatch_registry_redirected_changes_total`",
        "the same, for this metric",
    ),
    ("registry.journal.bytes_max", "`sidewatch_journal_bytes`", "nothing is refused: all series are saved, and the journal begins anew"),
    (
        "registry.journal.buffer_bytes_max",
        r#"`sidewatch_journal_given_up_total{reason="buffer"}`"#,
        "`/readyz?verbose`: in memory alone: the disk does not take what is written",
    ),
    ("registry.families_max", r#"`sidewatch_registry_refused_total{reason="series_limit"}`"#, "the new name is refused, known ones go on"),
    (
        "registry.bytes_max",
        "`sidewatch_registry_bytes`, `sidewatch_registry_shed_total`",
        "what is least missed is given up first, see [memory](#memory); at last new names are refused as `memory`; `/readyz?verbose`: memory is short",
    ),
    (
        "history.bytes_max",
        r#"`sidewatch_history_samples_dropped_total{reason="budget"}`"#,
        "the oldest samples go; where there is no room for a series and its newest samples, it is refused as over `history.series_max`",
    ),
    (
        "history.series_max",
        r#"`sidewatch_history_samples_refused_total{reason="over_limit"}`"#,
        "`/readyz?verbose`: … series are over the limit and not stored",
    ),
    (
        "notify.queue_max",
        r#"`sidewatch_notify_dropped_total{reason="queue_full"}`"#,
        "log: too many notifications wait; the oldest are given up, what is over already first",
    ),
    (
        "notify.silences_max",
        r#"`sidewatch_notify_silences`, `sidewatch_http_requests_total{code="400"}`"#,
        "there are … silences already, which is the most there may be; of those that are over the oldest are forgotten",
    ),
    (
        "notify.alertmanagers[].timeout",
        "`prometheus_notifications_errors_total`",
        "`/readyz?verbose`: no answer within 10 s; it is tried again",
    ),
    ("notify.webhooks[].timeout", "`sidewatch_notify_errors_total`", "the same"),
    ("notify.webhooks[].per_minute_max", "`sidewatch_notify_queue_length`", "nothing is refused: alerts wait, and go together"),
    ("notify.commands[].timeout", "`sidewatch_notify_errors_total`", "the command is killed, and started again later"),
    ("notify.commands[].per_minute_max", "`sidewatch_notify_queue_length`", "nothing is refused: alerts wait, and go together"),
    (
        "heartbeat.timeout",
        r#"`sidewatch_heartbeat_sent_total{outcome="failed"}`"#,
        "`/readyz?verbose`: no answer within 10 s; the next one is sent in its time",
    ),
    (
        "promql.samples_max",
        r#"`sidewatch_http_requests_total{code="422"}`"#,
        "query processing would load too many samples into memory in query execution",
    ),
    ("promql.timeout", r#"`sidewatch_http_requests_total{code="503"}`"#, "query timed out in expression evaluation"),
    ("promql.steps_max", r#"`sidewatch_http_requests_total{code="400"}`"#, "exceeded maximum resolution of 11,000 points per timeseries"),
    ("health.services_max", "`sidewatch_health_service_score`", "nothing is refused: more services are judged together, as `__other__`"),
    (
        "health.agent_check.connections_max",
        "`sidewatch_health_agent_check_connections_total`",
        "nothing is refused: others wait in the kernel's queue",
    ),
    ("health.agent_check.timeout", r#"`sidewatch_health_agent_check_connections_total{outcome="failed"}`"#, "the connection is closed"),
    ("http.connections_max", "`sidewatch_http_connections`", "nothing is refused: others wait in the kernel's queue"),
    ("http.header_bytes_max", r#"`sidewatch_http_refused_total{reason="header_too_large"}`"#, "431"),
    (
        "http.body_bytes_max",
        r#"`sidewatch_http_refused_total{reason="body_too_large"}`"#,
        "413: the body is larger than 1048576 bytes (http.body_bytes_max)",
    ),
    ("http.header_timeout", r#"`sidewatch_http_refused_total{reason="header_timeout"}`"#, "the connection is closed"),
    (
        "http.request_timeout",
        r#"`sidewatch_http_refused_total{reason="timeout"}`"#,
        "503: no answer within 30s; http.request_timeout is the most there is",
    ),
    (
        "http.query_concurrency",
        r#"`sidewatch_http_request_duration_seconds`, `sidewatch_http_refused_total{reason="slow"}`"#,
        "others wait for their turn; a large answer that is read slowly is broken off when another one needs its place",
    ),
    ("http.metrics_concurrency", "`sidewatch_http_request_duration_seconds`", "nothing is refused: others wait for their turn"),
    ("shutdown.deadline", "—", "log: not everything was drained in time"),
];

fn table(head: &str, rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = format!("| {head} |\n|{}\n", " --- |".repeat(head.split(" | ").count()));
    for row in rows {
        // Writing into a string cannot fail.
        let _infallible = writeln!(table, "| {} |", row.iter().map(|cell| cell.replace('|', "\\|")).collect::<Vec<_>>().join(" | "));
    }
    table
}

fn code(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("`{text}`") }
}

fn lints() -> String {
    table("lint | finds", rules::LINTS.iter().map(|(name, finds)| vec![code(name), (*finds).to_owned()]))
}

/// What the first lines of the files say that promtool 2.42 runs with another result.
fn rule_test_differences() -> String {
    let mut files: Vec<_> = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rule_tests/differ"))
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.sort();
    let mut table = "| test file | cause |\n| --- | --- |\n".to_owned();
    for file in files {
        let text = fs::read_to_string(&file).expect("readable");
        let cause = text.lines().next().and_then(|line| line.strip_prefix("# cause: ")).expect("a cause");
        let name = file.file_name().expect("a name").to_string_lossy();
        table += &format!("| [{name}](../tests/rule_tests/differ/{name}) | {cause} |\n");
    }
    table
}

fn statsd_types() -> String {
    let rows = ingest::conformance().into_iter().map(|row| {
        let suffix = if row.kind.starts_with('_') { "its own name".to_owned() } else { code(&row.suffix) };
        let kind = codes(row.kind.split(", "));
        let type_and_dialect = if row.dialect.is_empty() { kind } else { format!("{kind} ({})", row.dialect) };
        let lines = |text: &str| codes(text.split(" ⏎ "));
        vec![
            type_and_dialect,
            row.unit.to_owned(),
            row.becomes.to_owned(),
            suffix,
            row.name_unit.to_owned(),
            lines(row.lines),
            lines(&row.shows),
        ]
    });
    table("type | unit of its values | Prometheus type | name gets | unit of the name | example | shows", rows)
}

fn codes<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    texts.into_iter().map(code).collect::<Vec<_>>().join(", ")
}

fn host_metrics() -> String {
    let rows = collect::described().map(|(collector, family)| {
        vec![
            code(family.name),
            family.kind.as_str().to_owned(),
            codes(family.labels.iter().copied()),
            code(collector),
            family.help.to_owned(),
        ]
    });
    table("metric | type | labels | collector | meaning", rows)
}

fn own_metrics() -> String {
    let row = |doc: &MetricDoc| {
        vec![code(&doc.name), doc.kind.as_str().to_owned(), codes(doc.labels.iter().map(String::as_str)), doc.help.clone()]
    };
    table("metric | type | labels | meaning", app::metrics().expect("built").iter().map(row))
}

fn event_fields() -> String {
    let mut rows: Vec<(&ingest::Field, Vec<&str>)> = Vec::new();
    for kind in ingest::KINDS {
        for field in kind.fields() {
            match rows.iter_mut().find(|(known, _)| (known.name, known.takes, known.help) == (field.name, field.takes, field.help)) {
                Some((_, kinds)) => kinds.push(kind.name),
                None => rows.push((field, vec![kind.name])),
            }
        }
    }
    let takes = |takes| match takes {
        ingest::Takes::Text => "text".to_owned(),
        ingest::Takes::Word(words) => codes(words.iter().copied()),
        ingest::Takes::Number => "number".to_owned(),
        ingest::Takes::Whole => "whole number".to_owned(),
        ingest::Takes::Texts => "object of texts".to_owned(),
        ingest::Takes::Numbers => "object of numbers".to_owned(),
    };
    let of = |kinds: &[&str]| if kinds.len() == ingest::KINDS.len() { "all".to_owned() } else { codes(kinds.iter().copied()) };
    table(
        "field | of | takes | meaning",
        rows.into_iter().map(|(field, kinds)| vec![code(field.name), of(&kinds), takes(field.takes), field.help.to_owned()]),
    )
}

fn event_metrics() -> String {
    let mut rows = Vec::new();
    for kind in ingest::KINDS {
        for group in kind.groups {
            for instrument in group.instruments {
                rows.push(vec![
                    code(kind.name),
                    codes(instrument.from.split(", ")),
                    code(instrument.name),
                    instrument.kind.as_str().to_owned(),
                    codes(group.labels.iter().copied()) + if group.tagged { " +" } else { "" },
                    unit_of_name(instrument.name).map(Unit::as_str).unwrap_or_default().to_owned(),
                    instrument.help.to_owned(),
                ]);
            }
        }
    }
    let others = registry::described().map(|(name, help)| {
        let kind = if name.ends_with("_total") { "counter" } else { "gauge" };
        vec![String::new(), String::new(), code(name), kind.to_owned(), String::new(), String::new(), help.to_owned()]
    });
    table("kind | field | metric | type | labels | unit | meaning", rows.into_iter().chain(others))
}

fn refusals() -> String {
    let row = |reason: ingest::Refusal| vec![code(reason.as_str()), reason.to_string()];
    table("reason | what it says", ingest::Refusal::ALL.map(row))
}

fn endpoints() -> String {
    table(
        "path | methods | what it answers",
        http::endpoints().map(|one| vec![code(one.path), one.methods.to_owned(), one.help.to_owned()]),
    )
}

fn limits() -> String {
    let options = config::options_table();
    let default = |key: &str| {
        let row = options.lines().find(|row| row.starts_with(&format!("| `{key}` |"))).expect("a key of the configuration");
        row.split(" | ").nth(1).expect("a default").to_owned()
    };
    table(
        "key | default | metric | what happens then",
        LIMITS.iter().map(|(key, metric, message)| vec![code(key), default(key), (*metric).to_owned(), (*message).to_owned()]),
    )
}

fn packs() -> String {
    let set = rules::load(&rules::Config::default());
    assert!(set.problems.is_empty(), "{:?}", set.problems);
    let rows = set.groups.iter().flat_map(|group| {
        group
            .rules()
            .map(|rule| {
                let summary = rule.annotations.get("description").unwrap_or_default().split(". ").next().unwrap_or_default();
                vec![
                    code(group.name()),
                    code(rule.name),
                    rule.labels.get("severity").unwrap_or_default().to_owned(),
                    rule.threshold.map(|threshold| threshold.to_string()).unwrap_or_default(),
                    format_millis(rule.timing.for_millis),
                    format!("{}.", plain(summary).trim_end_matches('.')),
                ]
            })
            .collect::<Vec<_>>()
    });
    table("pack | alert | severity | threshold | for | when", rows)
}

/// A template's text with names in place of actions.
fn plain(template: &str) -> String {
    let mut text = String::new();
    for part in template.split("{{") {
        match part.split_once("}}") {
            Some((action, rest)) => {
                let name = action.trim().trim_start_matches("$labels.").trim_start_matches('$').split(' ').next().unwrap_or_default();
                text.push_str(&format!("*{}*{rest}", name.replace('_', " ")));
            }
            None => text.push_str(part),
        }
    }
    text
}

fn query_limits() -> String {
    format!("Its text may have {QUERY_BYTES_MAX} bytes, {QUERY_REGEXES_MAX} regular expressions, and be nested {QUERY_DEPTH_MAX} deep.")
}

fn template_functions() -> String {
    let rows = rules::template_functions().map(|function| {
        let call = format!("{} {}", function.name, function.usage);
        vec![code(call.trim_end()), function.meaning.to_owned()]
    });
    table("function | gives", rows)
}

fn template_methods() -> String {
    table("value | methods", rules::template_methods().map(|(value, names)| vec![code(value), codes(names)]))
}

fn weights() -> String {
    let weights = health::Config::default().weights;
    let alert = |(severity, points): (&String, &f64)| vec![format!("a firing alert with `severity: {severity}`"), points.to_string()];
    let mut rows: Vec<_> = weights.severity.iter().map(alert).collect();
    rows.push(vec!["a firing alert with another severity, or none".to_owned(), weights.other_severity.to_string()]);
    rows.push(vec!["a part of the agent that is `failed`".to_owned(), weights.part_failed.to_string()]);
    rows.push(vec!["a part of the agent that is `degraded`".to_owned(), weights.part_degraded.to_string()]);
    table("reason | points", rows)
}

fn signals() -> String {
    let row = |(name, signal): (&String, &Option<health::Signal>)| {
        let signal = signal.as_ref()?;
        let guard = signal.count_min.map_or_else(String::new, |least| format!("{least} events"));
        let numbers = [signal.good, signal.bad, signal.weight].map(|number| number.to_string());
        let summary = signal.summary.clone().unwrap_or_default();
        Some([vec![code(name), summary], numbers.into(), vec![guard, codes(signal.alerts.iter().map(String::as_str))]].concat())
    };
    let rows: Vec<_> = health::Config::default().signals.iter().filter_map(row).collect();
    table("signal | value | good | bad | weight | judged from | covers or is covered by", rows)
}

fn functions() -> String {
    let config = history::Config::default();
    let options = EngineConfig { experimental: true, ..EngineConfig::default() };
    let engine = Engine::new(Arc::new(History::new(&config, &Telemetry::new())), options);
    let row = |signature: &Signature| {
        let state = match (evaluates(&engine, signature), signature.experimental) {
            (true, false) => "yes",
            (true, true) => "if `promql.experimental`",
            (false, _) => "no",
        };
        vec![code(&call(signature)), signature.doc.to_owned(), state.to_owned()]
    };
    let rows: Vec<_> = SIGNATURES.iter().map(row).collect();
    table("function | result | evaluated", rows)
}

/// `name(arguments)`, optional ones in brackets.
fn call(signature: &Signature) -> String {
    let mut args: Vec<String> = signature.args.iter().map(|kind| short(*kind).to_owned()).collect();
    if signature.variadic != Variadic::No
        && let Some(last) = args.pop()
    {
        let more = if signature.variadic == Variadic::UpTo(1) { "" } else { ", …" };
        args.push(format!("[{last}{more}]"));
    }
    format!("{}({})", signature.name, args.join(", "))
}

const fn short(kind: ValueType) -> &'static str {
    match kind {
        ValueType::Scalar => "scalar",
        ValueType::Vector => "vector",
        ValueType::Matrix => "range",
        ValueType::String => "string",
    }
}

/// Asks the engine itself.
fn evaluates(engine: &Engine, signature: &Signature) -> bool {
    let arg = |kind: &ValueType| match kind {
        ValueType::Scalar => "1",
        ValueType::Vector => "vector(1)",
        ValueType::Matrix => "up[1m]",
        ValueType::String => "\"a\"",
    };
    let args: Vec<&str> = signature.args.iter().map(arg).collect();
    // Some take a selector only, or a text that means something to them.
    let query = match signature.name {
        "info" => "info(up)".to_owned(),
        name => format!("{name}({})", args.join(", ")),
    };
    let expr = parse(&query).unwrap_or_else(|error| panic!("{query}: {error}"));
    !matches!(engine.instant(&expr, Timestamp::from_millis(0)), Err(EvalError::Unsupported(_)))
}

fn help() -> String {
    let mut text = String::new();
    for words in [
        vec![],
        vec!["run"],
        vec!["check"],
        vec!["check", "rules"],
        vec!["test", "rules"],
        vec!["backtest"],
        vec!["query"],
        vec!["send"],
        vec!["health"],
        vec!["silence"],
        vec!["silence", "add"],
        vec!["silence", "list"],
        vec!["silence", "expire"],
        vec!["reload"],
        vec!["completions"],
    ] {
        let shown = Command::new(env!("CARGO_BIN_EXE_sidewatch")).args(&words).arg("--help").env("COLUMNS", "100").output().expect("run");
        let help = String::from_utf8(shown.stdout).expect("text");
        let title = [&["sidewatch"], words.as_slice()].concat().join(" ");
        text.push_str(&format!("## {title}\n\n```text\n{}\n```\n\n", help.trim_end()));
    }
    text
}
