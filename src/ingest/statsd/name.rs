//! What StatsD's own server makes of a name before it keeps it. Source: `stats.js` (`sanitizeKeyName`), `docs/server.md`.

use crate::model::Text;

/// Whitespace in a row becomes one `_`, `/` becomes `-`, and what is not of `[a-zA-Z_\-0-9.;=]` goes.
pub(super) fn clean(name: Text<'_>) -> Text<'_> {
    if name.chars().all(kept) {
        return name;
    }
    let mut clean = String::with_capacity(name.len());
    let mut blank = false;
    for character in name.chars() {
        if character.is_whitespace() {
            if !blank {
                clean.push('_');
            }
        } else if character == '/' {
            clean.push('-');
        } else if kept(character) {
            clean.push(character);
        }
        blank = character.is_whitespace();
    }
    Text::Owned(clean)
}

const fn kept(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '_' | '-' | '.' | ';' | '=')
}
