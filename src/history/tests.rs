//! History as a whole: against a naive model, and its limits.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use proptest::prelude::*;

use super::column::Grade;
use super::*;
use crate::model::{MatchOp, STALE_BITS, Sample, is_stale, stale_marker};

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn labels(text: &str) -> Labels {
    Labels::from_pairs([("__name__", "m"), ("l", text)])
}

fn config() -> Config {
    Config { thinned_retention: PromDuration::from_secs(0), bytes_max: 1 << 20, series_max: 100, ..Config::default() }
}

fn history(config: &Config) -> History {
    History::new(config, &Telemetry::new())
}

fn everything(history: &History) -> Vec<Window> {
    history.select(&[], Timestamp::MIN, Timestamp::MAX).expect("readable")
}

#[test]
fn what_is_appended_is_found_in_order_of_labels() {
    let history = history(&config());
    let appended = history.append(at(1000), &[(labels("b"), 2.0), (labels("a"), 1.0)]);
    assert_eq!(appended, Appended { stored: 2, ..Appended::default() });
    let windows = everything(&history);
    assert_eq!(windows[0], Window { labels: labels("a"), samples: vec![Sample { at: at(1000), value: 1.0 }] });
    assert_eq!(windows[1].labels, labels("b"));
    assert_eq!(history.label_names(&[], at(0), at(1000)).expect("readable"), ["__name__", "l"]);
    assert_eq!(history.label_values("l", &[], at(0), at(1000)).expect("readable"), ["a", "b"]);
    assert_eq!(history.series(&[], at(1000), at(2000)).expect("readable"), Vec::<Labels>::new());
}

#[test]
fn a_sample_that_is_there_already_is_no_refusal_and_an_end_that_comes_too_late_no_complaint() {
    let history = history(&config());
    history.append(at(1000), &[(labels("a"), 1.0), (labels("nan"), f64::NAN)]);
    let again = history.append(at(1000), &[(labels("a"), 1.0), (labels("nan"), f64::NAN)]);
    assert_eq!(again, Appended { known: 2, ..Appended::default() });
    let ended = history.append(at(1000), &[(labels("a"), stale_marker())]);
    assert_eq!(ended, Appended { duplicate: 1, ..Appended::default() });
    let mixed = history.append(at(1000), &[(labels("a"), 2.0), (labels("b"), 1.0), (labels("nan"), stale_marker())]);
    assert_eq!(mixed, Appended { stored: 1, duplicate: 2, refusal: Some(Refusal::Duplicate), ..Appended::default() });
    assert_eq!((everything(&history)[0].samples[0].value, history.read().samples()), (1.0, 3));
}

#[test]
fn refusals_are_counted_by_reason_and_touch_nothing_else() {
    let telemetry = Telemetry::new();
    let history = History::new(&Config { series_max: 1, ..config() }, &telemetry);
    history.append(at(1000), &[(labels("a"), 1.0)]);
    let appended = history.append(at(1000), &[(labels("a"), 9.0), (labels("b"), 1.0)]);
    assert_eq!(appended, Appended { duplicate: 1, over_limit: 1, refusal: Some(Refusal::OverLimit), ..Appended::default() });
    let appended = history.append(at(500), &[(labels("a"), 9.0)]);
    assert_eq!(appended, Appended { out_of_order: 1, refusal: Some(Refusal::OutOfOrder), ..Appended::default() });
    assert_eq!(everything(&history)[0].samples, [Sample { at: at(1000), value: 1.0 }]);

    let families = telemetry.families();
    let refused = families.iter().find(|family| &*family.name == "sidewatch_history_samples_refused_total").expect("registered");
    for series in &refused.series {
        assert_eq!(series.value, crate::model::Value::Number(1.0), "{}", series.labels);
    }
    assert_eq!(refused.series.len(), 3);
}

#[test]
fn a_stale_marker_comes_back_to_the_bit_and_the_series_goes_on() {
    let history = history(&config());
    for (millis, value) in [(1, 1.0), (2, stale_marker()), (3, 3.0)] {
        assert_eq!(history.append(at(millis), &[(labels("a"), value)]).stored, 1);
    }
    let windows = everything(&history);
    assert_eq!(windows.len(), 1);
    assert_eq!(windows[0].samples[1].value.to_bits(), STALE_BITS);
}

#[test]
fn what_is_beyond_the_retention_is_not_seen_and_its_series_disappear() {
    let history = history(&Config { retention: PromDuration::from_secs(60), ..config() });
    history.append(at(0), &[(labels("old"), 1.0), (labels("a"), 1.0)]);
    history.append(at(59_999), &[(labels("a"), 2.0)]);
    assert_eq!(everything(&history).len(), 2);
    history.append(at(60_000), &[(labels("a"), 3.0)]);
    let windows = everything(&history);
    assert_eq!(windows.len(), 1);
    assert_eq!(windows[0].samples.len(), 2);
    assert_eq!(history.series_count(), 1);
    assert_eq!(history.append(at(0), &[(labels("new"), 1.0)]).out_of_order, 1);
}

#[test]
fn over_the_budget_the_oldest_samples_go_first() {
    let config = Config { bytes_max: 32 << 10, ..config() };
    let history = history(&config);
    history.append(at(0), &[(labels("gone"), 1.0)]);
    // Values without any pattern take eight bytes each.
    let mix = |bits: u64| (bits ^ (bits >> 29)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let value = |second: i64| f64::from_bits(mix(mix(second.cast_unsigned())) >> 2);
    for second in 1..10_000 {
        let appended = history.append(at(second * 1000), &[(labels("a"), value(second)), (labels("b"), -value(second))]);
        assert_eq!(appended.stored, 2);
        assert!(history.bytes() <= config.bytes_max);
    }
    let windows = everything(&history);
    assert_eq!(windows.iter().map(|window| window.labels.clone()).collect::<Vec<_>>(), [labels("a"), labels("b")]);
    for window in windows {
        assert_eq!(window.samples.last().map(|sample| sample.at), Some(at(9_999_000)));
        assert!(window.samples.len() >= 1500, "{} samples of 8 bytes in half of 32 KiB", window.samples.len());
        assert!(window.samples.windows(2).all(|pair| pair[1].at == pair[0].at.plus_millis(1000)), "no hole");
    }
}

#[test]
fn series_leave_room_for_samples_however_many_come() {
    let history = history(&Config { bytes_max: 1 << 20, series_max: 100_000, ..config() });
    let all: Vec<_> = (0..10_000).map(|number| (labels(&format!("series-{number}")), 1.0)).collect();
    let mut known = 0;
    for second in [0, 5, 10, 15] {
        let appended = history.append(at(second * 1000), &all);
        assert_eq!((appended.stored + appended.over_limit, appended.refused()), (10_000, appended.over_limit));
        known = appended.stored;
        assert!((1_000..2_000).contains(&known), "{appended:?}");
        assert!(history.bytes() <= 1 << 20);
    }
    let windows = everything(&history);
    assert_eq!(windows.len() as u64, known, "those that came first go on");
    assert!(windows.iter().all(|window| window.samples.len() == 4));
}

#[test]
fn what_is_needed_and_not_held_is_told() {
    let telemetry = Telemetry::new();
    let history = History::new(&Config { bytes_max: 32 << 10, ..config() }, &telemetry);
    let need = |seconds: i64| history.need(Need { millis: seconds * 1000, by: "r".to_owned() });
    need(3600);
    assert_eq!(history.shortage(), None, "there was no time for it yet");
    let mix = |bits: u64| (bits ^ (bits >> 29)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    for second in 1..5_000_i64 {
        let value = f64::from_bits(mix(mix(second.cast_unsigned())) >> 2);
        history.append(at(second * 1000), &[(labels("a"), value), (labels("b"), -value)]);
    }
    let shortage = history.shortage().expect("32 KiB hold less than an hour");
    assert!(shortage.over_budget && (1_000_000..3_600_000).contains(&shortage.held_millis), "{shortage}");
    let families = telemetry.families();
    let family = families.iter().find(|family| &*family.name == "sidewatch_history_short_seconds").expect("registered");
    let short = (3_600_000 - shortage.held_millis) as f64 / 1e3;
    assert_eq!(family.series[0].value, crate::model::Value::Number(short));
    need(1000);
    assert_eq!(history.shortage(), None);
}

#[test]
fn a_shortage_that_comes_and_goes_with_each_cut_is_told_once() {
    let history = History::new(&Config { bytes_max: 32 << 10, ..config() }, &Telemetry::new());
    let need = |millis: i64| Need { millis, by: "r".to_owned() };
    let mix = |bits: u64| (bits ^ (bits >> 29)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let append = |second: i64| {
        let value = f64::from_bits(mix(mix(second.cast_unsigned())) >> 2);
        history.append(at(second * 1000), &[(labels("a"), value), (labels("b"), -value)]);
    };
    history.need(need(4_000_000));
    (1..5_000).for_each(append);
    // What the budget holds after a cut is a little less than this, and before the next one it is more.
    let close = history.shortage().expect("short").held_millis + 10_000;
    history.need(need(close));
    let (mut told, mut count) = (None, 0);
    for second in 5_000..8_000 {
        append(second);
        let shortage = history.shortage();
        count += usize::from(news(&mut told, shortage.as_ref()).is_some());
        assert!(shortage.is_none_or(|shortage| shortage.over_budget && shortage.held_millis < close), "{second}");
    }
    assert_eq!((count, told.is_some()), (1, true));

    history.need(need(2 * close));
    assert!(news(&mut told, history.shortage().as_ref()).is_some(), "of another need");
    history.need(need(2 * close));
    assert_eq!(news(&mut told, history.shortage().as_ref()), None, "of the same one, after a reload");
    history.need(need(close / 2));
    assert_eq!((news(&mut told, history.shortage().as_ref()), told), (None, None));
}

#[test]
fn an_emptied_history_holds_no_bytes() {
    let history = history(&Config { retention: PromDuration::from_secs(1), ..config() });
    history.append(at(0), &[(labels("a"), 1.0), (labels("b"), 1.0)]);
    history.append(at(100_000), &[]);
    assert_eq!((history.series_count(), history.bytes()), (0, 0));
}

#[test]
fn six_hours_of_counters_take_less_than_a_byte_a_sample() {
    let telemetry = Telemetry::new();
    let history = History::new(&Config::default(), &telemetry);
    let mut samples: Vec<(Labels, f64)> = (0..20).map(|i| (labels(&format!("series-{i}")), 0.0)).collect();
    let mut random = 0x9e37_79b9_u32;
    for tick in 0..4320 {
        for (number, (_, value)) in samples.iter_mut().enumerate() {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            // Some stand still, some go on evenly, some by steps that differ.
            *value += [0.0, 128.0, f64::from(random >> 28)][number % 3];
        }
        assert_eq!(history.append(at(tick * 5_000), &samples).stored, 20);
    }
    assert!(history.bytes() < 4320 * 20, "{} bytes", history.bytes());
    let families = telemetry.families();
    let value = |name: &str| families.iter().find(|family| &*family.name == name).expect("registered").series[0].value.clone();
    assert_eq!(value("sidewatch_history_samples"), crate::model::Value::Number(86_400.0));
    assert_eq!(value("sidewatch_history_bytes_per_sample"), crate::model::Value::Number(history.bytes() as f64 / 86_400.0));
    let crate::model::Value::Number(sealed) = value("sidewatch_history_chunks_sealed_total") else { panic!("a number") };
    assert!((20.0 * 8.0..=20.0 * 12.0).contains(&sealed), "{sealed} chunks");
}

#[test]
fn a_query_reads_on_while_another_one_appends_and_seals() {
    let history = history(&config());
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for tick in 0..3000 {
                history.append(at(tick), &[(labels("a"), tick as f64), (labels("b"), tick as f64)]);
            }
            stop.store(true, std::sync::atomic::Ordering::Release);
        });
        loop {
            let last = stop.load(std::sync::atomic::Ordering::Acquire);
            for window in everything(&history) {
                assert!(window.samples.iter().zip(0..).all(|(sample, tick)| sample.value == f64::from(tick)), "a prefix without a hole");
            }
            if last {
                break;
            }
        }
    });
    assert!(everything(&history).iter().all(|window| window.samples.len() == 3000));
}

#[test]
fn whoever_visits_can_stop() {
    let history = history(&config());
    history.append(at(1000), &[(labels("b"), 2.0), (labels("a"), 1.0)]);
    let mut seen = Vec::new();
    let visited = history.visit(&[], Timestamp::MIN, Timestamp::MAX, &mut |labels, _| {
        seen.push(labels.clone());
        ControlFlow::Break(())
    });
    assert_eq!((visited, seen), (Ok(()), vec![labels("b")]));
}

#[test]
fn what_is_appended_while_somebody_visits_is_not_for_him() {
    let history = history(&Config { series_max: 5_000, bytes_max: 8 << 20, ..config() });
    let all: Vec<(Labels, f64)> = (0..1000).map(|number| (labels(&format!("m{number}")), 1.0)).collect();
    history.append(at(1000), &all);
    let mut seen = Vec::new();
    let visited = history.visit(&[], Timestamp::MIN, Timestamp::MAX, &mut |labels, samples| {
        if seen.is_empty() {
            assert_eq!(history.append(at(2000), &all).stored, 1000);
        }
        assert_eq!(samples, [Sample { at: at(1000), value: 1.0 }]);
        seen.push(labels.clone());
        ControlFlow::Continue(())
    });
    assert_eq!(visited, Ok(()));
    assert!(seen.iter().eq(all.iter().map(|(labels, _)| labels)));
}

#[test]
fn what_is_appended_late_while_somebody_visits_is_not_for_him_either() {
    let history = history(&Config { series_max: 5_000, bytes_max: 8 << 20, ..config() });
    let named = |name: &str| (0..1000).map(|number| (labels(&format!("{name}{number}")), 1.0)).collect::<Vec<_>>();
    history.append(at(1000), &named("a"));
    // A rule group with a later slot was first.
    history.append(at(2001), &[(labels("rule"), 1.0)]);
    let mut seen = 0;
    let visited = history.visit(&[], Timestamp::MIN, Timestamp::MAX, &mut |_, samples| {
        if seen == 0 {
            assert_eq!(history.append(at(2000), &[named("a"), named("b")].concat()).stored, 2000);
        }
        assert_eq!(samples.len(), 1);
        seen += 1;
        ControlFlow::Continue(())
    });
    assert_eq!((visited, seen), (Ok(()), 1001));
}

/// Visits what begins with an `a` of a thousand series, which go after the first one; then others come with that name and time, too early
/// to be later than the query. How often each was seen.
fn visit_while_places_change(others: char) -> BTreeMap<Labels, u32> {
    let history = history(&Config { retention: PromDuration::from_secs(60), series_max: 5_000, bytes_max: 8 << 20, ..config() });
    let named = |prefix: char| (0..1000).map(move |number| (labels(&format!("{prefix}{number}")), 1.0)).collect::<Vec<_>>();
    history.append(at(0), &named('a'));
    history.append(at(59_999), &[(labels("a-last"), 1.0)]);
    let matchers = [Matcher::new("l", MatchOp::Regex, "a.*").expect("valid")];
    let mut seen = BTreeMap::new();
    let visited = history.visit(&matchers, Timestamp::MIN, Timestamp::MAX, &mut |labels, _| {
        if seen.is_empty() {
            history.append(at(60_500), &[]);
            assert_eq!(history.series_count(), 1);
            assert_eq!(history.append(at(59_000), &named(others)).stored, 1000);
        }
        *seen.entry(labels.clone()).or_insert(0) += 1;
        ControlFlow::Continue(())
    });
    assert_eq!(visited, Ok(()));
    seen
}

#[test]
fn whose_places_others_have_taken_meanwhile_are_not_mistaken_for_them() {
    let seen = visit_while_places_change('b');
    assert!(seen.keys().all(|labels| labels.get("l").is_some_and(|l| l.starts_with('a'))), "{seen:?}");
    assert!((2..1001).contains(&seen.len()) && seen.contains_key(&labels("a-last")), "{}", seen.len());
}

#[test]
fn who_goes_and_comes_back_meanwhile_is_seen_once() {
    assert!(visit_while_places_change('a').values().all(|count| *count == 1));
}

#[test]
fn the_newest_sample_is_found_wherever_it_is() {
    let history = history(&thinning());
    // More than are in a head, with an hour without a sample, so that what is asked for is in the head, in a chunk, thinned or nowhere.
    let times: Vec<i64> = (0..3000).map(|tick| tick * 5000).filter(|time| !(4_000_000..7_600_000).contains(time)).collect();
    for time in &times {
        history.append(at(*time), &[(labels("m"), *time as f64)]);
    }
    let all = everything(&history);
    let [Window { samples, .. }] = all.as_slice() else { panic!("{all:?}") };
    for until in (-5_000..15_010_000).step_by(17_001) {
        let mut found: Vec<Sample> = Vec::new();
        let after = at(until - 300_000);
        let visited = history.visit_newest(&[], after, at(until), &mut |_, samples| {
            found.extend(samples);
            ControlFlow::Continue(())
        });
        assert_eq!(visited, Ok(()));
        let newest = samples.iter().rev().find(|sample| sample.at <= at(until)).filter(|sample| sample.at > after);
        assert_eq!(found, Vec::from_iter(newest.copied()), "{until}");
    }
}

/// Full for an hour, thinned for a day.
fn thinning() -> Config {
    Config { retention: PromDuration::from_secs(3600), thinned_retention: PromDuration::from_secs(24 * 3600), ..config() }
}

/// The last sample of each minute.
fn last_of_minutes(samples: &[Sample]) -> Vec<Sample> {
    let mut minutes: BTreeMap<i64, Sample> = BTreeMap::new();
    for sample in samples {
        minutes.insert(sample.at.as_millis().div_euclid(60_000), *sample);
    }
    minutes.into_values().collect()
}

#[test]
fn behind_the_retention_the_last_sample_of_each_minute_stays_at_its_own_time() {
    let telemetry = Telemetry::new();
    let history = History::new(&thinning(), &telemetry);
    for tick in 0..(30 * 720) {
        history.append(at(tick * 5000 + 1234), &[(labels("a"), tick as f64), (labels("b"), 1.0)]);
    }
    let newest = 1234 + (30 * 720 - 1) * 5000;
    let windows = everything(&history);
    assert_eq!(windows.len(), 2);
    for window in &windows {
        let full: Vec<i64> =
            window.samples.iter().map(|sample| sample.at.as_millis()).filter(|millis| *millis > newest - 3_600_000).collect();
        assert_eq!(full, (0..720).rev().map(|back| newest - back * 5000).collect::<Vec<_>>());
        // A chunk is thinned as a whole, so what is behind the hour can be full for as long as a chunk is.
        let behind: Vec<i64> =
            window.samples.iter().map(|sample| sample.at.as_millis()).filter(|millis| *millis < newest - 2 * 3_600_000).collect();
        assert!(behind.len() >= 21 * 60, "{} minutes", behind.len());
        assert!(behind.iter().all(|millis| millis % 60_000 == 56_234), "the last tick of a minute");
        assert!(behind.array_windows().all(|[earlier, later]| later - earlier == 60_000), "no minute is missing");
        assert!(behind.first().is_some_and(|oldest| *oldest > newest - 24 * 3_600_000));
    }
    assert!(windows[0].samples.iter().all(|sample| sample.value == ((sample.at.as_millis() - 1234) / 5000) as f64));
    let families = telemetry.families();
    let dropped = families.iter().find(|family| &*family.name == "sidewatch_history_samples_dropped_total").expect("registered");
    let dropped: f64 =
        dropped.series.iter().map(|series| if let crate::model::Value::Number(number) = series.value { number } else { 0.0 }).sum();
    let kept = history.read().samples();
    assert_eq!(dropped + kept as f64, (2 * 30 * 720) as f64, "what is not there any more is counted");
    assert!(kept >= windows.iter().map(|window| window.samples.len() as u64).sum());
}

#[test]
fn more_than_a_head_can_count_is_thinned_at_once() {
    const DAY: i64 = 86_400_000;
    let days = |days: u64| PromDuration::from_secs(days * 86_400);
    let telemetry = Telemetry::new();
    let config = Config { retention: days(50), thinned_retention: days(1000), bytes_max: 64 << 20, ..config() };
    let history = History::new(&config, &telemetry);
    let minutes = 70_000;
    for minute in 0..minutes {
        history.append(at(minute * 60_000), &[(labels("a"), 7.0), (labels("b"), (minute % 10) as f64)]);
    }
    // After a pause all of it is behind the retention, then what came after the pause, too.
    let later = [minutes * 60_000 + 60 * DAY, minutes * 60_000 + 120 * DAY, minutes * 60_000 + 180 * DAY];
    for millis in later {
        history.append(at(millis - 1), &[(labels("c"), 7.0)]);
        history.append(at(millis), &[(labels("a"), 7.0), (labels("b"), 7.0)]);
    }
    let times: Vec<Timestamp> = (0..minutes).map(|minute| minute * 60_000).chain(later).map(at).collect();
    for window in everything(&history).iter().take(2) {
        assert!(window.samples.iter().map(|sample| sample.at).eq(times.iter().copied()), "{}", window.labels);
    }
    assert_eq!(history.read().samples(), 2 * times.len() as u64 + 3);
    let chunks = |grade| {
        history
            .read()
            .entries()
            .filter_map(|(_, series)| series.column(grade))
            .flat_map(|column| column.chunks(i64::MIN, i64::MAX))
            .map(|chunk| chunk::count(&chunk.bytes))
            .max()
    };
    assert_eq!(chunks(Grade::Minutes), Some(480));
}

#[test]
fn a_series_that_has_ended_is_thinned_too_and_can_go_on() {
    let history = history(&thinning());
    for tick in 0..30 {
        history.append(at(tick * 5000), &[(labels("a"), tick as f64)]);
    }
    history.append(at(150_000), &[(labels("a"), stale_marker())]);
    history.append(at(3_800_000), &[(labels("b"), 1.0)]);
    let times = |history: &History| everything(history)[0].samples.iter().map(|sample| sample.at.as_millis()).collect::<Vec<_>>();
    assert_eq!(times(&history), [55_000, 115_000, 150_000]);
    assert!(is_stale(everything(&history)[0].samples[2].value));
    assert_eq!(history.append(at(150_000), &[(labels("a"), 1.0)]).out_of_order, 1);
    history.append(at(3_800_001), &[(labels("a"), 2.0)]);
    assert_eq!(times(&history), [55_000, 115_000, 150_000, 3_800_001]);
    history.append(at(90_000_000), &[]);
    assert_eq!(times(&history), [3_800_001]);
    history.append(at(200_000_000), &[]);
    assert_eq!((history.series_count(), history.bytes(), history.read().samples()), (0, 0, 0));
}

/// Samples by series, with the rules of the contract written out as plainly as possible.
#[derive(Default)]
struct Model {
    series: BTreeMap<Labels, Vec<Sample>>,
}

impl Model {
    fn append(&mut self, at: Timestamp, samples: &[(Labels, f64)]) -> Appended {
        let mut appended = Appended::default();
        for (labels, value) in samples {
            let series = self.series.entry(labels.clone()).or_default();
            match series.last() {
                Some(last) if last.at == at && last.value.to_bits() == value.to_bits() => appended.known += 1,
                Some(last) if last.at == at => appended.refuse(Refusal::Duplicate, *value),
                Some(last) if last.at > at => appended.refuse(Refusal::OutOfOrder, *value),
                _ => {
                    series.push(Sample { at, value: *value });
                    appended.stored += 1;
                }
            }
        }
        appended
    }

    fn select(&self, matchers: &[Matcher], after: Timestamp, until: Timestamp) -> Vec<Window> {
        let matching = |labels: &Labels| matchers.iter().all(|m| m.matches(labels.get(m.name()).unwrap_or("")));
        let windows = self.series.iter().filter(|(labels, _)| matching(labels)).map(|(labels, samples)| Window {
            labels: labels.clone(),
            samples: samples.iter().copied().filter(|sample| sample.at > after && sample.at <= until).collect(),
        });
        windows.filter(|window| !window.samples.is_empty()).collect()
    }
}

fn any_labels() -> impl Strategy<Value = Labels> {
    (0..3u8, 0..3u8, 0..3u8).prop_map(|(name, a, b)| {
        Labels::from_pairs(
            [("__name__", ["x", "y", "z"]), ("a", ["", "1", "2"]), ("b", ["", "1", "22"])]
                .iter()
                .zip([name, a, b])
                .map(|((label, values), pick)| (*label, values[usize::from(pick)])),
        )
    })
}

fn any_matcher() -> impl Strategy<Value = Matcher> {
    let name = prop::sample::select(vec!["__name__", "a", "b", "none"]);
    let op = prop::sample::select(vec![MatchOp::Equal, MatchOp::NotEqual, MatchOp::Regex, MatchOp::NotRegex]);
    let value = prop::sample::select(vec!["", "x", "1", "1|2", ".*", ".+", "2+", "x|"]);
    (name, op, value).prop_map(|(name, op, value)| Matcher::new(name, op, value).expect("valid"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn history_answers_as_a_naive_model(
        appends in prop::collection::vec((0..400i64, prop::collection::vec((any_labels(), prop::sample::select(vec![0.5, f64::NAN, stale_marker()])), 0..6)), 0..60),
        queries in prop::collection::vec((prop::collection::vec(any_matcher(), 0..4), -10..400i64, 0..410i64), 1..8),
    ) {
        let history = history(&config());
        let mut model = Model::default();
        for (millis, samples) in &appends {
            prop_assert_eq!(history.append(at(*millis), samples), model.append(at(*millis), samples));
        }
        for (matchers, after, until) in &queries {
            let windows = history.select(matchers, at(*after), at(*until)).expect("readable");
            let expected = model.select(matchers, at(*after), at(*until));
            prop_assert_eq!(&windows, &expected);
            let series: Vec<Labels> = expected.into_iter().map(|window| window.labels).collect();
            prop_assert_eq!(history.series(matchers, at(*after), at(*until)).expect("readable"), series);
        }
        let stale = |windows: Vec<Window>| windows.iter().flat_map(|window| &window.samples).filter(|sample| is_stale(sample.value)).count();
        prop_assert_eq!(stale(everything(&history)), stale(model.select(&[], Timestamp::MIN, Timestamp::MAX)));
    }

    /// Runs of samples that fill heads and chunks, with every kind of value, gaps, and times without a pattern.
    #[test]
    fn sealed_history_answers_as_a_naive_model(
        runs in prop::collection::vec((0..4u8, 1..400i64, prop::sample::select(vec![1, 7, 5000]), 0..4u8), 1..8),
        queries in prop::collection::vec((0..1000i64, 0..1000i64), 1..6),
    ) {
        let history = history(&config());
        let mut model = Model::default();
        let mut millis = 0;
        for (who, count, step, kind) in runs {
            for number in 0..count {
                millis += if number % 50 == 49 { step * 3 + number } else { step };
                let value = match kind {
                    0 => 1.5,
                    1 => number as f64 * 0.01,
                    2 if number % 17 == 0 => stale_marker(),
                    _ => (number as f64).sqrt(),
                };
                let samples = [(labels("a"), value), (labels("b"), -value)];
                let samples = match who { 0 => &samples[..1], 1 => &samples[1..], _ => &samples[..] };
                prop_assert_eq!(history.append(at(millis), samples), model.append(at(millis), samples));
            }
        }
        for (from, to) in queries {
            let place = |mille: i64| at(mille * (millis + 20) / 1000 - 10);
            let (after, until) = (place(from.min(to)), place(from.max(to)));
            let expected = model.select(&[], after, until);
            let bits = |windows: &[Window]| windows.iter().flat_map(|window| &window.samples).map(|sample| (sample.at, sample.value.to_bits())).collect::<Vec<_>>();
            let windows = history.select(&[], after, until).expect("readable");
            prop_assert_eq!(bits(&windows), bits(&expected));
            let series: Vec<Labels> = expected.into_iter().map(|window| window.labels).collect();
            prop_assert_eq!(history.series(&[], after, until).expect("readable"), series.clone());
            prop_assert_eq!(windows.into_iter().map(|window| window.labels).collect::<Vec<_>>(), series);
        }
    }

    /// Whatever came, at whatever times: once all of it is behind the horizon the last sample of each minute is there and nothing else.
    #[test]
    fn thinning_leaves_what_a_naive_one_leaves(
        runs in prop::collection::vec((1..700i64, prop::sample::select(vec![900, 5000, 17_000, 61_000]), any::<bool>()), 1..6),
    ) {
        let history = history(&Config { retention: PromDuration::from_secs(1800), thinned_retention: PromDuration::from_secs(30 * 24 * 3600), ..config() });
        let mut samples = Vec::new();
        let mut millis = 0;
        for (count, step, odd) in runs {
            for number in 0..count {
                millis += if odd { step + number * 37 % 1000 } else { step };
                samples.push(Sample { at: at(millis), value: number as f64 });
                prop_assert_eq!(history.append(at(millis), &[(labels("a"), number as f64)]).stored, 1);
            }
            let seen = everything(&history).remove(0).samples;
            let missing = last_of_minutes(&samples).into_iter().find(|sample| seen.binary_search_by_key(&sample.at, |seen| seen.at).is_err());
            prop_assert_eq!(missing, None);
            let full: Vec<_> = samples.iter().filter(|sample| sample.at > at(millis - 1_800_000)).collect();
            prop_assert!(seen.iter().rev().zip(full.iter().rev()).all(|(seen, full)| seen == *full), "full within the retention");
        }
        history.append(at(millis + 2_000_000), &[(labels("b"), 0.0)]);
        prop_assert_eq!(everything(&history).remove(0).samples, last_of_minutes(&samples));
    }
}
