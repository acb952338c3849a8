//! Numbers for people: the humanize family.
//! Source: prometheus/common `helpers/templates/humanize.go`, prometheus/prometheus `template/template.go`.

use super::printf::significant_4;

const LARGE: [&str; 8] = ["k", "M", "G", "T", "P", "E", "Z", "Y"];
const SMALL: [&str; 8] = ["m", "u", "n", "p", "f", "a", "z", "y"];
const BINARY: [&str; 8] = ["ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"];

/// `humanize`: four digits and a decimal prefix.
pub(super) fn decimal(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        significant_4(value)
    } else if value.abs() >= 1.0 {
        scaled(value, 1000.0, &LARGE)
    } else {
        small(value)
    }
}

/// `humanize1024`: four digits and a binary prefix.
pub(super) fn binary(value: f64) -> String {
    if value.abs() <= 1.0 || !value.is_finite() { significant_4(value) } else { scaled(value, 1024.0, &BINARY) }
}

/// `humanizePercentage`: a ratio as a percentage.
pub(super) fn percentage(value: f64) -> String {
    format!("{}%", significant_4(value * 100.0))
}

/// `humanizeDuration`: seconds as days, hours, minutes and seconds, or with a prefix below one second.
pub(super) fn duration(value: f64) -> String {
    if !value.is_finite() {
        return significant_4(value);
    }
    if value == 0.0 {
        // A zero may have a sign.
        return format!("{}s", significant_4(value));
    }
    if value.abs() < 1.0 {
        return format!("{}s", small(value));
    }
    let (sign, magnitude) = if value < 0.0 { ("-", -value) } else { ("", value) };
    let whole = go_int64(magnitude);
    let (days, hours, minutes, seconds) = (whole / 86_400, whole / 3_600 % 24, whole / 60 % 60, whole % 60);
    if days != 0 {
        format!("{sign}{days}d {hours}h {minutes}m {seconds}s")
    } else if hours != 0 {
        format!("{sign}{hours}h {minutes}m {seconds}s")
    } else if minutes != 0 {
        format!("{sign}{minutes}m {seconds}s")
    } else {
        format!("{sign}{}s", significant_4(magnitude))
    }
}

/// `humanizeTimestamp`: seconds since the epoch as Go prints a UTC time.
pub(super) fn timestamp(seconds: f64) -> Result<String, String> {
    if !seconds.is_finite() {
        return Ok(significant_4(seconds));
    }
    time(seconds).map(super::time::text)
}

/// `toTime`: seconds since the epoch as a time, in milliseconds since the epoch.
pub(super) fn time(seconds: f64) -> Result<i64, String> {
    if !seconds.is_finite() {
        return Err("value is NaN or Inf".to_owned());
    }
    // Go goes through nanoseconds in an int64, then through Prometheus's milliseconds.
    if (seconds * 1e9).abs() >= 9.223_372_036_854_776e18 {
        let number = super::printf::plain(&super::value::Value::Float(seconds));
        return Err(format!("{number} cannot be represented as a nanoseconds timestamp since it overflows int64"));
    }
    #[allow(clippy::cast_possible_truncation)] // checked above
    let nanos = (seconds * 1e9) as i64;
    Ok(nanos / 1_000_000)
}

fn scaled(mut value: f64, step: f64, prefixes: &[&'static str]) -> String {
    let mut prefix = "";
    for next in prefixes {
        if value.abs() < step {
            break;
        }
        prefix = next;
        value /= step;
    }
    format!("{}{prefix}", significant_4(value))
}

fn small(mut value: f64) -> String {
    let mut prefix = "";
    for next in SMALL {
        if value.abs() >= 1.0 {
            break;
        }
        prefix = next;
        value *= 1000.0;
    }
    format!("{}{prefix}", significant_4(value))
}

/// Go's conversion to int64 on amd64, where what does not fit becomes the smallest number: `1e20 | humanizeDuration`
/// prints nonsense there, and the same text here.
fn go_int64(value: f64) -> i64 {
    #[allow(clippy::cast_possible_truncation)] // in range by the condition
    if value < 9.223_372_036_854_776e18 { value as i64 } else { i64::MIN }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_print_as_go_prints_them() {
        assert_eq!(timestamp(0.0).as_deref(), Ok("1970-01-01 00:00:00 +0000 UTC"));
        assert_eq!(timestamp(1_435_065_584.128).as_deref(), Ok("2015-06-23 13:19:44.128 +0000 UTC"));
        assert_eq!(timestamp(f64::INFINITY).as_deref(), Ok("+Inf"));
        assert!(timestamp(1e15).is_err());
    }

    #[test]
    fn durations_below_a_minute_keep_their_fraction() {
        for (value, text) in [(12.3456789, "12.35s"), (-0.25, "-250ms"), (59.9999, "60s"), (3600.0, "1h 0m 0s"), (-63.0, "-1m 3s")] {
            assert_eq!(duration(value), text);
        }
    }
}
