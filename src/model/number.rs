//! Floats as Go prints them, because every Prometheus format is defined by Go's `strconv.FormatFloat`.

/// Which of Go's forms to write; all give the shortest digits that read back as the same float.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FloatStyle {
    /// `FormatFloat(v, 'g', -1)`: an exponent below 1e-4 and from 1e6 on. Expositions and templates.
    General,
    /// Without an exponent between 1e-6 and 1e21: the query API.
    Api,
    /// `FormatFloat(v, 'f', -1)`: never an exponent. `count_values`.
    Plain,
    /// As `General`, but a whole number ends in `.0`: OpenMetrics and the `le` and `quantile` labels.
    Canonical,
}

/// A float as text.
#[must_use]
pub fn format_float(value: f64, style: FloatStyle) -> String {
    let mut bytes = Vec::with_capacity(24);
    write_float(value, style, &mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Appends a float to a buffer. Only ASCII is written.
pub fn write_float(value: f64, style: FloatStyle, out: &mut Vec<u8>) {
    if value.is_nan() {
        out.extend_from_slice(b"NaN");
        return;
    }
    if value.is_infinite() {
        out.extend_from_slice(if value > 0.0 { b"+Inf" } else { b"-Inf" });
        return;
    }
    if value.is_sign_negative() {
        out.push(b'-');
    }
    let magnitude = value.abs();
    // Most values of an agent are small whole numbers: no need for the shortest-digits search.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // compared with the float right after
    let whole = magnitude as u32;
    if f64::from(whole) == magnitude && whole < 1_000_000 {
        out.extend_from_slice(itoa::Buffer::new().format(whole).as_bytes());
        if style == FloatStyle::Canonical {
            out.extend_from_slice(b".0");
        }
        return;
    }
    if (1e-4..1e6).contains(&magnitude) && write_millionths(magnitude, out) {
        return;
    }
    let decimal = if magnitude < EXACT && magnitude.fract() == 0.0 {
        Decimal::whole(magnitude)
    } else {
        let mut buffer = zmij::Buffer::new();
        let text = buffer.format_finite(magnitude);
        // Between these bounds every style is without an exponent, and so is what has been found already.
        if (1e-4..1e6).contains(&magnitude) && !text.contains('e') {
            out.extend_from_slice(text.as_bytes());
            return;
        }
        Decimal::parse(text)
    };
    let exponent = decimal.point - 1;
    let scientific = match style {
        FloatStyle::General | FloatStyle::Canonical => !(-4..6).contains(&exponent),
        FloatStyle::Api => !(1e-6..1e21).contains(&magnitude),
        FloatStyle::Plain => false,
    };
    if scientific { decimal.write_scientific(out) } else { decimal.write_plain(out, style == FloatStyle::Canonical) }
}

/// Appends a number that has six decimals at most, as most that people and clocks make have; false where it has more.
///
/// A division of two whole numbers gives the float that is nearest to the decimal, so what comes out again as the same float
/// reads back as it; and of decimals with no more than 15 digits no two are the same float, so none is shorter.
fn write_millionths(magnitude: f64, out: &mut Vec<u8>) -> bool {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // below 10^12
    let millionths = (magnitude * 1e6 + 0.5) as u64;
    if millionths as f64 / 1e6 != magnitude {
        return false;
    }
    let mut buffer = itoa::Buffer::new();
    out.extend_from_slice(buffer.format(millionths / 1_000_000).as_bytes());
    out.push(b'.');
    // The one in front keeps the zeros behind the point.
    let fraction = buffer.format(1_000_000 + millionths % 1_000_000).as_bytes();
    let end = fraction.iter().rposition(|digit| *digit != b'0').map_or(0, |last| last + 1);
    out.extend_from_slice(fraction.get(1..end).unwrap_or(b"0"));
    true
}

/// Below it a float distinguishes every whole number from its neighbours, so that its shortest digits are the number's.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// Decimal digits `0.d1d2d3… × 10^point`.
struct Decimal {
    digits: [u8; 20],
    len: usize,
    point: i32,
}

impl Decimal {
    /// Of a whole number from 1 to [`EXACT`]: what a counter is that has counted for long.
    fn whole(magnitude: f64) -> Self {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // whole, and far below 2^64
        let number = magnitude as u64;
        let mut buffer = itoa::Buffer::new();
        let text = buffer.format(number).as_bytes();
        let mut decimal = Self { digits: [0; 20], len: 0, point: i32::try_from(text.len()).unwrap_or(0) };
        decimal.len = text.iter().rposition(|digit| *digit != b'0').map_or(1, |last| last + 1);
        for (place, digit) in decimal.digits.iter_mut().zip(text) {
            *place = *digit;
        }
        decimal
    }

    fn parse(text: &str) -> Self {
        let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let mut decimal = Self { digits: [0; 20], len: 0, point: 0 };
        let mut leading = 0;
        for digit in whole.bytes().chain(fraction.bytes()) {
            if decimal.len == 0 && digit == b'0' {
                leading += 1;
            } else if let Some(place) = decimal.digits.get_mut(decimal.len) {
                *place = digit;
                decimal.len += 1;
            }
        }
        let whole_len = i32::try_from(whole.len()).unwrap_or(0);
        decimal.point = whole_len - leading + exponent.parse::<i32>().unwrap_or(0);
        while decimal.len > 1 && decimal.digits().last() == Some(&b'0') {
            decimal.len -= 1;
        }
        decimal
    }

    fn digits(&self) -> &[u8] {
        self.digits.get(..self.len).unwrap_or(&[])
    }

    fn write_scientific(&self, out: &mut Vec<u8>) {
        let (first, rest) = self.digits().split_first().unwrap_or((&b'0', &[]));
        out.push(*first);
        if !rest.is_empty() {
            out.push(b'.');
            out.extend_from_slice(rest);
        }
        let exponent = self.point - 1;
        out.extend_from_slice(if exponent < 0 { b"e-" } else { b"e+" });
        let exponent = exponent.unsigned_abs();
        if exponent < 10 {
            out.push(b'0');
        }
        out.extend_from_slice(itoa::Buffer::new().format(exponent).as_bytes());
    }

    fn write_plain(&self, out: &mut Vec<u8>, canonical: bool) {
        let digits = self.digits();
        match usize::try_from(self.point) {
            Ok(point) if point > 0 => {
                let (whole, fraction) = digits.split_at(point.min(digits.len()));
                out.extend_from_slice(whole);
                out.resize(out.len() + point - whole.len(), b'0');
                if !fraction.is_empty() {
                    out.push(b'.');
                    out.extend_from_slice(fraction);
                } else if canonical {
                    out.extend_from_slice(b".0");
                }
            }
            _ => {
                out.extend_from_slice(b"0.");
                let zeros = usize::try_from(-self.point).unwrap_or(0);
                out.resize(out.len() + zeros, b'0');
                out.extend_from_slice(digits);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn general_turns_to_exponents_as_go_does() {
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (999_999.0, "999999"),
            (1e6, "1e+06"),
            (1_234_567.5, "1.2345675e+06"),
            (0.0001, "0.0001"),
            (0.000_01, "1e-05"),
            (1e21, "1e+21"),
            (123_456_789.0, "1.23456789e+08"),
            (0.95, "0.95"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-Inf"),
            (5e-324, "5e-324"),
            (f64::MAX, "1.7976931348623157e+308"),
            (1_000_001.0, "1.000001e+06"),
            (123_456_000.0, "1.23456e+08"),
            (9_007_199_254_740_991.0, "9.007199254740991e+15"),
            (9_007_199_254_740_992.0, "9.007199254740992e+15"),
            (4_294_967_296.0, "4.294967296e+09"),
            (0.1 + 0.2, "0.30000000000000004"),
            (999_999.5, "999999.5"),
            (999_999.999_999, "999999.999999"),
            (0.000_101, "0.000101"),
            (-12.000_001, "-12.000001"),
            (12.000_000_1, "12.0000001"),
            (-2.5, "-2.5"),
        ] {
            assert_eq!(format_float(value, FloatStyle::General), text);
        }
    }

    #[test]
    fn the_api_writes_plain_numbers_between_1e_minus_6_and_1e21() {
        for (value, text) in [
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
            (1e-6, "0.000001"),
            (1e-7, "1e-07"),
            (1_234_567.5, "1234567.5"),
            (1e6, "1000000"),
        ] {
            assert_eq!(format_float(value, FloatStyle::Api), text);
        }
    }

    #[test]
    fn canonical_marks_whole_numbers() {
        for (value, text) in [(1.0, "1.0"), (0.005, "0.005"), (1e6, "1e+06"), (100_000.0, "100000.0"), (f64::INFINITY, "+Inf")] {
            assert_eq!(format_float(value, FloatStyle::Canonical), text);
        }
    }

    #[test]
    fn plain_never_has_an_exponent() {
        assert_eq!(format_float(1e-9, FloatStyle::Plain), "0.000000001");
        assert_eq!(format_float(1.5e22, FloatStyle::Plain), "15000000000000000000000");
    }

    proptest::proptest! {
        #[test]
        fn whole_numbers_have_the_digits_of_the_shortest_search(number in 1_u64..1 << 53, places in 0_u32..16) {
            let magnitude = (number / 10_u64.pow(places)).max(1) as f64;
            let (quick, slow) = (Decimal::whole(magnitude), Decimal::parse(zmij::Buffer::new().format_finite(magnitude)));
            proptest::prop_assert_eq!((quick.digits(), quick.point), (slow.digits(), slow.point));
        }

        #[test]
        fn few_decimals_have_the_digits_of_the_shortest_search(millionths in 100_u64..1_000_000_000_000, places in 0_u32..7) {
            let magnitude = millionths.next_multiple_of(10_u64.pow(places)) as f64 / 1e6;
            proptest::prop_assume!(magnitude < 1e6 && magnitude.fract() != 0.0);
            let mut text = Vec::new();
            proptest::prop_assert!(write_millionths(magnitude, &mut text));
            proptest::prop_assert_eq!(String::from_utf8(text).expect("ASCII"), format!("{magnitude}"));
        }

        #[test]
        fn every_style_reads_back_to_the_bit(value in proptest::num::f64::NORMAL | proptest::num::f64::SUBNORMAL | proptest::num::f64::ZERO) {
            for style in [FloatStyle::General, FloatStyle::Api, FloatStyle::Plain, FloatStyle::Canonical] {
                let text = format_float(value, style);
                proptest::prop_assert_eq!(text.parse::<f64>().expect("a float").to_bits(), value.to_bits(), "{}", text);
            }
        }
    }
}
