//! What a function of the language looks like from outside: name, arguments, type of its value.

use super::ast::ValueType::{self, Matrix as M, Scalar as S, String as T, Vector as V};
use Variadic::{No, Unlimited, UpTo};

/// A function as the parser and the documentation know it.
#[derive(Debug, PartialEq, Eq)]
pub struct Signature {
    /// The name, always lower case.
    pub name: &'static str,
    /// The types of the arguments; the last one is the type of all further ones.
    pub args: &'static [ValueType],
    /// How the number of arguments may vary.
    pub variadic: Variadic,
    /// The type of the value.
    pub returns: ValueType,
    /// True for those that Prometheus has behind a feature flag.
    pub experimental: bool,
    /// What it gives, in a line.
    pub doc: &'static str,
}

/// How many arguments a function takes beyond or below those listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variadic {
    /// Exactly those listed.
    No,
    /// The last one may be absent, or stand up to so many times.
    UpTo(usize),
    /// The last one may be absent, or stand any number of times.
    Unlimited,
}

/// The function of this name; names are case-sensitive.
#[must_use]
pub fn signature(name: &str) -> Option<&'static Signature> {
    SIGNATURES.binary_search_by_key(&name, |signature| signature.name).ok().and_then(|index| SIGNATURES.get(index))
}

type Args = &'static [ValueType];

const fn stable(name: &'static str, args: Args, variadic: Variadic, returns: ValueType, doc: &'static str) -> Signature {
    Signature { name, args, variadic, returns, experimental: false, doc }
}

const fn experimental(name: &'static str, args: Args, variadic: Variadic, returns: ValueType, doc: &'static str) -> Signature {
    Signature { name, args, variadic, returns, experimental: true, doc }
}

/// All functions, by name.
pub static SIGNATURES: &[Signature] = &[
    stable("abs", &[V], No, V, "The absolute value of every sample."),
    stable("absent", &[V], No, V, "1 if the vector is empty, else nothing."),
    stable("absent_over_time", &[M], No, V, "1 if no series has a sample in the range, else nothing."),
    stable("acos", &[V], No, V, "The arccosine, in radians."),
    stable("acosh", &[V], No, V, "The inverse hyperbolic cosine."),
    stable("asin", &[V], No, V, "The arcsine, in radians."),
    stable("asinh", &[V], No, V, "The inverse hyperbolic sine."),
    stable("atan", &[V], No, V, "The arctangent, in radians."),
    stable("atanh", &[V], No, V, "The inverse hyperbolic tangent."),
    stable("avg_over_time", &[M], No, V, "The mean of the samples in the range."),
    stable("ceil", &[V], No, V, "Rounded up to a whole number."),
    stable("changes", &[M], No, V, "How often the value changed in the range."),
    stable("clamp", &[V, S, S], No, V, "No less than the second and no more than the third argument."),
    stable("clamp_max", &[V, S], No, V, "No more than the second argument."),
    stable("clamp_min", &[V, S], No, V, "No less than the second argument."),
    stable("cos", &[V], No, V, "The cosine of radians."),
    stable("cosh", &[V], No, V, "The hyperbolic cosine."),
    stable("count_over_time", &[M], No, V, "How many samples the range has."),
    stable("day_of_month", &[V], UpTo(1), V, "The day of the month, 1 to 31, of a Unix time in UTC."),
    stable("day_of_week", &[V], UpTo(1), V, "The day of the week, 0 (Sunday) to 6, of a Unix time in UTC."),
    stable("day_of_year", &[V], UpTo(1), V, "The day of the year, 1 to 366, of a Unix time in UTC."),
    stable("days_in_month", &[V], UpTo(1), V, "How many days the month of a Unix time has."),
    stable("deg", &[V], No, V, "Radians as degrees."),
    stable("delta", &[M], No, V, "The difference between end and start of the range, extrapolated to its edges; for gauges."),
    stable("deriv", &[M], No, V, "The slope per second by linear regression; for gauges."),
    experimental("double_exponential_smoothing", &[M, S, S], No, V, "The value smoothed by a level factor and a trend factor."),
    experimental("end", &[], No, S, "The last time of the query, in Unix seconds."),
    stable("exp", &[V], No, V, "The exponential function."),
    stable("first_over_time", &[M], No, V, "The first sample in the range."),
    stable("floor", &[V], No, V, "Rounded down to a whole number."),
    stable("histogram_avg", &[V], No, V, "The mean of the observations of a native histogram."),
    stable("histogram_count", &[V], No, V, "How many observations a native histogram has."),
    stable("histogram_fraction", &[S, S, V], No, V, "Which fraction of the observations lies between two bounds."),
    stable("histogram_quantile", &[S, V], No, V, "The estimated quantile of a histogram, by its buckets."),
    experimental(
        "histogram_quantiles",
        &[V, T, S, S],
        UpTo(9),
        V,
        "Several quantiles of a histogram, told apart by the label that the second argument names.",
    ),
    stable("histogram_stddev", &[V], No, V, "The estimated standard deviation of a native histogram."),
    stable("histogram_stdvar", &[V], No, V, "The estimated variance of a native histogram."),
    stable("histogram_sum", &[V], No, V, "The sum of the observations of a native histogram."),
    stable("hour", &[V], UpTo(1), V, "The hour of the day, 0 to 23, of a Unix time in UTC."),
    stable("idelta", &[M], No, V, "The difference of the last two samples; for gauges."),
    stable("increase", &[M], No, V, "By how much a counter grew, extrapolated to the edges of the range."),
    experimental(
        "info",
        &[V, V],
        UpTo(1),
        V,
        "The series with the labels of their info series added, of which the second argument selects some.",
    ),
    stable("irate", &[M], No, V, "The growth per second of a counter between its last two samples."),
    stable("label_join", &[V, T, T, T], Unlimited, V, "A label set to the values of other labels, joined by a separator."),
    stable("label_replace", &[V, T, T, T, T], No, V, "A label set from another label by a regular expression."),
    stable("last_over_time", &[M], No, V, "The last sample in the range."),
    stable("ln", &[V], No, V, "The natural logarithm."),
    stable("log10", &[V], No, V, "The decimal logarithm."),
    stable("log2", &[V], No, V, "The binary logarithm."),
    experimental("mad_over_time", &[M], No, V, "The median absolute deviation of the samples in the range."),
    experimental("max_of", &[S, S], No, S, "The greater of two numbers."),
    stable("max_over_time", &[M], No, V, "The greatest sample in the range."),
    experimental("min_of", &[S, S], No, S, "The lesser of two numbers."),
    stable("min_over_time", &[M], No, V, "The least sample in the range."),
    stable("minute", &[V], UpTo(1), V, "The minute of the hour, 0 to 59, of a Unix time in UTC."),
    stable("month", &[V], UpTo(1), V, "The month, 1 to 12, of a Unix time in UTC."),
    stable("pi", &[], No, S, "The number pi."),
    stable("predict_linear", &[M, S], No, V, "The value so many seconds from now, by linear regression; for gauges."),
    stable("present_over_time", &[M], No, V, "1 for every series with a sample in the range."),
    stable("quantile_over_time", &[S, M], No, V, "The quantile of the samples in the range."),
    stable("rad", &[V], No, V, "Degrees as radians."),
    experimental("range", &[], No, S, "The length of the query's time range, in seconds."),
    stable("rate", &[M], No, V, "The growth per second of a counter, extrapolated to the edges of the range."),
    stable("resets", &[M], No, V, "How often a counter was reset in the range."),
    stable("round", &[V, S], UpTo(1), V, "Rounded to the nearest multiple of the second argument, 1 if absent."),
    stable("scalar", &[V], No, S, "The value of the only series, or NaN if there is not exactly one."),
    stable("sgn", &[V], No, V, "The sign: -1, 0 or 1."),
    stable("sin", &[V], No, V, "The sine of radians."),
    stable("sinh", &[V], No, V, "The hyperbolic sine."),
    stable("sort", &[V], No, V, "The least value first."),
    experimental("sort_by_label", &[V, T], Unlimited, V, "Sorted by the values of labels, in natural order."),
    experimental("sort_by_label_desc", &[V, T], Unlimited, V, "As sort_by_label, the last first."),
    stable("sort_desc", &[V], No, V, "The greatest value first."),
    stable("sqrt", &[V], No, V, "The square root."),
    experimental("start", &[], No, S, "The first time of the query, in Unix seconds."),
    stable("stddev_over_time", &[M], No, V, "The standard deviation of the samples in the range."),
    stable("stdvar_over_time", &[M], No, V, "The variance of the samples in the range."),
    experimental("step", &[], No, S, "The step of the query, in seconds."),
    stable("sum_over_time", &[M], No, V, "The sum of the samples in the range."),
    stable("tan", &[V], No, V, "The tangent of radians."),
    stable("tanh", &[V], No, V, "The hyperbolic tangent."),
    stable("time", &[], No, S, "The time of the evaluation, in Unix seconds."),
    stable("timestamp", &[V], No, V, "The time of every sample, in Unix seconds."),
    experimental("ts_of_first_over_time", &[M], No, V, "The time of the first sample in the range, in Unix seconds."),
    experimental("ts_of_last_over_time", &[M], No, V, "The time of the last sample in the range, in Unix seconds."),
    experimental("ts_of_max_over_time", &[M], No, V, "The time of the last greatest sample in the range, in Unix seconds."),
    experimental("ts_of_min_over_time", &[M], No, V, "The time of the last least sample in the range, in Unix seconds."),
    stable("vector", &[S], No, V, "A vector of one series without labels."),
    stable("year", &[V], UpTo(1), V, "The year of a Unix time in UTC."),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_function_is_found_by_its_name() {
        for function in SIGNATURES {
            assert_eq!(signature(function.name), Some(function));
        }
        assert_eq!(signature("Rate"), None);
    }

    #[test]
    fn only_functions_with_arguments_are_variadic() {
        assert!(SIGNATURES.iter().all(|function| function.variadic == Variadic::No || !function.args.is_empty()));
    }
}
