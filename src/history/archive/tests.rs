//! History across restarts: what comes back, and what becomes of files that are not as they were written.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use proptest::prelude::*;

use super::super::chunk::encode;
use super::super::column::{Grade, Sealed};
use super::super::head::Raw;
use super::super::{Append, Config, History, Query, Window};
use super::record::Writer;
use super::*;
use crate::model::{Condition, Labels, PromDuration, Timestamp, stale_marker};
use crate::runtime::Board;
use crate::telemetry::Telemetry;

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

/// Full for half an hour, thinned for ten.
fn config() -> Config {
    Config {
        bytes_max: 4 << 20,
        retention: PromDuration::from_secs(1800),
        thinned_retention: PromDuration::from_secs(36_000),
        ..Config::default()
    }
}

struct Agent {
    history: History,
    archive: std::sync::Arc<Archive>,
    telemetry: std::sync::Arc<Telemetry>,
    board: Board,
}

/// A start with what the folder holds.
fn start(folder: &Path, config: &Config, now: i64) -> Agent {
    let (telemetry, board) = (Telemetry::new(), Board::new());
    let history = History::new(config, &telemetry);
    let archive = Archive::open(&history, Ok(folder.to_owned()), config, &telemetry, &board, at(now)).expect("a folder");
    Agent { history, archive, telemetry, board }
}

impl Agent {
    fn everything(&self) -> Vec<(Labels, Vec<(i64, u64)>)> {
        everything(&self.history)
    }

    fn metric(&self, name: &str) -> f64 {
        let families = self.telemetry.families();
        let family = families.iter().find(|family| &*family.name == name).expect("registered");
        let number = |value: &crate::model::Value| if let crate::model::Value::Number(number) = value { *number } else { f64::NAN };
        family.series.iter().map(|series| number(&series.value)).sum()
    }

    fn condition(&self) -> (Condition, String) {
        let parts = self.board.parts();
        let part = parts.iter().find(|part| part.name == "history.files").expect("reported");
        (part.condition, part.detail.clone())
    }
}

fn everything(history: &History) -> Vec<(Labels, Vec<(i64, u64)>)> {
    let windows = history.select(&[], Timestamp::MIN, Timestamp::MAX).expect("readable");
    let bits = |window: Window| window.samples.iter().map(|sample| (sample.at.as_millis(), sample.value.to_bits())).collect();
    windows.into_iter().map(|window| (window.labels.clone(), bits(window))).collect()
}

/// Ten series, of which some stand still, move evenly, without a pattern, begin late, pause and end.
fn samples(tick: i64) -> Vec<(Labels, f64)> {
    let mut samples = Vec::new();
    for series in 0..10_i64 {
        let value = match series {
            0 => 0.5,
            1 | 2 => (tick * series) as f64,
            3 => (tick as f64).sqrt(),
            4 if tick < 300 => continue,
            5 if tick / 100 % 2 == 1 => continue,
            6 if tick == 500 => stale_marker(),
            6 if tick > 500 => continue,
            _ => (tick.wrapping_mul(2_654_435_761) >> 7 & 0xff) as f64 / 100.0,
        };
        samples.push((Labels::from_pairs([("__name__", "m"), ("l", series.to_string().as_str())]), value));
    }
    samples
}

/// Appends and saves once a minute.
fn run(agent: &Agent, ticks: std::ops::Range<i64>) {
    for tick in ticks {
        agent.history.append(at(tick * 5000), &samples(tick));
        if tick % 12 == 0 {
            agent.archive.save(at(tick * 5000));
        }
    }
}

fn files(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder.join("history"))
        .expect("made")
        .map(|entry| entry.expect("readable").file_name().into_string().expect("ASCII"))
        .collect();
    names.sort();
    names
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]
    /// However often it is killed after a save, everything comes back, and what comes later goes behind it.
    #[test]
    fn what_was_saved_comes_back(kills in prop::collection::vec(1..900i64, 1..4)) {
        let folder = tempfile::tempdir().expect("made");
        let (mut tick, mut before) = (0, Vec::new());
        for more in kills {
            let agent = start(folder.path(), &config(), tick * 5000);
            prop_assert!(agent.everything() == before, "what was there at tick {}", tick);
            prop_assert_eq!(agent.metric("sidewatch_history_samples"), agent.metric("sidewatch_history_restored_samples"));
            run(&agent, tick..tick + more);
            tick += more;
            agent.archive.save(at(tick * 5000));
            prop_assert_eq!(agent.condition(), (Condition::Ok, String::new()));
            prop_assert_eq!(agent.metric("sidewatch_history_write_errors_total"), 0.0);
            before = agent.everything();
        }
        let has = |labels: &Labels, tick: i64| samples(tick).iter().any(|(known, _)| known == labels);
        let recent = (tick - 1) * 5000 - 1_800_000;
        for (labels, samples) in &before {
            let times: Vec<i64> = samples.iter().map(|(millis, _)| *millis).filter(|millis| *millis > recent).collect();
            let full = (0..tick).filter(|tick| tick * 5000 > recent && has(labels, *tick)).map(|tick| tick * 5000);
            prop_assert!(full.eq(times), "{}: full within the retention", labels);
        }
    }
}

#[test]
fn a_minute_that_was_not_saved_is_all_that_a_kill_takes() {
    let folder = tempfile::tempdir().expect("made");
    let agent = start(folder.path(), &config(), 0);
    run(&agent, 0..1000);
    let saved = 996 * 5000;
    let expected: Vec<_> = agent
        .everything()
        .into_iter()
        .map(|(labels, samples)| (labels, samples.into_iter().filter(|(millis, _)| *millis <= saved).collect::<Vec<_>>()))
        .collect();
    // Heads were sealed since, and are on disk as heads only.
    assert_eq!(start(folder.path(), &config(), 5_000_000).everything(), expected);
}

#[test]
fn segments_go_with_what_is_in_them() {
    let folder = tempfile::tempdir().expect("made");
    let agent = start(folder.path(), &config(), 0);
    run(&agent, 0..9000);
    let names = files(folder.path());
    let count = |grade: &str| names.iter().filter(|name| name.starts_with(grade)).count();
    assert!((2..=14).contains(&count("full-")), "{names:?}");
    assert!((1..=8).contains(&count("minutes-")), "{names:?}");
    assert!(!names.contains(&"full-00000000".to_owned()), "{names:?}");
    let size = |name: &String| fs::metadata(folder.path().join("history").join(name)).expect("there").len();
    let on_disk: u64 = names.iter().map(size).sum();
    assert!((agent.metric("sidewatch_history_disk_bytes") - on_disk as f64).abs() <= 8.0, "{on_disk}");
    // The log of heads grows until it is worth it to begin anew.
    let segments: u64 = names.iter().filter(|name| *name != "heads").map(size).sum();
    assert!(segments < 4 * agent.history.bytes() as u64, "{segments} in segments, {} in memory", agent.history.bytes());
}

/// The same files in another folder.
fn copy(folder: &Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().expect("made");
    fs::create_dir(copy.path().join("history")).expect("made");
    for name in files(folder) {
        fs::copy(folder.join("history").join(&name), copy.path().join("history").join(&name)).expect("copied");
    }
    copy
}

#[test]
fn a_damaged_file_is_set_aside_and_the_rest_comes_back() {
    let folder = tempfile::tempdir().expect("made");
    let agent = start(folder.path(), &config(), 0);
    run(&agent, 0..2401);
    let written = |labels: &Labels, (millis, bits): (i64, u64)| {
        samples(millis / 5000).iter().any(|(known, value)| known == labels && value.to_bits() == bits)
    };
    let names = files(folder.path());
    assert!(names.len() >= 3, "{names:?}");
    for name in &names {
        let bytes = fs::read(folder.path().join("history").join(name)).expect("there");
        for place in [0, 9, bytes.len() / 2, bytes.len() - 1] {
            let folder = copy(folder.path());
            let path = folder.path().join("history").join(name);
            let mut damaged = bytes.clone();
            damaged[place] ^= 0x10;
            fs::write(&path, &damaged).expect("written");
            let agent = start(folder.path(), &config(), 2400 * 5000);
            for (labels, samples) in agent.everything() {
                assert!(samples.iter().all(|sample| written(&labels, *sample)), "{name}, byte {place}: no sample is made up");
                assert!(samples.array_windows().all(|[earlier, later]| earlier.0 < later.0), "{name}, byte {place}: in order");
            }
            let set_aside = path.with_extension("damaged");
            assert_eq!(agent.metric("sidewatch_history_damages_total"), if set_aside.exists() { 1.0 } else { 0.0 });
            assert!(set_aside.exists() || place == 9, "{name}, byte {place}: only a length that is wrong looks like an end");
            assert!(agent.everything().len() >= 8 || name.starts_with("heads"), "{name}, byte {place}: the rest is there");
            // What was in it is written again as far as it could be read.
            agent.archive.save(at(2400 * 5000));
            let again = start(folder.path(), &config(), 2400 * 5000);
            assert_eq!(again.everything(), agent.everything(), "{name}, byte {place}");
            assert_eq!(again.metric("sidewatch_history_damages_total"), 0.0);
        }
    }
}

#[test]
fn a_chunk_that_cannot_be_decoded_is_left_out_and_its_file_set_aside() {
    let raws = |base: i64| -> Vec<Raw> {
        (0..100)
            .map(|number| Raw { millis: base + number * 5000, bits: number.cast_unsigned().wrapping_mul(0x9e37_79b9_7f4a_7c15) })
            .collect()
    };
    let sealed = |base: i64| Sealed { first: base, last: base + 99 * 5000, bytes: encode(&raws(base)).expect("some").into() };
    let later = 1_000_000;
    let (good, next) = (sealed(0), sealed(later));
    // The times are all there, and the values are not.
    let cut = Sealed { bytes: good.bytes[..good.bytes.len() - 1].into(), ..good.clone() };
    // Times that go back within a chunk.
    let back = [raws(later), raws(0), raws(later + 600_000)].concat();
    let back = Sealed { first: later, last: later + 600_000 + 99 * 5000, bytes: encode(&back).expect("some").into() };
    let other_end = Sealed { last: next.last + 1, ..next.clone() };
    for damaged in [cut, back, other_end] {
        let folder = tempfile::tempdir().expect("made");
        fs::create_dir(folder.path().join("history")).expect("made");
        let labels = |l: &str| Labels::from_pairs([("__name__", "m"), ("l", l)]);
        let mut writer = Writer::default();
        writer.series(0, &labels("a"));
        writer.chunk(0, Grade::Full, &damaged);
        writer.chunk(0, Grade::Full, if damaged.first == 0 { &next } else { &good });
        writer.series(1, &labels("b"));
        writer.chunk(1, Grade::Full, &good);
        let path = folder.path().join("history").join("full-00000000");
        fs::write(&path, [MAGIC.to_vec(), writer.finish()].concat()).expect("written");

        let now = later + 600_000;
        let agent = start(folder.path(), &config(), now);
        let bits = |base: i64| raws(base).iter().map(|raw| (raw.millis, raw.bits)).collect::<Vec<_>>();
        let kept = if damaged.first == 0 { later } else { 0 };
        assert_eq!(agent.everything(), [(labels("a"), bits(kept)), (labels("b"), bits(0))]);
        assert_eq!(agent.metric("sidewatch_history_damages_total"), 1.0);
        assert!(path.with_extension("damaged").exists());
        agent.archive.save(at(now));
        let again = start(folder.path(), &config(), now);
        assert_eq!(again.everything(), agent.everything());
        assert_eq!(again.metric("sidewatch_history_damages_total"), 0.0);
    }
}

#[test]
fn a_file_that_ends_early_is_read_up_to_there_and_never_fatal() {
    let folder = tempfile::tempdir().expect("made");
    let agent = start(folder.path(), &config(), 0);
    run(&agent, 0..1000);
    // What has been thinned since may come back from an older state of the heads.
    let mut all: BTreeMap<Labels, Vec<(i64, u64)>> = BTreeMap::new();
    for tick in 0..1000 {
        for (labels, value) in samples(tick) {
            all.entry(labels).or_default().push((tick * 5000, value.to_bits()));
        }
    }
    for name in files(folder.path()) {
        let path = folder.path().join("history").join(&name);
        let bytes = fs::read(&path).expect("there");
        for len in [0, 3, 8, 11, 16, bytes.len() / 3, bytes.len() - 1] {
            fs::write(&path, &bytes[..len]).expect("written");
            let agent = start(folder.path(), &config(), 5_000_000);
            for (labels, samples) in agent.everything() {
                let written = all.get(&labels).expect("written");
                assert!(samples.iter().all(|sample| written.contains(sample)), "{name}, {len}: {labels}");
                assert!(samples.is_sorted_by(|earlier, later| earlier.0 < later.0), "{name}, {len}: {labels}");
            }
            // What is sealed is in the other files.
            assert!(name != "heads" || agent.metric("sidewatch_history_samples") > 2000.0, "{len}");
            assert_eq!(agent.metric("sidewatch_history_damages_total"), 0.0);
            assert_eq!(agent.condition().0, Condition::Ok);
        }
        fs::write(&path, &bytes).expect("written");
    }
}

#[test]
fn a_folder_that_cannot_be_written_is_reported_and_made_up_for() {
    let folder = tempfile::tempdir().expect("made");
    let agent = start(folder.path(), &config(), 0);
    run(&agent, 0..700);
    let (here, gone) = (folder.path().join("history"), folder.path().join("gone"));
    fs::rename(&here, &gone).expect("renamed");
    fs::write(&here, "no folder").expect("written");
    run(&agent, 700..1400);
    assert_eq!(agent.condition().0, Condition::Degraded);
    assert!(agent.metric("sidewatch_history_write_errors_total") > 0.0);
    fs::remove_file(&here).expect("removed");
    fs::rename(&gone, &here).expect("renamed");
    run(&agent, 1400..1410);
    agent.archive.save(at(1410 * 5000));
    assert_eq!(agent.condition(), (Condition::Ok, String::new()));
    assert_eq!(start(folder.path(), &config(), 1410 * 5000).everything(), agent.everything());
}

#[test]
fn after_a_clock_that_was_set_back_history_goes_on_where_it_was() {
    const BACK: i64 = 600_000;
    let folder = tempfile::tempdir().expect("made");
    let agent = start(folder.path(), &config(), 0);
    run(&agent, 0..601);
    let mut expected = agent.everything();
    expected.iter_mut().flat_map(|(_, samples)| samples).for_each(|(millis, _)| *millis -= BACK);
    let now = 600 * 5000 - BACK;
    let agent = start(folder.path(), &config(), now);
    assert_eq!(agent.everything(), expected);
    assert_eq!(agent.history.append(at(now + 5000), &samples(601)).refused(), 0);
    agent.archive.save(at(now + 5000));
    let written = agent.everything();
    assert_eq!(start(folder.path(), &config(), now + 5000).everything(), written, "and after another start");
}

#[test]
fn without_a_folder_or_a_wish_nothing_is_kept() {
    let (telemetry, board) = (Telemetry::new(), Board::new());
    let history = History::new(&config(), &telemetry);
    assert!(Archive::open(&history, Err("it is taken".to_owned()), &config(), &telemetry, &board, at(0)).is_none());
    let folder = tempfile::tempdir().expect("made");
    let unwanted = Config { persist: false, ..config() };
    assert!(Archive::open(&history, Ok(folder.path().to_owned()), &unwanted, &telemetry, &board, at(0)).is_none());
    assert_eq!(fs::read_dir(folder.path()).expect("there").count(), 0);
}

/// What is read without an agent.
fn look(folder: &Path, now: i64) -> Result<Saved, SavedError> {
    Saved::read(folder, &config(), &Telemetry::new(), at(now))
}

/// Every file with its bytes, its permissions, its place on the disk and the time of its last change.
fn state(folder: &Path) -> Vec<(String, Vec<u8>, u32, u64, std::time::SystemTime)> {
    let file = |name: String| {
        let path = folder.join("history").join(&name);
        let about = fs::metadata(&path).expect("there");
        (name, fs::read(&path).unwrap_or_default(), about.mode(), about.ino(), about.modified().expect("Linux knows"))
    };
    files(folder).into_iter().map(file).collect()
}

#[test]
fn without_an_agent_the_same_is_read_and_nothing_is_changed() {
    let folder = tempfile::tempdir().expect("made");
    let agent = start(folder.path(), &config(), 0);
    run(&agent, 0..1400);
    agent.archive.save(at(7_000_000));
    fs::write(folder.path().join("history/full-00000000.damaged"), "set aside").expect("written");
    fs::write(folder.path().join("history/heads.new"), "not finished").expect("written");
    let (before, names) = (state(folder.path()), fs::read_dir(folder.path()).expect("there").count());
    // Neither the budget nor the limit of an agent's series counts.
    let small = Config { bytes_max: 1, series_max: 1, ..config() };
    for path in [folder.path().to_owned(), folder.path().join("history")] {
        let saved = Saved::read(&path, &small, &Telemetry::new(), at(7_000_000)).expect("there");
        assert_eq!(everything(&saved.history), agent.everything());
        assert_eq!(saved.history.thinned_until(), agent.history.thinned_until());
        assert_eq!((saved.newest, saved.left_out), (Some(at(1399 * 5000)), Vec::<String>::new()));
        assert_eq!(saved.folder, folder.path().join("history"));
    }
    assert!(Saved::is_in(folder.path()));
    assert!(state(folder.path()) == before, "bytes, places and times");
    assert_eq!(fs::read_dir(folder.path()).expect("there").count(), names, "nothing was made beside it");
}

#[test]
fn without_an_agent_a_damaged_file_is_named_and_left_as_it_is() {
    let folder = tempfile::tempdir().expect("made");
    let agent = start(folder.path(), &config(), 0);
    run(&agent, 0..2401);
    for (name, bytes) in state(folder.path()).into_iter().map(|(name, bytes, ..)| (name, bytes)) {
        for (place, said) in [(0, "damaged from byte 0 on"), (bytes.len() - 1, "damaged from byte ")] {
            let folder = copy(folder.path());
            let path = folder.path().join("history").join(&name);
            let mut damaged = bytes.clone();
            damaged[place] ^= 0x10;
            fs::write(&path, &damaged).expect("written");
            let before = state(folder.path());
            let saved = look(folder.path(), 2400 * 5000).expect("there");
            let [sentence] = &saved.left_out[..] else { panic!("{name}, byte {place}: {:?}", saved.left_out) };
            assert!(sentence.starts_with(&format!("{}: {said}", path.display())), "{sentence}");
            assert!(state(folder.path()) == before, "{name}, byte {place}: bytes, places and times");
            // An agent that starts makes the same of it.
            assert_eq!(everything(&saved.history), start(folder.path(), &config(), 2400 * 5000).everything(), "{name}, byte {place}");
        }
    }
}

#[test]
fn without_an_agent_an_end_that_was_not_written_is_no_error() {
    let folder = tempfile::tempdir().expect("made");
    let agent = start(folder.path(), &config(), 0);
    run(&agent, 0..1000);
    for (name, bytes) in state(folder.path()).into_iter().map(|(name, bytes, ..)| (name, bytes)) {
        let path = folder.path().join("history").join(&name);
        fs::write(&path, &bytes[..bytes.len() - 1]).expect("written");
        let saved = look(folder.path(), 5_000_000).expect("there");
        let [sentence] = &saved.left_out[..] else { panic!("{name}: {:?}", saved.left_out) };
        assert!(sentence.starts_with(&format!("{}: its last ", path.display())), "{sentence}");
        assert!(everything(&saved.history).len() >= 8 || name == "heads", "{name}");
        fs::write(&path, &bytes).expect("written");
    }
}

#[test]
fn without_an_agent_a_file_that_cannot_be_read_is_named() {
    let folder = tempfile::tempdir().expect("made");
    let agent = start(folder.path(), &config(), 0);
    run(&agent, 0..1000);
    let heads = folder.path().join("history/heads");
    fs::remove_file(&heads).expect("there");
    fs::create_dir(&heads).expect("made");
    let saved = look(folder.path(), 5_000_000).expect("there");
    assert!(saved.left_out[0].starts_with(&format!("{}: cannot be read, and is left out: ", heads.display())), "{:?}", saved.left_out);
    assert!(saved.newest > Some(at(0)));
}

#[test]
fn without_an_agent_a_clock_that_was_set_back_is_told() {
    let folder = tempfile::tempdir().expect("made");
    let agent = start(folder.path(), &config(), 0);
    run(&agent, 0..600);
    agent.history.append(at(100_000_000), &samples(600));
    agent.archive.save(at(100_000_000));
    let saved = look(folder.path(), 600 * 5000).expect("there");
    assert_eq!(saved.newest, Some(at(600 * 5000)));
    let why = "its newest sample is 97000 s later than now, so that the clock was set back: all times are shown so much earlier";
    assert!(saved.left_out[0].ends_with(why), "{:?}", saved.left_out);
}

#[test]
fn where_nothing_is_saved_that_is_an_error() {
    let folder = tempfile::tempdir().expect("made");
    let error = look(folder.path(), 0).expect_err("nothing there");
    assert_eq!(error.to_string(), format!("no history is saved in {}", folder.path().display()));
    assert!(matches!(look(&folder.path().join("absent"), 0), Err(SavedError::Unreadable(..))));
    assert!(!Saved::is_in(folder.path()) && fs::read_dir(folder.path()).expect("there").count() == 0);
}

/// From the first to the last sample of a series that has one at each tick, none is further from the next than history keeps them.
fn assert_unbroken(saved: &Saved, what: &str) {
    let newest = saved.newest.expect("samples").as_millis();
    let all = everything(&saved.history);
    let (_, series) = all.iter().find(|(labels, _)| labels.get("l") == Some("0")).expect("there");
    assert_eq!(series[0].0 / 60_000, 0, "{what}: nothing is so old that it goes");
    for [one, next] in series.array_windows() {
        let apart = if next.0 > newest - 1_800_000 { 5000 } else { 60_000 };
        assert!(next.0 - one.0 <= apart, "{what}: between {} and {}, newest {newest}", one.0, next.0);
    }
}

/// Sealed heads, thinned chunks and old segments go from one file to another while they are read.
#[test]
fn what_an_agent_moves_while_it_is_read_is_neither_lost_nor_seen_twice() {
    let folder = tempfile::tempdir().expect("made");
    let agent = start(folder.path(), &config(), 0);
    run(&agent, 0..1);
    let mut tick = 1;
    for look in 0..120 {
        // It saves in front of the first file, or the second, and so on.
        let now = at(tick * 5000 + 60_000);
        let mut left = look % i64::try_from(files(folder.path()).len()).expect("few");
        let mut save = || {
            if left == 0 {
                run(&agent, tick..tick + 12);
                tick += 12;
            }
            left -= 1;
        };
        let saved = Saved::read_while(folder.path(), &config(), &Telemetry::new(), now, &mut save).expect("there");
        assert_eq!(saved.left_out, Vec::<String>::new(), "look {look}");
        assert_unbroken(&saved, &format!("look {look}"));
    }
    assert!(tick > 1400, "enough for all of it: {tick}");
    // One that never ceases to write keeps nobody waiting.
    let mut save = || {
        run(&agent, tick..tick + 12);
        tick += 12;
    };
    let saved = Saved::read_while(folder.path(), &config(), &Telemetry::new(), at(30_000_000), &mut save).expect("there");
    assert!(saved.left_out.last().expect("told").contains("written to all the while"), "{:?}", saved.left_out);
}

#[test]
fn beside_an_agent_that_writes_no_sample_is_missing_in_between() {
    let folder = tempfile::tempdir().expect("made");
    let agent = start(folder.path(), &config(), 0);
    run(&agent, 0..1);
    let (begun, begins) = std::sync::mpsc::sync_channel(0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut tick = 1;
            for () in begins {
                run(&agent, tick..tick + 12);
                tick += 12;
            }
        });
        for _ in 0..100 {
            begun.send(()).expect("written to");
            let saved = look(folder.path(), 100 * 12 * 5000).expect("there");
            // It may be in the midst of writing.
            assert!(saved.left_out.iter().all(|sentence| sentence.contains("were not written to their end")), "{:?}", saved.left_out);
            assert_unbroken(&saved, "by chance");
        }
        drop(begun);
    });
}
