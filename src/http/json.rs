//! Values of the query API as JSON, written directly: a range query may answer with millions of points.
//! Source: prometheus/prometheus `web/api/v1/json_codec.go`, `util/jsonutil/marshal.go`.

use std::vec::IntoIter;

use serde::Serialize;

use super::envelope::Part;
use crate::model::{FloatStyle, Labels, Sample, Timestamp, write_float};
use crate::promql::{MatrixSeries, Value, VectorSample};

/// So many points of one series are written at a time.
const POINTS: usize = 256;

/// The value of a query as `{"resultType":…,"result":…}`, given up while it is written.
pub(super) struct ValueWriter {
    rest: Rest,
    /// Whether no series has been written yet.
    first: bool,
    /// What stands behind the result, with a comma in front.
    more: Vec<u8>,
}

enum Rest {
    /// A scalar or a string, and its time: they have none of their own.
    Small(Value, Timestamp),
    Vector(IntoIter<VectorSample>),
    Matrix(IntoIter<MatrixSeries>),
    /// The points of a series, of which some are written.
    Points(IntoIter<Sample>, IntoIter<MatrixSeries>),
    /// Nothing but the end.
    End,
}

impl ValueWriter {
    /// `at` is the time of a scalar or a string.
    pub(super) fn new(value: Value, at: Timestamp) -> Self {
        let rest = match value {
            Value::Vector(samples) => Rest::Vector(samples.into_iter()),
            Value::Matrix(series) => Rest::Matrix(series.into_iter()),
            small => Rest::Small(small, at),
        };
        Self { rest, first: true, more: Vec::new() }
    }

    /// Writes a further member behind the result.
    pub(super) fn with<T: Serialize>(mut self, name: &str, data: &T) -> Self {
        self.more.extend_from_slice(format!(",\"{name}\":").as_bytes());
        // Plain data written into memory: it cannot fail.
        let _written = serde_json::to_writer(&mut self.more, data);
        self
    }

    /// What stands in front of a series.
    fn begin(&mut self, kind: &str, out: &mut Vec<u8>) {
        if std::mem::take(&mut self.first) {
            open(kind, out);
            out.push(b'[');
        } else {
            out.push(b',');
        }
    }

    /// The end of a list of series, which may be empty.
    fn end(&mut self, kind: &str, out: &mut Vec<u8>) -> Rest {
        if self.first {
            open(kind, out);
            out.push(b'[');
        }
        out.push(b']');
        Rest::End
    }
}

impl Part for ValueWriter {
    fn write_on(&mut self, out: &mut Vec<u8>) -> bool {
        self.rest = match std::mem::replace(&mut self.rest, Rest::End) {
            Rest::Small(value, at) => {
                write_small(&value, at, out);
                Rest::End
            }
            Rest::Vector(mut samples) => match samples.next() {
                Some(sample) => {
                    self.begin("vector", out);
                    write_metric(&sample.labels, out);
                    out.extend_from_slice(b",\"value\":");
                    write_point(sample.at, sample.value, out);
                    out.push(b'}');
                    Rest::Vector(samples)
                }
                None => self.end("vector", out),
            },
            Rest::Matrix(mut series) => match series.next() {
                Some(one) => {
                    self.begin("matrix", out);
                    write_metric(&one.labels, out);
                    out.extend_from_slice(b",\"values\":[");
                    let mut points = one.samples.into_iter();
                    if let Some(Sample { at, value }) = points.next() {
                        write_point(at, value, out);
                    }
                    Rest::Points(points, series)
                }
                None => self.end("matrix", out),
            },
            Rest::Points(mut points, series) => {
                for Sample { at, value } in points.by_ref().take(POINTS) {
                    out.push(b',');
                    write_point(at, value, out);
                }
                if points.len() > 0 {
                    Rest::Points(points, series)
                } else {
                    out.extend_from_slice(b"]}");
                    Rest::Matrix(series)
                }
            }
            Rest::End => {
                out.append(&mut self.more);
                out.push(b'}');
                return false;
            }
        };
        true
    }
}

/// Upstream leaves these two to Go's own encoder: numbers never have an exponent, times no zeros at their end.
fn write_small(value: &Value, at: Timestamp, out: &mut Vec<u8>) {
    let begin = |kind: &str, out: &mut Vec<u8>| {
        open(kind, out);
        out.push(b'[');
        write_seconds(at, out);
        if at.as_millis() % 1000 != 0 {
            let zeros = out.iter().rev().take_while(|byte| **byte == b'0').count();
            out.truncate(out.len() - zeros);
        }
        out.push(b',');
    };
    match value {
        Value::Scalar(number) => {
            begin("scalar", out);
            out.push(b'"');
            write_float(*number, FloatStyle::Plain, out);
            out.extend_from_slice(b"\"]");
        }
        Value::String(text) => {
            begin("string", out);
            write_text(text, out);
            out.push(b']');
        }
        Value::Vector(_) | Value::Matrix(_) => {}
    }
}

fn open(kind: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"resultType\":\"");
    out.extend_from_slice(kind.as_bytes());
    out.extend_from_slice(b"\",\"result\":");
}

/// Leaves the object open for the values.
fn write_metric(labels: &Labels, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"metric\":");
    write_labels(labels, out);
}

/// Appends a set of labels as an object.
pub(super) fn write_labels(labels: &Labels, out: &mut Vec<u8>) {
    out.push(b'{');
    for (index, (name, value)) in labels.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_text(name, out);
        out.push(b':');
        write_text(value, out);
    }
    out.push(b'}');
}

/// `[time, "value"]`: a value is text because JSON has neither NaN nor infinities.
fn write_point(at: Timestamp, value: f64, out: &mut Vec<u8>) {
    out.push(b'[');
    write_seconds(at, out);
    out.extend_from_slice(b",\"");
    write_float(value, FloatStyle::Api, out);
    out.extend_from_slice(b"\"]");
}

/// Appends a time: whole seconds, or three decimals.
pub(super) fn write_seconds(at: Timestamp, out: &mut Vec<u8>) {
    let millis = at.as_millis();
    if millis < 0 {
        out.push(b'-');
    }
    let (whole, rest) = (millis.unsigned_abs() / 1000, millis.unsigned_abs() % 1000);
    let mut digits = itoa::Buffer::new();
    out.extend_from_slice(digits.format(whole).as_bytes());
    if rest > 0 {
        // The leading 1 keeps the zeros in front of the milliseconds.
        let padded = digits.format(1000 + rest).as_bytes();
        out.push(b'.');
        out.extend_from_slice(padded.get(1..).unwrap_or(&[]));
    }
}

fn write_text(text: &str, out: &mut Vec<u8>) {
    // Writing text into memory cannot fail.
    let _written = serde_json::to_writer(out, text);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(value: &Value) -> String {
        let (mut out, mut bits) = (Vec::new(), 1);
        let mut writer = ValueWriter::new(value.clone(), Timestamp::from_millis(1_435_781_451_781));
        while writer.write_on(&mut out) {
            bits += 1;
        }
        assert!(out.len() < bits * 12_000, "{} in {bits} bits", out.len());
        let text = String::from_utf8(out).expect("UTF-8");
        serde_json::from_str::<serde_json::Value>(&text).expect("JSON");
        text
    }

    #[test]
    fn every_type_has_its_shape() {
        let labels = Labels::from_pairs([("__name__", "up"), ("path", "a\"b\\\n\u{1}é")]);
        let sample = |millis, value| Sample { at: Timestamp::from_millis(millis), value };
        assert_eq!(json(&Value::Scalar(1.0)), r#"{"resultType":"scalar","result":[1435781451.781,"1"]}"#);
        assert_eq!(json(&Value::String("a\"b".into())), r#"{"resultType":"string","result":[1435781451.781,"a\"b"]}"#);
        assert_eq!(
            json(&Value::Vector(vec![VectorSample { labels: labels.clone(), at: Timestamp::from_millis(4_000), value: f64::NAN }])),
            r#"{"resultType":"vector","result":[{"metric":{"__name__":"up","path":"a\"b\\\n\u0001é"},"value":[4,"NaN"]}]}"#
        );
        assert_eq!(
            json(&Value::Matrix(vec![MatrixSeries {
                labels: Labels::empty(),
                samples: vec![sample(-1_005, 1e6), sample(0, f64::INFINITY), sample(1_020, 1e21)]
            }])),
            r#"{"resultType":"matrix","result":[{"metric":{},"values":[[-1.005,"1000000"],[0,"+Inf"],[1.020,"1e+21"]]}]}"#
        );
        assert_eq!(json(&Value::Vector(Vec::new())), r#"{"resultType":"vector","result":[]}"#);
    }

    #[test]
    fn a_series_of_many_points_is_written_bit_by_bit() {
        let samples =
            |count: u32| (0..count).map(|step| Sample { at: Timestamp::from_millis(i64::from(step) * 1_000), value: 0.5 }).collect();
        for count in [0_u32, 1, 2, 256, 257, 258, 100_000] {
            let series = ["a", "b"].map(|name| MatrixSeries { labels: Labels::from_pairs([("n", name)]), samples: samples(count) });
            let parsed: serde_json::Value = serde_json::from_str(&json(&Value::Matrix(series.into()))).expect("JSON");
            let lengths = [0, 1].map(|one| parsed["result"][one]["values"].as_array().expect("values").len());
            assert_eq!(lengths, [count as usize; 2]);
        }
    }

    #[test]
    fn scalars_and_strings_are_written_by_other_rules() {
        let written = |value: Value, millis: i64| {
            let mut out = Vec::new();
            write_small(&value, Timestamp::from_millis(millis), &mut out);
            String::from_utf8(out).expect("UTF-8")
        };
        assert_eq!(written(Value::Scalar(1e21), 1_500), r#"{"resultType":"scalar","result":[1.5,"1000000000000000000000"]"#);
        assert_eq!(written(Value::Scalar(1e-7), -20), r#"{"resultType":"scalar","result":[-0.02,"0.0000001"]"#);
        assert_eq!(written(Value::String("a".into()), 10_000), r#"{"resultType":"string","result":[10,"a"]"#);
    }

    #[test]
    fn further_members_stand_behind_the_result() {
        let mut out = Vec::new();
        let mut writer = ValueWriter::new(Value::Vector(Vec::new()), Timestamp::default()).with("stats", &[1]);
        while writer.write_on(&mut out) {}
        assert_eq!(out, br#"{"resultType":"vector","result":[],"stats":[1]}"#);
    }
}
