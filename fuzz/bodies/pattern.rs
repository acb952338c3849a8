//! Regular expressions: none makes the reader panic, and where a comparison of texts decides, it decides as the automaton does.

use sidewatch::model::{Pattern, Rewrite};

/// A template, a pattern and values, each in a line.
pub(crate) fn pattern(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut lines = text.split('\n');
    let (Some(template), Some(pattern)) = (lines.next(), lines.next()) else { return };
    let (known, rewrite) = (Pattern::new(pattern), Rewrite::new(pattern));
    let Ok(rewrite) = rewrite else {
        // Only what a comparison decides has no size.
        if let (Ok(_), Err(error)) = (known, rewrite) {
            assert!(error.to_string().contains("expression too large"), "{error}");
        }
        return;
    };
    let known = known.unwrap_or_else(|error| panic!("{pattern}: {error}"));
    let values: Vec<&str> =
        ["", pattern, "a", "é\n"].into_iter().chain(lines).chain(known.values().unwrap_or(&[]).iter().map(String::as_str)).collect();
    for value in values {
        let rewritten = rewrite.apply(value, template);
        assert_eq!(known.is_match(value), rewritten.is_some(), "{pattern} on {value:?}");
        if template == "$0" {
            assert!(rewritten.is_none_or(|rewritten| rewritten == value), "{pattern} matched a part of {value:?}");
        }
        if let Some(values) = known.values() {
            assert_eq!(values.iter().any(|known| known == value), known.is_match(value), "{pattern} on {value:?}");
        }
    }
}
