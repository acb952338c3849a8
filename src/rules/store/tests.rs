//! The file, and what becomes of it.

use super::*;
use crate::rules::alert::{Absence, Observed, Timing};
use crate::rules::ledger::{FORMAT, hash};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(seconds * 1000)
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
        Store::open(Ok(self.folder.path().to_owned()), Metrics::new(&Telemetry::new()), &self.board, at(seconds))
    }

    fn condition(&self) -> Condition {
        self.board.parts().into_iter().find(|part| part.name == PART).expect("posted").condition
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
    drop(store);
    let store = bench.open(100);
    let past = store.past("f;g", &keys()).expect("known");
    assert_eq!((count(&store), past.alive), (Some(3), at(2)));
    store.begin(at(100), "f;g", keys(), std::iter::once(&alerts(2)));
    assert_eq!(store.past("f;g", &keys()).expect("known").alive, at(100), "it has not been away since it began");
    store.live(at(160));
    store.retain(at(161), |key| key == "f;g");
    drop(store);
    let store = bench.open(200);
    assert_eq!(store.past("f;g", &keys()).expect("known").alive, at(160));
    store.retain(at(201), |_| false);
    assert_eq!(count(&bench.open(300)), None, "nobody knows of the group any more");
}

#[test]
fn the_file_does_not_grow_without_end() {
    let bench = Bench::new();
    let store = bench.open(0);
    store.begin(at(0), "f;g", keys(), std::iter::once(&alerts(0)));
    for round in 0..2_000 {
        store.update(at(round), "f;g", 0, &alerts(usize::try_from(round % 2).expect("small")));
        let length = fs::metadata(bench.folder.path().join(FILE)).expect("there").len();
        assert!(length <= BYTES_MIN + 1_000, "{length}");
    }
    assert_eq!(count(&bench.open(3_000)), Some(1));
}

#[test]
fn what_is_damaged_or_of_another_version_is_set_aside() {
    let bench = Bench::new();
    let path = |name: &str| bench.folder.path().join(name);
    let store = bench.open(0);
    store.begin(at(0), "f;g", keys(), std::iter::once(&alerts(2)));
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

#[test]
fn a_folder_that_cannot_be_written_is_told_of_and_made_good() {
    let bench = Bench::new();
    let store = bench.open(0);
    store.begin(at(0), "f;g", keys(), std::iter::once(&alerts(1)));
    // A folder in the way of the file that is to take the place of the old one.
    fs::create_dir(bench.folder.path().join(UNFINISHED)).expect("made");
    store.failed(&mut store.desk(), at(1), &io::Error::other("no space left"));
    assert_eq!(bench.condition(), Condition::Degraded);
    store.update(at(2), "f;g", 0, &alerts(2));
    store.update(at(20), "f;g", 0, &alerts(3));
    assert_eq!((bench.condition(), store.metrics.errors.get(), count(&store)), (Condition::Degraded, 2, Some(3)));
    fs::remove_dir(bench.folder.path().join(UNFINISHED)).expect("removed");
    store.update(at(29), "f;g", 0, &alerts(3));
    assert_eq!(bench.condition(), Condition::Degraded, "it is not tried again at once");
    store.update(at(30), "f;g", 0, &alerts(3));
    assert_eq!((bench.condition(), count(&bench.open(40))), (Condition::Ok, Some(3)));
}

#[test]
fn without_a_folder_it_is_in_memory_alone() {
    let bench = Bench::new();
    let store = Store::open(Err("no".into()), Metrics::new(&Telemetry::new()), &bench.board, at(0));
    store.begin(at(0), "f;g", keys(), std::iter::once(&alerts(1)));
    store.live(at(1));
    assert_eq!((bench.condition(), count(&store)), (Condition::Degraded, Some(1)));
}
