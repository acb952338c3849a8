//! What a sampling rate does to a value. Source: StatsD `docs/metric_types.md` "Sampling".

use super::Refusal;

/// One in a million. A smaller rate would let one line claim any number of events.
const RATE_MIN: f64 = 1e-6;

/// How many events one reported event stands for; at least 1.
///
/// # Errors
/// When the rate is not above zero.
pub(super) fn inverse(rate: f64) -> Result<f64, Refusal> {
    if rate.is_nan() || rate <= 0.0 { Err(Refusal::BadRate) } else { Ok(1.0 / rate.clamp(RATE_MIN, 1.0)) }
}

/// The same as a whole number of observations.
///
/// # Errors
/// When the rate is not above zero.
pub(super) fn weight(rate: f64) -> Result<u64, Refusal> {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // between 1 and a million
    inverse(rate).map(|times| times.round() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_stands_for_its_inverse_within_limits() {
        for (rate, times) in [(1.0, 1), (0.1, 10), (0.3, 3), (2.0, 1), (1e-30, 1_000_000)] {
            assert_eq!(weight(rate), Ok(times), "{rate}");
        }
        for rate in [0.0, -1.0, f64::NAN] {
            assert_eq!(weight(rate), Err(Refusal::BadRate), "{rate}");
        }
    }
}
