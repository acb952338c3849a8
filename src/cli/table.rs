//! The answer to a query as people read it: a line a series, with its value or, over a range, a sparkline.

// An index into a JSON value gives null for what is absent.
#![allow(clippy::indexing_slicing)]

use serde_json::Value;

use super::query::labels;
use crate::model::{FloatStyle, Labels, METRIC_NAME, format_float};

/// The most columns of a sparkline.
const COLUMNS: usize = 60;
const HEIGHTS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// What a piece of a line is, and so how it looks on a terminal (ECMA-48, "select graphic rendition").
#[derive(Clone, Copy)]
enum Look {
    Name,
    Line,
    Value,
    Aside,
}

impl Look {
    fn paint(self, text: &str, styled: bool) -> String {
        let code = match self {
            Self::Name => "1",
            Self::Line => "36",
            Self::Value => "1;32",
            Self::Aside => "2",
        };
        if styled && !text.is_empty() { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// A line a series: its labels and its value; over a range a sparkline, the last value, the smallest and the largest. `range` is
/// where a range query begins and ends, in Unix seconds.
pub(super) fn table(data: &Value, range: Option<(f64, f64)>, styled: bool) -> String {
    let value = |point: &Value| Look::Value.paint(&harmless(point[1].as_str().unwrap_or_default()), styled);
    let rows: Vec<(&Value, String)> = match (data["resultType"].as_str(), data["result"].as_array()) {
        (Some("vector"), Some(series)) => series.iter().map(|one| (one, value(&one["value"]))).collect(),
        (Some("matrix"), Some(series)) => series.iter().map(|one| (one, over_time(one, range, styled))).collect(),
        (_, Some(_)) => return format!("{}\n", value(&data["result"])),
        _ => Vec::new(),
    };
    if rows.is_empty() {
        return "no data\n".to_owned();
    }
    let name = |labels: &Labels, text: &str| labels.get(METRIC_NAME).filter(|name| text.starts_with(*name)).map_or(0, str::len);
    let named = |(series, value)| {
        let labels = labels(series);
        let text = harmless(&labels.to_string());
        (name(&labels, &text), text, value)
    };
    let rows: Vec<(usize, String, String)> = rows.into_iter().map(named).collect();
    let width = rows.iter().map(|(_, text, _)| text.chars().count()).max().unwrap_or(0);
    let line = |(name, text, value): &(usize, String, String)| {
        let room = " ".repeat(width - text.chars().count());
        let (name, rest) = text.split_at_checked(*name).unwrap_or(("", text));
        format!("{}{rest}{room}  {value}\n", Look::Name.paint(name, styled))
    };
    rows.iter().map(line).collect()
}

/// Applications choose the values of labels: what would steer a terminal is shown and not sent.
pub(super) fn harmless(text: &str) -> String {
    text.chars().flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect()
}

fn over_time(series: &Value, range: Option<(f64, f64)>, styled: bool) -> String {
    let points: Vec<(f64, f64)> = series["values"].as_array().into_iter().flatten().filter_map(point).collect();
    let first = points.first().map_or(0.0, |point| point.0);
    let last = points.last().copied().unwrap_or_default();
    let finite = || points.iter().map(|point| point.1).filter(|value| value.is_finite());
    let (low, high) = (finite().fold(f64::INFINITY, f64::min), finite().fold(f64::NEG_INFINITY, f64::max));
    let line = sparkline(&points, range.unwrap_or((first, last.0)), (low, high));
    let number = |value: f64| format_float(value, FloatStyle::Api);
    let bounds = if low < high { format!("  {} … {}", number(low), number(high)) } else { String::new() };
    format!("{}  {}{}", Look::Line.paint(&line, styled), Look::Value.paint(&number(last.1), styled), Look::Aside.paint(&bounds, styled))
}

/// Time and value.
fn point(point: &Value) -> Option<(f64, f64)> {
    Some((point[0].as_f64()?, point[1].as_str()?.parse().ok()?))
}

/// Eight heights between the smallest and the largest value. A column stands for an equal part of the time and shows the mean of
/// its values; where there is none it is empty.
fn sparkline(points: &[(f64, f64)], (start, end): (f64, f64), (low, high): (f64, f64)) -> String {
    let apart = points.iter().zip(points.iter().skip(1)).map(|(one, next)| next.0 - one.0).fold(f64::INFINITY, f64::min);
    let steps = if apart > 0.0 && apart.is_finite() { ((end - start) / apart).round() + 1.0 } else { 1.0 };
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // saturates, and is bounded right after
    let columns = (steps as usize).clamp(1, COLUMNS);
    let mut sums = vec![(0.0, 0.0); columns];
    for (at, value) in points.iter().filter(|point| point.1.is_finite()) {
        let share = if end > start { (at - start) / (end - start) } else { 0.0 };
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // as above
        let column = (share * (columns - 1) as f64).round() as usize;
        if let Some((sum, count)) = sums.get_mut(column) {
            *sum += value;
            *count += 1.0;
        }
    }
    let height = |value: f64| {
        let share = if high > low { (value - low) / (high - low) } else { 0.0 };
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // between 0 and 7
        HEIGHTS.get((share * 7.0).round() as usize).copied().unwrap_or(' ')
    };
    sums.iter().map(|(sum, count)| if *count > 0.0 { height(sum / count) } else { ' ' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn plain(data: &Value) -> String {
        table(data, None, false)
    }

    #[test]
    fn a_vector_is_a_line_a_series() {
        let data = json!({"resultType": "vector", "result": [
            {"metric": {"__name__": "up", "job": "node"}, "value": [1, "1"]},
            {"metric": {"__name__": "up", "job": "a"}, "value": [1, "0"]}]});
        assert_eq!(plain(&data), "up{job=\"node\"}  1\nup{job=\"a\"}     0\n");
        assert_eq!(plain(&json!({"resultType": "vector", "result": []})), "no data\n");
        assert_eq!(plain(&json!({"resultType": "scalar", "result": [1, "2"]})), "2\n");
        assert_eq!(plain(&json!({"resultType": "string", "result": [1, "a b"]})), "a b\n");
    }

    #[test]
    fn a_range_is_a_sparkline_its_last_value_and_its_bounds() {
        let data = json!({"resultType": "matrix", "result": [{"metric": {}, "values": [[1, "0"], [2, "7"], [3, "NaN"], [4, "3.5"]]}]});
        assert_eq!(plain(&data), "{}  ▁█ ▅  3.5  0 … 7\n");
        let flat = json!({"resultType": "matrix", "result": [{"metric": {}, "values": [[1, "2"], [2, "2"]]}]});
        assert_eq!(plain(&flat), "{}  ▁▁  2\n");
        let one = json!({"resultType": "matrix", "result": [{"metric": {}, "values": [[1, "+Inf"]]}]});
        assert_eq!(plain(&one), "{}     +Inf\n");
    }

    #[test]
    fn what_began_late_is_empty_before_and_many_points_share_columns() {
        let late = json!({"resultType": "matrix", "result": [{"metric": {}, "values": [[40, "1"], [50, "2"]]}]});
        assert_eq!(table(&late, Some((0.0, 50.0)), false), "{}      ▁█  2  1 … 2\n");
        let values: Vec<Value> = (0..240).map(|step| json!([step, step.to_string()])).collect();
        let many = json!({"resultType": "matrix", "result": [{"metric": {}, "values": values}]});
        let line = plain(&many);
        let drawn: String = line.chars().filter(|c| HEIGHTS.contains(c)).collect();
        assert_eq!((drawn.chars().count(), drawn.chars().next(), drawn.chars().last()), (60, Some('▁'), Some('█')), "{line}");
    }

    #[test]
    fn what_would_steer_a_terminal_is_shown() {
        let data = json!({"resultType": "vector", "result": [{"metric": {"a": "\u{1b}[2J"}, "value": [1, "1"]}]});
        assert_eq!(plain(&data), "{a=\"\\u{1b}[2J\"}  1\n");
    }

    #[test]
    fn colours_are_for_terminals_alone() {
        let data = json!({"resultType": "vector", "result": [{"metric": {"__name__": "up", "job": "a"}, "value": [1, "1"]}]});
        assert_eq!(table(&data, None, true), "\x1b[1mup\x1b[0m{job=\"a\"}  \x1b[1;32m1\x1b[0m\n");
    }
}
