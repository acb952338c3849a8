//! An error with its causes on one line: `cannot read a: permission denied`.

use std::error::Error;

/// Every level's `Display` states its own level only; this joins them.
#[must_use]
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    #[test]
    fn causes_follow_their_effect() {
        #[derive(Debug, thiserror::Error)]
        #[error("cannot read {0}")]
        struct Outer(&'static str, #[source] std::io::Error);
        let error = Outer("a", std::io::Error::other("denied"));
        assert_eq!(super::chain(&error), "cannot read a: denied");
    }
}
