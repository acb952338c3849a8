//! Durations as Prometheus writes them: `1h30m`, `500ms`, `0`. Units go from large to small, each at most once.
//! Source: prometheus/common `model/time.go` (ParseDuration), Prometheus documentation "Querying basics".

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

const UNITS: [(&str, i64); 7] =
    [("y", 365 * 86_400_000), ("w", 7 * 86_400_000), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Why a text is not a duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// Nothing there.
    #[error("empty duration string")]
    Empty,
    /// Not numbers with units from large to small.
    #[error("not a valid duration string: {0:?} (write it like 30s, 5m or 1h30m)")]
    Invalid(String),
    /// More than 2^63 nanoseconds, Prometheus's limit.
    #[error("duration out of range")]
    OutOfRange,
}

/// Reads a duration in milliseconds.
///
/// # Errors
/// When the text is empty, not in Prometheus's form, or beyond 2^63 ns (about 292 years).
pub fn parse_millis(text: &str) -> Result<i64, DurationError> {
    match text {
        "" => return Err(DurationError::Empty),
        "0" => return Ok(0),
        _ => {}
    }
    let invalid = || DurationError::Invalid(text.to_owned());
    let mut rest = text;
    let mut total: i64 = 0;
    let mut units = UNITS.iter();
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, tail) = rest.split_at(digits);
        let letters = tail.len() - tail.trim_start_matches(|c: char| c.is_ascii_alphabetic()).len();
        let (unit, tail) = tail.split_at(letters);
        if number.is_empty() {
            return Err(invalid());
        }
        // The shared iterator is what enforces the order: a unit that has been passed is not found again.
        let (_, millis) = units.find(|(name, _)| *name == unit).ok_or_else(invalid)?;
        let number: i64 = number.parse().map_err(|_| DurationError::OutOfRange)?;
        total = number
            .checked_mul(*millis)
            .and_then(|part| total.checked_add(part))
            .filter(|sum| *sum <= i64::MAX / 1_000_000)
            .ok_or(DurationError::OutOfRange)?;
        rest = tail;
    }
    Ok(total)
}

/// Writes milliseconds the way Prometheus prints a duration: `1h30m`, `90s` is `1m30s`, weeks and years only when exact.
#[must_use]
pub fn format_millis(millis: i64) -> String {
    if millis == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    if millis < 0 {
        text.push('-');
    }
    let mut left = millis.unsigned_abs();
    for (unit, size) in UNITS {
        let size = size.unsigned_abs();
        let exact_only = matches!(unit, "y" | "w");
        if left == 0 || (exact_only && !left.is_multiple_of(size)) {
            continue;
        }
        let count = left / size;
        if count > 0 {
            text.push_str(&count.to_string());
            text.push_str(unit);
            left %= size;
        }
    }
    text
}

/// A non-negative duration in configuration and rule files, read and written in Prometheus's form.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct PromDuration(Duration);

impl PromDuration {
    /// From whole milliseconds.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(Duration::from_millis(millis))
    }

    /// From whole seconds.
    #[must_use]
    pub const fn from_secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// The standard library's form.
    #[must_use]
    pub const fn get(self) -> Duration {
        self.0
    }

    /// Milliseconds, the unit of [`crate::model::Timestamp`].
    #[must_use]
    pub fn as_millis(self) -> i64 {
        i64::try_from(self.0.as_millis()).unwrap_or(i64::MAX)
    }

    /// True for `0s`.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.0.is_zero()
    }
}

impl std::str::FromStr for PromDuration {
    type Err = DurationError;
    fn from_str(text: &str) -> Result<Self, DurationError> {
        parse_millis(text).map(|millis| Self::from_millis(millis.unsigned_abs()))
    }
}

impl fmt::Display for PromDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&format_millis(self.as_millis()))
    }
}

impl serde::Serialize for PromDuration {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for PromDuration {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl schemars::JsonSchema for PromDuration {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "A duration in Prometheus's form, such as 500ms, 30s, 5m or 1h30m.",
            "pattern": "^(0|([0-9]+y)?([0-9]+w)?([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?)$"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prometheus_forms_are_read() {
        for (text, millis) in
            [("0", 0), ("0s", 0), ("324ms", 324), ("3s", 3_000), ("1h30m", 5_400_000), ("4d1h", 349_200_000), ("10y", 315_360_000_000)]
        {
            assert_eq!(parse_millis(text), Ok(millis), "{text}");
        }
    }

    #[test]
    fn other_forms_are_refused() {
        for text in ["1", "1y1m1d", "-1w", "1.5d", "d", "300000000y", "1m1m", "5 m", "01"] {
            assert!(parse_millis(text).is_err(), "{text}");
        }
        assert_eq!(parse_millis(""), Err(DurationError::Empty));
    }

    #[test]
    fn printing_gives_the_shortest_exact_form() {
        for (millis, text) in
            [(0, "0s"), (324, "324ms"), (90_000, "1m30s"), (7 * 86_400_000, "1w"), (8 * 86_400_000, "8d"), (-5_000, "-5s")]
        {
            assert_eq!(format_millis(millis), text);
        }
    }
}
