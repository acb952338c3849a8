//! The file, and what becomes of it.

use std::fs::{self, File};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;

use super::*;
use crate::rules::alert::{Absence, Observed, Timing};
use crate::rules::ledger::{FORMAT, Found, hash};
use crate::rules::pen::{BYTES_MIN, DAMAGED, FILE, OTHER};

/// Longer than anything takes here.
const LONG: Duration = Duration::from_secs(20);

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(seconds * 1000)
}

/// What a disk does at the time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Mood {
    #[default]
    Works,
    SyncsHang,
    WritesHang,
    WritesFail,
}

/// A disk that hangs and fails as a test wants.
#[derive(Clone, Debug, Default)]
struct Moody(Arc<(Mutex<(Mood, usize)>, Condvar)>);

impl Moody {
    fn turn(&self, mood: Mood) {
        self.0.0.lock().expect("whole").0 = mood;
        self.0.1.notify_all();
    }

    /// Waits while the disk hangs that way.
    fn wait(&self, hangs: Mood) {
        let mut state = self.0.0.lock().expect("whole");
        state.1 += usize::from(state.0 == hangs);
        self.0.1.notify_all();
        drop(self.0.1.wait_while(state, |(mood, _)| *mood == hangs).expect("whole"));
    }

    /// Returns when somebody hangs.
    fn hangs(&self) {
        let state = self.0.0.lock().expect("whole");
        let (state, _) = self.0.1.wait_timeout_while(state, LONG, |(_, hanging)| *hanging == 0).expect("whole");
        assert_ne!(state.1, 0, "nobody waits for the disk");
    }
}

impl Disk for Moody {
    fn write(&self, file: &File, bytes: &[u8]) -> io::Result<()> {
        self.wait(Mood::WritesHang);
        if self.0.0.lock().expect("whole").0 == Mood::WritesFail {
            return Err(io::Error::other("no space left"));
        }
        Real.write(file, bytes)
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        self.wait(Mood::SyncsHang);
        Real.sync(file)
    }
}

struct Bench {
    folder: tempfile::TempDir,
    board: Board,
}

impl Bench {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder"), board: Board::new() }
    }

    fn open(&self, seconds: i64) -> Store {
        self.open_on(&Moody::default(), seconds)
    }

    fn open_on(&self, disk: &Moody, seconds: i64) -> Store {
        let folder = Ok(self.folder.path().to_owned());
        Store::open_on(Box::new(disk.clone()), folder, Metrics::new(&Telemetry::new()), &self.board, at(seconds))
    }

    fn condition(&self) -> Condition {
        self.board.parts().into_iter().find(|part| part.name == PART).expect("posted").condition
    }

    fn length(&self) -> u64 {
        fs::metadata(self.folder.path().join(FILE)).expect("there").len()
    }
}

fn keys() -> Vec<RuleKey> {
    serde_json::from_value(serde_json::json!([{"name": hash(["A"]), "query": hash(["up"])}])).expect("a key")
}

fn alerts(count: usize) -> Alerts {
    let mut alerts = Alerts::default();
    let one = |x: usize| Observed { labels: Labels::from_pairs([("x", x.to_string())]), annotations: Labels::empty(), value: 1.0 };
    alerts.step(at(0), Timing::default(), 0, (0..count).map(one).collect(), |_, _| Absence::Over).expect("no limit");
    alerts
}

fn count(store: &Store) -> Option<usize> {
    store.past("f;g", &keys()).map(|past| past.alerts.iter().map(BTreeMap::len).sum())
}

#[test]
fn what_was_noted_is_there_after_a_kill() {
    let bench = Bench::new();
    let store = bench.open(0);
    assert_eq!(count(&store), None);
    store.begin(at(1), "f;g", keys(), std::iter::once(&alerts(0)));
    store.update(at(2), "f;g", 0, &alerts(3));
    store.settle();
    drop(store);
    let store = bench.open(100);
    let past = store.past("f;g", &keys()).expect("known");
    assert_eq!((count(&store), past.alive), (Some(3), at(2)));
    store.begin(at(100), "f;g", keys(), std::iter::once(&alerts(2)));
    assert_eq!(store.past("f;g", &keys()).expect("known").alive, at(100), "it has not been away since it began");
    store.retain(at(159), |key| key == "f;g");
    store.close(at(160));
    drop(store);
    let store = bench.open(200);
    assert_eq!(store.past("f;g", &keys()).expect("known").alive, at(160));
    store.retain(at(201), |_| false);
    store.settle();
    assert_eq!(count(&bench.open(300)), None, "nobody knows of the group any more");
}

#[test]
fn a_start_without_an_evaluation_leaves_the_time_of_the_last_one() {
    let bench = Bench::new();
    let store = bench.open(0);
    store.begin(at(1), "f;g", keys(), std::iter::once(&alerts(1)));
    store.close(at(2));
    drop(store);
    let store = bench.open(3_000);
    store.begin(at(3_001), "f;other", keys(), std::iter::empty());
    store.tend(at(3_001));
    store.close(at(3_002));
    drop(store);
    assert_eq!(bench.open(3_010).past("f;g", &keys()).expect("known").alive, at(2));
}

#[test]
fn what_comes_after_a_cut_is_there_wherever_it_was() {
    let bench = Bench::new();
    let path = bench.folder.path().join(FILE);
    let store = bench.open(0);
    store.begin(at(0), "f;g", keys(), std::iter::once(&alerts(0)));
    store.update(at(0), "f;g", 0, &alerts(1));
    store.close(at(1));
    drop(store);
    let file = fs::read(&path).expect("there");
    let last = file.len() - file.iter().rev().skip(1).position(|byte| *byte == b'\n').expect("lines") - 1;
    for length in last..=file.len() {
        fs::write(&path, &file[..length]).expect("written");
        let store = bench.open(2);
        store.begin(at(2), "f;g", keys(), std::iter::once(&alerts(5)));
        store.settle();
        drop(store);
        assert_eq!(count(&bench.open(3)), Some(5), "cut at {length} of {}", file.len());
        assert!(!bench.folder.path().join(DAMAGED).exists(), "cut at {length} of {}", file.len());
    }
}

#[test]
fn the_end_tries_a_disk_again_that_failed() {
    let bench = Bench::new();
    let disk = Moody::default();
    let store = bench.open_on(&disk, 0);
    disk.turn(Mood::WritesFail);
    store.begin(at(1), "f;g", keys(), std::iter::once(&alerts(3)));
    store.settle();
    store.tend(at(1));
    disk.turn(Mood::Works);
    store.close(at(2));
    assert_eq!(count(&bench.open(3)), Some(3));
}

#[test]
fn many_alerts_at_once_are_written() {
    let bench = Bench::new();
    let store = bench.open(0);
    let long = |x: usize| {
        let labels = Labels::from_pairs([("x", x.to_string()), ("y", "y".repeat(1 << 20))]);
        Observed { labels, annotations: Labels::empty(), value: 1.0 }
    };
    let mut alerts = Alerts::default();
    alerts.step(at(0), Timing::default(), 0, (0..5).map(long).collect(), |_, _| Absence::Over).expect("no limit");
    store.begin(at(0), "f;g", keys(), std::iter::once(&alerts));
    store.settle();
    assert_eq!((count(&bench.open(1)), bench.condition(), store.0.metrics.errors.get()), (Some(5), Condition::Ok, 0));
}

#[test]
fn the_file_does_not_grow_without_end() {
    let bench = Bench::new();
    let store = bench.open(0);
    store.begin(at(0), "f;g", keys(), std::iter::once(&alerts(0)));
    for round in 0..2_000 {
        store.update(at(round), "f;g", 0, &alerts(usize::try_from(round % 2).expect("small")));
        store.settle();
        store.tend(at(round));
        assert!(bench.length() <= BYTES_MIN + 1_000, "{}", bench.length());
    }
    store.settle();
    assert_eq!(count(&bench.open(3_000)), Some(1));
}

#[test]
#[allow(clippy::disallowed_methods)] // a test's own thread
fn a_kill_at_any_moment_leaves_everything_while_the_file_is_written_anew_again_and_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let (pen, _, opened) = Pen::open(folder.path().to_owned(), Box::new(Real), || ());
    opened.expect("a file");
    let (last, done) = (AtomicUsize::new(0), AtomicBool::new(false));
    let line = |number: usize| format!("{number:0>16000}\n");
    std::thread::scope(|scope| {
        let renewals = scope.spawn(|| {
            let renew = || pen.renew(at(0), || line(last.load(Ordering::SeqCst))).expect("renewed");
            std::iter::repeat_with(renew).take_while(|_| !done.load(Ordering::SeqCst)).filter(Option::is_some).count()
        });
        let is_lost = |number: &usize| {
            last.store(*number, Ordering::SeqCst);
            let appended = pen.append(line(*number).as_bytes()).is_ok();
            let file = fs::read(folder.path().join(FILE)).unwrap_or_default();
            !appended || !file.ends_with(line(*number).as_bytes())
        };
        let lost = (1..1_000).find(is_lost);
        // Before anything panics: the other thread would be waited for.
        done.store(true, Ordering::SeqCst);
        assert_eq!(lost, None);
        assert_ne!(renewals.join().expect("no panic"), 0);
    });
}

#[test]
fn what_is_damaged_or_of_another_version_is_set_aside() {
    let bench = Bench::new();
    let path = |name: &str| bench.folder.path().join(name);
    let store = bench.open(0);
    store.begin(at(0), "f;g", keys(), std::iter::once(&alerts(0)));
    store.update(at(0), "f;g", 0, &alerts(2));
    store.settle();
    let mut file = fs::read(path(FILE)).expect("there");
    let middle = file.len() - 60;
    file[middle] ^= 1;
    fs::write(path(FILE), &file).expect("written");
    let store = bench.open(1);
    assert_eq!((count(&store), fs::read(path(DAMAGED)).expect("set aside")), (Some(1), file));
    assert_eq!(Ledger::read(&fs::read(path(FILE)).expect("there")).1, Found::Whole);
    fs::write(path(FILE), format!("{FORMAT}0\nmore\n")).expect("written");
    assert_eq!(count(&bench.open(2)), None);
    assert!(path(OTHER).exists());
}

/// In a thread of its own, so that a test fails instead of hanging.
#[allow(clippy::disallowed_methods)] // a test's own thread and its answer, no queue
fn in_time<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (send, done) = mpsc::channel();
    std::thread::spawn(move || send.send(work()));
    done.recv_timeout(LONG).expect("it does not wait for the disk")
}

#[test]
#[allow(clippy::disallowed_methods)] // a test's own thread
fn a_disk_that_is_slow_to_sync_holds_up_no_evaluation_and_no_reload() {
    let bench = Bench::new();
    let disk = Moody::default();
    let store = Arc::new(bench.open_on(&disk, 0));
    store.begin(at(0), "f;g", keys(), std::iter::once(&alerts(0)));
    for round in 0.. {
        store.update(at(round), "f;g", 0, &alerts(usize::try_from(round % 2).expect("small")));
        store.settle();
        if bench.length() > BYTES_MIN {
            break;
        }
    }
    disk.turn(Mood::SyncsHang);
    let tended = Arc::clone(&store);
    let tending = std::thread::spawn(move || tended.tend(at(2_000)));
    disk.hangs();
    let evaluated = Arc::clone(&store);
    let shown = in_time(move || {
        evaluated.update(at(2_001), "f;g", 0, &alerts(5));
        evaluated.settle();
        evaluated.retain(at(2_001), |_| true);
        (count(&evaluated), evaluated.0.desk().late)
    });
    assert_eq!(shown, (Some(5), false));
    assert_eq!(count(&bench.open(2_002)), Some(5), "a kill now undoes nothing");
    disk.turn(Mood::Works);
    tending.join().expect("tended");
    assert!(bench.length() < BYTES_MIN, "it was written anew");
    store.update(at(2_003), "f;g", 0, &alerts(6));
    store.settle();
    assert_eq!((count(&bench.open(2_004)), bench.condition()), (Some(6), Condition::Ok), "with what came meanwhile");
}

#[test]
fn a_disk_that_hangs_is_not_waited_for_and_told_of() {
    let bench = Bench::new();
    let disk = Moody::default();
    let store = Arc::new(bench.open_on(&disk, 0));
    disk.turn(Mood::WritesHang);
    let evaluated = Arc::clone(&store);
    in_time(move || {
        evaluated.begin(at(1), "f;g", keys(), std::iter::once(&alerts(1)));
        evaluated.settle();
    });
    assert_eq!((bench.condition(), store.0.desk().late), (Condition::Degraded, true));
    // More than may wait.
    for round in 2..100_000 {
        store.update(at(round), "f;g", 0, &alerts(usize::try_from(round % 2).expect("small") + 2));
        if store.0.desk().overflowed {
            break;
        }
    }
    store.update(at(100_000), "f;g", 0, &alerts(3));
    assert!(store.0.desk().overflowed);
    disk.turn(Mood::Works);
    let started = clock::monotonic();
    while store.0.desk().late {
        assert!(started.elapsed() < LONG, "it does not catch up");
        std::thread::yield_now();
    }
    assert_eq!((bench.condition(), store.0.metrics.errors.get()), (Condition::Degraded, 1));
    store.tend(at(100_001));
    store.tend(at(100_011));
    assert_eq!((bench.condition(), count(&bench.open(100_012))), (Condition::Ok, Some(3)));
}

#[test]
fn whoever_gives_up_while_the_writer_is_done_leaves_nothing_on_the_board() {
    let bench = Bench::new();
    let disk = Moody::default();
    let store = bench.open_on(&disk, 0);
    disk.turn(Mood::WritesHang);
    store.begin(at(1), "f;g", keys(), std::iter::once(&alerts(1)));
    disk.hangs();
    // In this order, which is rare: the writer says that it works, an evaluation gives up, the writer notes how far it is.
    store.0.told(Ok(Some(1)), at(1));
    store.settle();
    assert_eq!(bench.condition(), Condition::Degraded);
    store.0.wrote(1, true);
    assert_eq!((bench.condition(), store.0.desk().late), (Condition::Ok, false));
    disk.turn(Mood::Works);
}

#[test]
fn a_folder_that_cannot_be_written_is_told_of_and_made_good() {
    let bench = Bench::new();
    let disk = Moody::default();
    let store = bench.open_on(&disk, 0);
    store.begin(at(0), "f;g", keys(), std::iter::once(&alerts(1)));
    store.settle();
    disk.turn(Mood::WritesFail);
    store.update(at(1), "f;g", 0, &alerts(2));
    store.settle();
    assert_eq!(bench.condition(), Condition::Degraded);
    store.tend(at(2));
    store.tend(at(12));
    store.update(at(12), "f;g", 0, &alerts(3));
    store.settle();
    assert_eq!((bench.condition(), store.0.metrics.errors.get(), count(&store)), (Condition::Degraded, 2, Some(3)));
    disk.turn(Mood::Works);
    store.tend(at(21));
    assert_eq!(bench.condition(), Condition::Degraded, "it is not tried again at once");
    store.tend(at(22));
    assert_eq!((bench.condition(), count(&bench.open(40))), (Condition::Ok, Some(3)));
}

#[test]
fn without_a_folder_it_is_in_memory_alone() {
    let bench = Bench::new();
    let store = Store::open(Err("no".into()), Metrics::new(&Telemetry::new()), &bench.board, at(0));
    store.begin(at(0), "f;g", keys(), std::iter::once(&alerts(1)));
    store.settle();
    store.tend(at(1));
    assert_eq!((bench.condition(), count(&store)), (Condition::Degraded, Some(1)));
}
