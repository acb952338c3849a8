//! Rule files: whatever a text is, it is read or its problems are told, each at a place in it, within a bounded time; what is valid can be looked
//! through for probable mistakes.

use std::time::Duration;

use sidewatch::clock;
use sidewatch::promql::EngineConfig;
use sidewatch::rules::{Inventory, LINTS, LintContext, check_text, duplicates, lint};

/// So long a text of a few kilobytes may take, in a build that checks everything on a busy machine.
const LIMIT: Duration = Duration::from_secs(10);

/// A rule file's text.
pub(crate) fn rules(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let begun = clock::monotonic();
    let set = check_text("f.yml", text);
    // All that ends a line in YAML 1.1.
    let lines = 1 + text.matches(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}']).count();
    for problem in set.problems.iter().chain(&set.warnings) {
        assert!((1..=lines + 1).contains(&problem.position.line), "{problem}: {lines} lines");
        assert!(!problem.message.is_empty() && !problem.render(false).is_empty());
    }
    assert_eq!((set.loaded, set.broken), if set.problems.is_empty() { (1, 0) } else { (0, 1) });
    let (engine, inventory) = (EngineConfig::default(), Inventory::default());
    let lints = LINTS.iter().map(|(name, _)| *name).collect();
    let context = LintContext { lints: &lints, resolution_millis: 5_000, kept_millis: 3_600_000, engine: &engine, inventory: &inventory };
    for finding in lint("f.yml", text, &set.groups, &context) {
        assert!(!finding.diagnostic.message.is_empty());
    }
    drop(duplicates(&set.groups));
    assert!(begun.elapsed() < LIMIT, "{:?}", begun.elapsed());
}
