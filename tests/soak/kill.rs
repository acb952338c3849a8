//! `kill -9` in the midst of a load, again and again, under a parent that holds both sockets and passes them to the next
//! agent, as systemd does. Nothing that was shown goes back, and what is missing is what the killed agent had not handed over.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::ONE_IN;
use crate::stage::{Agent, Exposition, Setup, get, until, until_within};

/// Twenty, or three where the end-to-end tests run a part of everything.
const KILLS: u64 = if ONE_IN == 1 { 20 } else { 3 };
const STREAMS: usize = 4;
const DATAGRAMS: usize = 4;
/// A sender sends so many lines, then sleeps: at most 400,000 lines a second of all eight.
const LINES: u64 = 50;
const PAUSE: Duration = Duration::from_millis(1);
/// `ingest.flush_interval`, and what a machine with other things to do may add to it.
const FLUSH: Duration = Duration::from_millis(100);
const DELAY: Duration = Duration::from_millis(150);

/// The parent: its sockets outlive the agents.
struct Parent {
    setup: Setup,
    listener: UnixListener,
    datagram: UnixDatagram,
    log: PathBuf,
}

impl Parent {
    fn new() -> Self {
        let setup = Setup::new();
        fs::write(setup.path("sidewatch.yml"), setup.configuration()).unwrap();
        let listener = UnixListener::bind(setup.path("events.sock")).unwrap();
        let datagram = UnixDatagram::bind(setup.path("events.dgram.sock")).unwrap();
        let log = setup.path("log");
        File::create(&log).unwrap();
        Self { setup, listener, datagram, log }
    }

    /// Starts an agent with the sockets in the places that sd_listen_fds(3) names.
    fn start(&self) -> Child {
        let script = "exec 3<&0 4>&1 </dev/null >&2; LISTEN_PID=$$ exec \"$@\"";
        let log = File::options().append(true).open(&self.log).unwrap();
        let child = Command::new("sh")
            .args(["-c", script, "sh"])
            .arg(Agent::program())
            .args(["run", "--config"])
            .arg(self.setup.path("sidewatch.yml"))
            .env("LISTEN_FDS", "2")
            .env("LISTEN_FDNAMES", "events:events")
            .stdin(Stdio::from(OwnedFd::from(self.listener.try_clone().unwrap())))
            .stdout(Stdio::from(OwnedFd::from(self.datagram.try_clone().unwrap())))
            .stderr(log)
            .spawn()
            .unwrap();
        until("the agent to be ready", || self.ask("/readyz").map(drop));
        child
    }

    fn ask(&self, path: &str) -> Option<String> {
        get(self.setup.http, path, "").ok().filter(|answer| answer.status == 200).map(|answer| answer.body)
    }

    /// What the agent shows; `None` while there is none.
    fn scrape(&self) -> Option<Exposition> {
        self.ask("/metrics").map(|body| Exposition::parse(&body))
    }
}

impl Drop for Parent {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("the agents' log:\n{}", fs::read_to_string(&self.log).unwrap_or_default());
        }
    }
}

/// What senders have in common.
#[derive(Default)]
struct Load {
    sent: [AtomicU64; STREAMS + DATAGRAMS],
    paused: AtomicBool,
    ended: AtomicBool,
}

impl Load {
    fn sent(&self, senders: std::ops::Range<usize>) -> u64 {
        self.sent[senders].iter().map(|sent| sent.load(Ordering::SeqCst)).sum()
    }

    /// Sends until the load ends. Lines whose fate is not known, since the agent died over them, count as sent.
    fn run(&self, sender: usize, mut send: impl FnMut(&[u8])) {
        let (way, mut lines, mut number) = (if sender < STREAMS { "stream" } else { "datagram" }, String::new(), 0_u64);
        while !self.ended.load(Ordering::SeqCst) {
            if !self.paused.load(Ordering::SeqCst) {
                lines.clear();
                for _ in 0..LINES {
                    number += 1;
                    match number % 3 {
                        0 => writeln!(lines, "kill.events:1|c|#way:{way},sender:{sender}"),
                        1 => writeln!(lines, "kill.wait:{}|ms|#way:{way},sender:{sender}", number % 1000),
                        _ => writeln!(
                            lines,
                            r#"{{"kind":"request","method":"GET","route":"/{way}/{}","status":200,"duration_ms":7}}"#,
                            number % 20
                        ),
                    }
                    .unwrap();
                }
                self.sent[sender].fetch_add(LINES, Ordering::SeqCst);
                send(lines.as_bytes());
            }
            thread::sleep(PAUSE);
        }
    }
}

/// How many lines that came this way were counted.
fn counted(metrics: &Exposition, way: &str) -> f64 {
    let label = format!("way=\"{way}\"");
    let requests = metrics.matching("http_server_request_duration_seconds_count", &format!("http_route=\"/{way}/"));
    metrics.sum("kill_events_total", &[&label]) + metrics.sum("kill_wait_seconds_count", &[&label]) + requests
}

/// True for a sample that only rises: of a counter or a histogram that events made, or the agent's own count of events.
fn only_rises(series: &str) -> bool {
    ["kill_", "http_server_request_duration_seconds", "sidewatch_ingest_events_total", "sidewatch_ingest_refused_total"]
        .iter()
        .any(|prefix| series.starts_with(prefix))
}

/// Compares every scrape with the one before, whichever agents they are from.
#[derive(Default)]
struct Watch {
    last: Option<Exposition>,
    scrapes: u64,
    compared: u64,
}

impl Watch {
    fn look(&mut self, now: Exposition) {
        self.scrapes += 1;
        if let Some(before) = &self.last {
            for (series, was) in before.samples().filter(|(series, _)| only_rises(series)) {
                let is = now.value(series);
                assert!(is.is_some_and(|is| is >= was), "{series} was {was} and is {is:?}");
                self.compared += 1;
            }
        }
        self.last = Some(now);
    }
}

#[test]
fn what_was_shown_never_goes_back_however_often_the_agent_is_killed() {
    let parent = Parent::new();
    let mut agent = parent.start();
    let (load, watch) = (Load::default(), Mutex::new(Watch::default()));
    let (stream_path, datagram_path) = (parent.setup.path("events.sock"), parent.setup.path("events.dgram.sock"));
    let scraping = AtomicBool::new(true);
    let ends = |_: ()| {
        load.ended.store(true, Ordering::SeqCst);
        scraping.store(false, Ordering::SeqCst);
    };
    thread::scope(|scope| {
        // However this ends, the others have to hear of it.
        let _end = scopeguard(&ends);
        for sender in 0..STREAMS + DATAGRAMS {
            let (load, stream_path, datagram_path) = (&load, &stream_path, &datagram_path);
            scope.spawn(move || {
                if sender < STREAMS {
                    let mut stream = UnixStream::connect(stream_path).unwrap();
                    load.run(sender, |lines| {
                        if stream.write_all(lines).is_err() {
                            stream = UnixStream::connect(stream_path).unwrap();
                        }
                    });
                } else {
                    let socket = UnixDatagram::unbound().unwrap();
                    socket.connect(datagram_path).unwrap();
                    load.run(sender, |lines| assert_eq!(socket.send(lines).unwrap(), lines.len()));
                }
            });
        }
        let (parent, watch, scraping) = (&parent, &watch, &scraping);
        scope.spawn(move || {
            while scraping.load(Ordering::SeqCst) {
                let mut watch = watch.lock().unwrap();
                if let Some(now) = parent.scrape() {
                    watch.look(now);
                }
                drop(watch);
                thread::sleep(Duration::from_millis(5));
            }
        });

        let ways = [("stream", 0..STREAMS), ("datagram", STREAMS..STREAMS + DATAGRAMS)];
        let mut missing_before = [0.0; 2];
        for kill in 1..=KILLS {
            let begin = Instant::now();
            let wait = Duration::from_millis(400 + kill * 137 % 500);
            // What was sent in the last moments before the kill, for what may be missing after it.
            let mut moments: VecDeque<(Instant, [u64; 2])> = VecDeque::new();
            while begin.elapsed() < wait {
                moments.push_back((Instant::now(), ways.clone().map(|(_, senders)| load.sent(senders))));
                while moments.len() > 1 && moments[1].0.elapsed() > FLUSH + DELAY {
                    moments.pop_front();
                }
                thread::sleep(Duration::from_millis(1));
            }
            agent.kill().unwrap();
            let killed = Instant::now();
            agent.wait().unwrap();
            let at_kill = ways.clone().map(|(_, senders)| load.sent(senders));
            agent = parent.start();
            let back = killed.elapsed();
            // Without new events the rest comes in, and what is missing then is lost.
            load.paused.store(true, Ordering::SeqCst);
            let missing = settled_missing(parent, &load, &ways);
            load.paused.store(false, Ordering::SeqCst);
            for (index, (way, _)) in ways.iter().enumerate() {
                let lost = missing[index] - missing_before[index];
                let sent_in_a_flush = at_kill[index] - moments[0].1[index];
                println!(
                    "kill {kill}, {way}: {lost} of {} events missing; {sent_in_a_flush} were sent in the last {} ms; ready again after {} ms",
                    at_kill[index],
                    moments[0].0.duration_since(begin).as_millis().abs_diff(killed.duration_since(begin).as_millis()),
                    back.as_millis()
                );
                assert!(lost >= 0.0, "{way}: more was counted than was sent");
                // A stream's buffers hold what the agent has not read; at this rate that is little beside a flush interval.
                let unread = if *way == "stream" { STREAMS as u64 * 2 * LINES } else { 0 };
                assert!(lost <= (sent_in_a_flush + unread) as f64, "{way}: {lost} events are missing");
            }
            missing_before = missing;
        }
        ends(());
    });
    let watch = watch.into_inner().unwrap();
    let size: u64 = fs::read_dir(parent.setup.path("state/registry")).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum();
    println!("{KILLS} kills, {} scrapes, {} samples compared, none went back; {size} bytes of state", watch.scrapes, watch.compared);
    assert!(watch.scrapes > 10 * KILLS);
    agent.kill().unwrap();
    agent.wait().unwrap();
}

/// How many events of each way are sent and not counted, once no more come in.
fn settled_missing(parent: &Parent, load: &Load, ways: &[(&str, std::ops::Range<usize>); 2]) -> [f64; 2] {
    let mut last = ([0.0; 2], 0);
    until_within(Duration::from_secs(60), "the rest to be counted", || {
        thread::sleep(Duration::from_millis(30));
        let metrics = parent.scrape()?;
        let missing = ways.clone().map(|(way, senders)| load.sent(senders) as f64 - counted(&metrics, way));
        last = if missing == last.0 { (missing, last.1 + 1) } else { (missing, 0) };
        // Nothing has changed over several flush intervals.
        (last.1 >= 12).then_some(missing)
    })
}

/// Calls `end` when it goes out of scope.
fn scopeguard<F: Fn(())>(end: &F) -> impl Drop + '_ {
    struct Guard<'a, F: Fn(())>(&'a F);
    impl<F: Fn(())> Drop for Guard<'_, F> {
        fn drop(&mut self) {
            (self.0)(());
        }
    }
    Guard(end)
}
