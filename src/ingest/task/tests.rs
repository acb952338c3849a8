//! The task over real sockets.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdStream;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use nix::sys::socket::MsgFlags;

use super::*;
use crate::ingest::Passed;
use crate::ingest::listener::{DATAGRAM, STREAM};
use crate::model::Value;
use crate::runtime::{Policy, Supervisor};

struct Agent {
    folder: tempfile::TempDir,
    registry: Arc<Registry>,
    telemetry: Arc<Telemetry>,
    board: Board,
    ingest: Arc<Ingest>,
    supervisor: Supervisor,
}

/// Starts the task on sockets in a folder of its own.
fn agent(config: &Config, passed: impl FnOnce(&Path) -> Passed) -> Agent {
    let folder = tempfile::tempdir().expect("a folder");
    let (telemetry, board) = (Telemetry::new(), Board::new());
    let registry = Registry::new(&crate::registry::Config::default(), &telemetry);
    let sockets = Sockets::open(config, folder.path(), passed(folder.path())).expect("bound");
    let ingest = Ingest::new(config, sockets, Arc::clone(&registry), &telemetry, board.clone());
    let supervisor = Supervisor::new(&telemetry);
    let served = Arc::clone(&ingest);
    supervisor.spawn("ingest", Policy::Critical, move |context| run(Arc::clone(&served), context));
    Agent { folder, registry, telemetry, board, ingest, supervisor }
}

impl Agent {
    fn stream(&self) -> StdStream {
        StdStream::connect(self.folder.path().join("events.sock")).expect("connected")
    }

    fn datagram(&self) -> UnixDatagram {
        let socket = UnixDatagram::unbound().expect("a socket");
        socket.connect(self.folder.path().join("events.dgram.sock")).expect("connected");
        socket
    }

    /// The sum of a counter's, gauge's or histogram's series in the registry or of the agent's own.
    fn total(&self, name: &str) -> f64 {
        let families = self.registry.families().into_iter().chain(self.telemetry.families());
        let series = families.filter(|family| &*family.name == name).flat_map(|family| family.series);
        series.map(|series| if let Value::Number(value) = series.value { value } else { f64::NAN }).sum()
    }

    async fn until(&self, what: &str, condition: impl Fn(&Self) -> bool) {
        for _ in 0..1000 {
            if condition(self) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{what} did not come about: {:?}", self.registry.families());
    }

    async fn stop(&self) {
        self.supervisor.enter(Stage::Draining);
        assert!(self.supervisor.finish(Duration::from_secs(10)).await.is_empty(), "it ends");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_senders_give_one_right_total() {
    let agent = agent(&Config::default(), |_| Passed::default());
    std::thread::scope(|scope| {
        for sender in 0..10 {
            let agent = &agent;
            scope.spawn(move || {
                let mut stream = agent.stream();
                let datagram = agent.datagram();
                for line in 0..500 {
                    match sender % 2 {
                        0 => writeln!(stream, "hits:1|c|#l:{}", line % 7).expect("sent"),
                        _ => {
                            let payload = format!("hits:1|c|#l:{}", line % 7);
                            let length = u32::try_from(payload.len()).expect("short").to_le_bytes();
                            stream.write_all(&[&length[..], payload.as_bytes()].concat()).expect("sent");
                        }
                    }
                    datagram.send(br#"{"kind":"count","name":"hits","value":2}"#).expect("sent");
                }
            });
        }
    });
    agent.until("the total", |agent| agent.total("hits_total") >= 15_000.0).await;
    agent.stop().await;
    assert_eq!(agent.total("hits_total"), 15_000.0);
    assert_eq!(agent.total("sidewatch_ingest_connections_total"), 10.0);
    assert_eq!(agent.total("sidewatch_ingest_connections"), 0.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_bytes_on_both_sockets_leave_it_serving() {
    let agent = agent(&Config::default(), |_| Passed::default());
    std::thread::scope(|scope| {
        for seed in 1..=4_u64 {
            let agent = &agent;
            scope.spawn(move || {
                let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
                let mut noise = || {
                    state ^= state << 13;
                    state ^= state >> 7;
                    state ^= state << 17;
                    state
                };
                let (mut stream, datagram) = (agent.stream(), agent.datagram());
                for _ in 0..128 {
                    let block: Vec<u8> = (0..256).flat_map(|_| noise().to_le_bytes()).collect();
                    stream.write_all(&block).expect("sent");
                    datagram.send(&block).expect("sent");
                }
            });
        }
    });
    writeln!(agent.stream(), "alive:1|c").expect("sent");
    agent.datagram().send(b"alive:1|c").expect("sent");
    agent.until("life after noise", |agent| agent.total("alive_total") == 2.0).await;
    agent.until("a count of all bytes", |agent| agent.total("sidewatch_ingest_bytes_total") >= f64::from(1 << 20)).await;
    assert!(agent.total("sidewatch_ingest_refused_total") > 1000.0);
    agent.stop().await;
}

#[tokio::test]
async fn the_board_and_the_files_follow_the_sockets() {
    let agent = agent(&Config::default(), |_| Passed::default());
    agent.until("readiness", |agent| agent.board.missing().is_empty()).await;
    let parts = agent.board.parts();
    assert_eq!(parts.iter().map(|part| part.name.as_str()).collect::<Vec<_>>(), [DATAGRAM, STREAM]);
    assert_eq!(parts[1].detail, agent.folder.path().join("events.sock").display().to_string());
    agent.stop().await;
    assert!(!agent.folder.path().join("events.sock").exists() && !agent.folder.path().join("events.dgram.sock").exists());
}

#[tokio::test]
async fn what_was_sent_before_the_end_is_counted() {
    let agent = agent(&Config::default(), |_| Passed::default());
    // Nothing runs between these and the drain on this single thread: the connection is not even accepted yet.
    let mut stream = agent.stream();
    stream.write_all(b"late:1|c\nlate:1|c\nhalf:1|").expect("sent");
    agent.datagram().send(b"late:1|c").expect("sent");
    agent.stop().await;
    assert_eq!(agent.total("late_total"), 3.0);
    assert_eq!(agent.total("sidewatch_ingest_refused_total"), 1.0, "half a line is a truncated one");
}

#[tokio::test]
async fn passed_sockets_are_served_and_left() {
    let agent = agent(&Config::default(), |folder| Passed {
        stream: Some(UnixListener::bind(folder.join("events.sock")).expect("bound")),
        datagram: Some(UnixDatagram::bind(folder.join("events.dgram.sock")).expect("bound")),
    });
    writeln!(agent.stream(), "a:1|c").expect("sent");
    agent.datagram().send(b"a:1|c").expect("sent");
    agent.until("both", |agent| agent.total("a_total") == 2.0).await;
    agent.stop().await;
    assert!(agent.folder.path().join("events.sock").exists() && agent.folder.path().join("events.dgram.sock").exists());
}

#[tokio::test]
async fn a_datagram_over_the_limit_is_counted_as_truncated() {
    let config: Config = serde_yaml::from_str("frame_bytes_max: 512").expect("valid");
    let agent = agent(&config, |_| Passed::default());
    let line = |length: usize| format!("a:1|c|#k:{}", "x".repeat(length - 9));
    agent.datagram().send(line(513).as_bytes()).expect("sent");
    agent.datagram().send(line(512).as_bytes()).expect("sent");
    agent.until("the one within", |agent| agent.total("a_total") == 1.0).await;
    agent.stop().await;
    assert_eq!(agent.total("sidewatch_ingest_refused_total"), 1.0);
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_their_turn() {
    let agent = agent(&Config { connections_max: 1, ..Config::default() }, |_| Passed::default());
    let mut first = agent.stream();
    writeln!(first, "a:1|c").expect("sent");
    agent.until("the first", |agent| agent.total("a_total") == 1.0).await;
    let mut second = agent.stream();
    writeln!(second, "a:1|c").expect("sent");
    agent.until("the limit", |agent| agent.board.parts().iter().any(|part| part.condition == Condition::Degraded)).await;
    assert_eq!(agent.total("a_total"), 1.0);
    drop(first);
    agent.until("the second", |agent| agent.total("a_total") == 2.0).await;
    agent.stop().await;
}

#[tokio::test]
async fn a_new_configuration_reaches_open_sessions() {
    let agent = agent(&Config::default(), |_| Passed::default());
    let mut stream = agent.stream();
    writeln!(stream, "a:1|c\n{{\"kind\":\"request\",\"phase\":\"begin\",\"request_id\":\"r\"}}").expect("sent");
    agent.until("the first", |agent| agent.total("http_server_active_requests") == 1.0).await;
    agent.ingest.reconfigure(&Config { service: "shop".into(), ..Config::default() });
    writeln!(stream, "a:1|c\n{{\"kind\":\"request\",\"request_id\":\"r\",\"duration_s\":1}}").expect("sent");
    agent.until("the second", |agent| agent.total("a_total") == 2.0).await;
    let labels: Vec<String> = agent.registry.families()[0].series.iter().map(|series| series.labels.to_string()).collect();
    assert_eq!(labels, ["{}", r#"{service_name="shop"}"#]);
    assert_eq!(agent.total("http_server_active_requests"), 0.0, "the open request is still known");
    agent.stop().await;
}

/// A sender that is a process of its own, of this very program. It ends with the test at the latest.
struct Worker {
    process: Child,
    /// What it says of itself: a line when it has sent, the number of the child it has left its connection to.
    word: String,
}

impl Worker {
    /// Starts one that connects as `way` says, sends `lines`, and waits.
    fn start(agent: &Agent, way: &str, lines: &str) -> Self {
        let program = std::env::current_exe().expect("this one");
        let mut process = Command::new(program)
            .args(["--exact", "ingest::task::tests::a_worker", "--ignored", "--nocapture"])
            .envs([("SIDEWATCH_WORKER_WAY", way), ("SIDEWATCH_WORKER_LINES", lines)])
            .env("SIDEWATCH_WORKER_FOLDER", agent.folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("started");
        let lines = BufReader::new(process.stdout.take().expect("piped")).lines();
        let word = lines.map(|line| line.expect("text")).find_map(|line| line.split_once("sent ").map(|(_, word)| word.to_owned()));
        Self { process, word: word.expect("it has sent") }
    }

    fn kill(&mut self) {
        self.process.kill().expect("ours");
        self.process.wait().expect("ours");
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.kill();
        if let Some(child) = self.word.parse().ok().and_then(rustix::process::Pid::from_raw) {
            // It may have ended by itself.
            _ = rustix::process::kill_process(child, rustix::process::Signal::KILL);
        }
    }
}

#[test]
#[ignore = "a process that other tests start"]
fn a_worker() {
    let setting = |name: &str| std::env::var(format!("SIDEWATCH_WORKER_{name}"));
    let (Ok(way), Ok(lines), Ok(folder)) = (setting("WAY"), setting("LINES"), setting("FOLDER")) else { return };
    let folder = Path::new(&folder);
    let mut word = "all".to_owned();
    let _held: OwnedFd = if way == "datagram" {
        let socket = UnixDatagram::unbound().expect("a socket");
        socket.send_to(lines.as_bytes(), folder.join("events.dgram.sock")).expect("sent");
        socket.into()
    } else {
        let mut stream = StdStream::connect(folder.join("events.sock")).expect("connected");
        writeln!(stream, "{lines}").expect("sent");
        if way == "stream left to a child" {
            #[allow(clippy::zombie_processes)] // it is to outlive this process
            let child = Command::new("sleep").arg("600").stdin(OwnedFd::from(stream.try_clone().expect("a copy"))).spawn().expect("sleep");
            word = child.id().to_string();
        }
        stream.into()
    };
    println!("\nsent {word}");
    drop(std::io::stdin().read(&mut [0]));
}

const TWO_OF_A_GAUGE: &str = r#"{"kind":"gauge","name":"threads","merge":"sum","value":2}"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_dies_takes_its_gauges_along_and_leaves_its_counts() {
    let agent = agent(&Config::default(), |_| Passed::default());
    let lines = format!("{TWO_OF_A_GAUGE}\nhits:1|c");
    for way in ["datagram", "stream", "stream left to a child"] {
        let before = agent.total("hits_total");
        let mut workers: Vec<_> = (0..3).map(|_| Worker::start(&agent, way, &lines)).collect();
        agent.until("the sum of three", |agent| agent.total("threads") == 6.0).await;
        assert_eq!(agent.total("hits_total"), before + 3.0, "{way}");
        workers[1].kill();
        agent.until("the sum of two", |agent| agent.total("threads") == 4.0).await;
        assert_eq!(agent.total("hits_total"), before + 3.0, "{way}");
        drop(workers);
        agent.until("the sum of none", |agent| agent.total("threads") == 0.0).await;
    }
    agent.until("a count of the dead", |agent| agent.total("sidewatch_ingest_processes_ended_total") >= 4.0).await;
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_credentials_all_datagrams_come_from_one_sender() {
    let config: Config = serde_yaml::from_str("datagram: {credentials: false}").expect("valid");
    let agent = agent(&config, |_| Passed::default());
    let _workers: Vec<_> = (0..2).map(|_| Worker::start(&agent, "datagram", &format!("{TWO_OF_A_GAUGE}\nhits:1|c"))).collect();
    agent.until("both", |agent| agent.total("hits_total") == 2.0).await;
    assert_eq!((agent.total("threads"), agent.total("sidewatch_ingest_processes")), (2.0, 0.0));
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_too_many_senders_of_datagrams_the_oldest_is_forgotten() {
    let config: Config = serde_yaml::from_str("datagram: {senders_max: 2}").expect("valid");
    let agent = agent(&config, |_| Passed::default());
    let _workers: Vec<_> = (1..=3)
        .map(|value| Worker::start(&agent, "datagram", &format!(r#"{{"kind":"gauge","name":"g","merge":"sum","value":{value}}}"#)))
        .collect();
    agent.until("the two newest", |agent| agent.total("g") == 5.0).await;
    assert_eq!(agent.total("sidewatch_ingest_datagram_senders_evicted_total"), 1.0);
    assert_eq!(agent.total("sidewatch_ingest_events_total"), 3.0);
    agent.stop().await;
}

#[tokio::test]
async fn who_may_not_send_is_refused_and_counted() {
    let own = nix::unistd::Uid::current().as_raw();
    let allow = |user: u32| serde_yaml::from_str::<Config>(&format!("allow: {{users: ['{user}']}}")).expect("valid");
    let strict = agent(&allow(own + 1), |_| Passed::default());
    let mut stream = strict.stream();
    strict.datagram().send(b"a:1|c").expect("sent");
    strict.until("both refusals", |agent| agent.total("sidewatch_ingest_refused_total") == 2.0).await;
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("set");
    assert_eq!(stream.read(&mut [0]).expect("closed"), 0);
    assert_eq!(strict.total("sidewatch_ingest_connections_closed_total"), 1.0);
    assert_eq!((strict.total("a_total"), strict.total("sidewatch_ingest_bytes_total")), (0.0, 0.0));
    strict.stop().await;

    let open = agent(&allow(own), |_| Passed::default());
    writeln!(open.stream(), "a:1|c").expect("sent");
    open.datagram().send(b"a:1|c").expect("sent");
    open.until("both", |agent| agent.total("a_total") == 2.0).await;
    open.stop().await;
}

#[tokio::test]
async fn descriptors_that_come_along_are_not_kept() {
    use nix::sys::socket::{ControlMessage, sendmsg};
    use std::os::fd::AsRawFd;
    let agent = agent(&Config::default(), |_| Passed::default());
    let socket = agent.datagram();
    let (end, passed) = StdStream::pair().expect("a pair");
    let line = [std::io::IoSlice::new(b"a:1|c")];
    sendmsg::<()>(socket.as_raw_fd(), &line, &[ControlMessage::ScmRights(&[passed.as_raw_fd()])], MsgFlags::empty(), None).expect("sent");
    drop(passed);
    socket.send(b"a:1|c").expect("sent");
    agent.until("both", |agent| agent.total("a_total") == 2.0).await;
    end.set_read_timeout(Some(Duration::from_secs(20))).expect("set");
    assert_eq!((&end).read(&mut [0]).expect("nobody holds the other end"), 0);
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sender_over_its_quota_is_held_up_alone() {
    let config: Config = serde_yaml::from_str("{bytes_per_second_max: 1000, burst_bytes_max: 10000}").expect("valid");
    let agent = agent(&config, |_| Passed::default());
    // This process is one sender, the workers are others.
    let mut stream = agent.stream();
    stream.write_all("a:1|c\n".repeat(2000).as_bytes()).expect("sent");
    agent.until("its first part", |agent| agent.total("a_total") > 0.0).await;
    stream.write_all("a:1|c\n".repeat(500).as_bytes()).expect("it lies in the kernel");
    agent.until("a pause", |agent| agent.total("sidewatch_ingest_pauses_total") == 1.0).await;
    agent.datagram().send(b"b:1|c\nb:1|c\n\n").expect("sent");
    agent.until("a loss", |agent| agent.total("sidewatch_ingest_lost_total") == 2.0).await;
    let _workers = [Worker::start(&agent, "stream", "c:1|c"), Worker::start(&agent, "datagram", "c:1|c")];
    agent.until("the others", |agent| agent.total("c_total") == 2.0).await;
    assert_eq!((agent.total("b_total"), agent.total("sidewatch_ingest_refused_total")), (0.0, 2.0));
    assert!(agent.total("a_total") < 2500.0, "{}", agent.total("a_total"));
    agent.ingest.reconfigure(&Config::default());
    agent.until("the rest, once there is no limit", |agent| agent.total("a_total") == 2500.0).await;
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sender_makes_so_many_series_and_no_more() {
    let config: Config = serde_yaml::from_str("series_per_sender_max: 3").expect("valid");
    let agent = agent(&config, |_| Passed::default());
    let lines = |name: &str| (0..5).map(|tag| format!("{name}:1|c|#t:{tag}\n")).collect::<String>();
    agent.stream().write_all(lines("a").as_bytes()).expect("sent");
    agent.until("the refusals", |agent| agent.total("sidewatch_ingest_refused_total") == 2.0).await;
    agent.datagram().send(lines("a").as_bytes()).expect("sent");
    agent.until("more of the known ones", |agent| agent.total("a_total") == 6.0).await;
    let _worker = Worker::start(&agent, "datagram", lines("b").trim());
    agent.until("the worker's own", |agent| agent.total("b_total") == 3.0).await;
    agent.until("all refusals", |agent| agent.total("sidewatch_ingest_lost_total") == 6.0).await;
    agent.stop().await;
}

/// An agent that listens on a port of its own, and its address.
fn on_loopback(protocol: &str, more: &str) -> (Agent, SocketAddr) {
    let text = format!("{{{protocol}: {{listen: ['127.0.0.1:0']{more}}}}}");
    let agent = agent(&serde_yaml::from_str(&text).expect("valid"), |_| Passed::default());
    let address = agent.ingest.sockets.addresses()[0];
    (agent, address)
}

/// A sender of datagrams.
fn sender(address: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.connect(address).expect("connected");
    socket
}

#[tokio::test]
async fn udp_speaks_plain_statsd() {
    let (agent, address) = on_loopback("udp", ", tag_styles: [influxdb]");
    let socket = sender(address);
    for datagram in ["hits:1|c:2|c\nhits,k=v:1|c", "depth:8|g\ndepth:-3|g", r#"{"kind":"count","name":"hits"}"#] {
        socket.send(datagram.as_bytes()).expect("sent");
    }
    agent.until("all", |agent| agent.total("sidewatch_ingest_refused_total") == 1.0 && agent.total("hits_total") == 4.0).await;
    assert_eq!(agent.total("depth"), 5.0);
    let part = format!("socket:udp:{address}");
    assert!(agent.board.parts().iter().any(|known| known.name == part && known.detail == address.to_string()));
    agent.stop().await;
}

#[tokio::test]
async fn what_waits_on_udp_when_it_stops_is_counted() {
    let (agent, address) = on_loopback("udp", "");
    // The task does not run before the first wait of this thread.
    (0..100).for_each(|_| _ = sender(address).send(b"late:1|c").expect("sent"));
    agent.stop().await;
    assert_eq!(agent.total("late_total"), 100.0);
}

/// How many events were refused by this reason.
fn refused(agent: &Agent, reason: &str) -> f64 {
    let families = agent.registry.families();
    let family = families.iter().find(|family| &*family.name == "sidewatch_ingest_refused_total").expect("a family");
    let series = family.series.iter().find(|series| series.labels.iter().any(|(_, value)| value == reason)).expect("a series");
    if let Value::Number(value) = series.value { value } else { f64::NAN }
}

/// A line that takes up as much of a buffer as many do.
fn padded() -> Vec<u8> {
    format!("a:1|c|#padding:{}", "x".repeat(400)).into_bytes()
}

#[tokio::test]
async fn what_the_kernel_drops_is_counted_to_the_last_datagram() {
    let (agent, address) = on_loopback("udp", ", receive_buffer_bytes: 4096");
    let socket = sender(address);
    // Read one by one they take longer than to be sent, and no datagram follows that could tell of the dropped ones.
    (0..20_000).for_each(|_| _ = socket.send(&padded()).expect("sent"));
    agent.stop().await;
    let (counted, lost) = (agent.total("a_total"), refused(&agent, "kernel_drops"));
    assert!(lost > 0.0, "all {counted} were counted");
    assert_eq!(counted + lost, 20_000.0);
    let families = agent.registry.families();
    let lost_by = families.iter().find(|family| &*family.name == "sidewatch_ingest_lost_total").expect("a family");
    let series: Vec<_> = lost_by.series.iter().map(|series| (series.labels.to_string(), series.value.clone())).collect();
    assert_eq!(series, [(format!(r#"{{reason="kernel_drops", sender="udp:{address}"}}"#), Value::Number(lost))]);
}

#[tokio::test]
async fn a_datagram_says_what_was_dropped_before_it() {
    let (agent, address) = on_loopback("udp", ", receive_buffer_bytes: 4096");
    let socket = sender(address);
    // The table of sockets is not read in the first five seconds.
    let started = clock::monotonic();
    let sent = std::cell::Cell::new(0.0);
    agent
        .until("a loss", |agent| {
            (0..500).for_each(|_| _ = socket.send(&padded()).expect("sent"));
            sent.set(sent.get() + 500.0);
            refused(agent, "kernel_drops") > 0.0
        })
        .await;
    assert!(started.elapsed() < Duration::from_secs(4), "a datagram told it, not the table");
    agent.stop().await;
    assert_eq!(agent.total("a_total") + refused(&agent, "kernel_drops"), sent.get());
}

#[tokio::test]
async fn tcp_takes_lines_and_only_whole_ones() {
    let (agent, address) = on_loopback("tcp", "");
    let mut stream = TcpStream::connect(address).expect("connected");
    stream.write_all(b"hits:1|c\nhits:2|c\n\nhits:100|").expect("sent");
    agent.until("both", |agent| agent.total("hits_total") == 3.0).await;
    assert_eq!(agent.total("sidewatch_ingest_connections"), 1.0);
    drop(stream);
    agent.until("the cut line", |agent| agent.total("sidewatch_ingest_refused_total") == 1.0).await;
    let mut late = TcpStream::connect(address).expect("connected");
    late.write_all(b"hits:4|c\n").expect("sent");
    agent.stop().await;
    assert_eq!(agent.total("hits_total"), 7.0);
}

#[tokio::test]
async fn the_clock_ends_the_intervals_of_sets() {
    let agent = agent(&serde_yaml::from_str("set_interval: 1s").expect("valid"), |_| Passed::default());
    let stream = agent.stream();
    agent
        .until("a whole interval", |agent| {
            writeln!(&stream, "users:ann|s\nusers:bob|s").expect("sent");
            agent.total("users") == 2.0
        })
        .await;
    agent
        .until("an interval without members", |agent| {
            agent.registry.families().iter().any(|f| &*f.name == "users") && agent.total("users") == 0.0
        })
        .await;
    agent.stop().await;
}

/// Sends as a client should that must not be held up: what does not fit is thrown away, its numbers are gone. How many there were.
fn overload(agent: &Agent, name: &str, events: u64) -> u64 {
    let socket = agent.datagram();
    socket.set_nonblocking(true).expect("set");
    let line = |seq: u64| format!("{{\"kind\":\"count\",\"name\":\"hits\",\"sender\":\"{name}\",\"seq\":{seq}}}");
    let mut lost = 0;
    for seq in 1..=events {
        // The first and the last have to come: between them all is known.
        while let Err(error) = socket.send(line(seq).as_bytes()) {
            assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
            if seq > 1 && seq < events {
                lost += 1;
                break;
            }
            std::thread::yield_now();
        }
    }
    lost
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_senders_throw_away_is_reported_by_their_numbers() {
    const EVENTS: u64 = 5000;
    let agent = agent(&Config::default(), |_| Passed::default());
    let lost: u64 = std::thread::scope(|scope| {
        let senders: Vec<_> = ["w1", "w2", "w3"].map(|name| scope.spawn(|| overload(&agent, name, EVENTS))).into_iter().collect();
        senders.into_iter().map(|sender| sender.join().expect("it sent")).sum()
    });
    assert!(lost > 0, "they were too slow to lose anything");
    agent.until("all to be accounted for", |agent| agent.total("hits_total") + agent.total(LOST) >= 3.0 * EVENTS as f64).await;
    agent.stop().await;
    assert_eq!((agent.total("hits_total"), agent.total(LOST)), ((3 * EVENTS - lost) as f64, lost as f64));
    assert_eq!(agent.total("sidewatch_ingest_sender_sequence"), 3.0 * EVENTS as f64);
}

const LOST: &str = "sidewatch_ingest_lost_total";

#[tokio::test]
async fn whoever_may_not_send_over_unix_sockets_may_over_an_open_port() {
    for kind in ["tcp", "udp"] {
        let (agent, address) = on_loopback(kind, "}, allow: {users: [no-such-user]");
        match kind {
            "tcp" => writeln!(TcpStream::connect(address).expect("connected"), "a:1|c").expect("sent"),
            _ => _ = sender(address).send(b"a:1|c").expect("sent"),
        }
        agent.until("the event", |agent| agent.total("a_total") == 1.0).await;
        agent.stop().await;
    }
}
