//! A condition on one label: equal, not equal, or a regular expression over the whole value.

use std::fmt;

/// How a matcher compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MatchOp {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `=~`
    Regex,
    /// `!~`
    NotRegex,
}

impl MatchOp {
    /// The operator as it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Regex => "=~",
            Self::NotRegex => "!~",
        }
    }
}

/// A pattern that is no regular expression.
#[derive(Clone, Debug, thiserror::Error)]
#[error("error parsing regexp {pattern:?}")]
pub struct MatcherError {
    /// The pattern as written.
    pub pattern: String,
    /// What the regular expression compiler says.
    #[source]
    pub source: regex::Error,
}

/// One label condition. An absent label has the empty value.
#[derive(Clone, Debug)]
pub struct Matcher {
    name: String,
    op: MatchOp,
    value: String,
    regex: Option<regex::Regex>,
}

impl Matcher {
    /// Makes a matcher. A regular expression is anchored on both sides and its `.` matches a line feed.
    ///
    /// # Errors
    /// When the pattern does not compile, or compiles to more than 1 MiB.
    pub fn new(name: impl Into<String>, op: MatchOp, value: impl Into<String>) -> Result<Self, MatcherError> {
        let (name, value) = (name.into(), value.into());
        let regex = match op {
            MatchOp::Equal | MatchOp::NotEqual => None,
            MatchOp::Regex | MatchOp::NotRegex => Some(
                regex::RegexBuilder::new(&format!("^(?s:{value})$"))
                    .size_limit(1 << 20)
                    .build()
                    .map_err(|source| MatcherError { pattern: value.clone(), source })?,
            ),
        };
        Ok(Self { name, op, value, regex })
    }

    /// The label.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The comparison.
    #[must_use]
    pub const fn op(&self) -> MatchOp {
        self.op
    }

    /// The value or pattern as written.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.value
    }

    /// Whether a label's value (`""` where the label is absent) satisfies this.
    #[must_use]
    pub fn matches(&self, value: &str) -> bool {
        let regex = || self.regex.as_ref().is_some_and(|regex| regex.is_match(value));
        match self.op {
            MatchOp::Equal => value == self.value,
            MatchOp::NotEqual => value != self.value,
            MatchOp::Regex => regex(),
            MatchOp::NotRegex => !regex(),
        }
    }
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Self) -> bool {
        (&self.name, self.op, &self.value) == (&other.name, other.op, &other.value)
    }
}

impl Eq for Matcher {}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}{:?}", self.name, self.op.as_str(), self.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_covers_the_whole_value() {
        let matcher = Matcher::new("a", MatchOp::Regex, "x|y").expect("valid");
        assert!(matcher.matches("x") && matcher.matches("y") && !matcher.matches("xy"));
        assert!(Matcher::new("a", MatchOp::Regex, "a.b").expect("valid").matches("a\nb"));
    }

    #[test]
    fn an_absent_label_is_the_empty_value() {
        assert!(Matcher::new("a", MatchOp::NotEqual, "x").expect("valid").matches(""));
        assert!(Matcher::new("a", MatchOp::Regex, ".*").expect("valid").matches(""));
    }

    #[test]
    fn a_bad_pattern_is_an_error() {
        assert!(Matcher::new("a", MatchOp::Regex, "(").is_err());
    }
}
