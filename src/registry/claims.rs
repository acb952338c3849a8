//! Which names on a scrape belong to whom. A histogram's samples are named `_bucket`, `_sum` and `_count`, and
//! OpenMetrics names a counter's family without `_total`; two families must not meet in any of these.
//! Source: OpenMetrics 1.0 "Metric naming", "Suffixes".

use crate::model::MetricType;

/// All names that a family takes up on a scrape.
pub(super) fn names(name: &str, kind: MetricType) -> impl Iterator<Item = String> + '_ {
    let suffixes: &[&str] = match kind {
        MetricType::Histogram => &["_bucket", "_sum", "_count"],
        MetricType::Summary => &["_sum", "_count"],
        MetricType::Counter | MetricType::Gauge | MetricType::Unknown => &[],
    };
    let family = name.strip_suffix("_total").filter(|_| kind == MetricType::Counter);
    std::iter::once(name).chain(family).map(str::to_owned).chain(suffixes.iter().map(move |suffix| format!("{name}{suffix}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_and_a_counter_take_more_than_their_name() {
        assert_eq!(names("h", MetricType::Histogram).collect::<Vec<_>>(), ["h", "h_bucket", "h_sum", "h_count"]);
        assert_eq!(names("c_total", MetricType::Counter).collect::<Vec<_>>(), ["c_total", "c"]);
        assert_eq!(names("g_total", MetricType::Gauge).collect::<Vec<_>>(), ["g_total"]);
    }
}
