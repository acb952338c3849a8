//! Live series into samples: one for each line that a scrape would show; an `up` for each job; a stale marker for each
//! series that is gone; a zero in front of each total that events, or their loss, have begun.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use super::Identity;
use super::identity::{Lines, Sets};
use super::jobs::{JobId, Jobs};
use crate::model::{Family, Labels, MetricType, Origin, Value, stale_marker};
use crate::registry::{Head, Place, Reader, Reading};

/// A series as it was seen last.
#[derive(Debug)]
struct Known {
    sets: Sets,
    job: JobId,
    seen: u64,
}

/// Remembers the finished label sets between ticks, so that a tick makes labels only for series that are new.
#[derive(Debug)]
pub struct Flattener {
    identity: Identity,
    /// Series of events, by the slots that they have in the registry.
    live: Vec<Option<(Place, Known)>>,
    /// Series that someone has handed in whole.
    standing: HashMap<(Arc<str>, Labels), Known>,
    jobs: Jobs,
    tick: u64,
    samples: Vec<(Labels, f64)>,
    births: Vec<(Labels, f64)>,
}

/// What a tick has found.
#[derive(Clone, Copy, Debug)]
pub struct Flattened<'f> {
    /// A zero for each total that events, or their loss, have begun since the tick before, for the time of that tick. Without it the first value would have
    /// nothing to be an increase over.
    pub births: &'f [(Labels, f64)],
    /// The samples of this tick.
    pub samples: &'f [(Labels, f64)],
}

impl Flattener {
    /// One that has seen nothing yet.
    #[must_use]
    pub fn new(identity: Identity) -> Self {
        let (live, standing, jobs, samples, births) = Default::default();
        Self { identity, live, standing, jobs, tick: 0, samples, births }
    }

    /// Begins a tick. Series of events with numbers in `born` have been made since the one before, by whomever that was: see
    /// [`crate::registry::Registry::begin_recording`].
    pub fn begin(&mut self, born: Range<u64>) -> Tick<'_> {
        self.tick += 1;
        self.samples.clear();
        self.births.clear();
        Tick { flattener: self, born, family: None, new: Vec::new(), made: Vec::new(), gone: Vec::new(), host_seen: false }
    }
}

/// The samples of one moment, as they come together.
#[derive(Debug)]
pub struct Tick<'f> {
    flattener: &'f mut Flattener,
    born: Range<u64>,
    /// The family that is being read.
    family: Option<(Arc<str>, MetricType, Origin)>,
    /// Series that have been seen for the first time and have no labels yet.
    new: Vec<New>,
    /// The labels of all that are new at this tick.
    made: Vec<Labels>,
    /// Series whose slots others have now.
    gone: Vec<Sets>,
    host_seen: bool,
}

#[derive(Debug)]
struct New {
    place: Place,
    name: Arc<str>,
    origin: Origin,
    labels: Labels,
    bounds: Option<Arc<[f64]>>,
    values: Vec<f64>,
    /// A total that begins with these values, and was nothing before.
    is_birth: bool,
}

impl<'f> Tick<'f> {
    /// Takes families that are there whole.
    pub fn take(&mut self, families: &[Family]) {
        let Flattener { identity, standing, jobs, tick, samples, .. } = &mut *self.flattener;
        for family in families {
            self.host_seen |= family.origin == Origin::Host && !family.series.is_empty();
            for series in &family.series {
                let reading = match &series.value {
                    Value::Number(number) => Reading::Number(*number),
                    Value::Histogram(histogram) => Reading::Histogram(histogram),
                    Value::Summary(summary) => Reading::Summary(summary),
                };
                let known = standing.entry((Arc::clone(&family.name), series.labels.clone())).or_insert_with(|| {
                    let sets = identity.label_sets(&family.name, family.origin, &series.labels, lines_of(reading));
                    self.made.extend_from_slice(sets.as_slice());
                    Known { sets, job: jobs.enter(identity.job(family.origin, &series.labels), *tick), seen: 0 }
                });
                known.seen = *tick;
                jobs.see(known.job, *tick);
                each_value(reading, known.sets.as_slice(), |labels, value| samples.push((labels.clone(), value)));
            }
        }
    }

    /// Makes labels for what is new: that takes its time, and the registry is not to wait for it.
    pub fn label_new(&mut self) {
        let Flattener { identity, live, jobs, tick, samples, births, .. } = &mut *self.flattener;
        for new in self.new.drain(..) {
            let sets = identity.label_sets(&new.name, new.origin, &new.labels, new.bounds.as_ref().map_or(Lines::One, Lines::Buckets));
            samples.extend(sets.as_slice().iter().cloned().zip(new.values));
            if new.is_birth {
                births.extend(sets.as_slice().iter().map(|labels| (labels.clone(), 0.0)));
            }
            self.made.extend_from_slice(sets.as_slice());
            let job = jobs.enter(identity.job(new.origin, &new.labels), *tick);
            let slot = new.place.slot();
            if live.len() <= slot {
                live.resize_with(slot + 1, || None);
            }
            if let Some(place) = live.get_mut(slot)
                && let Some((_, before)) = place.replace((new.place, Known { sets, job, seen: *tick }))
            {
                self.gone.push(before.sets);
            }
        }
    }

    /// Ends the tick: everything that was seen, what has gone since the last tick, and which jobs there are.
    #[must_use]
    pub fn end(mut self) -> Flattened<'f> {
        self.label_new();
        let Flattener { identity, live, standing, jobs, tick, samples, births } = self.flattener;
        let tick = *tick;
        let mut gone = self.gone;
        for place in live.iter_mut() {
            gone.extend(place.take_if(|(_, known)| known.seen != tick).map(|(_, known)| known.sets));
        }
        gone.extend(standing.extract_if(|_, known| known.seen != tick).map(|(_, known)| known.sets));
        // A series that has gone and come back under another handle, or another hand, goes on.
        let made: HashSet<Labels> = if gone.is_empty() { HashSet::new() } else { self.made.into_iter().collect() };
        if !births.is_empty() && !gone.is_empty() {
            // Such a one has a value at the tick before.
            let before: HashSet<&Labels> = gone.iter().flat_map(Sets::as_slice).collect();
            births.retain(|(labels, _)| !before.contains(labels));
        }
        let ended = gone.iter().flat_map(Sets::as_slice).filter(|labels| !made.contains(*labels));
        samples.extend(ended.map(|labels| (labels.clone(), stale_marker())));
        // These two are there whether they have series or not.
        jobs.enter(&identity.host_job, tick);
        jobs.enter(&identity.agent_job, tick);
        jobs.end(tick, |job, seen| {
            let value = match seen {
                false => stale_marker(),
                true if *job == *identity.host_job => f64::from(u8::from(self.host_seen)),
                true => 1.0,
            };
            samples.push((identity.up(job), value));
        });
        Flattened { births, samples }
    }
}

impl Reader for Tick<'_> {
    fn family(&mut self, head: &Head<'_>) {
        self.family = Some((Arc::clone(head.name), head.kind, head.origin));
    }

    fn series(&mut self, place: Place, number: u64, labels: &Labels, reading: Reading<'_>) {
        let Flattener { live, jobs, tick, samples, .. } = &mut *self.flattener;
        if let Some(Some((at, known))) = live.get_mut(place.slot())
            && *at == place
        {
            known.seen = *tick;
            jobs.see(known.job, *tick);
            each_value(reading, known.sets.as_slice(), |labels, value| samples.push((labels.clone(), value)));
            return;
        }
        let Some((name, kind, origin)) = &self.family else { return };
        let is_total = matches!(kind, MetricType::Counter | MetricType::Histogram);
        if is_total && number >= self.born.end {
            // It has been made while this tick looks around, and is born at the next one: were it taken now, too, another flattener, after
            // a reload, could not tell that its zero is there already.
            return;
        }
        let mut values = Vec::new();
        each_value(reading, std::iter::repeat(()), |(), value| values.push(value));
        // A total of the agent's own that is still at zero shows the zero itself; one that begins with a loss does not.
        let has_counted = *origin == Origin::Events || values.iter().any(|value| *value != 0.0);
        let is_birth = is_total && has_counted && self.born.contains(&number);
        let (name, bounds) = (Arc::clone(name), bounds(reading));
        self.new.push(New { place, name, origin: *origin, labels: labels.clone(), bounds, values, is_birth });
    }
}

fn bounds(reading: Reading<'_>) -> Option<Arc<[f64]>> {
    match reading {
        Reading::Histogram(histogram) => Some(Arc::clone(&histogram.bounds)),
        // No event becomes a summary.
        Reading::Number(_) | Reading::Summary(_) => None,
    }
}

const fn lines_of(reading: Reading<'_>) -> Lines<'_> {
    match reading {
        Reading::Number(_) => Lines::One,
        Reading::Histogram(histogram) => Lines::Buckets(&histogram.bounds),
        Reading::Summary(summary) => Lines::Quantiles(summary.quantiles.as_slice()),
    }
}

/// The values of a series in the order of its label sets.
fn each_value<T>(reading: Reading<'_>, sets: impl IntoIterator<Item = T>, mut each: impl FnMut(T, f64)) {
    let mut sets = sets.into_iter();
    let mut put = |value| {
        if let Some(set) = sets.next() {
            each(set, value);
        }
    };
    match reading {
        Reading::Number(number) => put(number),
        Reading::Histogram(histogram) => {
            let mut total = 0;
            for (_, count) in histogram.cumulative() {
                put(count as f64);
                total = count;
            }
            put(histogram.sum);
            put(total as f64);
        }
        Reading::Summary(summary) => {
            summary.quantiles.iter().for_each(|(_, value)| put(*value));
            put(summary.sum);
            put(summary.count as f64);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Change, GaugeMerge, GaugeOp, Histogram, MetricType, Series, SeriesKey, Summary, Timestamp, is_stale};
    use crate::registry::{Config, Cursor, Pending, Registry};
    use crate::telemetry::Telemetry;

    fn flattener() -> Flattener {
        let identity = Identity { instance: "h1".into(), host_job: "node".into(), events_job: "app".into(), agent_job: "sidewatch".into() };
        Flattener::new(identity)
    }

    fn flatten(flattener: &mut Flattener, families: &[Family]) -> Vec<String> {
        let mut tick = flattener.begin(0..0);
        tick.take(families);
        let flattened = tick.end();
        assert!(flattened.births.is_empty(), "these were not made by events");
        lines(flattened.samples)
    }

    /// All that the registry's events have made.
    fn walk(flattener: &mut Flattener, registry: &Registry) -> Vec<String> {
        let mut tick = flattener.begin(registry.begin_recording());
        let mut cursor = Cursor::default();
        while registry.read_on(&mut cursor, &mut tick) {
            tick.label_new();
        }
        lines(tick.end().samples).into_iter().filter(|line| !line.starts_with("up{")).collect()
    }

    fn registry() -> Arc<Registry> {
        Registry::new(&Config::default(), &Telemetry::new())
    }

    fn send(registry: &Registry, name: &str, service: &str, kind: MetricType, change: Change) {
        let key = SeriesKey { name: name.into(), kind, labels: Labels::from_pairs([("service_name", service)]) };
        assert_eq!(registry.merge(7, Timestamp::from_millis(0)).apply(&mut Pending::new(key, change)), Ok(()));
    }

    /// A gauge that is there for as long as its sender is.
    fn send_gauge(registry: &Registry, name: &str, value: f64) {
        send(registry, name, "a", MetricType::Gauge, Change::Gauge { value, op: GaugeOp::Set, merge: GaugeMerge::Max });
    }

    fn lines(samples: &[(Labels, f64)]) -> Vec<String> {
        let mut lines: Vec<_> = samples
            .iter()
            .map(|(labels, value)| format!("{labels} {}", if is_stale(*value) { "stale".into() } else { value.to_string() }))
            .collect();
        lines.sort();
        lines
    }

    fn load(value: f64) -> Family {
        Family::new("node_load1", MetricType::Gauge, "Load.", Origin::Host).with(Labels::empty(), value)
    }

    #[test]
    fn every_series_carries_job_and_instance_and_every_job_is_up() {
        let orders = Labels::from_pairs([("service_name", "shop")]);
        let events =
            Family::new("orders_total", MetricType::Counter, "Orders.", Origin::Events).with(orders, 3.0).with(Labels::empty(), 1.0);
        assert_eq!(
            flatten(&mut flattener(), &[load(0.5), events]),
            [
                r#"node_load1{instance="h1", job="node"} 0.5"#,
                r#"orders_total{instance="h1", job="app"} 1"#,
                r#"orders_total{instance="h1", job="shop", service_name="shop"} 3"#,
                r#"up{instance="h1", job="app"} 1"#,
                r#"up{instance="h1", job="node"} 1"#,
                r#"up{instance="h1", job="shop"} 1"#,
                r#"up{instance="h1", job="sidewatch"} 1"#,
            ]
        );
    }

    #[test]
    fn a_host_that_cannot_be_seen_is_down() {
        assert!(flatten(&mut flattener(), &[]).contains(&r#"up{instance="h1", job="node"} 0"#.to_owned()));
    }

    #[test]
    fn a_summary_becomes_what_a_scrape_would_show() {
        let mut family = Family::new("t_seconds", MetricType::Summary, "T.", Origin::Agent);
        let summary = Summary { quantiles: vec![(0.5, 0.25), (0.99, 2.0)], sum: 2.5, count: 7 };
        family.series.push(Series { labels: Labels::empty(), value: Value::Summary(summary) });
        let lines = flatten(&mut flattener(), &[family]);
        for line in [
            r#"t_seconds{instance="h1", job="sidewatch", quantile="0.5"} 0.25"#,
            r#"t_seconds{instance="h1", job="sidewatch", quantile="0.99"} 2"#,
            r#"t_seconds_count{instance="h1", job="sidewatch"} 7"#,
            r#"t_seconds_sum{instance="h1", job="sidewatch"} 2.5"#,
        ] {
            assert!(lines.contains(&line.to_owned()), "{line} not in {lines:?}");
        }
    }

    #[test]
    fn a_histogram_becomes_what_a_scrape_would_show() {
        let mut histogram = Histogram::new(Arc::from([0.5]));
        histogram.observe(0.1, 1);
        histogram.observe(2.0, 1);
        let mut family = Family::new("t_seconds", MetricType::Histogram, "T.", Origin::Agent);
        family.series.push(Series { labels: Labels::empty(), value: Value::Histogram(histogram) });
        let lines = flatten(&mut flattener(), &[family]);
        for line in [
            r#"t_seconds_bucket{instance="h1", job="sidewatch", le="+Inf"} 2"#,
            r#"t_seconds_bucket{instance="h1", job="sidewatch", le="0.5"} 1"#,
            r#"t_seconds_count{instance="h1", job="sidewatch"} 2"#,
            r#"t_seconds_sum{instance="h1", job="sidewatch"} 2.1"#,
        ] {
            assert!(lines.contains(&line.to_owned()), "{line} not in {lines:?}");
        }
    }

    #[test]
    fn a_series_that_is_gone_ends_with_one_marker() {
        let mut flattener = flattener();
        flatten(&mut flattener, &[load(1.0)]);
        assert!(flatten(&mut flattener, &[]).contains(&r#"node_load1{instance="h1", job="node"} stale"#.to_owned()));
        assert!(!flatten(&mut flattener, &[]).iter().any(|line| line.starts_with("node_load1")));
    }

    #[test]
    fn a_job_without_series_ends_with_one_marker() {
        let mut flattener = flattener();
        let family = |service| {
            let labels = Labels::from_pairs([("service_name", service)]);
            Family::new("orders_total", MetricType::Counter, "Orders.", Origin::Events).with(labels, 1.0)
        };
        let up = |lines: Vec<String>| lines.into_iter().filter(|line| line.contains("up{") && line.contains("job=\"s")).collect::<Vec<_>>();
        let line = |job: &str, value: &str| format!("up{{instance=\"h1\", job=\"{job}\"}} {value}");
        assert_eq!(up(flatten(&mut flattener, &[family("s1")])), [line("s1", "1"), line("sidewatch", "1")]);
        assert_eq!(up(flatten(&mut flattener, &[family("s2")])), [line("s1", "stale"), line("s2", "1"), line("sidewatch", "1")]);
        assert_eq!(up(flatten(&mut flattener, &[family("s2")])), [line("s2", "1"), line("sidewatch", "1")]);
    }

    #[test]
    fn series_of_events_are_found_again_and_end_with_one_marker() {
        let (mut flattener, registry) = (flattener(), registry());
        let mut histogram = Histogram::with_exponential(registry.bounds("t_seconds"));
        histogram.observe(0.1, 1);
        let buckets = histogram.counts.len();
        send(&registry, "t_seconds", "b", MetricType::Histogram, Change::Observe(histogram.clone()));
        send_gauge(&registry, "g", 1.0);
        let first = walk(&mut flattener, &registry);
        assert_eq!(first.len(), 1 + buckets + 2);
        assert!(first.contains(&r#"g{instance="h1", job="a", service_name="a"} 1"#.to_owned()));

        send_gauge(&registry, "g", 2.0);
        send(&registry, "t_seconds", "b", MetricType::Histogram, Change::Observe(histogram));
        let second = walk(&mut flattener, &registry);
        assert_eq!(second.len(), first.len());
        for line in [r#"g{instance="h1", job="a", service_name="a"} 2"#, r#"t_seconds_count{instance="h1", job="b", service_name="b"} 2"#] {
            assert!(second.contains(&line.to_owned()), "{second:?}");
        }

        registry.forget(7);
        let third = walk(&mut flattener, &registry);
        assert!(third.contains(&r#"g{instance="h1", job="a", service_name="a"} stale"#.to_owned()));
        assert_eq!((third.len(), walk(&mut flattener, &registry).len()), (first.len(), first.len() - 1));
    }

    #[test]
    fn a_total_is_born_once_whoever_looks() {
        let registry = registry();
        let send = |name: &str| send(&registry, name, "a", MetricType::Counter, Change::Count(1.0));
        let look = |flattener: &mut Flattener, meanwhile: Option<&str>| {
            let mut tick = flattener.begin(registry.begin_recording());
            meanwhile.into_iter().for_each(send);
            registry.walk(&mut tick);
            let flattened = tick.end();
            [flattened.births, flattened.samples].map(|samples| lines(samples).into_iter().filter(|line| line.contains("_total")).count())
        };
        let (mut before, mut after) = (flattener(), flattener());
        send("one_total");
        assert_eq!(look(&mut before, Some("two_total")), [1, 1], "what is made while a tick looks belongs to the next one");
        assert_eq!(look(&mut after, Some("three_total")), [1, 2]);
        assert_eq!(look(&mut after, None), [1, 3]);
        assert_eq!(look(&mut flattener(), None), [0, 3]);
    }

    #[test]
    fn a_series_whose_slot_another_has_taken_ends() {
        let (mut flattener, registry) = (flattener(), registry());
        send_gauge(&registry, "g", 1.0);
        walk(&mut flattener, &registry);
        registry.forget(7);
        send_gauge(&registry, "other", 2.0);
        assert_eq!(
            walk(&mut flattener, &registry),
            [r#"g{instance="h1", job="a", service_name="a"} stale"#, r#"other{instance="h1", job="a", service_name="a"} 2"#]
        );
    }

    #[test]
    fn a_series_that_comes_back_between_two_ticks_goes_on() {
        let (mut flattener, registry) = (flattener(), registry());
        let one = r#"g{instance="h1", job="a", service_name="a"} 1"#;
        send_gauge(&registry, "g", 1.0);
        assert_eq!(walk(&mut flattener, &registry), [one]);
        for others in ["other", "another"] {
            registry.forget(7);
            // The second time it comes back in another slot.
            if others == "another" {
                send_gauge(&registry, others, 1.0);
            }
            send_gauge(&registry, "g", 1.0);
            let lines = walk(&mut flattener, &registry);
            assert_eq!(lines.iter().filter(|line| line.starts_with("g{")).collect::<Vec<_>>(), [one]);
        }
    }
}
