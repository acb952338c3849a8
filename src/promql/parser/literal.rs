//! Numbers, durations and strings: from the text to the value.
//! Source: Go's `strconv.ParseInt(s, 0, 64)` and `ParseFloat`, prometheus/common `model.ParseDuration`.

use super::super::ast::Number;
use super::super::error::Problem;
use super::super::quote::{quote, quote_bytes, unquote};
use super::super::token::{Token, TokenKind};
use super::{Parser, Result};

/// The longest duration in seconds: 2^63 nanoseconds.
pub(super) const DURATION_SECONDS_MAX: f64 = (1_u64 << 63) as f64 / 1e9;

/// The units from long to short, in milliseconds.
const UNITS: [(&str, u64); 7] =
    [("y", 365 * 86_400_000), ("w", 7 * 86_400_000), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

impl Parser<'_> {
    /// A number or a duration, if one is next.
    pub(super) fn number(&mut self) -> Result<Option<Number>> {
        let token = self.peek()?;
        let is_duration = token.kind == TokenKind::Duration;
        if !is_duration && token.kind != TokenKind::Number {
            return Ok(None);
        }
        self.take()?;
        let text = token.span.text(self.query);
        let value = if is_duration { seconds(text) } else { float(text) };
        let value = value.map_err(|message| Problem::new(token.span, message))?;
        Ok(Some(Number { value, is_duration }))
    }

    /// The text of a string literal.
    pub(super) fn text(&self, literal: Token) -> Result<String> {
        let quoted = literal.span.text(self.query);
        unquote(quoted).map_err(|_| Problem::new(literal.span, format!("error unquoting string {}: invalid UTF-8", quote(quoted))))
    }

    /// A literal that is no UTF-8 cannot be the name of a label. Prometheus says so only when it evaluates the query.
    pub(super) fn label_name(&self, literal: Token) -> Result<()> {
        match unquote(literal.span.text(self.query)) {
            Err(bytes) => Err(Problem::new(literal.span, format!("invalid label name {}", quote_bytes(&bytes)))),
            Ok(_) => Ok(()),
        }
    }
}

/// A number as Go reads it: whole numbers may be hexadecimal or, with a leading zero, octal.
fn float(text: &str) -> std::result::Result<f64, String> {
    let digits = text.replace('_', "");
    let hex = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X"));
    let octal = digits.strip_prefix('0').filter(|rest| !rest.is_empty());
    let whole = match (hex, octal) {
        (Some(hex), _) => i64::from_str_radix(hex, 16),
        (None, Some(octal)) => i64::from_str_radix(octal, 8),
        (None, None) => digits.parse::<i64>(),
    };
    if let Ok(whole) = whole {
        return Ok(whole as f64);
    }
    let reason = match digits.parse::<f64>() {
        Ok(value) if value.is_finite() || text.bytes().all(|byte| byte.is_ascii_alphabetic()) => return Ok(value),
        Ok(_) => "value out of range",
        Err(_) => "invalid syntax",
    };
    Err(format!("error parsing number: strconv.ParseFloat: parsing {}: {reason}", quote(text)))
}

/// A duration in seconds: units from long to short, each at most once.
fn seconds(text: &str) -> std::result::Result<f64, String> {
    let invalid = || format!("not a valid duration string: {}", quote(text));
    let mut rest = text;
    let mut total: u64 = 0;
    let mut units = UNITS.iter();
    while !rest.is_empty() {
        let (count, tail) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len()));
        let (unit, tail) = tail.split_at(tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len()));
        let count: u64 = count.parse().map_err(|_| invalid())?;
        if unit.is_empty() {
            return Err(invalid());
        }
        if !UNITS.iter().any(|(name, _)| *name == unit) {
            return Err(format!("unknown unit {} in duration {}", quote(unit), quote(text)));
        }
        // The shared iterator keeps the order: a unit that has been passed is not found again.
        let (_, millis) = units.find(|(name, _)| *name == unit).ok_or_else(invalid)?;
        total = count
            .checked_mul(*millis)
            .and_then(|part| total.checked_add(part))
            .filter(|sum| *sum <= i64::MAX.unsigned_abs() / 1_000_000)
            .ok_or("duration out of range")?;
        rest = tail;
    }
    Ok(total as f64 / 1e3)
}
