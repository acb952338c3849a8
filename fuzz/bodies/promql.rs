//! Queries: what is printed reads back as the same query, and whatever a query asks, the evaluator answers or says why not.

use std::collections::HashSet;
use std::sync::{Arc, OnceLock};

use sidewatch::history::{self, Append, History};
use sidewatch::model::{Labels, PromDuration, Timestamp, is_stale, stale_marker};
use sidewatch::promql::{Engine, EngineConfig, Expr, QUERY_BYTES_MAX, Value, parse};
use sidewatch::telemetry::Telemetry;

/// The bits of the first byte switch options, the rest is a query.
pub(crate) fn promql(data: &[u8]) {
    let Some((options, query)) = data.split_first() else { return };
    let Ok(query) = std::str::from_utf8(query) else { return };
    let Ok(expr) = parse(query) else { return };
    printed_as_read(&expr);
    let config = EngineConfig {
        samples_max: 20_000,
        steps_max: 100,
        timeout: PromDuration::from_secs(5),
        delayed_name_removal: options & 1 != 0,
        experimental: options & 2 != 0,
        ..EngineConfig::default()
    };
    let engine = Engine::new(Arc::new(history().clone()), config);
    for seconds in [0, 301, -7] {
        if let Ok(answer) = engine.instant(&expr, Timestamp::from_millis(seconds * 1000)) {
            sound(&answer.value);
        }
    }
    if let Ok(answer) = engine.range(&expr, Timestamp::from_millis(-60_000), Timestamp::from_millis(660_000), 45_000) {
        sound(&answer.value);
    }
}

fn printed_as_read(expr: &Expr) {
    let printed = expr.to_string();
    if printed.len() > QUERY_BYTES_MAX {
        return;
    }
    match parse(&printed) {
        Ok(again) => assert_eq!(again, *expr, "{printed}"),
        Err(error) => panic!("{printed}: {error}"),
    }
}

/// No series is there twice or without samples, and what stands for no value does not come out.
fn sound(value: &Value) {
    match value {
        Value::Scalar(_) | Value::String(_) => {}
        Value::Vector(samples) => {
            let distinct: HashSet<String> = samples.iter().map(|sample| sample.labels.to_string()).collect();
            assert_eq!(distinct.len(), samples.len(), "{samples:?}");
            assert!(samples.iter().all(|sample| !is_stale(sample.value)), "{samples:?}");
        }
        Value::Matrix(matrix) => {
            assert!(matrix.iter().zip(matrix.iter().skip(1)).all(|(one, next)| one.labels < next.labels), "{matrix:?}");
            for series in matrix {
                assert!(!series.samples.is_empty() && series.samples.iter().all(|sample| !is_stale(sample.value)), "{series:?}");
                assert!(series.samples.iter().zip(series.samples.iter().skip(1)).all(|(one, next)| one.at < next.at), "{series:?}");
            }
        }
    }
}

type Pairs = &'static [(&'static str, &'static str)];

/// Ten minutes of series of every kind, with gaps, resets, stale markers and what is no number.
fn history() -> &'static History {
    static HISTORY: OnceLock<History> = OnceLock::new();
    HISTORY.get_or_init(|| {
        let history = History::new(&history::Config::default(), &Telemetry::new());
        for step in 0..60_i32 {
            let count = f64::from(step % 25);
            let odd = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0, 1e308, stale_marker()];
            let odd = odd.get(usize::try_from(step).unwrap_or(0) % 7).copied();
            let all: [(Pairs, Option<f64>); 10] = [
                (&[("__name__", "foo"), ("a", "x"), ("job", "j"), ("instance", "i")], Some(f64::from(step))),
                (&[("__name__", "foo"), ("a", "y"), ("job", "j")], Some(f64::from(-step)).filter(|_| step % 3 == 0)),
                (&[("__name__", "a:b"), ("a", "x")], odd),
                (&[("__name__", "c_total"), ("a", "x"), ("__type__", "counter")], Some(count)),
                (&[("__name__", "c_total"), ("a", "y"), ("__type__", "counter")], Some(count).filter(|_| step > 30)),
                (&[("__name__", "h_bucket"), ("le", "0.1")], Some(count)),
                (&[("__name__", "h_bucket"), ("le", "1")], Some(count / 2.0)),
                (&[("__name__", "h_bucket"), ("le", "+Inf")], Some(2.0 * count)),
                (&[("__name__", "target_info"), ("job", "j"), ("instance", "i"), ("version", "1")], Some(1.0).filter(|_| step < 20)),
                (&[("__name__", "target_info"), ("job", "j"), ("instance", "i"), ("version", "2")], Some(1.0).filter(|_| step > 15)),
            ];
            let present = all.into_iter().filter_map(|(pairs, value)| Some((Labels::from_pairs(pairs.iter().copied()), value?)));
            history.append(Timestamp::from_millis(i64::from(step) * 10_000), &present.collect::<Vec<_>>());
        }
        history
    })
}
