//! Templates: whatever a text is, it is expanded to a bounded text, or there is a reason why not, within a bounded time.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use sidewatch::clock;
use sidewatch::history::Append;
use sidewatch::model::{Labels, PromDuration, Timestamp};
use sidewatch::promql::{Engine, EngineConfig};
use sidewatch::rules::{expand_template, scratch};

/// The most bytes that docs/limits.md allows.
const TEXT_BYTES_MAX: usize = 64 << 10;
/// So long a text of a few kilobytes may take, in a build that checks everything on a busy machine.
const LIMIT: Duration = Duration::from_secs(10);

/// The first byte is about the value, the rest is a template.
pub(crate) fn template(data: &[u8]) {
    let Some((value, text)) = data.split_first() else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    let odd = [0.0, -0.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e308, 5e-324, 0.1, 1_234_567.891, -1e20];
    let value = odd.get(usize::from(*value)).copied().unwrap_or(f64::from(*value));
    let labels = Labels::from_pairs([("__name__", "up"), ("instance", "a:80"), ("job", "j"), ("le", "0.5"), ("ü", "<b>\"&'\n")]);
    let begun = clock::monotonic();
    match expand_template(text, &labels, value, Timestamp::from_millis(1_600_000_000_123), engine()) {
        Ok(expanded) => assert!(expanded.len() <= TEXT_BYTES_MAX, "{} bytes", expanded.len()),
        Err(reason) => assert!(!reason.is_empty()),
    }
    assert!(begun.elapsed() < LIMIT, "{:?}", begun.elapsed());
}

/// Some series to ask for.
fn engine() -> &'static Engine {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    ENGINE.get_or_init(|| {
        let history = scratch();
        let series: Vec<_> =
            (0..20_u8).map(|one| (Labels::from_pairs([("__name__", "up"), ("one", &one.to_string())]), f64::from(one))).collect();
        history.append(Timestamp::from_millis(1_600_000_000_000), &series);
        let config = EngineConfig { samples_max: 20_000, timeout: PromDuration::from_secs(1), ..EngineConfig::default() };
        Engine::new(Arc::new(history), config)
    })
}
