//! A condition on one label: equal, not equal, or a regular expression over the whole value.

use std::fmt;

use super::pattern::{Pattern, PatternError};

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

/// One label condition. An absent label has the empty value.
#[derive(Clone, Debug)]
pub struct Matcher {
    name: String,
    op: MatchOp,
    value: String,
    pattern: Option<Pattern>,
}

impl Matcher {
    /// Makes a matcher. A regular expression means what it means in Go, is anchored on both sides, and its `.` matches a
    /// line feed.
    ///
    /// # Errors
    /// When the pattern is none, or exceeds a limit: see [`Pattern::new`].
    pub fn new(name: impl Into<String>, op: MatchOp, value: impl Into<String>) -> Result<Self, PatternError> {
        let (name, value) = (name.into(), value.into());
        let pattern = match op {
            MatchOp::Equal | MatchOp::NotEqual => None,
            MatchOp::Regex | MatchOp::NotRegex => Some(Pattern::new(&value)?),
        };
        Ok(Self { name, op, value, pattern })
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
        let pattern = || self.pattern.as_ref().is_some_and(|pattern| pattern.is_match(value));
        match self.op {
            MatchOp::Equal => value == self.value,
            MatchOp::NotEqual => value != self.value,
            MatchOp::Regex => pattern(),
            MatchOp::NotRegex => !pattern(),
        }
    }

    /// The only values that satisfy this, in order, where they are few enough to be listed: those of `=` and of
    /// `=~"a|b|c"`. An index looks them up instead of asking for each value that it has.
    #[must_use]
    pub fn values(&self) -> Option<&[String]> {
        match self.op {
            MatchOp::Equal => Some(std::slice::from_ref(&self.value)),
            MatchOp::Regex => self.pattern.as_ref().and_then(Pattern::values),
            MatchOp::NotEqual | MatchOp::NotRegex => None,
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
    fn the_values_that_match_are_listed_where_they_are_few() {
        let values = |op, value| Matcher::new("a", op, value).expect("valid").values().map(<[String]>::to_vec);
        assert_eq!(values(MatchOp::Equal, "x.y"), Some(vec!["x.y".to_owned()]));
        assert_eq!(values(MatchOp::Regex, "b|a"), Some(vec!["a".to_owned(), "b".to_owned()]));
        assert_eq!(values(MatchOp::NotRegex, "b|a"), None);
        assert_eq!(values(MatchOp::Regex, "a.*"), None);
    }

    #[test]
    fn a_bad_pattern_is_an_error() {
        assert!(Matcher::new("a", MatchOp::Regex, "(").is_err());
    }
}
