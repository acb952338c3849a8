//! Moments and durations as Go's package time prints them. All moments are in UTC.
//! Source: the documentation of Go's package time (Layout, Duration.String).

use jiff::civil::DateTime;

const MONTHS: [&str; 12] =
    ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"];
const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// Nanoseconds in a second.
pub(super) const SECOND_NANOS: i64 = 1_000_000_000;

/// A month's name; the first is 1.
pub(super) fn month(number: i64) -> &'static str {
    usize::try_from(number - 1).ok().and_then(|index| MONTHS.get(index)).copied().unwrap_or("%!Month")
}

/// A day's name; Sunday is 0.
pub(super) fn weekday(number: i64) -> &'static str {
    usize::try_from(number).ok().and_then(|index| DAYS.get(index)).copied().unwrap_or("%!Weekday")
}

/// The calendar's date and the time of the day.
pub(super) fn civil(millis: i64) -> DateTime {
    let time = jiff::Timestamp::from_millisecond(millis).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    time.to_zoned(jiff::tz::TimeZone::UTC).datetime()
}

/// Days since Sunday.
pub(super) fn day_of_week(date: DateTime) -> i64 {
    i64::from(date.weekday().to_sunday_zero_offset())
}

/// As Go prints a time.
pub(super) fn text(millis: i64) -> String {
    format(millis, "2006-01-02 15:04:05.999999999 -0700 MST")
}

/// As Go prints a duration: `1h0m0.5s`.
pub(super) fn duration(nanos: i64) -> String {
    let (sign, nanos) = (if nanos < 0 { "-" } else { "" }, nanos.unsigned_abs());
    let second = SECOND_NANOS.unsigned_abs();
    if nanos == 0 {
        return "0s".to_owned();
    }
    if nanos < second {
        let (unit, name) = [(1_000_000, "ms"), (1_000, "µs"), (1, "ns")].into_iter().find(|(unit, _)| nanos >= *unit).unwrap_or((1, "ns"));
        return format!("{sign}{}{name}", fraction(nanos, unit));
    }
    let (minutes, rest) = (nanos / (60 * second), nanos % (60 * second));
    let hours = if minutes >= 60 { format!("{}h", minutes / 60) } else { String::new() };
    let minutes = if minutes > 0 { format!("{}m", minutes % 60) } else { String::new() };
    format!("{sign}{hours}{minutes}{}s", fraction(rest, second))
}

/// So many of a unit, with as many places as it needs.
fn fraction(nanos: u64, unit: u64) -> String {
    let places = unit.ilog10() as usize;
    let text = format!("{}.{:0places$}", nanos / unit, nanos % unit);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// The parts of a layout, longer ones before those that they begin with.
const PARTS: [&str; 35] = [
    "January",
    "Jan",
    "Monday",
    "Mon",
    "MST",
    "2006",
    "-07:00:00",
    "-070000",
    "-07:00",
    "-0700",
    "-07",
    "Z07:00:00",
    "Z070000",
    "Z07:00",
    "Z0700",
    "Z07",
    "002",
    "01",
    "02",
    "03",
    "04",
    "05",
    "06",
    "__2",
    "_2006",
    "_2",
    "15",
    "PM",
    "pm",
    "1",
    "2",
    "3",
    "4",
    "5",
    "",
];

/// `Time.Format`.
pub(super) fn format(millis: i64, layout: &str) -> String {
    let date = civil(millis);
    let mut out = String::new();
    let mut rest = layout;
    let mut second_before = false;
    while let Some(first) = rest.chars().next() {
        if let Some((length, shown)) = subsecond(rest, date, second_before) {
            out.push_str(&shown);
            rest = rest.get(length..).unwrap_or("");
            second_before = false;
            continue;
        }
        let part = PARTS.iter().find(|part| !part.is_empty() && rest.starts_with(**part) && !inside_word(part, rest));
        match part {
            // Only the year is part of the layout.
            Some(&"_2006") => {
                out.push('_');
                rest = rest.get(1..).unwrap_or("");
            }
            Some(part) => {
                out.push_str(&element(part, date));
                rest = rest.get(part.len()..).unwrap_or("");
            }
            None => {
                out.push(first);
                rest = rest.get(first.len_utf8()..).unwrap_or("");
            }
        }
        second_before = matches!(part, Some(&("05" | "5")));
    }
    out
}

/// `Jan` and `Mon` are none at the start of a longer word, as in "Janet" and "Money".
fn inside_word(part: &str, rest: &str) -> bool {
    matches!(part, "Jan" | "Mon") && rest.get(3..).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_lowercase()))
}

fn element(part: &str, date: DateTime) -> String {
    let (year, month, day) = (date.year(), i64::from(date.month()), date.day());
    let hour = date.hour();
    let twelve = if hour % 12 == 0 { 12 } else { hour % 12 };
    let short = |name: &str| name.get(..3).unwrap_or(name).to_owned();
    match part {
        "January" => self::month(month).to_owned(),
        "Jan" => short(self::month(month)),
        "Monday" => weekday(day_of_week(date)).to_owned(),
        "Mon" => short(weekday(day_of_week(date))),
        "MST" => "UTC".to_owned(),
        "2006" => format!("{year:04}"),
        "06" => format!("{:02}", year.rem_euclid(100)),
        "01" => format!("{month:02}"),
        "1" => month.to_string(),
        "02" => format!("{day:02}"),
        "_2" => format!("{day:2}"),
        "2" => day.to_string(),
        "002" => format!("{:03}", date.day_of_year()),
        "__2" => format!("{:3}", date.day_of_year()),
        "15" => format!("{hour:02}"),
        "03" => format!("{twelve:02}"),
        "3" => twelve.to_string(),
        "04" => format!("{:02}", date.minute()),
        "4" => date.minute().to_string(),
        "05" => format!("{:02}", date.second()),
        "5" => date.second().to_string(),
        "PM" => if hour < 12 { "AM" } else { "PM" }.to_owned(),
        "pm" => if hour < 12 { "am" } else { "pm" }.to_owned(),
        _ if part.starts_with('Z') => "Z".to_owned(),
        "-07:00:00" => "+00:00:00".to_owned(),
        "-070000" => "+000000".to_owned(),
        "-07:00" => "+00:00".to_owned(),
        "-0700" => "+0000".to_owned(),
        _ => "+00".to_owned(),
    }
}

/// `.000` prints that many places, `.999` as many as are not zero; behind the seconds a comma does too.
fn subsecond(rest: &str, date: DateTime, second_before: bool) -> Option<(usize, String)> {
    let point = rest.chars().next().filter(|c| matches!(c, '.' | ','))?;
    let digits = rest.get(1..)?;
    let digit = digits.chars().next().filter(|c| matches!(c, '0' | '9'))?;
    let places = digits.chars().take_while(|c| *c == digit).count();
    let followed = digits.get(places..).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    if followed || places > 9 || (point == ',' && !second_before) {
        return None;
    }
    let nanos = format!("{:09}", date.subsec_nanosecond());
    let shown = nanos.get(..places).unwrap_or("");
    let shown = if digit == '9' { shown.trim_end_matches('0') } else { shown };
    Some((1 + places, if shown.is_empty() { String::new() } else { format!("{point}{shown}") }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layouts_are_gos() {
        for (layout, shown) in [
            ("2006-01-02T15:04:05Z07:00", "2015-06-03T13:09:04Z"),
            ("Mon, 02 Jan 2006 15:04:05 MST", "Wed, 03 Jun 2015 13:09:04 UTC"),
            ("Monday January _2 3:4:5pm", "Wednesday June  3 1:9:4pm"),
            ("06-1-2 002 .000 05.99 05,000", "15-6-3 154 .128 04.12 04,128"),
            ("-07:00 -0700 -07 Janet _2006", "+00:00 +0000 +00 Janet _2015"),
        ] {
            assert_eq!(format(1_433_336_944_128, layout), shown, "{layout}");
        }
        assert_eq!(text(0), "1970-01-01 00:00:00 +0000 UTC");
    }

    #[test]
    fn durations_are_gos() {
        for (nanos, shown) in [
            (0, "0s"),
            (1, "1ns"),
            (1_500, "1.5µs"),
            (2_500_000, "2.5ms"),
            (SECOND_NANOS, "1s"),
            (-90 * SECOND_NANOS, "-1m30s"),
            (3_600 * SECOND_NANOS + 1, "1h0m0.000000001s"),
        ] {
            assert_eq!(duration(nanos), shown);
        }
    }
}
