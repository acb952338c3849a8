//! Values of the query API as JSON, written directly: a range query may answer with millions of points.
//! Source: prometheus/prometheus `web/api/v1/json_codec.go`, `util/jsonutil/marshal.go`.

use crate::model::{FloatStyle, Labels, Sample, Timestamp, write_float};
use crate::promql::Value;

/// Appends `{"resultType":…,"result":…}`. `at` is the time of a scalar or a string, which have none of their own.
pub(super) fn write_value(value: &Value, at: Timestamp, out: &mut Vec<u8>) {
    match value {
        Value::Scalar(number) => {
            open("scalar", out);
            write_point(at, *number, out);
        }
        Value::String(text) => {
            open("string", out);
            out.push(b'[');
            write_seconds(at, out);
            out.push(b',');
            write_text(text, out);
            out.push(b']');
        }
        Value::Vector(samples) => {
            open("vector", out);
            write_list(samples, out, |sample, out| {
                write_metric(&sample.labels, out);
                out.extend_from_slice(b",\"value\":");
                write_point(sample.at, sample.value, out);
                out.push(b'}');
            });
        }
        Value::Matrix(series) => {
            open("matrix", out);
            write_list(series, out, |series, out| {
                write_metric(&series.labels, out);
                out.extend_from_slice(b",\"values\":");
                write_list(&series.samples, out, |Sample { at, value }, out| write_point(*at, *value, out));
                out.push(b'}');
            });
        }
    }
    out.push(b'}');
}

fn open(kind: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"resultType\":\"");
    out.extend_from_slice(kind.as_bytes());
    out.extend_from_slice(b"\",\"result\":");
}

fn write_list<T>(items: &[T], out: &mut Vec<u8>, write: impl Fn(&T, &mut Vec<u8>)) {
    out.push(b'[');
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write(item, out);
    }
    out.push(b']');
}

/// Leaves the object open for the values.
fn write_metric(labels: &Labels, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"metric\":{");
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

/// Whole seconds, or three decimals.
fn write_seconds(at: Timestamp, out: &mut Vec<u8>) {
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
    use crate::promql::{MatrixSeries, VectorSample};

    fn json(value: &Value) -> String {
        let mut out = Vec::new();
        write_value(value, Timestamp::from_millis(1_435_781_451_781), &mut out);
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
}
