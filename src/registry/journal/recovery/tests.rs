//! What was written comes back, or nothing does.

mod idle;

use std::collections::BTreeMap;
use std::sync::Arc;

use super::*;
use crate::model::{Change, Family, GaugeMerge, GaugeOp, Histogram, Labels, MetricType, SeriesKey, Timestamp};
use crate::model::{HEARTBEAT_INTERVAL, HEARTBEAT_TIMESTAMP};
use crate::registry::events::{Events, Owner};
use crate::registry::journal::snapshot::Copying;
use crate::registry::walk::{Copies, Cursor};
use crate::registry::{Config, Pending, publish::Published};
use proptest::prelude::*;

const BOOT: &str = "this boot";

/// An agent's series and its files, without a disk.
#[derive(Default)]
struct Desk {
    config: Config,
    events: Events,
    files: BTreeMap<Name, Vec<u8>>,
    generation: u64,
    time: i64,
}

impl Desk {
    fn new() -> Self {
        let mut desk = Self::default();
        desk.turn();
        desk
    }

    fn header(&self, first: u64) -> Header {
        Header { generation: self.generation, first, agent: "0".into(), boot: BOOT.into() }
    }

    /// Goes on in the journal of the next generation; with which record.
    fn turn(&mut self) -> u64 {
        self.generation += 1;
        let header = self.header(0);
        let turned =
            self.events.pen.turn_to(self.generation, 1 << 30, |first, out| Header { first, ..header }.encode(FileKind::Journal, out));
        assert!(turned);
        self.events.pen.sequence() + 1
    }

    /// Writes out what is in memory.
    fn write(&mut self) {
        let (left, now) = self.events.pen.take(Vec::new());
        for parcel in left.into_iter().chain(now) {
            self.files.entry(Name::new(FileKind::Journal, parcel.generation)).or_default().extend(parcel.bytes);
        }
    }

    fn change(&mut self, name: &str, kind: MetricType, label: &str, change: Change) {
        self.time += 1;
        let key = SeriesKey { name: Arc::from(name), kind, labels: Labels::from_pairs([("l", label)]) };
        let mut pending = Pending::new(key, change);
        let published = Published::default();
        let applied = self.events.apply(Owner::Events(&self.config, &published), 1, &mut pending, Timestamp::from_millis(self.time));
        applied.expect("taken");
    }

    fn count(&mut self, label: &str, rise: f64) {
        self.change("c_total", MetricType::Counter, label, Change::Count(rise));
    }

    fn observe(&mut self, label: &str, value: f64) {
        let bounds = self.events.bounds("h_seconds").unwrap_or_else(|| self.config.buckets.of("h_seconds"));
        let mut histogram = Histogram::with_exponential(bounds);
        histogram.observe(value, 3);
        self.change("h_seconds", MetricType::Histogram, label, Change::Observe(histogram));
    }

    fn level(&mut self, label: &str, value: f64, op: GaugeOp, merge: GaugeMerge) {
        self.change("g", MetricType::Gauge, label, Change::Gauge { value, op, merge });
    }

    /// Saves everything; between two pieces `meanwhile` happens.
    fn save(&mut self, lines: usize, last: bool, mut meanwhile: impl FnMut(&mut Self)) {
        let first = self.turn();
        let mut file = Vec::new();
        self.header(first).encode(FileKind::Snapshot, &mut file);
        let mut copying = Copying::default();
        while copying.piece(&mut self.events, lines, &mut file) {
            meanwhile(self);
        }
        copying.end(&mut self.events, last, &mut file);
        self.files.insert(Name::new(FileKind::Snapshot, self.generation), file);
    }

    fn recover_in(&self, boot: &str) -> Recovered {
        let names: Vec<_> = self.files.keys().copied().collect();
        recover(&names, boot, |name| Ok(self.files[&name].clone()))
    }

    fn recover(&self) -> Recovered {
        self.recover_in(BOOT)
    }

    /// An agent that starts from these files.
    fn restart(&mut self) {
        let Recovered { replay, refused, .. } = self.recover();
        assert_eq!(refused, None);
        self.events = replay.events;
        self.events.settle_in(&self.config, replay.newest, Timestamp::from_millis(self.time));
        self.events.pen.continue_from(replay.sequence);
        self.turn();
        self.events.note_absence();
    }

    fn name(&self, kind: FileKind, back: u64) -> Name {
        Name::new(kind, self.generation - back)
    }

    fn file(&mut self, kind: FileKind, back: u64) -> &mut Vec<u8> {
        let name = self.name(kind, back);
        self.files.get_mut(&name).expect("there")
    }
}

/// All series as they are shown.
fn shown(events: &Events) -> Vec<Family> {
    let (mut copies, mut cursor) = (Copies::default(), Cursor::default());
    cursor.begin_with(usize::MAX);
    assert!(!events.read(&mut cursor, &mut copies));
    copies.0
}

fn total(events: &Events, label: &str) -> Option<f64> {
    let families = shown(events);
    let family = families.iter().find(|family| &*family.name == "c_total")?;
    let series = family.series.iter().find(|series| series.labels.get("l") == Some(label))?;
    if let crate::model::Value::Number(total) = series.value { Some(total) } else { None }
}

/// Two counters, a histogram, a gauge, and a snapshot in the midst.
fn busy() -> Desk {
    let mut desk = Desk::new();
    desk.count("a", 1.0);
    desk.count("b", 0.1);
    desk.level("a", 5.0, GaugeOp::Set, GaugeMerge::Last);
    desk.write();
    desk.save(1, false, |desk| desk.count("a", 2.0));
    desk.observe("a", 0.3);
    desk.write();
    desk.change("s", MetricType::Gauge, "a", Change::Stamped { value: 0.5, seconds: 99, always: false });
    desk.count("b", 0.2);
    desk.level("a", 0.7, GaugeOp::Add, GaugeMerge::Last);
    desk.write();
    desk
}

/// Looks for idle series every ten seconds for so long.
fn idle(desk: &mut Desk, millis: i64) {
    let until = desk.time + millis;
    while desk.time < until {
        desk.time = until.min(desk.time + 10_000);
        let mut sweep = desk.events.begin_sweep(Timestamp::from_millis(desk.time));
        while desk.events.sweep(&mut sweep, &desk.config) {}
    }
    desk.write();
}

const HOUR: i64 = 3_600_000;

#[test]
fn everything_comes_back_bit_by_bit() {
    let desk = busy();
    let recovered = desk.recover();
    assert_eq!(shown(&recovered.replay.events), shown(&desk.events));
    assert_eq!(recovered.replay.newest, Some(Timestamp::from_millis(desk.time)));
    assert_eq!((recovered.refused, recovered.torn_bytes, recovered.aside), (None, 0, vec![]));
}

#[test]
fn nothing_is_restored_from_nothing() {
    let recovered = recover(&[], BOOT, |_| unreachable!());
    assert_eq!((recovered.replay.events.series(), recovered.refused), (0, None));
}

#[test]
fn a_damaged_snapshot_is_made_good_from_the_one_before() {
    let mut desk = busy();
    desk.save(100, false, |_| {});
    desk.count("a", 1.0);
    desk.write();
    let damaged = desk.name(FileKind::Snapshot, 0);
    desk.file(FileKind::Snapshot, 0)[60] ^= 1;
    let recovered = desk.recover();
    assert_eq!(shown(&recovered.replay.events), shown(&desk.events));
    assert_eq!((recovered.refused, recovered.aside), (None, vec![(damaged, Aside::Damaged)]));
    assert_eq!(recovered.damages.len(), 1);
}

#[test]
fn a_first_snapshot_that_is_damaged_is_made_good_from_the_beginning() {
    let mut desk = busy();
    desk.file(FileKind::Snapshot, 0).truncate(60);
    assert_eq!(shown(&desk.recover().replay.events), shown(&desk.events));
}

#[test]
fn a_cut_snapshot_is_not_taken_for_a_whole_one() {
    let mut desk = busy();
    // Without its last record every other one is as it should be.
    let file = desk.file(FileKind::Snapshot, 0);
    let mut copying = Vec::new();
    Copying::default().end(&mut Events::default(), false, &mut copying);
    file.truncate(file.len() - copying.len());
    let recovered = desk.recover();
    assert_eq!(recovered.aside, [(desk.name(FileKind::Snapshot, 0), Aside::Damaged)]);
    assert_eq!(shown(&recovered.replay.events), shown(&desk.events));
}

#[test]
fn a_damaged_record_ends_it_and_nothing_is_restored_behind_what_was_shown() {
    let mut desk = busy();
    let journal = desk.name(FileKind::Journal, 0);
    let middle = desk.file(FileKind::Journal, 0).len() - 40;
    desk.file(FileKind::Journal, 0)[middle] ^= 1;
    let recovered = desk.recover();
    assert_eq!(recovered.replay.events.series(), 0);
    assert_eq!(recovered.refused.as_deref(), Some("journal-000000000002 is damaged"));
    assert!(recovered.damages[0].starts_with("journal-000000000002: it is damaged "), "{:?}", recovered.damages);
    assert_eq!(recovered.aside[0], (journal, Aside::Damaged));
    assert_eq!(recovered.aside.len(), desk.files.len(), "nothing of it is used again, nothing is deleted");
}

#[test]
fn a_torn_tail_is_cut_at_the_last_whole_record() {
    let mut desk = busy();
    let before = total(&desk.events, "a");
    desk.count("a", 1000.0);
    desk.write();
    let file = desk.file(FileKind::Journal, 0);
    file.truncate(file.len() - 1);
    let recovered = desk.recover();
    assert_eq!((total(&recovered.replay.events, "a"), recovered.refused), (before, None));
    assert!(recovered.torn_bytes > 20, "{}", recovered.torn_bytes);
}

#[test]
fn a_later_version_is_left_alone() {
    let mut desk = busy();
    desk.file(FileKind::Snapshot, 0)[8] = 3;
    let recovered = desk.recover();
    assert_eq!(recovered.replay.events.series(), 0);
    let reason = "snapshot-000000000002 was written by a later version of the agent (format 3)";
    assert_eq!(recovered.refused.as_deref(), Some(reason));
    assert!(recovered.aside.iter().all(|(_, aside)| *aside == Aside::Newer) && recovered.aside.len() == 3, "{:?}", recovered.aside);
}

#[test]
fn an_earlier_version_is_understood() {
    let mut desk = busy();
    for kind in [FileKind::Snapshot, FileKind::Journal] {
        desk.file(kind, 0)[8] = 1;
    }
    assert_eq!(shown(&desk.recover().replay.events), shown(&desk.events));
}

#[test]
fn what_is_missing_in_the_middle_is_missed() {
    let mut desk = busy();
    desk.turn();
    desk.count("a", 1.0);
    desk.write();
    desk.files.remove(&Name::new(FileKind::Journal, 2));
    assert_eq!(desk.recover().refused.as_deref(), Some("there is no journal-000000000002"));

    let mut desk = busy();
    desk.events.pen.lay_down();
    desk.count("a", 1.0);
    desk.turn();
    desk.count("a", 1.0);
    desk.write();
    assert_eq!(desk.recover().refused.as_deref(), Some("records 6 to 6 are missing"));
}

#[test]
fn a_journal_that_was_given_up_is_not_whole() {
    let mut desk = busy();
    let name = desk.name(FileKind::Journal, 0);
    let file = desk.files.remove(&name).expect("there");
    desk.files.insert(name.given_up(), file);
    assert_eq!(desk.recover().refused.as_deref(), Some("journal-000000000002.broken could not be written to its end"));
    desk.save(100, false, |_| {});
    desk.write();
    assert_eq!(desk.recover().refused, None, "a later snapshot makes it good");
}

#[test]
fn after_the_machine_went_down_only_a_clean_end_is_whole() {
    let mut desk = busy();
    assert!(desk.recover_in("another boot").refused.expect("refused").contains("the machine went down"));
    assert_eq!(desk.recover_in("").refused, None, "nobody knows");
    desk.save(100, true, |_| {});
    desk.write();
    assert_eq!(desk.recover_in("another boot").refused, None);
    desk.files.remove(&Name::new(FileKind::Journal, desk.generation));
    assert_eq!(desk.recover_in("another boot").refused, None, "there was nothing in it");
    desk.count("a", 1.0);
    desk.write();
    assert!(desk.recover_in("another boot").refused.is_some());
}

#[test]
fn a_series_that_is_gone_stays_gone_and_comes_back_as_another() {
    let mut desk = busy();
    for merge in [GaugeMerge::Sum, GaugeMerge::Last] {
        desk.level("a", 9.0, GaugeOp::Set, merge);
        desk.write();
        let live = shown(&desk.events);
        let gauges = |families: &[Family]| families.iter().filter(|family| &*family.name == "g").count();
        let recovered = shown(&desk.recover().replay.events);
        assert_eq!(gauges(&recovered), usize::from(merge == GaugeMerge::Last), "a sum lives with its senders");
        assert_eq!(gauges(&live), 1);
    }
}

#[test]
fn a_restart_goes_on_where_the_last_one_ended() {
    let mut desk = busy();
    for round in 0..5 {
        // Killed before its first snapshot, every other time.
        desk.restart();
        desk.count("a", 1.0);
        desk.count(&format!("new in {round}"), 1.0);
        desk.observe("a", 7.0);
        desk.write();
        if round % 2 == 1 {
            desk.save(1, false, |desk| desk.count("b", 0.1));
            desk.write();
        }
        assert_eq!(shown(&desk.recover().replay.events), shown(&desk.events), "round {round}");
    }
}

#[test]
fn what_is_not_kept_any_more_is_not_restored() {
    let mut desk = busy();
    desk.count("late", 1.0);
    desk.write();
    let at = |millis| Some(Timestamp::from_millis(millis));
    for (newest, now, series) in [(at(desk.time), desk.time - 1 + 25 * HOUR, 1), (at(desk.time), desk.time + 25 * HOUR, 0)] {
        let mut events = desk.recover().replay.events;
        events.settle_in(&desk.config, newest, Timestamp::from_millis(now));
        assert_eq!(events.series(), series);
        assert_eq!(total(&events, "late").is_some(), series == 1);
    }
    desk.config.expiry = crate::model::PromDuration::from_secs(0);
    let mut events = desk.recover().replay.events;
    events.settle_in(&desk.config, at(desk.time), Timestamp::from_millis(desk.time + 100 * HOUR));
    assert_eq!(events.series(), desk.events.series(), "without an expiry all are");
}

#[test]
fn a_heartbeat_is_restored_for_as_long_as_it_can_be_missed() {
    let mut desk = Desk::new();
    let set = |value| Change::Gauge { value, op: GaugeOp::Set, merge: GaugeMerge::Last };
    desk.change(HEARTBEAT_TIMESTAMP, MetricType::Gauge, "daily", set(1.0));
    desk.change(HEARTBEAT_INTERVAL, MetricType::Gauge, "daily", set(86_400.0));
    desk.change(HEARTBEAT_TIMESTAMP, MetricType::Gauge, "free", set(1.0));
    desk.write();
    let newest = Timestamp::from_millis(desk.time);
    for (absence, series) in [(26 * HOUR, 2), (7 * 24 * HOUR, 2), (8 * 24 * HOUR, 0)] {
        let mut events = desk.recover().replay.events;
        events.settle_in(&desk.config, Some(newest), newest.plus_millis(absence));
        assert_eq!(events.series(), series, "{absence}");
    }
}

#[test]
fn what_has_been_given_up_is_in_no_file_any_more() {
    let mut desk = Desk::new();
    desk.count("a", 1.0);
    idle(&mut desk, 26 * HOUR);
    assert_eq!((desk.events.series(), desk.events.retired()), (0, 0));
    assert_eq!(desk.recover().replay.events.series(), 0, "by the journal");
    desk.save(1, false, |_| {});
    let name = b"c_total";
    assert!(!desk.file(FileKind::Snapshot, 0).windows(name.len()).any(|bytes| bytes == name));
    desk.write();
    desk.restart();
    desk.count("a", 1.0);
    assert_eq!(total(&desk.events, "a"), Some(1.0), "it begins anew");
}

#[test]
fn new_buckets_are_taken_at_the_start_and_nothing_that_is_shown_falls() {
    let mut desk = busy();
    let value =
        |events: &Events| match shown(events).iter().find(|family| &*family.name == "h_seconds").expect("there").series[0].value.clone() {
            crate::model::Value::Histogram(histogram) => histogram,
            _ => panic!("a histogram"),
        };
    let before = value(&desk.events);
    desk.config = serde_yaml::from_str("buckets: {seconds: [0.1, 0.5, 3]}").expect("valid");
    desk.restart();
    let counted = *desk.events.bytes();
    desk.events.weigh();
    assert_eq!(*desk.events.bytes(), counted, "and are counted");
    let after = value(&desk.events);
    assert_eq!(after.cumulative().collect::<Vec<_>>(), [(0.1, 0), (0.5, 3), (3.0, 3), (f64::INFINITY, 3)]);
    assert_eq!((after.sum, &after.exponential), (before.sum, &before.exponential));
    desk.observe("a", 0.05);
    desk.write();
    assert_eq!(shown(&desk.recover().replay.events), shown(&desk.events), "the journal knows of the new buckets");
    desk.save(1, false, |desk| desk.observe("a", 2.0));
    desk.write();
    assert_eq!(shown(&desk.recover().replay.events), shown(&desk.events));
}

#[test]
fn what_nobody_takes_is_thrown_away_in_the_end() {
    let mut desk = Desk::new();
    desk.events.pen.turn_to(9, 10_000, |_, _| {});
    for _ in 0..20_000 {
        desk.count("a", 0.1);
    }
    assert!(desk.events.pen.has_overflowed() && !desk.events.pen.writes());
    assert_eq!(total(&desk.events, "a").map(f64::round), Some(2000.0));
}

/// Something that happens.
#[derive(Clone, Debug)]
enum Step {
    Count(u8, f64),
    Observe(u8, f64),
    Level(u8, f64, bool, bool),
    Write,
    Save(usize),
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let value = || prop_oneof![0.0..100.0, 1e-9..1e9, (0..50_u8).prop_map(f64::from)];
    prop_oneof![
        6 => (0..6_u8, value()).prop_map(|(label, rise)| Step::Count(label, rise)),
        6 => (0..4_u8, value()).prop_map(|(label, value)| Step::Observe(label, value)),
        3 => (0..3_u8, value(), any::<bool>(), any::<bool>()).prop_map(|(label, value, add, last)| Step::Level(label, value, add, last)),
        3 => Just(Step::Write),
        1 => (1..20_usize).prop_map(Step::Save),
        1 => Just(Step::Restart),
    ]
}

fn take(desk: &mut Desk, step: &Step) {
    match step {
        Step::Count(label, rise) => desk.count(&label.to_string(), *rise),
        Step::Observe(label, value) => desk.observe(&label.to_string(), *value),
        Step::Level(label, value, add, last) => {
            let op = if *add { GaugeOp::Add } else { GaugeOp::Set };
            desk.level(&label.to_string(), *value, op, if *last { GaugeMerge::Last } else { GaugeMerge::Max });
        }
        Step::Write => desk.write(),
        Step::Save(lines) => {
            let mut turns = 0;
            desk.save(*lines, false, |desk| {
                turns += 1;
                desk.count(&format!("new {}", turns % 7), 0.3);
                desk.count("0", 0.7);
                desk.observe("1", 0.1);
                if turns % 3 == 0 {
                    desk.level("0", 1.0, GaugeOp::Set, if turns % 2 == 0 { GaugeMerge::Last } else { GaugeMerge::Sum });
                }
            });
            desk.write();
        }
        Step::Restart => {
            desk.write();
            desk.restart();
        }
    }
}

/// Without gauges that live with their senders, which are not restored.
fn durable(desk: &Desk) -> Vec<Family> {
    let mut copying = Vec::new();
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    let mut cursor = Cursor::default();
    cursor.begin_with(usize::MAX);
    desk.events.copy(&mut cursor, |family, _, live| {
        if live.instrument.kept().is_some() {
            copying.push((family.head().name.to_string(), live.labels.clone()));
        }
    });
    for mut family in shown(&desk.events) {
        family.series.retain(|series| copying.contains(&(family.name.to_string(), series.labels.clone())));
        if !family.series.is_empty() {
            families.insert(family.name.to_string(), family);
        }
    }
    families.into_values().collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_comes_back(steps in proptest::collection::vec(step(), 1..60)) {
        let mut desk = Desk::new();
        for step in &steps {
            take(&mut desk, step);
        }
        desk.write();
        let recovered = desk.recover();
        prop_assert_eq!(&recovered.refused, &None);
        prop_assert_eq!(shown(&recovered.replay.events), durable(&desk));
    }

    #[test]
    fn a_cut_or_a_flipped_byte_never_gives_more_than_was_written(
        steps in proptest::collection::vec(step(), 1..40), file: prop::sample::Index, place: prop::sample::Index, flip: Option<u8>,
    ) {
        let mut desk = Desk::new();
        for step in &steps {
            take(&mut desk, step);
        }
        desk.write();
        let name = *file.get(&desk.files.keys().copied().collect::<Vec<_>>());
        let bytes = desk.files.get_mut(&name).expect("there");
        let place = place.index(bytes.len());
        match flip {
            Some(flip) => bytes[place] ^= flip.max(1),
            None => bytes.truncate(place),
        }
        let recovered = desk.recover();
        for label in 0..6 {
            let label = label.to_string();
            let (is, was) = (total(&recovered.replay.events, &label).unwrap_or(0.0), total(&desk.events, &label).unwrap_or(0.0));
            prop_assert!(is <= was, "{label}: {is} is more than {was}");
        }
        let last = name.generation == desk.generation && name.kind == FileKind::Journal;
        prop_assert!(
            recovered.refused.is_some() || last || shown(&recovered.replay.events) == durable(&desk),
            "only the last journal may end early"
        );
    }
}
