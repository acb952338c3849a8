//! A filesystem that hangs, under control: it answers when the test lets it.

use std::collections::HashMap as StdHashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::Sender;

use super::*;

/// Longer than any answer that is meant to come takes.
const PATIENT: Duration = Duration::from_secs(30);
const LIMIT: Duration = Duration::from_secs(5);
const FULL: Capacity = Capacity { block_size: 1, blocks: 2, blocks_free: 0, blocks_available: 0, files: 0, files_free: 0 };

/// Paths below `/hung` wait for a word on their gate; every other path answers at once.
struct Stage {
    gates: StdHashMap<PathBuf, Sender<()>>,
    inside: Arc<AtomicUsize>,
    calls: Arc<Mutex<Vec<PathBuf>>>,
    prober: Prober,
}

impl Stage {
    #[allow(clippy::disallowed_methods)] // of a test's own gates, no queue
    fn new(hung: &[&str]) -> Self {
        let mut gates = StdHashMap::new();
        let mut waits = StdHashMap::new();
        for path in hung {
            let (gate, wait) = std::sync::mpsc::channel();
            gates.insert(PathBuf::from(path), gate);
            waits.insert(PathBuf::from(path), Mutex::new(wait));
        }
        let inside = Arc::new(AtomicUsize::new(0));
        let calls = Arc::new(Mutex::new(Vec::new()));
        let (counted, called) = (Arc::clone(&inside), Arc::clone(&calls));
        let statfs: Statfs = Arc::new(move |path| {
            called.lock().unwrap().push(path.to_owned());
            if let Some(wait) = waits.get(path) {
                counted.fetch_add(1, Ordering::SeqCst);
                // A test that ends lets everyone go.
                let _ = wait.lock().unwrap().recv();
                counted.fetch_sub(1, Ordering::SeqCst);
            }
            Ok(FULL)
        });
        Self { gates, inside, calls, prober: Prober::new(statfs) }
    }

    fn probe(&mut self, targets: &[Target], second: i64) -> Vec<Reading> {
        self.prober.probe(targets, Timestamp::from_millis(second * 1000), LIMIT)
    }

    /// Repeats a round until it tells what is expected: how fast threads start is not under test.
    fn settle(&mut self, targets: &[Target], second: i64, expected: &[Reading]) {
        let until = clock::monotonic() + PATIENT;
        while self.probe(targets, second) != expected {
            assert!(clock::monotonic() < until, "not in time");
        }
    }

    /// Waits until this many threads hang.
    fn hanging(&self, count: usize) {
        let until = clock::monotonic() + PATIENT;
        while self.inside.load(Ordering::SeqCst) != count {
            assert!(clock::monotonic() < until, "not in time");
            std::thread::yield_now();
        }
    }

    fn calls(&self, path: &str) -> usize {
        self.calls.lock().unwrap().iter().filter(|called| *called == Path::new(path)).count()
    }

    fn release(&self, path: &str) {
        self.gates[Path::new(path)].send(()).unwrap();
    }
}

fn target(path: &str, suspect: bool) -> Target {
    Target { path: path.into(), suspect }
}

const OK: Reading = Reading::Capacity(FULL);

#[test]
fn ordinary_filesystems_are_answered_in_the_round_that_asks_by_one_thread() {
    let mut stage = Stage::new(&[]);
    stage.prober.patience = PATIENT;
    let targets: Vec<_> = (0..50).map(|index| target(&format!("/{index}"), false)).collect();
    assert!(stage.probe(&targets, 1).iter().all(|reading| *reading == OK));
    assert_eq!(stage.prober.threads(), 1);
}

#[test]
fn a_filesystem_that_hangs_delays_no_other_and_gets_no_second_thread() {
    let mut stage = Stage::new(&["/hung"]);
    let targets = [target("/a", false), target("/hung", false), target("/b", false), target("/nfs", true)];
    // The common thread hangs, and what stands behind waits for the next round.
    assert_eq!(stage.probe(&targets, 1)[2], Reading::Pending);
    stage.settle(&targets, 1, &[OK, Reading::Pending, OK, OK]);
    // A round that waited for the hung one would now take that long.
    stage.prober.patience = PATIENT;
    let began = clock::monotonic();
    for second in 2..=5 {
        assert_eq!(stage.probe(&targets, second), [OK, Reading::Pending, OK, OK], "in second {second}");
    }
    assert_eq!(stage.probe(&targets, 6), [OK, Reading::Stuck, OK, OK]);
    assert!(clock::monotonic() - began < PATIENT);
    assert_eq!(stage.calls("/hung"), 1);
    assert_eq!(stage.prober.threads(), 3, "one common, one for the hung one, one for the suspect");
    assert!(stage.calls("/a") > 5 && stage.calls("/b") > 4);
}

#[test]
fn a_filesystem_that_returns_is_asked_again_by_the_thread_it_kept() {
    let mut stage = Stage::new(&["/hung"]);
    let targets = [target("/hung", false)];
    stage.probe(&targets, 1);
    stage.hanging(1);
    stage.probe(&targets, 1);
    stage.probe(&targets, 7);
    assert_eq!(stage.probe(&targets, 8), [Reading::Stuck]);
    assert_eq!(stage.prober.threads(), 1);
    stage.release("/hung");
    // Its answer is shown, and it hangs in the next question already.
    stage.settle(&targets, 9, &[OK]);
    stage.hanging(1);
    assert_eq!(stage.calls("/hung"), 2);
    assert_eq!(stage.prober.threads(), 1);
}

#[test]
fn suspects_hang_each_alone() {
    let mut stage = Stage::new(&["/one", "/two"]);
    let targets = [target("/one", true), target("/two", true), target("/three", true)];
    stage.settle(&targets, 1, &[Reading::Pending, Reading::Pending, OK]);
    stage.hanging(2);
    stage.prober.patience = PATIENT;
    assert_eq!(stage.probe(&targets, 6), [Reading::Stuck, Reading::Stuck, OK]);
    assert_eq!((stage.calls("/one"), stage.calls("/two"), stage.prober.threads()), (1, 1, 3));
}

#[test]
fn a_hanging_filesystem_that_is_unmounted_and_mounted_again_keeps_its_thread() {
    let mut stage = Stage::new(&["/hung"]);
    stage.probe(&[target("/hung", true)], 1);
    stage.hanging(1);
    stage.probe(&[], 2);
    stage.probe(&[target("/hung", true)], 3);
    assert_eq!((stage.calls("/hung"), stage.prober.threads()), (1, 1));
    stage.release("/hung");
    let until = clock::monotonic() + PATIENT;
    while stage.prober.threads() > 0 {
        assert!(clock::monotonic() < until, "the thread was never let go");
        stage.probe(&[], 4);
    }
    assert_eq!(stage.inside.load(Ordering::SeqCst), 0);
}

#[test]
fn an_error_is_a_reading() {
    let mut prober = Prober::new(Arc::new(|_| Err(io::Error::other("stale file handle"))));
    prober.patience = PATIENT;
    assert_eq!(prober.probe(&[target("/a", false)], Timestamp::default(), LIMIT), [Reading::Failed("stale file handle".into())]);
}
