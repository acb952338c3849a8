//! Floats that are decimal numbers of few places: most of what is measured is counted in whole units, hundredths of a
//! second, or the like, and differences of whole numbers are short where those of floats are not.

/// A number of decimal places.
pub(super) type Places = u8;

/// The most places that are looked for.
pub(super) const PLACES_MAX: Places = 6;

const POWERS: [f64; PLACES_MAX as usize + 1] = [1.0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6];

/// Whole numbers up to here are exact in a float.
const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;

/// The whole number of which [`from_whole`] makes this value to the bit; `None` where there is none.
pub(super) fn to_whole(value: f64, places: Places) -> Option<i64> {
    let whole = (value * POWERS.get(usize::from(places))?).round();
    // Not a number is not in the range either.
    if !(-WHOLE_MAX..=WHOLE_MAX).contains(&whole) {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, reason = "it is whole and in range")]
    let whole = whole as i64;
    (from_whole(whole, places).to_bits() == value.to_bits()).then_some(whole)
}

/// A whole number of units of the last of so many places.
#[expect(clippy::cast_precision_loss, reason = "to_whole gives numbers that fit, and checks")]
pub(super) fn from_whole(whole: i64, places: Places) -> f64 {
    whole as f64 / POWERS.get(usize::from(places)).copied().unwrap_or(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_comes_back_to_the_bit_is_a_decimal() {
        assert_eq!(to_whole(12.34, 2), Some(1234));
        assert_eq!(to_whole(-0.07, 2), Some(-7));
        assert_eq!(to_whole(12.34, 1), None);
        assert_eq!(to_whole(0.1 + 0.2, 6), None);
        for value in [-0.0, f64::NAN, f64::INFINITY, f64::MAX, f64::MIN_POSITIVE, WHOLE_MAX * 4.0] {
            assert_eq!(to_whole(value, 0), None, "{value}");
        }
    }
}
