//! Real processes, and a recorded `/proc`.

use std::fs;
use std::path::Path;
use std::process::{Child, Command};
use std::time::Duration;

use super::*;

/// A process that does nothing, and ends with the test.
struct Sleeper(Child);

impl Sleeper {
    fn start() -> Self {
        Self(Command::new("sleep").arg("600").spawn().expect("sleep is everywhere"))
    }

    fn credentials(&self) -> Credentials {
        Credentials { pid: self.0.id().try_into().expect("a pid"), uid: 1, gid: 2 }
    }

    fn end(&mut self) {
        self.0.kill().expect("ours");
        self.0.wait().expect("ours");
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        self.end();
    }
}

/// A folder like `/proc` with one process.
fn recorded(pid: i32, files: &[(&str, &str)]) -> tempfile::TempDir {
    let proc = tempfile::tempdir().expect("a folder");
    let folder = proc.path().join(pid.to_string());
    fs::create_dir(&folder).expect("made");
    for (name, text) in files {
        fs::write(folder.join(name), text).expect("written");
    }
    proc
}

fn stat(name: &str, state: &str, start: u64) -> String {
    format!("7 ({name}) {state} 1 7 7 0 -1 4194304 100 0 0 0 0 0 0 0 20 0 1 0 {start} 1000 100 18446744073709551615")
}

#[test]
fn a_process_is_called_by_its_unit_else_its_command() {
    let sleeper = Sleeper::start();
    let Credentials { pid, .. } = sleeper.credentials();
    for (cgroup, comm, name) in
        [("0::/system.slice/shop.service\n", "python3\n", "shop.service"), ("0::/\n", "python3\n", "python3"), ("", "", "unknown")]
    {
        let proc = recorded(pid, &[("cgroup", cgroup), ("comm", comm)]);
        let peer = Peers::new(proc.path()).meet(sleeper.credentials(), None);
        assert_eq!(&**peer.name(), name);
        assert_eq!(peer.to_string(), format!("{name} (pid {pid}, uid 1, gid 2)"));
    }
    let hidden = Peers::new("/nonexistent").meet(sleeper.credentials(), None);
    assert_eq!((&**hidden.name(), hidden.unit()), ("unknown", None));
    assert_eq!(&**Peers::new("/proc").meet(sleeper.credentials(), None).name(), expected_name(pid).as_str());
}

/// What the machine that runs the test says.
fn expected_name(pid: i32) -> String {
    let read = |file| fs::read_to_string(Path::new("/proc").join(pid.to_string()).join(file)).expect("there");
    crate::ingest::cgroup::parse(&read("cgroup")).unit.unwrap_or_else(|| read("comm").trim().to_owned())
}

#[test]
fn sessions_of_a_process_share_it_while_it_lives() {
    let peers = Peers::new("/proc");
    let mut sleeper = Sleeper::start();
    let first = peers.meet(sleeper.credentials(), None);
    assert!(Arc::ptr_eq(&first, &peers.meet(sleeper.credentials(), None)));
    assert!(!Arc::ptr_eq(&first, &peers.meet(Credentials { uid: 9, ..sleeper.credentials() }, None)), "as another user it is another");
    sleeper.end();
    assert!(!Arc::ptr_eq(&first, &peers.meet(sleeper.credentials(), None)), "its number may be another's now");
}

#[test]
fn one_that_has_ended_is_noticed_whoever_is_known_beside_it() {
    let peers = Peers::new("/nonexistent");
    let mut sleepers: Vec<_> = (0..3).map(|_| Sleeper::start()).collect();
    let met: Vec<_> = sleepers.iter().map(|sleeper| peers.meet(sleeper.credentials(), None)).collect();
    let elsewhere = peers.meet(Credentials { pid: 0, uid: 1, gid: 1 }, None);
    assert_eq!((peers.look(), peers.departures(), peers.len()), (0, 0, 4));
    sleepers[1].end();
    assert_eq!((peers.look(), peers.departures()), (1, 1));
    let gone: Vec<_> = met.iter().chain([&elsewhere]).map(|peer| peer.is_gone()).collect();
    assert_eq!(gone, [false, true, false, false]);
    assert_eq!((peers.look(), peers.len()), (0, 3), "it is noticed once");
    drop((met, elsewhere));
    peers.look();
    assert_eq!(peers.len(), 2, "those that live are remembered, but for one whose end nobody would see");
}

#[test]
fn a_process_without_a_session_keeps_its_account() {
    let peers = Peers::new("/proc");
    let sleeper = Sleeper::start();
    let quota = crate::ingest::quota::Quota::new(&crate::ingest::Config::default());
    let at = crate::model::Timestamp::from_millis(0);
    let left = |peers: &Peers| peers.meet(sleeper.credentials(), None).account().series_left(quota, at);
    let all = left(&peers);
    peers.meet(sleeper.credentials(), None).account().series_made(7, quota, at);
    peers.look();
    assert_eq!(left(&peers), all - 7);
    for uid in 0..2000 {
        peers.meet(Credentials { pid: -1, uid, gid: 1 }, None);
    }
    assert!(peers.len() <= IDLE_MAX);
}

#[test]
fn one_that_ended_before_it_was_met_is_gone_at_the_next_look() {
    let peers = Peers::new("/proc");
    let mut sleeper = Sleeper::start();
    sleeper.end();
    let late = peers.meet(sleeper.credentials(), None);
    assert_eq!((peers.look(), late.is_gone(), &**late.name()), (1, true, UNKNOWN));
}

#[tokio::test]
async fn whoever_waits_for_the_end_hears_of_it() {
    let peers = Peers::new("/proc");
    let mut sleeper = Sleeper::start();
    let peer = peers.meet(sleeper.credentials(), None);
    let wait = Duration::from_secs(20);
    let (heard, ()) = tokio::join!(tokio::time::timeout(wait, peer.departure()), async {
        sleeper.end();
        peers.look();
    });
    heard.expect("while waiting");
    tokio::time::timeout(wait, peer.departure()).await.expect("and afterwards");
}

#[test]
fn without_a_descriptor_the_number_and_the_start_tell() {
    let proc = recorded(7, &[("stat", &stat("a) b (c", "S", 1234))]);
    let watch = Watch::by_start(proc.path(), 7).expect("it lives");
    let ended = || watch::ended(proc.path(), std::iter::once(Some(&watch)))[0];
    assert!(!ended());
    for other in [stat("a", "S", 1235), stat("a", "Z", 1234), String::new()] {
        fs::write(proc.path().join("7/stat"), other).expect("written");
        assert!(ended());
    }
    fs::remove_file(proc.path().join("7/stat")).expect("removed");
    assert!(ended());
    assert!(Watch::by_start(proc.path(), 7).is_none(), "what cannot be seen cannot be watched");
}
