//! The methods of times and durations, those that rules can use.
//! Source: the documentation of Go's package time.

use super::eval::Scene;
use super::functions::{Function, Param, of_value, text};
use super::time;
use super::value::Value;

/// Milliseconds in nanoseconds.
const MILLI_NANOS: i64 = 1_000_000;

/// The method of a value.
pub(super) fn find(value: &Value, name: &str) -> Option<&'static Function> {
    let methods: &'static [Function] = match value {
        Value::Time(_) => TIME,
        Value::Duration(_) | Value::DurationPointer(_) => DURATION,
        Value::Month(_) | Value::Weekday(_) => NAMED,
        _ => return None,
    };
    methods.iter().find(|method| method.name == name)
}

/// The types that have methods, and these: what the documentation's list is made of.
pub fn template_methods() -> impl Iterator<Item = (&'static str, Vec<&'static str>)> {
    let types = [("time.Time", TIME), ("time.Duration", DURATION), ("time.Month, time.Weekday", NAMED)];
    types.into_iter().map(|(name, methods)| (name, methods.iter().map(|method| method.name).collect()))
}

/// `toDuration`: seconds as a duration.
pub(super) fn to_duration(seconds: f64) -> Result<Value, String> {
    #[allow(clippy::cast_possible_truncation)] // saturates
    let nanos = (seconds * 1e9) as i64;
    Ok(Value::DurationPointer(nanos))
}

#[rustfmt::skip] // a table
const TIME: &[Function] = &[
    of_value("Add", &[Param::Duration], |_, args| Ok(Value::Time(millis(args).saturating_add(nanos(args, 1) / MILLI_NANOS)))),
    of_value("After", &[Param::Time], |_, args| Ok(Value::Bool(millis(args) > other(args)))),
    of_value("Before", &[Param::Time], |_, args| Ok(Value::Bool(millis(args) < other(args)))),
    of_value("Day", &[], |_, args| int(time::civil(millis(args)).day())),
    of_value("Equal", &[Param::Time], |_, args| Ok(Value::Bool(millis(args) == other(args)))),
    of_value("Format", &[Param::Text], |_, args| Ok(Value::text(&time::format(millis(args), text(args, 1))))),
    of_value("Hour", &[], |_, args| int(time::civil(millis(args)).hour())),
    of_value("Minute", &[], |_, args| int(time::civil(millis(args)).minute())),
    of_value("Month", &[], |_, args| Ok(Value::Month(i64::from(time::civil(millis(args)).month())))),
    of_value("Nanosecond", &[], |_, args| int(time::civil(millis(args)).subsec_nanosecond())),
    of_value("Second", &[], |_, args| int(time::civil(millis(args)).second())),
    of_value("String", &[], name),
    of_value("Sub", &[Param::Time], |_, args| Ok(Value::Duration(millis(args).saturating_sub(other(args)).saturating_mul(MILLI_NANOS)))),
    of_value("UTC", &[], |_, args| Ok(Value::Time(millis(args)))),
    of_value("Unix", &[], |_, args| Ok(Value::Int(millis(args).div_euclid(1000)))),
    of_value("UnixMilli", &[], |_, args| Ok(Value::Int(millis(args)))),
    of_value("UnixNano", &[], |_, args| Ok(Value::Int(millis(args).wrapping_mul(MILLI_NANOS)))),
    of_value("Weekday", &[], |_, args| Ok(Value::Weekday(time::day_of_week(time::civil(millis(args)))))),
    of_value("Year", &[], |_, args| int(time::civil(millis(args)).year())),
    of_value("YearDay", &[], |_, args| int(time::civil(millis(args)).day_of_year())),
];

#[rustfmt::skip] // a table
const DURATION: &[Function] = &[
    of_value("Hours", &[], |_, args| float(args, 3_600_000_000_000)),
    of_value("Microseconds", &[], |_, args| Ok(Value::Int(nanos(args, 0) / 1_000))),
    of_value("Milliseconds", &[], |_, args| Ok(Value::Int(nanos(args, 0) / MILLI_NANOS))),
    of_value("Minutes", &[], |_, args| float(args, 60_000_000_000)),
    of_value("Nanoseconds", &[], |_, args| Ok(Value::Int(nanos(args, 0)))),
    of_value("Round", &[Param::Duration], |_, args| Ok(Value::Duration(round(nanos(args, 0), nanos(args, 1))))),
    of_value("Seconds", &[], |_, args| float(args, time::SECOND_NANOS)),
    of_value("String", &[], name),
    of_value("Truncate", &[Param::Duration], |_, args| Ok(Value::Duration(truncate(nanos(args, 0), nanos(args, 1))))),
];

const NAMED: &[Function] = &[of_value("String", &[], name)];

fn name(_scene: &Scene<'_>, args: &[Value]) -> Result<Value, String> {
    Ok(Value::text(&args.first().and_then(Value::named).unwrap_or_default()))
}

fn int(number: impl Into<i64>) -> Result<Value, String> {
    Ok(Value::Int(number.into()))
}

fn millis(args: &[Value]) -> i64 {
    if let Some(Value::Time(millis)) = args.first() { *millis } else { 0 }
}

fn other(args: &[Value]) -> i64 {
    millis(args.get(1..).unwrap_or(&[]))
}

fn nanos(args: &[Value], index: usize) -> i64 {
    if let Some(Value::Duration(nanos) | Value::DurationPointer(nanos)) = args.get(index) { *nanos } else { 0 }
}

/// So many of a unit: the whole ones and the rest apart, as Go adds them.
#[allow(clippy::cast_precision_loss)]
fn float(args: &[Value], unit: i64) -> Result<Value, String> {
    let nanos = nanos(args, 0);
    Ok(Value::Float((nanos / unit) as f64 + (nanos % unit) as f64 / unit as f64))
}

fn truncate(nanos: i64, unit: i64) -> i64 {
    if unit <= 0 { nanos } else { nanos - nanos % unit }
}

/// Half goes away from zero.
fn round(nanos: i64, unit: i64) -> i64 {
    if unit <= 0 {
        return nanos;
    }
    let rest = nanos % unit;
    let down = nanos - rest;
    if rest.unsigned_abs() * 2 < unit.unsigned_abs() { down } else { down.saturating_add(unit * nanos.signum()) }
}
