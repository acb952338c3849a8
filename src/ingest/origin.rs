//! What an event says of its sender beside its content.

use std::borrow::Cow;

use serde::Deserialize;

/// Longer names are none: they stand in a label of the agent's own.
const NAME_BYTES_MAX: usize = 128;

/// The sender of an event, and the event's number among those that it has sent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub(super) struct Origin<'a> {
    #[serde(borrow, default)]
    sender: Option<Cow<'a, str>>,
    /// The running number.
    #[serde(default)]
    pub(super) seq: Option<u64>,
}

impl<'a> Origin<'a> {
    /// As an event's fields say it.
    pub(super) fn new(sender: Option<&'a str>, seq: Option<u64>) -> Self {
        Self { sender: sender.map(Cow::Borrowed), seq }
    }

    /// Reads it from the line of an event that is refused. Where it cannot be read, nothing is known.
    pub(super) fn of(line: &'a str) -> Self {
        // Most events have neither; where there are escapes, there may be some in a key.
        if !line.contains("\"seq\"") && !line.contains("\"sender\"") && !line.contains('\\') {
            return Self::default();
        }
        serde_json::from_str(line).unwrap_or_default()
    }

    /// The sender's name for itself.
    pub(super) fn sender(&self) -> Option<&str> {
        self.sender.as_deref().filter(|name| !name.is_empty() && name.len() <= NAME_BYTES_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_may_say_who_sends_it() {
        let origin = |line: &str| {
            let origin = Origin::of(line);
            (origin.sender().map(str::to_owned), origin.seq)
        };
        assert_eq!(origin(r#"{"kind":"count","sender":"w1","seq":7,"tags":{"seq":"8"}}"#), (Some("w1".into()), Some(7)));
        assert_eq!(origin(r#"{"kind":"count","sender":"","seq":18446744073709551615}"#), (None, Some(u64::MAX)));
        assert_eq!(origin(r#"{"s\u0065q":9,"send\u0065r":"\u0077"}"#), (Some("w".into()), Some(9)));
        assert_eq!(origin(&format!(r#"{{"sender":"{}"}}"#, "x".repeat(129))), (None, None));
        for line in [r#"{"kind":"count"}"#, r#"{"seq":-1}"#, r#"{"seq":"#, r#"{"sender":1}"#] {
            assert_eq!(origin(line), (None, None), "{line}");
        }
    }
}
