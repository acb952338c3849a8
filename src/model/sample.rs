//! One measured value, and the marker that ends a series.

use super::Timestamp;

/// The bits of Prometheus's stale marker: a NaN that ends a series at once.
/// Source: prometheus/prometheus `model/value/value.go`.
pub const STALE_BITS: u64 = 0x7ff0_0000_0000_0002;

/// The stale marker as a float. Keep it away from arithmetic and from conversions, which may quiet it.
#[must_use]
pub const fn stale_marker() -> f64 {
    f64::from_bits(STALE_BITS)
}

/// True for the stale marker and for nothing else, an ordinary NaN included.
#[must_use]
pub const fn is_stale(value: f64) -> bool {
    value.to_bits() == STALE_BITS
}

/// A value at a time.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// When it was measured.
    pub at: Timestamp,
    /// What was measured; may be NaN, infinite or the stale marker.
    pub value: f64,
}

/// Equal to the bit, so that NaN equals itself and a stale marker equals only a stale marker.
impl PartialEq for Sample {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at && self.value.to_bits() == other.value.to_bits()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_marker_is_stale() {
        assert!(is_stale(stale_marker()));
        assert!(!is_stale(f64::NAN));
        assert!(stale_marker().is_nan());
    }
}
