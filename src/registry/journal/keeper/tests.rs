//! The journal on a disk.

use std::fs;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use super::*;
use crate::model::{Change, Labels, MetricType, SeriesKey, Value};
use crate::registry::{Config, Pending};
use tempfile::TempDir;

struct Agent {
    registry: Arc<Registry>,
    journal: Arc<Journal>,
    board: Board,
}

impl Agent {
    fn start(folder: &TempDir) -> Self {
        Self::start_with(folder, &JournalConfig::default())
    }

    fn start_with(folder: &TempDir, config: &JournalConfig) -> Self {
        Self::start_at(folder, config, clock::now())
    }

    fn start_at(folder: &TempDir, config: &JournalConfig, at: Timestamp) -> Self {
        let (telemetry, board) = (Telemetry::new(), Board::new());
        let registry = Registry::new(&Config::default(), &telemetry);
        let journal = Journal::open(&registry, Ok(folder.path().to_owned()), config, &telemetry, &board, at).expect("opened");
        Self { registry, journal, board }
    }

    fn count(&self, label: &str) {
        self.count_at(label, clock::now());
    }

    fn count_at(&self, label: &str, at: Timestamp) {
        let labels = Labels::from_pairs([("l", label)]);
        let key = SeriesKey { name: Arc::from("c_total"), kind: MetricType::Counter, labels };
        let mut merge = self.registry.merge(1, at);
        assert_eq!(merge.apply(&mut Pending::new(key, Change::Count(1.0))), Ok(()));
    }

    /// The counter's total, as anyone is shown it.
    fn total(&self) -> f64 {
        let families = self.registry.families();
        let series = families.iter().flat_map(|family| &family.series);
        series.map(|series| if let Value::Number(total) = series.value { total } else { 0.0 }).sum()
    }

    fn part(&self) -> (Condition, String) {
        self.journal.report("fine", clock::now());
        let part = self.board.parts().into_iter().find(|part| part.name == PART).expect("there");
        (part.condition, part.detail)
    }

    /// Lets the journal of this generation be written somewhere else.
    fn redirect(&self, file: File) {
        let mut desk = self.journal.desk();
        let generation = desk.generation;
        desk.files.insert(generation, Arc::new(file));
    }

    /// Waits until the journal has been given up.
    fn await_break(&self) {
        let begin = clock::monotonic();
        while self.journal.desk().broken.is_none() {
            assert!(begin.elapsed() < Duration::from_secs(10), "not given up");
            self.journal.is_due();
            std::thread::yield_now();
        }
    }

    fn stop(self) {
        self.journal.save(true);
        self.journal.close();
    }
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

fn files(folder: &TempDir) -> Vec<String> {
    let entries = fs::read_dir(folder.path().join("registry")).expect("there");
    let mut names: Vec<_> = entries.map(|entry| entry.expect("readable").file_name().into_string().expect("text")).collect();
    names.sort();
    names
}

#[test]
fn a_folder_that_cannot_be_used_is_a_journal_given_up_and_one_switched_off_is_not() {
    for (enabled, expected) in [(true, 1.0), (false, 0.0)] {
        let telemetry = Telemetry::new();
        let registry = Registry::new(&Config::default(), &telemetry);
        let config = JournalConfig { enabled, ..JournalConfig::default() };
        let unusable = Err("cannot be used".to_owned());
        assert!(Journal::open(&registry, unusable, &config, &telemetry, &Board::new(), clock::now()).is_none());
        let families = telemetry.families();
        let family = families.iter().find(|family| &*family.name == "sidewatch_journal_given_up_total").expect("there");
        let total: f64 = family.series.iter().map(|series| if let Value::Number(total) = series.value { total } else { 0.0 }).sum();
        assert_eq!(total, expected, "{enabled}");
    }
}

#[test]
fn what_was_shown_comes_back_after_a_kill() {
    let folder = folder();
    let mut before = Vec::new();
    for round in 1..=3 {
        let agent = Agent::start(&folder);
        agent.count("a");
        assert_eq!(agent.total(), f64::from(round));
        // It is not closed, as if it had been killed here.
        before.push(agent);
    }
    before.iter().for_each(|agent| agent.journal.close());
    assert_eq!(files(&folder), ["journal-000000000001", "journal-000000000002", "journal-000000000003"]);
}

#[test]
fn what_has_retired_comes_back_retired_and_goes_on() {
    const MINUTE: i64 = 60_000;
    let folder = folder();
    let agent = Agent::start(&folder);
    let ago = |minutes: i64| clock::now().plus_millis(-minutes * MINUTE);
    agent.count_at("a", ago(120));
    (1..=120).rev().for_each(|minutes| agent.registry.expire(ago(minutes)));
    let sizes = |agent: &Agent| {
        let state = agent.registry.state();
        (state.events.series(), state.events.retired())
    };
    assert_eq!(sizes(&agent), (0, 1));
    agent.total();
    let next = Agent::start(&folder);
    assert_eq!((sizes(&next), next.total()), ((0, 1), 0.0));
    next.count("a");
    assert_eq!((sizes(&next), next.total()), ((1, 0), 2.0));
    [agent, next].iter().for_each(|agent| agent.journal.close());
}

#[test]
fn time_away_is_known_to_the_next_start_as_well() {
    const MINUTE: i64 = 60_000;
    let folder = folder();
    let ago = |minutes: i64| clock::now().plus_millis(-minutes * MINUTE);
    let first = Agent::start_at(&folder, &JournalConfig::default(), ago(30));
    first.count_at("a", ago(30));
    first.total();
    // It was away for half an hour; then something else happens, and it is killed before anything is saved.
    let second = Agent::start(&folder);
    second.count("b");
    second.total();
    let third = Agent::start(&folder);
    let (mut oldest, mut cursor) = (clock::now(), walk::Cursor::default());
    cursor.begin();
    third.registry.state().events.copy(&mut cursor, |_, _, live| oldest = oldest.min(live.changed));
    assert!(oldest > ago(3), "{oldest}");
    [first, second, third].iter().for_each(|agent| agent.journal.close());
}

#[test]
fn an_agent_without_events_writes_down_that_it_lives() {
    let folder = folder();
    let agent = Agent::start(&folder);
    agent.count("a");
    agent.total();
    let bytes = || fs::metadata(folder.path().join("registry/journal-000000000001")).expect("there").len();
    let begin = clock::monotonic();
    let wait = |until: &dyn Fn() -> bool| {
        while !until() {
            assert!(begin.elapsed() < Duration::from_secs(10), "not written");
            std::thread::yield_now();
        }
    };
    wait(&|| agent.registry.state().writer_waits);
    let before = bytes();
    agent.registry.expire(clock::now());
    wait(&|| bytes() > before);
    agent.journal.close();
}

#[test]
fn two_generations_are_kept_and_the_last_word_is_a_snapshot() {
    let folder = folder();
    let agent = Agent::start(&folder);
    for _ in 0..5 {
        agent.count("a");
        agent.journal.save(false);
        assert_eq!(agent.part(), (Condition::Ok, "fine".to_owned()));
    }
    agent.stop();
    let all = ["journal-000000000006", "journal-000000000007", "snapshot-000000000006", "snapshot-000000000007"];
    assert_eq!(files(&folder), all);
    let agent = Agent::start(&folder);
    assert_eq!(agent.total(), 5.0);
    agent.stop();
}

#[test]
fn all_is_saved_soon_after_a_start_that_restored_something_and_then_when_it_is_worth_it() {
    let folder = folder();
    let agent = Agent::start(&folder);
    assert!(!agent.journal.is_due());
    (0..50).for_each(|label| agent.count(&label.to_string()));
    agent.total();
    agent.journal.close();
    let hasty = JournalConfig { snapshot_interval: crate::model::PromDuration::from_millis(0), ..JournalConfig::default() };
    let agent = Agent::start_with(&folder, &hasty);
    assert!(agent.journal.is_due());
    agent.journal.save(false);
    agent.total();
    assert!(!agent.journal.is_due(), "the journal is shorter than the snapshot");
    (0..1000).for_each(|_| agent.count("a"));
    agent.total();
    assert!(agent.journal.is_due());
    agent.stop();
}

#[test]
fn a_disk_that_is_full_is_told_of_and_made_good_when_it_is_not() {
    let folder = folder();
    let agent = Agent::start(&folder);
    agent.count("a");
    agent.total();
    agent.redirect(File::options().write(true).open("/dev/full").expect("there"));
    agent.count("a");
    assert_eq!(agent.total(), 2.0, "it is counted and shown all the same");
    agent.await_break();
    let (condition, detail) = agent.part();
    assert!(condition == Condition::Degraded && detail.contains("No space left"), "{detail}");
    agent.count("a");
    // Killed now it would not come back with less than was shown.
    let second = Agent::start(&TempDir::new_in(folder.path()).expect("a folder"));
    second.stop();
    assert_eq!(files(&folder), ["journal-000000000001.broken"]);

    agent.journal.save(false);
    assert_eq!(agent.part().0, Condition::Ok);
    agent.count("a");
    assert_eq!(agent.total(), 4.0);
    agent.journal.close();
    let next = Agent::start(&folder);
    assert_eq!(next.total(), 4.0);
    next.stop();
}

#[test]
fn what_is_not_whole_is_not_restored_and_not_deleted() {
    let folder = folder();
    let agent = Agent::start(&folder);
    agent.count("a");
    agent.total();
    agent.journal.break_off("error", "on purpose");
    agent.journal.close();
    let next = Agent::start(&folder);
    assert_eq!(next.total(), 0.0);
    assert_eq!(files(&folder), ["journal-000000000001.broken.incomplete", "journal-000000000002"]);
    next.stop();
}

#[test]
fn what_was_put_aside_does_not_become_more_and_more() {
    let folder = folder();
    for _ in 0..12 {
        let agent = Agent::start(&folder);
        agent.count("a");
        agent.total();
        agent.journal.break_off("error", "on purpose");
        agent.journal.close();
    }
    let aside = files(&folder).iter().filter(|name| name.ends_with(".incomplete")).count();
    assert_eq!(aside, 8);
}

#[test]
fn files_of_a_later_agent_are_left_alone() {
    let folder = folder();
    Agent::start(&folder).stop();
    let snapshot = folder.path().join("registry/snapshot-000000000002");
    let mut bytes = fs::read(&snapshot).expect("there");
    bytes[8] = 200;
    fs::write(&snapshot, bytes).expect("written");
    let agent = Agent::start(&folder);
    agent.count("a");
    assert_eq!(agent.total(), 1.0);
    agent.stop();
    let kept = files(&folder).into_iter().filter(|name| name.ends_with(".newer")).collect::<Vec<_>>();
    assert_eq!(kept, ["journal-000000000001.newer", "journal-000000000002.newer", "snapshot-000000000002.newer"]);
}

#[test]
fn a_disk_that_hangs_holds_readers_up_for_a_second_and_then_no_more() {
    let folder = folder();
    let agent = Agent::start_with(&folder, &JournalConfig { buffer_bytes_max: 1 << 20, ..JournalConfig::default() });
    let (mut disk, hung) = UnixStream::pair().expect("a pair");
    agent.redirect(File::from(OwnedFd::from(hung)));
    // More than the kernel takes for it.
    let much = "x".repeat(1000);
    (0..500).for_each(|label| agent.count(&format!("{much}{label}")));
    let begin = clock::monotonic();
    assert_eq!(agent.total(), 500.0);
    assert!(begin.elapsed() >= Duration::from_millis(900));
    assert_eq!(agent.part(), (Condition::Degraded, "the disk hangs: what is shown is not on it yet".to_owned()));
    let begin = clock::monotonic();
    agent.count("a");
    agent.total();
    assert!(begin.elapsed() < Duration::from_millis(900), "nobody else waits");

    let reader = std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut buffer = vec![0; 1 << 20];
            let mut read = 0;
            while read < 500_000 {
                read += disk.read(&mut buffer).expect("read");
            }
            read
        });
        reader.join().expect("no panic")
    });
    assert!(reader >= 500_000);
    let begin = clock::monotonic();
    while agent.part().0 != Condition::Ok {
        assert!(begin.elapsed() < Duration::from_secs(10), "it has not recovered");
        std::thread::yield_now();
    }

    // It hangs again, and more waits than there is room for.
    (0..2000).for_each(|label| agent.count(&format!("{much}again{label}")));
    agent.await_break();
    assert!(agent.part().1.starts_with("in memory alone: the disk does not take"), "{:?}", agent.part());
    drop(disk);
    agent.journal.save(false);
    assert_eq!(agent.part().0, Condition::Ok);
    agent.stop();
}
