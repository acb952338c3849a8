//! Where series end, of which a server tells raw samples alone. Prometheus marks an end in what it stores and shows the mark to nobody; but from the mark on
//! an instant query does not see the series, and a range does.

use std::collections::BTreeMap;

use crate::model::Labels;

/// Times in milliseconds, by series, in order.
pub(super) type Times = BTreeMap<Labels, Vec<i64>>;

/// A sample is late where the one before is longer ago than so many tenths of what is usual.
const LATE_TENTHS: i64 = 15;
/// How far apart samples are where there are too few to tell.
const UNKNOWN_MILLIS: i64 = 15_000;
/// Servers refuse more than 11,000 steps of a range, and a piece has 9,000 of these.
const STEP_MILLIS_MIN: i64 = 400;

/// A series that has no sample for longer than is usual.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Gap {
    pub(super) labels: Labels,
    /// The last sample before.
    pub(super) after: i64,
    /// The next sample, or when nobody sees the last one any more.
    pub(super) until: i64,
    /// How far apart the samples usually are.
    pub(super) spacing: i64,
}

/// A time in which to ask. Both ends are inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stretch {
    pub(super) start: i64,
    pub(super) end: i64,
}

/// Where series may have ended, by time.
pub(super) fn gaps(series: Times, lookback: i64, end: i64) -> Vec<Gap> {
    let common = median(series.values().filter_map(|times| spacing(times)).collect()).unwrap_or(UNKNOWN_MILLIS);
    let mut gaps = Vec::new();
    for (labels, times) in series {
        let spacing = spacing(&times).unwrap_or(common).max(STEP_MILLIS_MIN);
        for (place, after) in times.iter().enumerate() {
            let next = times.get(place + 1).copied().unwrap_or(end);
            if next.saturating_sub(*after) > spacing.saturating_mul(LATE_TENTHS) / 10 {
                gaps.push(Gap { labels: labels.clone(), after: *after, until: next.min(after.saturating_add(lookback)), spacing });
            }
        }
    }
    gaps.sort_by_key(|gap| gap.after);
    gaps
}

fn spacing(times: &[i64]) -> Option<i64> {
    median(times.windows(2).filter_map(|pair| Some(pair.get(1)? - pair.first()?)).filter(|apart| *apart > 0).collect())
}

/// The lower one of two.
fn median(mut values: Vec<i64>) -> Option<i64> {
    values.sort_unstable();
    values.get(values.len().checked_sub(1)? / 2).copied()
}

/// Times that hold all gaps, and little else, none longer than a piece.
pub(super) fn stretches(gaps: &[Gap], piece: i64) -> Vec<Stretch> {
    let mut stretches: Vec<Stretch> = Vec::new();
    for gap in gaps {
        let (mut start, end) = (gap.after, gap.until);
        if let Some(last) = stretches.last_mut().filter(|last| start <= last.end) {
            last.end = last.end.max(end.min(last.start.saturating_add(piece)));
            start = last.end;
        }
        while start < end {
            let to = end.min(start.saturating_add(piece));
            stretches.push(Stretch { start, end: to });
            start = to;
        }
    }
    stretches
}

/// A mark for each gap in which a series was seen to be gone: a sample's distance behind the last one, where that fits to what was seen `step`
/// by `step`, as whoever writes the mark does it when it misses the next sample.
pub(super) fn ends(gaps: Vec<Gap>, gone: &Times, step: i64) -> Vec<(Labels, i64)> {
    let end = |gap: Gap| {
        let seen = gone.get(&gap.labels)?.iter().copied().filter(|at| *at > gap.after && *at < gap.until).min()?;
        let due = gap.after.saturating_add(gap.spacing);
        Some((gap.labels, if (seen.saturating_sub(step)..seen).contains(&due) { due } else { seen }))
    };
    gaps.into_iter().filter_map(end).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str) -> Labels {
        Labels::from_pairs([("__name__", name)])
    }

    fn gap(after: i64, until: i64) -> Gap {
        Gap { labels: of("x"), after, until, spacing: 1_000 }
    }

    #[test]
    fn a_series_may_have_ended_where_samples_are_late() {
        let every = |from: i64, to: i64| (from..to).step_by(1_000);
        let series = Times::from([
            (of("steady"), every(0, 60_000).collect()),
            (of("gone"), every(0, 20_000).collect()),
            (of("once"), vec![5_000]),
            (of("again"), every(0, 10_000).chain(every(12_000, 60_000)).collect()),
        ]);
        let found: Vec<_> = gaps(series, 30_000, 60_000).into_iter().map(|gap| (gap.labels, gap.after, gap.until)).collect();
        assert_eq!(found, [(of("once"), 5_000, 35_000), (of("again"), 9_000, 12_000), (of("gone"), 19_000, 49_000)]);
    }

    #[test]
    fn gaps_that_meet_are_asked_for_together_and_never_too_much_at_once() {
        let asked = |gaps: &[Gap]| stretches(gaps, 100).into_iter().map(|stretch| (stretch.start, stretch.end)).collect::<Vec<_>>();
        assert_eq!(asked(&[gap(0, 20), gap(10, 30), gap(20, 25), gap(40, 50)]), [(0, 30), (40, 50)]);
        assert_eq!(asked(&[gap(0, 80), gap(50, 180), gap(60, 190)]), [(0, 100), (100, 190)]);
        assert_eq!(asked(&[gap(0, 250)]), [(0, 100), (100, 200), (200, 250)]);
        assert!(asked(&[]).is_empty());
    }

    #[test]
    fn a_series_ends_where_its_next_sample_was_due_or_where_it_is_first_seen_to_be_gone() {
        let gone = Times::from([(of("x"), vec![11_500, 12_500, 31_900])]);
        let found = |gaps: &[Gap]| ends(gaps.to_vec(), &gone, 1_000).into_iter().map(|(_, at)| at).collect::<Vec<_>>();
        assert_eq!(found(&[gap(10_200, 20_000)]), [11_200]);
        assert_eq!(found(&[gap(29_200, 40_000)]), [31_900]);
        assert!(found(&[gap(13_000, 20_000)]).is_empty());
    }
}
