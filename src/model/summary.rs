//! A summary: quantiles of what was observed lately, beside the sum and the count of all that ever was.

/// What a summary shows.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// Quantiles, each with its value: not a number while nothing was observed lately.
    pub quantiles: Vec<(f64, f64)>,
    /// The sum of all observations.
    pub sum: f64,
    /// How many there were.
    pub count: u64,
}
