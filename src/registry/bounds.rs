//! The upper bounds of a histogram's classic buckets.

use std::sync::Arc;

/// More buckets than this are a mistake: every one is a series on a scrape.
const BOUNDS_MAX: usize = 200;

/// Why a list of bounds is refused.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum BoundsError {
    /// Nothing there.
    #[error("a histogram needs at least one bucket bound")]
    Empty,
    /// Too many.
    #[error("{0} bucket bounds are more than {BOUNDS_MAX}")]
    TooMany(usize),
    /// NaN or infinite; the bucket up to `+Inf` is implied.
    #[error("bucket bound {0} is not finite (the bucket up to +Inf is always there)")]
    NotFinite(f64),
    /// Not larger than the one before.
    #[error("bucket bound {next} does not rise above {previous}")]
    NotAscending {
        /// The bound before.
        previous: f64,
        /// The bound in question.
        next: f64,
    },
}

/// Upper bounds of buckets, ascending and finite; the bucket up to `+Inf` is implied.
#[derive(Clone, Debug, PartialEq, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(try_from = "Vec<f64>", into = "Vec<f64>")]
#[schemars(with = "Vec<f64>")]
pub struct Bounds(Arc<[f64]>);

impl Bounds {
    /// The bounds, shared.
    #[must_use]
    pub fn share(&self) -> Arc<[f64]> {
        Arc::clone(&self.0)
    }

    /// Bounds that are known to be right: the defaults.
    pub(super) fn of(bounds: &[f64]) -> Self {
        Self(Arc::from(bounds))
    }
}

impl TryFrom<Vec<f64>> for Bounds {
    type Error = BoundsError;
    fn try_from(bounds: Vec<f64>) -> Result<Self, BoundsError> {
        if bounds.is_empty() {
            return Err(BoundsError::Empty);
        }
        if bounds.len() > BOUNDS_MAX {
            return Err(BoundsError::TooMany(bounds.len()));
        }
        if let Some(bound) = bounds.iter().find(|bound| !bound.is_finite()) {
            return Err(BoundsError::NotFinite(*bound));
        }
        let mut previous = f64::NEG_INFINITY;
        for next in &bounds {
            if *next <= previous {
                return Err(BoundsError::NotAscending { previous, next: *next });
            }
            previous = *next;
        }
        Ok(Self(Arc::from(bounds)))
    }
}

impl From<Bounds> for Vec<f64> {
    fn from(bounds: Bounds) -> Self {
        bounds.0.to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_must_rise_and_be_finite() {
        assert!(Bounds::try_from(vec![0.1, 1.0]).is_ok());
        assert_eq!(Bounds::try_from(vec![]), Err(BoundsError::Empty));
        assert_eq!(Bounds::try_from(vec![1.0, 1.0]), Err(BoundsError::NotAscending { previous: 1.0, next: 1.0 }));
        assert_eq!(Bounds::try_from(vec![1.0, f64::INFINITY]), Err(BoundsError::NotFinite(f64::INFINITY)));
        assert!(matches!(Bounds::try_from(vec![f64::NAN]), Err(BoundsError::NotFinite(_))));
        assert_eq!(Bounds::try_from(vec![0.0; 201]), Err(BoundsError::TooMany(201)));
    }
}
